/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Kernel object: one per sandbox, the root of all emulated state. Single-threaded: only the event loop of
 * sentry-kernel calls into it. It owns what it points to, except the host. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "changes.h"
#include "event.h"
#include "host.h"
#include "log/kernel-log.h"
#include "net/sockets.h"
#include "ns/namespace.h"
#include "record.h"
#include "statistics.h"
#include "syscall.h"
#include "task/ptrace-rules.h"
#include "task/task-table.h"
#include "time/process-timers.h"
#include "time/timekeeper.h"

#define PARKED_CALLS_MAX 1024U
#define KERNEL_STATISTICS (_SYSCALL_ID_MAX + 1U) /* the last is for what is not implemented */

/* What a kernel is made of. Strings are copied. */
typedef struct KernelConfig {
        const char *name;     /* of the sandbox, for the log */
        const char *sysname;  /* "Linux" */
        const char *release, *version, *machine;
        const char *hostname, *domainname;
        CpuSet cpus;                    /* not empty: the host's CPUs that the sandbox may use */
        uint32_t cpu_mask_size;         /* bytes that the host's sched_getaffinity(2) returns */
        uint32_t cpu_ids;               /* how many CPU numbers an affinity mask must have room for */
        uint64_t emulated_capabilities; /* bit per CAP_*: held against emulated objects */
        uint32_t features;              /* bit (1 << SyscallFeature): what the profile turns on */
        MountRules mount_rules;
        PtraceScope ptrace_scope;
        const AddressRules *addresses;  /* copied; NULL: none */
        bool own_network;               /* the network namespace is the sandbox's */
        bool binds_ports;               /* it is the host's, and the host lets us have ports below 1024 */
        uint32_t log_size;
        const char *version_string;     /* of sentryd, for the log */
        SyscallStatistics *statistics;  /* room for KERNEL_STATISTICS of them, zeroed, that outlives the kernel. NULL: its own */
} KernelConfig;

/* Where calls wait for something to happen. Compared by address only. */
typedef struct WaitQueue {
        unsigned n_waiting; /* not recorded: a parked call is given back to its task before a save */
} WaitQueue;

/* A call whose handler returned PARKED: run again when its queue is woken. */
typedef struct ParkedCall {
        Call call;                     /* immutable */
        WaitQueue *queue;              /* immutable */
        TAILQ_ENTRY(ParkedCall) link;  /* owned by the kernel */
} ParkedCall;

struct Kernel {
        Host *host;                       /* immutable; not owned, not recorded */
        uint64_t boot_ns;                 /* immutable; in a snapshot alone: clocks are set up again on restore */

        char name[65];                    /* immutable; not recorded: a restored sandbox may have another */
        char sysname[ABI_UTS_LENGTH];     /* immutable, recorded, like the next three */
        char release[ABI_UTS_LENGTH];
        char version[ABI_UTS_LENGTH];
        char machine[ABI_UTS_LENGTH];
        uint64_t emulated_capabilities;   /* immutable, recorded */
        uint32_t features;                /* immutable once the first process is there; not recorded: the filter, made anew,
                                           * has the same */
        MountRules mount_rules;           /* immutable; not recorded: the profile's */
        CpuSet cpus;                      /* immutable, recorded */
        uint32_t cpu_mask_size;           /* immutable; not recorded: the host's */
        uint32_t cpu_ids;                 /* immutable; not recorded: the host's */

        ChangeSink *changes;              /* who keeps what changes; not owned, not recorded. NULL: nobody */

        bool personalities;               /* a task has asked for a personality that changes uname(2). Kept in
                                           * snapshots and images: personalities are the tasks' own */
        NamespaceTable namespaces;        /* owned by ns/namespace.c; UTS recorded */
        Namespace *first_uts;             /* in namespaces, held; recorded by its inode, known once it has booted */
        TaskTable tasks;                  /* owned by task/task-table.c; recorded */
        PtraceRules ptrace;               /* owned by task/ptrace-rules.c; in a snapshot alone: made of host ids */
        Timekeeper timekeeper;            /* owned by time/timekeeper.c; recorded */
        KernelLog log;                    /* owned by log/kernel-log.c; recorded */
        Sockets sockets;                  /* owned by net/sockets.c; not recorded: parked calls restart */
        WaitQueue socket_waiters;         /* calls that the host waits for; not recorded */
        WaitQueue log_readers;            /* SYSLOG_ACTION_READ waits here; not recorded */
        MountJob mount_job;               /* owned by sys/mount.c */
        WaitQueue mount_callers;          /* who mounts waits here, for the host or for its turn; not recorded */

