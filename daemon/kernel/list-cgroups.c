/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListCgroups: a line for the control group of the sandbox and each one below it, parents first. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "sentry.h"
#include "util.h"

#define DEPTH_MAX 32U
#define GROUPS_MAX 4096U
#define VALUE_MAX 4096U

typedef struct Walk {
        Lines *lines;
        unsigned n;
} Walk;

/* What a file of the group says. False: the controller is not there, or the group is gone. */
static bool read_value(int group, const char *file, char **ret) {
        _cleanup_close_ int fd = openat(group, file, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || read_full_fd(fd, VALUE_MAX, ret, NULL) < 0)
                return false;
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return true;
}

/* A number, or "max": then nothing is limited, and nothing said. */
static void put_number(Lines *lines, int group, const char *file, const char *key) {
        _cleanup_free_ char *text = NULL;
        uint64_t number;

        if (read_value(group, file, &text) && safe_atou64(text, 10, &number) >= 0)
                lines_unsigned(lines, key, number);
}

static void put_text(Lines *lines, int group, const char *file, const char *key) {
        _cleanup_free_ char *text = NULL;

        if (read_value(group, file, &text))
                lines_string(lines, key, text);
}

/* A word and its number in a file of several lines. */
static bool find_number(int group, const char *file, const char *word, uint64_t *ret) {
        _cleanup_close_ int fd = openat(group, file, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        size_t n = strlen(word);

        if (fd < 0 || read_full_fd(fd, VALUE_MAX, &text, NULL) < 0)
                return false;
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, word, n) == 0 && line[n] == ' ')
                        return sscanf(line + n, " %" SCNu64, ret) == 1;
        }
        return false;
}

static uint64_t count_lines(int group, const char *file) {
        _cleanup_close_ int fd = openat(group, file, O_RDONLY | O_CLOEXEC);
        uint64_t lines = 0;
        char buffer[4096];
        ssize_t n;

        while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t i = 0; i < n; i++)
                        lines += buffer[i] == '\n';
        return lines;
}

static void put_group(Lines *lines, int group, const char *path) {
        uint64_t number;

        lines_begin(lines);
        lines_string(lines, "path", path);
        lines_unsigned(lines, "processes", count_lines(group, "cgroup.procs"));
        if (find_number(group, "cgroup.events", "frozen", &number))
                lines_bool(lines, "frozen", number != 0);
        put_text(lines, group, "cgroup.controllers", "controllers");
        put_number(lines, group, "memory.current", "memory");
        put_number(lines, group, "memory.max", "memory_max");
        put_number(lines, group, "memory.swap.max", "swap_max");
        put_number(lines, group, "pids.current", "tasks");
        put_number(lines, group, "pids.max", "tasks_max");
        if (find_number(group, "cpu.stat", "usage_usec", &number))
                lines_unsigned(lines, "cpu_usec", number);
        put_text(lines, group, "cpu.max", "cpu_max");
        put_text(lines, group, "cpu.weight", "cpu_weight");
        put_text(lines, group, "io.max", "io_max");
        lines_end(lines);
}

/* Takes ownership of group. */
static int walk(Walk *w, int group, const char *path, unsigned depth) {
        _cleanup_(closedirp) DIR *dir = fdopendir(group);
        const struct dirent *entry;
        int r = 0;

        if (!dir) {
                safe_close(group);
                return -errno;
        }
        put_group(w->lines, dirfd(dir), path);
        if (depth >= DEPTH_MAX)
                return -ELOOP;
        while (r >= 0 && (entry = readdir(dir))) {
                _cleanup_free_ char *below = NULL;
                int fd;

                if (entry->d_type != DT_DIR || streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                if (++w->n > GROUPS_MAX)
                        return -E2BIG;
                fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0)
                        continue; /* gone meanwhile */
                if (string_appendf(&below, "%s/%s", streq(path, "/") ? "" : path, entry->d_name) < 0) {
                        safe_close(fd);
                        return -ENOMEM;
                }
                r = walk(w, fd, below, depth + 1);
        }
        return r;
}

int list_cgroups(Sentry *sentry, GuestPid pid, Lines *lines) {
        Walk w = { .lines = lines };
        int fd, r;

        (void) pid;
        if (sentry->cgroup.fd < 0)
                return 0; /* it has none */
        fd = openat(sentry->cgroup.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = walk(&w, fd, "/", 0);
        return r < 0 ? r : lines->error;
}
