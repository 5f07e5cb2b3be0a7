/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/ratelimit.h"
#include "util/macros.h"

static uint64_t token_cost(const RateLimit *limit) {
        return NSEC_PER_SEC / limit->rate;
}

void ratelimit_init(RateLimit *limit, uint32_t rate, uint32_t burst, uint64_t now_ns) {
        *limit = (RateLimit) {
                .rate = rate,
                .burst = burst,
                .last_ns = now_ns,
        };
        limit->credit = token_cost(limit) * burst;
}

bool ratelimit_take(RateLimit *limit, uint64_t now_ns) {
        uint64_t cost = token_cost(limit), full = cost * limit->burst;

        if (now_ns > limit->last_ns) {
                uint64_t passed = now_ns - limit->last_ns;

                limit->credit = passed >= full - limit->credit ? full : limit->credit + passed;
                limit->last_ns = now_ns;
        }

        if (limit->credit < cost) {
                limit->dropped++;
                return false;
        }

        limit->credit -= cost;
        return true;
}
