/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel's end of launch sockets; launch-protocol.h has the protocol. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "launch-protocol.h"
#include "log.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

#define FDS_MAX 20 /* room for more than is expected, so that none slips in unseen */

static int say(Launch *launch, LaunchType type, int32_t value) {
        LaunchMessage message = { .version = LAUNCH_PROTOCOL_VERSION, .type = type, .value = value };

        if (send(launch->fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return 0;
}

static void launch_free(Launch *launch) {
        Sentry *sentry = launch->sentry;

        LIST_REMOVE(launch, link);
        sentry->n_launches--;
        sentry_changed(sentry); /* before another gets the numbers */
        sd_event_source_disable_unref(launch->exit_source);
        sd_event_source_disable_unref(launch->source);
        safe_close(launch->pidfd);
        safe_close(launch->fd);
        free(launch);
}

void launch_server_done(Sentry *sentry) {
        while (!LIST_EMPTY(&sentry->launches))
                launch_free(LIST_FIRST(&sentry->launches));
}

void launch_server_tell_status(Sentry *sentry, int status) {
        Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link)
                (void) say(launch, LAUNCH_STATUS, status);
}

bool launch_server_is_launcher(const Sentry *sentry, pid_t pid) {
        const Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link)
                if (launch->parent_pid == pid)
                        return true;
        return false;
}

pid_t launch_server_leader(const Sentry *sentry, const char *container) {
        const Launch *launch;
        pid_t leader = 0;

        /* The newest comes first. */
        LIST_FOREACH(launch, &sentry->launches, link)
                if (launch->pid != 0 && streq(launch->container, container))
                        leader = launch->pid;
        return leader;
}

pid_t launch_server_starting(const Sentry *sentry) {
        const Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link) {
                struct pollfd dead = { .fd = launch->pidfd, .events = POLLIN };

                if (launch->pid != 0 && !launch->held && poll(&dead, 1, 0) == 0 &&
                    !host_seccomp_owns(&sentry->host, launch->pid))
                        return launch->pid;
        }
        return 0;
}

/* A message and what came with it. */
typedef struct Received {
        LaunchMessage message;
        pid_t pid; /* of the sender, as the kernel tells; 0: not told */
        int fds[FDS_MAX];
        size_t n_fds;
} Received;

static void received_done(Received *received) {
        for (size_t i = 0; i < received->n_fds; i++)
                safe_close(received->fds[i]);
}

/* 1: a message; 0: end of file; -EAGAIN; -EBADMSG: not one of ours. It stays in the socket, until consume() is told that
 * what it said is kept. */
static int receive(int fd, Received *ret) {
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control;
        struct iovec iov = { .iov_base = &ret->message, .iov_len = sizeof(ret->message) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        *ret = (Received) {};
        n = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_RIGHTS) {
                        ret->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(ret->fds, CMSG_DATA(c), ret->n_fds * sizeof(int));
                } else if (c->cmsg_type == SCM_CREDENTIALS) {
                        struct ucred credentials;

                        memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
                        ret->pid = credentials.pid;
                }
        }

        if (n == 0)
                return 0;
        if (n != sizeof(LaunchMessage) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
            ret->message.version != LAUNCH_PROTOCOL_VERSION)
                return -EBADMSG;
        return 1;
}

static void consume(int fd) {
        LaunchMessage message;

        (void) !recv(fd, &message, sizeof(message), MSG_DONTWAIT);
}

/* Exit code of a wait status, as a shell has it. */
static int exit_code(int32_t wait_status) {
        if (WIFEXITED(wait_status))
                return WEXITSTATUS(wait_status);
        if (WIFSIGNALED(wait_status))
                return 128 + WTERMSIG(wait_status);
        return 125;
}

static void note_status(Launch *launch) {
        int status = task_watch_status(launch->pid, launch->pidfd);

        if (status != WAIT_STATUS_UNKNOWN)
                launch->sentry->in_place_status = exit_code(status);
        launch->exit_source = sd_event_source_disable_unref(launch->exit_source);
}

bool launch_server_in_place_is_over(const Sentry *sentry) {
        Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link) {
                struct pollfd dead = { .fd = launch->pidfd, .events = POLLIN };

                if (!launch->is_first || !launch->in_place)
                        continue;
                if (launch->exit_source && poll(&dead, 1, 0) <= 0)
                        return false; /* it is about to */
                if (launch->exit_source)
                        note_status(launch);
                return true;
        }
        return false;
}

static int on_init_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata);

