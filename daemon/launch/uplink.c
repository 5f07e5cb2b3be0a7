/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uplink.h"
#include "util.h"

#ifndef SYS_pidfd_open
#  define SYS_pidfd_open 434
#endif

#ifndef SYS_close_range
#  define SYS_close_range 436
#endif

#define START_TIMEOUT_MSEC 20000
#define CONNECT_TIMEOUT_MSEC 25000
#define N_NAMESPACES 2 /* user, network */

typedef struct Watcher {
        const char *sandbox;
        int fd; /* our end */
} Watcher;

/* The namespaces of the sandbox. 0: nobody is there any more. */
static int receive_namespaces(int fd, int ret[static N_NAMESPACES]) {
        union {
                char buffer[CMSG_SPACE(N_NAMESPACES * sizeof(int))];
                struct cmsghdr align;
        } control = {};
        char byte;
        struct iovec iov = { &byte, 1 };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
                .msg_controllen = sizeof(control.buffer),
        };
        const struct cmsghdr *cmsg;
        ssize_t n;

        n = recvmsg(fd, &header, 0);
        if (n <= 0)
                return n < 0 ? -errno : 0;
        cmsg = CMSG_FIRSTHDR(&header);
        if (!cmsg || cmsg->cmsg_len != CMSG_LEN(N_NAMESPACES * sizeof(int)))
                return -EBADMSG;
        memcpy(ret, CMSG_DATA(cmsg), N_NAMESPACES * sizeof(int));
        return 1;
}

/* pasta takes the namespaces of a process by its number. The program is out of its reach, so there is one for that, which
 * does nothing else. It joins, and says so. */
static _Noreturn void hold(const int namespaces[static N_NAMESPACES], int ready_fd, pid_t watcher) {
        if (setns(namespaces[0], CLONE_NEWUSER) < 0 || setns(namespaces[1], CLONE_NEWNET) < 0 ||
            prctl(PR_SET_DUMPABLE, 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != watcher ||
            write(ready_fd, "", 1) != 1)
                _exit(1);
        safe_close(ready_fd);
        for (;;)
                (void) pause();
}

static int start_holder(const Watcher *watcher, const int namespaces[static N_NAMESPACES], pid_t *ret) {
        pid_t self = getpid();
        int fds[2];
        char byte;
        ssize_t n;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret = fork();
        if (*ret == 0) {
                safe_close(fds[0]);
                safe_close(watcher->fd);
                hold(namespaces, fds[1], self);
        }
        safe_close(fds[1]);
        n = *ret < 0 ? -1 : read(fds[0], &byte, 1);
        safe_close(fds[0]);
        return n == 1 ? 0 : -EPERM;
}

static _Noreturn void exec_pasta(pid_t holder) {
        char user[64], network[64];
        const char *argv[24] = {
                "pasta", "--config-net", "--quiet", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none",
                "--userns", user, "--netns", network,
        };
        sigset_t none;

        (void) snprintf(user, sizeof(user), "/proc/%d/ns/user", holder);
        (void) snprintf(network, sizeof(network), "/proc/%d/ns/net", holder);
        if (geteuid() == 0) { /* else it becomes nobody, whom the namespaces are not open to */
                argv[16] = "--runas";
                argv[17] = "0:0";
        }
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(argv[0], (char *const *) argv);
        _exit(127);
}

/* It goes into the background, as a child of ours, once everything is set up. 0, or a positive errno. */
static int start_pasta(const Watcher *watcher, const int namespaces[static N_NAMESPACES], pid_t *ret_holder) {
        pid_t pid;
        int status;

        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return errno;
        if (start_holder(watcher, namespaces, ret_holder) < 0)
                return EIO;
        pid = fork();
        if (pid < 0)
                return errno;
        if (pid == 0) {
                safe_close(watcher->fd);
                exec_pasta(*ret_holder);
        }

        _cleanup_close_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = watcher->fd, .events = 0 } };
        if (pidfd < 0 || poll(fds, ELEMENTSOF(fds), START_TIMEOUT_MSEC) <= 0 || fds[0].revents == 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return ETIMEDOUT;
        }
        if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
                return EIO;
        return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 127 ? ENOENT : EPERM;
}

