/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListIPC: a line for each segment of shared memory, message queue and set of semaphores of System V, and for each
 * POSIX message queue. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "open-inside.h"
#include "sentry.h"
#include "util.h"

#define SYSVIPC_MAX (64U << 20)
#define MQUEUE_MAGIC 0x19800202
#define QUEUE_TEXT_MAX 256U

/* Numbers in these files are those of who opened them: of our PID namespace, or (inside) of the sandbox's. 0: of nobody that
 * lives. */
static void put_pid(Sentry *sentry, Lines *lines, const char *key, unsigned pid, bool inside) {
        const ThreadGroup *process = inside && !sentry->profile->pid_host ?
                task_table_find(&sentry->kernel->tasks, (GuestPid) pid) :
                task_table_find_host(&sentry->kernel->tasks, (HostTid) pid);

        lines_unsigned(lines, key, process ? (uint64_t) process->pid : 0);
}

static void put_common(Lines *lines, const char *kind, int64_t key, uint64_t id, unsigned mode, unsigned uid,
                       unsigned gid) {
        char text[16];

        lines_string(lines, "kind", kind);
        (void) snprintf(text, sizeof(text), "0x%08" PRIx32, (uint32_t) key);
        lines_string(lines, "key", text);
        lines_unsigned(lines, "id", id);
        (void) snprintf(text, sizeof(text), "%04o", mode & 07777);
        lines_string(lines, "mode", text);
        lines_unsigned(lines, "uid", uid);
        lines_unsigned(lines, "gid", gid);
}

static bool put_shm(Sentry *sentry, Lines *lines, const char *line, bool inside) {
        unsigned mode, creator, last, uid, gid;
        uint64_t id, size, attached;
        int64_t key;

        /* key shmid perms size cpid lpid nattch uid gid … */
        if (sscanf(line, "%" SCNd64 " %" SCNu64 " %o %" SCNu64 " %u %u %" SCNu64 " %u %u", &key, &id, &mode, &size,
                   &creator, &last, &attached, &uid, &gid) != 9)
                return false;
        lines_begin(lines);
        put_common(lines, "shm", key, id, mode, uid, gid);
        lines_unsigned(lines, "bytes", size);
        lines_unsigned(lines, "count", attached);
        put_pid(sentry, lines, "creator", creator, inside);
        put_pid(sentry, lines, "last", last, inside);
        lines_bool(lines, "removed", mode & 01000); /* SHM_DEST: goes with who is attached */
        lines_end(lines);
        return true;
}

static bool put_msg(Sentry *sentry, Lines *lines, const char *line, bool inside) {
        unsigned mode, sender, receiver, uid, gid;
        uint64_t id, bytes, count;
        int64_t key;

        /* key msqid perms cbytes qnum lspid lrpid uid gid … */
        if (sscanf(line, "%" SCNd64 " %" SCNu64 " %o %" SCNu64 " %" SCNu64 " %u %u %u %u", &key, &id, &mode, &bytes,
                   &count, &sender, &receiver, &uid, &gid) != 9)
                return false;
        lines_begin(lines);
        put_common(lines, "msg", key, id, mode, uid, gid);
        lines_unsigned(lines, "bytes", bytes);
        lines_unsigned(lines, "count", count);
        put_pid(sentry, lines, "last_sender", sender, inside);
        put_pid(sentry, lines, "last_receiver", receiver, inside);
        lines_end(lines);
        return true;
}

static bool put_sem(Sentry *sentry, Lines *lines, const char *line, bool inside) {
        unsigned mode, uid, gid;
        uint64_t id, count;
        int64_t key;

        (void) sentry, (void) inside;
        /* key semid perms nsems uid gid … */
        if (sscanf(line, "%" SCNd64 " %" SCNu64 " %o %" SCNu64 " %u %u", &key, &id, &mode, &count, &uid, &gid) != 6)
                return false;
        lines_begin(lines);
        put_common(lines, "sem", key, id, mode, uid, gid);
        lines_unsigned(lines, "count", count);
        lines_end(lines);
        return true;
}

