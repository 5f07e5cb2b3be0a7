/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting a sentry-kernel. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#define SPAWN_FD_MAX 65535
#define SPAWN_FD_IMAGE 9 /* directory of an image */

/* A descriptor for sentry-kernel, and the number that it has there: 3 to SPAWN_FD_MAX. */
typedef struct SpawnFd {
        int fd; /* stays the caller's */
        int number;
} SpawnFd;

typedef struct SpawnRequest {
        const char *path;         /* of the program */
        const char *name;         /* of the sandbox */
        bool recover;             /* it goes on where another one has died */
        bool restore, lazy;       /* it takes up the image that is SPAWN_FD_IMAGE */
        char *const *env;
        const SpawnFd *fds;       /* n_fds of them */
        size_t n_fds;
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
