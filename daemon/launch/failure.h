/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a launch failed, in words. The process that fails may stand in the sandbox's view of the file system
 * already, where a translated strerror() would read files that are not ours: it records, the waiting parent
 * prints. One message crosses the pipe between the two in one write. */

#include <limits.h>
#include <stdint.h>

enum {
        LAUNCH_EXIT_FAILURE = 125,        /* ours */
        LAUNCH_EXIT_NOT_EXECUTABLE = 126,
        LAUNCH_EXIT_NOT_FOUND = 127,
};

/* What goes over the pipe that is no failure, in place of a code. */
enum {
        LAUNCH_NEWS_HELD = -1,    /* sentry-kernel says: later. No deadline any more */
        LAUNCH_NEWS_STARTED = -2, /* by sentry-init, which keeps the pipe: the program runs. By sentry-imager: the same */
        LAUNCH_NEWS_STOPPED = -3, /* by sentry-init: the program was stopped, by the terminal as it seems */
};

typedef struct LaunchFailure {
        int32_t code;     /* LAUNCH_EXIT_* or LAUNCH_NEWS_*; 0: nothing was recorded */
        int32_t error;    /* errno, positive; 0: the text says it all */
        char text[2000];  /* what could not be done, without a full stop */
        char hint[1200];  /* what to do about it, one or more whole sentences; "" when there is no advice */
} LaunchFailure;

_Static_assert(sizeof(LaunchFailure) <= PIPE_BUF, "a failure must fit into one atomic write");

/* Records a failure of ours (code 125), unless one is recorded already: the first one is the cause. error may
 * be negative. hint may be NULL. Returns -|error|, or -EIO for error 0: `return failure_set(…);`. */
int failure_set(LaunchFailure *failure, int error, const char *hint, const char *format, ...)
                __attribute__((format(printf, 4, 5)));

/* Prints it on stderr: `PROGRAM: NAME: TEXT: ERROR. HINT`. */
void failure_print(const LaunchFailure *failure, const char *name);
