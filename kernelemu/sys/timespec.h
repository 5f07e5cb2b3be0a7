/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times of a guest as nanoseconds and back. */

#include <stdbool.h>

#include "abi/time.h"
#include "time/timer-queue.h"
#include "util/macros.h"

static inline bool timespec_is_valid(AbiTimespec t) {
        return t.sec >= 0 && t.nsec >= 0 && t.nsec < (int64_t) NSEC_PER_SEC;
}

/* Of a valid time; TIME_NEVER for one that is too far away. */
static inline int64_t timespec_to_ns(AbiTimespec t) {
        int64_t ns;

        return __builtin_mul_overflow(t.sec, (int64_t) NSEC_PER_SEC, &ns) ? TIME_NEVER : time_add(ns, t.nsec);
}

static inline AbiTimespec timespec_of_ns(int64_t ns) {
        return (AbiTimespec) { ns / (int64_t) NSEC_PER_SEC, ns % (int64_t) NSEC_PER_SEC };
}
