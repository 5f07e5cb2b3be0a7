/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Socket calls that are made on behalf of their callers, as far as they are not through yet. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "host-socket.h"
#include "net/address-rules.h"
#include "syscall.h"

#define SOCKET_CHUNK (256U * 1024)         /* of a stream's data copied at a time */
#define SOCKET_DATAGRAM_MAX (512U * 1024)  /* more than any SO_SNDBUF that needs no privilege lets through */
#define SOCKET_INLINE_MAX (2U << 20)       /* bytes sent in one service: the others wait meanwhile */
#define SOCKET_HELD_MAX (32U << 20)        /* bytes that calls of a sandbox wait with */
#define SOCKET_CONTROL_MAX 20480U          /* net.core.optmem_max */
#define SOCKET_ERESTARTSYS 512             /* known inside kernels only: nothing was done, run the call again */

/* One message, copied from the guest once but for its data. */
typedef struct SocketMessage {
        AbiIovec *iov;            /* owned */
        uint32_t n_iov;
        uint64_t size;            /* of all of iov */
        uint64_t done;            /* bytes that were sent */
        uint32_t flags;
        bool has_address;
        HostAddress address;
        uint8_t *control;         /* owned, with descriptors of ours in SCM_RIGHTS */
        size_t control_size;
        int fds[ABI_SCM_MAX_FD];  /* owned */
        unsigned n_fds;
} SocketMessage;

/* A call in service or parked. Not recorded, as parked calls are not. */
typedef struct SocketWork {
        uint64_t cookie;            /* immutable */
        HostSocket socket;          /* owned */
        SocketMessage message;      /* owned */
        uint32_t index;             /* sendmmsg: messages that are through */
        uint64_t held;              /* bytes that the host has of it while it waits */
        uint8_t *data;              /* owned; that is being sent */
        bool started;               /* the host waits for it, or did: */
        bool finished;              /* the host has waited */
        int64_t result;
        bool interrupted;           /* no more waiting */
        LIST_ENTRY(SocketWork) link; /* owned by the table */
} SocketWork;

typedef struct Sockets {
        AddressRules rules;          /* owned; immutable, not recorded: the profile's */
        bool own_network;            /* immutable; not recorded: the network namespace is the sandbox's */
        uint64_t shared_network;     /* inode of the network namespace that is the host's, if UNIX sockets are made
                                      * elsewhere; not recorded */
        bool binds_ports;            /* immutable; not recorded: the host would ask us, and not the caller, for
                                      * CAP_NET_BIND_SERVICE, and we have it */
        LIST_HEAD(, SocketWork) works; /* owned */
        uint64_t held;
} Sockets;

/* Copies the rules. 0 or -ENOMEM. */
int sockets_init(Sockets *sockets, const AddressRules *rules, bool own_network);
void sockets_done(Kernel *kernel);

SocketWork *socket_work_find(Kernel *kernel, const Call *call);
/* NULL without memory. In the table from the start: a call that gets stuck leaves nothing behind (sockets_forget()). */
SocketWork *socket_work_new(Kernel *kernel, const Call *call);
/* Frees all that it holds, and takes it out of the table. */
SocketWork *socket_work_free(Kernel *kernel, SocketWork *work);
/* Gives back what a message held, and leaves it empty. */
void socket_message_done(Kernel *kernel, SocketMessage *message);

/* The call will not be answered by its handler: forgets it. */
void sockets_forget(Kernel *kernel, uint64_t cookie);
/* A parked call must not wait any longer: when its handler runs next it ends. False: it is none of a socket's. */
bool sockets_interrupt(Kernel *kernel, uint64_t cookie);
/* For the host: it has waited for a call, with this result or negative errno. Runs its handler on. */
void sockets_finished(Kernel *kernel, uint64_t cookie, int64_t result);
