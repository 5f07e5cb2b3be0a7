/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POSIX timers, one by one: timer_create(2) and its family, as the kernel has them and as libc does. */

#include <sys/resource.h>

#include "timer.h"

#define UNKNOWN 1234567 /* no timer's id */

static pid_t tid(void) {
        return (pid_t) syscall(SYS_gettid);
}

static bool gone(int id) {
        struct itimerspec spec = itimerspec_of(SECOND, 0);

        return timer_left(id) == -EINVAL && RAW(SYS_timer_settime, id, 0, &spec, NULL) == -EINVAL &&
               RAW(SYS_timer_getoverrun, id) == -EINVAL && RAW(SYS_timer_delete, id) == -EINVAL;
}

/* ---- creating ---- */

static void create(void) {
        static const struct {
                clockid_t clock;
                long expected;
                const char *name;
        } clocks[] = {
                { CLOCK_REALTIME, 0, "CLOCK_REALTIME" },
                { CLOCK_MONOTONIC, 0, "CLOCK_MONOTONIC" },
                { CLOCK_BOOTTIME, 0, "CLOCK_BOOTTIME" },
                { CLOCK_TAI, 0, "CLOCK_TAI" },
                { CLOCK_PROCESS_CPUTIME_ID, 0, "CLOCK_PROCESS_CPUTIME_ID" },
                { CLOCK_THREAD_CPUTIME_ID, 0, "CLOCK_THREAD_CPUTIME_ID" },
                { CLOCK_MONOTONIC_RAW, -EOPNOTSUPP, "CLOCK_MONOTONIC_RAW" },
                { CLOCK_REALTIME_COARSE, -EOPNOTSUPP, "CLOCK_REALTIME_COARSE" },
                { CLOCK_MONOTONIC_COARSE, -EOPNOTSUPP, "CLOCK_MONOTONIC_COARSE" },
                { 10, -EINVAL, "10, which was CLOCK_SGI_CYCLE" },
                { 99, -EINVAL, "99" },
                { INT_MAX, -EINVAL, "INT_MAX" },
        };
        static const struct {
                int notify;
                long expected;
        } notifies[] = {
                { SIGEV_SIGNAL, 0 },        { SIGEV_NONE, 0 }, { SIGEV_THREAD, 0 }, { SIGEV_THREAD_ID, 0 },
                { 3, -EINVAL }, { 5, -EINVAL }, { 6, -EINVAL }, { 8, -EINVAL }, { -1, -EINVAL },
        };
        static const struct {
                int signo;
                long expected;
        } signals[] = {
                { 0, -EINVAL }, { -1, -EINVAL }, { 1, 0 }, { SIGKILL, 0 }, { 64, 0 }, { 65, -EINVAL }, { INT_MAX, -EINVAL },
        };
        void *const bad[] = { (void *) 8, page_unmapped(), page_new(PROT_NONE), page_bus(),
                              page_edge(sizeof(struct sigevent) - 1), KERNEL_ADDRESS, NON_CANONICAL, LAST_ADDRESS };
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGUSR1, 1);
        clockid_t clock;
        int id;

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                is_int(timer_new(clocks[i].clock, &event, &id), clocks[i].expected, "timer_create on clock %s",
                       clocks[i].name);
                if (clocks[i].expected == 0) {
                        is_int(timer_left(id), 0, "… is disarmed");
                        is_int(RAW(SYS_timer_getoverrun, id), 0, "… with no overrun");
                        is_int(RAW(SYS_timer_delete, id), 0, "… is deleted");
                        ok(gone(id), "… and gone");
                }
        }
        if (clock_getcpuclockid(getpid(), &clock) != 0)
                tap_bail_out("clock_getcpuclockid");
        is_int(timer_new(clock, &event, &id), 0, "timer_create on the CPU clock of this process");
        RAW(SYS_timer_delete, id);

        for (size_t i = 0; i < sizeof notifies / sizeof notifies[0]; i++) {
                event = event_of(notifies[i].notify, SIGUSR1, 1);
                event.sigev_notify_thread_id = tid();
                is_int(timer_new(CLOCK_MONOTONIC, &event, &id), notifies[i].expected, "timer_create with sigev_notify %d",
                       notifies[i].notify);
                if (notifies[i].expected == 0)
                        RAW(SYS_timer_delete, id);
        }
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
                event = event_of(SIGEV_SIGNAL, signals[i].signo, 1);
                is_int(timer_new(CLOCK_MONOTONIC, &event, &id), signals[i].expected, "timer_create with signal %d",
                       signals[i].signo);
                if (signals[i].expected == 0)
                        RAW(SYS_timer_delete, id);
                event.sigev_notify = SIGEV_NONE;
                is_int(timer_new(CLOCK_MONOTONIC, &event, &id), 0, "… which SIGEV_NONE does not look at");
                RAW(SYS_timer_delete, id);
        }

        event = event_of(SIGEV_SIGNAL, SIGUSR1, 1);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                is_int(RAW(SYS_timer_create, CLOCK_MONOTONIC, bad[i], &id), -EFAULT, "timer_create, the event at %p: EFAULT",
                       bad[i]);
                is_int(RAW(SYS_timer_create, 99, bad[i], &id), -EFAULT, "… before the clock is looked at");
        }
        is_int(RAW(SYS_timer_create, CLOCK_MONOTONIC, &event, NULL), -EFAULT, "timer_create, the id to NULL: EFAULT");
        is_int(RAW(SYS_timer_create, 99, &event, 8), -EINVAL, "… after the clock is looked at");
        event.sigev_notify = 3;
        is_int(RAW(SYS_timer_create, CLOCK_MONOTONIC, &event, 8), -EINVAL, "… and after the event is");
}

