/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the program gets beside its walls: environment, working directory, resource limits; and its start. */

#include "failure.h"
#include "launch.h"

/* Everything that exec needs, made before the filter is there: after that nothing may be allocated. */
typedef struct Program {
        char *const *argv;   /* the caller's */
        char **envp;         /* owned */
        char **candidates;   /* owned: paths to try in order */
        char **shell_argv;   /* owned array (not what is in it): argv for a script without "#!"; [1] is the path */
        int fd;              /* the caller's: the file itself, nothing is looked up; or negative */
        const char *path;    /* in envp: where was looked, or NULL when argv[0] has a slash */
} Program;

void program_done(Program *program);

/* Where the caller stands, for program_enter_cwd(); NULL when that has no name. */
char *program_caller_cwd(void);

/* Enters the working directory of a request inside the sandbox. root: O_PATH of "/". */
int program_enter_cwd(const LaunchRequest *request, const char *caller_cwd, int root, LaunchFailure *failure);

/* Sets the resource limits of the profile. Descriptors and processes may be scarce afterwards. */
int program_set_rlimits(const Profile *profile, LaunchFailure *failure);

/* Prepares environment and paths; call it in the working directory. */
int program_prepare(const LaunchRequest *request, Program *ret, LaunchFailure *failure);

/* Runs the program, as execvpe(3) does. Comes back only when it cannot: failure has code 126 or 127 then. */
int program_exec(const Program *program, LaunchFailure *failure);
