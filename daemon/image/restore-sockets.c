/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets, whose other end is made with them. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "restore-internal.h"
#include "util.h"


#define INIT (&restore->processes[0])

static uint32_t index_of(const Restore *restore, const ImageFile *file) {
        return (uint32_t) (file - restore->image->files);
}

static bool same_blob(Restore *restore, const ImageBlob *a, const ImageBlob *b) {
        _cleanup_free_ char *x = NULL, *y = NULL;

        return a->size > 0 && a->size == b->size && restore_blob(restore, a, &x) >= 0 && restore_blob(restore, b, &y) >= 0 &&
               memcmp(x, y, a->size) == 0;
}

/* An address, in the scratch memory of the first process. */
static int put_address(Restore *restore, const ImageBlob *blob, uint64_t *ret) {
        _cleanup_free_ char *address = NULL;
        int r;

        if (blob->size > sizeof(struct sockaddr_storage))
                return restore_fail(restore, -EBADMSG, "the address of a socket has %lu bytes", (unsigned long) blob->size);
        r = restore_blob(restore, blob, &address);
        return r < 0 ? r : restore_put(restore, INIT, 1024, address, blob->size, ret);
}

static int64_t make_socket(Restore *restore, const ImageSocket *socket) {
        return restore_call(restore, INIT, "make a socket", SYS_socket, (uint64_t) socket->family, (uint64_t) socket->type | SOCK_CLOEXEC,
                            (uint64_t) socket->protocol);
}

/* The file of a socket that was in a file system in memory; NULL: it was somewhere else. */
static const ImageNode *find_node(const Image *image, const char *path) {
        for (size_t i = 0; i < image->n_tmpfs; i++) {
                const ImageTmpfs *tmpfs = image->tmpfs + i;
                const char *rest = startswith(path, tmpfs->mount);

                rest = rest && (*rest == '/' || streq(tmpfs->mount, "/")) ? rest + strspn(rest, "/") : NULL;
                for (size_t k = 0; rest && k < tmpfs->n_nodes; k++)
                        if (S_ISSOCK(tmpfs->nodes[k].mode) && streq(tmpfs->nodes[k].path, rest))
                                return tmpfs->nodes + k;
        }
        return NULL;
}

static int bind_socket(Restore *restore, const ImageFile *file, int64_t number) {
        const ImageSocket *socket = file->socket;
        const ImageNode *node = NULL;
        uint32_t uid = 0, gid = 0;
        uint64_t at, at_path;
        int r;

        if (socket->address.size <= sizeof(sa_family_t))
                return 0;
        /* What it was bound to is in its way; if it is a socket still. */
        if (socket->family == AF_UNIX && socket->place.path) {
                struct stat st = {};

                r = restore_put(restore, INIT, 0, socket->place.path, strlen(socket->place.path) + 1, &at_path);
                if (r >= 0)
                        r = restore_put(restore, INIT, 8192, &st, sizeof(st), &at);
                if (r < 0)
                        return r;
                if (inject_call(&INIT->inject, SYS_lstat, at_path, at) >= 0 && inject_read(INIT->inject.tid, at, &st, sizeof(st)) >= 0 &&
                    S_ISSOCK(st.st_mode)) {
                        uid = st.st_uid;
                        gid = st.st_gid;
                        (void) inject_call(&INIT->inject, SYS_unlink, at_path);
                } else if ((node = find_node(restore->image, socket->place.path))) {
                        uid = node->uid;
                        gid = node->gid;
                }
        }
        r = put_address(restore, &socket->address, &at);
        if (r < 0)
                return r;
        r = (int) inject_call(&INIT->inject, SYS_bind, (uint64_t) number, at, socket->address.size);
        if (r < 0)
                return restore_fail(restore, r, "cannot bind a socket (%s)", file->was ?: socket->place.path ?: "?");
        /* Its file has the mode that it had, and belongs to whom it belonged. */
        if (socket->family == AF_UNIX && socket->place.path && socket->place.mode != 0) {
                r = restore_put(restore, INIT, 0, socket->place.path, strlen(socket->place.path) + 1, &at_path);
                if (r < 0)
                        return r;
                (void) inject_call(&INIT->inject, SYS_chmod, at_path, socket->place.mode & 07777);
                if (restore->options.many_users && (uid != 0 || gid != 0))
                        (void) inject_call(&INIT->inject, SYS_lchown, at_path, uid, gid);
        }
        return 0;
}

