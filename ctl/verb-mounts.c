/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mounts: what a sandbox, or one process in it, sees mounted. */

#include "lists.h"
#include "util.h"

static const Column mount_columns[] = {
        { "target", "TARGET", 0, COLUMN_TEXT, false, 0 },
        { "source", NULL, 0, COLUMN_TEXT, false, 0 },
        { "root", NULL, 0, COLUMN_TEXT, false, 0 },
        { NULL, "SOURCE", 0, COLUMN_TEXT, true, 0 },
        { "fstype", "FSTYPE", 0, COLUMN_TEXT, false, 0 },
        { "options", "OPTIONS", 0, COLUMN_TEXT, true, 0 },
        { "super_options", NULL, 0, COLUMN_TEXT, false, 0 },
        { "propagation", NULL, 0, COLUMN_TEXT, false, 0 },
        { "device", NULL, 0, COLUMN_TEXT, false, 0 },
        { "id", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "parent", NULL, 0, COLUMN_NUMBER, false, 0 },
        {},
};

/* "/dev/sda1[/srv/www]" where the mount shows a part of the file system. */
static int complete(json_object *row) {
        const char *root = row_text(row, "root");
        _cleanup_free_ char *source = NULL;
        int r;

        r = streq(root, "/") ? string_appendf(&source, "%s", row_text(row, "source")) :
                string_appendf(&source, "%s[%s]", row_text(row, "source"), root);
        return r < 0 ? r : row_add(row, "SOURCE", source);
}

/* Rows are sorted by their ids, ids told apart. SIZE_MAX: none. */
static size_t find(json_object *rows, uint64_t id) {
        size_t low = 0, high = json_object_array_length(rows);

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                uint64_t there = row_number(json_object_array_get_idx(rows, middle), "id");

                if (there == id)
                        return middle;
                if (there < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return SIZE_MAX;
}

static int compare_ids(const void *a, const void *b) {
        uint64_t x = row_number(*(json_object *const *) a, "id"), y = row_number(*(json_object *const *) b, "id");

        return (x > y) - (x < y);
}

/* A row that is its own ancestor hangs nowhere: what was mounted has no circles, but a daemon may say anything. */
static void cut_circles(size_t *parents, size_t n) {
        for (size_t i = 0; i < n; i++) {
                size_t depth = 0;

                for (size_t p = parents[i]; p != SIZE_MAX; p = parents[p])
                        if (++depth > n) {
                                parents[i] = SIZE_MAX;
                                break;
                        }
        }
}

static int print_mounts(const Ctl *ctl, json_object *rows) {
        size_t n = json_object_array_length(rows);
        _cleanup_free_ size_t *parents = calloc(n + 1, sizeof(size_t));

        if (!parents)
                return ctl_oom();
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                parents[i] = find(rows, row_number(row, "parent"));
                if (complete(row) < 0)
                        return ctl_oom();
        }
        cut_circles(parents, n);
        return table_print_tree(ctl, mount_columns, rows, "target", parents);
}

static int verb_mounts_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *path = NULL;
        uint32_t pid = 0;
        size_t n;
        int r;

        r = list_arguments(ctl, argc, argv, 2, &path, &pid);
        if (r >= 0)
                r = list_read(ctl, path, "ListMounts", &pid, &rows);
        if (r < 0)
                return r;
        n = json_object_array_length(rows);
        if (n > 0 && json_object_object_get_ex(json_object_array_get_idx(rows, n - 1), "changing", NULL)) {
                ctl_notice(ctl, "The mounts change all the time: some may be missing.");
                (void) json_object_array_del_idx(rows, n - 1, 1);
        }
        json_object_array_sort(rows, compare_ids);
        return ctl->json == JSON_OFF ? print_mounts(ctl, rows) : table_print(ctl, mount_columns, rows);
}

const Verb verb_mounts = {
        .name = "mounts",
        .arguments = "[NAME [PID]]",
        .summary = "List the mounts that a sandbox, or a process in it, sees",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_mounts_main,
};
