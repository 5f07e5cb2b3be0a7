/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls about processes whose interesting cases the filter sends here. */

#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>

#include "kernel.h"

/* The flags of clone3(2) lie in memory, where the filter cannot see them and a guest could change them after a
 * look. ENOSYS sends every libc to clone(2), whose flags are in a register. Not an event: it is no news. */
SYSCALL_DEFINE2(clone3, GuestAddr, arguments, uint64_t, size) {
        (void) kernel, (void) call, (void) arguments, (void) size;
        return verdict_error(ENOSYS);
}

/* fork(2), vfork(2), clone(2), where tasks go by the host's numbers. The host makes the process; the call comes by here so
 * that it waits while another is in service: who signals all processes, or ends them, finds all of them, since none forks
 * but those that were told to before, and these have a signal pending that keeps them from it once they were found. */
SYSCALL_DEFINE0(fork) {
        (void) kernel, (void) call;
        return verdict_continue();
}

SYSCALL_DEFINE0(vfork) {
        (void) kernel, (void) call;
        return verdict_continue();
}

SYSCALL_DEFINE1(clone, uint64_t, flags) {
        const uint64_t namespaces = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |
                CLONE_NEWUSER | CLONE_NEWUTS;

        if ((flags & namespaces) && (kernel->features & (1U << SYSCALL_FEATURE_NO_NESTING))) {
                event_refused(kernel, call, EPERM);
                return verdict_error(EPERM);
        }
        return verdict_continue();
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
