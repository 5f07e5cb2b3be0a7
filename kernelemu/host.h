/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything the emulated kernel needs of the host it runs on. sentry-kernel implements it over seccomp
 * notifications (daemon/kernel/host-seccomp.c), unit tests over a fake. Errors are the guest's, negative. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/time.h"
#include "abi/types.h"
#include "host-socket.h"
#include "net/address-rules.h"
#include "ns/mount.h"
#include "syscall.h"
#include "task/host-task.h"
#include "time/timekeeper.h"
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

/* A namespace as the host has it; by inodes. */
typedef struct HostNamespace {
        uint64_t inode;
        uint64_t parent; /* USER and PID: the one around it; 0: none, or it is not ours to know */
        uint64_t owner;  /* the user namespace that owns it; likewise */
} HostNamespace;

/* What sysinfo(2) needs and only the host knows. Memory in bytes. */
typedef struct HostSystemInfo {
        uint64_t loads[3]; /* as sysinfo(2) scales them: 1 << SI_LOAD_SHIFT is a load of 1.0 */
        uint64_t total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
        uint32_t n_tasks; /* threads of the sandbox */
        uint64_t uptime_ns; /* CLOCK_BOOTTIME as the sandbox sees it */
} HostSystemInfo;

/* A thread and the process it belongs to, as far as decisions hang on them. Numbers are the host's. */
typedef struct HostPeer {
        HostTid tid, tgid;
        HostTid parent;        /* the process's; 0: it has none, or it is out of sight */
        HostTid tracer;        /* the thread that traces this one, 0: none */
        HostTid group;         /* the process group */
        uint64_t start;        /* when the process began: tells it from others that had its number */
        uint64_t capabilities; /* bit per CAP_*: effective ones of the thread */
        uint32_t uid;          /* real */
} HostPeer;

/* Calls that act on another task and are made by the host on behalf of the caller. */
typedef enum HostTaskCall {
        HOST_GETPRIORITY,        /* → 20 - nice */
        HOST_SETPRIORITY,        /* argument: nice */
        HOST_IOPRIO_GET,
        HOST_IOPRIO_SET,         /* argument: class and level */
        HOST_SCHED_GETSCHEDULER,
        HOST_SCHED_SETSCHEDULER, /* argument: policy; in: struct sched_param */
        HOST_SCHED_GETPARAM,     /* out: struct sched_param */
        HOST_SCHED_SETPARAM,     /* in */
        HOST_SCHED_GETATTR,      /* argument: size; out: so many bytes of struct sched_attr */
        HOST_SCHED_SETATTR,      /* inout: struct sched_attr, whose size is right; E2BIG writes the host's there */
        HOST_SCHED_RR_INTERVAL,  /* out: struct timespec */
        HOST_PRLIMIT,            /* argument: RLIMIT_*; in: struct rlimit or NULL; out: or NULL */
        _HOST_TASK_CALL_MAX,
} HostTaskCall;

typedef enum HostSignalTarget {
        HOST_SIGNAL_DEFAULT, /* pidfds: what they are for */
        HOST_SIGNAL_THREAD,
        HOST_SIGNAL_PROCESS,
        _HOST_SIGNAL_TARGET_MAX,
} HostSignalTarget;

/* Signals of a task, bit (1 << (signo - 1)) each; proc_pid_status(5). */
typedef struct HostSignals {
        uint64_t pending; /* for the process or, where a thread was asked for, for that thread alone */
        uint64_t caught;  /* have a handler */
} HostSignals;

typedef enum KernelEventKind {
        KERNEL_EVENT_UNIMPLEMENTED,   /* nobody answers this call */
        KERNEL_EVENT_REFUSED,         /* a call was refused by rule */
        KERNEL_EVENT_DROPPED,         /* events of the two kinds above were dropped: `count` since the start */
        KERNEL_EVENT_UTS_CHANGED,     /* host or domain name of the first UTS namespace changed */
        KERNEL_EVENT_TASK_NEW,        /* the task table knows of a further process */
        KERNEL_EVENT_TASK_EXEC,       /* a process runs another program */
        KERNEL_EVENT_TASK_EXIT,       /* all threads of a process are dead */
        _KERNEL_EVENT_KIND_MAX,
} KernelEventKind;

