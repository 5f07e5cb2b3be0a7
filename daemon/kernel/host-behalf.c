/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's side of what one task of a sandbox does to another: what is to be known of it, and acting on behalf. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "host-behalf.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

#ifndef SYS_pidfd_getfd
#  define SYS_pidfd_getfd 438
#endif

/* <linux/pidfd.h>, since Linux 6.9 */
#ifndef PIDFD_THREAD
#  define PIDFD_THREAD O_EXCL
#endif
#ifndef PIDFD_SIGNAL_THREAD
#  define PIDFD_SIGNAL_THREAD (1U << 0)
#  define PIDFD_SIGNAL_THREAD_GROUP (1U << 1)
#endif

static const char *field(const char *text, const char *key) {
        const char *p = strstr(text, key);

        return p ? p + strlen(key) : NULL;
}

int host_task_info(Host *host, HostTid tid, HostPeer *ret) {
        _cleanup_free_ char *status = NULL, *stat = NULL;
        HostPeer task = { .tid = tid };
        const char *p;
        char path[64];
        int r;

        (void) host;
        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/status", tid);
        r = read_full_file(path, 65536, &status, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : host_error_to_guest(r);
        if (!(p = field(status, "\nTgid:")) || sscanf(p, "%" SCNd32, &task.tgid) != 1 ||
            !(p = field(status, "\nPPid:")) || sscanf(p, "%" SCNd32, &task.parent) != 1 ||
            !(p = field(status, "\nTracerPid:")) || sscanf(p, "%" SCNd32, &task.tracer) != 1 ||
            !(p = field(status, "\nUid:")) || sscanf(p, "%" SCNu32, &task.uid) != 1 ||
            !(p = field(status, "\nCapEff:")) || sscanf(p, "%" SCNx64, &task.capabilities) != 1)
                return -EIO;

        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", task.tgid);
        r = read_full_file(path, 4096, &stat, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : host_error_to_guest(r);
        /* The name may hold anything, also blanks and parentheses. */
        p = strrchr(stat, ')');
        if (!p || sscanf(p + 1, " %*c %*d %" SCNd32 " %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                                "%*d %" SCNu64, &task.group, &task.start) != 2)
                return -EIO;

        *ret = task;
        return 0;
}

typedef struct Visit {
        int (*function)(HostTid tid, void *userdata);
        void *userdata;
        bool threads;
} Visit;

static int visit_one(pid_t pid, void *userdata) {
        const Visit *visit = userdata;

        return visit->threads ? task_for_each_thread(pid, visit->function, visit->userdata) :
                                visit->function(pid, visit->userdata);
}

int host_task_for_each(Host *host, bool threads, int (*function)(HostTid tid, void *userdata), void *userdata) {
        Visit visit = { .function = function, .userdata = userdata, .threads = threads };

        return tasks_for_each(host_seccomp_of(host), visit_one, &visit);
}

/* A pidfd of a task of the sandbox. First it is opened and then looked at: should the number be somebody else's by
 * now, it is the pidfd of one who is dead, and of no use. -EINVAL: this kernel has none for threads. */
static int open_member(const HostSeccomp *host, HostTid tid, unsigned flags) {
        _cleanup_close_ int fd = -EBADF;

        fd = (int) syscall(SYS_pidfd_open, tid, flags);
        if (fd < 0)
                return -errno;
        if (!host_seccomp_owns(host, tid))
                return -ESRCH;
        return TAKE_FD(fd);
}

static int send(int pidfd, int signo, const AbiSiginfo *info, unsigned flags) {
        AbiSiginfo copy; /* the wrapper's parameter is not const */

        if (info)
                copy = *info;
        return syscall(SYS_pidfd_send_signal, pidfd, signo, info ? &copy : NULL, flags) < 0 ? -errno : 0;
}

/* Before Linux 6.9 there are no pidfds of threads. A thread's number can only be another's when that of its process is
 * too, which a pidfd of the process tells right before. */
static int signal_thread_by_number(const HostSeccomp *host, HostTid tid, int signo, const AbiSiginfo *info) {
        _cleanup_close_ int fd = -EBADF;
        AbiSiginfo copy;
        HostPeer task;
        long n;
        int r;

        r = host_task_info((Host *) &host->host, tid, &task);
        if (r < 0)
                return r;
        fd = open_member(host, task.tgid, 0);
        if (fd < 0)
                return fd;
        r = send(fd, 0, NULL, 0);
        if (r < 0)
                return r;
        if (info) {
                copy = *info;
                n = syscall(SYS_rt_tgsigqueueinfo, task.tgid, tid, signo, &copy);
        } else
                n = syscall(SYS_tgkill, task.tgid, tid, signo);
        return n < 0 ? -errno : 0;
}

int host_task_signal(Host *host, HostTid tid, HostSignalTarget target, int signo, const AbiSiginfo *info) {
        _cleanup_close_ int fd = -EBADF;
        const HostSeccomp *h = host_seccomp_of(host);
        Notifier *notifier = &h->sentry->notifier;
        int r;

        fd = open_member(h, tid, target == HOST_SIGNAL_THREAD ? PIDFD_THREAD : 0);
        if (fd < 0 && !(target == HOST_SIGNAL_THREAD && fd == -EINVAL))
                return host_error_to_guest(fd);
        if (!notifier_act(notifier, tid))
                return 0;
        /* Without flags it goes to what the pidfd is for. */
        r = fd < 0 ? signal_thread_by_number(h, tid, signo, info) : send(fd, signo, info, 0);
        if (r < 0)
                notifier_act_undone(notifier);
        return host_error_to_guest(r);
}

int host_task_pidfd(Host *host, HostTid tid, uint32_t flags) {
        int fd = open_member(host_seccomp_of(host), tid, flags);

        return fd < 0 ? host_error_to_guest(fd) : fd;
}

/* A copy of a pidfd of the caller, and whom it is for. What its number means to the caller may change meanwhile, the
 * copy does not. */
static int copy_pidfd(HostSeccomp *host, const Call *call, int32_t number, int *ret_fd, HostTid *ret_tid) {
        _cleanup_close_ int process = -EBADF, fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        const char *p;
        char path[64];
        HostPeer task;
        int pid, r;

        if (number < 0)
                return -EBADF;
        r = host_task_info(&host->host, call->tid, &task);
        if (r < 0)
                return r;
        process = (int) syscall(SYS_pidfd_open, task.tgid, 0);
        if (process < 0)
                return -errno;
        if (!notifier_call_is_valid(&host->sentry->notifier, call))
                return -ESRCH;
        fd = (int) syscall(SYS_pidfd_getfd, process, number, 0);
        if (fd < 0)
                return -errno;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        r = read_full_file(path, 4096, &text, NULL);
        if (r < 0)
                return r;
        if (!(p = field(text, "\nPid:")) || sscanf(p, "%d", &pid) != 1)
                return -EBADF;
        if (pid <= 0 || !host_seccomp_owns(host, pid))
                return -ESRCH; /* -1: it is gone */

        *ret_fd = TAKE_FD(fd);
        *ret_tid = pid;
        return 0;
}

int host_pidfd_task(Host *host, const Call *call, int32_t number, HostTid *ret) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = copy_pidfd(host_seccomp_of(host), call, number, &fd, ret);
        return r < 0 ? host_error_to_guest(r) : 0;
}

int host_pidfd_signal(Host *host, const Call *call, int32_t number, HostSignalTarget target, int signo,
                      const AbiSiginfo *info) {
        static const unsigned flags[_HOST_SIGNAL_TARGET_MAX] = {
                [HOST_SIGNAL_THREAD] = PIDFD_SIGNAL_THREAD,
                [HOST_SIGNAL_PROCESS] = PIDFD_SIGNAL_THREAD_GROUP,
        };
        Notifier *notifier = &host_seccomp_of(host)->sentry->notifier;
        _cleanup_close_ int fd = -EBADF;
        HostTid tid;
        int r;

        r = copy_pidfd(host_seccomp_of(host), call, number, &fd, &tid);
        if (r >= 0 && notifier_act(notifier, tid)) {
                r = send(fd, signo, info, flags[target]);
                if (r < 0)
                        notifier_act_undone(notifier);
        }
        return r < 0 ? host_error_to_guest(r) : 0;
}

static long make_call(HostTid tid, HostTaskCall call, uint64_t argument, const void *in, void *out) {
        switch (call) {
        case HOST_GETPRIORITY:
                return syscall(SYS_getpriority, PRIO_PROCESS, tid);
        case HOST_SETPRIORITY:
                return syscall(SYS_setpriority, PRIO_PROCESS, tid, (int) argument);
        case HOST_IOPRIO_GET:
                return syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, tid);
        case HOST_IOPRIO_SET:
                return syscall(SYS_ioprio_set, 1, tid, (int) argument);
        case HOST_SCHED_GETSCHEDULER:
                return syscall(SYS_sched_getscheduler, tid);
        case HOST_SCHED_SETSCHEDULER:
                return syscall(SYS_sched_setscheduler, tid, (int) argument, in);
        case HOST_SCHED_GETPARAM:
                return syscall(SYS_sched_getparam, tid, out);
        case HOST_SCHED_SETPARAM:
                return syscall(SYS_sched_setparam, tid, in);
        case HOST_SCHED_GETATTR:
                return syscall(SYS_sched_getattr, tid, out, (unsigned) argument, 0);
        case HOST_SCHED_SETATTR:
                return syscall(SYS_sched_setattr, tid, out, 0);
        case HOST_SCHED_RR_INTERVAL:
                return syscall(SYS_sched_rr_get_interval, tid, out);
        case HOST_PRLIMIT:
                return syscall(SYS_prlimit64, tid, (unsigned) argument, in, out);
        case _HOST_TASK_CALL_MAX:
                break;
        }
        errno = ENOSYS;
        return -1;
}

/* These calls take numbers only. That it is the right one is looked at right before. */
int64_t host_task_call(Host *host, HostTid tid, HostTaskCall call, uint64_t argument, const void *in, void *out) {
        long r;

        if (!host_seccomp_owns(host_seccomp_of(host), tid))
                return -ESRCH;
        r = make_call(tid, call, argument, in, out);
        return r < 0 ? host_error_to_guest(-errno) : r;
}

bool host_has_ptrace_scope(Host *host) {
        (void) host;
        return access("/proc/sys/kernel/yama/ptrace_scope", F_OK) >= 0;
}
