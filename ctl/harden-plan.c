/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a unit is, what stands in the way of a sandbox, and the drop-in. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "bus-util.h"
#include "harden.h"
#include "unit-exec.h"
#include "util.h"

#define UNIT_NAME_MAX 255U
#define UNIT_FILE_MAX (1024U * 1024U)
#define LAUNCH_CAPABILITIES (UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_SETFCAP)

/* What sentryctl calls beside what any program does, before it becomes the unit's. */
static const char *const launch_syscalls[] = { "capget", "capset", "prctl", "seccomp", "unshare" };

/* Units that sentryd needs before it runs. */
static const char *const below_us[] = { "sentryd.service", "dbus.service", "dbus-broker.service", "polkit.service" };

void harden_plan_done(HardenPlan *plan) {
        free(plan->unit);
        free(plan->path);
        free(plan->type);
        free(plan->directory);
        free(plan->file);
        free(plan->text);
        strv_free(plan->refusals);
        strv_free(plan->changes);
        strv_free(plan->commands);
        *plan = (HardenPlan) {};
}

static __attribute__((format(printf, 2, 3))) int add(char ***strv, const char *format, ...) {
        char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        return strv_consume(strv, r < 0 ? NULL : text);
}

static bool unit_name_is_valid(const char *name) {
        return *name && strlen(name) <= UNIT_NAME_MAX && *name != '.' &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") == strlen(name);
}

static int find_file(HardenPlan *plan) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (asprintf(&plan->directory, "/etc/systemd/system/%s.d", plan->unit) < 0) {
                plan->directory = NULL;
                return -ENOMEM;
        }
        if (asprintf(&plan->file, "%s/" HARDEN_DROPIN, plan->directory) < 0) {
                plan->file = NULL;
                return -ENOMEM;
        }
        r = read_full_file(plan->file, UNIT_FILE_MAX, &text, NULL);
        plan->is_there = r != -ENOENT;
        plan->is_foreign = plan->is_there && (r < 0 || !startswith(text, HARDEN_MARK));
        return 0;
}

int harden_find(Ctl *ctl, sd_bus *bus, const char *name, HardenPlan *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *full = NULL, *state = NULL;
        const char *suffix, *at;
        int r;

        if (!unit_name_is_valid(name))
                return ctl_usage(ctl, "'%s' is no name of a unit", name);
        suffix = strrchr(name, '.');
        if (asprintf(&full, "%s%s", name, suffix && suffix[1] ? "" : ".service") < 0) {
                full = NULL;
                return ctl_oom();
        }
        suffix = strrchr(full, '.');
        if (!streq(suffix, ".service"))
                return ctl_error("%s is no service: only those run programs of their own", full);
        at = strchr(full, '@');
        if (at && at + 1 == suffix)
                return ctl_error("%s is a template: name one of its instances, such as %.*sNAME.service", full,
                                 (int) (at + 1 - full), full);

        r = systemd_load_unit(bus, full, &ret->path, &error);
        if (r < 0)
                return ctl_error("cannot ask systemd for %s: %s", full, bus_error_message(&error, r));
        r = systemd_get_string(bus, ret->path, SYSTEMD_UNIT_INTERFACE, "LoadState", &state);
        if (r >= 0)
                r = systemd_get_string(bus, ret->path, SYSTEMD_UNIT_INTERFACE, "Id", &ret->unit);
        if (r >= 0)
                r = systemd_get_string(bus, ret->path, SYSTEMD_SERVICE_INTERFACE, "Type", &ret->type);
        if (r < 0)
                return ctl_oom();
        if (!streq(state, "loaded") || !unit_name_is_valid(ret->unit))
                return ctl_error("systemd has no %s that it could load (its state is %s): see systemctl status %s", full, state,
                                 full);
        return find_file(ret) < 0 ? ctl_oom() : 0;
}

/* ---- commands ---- */

static int read_commands(sd_bus *bus, HardenPlan *plan, UnitExecs *execs) {
        _cleanup_strv_free_ char **files = NULL, **dropins = NULL;
        _cleanup_free_ char *fragment = NULL;
        int r;

        r = systemd_get_string(bus, plan->path, SYSTEMD_UNIT_INTERFACE, "FragmentPath", &fragment);
        if (r >= 0)
                r = systemd_get_strings(bus, plan->path, SYSTEMD_UNIT_INTERFACE, "DropInPaths", &dropins);
        if (r >= 0)
                r = strv_consume(&files, TAKE_PTR(fragment));
        for (char **dropin = dropins; r >= 0 && dropin && *dropin; dropin++)
                r = strv_extend(&files, *dropin);
        if (r < 0)
                return ctl_oom();

        for (char **file = files; *file; file++) {
                _cleanup_free_ char *text = NULL, *line = NULL;

                if (!**file)
                        continue;
                r = read_full_file(*file, UNIT_FILE_MAX, &text, NULL);
                if (r < 0)
                        return ctl_error("cannot read %s: %s", *file, strerror(-r));
                r = unit_execs_read(text, execs, &line);
                if (r == -EBADMSG)
                        return ctl_error("%s: cannot make out 'ExecStart=%s': a quote that does not end, or a prefix "
                                         "that is none of - @ : + ! !!", *file, line ?: "");
                if (r < 0)
                        return r == -ENOMEM ? ctl_oom() : ctl_error("%s: %s", *file, strerror(-r));
        }
        return 0;
}

