/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Process groups and sessions (setpgid(2), setsid(2)). They live as long as they have members, whether or not their
 * leaders do. Id 0 is that of groups and sessions which were founded outside of the sandbox. */

#include <sys/queue.h>

#include "abi/types.h"
#include "util/idmap.h"

typedef struct TaskTable TaskTable;
typedef struct ThreadGroup ThreadGroup;

typedef struct Session {
        GuestPid id;       /* immutable; not recorded: the host's, found again with the tasks. So with the rest */
        unsigned n_groups; /* owned by process-group.c */
        char *container;   /* owned; of the process by which it was found, which its leader most likely gave it.
                            * NULL: the sandbox's own */
        IdNode node;       /* owned by the table */
} Session;

typedef struct ProcessGroup {
        GuestPid id;                          /* immutable */
        Session *session;                     /* counted in it. Changes when the id is given again */
        LIST_HEAD(, ThreadGroup) members;     /* not owned */
        IdNode node;                          /* owned by the table */
} ProcessGroup;

/* Makes a process a member of this group of this session, which are made when they are new. Leaves the group that it
 * is in. 0, or -ENOMEM: it is in none then. */
int process_group_join(TaskTable *table, ThreadGroup *task, GuestPid id, GuestPid session);
/* A group goes with its last member, a session with its last group. */
void process_group_leave(TaskTable *table, ThreadGroup *task);

/* What those who are found in it without a better sign belong to. 0 or -ENOMEM. */
int session_set_container(Session *session, const char *id);

/* NULL when no task of the sandbox is in it. */
ProcessGroup *process_group_find(const TaskTable *table, GuestPid id);
Session *session_find(const TaskTable *table, GuestPid id);
