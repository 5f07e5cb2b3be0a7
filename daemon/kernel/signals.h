/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signals from outside to the tasks of a sandbox. Each goes by a pidfd that was opened before the task was found to be
 * ours: a number that is given to another meanwhile reaches nobody. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Sentry Sentry;

typedef enum SignalWhom {
        SIGNAL_WHOM_INIT,      /* the first process; SIGCHLD and SIGURG are dropped */
        SIGNAL_WHOM_ALL,       /* every process */
        SIGNAL_WHOM_LEADER,    /* the program that a container was started with */
        SIGNAL_WHOM_GROUP,     /* the process (thread group) that has this task */
        SIGNAL_WHOM_PGRP,      /* every process of a process group */
        SIGNAL_WHOM_TASK,      /* one thread */
        SIGNAL_WHOM_CONTAINER, /* every process of a container */
        _SIGNAL_WHOM_MAX,
} SignalWhom;

const char *signal_whom_to_string(SignalWhom whom);
/* _SIGNAL_WHOM_MAX when it is none. */
SignalWhom signal_whom_from_string(const char *text);

typedef struct SignalRequest {
        SignalWhom whom;
        pid_t id;              /* group, pgrp, task: as the sandbox numbers them */
        const char *container; /* leader, container: its id; "" is that of the first program */
        int signo;             /* 0: only looks whether there is somebody */
        bool has_value;
        int32_t value;         /* goes along, as with sigqueue(3) */
} SignalRequest;

/* Sends a signal. Where it goes to several, all tasks are stopped meanwhile, so that none is born past it. Returns 0;
 * -ESRCH: there is no such task, group or container; -EAGAIN: too many are queued; of several errors the first for a
 * process group and the last for a container and for all. -ETIMEDOUT and -EBUSY with a message (the caller frees): the
 * tasks could not be stopped, and nothing was sent. */
int sentry_signal(Sentry *sentry, const SignalRequest *request, char **ret_message);
