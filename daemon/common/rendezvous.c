/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rendezvous.h"
#include "util.h"

#define NUMBER_MAX 65535U
#define FDS_FIXED 2U /* index and pidfd come first */

static const char magic_hello[8] = "SENTRYHI", magic_answer[8] = "SENTRYOK";

typedef struct Hello {
        char magic[8];
        uint32_t version;
        uint32_t n;
        char name[RENDEZVOUS_NAME_MAX + 1];
        char padding[7];
        RendezvousFd table[RENDEZVOUS_FDS_MAX];
} Hello;

typedef struct Answer {
        char magic[8];
        uint32_t version;
        int32_t error;
} Answer;

typedef union FdsControl {
        struct cmsghdr align;
        char buffer[CMSG_SPACE((FDS_FIXED + RENDEZVOUS_FDS_MAX) * sizeof(int))];
} FdsControl;

void rendezvous_done(Rendezvous *hello) {
        hello->index_fd = safe_close(hello->index_fd);
        hello->pidfd = safe_close(hello->pidfd);
        for (uint32_t i = 0; i < hello->n; i++)
                hello->fds[i] = safe_close(hello->fds[i]);
        hello->n = 0;
}

bool rendezvous_table_is_valid(const RendezvousFd *table, uint32_t n) {
        if (n > RENDEZVOUS_FDS_MAX)
                return false;
        for (uint32_t i = 0; i < n; i++) {
                if (table[i].role == 0 || table[i].role >= _RENDEZVOUS_ROLE_END ||
                    table[i].number < RENDEZVOUS_FD_LAUNCH || table[i].number > NUMBER_MAX ||
                    table[i].number == RENDEZVOUS_FD_INDEX || table[i].number == RENDEZVOUS_FD_RUNDIR)
                        return false;
                for (uint32_t j = 0; j < i; j++)
                        if (table[j].number == table[i].number)
                                return false;
        }
        return true;
}

int rendezvous_connect(int rundir_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* The directory may lie in another mount namespace, or deeper than an address is long. */
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" RENDEZVOUS_SOCKET, rundir_fd);
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int rendezvous_send(int fd, const Rendezvous *hello) {
        Hello body = { .version = RENDEZVOUS_VERSION, .n = hello->n };
        struct iovec iov = { &body, sizeof(body) };
        int fds[FDS_FIXED + RENDEZVOUS_FDS_MAX];
        FdsControl control = {};
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
        struct cmsghdr *cmsg;
        ssize_t sent;

        if (!rendezvous_table_is_valid(hello->table, hello->n))
                return -EINVAL;
        memcpy(body.magic, magic_hello, sizeof(body.magic));
        memcpy(body.name, hello->name, strnlen(hello->name, RENDEZVOUS_NAME_MAX));
        memcpy(body.table, hello->table, hello->n * sizeof(RendezvousFd));
        fds[0] = hello->index_fd;
        fds[1] = hello->pidfd;
        memcpy(fds + FDS_FIXED, hello->fds, hello->n * sizeof(int));

        header.msg_controllen = CMSG_SPACE((FDS_FIXED + hello->n) * sizeof(int));
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN((FDS_FIXED + hello->n) * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, (FDS_FIXED + hello->n) * sizeof(int));

        sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
                return -errno;
        return sent == sizeof(body) ? 0 : -EIO;
}

int rendezvous_receive_answer(int fd) {
        Answer answer;
        ssize_t n;

        n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -ECONNRESET;
        if (n != sizeof(answer) || memcmp(answer.magic, magic_answer, sizeof(answer.magic)) != 0)
                return -EBADMSG;
        if (answer.error > 0)
                return answer.error; /* whoever refuses another version says so in his own */
        if (answer.version != RENDEZVOUS_VERSION)
                return -EPROTO;
        return answer.error == 0 ? 0 : -EBADMSG;
}

/* Takes the descriptors out of a message; whatever else there is makes it a bad one. */
static bool take_fds(struct msghdr *header, int fds[static FDS_FIXED + RENDEZVOUS_FDS_MAX], size_t *ret_n) {
        bool good = !(header->msg_flags & (MSG_CTRUNC | MSG_TRUNC));

        *ret_n = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || *ret_n > 0) {
                        good = false;
                        continue;
                }
                *ret_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(fds, CMSG_DATA(c), *ret_n * sizeof(int));
        }
        return good;
}

int rendezvous_receive(int fd, Rendezvous *ret) {
        int fds[FDS_FIXED + RENDEZVOUS_FDS_MAX], r;
        Hello body = {};
        struct iovec iov = { &body, sizeof(body) };
        FdsControl control;
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        size_t n_fds;
        ssize_t n;
        bool good;

        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        good = take_fds(&header, fds, &n_fds);

        if (n == 0)
                r = -ECONNRESET;
        else if (n < (ssize_t) offsetof(Hello, n) || memcmp(body.magic, magic_hello, sizeof(body.magic)) != 0)
                r = -EBADMSG;
        else if (body.version != RENDEZVOUS_VERSION)
                r = -EPROTO;
        else if (!good || n != sizeof(body) || n_fds != (uint64_t) FDS_FIXED + body.n ||
                 !memchr(body.name, 0, sizeof(body.name)) || body.name[0] == '\0' ||
                 !rendezvous_table_is_valid(body.table, body.n))
                r = -EBADMSG;
        else
                r = 0;
        if (r < 0) {
                for (size_t i = 0; i < n_fds; i++)
                        safe_close(fds[i]);
                return r;
        }

        *ret = (Rendezvous) { .index_fd = fds[0], .pidfd = fds[1], .n = body.n };
        memcpy(ret->name, body.name, sizeof(ret->name));
        memcpy(ret->table, body.table, body.n * sizeof(RendezvousFd));
        memcpy(ret->fds, fds + FDS_FIXED, body.n * sizeof(int));
        return 0;
}

int rendezvous_answer(int fd, int error) {
        Answer answer = { .version = RENDEZVOUS_VERSION, .error = error };
        ssize_t n;

        memcpy(answer.magic, magic_answer, sizeof(answer.magic));
        n = send(fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return -errno;
        return n == sizeof(answer) ? 0 : -EIO;
}
