/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tasks of a sandbox, as GetTasks gives them. */

#include "ctl.h"
#include "table.h"

/* Appends the tasks of a sandbox to rows; flags are GetTasksFlags. With may_be_gone, one that has ended has none.
 * 0 or CTL_FAILED. */
int tasks_get(Ctl *ctl, const char *path, const char *name, uint32_t flags, bool may_be_gone, json_object *rows);

/* Prints them, with the columns that have something to say. */
int tasks_print(const Ctl *ctl, json_object *rows, bool with_sandbox, bool with_threads, bool tree);
