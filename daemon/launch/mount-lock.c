/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Locks what was mounted, for sandboxes in which programs may mount. A mount namespace that another user namespace gets a
 * copy of has all its mounts locked there (mount_namespaces(7)): they can be unmounted, moved, made less strict or copied
 * without what lies on them by nobody, whatever capabilities he has. So a copy is made by a child in a user namespace of
 * its own, and we enter it. The sandbox stays in the user namespace that it had, which is above that one and has the
 * right to mount. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mounts-internal.h"
#include "util.h"

/* The lowest id that is given out when ids come around again: none that a program would miss. */
#define HELPER_PID 300

/* A child that shares our descriptors. The ids of the sandbox's processes should go on as if it had never been: an id
 * that was asked for does not count. */
static pid_t fork_helper(void) {
        const pid_t id = HELPER_PID;
        struct clone_args arguments = {
                .flags = CLONE_FILES,
                .exit_signal = SIGCHLD,
                .set_tid = (uint64_t) (uintptr_t) &id,
                .set_tid_size = 1,
        };
        long pid = -1;

        if (getpid() == 1)
                pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (pid < 0)
                pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
        return (pid_t) pid;
}

int mounts_lock(LaunchFailure *failure) {
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF, namespace = -EBADF;
        int fds[2], answer = -EIO;
        ssize_t n;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return failure_set(failure, errno, NULL, "cannot lock the mounts of the sandbox");
        read_fd = fds[0];
        write_fd = fds[1];

        pid = fork_helper();
        if (pid < 0)
                return failure_set(failure, errno, NULL, "cannot lock the mounts of the sandbox");
        if (pid == 0) {
                answer = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno :
                                                                    open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
                if (answer == -1)
                        answer = -errno;
                _exit(write(write_fd, &answer, sizeof(answer)) != sizeof(answer));
        }
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        /* It has written or it is dead: nothing is waited for here. */
        write_fd = safe_close(write_fd);
        n = read(read_fd, &answer, sizeof(answer));
        if (n != sizeof(answer))
                answer = -EIO;
        if (answer < 0)
                return failure_set(failure, answer,
                                   answer == -ENOSPC ? "See the sysctls user.max_user_namespaces and "
                                                       "user.max_mnt_namespaces; or set sentry.mounts to \"none\"."
                                                     : "Programs may mount nothing where this cannot be had: set "
                                                       "sentry.mounts to \"none\".",
                                   "cannot lock the mounts of the sandbox");
        namespace = answer;
        if (setns(namespace, CLONE_NEWNS) < 0)
                return failure_set(failure, errno, "Set sentry.mounts to \"none\".",
                                   "cannot enter the mount namespace that locks the mounts of the sandbox");
        return 0;
}
