/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Interval timers: setitimer(2), getitimer(2), alarm(2), ualarm(3). */

#include "timer.h"

static long set_real(int64_t value, int64_t interval) {
        struct itimerval new = itimerval_of(value, interval);

        return RAW(SYS_setitimer, ITIMER_REAL, &new, NULL);
}

static struct itimerval get(int which) {
        struct itimerval v = {};

        if (getitimer(which, &v) < 0)
                tap_bail_out("getitimer: %s", strerror(errno));
        return v;
}

static int64_t left(void) {
        struct itimerval v = get(ITIMER_REAL);

        return timeval_ns(&v.it_value);
}

static int64_t interval(void) {
        struct itimerval v = get(ITIMER_REAL);

        return timeval_ns(&v.it_interval);
}

static void one_shot(void) {
        struct itimerval old = {}, new = itimerval_of(30 * MS, 0);
        int64_t start;

        is_int(left(), 0, "at first nothing is armed");
        is_int(interval(), 0, "… with no interval");
        start = now_ns(CLOCK_MONOTONIC);
        is_int(setitimer(ITIMER_REAL, &new, &old), 0, "setitimer");
        ok(timeval_ns(&old.it_value) == 0 && timeval_ns(&old.it_interval) == 0, "… tells that nothing was armed");
        ok(left() <= 30 * MS, "… getitimer tells no more than what was set");
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… it rings");
        ok(now_ns(CLOCK_MONOTONIC) - start >= 30 * MS, "… not early");
        is_int(left(), 0, "… and is disarmed then");
        is_int(signal_wait(SIGALRM, 60 * MS, NULL), -EAGAIN, "… it rings once");

        /* The shortest there is */
        is_int(set_real(1000, 0), 0, "1 us");
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… rings");
}

static void periodic(void) {
        struct itimerval old = {}, none = {};
        int64_t start = now_ns(CLOCK_MONOTONIC);
        int early = 0, lost = 0;

        is_int(set_real(20 * MS, 10 * MS), 0, "a period of 10 ms that begins in 20 ms");
        is_int(interval(), 10 * MS, "… getitimer tells the interval");
        for (int i = 0; i < 10; i++) {
                if (signal_wait(SIGALRM, LATE, NULL) != SIGALRM)
                        lost++;
                else if (now_ns(CLOCK_MONOTONIC) - start < (20 + i * 10) * MS)
                        early++;
                if (left() > 10 * MS)
                        early++;
        }
        is_int(lost, 0, "… it keeps ringing");
        is_int(early, 0, "… never early");
        is_int(interval(), 10 * MS, "… its interval stays");
        is_int(setitimer(ITIMER_REAL, &none, &old), 0, "… it is disarmed");
        ok(timeval_ns(&old.it_value) <= 10 * MS, "… which tells what remained");
        is_int(timeval_ns(&old.it_interval), 10 * MS, "… and the interval");
        is_int(left(), 0, "… nothing remains");
        is_int(interval(), 0, "… no interval either");
        ok(signal_drain(SIGALRM) <= 1, "… no more than one signal is left over");
        is_int(signal_wait(SIGALRM, 50 * MS, NULL), -EAGAIN, "… it rings no more");

        is_int(set_real(0, 10 * MS), 0, "an interval with no value");
        is_int(left(), 0, "… arms nothing");
        is_int(signal_wait(SIGALRM, 50 * MS, NULL), -EAGAIN, "… and never rings");

        is_int(set_real(10 * SECOND, 0), 0, "setitimer");
        is_int(set_real(20 * MS, 0), 0, "… again, for earlier");
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… the latter counts");
        start = now_ns(CLOCK_MONOTONIC);
        is_int(set_real(20 * MS, 0), 0, "setitimer");
        is_int(set_real(100 * SECOND, 0), 0, "… again, for later, in time");
        if (now_ns(CLOCK_MONOTONIC) - start < 20 * MS)
                is_int(signal_wait(SIGALRM, 60 * MS, NULL), -EAGAIN, "… the latter counts");
        is_int(set_real(0, 0), 0, "… off");
        signal_drain(SIGALRM);
}

