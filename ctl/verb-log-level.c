/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* log-level: how much the daemon logs. */

#include "connect.h"
#include "table.h"
#include "text.h"

static int print_level(Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *level = NULL;
        _cleanup_json_ json_object *object = NULL;
        const char *text;
        int r;

        r = ctl_call(ctl, BUS_LOG_PATH, BUS_PROPERTIES_INTERFACE, "Get", &reply, "ss", BUS_LOG_INTERFACE, "LogLevel");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &text);
        if (r < 0)
                return ctl_bad_reply("Get", r);

        if (ctl->json != JSON_OFF) {
                object = json_object_new_object();
                if (!object || json_object_object_add(object, "level", json_object_new_string(text)) < 0)
                        return ctl_oom();
                return json_print(ctl, NULL, object);
        }

        level = text_escape(text, ESCAPE_TERMINAL);
        if (!level)
                return ctl_oom();
        puts(level);
        return 0;
}

static int verb_log_level_main(Ctl *ctl, int argc, char **argv) {
        int index, r;

        index = options_only(ctl, argc, argv, 0, 1);
        if (index < 0)
                return index;

        r = ctl_connect(ctl, CONNECT_NEEDED);
        if (r < 0)
                return r;

        if (index == argc)
                return print_level(ctl);
        return ctl_call(ctl, BUS_LOG_PATH, BUS_PROPERTIES_INTERFACE, "Set", NULL, "ssv", BUS_LOG_INTERFACE, "LogLevel",
                        "s", argv[index]);
}

const Verb verb_log_level = {
        .name = "log-level",
        .arguments = "[LEVEL]",
        .summary = "Print how much the daemon logs, or change it until it is reloaded",
        .aside = true,
        .details = "LEVEL is err, warning, info, debug, or one of the others of syslog(3). sentryd.conf(5) has\n"
                   "LogLevel= for what stays. Of sandboxes that run already, the sentry-kernels go on as before.\n",
        .run = verb_log_level_main,
};
