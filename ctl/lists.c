/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "connect.h"
#include "lists.h"
#include "progress.h"
#include "sandboxes.h"
#include "util.h"

int list_arguments(Ctl *ctl, int argc, char **argv, int max_args, char **ret_path, uint32_t *ret_pid) {
        const char *name, *pid;
        int index;

        index = options_only(ctl, argc, argv, 0, max_args);
        if (index < 0)
                return index;
        name = index < argc ? argv[index] : NULL;
        pid = index + 1 < argc ? argv[index + 1] : NULL;
        if (pid && (safe_atou(pid, ret_pid) < 0 || *ret_pid == 0))
                return ctl_usage(ctl, "'%s' is no process id: give one as `sentryctl ps` shows it", pid);
        return sandbox_find(ctl, name, NULL, ret_path);
}

/* What the lines end with. 1: it was the last. */
static int check_last(json_object *row) {
        json_object *value;
        const char *error;

        if (json_object_object_get_ex(row, "end", &value))
                return 1;
        if (!json_object_object_get_ex(row, "error", &value))
                return 0;
        error = json_object_get_string(value) ?: "?";
        return ctl_error("the sandbox cannot be looked at: %s%s", error, streq(error, strerror(EPERM))
                         ? ". It may be the walls of sentryd.service: sentryd(8) tells how to lower them" : "");
}

static int read_lines(FILE *f, int (*function)(json_object *row, const char *line, void *userdata),
                      void *userdata) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new();
        _cleanup_(freep) char *line = NULL;
        size_t allocated = 0;
        ssize_t n;

        if (!tokener)
                return ctl_oom();
        while ((n = getline(&line, &allocated, f)) > 0) {
                _cleanup_json_ json_object *row = NULL;
                int r;

                json_tokener_reset(tokener);
                row = json_tokener_parse_ex(tokener, line, (int) n);
                if (!json_object_is_type(row, json_type_object))
                        return ctl_error("the daemon sent a line that is no JSON object: is it of another version?");
                r = check_last(row);
                if (r != 0)
                        return r < 0 ? r : 0;
                r = function(row, line, userdata);
                if (r < 0)
                        return r;
        }
        return ctl_error("the list broke off: the sandbox has ended, or looking took too long");
}

int list_each(Ctl *ctl, const char *path, const char *method, const uint32_t *pid,
              int (*function)(json_object *row, const char *line, void *userdata), void *userdata) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        Progress progress;
        int fd, r;
        FILE *f;

        if (pid)
                r = ctl_call(ctl, path, BUS_SANDBOX_INTERFACE, method, &reply, "u", *pid);
        else
                r = ctl_call(ctl, path, BUS_SANDBOX_INTERFACE, method, &reply, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return ctl_bad_reply(method, r);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return ctl_error("cannot keep the list: %s", strerror(errno));
        f = fdopen(fd, "r");
        if (!f) {
                safe_close(fd);
                return ctl_oom();
        }
        progress_begin(&progress, ctl);
        r = read_lines(f, function, userdata);
        progress_end(&progress);
        fclose(f);
        return r;
}

static int keep(json_object *row, const char *line, void *userdata) {
        json_object *rows = userdata;

        (void) line;
        if (json_object_array_add(rows, json_object_get(row)) >= 0)
                return 0;
        json_object_put(row);
        return ctl_oom();
}

int list_read(Ctl *ctl, const char *path, const char *method, const uint32_t *pid, json_object **ret_rows) {
        _cleanup_json_ json_object *rows = json_object_new_array();
        int r;

        if (!rows)
                return ctl_oom();
        r = list_each(ctl, path, method, pid, keep, rows);
        if (r < 0)
                return r;
        *ret_rows = TAKE_PTR(rows);
        return 0;
}

const char *row_text(json_object *row, const char *key) {
        return json_object_get_string(json_object_object_get(row, key)) ?: "";
}

uint64_t row_number(json_object *row, const char *key) {
        return json_object_get_uint64(json_object_object_get(row, key));
}

int row_add(json_object *row, const char *key, const char *text) {
        json_object *value = json_object_new_string(text);

        if (!value || json_object_object_add(row, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}
