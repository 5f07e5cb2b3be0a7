/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sandboxes there are. */

#include <inttypes.h>

#include "connect.h"
#include "sandboxes.h"
#include "text.h"
#include "util.h"

const Column sandbox_columns[] = {
        { "name", "NAME", 's', COLUMN_TEXT, false, 1 },
        { "path", NULL, 'o', COLUMN_TEXT, false, 2 },
        { "state", "STATE", 's', COLUMN_STATE, false, 3 },
        { "pid", "PID", 'u', COLUMN_NUMBER0, false, 5 },
        { "owner", "OWNER", 'u', COLUMN_USER, false, 4 },
        { "started", "STARTED", 't', COLUMN_SINCE, false, 6 },
        {},
};

/* In the order of GetSyscalls. */
const Column call_columns[] = {
        { "name", "NAME", 's', COLUMN_TEXT, false, 0 },
        { "calls", "CALLS", 't', COLUMN_NUMBER, false, 0 },
        { "nsec", "TIME", 't', COLUMN_SPAN_NS, false, 0 },
        {},
};

int compare_calls(const void *a, const void *b) {
        uint64_t left = json_object_get_uint64(json_object_object_get(*(json_object *const *) a, "calls"));
        uint64_t right = json_object_get_uint64(json_object_object_get(*(json_object *const *) b, "calls"));

        return left < right ? 1 : left > right ? -1 : 0;
}

/* In the order of GetLog. */
const Column log_columns[] = {
        { "seq", NULL, 't', COLUMN_NUMBER, false, 0 },
        { "usec", NULL, 't', COLUMN_NUMBER, false, 0 },
        { "level", NULL, 'u', COLUMN_NUMBER, false, 0 },
        { "text", NULL, 's', COLUMN_TEXT, false, 0 },
        {},
};

void log_print(json_object *row) {
        uint64_t usec = json_object_get_uint64(json_object_object_get(row, "usec"));
        const char *text = json_object_get_string(json_object_object_get(row, "text")) ?: "";
        size_t n = strlen(text);
        _cleanup_free_ char *line = strndup(text, n > 0 && text[n - 1] == '\n' ? n - 1 : n);
        _cleanup_free_ char *safe = line ? text_escape(line, ESCAPE_TERMINAL) : NULL;

        printf("[%5" PRIu64 ".%06" PRIu64 "] %s\n", usec / 1000000, usec % 1000000, safe ?: "");
}

int sandboxes_list(Ctl *ctl, json_object **ret_rows) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        int r;

        if (!rows)
                return ctl_oom();
        if (ctl->bus) {
                r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "ListSandboxes", &reply, NULL);
                if (r < 0)
                        return r;
                r = table_read(rows, sandbox_columns, reply, NULL);
                if (r < 0)
                        return ctl_bad_reply("ListSandboxes", r);
        }
        *ret_rows = TAKE_PTR(rows);
        return 0;
}

/* The name of the only sandbox, or an error that lists them. */
static int find_only(Ctl *ctl, char **ret_name) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *names = NULL;
        size_t n;
        int r;

        r = sandboxes_list(ctl, &rows);
        if (r < 0)
                return r;
        n = json_object_array_length(rows);
        if (n == 0)
                return ctl_error("there are no sandboxes");
        for (size_t i = 0; i < n; i++)
                if (string_appendf(&names, "%s%s", i > 0 ? ", " : "",
                                   json_object_get_string(json_object_object_get(json_object_array_get_idx(rows, i),
                                                                                 "name"))) < 0)
                        return ctl_oom();
        if (n > 1)
                return ctl_usage(ctl, "there are %zu sandboxes, name the one you mean: %s", n, names);
        *ret_name = TAKE_PTR(names);
        return 0;
}

int sandbox_find(Ctl *ctl, const char *name, char **ret_name, char **ret_path) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *found = NULL, *copy = NULL;
        const char *path;
        int r;

        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        if (!ctl->bus && name)
                return ctl_error("there is no sandbox '%s': no sentryd is running", name);
        if (!ctl->bus)
                return ctl_error("there are no sandboxes: no sentryd is running");

        if (name)
                found = strdup(name);
        else {
                r = find_only(ctl, &found);
                if (r < 0)
                        return r;
        }
        if (!found)
                return ctl_oom();

        r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "GetSandbox", &reply, "s", found);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return ctl_bad_reply("GetSandbox", r);
        copy = strdup(path);
        if (!copy)
                return ctl_oom();
        *ret_path = TAKE_PTR(copy);
        if (ret_name)
                *ret_name = TAKE_PTR(found);
        return 0;
}

int sandbox_call(Ctl *ctl, const char *path, const char *member, sd_bus_message **ret) {
        return ctl_call(ctl, path, BUS_SANDBOX_INTERFACE, member, ret, NULL);
}

void sandboxes_notice_none(const Ctl *ctl) {
        if (ctl->bus)
                ctl_notice(ctl, "No sandboxes.");
        else
                ctl_notice(ctl, "No sandboxes (no sentryd is running).");
}
