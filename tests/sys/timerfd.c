/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers that are descriptors: timerfd_create(2) and its family. */

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>

#include "timer.h"

#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET (1 << 1)
#endif

static int new(clockid_t clock, int flags) {
        int fd = timerfd_create(clock, flags);

        if (fd < 0)
                tap_bail_out("timerfd_create: %s", strerror(errno));
        return fd;
}

static long set(int fd, int flags, int64_t value, int64_t interval) {
        struct itimerspec spec = itimerspec_of(value, interval);

        return RAW(SYS_timerfd_settime, fd, flags, &spec, NULL);
}

static int64_t left(int fd) {
        struct itimerspec spec;
        long r = RAW(SYS_timerfd_gettime, fd, &spec);

        return r < 0 ? r : timespec_ns(&spec.it_value);
}

/* The count, or a negative errno. */
static int64_t count(int fd) {
        uint64_t n = 0;
        long r = RAW(SYS_read, fd, &n, sizeof n);

        return r < 0 ? r : r != sizeof n ? -EIO : (int64_t) n;
}

static int ready(int fd, int timeout_ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

        return poll(&p, 1, timeout_ms) == 1 ? p.revents : 0;
}

static void create(void) {
        static const struct {
                clockid_t clock;
                long expected;
        } clocks[] = {
                { CLOCK_REALTIME, 0 },         { CLOCK_MONOTONIC, 0 },
                { CLOCK_BOOTTIME, 0 },         { CLOCK_PROCESS_CPUTIME_ID, -EINVAL },
                { CLOCK_THREAD_CPUTIME_ID, -EINVAL }, { CLOCK_MONOTONIC_RAW, -EINVAL },
                { CLOCK_REALTIME_COARSE, -EINVAL },   { CLOCK_TAI, -EINVAL },
                { 99, -EINVAL },               { -1, -EINVAL },
        };

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                long r = RAW(SYS_timerfd_create, clocks[i].clock, 0);

                is_int(r < 0 ? r : 0, clocks[i].expected, "timerfd_create on clock %d", (int) clocks[i].clock);
                if (r >= 0) {
                        is_int(fcntl((int) r, F_GETFD), 0, "… closes not on exec");
                        is_int(fcntl((int) r, F_GETFL) & O_NONBLOCK, 0, "… blocks");
                        is_int(left((int) r), 0, "… is disarmed");
                        close((int) r);
                }
        }
        int fd = new(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        is_int(fcntl(fd, F_GETFD), FD_CLOEXEC, "TFD_CLOEXEC");
        is_int(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK, "TFD_NONBLOCK");
        is_int(count(fd), -EAGAIN, "… read of nothing is EAGAIN");
        close(fd);
        is_int(RAW(SYS_timerfd_create, CLOCK_MONOTONIC, 1), -EINVAL, "flag 1: EINVAL");
        is_int(RAW(SYS_timerfd_create, CLOCK_MONOTONIC, O_APPEND | TFD_CLOEXEC), -EINVAL, "O_APPEND: EINVAL");
        is_int(RAW(SYS_timerfd_create, CLOCK_MONOTONIC, -1), -EINVAL, "flags -1: EINVAL");
}

static void expire(void) {
        static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };

        for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
                clockid_t clock = clocks[i];
                int fd = new(clock, TFD_CLOEXEC);
                int64_t start = now_ns(clock), total = 0, n;
                int wrong = 0;

                is_int(set(fd, 0, 20 * MS, 0), 0, "clock %d: timerfd_settime", (int) clock);
                ok(left(fd) <= 20 * MS, "… no more remains than was set");
                is_int(count(fd), 1, "… read waits");
                ok(now_ns(clock) - start >= 20 * MS, "… not early");
                is_int(left(fd), 0, "… it is disarmed");

                start = now_ns(clock) + 20 * MS;
                is_int(set(fd, TFD_TIMER_ABSTIME, start, 0), 0, "… to a time");
                n = left(fd);
                ok(n >= 0 && n <= 20 * MS, "… what remains is relative");
                is_int(count(fd), 1, "… read waits");
                ok(now_ns(clock) >= start, "… not early");
                is_int(set(fd, TFD_TIMER_ABSTIME, 1, 0), 0, "… to a time long past");
                is_int(count(fd), 1, "… expires at once");

                start = now_ns(clock);
                is_int(set(fd, 0, 10 * MS, 5 * MS), 0, "… with a period");
                int64_t set_by = now_ns(clock);
                for (int j = 0; j < 8; j++) {
                        let_pass(j % 3 * 7 * MS);
                        n = count(fd);
                        wrong += n < 1;
                        total += n;
                        wrong += total > (now_ns(clock) - start - 5 * MS) / (5 * MS);
                }
                let_pass(12 * MS);
                int64_t before = now_ns(clock);
                total += count(fd);
                wrong += total < (before - set_by - 5 * MS) / (5 * MS) - 2;
                is_int(wrong, 0, "… the counts add up to the time that passed: %" PRId64, total);
                n = left(fd);
                ok(n >= 0 && n <= 5 * MS, "… no more than a period remains");
                let_pass(12 * MS);
                is_int(set(fd, 0, 100 * SECOND, 0), 0, "… it is set again");
                is_int(ready(fd, 0), 0, "… which makes it forget");
                close(fd);
        }
        int fd = new(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        is_int(set(fd, TFD_TIMER_ABSTIME, now_ns(CLOCK_REALTIME) - 1000 * SECOND, 100 * SECOND), 0,
               "begun 1000 s ago, every 100 s");
        ready(fd, 20000);
        is_int(count(fd), 11, "… has expired 11 times");
        is_int(count(fd), -EAGAIN, "… which is told once");
        close(fd);
}

