/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The clocks of a sandbox, on which its timers go: they begin near zero, agree with one another wherever they can be
 * read, and go as fast as the host's. */

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "timer.h"

static int64_t raw_ns(clockid_t clock) {
        struct timespec ts = {};

        if (syscall(SYS_clock_gettime, clock, &ts) < 0)
                tap_bail_out("clock_gettime(%d): %s", (int) clock, strerror(errno));
        return timespec_ns(&ts);
}

static void readings(void) {
        static const struct {
                clockid_t clock;
                const char *name;
        } clocks[] = {
                { CLOCK_REALTIME, "CLOCK_REALTIME" },         { CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
                { CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },         { CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
                { CLOCK_TAI, "CLOCK_TAI" },                   { CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID" },
                { CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID" },
        };
        struct timespec ts;
        struct timeval tv;
        int64_t a, b, c;

        if (sandboxed()) {
                ok(now_ns(CLOCK_MONOTONIC) >= 0 && now_ns(CLOCK_MONOTONIC) < 60 * SECOND,
                   "CLOCK_MONOTONIC begins near zero: %" PRId64 " ns", now_ns(CLOCK_MONOTONIC));
                ok(now_ns(CLOCK_BOOTTIME) >= 0 && now_ns(CLOCK_BOOTTIME) < 60 * SECOND,
                   "CLOCK_BOOTTIME begins near zero: %" PRId64 " ns", now_ns(CLOCK_BOOTTIME));
                a = now_ns(CLOCK_BOOTTIME);
                b = now_ns(CLOCK_MONOTONIC);
                c = now_ns(CLOCK_BOOTTIME);
                ok(b >= a - SECOND && b <= c + SECOND, "… both at the same moment: %" PRId64 " ns apart", b - a);
        }
        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                int wrong = 0;

                for (int j = 0; j < 1000; j++) {
                        a = raw_ns(clocks[i].clock);
                        b = now_ns(clocks[i].clock);
                        c = raw_ns(clocks[i].clock);
                        wrong += a > b || b > c;
                }
                is_int(wrong, 0, "%s: the vDSO's readings lie between the kernel's", clocks[i].name);
        }
        int wrong = 0;
        for (int j = 0; j < 1000; j++) {
                struct timespec coarse;

                a = now_ns(CLOCK_MONOTONIC);
                clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse);
                b = now_ns(CLOCK_MONOTONIC);
                wrong += timespec_ns(&coarse) > b || timespec_ns(&coarse) < a - SECOND;
        }
        is_int(wrong, 0, "CLOCK_MONOTONIC_COARSE is CLOCK_MONOTONIC, coarsely");
        a = raw_ns(CLOCK_REALTIME);
        gettimeofday(&tv, NULL);
        b = raw_ns(CLOCK_REALTIME);
        ok(timeval_ns(&tv) >= a - MS && timeval_ns(&tv) <= b, "gettimeofday is CLOCK_REALTIME");
        ok(time(NULL) >= a / SECOND - 1 && time(NULL) <= b / SECOND + 20, "time is, too");
        is_int(clock_getres(CLOCK_MONOTONIC, &ts), 0, "clock_getres");
        ok(timespec_ns(&ts) > 0 && timespec_ns(&ts) <= 10 * MS, "… is %" PRId64 " ns", timespec_ns(&ts));
        is_int(RAW(SYS_clock_gettime, 99, &ts), -EINVAL, "clock_gettime of clock 99: EINVAL");
        is_int(RAW(SYS_clock_gettime, CLOCK_MONOTONIC, 8), -EFAULT, "clock_gettime to a bad address: EFAULT");

        /* The host's file system is a clock of the host's. */
        struct stat st;
        int fd = (int) syscall(SYS_memfd_create, "time", 0);
        a = now_ns(CLOCK_REALTIME);
        if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &st) < 0)
                tap_bail_out("memfd: %s", strerror(errno));
        b = now_ns(CLOCK_REALTIME);
        ok(timespec_ns(&st.st_mtim) >= a - SECOND && timespec_ns(&st.st_mtim) <= b, "files have the times of CLOCK_REALTIME");
        close(fd);
}

static void uptime(void) {
        struct sysinfo info;
        int64_t a, b;
        double seconds;
        char *stat, *p;

        a = now_ns(CLOCK_BOOTTIME);
        seconds = atof(file_text("/proc/uptime"));
        b = now_ns(CLOCK_BOOTTIME);
        /* It has two decimals. */
        ok(seconds >= (double) a / 1e9 - 0.02 && seconds <= (double) b / 1e9 + 0.02, "/proc/uptime is CLOCK_BOOTTIME: %g",
           seconds);
        a = now_ns(CLOCK_BOOTTIME);
        is_int(sysinfo(&info), 0, "sysinfo");
        b = now_ns(CLOCK_BOOTTIME);
        ok(info.uptime >= a / SECOND && info.uptime <= b / SECOND + 1, "… its uptime is CLOCK_BOOTTIME: %ld", info.uptime);

        /* When this process began is a time of the same clock. */
        stat = strrchr(file_text("/proc/self/stat"), ')');
        for (int i = 0; stat && i < 20; i++)
                if ((p = strchr(stat + 1, ' ')))
                        stat = p;
        seconds = stat ? atof(stat + 1) / (double) sysconf(_SC_CLK_TCK) : -1;
        ok(seconds >= 0 && seconds <= (double) now_ns(CLOCK_BOOTTIME) / 1e9 + 0.02, "the start of a process is a time of it: %g",
           seconds);
}

