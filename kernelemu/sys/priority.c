/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How tasks that go by the host's numbers are scheduled, and their limits: getpriority(2), ioprio_get(2),
 * sched_setattr(2), prlimit(2) and kin. Of the caller itself the host answers (most of those calls are not even
 * notified); for the others of the sandbox the call is made on behalf of the caller. What he may is the same: the user
 * is, and capabilities would have to be the host's. */

#include <errno.h>
#include <linux/sched/types.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "kernel.h"
#include "sys/caller.h"
#include "util/macros.h"

#define ATTR_SIZE_MAX 4096U /* a page, as in sched_setattr(2) */
#define ATTR_SIZE_MIN 48U   /* SCHED_ATTR_SIZE_VER0 */
#define IOPRIO_WHO_PROCESS 1

#ifndef RLIM_NLIMITS
#  define RLIM_NLIMITS 16
#endif

/* The task with this number, unless it is the caller, for whom the host answers: 0 then, 1 for others. */
static int find_other(Kernel *kernel, const Call *call, GuestPid pid, HostPeer *ret) {
        int r;

        if (pid == 0 || pid == call->tid)
                return 0;
        r = caller_find(kernel, call, pid, ret);
        return r < 0 ? r : 1;
}

/* What getpriority(2), setpriority(2), ioprio_get(2) and ioprio_set(2) have in common: one task, a process group, or
 * all of a user's. */
typedef struct Many {
        Kernel *kernel;
        HostTaskCall call;
        uint64_t argument;
        HostTid group;    /* 0: all */
        int64_t result;   /* -ESRCH at first */
} Many;

static int one_of_many(HostTid tid, void *userdata) {
        Many *many = userdata;
        const Host *host = many->kernel->host;
        HostPeer task;
        int64_t r;

        if (many->group != 0 &&
            (host->ops->task_info(many->kernel->host, tid, &task) < 0 || task.group != many->group))
                return 0;
        r = host->ops->task_call(many->kernel->host, tid, many->call, many->argument, NULL, NULL);
        if (r == -ESRCH)
                return 0;

        switch (many->call) {
        case HOST_GETPRIORITY: /* the one that is served best */
                if (many->result < r)
                        many->result = r;
                break;
        case HOST_IOPRIO_GET: /* so here, where less is better */
                if (r >= 0 && (many->result < 0 || r < many->result))
                        many->result = r;
                break;
        case HOST_IOPRIO_SET: /* the first failure ends it */
                many->result = r;
                return r < 0 ? 1 : 0;
        default: /* HOST_SETPRIORITY: all are tried, a failure stays */
                if (r < 0 || many->result == -ESRCH)
                        many->result = r;
        }
        return 0;
}

/* which counts from 0: process, group, user. */
static Verdict do_which(Kernel *kernel, const Call *call, int which, int32_t who, HostTaskCall kind,
                        uint64_t argument) {
        Many many = { .kernel = kernel, .call = kind, .argument = argument, .result = -ESRCH };
        HostPeer caller, task;
        int r;

        if (which == 0) {
                r = find_other(kernel, call, who, &task);
                if (r < 0)
                        return verdict_error(r);
                if (r == 0)
                        return verdict_continue();
                many.result = kernel->host->ops->task_call(kernel->host, task.tid, kind, argument, NULL, NULL);
                return many.result < 0 ? verdict_error((int) many.result) : verdict_value(many.result);
        }

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (which == 1)
                many.group = who == 0 ? caller.group : who;
        else if (who != 0 && (uint32_t) who != caller.uid) /* all tasks are of one user */
                return verdict_error(ESRCH);
        if (many.group < 0)
                return verdict_error(ESRCH);

        r = kernel->host->ops->task_for_each(kernel->host, true, one_of_many, &many);
        if (r < 0)
                return verdict_error(r);
        return many.result < 0 ? verdict_error((int) many.result) : verdict_value(many.result);
}

SYSCALL_DEFINE2(getpriority, int32_t, which, int32_t, who) {
        if (which < PRIO_PROCESS || which > PRIO_USER)
                return verdict_error(EINVAL);
        return do_which(kernel, call, which, who, HOST_GETPRIORITY, 0);
}