static void setting(void) {
        static const struct {
                struct itimerspec value;
                const char *what;
        } values[] = {
                { { .it_value.tv_nsec = 1000000000 }, "1000000000 ns" },
                { { .it_value.tv_nsec = -1 }, "-1 ns" },
                { { .it_value.tv_sec = -1 }, "-1 s" },
                { { .it_value.tv_sec = 1, .it_interval.tv_nsec = 1000000000 }, "a period of 1000000000 ns" },
                { { .it_value.tv_sec = 1, .it_interval.tv_sec = -1 }, "a period of -1 s" },
        };
        void *const bad[] = { NULL, (void *) 8, page_unmapped(), page_new(PROT_NONE), page_bus(),
                              page_edge(sizeof(struct itimerspec) - 1), KERNEL_ADDRESS, NON_CANONICAL };
        struct itimerspec good = itimerspec_of(50 * SECOND, 30 * SECOND), old = {};
        int fd = new(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), other = open("/dev/null", O_RDWR | O_CLOEXEC), fds[2];
        uint64_t n = 1;

        set(fd, 0, 100 * SECOND, 20 * SECOND);
        is_int(RAW(SYS_timerfd_settime, fd, 0, &good, &old), 0, "timerfd_settime tells the old value");
        ok(timespec_ns(&old.it_value) > 50 * SECOND && timespec_ns(&old.it_value) <= 100 * SECOND, "… what remained");
        is_int(timespec_ns(&old.it_interval), 20 * SECOND, "… and the period");
        is_int(RAW(SYS_timerfd_gettime, fd, &old), 0, "timerfd_gettime");
        is_int(timespec_ns(&old.it_interval), 30 * SECOND, "… tells the period");
        set(fd, 0, 100 * SECOND, 0);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                is_int(RAW(SYS_timerfd_settime, fd, 0, &values[i].value, &old), -EINVAL, "%s: EINVAL", values[i].what);
                ok(left(fd) > 50 * SECOND, "… and changes nothing");
        }
        is_int(set(fd, 8, 50 * SECOND, 0), -EINVAL, "flag 8: EINVAL");
        is_int(set(fd, -1, 50 * SECOND, 0), -EINVAL, "flags -1: EINVAL");
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                set(fd, 0, 100 * SECOND, 0);
                is_int(RAW(SYS_timerfd_settime, fd, 0, bad[i], NULL), -EFAULT, "timerfd_settime from %p: EFAULT", bad[i]);
                is_int(RAW(SYS_timerfd_settime, 9999, 0, bad[i], NULL), -EFAULT, "… before the descriptor is looked at");
                is_int(RAW(SYS_timerfd_gettime, fd, bad[i]), -EFAULT, "timerfd_gettime to there: EFAULT");
                is_int(RAW(SYS_timerfd_gettime, 9999, bad[i]), -EBADF, "… after the descriptor is looked at");
                if (!bad[i])
                        continue;
                is_int(RAW(SYS_timerfd_settime, fd, 0, &good, bad[i]), -EFAULT, "the old value to there: EFAULT");
                ok(left(fd) <= 50 * SECOND, "… but is done");
        }
        is_int(set(9999, 0, SECOND, 0), -EBADF, "timerfd_settime of no descriptor: EBADF");
        is_int(set(-1, 0, SECOND, 0), -EBADF, "… of -1 too");
        is_int(set(9999, 8, SECOND, 0), -EINVAL, "… but flags are looked at before");
        is_int(left(-1), -EBADF, "timerfd_gettime of -1: EBADF");
        is_int(set(other, 0, SECOND, 0), -EINVAL, "timerfd_settime of another file: EINVAL");
        is_int(left(other), -EINVAL, "timerfd_gettime too");
        if (pipe2(fds, O_CLOEXEC) == 0) {
                is_int(set(fds[0], 0, SECOND, 0), -EINVAL, "… of a pipe: EINVAL");
                close(fds[0]);
                close(fds[1]);
        }

        is_int(set(fd, 0, 0, 0), 0, "it is disarmed");
        is_int(left(fd), 0, "… nothing remains");
        is_int(count(fd), -EAGAIN, "… nothing to read");
        is_int(RAW(SYS_read, fd, &n, 7), -EINVAL, "read of 7 bytes: EINVAL");
        is_int(RAW(SYS_write, fd, &n, sizeof n), -EINVAL, "write: EINVAL");
        set(fd, 0, 1, 0);
        is_int(ready(fd, 20000), POLLIN, "poll tells when it has expired");
        is_int(RAW(SYS_read, fd, page_new(PROT_READ), 8), -EFAULT, "read to read-only memory: EFAULT");
        is_int(count(fd), -EAGAIN, "… the count is lost");
        set(fd, 0, 1, 0);
        ready(fd, 20000);
        char eleven[11] = "           ";
        is_int(RAW(SYS_read, fd, eleven, sizeof eleven), 8, "read of 11 bytes: 8 come");
        is_int(eleven[0] == 1 && eleven[7] == 0 && eleven[8] == ' ', 1, "… of the host's byte order, no more");
        set(fd, 0, 1, 0);
        ready(fd, 20000);
        is_int(set(fd, 0, 0, 0), 0, "disarming");
        is_int(count(fd), -EAGAIN, "… makes it forget, too");
        good = (struct itimerspec) { .it_value.tv_sec = LONG_MAX };
        is_int(RAW(SYS_timerfd_settime, fd, 0, &good, NULL), 0, "longer than there is time");
        ok(left(fd) > 1000000000 * SECOND, "… remains long");
        close(other);
        close(fd);
}

