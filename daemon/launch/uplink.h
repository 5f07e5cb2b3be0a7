/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way out of a private network: pasta(1), which works in user space and without privileges. A process that stays
 * outside of the sandbox starts it, keeps it as its child, and ends it as soon as nobody holds the other end of its socket:
 * so nothing is left behind, however the launcher dies. Should that process be killed, then pasta still ends with the last
 * process of the network namespace. */

#include <sys/types.h>

#include "failure.h"

typedef struct Uplink {
        pid_t pid; /* who looks after pasta; 0: nobody */
        int fd;    /* owned: close-on-exec */
} Uplink;

#define UPLINK_NONE { .fd = -EBADF }

/* Before the caller has a user namespace of its own. */
int uplink_prepare(const char *sandbox, Uplink *ret, LaunchFailure *failure);
/* In the child, which has the network namespace by now: returns when it has its interfaces. */
int uplink_connect(int fd, LaunchFailure *failure);
/* Ends it. */
void uplink_done(Uplink *uplink);