        EventSource events;               /* owned by event.c */
        TAILQ_HEAD(, ParkedCall) parked;  /* owned; not recorded: parked calls restart */
        unsigned n_parked;
        void *scratch;                    /* owned by kernel_scratch(); not recorded */
        size_t scratch_size;
        SyscallStatistics *statistics;    /* by SyscallId, and one more; written by dispatch; not recorded */
        SyscallStatistics *own_statistics; /* owned; NULL: they are the host's */
        uint64_t decided_ns;              /* when the last verdict was given; not recorded */
        bool ended;                       /* kernel_end() was called; not recorded: such a sandbox is not saved */
};

/* A kernel that waits for its first process. Returns 0, -EINVAL for a configuration that cannot be, -ENOMEM. */
int kernel_new(const KernelConfig *config, Host *host, Kernel **ret);
Kernel *kernel_free(Kernel *kernel);
static inline void kernel_freep(Kernel **kernel) { kernel_free(*kernel); }

/* The first process starts: the first namespaces get their identity, the inode of the UTS namespace, and the log
 * its boot lines. */
void kernel_boot(Kernel *kernel, uint64_t uts_inode);

/* UNIX sockets are made by HostOps.unix_make from now on: before the first process starts, which is in the network namespace
 * with this inode. */
void kernel_make_unix_sockets(Kernel *kernel, uint64_t network);

/* Instead, for a kernel that was read from records and whose processes are there again. */
void kernel_go_on(Kernel *kernel, uint64_t uts_inode);

/* Nanoseconds of the host's monotonic clock, and microseconds since the kernel was made. */
uint64_t kernel_now(Kernel *kernel);
uint64_t kernel_uptime_usec(Kernel *kernel);

/* Whether the caller holds a capability (CAP_*) against objects of the emulated kernel. */
bool kernel_capable(const Kernel *kernel, const Call *call, int capability);

/* The UTS namespace of the calling task. 0 or -ESRCH. */
int kernel_uts_of(Kernel *kernel, const Call *call, Namespace **ret);

/* Something was added to the log: readers that wait get it. */
void kernel_log_changed(Kernel *kernel);

/* Memory for the call in service, with anything in it: until the next time this is called, and no longer than the service.
 * NULL without memory. What a handler has of it, unlike what it allocates, is not lost when the caller's memory does not
 * answer and the service is abandoned in the middle. */
void *kernel_scratch(Kernel *kernel, size_t size);

/* Parks a call until its queue is woken; the handler then runs again from the start. Returns PARKED, or an
 * error when too many are parked. */
Verdict kernel_park(Kernel *kernel, const Call *call, WaitQueue *queue);
void kernel_wake(Kernel *kernel, WaitQueue *queue);
/* Runs the handler of one parked call again. */
void kernel_wake_call(Kernel *kernel, uint64_t cookie);
/* A signal or a stop ends the wait of a parked call, which is forgotten. True: it has done something already, and ret is
 * its answer. False: nothing, so that it may be run again. */
bool kernel_interrupt(Kernel *kernel, uint64_t cookie, Verdict *ret);
/* Forgets a parked call, because its task died or a signal ends its wait. True when it was parked. */
bool kernel_unpark(Kernel *kernel, uint64_t cookie);

/* Ends the sandbox with an exit status. The first one holds. */
void kernel_end(Kernel *kernel, int status);

/* Visits everything that is recorded. Reading wants a kernel fresh from kernel_new(). */
int kernel_record(Kernel *kernel, Record *record);
/* The same, and what follows from processes that a restored sandbox has again: ptrace_rules_adopt() when they are there. */
int kernel_image(Kernel *kernel, Record *record);

/* All that a kernel on this very host needs to take over from this one: what is recorded, and what hangs on the host and
 * its ids. What changes afterwards is told to kernel->changes, as records that changes_apply() puts on top of it. */
int kernel_snapshot(Kernel *kernel, Record *record);
