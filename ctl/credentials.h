/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The credentials of tasks, as the details of GetTasks have them. */

#include "ctl.h"
#include "table.h"

/* Names capabilities in the details of a row instead of giving their bits. 0 or -ENOMEM. */
int credentials_name(json_object *row);

/* Prints rows whose details were asked for, by what their tasks may do. 0 or CTL_FAILED. */
int credentials_print(const Ctl *ctl, json_object *rows, bool with_sandbox, bool with_threads);
