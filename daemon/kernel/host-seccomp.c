/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>

#include "host-behalf.h"
#include "host-mount.h"
#include "host-namespaces.h"
#include "host-sockets.h"
#include "host-tasks.h"
#include "host-unix.h"
#include "launch-protocol.h"
#include "log.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"
#include "util/macros.h"
#include "watchdog.h"

/* ioctl_nsfs(2), since Linux 6.11; not in older headers. */
#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

/* Counting the threads of a sandbox costs its number of processes. When that takes long, the result holds for a
 * multiple of the time it took, so that a guest that asks all the time does not keep us counting. */
#define TASK_COUNT_LONG_NS (2 * UINT64_C(1000000))
#define TASK_COUNT_FACTOR 10U

int host_error_to_guest(int error) {
        /* Host and guest are of one architecture, so numbers agree. What must not get through is what only
         * the inside of a kernel knows: a guest would see -512 as a result. */
        if (error >= 0)
                return 0;
        return error > -512 ? error : -EIO;
}

static uint64_t now(Host *host) {
        struct timespec ts;

        (void) host;
        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

/* process_vm_readv(2) and process_vm_writev(2) go by the protections of the guest's own mappings; a write to
 * /proc/PID/mem would go through read-only ones and answer success where EFAULT is right. */
static int copied(ssize_t n, size_t size, const Call *call) {
        if (n == (ssize_t) size)
                return 0;
        if (n >= 0 || errno == EFAULT)
                return -EFAULT;
        if (errno == ESRCH)
                return -ESRCH;

        /* A program that its own user cannot read runs outside the reach of the owner of the sandbox. */
        log_warning("cannot reach the memory of task %" PRId32 ": %s", call->tid, strerror(errno));
        return -EFAULT;
}

/* What is copied goes through memory on the stack: a thread that gets stuck is still at it long after those who were to
 * have the bytes are freed. */
#define BOUNCE_SIZE (64U * 1024)

/* To `to`, or from `from`; the other is NULL. */
static int copy_memory(const Call *call, GuestAddr address, uint8_t *to, const uint8_t *from, size_t size) {
        uint8_t bounce[BOUNCE_SIZE];

        for (size_t done = 0, part; done < size; done += part) {
                struct iovec local = { .iov_base = bounce };
                struct iovec remote = { .iov_base = (void *) (uintptr_t) (address + done) };
                Station *section;
                ssize_t n;
                int r;

                part = local.iov_len = remote.iov_len = MIN2(size - done, sizeof(bounce));
                if (from)
                        memcpy(bounce, from + done, part);
                section = watchdog_enter(call->cookie, from ? "writing its memory" : "reading its memory");
                n = from ? process_vm_writev(call->tid, &local, 1, &remote, 1, 0) :
                           process_vm_readv(call->tid, &local, 1, &remote, 1, 0);
                watchdog_leave(section);
                r = copied(n, part, call);
                if (r < 0)
                        return r;
                if (to)
                        memcpy(to + done, bounce, part);
        }
        return 0;
}

static int memory_read(Host *host, const Call *call, GuestAddr address, void *buffer, size_t size) {
        int r;

        if (size == 0)
                return 0;
        r = copy_memory(call, address, buffer, NULL, size);
        if (r < 0)
                return r;
        /* Only now it is certain that these were the caller's bytes and not those of a task that was given
         * the same id. */
        return notifier_call_is_valid(&host_seccomp_of(host)->sentry->notifier, call) ? 0 : -ESRCH;
}

static int memory_write(Host *host, const Call *call, GuestAddr address, const void *buffer, size_t size) {
        if (size == 0)
                return 0;
        if (!notifier_call_is_valid(&host_seccomp_of(host)->sentry->notifier, call))
                return -ESRCH;
        return copy_memory(call, address, NULL, buffer, size);
}

static int namespace_inode(pid_t tid, const char *name, uint64_t *ret) {
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) tid, name);
        if (stat(path, &st) < 0)
                return -errno;
        *ret = st.st_ino;
        return 0;
}

