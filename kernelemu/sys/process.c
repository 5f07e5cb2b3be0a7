/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls about processes whose interesting cases the filter sends here. */

#include <errno.h>
#include <stdint.h>

#include "kernel.h"

/* The flags of clone3(2) lie in memory, where the filter cannot see them and a guest could change them after a
 * look. ENOSYS sends every libc to clone(2), whose flags are in a register. Not an event: it is no news. */
SYSCALL_DEFINE2(clone3, GuestAddr, arguments, uint64_t, size) {
        (void) kernel, (void) call, (void) arguments, (void) size;
        return verdict_error(ENOSYS);
}

/* personality(2): the host keeps it, also over fork and exec. Those that change what uname(2) says come by here, so
 * that it need not ask for the caller's each time as long as nobody has one. */
SYSCALL_DEFINE1(personality, uint32_t, persona) {
        (void) call;
        if (persona != UINT32_MAX && !kernel->personalities) { /* the former only asks */
                kernel->personalities = true;
                change_all(kernel);
        }
        return verdict_continue();
}