/* Each of these would hold a place if it were made. */
static int create_at_bad_addresses(void *arg) {
        struct rlimit limit = { 20, 20 };
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGUSR1, 1);
        char *bad[] = { (char *) 8, page_edge(3), page_new(PROT_READ), page_bus() };
        int id;

        (void) arg;
        if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0)
                return 1;
        for (int i = 0; i < 100; i++)
                if (RAW(SYS_timer_create, CLOCK_MONOTONIC, &event, bad[i % 4]) != -EFAULT)
                        return 2;
        return timer_new(CLOCK_MONOTONIC, &event, &id) == 0 ? 42 : 3;
}

static int create_to_the_limit(void *arg) {
        struct rlimit limit = { 20, 20 };
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGUSR1, 1);
        int ids[64], n = 0, *ret = arg;
        long r;

        if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0)
                return 1;
        while (n < 64 && (r = timer_new(CLOCK_MONOTONIC, &event, &ids[n])) == 0)
                n++;
        *ret = n;
        if (r != -EAGAIN)
                return 2;
        event.sigev_notify = SIGEV_NONE;
        if (timer_new(CLOCK_MONOTONIC, &event, &ids[63]) != -EAGAIN)
                return 3;
        for (int i = 0; i < n; i++)
                if (RAW(SYS_timer_delete, ids[i]) != 0)
                        return 4;
        for (int i = 0; i < n; i++)
                if (timer_new(CLOCK_MONOTONIC, &event, &ids[i]) != 0)
                        return 5;
        return 42;
}

static void limits(void) {
        int *n = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        is_int(child_exit(create_at_bad_addresses, NULL), 42, "a timer whose id can't be told does not exist: EFAULT");
        is_int(child_exit(create_to_the_limit, n), 42, "timers up to RLIMIT_SIGPENDING, then EAGAIN, deleted and again");
        ok(*n > 0 && *n <= 20, "… with a limit of 20 these are %d", *n);
        munmap(n, PAGE);
}

/* ---- signals ---- */

static void signal_fields(void) {
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGRTMIN + 1, 0);
        siginfo_t info;
        int id;

        event.sigev_value.sival_ptr = (void *) 0x123456789abcdef0;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), 0, "timer_create with SIGEV_SIGNAL");
        int64_t start = now_ns(CLOCK_MONOTONIC);
        is_int(timer_set(id, 0, 20 * MS, 0), 0, "timer_settime");
        int64_t left = timer_left(id);
        ok(left >= 0 && left <= 20 * MS, "… no more remains than was set");
        is_int(signal_wait(SIGRTMIN + 1, LATE, &info), SIGRTMIN + 1, "… the signal comes");
        ok(now_ns(CLOCK_MONOTONIC) - start >= 20 * MS, "… not early");
        is_int(info.si_signo, SIGRTMIN + 1, "… with its si_signo");
        is_int(info.si_code, SI_TIMER, "… si_code is SI_TIMER");
        is_int(info.si_errno, 0, "… si_errno is 0");
        is_int(info.si_timerid, id, "… si_timerid is the timer");
        is_int(info.si_overrun, 0, "… si_overrun is 0");
        ok(info.si_value.sival_ptr == event.sigev_value.sival_ptr, "… si_value is what was given");
        is_int(timer_left(id), 0, "… and it is disarmed");
        is_int(RAW(SYS_timer_getoverrun, id), 0, "… timer_getoverrun is 0");
        is_int(signal_wait(SIGRTMIN + 1, 50 * MS, NULL), -EAGAIN, "… it comes once");
        is_int(timer_set(id, 0, 1, 0), 0, "the timer is set again, to 1 ns");
        is_int(signal_wait(SIGRTMIN + 1, LATE, NULL), SIGRTMIN + 1, "… the signal comes");
        is_int(RAW(SYS_timer_delete, id), 0, "timer_delete");

        is_int(timer_new(CLOCK_REALTIME, NULL, &id), 0, "timer_create with no event");
        is_int(timer_set(id, 0, 5 * MS, 0), 0, "… is set");
        is_int(signal_wait(SIGALRM, LATE, &info), SIGALRM, "… and sends SIGALRM");
        is_int(info.si_code, SI_TIMER, "… si_code is SI_TIMER");
        is_int(info.si_timerid, id, "… si_timerid is the timer");
        is_int(info.si_value.sival_int, id, "… si_value is its id");
        RAW(SYS_timer_delete, id);

        event = event_of(SIGEV_THREAD, SIGUSR1, 5);
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), 0, "SIGEV_THREAD is libc's; the kernel");
        is_int(timer_set(id, 0, 5 * MS, 0), 0, "… takes it");
        is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "… for a signal");
        is_int(info.si_value.sival_int, 5, "… with its value");
        RAW(SYS_timer_delete, id);
}