bool host_seccomp_owns(const HostSeccomp *host, pid_t pid) {
        uint64_t inode;

        if (host->pid_ns != 0)
                return namespace_inode(pid, "pid", &inode) >= 0 &&
                        (inode == host->pid_ns || (host->namespaces_nest && host_pid_namespace_is_inside(host, pid)));
        return host->user_ns != 0 && namespace_inode(pid, "user", &inode) >= 0 && inode == host->user_ns &&
                !launch_server_is_launcher(host->sentry, pid) && !lister_is_child(&host->sentry->lister, pid) &&
                !mounter_is_child(&host->sentry->mounter, pid) && !saver_is_child(&host->sentry->saver, pid);
}

pid_t host_seccomp_find_task(const HostSeccomp *host, pid_t pid) {
        int tid;

        if (pid <= 0)
                return -ESRCH;
        if (host->sentry->profile->pid_host)
                return host_seccomp_owns(host, pid) ? pid : -ESRCH;

        tid = ioctl(host->pid_ns_fd, NS_GET_PID_FROM_PIDNS, pid);
        if (tid < 0 && errno == ENOTTY)
                return tasks_find_tid(host, pid);
        return tid > 0 ? tid : -ESRCH;
}

static int task_find(Host *host, const Call *call, GuestPid pid, HostTid *ret) {
        const HostSeccomp *h = host_seccomp_of(host);
        pid_t tid = pid == 0 ? call->tid : h->namespaces_nest ? host_find_as_seen_by(h, call->tid, pid) :
                host_seccomp_find_task(h, pid);

        if (tid < 0)
                return tid;
        *ret = tid;
        return 0;
}

