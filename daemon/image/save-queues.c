/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What waits in a socket to be read, which stays there: messages with who sent them, and with the descriptors that came with
 * them. Those may be nobody's but the message's. */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "save-files.h"
#include "util.h"

#define DATAGRAM_MAX (1U << 20)
#define QUEUE_MAX (64U << 20) /* bytes in one socket */

typedef struct Message {
        struct sockaddr_storage from;
        socklen_t from_size;
        int fds[IMAGE_RIGHTS_MAX]; /* owned */
        size_t n_fds;
        struct ucred credentials;
        bool has_credentials, cut;
} Message;

static void message_done(Message *message) {
        for (size_t i = 0; i < message->n_fds; i++)
                safe_close(message->fds[i]);
        message->n_fds = 0;
}

/* One message at an offset of what is in the queue. */
static ssize_t peek(int fd, size_t offset, void *buffer, size_t size, Message *ret) {
        union {
                char space[CMSG_SPACE(IMAGE_RIGHTS_MAX * sizeof(int)) + 512];
                struct cmsghdr align;
        } control;
        struct iovec iov = { buffer, size };
        struct msghdr header = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space),
                .msg_name = &ret->from, .msg_namelen = sizeof(ret->from),
        };
        int at = (int) offset;
        ssize_t n;

        *ret = (Message) {};
        if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at)) < 0)
                return -errno;
        n = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        ret->from_size = header.msg_namelen;
        ret->cut = header.msg_flags & MSG_CTRUNC; /* there was no room for more descriptors */
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_RIGHTS) {
                        ret->n_fds = MIN((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), (size_t) IMAGE_RIGHTS_MAX);
                        memcpy(ret->fds, CMSG_DATA(c), ret->n_fds * sizeof(int));
                } else if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(ret->credentials))) {
                        memcpy(&ret->credentials, CMSG_DATA(c), sizeof(ret->credentials));
                        ret->has_credentials = true;
                }
        }
        return n;
}

/* A stream comes in pieces, of which one with descriptors ends what is read at once, but does not begin it. Where it begins,
 * of n bytes that were read: one of which not all can be put down is not read at all. */
static size_t find_last(int fd, size_t offset, uint8_t *buffer, size_t n) {
        struct iovec iov[] = { { buffer, n - 1 }, { (void *) 1, 1 } };
        struct msghdr header = { .msg_iov = iov, .msg_iovlen = ELEMENTSOF(iov) };
        int at = (int) offset;
        ssize_t first;

        if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at)) < 0)
                return 0;
        first = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT);
        return first > 0 && (size_t) first < n ? (size_t) first : 0;
}

typedef struct Queue {
        uint8_t *bytes;
        size_t n;
        uint8_t *senders; /* u32 length and address, for each message */
        size_t n_senders;
} Queue;

static void queue_done(Queue *queue) {
        free(queue->bytes);
        free(queue->senders);
}

static int queue_append(uint8_t **bytes, size_t *n, const void *data, size_t size) {
        uint8_t *grown = realloc(*bytes, *n + size + 1);

        if (!grown)
                return -ENOMEM;
        memcpy(grown + *n, data, size);
        *bytes = grown;
        *n += size;
        return 0;
}

/* The message's credentials, as they are inside; its descriptors become files of the image. */
static int add_ancillary(Files *files, uint32_t index, size_t size, Message *message) {
        ImageSocket *socket = files->save->image->files[index].socket;
        ImageAncillary *ancillary;

        if (message->n_fds == 0 && !message->has_credentials)
                return 0;
        if (size > IMAGE_ANCILLARY_MAX)
                return -EFBIG;
        ancillary = IMAGE_APPEND(socket->ancillary, socket->n_ancillary);
        if (!ancillary)
                return -ENOMEM;
        *ancillary = (ImageAncillary) { .message = socket->n_sizes - 1 };
        if (message->has_credentials) {
                for (size_t i = 0; i < files->save->n_processes; i++)
                        if (files->save->processes[i].pid == message->credentials.pid)
                                ancillary->pid = files->save->processes[i].id;
                ancillary->uid = save_uid_inside(files->save, false, message->credentials.uid);
                ancillary->gid = save_uid_inside(files->save, true, message->credentials.gid);
        }
        for (size_t i = 0; i < message->n_fds; i++) {
                uint32_t *file = IMAGE_APPEND(ancillary->files, ancillary->n_files);
                int r;

                if (!file)
                        return -ENOMEM;
                *file = IMAGE_NONE;
                r = files_add_flying(files, files->known[index].process, message->fds[i], file);
                if (r < 0)
                        return r;
                if (r > 0)
                        message->fds[i] = -EBADF; /* taken */
        }
        return 0;
}

/* Whether a socket of the sandbox has this address. */
static bool is_bound(const Files *files, const struct sockaddr_storage *address, socklen_t size) {
        for (size_t i = 0; i < files->n_known; i++) {
                const ImageFile *file = files->save->image->files + i;
                struct sockaddr_storage own;
                socklen_t own_size = sizeof(own);

                if (file->kind == IMAGE_FILE_UNIX && file->socket && file->socket->type == SOCK_DGRAM &&
                    getsockname(files->known[i].fd, (struct sockaddr *) &own, &own_size) >= 0 && own_size == size &&
                    memcmp(&own, address, size) == 0)
                        return true;
        }
        return false;
}

