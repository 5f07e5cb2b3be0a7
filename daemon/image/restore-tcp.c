/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TCP connections. Both ends are made at the same time, in the repair mode of tcp(7), in which nothing is sent: it takes a
 * capability over the network namespace, and its owner has that, so the imager makes these calls itself, on sockets of the
 * first process. An end that was closed is made, too, and closed. */

#include <poll.h>
#include <sys/syscall.h>

#include "restore-internal.h"
#include "tcp-repair.h"
#include "util.h"

#define PIECE (64U << 10)          /* bytes that a socket in repair takes at once */
#define BUFFER_MAX (INT32_MAX / 2) /* the kernel takes as much of it as it allows */
#define SEND_EASILY (1U << 20)     /* bytes that a new socket has room for to send */
#define SEGMENT_MAX 32767          /* of TCP_MAXSEG: the larger, the more room it has */
#define ROOM_TIMEOUT_MSEC 10000

#define INIT (&restore->processes[0])

typedef struct End {
        const ImageSocket *socket;
        int number;           /* in the first process */
        int fd;               /* owned: ours */
        char *bytes;          /* owned: what it has to read, then what its peer has sent besides */
        uint64_t size;        /* of them */
        uint64_t filled;      /* of them: what it gets at once. The rest its peer sends */
} End;

#define END_NONE (End) { .number = -1, .fd = -EBADF }

static void end_done(End *end) {
        safe_close(end->fd);
        free(end->bytes);
}

static int send_all(int fd, const char *data, uint64_t size) {
        while (size > 0) {
                ssize_t n = send(fd, data, MIN(size, (uint64_t) PIECE), MSG_NOSIGNAL | MSG_DONTWAIT);

                /* The kernel makes more room when it hears of the other end, whose window it asks for from time to time. */
                if (n < 0 && errno == EAGAIN && poll(&(struct pollfd) { .fd = fd, .events = POLLOUT }, 1, ROOM_TIMEOUT_MSEC) > 0)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                size -= (uint64_t) n;
        }
        return 0;
}

/* A socket in the first process, and our copy of it. */
static int make(Restore *restore, End *end) {
        int64_t number;

        number = restore_call(restore, INIT, "make a socket", SYS_socket, (uint64_t) end->socket->family, SOCK_STREAM | SOCK_CLOEXEC,
                              IPPROTO_TCP);
        if (number < 0)
                return (int) number;
        end->number = restore_take_number(restore, number);
        if (end->number < 0)
                return end->number;
        end->fd = restore_borrow_fd(restore, end->number);
        return end->fd < 0 ? end->fd : 0;
}

/* What an end has to read, and what the other has sent: all one, and who of the two has it nobody can tell but by asking how
 * much that is. So where there is no room on one side it goes to the other. */
static int plan(Restore *restore, End *end, const End *other) {
        _cleanup_free_ char *received = NULL, *sent = NULL;
        uint64_t received_size = end->socket->queue.size, sent_size = other->socket->send_queue.size, room, rest;
        socklen_t size = sizeof(int);
        int buffer, r;

        end->size = received_size + sent_size;
        if (end->size == 0)
                return 0;
        r = restore_blob(restore, &end->socket->queue, &received);
        if (r >= 0)
                r = restore_blob(restore, &other->socket->send_queue, &sent);
        if (r < 0)
                return r;
        end->bytes = malloc(end->size);
        if (!end->bytes)
                return -ENOMEM;
        if (received_size > 0)
                memcpy(end->bytes, received, received_size);
        if (sent_size > 0)
                memcpy(end->bytes + received_size, sent, sent_size);

        if (setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &(int) { BUFFER_MAX }, sizeof(int)) < 0 ||
            getsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &size) < 0)
                return -errno;
        room = (uint64_t) buffer / 4 * 3;
        end->filled = MIN(received_size, room);
        rest = end->size - end->filled;
        if (rest > SEND_EASILY)
                end->filled += MIN(rest - SEND_EASILY, room - end->filled);
        return 0;
}

/* Of the first byte that it has to read. */
static uint32_t begin_of(const End *end) {
        return end->socket->tcp->rcv_seq - (uint32_t) end->socket->queue.size;
}

static int set_sequences(const End *end, const End *other) {
        int r;

        r = tcp_repair_set(end->fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_QUEUE_SEQ, (int) (begin_of(other) + (uint32_t) other->filled));
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
        return r < 0 ? r : tcp_repair_set(end->fd, TCP_QUEUE_SEQ, (int) begin_of(end));
}