static bool is_plain(const char *text) {
        return *text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-") == strlen(text);
}

/* Where sentryctl is for the unit: where it was installed, or where we run from. */
static int find_self(char **ret) {
        char own[4096];
        ssize_t n;

        if (access(SENTRYD_BINDIR "/sentryctl", X_OK) >= 0)
                *ret = strdup(SENTRYD_BINDIR "/sentryctl");
        else {
                n = readlink("/proc/self/exe", own, sizeof(own) - 1);
                own[n > 0 ? n : 0] = '\0';
                *ret = strdup(own);
        }
        return *ret ? 0 : -ENOMEM;
}

static int list_capabilities(uint64_t set, char **ret) {
        for (int cap = 0; cap < 64; cap++) {
                char *name;
                int r;

                if (!(set & (UINT64_C(1) << cap)))
                        continue;
                name = cap_to_name(cap);
                if (!name || !startswith(name, "cap_")) { /* newer than libcap */
                        cap_free(name);
                        continue;
                }
                for (char *p = name; *p; p++)
                        *p = (char) (*p >= 'a' && *p <= 'z' ? *p & ~0x20 : *p);
                r = string_appendf(ret, "%s%s", *ret ? "," : "", name);
                cap_free(name);
                if (r < 0)
                        return r;
        }
        if (!*ret)
                *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}

/* ---- settings of the unit that matter ---- */

typedef struct Unit {
        sd_bus *bus;
        HardenPlan *plan;
        bool is_root;              /* User= */
        bool any_all, any_single;  /* commands with "users": "host", and with "single" */
        uint64_t bounding, ambient;
        char *self;                /* owned: sentryctl, as the unit will find it */
        char *settings;            /* owned: lines of the drop-in's [Service] */
} Unit;

static char *get(const Unit *u, const char *property) {
        char *value = NULL;

        (void) systemd_get_string(u->bus, u->plan->path, SYSTEMD_SERVICE_INTERFACE, property, &value);
        return value;
}

static bool is_set(const Unit *u, const char *property) {
        _cleanup_free_ char *value = get(u, property);

        return value && *value;
}

static int refuse(Unit *u) {
        static const struct {
                const char *property, *why;
        } paths[] = {
                { "RootDirectory", "there is neither sentryctl nor the bus in another root directory" },
                { "RootImage", "there is neither sentryctl nor the bus in another root directory" },
                { "PAMName", "the session's modules run with what the sandbox takes away" },
        }, labels[] = {
                { "AppArmorProfile", "it would hold for sentryctl, and not for the program that this starts" },
                { "SELinuxContext", "it would hold for sentryctl, and not for the program that this starts" },
                { "SmackProcessLabel", "it would hold for sentryctl, and not for the program that this starts" },
        };
        char ***refusals = &u->plan->refusals;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(below_us); i++)
                if (streq(u->plan->unit, below_us[i]))
                        r = add(refusals, "sentryd needs it to run itself");
        if (r >= 0 && !systemd_get_bool(u->bus, u->plan->path, SYSTEMD_UNIT_INTERFACE, "DefaultDependencies"))
                r = add(refusals, "DefaultDependencies=no: it starts before sentryd can");
        if (r >= 0 && systemd_get_bool(u->bus, u->plan->path, SYSTEMD_UNIT_INTERFACE, "Transient"))
                r = add(refusals, "it is transient, without a file of its own");
        if (r >= 0 && systemd_get_bool(u->bus, u->plan->path, SYSTEMD_UNIT_INTERFACE, "NeedDaemonReload"))
                r = add(refusals, "its files have changed since systemd read them: systemctl daemon-reload first");
        if (r >= 0 && systemd_get_bool(u->bus, u->plan->path, SYSTEMD_SERVICE_INTERFACE, "DynamicUser"))
                r = add(refusals, "DynamicUser=: the bus turns users away who have no entry in the user database");
        if (r >= 0 && systemd_get_number(u->bus, u->plan->path, "SecureBits", 'i', 0) != 0)
                r = add(refusals, "SecureBits=: a user namespace begins without them");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(paths); i++)
                if (is_set(u, paths[i].property))
                        r = add(refusals, "%s=: %s", paths[i].property, paths[i].why);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(labels); i++)
                if (systemd_has_label(u->bus, u->plan->path, labels[i].property))
                        r = add(refusals, "%s=: %s", labels[i].property, labels[i].why);
        if (r >= 0 && u->any_single && u->ambient != 0) {
                _cleanup_free_ char *names = NULL;

                r = list_capabilities(u->ambient, &names);
                if (r >= 0)
                        r = add(refusals, "AmbientCapabilities=%s: a sandbox of one user has none over the machine", names);
        }
        return r;
}

