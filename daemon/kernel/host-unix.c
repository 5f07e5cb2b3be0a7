/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "host-unix.h"
#include "launch-protocol.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define ANSWER_SEC 5 /* it does nothing else: a busy machine's worst */

/* Takes what comes with a message. How many; more than room are closed. */
static size_t take_fds(struct msghdr *header, int fds[], size_t room) {
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t m = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ?
                        (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

                for (size_t i = 0; i < m; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (n < room)
                                fds[n++] = fd;
                        else
                                safe_close(fd);
                }
        }
        return n;
}

/* The answer to this request; older ones may be left of one who died before he heard them. Negative: there will be none
 * any more. */
static int hear(int maker, uint64_t id, int ret[], size_t room, size_t *ret_n, MakerAnswer *ret_answer) {
        for (;;) {
                union {
                        char buffer[CMSG_SPACE(2 * sizeof(int))];
                        struct cmsghdr align;
                } control = {};
                struct iovec iov = { ret_answer, sizeof(*ret_answer) };
                struct msghdr header = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.buffer,
                        .msg_controllen = sizeof(control.buffer),
                };
                ssize_t size;

                size = recvmsg(maker, &header, MSG_CMSG_CLOEXEC);
                if (size < 0 && errno == EINTR)
                        continue;
                if (size != sizeof(*ret_answer))
                        return size < 0 ? -errno : -ECONNRESET;
                *ret_n = take_fds(&header, ret, room);
                if (header.msg_flags & MSG_CTRUNC)
                        ret_answer->error = ENFILE;
                if (ret_answer->id == id)
                        return 0;
                for (size_t i = 0; i < *ret_n; i++)
                        safe_close(ret[i]);
        }
}

/* 0, with n descriptors; an errno of the host. */
static int ask(HostSeccomp *host, const MakerRequest *request, int ret[], size_t n) {
        MakerAnswer answer = {};
        size_t came = 0;
        int r = 0;

        if (host->maker_fd < 0 || host->maker_lost)
                return -ENOBUFS;
        if (send(host->maker_fd, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                r = -errno;
        if (r >= 0)
                r = hear(host->maker_fd, request->id, ret, n, &came, &answer);
        /* What was made comes first, and then that nobody else holds it any more. */
        if (r >= 0 && answer.error == 0 && came > 0) {
                MakerAnswer alone = {};
                size_t none = 0;

                r = hear(host->maker_fd, request->id, NULL, 0, &none, &alone);
        }
        if (r < 0) {
                for (size_t i = 0; i < came; i++)
                        safe_close(ret[i]);
                /* What it might answer later nobody would tell from other answers. */
                log_error("%s: no more UNIX sockets can be made for the sandbox: who makes them is gone or does not answer "
                          "(%s)", host->sentry->name, strerror(-r));
                host->maker_lost = true;
                (void) shutdown(host->maker_fd, SHUT_RDWR); /* whoever still holds the other end is told */
                return -ENOBUFS;
        }
        host->maker_net_ns = answer.net_ns;
        if (answer.error == 0 && came == n)
                return 0;
        for (size_t i = 0; i < came; i++)
                safe_close(ret[i]);
        return answer.error != 0 ? -answer.error : -EPROTO;
}

void host_unix_attach(HostSeccomp *host) {
        static const struct timeval deadline = { .tv_sec = ANSWER_SEC };
        static const MakerRequest request = { .id = UINT64_MAX, .kind = MAKER_SOCK_DIAG };

        if (host->maker_fd < 0)
                return;
        (void) setsockopt(host->maker_fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
        kernel_make_unix_sockets(host->sentry->kernel, host->net_ns);
        if (ask(host, &request, &host->maker_diag_fd, 1) < 0)
                host->maker_diag_fd = -EBADF; /* then they are listed without their names */
}

int host_unix_make(Host *host, const Call *call, int32_t type, int32_t protocol, unsigned n, int ret[]) {
        MakerRequest request = {
                .id = call->cookie,
                .kind = n == 1 ? MAKER_SOCKET : MAKER_PAIR,
                .type = type,
                .protocol = protocol,
        };
        int r = ask(host_seccomp_of(host), &request, ret, n);

        return r < 0 ? host_error_to_guest(r) : 0;
}

/* By a socket that the launcher made, in the network that the sandbox is in. */
int host_interface(Host *host, uint32_t request, AbiIfreq *interface) {
        struct ifreq copy;

        _Static_assert(sizeof(copy) == sizeof(*interface), "struct ifreq");
        memcpy(&copy, interface, sizeof(copy));
        if (ioctl(host_seccomp_of(host)->maker_fd, request, &copy) < 0)
                return host_error_to_guest(-errno);
        memcpy(interface, &copy, sizeof(copy));
        return 0;
}

int host_fd_add(Host *host, const Call *call, int fd, uint32_t flags) {
        int r = notifier_add_fd(&host_seccomp_of(host)->sentry->notifier, call, fd, flags);

        return r < 0 ? host_error_to_guest(r) : r;
}

static void write_name(int fd, const char *name) {
        char text[ABI_UTS_LENGTH + 1];
        int n;

        if (fd < 0)
                return;
        n = snprintf(text, sizeof(text), "%.*s\n", (int) ABI_UTS_LENGTH - 1, name);
        if (pwrite(fd, text, (size_t) n, 0) < 0 || ftruncate(fd, n) < 0)
                log_debug("cannot write a name for /proc/sys/kernel: %s", strerror(errno));
}

void host_names_changed(Host *host, const char *nodename, const char *domainname) {
        const HostSeccomp *h = host_seccomp_of(host);

        if (nodename)
                write_name(h->name_fds[0], nodename);
        if (domainname)
                write_name(h->name_fds[1], domainname);
}
