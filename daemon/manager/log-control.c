/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.freedesktop.LogControl1: how much is logged, and where to. */

#include "authorize.h"
#include "bus-util.h"
#include "connection.h"
#include "log-control.h"
#include "log.h"
#include "manager.h"

#define TEXT_SHOWN_MAX 64U

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", streq(property, "LogLevel") ? log_level_to_string(log_max_level())
                                                 : streq(property, "LogTarget") ? log_target() : "sentryd");
}

/* Reads the new value, if the caller may set it. */
static int read_value(Connection *c, sd_bus_message *value, const char **ret, sd_bus_error *error) {
        int r;

        r = authorize_check_root(c, sd_bus_get_current_message(c->bus), "change what sentryd logs", error);
        return r < 0 ? r : sd_bus_message_read(value, "s", ret);
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *value, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *shown = NULL;
        Connection *c = userdata;
        const char *text;
        int level, r;

        r = read_value(c, value, &text, error);
        if (r < 0)
                return r;

        level = log_level_from_string(text);
        if (level < 0) {
                shown = text_shown(text, TEXT_SHOWN_MAX);
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is no log level: it may be emerg, alert, crit, err, warning, notice, "
                                         "info, debug, or 0 to 7.", shown ?: "");
        }

        log_set_max_level(level);
        return manager_update_kernel_env(c->manager);
}

static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *value, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *shown = NULL;
        const char *text;
        int r;

        r = read_value(userdata, value, &text, error);
        if (r < 0)
                return r;

        r = log_set_target(text);
        if (r < 0) {
                shown = text_shown(text, TEXT_SHOWN_MAX);
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is nowhere to log to: it may be auto, console, null, and journal "
                                         "where stderr leads to that.", shown ?: "");
        }
        return 0;
}

/* Who may set them is checked above. */
const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_text, set_level, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_text, set_target, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
