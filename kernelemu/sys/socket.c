/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Socket calls under rules for addresses: made on behalf, with a copy of the caller's socket and of all that the call
 * says, so that nothing can change what was judged. Never CONTINUE after a look at memory or at a descriptor. Where the
 * call has to wait, the host waits for it in another thread, and the handler runs on when it is through: the SocketWork
 * keeps how far it is. */

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "net/socket-message.h"
#include "net/sockets.h"
#include "net/unix-sockets.h"
#include "sys/caller.h"
#include "util/macros.h"

#define PRIVILEGED_PORTS 1024 /* net.ipv4.ip_unprivileged_port_start of a new network namespace */

static int refuse(Kernel *kernel, const Call *call, const char *what) {
        event_refused_what(kernel, call, EACCES, what);
        return -EACCES;
}

/* The caller's socket, if it is of a kind that can be judged. */
static int copy_socket(Kernel *kernel, const Call *call, int32_t fd, HostSocket *ret) {
        int r;

        r = kernel->host->ops->socket_copy(kernel->host, call, fd, ret);
        if (r < 0)
                return r;
        if (address_socket_is_plain(ret->domain, ret->type, ret->protocol))
                return 0;
        kernel->host->ops->socket_close(kernel->host, ret->fd);
        ret->fd = -1;
        return refuse(kernel, call, "a raw socket or one of an unknown protocol");
}

/* Protocols whose groups everybody may listen to: NL_CFG_F_NONROOT_RECV. */
static bool netlink_is_public(int32_t protocol) {
        return protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG || protocol == NETLINK_KOBJECT_UEVENT ||
                protocol == NETLINK_GENERIC;
}

/* What the kernel asks of the task that makes a call and not of the socket, it would ask of us, who own the network
 * namespace. So it is asked here, of the caller. */
static int check_privilege(Kernel *kernel, const Call *call, const HostSocket *socket, AddressCall what,
                           const HostAddress *address, const Address *parsed) {
        uint32_t pid, groups;

        if (!kernel->sockets.own_network && !kernel->sockets.binds_ports)
                return 0; /* it is the host's, of which we own nothing */

        if (what == ADDRESS_BIND && (parsed->kind == ADDRESS_INET || parsed->kind == ADDRESS_INET6) &&
            parsed->port > 0 && parsed->port < PRIVILEGED_PORTS && !caller_has(kernel, call, CAP_NET_BIND_SERVICE))
                return -EACCES;
        if (kernel->sockets.own_network && socket->domain == ABI_AF_NETLINK && address->size >= 12) {
                memcpy(&pid, address->bytes + 4, sizeof(pid));
                memcpy(&groups, address->bytes + 8, sizeof(groups));
                if ((what == ADDRESS_BIND ? groups != 0 && !netlink_is_public(socket->protocol) :
                                            (groups != 0 || pid != 0) && socket->protocol != NETLINK_USERSOCK) &&
                    !caller_has(kernel, call, CAP_NET_ADMIN))
                        return -EPERM;
        }
        return 0;
}

/* Judges an address, and finds out where it leads if it is a path. */
static int check_address(Kernel *kernel, const Call *call, const HostSocket *socket, AddressCall what,
                         HostAddress *address) {
        char text[ADDRESS_TEXT_MAX];
        Address *parsed;
        int r;

        address->place.fd = -1;
        parsed = malloc(sizeof(Address));
        if (!parsed)
                return -ENOMEM;
        r = address_parse(socket->domain, what, socket->v6only, address->bytes, address->size, parsed);
        /* A stream takes none, which is the host's to say, and a sequence of packets does not look at it. */
        if (r >= 0 && parsed->kind == ADDRESS_UNIX_PATH && what == ADDRESS_SEND && socket->type != ABI_SOCK_DGRAM)
                goto finish;
        if (r >= 0 && parsed->kind == ADDRESS_UNIX_PATH) {
                r = kernel->host->ops->socket_locate(kernel->host, call, parsed->name, what == ADDRESS_BIND,
                                                     &address->place, parsed->name);
                parsed->name_size = r < 0 ? 0 : strlen(parsed->name);
        }
        if (r < 0)
                goto finish;

        if (!address_rules_allow(&kernel->sockets.rules, what, parsed)) {
                address_format(parsed, text);
                r = refuse(kernel, call, text);
        } else
                r = check_privilege(kernel, call, socket, what, address, parsed);
        if (r < 0 && address->place.fd >= 0) {
                kernel->host->ops->socket_close(kernel->host, address->place.fd);
                address->place.fd = -1;
        }

finish:
        free(parsed);
        return r;
}

