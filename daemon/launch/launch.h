/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a profile to a confined process. The caller is single-threaded and becomes the waiting parent. */

#include <stdbool.h>
#include <sys/types.h>

#include "profile.h"

/* What the clocks of a saved sandbox read, in nanoseconds. */
typedef struct LaunchClocks {
        int64_t realtime, monotonic, boottime;
} LaunchClocks;

typedef struct LaunchRequest {
        const Profile *profile; /* whole and valid */
        const char *name;       /* of the sandbox, for messages */
        const char *profile_name; /* for people, or NULL */
        char *const *argv;      /* the program's arguments, its name first */
        const char *file;       /* the program, looked up in PATH inside the sandbox; NULL: argv[0] */
        char *const *envp;      /* the environment to start from; the profile's is applied on top */
        int launch_fd;          /* the launch socket; stays the caller's */
        int init_pidfd;         /* -1: make a new sandbox. Else join the one whose init this is (exec) */
        int program_fd;         /* run this open file, argv[0] is its name only; -1: none */
        const char *cwd;        /* directory to start in, or NULL: the profile's, else the caller's if it exists
                                 * inside, else / */
        int umask;              /* -1: the caller's */
        const LaunchClocks *restore; /* not NULL: no program, but what sentry-imager makes a saved sandbox of. Its clocks
                                 * go on from these, by the time that has passed since */
        int ready_fd;           /* with restore: a byte is written to it when the sandbox runs; -1: not */
        bool in_place;          /* the caller becomes the program, see launch_in_place() */
        int64_t uid, gid;       /* that the program is expected to have; -1: any. There is one of each, and no
                                 * other can be had */
} LaunchRequest;

/* Runs the program and waits for its end: passes signals on, tells sentry-kernel. Returns the exit status that
 * a shell expects (0-255; 128+n for a signal; 125, 126, 127 after an error message on stderr). Afterwards the
 * caller is in the sandbox's user namespace without capabilities, and its own children's PID namespace is dead: all it
 * can do is to exit. */
int launch_run(const LaunchRequest *request);

/* The calling process becomes the program itself, as a service manager wants it that knows it by its number: no process
 * is left behind, no signal passed on, and its exit status is its parent's alone to see. The sandbox ends when the last
 * process in it has. For profiles with the host's process ids, without a time namespace, init, limits and uplink.
 * Returns only when it failed, with an exit status, after an error message on stderr. */
int launch_in_place(const LaunchRequest *request);