static void many_changes(void) {
        int wrong = 0;

        for (int i = 0; i < 500; i++) {
                wrong += set_real(i % 3 == 0 ? 0 : (100 + i) * SECOND, i % 2 == 0 ? SECOND : 0) != 0;
                if (i % 3 == 0)
                        wrong += left() != 0;
                else
                        wrong += left() > (100 + i) * SECOND || left() < i * SECOND;
        }
        is_int(wrong, 0, "500 changes, each seen");
        set_real(0, 0);
        is_int(signal_drain(SIGALRM), 0, "… none rang");
}

static void invalid(void) {
        static const struct {
                struct itimerval value;
                const char *what;
        } values[] = {
                { { .it_value.tv_usec = 1000000 }, "1000000 us" },
                { { .it_value.tv_usec = -1 }, "-1 us" },
                { { .it_value.tv_usec = LONG_MIN }, "LONG_MIN us" },
                { { .it_value.tv_sec = -1 }, "-1 s" },
                { { .it_value.tv_sec = LONG_MIN }, "LONG_MIN s" },
                { { .it_value.tv_sec = 1, .it_interval.tv_usec = 1000000 }, "an interval of 1000000 us" },
                { { .it_value.tv_sec = 1, .it_interval.tv_usec = -1 }, "an interval of -1 us" },
                { { .it_value.tv_sec = 1, .it_interval.tv_sec = -1 }, "an interval of -1 s" },
                { { .it_interval.tv_usec = -1 }, "no value and an interval of -1 us" },
        };
        struct itimerval good = itimerval_of(50 * SECOND, 0), old = {};
        /* Before the others, in whose holes they could lie */
        char *read_only = page_new(PROT_READ), *whole = page_edge(sizeof good);
        void *const bad[] = { (void *) 8, page_unmapped(), page_new(PROT_NONE), page_bus(), page_edge(sizeof good - 1),
                              KERNEL_ADDRESS, NON_CANONICAL, LAST_ADDRESS };

        set_real(100 * SECOND, 0);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                is_int(RAW(SYS_setitimer, ITIMER_REAL, &values[i].value, &old), -EINVAL, "%s: EINVAL", values[i].what);
                ok(left() > 50 * SECOND, "… and changes nothing");
        }
        for (int which = 3; which < 6; which++) {
                is_int(RAW(SYS_setitimer, which, &good, NULL), -EINVAL, "setitimer of timer %d: EINVAL", which);
                is_int(RAW(SYS_setitimer, which, NULL, NULL), -EINVAL, "… also with no value");
                is_int(RAW(SYS_setitimer, which, bad[0], NULL), -EFAULT, "… a bad address is seen first");
                is_int(RAW(SYS_getitimer, which, &old), -EINVAL, "getitimer of timer %d: EINVAL", which);
                is_int(RAW(SYS_getitimer, which, bad[0]), -EINVAL, "… before a bad address");
        }
        is_int(RAW(SYS_setitimer, -1, &good, NULL), -EINVAL, "setitimer of timer -1: EINVAL");
        is_int(RAW(SYS_getitimer, INT_MIN, &old), -EINVAL, "getitimer of timer INT_MIN: EINVAL");
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                set_real(100 * SECOND, 0);
                is_int(RAW(SYS_setitimer, ITIMER_REAL, bad[i], NULL), -EFAULT, "setitimer from %p: EFAULT", bad[i]);
                ok(left() > 50 * SECOND, "… and changes nothing");
                is_int(RAW(SYS_getitimer, ITIMER_REAL, bad[i]), -EFAULT, "getitimer to there: EFAULT");
                is_int(RAW(SYS_setitimer, ITIMER_REAL, &good, bad[i]), -EFAULT, "setitimer, the old value to there: EFAULT");
                ok(left() > 0 && left() <= 50 * SECOND, "… but is done");
        }
        is_int(RAW(SYS_getitimer, ITIMER_REAL, read_only), -EFAULT, "getitimer to read-only memory: EFAULT");
        is_int(RAW(SYS_getitimer, ITIMER_REAL, NULL), -EFAULT, "getitimer to NULL: EFAULT");
        is_int(RAW(SYS_getitimer, ITIMER_REAL, whole), 0, "getitimer to the last bytes of a page");
        is_int(RAW(SYS_setitimer, ITIMER_REAL, whole, NULL), 0, "setitimer from there");
        is_int(RAW(SYS_setitimer, ITIMER_REAL, &good, &good), 0, "setitimer, the old value over the new one");
        ok(timeval_ns(&good.it_value) <= 50 * SECOND && left() > 0, "… both are right");

        /* Linux only, and not for ever it says; but it does. */
        is_int(RAW(SYS_setitimer, ITIMER_REAL, NULL, &old), 0, "setitimer with no new value");
        ok(timeval_ns(&old.it_value) > 0, "… tells the old one");
        is_int(left(), 0, "… and disarms");

        good = (struct itimerval) { .it_value.tv_sec = LONG_MAX, .it_interval.tv_sec = LONG_MAX };
        is_int(RAW(SYS_setitimer, ITIMER_REAL, &good, NULL), 0, "setitimer for longer than there is time");
        ok(get(ITIMER_REAL).it_value.tv_sec > 1000000000, "… remains long");
        is_int(signal_wait(SIGALRM, 30 * MS, NULL), -EAGAIN, "… and does not ring");
        set_real(0, 0);
}

