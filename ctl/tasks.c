/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/wait.h>

#include "bus-tasks.h"
#include "connect.h"
#include "credentials.h"
#include "tasks.h"
#include "util.h"

/* Places in the array below. */
enum {
        COLUMN_SANDBOX,
        COLUMN_PID,
        COLUMN_TID,
        COLUMN_CONTAINER = 11,
        COLUMN_STATUS = 14,
        COLUMN_TREE = 16,
        _COLUMNS = 20,
};

/* In the order of GetTasks, after the sandbox. */
static const Column task_columns[_COLUMNS + 1] = {
        [COLUMN_SANDBOX] = { "sandbox", "NAME", 0, COLUMN_TEXT, false, 0 },
        [COLUMN_PID] = { "pid", "PID", 'u', COLUMN_NUMBER, false, 2 },
        [COLUMN_TID] = { "tid", "TID", 'u', COLUMN_NUMBER, false, 1 },
        { "ppid", "PPID", 'u', COLUMN_NUMBER, false, 3 },
        { "hostpid", "HOSTPID", 'u', COLUMN_NUMBER, false, 4 },
        { "group", NULL, 'u', COLUMN_NUMBER, false, 5 },
        { "session", NULL, 'u', COLUMN_NUMBER, false, 6 },
        { "threads", NULL, 'u', COLUMN_NUMBER, false, 7 },
        { "uid", "UID", 'u', COLUMN_NUMBER, false, 8 },
        { "state", "S", 's', COLUMN_TEXT, false, 9 },
        { NULL, "TIME", 0, COLUMN_TEXT, false, 0 },
        [COLUMN_CONTAINER] = { "container", "CONTAINER", 's', COLUMN_TEXT, false, 11 },
        { "started", NULL, 't', COLUMN_TIME, false, 12 },
        { "cpu_usec", NULL, 't', COLUMN_NUMBER, false, 13 },
        [COLUMN_STATUS] = { NULL, "STATUS", 0, COLUMN_TEXT, false, 0 },
        { "wait_status", NULL, 'i', COLUMN_NUMBER, false, 14 },
        [COLUMN_TREE] = { "comm", "COMM", 's', COLUMN_TEXT, false, 10 },
        { "exe", NULL, 's', COLUMN_TEXT, false, 15 },
        { "args", "ARGS", 'a', COLUMN_TEXT, true, 16 },
        { "details", NULL, 'D', COLUMN_TEXT, false, 17 },
};

static const char *text_of(json_object *row, const char *key) {
        return json_object_get_string(json_object_object_get(row, key)) ?: "";
}

