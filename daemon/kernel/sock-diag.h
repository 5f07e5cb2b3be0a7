/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sockets of a network namespace, by sock_diag(7) and, for what the kernel has no such interface for, /proc/net. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_MAX 1000000U /* that are listed */

/* One socket. Strings are owned. */
typedef struct SocketInfo {
        uint64_t netns;       /* inode of its network namespace; 0: not known */
        uint32_t inode;       /* 0: no process can have it, as in TIME-WAIT */
        uint32_t peer_inode;  /* UNIX; 0: none or not known */
        uint32_t recv_queue, send_queue; /* bytes; of a listening socket connections, and how many may be */
        uint16_t family;      /* AF_*; 0: not known */
        uint8_t type;         /* SOCK_*; 0: not known */
        uint8_t state;        /* TCP_*, as all families have it here */
        bool abstract;        /* UNIX: local is a name without a file */
        const char *protocol; /* "tcp", "udp", "unix" …; NULL: not known */
        char *local, *peer;   /* NULL: none. With NULs written as '@' */
} SocketInfo;

typedef struct SocketTable {
        SocketInfo *sockets;  /* owned; by inode once sorted */
        size_t n, n_allocated;
} SocketTable;

void socket_table_done(SocketTable *table);

/* Where to ask for the sockets of a network namespace. */
typedef struct SocketSource {
        uint64_t netns; /* its inode */
        int diag_fd;    /* a socket of sock_diag(7) that was made there, which other processes have, too; -EBADF: that is where
                         * we are */
        int net_dir;    /* /proc/PID/net of a task there; -EBADF: nothing but UNIX sockets can be in it */
} SocketSource;

/* Adds the sockets of a network namespace. 0, -ENOMEM, or why nothing could be found out. */
int socket_table_add(SocketTable *table, const SocketSource *source);
/* Adds one that nothing but its name of the protocol (getxattr "system.sockprotoname") is known of. */
int socket_table_add_unknown(SocketTable *table, uint32_t inode, const char *protocol, SocketInfo **ret);
/* By inode, for socket_table_find(). */
void socket_table_sort(SocketTable *table);
/* NULL when there is none. */
SocketInfo *socket_table_find(const SocketTable *table, uint32_t inode);

/* Words; NULL for what is not known. */
const char *socket_family_name(const SocketInfo *info);
const char *socket_type_name(const SocketInfo *info);
const char *socket_state_name(const SocketInfo *info);
