/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The repair mode of TCP. It takes CAP_NET_ADMIN over the socket's network namespace, which its owner has. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static inline int tcp_repair_set(int fd, int option, int value) {
        return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) < 0 ? -errno : 0;
}
