/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status, for people, and show, for programs: all that the daemon tells of itself or of a sandbox. */

#include <langinfo.h>
#include <pwd.h>

#include "connect.h"
#include "pager.h"
#include "sandboxes.h"
#include "table.h"
#include "text.h"

enum {
        OPTION_PROPERTY = OPTION_FIRST,
        OPTION_VALUE,
};

#define LOG_LINES 5U
#define TOP_CALLS 3U

/* Adds a dictionary of a message to object. */
static int add_facts(json_object *object, sd_bus_message *message) {
        _cleanup_json_ json_object *facts = NULL;
        int r;

        r = json_from_message(message, &facts);
        if (r < 0)
                return r;
        if (!json_object_is_type(facts, json_type_object))
                return -EBADMSG;
        return json_merge(object, facts);
}

/* All properties of an object. */
static int get_properties(Ctl *ctl, const char *path, const char *interface, json_object **ret) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *object = json_object_new_object();
        int r;

        if (!object)
                return ctl_oom();
        r = ctl_call(ctl, path, BUS_PROPERTIES_INTERFACE, "GetAll", &reply, "s", interface);
        if (r < 0)
                return r;
        r = add_facts(object, reply);
        if (r < 0)
                return ctl_bad_reply("GetAll", r);
        *ret = TAKE_PTR(object);
        return 0;
}

/* A call whose failure only means that there is less to tell: the sandbox may have ended. NULL then. */
static sd_bus_message *try_call(Ctl *ctl, const char *path, const char *member) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;

        if (ctl_new_call(ctl, path, BUS_SANDBOX_INTERFACE, member, &call) < 0 ||
            ctl_send(ctl, call, 0, &error, &reply) < 0)
                return NULL;
        return reply;
}

/* Properties and statistics of a sandbox. */
static int get_facts(Ctl *ctl, const char *path, json_object **ret) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *object = NULL;
        int r;

        r = get_properties(ctl, path, BUS_SANDBOX_INTERFACE, &object);
        if (r < 0)
                return r;
        reply = try_call(ctl, path, "GetStatistics");
        if (reply) {
                r = add_facts(object, reply);
                if (r < 0)
                        return ctl_bad_reply("GetStatistics", r);
        }
        *ret = TAKE_PTR(object);
        return 0;
}

static const char *fact(json_object *facts, const char *key) {
        return json_object_get_string(json_object_object_get(facts, key));
}

static uint64_t fact_number(json_object *facts, const char *key) {
        return json_object_get_uint64(json_object_object_get(facts, key));
}

/* A fact as a line, if it is there. */
static void print_fact(const char *label, json_object *facts, const char *key, ColumnKind kind) {
        json_object *value = json_object_object_get(facts, key);
        _cleanup_free_ char *text = value ? column_format(&(Column) { .kind = kind }, value) : NULL;

        if (text && *text)
                field_print(label, "%s", text);
}

static void print_headline(json_object *facts) {
        bool colors = text_colors(), running = streq_ptr(fact(facts, "State"), "running");
        _cleanup_free_ char *name = text_escape(fact(facts, "Name") ?: "?", ESCAPE_TERMINAL);
        _cleanup_free_ char *state = text_escape(fact(facts, "State") ?: "?", ESCAPE_TERMINAL);
        const char *mark = streq(nl_langinfo(CODESET), "UTF-8") ? "\342\227\217" : "*";
        uint64_t started = fact_number(facts, "StartedUSec"), now = text_now();
        char time[TEXT_SPAN_MAX], span[TEXT_SPAN_MAX];
        int status;

        printf("%s%s%s %s, %s", colors ? (running ? "\033[32m" : "\033[33m") : "", mark, colors ? "\033[0m" : "",
               name ?: "?", state ?: "?");
        status = json_object_get_int(json_object_object_get(facts, "ExitStatus"));
        if (streq_ptr(fact(facts, "State"), "exited"))
                printf(" with status %d", status);
        if (started > 0)
                printf(", started %s; %s ago", text_time(started, time),
                       text_span(now > started ? now - started : 1, span));
        putchar('\n');
}

