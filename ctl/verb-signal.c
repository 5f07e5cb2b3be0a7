/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* signal: sends a signal into a sandbox. */

#include <signal.h>

#include "connect.h"
#include "sandboxes.h"
#include "text.h"
#include "util.h"

enum {
        OPTION_WHOM = OPTION_FIRST,
        OPTION_ID,
        OPTION_VALUE,
};

static const char *const whoms[] = { "init", "all", "leader", "group", "pgrp", "task", "container" };

static const char *without_sig(const char *name) {
        return strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
}

/* "RTMIN+3", "RTMAX-1" and the like: the number, or 0. */
static int real_time_signal(const char *name) {
        bool from_min = strncasecmp(name, "RTMIN", 5) == 0;
        int offset = 0, signo;

        if (!from_min && strncasecmp(name, "RTMAX", 5) != 0)
                return 0;
        if (name[5] && (name[5] != (from_min ? '+' : '-') || safe_atoi(name + 6, &offset) < 0 || offset < 0 ||
                        offset > SIGRTMAX - SIGRTMIN))
                return 0;
        signo = from_min ? SIGRTMIN + offset : SIGRTMAX - offset;
        return signo <= SIGRTMAX && signo >= SIGRTMIN ? signo : 0;
}

static int parse_signal(Ctl *ctl, const char *text) {
        const char *name = without_sig(text);
        TextNearest nearest = TEXT_NEAREST_INIT(name);
        int signo;

        if (safe_atoi(text, &signo) >= 0) {
                if (signo >= 1 && signo <= SIGRTMAX)
                        return signo;
                return ctl_usage(ctl, "there is no signal %d: they are numbered 1 to %d", signo, SIGRTMAX);
        }

        signo = real_time_signal(name);
        if (signo > 0)
                return signo;
        if (strncasecmp(name, "RTMIN", 5) == 0 || strncasecmp(name, "RTMAX", 5) == 0)
                return ctl_usage(ctl, "'%s' is no real-time signal: they are RTMIN to RTMIN+%d and RTMAX-%d to RTMAX",
                                 text, SIGRTMAX - SIGRTMIN, SIGRTMAX - SIGRTMIN);

        for (signo = 1; signo < SIGRTMIN; signo++) {
                const char *known = sigabbrev_np(signo);

                if (!known)
                        continue;
                if (strcasecmp(known, name) == 0)
                        return signo;
                text_nearest_offer(&nearest, known);
        }
        if (strcasecmp(name, "CLD") == 0)
                return SIGCHLD;
        if (strcasecmp(name, "IOT") == 0)
                return SIGABRT;
        if (nearest.best)
                return ctl_usage(ctl, "unknown signal '%s', did you mean '%s'?", text, nearest.best);
        return ctl_usage(ctl, "unknown signal '%s': it is a name such as TERM or SIGTERM, RTMIN+1, or a number", text);
}

static int check_whom(Ctl *ctl, const char *whom) {
        TextNearest nearest = TEXT_NEAREST_INIT(whom);

        for (size_t i = 0; i < ELEMENTSOF(whoms); i++) {
                if (streq(whoms[i], whom))
                        return 0;
                text_nearest_offer(&nearest, whoms[i]);
        }
        return ctl_usage(ctl, "--whom is init, all, leader, group, pgrp, task or container, not '%s'%s%s%s", whom,
                         nearest.best ? "; did you mean '" : "", nearest.best ?: "", nearest.best ? "'?" : "");
}

static int send_signal(Ctl *ctl, const char *name, const char *whom, const char *id, int signo, const int32_t *value) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sandbox_find(ctl, name, NULL, &path);
        if (r < 0)
                return r;
        r = ctl_new_call(ctl, path, BUS_SANDBOX_INTERFACE, "Signal", &call);
        if (r < 0)
                return CTL_FAILED;
        r = sd_bus_message_append(call, "ssi", whom, id, signo);
        if (r >= 0)
                r = value ? sd_bus_message_append(call, "a{sv}", 1, "value", "i", *value)
                          : sd_bus_message_append(call, "a{sv}", 0);
        if (r < 0)
                return ctl_error("cannot ask for a signal: %s (is the id UTF-8?)", strerror(-r));
        return ctl_send(ctl, call, 0, NULL, NULL);
}

static int verb_signal_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        const char *whom = NULL, *ident = NULL;
        bool has_value = false;
        int id, r, value = 0, signo;

        while ((id = options_next(&parser)) > 0)
                switch (id) {
                case OPTION_WHOM:
                        r = check_whom(ctl, parser.value);
                        if (r < 0)
                                return r;
                        whom = parser.value;
                        break;
                case OPTION_ID:
                        ident = parser.value;
                        break;
                default: /* OPTION_VALUE */
                        if (safe_atoi(parser.value, &value) < 0)
                                return ctl_usage(ctl, "--value is a number from %d to %d, not '%s'", INT_MIN, INT_MAX,
                                                 parser.value);
                        has_value = true;
                }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 2, 2);
        if (r < 0)
                return r;
        if (ident && !whom)
                return ctl_usage(ctl, "--id needs --whom: is '%s' a group, a pgrp, a task or a container?", ident);
        if (!ident && whom && (streq(whom, "group") || streq(whom, "pgrp") || streq(whom, "task")))
                return ctl_usage(ctl, "--whom=%s needs --id, a number as `sentryctl ps` shows them", whom);

        signo = parse_signal(ctl, argv[parser.index + 1]);
        if (signo < 0)
                return signo;
        return send_signal(ctl, argv[parser.index], whom ?: "init", ident ?: "", signo,
                           has_value ? &(int32_t) { value } : NULL);
}

const Verb verb_signal = {
        .name = "signal",
        .arguments = "NAME SIGNAL",
        .summary = "Send a signal to processes of a sandbox",
        .details = "Examples:\n"
                   "  sentryctl signal web HUP\n"
                   "  sentryctl signal web SIGTERM --whom=container --id=worker\n"
                   "  sentryctl signal web RTMIN+1 --whom=task --id=7 --value=42\n"
                   "Ids are those inside the sandbox, as `sentryctl ps` shows them.\n",
        .options = (const Option[]) {
                { OPTION_WHOM, "whom", 'w', "WHOM", false, "init (if not given), all, leader, group, pgrp, task, container" },
                { OPTION_ID, "id", 0, "N|ID", false, "Which group, process group, task or container" },
                { OPTION_VALUE, "value", 0, "N", false, "Send this value along, as sigqueue(3)" },
                {},
        },
        .run = verb_signal_main,
};
