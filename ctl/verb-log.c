/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* dmesg and events: what a sandbox's kernel has said, and what happens in sandboxes as it happens. */

#include <inttypes.h>
#include <time.h>

#include "connect.h"
#include "pager.h"
#include "sandboxes.h"
#include "table.h"
#include "text.h"

static int verb_dmesg_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *path = NULL;
        int index, r;

        if (!rows)
                return ctl_oom();
        index = options_only(ctl, argc, argv, 0, 1);
        if (index < 0)
                return index;
        r = sandbox_find(ctl, index < argc ? argv[index] : NULL, NULL, &path);
        if (r >= 0)
                r = sandbox_call(ctl, path, "GetLog", &reply);
        if (r < 0)
                return r;
        r = table_read(rows, log_columns, reply, NULL);
        if (r < 0)
                return ctl_bad_reply("GetLog", r);

        if (ctl->json != JSON_OFF)
                return json_print(ctl, log_columns, rows);
        pager_open(ctl, false);
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                log_print(json_object_array_get_idx(rows, i));
        return 0;
}

const Verb verb_dmesg = {
        .name = "dmesg",
        .arguments = "[NAME]",
        .summary = "Print the kernel log of a sandbox",
        .aside = true,
        .pages = true,
        .run = verb_dmesg_main,
};

/* The signals of a sandbox and what they carry, in their order. */
typedef struct EventType {
        const char *member;
        const Column *columns;
} EventType;