/* What the host's kernel keeps the programs inside by; and what of the host's they reach for want of a wall. */
static void print_walls(json_object *facts) {
        json_object *walls = json_object_object_get(facts, "Walls");
        bool network = false, sockets = false, pid = false, signals = false;
        _cleanup_free_ char *namespaces = NULL, *others = NULL;

        if (!json_object_is_type(walls, json_type_array) || json_object_array_length(walls) == 0)
                return;
        for (size_t i = 0; i < json_object_array_length(walls); i++) {
                const char *wall = json_object_get_string(json_object_array_get_idx(walls, i)) ?: "";
                _cleanup_free_ char *word = text_escape(wall, ESCAPE_TERMINAL);

                network = network || streq(wall, "network-namespace");
                sockets = sockets || streq(wall, "landlock-sockets") || streq(wall, "unix-sockets");
                pid = pid || streq(wall, "pid-namespace");
                signals = signals || streq(wall, "landlock-signals");
                char *end = word ? strstr(word, "-namespace") : NULL, **text = end ? &namespaces : &others;

                if (end)
                        *end = '\0';
                if (string_appendf(text, "%s%s", *text ? " " : "", word ?: "?") < 0)
                        return;
        }
        if (namespaces)
                field_print("Namespaces", "%s", namespaces);
        if (others)
                field_print("Walls", "%s", others);
        if (!network)
                field_print("Open", "the host's network%s", sockets ? "" : ", and its abstract UNIX sockets");
        if (!pid)
                field_print("Open", "the host's process ids%s", signals ? "" : ", without a second wall to signals");
}

static void print_calls(Ctl *ctl, const char *path, json_object *facts) {
        _cleanup_bus_message_ sd_bus_message *reply = try_call(ctl, path, "GetSyscalls");
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *text = NULL;

        if (!reply || !rows || table_read(rows, call_columns, reply, NULL) < 0 ||
            string_appendf(&text, "%s answered", fact(facts, "Calls") ?: "0") < 0)
                return;
        json_object_array_sort(rows, compare_calls);
        for (size_t i = 0; i < MIN(json_object_array_length(rows), (size_t) TOP_CALLS); i++) {
                json_object *row = json_object_array_get_idx(rows, i);
                _cleanup_free_ char *name = text_escape(fact(row, "name") ?: "?", ESCAPE_TERMINAL);

                if (string_appendf(&text, "%s%s %s", i == 0 ? ", most: " : ", ", name ?: "?", fact(row, "calls")) < 0)
                        return;
        }
        field_print("Calls", "%s", text);
}

static int print_log(Ctl *ctl, const char *path) {
        _cleanup_bus_message_ sd_bus_message *reply = try_call(ctl, path, "GetLog");
        _cleanup_json_ json_object *rows = json_object_new_array();
        size_t n;

        if (!reply || !rows || table_read(rows, log_columns, reply, NULL) < 0)
                return 0;
        n = json_object_array_length(rows);
        if (n > 0)
                putchar('\n');
        for (size_t i = n > LOG_LINES ? n - LOG_LINES : 0; i < n; i++)
                log_print(json_object_array_get_idx(rows, i));
        return 0;
}

/* How the last save went, if there was one: the first line of why it failed; show has all of it. */
static void print_save(json_object *facts) {
        const char *status = fact(facts, "SaveStatus"), *message = fact(facts, "SaveMessage");
        _cleanup_free_ char *line = message ? strndup(message, strcspn(message, "\n")) : NULL, *text = NULL;

        if (!status || streq(status, "never"))
                return;
        text = line ? text_escape(line, ESCAPE_TERMINAL) : NULL;
        field_print("Save", "%s%s%s", streq(status, "saving") || streq(status, "saved") || streq(status, "failed") ? status : "?",
                    text && *text ? ": " : "", text ?: "");
}