/* move_addr_to_kernel() */
static int read_address(Kernel *kernel, const Call *call, GuestAddr from, int32_t size, HostAddress *ret) {
        ret->place.fd = -1;
        ret->size = 0;
        if (size < 0 || size > (int32_t) ABI_SOCKADDR_MAX)
                return -EINVAL;
        ret->size = (uint32_t) size;
        return kernel->host->ops->memory_read(kernel->host, call, from, ret->bytes, (size_t) size);
}

/* Parks a call that the host waits for, or is about to. */
static Verdict park(Kernel *kernel, const Call *call, SocketWork *work) {
        Verdict verdict = kernel_park(kernel, call, &kernel->socket_waiters);

        if (verdict.kind != VERDICT_PARKED)
                socket_work_free(kernel, work);
        return verdict;
}

/* Has the host wait for a call: with a message (whose data becomes the host's), or for connect(2) without. */
static int start(Kernel *kernel, SocketWork *work, const HostAddress *address, HostMessage *message, void *data) {
        int r;

        if (message && kernel->sockets.held + message->size > SOCKET_HELD_MAX)
                return -ENOBUFS;
        r = kernel->host->ops->socket_start(kernel->host, work->cookie, &work->socket, address, message, data);
        if (r < 0)
                return r;
        work->finished = false;
        if (message) {
                work->held = message->size;
                kernel->sockets.held += work->held;
        }
        work->started = true;
        return 0;
}

static Verdict verdict_of(int64_t result) {
        return result < 0 ? verdict_error((int) result) : verdict_value(result);
}

SYSCALL_DEFINE3(socket, int32_t, domain, int32_t, type, int32_t, protocol) {
        const char *name;

        if (!(kernel->features & (1U << SYSCALL_FEATURE_SOCKETS)))
                return domain == ABI_AF_UNIX && unix_sockets_are_elsewhere(kernel, call) ?
                        unix_socket_new(kernel, call, type, protocol) : verdict_continue();
        if (!address_socket_is_plain(domain, type & ABI_SOCK_TYPE_MASK, protocol))
                return verdict_error(refuse(kernel, call, "a raw socket or one of an unknown protocol"));
        if (domain != ABI_AF_INET && domain != ABI_AF_INET6 && domain != ABI_AF_UNIX &&
            !address_rules_allow_family(&kernel->sockets.rules, domain)) {
                name = address_family_name(domain);
                return verdict_error(refuse(kernel, call, name ?: "a family without a name"));
        }
        return verdict_continue();
}

SYSCALL_DEFINE5(setsockopt, int32_t, fd, int32_t, level, int32_t, option, GuestAddr, value, int32_t, size) {
        (void) fd, (void) value, (void) size;
        if (level == ABI_IPPROTO_IP && option == ABI_IP_OPTIONS)
                return verdict_error(refuse(kernel, call, "IP_OPTIONS"));
        if (level == ABI_IPPROTO_IPV6 && (option == ABI_IPV6_RTHDR || option == ABI_IPV6_2292PKTOPTIONS ||
                                          option == ABI_IPV6_FLOWLABEL_MGR))
                return verdict_error(refuse(kernel, call, "options that may hold a route"));
        /* The data is sent from memory of ours. */
        if (level == ABI_SOL_SOCKET && option == ABI_SO_ZEROCOPY)
                return verdict_error(EOPNOTSUPP);
        return verdict_continue();
}

/* Without rules nothing is to be kept from happening: the host says no by itself to a caller who may not, whatever he
 * makes of the address or the number after our look. All there is to do is what he may and the host does not know. */
