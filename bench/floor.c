/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The cheapest supervisor there can be: runs a program under a filter that notifies of uname(2) and answers
 * each notification at once, with RECV and SEND and nothing else. What uname costs in there is the floor
 * under every emulated call on this machine; bench/calls, run in it and in a sandbox, shows what the
 * sandbox adds. The answer is a success that leaves the buffer as it was.
 *
 * The variants take the floor apart: without SYNC_WAKE_UP, with a poll(2) before each RECV as in an event
 * loop, with the answer written into the program's memory, and with no listener but a filter only, which
 * shows what calls that are not notified pay for there being a filter. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* Newer than the headers of Linux 6.1 that Debian 12 has. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

static pid_t child_pid; /* owned by main(); set before the handler is */

/* The program has ended: so do we, with its status. From a handler because RECV blocks, and on old kernels
 * goes on blocking when nobody is left to notify. */
static void on_child_exit(int signo) {
        int status;

        if (waitpid(child_pid, &status, WNOHANG) != child_pid)
                return;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Installs the filter on this process; notify says whether uname is notified or allowed like the rest.
 * Returns the listener (0 without one), or a negative errno. No check of the architecture: the program is
 * ours, and the floor has no instruction too many. */
static int filter_install(bool notify) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD|BPF_W|BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP|BPF_JEQ|BPF_K, SYS_uname, 0, 1),
                BPF_STMT(BPF_RET|BPF_K, notify ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET|BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };
        unsigned long flags = notify ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
        long fd;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;

        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                     notify ? flags|SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : flags, &program);
        if (fd < 0 && errno == EINVAL && notify) /* before Linux 5.19 */
                fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        return fd < 0 ? -errno : (int) fd;
}

static int fd_send(int socket_fd, int fd) {
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(sizeof(int))];
        } control = {};
        char byte = 0;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));

        return sendmsg(socket_fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int fd_receive(int socket_fd) {
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(sizeof(int))];
        } control = {};
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        struct cmsghdr *cmsg;
        ssize_t n;
        int fd;

        n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;

        cmsg = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
        if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
            cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
                return -ENODATA;

        memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
        return fd;
}

/* The floor itself. Ends with the program, through on_child_exit(). */
static int answer(int listener, bool polling, bool filling) {
        struct seccomp_notif request;
        struct seccomp_notif_resp response = {};
        struct pollfd p = { .fd = listener, .events = POLLIN };
        struct utsname name;
        char path[64];
        int memory = -1;

        (void) uname(&name);

        for (;;) {
                if (polling && poll(&p, 1, -1) < 0)
                        continue;

                memset(&request, 0, sizeof(request)); /* or RECV fails with EINVAL */
                if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == ENOENT) { /* nobody is left, or the caller has just died */
                                (void) usleep(1000);
                                continue;
                        }
                        return -errno;
                }

                /* The memory of the program as it is now: an exec leaves an old descriptor with nothing
                 * to write to. */
                for (int try = 0; filling && try < 2; try++) {
                        if (memory < 0) {
                                (void) snprintf(path, sizeof(path), "/proc/%u/mem", request.pid);
                                memory = open(path, O_RDWR|O_CLOEXEC);
                                if (memory < 0)
                                        return -errno;
                        }
                        if (pwrite(memory, &name, sizeof(name),
                                   (off_t) request.data.args[0]) == sizeof(name))
                                break;
                        (void) close(memory);
                        memory = -1;
                }

                response.id = request.id;
                if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
                        return -errno;
        }
}

static void help(void) {
        printf("floor [OPTIONS] PROGRAM [ARGUMENT...]\n\n"
               "Runs PROGRAM with uname(2) answered by seccomp notification, at the least cost.\n\n"
               "  --async     without SYNC_WAKE_UP\n"
               "  --poll      poll before each receive\n"
               "  --fill      write the answer into the program's memory\n"
               "  --allow     no listener: a filter that allows everything\n"
               "  --help\n");
}

int main(int argc, char *argv[]) {
        enum { ARG_ASYNC = 256, ARG_POLL, ARG_FILL, ARG_ALLOW, ARG_HELP };
        static const struct option options[] = {
                { "async", no_argument, NULL, ARG_ASYNC },
                { "poll",  no_argument, NULL, ARG_POLL  },
                { "fill",  no_argument, NULL, ARG_FILL  },
                { "allow", no_argument, NULL, ARG_ALLOW },
                { "help",  no_argument, NULL, ARG_HELP  },
                {}
        };
        bool sync = true, polling = false, filling = false, notify = true;
        struct sigaction sa = { .sa_handler = on_child_exit }; /* no SA_RESTART: RECV shall see it */
        sigset_t mask, old_mask;
        int pair[2], listener, o, r;

        while ((o = getopt_long(argc, argv, "+", options, NULL)) >= 0)
                switch (o) {
                case ARG_ASYNC:
                        sync = false;
                        break;
                case ARG_POLL:
                        polling = true;
                        break;
                case ARG_FILL:
                        filling = true;
                        break;
                case ARG_ALLOW:
                        notify = false;
                        break;
                case ARG_HELP:
                        help();
                        return EXIT_SUCCESS;
                default:
                        return 2;
                }
        if (optind >= argc) {
                fprintf(stderr, "floor: what program? --help explains\n");
                return 2;
        }

        if (!notify) {
                r = filter_install(/* notify= */ false);
                if (r < 0) {
                        fprintf(stderr, "floor: cannot install a filter: %s\n", strerror(-r));
                        return EXIT_FAILURE;
                }
                (void) execvp(argv[optind], argv + optind);
                fprintf(stderr, "floor: cannot run %s: %s\n", argv[optind], strerror(errno));
                return 127;
        }

        if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, pair) < 0) {
                fprintf(stderr, "floor: cannot make a socket pair: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }

        /* SIGCHLD stays blocked until the handler can know whose it is. */
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, &old_mask);

        child_pid = fork();
        if (child_pid < 0) {
                fprintf(stderr, "floor: cannot fork: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }
        if (child_pid == 0) {
                (void) sigprocmask(SIG_SETMASK, &old_mask, NULL);
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* unanswered calls would block it for ever */

                listener = filter_install(/* notify= */ true);
                r = listener < 0 ? listener : fd_send(pair[1], listener);
                if (r < 0) {
                        fprintf(stderr, "floor: cannot install a filter with a listener: %s\n",
                                strerror(-r));
                        _exit(EXIT_FAILURE);
                }
                (void) close(listener);

                (void) execvp(argv[optind], argv + optind);
                fprintf(stderr, "floor: cannot run %s: %s\n", argv[optind], strerror(errno));
                _exit(127);
        }
        (void) close(pair[1]);

        listener = fd_receive(pair[0]);
        if (listener < 0) {
                (void) waitpid(child_pid, NULL, 0);
                return EXIT_FAILURE; /* it has said why */
        }
        (void) close(pair[0]);

        /* The flag goes by value; a pointer gives EINVAL and no speed-up. */
        if (sync && ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
                fprintf(stderr, "floor: no SYNC_WAKE_UP on this kernel (%s); Linux 6.6 has it\n",
                        strerror(errno));

        (void) sigaction(SIGCHLD, &sa, NULL);
        (void) sigprocmask(SIG_SETMASK, &old_mask, NULL);

        r = answer(listener, polling, filling);
        fprintf(stderr, "floor: cannot answer: %s\n", strerror(-r));
        (void) kill(child_pid, SIGKILL);
        return EXIT_FAILURE;
}
