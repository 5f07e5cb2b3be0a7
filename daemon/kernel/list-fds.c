/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListFds: a line for each table of descriptors, then one for each descriptor in it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fd-tables.h"
#include "list-sockets.h"
#include "sentry.h"
#include "util.h"

#define FDINFO_MAX (256U * 1024U)
#define OBJECT_LINES_MAX 1024U /* watches of an inotify, targets of an epoll that are listed */

typedef struct FdList {
        Sentry *sentry;
        Lines *lines;
        SocketIndex sockets;   /* owned */
        const FdTable *table;  /* at hand */
        int fd_dir, info_dir;  /* of it */

        char last[FD_TARGET_MAX + 1]; /* the target looked at last, and what it was: many descriptors are copies */
        uint64_t last_inode;
        struct stat last_stat;
} FdList;

static char fdinfo[FDINFO_MAX + 1]; /* of the descriptor at hand; one thread */

/* The value of the line of fdinfo that begins with name, which ends with ':'. NULL when there is none. */
static const char *info_line(const char *name) {
        size_t n = strlen(name);

        for (const char *p = fdinfo; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
                if (strncmp(p, name, n) == 0)
                        return p + n + strspn(p + n, " \t");
        return NULL;
}

static uint64_t info_number(const char *name, int base) {
        const char *value = info_line(name);

        return value ? strtoull(value, NULL, base) : 0;
}

static void put_flags(Lines *lines, uint64_t flags) {
        static const struct {
                uint64_t flag;
                const char *name;
        } names[] = {
                { O_CLOEXEC, "cloexec" },   { O_NONBLOCK, "nonblock" }, { O_APPEND, "append" },
                { O_DIRECT, "direct" },     { O_ASYNC, "async" },       { O_NOATIME, "noatime" },
                { O_DIRECTORY, "directory" },
        };

        lines_string(lines, "access", flags & O_PATH ? "path" : (flags & O_ACCMODE) == O_RDONLY ? "r" :
                                              (flags & O_ACCMODE) == O_WRONLY ? "w" : "rw");
        lines_open(lines, "flags", '[');
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if ((flags & names[i].flag) == names[i].flag)
                        lines_string(lines, NULL, names[i].name);
        if ((flags & O_SYNC) == O_SYNC)
                lines_string(lines, NULL, "sync");
        else if (flags & O_DSYNC)
                lines_string(lines, NULL, "dsync");
        lines_close(lines, ']');
}

static const char *kind_of_mode(const struct stat *st, const char *target) {
        if (S_ISDIR(st->st_mode))
                return "dir";
        if (S_ISFIFO(st->st_mode))
                return "fifo";
        if (S_ISLNK(st->st_mode))
                return "symlink";
        if (S_ISSOCK(st->st_mode))
                return "socket-file"; /* O_PATH on the name of one */
        if (S_ISBLK(st->st_mode))
                return "block-device";
        if (S_ISCHR(st->st_mode)) {
                unsigned device = major(st->st_rdev);

                return device == 4 || device == 5 || (device >= 136 && device <= 143) ? "tty" : "device";
        }
        return startswith(target, "/memfd:") ? "memfd" : "file";
}

/* What a target that is no path is. */
static const char *kind_of_target(const char *target) {
        static const struct {
                const char *target, *kind;
        } kinds[] = {
                { "socket:[", "socket" },                   { "pipe:[", "pipe" },
                { "anon_inode:[eventfd]", "eventfd" },      { "anon_inode:[timerfd]", "timerfd" },
                { "anon_inode:[eventpoll]", "epoll" },      { "anon_inode:[signalfd]", "signalfd" },
                { "anon_inode:inotify", "inotify" },        { "anon_inode:[fanotify]", "fanotify" },
                { "anon_inode:[pidfd]", "pidfd" },          { "pidfd:[", "pidfd" },
                { "anon_inode:[userfaultfd]", "userfaultfd" }, { "anon_inode:[io_uring]", "io_uring" },
                { "anon_inode:[perf_event]", "perf_event" }, { "anon_inode:bpf", "bpf" },
                { "anon_inode:seccomp notify", "seccomp" }, { "anon_inode:[fscontext]", "fscontext" },
                { "anon_inode:[landlock-ruleset]", "landlock" },
                { "user:[", "namespace" }, { "pid:[", "namespace" }, { "mnt:[", "namespace" },
                { "uts:[", "namespace" },  { "ipc:[", "namespace" }, { "net:[", "namespace" },
                { "cgroup:[", "namespace" }, { "time:[", "namespace" },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (startswith(target, kinds[i].target))
                        return kinds[i].kind;
        return "other";
}

static const char *clock_name(int64_t clock) {
        static const char *const names[] = {
                [CLOCK_REALTIME] = "realtime", [CLOCK_MONOTONIC] = "monotonic", [CLOCK_BOOTTIME] = "boottime",
                [CLOCK_REALTIME_ALARM] = "realtime-alarm", [CLOCK_BOOTTIME_ALARM] = "boottime-alarm",
        };

        return clock >= 0 && clock < (int64_t) ELEMENTSOF(names) && names[clock] ? names[clock] : "?";
}

/* "it_value: (3, 250000000)", in nanoseconds. */
static uint64_t timer_ns(const char *name) {
        const char *value = info_line(name);
        unsigned long long seconds, ns;

        return value && sscanf(value, "(%llu, %llu)", &seconds, &ns) == 2 ? seconds * 1000000000U + ns : 0;
}

/* The numbers behind a name in every line that begins with it. */
static void put_numbers(Lines *lines, const char *key, const char *name) {
        size_t length = strlen(name), n = 0;

        lines_open(lines, key, '[');
        for (const char *p = fdinfo; p && n < OBJECT_LINES_MAX; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
                if (strncmp(p, name, length) == 0) {
                        lines_unsigned(lines, NULL, strtoull(p + length, NULL, 10));
                        n++;
                }
        lines_close(lines, ']');
}

static void put_watches(Lines *lines) {
        size_t n = 0;

        lines_open(lines, "watches", '[');
        for (const char *p = fdinfo; p && n < OBJECT_LINES_MAX; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
                unsigned long long wd, inode, mask;
                unsigned device;

                if (sscanf(p, "inotify wd:%llx ino:%llx sdev:%x mask:%llx", &wd, &inode, &device, &mask) != 4)
                        continue;
                lines_open(lines, NULL, '{');
                lines_unsigned(lines, "wd", wd);
                lines_unsigned(lines, "inode", inode);
                lines_unsigned(lines, "mask", mask);
                lines_close(lines, '}');
                n++;
        }
        lines_close(lines, ']');
}

static void put_signals(Lines *lines) {
        uint64_t mask = info_number("sigmask:", 16);

        lines_open(lines, "signals", '[');
        for (int signo = 1; signo <= 64; signo++)
                if (mask & (UINT64_C(1) << (signo - 1)))
                        lines_unsigned(lines, NULL, (uint64_t) signo);
        lines_close(lines, ']');
}

static void put_socket(FdList *list, const char *number, uint64_t inode) {
        Lines *lines = list->lines;
        const SocketInfo *info;

        socket_index_add(&list->sockets, list->sentry, list->table->process->pid);
        info = socket_index_find(&list->sockets, list->fd_dir, number, (uint32_t) inode);
        lines_open(lines, "object", '{');
        if (info) {
                lines_string(lines, "protocol", info->protocol);
                lines_string(lines, "type", socket_type_name(info));
                lines_string(lines, "state", socket_state_name(info));
                if (info->local)
                        lines_string(lines, "local", info->local);
                if (info->peer)
                        lines_string(lines, "peer", info->peer);
                if (info->peer_inode != 0)
                        lines_unsigned(lines, "peer_inode", info->peer_inode);
        }
        lines_close(lines, '}');
}

static void put_object(FdList *list, const char *kind) {
        Lines *lines = list->lines;

        if (streq(kind, "eventfd")) {
                lines_open(lines, "object", '{');
                lines_unsigned(lines, "id", info_number("eventfd-id:", 10));
                lines_unsigned(lines, "count", info_number("eventfd-count:", 16));
        } else if (streq(kind, "timerfd")) {
                lines_open(lines, "object", '{');
                lines_string(lines, "clock", clock_name((int64_t) info_number("clockid:", 10)));
                lines_unsigned(lines, "ticks", info_number("ticks:", 10));
                lines_unsigned(lines, "next_ns", timer_ns("it_value:"));
                lines_unsigned(lines, "period_ns", timer_ns("it_interval:"));
        } else if (streq(kind, "epoll")) {
                lines_open(lines, "object", '{');
                put_numbers(lines, "fds", "tfd:");
        } else if (streq(kind, "signalfd")) {
                lines_open(lines, "object", '{');
                put_signals(lines);
        } else if (streq(kind, "inotify")) {
                lines_open(lines, "object", '{');
                put_watches(lines);
        } else if (streq(kind, "pidfd")) {
                const char *pid = info_line("Pid:");

                lines_open(lines, "object", '{');
                lines_signed(lines, "pid", pid ? strtoll(pid, NULL, 10) : -1);
        } else
                return;
        lines_close(lines, '}');
}

static int read_info(int dir_fd, const char *number) {
        _cleanup_close_ int fd = openat(dir_fd, number, O_RDONLY | O_CLOEXEC);
        size_t done = 0;

        fdinfo[0] = '\0';
        if (fd < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(fd, fdinfo + done, FDINFO_MAX - done);

                if (n < 0)
                        return -errno;
                done += (size_t) n;
                fdinfo[done] = '\0';
                /* Most say all they have in less than a page, and the second read would but say that. */
                if (n == 0 || done == FDINFO_MAX || (done < 1024 && n > 0))
                        return 0;
        }
}

static int on_fd(int number, const char *target, void *userdata) {
        FdList *list = userdata;
        Lines *lines = list->lines;
        const char *kind;
        uint64_t inode;
        struct stat st;
        char name[16];

        (void) snprintf(name, sizeof(name), "%d", number);
        if (read_info(list->info_dir, name) < 0)
                return 0; /* closed meanwhile */
        st.st_mode = 0;
        if (*target == '/') {
                inode = info_number("ino:", 10);
                if (inode != 0 && inode == list->last_inode && streq(target, list->last))
                        st = list->last_stat;
                else if (fstatat(list->fd_dir, name, &st, AT_NO_AUTOMOUNT) < 0)
                        st.st_mode = 0;
                else {
                        strcpy(list->last, target);
                        list->last_inode = inode;
                        list->last_stat = st;
                }
                kind = kind_of_mode(&st, target);
                inode = st.st_mode == 0 ? 0 : st.st_ino;
        } else {
                kind = kind_of_target(target);
                inode = fd_target_inode(target, kind);
        }

        lines_begin(lines);
        lines_unsigned(lines, "pid", (uint64_t) (list->table->tid ?: list->table->process->pid));
        lines_unsigned(lines, "fd", (uint64_t) number);
        lines_string(lines, "kind", kind);
        put_flags(lines, info_number("flags:", 8));
        lines_unsigned(lines, "pos", info_number("pos:", 10));
        lines_unsigned(lines, "inode", inode != 0 ? inode : info_number("ino:", 10));
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
                char device[32];

                (void) snprintf(device, sizeof(device), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
                lines_string(lines, "device", device);
        }
        lines_string(lines, "target", target);
        if (streq(kind, "socket"))
                put_socket(list, name, inode);
        else
                put_object(list, kind);
        lines_end(lines);
        return lines->error;
}

static void put_limits(Lines *lines, HostTid host_pid) {
        struct rlimit limit;

        if (prlimit(host_pid, RLIMIT_NOFILE, NULL, &limit) < 0)
                return;
        lines_unsigned(lines, "nofile_soft", limit.rlim_cur);
        lines_unsigned(lines, "nofile_hard", limit.rlim_max);
}

static void put_table(FdList *list, int error) {
        const FdTable *table = list->table;
        Lines *lines = list->lines;

        lines_begin(lines);
        lines_open(lines, "table", '{');
        lines_unsigned(lines, "pid", (uint64_t) (table->tid ?: table->process->pid));
        lines_text(lines, "comm", table->process->comm, strlen(table->process->comm));
        lines_open(lines, "shared_with", '[');
        for (size_t i = 0; i < table->n_sharers; i++)
                lines_unsigned(lines, NULL, (uint64_t) table->sharers[i]);
        lines_close(lines, ']');
        put_limits(lines, table->process->host_pid);
        if (error < 0)
                lines_string(lines, "error", strerror(-error));
        lines_close(lines, '}');
        lines_end(lines);
}

static bool table_is_of(const FdTable *table, GuestPid pid) {
        if (pid == 0 || table->process->pid == pid)
                return true;
        for (size_t i = 0; i < table->n_sharers; i++)
                if (table->sharers[i] == pid)
                        return true;
        return false;
}

static int list_table(FdList *list) {
        int r = 0;

        list->fd_dir = fd_table_open(list->sentry, list->table, "fd");
        list->info_dir = fd_table_open(list->sentry, list->table, "fdinfo");
        if (list->fd_dir < 0 || list->info_dir < 0)
                r = MIN(list->fd_dir, list->info_dir);
        /* A task that dies while we come to it has none. */
        if (r != -ENOENT && r != -ESRCH)
                put_table(list, r);
        if (r >= 0)
                (void) fd_table_for_each(list->fd_dir, on_fd, list);
        if (list->fd_dir >= 0)
                safe_close(list->fd_dir);
        if (list->info_dir >= 0)
                safe_close(list->info_dir);
        return list->lines->error;
}

int list_fds(Sentry *sentry, GuestPid pid, Lines *lines) {
        static FdList list; /* one in the life of this process */
        FdTables tables;
        int r;

        list.sentry = sentry;
        list.lines = lines;
        r = fd_tables_read(sentry, &tables);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < tables.n; i++)
                if (table_is_of(tables.tables[i], pid)) {
                        list.table = tables.tables[i];
                        r = list_table(&list);
                }
        socket_index_done(&list.sockets);
        fd_tables_done(&tables);
        return r;
}