static void none(void) {
        struct sigevent event = event_of(SIGEV_NONE, SIGUSR1, 1);
        int64_t start = now_ns(CLOCK_MONOTONIC), left, before;
        int id, wrong = 0;

        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), 0, "timer_create with SIGEV_NONE");
        is_int(timer_set(id, 0, 50 * MS, 0), 0, "… is set");
        for (before = 50 * MS; (left = timer_left(id)) > 0; before = left)
                if (left > before || now_ns(CLOCK_MONOTONIC) - start > LATE) {
                        wrong++;
                        break;
                }
        is_int(wrong, 0, "… counts down");
        is_int(left, 0, "… to nothing");
        ok(now_ns(CLOCK_MONOTONIC) - start >= 50 * MS, "… not early");
        is_int(timer_set(id, 0, 5 * MS, 7 * MS), 0, "with a period");
        wrong = 0;
        for (int i = 0; i < 30; i++) {
                left = timer_left(id);
                wrong += left <= 0 || left > 7 * MS;
                let_pass(MS);
        }
        is_int(wrong, 0, "… something always remains");
        is_int(signal_drain(SIGUSR1), 0, "… and no signal came");
        RAW(SYS_timer_delete, id);
}

static void every_clock(void) {
        static const struct {
                clockid_t clock;
                const char *name;
        } clocks[] = {
                { CLOCK_REALTIME, "CLOCK_REALTIME" },
                { CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
                { CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
                { CLOCK_TAI, "CLOCK_TAI" },
        };

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                clockid_t clock = clocks[i].clock;
                const char *name = clocks[i].name;
                int id = timer_signal(clock, SIGUSR1, 1), early = 0, lost = 0;
                int64_t start = now_ns(clock), left;

                is_int(timer_set(id, 0, 20 * MS, 10 * MS), 0, "%s: a period of 10 ms that begins in 20 ms", name);
                for (int j = 0; j < 5; j++) {
                        lost += signal_wait(SIGUSR1, LATE, NULL) != SIGUSR1;
                        early += now_ns(clock) - start < (20 + 10 * j) * MS;
                        left = timer_left(id);
                        early += left > 10 * MS || left < 0;
                }
                is_int(lost, 0, "… it keeps coming");
                is_int(early, 0, "… never early");

                struct itimerspec new = itimerspec_of(0, 0), old = {};
                is_int(RAW(SYS_timer_settime, id, 0, &new, &old), 0, "… is disarmed");
                ok(timespec_ns(&old.it_value) <= 10 * MS && timespec_ns(&old.it_interval) == 10 * MS,
                   "… which tells what remained, and the period");
                signal_drain(SIGUSR1);
                is_int(signal_wait(SIGUSR1, 40 * MS, NULL), -EAGAIN, "… and comes no more");

                start = now_ns(clock) + 30 * MS;
                is_int(timer_set(id, TIMER_ABSTIME, start, 0), 0, "%s: at a time", name);
                left = timer_left(id);
                ok(left >= 0 && left <= 30 * MS, "… what remains is relative");
                is_int(signal_wait(SIGUSR1, LATE, NULL), SIGUSR1, "… it comes");
                ok(now_ns(clock) >= start, "… not early");
                is_int(timer_set(id, TIMER_ABSTIME, 1, 0), 0, "%s: at a time long past", name);
                is_int(signal_wait(SIGUSR1, LATE, NULL), SIGUSR1, "… it comes");
                is_int(timer_left(id), 0, "… and is disarmed");
                start = now_ns(clock);
                is_int(timer_set(id, TIMER_ABSTIME, start, 10 * MS), 0, "%s: from now on, every 10 ms", name);
                for (int j = early = lost = 0; j < 4; j++) {
                        lost += signal_wait(SIGUSR1, LATE, NULL) != SIGUSR1;
                        early += now_ns(clock) < start + j * 10 * MS;
                }
                ok(lost == 0 && early == 0, "… it comes, never early");
                RAW(SYS_timer_delete, id);
                signal_drain(SIGUSR1);
        }
}

static void cpu_clocks(void) {
        clockid_t clocks[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, 0 };
        siginfo_t info;

        if (clock_getcpuclockid(getpid(), &clocks[2]) != 0)
                tap_bail_out("clock_getcpuclockid");
        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                int id = timer_signal(clocks[i], SIGUSR1, 7), got = 0;
                int64_t start = now_ns(clocks[i]);

                is_int(timer_set(id, 0, 20 * MS, 0), 0, "CPU clock %d: 20 ms", (int) clocks[i]);
                let_pass(40 * MS);
                ok(timer_left(id) > 0, "… do not pass while nothing is done");
                for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; !got && now_ns(CLOCK_MONOTONIC) < end;) {
                        spin(clocks[i], MS);
                        got = signal_wait(SIGUSR1, 0, &info) == SIGUSR1;
                }
                ok(got, "… the signal comes when the CPU is used");
                ok(now_ns(clocks[i]) - start >= 20 * MS, "… not early");
                ok(info.si_code == SI_TIMER && info.si_timerid == id && info.si_value.sival_int == 7,
                   "… and says which timer");
                is_int(timer_left(id), 0, "… it is disarmed");
                is_int(RAW(SYS_timer_delete, id), 0, "… and deleted");
        }

        /* Ids of timers of both sorts are one space. */
        int a = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1), b = timer_signal(CLOCK_PROCESS_CPUTIME_ID, SIGUSR1, 2),
            c = timer_signal(CLOCK_REALTIME, SIGUSR1, 3), d = timer_signal(CLOCK_THREAD_CPUTIME_ID, SIGUSR1, 4);
        ok(a != b && a != c && a != d && b != c && b != d && c != d, "timers on clocks of all sorts have ids of their own");
        timer_set(a, 0, 100 * SECOND, 0);
        timer_set(b, 0, 200 * SECOND, 0);
        timer_set(c, 0, 300 * SECOND, 0);
        timer_set(d, 0, 400 * SECOND, 0);
        ok(timer_left(a) <= 100 * SECOND && timer_left(b) > 100 * SECOND && timer_left(b) <= 200 * SECOND &&
                   timer_left(c) > 200 * SECOND && timer_left(c) <= 300 * SECOND && timer_left(d) > 300 * SECOND,
           "… and times of their own");
        ok(RAW(SYS_timer_delete, c) == 0 && RAW(SYS_timer_delete, b) == 0 && gone(b) && gone(c), "… two are deleted");
        ok(timer_left(a) > 0 && timer_left(d) > 300 * SECOND, "… two are not");
        RAW(SYS_timer_delete, a);
        RAW(SYS_timer_delete, d);
}