/* alarm() rounds to the nearest second, but says 0 only when there was none. */
static unsigned rounded(int64_t ns) {
        if (ns <= 0)
                return 0;
        return ns < SECOND ? 1 : (unsigned) ((ns + SECOND / 2) / SECOND);
}

static void alarms(void) {
        static const int64_t values[] = { 100 * MS, 450 * MS, 10 * SECOND + 100 * MS, 10 * SECOND + 450 * MS,
                                          10 * SECOND + 950 * MS, 1000 * SECOND };
        struct itimerval old = {};

        is_int(alarm(0), 0, "alarm(0): there was none");
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                int64_t before = now_ns(CLOCK_MONOTONIC), passed;
                unsigned was;

                set_real(values[i], 0);
                was = alarm(0);
                passed = now_ns(CLOCK_MONOTONIC) - before;
                ok(was >= rounded(values[i] - passed) && was <= rounded(values[i]), "alarm(0) rounds %" PRId64 " ms to %u",
                   values[i] / MS, was);
                is_int(left(), 0, "… and disarms");
                signal_drain(SIGALRM);
        }
        is_int(alarm(100), 0, "alarm(100)");
        ok(left() > 50 * SECOND && left() <= 100 * SECOND, "… is seen by getitimer");
        is_int(interval(), 0, "… without an interval");
        unsigned was = alarm(200);
        ok(was > 50 && was <= 100, "alarm(200) tells what remained: %u", was);
        struct itimerval new = itimerval_of(10 * SECOND, 0);
        is_int(setitimer(ITIMER_REAL, &new, &old), 0, "setitimer takes its place");
        ok(old.it_value.tv_sec > 100 && old.it_value.tv_sec <= 200, "… and tells of the alarm");
        set_real(30 * SECOND, 10 * MS);
        ok(alarm(100) > 0, "alarm() takes the place of an interval timer");
        is_int(interval(), 0, "… whose interval is gone");
        int64_t start = now_ns(CLOCK_MONOTONIC);
        alarm(1);
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "alarm(1) rings");
        ok(now_ns(CLOCK_MONOTONIC) - start >= SECOND, "… not early");
        is_int(alarm(0), 0, "… and is over");
#ifdef SYS_alarm
        is_int(RAW(SYS_alarm, UINT_MAX), 0, "alarm(UINT_MAX)");
        long r = RAW(SYS_alarm, 0);
        ok(r > (long) UINT_MAX - 60, "… is that far: %ld", r);
        is_int(RAW(SYS_alarm, 0x100000000L), 0, "alarm() of more than 32 bits");
        is_int(left(), 0, "… sees the lower ones: 0");
#endif

        start = now_ns(CLOCK_MONOTONIC);
        is_int(ualarm(20000, 0), 0, "ualarm for 20 ms");
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… rings");
        ok(now_ns(CLOCK_MONOTONIC) - start >= 20 * MS, "… not early");
        start = now_ns(CLOCK_MONOTONIC);
        is_int(ualarm(20000, 10000), 0, "ualarm with an interval");
        for (int i = 0; i < 3; i++)
                is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… rings");
        ok(now_ns(CLOCK_MONOTONIC) - start >= 40 * MS, "… not early");
        ok(ualarm(0, 0) <= 10000, "… and is stopped");
        signal_drain(SIGALRM);
        is_int(signal_wait(SIGALRM, 30 * MS, NULL), -EAGAIN, "… for good");
}