static const EventType event_types[] = {
        { "Exited", (const Column[]) { { "status", "", 'i', COLUMN_NUMBER, false, 0 }, {} } },
        { "UnimplementedSyscall",
          (const Column[]) { { "syscall", "", 's', COLUMN_TEXT, false, 0 },
                             { "nr", "", 'i', COLUMN_NUMBER, false, 0 },
                             { "arch", "", 's', COLUMN_TEXT, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "comm", "", 's', COLUMN_TEXT, false, 0 },
                             {} } },
        { "Refused",
          (const Column[]) { { "syscall", "", 's', COLUMN_TEXT, false, 0 },
                             { "errno", "", 's', COLUMN_TEXT, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "comm", "", 's', COLUMN_TEXT, false, 0 },
                             {} } },
        { "EventsDropped", (const Column[]) { { "count", "", 't', COLUMN_NUMBER, false, 0 }, {} } },
        { "TaskNew",
          (const Column[]) { { "pid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "comm", "", 's', COLUMN_TEXT, false, 0 },
                             {} } },
        { "TaskExec",
          (const Column[]) { { "pid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "comm", "", 's', COLUMN_TEXT, false, 0 },
                             { "exe", "", 's', COLUMN_TEXT, false, 0 },
                             {} } },
        { "TaskExit",
          (const Column[]) { { "pid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "status", "", 'i', COLUMN_NUMBER, false, 0 },
                             {} } },
        { "Stuck",
          (const Column[]) { { "syscall", "", 's', COLUMN_TEXT, false, 0 },
                             { "hostpid", "", 'u', COLUMN_NUMBER, false, 0 },
                             { "comm", "", 's', COLUMN_TEXT, false, 0 },
                             { "usec", "", 't', COLUMN_NUMBER, false, 0 },
                             {} } },
        { "SandboxNew", (const Column[]) { {} } },
        { "SandboxRemoved", (const Column[]) { {} } },
        { "Changed", NULL }, /* PropertiesChanged: keys as they come */
};

typedef struct Watch {
        Ctl *ctl;
        const char *name; /* of the only sandbox wanted, or NULL */
        bool ended;
} Watch;

/* Prints " key=value" for everything the event carries. Spaces make quotes necessary. */
static void print_details(json_object *event) {
        json_object_object_foreach(event, key, value) {
                _cleanup_free_ char *text = NULL;

                if (streq(key, "time") || streq(key, "sandbox") || streq(key, "event"))
                        continue;
                text = text_escape(json_object_get_string(value) ?: "", ESCAPE_TERMINAL);
                if (!text)
                        return;
                printf(*text && !strpbrk(text, " \"") ? " %s=%s" : " %s=\"%s\"", key, text);
        }
}

static int print_event(Watch *watch, json_object *event) {
        uint64_t now = json_object_get_uint64(json_object_object_get(event, "time"));
        time_t seconds = (time_t) (now / 1000000);
        _cleanup_free_ char *name = NULL;
        char clock[16] = "";
        struct tm tm;

        if (watch->ctl->json != JSON_OFF) {
                if (json_print(watch->ctl, NULL, event) < 0)
                        return -ENOMEM;
        } else {
                name = text_escape(json_object_get_string(json_object_object_get(event, "sandbox")), ESCAPE_TERMINAL);
                if (localtime_r(&seconds, &tm))
                        (void) strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
                printf("%s.%06" PRIu64 " %s %s", clock, now % 1000000, name ?: "?",
                       json_object_get_string(json_object_object_get(event, "event")));
                print_details(event);
                putchar('\n');
        }
        /* Whoever reads wants it now; when nobody reads any more there is nothing left to do. */
        return fflush(stdout) == 0 ? 0 : -errno;
}

/* The properties that have changed, but for the profile, which is long and never does. */
static int read_changes(json_object *event, sd_bus_message *message) {
        _cleanup_json_ json_object *changes = NULL;
        int r;

        r = sd_bus_message_skip(message, "s");
        if (r >= 0)
                r = json_from_message(message, &changes);
        if (r < 0)
                return r;
        json_object_object_foreach(changes, key, value)
                if (!streq(key, "Profile") && json_object_object_add(event, key, json_object_get(value)) < 0)
                        return -ENOMEM;
        return 0;
}

static int make_event(const EventType *type, const char *name, sd_bus_message *message, json_object **ret) {
        _cleanup_json_ json_object *event = json_object_new_object();
        const struct {
                const char *key;
                json_object *value;
        } common[] = {
                { "time", json_object_new_uint64(text_now()) },
                { "sandbox", json_object_new_string(name) },
                { "event", json_object_new_string(type->member) },
        };
        int r = event ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(common); i++)
                if (r < 0 || !common[i].value || json_object_object_add(event, common[i].key, common[i].value) < 0) {
                        json_object_put(common[i].value);
                        r = -ENOMEM;
                }
        if (r >= 0)
                r = type->columns ? table_read_row(event, type->columns, message) : read_changes(event, message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(event);
        return 0;
}

static int report(Watch *watch, const char *member, const char *name, sd_bus_message *message) {
        _cleanup_json_ json_object *event = NULL;
        const EventType *type = NULL;
        int r;

        if (watch->name && !streq(watch->name, name))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(event_types); i++)
                if (streq(event_types[i].member, member))
                        type = event_types + i;
        if (!type)
                return 0; /* of a newer daemon */

        r = make_event(type, name, message, &event);
        if (r >= 0)
                r = print_event(watch, event);
        /* The last thing a sandbox says. */
        if (watch->name && (streq(member, "Exited") || streq(member, "SandboxRemoved")))
                watch->ended = true;
        return r;
}

static int on_sandbox_signal(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = sd_bus_path_decode(sd_bus_message_get_path(message), BUS_SANDBOX_PREFIX, &name);
        return r <= 0 ? r : report(userdata, sd_bus_message_get_member(message), name, message);
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = sd_bus_path_decode(sd_bus_message_get_path(message), BUS_SANDBOX_PREFIX, &name);
        return r <= 0 ? r : report(userdata, "Changed", name, message);
}

static int on_manager_signal(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        return r < 0 ? r : report(userdata, sd_bus_message_get_member(message), name, message);
}

/* Asks for the signals. Everything is asked for, since a sandbox may end while we look for its object. */
static int subscribe(Ctl *ctl, Watch *watch) {
        const char *sender = ctl_sender(ctl);
        int r;

        r = sd_bus_match_signal(ctl->bus, NULL, sender, NULL, BUS_SANDBOX_INTERFACE, NULL, on_sandbox_signal, watch);
        if (r >= 0)
                r = sd_bus_match_signal(ctl->bus, NULL, sender, NULL, BUS_PROPERTIES_INTERFACE, "PropertiesChanged",
                                        on_change, watch);
        if (r >= 0)
                r = sd_bus_match_signal(ctl->bus, NULL, sender, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, NULL,
                                        on_manager_signal, watch);
        if (r < 0)
                return ctl_error("cannot listen to %s: %s", ctl_daemon_name(ctl), strerror(-r));
        return ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "Subscribe", NULL, NULL);
}

static int verb_events_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *path = NULL;
        Watch watch = { .ctl = ctl };
        int index, r;

        index = options_only(ctl, argc, argv, 0, 1);
        if (index < 0)
                return index;
        watch.name = index < argc ? argv[index] : NULL;
        if (ctl->json == JSON_PRETTY)
                ctl->json = JSON_SHORT; /* one event, one line */

        r = ctl_connect(ctl, CONNECT_NEEDED);
        if (r >= 0)
                r = subscribe(ctl, &watch);
        if (r >= 0 && watch.name)
                r = sandbox_find(ctl, watch.name, NULL, &path);
        while (r >= 0 && !watch.ended) {
                r = sd_bus_process(ctl->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(ctl->bus, UINT64_MAX);
                if (r == -EINTR)
                        r = 0;
                if (r < 0)
                        return ctl_error("the connection to %s was lost: %s", ctl_daemon_name(ctl), strerror(-r));
        }
        return r < 0 ? r : 0;
}

const Verb verb_events = {
        .name = "events",
        .arguments = "[NAME]",
        .summary = "Print what happens in one or all sandboxes, as it happens",
        .live = true,
        .run = verb_events_main,
};
