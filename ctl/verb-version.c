/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* version: ours, and the daemon's when one runs. */

#include "connect.h"
#include "table.h"
#include "text.h"

static int get_text(Ctl *ctl, const char *property, char **ret) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        const char *text;
        int r;

        r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_PROPERTIES_INTERFACE, "Get", &reply, "ss", BUS_MANAGER_INTERFACE,
                     property);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &text);
        if (r < 0)
                return ctl_bad_reply("Get", r);
        *ret = text_escape(text, ESCAPE_TERMINAL);
        return *ret ? 0 : ctl_oom();
}

static int add(json_object *object, const char *key, const char *text) {
        json_object *value = text ? json_object_new_string(text) : NULL;

        if ((text && !value) || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return ctl_oom();
        }
        return 0;
}

static int verb_version_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *version = NULL, *mode = NULL;
        _cleanup_json_ json_object *object = NULL;
        int r;

        r = options_only(ctl, argc, argv, 0, 0);
        if (r < 0)
                return r;
        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r >= 0 && ctl->bus)
                r = get_text(ctl, "Version", &version);
        if (r >= 0 && ctl->bus)
                r = get_text(ctl, "Mode", &mode);
        if (r < 0)
                return r;

        if (ctl->json != JSON_OFF) {
                object = json_object_new_object();
                if (!object)
                        return ctl_oom();
                if (add(object, "sentryctl", PACKAGE_VERSION) < 0 || add(object, "sentryd", version) < 0 ||
                    add(object, "mode", mode) < 0)
                        return CTL_FAILED;
                return json_print(ctl, NULL, object);
        }
        puts("sentryctl " PACKAGE_VERSION);
        if (version)
                printf("sentryd %s (%s)\n", version, mode);
        else
                ctl_notice(ctl, "No sentryd is running.");
        return 0;
}

const Verb verb_version = {
        .name = "version",
        .arguments = "",
        .summary = "Print the versions of sentryctl and of the daemon",
        .aside = true,
        .run = verb_version_main,
};