static int exec_check(void *arg) {
        char *argv[] = { (char *) "itimer", arg, NULL };

        if (strcmp(arg, "ring") == 0)
                set_real(100 * MS, 0);
        else
                set_real(60 * SECOND, 20 * SECOND);
        execv("/proc/self/exe", argv);
        return 99;
}

/* What the program does after exec_check(). */
static int after_exec(const char *what) {
        if (strcmp(what, "ring") == 0)
                return signal_wait(SIGALRM, LATE, NULL) == SIGALRM ? 42 : 1;
        return left() > 0 && left() <= 60 * SECOND && interval() == 20 * SECOND ? 42 : 2;
}

static void *thread_execs(void *arg) {
        exec_check(arg);
        return NULL;
}

/* The thread becomes the process, which has the timer. */
static int exec_in_thread(void *arg) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, thread_execs, arg) != 0)
                return 1;
        pthread_join(thread, NULL);
        return 2;
}

/* What a process leaves armed when it ends is nobody's. */
static int leave_armed(void *arg) {
        set_real(30 * MS, 10 * MS);
        return arg ? 1 : 42;
}

static int live_unharmed(void *arg) {
        (void) arg;
        signal_mask(SIG_UNBLOCK, SIGALRM); /* whose default ends us */
        let_pass(60 * MS);
        return 42;
}

static void left_behind(void) {
        pid_t pids[50];
        int wrong = 0, status;

        for (int i = 0; i < 100; i++)
                wrong += child_exit(leave_armed, NULL) != 42;
        for (int i = 0; i < 50; i++) {
                fflush(stdout);
                pids[i] = fork();
                if (pids[i] == 0)
                        _exit(live_unharmed(NULL));
        }
        for (int i = 0; i < 50; i++)
                wrong += waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 42;
        is_int(wrong, 0, "timers that a hundred processes left armed ring for nobody");
        is_int(signal_drain(SIGALRM), 0, "… nor for their parent");
}

static int child_has_none(void *arg) {
        (void) arg;
        if (left() != 0 || interval() != 0)
                return 1;
        if (alarm(500) != 0)
                return 2;
        return left() > 0 ? 42 : 3;
}

static int child_rings_itself(void *arg) {
        (void) arg;
        set_real(10 * MS, 0);
        return signal_wait(SIGALRM, LATE, NULL) == SIGALRM ? 42 : 1;
}

static int child_dies(void *arg) {
        signal(SIGALRM, SIG_DFL);
        signal_mask(SIG_UNBLOCK, SIGALRM);
        if (arg)
                alarm(1);
        else
                set_real(20 * MS, 0);
        let_pass(LATE);
        return 1;
}

static int child_ignores(void *arg) {
        (void) arg;
        signal(SIGALRM, SIG_IGN);
        signal_mask(SIG_UNBLOCK, SIGALRM);
        set_real(10 * MS, 0);
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; left() > 0;)
                if (now_ns(CLOCK_MONOTONIC) > end)
                        return 1;
        let_pass(20 * MS);
        signal_mask(SIG_BLOCK, SIGALRM);
        return signal_drain(SIGALRM) == 0 ? 42 : 2;
}

static void processes(void) {
        int status;

        is_int(child_exit(exec_check, (void *) "left"), 42, "the timer goes on over exec, value and interval");
        is_int(child_exit(exec_check, (void *) "ring"), 42, "… and rings in the new program");
        is_int(child_exit(exec_in_thread, (void *) "left"), 42, "… also when a thread execs");
        is_int(child_exit(exec_in_thread, (void *) "ring"), 42, "… and rings");
        set_real(100 * SECOND, 50 * SECOND);
        is_int(child_exit(child_has_none, NULL), 42, "a child has none, and sets one of its own");
        ok(left() > 50 * SECOND && left() <= 100 * SECOND, "… the parent's is as it was");
        is_int(child_exit(child_rings_itself, NULL), 42, "a child's rings in the child");
        is_int(signal_drain(SIGALRM), 0, "… not in the parent");
        set_real(0, 0);
        status = child_status(child_dies, NULL);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM, "SIGALRM's default kills: status %#x", (unsigned) status);
        status = child_status(child_dies, (void *) "alarm");
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM, "… that of an alarm too: status %#x", (unsigned) status);
        is_int(child_exit(child_ignores, NULL), 42, "where it is ignored the timer still ends");
}

