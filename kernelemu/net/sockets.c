/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "kernel.h"
#include "net/sockets.h"

int sockets_init(Sockets *sockets, const AddressRules *rules, bool own_network) {
        *sockets = (Sockets) { .own_network = own_network };
        LIST_INIT(&sockets->works);
        return rules ? address_rules_copy(rules, &sockets->rules) : 0;
}

void sockets_done(Kernel *kernel) {
        while (!LIST_EMPTY(&kernel->sockets.works))
                socket_work_free(kernel, LIST_FIRST(&kernel->sockets.works));
        address_rules_done(&kernel->sockets.rules);
}

static SocketWork *find(Kernel *kernel, uint64_t cookie) {
        SocketWork *work;

        LIST_FOREACH(work, &kernel->sockets.works, link)
                if (work->cookie == cookie)
                        return work;
        return NULL;
}

SocketWork *socket_work_find(Kernel *kernel, const Call *call) {
        return find(kernel, call->cookie);
}

SocketWork *socket_work_new(Kernel *kernel, const Call *call) {
        SocketWork *work = calloc(1, sizeof(SocketWork));

        if (!work)
                return NULL;
        work->cookie = call->cookie;
        work->socket.fd = -1;
        work->message.address.place.fd = -1;
        LIST_INSERT_HEAD(&kernel->sockets.works, work, link);
        return work;
}

void socket_message_done(Kernel *kernel, SocketMessage *message) {
        const HostOps *ops = kernel->host->ops;

        for (unsigned i = 0; i < message->n_fds; i++)
                ops->socket_close(kernel->host, message->fds[i]);
        if (message->address.place.fd >= 0)
                ops->socket_close(kernel->host, message->address.place.fd);
        free(message->iov);
        free(message->control);
        message->iov = NULL;
        message->control = NULL;
        message->n_iov = message->n_fds = 0;
        message->size = message->done = message->control_size = 0;
        message->has_address = false;
        message->address.place.fd = -1;
}

SocketWork *socket_work_free(Kernel *kernel, SocketWork *work) {
        int64_t result;

        if (!work)
                return NULL;
        if (work->started && !work->finished)
                kernel->host->ops->socket_stop(kernel->host, work->cookie, &result);
        LIST_REMOVE(work, link);
        kernel->sockets.held -= work->held;
        socket_message_done(kernel, &work->message);
        if (work->socket.fd >= 0)
                kernel->host->ops->socket_close(kernel->host, work->socket.fd);
        free(work->data);
        free(work);
        return NULL;
}

void sockets_forget(Kernel *kernel, uint64_t cookie) {
        socket_work_free(kernel, find(kernel, cookie));
}

bool sockets_interrupt(Kernel *kernel, uint64_t cookie) {
        SocketWork *work = find(kernel, cookie);

        if (!work)
                return false;
        if (!work->finished) {
                kernel->host->ops->socket_stop(kernel->host, cookie, &work->result);
                work->finished = true;
        }
        work->interrupted = true;
        return true;
}

void sockets_finished(Kernel *kernel, uint64_t cookie, int64_t result) {
        SocketWork *work = find(kernel, cookie);

        if (!work)
                return;
        work->finished = true;
        work->result = result;
        kernel_wake_call(kernel, cookie);
}