/* ---- setting ---- */

static void set(void) {
        static const struct {
                struct itimerspec value;
                const char *what;
        } values[] = {
                { { .it_value.tv_nsec = 1000000000 }, "1000000000 ns" },
                { { .it_value.tv_nsec = -1 }, "-1 ns" },
                { { .it_value.tv_sec = -1 }, "-1 s" },
                { { .it_value.tv_sec = LONG_MIN }, "LONG_MIN s" },
                { { .it_value.tv_sec = 1, .it_interval.tv_nsec = 1000000000 }, "a period of 1000000000 ns" },
                { { .it_value.tv_sec = 1, .it_interval.tv_nsec = -1 }, "a period of -1 ns" },
                { { .it_value.tv_sec = 1, .it_interval.tv_sec = -1 }, "a period of -1 s" },
                { { .it_interval.tv_nsec = -1 }, "no value and a period of -1 ns" },
        };
        char *read_only = page_new(PROT_READ); /* before the others, in whose holes it could lie */
        void *const bad[] = { (void *) 8, page_unmapped(), page_new(PROT_NONE), page_bus(),
                              page_edge(sizeof(struct itimerspec) - 1), KERNEL_ADDRESS, NON_CANONICAL, LAST_ADDRESS };
        struct itimerspec good = itimerspec_of(50 * SECOND, 30 * SECOND), old = {};
        int id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);

        timer_set(id, 0, 100 * SECOND, 20 * SECOND);
        is_int(RAW(SYS_timer_settime, id, 0, &good, &old), 0, "timer_settime tells the old value");
        ok(timespec_ns(&old.it_value) > 50 * SECOND && timespec_ns(&old.it_value) <= 100 * SECOND, "… what remained");
        is_int(timespec_ns(&old.it_interval), 20 * SECOND, "… and the period");
        is_int(RAW(SYS_timer_settime, id, TIMER_ABSTIME, &good, &old), 0, "… when set to a time, too");
        ok(timespec_ns(&old.it_value) > 0 && timespec_ns(&old.it_value) <= 50 * SECOND, "… relative");
        is_int(RAW(SYS_timer_gettime, id, &old), 0, "timer_gettime");
        is_int(timespec_ns(&old.it_interval), 30 * SECOND, "… tells the period");
        is_int(timer_set(id, ~TIMER_ABSTIME, 100 * SECOND, 0), 0, "unknown flags are not looked at");
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                is_int(RAW(SYS_timer_settime, id, 0, &values[i].value, &old), -EINVAL, "%s: EINVAL", values[i].what);
                is_int(RAW(SYS_timer_settime, id, TIMER_ABSTIME, &values[i].value, &old), -EINVAL, "… as a time too");
                ok(timer_left(id) > 50 * SECOND, "… and changes nothing");
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                timer_set(id, 0, 100 * SECOND, 0);
                is_int(RAW(SYS_timer_settime, id, 0, bad[i], NULL), -EFAULT, "timer_settime from %p: EFAULT", bad[i]);
                is_int(RAW(SYS_timer_settime, UNKNOWN, 0, bad[i], NULL), -EFAULT, "… before the id is looked at");
                ok(timer_left(id) > 50 * SECOND, "… and changes nothing");
                is_int(RAW(SYS_timer_settime, id, 0, &good, bad[i]), -EFAULT, "the old value to there: EFAULT");
                ok(timer_left(id) > 0 && timer_left(id) <= 50 * SECOND, "… but is done");
                is_int(RAW(SYS_timer_gettime, id, bad[i]), -EFAULT, "timer_gettime to there: EFAULT");
                is_int(RAW(SYS_timer_gettime, UNKNOWN, bad[i]), -EINVAL, "… after the id is looked at");
        }
        is_int(RAW(SYS_timer_gettime, id, read_only), -EFAULT, "timer_gettime to read-only memory: EFAULT");
        is_int(RAW(SYS_timer_settime, id, 0, NULL, NULL), -EINVAL, "timer_settime from NULL: EINVAL");
        is_int(RAW(SYS_timer_gettime, id, NULL), -EFAULT, "timer_gettime to NULL: EFAULT");
        good = itimerspec_of(50 * SECOND, 0);
        is_int(RAW(SYS_timer_settime, id, 0, &good, &good), 0, "timer_settime, the old value over the new one");
        ok(timespec_ns(&good.it_value) > 0 && timer_left(id) > 0, "… both are right");

        good = itimerspec_of(0, 4 * SECOND);
        is_int(RAW(SYS_timer_settime, id, 0, &good, NULL), 0, "a period with no value");
        is_int(timer_left(id), 0, "… disarms");
        good = (struct itimerspec) { .it_value.tv_sec = LONG_MAX, .it_interval.tv_sec = LONG_MAX };
        is_int(RAW(SYS_timer_settime, id, 0, &good, NULL), 0, "longer than there is time");
        ok(timer_left(id) > 1000000000 * SECOND, "… remains long");
        is_int(RAW(SYS_timer_settime, id, TIMER_ABSTIME, &good, NULL), 0, "… as a time too");
        ok(timer_left(id) > 1000000000 * SECOND, "… remains long");
        is_int(signal_wait(SIGUSR1, 20 * MS, NULL), -EAGAIN, "… and nothing comes");
        RAW(SYS_timer_delete, id);

        is_int(timer_set(id, 0, SECOND, 0), -EINVAL, "timer_settime after timer_delete: EINVAL");
        is_int(RAW(SYS_timer_delete, id), -EINVAL, "timer_delete too");
        static const int unknown[] = { UNKNOWN, -1, INT_MAX, INT_MIN };
        for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
                ok(gone(unknown[i]), "timer %d does not exist: EINVAL", unknown[i]);
        good = itimerspec_of(0, 0);
        good.it_value.tv_nsec = -1;
        is_int(RAW(SYS_timer_settime, UNKNOWN, 0, &good, NULL), -EINVAL, "… nor for invalid values");

        /* A timer that is deleted in time does nothing. */
        for (int i = 0; i < 200; i++) {
                id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, i);
                timer_set(id, 0, 200 * SECOND + i * MS, 5 * MS);
                if (RAW(SYS_timer_delete, id) != 0)
                        fail("round %d: timer_delete", i);
        }
        is_int(signal_drain(SIGUSR1), 0, "200 timers, deleted while they run, send nothing");
}

