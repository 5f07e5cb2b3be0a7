/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The namespaces of tasks, host.h. */

#include "host-seccomp.h"
#include "host.h"

/* Whether a process is in a PID namespace that is nested in the sandbox's. */
bool host_pid_namespace_is_inside(const HostSeccomp *host, pid_t pid);
/* The host's id of the task that another one, which may be in a nested PID namespace, knows as id. -ESRCH. */
pid_t host_find_as_seen_by(const HostSeccomp *host, HostTid tid, GuestPid id);

int host_task_namespace(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret_inode);
int host_namespace_of(Host *host, HostTid tid, NamespaceKind kind, HostNamespace *ret);
int host_namespace_for_each_held(Host *host,
                                 int (*function)(GuestPid pid, int fd, NamespaceKind kind, const HostNamespace *info,
                                                 void *userdata),
                                 void *userdata);
