/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc-task.h"
#include "util.h"

#define FIELDS_MAX 52U   /* of /proc/PID/stat, counted from 1 as proc_pid_stat(5) does */

int proc_for_each(int proc_fd, const char *path, int (*function)(pid_t id, void *userdata), void *userdata) {
        _cleanup_(closedirp) DIR *dir = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct dirent *entry;
        int id, r;

        fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void) TAKE_FD(fd);

        while ((entry = readdir(dir))) {
                if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || safe_atoi(entry->d_name, &id) < 0)
                        continue;
                r = function(id, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

static ssize_t read_owned_at(int proc_fd, const char *path, char *buffer, size_t size, uint32_t *ret_owner) {
        _cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        ssize_t n;

        if (fd < 0)
                return -errno;
        /* One read: what a guest can change while we look is at least of one moment. */
        n = read(fd, buffer, size - 1);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        if (ret_owner && fstat(fd, &st) >= 0)
                *ret_owner = st.st_uid;
        return n;
}

static ssize_t read_at(int proc_fd, const char *path, char *buffer, size_t size) {
        return read_owned_at(proc_fd, path, buffer, size, NULL);
}

static int parse_stat(char *text, HostTask *task) {
        static uint64_t tick_usec;
        int64_t fields[FIELDS_MAX + 1] = {};
        char *begin, *end, *p;
        size_t n;

        if (tick_usec == 0)
                tick_usec = 1000000 / (uint64_t) sysconf(_SC_CLK_TCK);

        /* The name may hold anything, also blanks and parentheses. */
        begin = strchr(text, '(');
        end = strrchr(text, ')');
        if (!begin || !end || end < begin || end[1] != ' ' || !end[2])
                return -EBADMSG;
        n = MIN((size_t) (end - begin - 1), sizeof(task->comm) - 1);
        memcpy(task->comm, begin + 1, n);
        task->comm[n] = '\0';
        task->state = end[2];

        p = end + 3;
        for (n = 4; n <= FIELDS_MAX; n++) {
                char *next;

                /* Some are unsigned and large; none of those is of interest. */
                fields[n] = strtoll(p, &next, 10);
                if (next == p)
                        break;
                p = next;
        }
        if (n <= 22)
                return -EBADMSG;

        task->parent = (GuestPid) fields[4];
        task->group = (GuestPid) fields[5];
        task->session = (GuestPid) fields[6];
        task->cpu_usec = (uint64_t) (fields[14] + fields[15]) * tick_usec;
        task->children_usec = (uint64_t) (fields[16] + fields[17]) * tick_usec;
        task->n_threads = (uint32_t) fields[20];
        task->start_usec = (uint64_t) fields[22] * tick_usec;
        /* 0 of a process without memory, 1 of one whose memory is not for us to read. */
        if (fields[28] != 0 && fields[28] != 1)
                task->image = (HostImage) {
                        .stack = (GuestAddr) fields[28],
                        .heap = (GuestAddr) fields[47],
                        .arguments = (GuestAddr) fields[48],
                };
        if (task->state == 'Z' && n > FIELDS_MAX)
                task->wait_status = (int) fields[FIELDS_MAX];
        return 0;
}

int proc_read_stat(int proc_fd, pid_t pid, pid_t tid, HostTask *task) {
        char path[64], text[2048];
        ssize_t n;

        if (tid != 0)
                (void) snprintf(path, sizeof(path), "%d/task/%d/stat", (int) pid, (int) tid);
        else
                (void) snprintf(path, sizeof(path), "%d/stat", (int) pid);
        n = read_owned_at(proc_fd, path, text, sizeof(text), &task->owner);
        return n < 0 ? (int) n : parse_stat(text, task);
}

/* The value of a line of /proc/PID/status; it begins with name, which begins with a newline. "" when there is none. */
static const char *line_of(const char **text, const char *name) {
        const char *p = strstr(*text, name);

        if (!p)
                return "";
        *text = p + 1; /* lines are asked for in their order */
        return p + strlen(name);
}

static uint32_t map_id(const ProcIdRange *ranges, uint32_t id) {
        for (size_t i = 0; i < PROC_ID_RANGES && ranges[i].count > 0; i++)
                if (id - ranges[i].outside < ranges[i].count && id >= ranges[i].outside)
                        return ranges[i].inside + (id - ranges[i].outside);
        return id;
}

static void read_four(const char *line, const ProcIdRange *ranges, uint32_t *a, uint32_t *b, uint32_t *c,
                      uint32_t *d) {
        uint32_t *ids[] = { a, b, c, d };
        char *end;

        for (size_t i = 0; i < ELEMENTSOF(ids); i++, line = end)
                *ids[i] = map_id(ranges, (uint32_t) strtoul(line, &end, 10));
}

static void read_groups(const char *line, const ProcIdRange *ranges, HostCredentials *c) {
        for (;;) {
                char *end;
                uint32_t id;

                while (*line == ' ' || *line == '\t')
                        line++;
                if (*line < '0' || *line > '9')
                        return;
                id = (uint32_t) strtoul(line, &end, 10);
                if (c->n_groups < TASK_GROUPS_MAX)
                        c->groups[c->n_groups] = map_id(ranges, id);
                c->n_groups++;
                line = end;
        }
}

/* The files of a process that is not dumpable belong to root, proc_pid(5): of its user namespace, or of the host's. For
 * who is that root there is no telling. */
static int8_t dumpable(uint32_t owner, uint32_t euid_outside, uint32_t euid) {
        if (owner != euid_outside)
                return 0;
        return euid == 0 || euid_outside == 0 ? -1 : 1;
}

/* The last number of a line. */
static pid_t last_number(const char *line) {
        const char *end = line + strcspn(line, "\n");

        while (end > line && (end[-1] < '0' || end[-1] > '9'))
                end--;
        while (end > line && end[-1] >= '0' && end[-1] <= '9')
                end--;
        return (pid_t) strtol(end, NULL, 10);
}

int proc_read_status(int proc_fd, pid_t pid, const ProcIdMaps *maps, HostTask *task) {
        static char buffer[65536]; /* one thread; large for those with thousands of groups */
        static const ProcIdRange none[1] = {};
        HostCredentials *c = &task->credentials;
        const char *text = buffer, *line;
        uint32_t ids[4];
        char path[64];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "%d/status", (int) pid);
        n = read_at(proc_fd, path, buffer, sizeof(buffer));
        if (n < 0)
                return (int) n;

        *c = (HostCredentials) {};
        c->umask = (uint16_t) strtoul(line_of(&text, "\nUmask:"), NULL, 8);
        line = line_of(&text, "\nUid:");
        read_four(line, none, &ids[0], &ids[1], &ids[2], &ids[3]);
        read_four(line, maps->uids, &c->uid, &c->euid, &c->suid, &c->fsuid);
        c->dumpable = dumpable(task->owner, ids[1], c->euid);
        read_four(line_of(&text, "\nGid:"), maps->gids, &c->gid, &c->egid, &c->sgid, &c->fsgid);
        read_groups(line_of(&text, "\nGroups:"), maps->gids, c);
        task->inner_id = last_number(line_of(&text, "\nNSpid:"));
        c->cap_inheritable = strtoull(line_of(&text, "\nCapInh:"), NULL, 16);
        c->cap_permitted = strtoull(line_of(&text, "\nCapPrm:"), NULL, 16);
        c->cap_effective = strtoull(line_of(&text, "\nCapEff:"), NULL, 16);
        c->cap_bounding = strtoull(line_of(&text, "\nCapBnd:"), NULL, 16);
        c->cap_ambient = strtoull(line_of(&text, "\nCapAmb:"), NULL, 16);
        c->no_new_privs = strtol(line_of(&text, "\nNoNewPrivs:"), NULL, 10) == 1;
        return 0;
}

