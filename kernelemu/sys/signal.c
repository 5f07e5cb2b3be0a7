/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signals, where tasks go by the host's numbers: kill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_open(2),
 * pidfd_send_signal(2). Who is not of the sandbox does not exist.
 *
 * The host makes the call only where nobody else can be meant, that is, for the caller's own process: a number that
 * was checked may have been given to another when the host looks it up. All others get their signal from us, with a
 * siginfo that names the caller. Its si_code is SI_QUEUE, because nobody may claim to be another with SI_USER. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "kernel.h"
#include "sys/caller.h"
#include "util/macros.h"

#define SIGNAL_MAX 64
#define PID_MAX (4U * 1024 * 1024) /* PID_MAX_LIMIT */
#define SWEEPS_MAX 64U

/* <linux/pidfd.h>; flags of pidfd_send_signal(2) since Linux 6.9. */
#define PIDFD_SEND_THREAD 1U
#define PIDFD_SEND_THREAD_GROUP 2U
#define PIDFD_SEND_PROCESS_GROUP 4U

static bool is_signal(int32_t signo) {
        return signo >= 0 && signo <= SIGNAL_MAX;
}

static AbiSiginfo siginfo_of(const HostPeer *caller, int32_t signo) {
        return (AbiSiginfo) { .signo = signo, .code = SI_QUEUE, .pid = caller->tgid, .uid = caller->uid };
}

/* As kill(2) sends: what finds no room in the queue arrives all the same, without its siginfo. */
static int send_plain(Kernel *kernel, const HostPeer *caller, HostTid tid, HostSignalTarget target, int32_t signo) {
        AbiSiginfo info = siginfo_of(caller, signo);
        int r;

        r = kernel->host->ops->task_signal(kernel->host, tid, target, signo, signo == 0 ? NULL : &info);
        if (r == -EAGAIN)
                r = kernel->host->ops->task_signal(kernel->host, tid, target, signo, NULL);
        return r;
}

/* A signal to many: one process group, or all but the caller. */
typedef struct Sweep {
        Kernel *kernel;
        const HostPeer *caller;
        const AbiSiginfo *info; /* NULL: plain */
        HostTid group;          /* 0: all */
        int32_t signo;
        uint8_t *seen;          /* bit per number */
        unsigned n_new, n_sent;
        int error;              /* the last */
} Sweep;

static int sweep_one(HostTid tid, void *userdata) {
        Sweep *sweep = userdata;
        Host *host = sweep->kernel->host;
        HostPeer task;
        int r;

        if (tid <= 0 || (unsigned) tid >= PID_MAX || (sweep->seen[tid / 8] & (1U << tid % 8)))
                return 0;
        if (sweep->group == 0 ? tid == sweep->caller->tgid :
                                host->ops->task_info(host, tid, &task) < 0 || task.group != sweep->group)
                return 0;

        sweep->seen[tid / 8] |= (uint8_t) (1U << tid % 8);
        r = sweep->info ? host->ops->task_signal(host, tid, HOST_SIGNAL_PROCESS, sweep->signo, sweep->info) :
                          send_plain(sweep->kernel, sweep->caller, tid, HOST_SIGNAL_PROCESS, sweep->signo);
        if (r == -ESRCH)
                return 0; /* gone meanwhile: it never was */
        sweep->n_new++;
        if (r < 0)
                sweep->error = r;
        else
                sweep->n_sent++;
        return 0;
}

