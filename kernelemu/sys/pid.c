/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that name a task by the host's number and need no more of us than that it is one of the sandbox. The host
 * makes them. That the number is another's by then does not matter: they read what /proc shows to everybody (getpgid(2),
 * getsid(2)), take children of the caller only (setpgid(2)), or the host lets nobody through who is not in the task's
 * user namespace (the others). */

#include <errno.h>
#include <fcntl.h>

#include "kernel.h"
#include "sys/caller.h"

static Verdict check_member(Kernel *kernel, const Call *call, GuestPid pid) {
        HostPeer task;
        int r;

        if (pid == 0)
                return verdict_continue();
        r = caller_find(kernel, call, pid, &task);
        return r < 0 ? verdict_error(r) : verdict_continue();
}

static Verdict check_pidfd(Kernel *kernel, const Call *call, int32_t fd) {
        HostTid tid;
        int r;

        if (pidfd_is_self(fd))
                return verdict_continue();
        r = kernel->host->ops->pidfd_task(kernel->host, call, fd, &tid);
        return r < 0 ? verdict_error(r) : verdict_continue();
}

SYSCALL_DEFINE1(getpgid, GuestPid, pid) {
        return check_member(kernel, call, pid);
}

SYSCALL_DEFINE1(getsid, GuestPid, pid) {
        return check_member(kernel, call, pid);
}

SYSCALL_DEFINE1(get_robust_list, GuestPid, pid) {
        return check_member(kernel, call, pid);
}

SYSCALL_DEFINE1(migrate_pages, GuestPid, pid) {
        return check_member(kernel, call, pid);
}

SYSCALL_DEFINE1(move_pages, GuestPid, pid) {
        return check_member(kernel, call, pid);
}

SYSCALL_DEFINE2(kcmp, GuestPid, first, GuestPid, second) {
        HostPeer task;
        int r;

        r = caller_find(kernel, call, first, &task);
        if (r >= 0)
                r = caller_find(kernel, call, second, &task);
        return r < 0 ? verdict_error(r) : verdict_continue();
}

SYSCALL_DEFINE1(process_madvise, int32_t, fd) {
        return check_pidfd(kernel, call, fd);
}

SYSCALL_DEFINE1(process_mrelease, int32_t, fd) {
        return check_pidfd(kernel, call, fd);
}

typedef struct FindGroup {
        Kernel *kernel;
        HostTid group;
} FindGroup;

static int is_in_group(HostTid tid, void *userdata) {
        const FindGroup *find = userdata;
        HostPeer task;

        return find->kernel->host->ops->task_info(find->kernel->host, tid, &task) >= 0 && task.group == find->group;
}

/* A group is the sandbox's when one of its processes is in it: the others of such a group, the caller's shell say, are
 * not reached by what this sandbox sends to it. */
SYSCALL_DEFINE2(setpgid, GuestPid, pid, GuestPid, group) {
        FindGroup find = { .kernel = kernel, .group = group };
        HostPeer caller;
        int r;

        if (group < 0)
                return verdict_error(EINVAL);
        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (group != 0 && group != (pid == 0 ? caller.tgid : pid)) {
                r = kernel->host->ops->task_for_each(kernel->host, false, is_in_group, &find);
                if (r < 0)
                        return verdict_error(r);
                if (r == 0)
                        return verdict_error(EPERM);
        }
        return check_member(kernel, call, pid);
}

/* fcntl(F_SETOWN): who gets SIGIO, or whatever F_SETSIG says. Itself the caller may name, as almost all do. */
SYSCALL_DEFINE3(fcntl, int32_t, fd, uint32_t, command, uint64_t, argument) {
        HostPeer caller, task;
        int r;

        (void) fd;
        if (command != F_SETOWN && command != F_SETOWN_EX)
                return verdict_continue();
        if (command == F_SETOWN && (int32_t) argument == 0)
                return verdict_continue();

        r = caller_info(kernel, call, &caller);
        if (r < 0)
                return verdict_error(r);
        if (command == F_SETOWN && (int32_t) argument == caller.tgid)
                return verdict_continue();
        if (command == F_SETOWN && (int32_t) argument > 0) {
                r = caller_find(kernel, call, (GuestPid) argument, &task);
                if (r < 0)
                        return verdict_error(r);
        }
        return verdict_error(EPERM);
}
