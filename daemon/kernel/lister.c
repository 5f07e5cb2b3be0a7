/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lister.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define LISTER_DEADLINE_SEC 60U
#define LISTER_PIPE_SIZE (1024 * 1024)

struct ListerChild {
        Lister *lister;          /* lookup only */
        pid_t pid;               /* immutable */
        int pidfd;               /* owned */
        sd_event_source *source; /* owned; tells of its end */
        LIST_ENTRY(ListerChild) link; /* owned by the lister */
};

void lister_init(Lister *lister, Sentry *sentry) {
        *lister = (Lister) { .sentry = sentry };
        LIST_INIT(&lister->children);
}

static ListerChild *lister_child_free(ListerChild *child) {
        LIST_REMOVE(child, link);
        child->lister->n_children--;
        child->source = sd_event_source_disable_unref(child->source);
        safe_close(child->pidfd);
        free(child);
        return NULL;
}

void lister_done(Lister *lister) {
        while (!LIST_EMPTY(&lister->children)) {
                ListerChild *child = LIST_FIRST(&lister->children);

                (void) syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
                lister_child_free(child);
        }
}

bool lister_is_child(const Lister *lister, pid_t pid) {
        const ListerChild *child;

        LIST_FOREACH(child, &lister->children, link)
                if (child->pid == pid)
                        return true;
        return false;
}

/* The zombie is waited for where all are: freezer_reap(). */
static int on_child(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source, (void) fd, (void) revents;
        lister_child_free(userdata);
        return 0;
}

/* A copy of a listener that lives on would leave the guests waiting, should we die. */
static void close_others(const Sentry *sentry, int fd) {
        const HostSeccomp *host = &sentry->host;
        int keep[] = {
                fd, host->proc_fd, host->pid_ns_fd, host->sock_diag_fd, host->maker_diag_fd, host->sysvipc_fds[0],
                host->sysvipc_fds[1], host->sysvipc_fds[2], host->mqueue_fd, sentry->cgroup.fd, INT_MAX,
        }, low = STDERR_FILENO + 1;

        for (size_t round = 0; round < ELEMENTSOF(keep); round++) {
                int next = INT_MAX;

                for (size_t i = 0; i < ELEMENTSOF(keep); i++)
                        if (keep[i] >= low && keep[i] < next)
                                next = keep[i];
                if (next > low)
                        (void) syscall(SYS_close_range, (unsigned) low,
                                       next == INT_MAX ? ~0U : (unsigned) next - 1, 0);
                if (next == INT_MAX)
                        return;
                low = next + 1;
        }
}

__attribute__((noreturn)) static void child_main(Sentry *sentry, ListFunction function, GuestPid pid, int fd,
                                                 pid_t parent) {
        static Lines lines;
        sigset_t alarm_only;
        int r;

        close_others(sentry, fd);
        /* Nobody in the sandbox may reach into this copy of everything. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) signal(SIGALRM, SIG_DFL);
        (void) sigemptyset(&alarm_only);
        (void) sigaddset(&alarm_only, SIGALRM);
        (void) sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
        (void) alarm(LISTER_DEADLINE_SEC);

        lines.fd = fd;
        r = function(sentry, pid, &lines);
        lines_begin(&lines);
        if (r < 0)
                lines_string(&lines, "error", strerror(-r));
        else
                lines_bool(&lines, "end", true);
        lines_end(&lines);
        _exit(lines_flush(&lines) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

int lister_start(Lister *lister, ListFunction function, GuestPid pid, int *ret_fd) {
        _cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
        ListerChild *child;
        pid_t parent = getpid();
        int fds[2], r;

        if (lister->n_children >= LISTERS_MAX)
                return -EMFILE;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];
        /* A wish: users have a budget for pipes. */
        (void) fcntl(write_fd, F_SETPIPE_SZ, LISTER_PIPE_SIZE);
        child = calloc(1, sizeof(ListerChild));
        if (!child)
                return -ENOMEM;
        *child = (ListerChild) { .lister = lister, .pidfd = -EBADF };
        LIST_INSERT_HEAD(&lister->children, child, link);
        lister->n_children++;

        child->pid = fork();
        if (child->pid == 0)
                child_main(lister->sentry, function, pid, write_fd, parent);
        r = child->pid < 0 ? -errno : 0;
        if (r >= 0) {
                /* It cannot be reaped before the event loop comes around. */
                child->pidfd = (int) syscall(SYS_pidfd_open, child->pid, 0);
                r = child->pidfd < 0 ? -errno : 0;
        }
        if (r >= 0)
                r = sd_event_add_io(lister->sentry->event, &child->source, child->pidfd, EPOLLIN, on_child, child);
        if (r < 0) {
                if (child->pid > 0)
                        (void) kill(child->pid, SIGKILL);
                lister_child_free(child);
                return r;
        }
        lister->sentry->notifier.rearm = true;
        *ret_fd = TAKE_FD(read_fd);
        return 0;
}

/* A task of the sandbox's first user namespace, of which all others are descendants. 0: none. */
static GuestPid find_member(const Sentry *sentry) {
        const ThreadGroup *process;
        struct stat st;
        char path[64];

        TAILQ_FOREACH(process, &sentry->kernel->tasks.processes, link) {
                (void) snprintf(path, sizeof(path), "%d/ns/user", (int) process->pid);
                if (fstatat(sentry->host.proc_fd, path, &st, 0) >= 0 && st.st_ino == sentry->host.user_ns)
                        return process->pid;
        }
        return 0;
}

static bool is_ours(const Sentry *sentry, GuestPid pid, const char *name) {
        struct stat ours, theirs;
        char path[64];

        (void) snprintf(path, sizeof(path), "%d/ns/%s", (int) pid, name);
        if (fstatat(sentry->host.proc_fd, path, &theirs, 0) < 0)
                return false;
        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        return stat(path, &ours) >= 0 && ours.st_ino == theirs.st_ino;
}

static int join(const Sentry *sentry, GuestPid pid, const char *name, int flag) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "%d/ns/%s", (int) pid, name);
        fd = openat(sentry->host.proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        return setns(fd, flag) < 0 ? -errno : 0;
}

int lister_join(Sentry *sentry, GuestPid pid, int flags) {
        static const struct {
                const char *name;
                int flag;
        } kinds[] = { { "net", CLONE_NEWNET }, { "ipc", CLONE_NEWIPC } };
        static bool inside; /* of the sandbox's user namespace */
        int r;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (!(flags & kinds[i].flag) || is_ours(sentry, pid, kinds[i].name))
                        continue;
                if (!inside) {
                        GuestPid member = find_member(sentry);

                        r = member == 0 ? -ESRCH : join(sentry, member, "user", CLONE_NEWUSER);
                        if (r < 0)
                                return r;
                        inside = true;
                }
                r = join(sentry, pid, kinds[i].name, kinds[i].flag);
                if (r < 0)
                        return r;
        }
        return 0;
}