static int status_sandbox(Ctl *ctl, const char *name) {
        _cleanup_json_ json_object *facts = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sandbox_find(ctl, name, NULL, &path);
        if (r >= 0)
                r = get_facts(ctl, path, &facts);
        if (r < 0)
                return r;
        if (ctl->json != JSON_OFF)
                return json_print(ctl, NULL, facts);

        pager_open(ctl, false);
        print_headline(facts);
        print_fact("Profile", facts, "ProfileName", COLUMN_TEXT);
        print_fact("Owner", facts, "Owner", COLUMN_USER);
        print_fact("Host name", facts, "Hostname", COLUMN_TEXT);
        if (!streq_ptr(fact(facts, "DomainName"), "(none)"))
                print_fact("Domain name", facts, "DomainName", COLUMN_TEXT);
        print_fact("CPUs", facts, "CPUs", COLUMN_TEXT);
        print_fact("Init PID", facts, "InitPID", COLUMN_NUMBER0);
        if (fact_number(facts, "PauseDepth") > 0)
                print_fact("Paused", facts, "PauseDepth", COLUMN_NUMBER);
        print_save(facts);
        print_fact("Tasks", facts, "Tasks", COLUMN_NUMBER);
        print_fact("Threads", facts, "Threads", COLUMN_NUMBER);
        print_calls(ctl, path, facts);
        print_walls(facts);
        print_fact("Memory", facts, "MemoryRSS", COLUMN_SIZE);
        print_fact("CPU time", facts, "CPUTimeUSec", COLUMN_SPAN);
        if (fact_number(facts, "CallsStuck") > 0)
                print_fact("Stuck calls", facts, "CallsStuck", COLUMN_NUMBER);
        if (fact_number(facts, "EventsDropped") > 0)
                print_fact("Events lost", facts, "EventsDropped", COLUMN_NUMBER);
        return print_log(ctl, path);
}

static int status_all(Ctl *ctl) {
        _cleanup_json_ json_object *daemon = NULL, *rows = NULL, *both = NULL;
        _cleanup_free_ char *version = NULL, *mode = NULL;
        size_t n;
        int r;

        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r >= 0)
                r = sandboxes_list(ctl, &rows);
        if (r >= 0 && ctl->bus)
                r = get_properties(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, &daemon);
        if (r < 0)
                return r;

        if (ctl->json != JSON_OFF) {
                both = json_object_new_object();
                if (!both || json_object_object_add(both, "daemon", json_object_get(daemon)) < 0 ||
                    json_object_object_add(both, "sandboxes", json_object_get(rows)) < 0)
                        return ctl_oom();
                r = json_print(ctl, NULL, both);
                if (r >= 0 && !ctl->bus)
                        sandboxes_notice_none(ctl);
                return r;
        }
        if (!ctl->bus) {
                sandboxes_notice_none(ctl);
                return 0;
        }

        pager_open(ctl, false);
        n = json_object_array_length(rows);
        version = text_escape(fact(daemon, "Version") ?: "?", ESCAPE_TERMINAL);
        mode = text_escape(fact(daemon, "Mode") ?: "?", ESCAPE_TERMINAL);
        printf("sentryd %s (%s), %zu sandbox%s\n", version ?: "?", mode ?: "?", n, n == 1 ? "" : "es");
        if (n == 0)
                return 0;
        putchar('\n');
        return table_print(ctl, sandbox_columns, rows);
}

static int verb_status_main(Ctl *ctl, int argc, char **argv) {
        int index = options_only(ctl, argc, argv, 0, 1);

        if (index < 0)
                return index;
        return index < argc ? status_sandbox(ctl, argv[index]) : status_all(ctl);
}

const Verb verb_status = {
        .name = "status",
        .arguments = "[NAME]",
        .summary = "Tell about a sandbox, or about the daemon",
        .pages = true,
        .run = verb_status_main,
};

/* A value as systemctl show has it: one line. */
static void print_property(const char *key, json_object *value, bool value_only) {
        const char *text = json_object_is_type(value, json_type_boolean) ?
                                   (json_object_get_boolean(value) ? "yes" : "no") :
                           json_object_is_type(value, json_type_string) ?
                                   json_object_get_string(value) :
                                   json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                                                 JSON_C_TO_STRING_NOSLASHESCAPE);
        _cleanup_free_ char *safe = text_escape(text ?: "", ESCAPE_TERMINAL);

        if (value_only)
                puts(safe ?: "");
        else
                printf("%s=%s\n", key, safe ?: "");
}