static int set_option(int fd, const ImageOption *option, int64_t value) {
        int number = (int) value;
        struct linger linger = { .l_onoff = number >= 0, .l_linger = MAX(number, 0) };
        struct timeval time = { .tv_sec = value / 1000000, .tv_usec = value % 1000000 };
        int r = -1;

        switch (option->form) {
        case IMAGE_OPTION_INT:
        case IMAGE_OPTION_HALF:
                r = setsockopt(fd, option->level, option->name, &number, sizeof(number));
                break;
        case IMAGE_OPTION_LINGER:
                r = setsockopt(fd, option->level, option->name, &linger, sizeof(linger));
                break;
        case IMAGE_OPTION_TIME:
                r = setsockopt(fd, option->level, option->name, &time, sizeof(time));
                break;
        }
        /* What is decided by the time it is connected is what it was. */
        if (r < 0 && option->level == IPPROTO_IPV6 && option->name == IPV6_V6ONLY)
                return 0;
        return r < 0 ? -errno : 0;
}

/* image-check.c has seen to it that there are no others. */
int restore_socket_options(Restore *restore, const ImageFile *file, int number) {
        const ImageSocket *socket = file->socket;
        _cleanup_close_ int fd = -EBADF;

        if (socket->n_options == 0)
                return 0;
        fd = restore_borrow_fd(restore, number);
        if (fd < 0)
                return restore_fail(restore, fd, "cannot set the options of a socket");
        for (size_t i = 0; i + 2 < socket->n_options; i += 3) {
                const ImageOption *option;
                int r;

                for (size_t j = 0; (option = image_socket_option(j)); j++)
                        if (option->level == socket->options[i] && option->name == socket->options[i + 1])
                                break;
                r = option ? set_option(fd, option, socket->options[i + 2]) : -EBADMSG;
                if (r < 0)
                        return restore_fail(restore, r, "cannot set option %d of level %d of a socket to %lld (%s)",
                                            (int) socket->options[i + 1], (int) socket->options[i],
                                            (long long) socket->options[i + 2], file->was ?: "?");
        }
        return 0;
}

int restore_shutdown(Restore *restore, const ImageSocket *socket, int number) {
        int how = socket->shut_read && socket->shut_write ? SHUT_RDWR : socket->shut_read ? SHUT_RD : SHUT_WR;

        if (!socket->shut_read && !socket->shut_write)
                return 0;
        return restore_call(restore, INIT, "shut a socket down", SYS_shutdown, (uint64_t) number, (uint64_t) how) < 0 ? -EIO : 0;
}

static int make_pair(Restore *restore, const ImageSocket *socket, int ret[2]) {
        int numbers[2];
        uint64_t at;
        int r;

        r = restore_put(restore, INIT, 0, (int[2]) {}, sizeof(numbers), &at);
        if (r < 0)
                return r;
        if (restore_call(restore, INIT, "make a pair of sockets", SYS_socketpair, AF_UNIX, (uint64_t) socket->type | SOCK_CLOEXEC, 0, at) < 0)
                return -EIO;
        r = inject_read(INIT->inject.tid, at, numbers, sizeof(numbers));
        if (r < 0)
                return restore_fail(restore, r, "cannot read the numbers of a pair of sockets");
        for (unsigned i = 0; i < 2; i++) {
                ret[i] = restore_take_number(restore, numbers[i]);
                if (ret[i] < 0)
                        return ret[i];
        }
        return 0;
}

/* The socket that a connection was accepted from: the same address, and listening. */
static const ImageFile *listener_of(Restore *restore, const ImageSocket *socket) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];

                if (file->kind == IMAGE_FILE_UNIX && file->socket && file->socket != socket && file->socket->listening &&
                    file->socket->type == socket->type && same_blob(restore, &file->socket->address, &socket->address))
                        return file;
        }
        return NULL;
}

/* A file that is needed before its turn. */
static int make_now(Restore *restore, const ImageFile *file) {
        uint32_t index = index_of(restore, file);
        int64_t number;
        int r;

        if (restore->files[index] >= 0)
                return 0;
        number = restore_socket(restore, file);
        r = number < 0 ? (int) number : restore_take_number(restore, number);
        if (r < 0)
                return r;
        restore->files[index] = r;
        return 0;
}

