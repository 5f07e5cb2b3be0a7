/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the task table of the end of processes, by pidfds in an epoll of their own, which is one source to the event
 * loop. While nobody dies it costs nothing. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

typedef struct Sentry Sentry;

typedef struct TaskWatch {
        Sentry *sentry;          /* lookup only */
        int epoll_fd;            /* owned */
        sd_event_source *source; /* owned */
        unsigned n_watched, n_max;
        bool tells_reaped;       /* the kernel tells when a zombie was waited for, and its status after that */
} TaskWatch;

/* Raises the limit of descriptors as far as it goes, and takes most of them for watches. */
int task_watch_init(TaskWatch *watch, Sentry *sentry);
void task_watch_done(TaskWatch *watch);

/* Returns a descriptor that stands for the watch, -EMFILE over the limit, -ESRCH. */
int task_watch_add(TaskWatch *watch, pid_t host_pid);
void task_watch_remove(TaskWatch *watch, int handle);

/* The wait status of a process that has ended, by its number and pidfd; WAIT_STATUS_UNKNOWN when its parent has it and the
 * kernel does not tell. */
int task_watch_status(pid_t pid, int pidfd);

/* Tells of what has ended by now. */
void task_watch_poll(TaskWatch *watch);
