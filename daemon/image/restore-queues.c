/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What waits in UNIX sockets to be read: sent by their other ends, or by who is not connected to them. Messages with descriptors the first process sends, and those
 * with credentials whoever it was, when all files and processes are there: they all have the first one's descriptors. */

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "restore-internal.h"
#include "util.h"

#define INIT (&restore->processes[0])

/* Where things lie in scratch memory. */
#define AT_HEADER 0U
#define AT_IOVEC 128U
#define AT_CONTROL 256U
#define AT_NAME 4096U
#define AT_DATA 8192U

_Static_assert(AT_DATA + IMAGE_ANCILLARY_MAX <= RESTORE_SCRATCH_SIZE / 2, "a message and what comes with it have room");

static int send_plain(Restore *restore, int other, const char *data, uint64_t size, bool whole) {
        _cleanup_close_ int fd = restore_borrow_fd(restore, other);
        uint64_t done = 0;

        if (fd < 0)
                return fd;
        while (done < size) {
                ssize_t n = send(fd, data + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0)
                        return -errno;
                done += (uint64_t) n;
                if (whole && done < size)
                        return -EMSGSIZE;
        }
        return 0;
}

static void add_control(uint8_t *control, size_t *size, int type, const void *data, size_t n) {
        struct cmsghdr header = { .cmsg_len = CMSG_LEN(n), .cmsg_level = SOL_SOCKET, .cmsg_type = type };

        memcpy(control + *size, &header, sizeof(header));
        memcpy(control + *size + CMSG_LEN(0), data, n);
        *size += CMSG_SPACE(n);
}

/* Who is gone, or of a user whom the sandbox does not have, sends no more. Then the first process does. */
static RestoreProcess *sender_of(Restore *restore, const ImageAncillary *ancillary) {
        for (size_t i = 0; ancillary->pid != 0 && i < restore->image->n_processes; i++)
                if (restore->image->processes[i].pid == ancillary->pid && restore->image->processes[i].state != IMAGE_TASK_ZOMBIE)
                        return &restore->processes[i];
        return INIT;
}

/* An address to send to, of a socket that is not connected. */
typedef struct Destination {
        const char *address;
        size_t size;
} Destination;

/* How many bytes went, or an error of the call. */
static int64_t send_with(Restore *restore, RestoreProcess *process, int other, const Destination *to, const char *data, uint64_t size,
                         const ImageAncillary *ancillary, bool credentials) {
        uint8_t control[CMSG_SPACE(IMAGE_RIGHTS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))] = {};
        struct ucred sender = { .pid = ancillary->pid, .uid = ancillary->uid, .gid = ancillary->gid };
        uint64_t at_data, at_iovec, at_control, at_header, at_name = 0;
        int numbers[IMAGE_RIGHTS_MAX];
        struct msghdr header = {};
        size_t control_size = 0;
        struct iovec iov;
        int r;

        for (size_t i = 0; i < ancillary->n_files; i++)
                numbers[i] = restore->files[ancillary->files[i]];
        if (ancillary->n_files > 0)
                add_control(control, &control_size, SCM_RIGHTS, numbers, ancillary->n_files * sizeof(int));
        if (credentials)
                add_control(control, &control_size, SCM_CREDENTIALS, &sender, sizeof(sender));
        r = restore_put(restore, process, AT_DATA, data, size, &at_data);
        if (r >= 0)
                r = restore_put(restore, process, AT_CONTROL, control, control_size, &at_control);
        if (r >= 0 && to)
                r = restore_put(restore, process, AT_NAME, to->address, to->size, &at_name);
        if (r < 0)
                return r;
        iov = (struct iovec) { (void *) (uintptr_t) at_data, size };
        r = restore_put(restore, process, AT_IOVEC, &iov, sizeof(iov), &at_iovec);
        if (r < 0)
                return r;
        header.msg_iov = (void *) (uintptr_t) at_iovec;
        header.msg_iovlen = 1;
        header.msg_name = (void *) (uintptr_t) at_name;
        header.msg_namelen = to ? (socklen_t) to->size : 0;
        header.msg_control = control_size > 0 ? (void *) (uintptr_t) at_control : NULL;
        header.msg_controllen = control_size;
        r = restore_put(restore, process, AT_HEADER, &header, sizeof(header), &at_header);
        return r < 0 ? r : inject_call(&process->inject, SYS_sendmsg, (uint64_t) other, at_header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int send_message(Restore *restore, int other, const char *data, uint64_t size, const ImageAncillary *ancillary, bool whole) {
        RestoreProcess *process;
        int64_t n;

        if (!ancillary)
                return send_plain(restore, other, data, size, whole);
        process = sender_of(restore, ancillary);
        n = send_with(restore, process, other, NULL, data, size, ancillary, process->image->pid == ancillary->pid);
        if (n == -EINVAL || n == -EPERM)
                n = send_with(restore, process, other, NULL, data, size, ancillary, false);
        if (n < 0)
                return (int) n;
        return send_plain(restore, other, data + n, size - (uint64_t) n, whole);
}

int restore_queue(Restore *restore, const ImageSocket *socket, int other) {
        bool whole = socket->type != SOCK_STREAM;
        _cleanup_free_ char *data = NULL;
        uint64_t done = 0;
        size_t next = 0;
        int r;

        if (socket->queue.size == 0)
                return 0;
        r = restore_blob(restore, &socket->queue, &data);
        if (r < 0)
                return r;
        for (size_t i = 0; i < socket->n_sizes; i++) {
                const ImageAncillary *ancillary = next < socket->n_ancillary && socket->ancillary[next].message == i
                        ? &socket->ancillary[next++] : NULL;

                r = send_message(restore, other, data + done, socket->sizes[i], ancillary, whole);
                if (r < 0)
                        return restore_fail(restore, r, "cannot fill a socket with message %zu of %zu", i + 1, socket->n_sizes);
                done += socket->sizes[i];
        }
        r = send_plain(restore, other, data + done, socket->queue.size - done, false);
        return r < 0 ? restore_fail(restore, r, "cannot fill a socket with %lu bytes", (unsigned long) socket->queue.size) : 0;
}

/* A socket of the image that is bound to this address: its number; -ENOENT. */
static int find_bound(Restore *restore, const char *address, size_t size) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                _cleanup_free_ char *own = NULL;
                int r;

                if (file->kind != IMAGE_FILE_UNIX || file->socket->type != SOCK_DGRAM || file->socket->address.size != size)
                        continue;
                r = restore_blob(restore, &file->socket->address, &own);
                if (r < 0)
                        return r;
                if (memcmp(own, address, size) == 0)
                        return restore->files[i];
        }
        return -ENOENT;
}