/* One more piece of it; n: how much. 0 at its end. */
static ssize_t save_piece(Files *files, uint32_t index, Queue *queue, uint8_t *buffer, bool *sized) {
        ImageSocket *socket = files->save->image->files[index].socket;
        _cleanup_(message_done) Message message = {};
        bool stream = socket->type == SOCK_STREAM;
        int fd = files->known[index].fd, r;
        uint32_t length;
        ssize_t n;

        n = peek(fd, queue->n, buffer, DATAGRAM_MAX, &message);
        if (n == -EAGAIN || (stream && n == 0))
                return 0;
        /* The end of a connection of packets: one of no bytes before it reads the same. */
        if (n == 0 && socket->type == SOCK_SEQPACKET && (poll_now(fd) & POLLRDHUP))
                return 0;
        if (n <= 0)
                return n == 0 ? -EBADE : n; /* one of no bytes would be seen again and again */
        if (n > (ssize_t) DATAGRAM_MAX || message.cut)
                return -EFBIG;
        if (stream && message.n_fds > 0) {
                size_t first = find_last(fd, queue->n, buffer, (size_t) n);

                if (first > 0) {
                        n = (ssize_t) first;
                        message_done(&message);
                }
        }
        if (stream && message.n_fds == 0 && message.has_credentials)
                n = MIN(n, (ssize_t) IMAGE_ANCILLARY_MAX);
        if (stream && message.n_fds == 0 && !message.has_credentials && !*sized)
                return queue_append(&queue->bytes, &queue->n, buffer, (size_t) n) < 0 ? -ENOMEM : n;

        /* Of a stream, too, it matters from here on where a piece ends: the first is all that was before. */
        if (stream && !*sized && queue->n > 0) {
                uint64_t *size = IMAGE_APPEND(socket->sizes, socket->n_sizes);

                if (!size)
                        return -ENOMEM;
                *size = queue->n;
        }
        *sized = true;
        {
                uint64_t *size = IMAGE_APPEND(socket->sizes, socket->n_sizes);

                if (!size)
                        return -ENOMEM;
                *size = (uint64_t) n;
        }
        if (socket->family == AF_UNIX && socket->type == SOCK_DGRAM &&
            (n > (ssize_t) IMAGE_ANCILLARY_MAX ||
             (message.from_size > sizeof(sa_family_t) && !is_bound(files, &message.from, message.from_size))))
                files->known[index].strangers++;
        length = message.from_size;
        r = queue_append(&queue->bytes, &queue->n, buffer, (size_t) n);
        if (r >= 0 && !stream)
                r = queue_append(&queue->senders, &queue->n_senders, &length, sizeof(length));
        if (r >= 0 && !stream)
                r = queue_append(&queue->senders, &queue->n_senders, &message.from, message.from_size);
        if (r >= 0)
                r = add_ancillary(files, index, (size_t) n, &message);
        return r < 0 ? r : n;
}

int save_queue(Files *files, uint32_t index) {
        ImageSocket *socket = files->save->image->files[index].socket;
        _cleanup_(queue_done) Queue queue = {};
        _cleanup_free_ uint8_t *buffer = malloc(DATAGRAM_MAX);
        int fd = files->known[index].fd, before = socket_get_int(fd, SOL_SOCKET, SO_PEEK_OFF), none = -1, r;
        bool sized = false;
        ssize_t n;

        if (!buffer)
                return -ENOMEM;
        while ((n = save_piece(files, index, &queue, buffer, &sized)) > 0)
                if (queue.n >= QUEUE_MAX) {
                        n = -EFBIG;
                        break;
                }
        (void) setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, before == 0 ? &none : &before, sizeof(before));
        if (n == -EBADE || n == -EFBIG) {
                files_refuse_index(files, index, "%s waits in the socket", n == -EBADE ? "an empty datagram" : "too much, or too large a message,");
                return 0;
        }
        /* Who is not connected, or is no more, has an error to tell instead. */
        if (n < 0 && n != -ENOTCONN && n != -EINVAL && n != -ECONNRESET)
                return (int) n;
        r = queue.n == 0 ? 0 : image_writer_add(&files->save->writer, queue.bytes, queue.n, &socket->queue, &files->save->message);
        return r < 0 || queue.n_senders == 0
                ? r : image_writer_add(&files->save->writer, queue.senders, queue.n_senders, &socket->senders, &files->save->message);
}

/* What is given again at the restore, or made late, is so by the number that a process has it under. */
void check_flying(Files *files) {
        for (uint32_t i = 0; i < files->n_known; i++) {
                ImageFileKind kind = files->save->image->files[i].kind;

                if (files->known[i].flying && (kind == IMAGE_FILE_OUTSIDE || kind == IMAGE_FILE_PIDFD || kind == IMAGE_FILE_TTY))
                        files_refuse_index(files, i, "%s that nobody has open", kind == IMAGE_FILE_OUTSIDE ? "a file from outside"
                                                                               : kind == IMAGE_FILE_PIDFD ? "a pidfd"
                                                                                                          : "a terminal");
        }
}
