/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of timers share. Signals are mostly kept blocked and waited for, which has an end in time and lets no
 * handler interrupt a call. "Not early" is asserted, and order; how late something may be only in seconds, because
 * the machine may have other things to do. */

#include <sys/time.h>

#include "sys.h"

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)
#define LATE (20 * SECOND) /* what has not come by then never will */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static inline struct timespec timespec_of(int64_t ns) {
        return (struct timespec) { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
}

static inline int64_t timespec_ns(const struct timespec *ts) {
        return ts->tv_sec * SECOND + ts->tv_nsec;
}

static inline struct timeval timeval_of(int64_t ns) {
        return (struct timeval) { .tv_sec = ns / SECOND, .tv_usec = ns % SECOND / 1000 };
}

static inline int64_t timeval_ns(const struct timeval *tv) {
        return tv->tv_sec * SECOND + tv->tv_usec * 1000;
}

static inline struct itimerspec itimerspec_of(int64_t value, int64_t interval) {
        return (struct itimerspec) { .it_value = timespec_of(value), .it_interval = timespec_of(interval) };
}

static inline struct itimerval itimerval_of(int64_t value, int64_t interval) {
        return (struct itimerval) { .it_value = timeval_of(value), .it_interval = timeval_of(interval) };
}

static inline void signal_mask(int how, int signo) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, signo);
        if (pthread_sigmask(how, &set, NULL) != 0)
                tap_bail_out("pthread_sigmask");
}

/* Waits for a blocked signal, up to so many ns (0: takes one that is pending). Returns its number or -EAGAIN. */
__attribute__((unused)) static int signal_wait(int signo, int64_t ns, siginfo_t *ret_info) {
        int64_t end = now_ns(CLOCK_MONOTONIC) + ns;
        siginfo_t info = {};
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, signo);
        do {
                int64_t left = end - now_ns(CLOCK_MONOTONIC);
                struct timespec ts = timespec_of(left > 0 ? left : 0);

                r = sigtimedwait(&set, &info, &ts);
        } while (r < 0 && errno == EINTR);
        if (ret_info)
                *ret_info = info;
        return r < 0 ? -errno : r;
}

/* Takes what is pending of a signal; how many that were. */
__attribute__((unused)) static int signal_drain(int signo) {
        int n = 0;

        while (signal_wait(signo, 0, NULL) == signo)
                n++;
        return n;
}

static inline void clock_wait(clockid_t clock, int64_t until) {
        struct timespec ts = timespec_of(until);

        while (clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL) == EINTR)
                ;
}

/* Lets time pass in which nothing is to happen, or in which a timer runs that nobody looks at. */
static inline void let_pass(int64_t ns) {
        clock_wait(CLOCK_MONOTONIC, now_ns(CLOCK_MONOTONIC) + ns);
}

/* Uses the CPU for so long, as the clock says; no longer than LATE. */
__attribute__((unused)) static void spin(clockid_t cpu_clock, int64_t ns) {
        int64_t end = now_ns(cpu_clock) + ns, late = now_ns(CLOCK_MONOTONIC) + LATE;

        while (now_ns(cpu_clock) < end && now_ns(CLOCK_MONOTONIC) < late)
                ;
}

/* ---- POSIX timers as the kernel sees them, whose ids are numbers ---- */

static inline struct sigevent event_of(int notify, int signo, int value) {
        return (struct sigevent) { .sigev_notify = notify, .sigev_signo = signo, .sigev_value.sival_int = value };
}

static inline long timer_new(clockid_t clock, const struct sigevent *event, int *ret_id) {
        return RAW(SYS_timer_create, clock, event, ret_id);
}

/* One that has to be there for the rest of the test to make sense. */
__attribute__((unused)) static int timer_signal(clockid_t clock, int signo, int value) {
        struct sigevent event = event_of(SIGEV_SIGNAL, signo, value);
        int id = -1;
        long r = timer_new(clock, &event, &id);

        if (r < 0)
                tap_bail_out("timer_create on clock %d: %s", (int) clock, strerror((int) -r));
        return id;
}

static inline long timer_set(int id, int flags, int64_t value, int64_t interval) {
        struct itimerspec spec = itimerspec_of(value, interval);

        return RAW(SYS_timer_settime, id, flags, &spec, NULL);
}

/* What remains in ns, or a negative errno. */
__attribute__((unused)) static int64_t timer_left(int id) {
        struct itimerspec spec;
        long r = RAW(SYS_timer_gettime, id, &spec);

        return r < 0 ? r : timespec_ns(&spec.it_value);
}
