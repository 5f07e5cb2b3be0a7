/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* ExecStart= of units as their files have it. The service manager gives it with specifiers filled in and quotes gone, and
 * what is written back must have neither done to it twice. So the files are read here as systemd.syntax(7) has it. */

#include <stdbool.h>
#include <stddef.h>

/* One command. All but prefix are words as they are written, with quotes, escapes, specifiers and variables. */
typedef struct UnitExec {
        char *prefix;    /* those of "-:+!" that stand before the program, in their order */
        char *argv0;     /* with "@": what the program is told as its name; else NULL */
        char *program;
        char *arguments; /* the rest of the line, "" when there is none */
        bool privileged; /* "+" or "!": User= does not hold for it */
} UnitExec;

typedef struct UnitExecs {
        UnitExec *items;
        size_t n_items;
} UnitExecs;

void unit_execs_done(UnitExecs *execs);

/* Lays ExecStart= of one more file over what those before said. 0; -ENOMEM; -E2BIG: too many commands; -EBADMSG: a line
 * that cannot be understood, *ret_line is it (owned by the caller). */
int unit_execs_read(const char *text, UnitExecs *execs, char **ret_line);

/* The line that has a command run by another one: RUNNER is a program with its options, in systemd's quoting. The caller
 * frees; NULL without memory. */
char *unit_exec_wrap(const UnitExec *exec, const char *runner);
