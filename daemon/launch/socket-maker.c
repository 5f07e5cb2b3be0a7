/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "isolate.h"
#include "landlock.h"
#include "launch-protocol.h"
#include "profile-features.h"
#include "socket-maker.h"
#include "util.h"

#ifndef SYS_close_range
#  define SYS_close_range 436
#endif

#define MAKER_FD 0
#define READY_TIMEOUT_MSEC 20000

bool socket_maker_is_needed(const Profile *profile) {
        /* Under rules for addresses each name is judged, and the host's may be allowed. Who has the host's users or files is a
         * service among the host's. */
        return profile->network == PROFILE_NETWORK_HOST && profile->addresses.n == 0 && profile->users != PROFILE_USERS_HOST &&
                (profile->namespaces & CLONE_NEWNS) && !landlock_scopes_sockets(profile);
}

uint32_t launch_features(const Profile *profile) {
        return profile_features(profile) | (socket_maker_is_needed(profile) ? 1U << SYSCALL_FEATURE_UNIX : 0);
}

static int answer(uint64_t id, int error, const int fds[], size_t n) {
        static MakerAnswer message;
        struct stat st;

        if (message.net_ns == 0 && stat("/proc/self/ns/net", &st) >= 0)
                message.net_ns = (uint32_t) st.st_ino;
        message.id = id;
        message.error = error;

        return send_fds(MAKER_FD, &message, sizeof(message), fds, n);
}

static int make(const MakerRequest *request, int ret[static 2], size_t *ret_n) {
        *ret_n = 1;
        switch (request->kind) {
        case MAKER_SOCKET:
                ret[0] = socket(AF_UNIX, request->type | SOCK_CLOEXEC, request->protocol);
                break;
        case MAKER_PAIR:
                *ret_n = 2;
                if (socketpair(AF_UNIX, request->type | SOCK_CLOEXEC, request->protocol, ret) < 0)
                        return errno;
                break;
        case MAKER_SOCK_DIAG:
                ret[0] = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
                break;
        default:
                return EINVAL;
        }
        return ret[0] < 0 ? errno : 0;
}

static _Noreturn void serve(void) {
        for (;;) {
                int fds[2] = { -EBADF, -EBADF }, error, r;
                MakerRequest request;
                size_t n = 0;
                ssize_t size;

                size = recv(MAKER_FD, &request, sizeof(request), 0);
                if (size < 0 && errno == EINTR)
                        continue;
                if (size != sizeof(request))
                        _exit(0); /* nobody is there any more */
                error = make(&request, fds, &n);
                r = answer(request.id, error, fds, error == 0 ? n : 0);
                safe_close(fds[0]);
                safe_close(fds[1]);
                /* And once more, when the caller's descriptors are the only ones: it may close them and look. */
                if (r >= 0 && error == 0)
                        r = answer(request.id, 0, NULL, 0);
                if (r < 0)
                        _exit(0);
        }
}

static _Noreturn void run_maker(int fd) {
        LaunchFailure failure = {};

        /* By nothing of the launcher's that stays open here may anybody be kept waiting for its end. */
        if (dup2(fd, MAKER_FD) < 0 || syscall(SYS_close_range, MAKER_FD + 1, UINT_MAX, 0) < 0)
                _exit(1);
        (void) prctl(PR_SET_NAME, "sentry-sockets");
        /* In a user namespace that is none of the sandbox's, nobody in there reaches into this process. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                (void) answer(0, errno, NULL, 0);
                _exit(1);
        }
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            isolate_capabilities(0, &failure) < 0 || answer(0, 0, NULL, 0) < 0)
                _exit(1);
        serve();
}

/* As a child of nobody that is left here: a program may wait for all children that it has. */
static _Noreturn void run_apart(int fd) {
        pid_t pid = fork();

        if (pid == 0)
                run_maker(fd);
        _exit(pid < 0 ? 1 : 0);
}

int socket_maker_start(SocketMaker *ret, bool apart, LaunchFailure *failure) {
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare for UNIX sockets");
        ret->pid = fork();
        if (ret->pid < 0) {
                r = -errno;
                safe_close(fds[0]);
                safe_close(fds[1]);
                ret->pid = 0;
                return failure_set(failure, r, NULL, "cannot prepare for UNIX sockets");
        }
        if (ret->pid == 0 && apart)
                run_apart(fds[0]);
        if (ret->pid == 0)
                run_maker(fds[0]);
        safe_close(fds[0]);
        ret->fd = fds[1];
        if (apart) {
                (void) waitpid(ret->pid, NULL, 0); /* that it could not is heard of by socket_maker_wait() */
                ret->pid = 0;
        }
        return 0;
}

int socket_maker_wait(int fd, LaunchFailure *failure) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        MakerAnswer answer;
        ssize_t n = 0;

        if (poll(&ready, 1, READY_TIMEOUT_MSEC) <= 0)
                return failure_set(failure, ETIMEDOUT, NULL, "cannot prepare for UNIX sockets");
        n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
        if (n != sizeof(answer))
                return failure_set(failure, n < 0 ? errno : ECONNRESET, NULL, "cannot prepare for UNIX sockets");
        if (answer.error != 0)
                return failure_set(failure, answer.error,
                                   answer.error == ENOSPC ? "See the sysctls user.max_user_namespaces and "
                                                            "user.max_net_namespaces."
                                                          : NULL,
                                   "cannot make the network namespace that keeps the UNIX sockets of the sandbox its own");
        return 0;
}

void socket_maker_done(SocketMaker *maker) {
        maker->fd = safe_close(maker->fd);
        if (maker->pid > 0) {
                (void) kill(maker->pid, SIGKILL); /* not waited for yet, so it is this one */
                (void) waitpid(maker->pid, NULL, 0);
        }
        maker->pid = 0;
}
