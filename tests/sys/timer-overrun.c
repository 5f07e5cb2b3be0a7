/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a POSIX timer counts while its signal waits to be delivered: no expiration is lost, and none is told twice. */

#include "timer.h"

#define PERIOD (10 * MS)

/* Expirations that a timer can have had at a time, when it was set to a period from set[0] to set[1] by the clock. */
static int64_t expired(int64_t set, int64_t now) {
        return now < set ? 0 : (now - set) / PERIOD;
}

/* One that is a little behind itself, as an emulated one may be, is behind by less than two periods; a machine that
 * stops it for longer stops us as well, or it is seen in the next signal. */
static bool about(int64_t got, const int64_t set[2], int64_t before, int64_t after) {
        int64_t low = expired(set[1], before) - 2, high = expired(set[0], after);

        if (got >= low && got <= high)
                return true;
        tap_diag("  %" PRId64 " expirations; from %" PRId64 " to %" PRId64 " have been", got, low, high);
        return false;
}

static void start(int id, int64_t set[2]) {
        set[0] = now_ns(CLOCK_MONOTONIC);
        if (timer_set(id, 0, PERIOD, PERIOD) != 0)
                tap_bail_out("timer_settime");
        set[1] = now_ns(CLOCK_MONOTONIC);
}

static void one_signal(int signo) {
        int id = timer_signal(CLOCK_MONOTONIC, signo, 1), more;
        int64_t set[2], before, after, end, overrun;
        siginfo_t info;

        start(id, set);
        clock_wait(CLOCK_MONOTONIC, set[1] + 12 * PERIOD + PERIOD / 2);
        before = now_ns(CLOCK_MONOTONIC);
        is_int(signal_wait(signo, 0, &info), signo, "signal %d, kept for twelve periods, is there", signo);
        after = now_ns(CLOCK_MONOTONIC);
        overrun = RAW(SYS_timer_getoverrun, id);
        ok(about(1 + overrun, set, before, after), "… timer_getoverrun tells of the rest: %" PRId64, overrun);
        ok(info.si_overrun >= 0 && info.si_overrun <= overrun, "… si_overrun of no more: %d", info.si_overrun);
        ok(info.si_code == SI_TIMER && info.si_timerid == id, "… it says which timer");
        more = signal_drain(signo);
        end = now_ns(CLOCK_MONOTONIC);
        ok(more <= expired(after, end) + 2, "… twelve periods are one signal: %d more", more);
        is_int(timer_set(id, 0, 0, 0), 0, "… disarmed");
        is_int(RAW(SYS_timer_getoverrun, id), 0, "… there is no overrun any more");
        RAW(SYS_timer_delete, id);
        signal_drain(signo);
}

/* Every expiration is in exactly one signal, however long the pauses between them. */
static bool sum(int id, int signo) {
        int64_t set[2], total = 0, before = 0, after = 0;
        int decreasing = 0;

        start(id, set);
        for (int i = 0; i < 15; i++) {
                int64_t overrun;

                let_pass(i % 5 * 9 * MS);
                before = now_ns(CLOCK_MONOTONIC);
                if (signal_wait(signo, LATE, NULL) != signo)
                        return false;
                after = now_ns(CLOCK_MONOTONIC);
                overrun = RAW(SYS_timer_getoverrun, id);
                if (overrun < 0)
                        return false;
                total += 1 + overrun;
                decreasing += !about(total, set, before, after);
        }
        timer_set(id, 0, 0, 0);
        signal_drain(signo);
        return decreasing == 0;
}

static void sums(void) {
        static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                int id = timer_signal(clocks[i], SIGRTMIN + 1, 1);

                ok(sum(id, SIGRTMIN + 1), "signals and overruns add up on clock %d", (int) clocks[i]);
                RAW(SYS_timer_delete, id);
        }
        int id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);
        ok(sum(id, SIGUSR1), "… also with a standard signal");
        RAW(SYS_timer_delete, id);
}

static void *directed(void *arg) {
        struct sigevent event = event_of(SIGEV_THREAD_ID, SIGRTMIN + 1, 1);
        bool good;
        int id;

        event.sigev_notify_thread_id = (pid_t) syscall(SYS_gettid);
        if (timer_new(CLOCK_MONOTONIC, &event, &id) != 0)
                return NULL;
        good = sum(id, SIGRTMIN + 1);
        RAW(SYS_timer_delete, id);
        return good ? arg : NULL;
}

