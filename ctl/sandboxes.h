/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sandboxes there are, and finding one of them. */

#include "ctl.h"
#include "table.h"

extern const Column sandbox_columns[];

/* Lines of the kernel log of a sandbox, as GetLog gives them, and how they print. */
extern const Column log_columns[];
void log_print(json_object *row);

/* How often each system call was answered, as GetSyscalls gives it. */
extern const Column call_columns[];
int compare_calls(const void *a, const void *b); /* rows: most calls first */

/* All sandboxes as rows of sandbox_columns. Without a daemon: none. 0 or CTL_FAILED. */
int sandboxes_list(Ctl *ctl, json_object **ret_rows);

/* The object of a sandbox, connecting first when that was not done. A NULL name stands for the only sandbox there
 * is. The caller frees path; ret_name may be NULL, the caller frees it too. 0 or CTL_FAILED. */
int sandbox_find(Ctl *ctl, const char *name, char **ret_name, char **ret_path);

/* Calls a method of a sandbox without arguments. */
int sandbox_call(Ctl *ctl, const char *path, const char *member, sd_bus_message **ret);

/* Says that there is nothing to see, in the words that fit. */
void sandboxes_notice_none(const Ctl *ctl);
