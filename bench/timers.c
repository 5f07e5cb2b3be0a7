/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How late timers are where this program runs: it has them expire every millisecond, waits for each expiration and
 * compares the clock with the time at which it was due. One line of JSON per kind of timer. With --serve it stays
 * and measures what it is told on standard input, like bench/calls. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench.h"

#define PERIOD_NS UINT64_C(1000000)
#define LEAD_NS (2 * PERIOD_NS) /* until the first is due */
#define ITIMER_QUESTIONS 8U
#define EXPIRATIONS_MAX 100000UL

/* A kind of timer. Functions return 0 or a negative errno. */
typedef struct Kind {
        const char *name;
        /* Arms it, the first to be due LEAD_NS from now; says when that is by CLOCK_MONOTONIC. */
        int (*start)(uint64_t *ret_due);
        int (*wait)(void); /* for one expiration or more */
        void (*stop)(void);
} Kind;

static int timer_fd = -1;  /* owned by timerfd_start() and _stop() */
static int timer_id = -1;  /* the kernel's; owned by posix_start() and _stop() */
static int timer_signo;    /* blocked; set before wait_signal() */

static struct timespec timespec_of(uint64_t ns) {
        return (struct timespec) { .tv_sec = (time_t) (ns / 1000000000), .tv_nsec = (long) (ns % 1000000000) };
}

static int wait_signal(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, timer_signo);
        while (sigwaitinfo(&set, NULL) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

/* Takes what is left of a timer that has been stopped. */
static void drain_signal(void) {
        struct timespec none = {};
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, timer_signo);
        while (sigtimedwait(&set, NULL, &none) >= 0)
                ;
}

static int signal_block(int signo) {
        sigset_t set;

        timer_signo = signo;
        (void) sigemptyset(&set);
        (void) sigaddset(&set, signo);
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int timerfd_start(uint64_t *ret_due) {
        struct itimerspec spec = { .it_interval = timespec_of(PERIOD_NS) };

        timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        if (timer_fd < 0)
                return -errno;
        *ret_due = now_ns() + LEAD_NS;
        spec.it_value = timespec_of(*ret_due);
        return timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static int timerfd_wait(void) {
        uint64_t n;

        return read(timer_fd, &n, sizeof(n)) == sizeof(n) ? 0 : -errno;
}

static void timerfd_stop(void) {
        if (timer_fd >= 0)
                (void) close(timer_fd);
        timer_fd = -1;
}

/* By the kernel's calls: libc's timers are another thing on some versions. */
static int posix_start(uint64_t *ret_due) {
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
        struct itimerspec spec = { .it_interval = timespec_of(PERIOD_NS) };
        int r;

        r = signal_block(event.sigev_signo);
        if (r < 0)
                return r;
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer_id) < 0)
                return -errno;
        *ret_due = now_ns() + LEAD_NS;
        spec.it_value = timespec_of(*ret_due);
        return syscall(SYS_timer_settime, timer_id, TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static void posix_stop(void) {
        if (timer_id >= 0)
                (void) syscall(SYS_timer_delete, timer_id);
        timer_id = -1;
        drain_signal();
}

/* It takes no time of the clock, and counts from when it is heard of. So it is asked when it will be due, several times:
 * the shortest question gives the best answer, to the microsecond. */
static int itimer_start(uint64_t *ret_due) {
        struct itimerval spec = {
                .it_interval.tv_usec = PERIOD_NS / 1000, .it_value.tv_usec = LEAD_NS / 1000,
        };
        uint64_t shortest = UINT64_MAX;
        int r;

        r = signal_block(SIGALRM);
        if (r < 0)
                return r;
        if (setitimer(ITIMER_REAL, &spec, NULL) < 0)
                return -errno;
        for (unsigned i = 0; i < ITIMER_QUESTIONS; i++) {
                uint64_t before = now_ns(), took;
                struct itimerval left;

                if (getitimer(ITIMER_REAL, &left) < 0)
                        return -errno;
                took = now_ns() - before;
                if (took >= shortest)
                        continue;
                shortest = took;
                *ret_due = before + took / 2 + (uint64_t) left.it_value.tv_usec * 1000;
        }
        return 0;
}

static void itimer_stop(void) {
        struct itimerval none = {};

        (void) setitimer(ITIMER_REAL, &none, NULL);
        drain_signal();
}

static const Kind kinds[] = {
        { "late-timerfd",   timerfd_start, timerfd_wait, timerfd_stop },
        { "late-posix",     posix_start,   wait_signal,  posix_stop   },
        { "late-setitimer", itimer_start,  wait_signal,  itimer_stop  },
};

static const Kind *kind_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(kinds[i].name, name) == 0)
                        return &kinds[i];
        return NULL;
}

