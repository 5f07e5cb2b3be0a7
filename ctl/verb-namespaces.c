/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* namespaces: those that the processes of a sandbox are in. */

#include "lists.h"
#include "util.h"

static const Column namespace_columns[] = {
        { "inode", "NS", 0, COLUMN_NUMBER, false, 0 },
        { "type", "TYPE", 0, COLUMN_TEXT, false, 0 },
        { "processes", "NPROCS", 0, COLUMN_NUMBER, false, 0 },
        { "pid", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "held_by_fd", NULL, 0, COLUMN_NUMBER, false, 0 },
        { NULL, "PID", 0, COLUMN_TEXT, false, 0 },
        { "uid", "UID", 0, COLUMN_NUMBER, false, 0 },
        { "comm", "COMMAND", 0, COLUMN_TEXT, false, 0 },
        { "parent", "PARENT", 0, COLUMN_NUMBER0, false, 0 },
        { "owner", "OWNER", 0, COLUMN_NUMBER0, false, 0 },
        { "hostname", NULL, 0, COLUMN_TEXT, false, 0 },
        { "domainname", NULL, 0, COLUMN_TEXT, false, 0 },
        { "host", NULL, 0, COLUMN_TEXT, false, 0 },
        { NULL, "VALUES", 0, COLUMN_TEXT, true, 0 },
        {},
};

static int complete(json_object *row) {
        _cleanup_free_ char *pid = NULL, *values = NULL;
        int r;

        r = json_object_object_get_ex(row, "held_by_fd", NULL) ?
                string_appendf(&pid, "%s:fd%s", row_text(row, "pid"), row_text(row, "held_by_fd")) :
                string_appendf(&pid, "%s", row_text(row, "pid"));
        if (r >= 0)
                r = row_add(row, "PID", pid);
        if (r >= 0)
                r = string_appendf(&values, "%s", json_object_get_boolean(json_object_object_get(row, "host")) ?
                                                          "the host's" : "");
        if (r >= 0 && json_object_object_get_ex(row, "hostname", NULL))
                r = string_appendf(&values, "%shostname=%s domainname=%s", *values ? ", " : "",
                                   row_text(row, "hostname"), row_text(row, "domainname"));
        return r < 0 ? r : row_add(row, "VALUES", values);
}

static int verb_namespaces_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = list_read(ctl, path, "ListNamespaces", NULL, &rows);
        if (r < 0)
                return r;
        for (size_t i = 0; ctl->json == JSON_OFF && i < json_object_array_length(rows); i++)
                if (complete(json_object_array_get_idx(rows, i)) < 0)
                        return ctl_oom();
        return table_print(ctl, namespace_columns, rows);
}

const Verb verb_namespaces = {
        .name = "namespaces",
        .arguments = "[NAME]",
        .summary = "List the namespaces that the processes of a sandbox are in",
        .details = "PID is the lowest process in it; of one that nobody is in, who has a descriptor of it, and which.\n"
                   "PARENT and OWNER are namespaces, too: what a user or PID namespace was made in, and the user\n"
                   "namespace whose root may rule it.\n",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_namespaces_main,
};
