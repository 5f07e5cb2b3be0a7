/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What waits in UNIX sockets to be read: sent by their other ends. Messages with descriptors the first process sends, and those
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

/* How many bytes went, or an error of the call. */
static int64_t send_with(Restore *restore, RestoreProcess *process, int other, const char *data, uint64_t size,
                         const ImageAncillary *ancillary, bool credentials) {
        uint8_t control[CMSG_SPACE(IMAGE_RIGHTS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))] = {};
        struct ucred sender = { .pid = ancillary->pid, .uid = ancillary->uid, .gid = ancillary->gid };
        uint64_t at_data, at_iovec, at_control, at_header;
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
        if (r < 0)
                return r;
        iov = (struct iovec) { (void *) (uintptr_t) at_data, size };
        r = restore_put(restore, process, AT_IOVEC, &iov, sizeof(iov), &at_iovec);
        if (r < 0)
                return r;
        header.msg_iov = (void *) (uintptr_t) at_iovec;
        header.msg_iovlen = 1;
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
        n = send_with(restore, process, other, data, size, ancillary, process->image->pid == ancillary->pid);
        if (n == -EINVAL || n == -EPERM)
                n = send_with(restore, process, other, data, size, ancillary, false);
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
        return 0;
}