/* Measures so many expirations. Which have been is taken from the clock alone: asking for overruns would be a call more
 * each time, of which each kind has another. One that comes when the next is due as well counts for both, so that none
 * gets lost for being very late. "ns" is the median. */
static int kind_measure(const Kind *kind, unsigned long expirations) {
        static double late[EXPIRATIONS_MAX];
        uint64_t due, now, begin = now_ns();
        unsigned long k = 0, wakeups = 0;
        int r;

        r = kind->start(&due);
        while (r >= 0 && k < expirations) {
                r = kind->wait();
                now = now_ns();
                wakeups++;
                for (; r >= 0 && k < expirations && due + k * PERIOD_NS <= now; k++)
                        late[k] = (double) (now - due - k * PERIOD_NS);
        }
        kind->stop();
        if (r < 0) {
                printf("{\"call\":\"%s\",\"error\":\"%s\"}\n", kind->name, strerror(-r));
                (void) fflush(stdout);
                return r;
        }

        double_sort(late, expirations);
        printf("{\"call\":\"%s\",\"ns\":%.0f,\"p99\":%.0f,\"min\":%.0f,\"max\":%.0f,\"expirations\":%lu,"
               "\"wakeups\":%lu,\"ms\":%.1f}\n",
               kind->name, sorted_quantile(late, expirations, 0.5), sorted_quantile(late, expirations, 0.99), late[0],
               late[expirations - 1], expirations, wakeups, (double) (now_ns() - begin) / 1e6);
        (void) fflush(stdout);
        return 0;
}

/* Answers each line of standard input ("KIND [EXPIRATIONS]", or "quit") with one line, until it ends. */
static int serve(unsigned long expirations) {
        char line[64];

        while (fgets(line, sizeof(line), stdin)) {
                unsigned long n = expirations;
                const Kind *kind;
                char *number;

                line[strcspn(line, "\n")] = '\0';
                if (strcmp(line, "quit") == 0)
                        break;

                number = strchr(line, ' ');
                if (number)
                        *number++ = '\0';
                kind = kind_find(line);
                if (!kind || (number && parse_number(number, 1, EXPIRATIONS_MAX, &n) < 0)) {
                        printf("{\"call\":\"?\",\"error\":\"no such timer, or no number\"}\n");
                        (void) fflush(stdout);
                } else
                        (void) kind_measure(kind, n);
        }
        return EXIT_SUCCESS;
}

static void help(void) {
        printf("timers [OPTIONS] [KIND...]\n\n"
               "Prints how late timers with a period of 1 ms are here, in ns, as lines of JSON.\n\n"
               "  --expirations=N   of each kind (default 1000)\n"
               "  --serve           read kinds from standard input, answer each\n"
               "  --help\n\nKinds:");
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                printf(" %s", kinds[i].name);
        printf("\n");
}

int main(int argc, char *argv[]) {
        enum { ARG_EXPIRATIONS = 256, ARG_SERVE, ARG_HELP };
        static const struct option options[] = {
                { "expirations", required_argument, NULL, ARG_EXPIRATIONS },
                { "serve",       no_argument,       NULL, ARG_SERVE       },
                { "help",        no_argument,       NULL, ARG_HELP        },
                {}
        };
        unsigned long expirations = 1000;
        bool serving = false;
        int r = 0, o;

        while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case ARG_EXPIRATIONS:
                        if (parse_number(optarg, 1, EXPIRATIONS_MAX, &expirations) < 0) {
                                fprintf(stderr, "timers: --expirations=%s: a number from 1 to %lu is needed\n",
                                        optarg, EXPIRATIONS_MAX);
                                return 2;
                        }
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

        if (serving)
                return serve(expirations);

        for (size_t i = 0; optind >= argc && i < ELEMENTSOF(kinds); i++)
                if (kind_measure(&kinds[i], expirations) < 0)
                        r = -1;
        for (int i = optind; i < argc; i++) {
                const Kind *kind = kind_find(argv[i]);

                if (!kind) {
                        fprintf(stderr, "timers: no kind of timer is named %s; --help lists them\n", argv[i]);
                        return 2;
                }
                if (kind_measure(kind, expirations) < 0)
                        r = -1;
        }
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
