/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for the confined program, in its parent. */

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"
#include "failure.h"
#include "terminal.h"

typedef struct LaunchWait {
        const char *name;     /* of the sandbox */
        pid_t pid;            /* the child */
        int pidfd;
        int status_fd;        /* pipe from the child, until it has exec'd */
        int launch_fd;
        LaunchCgroup *cgroup; /* of the sandbox; removed when the program has ended, if it was made here */
        int signal_fd;        /* all signals, which are blocked */
        int ready_fd;         /* a byte is written to it when a restored sandbox runs; or negative */
        int proc_status_fd;   /* /proc/PID/status of the child; -EBADF: dispositions are not known */
        LaunchTerminal terminal; /* as it was before the program */
        bool is_init;         /* of a PID namespace: the kernel drops signals that it does not handle */
} LaunchWait;

/* Waits until the program has ended: tells sentry-kernel, passes signals on, stops and continues with it. A
 * failure that came up in the parent before is in failure: then the child's end is all that is waited
 * for. Prints what went wrong. Returns the exit status for the shell. */
int wait_for_program(const LaunchWait *wait, LaunchFailure *failure);