/* Whatever is a child of ours is pasta, or the holder. */
static void end_pasta(void) {
        char path[64], text[256];
        ssize_t n;

        for (unsigned tries = 0; tries < 100; tries++) {
                _cleanup_close_ int fd = -EBADF;

                (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
                fd = open(path, O_RDONLY | O_CLOEXEC);
                n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
                if (n <= 0)
                        return;
                text[n] = '\0';
                for (char *rest = text, *word; (word = strsep(&rest, " "));) {
                        int pid;

                        if (safe_atoi(word, &pid) >= 0 && pid > 0) {
                                (void) kill(pid, SIGKILL);
                                (void) waitpid(pid, NULL, 0);
                        }
                }
        }
}

static _Noreturn void watch(const Watcher *watcher) {
        int namespaces[N_NAMESPACES], error;
        struct pollfd launcher = { .fd = watcher->fd, .events = 0 };
        bool running = true;
        pid_t holder = 0, gone;

        if (receive_namespaces(watcher->fd, namespaces) <= 0)
                _exit(0);
        error = start_pasta(watcher, namespaces, &holder);
        if (send(watcher->fd, &error, sizeof(error), MSG_NOSIGNAL) < 0 || error != 0) {
                end_pasta();
                _exit(0);
        }

        for (;;) {
                sigset_t child;
                struct timespec now = {};

                /* Until the last of those who hold the other end is gone. All signals are blocked; that of a child says
                 * so through no descriptor, which is looked at when something else happens only. */
                if (poll(&launcher, 1, running ? 2000 : -1) < 0 && errno != EINTR)
                        break;
                if (launcher.revents & (POLLHUP | POLLERR))
                        break;
                (void) sigemptyset(&child);
                (void) sigaddset(&child, SIGCHLD);
                (void) sigtimedwait(&child, NULL, &now);
                gone = running ? waitpid(-1, NULL, WNOHANG) : 0;
                if (gone > 0 && gone != holder) {
                        running = false;
                        fprintf(stderr, "%s: %s: pasta has ended: the sandbox has no way out any more\n",
                                program_invocation_short_name, watcher->sandbox);
                }
        }
        end_pasta();
        _exit(0);
}

int uplink_prepare(const char *sandbox, Uplink *ret, LaunchFailure *failure) {
        Watcher watcher = { .sandbox = sandbox };
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare a way out of the network");
        ret->pid = fork();
        if (ret->pid < 0) {
                r = -errno;
                safe_close(fds[0]);
                safe_close(fds[1]);
                return failure_set(failure, r, NULL, "cannot prepare a way out of the network");
        }
        if (ret->pid == 0) {
                /* By nothing of the launcher's that stays open here may anybody be kept waiting for its end. */
                if (dup2(fds[0], STDERR_FILENO + 1) < 0 ||
                    syscall(SYS_close_range, STDERR_FILENO + 2, UINT_MAX, 0) < 0)
                        _exit(1);
                watcher.fd = STDERR_FILENO + 1;
                watch(&watcher);
        }
        safe_close(fds[0]);
        ret->fd = fds[1];
        return 0;
}

int uplink_connect(int fd, LaunchFailure *failure) {
        _cleanup_close_ int user = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
                            network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        int namespaces[N_NAMESPACES] = { user, network }, error;
        union {
                char buffer[CMSG_SPACE(sizeof(namespaces))];
                struct cmsghdr align;
        } control = {};
        char byte = 0;
        struct iovec iov = { &byte, 1 };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
                .msg_controllen = sizeof(control.buffer),
        };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        struct pollfd answer = { .fd = fd, .events = POLLIN };
        ssize_t n = -1;

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(namespaces));
        memcpy(CMSG_DATA(cmsg), namespaces, sizeof(namespaces));
        if (user < 0 || network < 0 || sendmsg(fd, &header, MSG_NOSIGNAL) < 0)
                return failure_set(failure, errno, NULL, "cannot ask for a way out of the network");

        if (poll(&answer, 1, CONNECT_TIMEOUT_MSEC) > 0)
                n = recv(fd, &error, sizeof(error), MSG_DONTWAIT);
        if (n != sizeof(error))
                error = ETIMEDOUT;
        if (error == ENOENT)
                return failure_set(failure, 0, "Install it (package passt), or leave \"uplink\" out of sentry.network.",
                                   "there is no pasta, which \"uplink\": \"pasta\" takes");
        if (error == EPERM)
                return failure_set(failure, 0, "See what it says above; it needs /dev/net/tun, and a network out here.",
                                   "pasta could not connect the sandbox");
        if (error != 0)
                return failure_set(failure, error, NULL, "pasta could not connect the sandbox");
        return 0;
}

void uplink_done(Uplink *uplink) {
        uplink->fd = safe_close(uplink->fd);
        if (uplink->pid > 0)
                (void) waitpid(uplink->pid, NULL, 0);
        uplink->pid = 0;
}
