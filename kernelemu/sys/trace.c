/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looking into other processes: ptrace(2), process_vm_readv(2), pidfd_getfd(2) and prctl(PR_SET_PTRACER), by the scope
 * of the sandbox.
 *
 * What is allowed here the host does. By then the number may mean another task; but whichever that is, the host asks
 * for the same user namespace or a capability over it, which nobody in here has: it can only be another one of the
 * sandbox. Those who would go to such lengths to get around the scope harm themselves. */

#include <errno.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>

#include "kernel.h"
#include "sys/caller.h"

/* Whether the caller may attach to the task with this number. */
static Verdict check_attach(Kernel *kernel, const Call *call, GuestPid pid) {
        HostPeer caller, task;
        int r;

        r = caller_find(kernel, call, pid, &task);
        if (r >= 0)
                r = caller_info(kernel, call, &caller);
        if (r >= 0)
                r = ptrace_may_attach(kernel, &caller, &task);
        return r < 0 ? verdict_error(r) : verdict_continue();
}

SYSCALL_DEFINE4(ptrace, int64_t, request, GuestPid, pid, uint64_t, address, uint64_t, data) {
        HostPeer caller, parent;
        int r;

        (void) data;
        switch (request) {
        case PTRACE_TRACEME:
                r = caller_info(kernel, call, &caller);
                if (r >= 0)
                        r = kernel->host->ops->task_info(kernel->host, caller.parent, &parent);
                if (r < 0)
                        parent = (HostPeer) {}; /* out of sight: has no capability that counts here */
                r = ptrace_may_traceme(kernel, &parent);
                return r < 0 ? verdict_error(r) : verdict_continue();
        case PTRACE_SEIZE:
                if (address != 0)
                        return verdict_continue(); /* EIO, before anything else */
                return check_attach(kernel, call, pid);
        case PTRACE_ATTACH:
                return check_attach(kernel, call, pid);
        default:
                return verdict_continue(); /* on tracees only, which were checked when they became that */
        }
}

static Verdict check_vm(Kernel *kernel, const Call *call, GuestPid pid, uint64_t n_local, uint64_t n_remote,
                        uint64_t flags) {
        if (n_local == 0 || n_remote == 0 || flags != 0)
                return verdict_continue(); /* nothing to do, or wrong: nobody is looked for */
        return check_attach(kernel, call, pid);
}

SYSCALL_DEFINE6(process_vm_readv, GuestPid, pid, GuestAddr, local, uint64_t, n_local, GuestAddr, remote,
                uint64_t, n_remote, uint64_t, flags) {
        (void) local, (void) remote;
        return check_vm(kernel, call, pid, n_local, n_remote, flags);
}

SYSCALL_DEFINE6(process_vm_writev, GuestPid, pid, GuestAddr, local, uint64_t, n_local, GuestAddr, remote,
                uint64_t, n_remote, uint64_t, flags) {
        (void) local, (void) remote;
        return check_vm(kernel, call, pid, n_local, n_remote, flags);
}

SYSCALL_DEFINE3(pidfd_getfd, int32_t, fd, int32_t, target, uint32_t, flags) {
        HostPeer caller, task;
        HostTid tid;
        int r;

        (void) target;
        if (flags != 0 || pidfd_is_self(fd))
                return verdict_continue();
        r = kernel->host->ops->pidfd_task(kernel->host, call, fd, &tid);
        if (r >= 0)
                r = kernel->host->ops->task_info(kernel->host, tid, &task);
        if (r >= 0)
                r = caller_info(kernel, call, &caller);
        if (r >= 0)
                r = ptrace_may_attach(kernel, &caller, &task);
        return r < 0 ? verdict_error(r) : verdict_continue();
}

/* prctl(PR_SET_PTRACER); the others are native. */
SYSCALL_DEFINE2(prctl, int32_t, option, uint64_t, pid) {
        HostPeer caller, tracer;
        int r;

        if (option != PR_SET_PTRACER)
                return verdict_continue();

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (pid == 0) {
                ptrace_exception_clear(kernel, &caller);
                r = 0;
        } else if ((int32_t) pid == -1)
                r = ptrace_exception_set(kernel, &caller, NULL);
        else {
                r = caller_find(kernel, call, (GuestPid) pid, &tracer);
                r = r == -ESRCH ? -EINVAL : r;
                if (r >= 0)
                        r = ptrace_exception_set(kernel, &caller, &tracer);
        }
        if (r < 0)
                return verdict_error(r);
        /* The host's scope holds too. It gives nobody a right but over the caller, so a number that is another's by
         * then does no harm to others. */
        return kernel->host->ops->has_ptrace_scope(kernel->host) ? verdict_continue() : verdict_value(0);
}