/* A daemon that has gone to the background, for one: the oldest process that is left is the first one now. When none is,
 * the sandbox has ended. */
static void succeed(Launch *launch) {
        Sentry *sentry = launch->sentry;
        const ThreadGroup *process;
        int r;

        note_status(launch);
        r = task_table_sync(&sentry->kernel->tasks);
        if (r < 0)
                log_warning("%s: cannot look for a next first process: %s", sentry->name, strerror(-r));
        TAILQ_FOREACH(process, &sentry->kernel->tasks.processes, link) {
                _cleanup_close_ int pidfd = -EBADF;

                if (process->dead || process->host_pid == launch->pid)
                        continue;
                pidfd = (int) syscall(SYS_pidfd_open, process->host_pid, 0);
                if (pidfd < 0 || !host_seccomp_owns(&sentry->host, process->host_pid) ||
                    sd_event_add_io(sentry->event, &launch->exit_source, pidfd, EPOLLIN, on_init_exit, launch) < 0)
                        continue;
                safe_close(launch->pidfd);
                launch->pidfd = sentry->init_pidfd = TAKE_FD(pidfd);
                launch->pid = sentry->init_pid = process->host_pid;
                sentry_changed(sentry);
                kernel_dbus_changed(sentry, "InitPID", NULL);
                return;
        }
        sentry_deserted(sentry);
}

static int on_init_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Launch *launch = userdata;

        (void) source, (void) fd, (void) revents;
        if (launch->in_place) {
                succeed(launch);
                return 0;
        }
        /* The launcher is about to say how. If it died with the program, nobody will. */
        launch->exit_source = sd_event_source_disable_unref(launch->exit_source);
        sentry_init_died(launch->sentry);
        return 0;
}

/* Parent of a process, for as long as that waits for us. */
static pid_t parent_of(pid_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        int parent;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        if (read_full_file(path, 65536, &text, NULL) < 0 || !(p = strstr(text, "\nPPid:")) ||
            sscanf(p, "\nPPid: %d", &parent) != 1)
                return 0;
        return parent;
}

/* From the waiting parent, before there is anybody in it. */
static void on_cgroup(Launch *launch, Received *received) {
        Sentry *sentry = launch->sentry;
        int r = -EBADMSG;

        if (launch->is_first && launch->pid == 0 && received->n_fds == 1)
                r = sandbox_cgroup_announced(&sentry->cgroup, sentry->name, &received->fds[0],
                                             received->message.value);
        if (r < 0)
                log_warning("%s: malformed message about a control group", sentry->name);
}

static void note_cgroup(Launch *launch, bool inside) {
        Sentry *sentry = launch->sentry;
        int r;

        if (launch->is_first && inside) {
                sentry->cgroup.partial = sentry->profile->freezer == PROFILE_FREEZER_PTRACE; /* it is for limits alone */
                r = sandbox_cgroup_entered(&sentry->cgroup);
                if (r < 0)
                        log_warning("%s: the control group is of no use: %s", sentry->name, strerror(-r));
        } else if (!inside && sentry->cgroup.fd >= 0) {
                log_debug("%s: a program could not enter the control group", sentry->name);
                sentry->cgroup.partial = true;
        }
}

/* Puts descriptors to their places, by LaunchFd; -EBADF where none came. */
static int sort_fds(Received *received) {
        uint32_t which = received->message.fds;
        int fds[FDS_MAX];

        if ((which & LAUNCH_FDS_REQUIRED) != LAUNCH_FDS_REQUIRED || which >= 1U << _LAUNCH_FD_MAX ||
            received->n_fds != (size_t) __builtin_popcount(which))
                return -EBADMSG;
        memcpy(fds, received->fds, sizeof(fds));
        for (size_t i = 0, next = 0; i < FDS_MAX; i++)
                received->fds[i] = i < _LAUNCH_FD_MAX && (which & 1U << i) ? fds[next++] : -EBADF;
        received->n_fds = FDS_MAX;
        return 0;
}

/* What they are, so that a save knows them by other numbers, too. They must not stay open here. */
static void note_streams(Launch *launch, Received *received) {
        for (size_t i = 0; i < LAUNCH_STREAMS; i++) {
                int *fd = &received->fds[LAUNCH_FD_STDIN + i];
                struct stat st;

                if (*fd >= 0 && fstat(*fd, &st) >= 0) {
                        launch->streams[2 * i] = st.st_dev;
                        launch->streams[2 * i + 1] = st.st_ino;
                }
                *fd = safe_close(*fd);
        }
}

