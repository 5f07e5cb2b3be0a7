/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* adjtimex(2), clock_adjtime(2): the host's clock may be looked at, and is not to be changed. */

#include <errno.h>

#include "kernel.h"

static Verdict adjust(Kernel *kernel, const Call *call, GuestAddr address) {
        AbiTimex timex;
        int r;

        r = kernel->host->ops->memory_read(kernel->host, call, address, &timex, sizeof(timex));
        if (r < 0)
                return verdict_error(r);
        if ((timex.modes & ABI_ADJ_ADJTIME) && !(timex.modes & ABI_ADJ_OFFSET_SINGLESHOT))
                return verdict_error(EINVAL);
        if (timex.modes != 0 && !((timex.modes & ABI_ADJ_ADJTIME) && (timex.modes & ABI_ADJ_OFFSET_READONLY))) {
                event_refused(kernel, call, EPERM);
                return verdict_error(EPERM);
        }

        /* Memory may change before the host looks at it again: then the host refuses, since setting the clock takes a
         * capability over the whole machine, which nobody in a sandbox has. */
        return verdict_continue();
}

SYSCALL_DEFINE1(adjtimex, GuestAddr, timex) {
        return adjust(kernel, call, timex);
}

/* Of CLOCK_REALTIME; the host knows what to say of others. */
SYSCALL_DEFINE2(clock_adjtime, int32_t, clock, GuestAddr, timex) {
        (void) clock;
        return adjust(kernel, call, timex);
}
