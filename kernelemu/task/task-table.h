/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The task table: the processes of a sandbox with their threads, process groups, sessions and PID namespaces.
 *
 * Membership is the host's. The table learns of a process when it execs (the host asks us then, sys/image.c), when it
 * is launched, and when somebody looks: task_table_sync() comes before anything is shown or acted on. So a process
 * that never execs and that nobody looks for is born and dies untold. Exits are told by the host for processes that
 * it watches, and found by the next sync for the others. */

#include "record.h"
#include "thread-group.h"
#include "util/idmap.h"
#include "util/ratelimit.h"

#define TASKS_MAX 65536U      /* processes in the table, and threads listed; further ones are not shown */
#define TASK_EVENT_RATE 1000U /* a second */
#define TASK_EVENT_BURST 10000U
#define TASK_CALLERS 16U      /* a power of two */

typedef struct Kernel Kernel;
typedef struct Call Call;
typedef struct TaskAttributes TaskAttributes;

/* A thread that made a call lately, and whose it is. */
typedef struct TaskCaller {
        HostTid tid;
        ThreadGroup *process; /* NULL: nothing is known */
        uint64_t seen_ns;     /* when the host was asked; kernel_now() */
} TaskCaller;

typedef struct TaskTable {
        Kernel *kernel;                       /* immutable */
        TAILQ_HEAD(, ThreadGroup) processes;  /* owned; those with a container are recorded, by it */
        unsigned n_processes;
        unsigned n_discovered;                /* counts processes that were ever added */
        unsigned n_threads;                   /* Task objects there are */
        unsigned n_unwatched;                 /* processes that live and have no watch */
        IdMap by_pid, by_host_pid;            /* of processes */
        IdMap groups, sessions;               /* owned by process-group.c */

        unsigned syncs;                       /* counts them */
        uint64_t birth_mark;                  /* the host's mark of the last birth, as of the last sync */
        uint64_t birth_mark_ns;               /* when that mark was first seen; kernel_now() */
        bool settled;                         /* nobody was born since the last full sync, unless the mark moves */

        TAILQ_HEAD(, ThreadGroup) events;     /* those with something to tell */
        bool closed;                          /* nobody is let in: who is there is not what he will be */
        bool adopting;                        /* who is found was told of by the kernel that ran before this one */
        RateLimit event_limit;                /* not recorded: a restored sandbox starts with a full bucket */
        uint64_t cpu_usec;                    /* the most that task_table_cpu_usec() has said; not recorded: a
                                               * restored sandbox starts at 0 */
        TaskAttributes *attributes;           /* owned by task-record.c: what a record says of processes that have
                                               * not been found yet */
        unsigned n_attributes;
        TaskCaller callers[TASK_CALLERS];     /* not recorded: the host is asked again */
} TaskTable;

int task_table_init(TaskTable *table, Kernel *kernel);
void task_table_done(TaskTable *table);

/* While a sandbox is being restored its processes have not become those yet that the records tell of. Before anybody is in it. */
void task_table_close(TaskTable *table);
void task_table_open(TaskTable *table);

/* Brings membership up to date, queueing events. Costs next to nothing when nothing happened. 0, -ESRCH before the
 * start of the sandbox and while closed, or what kept the host from looking; the table holds what is known in any case. */
int task_table_sync(TaskTable *table);

/* A sync that queues no events: after a snapshot was read. */
int task_table_adopt(TaskTable *table);

/* Looks at parts (HostTaskPart) of every process, after a sync. The same errors. */
int task_table_refresh(TaskTable *table, unsigned parts);

/* NULL when there is none in the table: sync first. */
ThreadGroup *task_table_find(const TaskTable *table, GuestPid pid);
ThreadGroup *task_table_find_host(const TaskTable *table, HostTid host_pid);

/* The process of a task, which may be new to the table. -ESRCH when it is not of the sandbox, -ENOSPC over the limit of
 * tasks, -ENOMEM. */
int task_table_process_of(TaskTable *table, HostTid tid, ThreadGroup **ret);
/* The same for the task that makes a call, remembered for a while. */
int task_table_caller(TaskTable *table, const Call *call, ThreadGroup **ret);
/* All processes by their ids, NULL at the end. The caller frees the array. 0 or -ENOMEM. */
int task_table_sorted(const TaskTable *table, ThreadGroup ***ret);

/* Puts a process into a container ("" or NULL: the sandbox's own), and with it all its descendants to come. The
 * process may be new to the table, and need not have exec'ed. -ESRCH when it is not of the sandbox, -EINVAL for an id
 * that is too long, -ENOSPC over the limit of tasks, -ENOMEM. */
int task_table_set_container(TaskTable *table, HostTid pid, const char *id);

/* A task made the call that libc starts a program with, once: most likely it is in a new image. */
void task_table_note_image(TaskTable *table, const Call *call);

/* The host's word on a process that it watches: all its threads are dead (wait_status may be unknown), or, with
 * reaped, its parent has also waited for it. */
void task_table_note_exit(TaskTable *table, HostTid host_pid, int wait_status, bool reaped);

/* Tells the events that have queued up. Called when neither a guest nor a person waits for us. */
void task_table_tell(TaskTable *table);
static inline bool task_table_has_events(const TaskTable *table) { return !TAILQ_EMPTY(&table->events); }

/* CPU time that all tasks of the sandbox have used, in µs, by the host's accounting (see getrusage(2)): what lives and
 * what was waited for. Children that nobody waits for, and programs launched from outside, count while they live.
 * Never goes back. */
uint64_t task_table_cpu_usec(TaskTable *table);

/* Visits what is ours; see record.h. Reading wants an empty table; what is read is given to processes of the same ids
 * when they are found. */
int task_table_record(TaskTable *table, Record *record);
/* task-record.c: tells who keeps changes of a process's container, or that it is gone; and reads that. */
void task_note_container(ThreadGroup *process, bool gone);
int task_container_apply(TaskTable *table, Record *record);
/* gives a process that was just found what a record said of it; forgets what nobody was found for. */
void task_attributes_apply(ThreadGroup *process);
void task_attributes_done(TaskTable *table);