static void cancel(void) {
        int fd = new(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK), mono = new(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        int64_t at = now_ns(CLOCK_REALTIME) + 1000 * SECOND;

        is_int(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, at, 0), 0, "TFD_TIMER_CANCEL_ON_SET");
        ok(left(fd) > 500 * SECOND && left(fd) <= 1000 * SECOND, "… is armed");
        is_int(ready(fd, 0), 0, "… has nothing to tell while nobody sets the clock");
        is_int(count(fd), -EAGAIN, "… nor to read");
        is_int(set(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now_ns(CLOCK_REALTIME) + 10 * MS, 0), 0, "… soon");
        ready(fd, 20000);
        is_int(count(fd), 1, "… expires as usual");
        is_int(set(mono, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now_ns(CLOCK_MONOTONIC) + 10 * MS, 0), 0,
               "… on CLOCK_MONOTONIC, to no effect");
        ready(mono, 20000);
        is_int(count(mono), 1, "… expires as usual");
        is_int(set(fd, TFD_TIMER_CANCEL_ON_SET, 10 * MS, 0), 0, "… relative, to no effect");
        ready(fd, 20000);
        is_int(count(fd), 1, "… expires as usual");
        close(fd);
        close(mono);
}

static void readiness(void) {
        int fd = new(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC), rounds = 0;
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 }, got = {};
        int64_t start = now_ns(CLOCK_MONOTONIC), total = 0;
        fd_set fds;

        is_int(ready(fd, 0), 0, "poll: not ready");
        is_int(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0, "epoll_ctl");
        is_int(epoll_wait(epoll, &got, 1, 0), 0, "epoll: not ready");
        set(fd, 0, 10 * MS, 10 * MS);
        int64_t set_by = now_ns(CLOCK_MONOTONIC);
        for (; rounds < 5; rounds++) {
                if (epoll_wait(epoll, &got, 1, 20000) != 1 || got.events != EPOLLIN || got.data.u64 != 77)
                        break;
                total += count(fd);
                if (now_ns(CLOCK_MONOTONIC) - start < total * 10 * MS)
                        break;
        }
        is_int(rounds, 5, "a period in epoll, never early");
        ok(total >= 5 && total <= (now_ns(CLOCK_MONOTONIC) - start) / (10 * MS), "… each expiration counted");
        let_pass(set_by + (total + 4) * 10 * MS - now_ns(CLOCK_MONOTONIC));
        event.events = EPOLLIN | EPOLLET;
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
        is_int(epoll_wait(epoll, &got, 1, 20000), 1, "edge-triggered");
        ok(count(fd) >= 1, "… read");
        is_int(epoll_wait(epoll, &got, 1, 20000), 1, "… the next expiration is an edge again");
        ok(count(fd) >= 1, "… read");
        set(fd, 0, 10 * MS, 0);
        FD_ZERO(&fds);
        FD_SET(fd, &fds);
        is_int(select(fd + 1, &fds, NULL, NULL, &(struct timeval) { .tv_sec = 20 }), 1, "select");
        is_int(ready(fd, 0), POLLIN, "poll: to be read, never written");
        is_int(count(fd), 1, "… read");
        is_int(ready(fd, 0), 0, "… and ready no more");
        close(epoll);
        close(fd);
}

