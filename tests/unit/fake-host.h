/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host for unit tests of the emulated kernel: guest memory is an array at GUEST_BASE, tasks are a table, and all
 * that the kernel tells its host is written down. Included once by each test program. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "util/macros.h"

#define GUEST_BASE UINT64_C(0x10000)
#define GUEST_SIZE (UINT64_C(64) * 1024)
#define FAKE_TID 1000
#define FAKE_PEERS_MAX 16U
#define FAKE_UTS_INODE UINT64_C(4026531838)

#define FAKE_TASKS_MAX 64

typedef struct FakeTask {
        HostTask task;
        const char *argv, *exe; /* argv: one argument */
        unsigned n_threads;     /* with ids that follow the process's */
        bool withholds;         /* its arguments */
        uint64_t namespaces[_NAMESPACE_KIND_MAX]; /* where it is; 0: where all are */
        uint64_t held;          /* a network namespace that it has a descriptor of; 0: none */
} FakeTask;

/* A task of the sandbox, or one outside. It counts what it is sent. */
typedef struct FakePeer {
        HostPeer info;
        bool outside;
        unsigned n_signals;
        int last_signo;
        int32_t last_sender; /* si_pid; 0: the host's own siginfo */
        int32_t last_code;
        int error;           /* of the next signal with a siginfo */
        int32_t nice, ioprio;
} FakePeer;

typedef struct FakeHost {
        Host host; /* first */
        uint8_t memory[GUEST_SIZE];
        uint64_t now_ns;
        uint64_t uts_inode;  /* of every task */
        uint32_t personality; /* of every task */
        CpuSet affinity;     /* of every task */
        unsigned n_events[_KERNEL_EVENT_KIND_MAX];
        FakeTask tasks[FAKE_TASKS_MAX]; /* in the order of the scan; id 0: none */
        uint64_t birth_mark;   /* 0: there is none */
        unsigned n_watches;    /* there are */
        unsigned max_watches;
        unsigned n_scans, n_reads;
        int last_status;       /* of the last TASK_EXIT */
        char last_exe[64];     /* of the last TASK_EXEC */
        int last_error;      /* of the last event */
        uint64_t n_dropped;
        unsigned n_answers;
        Verdict last_answer;
        uint64_t last_cookie;
        FakePeer peers[FAKE_PEERS_MAX];
        unsigned n_peers;
        unsigned n_looks;       /* at all tasks */
        unsigned n_late;        /* tasks at the end of the table that are born after the first look */
        int pidfds[4];          /* the tid behind pidfd i; 0: none */
        bool has_ptrace_scope;
        int64_t clocks[_HOST_CLOCK_MAX]; /* ns, as the sandbox reads them */
        int64_t alarms[_HOST_CLOCK_MAX]; /* TIME_NEVER: none is set */
        unsigned n_alarms;               /* how often one was asked for */
        HostSignals signals;             /* of every task; what a timer sends is added to what is pending */
        unsigned n_timer_signals;        /* sent by timers */
        int timer_signo;
        HostTid timer_thread;
        AbiSiginfo timer_info;           /* of the last of them */
        char shown_nodename[ABI_UTS_LENGTH], shown_domainname[ABI_UTS_LENGTH]; /* "": nothing was told */
        int end_status;      /* -1: not ended */
        unsigned n_ends;
} FakeHost;

static FakeHost *fake_of(Host *host) {
        return CONTAINER_OF(host, FakeHost, host);
}

static bool fake_reachable(GuestAddr address, size_t size) {
        return address >= GUEST_BASE && size <= GUEST_SIZE && address - GUEST_BASE <= GUEST_SIZE - size;
}

static int fake_read(Host *host, const Call *call, GuestAddr address, void *buffer, size_t size) {
        if (size == 0)
                return 0;
        if (!fake_reachable(address, size))
                return -EFAULT;
        memcpy(buffer, fake_of(host)->memory + (address - GUEST_BASE), size);
        return 0;
}

static int fake_write(Host *host, const Call *call, GuestAddr address, const void *buffer, size_t size) {
        if (size == 0)
                return 0;
        if (!fake_reachable(address, size))
                return -EFAULT;
        memcpy(fake_of(host)->memory + (address - GUEST_BASE), buffer, size);
        return 0;
}

static FakePeer *fake_peer(FakeHost *fake, HostTid tid) {
        for (unsigned i = 0; i < fake->n_peers; i++)
                if (fake->peers[i].info.tid == tid)
                        return &fake->peers[i];
        return NULL;
}

