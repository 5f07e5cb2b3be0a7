/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs in a sandbox while its sentry-kernel is killed again and again: every call has to give what it gives natively, once,
 * and no timer may be lost. Prints "running", ends when its standard input does, and tells on the last line. Exit status 0:
 * nothing was wrong. Needs emulated CAP_SYS_ADMIN for the host name. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUEUED (SIGRTMIN + 1)
#define PERIODIC (SIGRTMIN + 2)
#define ONCE (SIGRTMIN + 3)
#define PERIOD_NS (7 * INT64_C(1000000))

static atomic_bool over;
static atomic_uint n_wrong;
static atomic_uint_fast64_t n_calls, worst_ns, once_fired, alarms, periodic_signals, periodic_overruns;

static int64_t now_ns(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...) {
        char text[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (atomic_fetch_add(&n_wrong, 1) < 20)
                printf("wrong: %s\n", text), fflush(stdout);
}

/* One call that the sentry answers has taken since `start`. */
static void measure(int64_t start) {
        uint64_t ns = (uint64_t) (now_ns() - start), worst = atomic_load(&worst_ns);

        atomic_fetch_add(&n_calls, 1);
        while (ns > worst && !atomic_compare_exchange_weak(&worst_ns, &worst, ns))
                ;
}

static unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        return n;
}

/* ---- host names: state that changes with each call ---- */

static void *names(void *userdata) {
        for (unsigned i = 0; !atomic_load(&over); i++) {
                struct utsname uts;
                char name[32];
                int64_t start;

                (void) snprintf(name, sizeof(name), "host%u", i);
                start = now_ns();
                if (sethostname(name, strlen(name)) < 0)
                        wrong("sethostname: %s", strerror(errno));
                measure(start);
                start = now_ns();
                if (uname(&uts) < 0)
                        wrong("uname: %s", strerror(errno));
                else if (strcmp(uts.nodename, name) != 0)
                        wrong("the host name is %s after it was set to %s", uts.nodename, name);
                measure(start);
        }
        return userdata;
}

/* ---- descriptors ---- */

static void *descriptors(void *userdata) {
        pid_t pid = getpid();

        while (!atomic_load(&over)) {
                int64_t start = now_ns();
                int fd = (int) syscall(SYS_pidfd_open, pid, 0);

                measure(start);
                if (fd < 0) {
                        wrong("pidfd_open: %s", strerror(errno));
                        continue;
                }
                if (syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0)
                        wrong("descriptor %d is no pidfd: %s", fd, strerror(errno));
                if (close(fd) < 0)
                        wrong("close: %s", strerror(errno));
        }
        return userdata;
}

/* ---- signals that are queued: each once, in their order ---- */

static void receive_signals(int results) {
        uint64_t expected = 1;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, QUEUED);
        for (;;) {
                siginfo_t info;
                int r = sigwaitinfo(&set, &info);

                if (r < 0)
                        continue;
                if (info.si_value.sival_int == 0)
                        break;
                if ((uint64_t) info.si_value.sival_int != expected) {
                        dprintf(results, "signal %d came instead of %" PRIu64 "\n", info.si_value.sival_int, expected);
                        expected = (uint64_t) info.si_value.sival_int;
                }
                expected++;
        }
        _exit(0);
}

static pid_t receiver;

static void *signals(void *userdata) {
        for (int i = 1; !atomic_load(&over); i++) {
                union sigval value = { .sival_int = i };
                int64_t start = now_ns();

                while (sigqueue(receiver, QUEUED, value) < 0)
                        if (errno != EAGAIN) {
                                wrong("sigqueue: %s", strerror(errno));
                                break;
                        }
                measure(start);
                if (i % 64 == 0)
                        usleep(1000);
        }
        while (sigqueue(receiver, QUEUED, (union sigval) { .sival_int = 0 }) < 0 && errno == EAGAIN)
                usleep(1000);
        return userdata;
}

/* ---- timers ---- */

static void on_periodic(int signo, siginfo_t *info, void *context) {
        (void) signo, (void) context;
        atomic_fetch_add(&periodic_signals, 1);
        atomic_fetch_add(&periodic_overruns, (uint64_t) info->si_overrun);
}

static void on_once(int signo) {
        (void) signo;
        atomic_fetch_add(&once_fired, 1);
}

static void on_alarm(int signo) {
        (void) signo;
        atomic_fetch_add(&alarms, 1);
}

/* Sleeps as long as nothing interrupts, or until the count has been reached; false after half a minute. */
static bool await_count(atomic_uint_fast64_t *count, uint64_t n) {
        int64_t deadline = now_ns() + INT64_C(30000000000);

        while (atomic_load(count) < n && now_ns() < deadline)
                usleep(500);
        return atomic_load(count) >= n;
}

static void *one_shots(void *userdata) {
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = ONCE };
        struct itimerspec in_3_ms = { .it_value.tv_nsec = 3000000 }, left;
        uint64_t n = 0;
        timer_t timer;

        while (!atomic_load(&over)) {
                if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) {
                        wrong("timer_create: %s", strerror(errno));
                        continue;
                }
                if (timer_settime(timer, 0, &in_3_ms, NULL) < 0)
                        wrong("timer_settime: %s", strerror(errno));
                n++;
                if (!await_count(&once_fired, n))
                        wrong("timer %" PRIu64 " has not expired", n), atomic_store(&once_fired, n);
                if (timer_gettime(timer, &left) < 0 || left.it_value.tv_nsec != 0)
                        wrong("timer_gettime of an expired timer: %ld ns, %s", left.it_value.tv_nsec, strerror(errno));
                if (timer_delete(timer) < 0)
                        wrong("timer_delete: %s", strerror(errno));
        }
        usleep(20000);
        if (atomic_load(&once_fired) != n)
                wrong("%" PRIu64 " signals of %" PRIu64 " timers that expire once", (uint64_t) atomic_load(&once_fired), n);
        return userdata;
}