static Verdict bind_port(Kernel *kernel, const Call *call, int32_t fd, GuestAddr from, int32_t size) {
        const HostOps *ops = kernel->host->ops;
        HostAddress address;
        HostSocket socket;
        Address *parsed;
        bool ours = false;
        int r;

        if (size < (int32_t) ABI_SOCKADDR_IN || read_address(kernel, call, from, size, &address) < 0 ||
            ops->socket_copy(kernel->host, call, fd, &socket) < 0)
                return verdict_continue();
        parsed = malloc(sizeof(Address));
        if (parsed && address_parse(socket.domain, ADDRESS_BIND, socket.v6only, address.bytes, address.size, parsed) >= 0)
                ours = (parsed->kind == ADDRESS_INET || parsed->kind == ADDRESS_INET6) && parsed->port > 0 &&
                        parsed->port < PRIVILEGED_PORTS && caller_has(kernel, call, CAP_NET_BIND_SERVICE);
        free(parsed);
        r = ours ? ops->socket_bind(kernel->host, call, &socket, &address) : 0;
        ops->socket_close(kernel->host, socket.fd);
        return ours ? verdict_of(r) : verdict_continue();
}

SYSCALL_DEFINE3(bind, int32_t, fd, GuestAddr, from, int32_t, size) {
        const HostOps *ops = kernel->host->ops;
        HostAddress address;
        HostSocket socket;
        int readable, r;

        if (!(kernel->features & 1U << SYSCALL_FEATURE_SOCKETS))
                return bind_port(kernel, call, fd, from, size);
        /* Read first, so that nothing is held while its memory may not answer. */
        readable = read_address(kernel, call, from, size, &address);
        r = copy_socket(kernel, call, fd, &socket);
        if (r < 0)
                return verdict_error(r);
        r = readable;
        if (r >= 0)
                r = check_address(kernel, call, &socket, ADDRESS_BIND, &address);
        if (r >= 0)
                r = ops->socket_bind(kernel->host, call, &socket, &address);
        if (address.place.fd >= 0)
                ops->socket_close(kernel->host, address.place.fd);
        ops->socket_close(kernel->host, socket.fd);
        return verdict_of(r);
}

SYSCALL_DEFINE2(listen, int32_t, fd, int32_t, backlog) {
        const HostOps *ops = kernel->host->ops;
        HostAddress address;
        HostSocket socket;
        int r;

        r = copy_socket(kernel, call, fd, &socket);
        if (r < 0)
                return verdict_error(r);
        r = socket.domain == ABI_AF_INET || socket.domain == ABI_AF_INET6 ?
                ops->socket_name(kernel->host, &socket, &address) : 1;
        /* Without a port yet it gets one. */
        if (r == 0 && address.bytes[2] == 0 && address.bytes[3] == 0)
                r = check_address(kernel, call, &socket, ADDRESS_BIND, &address);
        if (r >= 0)
                r = ops->socket_listen(kernel->host, &socket, backlog);
        ops->socket_close(kernel->host, socket.fd);
        return verdict_of(r);
}

SYSCALL_DEFINE3(connect, int32_t, fd, GuestAddr, from, int32_t, size) {
        SocketWork *work = socket_work_find(kernel, call);
        HostAddress *address;
        uint16_t family;
        int64_t result;
        int r;

        if (work) {
                if (!work->finished)
                        return verdict_parked();
                result = work->interrupted && work->result == -EINTR ? -SOCKET_ERESTARTSYS : work->result;
                socket_work_free(kernel, work);
                return verdict_of(result);
        }

        work = socket_work_new(kernel, call);
        if (!work)
                return verdict_error(ENOMEM);
        address = &work->message.address;
        r = copy_socket(kernel, call, fd, &work->socket);
        if (r >= 0)
                r = read_address(kernel, call, from, size, address);
        if (r >= 0)
                r = check_address(kernel, call, &work->socket, ADDRESS_CONNECT, address);
        if (r >= 0) {
                memcpy(&family, address->bytes, sizeof(family));
                /* That a socket does not block may have changed by the time the host looks. */
                if (work->socket.type == ABI_SOCK_DGRAM || family == ABI_AF_UNSPEC ||
                    work->socket.domain == ABI_AF_NETLINK)
                        r = kernel->host->ops->socket_connect(kernel->host, call, &work->socket, address);
                else {
                        r = start(kernel, work, address, NULL, NULL);
                        if (r >= 0)
                                return park(kernel, call, work);
                }
        }
        socket_work_free(kernel, work);
        return verdict_of(r);
}

/* ---- sending ---- */

static int check_message(Kernel *kernel, const Call *call, SocketWork *work) {
        SocketMessage *message = &work->message;
        bool opens = work->socket.type == ABI_SOCK_STREAM && (message->flags & ABI_MSG_FASTOPEN);

        if (!message->has_address)
                return 0;
        return check_address(kernel, call, &work->socket, opens ? ADDRESS_CONNECT : ADDRESS_SEND, &message->address);
}

