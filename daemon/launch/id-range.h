/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A range of users and groups for a sandbox: subordinate ids, which newuidmap(1) and newgidmap(1) may map for us. They have
 * to run outside of the new user namespace, so there is a process that waits there until it is made. */

#include <sys/types.h>

#include "failure.h"

typedef struct IdRange {
        pid_t pid;   /* who will do it; 0: nobody */
        int go_fd;   /* owned: says that the namespace is there */
} IdRange;

#define ID_RANGE_NONE { .go_fd = -EBADF }

/* Before the caller has a new user namespace: looks for the ids that /etc/subuid and /etc/subgid give to him. */
int id_range_prepare(IdRange *ret, LaunchFailure *failure);
/* When it has: maps the caller to 0, and his range to what follows. */
int id_range_map(IdRange *range, LaunchFailure *failure);
/* Ends who waits, if nothing came of it. */
void id_range_done(IdRange *range);
