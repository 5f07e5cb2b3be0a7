/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "net/socket-message.h"
#include "util/macros.h"

#define CMSG_PADDED(n) (((n) + 7) & ~(uint64_t) 7)

#define SOL_IPV6_LEVEL 41
#define SOL_UDP_LEVEL 17

/* What control messages may say to sockets that are not UNIX ones. Not what takes a capability (SO_MARK, IPv6 extension
 * headers), of which the host would ask us and not the caller; not what names addresses of destinations (IP_RETOPTS). */
static const struct {
        int32_t level, type;
} controls[] = {
        { ABI_SOL_SOCKET, 37 },    /* SO_TIMESTAMPING */
        { ABI_SOL_SOCKET, 65 },    /* SO_TIMESTAMPING_NEW */
        { ABI_SOL_SOCKET, 61 },    /* SCM_TXTIME */
        { ABI_SOL_SOCKET, 81 },    /* SCM_TS_OPT_ID */
        { ABI_IPPROTO_IP, 1 },     /* IP_TOS */
        { ABI_IPPROTO_IP, 2 },     /* IP_TTL */
        { ABI_IPPROTO_IP, 8 },     /* IP_PKTINFO */
        { SOL_IPV6_LEVEL, 2 },     /* IPV6_2292PKTINFO */
        { SOL_IPV6_LEVEL, 8 },     /* IPV6_2292HOPLIMIT */
        { SOL_IPV6_LEVEL, 11 },    /* IPV6_FLOWINFO */
        { SOL_IPV6_LEVEL, 50 },    /* IPV6_PKTINFO */
        { SOL_IPV6_LEVEL, 52 },    /* IPV6_HOPLIMIT */
        { SOL_IPV6_LEVEL, 62 },    /* IPV6_DONTFRAG */
        { SOL_IPV6_LEVEL, 67 },    /* IPV6_TCLASS */
        { SOL_UDP_LEVEL, 103 },    /* UDP_SEGMENT */
        { 279, 1 }, { 279, 2 }, { 279, 3 }, { 279, 4 }, /* SOL_ALG: key, vector, operation, length */
        { 282, 1 },                /* SOL_TLS: TLS_SET_RECORD_TYPE */
};

static int check_size(const HostSocket *socket, SocketMessage *message) {
        if (message->size > ABI_RW_MAX)
                message->size = ABI_RW_MAX;
        return socket->type != ABI_SOCK_STREAM && message->size > SOCKET_DATAGRAM_MAX ? -EMSGSIZE : 0;
}

int socket_message_of(const HostSocket *socket, GuestAddr data, uint64_t size, uint32_t flags, SocketMessage *ret) {
        ret->iov = malloc(sizeof(AbiIovec));
        if (!ret->iov)
                return -ENOMEM;
        ret->iov[0] = (AbiIovec) { .base = data, .size = size };
        ret->n_iov = 1;
        ret->size = size;
        ret->flags = flags & ~(uint32_t) ABI_MSG_ZEROCOPY;
        return check_size(socket, ret);
}

static int read_iov(Kernel *kernel, const Call *call, const AbiMsghdr *header, SocketMessage *ret) {
        int r;

        if (header->n_iov > ABI_IOV_MAX)
                return -EMSGSIZE;
        ret->n_iov = (uint32_t) header->n_iov;
        ret->iov = calloc(MAX2(ret->n_iov, 1U), sizeof(AbiIovec));
        if (!ret->iov)
                return -ENOMEM;
        r = kernel->host->ops->memory_read(kernel->host, call, header->iov, ret->iov, ret->n_iov * sizeof(AbiIovec));
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < ret->n_iov; i++) {
                if (ret->iov[i].size > INT64_MAX)
                        return -EINVAL;
                /* Cut as the host cuts it. */
                ret->iov[i].size = MIN2(ret->iov[i].size, (uint64_t) ABI_RW_MAX - ret->size);
                ret->size += ret->iov[i].size;
        }
        return 0;
}

/* The descriptors of the caller's in place become ours. */
static int take_fds(Kernel *kernel, const Call *call, uint8_t *data, size_t n, SocketMessage *ret) {
        for (size_t i = 0; i < n; i++) {
                int32_t number;
                int fd;

                if (ret->n_fds >= ABI_SCM_MAX_FD)
                        return -EINVAL;
                memcpy(&number, data + i * sizeof(number), sizeof(number));
                fd = kernel->host->ops->socket_fd(kernel->host, call, number);
                if (fd < 0)
                        return fd;
                ret->fds[ret->n_fds++] = fd;
                memcpy(data + i * sizeof(fd), &fd, sizeof(fd));
        }
        return 0;
}

