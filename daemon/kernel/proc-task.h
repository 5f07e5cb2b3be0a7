/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading proc(5): what it says of one process or thread. proc_fd is a /proc directory; errors are negative errnos,
 * -ENOENT or -ESRCH for a task that is gone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "task/host-task.h"

/* How a user namespace maps ids, user_namespaces(7): the first few ranges of each. */
#define PROC_ID_RANGES 8U
typedef struct ProcIdRange {
        uint32_t inside, outside, count;
} ProcIdRange;

typedef struct ProcIdMaps {
        bool known;
        ProcIdRange uids[PROC_ID_RANGES], gids[PROC_ID_RANGES]; /* ended by a count of 0 */
} ProcIdMaps;

/* Calls function for each number in a directory until it returns non-zero, and returns that. */
int proc_for_each(int proc_fd, const char *path, int (*function)(pid_t id, void *userdata), void *userdata);

/* HOST_TASK_STAT of a process or, with a tid, of one of its threads. */
int proc_read_stat(int proc_fd, pid_t pid, pid_t tid, HostTask *task);
/* HOST_TASK_STATUS, with ids as the maps have them on the inside. After HOST_TASK_STAT it also finds out whether it is
 * dumpable. */
int proc_read_status(int proc_fd, pid_t pid, const ProcIdMaps *maps, HostTask *task);
/* Signals in the text of a status file, bit (1 << (signo - 1)) each. */
typedef struct ProcSignals {
        uint64_t own, shared; /* pending: for the thread, for its process */
        uint64_t blocked, caught;
        unsigned n_threads;
} ProcSignals;
/* False when some are missing there: those are 0. */
bool proc_parse_signals(const char *status, ProcSignals *ret);
/* The arguments, cut when they are very long, by way of a buffer of the caller's; the caller frees. NULL when there are
 * none. The guest can make this block: see arguments.h. */
#define PROC_ARGV_MAX (128U * 1024U + 1)
int proc_read_argv(int proc_fd, pid_t pid, char buffer[static PROC_ARGV_MAX], char **ret, size_t *ret_size);
/* What a link in its directory leads to ("exe", "root", "cwd"), as the sandbox names it; the caller frees. */
int proc_read_link(int proc_fd, pid_t pid, const char *name, char **ret);
void proc_read_id_maps(int proc_fd, pid_t pid, ProcIdMaps *ret);

/* In our own /proc: whose thread it is, and its id so many PID namespaces below ours; 0 when it has none there. Either
 * may be NULL. */
int proc_read_ids(pid_t host_tid, unsigned level, pid_t *ret_process, pid_t *ret_id);
/* How many PID namespaces below ours a task is. */
int proc_read_level(pid_t host_tid, unsigned *ret);

/* The status that wait(2) will give for a zombie, WAIT_STATUS_UNKNOWN when it is none or not to be told. */
int task_zombie_status(pid_t host_pid);
bool task_is_zombie(pid_t host_pid);
