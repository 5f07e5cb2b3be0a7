/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What GetTasks says; org.sentryd1(5) has it in words. */

/* pid, tgid, ppid, hostpid, group, session, threads, uid; state, comm, container; started, cputime in µs; wait status;
 * exe, arguments, details. */
#define TASK_STRUCT_CONTENTS "uuuuuuuussstti" \
        "sasa{sv}"
#define TASK_STRUCT "(" TASK_STRUCT_CONTENTS ")"
#define TASK_SIGNATURE "a" TASK_STRUCT

typedef enum GetTasksFlags {
        GET_TASKS_THREADS = 1 << 0, /* an entry for each thread */
        GET_TASKS_DETAILS = 1 << 1, /* credentials, namespace */
        _GET_TASKS_ALL = GET_TASKS_THREADS | GET_TASKS_DETAILS,
} GetTasksFlags;
