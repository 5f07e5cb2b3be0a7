/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything the emulated kernel needs of the host it runs on. sentry-kernel implements it over seccomp
 * notifications (daemon/kernel/host-seccomp.c), unit tests over a fake. Errors are the guest's, negative. */

#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"
#include "syscall.h"
#include "util/cpuset.h"

typedef enum NamespaceKind {
        NAMESPACE_USER,
        NAMESPACE_PID,
        NAMESPACE_MOUNT,
        NAMESPACE_UTS,
        NAMESPACE_IPC,
        NAMESPACE_NETWORK,
        NAMESPACE_CGROUP,
        NAMESPACE_TIME,
        _NAMESPACE_KIND_MAX,
} NamespaceKind;

/* What sysinfo(2) needs and only the host knows. Memory in bytes. */
typedef struct HostSystemInfo {
        uint64_t loads[3]; /* as sysinfo(2) scales them: 1 << SI_LOAD_SHIFT is a load of 1.0 */
        uint64_t total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
        uint32_t n_tasks; /* threads of the sandbox */
        uint64_t uptime_ns; /* CLOCK_BOOTTIME as the sandbox sees it */
} HostSystemInfo;

typedef enum KernelEventKind {
        KERNEL_EVENT_UNIMPLEMENTED,   /* nobody answers this call */
        KERNEL_EVENT_REFUSED,         /* a call was refused by rule */
        KERNEL_EVENT_DROPPED,         /* events of the two kinds above were dropped: `count` since the start */
        KERNEL_EVENT_UTS_CHANGED,     /* host or domain name of the first UTS namespace changed */
} KernelEventKind;

typedef struct KernelEvent {
        KernelEventKind kind;
        const Call *call; /* UNIMPLEMENTED, REFUSED */
        int error;        /* REFUSED: the guest's errno, positive */
        uint64_t count;   /* DROPPED */
        bool first;       /* the first event of this kind for this system call */
} KernelEvent;

typedef struct Host Host;

typedef struct HostOps {
        /* Copies between the memory of the caller and ours, all or nothing as the guest sees it: -EFAULT when
         * any byte is out of reach, with the protections that the guest's own accesses have. -ESRCH when the
         * caller is gone, which nobody will notice any more. */
        int (*memory_read)(Host *host, const Call *call, GuestAddr address, void *buffer, size_t size);
        int (*memory_write)(Host *host, const Call *call, GuestAddr address, const void *buffer, size_t size);

        /* The task that the caller means by pid (0: itself). -ESRCH when the caller can see no such task. */
        int (*task_find)(Host *host, const Call *call, GuestPid pid, HostTid *ret);
        /* Identity of a namespace of a task: its inode on the host. */
        int (*task_namespace)(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret_inode);
        /* personality(2) of a task. */
        int (*task_personality)(Host *host, HostTid tid, uint32_t *ret);
        int (*task_get_affinity)(Host *host, HostTid tid, CpuSet *ret);
        int (*task_set_affinity)(Host *host, HostTid tid, const CpuSet *set);

        int (*system_info)(Host *host, HostSystemInfo *ret);
        /* Nanoseconds of a clock that never goes back and runs on while the sandbox is paused. */
        uint64_t (*now)(Host *host);

        /* Tells whoever listens. The event and what it points to live for the call only. */
        void (*event)(Host *host, const KernelEvent *event);
        /* Answers a call whose handler returned PARKED. */
        void (*answer)(Host *host, const Call *call, Verdict verdict);
        /* Ends the sandbox: every task dies, and the exit status seen outside is this one (0-255). */
        void (*end)(Host *host, int status);
} HostOps;

/* The first member of whatever implements a host. */
struct Host {
        const HostOps *ops; /* immutable */
};
