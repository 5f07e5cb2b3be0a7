/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "kernel.h"
#include "net/unix-sockets.h"

bool unix_sockets_are_elsewhere(Kernel *kernel, const Call *call) {
        uint64_t inode;

        if (kernel->features & (1U << SYSCALL_FEATURE_NO_NESTING))
                return true;
        return kernel->host->ops->task_namespace(kernel->host, call->tid, NAMESPACE_NETWORK, &inode) < 0 ||
                inode == kernel->sockets.shared_network;
}

/* As the host checks it. What is not about the descriptor goes to the socket. */
static int check_type(int32_t type) {
        return type & ~(ABI_SOCK_TYPE_MASK | ABI_SOCK_NONBLOCK | ABI_SOCK_CLOEXEC) ? -EINVAL : 0;
}

Verdict unix_socket_new(Kernel *kernel, const Call *call, int32_t type, int32_t protocol) {
        int fd, r;

        r = check_type(type);
        if (r >= 0)
                r = kernel->host->ops->unix_make(kernel->host, call, type, protocol, 1, &fd);
        return r < 0 ? verdict_error(r) : verdict_fd(fd, type & ABI_SOCK_CLOEXEC);
}

Verdict unix_socket_pair(Kernel *kernel, const Call *call, int32_t type, int32_t protocol, GuestAddr to) {
        const HostOps *ops = kernel->host->ops;
        int32_t numbers[2] = { -1, -1 };
        int fds[2], r;

        r = check_type(type);
        /* Nothing can be taken back out of the caller's table, so what may fail comes first. */
        if (r >= 0)
                r = ops->memory_write(kernel->host, call, to, numbers, sizeof(numbers));
        if (r >= 0)
                r = ops->unix_make(kernel->host, call, type, protocol, 2, fds);
        if (r < 0)
                return verdict_error(r);
        for (unsigned i = 0; r >= 0 && i < 2; i++) {
                r = ops->fd_add(kernel->host, call, fds[i], type & ABI_SOCK_CLOEXEC);
                numbers[i] = r;
        }
        if (r >= 0)
                r = ops->memory_write(kernel->host, call, to, numbers, sizeof(numbers));
        ops->socket_close(kernel->host, fds[0]);
        ops->socket_close(kernel->host, fds[1]);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}
