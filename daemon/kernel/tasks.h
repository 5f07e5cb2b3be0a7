/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finding the processes of a sandbox in the host's /proc: for those who act on them by the host's ids. The task table
 * (kernelemu/task/) is what people see. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct HostSeccomp HostSeccomp;

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
