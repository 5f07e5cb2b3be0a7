/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host operations of the task table, over the sandbox's own /proc and, with "pid": "host", the host's. */

#include "host.h"

int host_task_scan(Host *host, int (*function)(GuestPid pid, void *userdata), void *userdata);
int host_task_read(Host *host, GuestPid pid, unsigned parts, HostTask *ret);
void host_task_arguments(Host *host, HostArguments *of, size_t n);
int host_task_threads(Host *host, GuestPid pid, int (*function)(const HostTask *task, void *userdata), void *userdata);
int host_task_of(Host *host, HostTid tid, HostCaller *ret);
int host_task_watch(Host *host, HostTid host_pid);
void host_task_unwatch(Host *host, int handle);
void host_task_poll(Host *host);
int host_birth_mark(Host *host, uint64_t *ret);
