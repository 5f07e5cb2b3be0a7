/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UNIX sockets of a sandbox in the host's network: abstract names are a network namespace's, so the sockets are made in one
 * that nobody else uses, and whatever is done with them later is the host's, natively. SYSCALL_FEATURE_UNIX. */

#include "syscall.h"

/* Whether those of the caller are made there: not if a namespace that it made itself is where it is. Only the calling
 * thread can change that, so it holds while the call is in service. */
bool unix_sockets_are_elsewhere(Kernel *kernel, const Call *call);

/* socket(2) of AF_UNIX. */
Verdict unix_socket_new(Kernel *kernel, const Call *call, int32_t type, int32_t protocol);
/* socketpair(2) of AF_UNIX. */
Verdict unix_socket_pair(Kernel *kernel, const Call *call, int32_t type, int32_t protocol, GuestAddr to);
