/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is special about UNIX sockets where the sandbox is in the host's network. Decided on registers, or without harm: who
 * swaps a descriptor meanwhile gets what the host would say of it. */

#include <errno.h>

#include "kernel.h"
#include "net/unix-sockets.h"

SYSCALL_DEFINE4(socketpair, int32_t, domain, int32_t, type, int32_t, protocol, GuestAddr, to) {
        int32_t kind = type & ABI_SOCK_TYPE_MASK;

        /* The ends of other pairs are connected for good: they reach nobody by name. */
        if (domain != ABI_AF_UNIX || (kind != ABI_SOCK_DGRAM && kind != ABI_SOCK_RAW) ||
            !unix_sockets_are_elsewhere(kernel, call))
                return verdict_continue();
        return unix_socket_pair(kernel, call, type, protocol, to);
}

/* if_nametoindex(3) and if_indextoname(3) ask a UNIX socket, which would know the interfaces of where it was made. */
SYSCALL_DEFINE3(ioctl, int32_t, fd, uint32_t, request, GuestAddr, at) {
        const HostOps *ops = kernel->host->ops;
        AbiIfreq interface;
        HostSocket socket;
        int32_t domain;
        int r;

        if (request != ABI_SIOCGIFNAME && request != ABI_SIOCGIFINDEX)
                return verdict_continue();
        r = ops->socket_copy(kernel->host, call, fd, &socket);
        if (r < 0)
                return verdict_continue();
        domain = socket.domain;
        ops->socket_close(kernel->host, socket.fd);
        if (domain != ABI_AF_UNIX || !unix_sockets_are_elsewhere(kernel, call))
                return verdict_continue();

        r = ops->memory_read(kernel->host, call, at, &interface, sizeof(interface));
        if (r >= 0)
                r = ops->interface(kernel->host, request, &interface);
        if (r >= 0)
                r = ops->memory_write(kernel->host, call, at, &interface, sizeof(interface));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}
