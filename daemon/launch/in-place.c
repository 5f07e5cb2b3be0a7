/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that takes the place of the process that was asked to run it. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "cgroup-limits.h"
#include "child.h"
#include "isolate.h"
#include "launch-protocol.h"
#include "launch.h"
#include "program.h"
#include "socket-maker.h"
#include "util.h"

#ifndef CLONE_NEWTIME
#  define CLONE_NEWTIME 0x00000080
#endif

/* What takes a process of ours beside the program. */
static int check(const Profile *profile, LaunchFailure *failure) {
        const char *what = NULL;

        if (profile->namespaces & CLONE_NEWPID)
                what = "a PID namespace (\"pid\": \"private\")";
        else if (profile->namespaces & CLONE_NEWTIME)
                what = "a time namespace (linux.namespaces)";
        else if (profile->init)
                what = "a first process of its own (\"init\": true)";
        else if (profile->pasta)
                what = "an uplink (\"uplink\": \"pasta\")";
        else if (limits_any(profile))
                what = "a control group with limits (linux.resources)";
        else if (profile->freezer == PROFILE_FREEZER_CGROUP)
                what = "a control group (\"freezer\": \"cgroup\")";
        if (!what)
                return 0;
        return failure_set(failure, 0, "The profile \"service\" is made for it; limits are the unit's.",
                           "a program that runs in place cannot have %s, as this profile says", what);
}

static int launch(const LaunchRequest *request, LaunchFailure *failure) {
        LaunchCgroup no_cgroup = { .parent_fd = -EBADF, .fd = -EBADF, .procs_fd = -EBADF, .events_fd = -EBADF };
        LaunchChild child = {
                .request = request,
                .caller_cwd = program_caller_cwd(),
                .cgroup = &no_cgroup,
                .uplink_fd = -EBADF,
                .maker_fd = -EBADF,
                .status_fd = -EBADF,
                .init_fd = -EBADF,
                .filter_fd = -EBADF,
        };
        struct sigaction action = { .sa_handler = SIG_DFL };
        SocketMaker maker = SOCKET_MAKER_NONE;
        sigset_t all;
        int r;

        r = check(request->profile, failure);
        if (r < 0)
                return r;
        if (fcntl(request->launch_fd, F_SETFD, FD_CLOEXEC) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare the launch");
        if (request->profile->users == PROFILE_USERS_HOST) {
                r = bounds_of(0, &child.bounds);
                if (r < 0)
                        return failure_set(failure, r, NULL, "cannot read the capabilities in /proc/self/status");
        }

        /* One that is meant for the program waits until that is there. */
        (void) sigfillset(&all);
        if (sigprocmask(SIG_SETMASK, &all, &child.signal_mask) < 0 || sigaction(SIGCHLD, &action, &child.child_action) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare the launch");
        if (socket_maker_is_needed(request->profile)) {
                r = socket_maker_start(&maker, true, failure);
                if (r < 0)
                        return r;
                child.maker_fd = maker.fd; /* until exec */
        }
        r = isolate_new(request->profile, NULL, failure);
        if (r < 0)
                return r;
        child_run_in_place(&child, failure);
        return -EIO;
}

int launch_in_place(const LaunchRequest *request) {
        LaunchMessage message = { .version = LAUNCH_PROTOCOL_VERSION, .type = LAUNCH_EXITED };
        LaunchFailure failure = {};

        (void) launch(request, &failure);
        if (failure.code == 0)
                (void) failure_set(&failure, 0, NULL, "the program could not be started");
        failure_print(&failure, request->name);
        message.value = failure.code << 8; /* as wait(2) has it */
        (void) send(request->launch_fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
        return failure.code;
}