static void in_thread(void) {
        pthread_t thread;
        void *result = NULL;
        int any;

        if (pthread_create(&thread, NULL, directed, &any) != 0)
                tap_bail_out("pthread_create");
        pthread_join(thread, &result);
        ok(result, "… and of a timer that is directed at a thread");
}

/* A handler rather than a wait: one delivery per signal, overrun known in it. */
static atomic_int handler_runs, handler_total, handler_id;

static void on_signal(int signo, siginfo_t *info, void *context) {
        (void) signo;
        (void) context;
        if (info->si_timerid != handler_id)
                return;
        handler_runs++;
        handler_total += 1 + (int) syscall(SYS_timer_getoverrun, info->si_timerid);
}

static void handler(void) {
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
        int id = timer_signal(CLOCK_MONOTONIC, SIGRTMIN + 2, 1), runs;
        int64_t set[2], before, after;

        sigaction(SIGRTMIN + 2, &action, NULL);
        handler_id = id;
        start(id, set);
        clock_wait(CLOCK_MONOTONIC, set[1] + 8 * PERIOD + PERIOD / 2);
        before = now_ns(CLOCK_MONOTONIC);
        signal_mask(SIG_UNBLOCK, SIGRTMIN + 2);
        signal_mask(SIG_BLOCK, SIGRTMIN + 2);
        runs = handler_runs;
        after = now_ns(CLOCK_MONOTONIC);
        ok(runs >= 1 && runs <= 1 + expired(before, after) + 1, "eight periods that were blocked are one run of a handler: %d",
           runs);
        ok(about(handler_total, set, before, after), "… which sees the overrun: %d", (int) handler_total);
        timer_set(id, 0, 0, 0);
        RAW(SYS_timer_delete, id);
        signal_drain(SIGRTMIN + 2);
        signal(SIGRTMIN + 2, SIG_DFL);
}

static void limit(void) {
        int id = timer_signal(CLOCK_REALTIME, SIGRTMIN + 1, 1);
        siginfo_t info;

        /* 10 s ago, in periods of 1 ns */
        is_int(timer_set(id, TIMER_ABSTIME, now_ns(CLOCK_REALTIME) - 10 * SECOND, 1), 0, "10,000,000,000 expirations");
        is_int(signal_wait(SIGRTMIN + 1, LATE, &info), SIGRTMIN + 1, "… are a signal");
        is_int(RAW(SYS_timer_getoverrun, id), INT_MAX, "… and DELAYTIMER_MAX, at which the count ends");
        ok(info.si_overrun >= 0, "… si_overrun is a number as well: %d", info.si_overrun);
        RAW(SYS_timer_delete, id);
        signal_drain(SIGRTMIN + 1);

        /* A time in the past counts as what it would have been. */
        id = timer_signal(CLOCK_REALTIME, SIGRTMIN + 1, 1);
        is_int(timer_set(id, TIMER_ABSTIME, now_ns(CLOCK_REALTIME) - 1000 * SECOND, 100 * SECOND), 0,
               "begun 1000 s ago, every 100 s");
        is_int(signal_wait(SIGRTMIN + 1, LATE, &info), SIGRTMIN + 1, "… it comes at once");
        is_int(RAW(SYS_timer_getoverrun, id), 10, "… with ten that were missed");
        int64_t left = timer_left(id);
        ok(left > 50 * SECOND && left <= 100 * SECOND, "… and the next is on the same grid: in %" PRId64 " ms", left / MS);
        is_int(signal_wait(SIGRTMIN + 1, 20 * MS, NULL), -EAGAIN, "… not before");
        RAW(SYS_timer_delete, id);
}

/* ---- several timers, one signal ---- */

