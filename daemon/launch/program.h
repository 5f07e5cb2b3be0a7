/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the program gets beside its walls: environment, working directory, resource limits. */

#include "failure.h"
#include "launch.h"
#include "program-exec.h"

/* Where the caller stands, for program_enter_cwd(); NULL when that has no name. */
char *program_caller_cwd(void);

/* Enters the working directory of a request inside the sandbox. root: O_PATH of "/", or negative where that is the
 * caller's own. */
int program_enter_cwd(const LaunchRequest *request, const char *caller_cwd, int root, LaunchFailure *failure);

/* Sets the resource limits of the profile. Descriptors and processes may be scarce afterwards. */
int program_set_rlimits(const Profile *profile, LaunchFailure *failure);

/* Prepares environment and paths; call it in the working directory. init_fd: sentry-init, which shall start the program
 * and hear of status_fd, or sentry-stub, which is left next_id_fds as well (each negative where there is none); or negative. */
int program_prepare(const LaunchRequest *request, int init_fd, int status_fd, const int next_id_fds[static 3], Program *ret,
                    LaunchFailure *failure);
