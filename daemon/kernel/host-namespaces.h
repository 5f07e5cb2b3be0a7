/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The namespaces of tasks, host.h. */

#include "host.h"

int host_task_namespace(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret_inode);
int host_namespace_of(Host *host, HostTid tid, NamespaceKind kind, HostNamespace *ret);
int host_namespace_for_each_held(Host *host,
                                 int (*function)(GuestPid pid, int fd, NamespaceKind kind, const HostNamespace *info,
                                                 void *userdata),
                                 void *userdata);