/* ---- threads ---- */

typedef struct Waiter {
        pthread_t thread;
        _Atomic pid_t tid;    /* 0 until it runs */
        atomic_int got, wrong; /* signals; those that are not as they should be */
        atomic_bool stop;
        int value; /* of the signals */
} Waiter;

static void *waiter_main(void *arg) {
        Waiter *w = arg;
        siginfo_t info;

        w->tid = tid();
        while (!w->stop)
                if (signal_wait(SIGRTMIN + 2, 5 * MS, &info) == SIGRTMIN + 2) {
                        if (info.si_code != SI_TIMER || info.si_value.sival_int != w->value)
                                w->wrong++;
                        w->got++;
                }
        return NULL;
}

static void waiter_start(Waiter *w) {
        if (pthread_create(&w->thread, NULL, waiter_main, w) != 0)
                tap_bail_out("pthread_create");
        while (w->tid == 0)
                let_pass(MS / 10);
}

static void waiter_stop(Waiter *w) {
        w->stop = true;
        pthread_join(w->thread, NULL);
}

static bool reaches(atomic_int *n, int value) {
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; now_ns(CLOCK_MONOTONIC) < end; let_pass(MS))
                if (*n >= value)
                        return true;
        return false;
}

static int sleeps(void *arg) {
        (void) arg;
        let_pass(LATE);
        return 0;
}