static int task_personality(Host *host, HostTid tid, uint32_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        int r;

        (void) host;
        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/personality", tid);
        r = read_full_file(path, 64, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : host_error_to_guest(r);
        return sscanf(text, "%" SCNx32, ret) == 1 ? 0 : -EIO;
}

static int task_get_affinity(Host *host, HostTid tid, CpuSet *ret) {
        *ret = (CpuSet) {};
        /* The wrapper of libc hides the number of bytes. */
        if (syscall(SYS_sched_getaffinity, tid, sizeof(ret->words), ret->words) < 0)
                return host_error_to_guest(-errno);
        return 0;
}

static int task_set_affinity(Host *host, HostTid tid, const CpuSet *set) {
        if (syscall(SYS_sched_setaffinity, tid, sizeof(set->words), set->words) < 0)
                return host_error_to_guest(-errno);
        return 0;
}

/* A limit or a count of the sandbox's control group, in bytes. UINT64_MAX: none. */
static uint64_t cgroup_bytes(const HostSeccomp *h, const char *file) {
        const Sentry *sentry = h->sentry;
        _cleanup_close_ int fd = -EBADF;
        char text[32];
        uint64_t bytes;
        ssize_t n;

        if (sentry->cgroup.fd < 0 || sentry->profile->resources.memory <= 0)
                return UINT64_MAX;
        fd = openat(sentry->cgroup.fd, file, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return UINT64_MAX;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return safe_atou64(text, 10, &bytes) < 0 ? UINT64_MAX : bytes;
}

/* What the sandbox may use is all there is. */
static void limit_memory(const HostSeccomp *h, HostSystemInfo *info) {
        uint64_t max = cgroup_bytes(h, "memory.max"), used, swap = cgroup_bytes(h, "memory.swap.max");

        info->total_swap = MIN(info->total_swap, swap);
        info->free_swap = MIN(info->free_swap, swap);
        if (max >= info->total_ram)
                return;
        used = cgroup_bytes(h, "memory.current");
        info->total_ram = max;
        info->free_ram = MIN(info->free_ram, used < max ? max - used : 0);
        info->shared_ram = MIN(info->shared_ram, max);
        info->buffer_ram = 0;
}

static int system_info(Host *host, HostSystemInfo *ret) {
        HostSeccomp *h = host_seccomp_of(host);
        struct sysinfo info;
        uint64_t t = now(host);

        if (sysinfo(&info) < 0)
                return host_error_to_guest(-errno);

        if (t >= h->n_tasks_until_ns) {
                uint64_t took;

                if (tasks_count(h, &h->n_tasks) < 0)
                        h->n_tasks = 1;
                took = now(host) - t;
                h->n_tasks_until_ns = took < TASK_COUNT_LONG_NS ? 0 : t + took * TASK_COUNT_FACTOR;
        }

        *ret = (HostSystemInfo) {
                .loads = { info.loads[0], info.loads[1], info.loads[2] },
                .total_ram = (uint64_t) info.totalram * info.mem_unit,
                .free_ram = (uint64_t) info.freeram * info.mem_unit,
                .shared_ram = (uint64_t) info.sharedram * info.mem_unit,
                .buffer_ram = (uint64_t) info.bufferram * info.mem_unit,
                .total_swap = (uint64_t) info.totalswap * info.mem_unit,
                .free_swap = (uint64_t) info.freeswap * info.mem_unit,
                .n_tasks = h->n_tasks,
                .uptime_ns = (uint64_t) host_clock_now(host, HOST_CLOCK_BOOTTIME),
        };
        limit_memory(h, ret);
        return 0;
}

static void host_event(Host *host, const KernelEvent *event) {
        kernel_dbus_event(host_seccomp_of(host)->sentry, event);
}

static void host_answer(Host *host, const Call *call, Verdict verdict) {
        notifier_answer(&host_seccomp_of(host)->sentry->notifier, call, verdict);
}

static void host_end(Host *host, int status) {
        (void) sentry_kill(host_seccomp_of(host)->sentry, status);
}

static const HostOps host_seccomp_ops = {
        .memory_read = memory_read,
        .memory_write = memory_write,
        .task_find = task_find,
        .task_namespace = host_task_namespace,
        .namespace_of = host_namespace_of,
        .namespace_for_each_held = host_namespace_for_each_held,
        .task_personality = task_personality,
        .task_get_affinity = task_get_affinity,
        .task_set_affinity = task_set_affinity,
        .task_scan = host_task_scan,
        .task_read = host_task_read,
        .task_arguments = host_task_arguments,
        .task_threads = host_task_threads,
        .task_of = host_task_of,
        .task_watch = host_task_watch,
        .task_unwatch = host_task_unwatch,
        .task_poll = host_task_poll,
        .birth_mark = host_birth_mark,
        .task_info = host_task_info,
        .task_for_each = host_task_for_each,
        .task_signal = host_task_signal,
        .process_signal = host_process_signal,
        .signals_of = host_signals_of,
        .task_pidfd = host_task_pidfd,
        .task_call = host_task_call,
        .pidfd_task = host_pidfd_task,
        .pidfd_signal = host_pidfd_signal,
        .has_ptrace_scope = host_has_ptrace_scope,
        .socket_copy = host_socket_copy,
        .socket_fd = host_socket_fd,
        .socket_close = host_socket_close,
        .socket_locate = host_socket_locate,
        .socket_bind = host_socket_bind,
        .socket_name = host_socket_name,
        .socket_listen = host_socket_listen,
        .socket_connect = host_socket_connect,
        .socket_send = host_socket_send,
        .socket_start = host_socket_start,
        .socket_stop = host_socket_stop,
        .socket_credentials = host_socket_credentials,
        .unix_make = host_unix_make,
        .interface = host_interface,
        .fd_add = host_fd_add,
        .names_changed = host_names_changed,
        .mount = host_mount,
        .system_info = system_info,
        .now = now,
        .clock_now = host_clock_now,
        .clock_alarm = host_clock_alarm,
        .event = host_event,
        .answer = host_answer,
        .end = host_end,
};

int host_seccomp_init(HostSeccomp *host, Sentry *sentry) {
        *host = (HostSeccomp) {
                .host.ops = &host_seccomp_ops,
                .sentry = sentry,
                .proc_fd = -EBADF,
                .pid_ns_fd = -EBADF,
                .sock_diag_fd = -EBADF,
                .sysvipc_fds = { -EBADF, -EBADF, -EBADF },
                .mqueue_fd = -EBADF,
                .name_fds = { -EBADF, -EBADF },
                .maker_fd = -EBADF,
                .maker_diag_fd = -EBADF,
                .loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC),
        };
        return host_clocks_init(&host->clocks);
}

void host_seccomp_done(HostSeccomp *host) {
        int *handles[HOST_HANDLES];

        host_clocks_done(&host->clocks);
        host->proc_fd = safe_close(host->proc_fd);
        host->pid_ns_fd = safe_close(host->pid_ns_fd);
        host->mqueue_fd = safe_close(host->mqueue_fd);
        host_seccomp_handles(host, handles);
        for (size_t i = 0; i < HOST_HANDLES; i++)
                *handles[i] = safe_close(*handles[i]);
        free(host->pid_map.pairs);
        host->pid_map = (PidMap) {};
        host->loadavg_fd = safe_close(host->loadavg_fd);
}

void host_seccomp_handles(HostSeccomp *host, int *ret[static HOST_HANDLES]) {
        int *const handles[HOST_HANDLES] = {
                &host->sock_diag_fd,   &host->sysvipc_fds[0], &host->sysvipc_fds[1], &host->sysvipc_fds[2],
                &host->name_fds[0],    &host->name_fds[1],    &host->maker_fd,       &host->maker_diag_fd,
        };

        memcpy(ret, handles, sizeof(handles));
}

static int inode_of(int fd, uint64_t *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = st.st_ino;
        return 0;
}

int host_seccomp_attach(HostSeccomp *host, pid_t init_pid, int fds[]) {
        int r;

        r = inode_of(fds[LAUNCH_FD_USER_NS], &host->user_ns);
        if (r >= 0)
                r = inode_of(fds[LAUNCH_FD_UTS_NS], &host->uts_ns);
        if (r >= 0)
                r = inode_of(fds[LAUNCH_FD_NET_NS], &host->net_ns);
        if (r >= 0)
                r = inode_of(fds[LAUNCH_FD_IPC_NS], &host->ipc_ns);
        if (r >= 0 && !host->sentry->profile->pid_host)
                r = inode_of(fds[LAUNCH_FD_PID_NS], &host->pid_ns);
        if (r >= 0 && host->pid_ns != 0)
                r = proc_read_level(init_pid, &host->pid_level);
        if (r < 0)
                return r;

        host->namespaces_nest = host->sentry->profile->nested_namespaces > 0;
        host_clocks_attach(&host->clocks, init_pid);
        host->pid_ns_fd = TAKE_FD(fds[LAUNCH_FD_PID_NS]);
        host->proc_fd = TAKE_FD(fds[LAUNCH_FD_PROC]);
        host->sock_diag_fd = TAKE_FD(fds[LAUNCH_FD_SOCK_DIAG]);
        host->sysvipc_fds[0] = TAKE_FD(fds[LAUNCH_FD_SHM]);
        host->sysvipc_fds[1] = TAKE_FD(fds[LAUNCH_FD_MSG]);
        host->sysvipc_fds[2] = TAKE_FD(fds[LAUNCH_FD_SEM]);
        host->name_fds[0] = TAKE_FD(fds[LAUNCH_FD_HOSTNAME]);
        host->name_fds[1] = TAKE_FD(fds[LAUNCH_FD_DOMAINNAME]);
        host->maker_fd = TAKE_FD(fds[LAUNCH_FD_MAKER]);
        host->mqueue_fd = TAKE_FD(fds[LAUNCH_FD_MQUEUE]);
        host_unix_attach(host);
        return 0;
}

int host_seccomp_cpus(CpuSet *ret_allowed, uint32_t *ret_mask_size, uint32_t *ret_cpu_ids) {
        CpuSet set = {};
        long n;

        n = syscall(SYS_sched_getaffinity, 0, sizeof(set.words), set.words);
        if (n < 0)
                return -errno;
        *ret_allowed = set;
        *ret_mask_size = (uint32_t) n;

        /* The smallest mask that the host takes tells how many CPU numbers it has. */
        for (uint32_t size = sizeof(uint64_t); size <= sizeof(set.words); size += sizeof(uint64_t))
                if (syscall(SYS_sched_getaffinity, 0, size, set.words) >= 0) {
                        *ret_cpu_ids = (size - (uint32_t) sizeof(uint64_t)) * 8 + 1;
                        return 0;
                }
        return -EINVAL;
}