/* From the beginning, wherever other processes that have the same file are with it. */
static int read_shared(int fd, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, room = 0;

        for (;;) {
                ssize_t n;

                if (room - size < 2) {
                        char *longer = realloc(text, room == 0 ? 4096 : room * 2);

                        if (!longer)
                                return -ENOMEM;
                        text = longer;
                        room = room == 0 ? 4096 : room * 2;
                }
                n = pread(fd, text + size, room - size - 1, (off_t) size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > SYSVIPC_MAX)
                        return -EFBIG;
        }
        text[size] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

/* Which namespace they show is decided when they are opened: inside, by the launcher, or by us, who have joined it. */
static int list_sysv(Sentry *sentry, Lines *lines, bool inside) {
        static const struct {
                const char *path;
                bool (*put)(Sentry *sentry, Lines *lines, const char *line, bool inside);
        } files[] = {
                { "/proc/sysvipc/shm", put_shm },
                { "/proc/sysvipc/msg", put_msg },
                { "/proc/sysvipc/sem", put_sem },
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_close_ int own = -EBADF;
                int fd = sentry->host.sysvipc_fds[i], r;
                char *rest, *line;

                if (!inside) {
                        fd = own = open(files[i].path, O_RDONLY | O_CLOEXEC);
                        if (fd < 0 && errno != ENOENT)
                                return -errno;
                }
                if (fd < 0) /* a kernel without */
                        continue;
                r = read_shared(fd, &text);
                if (r < 0)
                        return r;
                rest = text;
                (void) strsep(&rest, "\n"); /* the header */
                while ((line = strsep(&rest, "\n")))
                        (void) files[i].put(sentry, lines, line, inside);
        }
        return lines->error;
}

static void put_queue(Sentry *sentry, Lines *lines, int dir_fd, const char *name) {
        _cleanup_close_ int fd = -EBADF;
        char text[QUEUE_TEXT_MAX], path[NAME_MAX + 2], mode[16];
        struct mq_attr attributes;
        uint64_t bytes = 0;
        unsigned notify = 0;
        struct stat st;
        ssize_t n = -1;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return;
        fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
                n = read(fd, text, sizeof(text) - 1);

        lines_begin(lines);
        lines_string(lines, "kind", "mqueue");
        (void) snprintf(path, sizeof(path), "/%s", name);
        lines_string(lines, "key", path);
        lines_unsigned(lines, "id", st.st_ino);
        (void) snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
        lines_string(lines, "mode", mode);
        lines_unsigned(lines, "uid", st.st_uid);
        lines_unsigned(lines, "gid", st.st_gid);
        if (n > 0) {
                text[n] = '\0';
                if (sscanf(text, "QSIZE:%" SCNu64 " NOTIFY:%*u SIGNO:%*u NOTIFY_PID:%u", &bytes, &notify) >= 1)
                        lines_unsigned(lines, "bytes", bytes);
                if (notify != 0)
                        put_pid(sentry, lines, "notifies", notify, false);
        }
        if (fd >= 0 && syscall(SYS_mq_getsetattr, fd, NULL, &attributes) >= 0) {
                lines_unsigned(lines, "count", (uint64_t) attributes.mq_curmsgs);
                lines_unsigned(lines, "max_messages", (uint64_t) attributes.mq_maxmsg);
                lines_unsigned(lines, "max_bytes", (uint64_t) attributes.mq_msgsize);
        }
        lines_end(lines);
}

/* The queues of a namespace that was made in the sandbox, where one there has mounted them; -ENOENT. All mounts show the same. */
static int open_mounted_queues(Sentry *sentry, GuestPid pid) {
        /* The path is without links, unless the sandbox changes it under our eyes. */
        _cleanup_free_ char *text = NULL;
        char path[64], *rest, *line;
        _cleanup_close_ int fd = -EBADF, root_fd = -EBADF;
        int r;

        (void) snprintf(path, sizeof(path), "%d/mountinfo", (int) pid);
        fd = openat(sentry->host.proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_full_fd(fd, SYSVIPC_MAX, &text, NULL);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "%d/root", (int) pid);
        root_fd = openat(sentry->host.proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                char target[PATH_MAX];
                struct statfs fs;
                int dir_fd;

                if (!strstr(line, " - mqueue ") || sscanf(line, "%*s %*s %*s %*s /%4095s", target) != 1)
                        continue;
                dir_fd = open_inside(root_fd, target, O_RDONLY | O_DIRECTORY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
                if (dir_fd < 0)
                        continue;
                if (fstatfs(dir_fd, &fs) >= 0 && fs.f_type == MQUEUE_MAGIC)
                        return dir_fd;
                safe_close(dir_fd);
        }
        return -ENOENT;
}

static int list_queues(Sentry *sentry, GuestPid pid, bool inside, Lines *lines) {
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        int dir_fd;

        dir_fd = inside && sentry->host.mqueue_fd >= 0 ?
                openat(sentry->host.mqueue_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : open_mounted_queues(sentry, pid);
        if (dir_fd < 0)
                return 0; /* a kernel without them, or nobody has mounted them */
        dir = fdopendir(dir_fd);
        if (!dir) {
                safe_close(dir_fd);
                return -errno;
        }
        while ((entry = readdir(dir)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        put_queue(sentry, lines, dir_fd, entry->d_name);
        return lines->error;
}

int list_ipc(Sentry *sentry, GuestPid pid, Lines *lines) {
        struct stat ours, theirs;
        char path[64];
        bool inside;
        int r;

        (void) snprintf(path, sizeof(path), "%d/ns/ipc", (int) pid);
        if (fstatat(sentry->host.proc_fd, path, &theirs, 0) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        inside = theirs.st_ino == sentry->host.ipc_ns;
        if (!inside) {
                r = lister_join(sentry, pid, CLONE_NEWIPC);
                if (r < 0)
                        return r;
                /* The number is another's now: what we would show is not the sandbox's. */
                if (stat("/proc/self/ns/ipc", &ours) < 0 || ours.st_ino != theirs.st_ino)
                        return -ESRCH;
        }
        r = list_sysv(sentry, lines, inside);
        return r < 0 ? r : list_queues(sentry, pid, inside, lines);
}