SYSCALL_DEFINE3(setpriority, int32_t, which, int32_t, who, int32_t, nice) {
        if (which < PRIO_PROCESS || which > PRIO_USER)
                return verdict_error(EINVAL);
        return do_which(kernel, call, which, who, HOST_SETPRIORITY, (uint64_t) (int64_t) nice);
}

SYSCALL_DEFINE2(ioprio_get, int32_t, which, int32_t, who) {
        if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_PROCESS + 2)
                return verdict_error(EINVAL);
        return do_which(kernel, call, which - IOPRIO_WHO_PROCESS, who, HOST_IOPRIO_GET, 0);
}

SYSCALL_DEFINE3(ioprio_set, int32_t, which, int32_t, who, int32_t, priority) {
        if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_PROCESS + 2)
                return verdict_error(EINVAL);
        return do_which(kernel, call, which - IOPRIO_WHO_PROCESS, who, HOST_IOPRIO_SET, (uint64_t) (int64_t) priority);
}

static Verdict do_call(Kernel *kernel, HostTid tid, HostTaskCall kind, uint64_t argument, const void *in, void *out) {
        int64_t r = kernel->host->ops->task_call(kernel->host, tid, kind, argument, in, out);

        return r < 0 ? verdict_error((int) r) : verdict_value(r);
}

/* A result that is copied to the caller. */
static Verdict do_read(Kernel *kernel, const Call *call, HostTid tid, HostTaskCall kind, GuestAddr address,
                       void *buffer, size_t size) {
        Verdict verdict = do_call(kernel, tid, kind, 0, NULL, buffer);
        int r;

        if (verdict.kind != VERDICT_VALUE)
                return verdict;
        r = kernel->host->ops->memory_write(kernel->host, call, address, buffer, size);
        return r < 0 ? verdict_error(r) : verdict;
}

SYSCALL_DEFINE1(sched_getscheduler, GuestPid, pid) {
        HostPeer task;
        int r;

        if (pid < 0)
                return verdict_error(EINVAL);
        r = find_other(kernel, call, pid, &task);
        if (r <= 0)
                return r < 0 ? verdict_error(r) : verdict_continue();
        return do_call(kernel, task.tid, HOST_SCHED_GETSCHEDULER, 0, NULL, NULL);
}

static Verdict set_scheduler(Kernel *kernel, const Call *call, GuestPid pid, HostTaskCall kind, int32_t policy,
                             GuestAddr address) {
        struct sched_param param;
        HostPeer task;
        int r;

        if (pid < 0 || address == 0)
                return verdict_error(EINVAL);
        if (pid == 0 || pid == call->tid)
                return verdict_continue();
        r = kernel->host->ops->memory_read(kernel->host, call, address, &param, sizeof(param));
        if (r >= 0)
                r = find_other(kernel, call, pid, &task);
        if (r < 0)
                return verdict_error(r);
        return do_call(kernel, task.tid, kind, (uint64_t) (int64_t) policy, &param, NULL);
}

SYSCALL_DEFINE3(sched_setscheduler, GuestPid, pid, int32_t, policy, GuestAddr, address) {
        if (policy < 0)
                return verdict_error(EINVAL);
        return set_scheduler(kernel, call, pid, HOST_SCHED_SETSCHEDULER, policy, address);
}

SYSCALL_DEFINE2(sched_setparam, GuestPid, pid, GuestAddr, address) {
        return set_scheduler(kernel, call, pid, HOST_SCHED_SETPARAM, 0, address);
}

SYSCALL_DEFINE2(sched_getparam, GuestPid, pid, GuestAddr, address) {
        struct sched_param param;
        HostPeer task;
        int r;

        if (pid < 0 || address == 0)
                return verdict_error(EINVAL);
        r = find_other(kernel, call, pid, &task);
        if (r <= 0)
                return r < 0 ? verdict_error(r) : verdict_continue();
        return do_read(kernel, call, task.tid, HOST_SCHED_GETPARAM, address, &param, sizeof(param));
}

