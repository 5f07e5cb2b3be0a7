/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clocks: of one's own in a sandbox, at the speed of the vDSO; and the sleeps and timers that go by them. */

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

#include "sys.h"

static int64_t raw_ns(clockid_t clock) {
        struct timespec ts = {};

        syscall(SYS_clock_gettime, clock, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signo) {
        (void) signo;
        alarms++;
}

int main(void) {
        static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
        struct timespec ts, left;
        struct sysinfo info;
        struct timex timex = {};
        int64_t a, b, c;
        uint64_t count = 0;
        int fd;

        if (sandboxed()) {
                ok(now_ns(CLOCK_MONOTONIC) < 60000000000, "CLOCK_MONOTONIC starts near zero: %" PRId64 " ns",
                   now_ns(CLOCK_MONOTONIC));
                ok(now_ns(CLOCK_BOOTTIME) < 60000000000, "CLOCK_BOOTTIME starts near zero: %" PRId64 " ns",
                   now_ns(CLOCK_BOOTTIME));
                ok(now_ns(CLOCK_MONOTONIC) >= 0, "… and not below");
        }
        ok(time(NULL) > 1700000000, "the date is that of the world");
        ok(getauxval(AT_SYSINFO_EHDR) != 0, "there is a vDSO");
        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                int wrong = 0;

                for (int j = 0; j < 1000; j++) {
                        a = raw_ns(clocks[i]);
                        b = now_ns(clocks[i]);
                        c = raw_ns(clocks[i]);
                        wrong += a > b || b > c;
                }
                is_int(wrong, 0, "the kernel and the vDSO agree on clock %d", (int) clocks[i]);
        }
        double uptime = atof(file_text("/proc/uptime"));
        ok(uptime <= (double) now_ns(CLOCK_BOOTTIME) / 1e9 + 0.01 && uptime > (double) now_ns(CLOCK_BOOTTIME) / 1e9 - 5,
           "/proc/uptime is CLOCK_BOOTTIME: %g", uptime);
        is_int(sysinfo(&info), 0, "sysinfo");
        ok(info.uptime >= now_ns(CLOCK_BOOTTIME) / 1000000000 - 5 && info.uptime <= now_ns(CLOCK_BOOTTIME) / 1000000000 + 1,
           "its uptime is CLOCK_BOOTTIME: %ld", info.uptime);

        /* Sleeps */
        a = now_ns(CLOCK_MONOTONIC);
        ts = (struct timespec) { .tv_nsec = 20000000 };
        is_int(nanosleep(&ts, &left), 0, "nanosleep");
        b = now_ns(CLOCK_MONOTONIC);
        ok(b - a >= 20000000 && b - a < 5000000000, "… for 20 ms: %" PRId64, b - a);
        a = now_ns(CLOCK_MONOTONIC) + 20000000;
        ts = (struct timespec) { .tv_sec = a / 1000000000, .tv_nsec = a % 1000000000 };
        is_int(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0, "clock_nanosleep to a time");
        b = now_ns(CLOCK_MONOTONIC);
        ok(b >= a && b - a < 5000000000, "… ends then: %" PRId64 " ns later", b - a);

        /* Timers */
        struct itimerspec spec = {};
        fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        ok(fd >= 0, "timerfd_create");
        a = now_ns(CLOCK_MONOTONIC) + 20000000;
        spec.it_value = (struct timespec) { .tv_sec = a / 1000000000, .tv_nsec = a % 1000000000 };
        is_int(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL), 0, "timerfd_settime to a time");
        is_int(read(fd, &count, sizeof count), 8, "… is read");
        is_int((intmax_t) count, 1, "… once");
        ok(now_ns(CLOCK_MONOTONIC) >= a && now_ns(CLOCK_MONOTONIC) - a < 5000000000, "… then");
        struct sigaction action = { .sa_handler = on_alarm };
        sigaction(SIGALRM, &action, NULL);
        struct itimerval every = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
        is_int(setitimer(ITIMER_REAL, &every, NULL), 0, "setitimer");
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + 10000000000; alarms < 5 && now_ns(CLOCK_MONOTONIC) < end;)
                usleep(1000);
        ok(alarms >= 5, "… keeps ringing");
        every = (struct itimerval) {};
        is_int(setitimer(ITIMER_REAL, &every, NULL), 0, "… until it is stopped");
        alarms = 0;
        timer_t timer;
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
        is_int(timer_create(CLOCK_MONOTONIC, &event, &timer), 0, "timer_create");
        spec = (struct itimerspec) { .it_value.tv_nsec = 5000000 };
        is_int(timer_settime(timer, 0, &spec, NULL), 0, "timer_settime");
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + 10000000000; alarms < 1 && now_ns(CLOCK_MONOTONIC) < end;)
                usleep(1000);
        is_int(alarms, 1, "… rings once");
        is_int(timer_delete(timer), 0, "timer_delete");

        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        pthread_cond_t cond;
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&cond, &attributes);
        a = now_ns(CLOCK_MONOTONIC) + 20000000;
        ts = (struct timespec) { .tv_sec = a / 1000000000, .tv_nsec = a % 1000000000 };
        pthread_mutex_lock(&mutex);
        is_int(pthread_cond_timedwait(&cond, &mutex, &ts), ETIMEDOUT, "a condition's time-out on CLOCK_MONOTONIC");
        ok(now_ns(CLOCK_MONOTONIC) >= a && now_ns(CLOCK_MONOTONIC) - a < 5000000000, "… comes then");

        /* Nobody sets the world's clock. */
        clock_gettime(CLOCK_REALTIME, &ts);
        struct timeval tv = { .tv_sec = ts.tv_sec };
        is_int(RAW(SYS_clock_settime, CLOCK_REALTIME, &ts), -EPERM, "clock_settime is EPERM");
        is_int(RAW(SYS_settimeofday, &tv, NULL), -EPERM, "settimeofday is EPERM");
        long r = RAW(SYS_clock_settime, CLOCK_MONOTONIC, &ts);
        ok(r == -EINVAL || (sandboxed() && r == -EPERM), "CLOCK_MONOTONIC can't be set at all: %ld", r);
        ok(RAW(SYS_adjtimex, &timex) >= 0, "adjtimex may be read");
        timex.modes = ADJ_FREQUENCY;
        is_int(RAW(SYS_adjtimex, &timex), -EPERM, "… and not set");
        return tap_done();
}