/* Who sends is us, as far as the host can tell. A caller that says he is himself may be told so; another, not. */
static int replace_credentials(Kernel *kernel, const Call *call, uint8_t *data, size_t n) {
        HostPeer caller, task;
        AbiUcred claimed;
        HostTid tid;
        int r;

        if (n != sizeof(claimed))
                return -EINVAL;
        memcpy(&claimed, data, sizeof(claimed));
        r = kernel->host->ops->task_info(kernel->host, call->tid, &caller);
        if (r >= 0)
                r = claimed.pid <= 0 ? -ESRCH :
                        kernel->host->ops->task_find(kernel->host, call, claimed.pid, &tid);
        if (r >= 0)
                r = kernel->host->ops->task_info(kernel->host, tid, &task);
        if (r < 0 || task.tgid != caller.tgid)
                return -EPERM;
        kernel->host->ops->socket_credentials(kernel->host, &claimed);
        memcpy(data, &claimed, sizeof(claimed));
        return 0;
}

static bool is_known(const AbiCmsghdr *header) {
        for (size_t i = 0; i < ELEMENTSOF(controls); i++)
                if (controls[i].level == header->level && controls[i].type == header->type)
                        return true;
        return false;
}

/* Copies the control messages, those that mean something to this socket. */
static int take_control(Kernel *kernel, const Call *call, const HostSocket *socket, uint8_t *from, uint64_t size,
                        SocketMessage *ret) {
        uint64_t at = 0;

        ret->control = calloc(1, CMSG_PADDED(size));
        if (!ret->control)
                return -ENOMEM;
        while (size - at >= sizeof(AbiCmsghdr)) {
                AbiCmsghdr header;
                uint8_t *data = from + at + sizeof(header);
                size_t n;
                int r = 0;

                memcpy(&header, from + at, sizeof(header));
                if (header.size < sizeof(header) || header.size > size - at)
                        return -EINVAL;
                n = header.size - sizeof(header);

                if (header.level == ABI_SOL_SOCKET &&
                    (header.type == ABI_SCM_RIGHTS || header.type == ABI_SCM_CREDENTIALS)) {
                        if (socket->domain != ABI_AF_UNIX && socket->domain != ABI_AF_NETLINK)
                                goto next; /* as the host ignores it */
                        if (header.type == ABI_SCM_RIGHTS && socket->domain != ABI_AF_UNIX)
                                return -EINVAL;
                        r = header.type == ABI_SCM_RIGHTS ? take_fds(kernel, call, data, n / sizeof(int32_t), ret) :
                                                            replace_credentials(kernel, call, data, n);
                        if (r < 0)
                                return r;
                } else if (socket->domain == ABI_AF_UNIX && header.level != ABI_SOL_SOCKET)
                        goto next;
                else if (!is_known(&header)) {
                        event_refused_what(kernel, call, EPERM, "a control message");
                        return -EPERM;
                }
                memcpy(ret->control + ret->control_size, from + at, header.size);
                ret->control_size += CMSG_PADDED(header.size);
next:
                if (CMSG_PADDED(header.size) > size - at)
                        break;
                at += CMSG_PADDED(header.size);
        }
        return 0;
}

static int read_control(Kernel *kernel, const Call *call, const HostSocket *socket, const AbiMsghdr *header,
                        SocketMessage *ret) {
        void *control;
        int r;

        if (header->control_size > SOCKET_CONTROL_MAX)
                return -ENOBUFS;
        if (header->control_size == 0)
                return 0;
        control = kernel_scratch(kernel, header->control_size);
        if (!control)
                return -ENOMEM;
        r = kernel->host->ops->memory_read(kernel->host, call, header->control, control, header->control_size);
        if (r >= 0)
                r = take_control(kernel, call, socket, control, header->control_size, ret);
        return r;
}

int socket_message_read(Kernel *kernel, const Call *call, const HostSocket *socket, GuestAddr from, uint32_t flags,
                        SocketMessage *ret) {
        AbiMsghdr header;
        int r;

        r = kernel->host->ops->memory_read(kernel->host, call, from, &header, sizeof(header));
        if (r < 0)
                return r;
        if (header.name == 0)
                header.name_size = 0;
        if (header.name_size < 0)
                return -EINVAL;
        ret->flags = flags & ~(uint32_t) ABI_MSG_ZEROCOPY;
        ret->has_address = header.name_size > 0;
        if (ret->has_address) {
                ret->address.size = MIN2((uint32_t) header.name_size, ABI_SOCKADDR_MAX);
                r = kernel->host->ops->memory_read(kernel->host, call, header.name, ret->address.bytes,
                                                   ret->address.size);
                if (r < 0)
                        return r;
        }
        r = read_iov(kernel, call, &header, ret);
        if (r >= 0)
                r = check_size(socket, ret);
        if (r >= 0)
                r = read_control(kernel, call, socket, &header, ret);
        return r;
}

int socket_message_data(Kernel *kernel, const Call *call, const SocketMessage *message, uint8_t *buffer, uint64_t size) {
        uint64_t skip = message->done;
        int r;

        for (uint32_t i = 0; i < message->n_iov && size > 0; i++) {
                const AbiIovec *iov = message->iov + i;
                uint64_t n;

                if (skip >= iov->size) {
                        skip -= iov->size;
                        continue;
                }
                n = MIN2(iov->size - skip, size);
                r = kernel->host->ops->memory_read(kernel->host, call, iov->base + skip, buffer, n);
                if (r < 0)
                        return r;
                buffer += n;
                size -= n;
                skip = 0;
        }
        return 0;
}
