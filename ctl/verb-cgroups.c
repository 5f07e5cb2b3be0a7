/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cgroups: the control groups of a sandbox, what they hold and what they may. */

#include "lists.h"
#include "util.h"

static const Column cgroup_columns[] = {
        { "path", "GROUP", 0, COLUMN_TEXT, true, 0 },
        { "processes", "PROCESSES", 0, COLUMN_NUMBER, false, 0 },
        { "tasks", "TASKS", 0, COLUMN_NUMBER, false, 0 },
        { "tasks_max", "MAX", 0, COLUMN_NUMBER, false, 0 },
        { "memory", "MEMORY", 0, COLUMN_SIZE, false, 0 },
        { "memory_max", "MAX", 0, COLUMN_SIZE, false, 0 },
        { "swap_max", NULL, 0, COLUMN_SIZE, false, 0 },
        { "cpu_usec", "CPU", 0, COLUMN_SPAN, false, 0 },
        { "cpu_max", "MAX", 0, COLUMN_TEXT, false, 0 },
        { "cpu_weight", NULL, 0, COLUMN_TEXT, false, 0 },
        { "io_max", NULL, 0, COLUMN_TEXT, false, 0 },
        { "frozen", NULL, 0, COLUMN_TEXT, false, 0 },
        { "controllers", NULL, 0, COLUMN_TEXT, false, 0 },
        {},
};

static int verb_cgroups_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = list_read(ctl, path, "ListCgroups", NULL, &rows);
        if (r >= 0)
                r = table_print(ctl, cgroup_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                ctl_notice(ctl, "It has no control group.");
        return r;
}

const Verb verb_cgroups = {
        .name = "cgroups",
        .arguments = "[NAME]",
        .summary = "List the control groups of a sandbox, with their limits",
        .details = "GROUP is as the sandbox sees it: its own is /. What has no limit, or no controller, shows a dash.\n",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_cgroups_main,
};