static int send_datagram(Restore *restore, const Destination *to, const char *from, size_t from_size, const char *data, uint64_t size,
                         const ImageAncillary *ancillary) {
        static const ImageAncillary none;
        bool named = from_size > sizeof(sa_family_t);
        RestoreProcess *process = ancillary ? sender_of(restore, ancillary) : INIT;
        int64_t number, n;

        if (size > IMAGE_ANCILLARY_MAX)
                return -EMSGSIZE;
        number = named ? find_bound(restore, from, from_size) : inject_call(&process->inject, SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (number < 0)
                return (int) number;
        n = send_with(restore, process, (int) number, to, data, size, ancillary ?: &none,
                      ancillary && process->image->pid == ancillary->pid);
        if (ancillary && (n == -EINVAL || n == -EPERM))
                n = send_with(restore, process, (int) number, to, data, size, ancillary, false);
        if (!named)
                (void) inject_call(&process->inject, SYS_close, (uint64_t) number);
        return n < 0 ? (int) n : (uint64_t) n == size ? 0 : -EMSGSIZE;
}

/* What came to a socket from those who only knew its address. */
static int fill_datagrams(Restore *restore, const ImageSocket *socket) {
        _cleanup_free_ char *data = NULL, *senders = NULL, *address = NULL;
        uint64_t done = 0, at = 0;
        size_t next = 0;
        Destination to;
        int r;

        if (socket->address.size > sizeof(struct sockaddr_storage))
                return -EBADMSG;
        r = restore_blob(restore, &socket->queue, &data);
        if (r >= 0)
                r = restore_blob(restore, &socket->senders, &senders);
        if (r >= 0)
                r = restore_blob(restore, &socket->address, &address);
        to = (Destination) { address, socket->address.size };
        for (size_t i = 0; r >= 0 && i < socket->n_sizes; i++) {
                const ImageAncillary *ancillary = next < socket->n_ancillary && socket->ancillary[next].message == i
                        ? &socket->ancillary[next++] : NULL;
                uint32_t size;

                if (socket->senders.size - at < sizeof(size))
                        return -EBADMSG;
                memcpy(&size, senders + at, sizeof(size));
                at += sizeof(size);
                if (size > socket->senders.size - at)
                        return -EBADMSG;
                r = send_datagram(restore, &to, senders + at, size, data + done, socket->sizes[i], ancillary);
                at += size;
                done += socket->sizes[i];
        }
        return r;
}

static int restore_unconnected(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                int r;

                if (file->kind != IMAGE_FILE_UNIX || !socket_is_unconnected(file->socket) || file->socket->n_sizes == 0)
                        continue;
                r = fill_datagrams(restore, file->socket);
                if (r < 0)
                        return restore_fail(restore, r, "cannot fill a socket (%s) with %zu datagrams", file->was ?: "?", file->socket->n_sizes);
        }
        return 0;
}

int restore_late_queues(Restore *restore) {
        for (uint32_t i = 0; i < restore->image->n_files; i++) {
                const ImageSocket *socket = restore->image->files[i].socket,
                                  *peer = socket && socket->peer != IMAGE_NONE ? restore->image->files[socket->peer].socket : NULL;
                int other = peer ? restore->files[socket->peer] : restore->others[i], r;

                if (!socket || other < 0 || (peer && socket->peer < i) || (!socket_is_late(socket) && !(peer && socket_is_late(peer))))
                        continue;
                r = restore_queue(restore, socket, other);
                if (r >= 0 && peer)
                        r = restore_queue(restore, peer, restore->files[i]);
                if (r >= 0)
                        r = restore_shutdown(restore, socket, restore->files[i]);
                if (r >= 0 && peer)
                        r = restore_shutdown(restore, peer, other);
                if (r < 0)
                        return r;
        }
        return restore_unconnected(restore);
}