static void real_time(void) {
        int a = timer_signal(CLOCK_MONOTONIC, SIGRTMIN + 1, 1), b = timer_signal(CLOCK_MONOTONIC, SIGRTMIN + 1, 2);
        siginfo_t first, second;

        timer_set(a, 0, 5 * MS, 0);
        timer_set(b, 0, 10 * MS, 0);
        while (timer_left(a) > 0 || timer_left(b) > 0)
                let_pass(MS);
        is_int(signal_wait(SIGRTMIN + 1, LATE, &first), SIGRTMIN + 1, "two timers with the same real-time signal: one");
        is_int(signal_wait(SIGRTMIN + 1, LATE, &second), SIGRTMIN + 1, "… and the other");
        ok(first.si_timerid == a && second.si_timerid == b, "… each says which, in their order");
        ok(first.si_value.sival_int == 1 && second.si_value.sival_int == 2, "… with their values");

        int64_t set[2][2], before, after;
        bool seen[2] = { false, false };
        start(a, set[0]);
        start(b, set[1]);
        clock_wait(CLOCK_MONOTONIC, set[1][1] + 5 * PERIOD + PERIOD / 2);
        before = now_ns(CLOCK_MONOTONIC);
        for (int i = 0; i < 4 && !(seen[0] && seen[1]); i++) {
                if (signal_wait(SIGRTMIN + 1, LATE, &first) != SIGRTMIN + 1)
                        break;
                after = now_ns(CLOCK_MONOTONIC);
                int k = first.si_timerid == b, id = k ? b : a;
                if (!seen[k])
                        ok(about(1 + RAW(SYS_timer_getoverrun, id), set[k], before, after),
                           "with periods: timer %d has an overrun of its own", k + 1);
                seen[k] = true;
        }
        ok(seen[0] && seen[1], "… both are heard of");
        RAW(SYS_timer_delete, a);
        RAW(SYS_timer_delete, b);
        signal_drain(SIGRTMIN + 1);
}

/* A standard signal that is pending is not queued a second time, but those of the host's timers are: each timer has a
 * place of its own in the queue. Nobody outside can have that place: in a sandbox two timers with the same standard
 * signal, both expired while it is blocked, may be one signal. That of one of them always comes. */
static void standard(void) {
        int a = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1), b = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 2), n = 0;
        bool seen[2] = { false, false };
        siginfo_t info;

        timer_set(a, 0, 5 * MS, 0);
        timer_set(b, 0, 10 * MS, 0);
        while (timer_left(a) > 0 || timer_left(b) > 0)
                let_pass(MS);
        for (int signo = signal_wait(SIGUSR1, LATE, &info); signo == SIGUSR1; signo = signal_wait(SIGUSR1, 20 * MS, &info)) {
                if (info.si_code == SI_TIMER && info.si_timerid == a)
                        seen[0] = true;
                else if (info.si_code == SI_TIMER && info.si_timerid == b)
                        seen[1] = true;
                else
                        fail("signal of timer %d", info.si_timerid);
                n++;
        }
        if (sandboxed())
                ok(seen[0] || seen[1], "two timers with the same standard signal: %d of two signals", n);
        else
                ok(seen[0] && seen[1] && n == 2, "two timers with the same standard signal: both come, once each");
        /* None is stuck for what the other did. */
        for (int i = 0; i < 2; i++) {
                timer_set(i ? b : a, 0, 5 * MS, 0);
                is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "… timer %d, set again,", i + 1);
                is_int(info.si_timerid, i ? b : a, "… comes");
        }

        /* One that somebody else sent is pending. */
        kill(getpid(), SIGUSR1);
        timer_set(a, 0, 5 * MS, 0);
        while (timer_left(a) > 0)
                let_pass(MS);
        is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "a signal that was pending before the timer's");
        is_int(info.si_code, SI_USER, "… comes first");
        n = signal_wait(SIGUSR1, 20 * MS, &info) == SIGUSR1;
        if (sandboxed())
                ok(!n || info.si_timerid == a, "… that of the timer may be one with it: %d more", n);
        else
                ok(n && info.si_timerid == a, "… that of the timer next");
        timer_set(a, 0, PERIOD, PERIOD);
        is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "… which goes on with a period");
        is_int(signal_wait(SIGUSR1, LATE, &info), SIGUSR1, "… and on");
        RAW(SYS_timer_delete, a);
        RAW(SYS_timer_delete, b);
        signal_drain(SIGUSR1);
}

int main(void) {
        signal_mask(SIG_BLOCK, SIGUSR1);
        signal_mask(SIG_BLOCK, SIGRTMIN + 1);
        signal_mask(SIG_BLOCK, SIGRTMIN + 2);

        one_signal(SIGRTMIN + 1);
        one_signal(SIGUSR1);
        sums();
        in_thread();
        handler();
        limit();
        real_time();
        standard();
        return tap_done();
}
