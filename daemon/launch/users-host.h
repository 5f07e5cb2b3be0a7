/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A user namespace in which all users are who they are outside ("users": "host"), and the capabilities over it that its
 * maker had outside: what a service of root's needs that changes its user by itself. Only root can make one, and so root
 * owns it: whoever owned it otherwise could become any user in it. */

#include <stdint.h>
#include <sys/types.h>

#include "failure.h"

/* Capability sets, bit per CAP_*. */
typedef struct Bounds {
        uint64_t inheritable, permitted, bounding, ambient;
} Bounds;

/* Those of a process (0: this one) as they are now. 0 or a negative errno. */
int bounds_of(pid_t pid, Bounds *ret);
/* Takes these on in a new user namespace, which gave all. only: no others than these (bit per CAP_*). */
int bounds_enter(const Bounds *bounds, uint64_t only, LaunchFailure *failure);

/* Makes the namespace and enters it, with all capabilities over it. */
int users_host_enter(LaunchFailure *failure);
