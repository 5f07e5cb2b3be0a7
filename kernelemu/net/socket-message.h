/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Copying messages from guests: sendmsg(2), cmsg(3). */

#include "net/sockets.h"

/* Reads a struct msghdr and all that it points to but the data, descriptors of SCM_RIGHTS included. Precondition: *ret
 * is empty. 0; -EFAULT, -EINVAL, -EMSGSIZE, -ENOBUFS, -EBADF, -EPERM, -ENOMEM: *ret may hold something then. */
int socket_message_read(Kernel *kernel, const Call *call, const HostSocket *socket, GuestAddr from, uint32_t flags,
                        SocketMessage *ret);

/* A message of one piece of data, without control. */
int socket_message_of(const HostSocket *socket, GuestAddr data, uint64_t size, uint32_t flags, SocketMessage *ret);

/* Copies so many bytes of the data, from message->done on. -EFAULT. */
int socket_message_data(Kernel *kernel, const Call *call, const SocketMessage *message, uint8_t *buffer, uint64_t size);
