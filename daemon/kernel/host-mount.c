/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "host-mount.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define DEADLINE_SEC 10U          /* of the child, by its own alarm */
#define GIVE_UP_SEC 12U           /* then not even SIGALRM ended it */
#define SETTLE_MSEC 1000
#define GROUPS_MAX 256U
#define MOUNTINFO_MAX (16U * 1024U * 1024U)

/* <linux/mount.h> and <sys/mount.h> do not go together everywhere. */
#define MOUNT_TREE_CLONE 1U             /* OPEN_TREE_CLONE */
#define MOUNT_FROM_EMPTY_PATH 0x4U      /* MOVE_MOUNT_F_EMPTY_PATH */
#define MOUNT_TO_SYMLINKS 0x10U         /* MOVE_MOUNT_T_SYMLINKS */
#ifndef AT_RECURSIVE
#  define AT_RECURSIVE 0x8000
#endif

typedef struct Answer {
        int32_t error;     /* 0 or the host's, negative */
        uint32_t n_before; /* mounts in the caller's namespace; 0: it did not get so far */
} Answer;

void mounter_init(SentryMounter *mounter, Sentry *sentry) {
        *mounter = (SentryMounter) { .sentry = sentry, .answer_fd = -EBADF };
}

static bool has_ended(const MounterChild *child) {
        struct pollfd pidfd = { .fd = child->pidfd, .events = POLLIN };

        return poll(&pidfd, 1, 0) > 0;
}

/* A place for a child that has not ended; NULL: there are too many. */
static MounterChild *place_to_leave(SentryMounter *mounter) {
        for (size_t i = 0; i < MOUNTERS_LEFT_MAX; i++) {
                MounterChild *child = mounter->left + i;

                if (child->pid != 0 && !has_ended(child))
                        continue;
                if (child->pid != 0)
                        safe_close(child->pidfd);
                *child = (MounterChild) {};
                return child;
        }
        return NULL;
}

static void kill_child(const MounterChild *child) {
        if (child->pid != 0)
                (void) syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

/* It may live on for a moment, in the sandbox's user namespace. */
static void let_go(SentryMounter *mounter) {
        MounterChild *place = place_to_leave(mounter);

        mounter->source = sd_event_source_disable_unref(mounter->source);
        mounter->deadline = sd_event_source_disable_unref(mounter->deadline);
        mounter->answer_fd = safe_close(mounter->answer_fd);
        if (place)
                *place = mounter->child;
        else
                safe_close(mounter->child.pidfd);
        mounter->child = (MounterChild) {};
}

void mounter_done(SentryMounter *mounter) {
        if (mounter->child.pid != 0) {
                kill_child(&mounter->child);
                let_go(mounter);
        }
        for (size_t i = 0; i < MOUNTERS_LEFT_MAX; i++)
                if (mounter->left[i].pid != 0) {
                        kill_child(mounter->left + i);
                        safe_close(mounter->left[i].pidfd);
                        mounter->left[i] = (MounterChild) {};
                }
}

bool mounter_is_child(const SentryMounter *mounter, pid_t pid) {
        if (pid == mounter->child.pid)
                return true;
        for (size_t i = 0; i < MOUNTERS_LEFT_MAX; i++)
                /* The number of one that has ended may be anybody's. */
                if (pid == mounter->left[i].pid && !has_ended(mounter->left + i))
                        return true;
        return false;
}

static void finish(SentryMounter *mounter, int error) {
        let_go(mounter);
        kernel_mount_done(mounter->sentry->kernel, host_error_to_guest(error));
}

/* The answer is there, or the child is dead. The zombie is waited for where all are. */
static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        SentryMounter *mounter = userdata;
        Answer answer;
        ssize_t n;

        (void) source, (void) revents;
        n = read(fd, &answer, sizeof(answer));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n != sizeof(answer)) {
                finish(mounter, -EINTR); /* killed in the middle, by its alarm most likely */
                return 0;
        }
        if (mounter->n_launch == 0)
                mounter->n_launch = answer.n_before;
        mounter->full = answer.error == -ENOSPC;
        finish(mounter, answer.error);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        SentryMounter *mounter = userdata;

        (void) source, (void) usec;
        log_warning("a mount on behalf of a task hangs in the kernel: the process %d that makes it is left behind",
                    (int) mounter->child.pid);
        kill_child(&mounter->child);
        finish(mounter, -EINTR);
        return 0;
}

void mounter_settle(SentryMounter *mounter) {
        struct pollfd answer = { .fd = mounter->answer_fd, .events = POLLIN };

        if (mounter->child.pid == 0)
                return;
        if (poll(&answer, 1, SETTLE_MSEC) <= 0) {
                kill_child(&mounter->child);
                (void) poll(&answer, 1, SETTLE_MSEC);
        }
        if (answer.revents != 0)
                (void) on_answer(NULL, mounter->answer_fd, 0, mounter);
        else
                (void) on_deadline(NULL, 0, mounter);
}

