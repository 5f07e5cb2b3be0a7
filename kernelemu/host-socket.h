/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What socket calls say to the host. Descriptors here are the host's own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/socket.h"

/* A copy of a socket of the caller's: the same socket, whatever the caller does to his number for it. */
typedef struct HostSocket {
        int fd;                         /* owned */
        int32_t domain, type, protocol;
        bool nonblocking;               /* O_NONBLOCK */
        bool v6only;
} HostSocket;

/* Where the path of a UNIX socket leads: to a socket, or to the directory in which one is to be made. */
typedef struct HostPlace {
        int fd;                         /* owned; -1: the address is no path */
        char name[ABI_SOCKADDR_UN_MAX]; /* in the directory */
} HostPlace;

typedef struct HostAddress {
        uint8_t bytes[ABI_SOCKADDR_MAX];
        uint32_t size;
        HostPlace place;                /* takes the place of the path in bytes */
} HostAddress;

typedef struct HostMessage {
        const HostAddress *address; /* or NULL: none */
        const void *data;
        size_t size;
        const void *control;
        size_t control_size;
        uint32_t flags;
} HostMessage;
