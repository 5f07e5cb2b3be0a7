/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list and ps: what there is, as tables. */

#include "connect.h"
#include "sandboxes.h"
#include "table.h"

static int verb_list_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = options_only(ctl, argc, argv, 0, 0);
        if (r < 0)
                return r;
        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        r = sandboxes_list(ctl, &rows);
        if (r < 0)
                return r;
        r = table_print(ctl, sandbox_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                sandboxes_notice_none(ctl);
        return r;
}

const Verb verb_list = {
        .name = "list",
        .arguments = "",
        .summary = "List sandboxes",
        .run = verb_list_main,
};

/* In the order of ListTasks, after the sandbox. */
static const Column task_columns[] = {
        { "sandbox", "NAME", 0, COLUMN_TEXT, false, 0 },
        { "pid", "PID", 'u', COLUMN_NUMBER, false, 0 },
        { "ppid", "PPID", 'u', COLUMN_NUMBER, false, 0 },
        { "hostpid", "HOSTPID", 'u', COLUMN_NUMBER, false, 0 },
        { "threads", NULL, 'u', COLUMN_NUMBER, false, 0 },
        { "state", "S", 's', COLUMN_TEXT, false, 0 },
        { "comm", "COMM", 's', COLUMN_TEXT, false, 0 },
        { "started", NULL, 't', COLUMN_TIME, false, 0 },
        { "args", "ARGS", 'a', COLUMN_TEXT, true, 0 },
        {},
};

static int add_tasks(json_object *rows, const char *name, sd_bus_message *reply) {
        _cleanup_json_ json_object *common = json_object_new_object();
        json_object *value = json_object_new_string(name);
        int r;

        if (!common || !value || json_object_object_add(common, "sandbox", value) < 0) {
                json_object_put(value);
                return ctl_oom();
        }
        r = table_read(rows, task_columns, reply, common);
        return r < 0 ? ctl_bad_reply("ListTasks", r) : 0;
}

/* The tasks of every sandbox. One that ends meanwhile has none. */
static int all_tasks(Ctl *ctl, json_object *rows) {
        _cleanup_json_ json_object *sandboxes = NULL;
        int r;

        r = sandboxes_list(ctl, &sandboxes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(sandboxes); i++) {
                json_object *sandbox = json_object_array_get_idx(sandboxes, i);
                _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

                r = ctl_new_call(ctl, json_object_get_string(json_object_object_get(sandbox, "path")),
                                 BUS_SANDBOX_INTERFACE, "ListTasks", &call);
                if (r < 0)
                        return CTL_FAILED;
                if (ctl_send(ctl, call, 0, &error, &reply) < 0) {
                        if (sd_bus_error_has_names(&error, BUS_ERROR_NO_SUCH_SANDBOX, BUS_ERROR_NOT_RUNNING,
                                                   SD_BUS_ERROR_UNKNOWN_OBJECT))
                                continue;
                        return ctl_error("%s", bus_error_message(&error, EIO));
                }
                r = add_tasks(rows, json_object_get_string(json_object_object_get(sandbox, "name")), reply);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int verb_ps_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL;
        int index, r;

        if (!rows)
                return ctl_oom();
        index = options_only(ctl, argc, argv, 0, 1);
        if (index < 0)
                return index;

        if (index < argc) {
                r = sandbox_find(ctl, argv[index], NULL, &path);
                if (r >= 0)
                        r = sandbox_call(ctl, path, "ListTasks", &reply);
                if (r >= 0)
                        r = add_tasks(rows, argv[index], reply);
                return r < 0 ? r : table_print(ctl, task_columns + 1, rows);
        }

        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        r = all_tasks(ctl, rows);
        if (r >= 0)
                r = table_print(ctl, task_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                sandboxes_notice_none(ctl);
        return r;
}

const Verb verb_ps = {
        .name = "ps",
        .arguments = "[NAME]",
        .summary = "List the processes of one or all sandboxes",
        .run = verb_ps_main,
};