/* Goes on until a look at all of them finds no new one: who forks while we look must not get away. */
static Verdict send_many(Kernel *kernel, const HostPeer *caller, HostTid group, int32_t signo,
                         const AbiSiginfo *info) {
        Sweep sweep = { .kernel = kernel, .caller = caller, .group = group, .signo = signo, .info = info };
        int r = 0;

        if (!is_signal(signo) && group != 0) {
                /* Only a group that is there has an opinion on the number. */
                sweep.signo = 0;
                sweep.info = NULL;
        } else if (!is_signal(signo))
                return verdict_error(EINVAL);

        sweep.seen = calloc(1, PID_MAX / 8);
        if (!sweep.seen)
                return verdict_error(ENOMEM);
        for (unsigned i = 0; i < SWEEPS_MAX; i++) {
                sweep.n_new = 0;
                r = kernel->host->ops->task_for_each(kernel->host, false, sweep_one, &sweep);
                if (r < 0 || sweep.n_new == 0 || sweep.signo == 0)
                        break;
        }
        free(sweep.seen);

        if (r < 0)
                return verdict_error(r);
        if (sweep.n_sent == 0)
                return verdict_error(sweep.error < 0 ? sweep.error : -ESRCH);
        return is_signal(signo) ? verdict_value(0) : verdict_error(EINVAL);
}