static int child_reads(void *arg) {
        int fd = *(int *) arg;

        if (count(fd) != 1)
                return 1;
        return set(fd, 0, 300 * SECOND, 7 * SECOND) == 0 ? 42 : 2;
}

static int child_execs(void *arg) {
        char keep[16], gone[16], *argv[] = { (char *) "timerfd", keep, gone, NULL };
        int fd = new(CLOCK_MONOTONIC, TFD_CLOEXEC);

        snprintf(keep, sizeof keep, "%d", *(int *) arg);
        snprintf(gone, sizeof gone, "%d", fd);
        execv("/proc/self/exe", argv);
        return 99;
}

static int after_exec(int keep, int gone) {
        struct itimerspec spec;

        if (left(gone) != -EBADF)
                return 1;
        if (timerfd_gettime(keep, &spec) < 0 || timespec_ns(&spec.it_interval) != 20 * MS)
                return 2;
        if (count(keep) < 1)
                return 3;
        return set(keep, 0, 200 * SECOND, 9 * SECOND) == 0 ? 42 : 4;
}

static void shared(void) {
        int fd = new(CLOCK_MONOTONIC, 0), copy = dup(fd);
        struct itimerspec spec = {};

        set(copy, 0, 100 * SECOND, 0);
        ok(left(fd) > 50 * SECOND, "a duplicate is the same timer");
        set(fd, 0, 5 * MS, 0);
        is_int(count(copy), 1, "… read by one");
        is_int(ready(fd, 0), 0, "… is gone for the other");
        close(copy);
        set(fd, 0, 5 * MS, 0);
        is_int(child_exit(child_reads, &fd), 42, "a child reads it and sets it");
        timerfd_gettime(fd, &spec);
        ok(timespec_ns(&spec.it_value) > 100 * SECOND && timespec_ns(&spec.it_interval) == 7 * SECOND,
           "… it is the same timer");
        is_int(ready(fd, 0), 0, "… with nothing left to read");
        set(fd, 0, 20 * MS, 20 * MS);
        is_int(child_exit(child_execs, &fd), 42, "it goes on over exec, except with TFD_CLOEXEC");
        timerfd_gettime(fd, &spec);
        ok(timespec_ns(&spec.it_value) > 100 * SECOND && timespec_ns(&spec.it_interval) == 9 * SECOND,
           "… and stays the same timer");
        close(fd);
        is_int(set(fd, 0, SECOND, 0), -EBADF, "after close: EBADF");
}

static void *waits(void *arg) {
        *(int64_t *) arg = count(*(int *) ((int64_t *) arg + 1));
        return NULL;
}

static void threads(void) {
        int fd = new(CLOCK_MONOTONIC, TFD_CLOEXEC);
        struct {
                int64_t result;
                int fd;
        } waiter = { .fd = fd };
        pthread_t thread;

        if (pthread_create(&thread, NULL, waits, &waiter) != 0)
                tap_bail_out("pthread_create");
        let_pass(10 * MS); /* more likely to be reading; either is right */
        set(fd, 0, 20 * MS, 0);
        pthread_join(thread, NULL);
        is_int(waiter.result, 1, "who reads before it is set is woken");
        close(fd);
}

static void many(void) {
        enum { N = 500 };
        int fds[N], made = 0, wrong = 0, epoll = epoll_create1(EPOLL_CLOEXEC);
        int64_t at = now_ns(CLOCK_MONOTONIC) + 100 * MS;

        for (; made < N; made++) {
                struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u32 = (uint32_t) made };

                fds[made] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
                if (fds[made] < 0)
                        break;
                wrong += set(fds[made], TFD_TIMER_ABSTIME, at, 0) != 0;
                wrong += epoll_ctl(epoll, EPOLL_CTL_ADD, fds[made], &event) != 0;
        }
        is_int(made, N, "%d of them", N);
        for (int i = 0; i < made; i++) {
                struct epoll_event event = {};

                if (epoll_wait(epoll, &event, 1, 20000) != 1) {
                        wrong++;
                        break;
                }
                wrong += event.data.u32 >= (uint32_t) made || count(fds[event.data.u32]) != 1;
        }
        ok(now_ns(CLOCK_MONOTONIC) >= at, "… not early");
        is_int(wrong, 0, "… each expires once");
        for (int i = 0; i < made; i++)
                close(fds[i]);
        close(epoll);
}

int main(int argc, char *argv[]) {
        if (argc > 2)
                return after_exec(atoi(argv[1]), atoi(argv[2]));

        create();
        expire();
        setting();
        cancel();
        readiness();
        shared();
        threads();
        many();
        return tap_done();
}