static int set_negotiated(const End *end) {
        const ImageTcp *tcp = end->socket->tcp;
        struct tcp_repair_opt options[4];
        socklen_t n = 0;

        if (tcp->mss != 0)
                options[n++] = (struct tcp_repair_opt) { .opt_code = TCPOPT_MAXSEG, .opt_val = tcp->mss };
        if (tcp->options & TCPI_OPT_WSCALE)
                options[n++] = (struct tcp_repair_opt) { .opt_code = TCPOPT_WINDOW, .opt_val = tcp->snd_wscale | tcp->rcv_wscale << 16 };
        if (tcp->options & TCPI_OPT_SACK)
                options[n++] = (struct tcp_repair_opt) { .opt_code = TCPOPT_SACK_PERMITTED };
        if (tcp->options & TCPI_OPT_TIMESTAMPS)
                options[n++] = (struct tcp_repair_opt) { .opt_code = TCPOPT_TIMESTAMP };
        if (n > 0 && setsockopt(end->fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, n * (socklen_t) sizeof(options[0])) < 0)
                return -errno;
        return tcp->options & TCPI_OPT_TIMESTAMPS ? tcp_repair_set(end->fd, TCP_TIMESTAMP, (int) tcp->timestamp) : 0;
}

static int connect_end(Restore *restore, const End *end, const End *other) {
        _cleanup_free_ char *address = NULL, *peer = NULL;
        int r;

        r = restore_blob(restore, &end->socket->address, &address);
        if (r >= 0)
                r = restore_blob(restore, &end->socket->peer_address, &peer);
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_REPAIR, TCP_REPAIR_ON);
        if (r >= 0 && bind(end->fd, (const struct sockaddr *) address, (socklen_t) end->socket->address.size) < 0)
                r = -errno;
        if (r >= 0)
                r = set_sequences(end, other);
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_MAXSEG, SEGMENT_MAX);
        if (r >= 0 && connect(end->fd, (const struct sockaddr *) peer, (socklen_t) end->socket->peer_address.size) < 0)
                r = -errno;
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_MAXSEG, 0);
        if (r >= 0)
                r = set_negotiated(end);
        if (r >= 0)
                r = tcp_repair_set(end->fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
        return r < 0 ? r : send_all(end->fd, end->bytes, end->filled);
}

/* How much the other may send, which both must be told: no more than there is room for. */
static uint32_t window_of(const End *end) {
        const ImageTcp *tcp = end->socket->tcp;
        uint64_t most = UINT64_C(65535) << (tcp->options & TCPI_OPT_WSCALE ? tcp->rcv_wscale : 0);
        int buffer = 0;
        socklen_t size = sizeof(buffer);

        (void) getsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &size);
        most = MIN(most, (uint64_t) buffer / 2);
        return (uint32_t) MIN((uint64_t) tcp->window, most > end->filled ? most - end->filled : 0);
}

