/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "cgroup-path.h"
#include "util.h"

#define MOUNTINFO_MAX (4U * 1024U * 1024U)

/* The next field of a line of mountinfo, ended by a NUL. Moves on behind it; NULL at the end. */
static char *next_field(char **line) {
        char *field;

        do
                field = strsep(line, " ");
        while (field && !*field);
        return field;
}

/* Takes "ID PARENT MAJ:MIN ROOT MOUNTPOINT … - TYPE SOURCE OPTIONS" apart; proc_pid_mountinfo(5). */
static bool is_cgroup2(char *line, char **ret_root, char **ret_mountpoint) {
        char *end = strstr(line, " - "), *type;

        if (!end)
                return false;
        type = end + 3;
        if (strncmp(type, "cgroup2 ", 8) != 0)
                return false;
        *end = '\0';
        for (unsigned i = 0; i < 3; i++)
                if (!next_field(&line))
                        return false;
        *ret_root = next_field(&line);
        *ret_mountpoint = next_field(&line);
        /* Blanks and the like are escaped: nobody mounts cgroups at such a place. */
        return *ret_root && *ret_mountpoint && !strchr(*ret_root, '\\') && !strchr(*ret_mountpoint, '\\');
}

static int find_mount(char **ret_root, char **ret_mountpoint) {
        _cleanup_free_ char *text = NULL;
        char *rest;
        int r;

        r = read_full_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return r;
        rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
                _cleanup_free_ char *root = NULL;
                char *from, *at;

                if (!is_cgroup2(line, &from, &at))
                        continue;
                root = strdup(from);
                *ret_mountpoint = strdup(at);
                if (!root || !*ret_mountpoint) {
                        free(*ret_mountpoint);
                        return -ENOMEM;
                }
                *ret_root = TAKE_PTR(root);
                return 0;
        }
        return -ENOENT;
}

int cgroup_find_mount(char **ret) {
        _cleanup_free_ char *root = NULL;

        return find_mount(&root, ret);
}

int cgroup_find_of(pid_t pid, char **ret) {
        _cleanup_free_ char *root = NULL, *mountpoint = NULL, *text = NULL, *path = NULL;
        const char *group, *below;
        char file[64];
        int r;

        if (pid == 0)
                (void) snprintf(file, sizeof(file), "/proc/self/cgroup");
        else
                (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
        r = read_full_file(file, 65536, &text, NULL);
        if (r < 0)
                return r;
        group = startswith(text, "0::");
        if (!group) {
                group = strstr(text, "\n0::");
                if (!group)
                        return -ENOENT;
                group += strlen("\n0::");
        }

        r = find_mount(&root, &mountpoint);
        if (r < 0)
                return r;
        below = streq(root, "/") ? group : startswith(group, root);
        if (!below || (*below && *below != '/' && *below != '\n') || strstr(below, "/.."))
                return -ENOENT;
        r = string_appendf(&path, "%s%.*s", mountpoint, (int) strcspn(below, "\n"), below);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(path);
        return 0;
}