/* In a list of system calls or families, names may have an errno behind them. */
static bool lists(char *const *list, const char *name) {
        for (; list && *list; list++) {
                const char *rest = startswith(*list, name);

                if (rest && (!*rest || *rest == ':'))
                        return true;
        }
        return false;
}

static int widen(Unit *u, const char *property, const char *const *names, size_t n, const char *why) {
        _cleanup_strv_free_ char **list = NULL;
        _cleanup_free_ char *missing = NULL;
        bool allows;
        int r;

        r = systemd_get_filter(u->bus, u->plan->path, property, &allows, &list);
        if (r < 0 || (!allows && !list))
                return r;
        for (size_t i = 0; i < n; i++)
                if (lists(list, names[i]) != allows && string_appendf(&missing, "%s%s", missing ? " " : "", names[i]) < 0)
                        return -ENOMEM;
        if (!missing)
                return 0;
        r = string_appendf(&u->settings, "%s=%s\n", property, missing);
        if (r >= 0)
                r = add(&u->plan->changes, "%s= lets %s pass as well, %s", property, missing, why);
        return r;
}

static int override(Unit *u) {
        static const char *const family[] = { "AF_UNIX" };
        _cleanup_strv_free_ char **no_exec = NULL;
        uint64_t namespaces;
        int r;

        r = widen(u, "SystemCallFilter", launch_syscalls, ELEMENTSOF(launch_syscalls),
                  "for sentryctl: what the program does with them the sandbox decides");
        if (r >= 0)
                r = widen(u, "RestrictAddressFamilies", family, ELEMENTSOF(family), "which leads to the bus");
        if (r >= 0)
                r = systemd_get_strings(u->bus, u->plan->path, SYSTEMD_SERVICE_INTERFACE, "NoExecPaths", &no_exec);
        if (r < 0)
                return r;

        if (no_exec && *no_exec && u->self) {
                r = string_appendf(&u->settings, "ExecPaths=%s\n", u->self);
                if (r >= 0)
                        r = add(&u->plan->changes, "NoExecPaths= lets sentryctl be run");
        }
        if (r >= 0 && systemd_get_bool(u->bus, u->plan->path, SYSTEMD_SERVICE_INTERFACE, "PrivateUsers")) {
                r = string_appendf(&u->settings, "PrivateUsers=no\n");
                if (r >= 0)
                        r = add(&u->plan->changes, "PrivateUsers= gives way to the user namespace of the sandbox");
        }
        namespaces = systemd_get_number(u->bus, u->plan->path, "RestrictNamespaces", 't', UINT64_MAX);
        if (r >= 0 && !(namespaces & CLONE_NEWUSER)) {
                r = string_appendf(&u->settings, "RestrictNamespaces=no\n");
                if (r >= 0)
                        r = add(&u->plan->changes, "RestrictNamespaces= gives way to the sandbox, in which nobody makes or joins "
                                                   "namespaces");
        }
        if (r >= 0 && u->any_all && (u->bounding & LAUNCH_CAPABILITIES) != LAUNCH_CAPABILITIES) {
                r = string_appendf(&u->settings, "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SETFCAP\n");
                if (r >= 0)
                        r = add(&u->plan->changes, "CapabilityBoundingSet= lets CAP_SETUID, CAP_SETGID and CAP_SETFCAP pass as well, "
                                                   "for sentryctl, which takes them away from the program again");
        }
        return r;
}