SYSCALL_DEFINE2(kill, GuestPid, pid, int32_t, signo) {
        HostPeer caller, task;
        int r;

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (pid == caller.tgid || pid == caller.tid)
                return verdict_continue();
        if (pid == INT32_MIN)
                return verdict_error(ESRCH);
        if (pid == 0)
                return send_many(kernel, &caller, caller.group, signo, NULL);
        if (pid < 0)
                return send_many(kernel, &caller, pid == -1 ? 0 : -pid, signo, NULL);

        r = caller_find(kernel, call, pid, &task);
        if (r >= 0 && !is_signal(signo))
                r = -EINVAL;
        if (r >= 0)
                r = send_plain(kernel, &caller, task.tgid, HOST_SIGNAL_PROCESS, signo);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE2(tkill, GuestPid, tid, int32_t, signo) {
        HostPeer caller, task;
        int r;

        if (tid <= 0)
                return verdict_error(EINVAL);
        if (tid == call->tid)
                return verdict_continue();

        r = caller_info(kernel, call, &caller);
        if (r >= 0)
                r = caller_find(kernel, call, tid, &task);
        if (r >= 0 && !is_signal(signo))
                r = -EINVAL;
        if (r >= 0)
                r = send_plain(kernel, &caller, task.tid, HOST_SIGNAL_THREAD, signo);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

/* The thread tid of process tgid. */
static int find_thread(Kernel *kernel, const Call *call, GuestPid tgid, GuestPid tid, HostPeer *ret) {
        int r;

        r = caller_find(kernel, call, tid, ret);
        if (r < 0)
                return r;
        return ret->tgid == tgid ? 0 : -ESRCH;
}

SYSCALL_DEFINE3(tgkill, GuestPid, tgid, GuestPid, tid, int32_t, signo) {
        HostPeer caller, task;
        int r;

        if (tgid <= 0 || tid <= 0)
                return verdict_error(EINVAL);
        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (tgid == caller.tgid) /* whichever thread it is by then, it is one of the caller's process */
                return verdict_continue();

        r = find_thread(kernel, call, tgid, tid, &task);
        if (r >= 0 && !is_signal(signo))
                r = -EINVAL;
        if (r >= 0)
                r = send_plain(kernel, &caller, task.tid, HOST_SIGNAL_THREAD, signo);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

/* The siginfo of a call to another than the caller; rt_sigqueueinfo(2): nobody may look like the kernel or like one
 * who used kill(2) or tgkill(2). */
static int read_siginfo(Kernel *kernel, const Call *call, GuestAddr address, int32_t signo, AbiSiginfo *ret) {
        int r;

        r = kernel->host->ops->memory_read(kernel->host, call, address, ret, sizeof(*ret));
        if (r < 0)
                return r;
        ret->signo = signo;
        return ret->code >= 0 || ret->code == SI_TKILL ? -EPERM : 0;
}

SYSCALL_DEFINE3(rt_sigqueueinfo, GuestPid, pid, int32_t, signo, GuestAddr, address) {
        HostPeer caller, task;
        AbiSiginfo info;
        int r;

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (pid == caller.tgid || pid == caller.tid)
                return verdict_continue(); /* the rules for siginfo are the host's, whatever it reads there */

        r = read_siginfo(kernel, call, address, signo, &info);
        if (r >= 0)
                r = caller_find(kernel, call, pid, &task);
        if (r >= 0 && !is_signal(signo))
                r = -EINVAL;
        if (r >= 0)
                r = kernel->host->ops->task_signal(kernel->host, task.tgid, HOST_SIGNAL_PROCESS, signo, &info);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE4(rt_tgsigqueueinfo, GuestPid, tgid, GuestPid, tid, int32_t, signo, GuestAddr, address) {
        HostPeer caller, task;
        AbiSiginfo info;
        int r;

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (tgid == caller.tgid)
                return verdict_continue();

        r = read_siginfo(kernel, call, address, signo, &info);
        if (r == -EFAULT)
                return verdict_error(r);
        if (tgid <= 0 || tid <= 0)
                return verdict_error(EINVAL);
        if (r >= 0)
                r = find_thread(kernel, call, tgid, tid, &task);
        if (r >= 0 && !is_signal(signo))
                r = -EINVAL;
        if (r >= 0)
                r = kernel->host->ops->task_signal(kernel->host, task.tid, HOST_SIGNAL_THREAD, signo, &info);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE2(pidfd_open, GuestPid, pid, uint32_t, flags) {
        HostPeer task;
        int r;

        if (pid <= 0 || (flags & ~(PIDFD_OPEN_NONBLOCK | PIDFD_OPEN_THREAD)))
                return verdict_error(EINVAL);
        r = caller_find(kernel, call, pid, &task);
        if (r >= 0)
                r = kernel->host->ops->task_pidfd(kernel->host, task.tid, flags);
        return r < 0 ? verdict_error(r) : verdict_fd(r, PIDFD_CLOEXEC);
}

SYSCALL_DEFINE4(pidfd_send_signal, int32_t, fd, int32_t, signo, GuestAddr, address, uint32_t, flags) {
        HostSignalTarget target = HOST_SIGNAL_DEFAULT;
        const Host *host = kernel->host;
        HostPeer caller;
        AbiSiginfo info;
        HostTid tid;
        int r;

        if (flags == PIDFD_SEND_THREAD)
                target = HOST_SIGNAL_THREAD;
        else if (flags == PIDFD_SEND_THREAD_GROUP)
                target = HOST_SIGNAL_PROCESS;
        else if (flags != 0 && flags != PIDFD_SEND_PROCESS_GROUP)
                return verdict_error(EINVAL);
        if (pidfd_is_self(fd) && flags != PIDFD_SEND_PROCESS_GROUP)
                return verdict_continue();

        r = caller_info(kernel, call, &caller);
        if (r >= 0 && pidfd_is_self(fd))
                tid = caller.tgid;
        else if (r >= 0)
                r = host->ops->pidfd_task(kernel->host, call, fd, &tid);
        if (r < 0)
                return verdict_error(r);

        if (address != 0) {
                r = host->ops->memory_read(kernel->host, call, address, &info, sizeof(info));
                if (r >= 0 && info.signo != signo)
                        r = -EINVAL;
                if (r >= 0 && (info.code >= 0 || info.code == SI_TKILL))
                        r = -EPERM;
                if (r < 0)
                        return verdict_error(r);
        } else
                info = siginfo_of(&caller, signo);

        if (flags == PIDFD_SEND_PROCESS_GROUP)
                return send_many(kernel, &caller, tid, signo, address != 0 ? &info : NULL);
        if (!is_signal(signo))
                return verdict_error(EINVAL);

        r = host->ops->pidfd_signal(kernel->host, call, fd, target, signo, signo == 0 ? NULL : &info);
        if (r == -EAGAIN && address == 0)
                r = host->ops->pidfd_signal(kernel->host, call, fd, target, signo, NULL);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}
