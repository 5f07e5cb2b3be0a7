/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting a sentry-kernel. */

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Where sentry-kernel gets its descriptors. */
enum {
        SPAWN_FD_BUS = 3,     /* its end of the D-Bus connection to us */
        SPAWN_FD_LAUNCH = 4,  /* its end of the launch socket */
        SPAWN_FD_PROFILE = 5, /* the resolved profile document */
        _SPAWN_FD_END = 6,
};

typedef struct SpawnRequest {
        const char *path;         /* of the program */
        const char *name;         /* of the sandbox */
        char *const *env;
        int bus_fd, launch_fd, profile_fd; /* stay the caller's */
        const struct rlimit *nofile;
        bool switch_user;         /* become uid (we are root then), with its groups */
        uid_t uid;
} SpawnRequest;

/* Where the sentry-kernel program is: beside our own executable if there is one, else in libexecdir. */
int spawn_find_kernel(char **ret);

/* Our environment without what systemd meant for us alone. */
int spawn_make_environment(char ***ret);

/* Starts the program and does not wait for its exec: when that fails, the child logs why and exits, which the
 * caller sees like any other exit. -ENOENT or -EACCES when the program can't be there. */
int spawn_kernel(const SpawnRequest *request, pid_t *ret);
