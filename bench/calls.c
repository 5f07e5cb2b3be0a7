/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a system call costs where this program runs: natively, in a sandbox, under bench/floor. It prints
 * one line of JSON per call. With --serve it stays and measures what it is told on standard input, so that
 * a driver can keep one of these alive in every contender and measure them in turn: noise hits all alike. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS_MAX 1000UL
#define ROUND_USEC_MAX 10000000UL

/* What the calls work on. Immutable once opened. */
typedef struct Context {
        const char *path; /* a file of at least one byte */
        int file_fd;      /* of path, read-only */
        int pipe_fds[2];
        int timer_id;     /* of a POSIX timer, the kernel's */
        int timer_fd;
} Context;

/* Makes the call n times. Returns 0, or the negative errno of the first that fails. */
typedef int (*CallFunc)(const Context *c, uint64_t n);

static int call_getppid(const Context *c, uint64_t n) {
        while (n-- > 0)
                (void) getppid(); /* never cached by libc, cannot fail */
        return 0;
}

static int call_pread(const Context *c, uint64_t n) {
        char byte;

        while (n-- > 0) {
                ssize_t k = pread(c->file_fd, &byte, sizeof(byte), 0);

                if (k != 1)
                        return k < 0 ? -errno : -EIO;
        }
        return 0;
}

static int call_open_close(const Context *c, uint64_t n) {
        while (n-- > 0) {
                int fd = open(c->path, O_RDONLY|O_CLOEXEC);

                if (fd < 0)
                        return -errno;
                (void) close(fd);
        }
        return 0;
}

static int call_pipe(const Context *c, uint64_t n) {
        char byte = 0;

        while (n-- > 0) {
                ssize_t k = write(c->pipe_fds[1], &byte, sizeof(byte));

                if (k == 1)
                        k = read(c->pipe_fds[0], &byte, sizeof(byte));
                if (k != 1)
                        return k < 0 ? -errno : -EIO;
        }
        return 0;
}

static int call_clock_gettime(const Context *c, uint64_t n) {
        struct timespec ts;

        while (n-- > 0)
                if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
                        return -errno;
        return 0;
}

static int call_uname(const Context *c, uint64_t n) {
        struct utsname u;

        while (n-- > 0)
                if (uname(&u) < 0)
                        return -errno;
        return 0;
}

static int call_sched_getaffinity(const Context *c, uint64_t n) {
        unsigned long mask[1024 / 8 / sizeof(unsigned long)];

        /* Not libc's function: it also clears what the kernel left of the mask. */
        while (n-- > 0)
                if (syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) < 0)
                        return -errno;
        return 0;
}

/* So far away that none expires, and never the same, which could be less work. */
static time_t timer_seconds(uint64_t n) {
        return (time_t) (1000000 + n % 1000);
}

static int call_timer_settime(const Context *c, uint64_t n) {
        while (n-- > 0) {
                struct itimerspec spec = { .it_value.tv_sec = timer_seconds(n) };

                if (syscall(SYS_timer_settime, c->timer_id, 0, &spec, NULL) < 0)
                        return -errno;
        }
        return 0;
}

static int call_timer_gettime(const Context *c, uint64_t n) {
        struct itimerspec spec;

        while (n-- > 0)
                if (syscall(SYS_timer_gettime, c->timer_id, &spec) < 0)
                        return -errno;
        return 0;
}

static int call_setitimer(const Context *c, uint64_t n) {
        while (n-- > 0) {
                struct itimerval value = { .it_value.tv_sec = timer_seconds(n) };

                if (setitimer(ITIMER_REAL, &value, NULL) < 0)
                        return -errno;
        }
        return 0;
}

static int call_timerfd_settime(const Context *c, uint64_t n) {
        while (n-- > 0) {
                struct itimerspec spec = { .it_value.tv_sec = timer_seconds(n) };

                if (timerfd_settime(c->timer_fd, 0, &spec, NULL) < 0)
                        return -errno;
        }
        return 0;
}

/* Another name each time. */
static int call_sethostname(const Context *c, uint64_t n) {
        while (n-- > 0)
                if (sethostname(n % 2 ? "bench-a" : "bench-b", 7) < 0)
                        return -errno;
        return 0;
}

static const struct {
        const char *name;
        CallFunc func;
} call_table[] = {
        { "getppid",           call_getppid           },
        { "pread",             call_pread             },
        { "open+close",        call_open_close        },
        { "pipe",              call_pipe              },
        { "clock_gettime",     call_clock_gettime     },
        { "uname",             call_uname             },
        { "sched_getaffinity", call_sched_getaffinity },
        { "timer_settime",     call_timer_settime     },
        { "timer_gettime",     call_timer_gettime     },
        { "setitimer",         call_setitimer         },
        { "timerfd_settime",   call_timerfd_settime   },
        { "sethostname",       call_sethostname      },
};

static CallFunc call_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(call_table); i++)
                if (strcmp(call_table[i].name, name) == 0)
                        return call_table[i].func;
        return NULL;
}

/* Times one round of n calls. */
static int call_time(CallFunc func, const Context *c, uint64_t n, uint64_t *ret_ns) {
        uint64_t start;
        int r;

        start = now_ns();
        r = func(c, n);
        *ret_ns = now_ns() - start;
        return r;
}

/* Measures one call: first finds, by doubling, how many fill a round of the wanted length (which warms up
 * caches and the CPU's clock as well), then times the rounds and prints median and minimum. A call that
 * fails is an answer too. Returns negative when nothing could be measured. */