/* A connection as it came about: by connect(2) and accept(2), so that both ends have their addresses. */
static int connect_pair(Restore *restore, const ImageFile *client, const ImageFile *listener, int ret[2]) {
        int64_t number;
        uint64_t at;
        int r;

        r = make_now(restore, listener);
        if (r < 0)
                return r;
        number = make_socket(restore, client->socket);
        r = number < 0 ? (int) number : bind_socket(restore, client, number);
        if (r < 0)
                return r;
        ret[0] = restore_take_number(restore, number);
        if (ret[0] < 0)
                return ret[0];
        r = put_address(restore, &listener->socket->address, &at);
        if (r < 0)
                return r;
        if (restore_call(restore, INIT, "connect a socket", SYS_connect, (uint64_t) ret[0], at, listener->socket->address.size) < 0)
                return -EIO;
        number = restore_call(restore, INIT, "accept a connection", SYS_accept4, (uint64_t) restore->files[index_of(restore, listener)], 0, 0,
                              SOCK_CLOEXEC);
        if (number < 0)
                return (int) number;
        ret[1] = restore_take_number(restore, number);
        return ret[1] < 0 ? ret[1] : 0;
}

/* Both ends of a connection, or the one that is left of it. */
static int64_t connected(Restore *restore, const ImageFile *file) {
        const ImageFile *peer = file->socket->peer == IMAGE_NONE ? NULL : &restore->image->files[file->socket->peer], *listener;
        int ends[2], r;

        if (peer && (!peer->socket || restore->files[file->socket->peer] >= 0))
                return restore_fail(restore, -EBADMSG, "a socket has two peers");

        if (peer && (listener = listener_of(restore, peer->socket)))
                r = connect_pair(restore, file, listener, ends);
        else if (peer && (listener = listener_of(restore, file->socket))) {
                int other[2];

                r = connect_pair(restore, peer, listener, other);
                if (r >= 0)
                        ends[0] = other[1], ends[1] = other[0];
        } else {
                r = make_pair(restore, file->socket, ends);
                if (r >= 0 && !listener_of(restore, file->socket))
                        r = bind_socket(restore, file, ends[0]);
                if (r >= 0 && peer)
                        r = bind_socket(restore, peer, ends[1]);
        }
        if (r >= 0)
                r = restore_socket_options(restore, file, ends[0]);
        if (r >= 0 && peer)
                r = restore_socket_options(restore, peer, ends[1]);
        if (r >= 0 && (socket_is_late(file->socket) || (peer && socket_is_late(peer->socket)))) {
                *(peer ? &restore->files[file->socket->peer] : &restore->others[index_of(restore, file)]) = ends[1];
                return ends[0];
        }
        if (r >= 0)
                r = restore_queue(restore, file->socket, ends[1]);
        if (r >= 0 && peer)
                r = restore_queue(restore, peer->socket, ends[0]);
        if (r >= 0)
                r = restore_shutdown(restore, file->socket, ends[0]);
        if (r >= 0 && peer)
                r = restore_shutdown(restore, peer->socket, ends[1]);
        if (r < 0)
                return r;
        if (peer)
                restore->files[file->socket->peer] = ends[1];
        else if (restore_call(restore, INIT, "close the other end", SYS_close, (uint64_t) ends[1]) < 0)
                return -EIO;
        /* The caller moves it once more. */
        return ends[0];
}

static int64_t alone(Restore *restore, const ImageFile *file) {
        const ImageSocket *socket = file->socket;
        int64_t number;
        uint64_t at;
        int r;

        if (socket->protocol != IPPROTO_UDP && !socket_is_unconnected(socket) && (socket->queue.size > 0 || socket->n_sizes > 0))
                return restore_fail(restore, -EOPNOTSUPP, "a socket (%s) has messages of somebody unknown to read", file->was ?: "?");
        number = make_socket(restore, socket);
        if (number < 0)
                return number;
        r = restore_socket_options(restore, file, (int) number);
        if (r >= 0)
                r = bind_socket(restore, file, number);
        if (r < 0)
                return r;
        if (socket->listening &&
            restore_call(restore, INIT, "listen", SYS_listen, (uint64_t) number, socket->backlog) < 0)
                return -EIO;
        if ((socket->family != AF_UNIX || socket->queued) && socket->peer_address.size > 0) {
                r = put_address(restore, &socket->peer_address, &at);
                if (r < 0)
                        return r;
                if (restore_call(restore, INIT, "connect a socket", SYS_connect, (uint64_t) number, at, socket->peer_address.size) < 0)
                        return -EIO;
        }
        r = restore_shutdown(restore, socket, (int) number);
        return r < 0 ? r : number;
}

int64_t restore_socket(Restore *restore, const ImageFile *file) {
        const ImageSocket *socket = file->socket;
        bool is_connected = socket->state == TCP_ESTABLISHED /* which UNIX sockets use, too */ && !socket->listening;

        if (socket->family == AF_UNIX && (socket->peer != IMAGE_NONE || (is_connected && socket->type != SOCK_DGRAM)))
                return connected(restore, file);
        return alone(restore, file);
}
