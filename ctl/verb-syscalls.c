/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syscalls: the table of system calls and who answers them, of this version or as counted in a sandbox. */

#include <seccomp.h>

#include "connect.h"
#include "sandboxes.h"
#include "syscall.h"
#include "syscalls-man.h"
#include "syscalls-stats.h"
#include "table.h"
#include "text.h"

enum {
        OPTION_SANDBOX = OPTION_FIRST,
        OPTION_CLASS,
        OPTION_STATS,
        OPTION_MAN,
};

/* The conditions as the table has them: with the names of the flags, which syscall_table has lost. */
#define IS(argument, value) "argument " #argument " is " #value
#define IS32(argument, value) "argument " #argument " is " #value
#define ISNT32(argument, value) "argument " #argument " is not " #value
#define HAS(argument, value) "argument " #argument " has any of " #value
#define V1(a) a
#define V2(a, b) a ", or " b
#define W1(a) a
#define W2(a, b) a ", or " b
#define W3(a, b, c) a ", or " b ", or " c
#define W4(a, b, c, d) a ", or " b ", or " c ", or " d
#define W5(a, b, c, d, e) a ", or " b ", or " c ", or " d ", or " e
#define NATIVE(name, family, args, note)
#define NATIVE_UNLESS(name, family, cond, args, note) [SYSCALL_ID_##name] = { .when = cond },
#define EMULATED(name, family, args, note)
#define MEDIATED(name, family, feature, args, note)
#define MEDIATED_WHEN(name, family, feature, cond, args, note) [SYSCALL_ID_##name] = { .when = cond },
#define MEDIATED_ALSO(name, family, feature, other, cond, args, note) [SYSCALL_ID_##name] = { .also = cond },
#define REFUSED(name, family, error, args, note)
#define REFUSED_WHEN(name, family, error, cond, args, note) [SYSCALL_ID_##name] = { .when = cond },
#define DENIED_WHEN(name, family, error, cond, args, note) [SYSCALL_ID_##name] = { .when = cond },
#define DENIED_ALSO(name, family, error, cond, other, other_cond, args, note) \
        [SYSCALL_ID_##name] = { .when = cond, .also = other_cond },
static const struct {
        const char *when, *also;
} conditions[_SYSCALL_ID_MAX] = {
#include "syscalls.def"
};

const char *syscall_condition(SyscallId id) {
        return conditions[id].when;
}

const char *syscall_also_condition(SyscallId id) {
        return conditions[id].also;
}

const char *syscall_detail(const SyscallRow *row) {
        if (row->class == SYSCALL_MEDIATED)
                return syscall_feature_to_string(row->feature) ?: "";
        return row->error != 0 ? strerrorname_np(row->error) ?: "" : "";
}

char *syscall_arguments(const SyscallRow *row) {
        _cleanup_free_ char *text = strdup("");

        for (unsigned i = 0; text && i < row->n_args; i++)
                if (string_appendf(&text, "%s%s", i > 0 ? ", " : "", syscall_arg_to_string(row->args[i]) ?: "?") < 0)
                        return NULL;
        return TAKE_PTR(text);
}

static const Column columns[] = {
        { "name", "NAME", 's', COLUMN_TEXT, false, 0 },
        { "number", "NR", 'i', COLUMN_NUMBER, false, 0 },
        { "class", "CLASS", 's', COLUMN_TEXT, false, 0 },
        { NULL, "ERRNO/FEATURE", 's', COLUMN_TEXT, false, 0 },
        { "errno", NULL, 's', COLUMN_TEXT, false, 0 },
        { "feature", NULL, 's', COLUMN_TEXT, false, 0 },
        { "family", "FAMILY", 's', COLUMN_TEXT, false, 0 },
        { "arguments", "ARGUMENTS", 'a', COLUMN_TEXT, false, 0 },
        { "when", NULL, 's', COLUMN_TEXT, false, 0 },
        { "note", "NOTE", 's', COLUMN_TEXT, true, 0 },
        {},
};

static int add_text(json_object *row, const char *key, const char *value) {
        json_object *string;

        if (!value || !*value)
                return 0;
        string = json_object_new_string(value);
        if (!string || json_object_object_add(row, key, string) < 0) {
                json_object_put(string);
                return -ENOMEM;
        }
        return 0;
}

static json_object *make_arguments(const SyscallRow *row) {
        _cleanup_json_ json_object *array = json_object_new_array();

        for (unsigned i = 0; array && i < row->n_args; i++) {
                json_object *string = json_object_new_string(syscall_arg_to_string(row->args[i]) ?: "?");

                if (!string || json_object_array_add(array, string) < 0) {
                        json_object_put(string);
                        return NULL;
                }
        }
        return TAKE_PTR(array);
}

static json_object *make_row(SyscallId id) {
        const SyscallRow *row = syscall_table + id;
        _cleanup_json_ json_object *object = json_object_new_object();
        json_object *arguments, *number;
        int nr = seccomp_syscall_resolve_name(row->name);

        if (!object)
                return NULL;
        arguments = make_arguments(row);
        if (!arguments || json_object_object_add(object, "arguments", arguments) < 0) {
                json_object_put(arguments);
                return NULL;
        }
        if (nr >= 0) { /* others are calls that this architecture does not have */
                number = json_object_new_int(nr);
                if (!number || json_object_object_add(object, "number", number) < 0) {
                        json_object_put(number);
                        return NULL;
                }
        }
        if (add_text(object, "name", row->name) < 0 ||
            add_text(object, "class", syscall_class_to_string(row->class)) < 0 ||
            add_text(object, "ERRNO/FEATURE", *syscall_detail(row) ? syscall_detail(row) : "-") < 0 ||
            add_text(object, row->class == SYSCALL_MEDIATED ? "feature" : "errno", syscall_detail(row)) < 0 ||
            add_text(object, "family", row->family) < 0 || add_text(object, "when", conditions[id].when) < 0 ||
            add_text(object, "note", row->note) < 0)
                return NULL;
        /* An empty cell, where "-" would look like a note. */
        if (!*row->note && json_object_object_add(object, "note", json_object_new_string("")) < 0)
                return NULL;
        return TAKE_PTR(object);
}

const char *syscall_class_explain(const SyscallRow *row) {
        bool conditional = row->n_when > 0;

        switch (row->class) {
        case SYSCALL_NATIVE:
                return conditional ? "the host kernel answers, the emulated kernel the calls below" :
                                     "the host kernel answers";
        case SYSCALL_EMULATED:
                return "the emulated kernel answers";
        case SYSCALL_MEDIATED:
                return conditional ? "with the feature in the profile the emulated kernel answers the calls below, the "
                                     "host kernel others" :
                                     "the emulated kernel answers when the profile has the feature, else the host "
                                     "kernel";
        case SYSCALL_REFUSED:
                return conditional ?
                               "the calls below fail with this error and an event, the host kernel answers others" :
                               "fails with this error and an event";
        case SYSCALL_DENIED:
                return conditional ? "the calls below fail with this error, the host kernel answers others" :
                                     "fails with this error";
        case _SYSCALL_CLASS_MAX:
                break;
        }
        return "";
}

/* One row in full. */
static int print_one(Ctl *ctl, SyscallId id) {
        const SyscallRow *row = syscall_table + id;
        _cleanup_json_ json_object *object = make_row(id), *rows = json_object_new_array();
        _cleanup_free_ char *arguments = syscall_arguments(row);
        int nr = seccomp_syscall_resolve_name(row->name);

        if (!object || !rows || !arguments || json_object_array_add(rows, json_object_get(object)) < 0)
                return ctl_oom();
        if (ctl->json != JSON_OFF)
                return json_print(ctl, columns, rows);

        field_print("Name", "%s", row->name);
        if (nr >= 0)
                field_print("Number", "%d", nr);
        else
                field_print("Number", "none on this architecture");
        field_print("Class", "%s: %s", syscall_class_to_string(row->class), syscall_class_explain(row));
        if (*syscall_detail(row))
                field_print(row->class == SYSCALL_MEDIATED ? "Feature" : "Error", "%s", syscall_detail(row));
        if (conditions[id].when)
                field_print("Calls", "those whose %s (arguments count from 0)", conditions[id].when);
        if (conditions[id].also)
                field_print("Also", "with the feature %s the emulated kernel answers those whose %s",
                            syscall_feature_to_string(row->also), conditions[id].also);
        field_print("Family", "%s", row->family);
        field_print("Arguments", "%s", *arguments ? arguments : "none");
        if (*row->note)
                field_print("Note", "%s", row->note);
        return 0;
}

static int print_table(Ctl *ctl, const char *class) {
        _cleanup_json_ json_object *rows = json_object_new_array();

        if (!rows)
                return ctl_oom();
        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                json_object *row;

                if (class && !streq_ptr(syscall_class_to_string(syscall_table[id].class), class))
                        continue;
                row = make_row(id);
                if (!row || json_object_array_add(rows, row) < 0) {
                        json_object_put(row);
                        return ctl_oom();
                }
        }
        return table_print(ctl, columns, rows);
}

