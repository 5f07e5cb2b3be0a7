/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calls that set the machine's clocks: nobody here may, by any of them. Reading is another thing. */

#include <sys/timex.h>

#include "timer.h"

#ifndef ADJ_OFFSET_SS_READ
#define ADJ_OFFSET_SS_READ 0xa001
#endif

/* Natively arguments are looked at before the right; in a sandbox the calls are refused whatever they say. */
static void refused(long got, long native, const char *what) {
        if (sandboxed())
                ok(got == -EPERM || got == native, "%s: refused (%ld)", what, got);
        else
                is_int(got, native, "%s", what);
}

static void set(void) {
        struct timespec now, bad_nsec, negative;
        struct timeval tv, bad_usec;
        struct timezone tz = { .tz_minuteswest = 60 };
        int64_t real = now_ns(CLOCK_REALTIME), mono = now_ns(CLOCK_MONOTONIC);

        clock_gettime(CLOCK_REALTIME, &now);
        now.tv_sec -= 3600;
        bad_nsec = (struct timespec) { .tv_sec = now.tv_sec, .tv_nsec = 1000000000 };
        negative = (struct timespec) { .tv_sec = -1 };
        tv = (struct timeval) { .tv_sec = now.tv_sec };
        bad_usec = (struct timeval) { .tv_sec = now.tv_sec, .tv_usec = 1000000 };

        is_int(RAW(SYS_clock_settime, CLOCK_REALTIME, &now), -EPERM, "clock_settime: EPERM");
        refused(RAW(SYS_clock_settime, CLOCK_REALTIME, &bad_nsec), -EINVAL, "clock_settime to 1000000000 ns");
        refused(RAW(SYS_clock_settime, CLOCK_REALTIME, &negative), -EINVAL, "clock_settime to -1 s");
        refused(RAW(SYS_clock_settime, CLOCK_REALTIME, 8), -EFAULT, "clock_settime from a bad address");
        refused(RAW(SYS_clock_settime, CLOCK_MONOTONIC, &now), -EINVAL, "clock_settime of CLOCK_MONOTONIC");
        refused(RAW(SYS_clock_settime, CLOCK_BOOTTIME, &now), -EINVAL, "clock_settime of CLOCK_BOOTTIME");
        refused(RAW(SYS_clock_settime, 99, &now), -EINVAL, "clock_settime of clock 99");
        is_int(RAW(SYS_settimeofday, &tv, NULL), -EPERM, "settimeofday: EPERM");
        is_int(RAW(SYS_settimeofday, &tv, &tz), -EPERM, "… with a time zone");
        is_int(RAW(SYS_settimeofday, NULL, &tz), -EPERM, "… with that alone");
        refused(RAW(SYS_settimeofday, &bad_usec, NULL), -EINVAL, "settimeofday to 1000000 us");
        refused(RAW(SYS_settimeofday, 8, NULL), -EFAULT, "settimeofday from a bad address");
        refused(RAW(SYS_settimeofday, NULL, 8), -EFAULT, "… of the time zone");
        is_int(RAW(SYS_settimeofday, NULL, NULL), -EPERM, "settimeofday of nothing: EPERM");
        errno = 0;
        is_int(settimeofday(&tv, NULL), -1, "libc's settimeofday");
        is_int(errno, EPERM, "… EPERM");
        errno = 0;
        is_int(clock_settime(CLOCK_REALTIME, &now), -1, "libc's clock_settime");
        is_int(errno, EPERM, "… EPERM");

        real = now_ns(CLOCK_REALTIME) - real;
        mono = now_ns(CLOCK_MONOTONIC) - mono;
        ok(real - mono < 1000 * SECOND && mono - real < 1000 * SECOND, "none of them did anything");
}

static void adjust(void) {
        static const struct {
                unsigned modes;
                const char *name;
        } modes[] = {
                { ADJ_OFFSET, "ADJ_OFFSET" },       { ADJ_FREQUENCY, "ADJ_FREQUENCY" },
                { ADJ_MAXERROR, "ADJ_MAXERROR" },   { ADJ_ESTERROR, "ADJ_ESTERROR" },
                { ADJ_STATUS, "ADJ_STATUS" },       { ADJ_TIMECONST, "ADJ_TIMECONST" },
                { ADJ_TAI, "ADJ_TAI" },             { ADJ_SETOFFSET, "ADJ_SETOFFSET" },
                { ADJ_MICRO, "ADJ_MICRO" },         { ADJ_NANO, "ADJ_NANO" },
                { ADJ_TICK, "ADJ_TICK" },           { ADJ_OFFSET_SINGLESHOT, "ADJ_OFFSET_SINGLESHOT" },
        };
        void *const bad[] = { NULL, (void *) 8, page_unmapped(), page_new(PROT_NONE), page_bus(),
                              page_edge(sizeof(struct timex) - 1), KERNEL_ADDRESS, NON_CANONICAL };
        struct timex x = {};
        long r;

        r = RAW(SYS_adjtimex, &x);
        ok(r >= TIME_OK && r <= TIME_ERROR, "adjtimex may be read: state %ld", r);
        ok(x.tick > 0, "… tick is %ld", (long) x.tick);
        ok(labs((long) (x.time.tv_sec - now_ns(CLOCK_REALTIME) / SECOND)) < 100, "… its time is the time");
        x = (struct timex) {};
        r = RAW(SYS_clock_adjtime, CLOCK_REALTIME, &x);
        ok(r >= TIME_OK && r <= TIME_ERROR, "clock_adjtime may be read: state %ld", r);
        ok(x.tick > 0, "… tick is %ld", (long) x.tick);
        x = (struct timex) { .modes = ADJ_OFFSET_SS_READ };
        r = RAW(SYS_adjtimex, &x);
        ok(r >= TIME_OK && r <= TIME_ERROR, "… so may what is left of an adjtime: state %ld", r);
        ok(adjtime(NULL, &(struct timeval) {}) == 0, "… adjtime reads it so");
        ok(adjtime(&(struct timeval) { .tv_sec = 1 }, NULL) == -1 && errno == EPERM, "… and may not set it: EPERM");
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
                x = (struct timex) { .modes = modes[i].modes };
                is_int(RAW(SYS_adjtimex, &x), -EPERM, "adjtimex with %s: EPERM", modes[i].name);
                x = (struct timex) { .modes = modes[i].modes };
                is_int(RAW(SYS_clock_adjtime, CLOCK_REALTIME, &x), -EPERM, "clock_adjtime too");
        }
        x = (struct timex) { .modes = 0x8000 };
        is_int(RAW(SYS_adjtimex, &x), -EINVAL, "adjtimex in adjtime's mode without its other bit: EINVAL");
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                is_int(RAW(SYS_adjtimex, bad[i]), -EFAULT, "adjtimex at %p: EFAULT", bad[i]);
                is_int(RAW(SYS_clock_adjtime, CLOCK_REALTIME, bad[i]), -EFAULT, "clock_adjtime at %p: EFAULT", bad[i]);
        }
        static const clockid_t other[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_MONOTONIC_RAW };
        for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
                x = (struct timex) {};
                is_int(RAW(SYS_clock_adjtime, other[i], &x), -EOPNOTSUPP, "clock_adjtime of clock %d: EOPNOTSUPP",
                       (int) other[i]);
        }
        x = (struct timex) {};
        is_int(RAW(SYS_clock_adjtime, 99, &x), -EINVAL, "clock_adjtime of clock 99: EINVAL");
        is_int(RAW(SYS_clock_adjtime, 99, 8), -EFAULT, "… after a bad address");
}

int main(void) {
        set();
        adjust();
        return tap_done();
}
