/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TCP connections, whose both ends are in the sandbox. Queues and sequence numbers are had in the repair mode of tcp(7),
 * in which a socket is no good to its program: so a child of ours puts it in and out again, which does not die with us. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "save-files.h"
#include "tcp-repair.h"
#include "util.h"

#define QUEUE_MAX (64U << 20)  /* bytes in one queue */
#define LOOKS_MAX 500U         /* until both ends stand still: their programs do, so it is what was under way alone */
#define LOOK_PAUSE_NS 1000000
#define ROOM (5U << 19)        /* bytes that a socket has room for to send, by net.ipv4.tcp_wmem, when its peer is near */

/* A socket that was connected, or is about to be. */
typedef struct TcpEnd {
        uint32_t file;   /* of Image.files */
        int fd;          /* not owned */
        Endpoint local, remote;
        size_t peer;     /* of TcpEnds.items; SIZE_MAX: it has none */
        bool done;
} TcpEnd;

typedef struct TcpEnds {
        TcpEnd *items;   /* owned; by local, then remote */
        size_t n;
} TcpEnds;

/* What the child tells of an end; then the bytes of both queues. */
typedef struct TcpLook {
        int32_t r;
        uint32_t una, write_seq, rcv_nxt, timestamp, window, mss; /* una: the oldest that is not acknowledged */
        uint64_t n_received, n_sent; /* sent: from una on */
} TcpLook;

typedef struct TcpQueues {
        uint8_t *received, *sent; /* owned */
} TcpQueues;

static void queues_done(TcpQueues *queues) {
        free(queues->received);
        free(queues->sent);
}

/* ---- who is whose ---- */

static void endpoint_set(Endpoint *endpoint, const struct in6_addr *v6, const struct in_addr *v4, uint16_t port) {
        *endpoint = (Endpoint) { .port = port };
        if (v6) {
                endpoint->address = *v6;
                return;
        }
        endpoint->address.s6_addr[10] = endpoint->address.s6_addr[11] = 0xff;
        memcpy(endpoint->address.s6_addr + 12, v4, sizeof(*v4));
}

bool endpoint_parse(const char *text, Endpoint *ret) {
        const char *colon = text ? strrchr(text, ':') : NULL;
        char address[INET6_ADDRSTRLEN + 2];
        struct in6_addr v6;
        struct in_addr v4;
        uint16_t port;
        size_t n;

        if (!colon || (size_t) (colon - text) >= sizeof(address))
                return false;
        n = (size_t) (colon - text);
        memcpy(address, text, n);
        address[n] = '\0';
        port = (uint16_t) strtoul(colon + 1, NULL, 10);
        if (n > 2 && address[0] == '[') {
                address[n - 1] = '\0';
                if (inet_pton(AF_INET6, address + 1, &v6) != 1)
                        return false;
                endpoint_set(ret, &v6, NULL, port);
        } else {
                if (inet_pton(AF_INET, address, &v4) != 1)
                        return false;
                endpoint_set(ret, NULL, &v4, port);
        }
        return true;
}

static bool get_endpoint(int fd, int (*get)(int, struct sockaddr *, socklen_t *), Endpoint *ret) {
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
                struct sockaddr_storage room;
        } u = {};
        socklen_t size = sizeof(u);

        if (get(fd, &u.any, &size) < 0 || (u.any.sa_family != AF_INET && u.any.sa_family != AF_INET6))
                return false;
        if (u.any.sa_family == AF_INET)
                endpoint_set(ret, NULL, &u.v4.sin_addr, ntohs(u.v4.sin_port));
        else
                endpoint_set(ret, &u.v6.sin6_addr, NULL, ntohs(u.v6.sin6_port));
        return true;
}

static int compare_endpoints(const Endpoint *a, const Endpoint *b) {
        int c = memcmp(&a->address, &b->address, sizeof(a->address));

        return c != 0 ? c : (int) a->port - (int) b->port;
}

static int compare_ends(const void *a, const void *b) {
        const TcpEnd *x = a, *y = b;
        int c = compare_endpoints(&x->local, &y->local);

        return c != 0 ? c : compare_endpoints(&x->remote, &y->remote);
}

static size_t find_peer(const TcpEnds *ends, const TcpEnd *end) {
        const TcpEnd key = { .local = end->remote, .remote = end->local };
        const TcpEnd *found = bsearch(&key, ends->items, ends->n, sizeof(TcpEnd), compare_ends);

        return found && found != end ? (size_t) (found - ends->items) : SIZE_MAX;
}