static void thread_id(void) {
        struct sigevent event = event_of(SIGEV_THREAD_ID, SIGRTMIN + 2, 0);
        Waiter one = { .value = 11 }, two = { .value = 22 };
        sigset_t pending;
        int a, b, id;

        waiter_start(&one);
        waiter_start(&two);
        event.sigev_value.sival_int = one.value;
        event.sigev_notify_thread_id = one.tid;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &a), 0, "timer_create with SIGEV_THREAD_ID");
        event.sigev_value.sival_int = two.value;
        event.sigev_notify_thread_id = two.tid;
        is_int(timer_new(CLOCK_REALTIME, &event, &b), 0, "… for another thread");
        timer_set(a, 0, 10 * MS, 10 * MS);
        timer_set(b, 0, 10 * MS, 10 * MS);
        ok(reaches(&one.got, 3) && reaches(&two.got, 3), "both threads get their signals");
        sigpending(&pending);
        ok(!sigismember(&pending, SIGRTMIN + 2), "… which are not pending elsewhere");
        waiter_stop(&one);
        ok(reaches(&two.got, two.got + 3), "one thread ends, the other's signals keep coming");
        ok(one.wrong == 0 && two.wrong == 0, "… each got its own only");
        is_int(signal_wait(SIGRTMIN + 2, 30 * MS, NULL), -EAGAIN, "… those of the thread that is gone go nowhere");
        is_int(timer_set(a, 0, 5 * MS, 0), 0, "… its timer is still there");
        is_int(signal_wait(SIGRTMIN + 2, 30 * MS, NULL), -EAGAIN, "… to no effect");
        is_int(RAW(SYS_timer_delete, a), 0, "… and can be deleted");
        event.sigev_notify_thread_id = one.tid;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), -EINVAL, "timer_create for a thread that is gone: EINVAL");
        RAW(SYS_timer_delete, b);
        waiter_stop(&two);

        pid_t child = fork();
        if (child == 0)
                _exit(sleeps(NULL));
        event.sigev_notify_thread_id = child;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), -EINVAL, "… for a child: EINVAL");
        event.sigev_notify_thread_id = getppid();
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), -EINVAL, "… for the parent: EINVAL");
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        event.sigev_notify_thread_id = 0;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), -EINVAL, "… for thread 0: EINVAL");
        event.sigev_notify_thread_id = -1;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), -EINVAL, "… for thread -1: EINVAL");
        event.sigev_notify_thread_id = tid();
        event.sigev_signo = SIGUSR1;
        is_int(timer_new(CLOCK_MONOTONIC, &event, &id), 0, "… for the thread itself");
        timer_set(id, 0, 5 * MS, 0);
        is_int(signal_wait(SIGUSR1, LATE, NULL), SIGUSR1, "… comes");
        RAW(SYS_timer_delete, id);
}

static void *thread_makes(void *arg) {
        *(int *) arg = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 3);
        timer_set(*(int *) arg, 0, 30 * MS, 0);
        return NULL;
}

static void thread_exit(void) {
        pthread_t thread;
        siginfo_t info;
        int id = -1;

        if (pthread_create(&thread, NULL, thread_makes, &id) != 0)
                tap_bail_out("pthread_create");
        pthread_join(thread, NULL);
        is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "a timer outlives the thread that made it");
        is_int(info.si_timerid, id, "… it is that one");
        is_int(RAW(SYS_timer_delete, id), 0, "… another thread deletes it");
}

static void *outlives_leader(void *leader) {
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGUSR1, 1);
        siginfo_t info;
        int id;

        pthread_join(*(pthread_t *) leader, NULL);
        if (timer_new(CLOCK_MONOTONIC, &event, &id) != 0)
                _exit(1);
        timer_set(id, 0, 10 * MS, 10 * MS);
        for (int i = 0; i < 3; i++)
                if (signal_wait(SIGUSR1, LATE, &info) != SIGUSR1 || info.si_timerid != id)
                        _exit(2);
        event = event_of(SIGEV_THREAD_ID, SIGRTMIN + 1, 1);
        event.sigev_notify_thread_id = tid();
        if (RAW(SYS_timer_delete, id) != 0 || timer_new(CLOCK_REALTIME, &event, &id) != 0)
                _exit(3);
        timer_set(id, 0, 10 * MS, 0);
        _exit(signal_wait(SIGRTMIN + 1, LATE, NULL) == SIGRTMIN + 1 ? 42 : 4);
}

static int leader_exits(void *arg) {
        static pthread_t leader;
        pthread_t thread;

        (void) arg;
        leader = pthread_self();
        if (pthread_create(&thread, NULL, outlives_leader, &leader) != 0)
                return 5;
        pthread_exit(NULL);
}