static int describe(Unit *u, const char *profile, size_t n) {
        char ***changes = &u->plan->changes;
        int r;

        r = add(changes, "its command%s (ExecStart=) run%s in a sandbox of the profile \"%s\": %s process%s, with %s "
                         "descriptors, environment, limits, files and network, and a kernel of the sandbox's",
                n > 1 ? "s" : "", n > 1 ? ", each," : "s", profile, n > 1 ? "the same" : "the same", n > 1 ? "es" : "",
                n > 1 ? "their" : "its");
        if (r >= 0)
                r = add(changes, "signals and tracing reach nobody outside of it");
        if (r >= 0)
                r = add(changes, "refused are namespaces, mounts, modules, BPF, keys, io_uring, and setting the clock "
                                 "(sentry-syscalls(7))");
        if (r >= 0 && !systemd_get_bool(u->bus, u->plan->path, SYSTEMD_SERVICE_INTERFACE, "NoNewPrivileges"))
                r = add(changes, "set-user-ID programs and file capabilities give no privileges (as by NoNewPrivileges=)");
        if (r >= 0 && u->any_all)
                r = add(changes, "capabilities hold for files and users as before, but not for the machine (its network, devices, "
                                 "limits), except that ports below 1024 can be had");
        if (r >= 0 && u->any_single)
                r = add(changes, "files and processes of other users are shown as nobody's (65534); what they may be used for stays "
                                 "the same");
        if (r >= 0)
                r = add(changes, "ExecStartPre=, ExecStartPost=, ExecReload=, ExecStop= and ExecCondition= run as before, outside of it");
        if (r >= 0)
                r = add(changes, "the unit waits for sentryd.service when it starts, and is left alone when that is restarted");
        return r;
}

static int wrap_commands(Unit *u, const UnitExecs *execs, const char *profile) {
        _cleanup_free_ char *capabilities = NULL;
        int r;

        r = find_self(&u->self);
        if (r >= 0 && !is_plain(u->self))
                return add(&u->plan->refusals, "the path of sentryctl, %s, takes quoting: install it", u->self);
        if (r >= 0)
                r = list_capabilities(u->bounding, &capabilities);

        for (size_t i = 0; r >= 0 && i < execs->n_items; i++) {
                const UnitExec *exec = execs->items + i;
                bool all = exec->privileged || u->is_root, free_of_bounds = strchr(exec->prefix, '+');
                _cleanup_free_ char *runner = NULL;

                r = string_appendf(&runner, "%s --system run --in-place", u->self);
                if (r >= 0 && !streq(profile, "service"))
                        r = string_appendf(&runner, " --profile=%s", profile);
                if (r >= 0 && !all)
                        r = string_appendf(&runner, " --users=single");
                if (r >= 0 && all && !free_of_bounds && (u->bounding & LAUNCH_CAPABILITIES) != LAUNCH_CAPABILITIES)
                        r = string_appendf(&runner, " --capabilities=%s", capabilities);
                if (r >= 0)
                        r = strv_consume(&u->plan->commands, unit_exec_wrap(exec, runner));
                u->any_all = u->any_all || (all && !free_of_bounds);
                u->any_single = u->any_single || !all;
        }
        return r;
}

static int write_text(Unit *u) {
        HardenPlan *plan = u->plan;
        int r;

        r = string_appendf(&plan->text,
                           HARDEN_MARK ": runs this unit's own commands in a sandbox, see sentryd-harden(7).\n"
                           "# `sentryctl harden --undo %s` removes it. After a change of the unit's\n"
                           "# ExecStart=, remove it and make it again.\n"
                           "\n"
                           "[Unit]\n"
                           "Wants=sentryd.service\n"
                           "After=sentryd.service\n"
                           "\n"
                           "[Service]\n"
                           "ExecStart=\n",
                           plan->unit);
        for (char **command = plan->commands; r >= 0 && command && *command; command++)
                r = string_appendf(&plan->text, "ExecStart=%s\n", *command);
        if (r >= 0)
                r = string_appendf(&plan->text, "%s", u->settings ?: "");
        return r;
}

int harden_look(sd_bus *bus, const char *profile, HardenPlan *plan) {
        _cleanup_(unit_execs_done) UnitExecs execs = {};
        _cleanup_free_ char *user = NULL;
        Unit u = { .bus = bus, .plan = plan };
        int r;

        r = read_commands(bus, plan, &execs);
        if (r < 0)
                return r;
        user = get(&u, "User");
        u.is_root = !user || !*user || streq(user, "root") || streq(user, "0");
        u.bounding = systemd_get_number(bus, plan->path, "CapabilityBoundingSet", 't', UINT64_MAX);
        u.ambient = systemd_get_number(bus, plan->path, "AmbientCapabilities", 't', 0);

        r = execs.n_items == 0 ? add(&plan->refusals, "it has no ExecStart=: there is nothing to run in a sandbox")
                               : wrap_commands(&u, &execs, profile);
        if (r >= 0)
                r = refuse(&u);
        if (r >= 0)
                r = describe(&u, profile, execs.n_items);
        if (r >= 0)
                r = override(&u);
        if (r >= 0)
                r = write_text(&u);
        free(u.self);
        free(u.settings);
        return r < 0 ? ctl_error("cannot plan a drop-in for %s: %s", plan->unit, strerror(-r)) : 0;
}
