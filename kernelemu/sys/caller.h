/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What handlers that act on other tasks share: who calls, and whom a number means to him. */

#include <errno.h>
#include <stdbool.h>

#include "kernel.h"

#define PIDFD_CLOEXEC 02000000U      /* O_CLOEXEC: a pidfd always has it */
#define PIDFD_OPEN_NONBLOCK 00004000U /* O_NONBLOCK */
#define PIDFD_OPEN_THREAD 00000200U  /* O_EXCL */

/* PIDFD_SELF_THREAD and PIDFD_SELF_THREAD_GROUP, since Linux 6.14: numbers that stand for the caller. */
static inline bool pidfd_is_self(int32_t fd) {
        return fd == -10000 || fd == -10001;
}

static inline int caller_info(Kernel *kernel, const Call *call, HostPeer *ret) {
        return kernel->host->ops->task_info(kernel->host, call->tid, ret);
}

/* Whether the calling thread has a capability (CAP_*) over what its user namespace owns, as the host sees it. */
static inline bool caller_has(Kernel *kernel, const Call *call, int capability) {
        HostPeer caller;

        return caller_info(kernel, call, &caller) >= 0 && (caller.capabilities & UINT64_C(1) << capability);
}

/* The task with this number, as find_task_by_vpid() has it: 0 and less are nobody. 0 or -ESRCH. */
static inline int caller_find(Kernel *kernel, const Call *call, GuestPid pid, HostPeer *ret) {
        HostTid tid;
        int r;

        if (pid <= 0)
                return -ESRCH;
        r = kernel->host->ops->task_find(kernel->host, call, pid, &tid);
        return r < 0 ? r : kernel->host->ops->task_info(kernel->host, tid, ret);
}