static int accept_listener(Launch *launch, Received *received) {
        Sentry *sentry = launch->sentry;
        int r;

        if (launch->pid != 0 || received->pid <= 0 || sort_fds(received) < 0)
                return -EBADMSG;

        launch->pidfd = (int) syscall(SYS_pidfd_open, received->pid, 0);
        if (launch->pidfd < 0)
                return -errno;
        launch->pid = received->pid;
        note_streams(launch, received);
        launch->in_place = launch->is_first && (received->message.value & LAUNCH_LISTENER_IN_PLACE);
        launch->parent_pid = launch->in_place ? 0 : parent_of(launch->pid);

        if (launch->is_first) {
                sentry->walls = received->message.walls;
                r = sentry_boot(sentry, launch->pid, launch->pidfd, received->fds);
                if (r < 0)
                        return r;
                r = sd_event_add_io(sentry->event, &launch->exit_source, launch->pidfd, EPOLLIN, on_init_exit,
                                    launch);
                if (r < 0)
                        return r;
        } else if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return -ESRCH;
        else if (launch->container[0] != '\0') {
                r = task_table_set_container(&sentry->kernel->tasks, launch->pid, launch->container);
                if (r < 0)
                        return r;
        }

        if (launch->is_first && sentry->restorer.state != RESTORER_NONE) {
                r = restorer_begin(&sentry->restorer, &received->fds[LAUNCH_FD_LISTENER],
                                   received->message.value & LAUNCH_LISTENER_KILLABLE);
                if (r < 0)
                        return r;
                note_cgroup(launch, received->message.value & LAUNCH_LISTENER_IN_CGROUP);
                return 0;
        }
        r = notifier_add(&sentry->notifier, received->fds[LAUNCH_FD_LISTENER], received->message.value & LAUNCH_LISTENER_KILLABLE);
        if (r < 0)
                return r;
        received->fds[LAUNCH_FD_LISTENER] = -EBADF;
        note_cgroup(launch, received->message.value & LAUNCH_LISTENER_IN_CGROUP);
        return 0;
}

static void let_go(Launch *launch) {
        Sentry *sentry = launch->sentry;
        int r;

        launch->held = false;
        r = say(launch, LAUNCH_GO, 0);
        if (r < 0)
                log_warning("%s: cannot start the program: %s", sentry->name, strerror(-r));
        else if (launch->is_first && sentry->restorer.state == RESTORER_NONE)
                sentry_started(sentry);
}

static bool must_wait(const Launch *launch) {
        return launch->hold[0] != '\0' || (launch->is_first && launch->sentry->restorer.state == RESTORER_CHECKING) || launch->sentry->state == SENTRY_PAUSED;
}

void launch_server_checked(Sentry *sentry, int r) {
        Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link)
                if (launch->is_first && launch->held) {
                        launch->held = false;
                        if (r < 0)
                                (void) say(launch, LAUNCH_REFUSED, -r);
                        else
                                let_go(launch);
                }
}

int launch_server_start(Sentry *sentry, const char *hold) {
        Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link)
                if (streq(launch->hold, hold)) {
                        launch->hold[0] = '\0';
                        if (launch->held && !must_wait(launch))
                                let_go(launch);
                        return 0;
                }
        return -ESRCH;
}

void launch_server_resumed(Sentry *sentry) {
        Launch *launch;

        LIST_FOREACH(launch, &sentry->launches, link)
                if (launch->held && !must_wait(launch))
                        let_go(launch);
}

static void on_listener(Launch *launch, Received *received) {
        Sentry *sentry = launch->sentry;
        int r;

        /* It was taken in, and let go or told to wait, before that was consumed. */
        if (launch->twice && launch->pid != 0 && launch->pid == received->pid)
                return;
        r = accept_listener(launch, received);
        if (r < 0) {
                log_warning("%s: launch refused: %s", sentry->name, strerror(-r));
                (void) say(launch, LAUNCH_REFUSED, -r);
                if (launch->is_first && sentry->state == SENTRY_STARTING)
                        sentry_exited(sentry, 125);
                return;
        }

        if (!must_wait(launch)) {
                let_go(launch);
                return;
        }
        launch->held = true;
        sentry_changed(sentry);
        (void) say(launch, LAUNCH_HELD, 0);
}

