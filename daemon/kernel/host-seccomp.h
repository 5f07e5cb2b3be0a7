/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host of an emulated kernel, over seccomp notifications, /proc and the power that the owner of a user
 * namespace has over the tasks in it. The one place where host errors become the guest's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host-clock.h"
#include "host.h"
#include "proc-task.h"

typedef struct Sentry Sentry;

/* Our ids for those of the sandbox, where the kernel does not translate (before Linux 6.11): as of the last scan, and
 * the last one asked for. */
typedef struct PidPair {
        pid_t id, host_id;
} PidPair;

typedef struct PidMap {
        bool needed;
        bool stale;     /* fill it again when an id is missed */
        PidPair *pairs; /* owned; by id */
        size_t n, n_allocated;
        PidPair last;
} PidMap;

typedef struct HostSeccomp {
        Host host;               /* first; what the kernel sees */
        Sentry *sentry;          /* lookup only */
        int proc_fd;             /* owned; O_PATH on the sandbox's own /proc, -EBADF before the start */
        int pid_ns_fd;           /* owned; the sandbox's PID namespace, -EBADF before the start */
        int loadavg_fd;          /* owned; our own /proc/loadavg: host_birth_mark() */
        PidMap pid_map;          /* owned by host-tasks.c */
        ProcIdMaps id_maps;      /* of the sandbox's user namespace, once they were read */
        uint64_t user_ns;        /* inode of the sandbox's user namespace: who is in it is ours */
        unsigned pid_level;      /* how many PID namespaces below ours that of the sandbox is */
        uint64_t pid_ns;         /* inode of its PID namespace; 0 when it uses the host's */
        uint64_t uts_ns;         /* inode of its UTS namespace */
        uint64_t net_ns, ipc_ns; /* inodes of its network and IPC namespace */
        int sock_diag_fd;        /* owned; a socket of sock_diag(7) in net_ns, or -EBADF */
        int sysvipc_fds[3];      /* owned; /proc/sysvipc/shm, msg and sem of ipc_ns, or -EBADF */
        int mqueue_fd;           /* owned; a mount of the POSIX message queues of ipc_ns, or -EBADF */
        int name_fds[2];         /* owned; what programs see as /proc/sys/kernel/hostname and domainname, or -EBADF */
        int maker_fd;            /* owned; who makes its UNIX sockets: MakerRequest. -EBADF: they are the host's to make */
        uint64_t maker_net_ns;   /* inode of the network namespace in which it makes them */
        bool maker_lost;         /* it does not answer any more; not recorded: the next one finds out */
        int maker_diag_fd;       /* owned; as sock_diag_fd, for the namespace of those, or -EBADF */
        bool namespaces_nest;    /* tasks may be in others: unshare(2) and its like are not refused */
        HostClocks clocks;       /* owned by host-clock.c */
        uint64_t n_tasks_until_ns;  /* when n_tasks has to be counted again */
        uint32_t n_tasks;           /* threads of the sandbox */
} HostSeccomp;

int host_seccomp_init(HostSeccomp *host, Sentry *sentry);
void host_seccomp_done(HostSeccomp *host);

/* The descriptors by which parts of the sandbox are shown or made, each of which may be -EBADF. */
#define HOST_HANDLES 8U
void host_seccomp_handles(HostSeccomp *host, int *ret[static HOST_HANDLES]);

/* The host that implements these operations. */
static inline HostSeccomp *host_seccomp_of(Host *host) {
        return (HostSeccomp *) (void *) ((char *) host - offsetof(HostSeccomp, host));
}

/* Learns about the namespaces of the first process from what its launcher passed (indexed by LaunchFd). Takes
 * ownership of what it keeps of the descriptors, and sets them to -EBADF there. */
int host_seccomp_attach(HostSeccomp *host, pid_t init_pid, int fds[]);

/* What the host says of itself, for KernelConfig: the allowed CPUs, sizes of masks. */
int host_seccomp_cpus(CpuSet *ret_allowed, uint32_t *ret_mask_size, uint32_t *ret_cpu_ids);

/* Whether a process is one of the sandbox: it is in its PID namespace or, when that is the host's, in its user
 * namespace and no launcher that waits there, nor a child of ours that makes a list. */
bool host_seccomp_owns(const HostSeccomp *host, pid_t pid);

/* The host's id of the task that the sandbox knows as tid. -ESRCH when there is none. */
pid_t host_seccomp_find_task(const HostSeccomp *host, pid_t tid);

/* The errno that a guest sees for an error of the host, negative both. */
int host_error_to_guest(int error);
