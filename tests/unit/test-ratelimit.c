/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/util: rate limits. */

#include "tap.h"
#include "util/macros.h"
#include "util/ratelimit.h"

int main(void) {
        RateLimit limit;
        uint64_t now = 1000;
        unsigned taken = 0;

        ratelimit_init(&limit, 100, 1000, now);
        while (ratelimit_take(&limit, now))
                taken++;
        is_int(taken, 1000, "the burst");
        is_int((intmax_t) limit.dropped, 1, "what came after is counted");

        now += NSEC_PER_SEC;
        for (taken = 0; ratelimit_take(&limit, now); taken++)
                ;
        is_int(taken, 100, "a second gives the rate");

        now += 3600 * NSEC_PER_SEC;
        for (taken = 0; ratelimit_take(&limit, now); taken++)
                ;
        is_int(taken, 1000, "an hour no more than the burst");
        ok(!ratelimit_take(&limit, now - NSEC_PER_SEC), "a clock that goes back gives nothing");
        now += NSEC_PER_SEC / 100;
        ok(ratelimit_take(&limit, now) && !ratelimit_take(&limit, now), "10 ms give one");
        return tap_done();
}