/* The launcher is gone without a word: what it launched goes too. */
static void on_launcher_lost(Launch *launch) {
        Sentry *sentry = launch->sentry;

        if (launch->in_place) { /* it has become the program, or could not and is dead, which shows otherwise */
                launch->source = sd_event_source_disable_unref(launch->source);
                return;
        }
        if (launch->is_first) {
                sentry->launcher_lost = true;
                if (launch->pid == 0) {
                        log_debug("%s: the launcher went away before it launched anything", sentry->name);
                        sentry_exited(sentry, 125);
                        return;
                }
                log_info("%s: the launcher is gone, ending the sandbox", sentry->name);
                (void) sentry_kill(sentry, 128 + SIGKILL);
        } else if (launch->pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
        /* The pidfd still tells when the first program is dead. */
        launch->source = sd_event_source_disable_unref(launch->source);
        if (!launch->is_first)
                launch_free(launch);
}

static int on_launch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Launch *launch = userdata;
        Sentry *sentry = launch->sentry;
        Received received;
        int r;

        (void) source, (void) revents;
        r = receive(fd, &received);
        if (r == -EAGAIN)
                return 0;
        if (r == -EBADMSG)
                log_warning("%s: malformed message on a launch socket", sentry->name);

        if (r <= 0)
                on_launcher_lost(launch);
        else if (received.message.type == LAUNCH_LISTENER)
                on_listener(launch, &received);
        else if (received.message.type == LAUNCH_CGROUP)
                on_cgroup(launch, &received);
        else if (received.message.type == LAUNCH_EXITED) {
                int status = exit_code(received.message.value);

                if (launch->is_first)
                        sentry_exited(sentry, status);
                (void) say(launch, LAUNCH_BYE, status);
                if (!launch->is_first)
                        launch_free(launch);
                else
                        consume(fd);
                received_done(&received);
                return 0;
        } else {
                log_warning("%s: unexpected message %u on a launch socket", sentry->name,
                            received.message.type);
                on_launcher_lost(launch);
        }
        if (r > 0 && (received.message.type == LAUNCH_LISTENER || received.message.type == LAUNCH_CGROUP)) {
                launch->twice = false;
                sentry_changed(sentry);
                consume(fd);
        }

        received_done(&received);
        return 0;
}

static int launch_add(Sentry *sentry, const Launch *like) {
        static const int on = 1;
        Launch *launch;
        int r;

        if (sentry->n_launches >= LAUNCHES_MAX)
                return -EMFILE;
        /* Who sends is told by the kernel, in our PID namespace. */
        if (setsockopt(like->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
                return -errno;

        launch = malloc(sizeof(Launch));
        if (!launch)
                return -ENOMEM;
        *launch = *like;
        launch->sentry = sentry;
        r = sd_event_add_io(sentry->event, &launch->source, launch->fd, EPOLLIN, on_launch, launch);
        if (r >= 0 && launch->is_first && launch->pidfd >= 0)
                r = sd_event_add_io(sentry->event, &launch->exit_source, launch->pidfd, EPOLLIN, on_init_exit, launch);
        if (r < 0) {
                sd_event_source_disable_unref(launch->source);
                free(launch);
                return r;
        }
        LIST_INSERT_HEAD(&sentry->launches, launch, link);
        sentry->n_launches++;
        return 0;
}

static int launch_new(Sentry *sentry, int fd, bool is_first, const char *container, const char *hold) {
        Launch launch = { .fd = fd, .pidfd = -EBADF, .is_first = is_first };

        (void) snprintf(launch.container, sizeof(launch.container), "%s", container);
        (void) snprintf(launch.hold, sizeof(launch.hold), "%s", hold);
        return launch_add(sentry, &launch);
}

int launch_server_restore(Sentry *sentry, const Launch *kept) {
        Launch launch = *kept;

        launch.twice = true;
        if (launch.is_first)
                sentry->init_pidfd = launch.pidfd;
        return launch_add(sentry, &launch);
}

int launch_server_add(Sentry *sentry, int fd) {
        return launch_new(sentry, fd, true, "", "");
}

int launch_server_open(Sentry *sentry, const char *container, const char *hold, int *ret_fd) {
        const Launch *launch;
        int fds[2], r;

        LIST_FOREACH(launch, &sentry->launches, link)
                if (*hold && streq(launch->hold, hold))
                        return -EEXIST;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        r = launch_new(sentry, fds[0], false, container, hold);
        if (r < 0) {
                safe_close(fds[0]);
                safe_close(fds[1]);
                return r;
        }
        sentry_changed(sentry);
        *ret_fd = fds[1];
        return 0;
}