/* The other end, when nobody has it open: it waits to be accepted, or was closed. */
static const NetSocket *find_nobodys(const Files *files, const TcpEnd *end) {
        for (size_t i = 0; i < files->n_sockets && files->sockets[i].ino == 0; i++)
                if (files->sockets[i].tcp && compare_endpoints(&files->sockets[i].local, &end->remote) == 0 &&
                    compare_endpoints(&files->sockets[i].remote, &end->local) == 0)
                        return files->sockets + i;
        return NULL;
}

static bool is_near(const TcpEnd *end) {
        static const struct in6_addr v6_loopback = IN6ADDR_LOOPBACK_INIT;
        const uint8_t *bytes = end->remote.address.s6_addr;

        return memcmp(&end->remote.address, &end->local.address, sizeof(struct in6_addr)) == 0 ||
               memcmp(bytes, &v6_loopback, sizeof(v6_loopback)) == 0 || (IN6_IS_ADDR_V4MAPPED(&end->remote.address) && bytes[12] == 127);
}

/* ---- looking, in the child ---- */

static int get_number(int fd, int option, uint32_t *ret) {
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, IPPROTO_TCP, option, ret, &size) < 0 ? -errno : 0;
}

static int look(int fd, TcpLook *ret) {
        struct tcp_repair_window window;
        socklen_t size = sizeof(window);
        int unacknowledged, received, r;

        r = tcp_repair_set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
        if (r >= 0)
                r = get_number(fd, TCP_QUEUE_SEQ, &ret->write_seq);
        if (r >= 0)
                r = tcp_repair_set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
        if (r >= 0)
                r = get_number(fd, TCP_QUEUE_SEQ, &ret->rcv_nxt);
        if (r >= 0)
                r = get_number(fd, TCP_TIMESTAMP, &ret->timestamp);
        if (r >= 0)
                r = get_number(fd, TCP_MAXSEG, &ret->mss);
        if (r >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &size) < 0)
                r = -errno;
        if (r >= 0 && (ioctl(fd, TIOCOUTQ, &unacknowledged) < 0 || ioctl(fd, FIONREAD, &received) < 0))
                r = -errno;
        if (r < 0)
                return r;
        ret->una = ret->write_seq - (uint32_t) unacknowledged;
        ret->n_received = (uint64_t) received;
        /* What was promised, less what has come since. */
        ret->window = window.rcv_wup + window.rcv_wnd - ret->rcv_nxt;
        if ((int32_t) ret->window < 0)
                ret->window = 0;
        return 0;
}

