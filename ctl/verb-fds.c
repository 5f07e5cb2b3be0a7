/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* fds: the open files of the processes of a sandbox. */

#include "lists.h"
#include "text.h"
#include "util.h"

static const Column fd_columns[] = {
        { NULL, "PID", 0, COLUMN_TEXT, false, 0 },
        { "fd", "FD", 0, COLUMN_NUMBER, false, 0 },
        { "kind", "KIND", 0, COLUMN_TEXT, false, 0 },
        { "access", "ACCESS", 0, COLUMN_TEXT, false, 0 },
        { "flags", "FLAGS", 0, COLUMN_TEXT, false, 0 },
        { "pos", "POS", 0, COLUMN_NUMBER0, false, 0 },
        { "target", "TARGET", 0, COLUMN_TEXT, true, 0 },
        { NULL, "OBJECT", 0, COLUMN_TEXT, true, 0 },
        {},
};

/* "7", or "7,8,9" of a table that is shared. */
static int make_pids(json_object *table, char **ret) {
        json_object *others = json_object_object_get(table, "shared_with");
        _cleanup_free_ char *text = NULL;
        int r;

        r = string_appendf(&text, "%s", row_text(table, "pid"));
        for (size_t i = 0; r >= 0 && others && i < json_object_array_length(others); i++) {
                if (i == 3) {
                        r = string_appendf(&text, ",...");
                        break;
                }
                r = string_appendf(&text, ",%s", json_object_get_string(json_object_array_get_idx(others, i)));
        }
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

/* "next=2s": one member of the object. Of a list it is the number of its items. */
static int append_member(char **text, const char *key, json_object *value) {
        const char *shown = json_object_get_string(value) ?: "?", *separator = **text ? " " : "";
        size_t n = strlen(key);
        char span[TEXT_SPAN_MAX];

        if (json_object_is_type(value, json_type_array))
                return string_appendf(text, "%s%s:%zu", separator, key, json_object_array_length(value));
        if (n > 3 && streq(key + n - 3, "_ns")) {
                text_span(json_object_get_uint64(value) / 1000, span);
                return string_appendf(text, "%s%.*s=%s", separator, (int) n - 3, key, span);
        }
        return string_appendf(text, "%s%s=%s", separator, key, shown);
}

static int make_object_text(json_object *object, char **ret) {
        _cleanup_free_ char *text = strdup("");
        int r = text ? 0 : -ENOMEM;

        if (object && r >= 0) {
                json_object_object_foreach(object, key, value) {
                        r = append_member(&text, key, value);
                        if (r < 0)
                                break;
                }
        }
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

/* As it comes, too: what is kept is what is shown. */
typedef struct TableOutput {
        const Ctl *ctl;
        Table *table; /* owned */
        char *pids;   /* owned: of the table of descriptors at hand */
} TableOutput;

static int show_as_it_comes(json_object *row, const char *line, void *userdata) {
        _cleanup_free_ char *object = NULL;
        TableOutput *output = userdata;
        json_object *table, *error;

        (void) line;
        if (json_object_object_get_ex(row, "table", &table)) {
                free(output->pids);
                output->pids = NULL;
                if (make_pids(table, &output->pids) < 0)
                        return ctl_oom();
                if (json_object_object_get_ex(table, "error", &error))
                        ctl_notice(output->ctl, "The descriptors of process %s (%s) are out of reach: %s.", output->pids,
                                   row_text(table, "comm"), json_object_get_string(error));
                return 0;
        }
        if (make_object_text(json_object_object_get(row, "object"), &object) < 0 ||
            row_add(row, "PID", output->pids ?: "?") < 0 || row_add(row, "OBJECT", object) < 0)
                return ctl_oom();
        return table_add(output->table, row);
}

static int print_fds(Ctl *ctl, const char *path, uint32_t pid) {
        TableOutput output = { .ctl = ctl };
        int r;

        r = table_begin(ctl, fd_columns, &output.table);
        if (r >= 0)
                r = list_each(ctl, path, "ListFds", &pid, show_as_it_comes, &output);
        if (r >= 0)
                r = table_end(output.table);
        table_free(output.table);
        free(output.pids);
        return r;
}

/* JSON goes out as it comes, since there may be very many: a list of tables, with what is in them. */
typedef struct JsonOutput {
        bool pretty;
        bool begun;             /* the list */
        bool any_table, any_fd; /* printed, of the table at hand */
} JsonOutput;

static void print_end_of_table(const JsonOutput *output) {
        if (output->any_table)
                fputs(output->pretty && output->any_fd ? "\n    ] }" : "]}", stdout);
}

static int print_table(json_object *table, JsonOutput *output) {
        const char *text = json_object_to_json_string_ext(table, JSON_C_TO_STRING_NOSLASHESCAPE |
                                                                         JSON_C_TO_STRING_PLAIN);
        _cleanup_free_ char *safe = text ? text_escape(text, ESCAPE_JSON) : NULL;
        size_t n = safe ? strlen(safe) : 0;

        if (n < 3)
                return ctl_oom();
        safe[n - 1] = '\0'; /* it goes on */
        print_end_of_table(output);
        printf("%s%s%s,\"fds\":[", output->any_table ? "," : "", output->pretty ? "\n  " : "", safe);
        output->any_table = true;
        output->any_fd = false;
        return 0;
}

static int print_as_it_comes(json_object *row, const char *line, void *userdata) {
        _cleanup_free_ char *safe = NULL;
        JsonOutput *output = userdata;
        json_object *table;

        if (!output->begun)
                putchar('[');
        output->begun = true;
        if (json_object_object_get_ex(row, "table", &table))
                return print_table(table, output);
        safe = text_escape(line, ESCAPE_JSON);
        if (!safe)
                return ctl_oom();
        safe[strcspn(safe, "\n")] = '\0';
        printf("%s%s%s", output->any_fd ? "," : "", output->pretty ? "\n      " : "", safe);
        output->any_fd = true;
        return 0;
}

static int print_json(Ctl *ctl, const char *path, uint32_t pid) {
        JsonOutput output = { .pretty = ctl->json == JSON_PRETTY };
        int r;

        r = list_each(ctl, path, "ListFds", &pid, print_as_it_comes, &output);
        if (!output.begun && r < 0)
                return r;
        if (!output.begun)
                putchar('[');
        print_end_of_table(&output);
        puts(output.pretty && output.any_table ? "\n]" : "]");
        return r;
}

static int verb_fds_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *path = NULL;
        uint32_t pid = 0;
        int r;

        r = list_arguments(ctl, argc, argv, 2, &path, &pid);
        if (r < 0)
                return r;
        return ctl->json != JSON_OFF ? print_json(ctl, path, pid) : print_fds(ctl, path, pid);
}

const Verb verb_fds = {
        .name = "fds",
        .arguments = "[NAME [PID]]",
        .summary = "List the open files of a sandbox, or of one process in it",
        .details = "ACCESS is r, w, rw or path (O_PATH). A table that several processes share is listed once, with all\n"
                   "their ids. What is on its way in a message from socket to socket is nobody's, and not listed.\n"
                   "--json tells more: inodes, limits, the watches of an inotify, the targets of an epoll.\n",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_fds_main,
};
