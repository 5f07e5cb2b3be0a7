/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The order of things, in the process that was asked to run a program and waits for it. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "child.h"
#include "failure.h"
#include "filter.h"
#include "isolate.h"
#include "launch.h"
#include "program.h"
#include "socket-maker.h"
#include "syscall.h"
#include "uplink.h"
#include "util.h"
#include "wait.h"

#ifndef SYS_pidfd_open
#  define SYS_pidfd_open 434
#endif

#ifdef HAVE_SANITIZERS
/* The search for leaks at exit starts a thread that ptraces this process. Once that has a PID namespace for its
 * children and is not dumpable, it can do neither. */
static bool launched;

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
        return launched;
}
#endif

/* What the parent needs to see the launch through. */
typedef struct Launch {
        const LaunchRequest *request;
        LaunchFailure failure;
        char *caller_cwd;                            /* owned */
        LaunchCgroup cgroup;
        Uplink uplink;
        SocketMaker maker;
        int signal_fd;
        int status_fds[2];                           /* pipe: child writes */
        int init_fd;                                 /* sentry-init or sentry-stub, or -EBADF */
        int filter_fds[2];                           /* socket pair: child reads from the first */
        Bounds bounds;                               /* PROFILE_USERS_HOST: that the program keeps */
        sigset_t old_mask;
        struct sigaction old_child_action;
        bool signals_taken;
} Launch;

static void launch_done(Launch *launch) {
        cgroup_done(&launch->cgroup);
        uplink_done(&launch->uplink);
        socket_maker_done(&launch->maker);
        free(launch->caller_cwd);
        safe_close(launch->signal_fd);
        safe_close(launch->init_fd);
        for (size_t i = 0; i < 2; i++) {
                safe_close(launch->status_fds[i]);
                safe_close(launch->filter_fds[i]);
        }
        if (launch->signals_taken) {
                (void) sigaction(SIGCHLD, &launch->old_child_action, NULL);
                (void) sigprocmask(SIG_SETMASK, &launch->old_mask, NULL);
        }
}