typedef struct KernelEvent {
        KernelEventKind kind;
        const Call *call; /* UNIMPLEMENTED, REFUSED */
        int error;        /* REFUSED: the guest's errno, positive */
        uint64_t count;   /* DROPPED */
        bool first;       /* the first event of this kind for this system call */
        const struct ThreadGroup *process; /* TASK_* */
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
        /* Everything about it. */
        int (*namespace_of)(Host *host, HostTid tid, NamespaceKind kind, HostNamespace *ret);
        /* The namespaces that processes have descriptors of, until function returns other than 0, which is returned. */
        int (*namespace_for_each_held)(Host *host,
                                       int (*function)(GuestPid pid, int fd, NamespaceKind kind,
                                                       const HostNamespace *info, void *userdata),
                                       void *userdata);
        /* personality(2) of a task. */
        int (*task_personality)(Host *host, HostTid tid, uint32_t *ret);
        int (*task_get_affinity)(Host *host, HostTid tid, CpuSet *ret);
        int (*task_set_affinity)(Host *host, HostTid tid, const CpuSet *set);

        /* The processes of the sandbox, for the task table. task_scan() calls function for each, zombies too, until
         * it returns non-zero, and returns that; -ESRCH before the start. task_read() looks at parts
         * (HostTaskPart) of one; -ESRCH when it is not there. What cannot be read but for STAT is left empty.
         * task_arguments() reads the arguments of several, those that are there no more have none.
         * task_threads() calls function with STAT of each thread. task_of() says whose thread tid is; -ESRCH when
         * it is not of the sandbox. */
        int (*task_scan)(Host *host, int (*function)(GuestPid pid, void *userdata), void *userdata);
        int (*task_read)(Host *host, GuestPid pid, unsigned parts, HostTask *ret);
        void (*task_arguments)(Host *host, HostArguments *of, size_t n);
        int (*task_threads)(Host *host, GuestPid pid, int (*function)(const HostTask *task, void *userdata),
                            void *userdata);
        int (*task_of)(Host *host, HostTid tid, HostCaller *ret);
        /* Tells task_table_note_exit() of the end of a process from now on. Returns a handle from 0, or an error
         * when it cannot, as for want of descriptors. task_poll() tells at once what there is to tell. */
        int (*task_watch)(Host *host, HostTid host_pid);
        void (*task_unwatch)(Host *host, int handle);
        void (*task_poll)(Host *host);
        /* A number that changes with every birth of a process or thread in the sandbox, and maybe others. An error
         * when there is none, or when watches do not tell of zombies that are waited for. */
        int (*birth_mark)(Host *host, uint64_t *ret);
        /* -ESRCH when it is gone. Also of tasks outside: who is an ancestor is asked of them too. */
        int (*task_info)(Host *host, HostTid tid, HostPeer *ret);
        /* All processes of the sandbox, or all its threads, until function returns other than 0, which is
         * returned. Those born meanwhile may be missing. */
        int (*task_for_each)(Host *host, bool threads, int (*function)(HostTid tid, void *userdata), void *userdata);
        /* Sends a signal to a task of the sandbox, whoever has its number outside of it stays untouched. info: a
         * siginfo whose si_code is negative and not SI_TKILL, or NULL: the host's own, with our pid. */
        int (*task_signal)(Host *host, HostTid tid, HostSignalTarget target, int signo, const AbiSiginfo *info);
        /* The same to a process that the table watches, or to one of its threads, if thread is not 0. */
        int (*process_signal)(Host *host, const struct ThreadGroup *process, HostTid thread, int signo,
                              const AbiSiginfo *info);
        /* What is pending for a process, or for one of its threads, if thread is not 0. */
        int (*signals_of)(Host *host, HostTid host_pid, HostTid thread, HostSignals *ret);
        /* A new pidfd for a task of the sandbox; flags as of pidfd_open(2). */
        int (*task_pidfd)(Host *host, HostTid tid, uint32_t flags);
        /* Makes a call that names a task of the sandbox. Its result or an error. */
        int64_t (*task_call)(Host *host, HostTid tid, HostTaskCall call, uint64_t argument, const void *in, void *out);

        /* The task behind a pidfd of the caller. -EBADF when it is none, -ESRCH for tasks that are gone or not the
         * sandbox's. */
        int (*pidfd_task)(Host *host, const Call *call, int32_t fd, HostTid *ret);
        /* The same, and sends a signal by it. */
        int (*pidfd_signal)(Host *host, const Call *call, int32_t fd, HostSignalTarget target, int signo,
                            const AbiSiginfo *info);
        /* Whether the host has scopes of its own, and wants to be told of exceptions. */
        bool (*has_ptrace_scope)(Host *host);

        /* Sockets, on behalf of the caller. Descriptors that are returned are to be given to socket_close().
         * socket_copy(): -EBADF; -ENOTSOCK. */
        int (*socket_copy)(Host *host, const Call *call, int32_t fd, HostSocket *ret);
        /* A copy of any descriptor of the caller's. */
        int (*socket_fd)(Host *host, const Call *call, int32_t fd);
        void (*socket_close)(Host *host, int fd);
        /* Where a path leads in the caller's view: to a file that is there or, for_bind, to a directory and a name in
         * it. ret_path: the path that it has in the mount namespace of the sandbox; may be the same as path. */
        int (*socket_locate)(Host *host, const Call *call, const char *path, bool for_bind, HostPlace *ret,
                             char ret_path[static ADDRESS_PATH_MAX]);
        int (*socket_bind)(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address);
        /* Its own address, as getsockname(2) has it. */
        int (*socket_name)(Host *host, const HostSocket *socket, HostAddress *ret);
        int (*socket_listen)(Host *host, const HostSocket *socket, int32_t backlog);
        /* Only where it cannot wait. */
        int (*socket_connect)(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address);
        /* Never waits: -EAGAIN. No SIGPIPE. The number of bytes, or an error. */
        int64_t (*socket_send)(Host *host, const Call *call, const HostSocket *socket, const HostMessage *message);
        /* Begins a call that may wait, as long as it takes: connect(2) without a message, else sendmsg(2). Copies what
         * it needs, but data, what message->data is, becomes the host's if it returns 0. sockets_finished() is told. */
        int (*socket_start)(Host *host, uint64_t cookie, const HostSocket *socket, const HostAddress *address,
                            const HostMessage *message, void *data);
        /* Ends such a wait, which will not be told of: ret is -EINTR if nothing was done, else what was. */
        void (*socket_stop)(Host *host, uint64_t cookie, int64_t *ret);
        /* Who peers see as the sender. */
        void (*socket_credentials)(Host *host, AbiUcred *ret);
        /* UNIX sockets (n 1, or 2 that are connected) of the network namespace that a sandbox in the host's network has for
         * them: descriptors to be given to socket_close(), or to a verdict. type and protocol as of socket(2). */
        int (*unix_make)(Host *host, const Call *call, int32_t type, int32_t protocol, unsigned n, int ret[]);
        /* ABI_SIOCGIFNAME or ABI_SIOCGIFINDEX in the network of the sandbox. */
        int (*interface)(Host *host, uint32_t request, AbiIfreq *interface);
        /* Adds a copy of a descriptor to those of the caller; flags as of open(2). Its number, or an error. For a call that
         * returns one there is VERDICT_FD. */
        int (*fd_add)(Host *host, const Call *call, int fd, uint32_t flags);
        /* Has programs see these names (NULL: the same as before) of the first UTS namespace in /proc/sys/kernel. */
        void (*names_changed)(Host *host, const char *nodename, const char *domainname);
        /* Begins a mount or unmount for the caller, with its namespaces, root, working directory, ids and capabilities;
         * kernel_mount_done() says how it went, never from within this call. One at a time. -ESRCH when the caller is
         * gone. */
        int (*mount)(Host *host, const Call *call, const HostMountRequest *request);

        int (*system_info)(Host *host, HostSystemInfo *ret);
        /* Nanoseconds of a clock that never goes back and runs on while the sandbox is paused. */
        uint64_t (*now)(Host *host);
        /* ns of a clock of the sandbox. */
        int64_t (*clock_now)(Host *host, HostClock clock);
        /* Has timekeeper_run() called once this clock reads `at` or more, at once if it does so already. TIME_NEVER:
         * not at all. There is one alarm a clock, so this takes the place of the one before. */
        void (*clock_alarm)(Host *host, HostClock clock, int64_t at);

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
