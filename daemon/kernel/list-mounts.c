/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListMounts: a line for each mount that a task sees, parents before their children's children. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "sentry.h"
#include "util.h"

#define MOUNTINFO_MAX (64U << 20)
#define SETTLE_NS (2 * UINT64_C(1000000000)) /* how long we look again at a table that keeps changing */

typedef struct Mount {
        uint64_t id, parent;
        char *device, *root, *target, *options, *propagation, *fstype, *source, *super_options; /* in the text */
        bool left_out;
} Mount;

/* "\040" as the byte it is, in place. */
static char *unescape(char *text) {
        char *to = text;

        for (const char *p = text; *p;)
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
                    p[3] <= '7') {
                        *to++ = (char) ((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
                        p += 4;
                } else
                        *to++ = *p++;
        *to = '\0';
        return text;
}

/* proc_pid_mountinfo(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw". */
static bool parse_mount(char *line, Mount *ret) {
        char *rest = line, *word, **fields[] = { &ret->device, &ret->root, &ret->target, &ret->options };

        *ret = (Mount) {};
        if (!(word = strsep(&rest, " ")) || safe_atou64(word, 10, &ret->id) < 0 || !(word = strsep(&rest, " ")) ||
            safe_atou64(word, 10, &ret->parent) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (!(*fields[i] = strsep(&rest, " ")))
                        return false;
        /* The optional fields stay one string: they end with " - ". */
        ret->propagation = rest;
        do
                word = strsep(&rest, " ");
        while (word && !streq(word, "-") && (rest && (rest[-1] = ' ')));
        if (!word || !rest)
                return false;
        if (word > ret->propagation)
                word[-1] = '\0';
        else
                ret->propagation = NULL;
        ret->fstype = strsep(&rest, " ");
        ret->source = strsep(&rest, " ");
        ret->super_options = rest;
        if (!ret->fstype || !ret->source || !ret->super_options)
                return false;
        (void) unescape(ret->root);
        (void) unescape(ret->target);
        (void) unescape(ret->fstype);
        (void) unescape(ret->source);
        (void) unescape(ret->super_options);
        return true;
}

static uint64_t now_ns(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

/* The kernel gives the table in pieces, and what is mounted in between may be in none of them: it tells so by poll(2).
 * ret_settled: false when it never was the same from begin to end. */
static int read_table(int fd, char **ret, bool *ret_settled) {
        uint64_t start = now_ns();

        for (;;) {
                struct pollfd changed = { .fd = fd, .events = POLLPRI };
                _cleanup_free_ char *text = NULL;
                int r;

                if (lseek(fd, 0, SEEK_SET) < 0)
                        return -errno;
                r = read_full_fd(fd, MOUNTINFO_MAX, &text, NULL);
                if (r < 0)
                        return r;
                *ret_settled = poll(&changed, 1, 0) == 0;
                if (*ret_settled || now_ns() - start > SETTLE_NS) {
                        *ret = TAKE_PTR(text);
                        return 0;
                }
        }
}

static int compare_ids(const void *a, const void *b) {
        const Mount *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static Mount *find_mount(Mount *mounts, size_t n, uint64_t id) {
        Mount key = { .id = id };

        return n == 0 ? NULL : bsearch(&key, mounts, n, sizeof(Mount), compare_ids);
}

/* In a table of several moments: mounts whose parent is not there are left out with all below them, and whatever hangs
 * in a circle, so that the others are one tree. The root's parent is never there. */
static void make_tree(Mount *mounts, size_t n, uint64_t root) {
        for (size_t i = 0; i < n; i++) {
                const Mount *m = &mounts[i];
                size_t depth = 0;

                while (m && m->id != root && depth++ < n)
                        m = find_mount(mounts, n, m->parent);
                mounts[i].left_out = !m || m->id != root;
        }
}

static void put_mount(Lines *lines, const Mount *mount) {
        lines_begin(lines);
        lines_unsigned(lines, "id", mount->id);
        lines_unsigned(lines, "parent", mount->parent);
        lines_string(lines, "device", mount->device);
        lines_string(lines, "root", mount->root);
        lines_string(lines, "target", mount->target);
        lines_string(lines, "source", mount->source);
        lines_string(lines, "fstype", mount->fstype);
        lines_string(lines, "options", mount->options);
        lines_string(lines, "super_options", mount->super_options);
        lines_string(lines, "propagation", mount->propagation ?: "private");
        lines_end(lines);
}

int list_mounts(Sentry *sentry, GuestPid pid, Lines *lines) {
        _cleanup_free_ Mount *mounts = NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        bool settled = false;
        char path[64], *rest, *line;
        uint64_t root = 0;
        size_t n = 0;
        int r;

        (void) snprintf(path, sizeof(path), "%d/mountinfo", (int) pid);
        fd = openat(sentry->host.proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        r = read_table(fd, &text, &settled);
        if (r < 0)
                return r;
        for (const char *p = text; (p = strchr(p, '\n')); p++)
                n++;
        mounts = calloc(n + 1, sizeof(Mount));
        if (!mounts)
                return -ENOMEM;
        rest = text;
        for (n = 0; (line = strsep(&rest, "\n")) && *line;)
                if (parse_mount(line, &mounts[n]))
                        n++;
        if (n > 0)
                root = mounts[0].id; /* it comes first */
        qsort(mounts, n, sizeof(Mount), compare_ids);
        if (!settled)
                make_tree(mounts, n, root);
        for (size_t i = 0; i < n; i++)
                if (!mounts[i].left_out)
                        put_mount(lines, &mounts[i]);
        if (!settled) {
                lines_begin(lines);
                lines_bool(lines, "changing", true);
                lines_end(lines);
        }
        return lines->error;
}
