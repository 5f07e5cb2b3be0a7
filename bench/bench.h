/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the benchmark programs share: a clock, order statistics, reading numbers from a command line. They
 * link nothing but libc, so that they also run in containers that have nothing else. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* CLOCK_MONOTONIC in ns. Through the vDSO: a reading costs some 30 ns, and nothing traps it. */
static inline uint64_t now_ns(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * UINT64_C(1000000000) + (uint64_t) ts.tv_nsec;
}

static inline int double_compare(const void *a, const void *b) {
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static inline void double_sort(double *values, size_t n) {
        qsort(values, n, sizeof(*values), double_compare);
}

/* The value below which the fraction q (0 to 1) of sorted values lies, interpolated; 0 without values. */
static inline double sorted_quantile(const double *sorted, size_t n, double q) {
        double position;
        size_t i;

        if (n == 0)
                return 0;

        position = q * (double) (n - 1);
        i = (size_t) position;
        if (i + 1 >= n)
                return sorted[n - 1];
        return sorted[i] + (sorted[i + 1] - sorted[i]) * (position - (double) i);
}

/* Reads a decimal number from min to max. Returns 0, or -EINVAL, -ERANGE. */
static inline int parse_number(const char *s, unsigned long min, unsigned long max, unsigned long *ret) {
        char *end;
        unsigned long v;

        if (*s < '0' || *s > '9') /* strtoul() would take a sign and blanks */
                return -EINVAL;

        errno = 0;
        v = strtoul(s, &end, 10);
        if (*end != '\0')
                return -EINVAL;
        if (errno != 0 || v < min || v > max)
                return -ERANGE;

        *ret = v;
        return 0;
}
