/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How often calls were answered and how long that took: a histogram whose buckets double. */

#include <stdint.h>

/* Bucket i counts calls that took 2^i to 2^(i+1) - 1 ns; the first those of 0 ns too, and the last (over half a
 * minute) everything longer. */
#define STATISTICS_BUCKETS 36U

typedef struct SyscallStatistics {
        uint64_t n_calls;
        uint64_t total_ns; /* from dispatch to verdict */
        uint64_t max_ns;   /* of one call */
        uint64_t histogram[STATISTICS_BUCKETS];
} SyscallStatistics;

static inline unsigned statistics_bucket(uint64_t ns) {
        unsigned bucket = 63U - (unsigned) __builtin_clzll(ns | 1);

        return bucket < STATISTICS_BUCKETS ? bucket : STATISTICS_BUCKETS - 1;
}

static inline void statistics_add(SyscallStatistics *statistics, uint64_t ns) {
        statistics->n_calls++;
        statistics->total_ns += ns;
        if (ns > statistics->max_ns)
                statistics->max_ns = ns;
        statistics->histogram[statistics_bucket(ns)]++;
}

/* How many buckets there are up to the last that counted something. */
static inline unsigned statistics_used_buckets(const SyscallStatistics *statistics) {
        unsigned n = STATISTICS_BUCKETS;

        while (n > 0 && statistics->histogram[n - 1] == 0)
                n--;
        return n;
}