static int let_go(const End *end, const End *other) {
        uint32_t theirs = window_of(other), rcv_nxt = begin_of(end) + (uint32_t) end->filled;
        struct tcp_repair_window window = {
                .snd_wl1 = rcv_nxt, .snd_wnd = theirs, .max_window = theirs, .rcv_wnd = window_of(end), .rcv_wup = rcv_nxt,
        };

        if (setsockopt(end->fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) < 0)
                return -errno;
        return tcp_repair_set(end->fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

static int make_both(Restore *restore, End *end, End *other) {
        int r;

        r = make(restore, end);
        if (r >= 0)
                r = make(restore, other);
        if (r >= 0)
                r = plan(restore, end, other);
        if (r >= 0)
                r = plan(restore, other, end);
        if (r >= 0)
                r = connect_end(restore, end, other);
        if (r >= 0)
                r = connect_end(restore, other, end);
        if (r >= 0)
                r = let_go(end, other);
        if (r >= 0)
                r = let_go(other, end);
        if (r >= 0)
                r = send_all(end->fd, other->bytes + other->filled, other->size - other->filled);
        return r < 0 ? r : send_all(other->fd, end->bytes + end->filled, end->size - end->filled);
}

/* The last copies of an end that nobody has. */
static int close_end(Restore *restore, End *end) {
        end->fd = safe_close(end->fd);
        return restore_call(restore, INIT, "close the other end", SYS_close, (uint64_t) end->number) < 0 ? -EIO : 0;
}

static int shut(const End *end) {
        const ImageSocket *socket = end->socket;

        if ((socket->shut_write && shutdown(end->fd, SHUT_WR) < 0) || (socket->shut_read && shutdown(end->fd, SHUT_RD) < 0))
                return -errno;
        return 0;
}

static int open_connection(Restore *restore, const ImageFile *file, End *end, End *other) {
        const ImageFile *peer = &restore->image->files[file->socket->peer];
        int r;

        if (restore->files[file->socket->peer] >= 0)
                return -EBADMSG;
        other->socket = peer->socket;
        r = make_both(restore, end, other);
        if (r >= 0)
                r = restore_socket_options(restore, file, end->number);
        if (r >= 0)
                r = restore_socket_options(restore, peer, other->number);
        if (r >= 0)
                r = shut(end);
        if (r >= 0)
                r = shut(other);
        if (r >= 0)
                restore->files[file->socket->peer] = other->number;
        return r;
}

/* The end that is gone has sent all that it had. */
static int left_connection(Restore *restore, const ImageFile *file, End *end, End *other) {
        const ImageSocket *socket = file->socket;
        ImageTcp tcp = *socket->tcp;
        ImageSocket gone = {
                .family = socket->family, .address = socket->peer_address, .peer_address = socket->address, .peer = IMAGE_NONE, .tcp = &tcp,
        };
        int r;

        tcp.snd_seq = socket->tcp->rcv_seq;
        tcp.rcv_seq = socket->tcp->snd_seq;
        tcp.snd_wscale = socket->tcp->rcv_wscale;
        tcp.rcv_wscale = socket->tcp->snd_wscale;
        other->socket = &gone;
        r = make_both(restore, end, other);
        if (r >= 0)
                r = restore_socket_options(restore, file, end->number);
        if (r >= 0)
                r = close_end(restore, other);
        return r < 0 ? r : shut(end);
}

/* One that is over is a connection of two, by the loopback device, that comes to such an end. */
static int over(Restore *restore, const ImageFile *file, End *end, End *other) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
        const ImageSocket v4 = { .family = AF_INET, .peer = IMAGE_NONE };
        bool v6 = file->socket->family == AF_INET6;
        _cleanup_(end_done) End listening = END_NONE;
        socklen_t size = sizeof(address);
        int64_t number;
        int r;

        listening.socket = other->socket = &v4;
        r = make(restore, &listening);
        if (r >= 0)
                r = make(restore, end);
        if (r < 0)
                return r;
        if (bind(listening.fd, (struct sockaddr *) &address, size) < 0 || listen(listening.fd, 1) < 0 ||
            getsockname(listening.fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        mapped.sin6_port = address.sin_port;
        mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
        memcpy(mapped.sin6_addr.s6_addr + 12, &address.sin_addr, sizeof(address.sin_addr));
        if (connect(end->fd, v6 ? (struct sockaddr *) &mapped : (struct sockaddr *) &address, v6 ? sizeof(mapped) : sizeof(address)) < 0)
                return -errno;
        number = restore_call(restore, INIT, "accept a connection", SYS_accept4, (uint64_t) listening.number, 0, 0, SOCK_CLOEXEC);
        r = number < 0 ? (int) number : restore_take_number(restore, number);
        if (r < 0)
                return r;
        other->number = r;
        other->fd = restore_borrow_fd(restore, other->number);
        r = other->fd < 0 ? other->fd : close_end(restore, &listening);
        if (r >= 0)
                r = plan(restore, end, other);
        if (r >= 0)
                r = send_all(other->fd, end->bytes, end->size);
        if (r >= 0)
                r = restore_socket_options(restore, file, end->number);
        if (r >= 0 && file->socket->tcp->kind == IMAGE_TCP_RESET &&
            setsockopt(other->fd, SOL_SOCKET, SO_LINGER, &(struct linger) { .l_onoff = 1 }, sizeof(struct linger)) < 0)
                r = -errno;
        if (r >= 0)
                r = close_end(restore, other);
        if (r >= 0 && file->socket->tcp->kind == IMAGE_TCP_ENDED && shutdown(end->fd, SHUT_WR) < 0 && errno != ENOTCONN)
                r = -errno;
        return r;
}

int restore_tcp(Restore *restore, const ImageFile *file) {
        _cleanup_(end_done) End end = END_NONE, other = END_NONE;
        int r = -EBADMSG;

        end.socket = file->socket;
        switch (file->socket->tcp->kind) {
        case IMAGE_TCP_OPEN:
                r = open_connection(restore, file, &end, &other);
                break;
        case IMAGE_TCP_LEFT:
                r = left_connection(restore, file, &end, &other);
                break;
        case IMAGE_TCP_ENDED:
        case IMAGE_TCP_RESET:
                r = over(restore, file, &end, &other);
                break;
        case _IMAGE_TCP_KIND_MAX:
                break;
        }
        return r < 0 ? restore_fail(restore, r, "cannot restore a TCP connection (%s)", file->was ?: "?") : end.number;
}

bool restore_is_connection(const ImageFile *file) {
        return file->socket && (file->socket->tcp || file->socket->queued);
}