static int add_text(json_object *row, const char *key, const char *text) {
        json_object *value = json_object_new_string(text);

        if (!value || json_object_object_add(row, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

/* What a zombie ended with, as people say it. */
static const char *status_text(int status, char buffer[static 32]) {
        if (status < 0)
                return "?";
        if (WIFSIGNALED(status))
                (void) snprintf(buffer, 32, "SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
        else
                (void) snprintf(buffer, 32, "%d", WEXITSTATUS(status));
        return buffer;
}

/* Cells that are made of others. */
static int complete(json_object *row) {
        uint64_t seconds = json_object_get_uint64(json_object_object_get(row, "cpu_usec")) / 1000000;
        json_object *details, *wait_status;
        char time[32], status[32];
        int r;

        (void) snprintf(time, sizeof(time), "%02u:%02u:%02u", (unsigned) (seconds / 3600),
                        (unsigned) (seconds / 60 % 60), (unsigned) (seconds % 60));
        r = add_text(row, "TIME", time);
        if (r < 0)
                return r;
        if (json_object_object_get_ex(row, "details", &details) && json_object_object_length(details) == 0)
                json_object_object_del(row, "details");
        r = credentials_name(row);
        if (r < 0)
                return r;
        if (*text_of(row, "state") != 'Z') {
                json_object_object_del(row, "wait_status");
                return 0;
        }
        wait_status = json_object_object_get(row, "wait_status");
        return add_text(row, "STATUS", status_text(json_object_get_int(wait_status), status));
}

int tasks_get(Ctl *ctl, const char *path, const char *name, uint32_t flags, bool may_be_gone, json_object *rows) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_json_ json_object *common = json_object_new_object();
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        size_t before = json_object_array_length(rows);
        int r;

        if (!common || add_text(common, "sandbox", name) < 0)
                return ctl_oom();
        r = ctl_new_call(ctl, path, BUS_SANDBOX_INTERFACE, "GetTasks", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "u", flags);
        if (r < 0)
                return CTL_FAILED;
        if (ctl_send(ctl, call, 0, &error, &reply) < 0) {
                if (may_be_gone && sd_bus_error_has_names(&error, BUS_ERROR_NO_SUCH_SANDBOX, BUS_ERROR_NOT_RUNNING,
                                                          SD_BUS_ERROR_UNKNOWN_OBJECT))
                        return 0;
                return ctl_error("%s", bus_error_message(&error, EIO));
        }
        r = table_read(rows, task_columns, reply, common);
        for (size_t i = before; r >= 0 && i < json_object_array_length(rows); i++)
                r = complete(json_object_array_get_idx(rows, i));
        return r < 0 ? ctl_bad_reply("GetTasks", r) : 0;
}

/* Whether a column says anything in any row. */
static bool any(json_object *rows, const char *key) {
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                if (*text_of(json_object_array_get_idx(rows, i), key))
                        return true;
        return false;
}

static uint64_t number_of(json_object *row, const char *key) {
        return json_object_get_uint64(json_object_object_get(row, key));
}

/* A row by what it is looked for. */
typedef struct Place {
        const char *sandbox;
        uint64_t tid;
        size_t index;
} Place;

static int compare_places(const void *a, const void *b) {
        const Place *x = a, *y = b;
        int c = strcmp(x->sandbox, y->sandbox);

        return c != 0 ? c : (x->tid > y->tid) - (x->tid < y->tid);
}

/* For each row the row of its parent, SIZE_MAX: none. A thread hangs on its process. The caller frees. */
static int find_parents(json_object *rows, size_t **ret) {
        size_t n = json_object_array_length(rows), *parents = calloc(n + 1, sizeof(size_t));
        _cleanup_free_ Place *places = calloc(n + 1, sizeof(Place));

        if (!parents || !places) {
                free(parents);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);

                places[i] = (Place) { text_of(row, "sandbox"), number_of(row, "tid"), i };
        }
        qsort(places, n, sizeof(Place), compare_places);
        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i), *parent;
                uint64_t tid = number_of(row, "tid"), pid = number_of(row, "pid"), started, parent_started;
                Place key = { text_of(row, "sandbox"), tid == pid ? number_of(row, "ppid") : pid, 0 }, *found;

                parents[i] = SIZE_MAX;
                found = bsearch(&key, places, n, sizeof(Place), compare_places);
                if (!found)
                        continue;
                /* Rows are of slightly different moments; an order keeps them from being a circle. */
                parent = json_object_array_get_idx(rows, found->index);
                started = number_of(row, "started");
                parent_started = number_of(parent, "started");
                if (parent_started < started || (parent_started == started && key.tid < tid))
                        parents[i] = found->index;
        }
        *ret = parents;
        return 0;
}

int tasks_print(const Ctl *ctl, json_object *rows, bool with_sandbox, bool with_threads, bool tree) {
        _cleanup_free_ size_t *parents = NULL;
        Column columns[_COLUMNS + 1];
        size_t n = 0;

        for (size_t i = 0; i < _COLUMNS; i++) {
                Column column = task_columns[i];

                if (i == COLUMN_SANDBOX && !with_sandbox)
                        continue;
                if (i == COLUMN_TID && !with_threads)
                        continue;
                if ((i == COLUMN_CONTAINER && !any(rows, "container")) ||
                    (i == COLUMN_STATUS && !any(rows, "STATUS")))
                        column.header = NULL;
                if (column.key || column.header)
                        columns[n++] = column;
        }
        columns[n] = (Column) {};
        if (!tree || ctl->json != JSON_OFF)
                return table_print(ctl, columns, rows);
        if (find_parents(rows, &parents) < 0)
                return ctl_oom();
        return table_print_tree(ctl, columns, rows, "comm", parents);
}