/* What a sandbox has called so far. */
static int print_counts(Ctl *ctl, const char *name) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *path = NULL;
        int r;

        if (!rows)
                return ctl_oom();
        r = sandbox_find(ctl, name, NULL, &path);
        if (r >= 0)
                r = sandbox_call(ctl, path, "GetSyscalls", &reply);
        if (r < 0)
                return r;
        r = table_read(rows, call_columns, reply, NULL);
        if (r < 0)
                return ctl_bad_reply("GetSyscalls", r);
        json_object_array_sort(rows, compare_calls);
        return table_print(ctl, call_columns, rows);
}

static int check_class(Ctl *ctl, const char *value) {
        for (SyscallClass class = 0; class < _SYSCALL_CLASS_MAX; class++)
                if (streq_ptr(syscall_class_to_string(class), value))
                        return 0;
        return ctl_usage(ctl, "--class is native, emulated, mediated, refused or denied, not '%s'", value);
}

static int find_row(const char *name, SyscallId *ret) {
        TextNearest nearest = TEXT_NEAREST_INIT(name);

        *ret = syscall_id_from_name(name);
        if (*ret != SYSCALL_ID_UNKNOWN)
                return 0;
        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++)
                text_nearest_offer(&nearest, syscall_table[id].name);
        if (nearest.best)
                return ctl_error("there is no system call '%s' in the table, did you mean '%s'? (for the calls of a "
                                 "sandbox: --sandbox=NAME)", name, nearest.best);
        return ctl_error("there is no system call '%s' in the table (for the calls of a sandbox: --sandbox=NAME)",
                         name);
}