/* A property that is only told when asked for by its name. 1, 0 when there is none, or CTL_FAILED. */
static int get_explicit(Ctl *ctl, const char *path, const char *key, json_object *selected) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        json_object *value, *parsed;
        int r;

        if (!path) /* the daemon has none of those */
                return 0;
        r = ctl_new_call(ctl, path, BUS_PROPERTIES_INTERFACE, "Get", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", BUS_SANDBOX_INTERFACE, key);
        if (r < 0 || ctl_send(ctl, call, 0, &error, &reply) < 0)
                return 0;
        r = json_from_message(reply, &value);
        if (r < 0)
                return ctl_bad_reply("Get", r);
        if (streq(key, "Profile")) { /* a document, not its text */
                parsed = json_tokener_parse(json_object_get_string(value));
                if (parsed) {
                        json_object_put(value);
                        value = parsed;
                }
        }
        if (json_object_object_add(selected, key, value) < 0) {
                json_object_put(value);
                return ctl_oom();
        }
        return 1;
}

/* Keeps the wanted properties, in the order asked for. */
static int select_properties(Ctl *ctl, const char *path, json_object *facts, char *const *wanted, json_object **ret) {
        _cleanup_json_ json_object *selected = json_object_new_object();
        int r;

        if (!selected)
                return ctl_oom();
        for (size_t i = 0; i < strv_length(wanted); i++) {
                TextNearest nearest = TEXT_NEAREST_INIT(wanted[i]);
                json_object *value;

                if (json_object_object_get_ex(facts, wanted[i], &value)) {
                        if (json_object_object_add(selected, wanted[i], json_object_get(value)) < 0)
                                return ctl_oom();
                        continue;
                }
                r = get_explicit(ctl, path, wanted[i], selected);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                json_object_object_foreach(facts, key, ignored) {
                        (void) ignored;
                        text_nearest_offer(&nearest, key);
                }
                if (nearest.best)
                        return ctl_error("there is no property '%s', did you mean '%s'?", wanted[i], nearest.best);
                return ctl_error("there is no property '%s'", wanted[i]);
        }
        *ret = TAKE_PTR(selected);
        return 0;
}

static int add_wanted(char ***wanted, const char *list) {
        _cleanup_free_ char *copy = strdup(list);
        char *state = NULL;

        if (!copy)
                return ctl_oom();
        for (char *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state))
                if (strv_extend(wanted, word) < 0)
                        return ctl_oom();
        return 0;
}

static int show(Ctl *ctl, const char *name, char *const *wanted, bool value_only) {
        _cleanup_json_ json_object *facts = NULL, *selected = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (name)
                r = sandbox_find(ctl, name, NULL, &path);
        else
                r = ctl_connect(ctl, CONNECT_NEEDED);
        if (r >= 0)
                r = path ? get_facts(ctl, path, &facts) :
                           get_properties(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, &facts);
        if (r >= 0 && wanted)
                r = select_properties(ctl, path, facts, wanted, &selected);
        if (r < 0)
                return r;

        if (ctl->json != JSON_OFF)
                return json_print(ctl, NULL, selected ?: facts);
        pager_open(ctl, false);
        json_object_object_foreach(selected ?: facts, key, value)
                print_property(key, value, value_only);
        return 0;
}

static int verb_show_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        _cleanup_strv_free_ char **wanted = NULL;
        bool value_only = false;
        int id, r;

        while ((id = options_next(&parser)) > 0) {
                if (id == OPTION_VALUE) {
                        value_only = true;
                        continue;
                }
                r = add_wanted(&wanted, parser.value);
                if (r < 0)
                        return r;
        }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 0, 1);
        if (r < 0)
                return r;
        return show(ctl, parser.index < argc ? argv[parser.index] : NULL, wanted, value_only);
}

const Verb verb_show = {
        .name = "show",
        .arguments = "[NAME]",
        .summary = "Print properties as KEY=VALUE",
        .aside = true,
        .details = "Without NAME, the properties are the daemon's own.\n",
        .options = (const Option[]) {
                { OPTION_PROPERTY, "property", 'p', "KEY[,KEY...]", false, "Only these" },
                { OPTION_VALUE, "value", 0, NULL, false, "Print values without their keys" },
                {},
        },
        .pages = true,
        .run = verb_show_main,
};