static void *alarm_clock(void *userdata) {
        struct itimerval in_4_ms = { .it_value.tv_usec = 4000 }, old;
        uint64_t n = 0;

        while (!atomic_load(&over)) {
                if (setitimer(ITIMER_REAL, &in_4_ms, &old) < 0)
                        wrong("setitimer: %s", strerror(errno));
                n++;
                if (!await_count(&alarms, n))
                        wrong("alarm %" PRIu64 " has not come", n), atomic_store(&alarms, n);
        }
        usleep(20000);
        if (atomic_load(&alarms) != n)
                wrong("%" PRIu64 " of %" PRIu64 " alarms", (uint64_t) atomic_load(&alarms), n);
        return userdata;
}

/* ---- programs ---- */

static void *programs(void *userdata) {
        while (!atomic_load(&over)) {
                pid_t pid = fork();
                int status;

                if (pid == 0) {
                        sigset_t none;

                        sigemptyset(&none);
                        sigprocmask(SIG_SETMASK, &none, NULL);
                        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
                        execl("/bin/uname", "uname", "-n", NULL);
                        _exit(99);
                }
                if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
                        wrong("a program ended with %#x", pid < 0 ? -1 : status);
                usleep(2000);
        }
        return userdata;
}

static void handle(int signo, void (*handler)(int), void (*action)(int, siginfo_t *, void *)) {
        struct sigaction sa = { .sa_flags = SA_RESTART };

        if (action) {
                sa.sa_sigaction = action;
                sa.sa_flags |= SA_SIGINFO;
        } else
                sa.sa_handler = handler;
        sigaction(signo, &sa, NULL);
}

int main(void) {
        static void *(*const works[])(void *) = { names, descriptors, signals, one_shots, alarm_clock, programs };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = PERIODIC };
        struct itimerspec period = { .it_value.tv_nsec = PERIOD_NS, .it_interval.tv_nsec = PERIOD_NS }, stop = {};
        pthread_t threads[sizeof(works) / sizeof(works[0])];
        unsigned before, after;
        int results[2], status;
        char text[4096], c;
        int64_t start, end;
        uint64_t got, due;
        sigset_t set;
        timer_t timer;
        ssize_t n;

        sigemptyset(&set);
        sigaddset(&set, QUEUED);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (pipe2(results, O_CLOEXEC) < 0)
                return 2;
        receiver = fork();
        if (receiver == 0)
                receive_signals(results[1]);
        close(results[1]);
        /* The periodic one is the main thread's, which makes no call of the sentry's that could be interrupted. */
        handle(PERIODIC, NULL, on_periodic);
        handle(ONCE, on_once, NULL);
        handle(SIGALRM, on_alarm, NULL);
        sigaddset(&set, PERIODIC);
        sigaddset(&set, ONCE);
        sigaddset(&set, SIGALRM);
        sigprocmask(SIG_BLOCK, &set, NULL); /* in the threads */

        before = count_fds();
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &period, NULL) < 0)
                return 2;
        start = now_ns();
        for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
                pthread_create(&threads[i], NULL, works[i], NULL);
        sigdelset(&set, PERIODIC);
        sigdelset(&set, ONCE);
        sigdelset(&set, SIGALRM);
        pthread_sigmask(SIG_SETMASK, &set, NULL);
        puts("running");
        fflush(stdout);
        do
                n = read(STDIN_FILENO, &c, 1);
        while (n > 0 || (n < 0 && errno == EINTR));

        atomic_store(&over, true);
        for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
                pthread_join(threads[i], NULL);
        /* As often as its period has passed, by signals and what they say of others. The last may be on its way. */
        end = now_ns();
        if (timer_settime(timer, 0, &stop, NULL) < 0)
                wrong("stopping the timer: %s", strerror(errno));
        usleep(50000);
        got = atomic_load(&periodic_signals) + atomic_load(&periodic_overruns);
        due = (uint64_t) ((end - start) / PERIOD_NS);
        if (got + 2 < due || got > due + 2)
                wrong("a periodic timer was due %" PRIu64 " times and has told of %" PRIu64, due, got);
        timer_delete(timer);
        after = count_fds();
        if (after != before)
                wrong("%u descriptors are open, there were %u", after, before);
        while ((n = read(results[0], text, sizeof(text) - 1)) > 0) {
                text[n] = '\0';
                wrong("%s", text);
        }
        if (waitpid(receiver, &status, 0) != receiver || status != 0)
                wrong("who receives signals ended with %#x", status);
        printf("calls=%" PRIuFAST64 " timers=%" PRIuFAST64 " alarms=%" PRIuFAST64 " periods=%" PRIu64 " wrong=%u worst_ms=%.1f\n",
               atomic_load(&n_calls), atomic_load(&once_fired), atomic_load(&alarms), got, atomic_load(&n_wrong),
               (double) atomic_load(&worst_ns) / 1e6);
        return atomic_load(&n_wrong) > 0;
}
