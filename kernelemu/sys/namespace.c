/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* unshare(2), setns(2), where the profile lets no namespaces nest (clone(2) with CLONE_NEW*: sys/process.c). Where it does
 * they are the host's, within limits that the launcher has set (user.max_*_namespaces). */

#include <errno.h>

#include "kernel.h"

static Verdict refuse(Kernel *kernel, const Call *call) {
        event_refused(kernel, call, EPERM);
        return verdict_error(EPERM);
}

SYSCALL_DEFINE0(setns) {
        return refuse(kernel, call);
}

SYSCALL_DEFINE0(unshare) {
        return refuse(kernel, call);
}
