/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sockets of a sandbox by their inodes, in all its network namespaces; for lister.h. */

#include "abi/types.h"
#include "sock-diag.h"

#define NETWORK_NAMESPACES_MAX 64U

typedef struct Sentry Sentry;

/* Starts as zeroes. */
typedef struct SocketIndex {
        SocketTable table;
        SocketTable unknown;    /* what only a descriptor tells of; its last is the one asked for last */
        uint64_t namespaces[NETWORK_NAMESPACES_MAX]; /* those in the table */
        size_t n_namespaces;
        int error;              /* why not all are there; 0 */
} SocketIndex;

/* Adds the network namespace that a task is in, unless it is there. */
void socket_index_add(SocketIndex *index, Sentry *sentry, GuestPid pid);
void socket_index_done(SocketIndex *index);

/* The socket with this inode. When no namespace tells of it, as of one that was never bound, it is what the descriptor
 * (an entry of dir_fd, a directory of /proc) tells, until the next call. NULL when that is nothing. */
const SocketInfo *socket_index_find(SocketIndex *index, int dir_fd, const char *number, uint32_t inode);
