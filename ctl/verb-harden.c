/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* harden: a unit's own commands in sandboxes. */

#include <stdio.h>
#include <unistd.h>

#include "bus-util.h"
#include "connect.h"
#include "harden.h"
#include "table.h"
#include "text.h"
#include "util.h"

enum {
        OPTION_PROFILE = OPTION_FIRST,
        OPTION_PID,
        OPTION_DRY_RUN,
        OPTION_UNDO,
};

static void print_list(char *const *lines) {
        for (; lines && *lines; lines++) {
                _cleanup_free_ char *line = text_escape(*lines, ESCAPE_TERMINAL);

                printf("  - %s\n", line ?: "?");
        }
}

static json_object *json_of(char *const *strv) {
        json_object *array = json_object_new_array();

        for (; array && strv && *strv; strv++)
                (void) json_object_array_add(array, json_object_new_string(*strv));
        return array;
}

static int print_json(const Ctl *ctl, const HardenPlan *plan, bool done) {
        _cleanup_json_ json_object *object = json_object_new_object();

        if (!object)
                return ctl_oom();
        (void) json_object_object_add(object, "unit", json_object_new_string(plan->unit));
        (void) json_object_object_add(object, "file", json_object_new_string(plan->file));
        (void) json_object_object_add(object, "done", json_object_new_boolean(done));
        (void) json_object_object_add(object, "refusals", json_of(plan->refusals));
        (void) json_object_object_add(object, "changes", json_of(plan->changes));
        (void) json_object_object_add(object, "commands", json_of(plan->commands));
        (void) json_object_object_add(object, "text", json_object_new_string(plan->text ?: ""));
        return json_print(ctl, NULL, object);
}

static void print_text(const HardenPlan *plan) {
        printf("\n%s:\n", plan->file);
        for (const char *p = plan->text; *p;) {
                size_t n = strcspn(p, "\n");
                _cleanup_free_ char *raw = strndup(p, n), *line = raw ? text_escape(raw, ESCAPE_TERMINAL) : NULL;

                printf("    %s\n", line ?: "?");
                p += n + (p[n] == '\n');
        }
}

static int need_root(const HardenPlan *plan) {
        if (geteuid() == 0)
                return 0;
        return ctl_error("only root can write below /etc/systemd/system, where the drop-in of %s belongs (sudo sentryctl harden %s); "
                         "--dry-run shows what it would be", plan->unit, plan->unit);
}

static int undo(Ctl *ctl, sd_bus *bus, const HardenPlan *plan, bool dry_run) {
        int r;

        if (!plan->is_there)
                return ctl_error("%s is not hardened: there is no %s", plan->unit, plan->file);
        if (plan->is_foreign)
                return ctl_error("%s is not of sentryctl's making: its first line does not say so", plan->file);
        if (dry_run) {
                printf("Would remove %s and restart %s if it runs.\n", plan->file, plan->unit);
                return 0;
        }
        r = need_root(plan);
        if (r >= 0)
                r = harden_undo(ctl, bus, plan);
        if (r < 0)
                return r;
        if (ctl->json != JSON_OFF)
                return print_json(ctl, plan, true);
        printf("%s is no longer hardened.\n", plan->unit);
        return 0;
}

static int harden(Ctl *ctl, sd_bus *bus, const char *profile, HardenPlan *plan, bool dry_run) {
        int r;

        if (plan->is_there)
                return plan->is_foreign ?
                        ctl_error("%s is there, and not of sentryctl's making: move it away", plan->file) :
                        ctl_error("%s is hardened already: sentryctl harden --undo %s first", plan->unit, plan->unit);
        r = harden_look(bus, profile, plan);
        if (r < 0)
                return r;
        if (plan->refusals) {
                if (ctl->json != JSON_OFF)
                        (void) print_json(ctl, plan, false);
                (void) ctl_error("%s cannot be hardened:", plan->unit);
                for (char **line = plan->refusals; *line; line++)
                        (void) ctl_error("  %s", *line);
                return CTL_FAILED;
        }
        if (dry_run) {
                if (ctl->json != JSON_OFF)
                        return print_json(ctl, plan, false);
                printf("What would change for %s:\n", plan->unit);
                print_list(plan->changes);
                print_text(plan);
                return 0;
        }

        r = need_root(plan);
        if (r >= 0)
                r = harden_apply(ctl, bus, plan);
        if (r < 0)
                return r;
        if (ctl->json != JSON_OFF)
                return print_json(ctl, plan, true);
        printf("%s is hardened, by %s. What has changed:\n", plan->unit, plan->file);
        print_list(plan->changes);
        return 0;
}

static int verb_harden_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(harden_plan_done) HardenPlan plan = {};
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        const char *profile = "service";
        bool dry_run = false, undoes = false;
        int id, r;

        while ((id = options_next(&parser)) > 0)
                switch (id) {
                case OPTION_PROFILE:
                        if (!*parser.value || strspn(parser.value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
                                                      strlen(parser.value))
                                return ctl_usage(ctl, "--profile is the name of a profile, not '%s'", parser.value);
                        profile = parser.value;
                        break;
                case OPTION_PID:
                        if (!streq(parser.value, "host"))
                                return ctl_usage(ctl, "--pid is host, not '%s': systemd knows a unit by its process ids", parser.value);
                        break;
                case OPTION_DRY_RUN:
                        dry_run = true;
                        break;
                default: /* OPTION_UNDO */
                        undoes = true;
                }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 1, 1);
        if (r < 0)
                return r;
        if (ctl->daemon == DAEMON_USER)
                return ctl_usage(ctl, "harden is for units of the system: a user's service manager has none of root's");

        r = systemd_connect(&bus, &error);
        if (r < 0)
                return ctl_error("cannot reach systemd on the system bus: %s", bus_error_message(&error, r));
        r = harden_find(ctl, bus, argv[parser.index], &plan);
        if (r < 0)
                return r;
        return undoes ? undo(ctl, bus, &plan, dry_run) : harden(ctl, bus, profile, &plan, dry_run);
}

const Verb verb_harden = {
        .name = "harden",
        .arguments = "UNIT",
        .summary = "Run a unit's own commands in a sandbox, by a drop-in",
        .details = "Examples:\n"
                   "  sentryctl harden --dry-run nginx   what would be written, and what it changes\n"
                   "  sentryctl harden nginx             write it, restart the unit, and take it back if that fails\n"
                   "  sentryctl harden --undo nginx      remove it\n"
                   "A unit that does not run is started for a moment, to see whether it can. sentryd-harden(7) tells\n"
                   "what changes for the unit and why.\n",
        .options = (const Option[]) {
                { OPTION_PROFILE, "profile", 'p', "PROFILE", false, "What the sandbox is made of (service)" },
                { OPTION_PID, "pid", 0, "host", false, "Which processes it sees: there is one choice" },
                { OPTION_DRY_RUN, "dry-run", 0, NULL, false, "Change nothing, show what would be" },
                { OPTION_UNDO, "undo", 0, NULL, false, "Remove the drop-in" },
                {},
        },
        .run = verb_harden_main,
};