/* ---- in the child ---- */

typedef struct Self {
        unsigned tgid, tid; /* the caller's ids in its own PID namespace */
        int task;  /* /proc/TID of the caller, which stays that of this very task */
        int self;  /* our own, in the /proc from which we come */
        int proc;  /* the sandbox's /proc */
        bool first_user_ns; /* the caller is in the sandbox's own user namespace */
} Self;

static void close_others(const int *keep, size_t n) {
        int low = STDERR_FILENO + 1;

        for (;;) {
                int next = INT_MAX;

                for (size_t i = 0; i < n; i++)
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

static int open_at(int dir, const char *name, int flags) {
        int fd = openat(dir, name, flags | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int read_at(int dir, const char *name, size_t max, char **ret) {
        _cleanup_close_ int fd = open_at(dir, name, O_RDONLY);

        return fd < 0 ? fd : read_full_fd(fd, max, ret, NULL);
}

/* Numbers after a key of /proc/TID/status. How many. */
static size_t status_numbers(const char *status, const char *key, unsigned *numbers, size_t max) {
        const char *p = strstr(status, key);
        size_t n = 0;

        if (!p)
                return 0;
        p += strlen(key);
        while (n < max) {
                char *end;

                while (*p == ' ' || *p == '\t')
                        p++;
                if (*p < '0' || *p > '9')
                        break;
                numbers[n++] = (unsigned) strtoul(p, &end, 10);
                p = end;
        }
        return n;
}

/* Ids and capabilities of the caller, as far as file systems ask for them. Numbers are those of the user namespace that
 * we are in, because status is opened here. */
static int become(Self *self, const HostMountRequest *request) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct caps[2] = {};
        _cleanup_free_ char *status = NULL;
        unsigned uids[4], gids[4];
        static unsigned groups[GROUPS_MAX];
        uint64_t effective;
        const char *p;
        size_t n;
        int r;

        r = read_at(self->task, "status", 65536, &status);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        if (status_numbers(status, "\nUid:", uids, 4) != 4 || status_numbers(status, "\nGid:", gids, 4) != 4 ||
            !(p = strstr(status, "\nCapEff:")) || sscanf(p, "\nCapEff: %" SCNx64, &effective) != 1)
                return -EIO;
        /* The innermost of the PID namespaces it is in comes last. */
        n = status_numbers(status, "\nNStgid:", groups, GROUPS_MAX);
        self->tgid = n > 0 ? groups[n - 1] : 0;
        n = status_numbers(status, "\nNSpid:", groups, GROUPS_MAX);
        self->tid = n > 0 ? groups[n - 1] : 0;
        n = status_numbers(status, "\nGroups:", groups, GROUPS_MAX);

        /* Where a user namespace has one user only, his groups cannot be changed: they are ours. */
        if (setgroups(n, groups) < 0 && errno != EPERM && errno != EINVAL)
                return -errno;
        (void) setfsgid(gids[3]);
        (void) setfsuid(uids[3]);
        if (setfsgid((gid_t) -1) != (int) gids[3] || setfsuid((uid_t) -1) != (int) uids[3])
                return -EPERM;

        if (self->first_user_ns)
                effective |= request->capabilities | (uids[3] == geteuid() ? request->owner_capabilities : 0);
        caps[0].effective = caps[0].permitted = (uint32_t) effective;
        caps[1].effective = caps[1].permitted = (uint32_t) (effective >> 32);
        return syscall(SYS_capset, &header, caps) < 0 ? -errno : 0;
}

/* The caller's namespaces, root and working directory. */
static int enter(const Self *self) {
        _cleanup_close_ int user = open_at(self->task, "ns/user", O_RDONLY),
                            mounts = open_at(self->task, "ns/mnt", O_RDONLY),
                            root = open_at(self->task, "root", O_PATH | O_DIRECTORY),
                            cwd = open_at(self->task, "cwd", O_PATH | O_DIRECTORY);
        int error = MIN(MIN(user, mounts), MIN(root, cwd));

        if (error < 0)
                return error == -ENOENT ? -ESRCH : error;
        if (setns(user, CLONE_NEWUSER) < 0 || setns(mounts, CLONE_NEWNS) < 0)
                return -errno;
        return fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0 ? -errno : 0;
}

/* As mountinfo writes a path. */
static int escape_path(const char *path, char *buffer, size_t size) {
        size_t n = 0;

        for (; *path; path++) {
                bool special = strchr(" \t\n\\", *path);

                if (n + 5 > size)
                        return -ENAMETOOLONG;
                if (special)
                        n += (size_t) snprintf(buffer + n, size - n, "\\%03o", (unsigned) (unsigned char) *path);
                else
                        buffer[n++] = *path;
        }
        buffer[n] = '\0';
        return 0;
}

/* How many mounts there are, and how many of them at or below the directory that fd is of (-EBADF: do not ask). */
static int count_mounts(const Self *self, int fd, uint32_t *ret_all, uint32_t *ret_below) {
        static char path[PATH_MAX], escaped[4 * PATH_MAX + 1];
        _cleanup_free_ char *text = NULL;
        char link[32], *line, *next;
        size_t size = 0;
        int r;

        if (fd >= 0) {
                ssize_t n;

                (void) snprintf(link, sizeof(link), "fd/%d", fd);
                n = readlinkat(self->self, link, path, sizeof(path) - 1);
                if (n < 0)
                        return -errno;
                path[n] = '\0';
                r = escape_path(path, escaped, sizeof(escaped));
                if (r < 0)
                        return r;
                size = strcmp(escaped, "/") == 0 ? 0 : strlen(escaped);
        }

        r = read_at(self->self, "mountinfo", MOUNTINFO_MAX, &text);
        if (r < 0)
                return r;
        *ret_all = *ret_below = 0;
        for (line = text; *line; line = next) {
                const char *point = line;

                next = strchrnul(line, '\n');
                if (*next)
                        *next++ = '\0';
                (*ret_all)++;
                for (unsigned i = 0; i < 4 && point; i++) /* ID, parent, device, root */
                        point = strchr(point, ' ') ? strchr(point, ' ') + 1 : NULL;
                if (fd >= 0 && point && strncmp(point, escaped, size) == 0 && (point[size] == '/' || point[size] == ' '))
                        (*ret_below)++;
        }
        return 0;
}

/* One more view of the /proc of the launch, with what lies on it. */
static int mount_proc(const Self *self, const char *target) {
        _cleanup_close_ int tree = -EBADF;

        tree = (int) syscall(SYS_open_tree, self->proc, "",
                             AT_EMPTY_PATH | AT_RECURSIVE | O_CLOEXEC | MOUNT_TREE_CLONE);
        if (tree < 0)
                return errno == EINVAL ? -EPERM : -errno; /* EINVAL: it is of another mount namespace than the caller's */
        return syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOUNT_FROM_EMPTY_PATH | MOUNT_TO_SYMLINKS) < 0 ?
                -errno : 0;
}

/* To the kernel "self" in /proc is who looks a path up: us. */
static const char *path_of_caller(const Self *self, const char *path, char buffer[static 2 * PATH_MAX]) {
        static const char process[] = "/proc/self", thread[] = "/proc/thread-self";
        bool is_thread = strncmp(path, thread, sizeof(thread) - 1) == 0;
        const char *rest = path + (is_thread ? sizeof(thread) : sizeof(process)) - 1;

        if ((!is_thread && strncmp(path, process, sizeof(process) - 1) != 0) || (*rest != '/' && *rest != '\0'))
                return path;
        if (is_thread)
                (void) snprintf(buffer, 2 * PATH_MAX, "/proc/%u/task/%u%s", self->tgid, self->tid, rest);
        else
                (void) snprintf(buffer, 2 * PATH_MAX, "/proc/%u%s", self->tgid, rest);
        return buffer;
}

static int make_call(const Self *self, const HostMountRequest *request, uint32_t n_launch, Answer *answer) {
        static char source_buffer[2 * PATH_MAX], target_buffer[2 * PATH_MAX];
        const char *target = path_of_caller(self, request->target, target_buffer), *from = NULL;
        uint32_t below = 0, more = 1;
        long r;

        if (request->has_source) /* of file systems it is a mere name */
                from = request->has_type ? request->source : path_of_caller(self, request->source, source_buffer);
        r = count_mounts(self, -EBADF, &answer->n_before, &below);
        if (r < 0)
                return (int) r;
        if (request->tree) {
                _cleanup_close_ int source = -EBADF;

                if (request->action == HOST_MOUNT) {
                        source = open_at(AT_FDCWD, from && *from ? from : "/", O_PATH);
                        if (source < 0)
                                return source;
                }
                r = count_mounts(self, request->action == HOST_MOUNT ? source : self->proc, &answer->n_before, &below);
                if (r < 0)
                        return (int) r;
                more += below;
        }
        if (n_launch == 0)
                n_launch = answer->n_before;
        if (request->adds && (uint64_t) answer->n_before + more > (uint64_t) n_launch + request->max)
                return -ENOSPC;

        switch (request->action) {
        case HOST_MOUNT:
                r = syscall(SYS_mount, from, target,
                            request->has_type ? request->type : NULL, (unsigned long) request->flags,
                            request->has_data ? request->data : NULL);
                return r < 0 ? -errno : 0;
        case HOST_MOUNT_PROC:
                return mount_proc(self, target);
        case HOST_UMOUNT:
                r = syscall(SYS_umount2, target, (int) request->flags);
                return r < 0 ? -errno : 0;
        }
        return -ENOSYS;
}

static bool is_in_first_user_ns(const SentryMounter *mounter, int task) {
        struct stat st;

        return fstatat(task, "ns/user", &st, 0) >= 0 && st.st_ino == mounter->sentry->host.user_ns;
}

__attribute__((noreturn)) static void child_main(const SentryMounter *mounter, const HostMountRequest *request, int task,
                                                 int answer_fd, pid_t parent) {
        Self self = { .task = task, .proc = mounter->sentry->host.proc_fd };
        const int keep[] = { task, answer_fd, self.proc };
        Answer answer = {};
        sigset_t alarm_only;

        /* A copy of a listener that lives on would leave the guests waiting, should our parent die. */
        close_others(keep, ELEMENTSOF(keep));
        /* Nobody in the sandbox may reach into this copy of everything. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) signal(SIGALRM, SIG_DFL);
        (void) sigemptyset(&alarm_only);
        (void) sigaddset(&alarm_only, SIGALRM);
        (void) sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
        (void) alarm(DEADLINE_SEC);

        self.first_user_ns = is_in_first_user_ns(mounter, task);
        self.self = open_at(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY);
        answer.error = self.self < 0 ? self.self : enter(&self);
        if (answer.error >= 0)
                answer.error = become(&self, request);
        if (answer.error >= 0)
                answer.error = make_call(&self, request, mounter->n_launch, &answer);
        _exit(write(answer_fd, &answer, sizeof(answer)) == sizeof(answer) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- in the parent ---- */

/* A guest that goes on when there is no room any more costs a look and no process. What the child finds is what counts. */
static bool has_room(const SentryMounter *mounter, const HostMountRequest *request, int task) {
        _cleanup_free_ char *text = NULL;
        uint64_t n = 0;

        if (!mounter->full || !request->adds || mounter->n_launch == 0 ||
            read_at(task, "mountinfo", MOUNTINFO_MAX, &text) < 0)
                return true;
        for (const char *p = text; (p = strchr(p, '\n')); p++)
                n++;
        return n + 1 <= (uint64_t) mounter->n_launch + request->max;
}

int host_mount(Host *host, const Call *call, const HostMountRequest *request) {
        HostSeccomp *h = (HostSeccomp *) (void *) ((char *) host - offsetof(HostSeccomp, host));
        SentryMounter *mounter = &h->sentry->mounter;
        _cleanup_close_ int task = -EBADF, read_fd = -EBADF, write_fd = -EBADF;
        MounterChild child = {};
        pid_t parent = getpid();
        int fds[2], r;
        char path[32];

        if (mounter->child.pid != 0 || !place_to_leave(mounter))
                return -EBUSY;
        (void) snprintf(path, sizeof(path), "/proc/%" PRId32, call->tid);
        task = open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
        if (task < 0)
                return task == -ENOENT ? -ESRCH : host_error_to_guest(task);
        /* Only now it is certain that it is the caller's. */
        if (!notifier_call_is_valid(&h->sentry->notifier, call))
                return -ESRCH;
        if (!has_room(mounter, request, task))
                return -ENOSPC;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return host_error_to_guest(-errno);
        read_fd = fds[0];
        write_fd = fds[1];

        child.pid = fork();
        if (child.pid == 0)
                child_main(mounter, request, task, write_fd, parent);
        if (child.pid < 0)
                return host_error_to_guest(-errno);
        /* It cannot be reaped before the event loop comes around. */
        child.pidfd = (int) syscall(SYS_pidfd_open, child.pid, 0);
        if (child.pidfd < 0) {
                r = -errno;
                (void) kill(child.pid, SIGKILL);
                return host_error_to_guest(r);
        }
        mounter->child = child;
        mounter->answer_fd = TAKE_FD(read_fd);
        r = sd_event_add_io(h->sentry->event, &mounter->source, mounter->answer_fd, EPOLLIN, on_answer, mounter);
        if (r >= 0)
                r = sd_event_add_time_relative(h->sentry->event, &mounter->deadline, CLOCK_MONOTONIC,
                                               GIVE_UP_SEC * UINT64_C(1000000), 0, on_deadline, mounter);
        if (r < 0) {
                kill_child(&mounter->child);
                let_go(mounter);
                return host_error_to_guest(r);
        }
        h->sentry->notifier.rearm = true;
        return 0;
}