static void blocked(void) {
        set_real(5 * MS, 5 * MS);
        let_pass(60 * MS);
        set_real(0, 0);
        is_int(signal_drain(SIGALRM), 1, "a period that nobody takes is pending once");
}

static _Atomic pid_t handled_by;
static atomic_int handled;

static void on_alarm(int signo) {
        (void) signo;
        handled_by = (pid_t) syscall(SYS_gettid);
        handled++;
}

static void *thread_sets(void *arg) {
        return set_real(*(int64_t *) arg, 0) == 0 ? arg : NULL;
}

static void *thread_takes(void *arg) {
        signal_mask(SIG_UNBLOCK, SIGALRM);
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; handled == 0 && now_ns(CLOCK_MONOTONIC) < end;)
                let_pass(MS);
        *(pid_t *) arg = (pid_t) syscall(SYS_gettid);
        return NULL;
}

static void in_thread(void *(*f)(void *), void *arg) {
        pthread_t thread;
        void *result;

        if (pthread_create(&thread, NULL, f, arg) != 0)
                tap_bail_out("pthread_create");
        pthread_join(thread, &result);
        (void) result;
}

static void threads(void) {
        struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        int64_t ns = 100 * SECOND;
        pid_t thread = 0;

        in_thread(thread_sets, &ns);
        ok(left() > 50 * SECOND, "a thread's timer is the process's");
        ns = 20 * MS;
        in_thread(thread_sets, &ns);
        is_int(signal_wait(SIGALRM, LATE, NULL), SIGALRM, "… and rings when the thread is gone");

        sigaction(SIGALRM, &action, NULL);
        set_real(20 * MS, 0);
        in_thread(thread_takes, &thread);
        is_int(handled, 1, "it is handled once");
        is_int(handled_by, thread, "… by the thread that does not block it");
        signal(SIGALRM, SIG_DFL);
}

static void cpu_timers(void) {
        static const struct {
                int which, signo;
                const char *name;
        } timers[] = {
                { ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL" },
                { ITIMER_PROF, SIGPROF, "ITIMER_PROF" },
        };

        set_real(100 * SECOND, 0);
        for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
                struct itimerval v = itimerval_of(20 * MS, 20 * MS), old = {};
                int got = 0;

                signal_mask(SIG_BLOCK, timers[i].signo);
                is_int(setitimer(timers[i].which, &v, &old), 0, "setitimer of %s", timers[i].name);
                ok(timeval_ns(&old.it_value) == 0, "… there was none");
                v = get(timers[i].which);
                ok(timeval_ns(&v.it_value) > 0 && timeval_ns(&v.it_interval) == 20 * MS, "… getitimer");
                for (int64_t end = now_ns(CLOCK_MONOTONIC) + LATE; got < 2 && now_ns(CLOCK_MONOTONIC) < end;) {
                        spin(CLOCK_PROCESS_CPUTIME_ID, MS);
                        got += signal_drain(timers[i].signo);
                }
                is_int(got, 2, "… it rings while the program works");
                /* Not that it is never early: the host charges whole ticks to who runs at their ends, which may be more
                 * than it had. */
                v = (struct itimerval) {};
                is_int(setitimer(timers[i].which, &v, &old), 0, "… it is disarmed");
                is_int(timeval_ns(&old.it_interval), 20 * MS, "… which tells the interval");
                signal_drain(timers[i].signo);
        }
        ok(left() > 50 * SECOND, "the one of real time is another");
        set_real(0, 0);
}

int main(int argc, char *argv[]) {
        /* Blocked by the one that it was before the exec */
        if (argc > 1)
                return after_exec(argv[1]);

        signal_mask(SIG_BLOCK, SIGALRM);
        one_shot();
        periodic();
        many_changes();
        invalid();
        alarms();
        blocked();
        processes();
        left_behind();
        threads();
        cpu_timers();
        return tap_done();
}