static int close_on_exec(int fd) {
        if (fd < 0)
                return 0;
        return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* Signals are read from a descriptor from here on; the child gets back what it would have inherited. An ignored
 * SIGCHLD would let children vanish without a status. */
static int take_signals(Launch *launch) {
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t all;

        sigfillset(&all);
        if (sigprocmask(SIG_SETMASK, &all, &launch->old_mask) < 0)
                return -errno;
        if (sigaction(SIGCHLD, &action, &launch->old_child_action) < 0) {
                int error = errno;

                (void) sigprocmask(SIG_SETMASK, &launch->old_mask, NULL);
                return -error;
        }
        launch->signals_taken = true;

        launch->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
        return launch->signal_fd < 0 ? -errno : 0;
}

/* A sandbox has one user and one group, if it has no range of them. */
static int check_user(const LaunchRequest *request, LaunchFailure *failure) {
        char hint[200];

        /* Where there are more, the kernel tells whether these are among them. */
        if (request->profile->users != PROFILE_USERS_SINGLE)
                return 0;
        if ((request->uid < 0 || request->uid == geteuid()) && (request->gid < 0 || request->gid == getegid()))
                return 0;

        (void) snprintf(hint, sizeof(hint), "It has one user and one group, %u:%u: leave --user out, or use these.",
                        geteuid(), getegid());
        if (request->gid < 0)
                return failure_set(failure, 0, hint, "the sandbox has no user %jd", (intmax_t) request->uid);
        return failure_set(failure, 0, hint, "the sandbox has no user %jd with group %jd", (intmax_t) request->uid,
                           (intmax_t) request->gid);
}

/* A program of ours that runs inside lies beside us, as where it was built, or where it was installed. */
static int open_ours(const char *name, int *ret, LaunchFailure *failure) {
        char installed[PATH_MAX];
        _cleanup_free_ char *path = NULL;
        char own[PATH_MAX];
        char *slash;
        ssize_t n;

        (void) snprintf(installed, sizeof(installed), "%s/%s", SENTRYD_LIBEXECDIR, name);
        n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        own[n > 0 ? n : 0] = '\0';
        slash = strrchr(own, '/');
        if (slash && string_appendf(&path, "%.*s/%s", (int) (slash - own), own, name) >= 0)
                *ret = open(path, O_RDONLY | O_CLOEXEC);
        if (*ret < 0)
                *ret = open(installed, O_RDONLY | O_CLOEXEC);
        if (*ret < 0)
                return failure_set(failure, errno, "Is sentryd installed as a whole?", "cannot open %s", installed);
        return 0;
}

/* Who joins a sandbox of all users may in it what its first process may. */
static int read_bounds(const LaunchRequest *request, Bounds *ret, LaunchFailure *failure) {
        pid_t pid = 0;
        int r = 0;

        if (request->profile->users != PROFILE_USERS_HOST)
                return 0;
        if (request->init_pidfd >= 0)
                r = isolate_pid_of(request->init_pidfd, &pid);
        if (r >= 0)
                r = bounds_of(pid, ret);
        if (r < 0)
                return failure_set(failure, r, NULL, "cannot read the capabilities in /proc/%d/status", (int) pid);
        if (pid != 0) /* it may run as another user by now, who has none */
                ret->permitted = ret->bounding;
        return 0;
}

static int prepare(Launch *launch) {
        const LaunchRequest *request = launch->request;
        LaunchFailure *failure = &launch->failure;
        int r;

        r = close_on_exec(request->launch_fd);
        if (r >= 0)
                r = close_on_exec(request->init_pidfd);
        if (r >= 0)
                r = take_signals(launch);
        if (r >= 0 && pipe2(launch->status_fds, O_CLOEXEC) < 0)
                r = -errno;
        if (r >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, launch->filter_fds) < 0)
                r = -errno;
        if (r < 0)
                return failure_set(failure, r, r == -EMFILE ? "Raise the limit of open files (ulimit -n)." : NULL,
                                   "cannot prepare the launch");

#ifdef HAVE_SANITIZERS
        launched = true;
#endif
        launch->caller_cwd = program_caller_cwd();
        if (request->init_pidfd < 0 && (request->profile->init || request->restore)) {
                r = open_ours(request->restore ? "sentry-stub" : "sentry-init", &launch->init_fd, failure);
                if (r < 0)
                        return r;
        }

        r = cgroup_prepare(request, &launch->cgroup, failure);
        if (r < 0)
                return r;
        if (request->profile->pasta && request->init_pidfd < 0) {
                r = uplink_prepare(request->name, &launch->uplink, failure);
                if (r < 0)
                        return r;
        }
        if (socket_maker_is_needed(request->profile) && request->init_pidfd < 0) {
                r = socket_maker_start(&launch->maker, false, failure);
                if (r < 0)
                        return r;
        }
        r = read_bounds(request, &launch->bounds, failure);
        if (r < 0)
                return r;
        r = request->init_pidfd >= 0 ? isolate_join(request->profile, request->init_pidfd, failure)
                                     : isolate_new(request->profile, request->restore, failure);
        if (r < 0)
                return r;

        r = check_user(request, failure);
        if (r < 0)
                return r;

        /* From here on nobody else's process reaches into this one, nor into the child that copies it. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return failure_set(failure, errno, NULL, "cannot close the launcher to other processes");
        return 0;
}

/* In the parent of a child that is busy with its mounts: everything it still needs from us, then we give up
 * what we do not need any more. */
static int attend(Launch *launch, LaunchWait *wait) {
        _cleanup_(filter_programs_done) FilterPrograms filter = {};
        char path[64];
        int r;

        wait->pidfd = (int) syscall(SYS_pidfd_open, wait->pid, 0);
        if (wait->pidfd < 0)
                return failure_set(&launch->failure, errno, "Linux 5.3 or later is needed.",
                                   "cannot watch the program");
        if (close_on_exec(wait->pidfd) < 0)
                return failure_set(&launch->failure, errno, NULL, "cannot watch the program");
        (void) snprintf(path, sizeof(path), "/proc/%d/status", wait->pid);
        wait->proc_status_fd = open(path, O_RDONLY | O_CLOEXEC);

        r = filter_build(launch_features(launch->request->profile), &filter, &launch->failure);
        if (r < 0)
                return r;
        r = filter_send(&filter, launch->filter_fds[1]);
        if (r < 0 && r != -EPIPE) /* EPIPE: it failed before, and says why itself */
                return failure_set(&launch->failure, r, NULL, "cannot send the seccomp filter");

        /* A program of many users may become one whom we could not signal. */
        return isolate_capabilities(launch->request->profile->users == PROFILE_USERS_SINGLE ? 0 : UINT64_C(1) << CAP_KILL,
                                    &launch->failure);
}

static _Noreturn void run_child(const Launch *launch, bool in_cgroup) {
        LaunchChild child = {
                .request = launch->request,
                .caller_cwd = launch->caller_cwd,
                .cgroup = &launch->cgroup,
                .in_cgroup = in_cgroup,
                .uplink_fd = launch->uplink.fd,
                .maker_fd = launch->maker.fd,
                .status_fd = launch->status_fds[1],
                .init_fd = launch->init_fd,
                .filter_fd = launch->filter_fds[0],
                .bounds = launch->bounds,
                .signal_mask = launch->old_mask,
                .child_action = launch->old_child_action,
        };

        /* Ends that the parent alone holds tell by closing that it is gone. */
        safe_close(launch->status_fds[0]);
        safe_close(launch->filter_fds[1]);
        safe_close(launch->signal_fd);
        child_run(&child);
}

int launch_run(const LaunchRequest *request) {
        _cleanup_(launch_done) Launch launch = {
                .request = request,
                .cgroup = { .parent_fd = -EBADF, .fd = -EBADF, .procs_fd = -EBADF, .events_fd = -EBADF },
                .uplink = UPLINK_NONE,
                .maker = SOCKET_MAKER_NONE,
                .signal_fd = -EBADF,
                .init_fd = -EBADF,
                .status_fds = { -EBADF, -EBADF },
                .filter_fds = { -EBADF, -EBADF },
        };
        LaunchWait wait = { .name = request->name, .pidfd = -EBADF, .ready_fd = -EBADF, .proc_status_fd = -EBADF };
        bool in_cgroup = false;
        int code;

        terminal_note(&wait.terminal);
        if (prepare(&launch) < 0) {
                failure_print(&launch.failure, request->name);
                return launch.failure.code;
        }

        /* Who joins a sandbox that may be paused does so at the last moment. */
        wait.pid = request->init_pidfd >= 0 ? fork() : cgroup_fork(&launch.cgroup, &in_cgroup);
        if (wait.pid < 0) {
                failure_set(&launch.failure, errno,
                            errno == EAGAIN ? "There are too many processes (ulimit -u)." : NULL,
                            "cannot start a process");
                failure_print(&launch.failure, request->name);
                return launch.failure.code;
        }
        if (wait.pid == 0)
                run_child(&launch, in_cgroup);

        launch.status_fds[1] = safe_close(launch.status_fds[1]);
        launch.filter_fds[0] = safe_close(launch.filter_fds[0]);

        if (attend(&launch, &wait) < 0 && wait.pidfd < 0) {
                /* Nothing to wait with: it is our unreaped child, so its number is still its own. */
                (void) kill(wait.pid, SIGKILL);
                (void) waitpid(wait.pid, NULL, 0);
                failure_print(&launch.failure, request->name);
                return launch.failure.code;
        }
        launch.filter_fds[1] = safe_close(launch.filter_fds[1]);

        wait.status_fd = launch.status_fds[0];
        wait.launch_fd = request->launch_fd;
        wait.cgroup = &launch.cgroup;
        wait.signal_fd = launch.signal_fd;
        wait.ready_fd = request->restore ? request->ready_fd : -EBADF;
        wait.is_init = request->init_pidfd < 0 && (request->profile->namespaces & CLONE_NEWPID);
        code = wait_for_program(&wait, &launch.failure);

        safe_close(wait.pidfd);
        safe_close(wait.proc_status_fd);
        return code;
}
