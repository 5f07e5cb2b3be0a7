/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TCP connections with both ends in the sandbox, by the repair mode of tcp(7), which takes a capability over the network
 * namespace: its owner has that, so the imager makes these calls itself, on sockets of the first process. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "restore-internal.h"
#include "util.h"

#ifndef TCP_REPAIR_WINDOW
#  define TCP_REPAIR_WINDOW 29
#endif

#define QUEUE_RECEIVED 1 /* of TCP_REPAIR_QUEUE: linux/tcp.h */
#define QUEUE_SENT 2
#define PIECE (64U << 10) /* bytes that a socket in repair takes at once */

static int set_int(int fd, int option, int value) {
        return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int put_queue(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = send(fd, data, MIN(size, (size_t) PIECE), MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

/* Both queues begin where the sequence numbers are, less what is in them. */
static int set_sequences(int fd, const ImageTcp *tcp, const ImageSocket *socket) {
        int r;

        r = set_int(fd, TCP_REPAIR_QUEUE, QUEUE_SENT);
        if (r >= 0)
                r = set_int(fd, TCP_QUEUE_SEQ, (int) (tcp->snd_seq - (uint32_t) socket->send_queue.size));
        if (r >= 0)
                r = set_int(fd, TCP_REPAIR_QUEUE, QUEUE_RECEIVED);
        if (r >= 0)
                r = set_int(fd, TCP_QUEUE_SEQ, (int) (tcp->rcv_seq - (uint32_t) socket->queue.size));
        return r;
}

static int set_negotiated(int fd, const ImageTcp *tcp) {
        struct tcp_repair_opt options[4];
        socklen_t n = 0;

        options[n++] = (struct tcp_repair_opt) { .opt_code = 2 /* TCPOPT_MSS */, .opt_val = tcp->mss };
        if (tcp->options & TCPI_OPT_WSCALE)
                options[n++] = (struct tcp_repair_opt) { .opt_code = 3, .opt_val = tcp->snd_wscale | (uint32_t) tcp->rcv_wscale << 16 };
        if (tcp->options & TCPI_OPT_SACK)
                options[n++] = (struct tcp_repair_opt) { .opt_code = 4 };
        if (tcp->options & TCPI_OPT_TIMESTAMPS)
                options[n++] = (struct tcp_repair_opt) { .opt_code = 8 };
        if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, n * (socklen_t) sizeof(options[0])) < 0)
                return -errno;
        return tcp->options & TCPI_OPT_TIMESTAMPS ? set_int(fd, TCP_TIMESTAMP, (int) tcp->timestamp) : 0;
}

static int fill(Restore *restore, int fd, const ImageTcp *tcp, const ImageSocket *socket) {
        struct tcp_repair_window window = {
                .snd_wl1 = tcp->snd_wl1, .snd_wnd = tcp->snd_wnd, .max_window = tcp->max_window, .rcv_wnd = tcp->rcv_wnd, .rcv_wup = tcp->rcv_wup,
        };
        _cleanup_free_ char *received = NULL, *sent = NULL;
        int r;

        r = restore_blob(restore, &socket->queue, &received);
        if (r >= 0)
                r = restore_blob(restore, &socket->send_queue, &sent);
        if (r >= 0)
                r = set_int(fd, TCP_REPAIR_QUEUE, QUEUE_RECEIVED);
        if (r >= 0)
                r = put_queue(fd, received, socket->queue.size);
        if (r >= 0)
                r = set_int(fd, TCP_REPAIR_QUEUE, QUEUE_SENT);
        if (r >= 0)
                r = put_queue(fd, sent, socket->send_queue.size - tcp->unsent);
        if (r >= 0)
                r = set_int(fd, TCP_REPAIR_QUEUE, 0 /* none */);
        if (r >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) < 0)
                r = -errno;
        return r;
}

static int read_tcp(Restore *restore, const ImageSocket *socket, ImageTcp *ret) {
        _cleanup_free_ char *data = NULL;
        int r;

        if (socket->tcp.size != sizeof(*ret))
                return restore_fail(restore, -EBADMSG, "a TCP connection of %lu bytes", (unsigned long) socket->tcp.size);
        r = restore_blob(restore, &socket->tcp, &data);
        if (r < 0)
                return r;
        memcpy(ret, data, sizeof(*ret));
        if (ret->unsent > socket->send_queue.size)
                return restore_fail(restore, -EBADMSG, "a TCP connection has more to send than it has");
        return 0;
}

int64_t restore_tcp(Restore *restore, const ImageFile *file) {
        const ImageSocket *socket = file->socket;
        _cleanup_free_ char *address = NULL, *peer = NULL;
        _cleanup_close_ int fd = -EBADF;
        int64_t number;
        ImageTcp tcp;
        int r;

        r = read_tcp(restore, socket, &tcp);
        if (r >= 0)
                r = restore_blob(restore, &socket->address, &address);
        if (r >= 0)
                r = restore_blob(restore, &socket->peer_address, &peer);
        if (r < 0)
                return r;
        number = restore_call(restore, &restore->processes[0], "make a socket", SYS_socket, (uint64_t) socket->family,
                              SOCK_STREAM | SOCK_CLOEXEC, (uint64_t) socket->protocol);
        if (number < 0)
                return number;
        fd = restore_borrow_fd(restore, (int) number);
        r = fd < 0 ? fd : set_int(fd, TCP_REPAIR, 1);
        if (r >= 0 && bind(fd, (const struct sockaddr *) address, (socklen_t) socket->address.size) < 0)
                r = -errno;
        if (r >= 0)
                r = set_sequences(fd, &tcp, socket);
        /* Nothing is sent in this mode. */
        if (r >= 0 && connect(fd, (const struct sockaddr *) peer, (socklen_t) socket->peer_address.size) < 0)
                r = -errno;
        if (r >= 0)
                r = set_negotiated(fd, &tcp);
        if (r >= 0)
                r = fill(restore, fd, &tcp, socket);
        if (r < 0)
                return restore_fail(restore, r, "cannot restore a TCP connection (%s)", file->was ?: "?");
        return number;
}

bool restore_is_tcp(const ImageFile *file) {
        return file->kind == IMAGE_FILE_INET && file->socket && file->socket->tcp.size > 0;
}

/* Both ends are there: they may talk. */
int restore_tcp_go(Restore *restore) {
        for (unsigned step = 0; step < 3; step++)
                for (size_t i = 0; i < restore->image->n_files; i++) {
                        const ImageFile *file = &restore->image->files[i];
                        _cleanup_free_ char *sent = NULL;
                        _cleanup_close_ int fd = -EBADF;
                        ImageTcp tcp;
                        int r;

                        if (!restore_is_tcp(file))
                                continue;
                        r = read_tcp(restore, file->socket, &tcp);
                        if (r < 0)
                                return r;
                        fd = restore_borrow_fd(restore, restore->files[i]);
                        r = fd < 0 ? fd : 0;
                        if (r >= 0 && step == 0)
                                r = set_int(fd, TCP_REPAIR, 0);
                        else if (r >= 0 && step == 1 && tcp.unsent > 0) {
                                r = restore_blob(restore, &file->socket->send_queue, &sent);
                                if (r >= 0)
                                        r = put_queue(fd, sent + file->socket->send_queue.size - tcp.unsent, tcp.unsent);
                        } else if (r >= 0 && step == 2 && file->socket->shut_write && shutdown(fd, SHUT_WR) < 0)
                                r = -errno;
                        if (r < 0)
                                return restore_fail(restore, r, "cannot let a TCP connection (%s) go on", file->was ?: "?");
                }
        return 0;
}
