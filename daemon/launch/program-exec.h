/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The start of a program: by the launcher, or by sentry-init. */

#include "failure.h"

/* Everything that exec needs, made before the filter is there: after that nothing may be allocated. */
typedef struct Program {
        const char *file;    /* the caller's: what was asked for */
        char *const *argv;   /* the caller's */
        char **envp;         /* owned */
        char **candidates;   /* owned: paths to try in order */
        char **shell_argv;   /* owned array (not what is in it): argv for a script without "#!"; [1] is the path */
        int fd;              /* the caller's: the file itself, nothing is looked up; or negative */
        const char *path;    /* in envp: where was looked, or NULL when file has a slash */
} Program;

void program_done(Program *program);

/* Prepares a program: file, or argv[0] when that is NULL. Takes ownership of envp, also when it fails; argv stays the caller's. */
int program_find(const char *file, char *const *argv, char **envp, int fd, Program *ret, LaunchFailure *failure);

/* Runs the program, as execvpe(3) does. Comes back only when it cannot: failure has code 126 or 127 then. */
int program_exec(const Program *program, LaunchFailure *failure);