static void raise_sigpipe(Kernel *kernel, const Call *call) {
        HostPeer caller;
        AbiSiginfo info = { .signo = SIGPIPE, .code = SI_QUEUE };

        if (caller_info(kernel, call, &caller) < 0)
                return;
        info.pid = caller.tgid;
        info.uid = caller.uid;
        (void) kernel->host->ops->task_signal(kernel->host, call->tid, HOST_SIGNAL_THREAD, SIGPIPE, &info);
}

/* Sends what is left of a message. The bytes that were sent, an error, or -EINPROGRESS with *ret_parked: the host waits. */
static int64_t advance(Kernel *kernel, const Call *call, SocketWork *work, bool *ret_parked) {
        SocketMessage *m = &work->message;
        bool stream = work->socket.type == ABI_SOCK_STREAM;
        bool waits = !work->socket.nonblocking && !(m->flags & ABI_MSG_DONTWAIT);
        uint64_t sent = 0;

        *ret_parked = false;
        if (work->finished) {
                int64_t result = work->result;
                uint64_t wanted = work->held;

                work->finished = false;
                kernel->sockets.held -= work->held;
                work->held = 0;
                if (result < 0)
                        return m->done > 0 ? (int64_t) m->done :
                                work->interrupted && result == -EINTR ? -SOCKET_ERESTARTSYS : result;
                m->done += (uint64_t) result;
                /* What is short had a reason that a further try would find again, or a signal. */
                if (!stream || m->done >= m->size || (uint64_t) result < wanted)
                        return (int64_t) m->done;
        }

        for (;;) {
                uint64_t n = stream ? MIN2(m->size - m->done, (uint64_t) SOCKET_CHUNK) : m->size;
                uint8_t small[4096], *data = small;
                bool first = m->done == 0, last = m->done + n >= m->size;
                HostMessage message = {
                        .address = first && m->has_address ? &m->address : NULL,
                        .size = n,
                        .control = first ? m->control : NULL,
                        .control_size = first ? m->control_size : 0,
                        .flags = last ? m->flags : m->flags & ~(uint32_t) ABI_MSG_OOB,
                };
                int64_t r;

                if (work->interrupted)
                        return m->done > 0 ? (int64_t) m->done : -SOCKET_ERESTARTSYS;
                if (n > sizeof(small)) {
                        data = work->data = malloc(n);
                        if (!data)
                                return m->done > 0 ? (int64_t) m->done : -ENOBUFS;
                }
                message.data = data;
                r = socket_message_data(kernel, call, m, data, n);
                if (r >= 0) {
                        if (waits && (sent >= SOCKET_INLINE_MAX || (stream && (m->flags & ABI_MSG_FASTOPEN) && first)))
                                r = -EAGAIN;
                        else
                                r = kernel->host->ops->socket_send(kernel->host, call, &work->socket, &message);
                        if (r == -EAGAIN && waits) {
                                if (data == small) {
                                        data = work->data = malloc(MAX2(n, (uint64_t) 1));
                                        if (data)
                                                memcpy(data, small, n);
                                }
                                message.data = data;
                                r = data ? start(kernel, work, message.address, &message, data) : -ENOBUFS;
                                if (r >= 0) {
                                        work->data = NULL; /* it is the host's now */
                                        *ret_parked = true;
                                        return 0;
                                }
                        }
                }
                free(work->data);
                work->data = NULL;
                if (r < 0)
                        return m->done > 0 ? (int64_t) m->done : r;
                m->done += (uint64_t) r;
                sent += (uint64_t) r;
                if (!stream || m->done >= m->size)
                        return (int64_t) m->done;
                if (!waits && ((uint64_t) r < n || sent >= SOCKET_INLINE_MAX))
                        return (int64_t) m->done;
        }
}

/* The same, with what follows a broken pipe. */
static int64_t send_on(Kernel *kernel, const Call *call, SocketWork *work, bool *ret_parked) {
        int64_t r = advance(kernel, call, work, ret_parked);

        if (r == -EPIPE && work->socket.type == ABI_SOCK_STREAM && !(work->message.flags & ABI_MSG_NOSIGNAL))
                raise_sigpipe(kernel, call);
        return r;
}