static int verb_syscalls_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        const char *sandbox = NULL, *class = NULL;
        bool man = false, stats = false;
        SyscallId row;
        int id, r;

        while ((id = options_next(&parser)) > 0) {
                switch (id) {
                case OPTION_SANDBOX:
                        sandbox = parser.value;
                        break;
                case OPTION_CLASS:
                        r = check_class(ctl, parser.value);
                        if (r < 0)
                                return r;
                        class = parser.value;
                        break;
                case OPTION_STATS:
                        stats = true;
                        break;
                default: /* OPTION_MAN */
                        man = true;
                }
        }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 0, (sandbox && !stats) || class || man ? 0 : 1);
        if (r < 0)
                return r;
        if (stats && !sandbox)
                return ctl_usage(ctl, "--stats needs --sandbox=NAME: whose calls?");
        if (stats) {
                if (parser.index < argc) {
                        r = find_row(argv[parser.index], &row);
                        if (r < 0)
                                return r;
                }
                return syscalls_stats(ctl, sandbox, argv[parser.index]); /* argv ends with NULL */
        }

        if (man)
                return syscalls_man();
        if (sandbox)
                return print_counts(ctl, sandbox);
        if (parser.index >= argc)
                return print_table(ctl, class);
        r = find_row(argv[parser.index], &row);
        return r < 0 ? r : print_one(ctl, row);
}

const Verb verb_syscalls = {
        .name = "syscalls",
        .arguments = "[SYSCALL]",
        .summary = "Tell how system calls are answered, and how often",
        .details = "Examples:\n"
                   "  sentryctl syscalls uname\n"
                   "  sentryctl syscalls --sandbox=web\n"
                   "  sentryctl syscalls --sandbox=web --stats uname\n",
        .options = (const Option[]) {
                { OPTION_SANDBOX, "sandbox", 's', "NAME", false, "The calls of a sandbox, counted" },
                { OPTION_CLASS, "class", 'c', "CLASS", false, "Only rows of this class" },
                { OPTION_STATS, "stats", 0, NULL, false, "With --sandbox: how long they took, as histograms" },
                { OPTION_MAN, "man", 0, NULL, false, NULL },
                {},
        },
        .lists = true,
        .pages = true,
        .run = verb_syscalls_main,
};
