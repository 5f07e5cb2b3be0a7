/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls about processes whose interesting cases the filter sends here. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/personality.h>

#include "kernel.h"

/* The flags of clone3(2) lie in memory, where the filter cannot see them and a guest could change them after a
 * look. ENOSYS sends every libc to clone(2), whose flags are in a register. Not an event: it is no news. */
SYSCALL_DEFINE2(clone3, GuestAddr, arguments, uint64_t, size) {
        (void) kernel, (void) call, (void) arguments, (void) size;
        return verdict_error(ENOSYS);
}

/* personality(2): what changes the answers of uname(2) is refused. The emulated names would not follow it, and
 * the 32-bit programs it is for do not run in a sandbox anyway. */
SYSCALL_DEFINE1(personality, uint32_t, persona) {
        bool changes_uname = (persona & UNAME26) || (persona & PER_MASK) == PER_LINUX32;

        if (persona == UINT32_MAX /* only asks */ || !changes_uname)
                return verdict_continue();
        event_refused(kernel, call, EINVAL);
        return verdict_error(EINVAL);
}