/* Numbers inside are those outside, but for 1, the first task. */
static int fake_task_find(Host *host, const Call *call, GuestPid pid, HostTid *ret) {
        const FakePeer *task = fake_peer(fake_of(host), pid);

        if (pid == 0 || pid == 1 || (task && !task->outside)) {
                *ret = pid == 0 ? call->tid : pid == 1 ? FAKE_TID : pid;
                return 0;
        }
        return -ESRCH;
}

static int fake_task_info(Host *host, HostTid tid, HostPeer *ret) {
        const FakePeer *task = fake_peer(fake_of(host), tid);

        if (!task)
                return -ESRCH;
        *ret = task->info;
        return 0;
}

static int fake_task_for_each(Host *host, bool threads, int (*function)(HostTid tid, void *userdata),
                              void *userdata) {
        FakeHost *fake = fake_of(host);
        unsigned n = fake->n_peers - (fake->n_looks++ == 0 ? fake->n_late : 0);

        for (unsigned i = 0; i < n; i++) {
                const FakePeer *task = &fake->peers[i];
                int r;

                if (task->outside || (!threads && task->info.tid != task->info.tgid))
                        continue;
                r = function(task->info.tid, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int fake_task_signal(Host *host, HostTid tid, HostSignalTarget target, int signo, const AbiSiginfo *info) {
        FakePeer *task = fake_peer(fake_of(host), tid);

        if (!task || task->outside)
                return -ESRCH;
        if (info && task->error < 0)
                return task->error;
        task->n_signals += signo != 0;
        task->last_signo = signo;
        task->last_sender = info ? info->pid : 0;
        task->last_code = info ? info->code : 0;
        return 0;
}

static int fake_task_pidfd(Host *host, HostTid tid, uint32_t flags) {
        return 1000 + tid;
}

static int64_t fake_task_call(Host *host, HostTid tid, HostTaskCall call, uint64_t argument, const void *in,
                              void *out) {
        FakePeer *task = fake_peer(fake_of(host), tid);

        if (!task || task->outside)
                return -ESRCH;
        switch (call) {
        case HOST_GETPRIORITY:
                return 20 - task->nice;
        case HOST_SETPRIORITY:
                if ((int) argument < task->nice)
                        return -EACCES;
                task->nice = (int) argument;
                return 0;
        case HOST_IOPRIO_GET:
                return task->ioprio;
        case HOST_IOPRIO_SET:
                task->ioprio = (int) argument;
                return 0;
        case HOST_SCHED_GETATTR:
                memset(out, 'a', argument);
                memcpy(out, &(uint32_t) { 48 }, sizeof(uint32_t));
                return 0;
        case HOST_SCHED_SETATTR: {
                uint32_t size;

                memcpy(&size, out, sizeof(size));
                if (size <= 56)
                        return 0;
                memcpy(out, &(uint32_t) { 56 }, sizeof(uint32_t));
                return -E2BIG;
        }
        case HOST_PRLIMIT:
                if (out)
                        memset(out, 'l', 16);
                return 0;
        default:
                return 0;
        }
}

static int fake_pidfd_task(Host *host, const Call *call, int32_t fd, HostTid *ret) {
        const FakePeer *task;

        if (fd < 0 || fd >= (int) ELEMENTSOF(fake_of(host)->pidfds) || fake_of(host)->pidfds[fd] == 0)
                return -EBADF;
        *ret = fake_of(host)->pidfds[fd];
        task = fake_peer(fake_of(host), *ret);
        return !task || task->outside ? -ESRCH : 0;
}

static int fake_pidfd_signal(Host *host, const Call *call, int32_t fd, HostSignalTarget target, int signo,
                             const AbiSiginfo *info) {
        HostTid tid;
        int r = fake_pidfd_task(host, call, fd, &tid);

        return r < 0 ? r : fake_task_signal(host, tid, target, signo, info);
}

static bool fake_has_ptrace_scope(Host *host) {
        return fake_of(host)->has_ptrace_scope;
}

/* A new process, or a thread of the process tgid. */
__attribute__((unused)) static FakePeer *fake_peer_add(FakeHost *fake, HostTid tid, HostTid tgid, HostTid parent,
                                                       HostTid group) {
        FakePeer *task = &fake->peers[fake->n_peers++];

        *task = (FakePeer) {
                .info = {
                        .tid = tid, .tgid = tgid, .parent = parent, .group = group, .start = (uint64_t) tgid * 7,
                        .uid = 1000,
                },
        };
        return task;
}

static int fake_task_namespace(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret) {
        FakeHost *fake = fake_of(host);

        *ret = kind == NAMESPACE_UTS ? fake->uts_inode : 10 + kind;
        for (size_t i = 0; i < FAKE_TASKS_MAX; i++)
                if (fake->tasks[i].task.id != 0 && fake->tasks[i].task.host_id == tid &&
                    fake->tasks[i].namespaces[kind] != 0)
                        *ret = fake->tasks[i].namespaces[kind];
        return 0;
}

static int fake_namespace_of(Host *host, HostTid tid, NamespaceKind kind, HostNamespace *ret) {
        *ret = (HostNamespace) { .owner = 10 + NAMESPACE_USER };
        return fake_task_namespace(host, tid, kind, &ret->inode);
}

static int fake_namespace_for_each_held(Host *host,
                                        int (*function)(GuestPid pid, int fd, NamespaceKind kind,
                                                        const HostNamespace *info, void *userdata),
                                        void *userdata) {
        FakeHost *fake = fake_of(host);

        for (size_t i = 0; i < FAKE_TASKS_MAX; i++)
                if (fake->tasks[i].task.id != 0 && fake->tasks[i].held != 0)
                        (void) function(fake->tasks[i].task.id, 7, NAMESPACE_NETWORK,
                                        &(HostNamespace) { .inode = fake->tasks[i].held, .owner = 10 }, userdata);
        return 0;
}

static int fake_task_personality(Host *host, HostTid tid, uint32_t *ret) {
        *ret = fake_of(host)->personality;
        return 0;
}

static int fake_get_affinity(Host *host, HostTid tid, CpuSet *ret) {
        *ret = fake_of(host)->affinity;
        return 0;
}

static int fake_set_affinity(Host *host, HostTid tid, const CpuSet *set) {
        fake_of(host)->affinity = *set;
        return 0;
}

static int fake_system_info(Host *host, HostSystemInfo *ret) {
        *ret = (HostSystemInfo) {
                .loads = { 65536, 32768, 0 },
                .total_ram = UINT64_C(8) << 30,
                .free_ram = UINT64_C(4) << 30,
                .n_tasks = 70000,
                .uptime_ns = 1500000000,
        };
        return 0;
}

static uint64_t fake_now(Host *host) {
        return fake_of(host)->now_ns;
}

static void fake_event(Host *host, const KernelEvent *event) {
        FakeHost *fake = fake_of(host);

        fake->n_events[event->kind]++;
        fake->last_error = event->error;
        if (event->kind == KERNEL_EVENT_DROPPED)
                fake->n_dropped = event->count;
        if (event->kind == KERNEL_EVENT_TASK_EXIT)
                fake->last_status = event->process->wait_status;
        if (event->kind == KERNEL_EVENT_TASK_EXEC)
                strncpy(fake->last_exe, event->process->exe ? event->process->exe : "", sizeof(fake->last_exe) - 1);
}

/* Adds a process, or replaces the one with that id. Its id on the host is 1000 more. */
__attribute__((unused)) static FakeTask *fake_task(FakeHost *fake, GuestPid pid, GuestPid parent, GuestPid group, GuestPid session) {
        FakeTask *place = NULL;

        for (size_t i = FAKE_TASKS_MAX; i-- > 0;)
                if (fake->tasks[i].task.id == pid || (fake->tasks[i].task.id == 0 && (!place || place->task.id == 0)))
                        place = &fake->tasks[i];
        if (!place)
                abort();
        *place = (FakeTask) {
                .task = {
                        .id = pid,
                        .host_id = pid + 1000,
                        .parent = parent,
                        .group = group,
                        .session = session,
                        .start_usec = fake->now_ns / 1000,
                        .n_threads = 1,
                        .wait_status = WAIT_STATUS_UNKNOWN,
                        .state = 'S',
                        .comm = "task",
                },
                .argv = "task",
                .exe = "/bin/task",
                .n_threads = 1,
        };
        if (fake->birth_mark > 0)
                fake->birth_mark++;
        return place;
}

static FakeTask *fake_task_at(FakeHost *fake, GuestPid pid) {
        for (size_t i = 0; pid > 0 && i < FAKE_TASKS_MAX; i++)
                if (fake->tasks[i].task.id == pid)
                        return &fake->tasks[i];
        return NULL;
}

static int fake_task_scan(Host *host, int (*function)(GuestPid pid, void *userdata), void *userdata) {
        FakeHost *fake = fake_of(host);

        fake->n_scans++;
        for (size_t i = 0; i < FAKE_TASKS_MAX; i++)
                if (fake->tasks[i].task.id > 0) {
                        int r = function(fake->tasks[i].task.id, userdata);

                        if (r != 0)
                                return r;
                }
        return 0;
}

static int fake_task_read(Host *host, GuestPid pid, unsigned parts, HostTask *ret) {
        FakeTask *task = fake_task_at(fake_of(host), pid);

        fake_of(host)->n_reads++;
        if (!task)
                return -ESRCH;
        *ret = task->task;
        if ((parts & HOST_TASK_EXE) && task->exe)
                ret->exe = strdup(task->exe);
        return 0;
}

static void fake_task_arguments(Host *host, HostArguments *of, size_t n) {
        for (size_t i = 0; i < n; i++) {
                FakeTask *task = fake_task_at(fake_of(host), of[i].pid);

                of[i].withheld = task && task->withholds;
                if (!task || !task->argv || of[i].withheld)
                        continue;
                of[i].argv = strdup(task->argv);
                of[i].size = strlen(task->argv) + 1;
        }
}

static int fake_task_threads(Host *host, GuestPid pid, int (*function)(const HostTask *task, void *userdata),
                             void *userdata) {
        FakeTask *task = fake_task_at(fake_of(host), pid);

        if (!task)
                return -ESRCH;
        for (unsigned i = 0; i < task->n_threads; i++) {
                HostTask thread = task->task;
                int r;

                thread.id += (GuestPid) i;
                thread.host_id += (HostTid) i;
                r = function(&thread, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int fake_task_of(Host *host, HostTid tid, HostCaller *ret) {
        FakeHost *fake = fake_of(host);

        for (size_t i = 0; i < FAKE_TASKS_MAX; i++) {
                const HostTask *task = &fake->tasks[i].task;

                if (task->id > 0 && tid >= task->host_id && tid < task->host_id + (HostTid) fake->tasks[i].n_threads) {
                        *ret = (HostCaller) { .pid = task->id, .host_pid = task->host_id };
                        return 0;
                }
        }
        return -ESRCH;
}

static int fake_task_watch(Host *host, HostTid pid) {
        FakeHost *fake = fake_of(host);

        if (fake->n_watches >= fake->max_watches)
                return -EMFILE;
        fake->n_watches++;
        return pid;
}

static void fake_task_unwatch(Host *host, int handle) {
        fake_of(host)->n_watches--;
}

static void fake_task_poll(Host *host) {
        (void) host;
}

static int fake_birth_mark(Host *host, uint64_t *ret) {
        *ret = fake_of(host)->birth_mark;
        return *ret == 0 ? -EOPNOTSUPP : 0;
}

static void fake_answer(Host *host, const Call *call, Verdict verdict) {
        FakeHost *fake = fake_of(host);

        fake->n_answers++;
        fake->last_answer = verdict;
        fake->last_cookie = call->cookie;
}

static void fake_end(Host *host, int status) {
        fake_of(host)->end_status = status;
        fake_of(host)->n_ends++;
}

static int64_t fake_clock_now(Host *host, HostClock clock) {
        return fake_of(host)->clocks[clock];
}

static void fake_clock_alarm(Host *host, HostClock clock, int64_t at) {
        fake_of(host)->alarms[clock] = at;
        fake_of(host)->n_alarms++;
}

static int fake_process_signal(Host *host, const ThreadGroup *process, HostTid thread, int signo,
                               const AbiSiginfo *info) {
        FakeHost *fake = fake_of(host);

        fake->n_timer_signals++;
        fake->timer_signo = signo;
        fake->timer_thread = thread;
        fake->timer_info = *info;
        fake->signals.pending |= UINT64_C(1) << (signo - 1);
        return 0;
}

static int fake_signals_of(Host *host, HostTid host_pid, HostTid thread, HostSignals *ret) {
        *ret = fake_of(host)->signals;
        return 0;
}

/* Time goes by on all clocks, and alarms ring. */
__attribute__((unused)) static void fake_advance(Kernel *kernel, int64_t ns) {
        FakeHost *fake = fake_of(kernel->host);
        int64_t end = fake->clocks[HOST_CLOCK_MONOTONIC] + ns;

        for (;;) {
                int64_t step = end - fake->clocks[HOST_CLOCK_MONOTONIC];
                bool rings = false;

                for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                        if (fake->alarms[clock] != TIME_NEVER && fake->alarms[clock] - fake->clocks[clock] <= step) {
                                step = fake->alarms[clock] > fake->clocks[clock] ?
                                        fake->alarms[clock] - fake->clocks[clock] : 0;
                                rings = true;
                        }
                for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                        fake->clocks[clock] += step;
                fake->now_ns += (uint64_t) step;
                if (!rings)
                        return;
                timekeeper_run(&kernel->timekeeper);
        }
}

static void fake_names_changed(Host *host, const char *nodename, const char *domainname) {
        FakeHost *fake = fake_of(host);

        if (nodename)
                memcpy(fake->shown_nodename, nodename, sizeof(fake->shown_nodename));
        if (domainname)
                memcpy(fake->shown_domainname, domainname, sizeof(fake->shown_domainname));
}

static const HostOps fake_ops = {
        .memory_read = fake_read,
        .memory_write = fake_write,
        .task_find = fake_task_find,
        .task_namespace = fake_task_namespace,
        .task_personality = fake_task_personality,
        .namespace_of = fake_namespace_of,
        .namespace_for_each_held = fake_namespace_for_each_held,
        .task_get_affinity = fake_get_affinity,
        .task_set_affinity = fake_set_affinity,
        .task_scan = fake_task_scan,
        .task_read = fake_task_read,
        .task_arguments = fake_task_arguments,
        .task_threads = fake_task_threads,
        .task_of = fake_task_of,
        .task_watch = fake_task_watch,
        .task_unwatch = fake_task_unwatch,
        .task_poll = fake_task_poll,
        .birth_mark = fake_birth_mark,
        .task_info = fake_task_info,
        .task_for_each = fake_task_for_each,
        .task_signal = fake_task_signal,
        .process_signal = fake_process_signal,
        .signals_of = fake_signals_of,
        .task_pidfd = fake_task_pidfd,
        .task_call = fake_task_call,
        .pidfd_task = fake_pidfd_task,
        .pidfd_signal = fake_pidfd_signal,
        .has_ptrace_scope = fake_has_ptrace_scope,
        .names_changed = fake_names_changed,
        .system_info = fake_system_info,
        .now = fake_now,
        .clock_now = fake_clock_now,
        .clock_alarm = fake_clock_alarm,
        .event = fake_event,
        .answer = fake_answer,
        .end = fake_end,
};

/* A host with four CPUs and a kernel on it, booted, with every emulated capability. */
static Kernel *fake_kernel(FakeHost *fake) {
        KernelConfig config = {
                .name = "test",
                .sysname = "Linux",
                .release = "6.1.0-test",
                .version = "#1 SMP",
                .machine = "x86_64",
                .hostname = "box",
                .domainname = "(none)",
                .cpu_mask_size = 128,
                .cpu_ids = 4,
                .emulated_capabilities = UINT64_MAX,
                .features = UINT32_MAX,
                .ptrace_scope = PTRACE_SCOPE_RELATED,
                .log_size = 4096,
                .version_string = "0",
        };
        Kernel *kernel;

        *fake = (FakeHost) {
                .host.ops = &fake_ops,
                .now_ns = 5000000000,
                .uts_inode = FAKE_UTS_INODE,
                .clocks = { INT64_C(1700000000000000000), 1000000000, 1500000000 },
                .alarms = { TIME_NEVER, TIME_NEVER, TIME_NEVER },
                .end_status = -1,
        };
        fake_peer_add(fake, FAKE_TID, FAKE_TID, 1, FAKE_TID);
        if (cpuset_parse("0-3", &fake->affinity) < 0 || cpuset_parse("0-2", &config.cpus) < 0 ||
            kernel_new(&config, &fake->host, &kernel) < 0)
                abort();
        kernel_boot(kernel, FAKE_UTS_INODE);
        return kernel;
}

/* Makes a call by the name of its row. */
static Verdict fake_call4(Kernel *kernel, HostTid tid, const char *name, uint64_t a0, uint64_t a1, uint64_t a2,
                          uint64_t a3) {
        static uint64_t cookie;
        Call call = {
                .cookie = ++cookie,
                .tid = tid,
                .id = syscall_id_from_name(name),
                .received_ns = kernel_now(kernel),
                .args = { a0, a1, a2, a3 },
        };

        if (call.id == SYSCALL_ID_UNKNOWN)
                call.number = 9999;
        return syscall_dispatch(kernel, &call);
}

static inline Verdict fake_call_by(Kernel *kernel, HostTid tid, const char *name, uint64_t a0, uint64_t a1, uint64_t a2) {
        return fake_call4(kernel, tid, name, a0, a1, a2, 0);
}

static inline Verdict fake_call(Kernel *kernel, const char *name, uint64_t a0, uint64_t a1, uint64_t a2) {
        return fake_call4(kernel, FAKE_TID, name, a0, a1, a2, 0);
}