static int peek_queue(int fd, int queue, uint64_t size, uint8_t **ret, uint64_t *ret_size) {
        uint8_t *grown = realloc(*ret, size + 1);
        ssize_t n;
        int r;

        if (!grown)
                return -ENOMEM;
        *ret = grown;
        *ret_size = 0;
        if (size == 0)
                return 0;
        r = tcp_repair_set(fd, TCP_REPAIR_QUEUE, queue);
        if (r < 0)
                return r;
        n = recv(fd, grown, size, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        *ret_size = (uint64_t) n;
        return 0;
}

/* All of one end, as it is between two looks that see the same. */
static int look_whole(int fd, TcpLook *ret, TcpQueues *queues) {
        uint64_t unacknowledged;
        int r;

        r = look(fd, ret);
        if (r < 0)
                return r;
        unacknowledged = ret->write_seq - ret->una;
        if (unacknowledged > QUEUE_MAX || ret->n_received > QUEUE_MAX)
                return -EFBIG;
        r = peek_queue(fd, TCP_SEND_QUEUE, unacknowledged, &queues->sent, &ret->n_sent);
        return r < 0 ? r : peek_queue(fd, TCP_RECV_QUEUE, ret->n_received, &queues->received, &ret->n_received);
}

static bool same_look(const TcpLook *a, const TcpLook *b) {
        return a->una == b->una && a->write_seq == b->write_seq && a->rcv_nxt == b->rcv_nxt;
}

/* What one end has not acknowledged the other may have received; never is it the other way round. */
static bool fit(const TcpLook *sender, const TcpLook *receiver) {
        return (int32_t) (receiver->rcv_nxt - sender->una) >= 0 && (int32_t) (sender->write_seq - receiver->rcv_nxt) >= 0;
}

static int look_at_both(const int fds[static 2], unsigned n, TcpLook looks[static 2], TcpQueues queues[static 2]) {
        for (unsigned tries = 0; tries < LOOKS_MAX; tries++) {
                bool same = true;
                int r;

                for (unsigned i = 0; i < n; i++) {
                        r = look_whole(fds[i], looks + i, queues + i);
                        if (r < 0)
                                return r;
                }
                for (unsigned i = 0; i < n; i++) {
                        TcpLook again = {};

                        r = look(fds[i], &again);
                        if (r < 0)
                                return r;
                        same = same && same_look(looks + i, &again);
                }
                if (same && (n < 2 || (fit(&looks[0], &looks[1]) && fit(&looks[1], &looks[0]))))
                        return 0;
                (void) nanosleep(&(struct timespec) { .tv_nsec = LOOK_PAUSE_NS }, NULL);
        }
        return -EBUSY;
}

static int write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

/* Before anything is told, so that our end changes nothing. */
static int look_in_repair(const int fds[static 2], unsigned n, TcpLook looks[static 2], TcpQueues queues[static 2]) {
        int reuse[2] = {}, r = 0;
        unsigned entered = 0;

        while (r >= 0 && entered < n) {
                socklen_t size = sizeof(int);

                if (getsockopt(fds[entered], SOL_SOCKET, SO_REUSEADDR, &reuse[entered], &size) < 0)
                        r = -errno;
                else
                        r = tcp_repair_set(fds[entered], TCP_REPAIR, TCP_REPAIR_ON);
                if (r >= 0)
                        entered++;
        }
        if (r >= 0)
                r = look_at_both(fds, n, looks, queues);
        for (unsigned i = 0; i < entered; i++) {
                (void) tcp_repair_set(fds[i], TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
                /* Which the mode has changed. */
                (void) setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &reuse[i], sizeof(int));
        }
        return r;
}

static bool is_pair_of(const TcpEnds *ends, size_t i) {
        return !ends->items[i].done && (ends->items[i].peer == SIZE_MAX || ends->items[i].peer > i);
}

static int look_at_all(const TcpEnds *ends, int fd) {
        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ends->n; i++) {
                TcpQueues queues[2] = {};
                TcpLook looks[2] = {};
                unsigned n = ends->items[i].peer == SIZE_MAX ? 1 : 2;
                int fds[2] = { ends->items[i].fd, n == 2 ? ends->items[ends->items[i].peer].fd : -EBADF }, r;

                if (!is_pair_of(ends, i))
                        continue;
                r = look_in_repair(fds, n, looks, queues);
                for (unsigned j = 0; j < n; j++) {
                        looks[j].r = r;
                        if (r < 0)
                                looks[j].n_received = looks[j].n_sent = 0;
                }
                r = 0;
                for (unsigned j = 0; r >= 0 && j < n; j++) {
                        r = write_all(fd, looks + j, sizeof(looks[j]));
                        if (r >= 0)
                                r = write_all(fd, queues[j].received, looks[j].n_received);
                        if (r >= 0)
                                r = write_all(fd, queues[j].sent, looks[j].n_sent);
                }
                queues_done(&queues[0]);
                queues_done(&queues[1]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- what was seen ---- */

static int read_all(int fd, void *data, size_t size) {
        char *p = data;

        while (size > 0) {
                ssize_t n = read(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ECHILD;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

static int read_look(int fd, TcpLook *ret, TcpQueues *ret_queues) {
        int r;

        r = read_all(fd, ret, sizeof(*ret));
        if (r < 0)
                return r;
        ret_queues->received = malloc(ret->n_received + 1);
        ret_queues->sent = malloc(ret->n_sent + 1);
        if (!ret_queues->received || !ret_queues->sent)
                return -ENOMEM;
        r = read_all(fd, ret_queues->received, ret->n_received);
        return r < 0 ? r : read_all(fd, ret_queues->sent, ret->n_sent);
}

static bool has_sent_end(const ImageSocket *socket) {
        return socket->state == TCP_FIN_WAIT1 || socket->state == TCP_FIN_WAIT2 || socket->state == TCP_CLOSING ||
               socket->state == TCP_LAST_ACK;
}

static bool has_received_end(const ImageSocket *socket) {
        return socket->state == TCP_CLOSE_WAIT || socket->state == TCP_CLOSING || socket->state == TCP_LAST_ACK;
}

static int new_tcp(ImageSocket *socket, ImageTcpKind kind) {
        socket->tcp = calloc(1, sizeof(ImageTcp));
        if (!socket->tcp)
                return -ENOMEM;
        socket->tcp->kind = kind;
        return 0;
}

static uint32_t behind_bytes(const ImageSocket *socket, const TcpLook *look) {
        return look->rcv_nxt - (has_received_end(socket) ? 1 : 0);
}

/* One end: what it has received, and of what it has sent the part that the other has not. */
static int save_end(Files *files, const TcpEnd *end, const TcpLook *look, const TcpQueues *queues, const TcpLook *other) {
        ImageSocket *socket = files->save->image->files[end->file].socket;
        const ImageSocket *theirs = other ? files->save->image->files[socket->peer].socket : NULL;
        uint32_t snd_seq = other ? behind_bytes(theirs, other) : look->una;
        /* An end that is acknowledged has a number, too, behind the last byte. */
        uint64_t got = look->n_sent == 0 ? 0 : MIN((uint64_t) (snd_seq - look->una), look->n_sent);
        struct tcp_info info = {};
        socklen_t size = sizeof(info);
        int r;

        if (getsockopt(end->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return -errno;
        r = new_tcp(socket, other ? IMAGE_TCP_OPEN : IMAGE_TCP_LEFT);
        if (r < 0)
                return r;
        socket->tcp->snd_seq = snd_seq;
        socket->tcp->rcv_seq = behind_bytes(socket, look);
        socket->tcp->window = MIN(look->window, IMAGE_TCP_WINDOW_MAX);
        socket->tcp->timestamp = look->timestamp;
        socket->tcp->mss = MIN(look->mss, (uint32_t) UINT16_MAX);
        socket->tcp->options = info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
        socket->tcp->snd_wscale = MIN((uint32_t) info.tcpi_snd_wscale, IMAGE_TCP_WSCALE_MAX);
        socket->tcp->rcv_wscale = MIN((uint32_t) info.tcpi_rcv_wscale, IMAGE_TCP_WSCALE_MAX);
        socket->shut_write = has_sent_end(socket);
        socket->shut_read = !has_received_end(socket) && (poll_now(end->fd) & POLLRDHUP);
        r = look->n_received == 0 ? 0 : image_writer_add(&files->save->writer, queues->received, look->n_received, &socket->queue,
                                                         &files->save->message);
        return r < 0 || look->n_sent == got
                ? r : image_writer_add(&files->save->writer, queues->sent + got, look->n_sent - got, &socket->send_queue,
                                       &files->save->message);
}

/* Bytes that can be put on their way from one end to the other again. */
static uint64_t capacity(void) {
        _cleanup_free_ char *text = NULL;
        uint64_t max = 212992;

        if (read_full_file("/proc/sys/net/core/rmem_max", 64, &text, NULL) >= 0)
                max = MAX(strtoull(text, NULL, 10), (unsigned long long) 4096);
        return max / 2 * 3 + ROOM; /* the kernel doubles what is asked for; restore-tcp.c uses three quarters */
}

static int save_pair(Files *files, TcpEnds *ends, size_t first, const TcpLook looks[static 2], const TcpQueues queues[static 2], unsigned n) {
        const TcpEnd *two[2] = { ends->items + first, n == 2 ? ends->items + ends->items[first].peer : NULL };
        uint64_t room = capacity();
        int r = 0;

        if (looks[0].r < 0) {
                files_refuse_index(files, two[0]->file, "a TCP connection that cannot be read: %s",
                                   looks[0].r == -EBUSY ? "it does not come to rest" : strerror(-looks[0].r));
                return 0;
        }
        for (unsigned i = 0; i < n; i++)
                if (looks[i].n_received + (n == 2 ? looks[1 - i].n_sent : 0) > room) {
                        files_refuse_index(files, two[i]->file, "%" PRIu64 " bytes in a TCP connection that nobody has read yet, %" PRIu64
                                           " can be saved", looks[i].n_received + (n == 2 ? looks[1 - i].n_sent : 0), room);
                        return 0;
                }
        for (unsigned i = 0; n == 2 && i < n; i++)
                files->save->image->files[two[i]->file].socket->peer = two[1 - i]->file;
        for (unsigned i = 0; r >= 0 && i < n; i++)
                r = save_end(files, two[i], looks + i, queues + i, n == 2 ? looks + 1 - i : NULL);
        return r;
}

static int save_connections(Files *files, TcpEnds *ends) {
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
        int fds[2], status, r = 0;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_end = fds[0];
        write_end = fds[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                read_end = safe_close(read_end);
                _exit(look_at_all(ends, write_end) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        write_end = safe_close(write_end);
        for (size_t i = 0; r >= 0 && i < ends->n; i++) {
                unsigned n = ends->items[i].peer == SIZE_MAX ? 1 : 2;
                TcpQueues queues[2] = {};
                TcpLook looks[2] = {};

                if (!is_pair_of(ends, i))
                        continue;
                for (unsigned j = 0; r >= 0 && j < n; j++)
                        r = read_look(read_end, looks + j, queues + j);
                if (r >= 0)
                        r = save_pair(files, ends, i, looks, queues, n);
                queues_done(&queues[0]);
                queues_done(&queues[1]);
        }
        read_end = safe_close(read_end);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return r;
}

/* ---- what each is ---- */

/* Over: only the error that it has still to tell, and what it has still to read, are of interest. False: it was never
 * connected. The error itself cannot be looked at without taking it. */
static int save_closed(Files *files, uint32_t index, bool *ret) {
        ImageSocket *socket = files->save->image->files[index].socket;
        int fd = files->known[index].fd, size = 0, r;
        bool error = poll_now(fd) & POLLERR;
        _cleanup_free_ uint8_t *data = NULL;
        ssize_t n = 0;

        (void) ioctl(fd, FIONREAD, &size);
        size = MAX(size, 0);
        data = malloc((size_t) size + 1);
        if (!data)
                return -ENOMEM;
        if (size > 0 || !error)
                n = recv(fd, data, (size_t) size + 1, MSG_PEEK | MSG_DONTWAIT);
        *ret = n >= 0;
        if (n < 0)
                return 0;
        r = new_tcp(socket, error ? IMAGE_TCP_RESET : IMAGE_TCP_ENDED);
        return r < 0 || n == 0 ? r : image_writer_add(&files->save->writer, data, (size_t) n, &socket->queue, &files->save->message);
}

static int refuse_outside(Files *files, const TcpEnd *end) {
        ImageSocket *socket = files->save->image->files[end->file].socket;

        if (files->save->tcp_reset)
                return new_tcp(socket, IMAGE_TCP_RESET);
        files_refuse_index(files, end->file, "a TCP connection %s: `--tcp=reset` saves it as one that was reset",
                           socket->state == TCP_SYN_SENT || socket->state == TCP_SYN_RECV ? "that is being made"
                           : files->host_network                                          ? "in the host's network"
                                                                                          : "to the outside of the sandbox");
        return 0;
}

/* The listening socket that a connection waits for counts it. */
static int save_queued(Files *files, TcpEnd *end, const NetSocket *other) {
        ImageSocket *socket = files->save->image->files[end->file].socket;
        uint32_t waiting = other->waiting - (other->state == TCP_CLOSE_WAIT && other->waiting > 0); /* the end counts as a byte */
        int unacknowledged = 0;

        if (ioctl(end->fd, TIOCOUTQ, &unacknowledged) < 0)
                return -errno;
        /* A connection that nobody has yet nobody can read. */
        if (waiting > 0 || unacknowledged > 0) {
                files_refuse_index(files, end->file, "%" PRIu32 " bytes sent by TCP to somebody who has not accepted the connection yet",
                                   MAX(waiting, (uint32_t) unacknowledged));
                return 0;
        }
        socket->queued = true;
        socket->shut_write = has_sent_end(socket);
        return 0;
}

/* What else than two ends that both are somebody's. */
static int classify(Files *files, TcpEnd *end) {
        ImageSocket *socket = files->save->image->files[end->file].socket;
        const NetSocket *other;
        char ulp[16] = "";
        socklen_t size = sizeof(ulp) - 1;

        end->done = true;
        if (getsockopt(end->fd, IPPROTO_TCP, TCP_ULP, ulp, &size) >= 0 && ulp[0]) {
                files_refuse_index(files, end->file, "a TCP connection that the kernel encrypts (%s)", ulp);
                return 0;
        }
        if (poll_now(end->fd) & POLLPRI) {
                files_refuse_index(files, end->file, "urgent data in a TCP connection that nobody has read yet");
                return 0;
        }
        if (socket->state == TCP_SYN_SENT || socket->state == TCP_SYN_RECV || files->host_network)
                return refuse_outside(files, end);
        if (end->peer != SIZE_MAX) {
                end->done = false;
                return 0;
        }
        other = find_nobodys(files, end);
        if (!other && !(has_received_end(socket) && is_near(end)))
                return refuse_outside(files, end);
        if (other && (other->state == TCP_ESTABLISHED || other->state == TCP_CLOSE_WAIT) && !has_received_end(socket))
                return save_queued(files, end, other);
        if (!has_received_end(socket)) {
                files_refuse_index(files, end->file, "a TCP connection whose other end was closed with bytes that are still on their way");
                return 0;
        }
        end->done = false;
        return 0;
}

static bool listens_for(const Files *files, uint32_t index, const Endpoint *wanted) {
        static const Endpoint none;
        Endpoint local;

        if (!get_endpoint(files->known[index].fd, getsockname, &local) || local.port != wanted->port)
                return false;
        return memcmp(&local.address, &wanted->address, sizeof(local.address)) == 0 ||
               memcmp(&local.address, &none.address, sizeof(local.address)) == 0 ||
               (IN6_IS_ADDR_V4MAPPED(&local.address) && memcmp(local.address.s6_addr + 12, none.address.s6_addr, 4) == 0);
}

static void check_listeners(Files *files, const TcpEnds *ends) {
        const Image *image = files->save->image;

        for (uint32_t i = 0; i < image->n_files; i++) {
                const ImageSocket *socket = image->files[i].kind == IMAGE_FILE_INET ? image->files[i].socket : NULL;
                const NetSocket *known = socket && socket->listening ? find_socket(files, image->files[i].peer_id) : NULL;
                uint32_t found = 0;

                if (!known || known->waiting == 0)
                        continue;
                for (size_t j = 0; j < ends->n; j++)
                        found += image->files[ends->items[j].file].socket->queued && listens_for(files, i, &ends->items[j].remote);
                if (found != known->waiting)
                        files_refuse_index(files, i, "a listening socket with connections that nobody has accepted yet: %" PRIu32
                                           ", of which %" PRIu32 " can be made again", known->waiting, found);
        }
}

int finish_tcp(Files *files) {
        Image *image = files->save->image;
        _cleanup_free_ TcpEnd *items = NULL;
        TcpEnds ends = {};
        bool any = false;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < image->n_files; i++) {
                const ImageSocket *socket = image->files[i].kind == IMAGE_FILE_INET ? image->files[i].socket : NULL;
                TcpEnd *end;

                if (!socket || socket->protocol != IPPROTO_TCP || socket->listening)
                        continue;
                if (socket->state == TCP_CLOSE) {
                        bool closed;

                        r = save_closed(files, i, &closed);
                        any = any || closed;
                        continue;
                }
                end = IMAGE_APPEND(ends.items, ends.n);
                items = ends.items;
                if (!end)
                        return -ENOMEM;
                *end = (TcpEnd) { .file = i, .fd = files->known[i].fd };
                (void) get_endpoint(end->fd, getsockname, &end->local);
                (void) get_endpoint(end->fd, getpeername, &end->remote);
        }
        if (r < 0)
                return r;
        if (ends.n > 0)
                qsort(ends.items, ends.n, sizeof(TcpEnd), compare_ends);
        for (size_t i = 0; i < ends.n; i++)
                ends.items[i].peer = find_peer(&ends, ends.items + i);
        for (size_t i = 0; r >= 0 && i < ends.n; i++)
                r = classify(files, ends.items + i);
        if (r >= 0)
                check_listeners(files, &ends);
        /* Both or none: is_pair_of() looks at the first alone. */
        for (size_t i = 0; i < ends.n; i++)
                if (ends.items[i].done && ends.items[i].peer != SIZE_MAX)
                        ends.items[ends.items[i].peer].done = true;
        if (r >= 0 && files->save->n_reasons == 0 && ends.n > 0)
                r = save_connections(files, &ends);
        if (ends.n > 0 || any)
                image->features |= UINT64_C(1) << IMAGE_FEATURE_TCP;
        return r;
}
