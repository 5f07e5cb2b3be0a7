/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/statistics.h, and that dispatch fills it. */

#include "fake-host.h"
#include "statistics.h"
#include "tap.h"

static void test_buckets(void) {
        SyscallStatistics s = {};

        is_int(statistics_bucket(0), 0, "0 ns are in the first bucket");
        is_int(statistics_bucket(1), 0, "1 ns too");
        is_int(statistics_bucket(2), 1, "2 ns are in the second");
        is_int(statistics_bucket(3), 1, "3 ns too");
        is_int(statistics_bucket(4), 2, "4 ns are in the third");
        is_int(statistics_bucket(1023), 9, "1023 ns: 2^9 to 2^10 - 1");
        is_int(statistics_bucket(1024), 10, "1024 ns: the next");
        is_int(statistics_bucket(UINT64_C(1) << 35), 35, "34 s are in the last");
        is_int(statistics_bucket(UINT64_MAX), STATISTICS_BUCKETS - 1, "and so is eternity");

        is_int(statistics_used_buckets(&s), 0, "nothing counted, nothing used");
        statistics_add(&s, 5);
        statistics_add(&s, 7);
        statistics_add(&s, 100);
        is_int((intmax_t) s.n_calls, 3, "calls are counted");
        is_int((intmax_t) s.total_ns, 112, "their times added");
        is_int((intmax_t) s.max_ns, 100, "the longest remembered");
        is_int((intmax_t) s.histogram[2], 2, "each in its bucket");
        is_int((intmax_t) s.histogram[6], 1, "each in its bucket");
        is_int(statistics_used_buckets(&s), 7, "up to the longest");
}

static void test_dispatch(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        const SyscallStatistics *s = &kernel->statistics[SYSCALL_ID_uname];
        uint64_t n = 0;

        for (unsigned i = 0; i < 10; i++)
                (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        for (unsigned i = 0; i < STATISTICS_BUCKETS; i++)
                n += s->histogram[i];
        is_int((intmax_t) s->n_calls, 10, "dispatch counts");
        is_int((intmax_t) n, 10, "the histogram has all of them");
        (void) fake_call(kernel, "no such call", 0, 0, 0);
        is_int((intmax_t) kernel->statistics[_SYSCALL_ID_MAX].n_calls, 1, "unknown calls are counted apart");
        kernel_free(kernel);
}

int main(void) {
        test_buckets();
        test_dispatch();
        return tap_done();
}
