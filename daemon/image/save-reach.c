/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What belongs to other users of the sandbox than its owner: /proc shows their processes' memory to them alone, and their files
 * may be theirs alone. Who owns the user namespace may join it, and has every capability in there. A child does that, for in
 * there numbers of users are others; it opens for us what we may not, and ends with us. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "open-inside.h"
#include "save.h"
#include "util.h"

#define CHILD_FD 3

/* Of how to open something. */
typedef struct Request {
        int flags;
        bool below;       /* a descriptor comes along: path is relative to it; without path it is opened once more */
        uint64_t resolve; /* not 0: by open_inside() */
        char path[IMAGE_PATH_MAX + 1];
} Request;

/* There is one for all threads. */
static struct {
        pthread_mutex_t lock;
        pid_t init; /* of the sandbox; 0: it has one user */
        int fd;     /* to the child; -EBADF: there is none yet */
        int error;  /* why there is none, and none is made any more */
} reach = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -EBADF };

void save_reach_set(pid_t init) {
        reach.init = init;
}

/* With a descriptor, or without (-EBADF). */
static int send_with(int fd, const void *data, size_t size, int passed) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (passed >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
        }
        return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t) size ? 0 : -EPIPE;
}

static int receive_with(int fd, void *data, size_t size, int *ret_passed) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { data, size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        const struct cmsghdr *header;
        ssize_t n;

        *ret_passed = -EBADF;
        do
                n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        if (header && header->cmsg_type == SCM_RIGHTS)
                memcpy(ret_passed, CMSG_DATA(header), sizeof(int));
        return n == (ssize_t) size ? 0 : -EPIPE;
}

int save_join_users(pid_t init) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) init);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 || setns(fd, CLONE_NEWUSER) < 0 ? -errno : 0;
}

static int do_open(const Request *request, int dir_fd) {
        char path[64];
        int fd;

        if (request->resolve != 0)
                return open_inside(dir_fd, request->path, (uint64_t) request->flags, 0, request->resolve);
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
        if (!*request->path)
                fd = open(path, request->flags | O_CLOEXEC);
        else
                fd = openat(dir_fd, request->path, request->flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static _Noreturn void serve(int fd, pid_t init) {
        static Request request;
        int below, opened, result;

        (void) prctl(PR_SET_DUMPABLE, 0); /* nobody inside is to reach us */
        /* Nothing but the socket: what else there is tells others of the imager's end. */
        if (fd != CHILD_FD && dup3(fd, CHILD_FD, O_CLOEXEC) < 0)
                _exit(EXIT_FAILURE);
        (void) close_range(CHILD_FD + 1, ~0U, 0);
        result = save_join_users(init);
        if (send_with(CHILD_FD, &result, sizeof(result), -EBADF) < 0 || result < 0)
                _exit(EXIT_FAILURE);
        while (receive_with(CHILD_FD, &request, sizeof(request), &below) >= 0) {
                request.path[IMAGE_PATH_MAX] = '\0';
                opened = do_open(&request, request.below ? below : AT_FDCWD);
                result = MIN(opened, 0);
                if (send_with(CHILD_FD, &result, sizeof(result), opened) < 0)
                        break;
                (void) safe_close(opened);
                (void) safe_close(below);
        }
        _exit(EXIT_SUCCESS);
}

static int start(void) {
        int ends[2], result, none;
        pid_t pid;

        if (reach.error < 0 || reach.fd >= 0)
                return reach.error;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                serve(ends[1], reach.init);
        reach.error = pid < 0 ? -errno : 0;
        safe_close(ends[1]);
        if (reach.error >= 0 && receive_with(ends[0], &result, sizeof(result), &none) < 0)
                reach.error = -EPIPE;
        else if (reach.error >= 0)
                reach.error = result;
        if (reach.error < 0)
                safe_close(ends[0]);
        else
                reach.fd = ends[0];
        return reach.error;
}

static int open_by_child(const Request *request, int dir_fd) {
        int passed = -EBADF, result = -EACCES;

        (void) pthread_mutex_lock(&reach.lock);
        if (start() >= 0 && (send_with(reach.fd, request, sizeof(*request), request->below ? dir_fd : -EBADF) < 0 ||
                             receive_with(reach.fd, &result, sizeof(result), &passed) < 0))
                result = -EPIPE;
        (void) pthread_mutex_unlock(&reach.lock);
        if (result < 0)
                safe_close(passed);
        return result < 0 ? result : passed < 0 ? -EPIPE : passed;
}

int save_open_inside(int dir_fd, const char *path, int flags, uint64_t resolve) {
        _cleanup_free_ Request *request = NULL;
        size_t n = strlen(path);
        int r;

        if (n > IMAGE_PATH_MAX)
                return -ENAMETOOLONG;
        request = calloc(1, sizeof(*request));
        if (!request)
                return -ENOMEM;
        request->flags = flags;
        request->below = dir_fd != AT_FDCWD;
        request->resolve = resolve;
        memcpy(request->path, path, n + 1);
        r = do_open(request, dir_fd);
        return r != -EACCES || reach.init == 0 ? r : open_by_child(request, dir_fd);
}

int save_open(int dir_fd, const char *path, int flags) {
        return save_open_inside(dir_fd, path, flags, 0);
}

int save_reopen(int fd, int flags) {
        return save_open_inside(fd, "", flags, 0);
}