static volatile sig_atomic_t handled;

static void on_signal(int signo) {
        (void) signo;
        handled++;
}

static void sleeps(void) {
        static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
        struct timespec ts = timespec_of(20 * MS), left = {};
        int64_t a = now_ns(CLOCK_MONOTONIC);

        is_int(nanosleep(&ts, &left), 0, "nanosleep");
        ok(now_ns(CLOCK_MONOTONIC) - a >= 20 * MS, "… not too short");
        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                a = now_ns(clocks[i]);
                ts = timespec_of(20 * MS);
                is_int(clock_nanosleep(clocks[i], 0, &ts, NULL), 0, "clock_nanosleep on clock %d", (int) clocks[i]);
                ok(now_ns(clocks[i]) - a >= 20 * MS, "… not too short");
                a = now_ns(clocks[i]) + 20 * MS;
                ts = timespec_of(a);
                is_int(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL), 0, "… to a time");
                ok(now_ns(clocks[i]) >= a, "… not early");
                ts = timespec_of(1);
                a = now_ns(CLOCK_MONOTONIC);
                is_int(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL), 0, "… to a time long past");
                ok(now_ns(CLOCK_MONOTONIC) - a < LATE, "… ends at once");
        }
        ts = (struct timespec) { .tv_nsec = 1000000000 };
        is_int(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), EINVAL, "clock_nanosleep for 1000000000 ns: EINVAL");
        ts = timespec_of(1);
        is_int(clock_nanosleep(99, 0, &ts, NULL), EINVAL, "clock_nanosleep on clock 99: EINVAL");

        /* Ended by a timer's signal, which tells what remained. */
        struct sigaction action = { .sa_handler = on_signal };
        int id = timer_signal(CLOCK_MONOTONIC, SIGUSR1, 1);
        sigaction(SIGUSR1, &action, NULL);
        a = now_ns(CLOCK_MONOTONIC);
        timer_set(id, 0, 30 * MS, 30 * MS); /* with a period, should the first come before the sleep */
        ts = timespec_of(100 * SECOND);
        is_int(nanosleep(&ts, &left), -1, "nanosleep, interrupted");
        is_int(errno, EINTR, "… EINTR");
        timer_set(id, 0, 0, 0);
        ok(now_ns(CLOCK_MONOTONIC) - a >= 30 * MS, "… by the timer, not before");
        ok(timespec_ns(&left) > 0 && timespec_ns(&left) < 100 * SECOND, "… it says what remained");
        ok(handled >= 1, "… and the handler ran");
        RAW(SYS_timer_delete, id);
}

/* All clocks go at the same speed, and those of timers are the same clocks. */
static void speed(void) {
        int64_t real = now_ns(CLOCK_REALTIME), mono = now_ns(CLOCK_MONOTONIC), boot = now_ns(CLOCK_BOOTTIME), end;
        int id = timer_signal(CLOCK_BOOTTIME, SIGUSR2, 1);

        signal_mask(SIG_BLOCK, SIGUSR2);
        timer_set(id, TIMER_ABSTIME, boot + 300 * MS, 0);
        is_int(signal_wait(SIGUSR2, LATE, NULL), SIGUSR2, "a timer to a time of CLOCK_BOOTTIME");
        end = now_ns(CLOCK_MONOTONIC);
        boot = now_ns(CLOCK_BOOTTIME) - boot;
        mono = end - mono;
        real = now_ns(CLOCK_REALTIME) - real;
        ok(boot >= 300 * MS, "… not early");
        /* They are read one after the other; half of it and twice is where speed ends. */
        ok(mono > boot / 2 && mono < boot * 2, "CLOCK_MONOTONIC and CLOCK_BOOTTIME go at the same speed");
        ok(real > boot / 2 && real < boot * 2, "… and CLOCK_REALTIME");
        RAW(SYS_timer_delete, id);
}

static int child_reads(void *arg) {
        int64_t before = *(int64_t *) arg, now = now_ns(CLOCK_MONOTONIC);

        return now >= before && now - before < LATE && raw_ns(CLOCK_MONOTONIC) >= now ? 42 : 1;
}

static int child_execs(void *arg) {
        char number[32], *argv[] = { (char *) "clocks", number, NULL };

        snprintf(number, sizeof number, "%" PRId64, *(int64_t *) arg);
        execv("/proc/self/exe", argv);
        return 99;
}

int main(int argc, char *argv[]) {
        int64_t now;

        if (argc > 1) {
                now = strtoll(argv[1], NULL, 10);
                return child_reads(&now);
        }
        readings();
        uptime();
        sleeps();
        speed();
        now = now_ns(CLOCK_MONOTONIC);
        is_int(child_exit(child_reads, &now), 42, "a child has the same clocks");
        is_int(child_exit(child_execs, &now), 42, "… another program too");
        return tap_done();
}