static int call_measure(const char *name, CallFunc func, const Context *c, unsigned long rounds,
                        unsigned long round_usec) {
        double ns[ROUNDS_MAX];
        uint64_t n = 1, elapsed;
        int r;

        for (;;) {
                r = call_time(func, c, n, &elapsed);
                if (r < 0)
                        goto fail;
                if (elapsed >= (uint64_t) round_usec * 1000 / 2 || n >= UINT64_C(1) << 40)
                        break;
                n *= 2;
        }
        n = (uint64_t) ((double) n * (double) round_usec * 1000 / (double) (elapsed > 0 ? elapsed : 1));
        if (n == 0)
                n = 1;

        for (unsigned long i = 0; i < rounds; i++) {
                r = call_time(func, c, n, &elapsed);
                if (r < 0)
                        goto fail;
                ns[i] = (double) elapsed / (double) n;
        }

        double_sort(ns, rounds);
        printf("{\"call\":\"%s\",\"ns\":%.2f,\"min\":%.2f,\"rounds\":%lu,\"iterations\":%llu}\n",
               name, sorted_quantile(ns, rounds, 0.5), ns[0], rounds, (unsigned long long) n);
        (void) fflush(stdout);
        return 0;

fail:
        printf("{\"call\":\"%s\",\"error\":\"%s\"}\n", name, strerror(-r));
        (void) fflush(stdout);
        return r;
}

/* Answers each line of standard input ("CALL", or "quit") with one line, until it ends. */
static int serve(const Context *c, unsigned long rounds, unsigned long round_usec) {
        char line[64];

        while (fgets(line, sizeof(line), stdin)) {
                CallFunc func;

                line[strcspn(line, "\n")] = '\0';
                if (strcmp(line, "quit") == 0)
                        break;

                func = call_find(line);
                if (func)
                        (void) call_measure(line, func, c, rounds, round_usec);
                else {
                        printf("{\"call\":\"?\",\"error\":\"no such call\"}\n");
                        (void) fflush(stdout);
                }
        }
        return EXIT_SUCCESS;
}

static void help(void) {
        printf("calls [OPTIONS] [CALL...]\n\n"
               "Prints what system calls cost here, in ns, as lines of JSON.\n\n"
               "  --rounds=N    time each call N times, print the median (default 15)\n"
               "  --usec=N      length of a round in microseconds (default 5000)\n"
               "  --file=PATH   what to open and read (default /etc/passwd)\n"
               "  --serve       read the names of calls from standard input, answer each\n"
               "  --help\n\nCalls:");
        for (size_t i = 0; i < ELEMENTSOF(call_table); i++)
                printf(" %s", call_table[i].name);
        printf("\n");
}

int main(int argc, char *argv[]) {
        enum { ARG_ROUNDS = 256, ARG_USEC, ARG_FILE, ARG_SERVE, ARG_HELP };
        static const struct option options[] = {
                { "rounds", required_argument, NULL, ARG_ROUNDS },
                { "usec",   required_argument, NULL, ARG_USEC   },
                { "file",   required_argument, NULL, ARG_FILE   },
                { "serve",  no_argument,       NULL, ARG_SERVE  },
                { "help",   no_argument,       NULL, ARG_HELP   },
                {}
        };
        Context c = { .path = "/etc/passwd", .file_fd = -1, .pipe_fds = { -1, -1 }, .timer_fd = -1 };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
        unsigned long rounds = 15, round_usec = 5000;
        bool serving = false;
        int r = 0, o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case ARG_ROUNDS:
                        if (parse_number(optarg, 1, ROUNDS_MAX, &rounds) < 0) {
                                fprintf(stderr, "calls: --rounds=%s: a number from 1 to %lu is needed\n",
                                        optarg, ROUNDS_MAX);
                                return 2;
                        }
                        break;
                case ARG_USEC:
                        if (parse_number(optarg, 1, ROUND_USEC_MAX, &round_usec) < 0) {
                                fprintf(stderr, "calls: --usec=%s: a number from 1 to %lu is needed\n",
                                        optarg, ROUND_USEC_MAX);
                                return 2;
                        }
                        break;
                case ARG_FILE:
                        c.path = optarg;
                        break;
                case ARG_SERVE:
                        serving = true;
                        break;
                case ARG_HELP:
                        help();
                        return EXIT_SUCCESS;
                default:
                        return 2;
                }

        c.file_fd = open(c.path, O_RDONLY|O_CLOEXEC);
        if (c.file_fd < 0) {
                fprintf(stderr, "calls: cannot open %s: %s\n", c.path, strerror(errno));
                return EXIT_FAILURE;
        }
        if (pipe2(c.pipe_fds, O_CLOEXEC) < 0) {
                fprintf(stderr, "calls: cannot make a pipe: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }

        /* Where there are none of these, calls that set them fail, which is an answer. */
        c.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &c.timer_id) < 0)
                c.timer_id = -1;

        if (serving)
                return serve(&c, rounds, round_usec);

        if (optind >= argc) {
                for (size_t i = 0; i < ELEMENTSOF(call_table); i++)
                        /* That one is for sandboxes: elsewhere it changes the machine. */
                        if (call_table[i].func != call_sethostname &&
                            call_measure(call_table[i].name, call_table[i].func, &c, rounds, round_usec) < 0)
                                r = -1;
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        }

        for (int i = optind; i < argc; i++) {
                CallFunc func = call_find(argv[i]);

                if (!func) {
                        fprintf(stderr, "calls: no call is named %s; --help lists them\n", argv[i]);
                        return 2;
                }
                if (call_measure(argv[i], func, &c, rounds, round_usec) < 0)
                        r = -1;
        }
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
