/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The operations of host.h that are about other tasks than the caller; for host-seccomp.c. */

#include "host.h"

int host_task_info(Host *host, HostTid tid, HostPeer *ret);
int host_task_for_each(Host *host, bool threads, int (*function)(HostTid tid, void *userdata), void *userdata);
int host_task_signal(Host *host, HostTid tid, HostSignalTarget target, int signo, const AbiSiginfo *info);
int host_task_pidfd(Host *host, HostTid tid, uint32_t flags);
int64_t host_task_call(Host *host, HostTid tid, HostTaskCall call, uint64_t argument, const void *in, void *out);
int host_pidfd_task(Host *host, const Call *call, int32_t number, HostTid *ret);
int host_pidfd_signal(Host *host, const Call *call, int32_t number, HostSignalTarget target, int signo,
                      const AbiSiginfo *info);
bool host_has_ptrace_scope(Host *host);