int proc_read_argv(int proc_fd, pid_t pid, char buffer[static PROC_ARGV_MAX], char **ret, size_t *ret_size) {
        char path[64], *copy;
        ssize_t n;

        *ret = NULL;
        *ret_size = 0;
        (void) snprintf(path, sizeof(path), "%d/cmdline", (int) pid);
        n = read_at(proc_fd, path, buffer, PROC_ARGV_MAX);
        if (n <= 0)
                return (int) n;
        copy = malloc((size_t) n + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, buffer, (size_t) n + 1);
        /* A guest can write its own arguments, also without the NUL at the end. */
        *ret_size = copy[n - 1] == '\0' ? (size_t) n : (size_t) n + 1;
        *ret = copy;
        return 0;
}

int proc_read_link(int proc_fd, pid_t pid, const char *name, char **ret) {
        char path[64], target[4096];
        ssize_t n;

        *ret = NULL;
        (void) snprintf(path, sizeof(path), "%d/%s", (int) pid, name);
        n = readlinkat(proc_fd, path, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        *ret = strdup(target);
        return *ret ? 0 : -ENOMEM;
}

static bool read_ranges(int proc_fd, pid_t pid, const char *file, ProcIdRange *ret) {
        char path[64], text[4096], *p = text;
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "%d/%s", (int) pid, file);
        if (read_at(proc_fd, path, text, sizeof(text)) <= 0)
                return false;
        for (char *line; n < PROC_ID_RANGES && (line = strsep(&p, "\n"));)
                if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &ret[n].inside, &ret[n].outside,
                           &ret[n].count) == 3)
                        n++;
        return n > 0;
}