/* A timer has its place in the queue of signals from the start: that there is no other does not matter to it. */
static int queue_is_full(void *arg) {
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGRTMIN + 1, 7);
        struct rlimit limit = { 20, 20 };
        union sigval value = {};
        siginfo_t info;
        int id, sent = 0;

        (void) arg;
        if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0 || timer_new(CLOCK_MONOTONIC, &event, &id) != 0)
                return 1;
        while (sent < 1000 && sigqueue(getpid(), SIGRTMIN + 3, value) == 0)
                sent++;
        if (sent == 0 || sent > 20)
                return 2;
        timer_set(id, 0, 5 * MS, 0);
        while (timer_left(id) > 0)
                let_pass(MS);
        if (signal_drain(SIGRTMIN + 3) != sent)
                return 3;
        if (signal_wait(SIGRTMIN + 1, LATE, &info) != SIGRTMIN + 1)
                return 4;
        return info.si_code == SI_TIMER && info.si_value.sival_int == 7 ? 42 : 5;
}

static atomic_int notified, notified_wrong;

static void notify(union sigval value) {
        if (value.sival_int != 99)
                notified_wrong++;
        notified++;
}

static void libc(void) {
        static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID };
        struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 99, .sigev_notify_function = notify };
        struct itimerspec spec = itimerspec_of(10 * MS, 10 * MS), now = {};
        timer_t timer;

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                notified = 0;
                is_int(timer_create(clocks[i], &event, &timer), 0, "libc's SIGEV_THREAD on clock %d", (int) clocks[i]);
                is_int(timer_settime(timer, 0, &spec, NULL), 0, "… is set");
                for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; notified < 3 && now_ns(CLOCK_MONOTONIC) < end;)
                        if (clocks[i] == CLOCK_PROCESS_CPUTIME_ID)
                                spin(clocks[i], MS);
                        else
                                let_pass(MS);
                ok(notified >= 3, "… it is called time and again");
                is_int(timer_gettime(timer, &now), 0, "… timer_gettime");
                is_int(timespec_ns(&now.it_interval), 10 * MS, "… tells the period");
                ok(timer_getoverrun(timer) >= 0, "… timer_getoverrun");
                is_int(timer_delete(timer), 0, "… timer_delete");
        }
        is_int(notified_wrong, 0, "… always with its value");
}

/* ---- many ---- */

#define TOGETHER 1000

static void many(void) {
        static int ids[10000];
        static bool seen[TOGETHER];
        int n = 0, wrong = 0, got = 0;
        siginfo_t info;
        struct rlimit limit;
        long r = 0;

        getrlimit(RLIMIT_SIGPENDING, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_SIGPENDING, &limit);
        for (; n < 10000; n++) {
                struct sigevent event = event_of(SIGEV_SIGNAL, SIGRTMIN + 3, n);

                r = timer_new(n % 2 ? CLOCK_MONOTONIC : CLOCK_BOOTTIME, &event, &ids[n]);
                if (r < 0)
                        break;
                wrong += timer_set(ids[n], 0, (1000 + n) * SECOND, n % 3 ? 0 : SECOND) != 0;
        }
        if (limit.rlim_max > 12000)
                is_int(n, 10000, "10,000 timers (the last: %ld)", r);
        else
                ok(n > TOGETHER && r == -EAGAIN, "%d timers, as far as a limit of %ju goes", n, (uintmax_t) limit.rlim_max);
        is_int(wrong, 0, "… all can be set");
        for (int i = 0; i < n; i += 7) {
                int64_t left = timer_left(ids[i]);

                wrong += left > (1000 + i) * SECOND || left < (500 + i) * SECOND;
        }
        is_int(wrong, 0, "… and read");
        int64_t at = now_ns(CLOCK_MONOTONIC) + 50 * MS, at_boot = now_ns(CLOCK_BOOTTIME) + 50 * MS;
        for (int i = 0; i < TOGETHER && i < n; i++)
                wrong += timer_set(ids[i], TIMER_ABSTIME, i % 2 ? at : at_boot, 0) != 0;
        while (got < TOGETHER && signal_wait(SIGRTMIN + 3, LATE, &info) == SIGRTMIN + 3) {
                int i = info.si_value.sival_int;

                if (i < 0 || i >= TOGETHER || seen[i] || info.si_timerid != ids[i])
                        wrong++;
                else
                        seen[i] = true;
                got++;
        }
        is_int(got, TOGETHER, "%d of them at the same time: every one is heard of", TOGETHER);
        is_int(wrong, 0, "… once, with its id and value");
        is_int(signal_drain(SIGRTMIN + 3), 0, "… and no other");
        for (int i = n - 1; i >= 0; i--)
                wrong += RAW(SYS_timer_delete, ids[i]) != 0;
        is_int(wrong, 0, "… all can be deleted");
        for (int i = 0; i < n; i += 97)
                wrong += timer_left(ids[i]) != -EINVAL;
        is_int(wrong, 0, "… and are gone");

        /* The order is that of their times, not that in which they were set. Far enough apart that no machine that is
         * slow to set them mixes them up: all times are fixed before. */
        at = now_ns(CLOCK_MONOTONIC) + 200 * MS;
        for (int i = 0; i < 10; i++) {
                ids[i] = timer_signal(CLOCK_MONOTONIC, SIGRTMIN + 3, (i * 7) % 10);
                timer_set(ids[i], TIMER_ABSTIME, at + (i * 7) % 10 * 10 * MS, 0);
        }
        bool in_time = now_ns(CLOCK_MONOTONIC) < at;
        for (int i = wrong = 0; i < 10; i++)
                if (signal_wait(SIGRTMIN + 3, LATE, &info) != SIGRTMIN + 3 ||
                    (in_time && info.si_value.sival_int != i) ||
                    now_ns(CLOCK_MONOTONIC) < at + info.si_value.sival_int * 10 * MS)
                        wrong++;
        is_int(wrong, 0, "ten timers come in the order of their times");
        for (int i = 0; i < 10; i++)
                RAW(SYS_timer_delete, ids[i]);
}

