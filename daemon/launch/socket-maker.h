/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who makes the UNIX sockets of a sandbox that is in the host's network, in a network namespace of their own: abstract
 * names are a network namespace's, and so they are the sandbox's. See MakerRequest. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "profile.h"

typedef struct SocketMaker {
        pid_t pid; /* 0: there is none, or it is no child of ours */
        int fd;    /* owned, close-on-exec: where to ask */
} SocketMaker;

#define SOCKET_MAKER_NONE { .fd = -EBADF }

/* Whether a sandbox of this profile wants one on this kernel. */
bool socket_maker_is_needed(const Profile *profile);

/* What the filter is made by, bit (1 << SyscallFeature) each: what the profile turns on, and a maker. */
uint32_t launch_features(const Profile *profile);

/* Before the caller has a user namespace of its own. apart: it is no child of the caller's, and ends with sentry-kernel. */
int socket_maker_start(SocketMaker *ret, bool apart, LaunchFailure *failure);
/* Returns when it is ready. Once, before anybody asks. */
int socket_maker_wait(int fd, LaunchFailure *failure);
/* Ends it, when nobody is left in the sandbox. */
void socket_maker_done(SocketMaker *maker);
