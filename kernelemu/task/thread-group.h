/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A thread group: a process. Whether it is there, and most of what it is like, is the host's to say; what is ours are
 * its container and what we have told of it. */

#include <stdbool.h>
#include <sys/queue.h>

#include "host-task.h"
#include "process-group.h"
#include "task.h"

#define CONTAINER_ID_MAX 128U /* with its NUL */

typedef struct TaskTable TaskTable;
typedef struct Namespace Namespace;

/* Events that wait to be told. */
typedef enum TaskEvent {
        TASK_EVENT_NEW = 1 << 0,
        TASK_EVENT_EXEC = 1 << 1,
        TASK_EVENT_EXIT = 1 << 2,
} TaskEvent;

typedef struct ThreadGroup {
        TaskTable *table;         /* immutable */
        GuestPid pid;             /* immutable: its number in the first PID namespace. Recorded */
        HostTid host_pid;         /* immutable; not recorded, like all that the host says: looked up again */
        uint64_t start_usec;      /* immutable: CLOCK_BOOTTIME of the host; with host_pid, its identity */
        Namespace *ns;            /* immutable; its PID namespace, counted in it */
        ProcessGroup *group;      /* owned by process-group.c: setpgid(2), setsid(2) */
        LIST_ENTRY(ThreadGroup) group_link;

        char *container;          /* owned, recorded: given or inherited. NULL: the sandbox's own */

        /* As of the last look: thread_group_refresh() */
        GuestPid parent;          /* 0: outside of the sandbox */
        GuestPid inner_pid;       /* in its own, innermost namespace; 0: not looked at */
        char comm[TASK_COMM_MAX];
        char state;
        uint32_t n_threads;
        uint64_t cpu_usec, children_usec;
        HostImage last_image;
        HostCredentials credentials;
        uint32_t owner;           /* HostTask.owner when they were read */
        bool has_credentials;
        char *exe;                /* owned; NULL: not known */
        char *root, *cwd;         /* owned; NULL: not known */
        char *argv;               /* owned; NULL: none */
        size_t argv_size;
        bool argv_withheld;       /* as HostArguments.withheld */

        struct ProcessTimers *timers; /* owned by time/process-timers.c; NULL: it never had any. Recorded */

        HostImage image;          /* the last that was told of, or the parent's; not recorded: an exec told twice does
                                   * no harm */
        TAILQ_HEAD(, Task) threads; /* owned by task.c; as of the last thread_group_list_threads() */

        bool dead;                /* all its threads are; it may be a zombie still */
        int wait_status;          /* of the dead; WAIT_STATUS_UNKNOWN when nobody could tell */
        int watch;                /* the host's handle that tells of the exit; -1: none, so looks must find out */
        unsigned seen;            /* the sync that saw it last */

        unsigned events;          /* TaskEvent: to be told */
        TAILQ_ENTRY(ThreadGroup) event_link; /* in the table's queue while events is not 0 */
        TAILQ_ENTRY(ThreadGroup) link;       /* owned by the table, oldest first */
        IdNode by_pid, by_host_pid;          /* owned by the table */
} ThreadGroup;

/* Looks at parts (HostTaskPart) of a process again; HOST_TASK_UID wants STAT with it. 0; -ESRCH when it is gone, or another has its id; -ENOMEM. */
int thread_group_refresh(ThreadGroup *process, unsigned parts);

/* Takes over what a look has seen, and the strings in it. For the table. */
void thread_group_take(ThreadGroup *process, unsigned parts, HostTask *seen);

/* Sets the container; NULL or "" is the sandbox's own. -EINVAL for an id that is too long, -ENOMEM. */
int thread_group_set_container(ThreadGroup *process, const char *id);