/* ---- fork and exec ---- */

static int exec_deletes(void *arg) {
        struct sigevent event = event_of(SIGEV_SIGNAL, SIGUSR2, 1);
        char a[16], b[16], *argv[] = { (char *) "posix-timer", a, b, NULL };
        int periodic, late;

        (void) arg;
        if (timer_new(CLOCK_MONOTONIC, &event, &periodic) != 0 || timer_new(CLOCK_REALTIME, &event, &late) != 0)
                return 10;
        signal_mask(SIG_BLOCK, SIGUSR2); /* or it ends before it can exec */
        timer_set(late, 0, 100 * MS, 10 * MS);
        timer_set(periodic, 0, 300 * SECOND, 10 * MS);
        snprintf(a, sizeof a, "%d", periodic);
        snprintf(b, sizeof b, "%d", late);
        execv("/proc/self/exe", argv);
        return 11;
}

static int after_exec(int a, int b) {
        int taken, id;

        /* On a slow machine it may have come before the exec; what is pending remains. */
        taken = signal_drain(SIGUSR2);
        if (taken > 1)
                return 1;
        if (!gone(a) || !gone(b))
                return 2;
        signal_mask(SIG_UNBLOCK, SIGUSR2); /* whose default ends us */
        let_pass(250 * MS);
        id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);
        timer_set(id, 0, 5 * MS, 0);
        return signal_wait(SIGUSR1, LATE, NULL) == SIGUSR1 ? 42 : 3;
}

static int fork_inherits_none(void *arg) {
        int id = *(int *) arg, own;

        if (!gone(id))
                return 1;
        if (signal_wait(SIGUSR1, 150 * MS, NULL) != -EAGAIN)
                return 2;
        own = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);
        timer_set(own, 0, 5 * MS, 0);
        return signal_wait(SIGUSR1, LATE, NULL) == SIGUSR1 ? 42 : 3;
}

static void processes(void) {
        int id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);

        is_int(child_exit(exec_deletes, NULL), 42, "exec deletes the timers");
        timer_set(id, 0, 50 * MS, 20 * SECOND);
        is_int(child_exit(fork_inherits_none, &id), 42, "a child inherits none, gets no signal, and makes its own");
        is_int(signal_wait(SIGUSR1, LATE, NULL), SIGUSR1, "… the parent's came");
        ok(timer_left(id) > 0, "… and goes on");
        RAW(SYS_timer_delete, id);
        is_int(child_exit(leader_exits, NULL), 42, "a process whose first thread has ended has timers, too");
        is_int(child_exit(queue_is_full, NULL), 42, "where the queue of signals is full the timer's is not lost");
}

/* ---- ignored ---- */

static void ignored(void) {
        int id = timer_signal(CLOCK_MONOTONIC, SIGUSR2, 1);

        signal(SIGUSR2, SIG_IGN);
        timer_set(id, 0, 5 * MS, 5 * MS);
        let_pass(30 * MS);
        ok(timer_left(id) >= 0, "a timer whose signal is ignored");
        signal_mask(SIG_BLOCK, SIGUSR2);
        signal(SIGUSR2, SIG_DFL);
        is_int(signal_wait(SIGUSR2, LATE, NULL), SIGUSR2, "… is heard again when it is not any more");
        ok(timer_left(id) >= 0, "… with its period");
        is_int(signal_wait(SIGUSR2, LATE, NULL), SIGUSR2, "… once more");
        RAW(SYS_timer_delete, id);
        signal_drain(SIGUSR2);
        signal_mask(SIG_UNBLOCK, SIGUSR2);
}

int main(int argc, char *argv[]) {
        signal_mask(SIG_BLOCK, SIGALRM);
        signal_mask(SIG_BLOCK, SIGUSR1);
        for (int i = 1; i < 4; i++)
                signal_mask(SIG_BLOCK, SIGRTMIN + i);
        if (argc > 2)
                return after_exec(atoi(argv[1]), atoi(argv[2]));

        create();
        limits();
        signal_fields();
        none();
        every_clock();
        cpu_clocks();
        set();
        thread_id();
        thread_exit();
        libc();
        many();
        processes();
        ignored();
        return tap_done();
}