static Verdict send_one(Kernel *kernel, const Call *call, SocketWork *work) {
        bool parked;
        int64_t r;

        r = send_on(kernel, call, work, &parked);
        if (parked)
                return park(kernel, call, work);
        socket_work_free(kernel, work);
        return verdict_of(r);
}

/* The work of a call that is run again. */
static bool goes_on(Kernel *kernel, const Call *call, SocketWork **ret) {
        *ret = socket_work_find(kernel, call);
        return *ret && (*ret)->finished;
}

/* How sendto(2) and sendmsg(2) begin: with a new work that has a copy of the socket. True: they end with this verdict. */
static bool send_begin(Kernel *kernel, const Call *call, int32_t fd, SocketWork **ret, Verdict *ret_verdict) {
        SocketWork *work;
        int r;

        if (goes_on(kernel, call, &work)) {
                *ret_verdict = send_one(kernel, call, work);
                return true;
        }
        if (work) {
                *ret_verdict = verdict_parked();
                return true;
        }
        work = socket_work_new(kernel, call);
        r = work ? copy_socket(kernel, call, fd, &work->socket) : -ENOMEM;
        if (r < 0) {
                if (work)
                        socket_work_free(kernel, work);
                *ret_verdict = verdict_error(r);
                return true;
        }
        *ret = work;
        return false;
}

/* How they end, with a message that was read, or r, what kept it from that. */
static Verdict send_end(Kernel *kernel, const Call *call, SocketWork *work, int r) {
        if (r >= 0)
                r = check_message(kernel, call, work);
        if (r < 0) {
                socket_work_free(kernel, work);
                return verdict_error(r);
        }
        return send_one(kernel, call, work);
}

SYSCALL_DEFINE6(sendto, int32_t, fd, GuestAddr, data, uint64_t, size, uint32_t, flags, GuestAddr, from,
                int32_t, address_size) {
        SocketWork *work;
        Verdict verdict;
        int r;

        if (send_begin(kernel, call, fd, &work, &verdict))
                return verdict;
        r = read_address(kernel, call, from, address_size, &work->message.address);
        if (r >= 0) {
                work->message.has_address = true;
                r = socket_message_of(&work->socket, data, size, flags, &work->message);
        }
        return send_end(kernel, call, work, r);
}

SYSCALL_DEFINE3(sendmsg, int32_t, fd, GuestAddr, from, uint32_t, flags) {
        SocketWork *work;
        Verdict verdict;

        if (send_begin(kernel, call, fd, &work, &verdict))
                return verdict;
        return send_end(kernel, call, work,
                        socket_message_read(kernel, call, &work->socket, from, flags, &work->message));
}

SYSCALL_DEFINE4(sendmmsg, int32_t, fd, GuestAddr, from, uint32_t, n, uint32_t, flags) {
        SocketWork *work;
        bool fresh = !goes_on(kernel, call, &work), parked;
        int64_t r = 0;

        if (fresh && work)
                return verdict_parked();
        if (fresh) {
                work = socket_work_new(kernel, call);
                if (!work)
                        return verdict_error(ENOMEM);
                r = copy_socket(kernel, call, fd, &work->socket);
        }

        n = MIN2(n, ABI_IOV_MAX);
        while (r >= 0 && work->index < n) {
                GuestAddr at = from + work->index * sizeof(AbiMmsghdr);
                uint32_t size;

                if (fresh) {
                        if (work->interrupted) {
                                r = -SOCKET_ERESTARTSYS;
                                break;
                        }
                        r = socket_message_read(kernel, call, &work->socket, at, flags, &work->message);
                        if (r >= 0)
                                r = check_message(kernel, call, work);
                }
                fresh = true;
                if (r >= 0)
                        r = send_on(kernel, call, work, &parked);
                if (r >= 0 && parked)
                        return park(kernel, call, work);
                if (r >= 0) {
                        size = (uint32_t) r;
                        r = kernel->host->ops->memory_write(kernel->host, call, at + offsetof(AbiMmsghdr, size), &size,
                                                            sizeof(size));
                }
                if (r >= 0)
                        work->index++;
                socket_message_done(kernel, &work->message);
        }
        if (work->index > 0)
                r = work->index;
        socket_work_free(kernel, work);
        return verdict_of(r);
}
