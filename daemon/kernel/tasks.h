/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The processes of a sandbox as the host's /proc shows them. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TASKS_MAX 65536U /* listed at most */

typedef struct HostSeccomp HostSeccomp;

typedef struct TaskInfo {
        pid_t pid, ppid;       /* as the sandbox sees them; ppid 0: none of its own */
        pid_t host_pid;
        uint32_t n_threads;
        char state;            /* as in proc(5): R S D T t Z X I */
        char comm[65];
        uint64_t start_usec;   /* CLOCK_REALTIME */
        char **argv;           /* owned; NULL-terminated, empty for a zombie */
} TaskInfo;

/* Lists the processes, by pid. -ESRCH before the start. */
int tasks_list(const HostSeccomp *host, TaskInfo **ret, size_t *ret_n);
TaskInfo *tasks_free(TaskInfo *tasks, size_t n);

/* Number of threads of the sandbox. */
int tasks_count(const HostSeccomp *host, uint32_t *ret);

/* Calls function for each process (its host pid) until it returns non-zero, and returns that. */
int tasks_for_each(const HostSeccomp *host, int (*function)(pid_t host_pid, void *userdata), void *userdata);

/* The same for each thread of a process. 0 when the process is gone. */
int task_for_each_thread(pid_t host_pid, int (*function)(pid_t host_tid, void *userdata), void *userdata);

/* The host's id of the task that the sandbox's PID namespace knows as tid. -ESRCH when there is none. */
pid_t tasks_find_tid(const HostSeccomp *host, pid_t tid);

/* Name of a task for messages; always terminated. */
void task_comm(pid_t host_tid, char ret_comm[static 65]);
