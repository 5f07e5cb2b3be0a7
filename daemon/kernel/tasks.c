/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "proc-task.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

/* The next entry of a /proc directory that is a number; 0 at the end. */
static pid_t next_pid(DIR *dir) {
        struct dirent *entry;
        int pid;

        while ((entry = readdir(dir)))
                if (safe_atoi(entry->d_name, &pid) >= 0 && pid > 0)
                        return pid;
        return 0;
}

static int open_dir_at(int fd, const char *path, DIR **ret) {
        _cleanup_close_ int copy = -EBADF;
        DIR *dir;

        copy = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (copy < 0)
                return -errno;
        dir = fdopendir(copy);
        if (!dir)
                return -errno;
        (void) TAKE_FD(copy);
        *ret = dir;
        return 0;
}

int tasks_for_each(const HostSeccomp *host, int (*function)(pid_t host_pid, void *userdata), void *userdata) {
        _cleanup_(closedirp) DIR *dir = NULL;
        pid_t pid;
        int r;

        if (host->user_ns == 0)
                return -ESRCH;
        r = open_dir_at(AT_FDCWD, "/proc", &dir);
        if (r < 0)
                return r;

        while ((pid = next_pid(dir)) > 0)
                if (host_seccomp_owns(host, pid)) {
                        r = function(pid, userdata);
                        if (r != 0)
                                return r;
                }
        return 0;
}

/* The fields of /proc/PID/stat that are wanted here; proc_pid_stat(5). */
typedef struct Stat {
        char comm[65];
        char state;
        pid_t ppid;
        uint32_t n_threads;
        uint64_t start_ticks;
} Stat;

static int read_stat(int proc_fd, pid_t pid, Stat *ret) {
        char path[64], text[1024];
        _cleanup_close_ int fd = -EBADF;
        const char *begin, *end;
        Stat stat = {};
        ssize_t n;
        int ppid;

        (void) snprintf(path, sizeof(path), "%d/stat", (int) pid);
        fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';

        /* The name may hold anything, also blanks and parentheses. */
        begin = strchr(text, '(');
        end = strrchr(text, ')');
        if (!begin || !end || end < begin)
                return -EBADMSG;
        (void) snprintf(stat.comm, sizeof(stat.comm), "%.*s", (int) (end - begin - 1), begin + 1);
        if (sscanf(end + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %" SCNu32
                            " %*d %" SCNu64, &stat.state, &ppid, &stat.n_threads, &stat.start_ticks) != 4)
                return -EBADMSG;
        stat.ppid = ppid;
        *ret = stat;
        return 0;
}

int task_for_each_thread(pid_t host_pid, int (*function)(pid_t host_tid, void *userdata), void *userdata) {
        _cleanup_(closedirp) DIR *dir = NULL;
        char path[64];
        pid_t tid;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) host_pid);
        if (open_dir_at(AT_FDCWD, path, &dir) < 0)
                return 0;
        while ((tid = next_pid(dir)) > 0) {
                r = function(tid, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

typedef struct FindTid {
        unsigned level;
        pid_t wanted;
        pid_t found;
} FindTid;

static int match_tid(pid_t host_tid, void *userdata) {
        FindTid *find = userdata;
        pid_t inner;

        if (proc_read_ids(host_tid, find->level, NULL, &inner) < 0 || inner != find->wanted)
                return 0;
        find->found = host_tid;
        return 1;
}

static int find_tid_in(pid_t host_pid, void *userdata) {
        return task_for_each_thread(host_pid, match_tid, userdata);
}

pid_t tasks_find_tid(const HostSeccomp *host, pid_t tid) {
        FindTid find = { .level = host->pid_level, .wanted = tid };
        int r;

        r = tasks_for_each(host, find_tid_in, &find);
        if (r < 0)
                return r;
        return r > 0 ? find.found : -ESRCH;
}

/* The sandbox's own /proc holds its processes and no others, which is cheaper than looking through the host's.
 * With the host's PIDs it is the host's. */
int tasks_count(const HostSeccomp *host, uint32_t *ret) {
        _cleanup_(closedirp) DIR *dir = NULL;
        uint32_t n = 0;
        pid_t pid;
        Stat stat;
        int r;

        if (host->proc_fd < 0)
                return -ESRCH;
        r = open_dir_at(host->proc_fd, ".", &dir);
        if (r < 0)
                return r;
        while ((pid = next_pid(dir)) > 0) {
                if (host->sentry->profile->pid_host && !host_seccomp_owns(host, pid))
                        continue;
                if (read_stat(host->proc_fd, pid, &stat) >= 0)
                        n += stat.n_threads;
        }
        *ret = n;
        return 0;
}

void task_comm(pid_t host_tid, char ret_comm[static 65]) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        size_t n;

        ret_comm[0] = '?';
        ret_comm[1] = '\0';
        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) host_tid);
        if (read_full_file(path, 4096, &text, &n) < 0 || n == 0)
                return;
        if (text[n - 1] == '\n')
                text[--n] = '\0';
        for (size_t ok; (ok = utf8_valid_length(text, n)) < n;)
                text[ok] = '?';
        (void) snprintf(ret_comm, 65, "%.64s", text);
        n = strlen(ret_comm);
        /* The cut may have gone through a character. */
        ret_comm[utf8_valid_length(ret_comm, n)] = '\0';
}
