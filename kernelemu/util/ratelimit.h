/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A token bucket: `rate` things a second on average, `burst` at once. */

#include <stdbool.h>
#include <stdint.h>

typedef struct RateLimit {
        uint32_t rate;     /* immutable; tokens a second, > 0 */
        uint32_t burst;    /* immutable; what the bucket holds, > 0 */
        uint64_t credit;   /* nanoseconds saved up; one token costs 1e9 / rate of them */
        uint64_t last_ns;  /* when credit was last counted */
        uint64_t dropped;  /* how many were refused, ever */
} RateLimit;

/* A full bucket. now_ns: any clock that never goes back. */
void ratelimit_init(RateLimit *limit, uint32_t rate, uint32_t burst, uint64_t now_ns);

/* Takes a token. False when there is none: then the thing is to be dropped, and has been counted as dropped. */
bool ratelimit_take(RateLimit *limit, uint64_t now_ns);
