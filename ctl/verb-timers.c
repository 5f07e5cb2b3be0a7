/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* timers and clock: what time it is in a sandbox, and what waits for it. */

#include <inttypes.h>

#include "connect.h"
#include "lists.h"
#include "sandboxes.h"
#include "table.h"
#include "text.h"

/* The members of TIMER_STRUCT. */
static const Column timer_columns[] = {
        { "pid", "PID", 'u', COLUMN_NUMBER, false, 0 },
        { "kind", "KIND", 's', COLUMN_TEXT, false, 0 },
        { "id", "ID", 'i', COLUMN_NUMBER, false, 0 },
        { "clock", "CLOCK", 's', COLUMN_TEXT, false, 0 },
        { "armed", NULL, 'b', COLUMN_TEXT, false, 0 },
        { "left", "LEFT", 'x', COLUMN_SPAN_NS0, false, 0 },
        { "interval", "PERIOD", 'x', COLUMN_SPAN_NS0, false, 0 },
        { "overrun", "OVERRUN", 't', COLUMN_NUMBER0, false, 0 },
        { "notify", "NOTIFIES", 's', COLUMN_TEXT, true, 0 },
        {},
};

static int verb_timers_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *path = NULL;
        int r;

        if (!rows)
                return ctl_oom();
        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = sandbox_call(ctl, path, "ListTimers", &reply);
        if (r < 0)
                return r;
        r = table_read(rows, timer_columns, reply, NULL);
        if (r < 0)
                return ctl_bad_reply("ListTimers", r);
        if (json_object_array_length(rows) == 0 && ctl->json == JSON_OFF) {
                ctl_notice(ctl, "There are no timers.");
                return 0;
        }
        return table_print(ctl, timer_columns, rows);
}

const Verb verb_timers = {
        .name = "timers",
        .arguments = "[NAME]",
        .summary = "List the timers of a sandbox",
        .aside = true,
        .details = "KIND is posix (timer_create), itimer (setitimer, alarm), timerfd (ID is the descriptor) or host:\n"
                   "a timer on CPU time, of which the host does not tell when it is due.\n",
        .lists = true,
        .pages = true,
        .run = verb_timers_main,
};

static int64_t number_of(json_object *clocks, const char *key) {
        return json_object_get_int64(json_object_object_get(clocks, key));
}

static void print_clock(json_object *clocks, const char *key, const char *offset_key) {
        int64_t ns = number_of(clocks, key);
        char buffer[TEXT_SPAN_MAX];

        if (offset_key)
                field_print(key, "%s (%" PRId64 ".%09" PRId64 " s; the host's is %s ahead)",
                            text_span((uint64_t) ns / 1000, buffer), ns / 1000000000, ns % 1000000000,
                            text_span((uint64_t) -number_of(clocks, offset_key) / 1000, (char[TEXT_SPAN_MAX]) {}));
        else {
                char time[TEXT_SPAN_MAX];

                text_time((uint64_t) ns / 1000, time);
                field_print(key, "%s", time);
        }
}

static int verb_clock_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *clocks = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = sandbox_call(ctl, path, "GetClocks", &reply);
        if (r < 0)
                return r;
        r = json_from_message(reply, &clocks);
        if (r < 0)
                return ctl_bad_reply("GetClocks", r);
        if (ctl->json != JSON_OFF)
                return json_print(ctl, NULL, clocks);

        print_clock(clocks, "Realtime", NULL);
        print_clock(clocks, "Monotonic", "MonotonicOffset");
        print_clock(clocks, "Boottime", "BoottimeOffset");
        field_print("Timers", "%s, %" PRId64 " armed%s", json_object_get_string(json_object_object_get(clocks, "Timers")),
                    number_of(clocks, "TimersArmed"),
                    json_object_get_boolean(json_object_object_get(clocks, "TimersPaused")) ? ", paused" : "");
        return 0;
}

const Verb verb_clock = {
        .name = "clock",
        .arguments = "[NAME]",
        .summary = "Tell what time it is in a sandbox",
        .aside = true,
        .run = verb_clock_main,
};
