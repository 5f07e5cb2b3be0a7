/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A task: one thread of a process, as the host shows it. Threads are listed on demand; nothing of ours hangs on one,
 * so nothing of it is recorded. */

#include <sys/queue.h>

#include "host-task.h"

typedef struct ThreadGroup ThreadGroup;

typedef struct Task {
        /* Everything is immutable: a look at the threads makes them afresh. */
        ThreadGroup *process;
        GuestPid tid;           /* its number in the first PID namespace */
        HostTid host_tid;
        uint64_t start_usec;    /* CLOCK_BOOTTIME of the host; with tid, its identity */
        char comm[TASK_COMM_MAX];
        char state;
        uint64_t cpu_usec;
        TAILQ_ENTRY(Task) link; /* owned by the process */
} Task;

/* Lists the threads of a process afresh. 0, -ESRCH when it is gone or -ENOMEM. */
int thread_group_list_threads(ThreadGroup *process);
/* Forgets them. */
void thread_group_drop_threads(ThreadGroup *process);
