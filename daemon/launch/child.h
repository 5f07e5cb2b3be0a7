/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process that becomes the confined program. */

#include <signal.h>

#include "cgroup.h"
#include "failure.h"
#include "launch.h"
#include "users-host.h"

typedef struct LaunchChild {
        const LaunchRequest *request;
        const char *caller_cwd;            /* or NULL */
        const LaunchCgroup *cgroup;        /* to enter, if there is one */
        bool in_cgroup;                    /* it was born there */
        int uplink_fd;                     /* who connects the network to that outside, or -EBADF */
        int maker_fd;                      /* who makes its UNIX sockets, or -EBADF */
        int status_fd;                     /* pipe to the parent for a LaunchFailure; closes with exec. -EBADF: in place,
                                            * there is no parent */
        int init_fd;                       /* sentry-init, when the program gets one, or sentry-stub; else -EBADF */
        int filter_fd;                     /* socket that the filter's programs come over, or -EBADF: they are made here */
        Bounds bounds;                     /* PROFILE_USERS_HOST: the capabilities to keep */
        sigset_t signal_mask;              /* what the program shall inherit */
        struct sigaction child_action;     /* the same, for SIGCHLD */
} LaunchChild;

/* Goes behind its walls, hands the listener over, waits for permission, execs. All signals are blocked when it
 * is called. */
_Noreturn void child_run(const LaunchChild *child);
/* The same in a process without a parent of ours. Returns only when it failed. */
void child_run_in_place(const LaunchChild *child, LaunchFailure *failure);
