/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The long listings of a sandbox: methods that answer with a pipe of JSON lines. */

#include "ctl.h"
#include "table.h"

/* Reads the arguments [NAME [PID]] of a verb without options of its own; max_args 1: no PID. ret_pid is 0 without one.
 * Returns 0 once the sandbox was found, else CTL_*; the caller frees. */
int list_arguments(Ctl *ctl, int argc, char **argv, int max_args, char **ret_path, uint32_t *ret_pid);

/* Calls a method and reads all its lines, as an array of objects, which the caller puts. pid: NULL when the method
 * takes none. 0 or CTL_FAILED. */
int list_read(Ctl *ctl, const char *path, const char *method, const uint32_t *pid, json_object **ret_rows);

/* The same, but gives each object to a function as it comes, with its text, fit for a terminal, and the line break. The
 * function returns 0, or CTL_FAILED when it has told why it does not go on. */
int list_each(Ctl *ctl, const char *path, const char *method, const uint32_t *pid,
              int (*function)(json_object *row, const char *line, void *userdata), void *userdata);

/* Members of a row; "" and 0 when there is none. */
const char *row_text(json_object *row, const char *key);
uint64_t row_number(json_object *row, const char *key);
/* Adds text to a row. 0 or -ENOMEM. */
int row_add(json_object *row, const char *key, const char *text);