void proc_read_id_maps(int proc_fd, pid_t pid, ProcIdMaps *ret) {
        *ret = (ProcIdMaps) {};
        ret->known = read_ranges(proc_fd, pid, "uid_map", ret->uids) &&
                read_ranges(proc_fd, pid, "gid_map", ret->gids);
}

bool proc_parse_signals(const char *status, ProcSignals *ret) {
        const struct {
                const char *name;
                uint64_t *mask;
        } masks[] = {
                { "\nSigPnd:", &ret->own },
                { "\nShdPnd:", &ret->shared },
                { "\nSigBlk:", &ret->blocked },
                { "\nSigCgt:", &ret->caught },
        };
        bool complete = true;
        const char *p;

        *ret = (ProcSignals) {};
        if ((p = strstr(status, "\nThreads:")))
                (void) sscanf(p, "\nThreads: %u", &ret->n_threads);
        for (size_t i = 0; i < ELEMENTSOF(masks); i++)
                complete = (p = strstr(status, masks[i].name)) &&
                        sscanf(p + strlen(masks[i].name), " %" SCNx64, masks[i].mask) == 1 && complete;
        return complete;
}

static uint32_t count_words(const char *line) {
        uint32_t n = 0;

        for (bool in_word = false; *line && *line != '\n'; line++) {
                bool blank = *line == ' ' || *line == '\t';

                n += !blank && !in_word;
                in_word = !blank;
        }
        return n;
}

/* The word of a line, counted from 0, as a number. */
static pid_t number_at(const char *line, unsigned index) {
        long number = 0;

        for (unsigned i = 0; i <= index; i++) {
                char *end;

                line += strspn(line, "\t ");
                number = strtol(line, &end, 10);
                if (end == line)
                        return 0;
                line = end;
        }
        return (pid_t) number;
}

static int read_own_status(pid_t host_tid, char **ret) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) host_tid);
        return read_full_file(path, 65536, ret, NULL);
}

int proc_read_ids(pid_t host_tid, unsigned level, pid_t *ret_process, pid_t *ret_id) {
        _cleanup_free_ char *buffer = NULL;
        const char *text;
        int r;

        r = read_own_status(host_tid, &buffer);
        if (r < 0)
                return r;
        text = buffer;
        if (ret_process)
                *ret_process = last_number(line_of(&text, "\nTgid:"));
        if (ret_id)
                *ret_id = number_at(line_of(&text, "\nNSpid:"), level);
        return 0;
}

int proc_read_level(pid_t host_tid, unsigned *ret) {
        _cleanup_free_ char *buffer = NULL;
        const char *text;
        uint32_t n;
        int r;

        r = read_own_status(host_tid, &buffer);
        if (r < 0)
                return r;
        text = buffer;
        n = count_words(line_of(&text, "\nNSpid:"));
        if (n == 0)
                return -EOPNOTSUPP;
        *ret = n - 1;
        return 0;
}

static char zombie(pid_t host_pid, int *ret_status) {
        _cleanup_close_ int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        HostTask task = { .wait_status = WAIT_STATUS_UNKNOWN };

        if (proc_fd < 0 || proc_read_stat(proc_fd, host_pid, 0, &task) < 0)
                return 0;
        *ret_status = task.wait_status;
        return task.state;
}

int task_zombie_status(pid_t host_pid) {
        int status = WAIT_STATUS_UNKNOWN;

        return zombie(host_pid, &status) == 'Z' ? status : WAIT_STATUS_UNKNOWN;
}

bool task_is_zombie(pid_t host_pid) {
        int status;

        return zombie(host_pid, &status) == 'Z';
}