SYSCALL_DEFINE2(sched_rr_get_interval, GuestPid, pid, GuestAddr, address) {
        struct timespec interval;
        HostPeer task;
        int r;

        if (pid < 0)
                return verdict_error(EINVAL);
        r = find_other(kernel, call, pid, &task);
        if (r <= 0)
                return r < 0 ? verdict_error(r) : verdict_continue();
        return do_read(kernel, call, task.tid, HOST_SCHED_RR_INTERVAL, address, &interval, sizeof(interval));
}

SYSCALL_DEFINE4(sched_getattr, GuestPid, pid, GuestAddr, address, uint32_t, size, uint32_t, flags) {
        uint8_t attr[ATTR_SIZE_MAX];
        Verdict verdict;
        uint32_t filled;
        HostPeer task;
        int r;

        if (address == 0 || pid < 0 || size > ATTR_SIZE_MAX || size < ATTR_SIZE_MIN || flags != 0)
                return verdict_error(EINVAL);
        r = find_other(kernel, call, pid, &task);
        if (r <= 0)
                return r < 0 ? verdict_error(r) : verdict_continue();

        verdict = do_call(kernel, task.tid, HOST_SCHED_GETATTR, size, NULL, attr);
        if (verdict.kind != VERDICT_VALUE)
                return verdict;
        memcpy(&filled, attr, sizeof(filled));
        r = kernel->host->ops->memory_write(kernel->host, call, address, attr, MIN2(filled, size));
        return r < 0 ? verdict_error(r) : verdict;
}

SYSCALL_DEFINE3(sched_setattr, GuestPid, pid, GuestAddr, address, uint32_t, flags) {
        uint8_t attr[ATTR_SIZE_MAX];
        Verdict verdict;
        HostPeer task;
        uint32_t size;
        int r;

        if (address == 0 || pid < 0 || flags != 0)
                return verdict_error(EINVAL);
        if (pid == 0 || pid == call->tid)
                return verdict_continue();

        r = kernel->host->ops->memory_read(kernel->host, call, address, &size, sizeof(size));
        if (r < 0)
                return verdict_error(r);
        if (size == 0)
                size = ATTR_SIZE_MIN;
        if (size < ATTR_SIZE_MIN || size > ATTR_SIZE_MAX) {
                size = sizeof(struct sched_attr);
                r = kernel->host->ops->memory_write(kernel->host, call, address, &size, sizeof(size));
                return verdict_error(r < 0 ? r : -E2BIG);
        }
        r = kernel->host->ops->memory_read(kernel->host, call, address, attr, size);
        if (r >= 0)
                r = find_other(kernel, call, pid, &task);
        if (r < 0)
                return verdict_error(r);

        memcpy(attr, &size, sizeof(size)); /* it may have changed between the two reads */
        verdict = do_call(kernel, task.tid, HOST_SCHED_SETATTR, 0, NULL, attr);
        if (verdict.kind == VERDICT_ERROR && verdict.value == E2BIG)
                (void) kernel->host->ops->memory_write(kernel->host, call, address, attr, sizeof(size));
        return verdict;
}

SYSCALL_DEFINE4(prlimit64, GuestPid, pid, uint32_t, resource, GuestAddr, new_address, GuestAddr, old_address) {
        struct rlimit new, old;
        HostPeer task, caller;
        Verdict verdict;
        int r;

        if (pid == 0 || pid == call->tid)
                return verdict_continue();
        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (pid == caller.tgid)
                return verdict_continue(); /* limits are the process's */

        if (resource >= RLIM_NLIMITS)
                return verdict_error(EINVAL);
        if (new_address != 0) {
                r = kernel->host->ops->memory_read(kernel->host, call, new_address, &new, sizeof(new));
                if (r < 0)
                        return verdict_error(r);
        }
        r = find_other(kernel, call, pid, &task);
        if (r < 0)
                return verdict_error(r);
        verdict = do_call(kernel, task.tid, HOST_PRLIMIT, resource, new_address != 0 ? &new : NULL,
                          old_address != 0 ? &old : NULL);
        if (verdict.kind != VERDICT_VALUE || old_address == 0)
                return verdict;
        r = kernel->host->ops->memory_write(kernel->host, call, old_address, &old, sizeof(old));
        return r < 0 ? verdict_error(r) : verdict;
}
