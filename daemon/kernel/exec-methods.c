/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Exec() and its options. */

#include <errno.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "util.h"

typedef struct ExecOptions {
        const char *container, *hold;
} ExecOptions;

/* Ids are for people and scripts: what a sandbox may be called is good enough for them, too. */
bool kernel_id_is_valid(const char *id) {
        size_t n = strlen(id);

        return n <= LAUNCH_ID_MAX && n > 0 && id[0] != '.' && id[0] != '-' &&
                strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int read_id(sd_bus_message *m, const char *key, const char **ret, sd_bus_error *error) {
        const char *id;
        int r;

        r = sd_bus_message_read(m, "v", "s", &id);
        if (r < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Option \"%s\" of Exec is a string.", key);
        if (*id && !kernel_id_is_valid(id))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is no %s id: 1 to %u letters, digits, '.', '_' and '-', not starting "
                                         "with '.' or '-'.", id, key, LAUNCH_ID_MAX);
        *ret = id;
        return 0;
}

static int read_option(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        ExecOptions *options = userdata;

        if (streq(key, "container"))
                return read_id(m, key, &options->container, error);
        if (streq(key, "hold"))
                return read_id(m, key, &options->hold, error);
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "Unknown option \"%s\" of Exec, known are \"container\" and \"hold\".", key);
}

int kernel_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ExecOptions options = { .container = "", .hold = "" };
        _cleanup_close_ int fd = -EBADF;
        Sentry *sentry = userdata;
        int r;

        r = bus_read_options(m, read_option, &options, error);
        if (r < 0)
                return r;
        if (sentry->state != SENTRY_RUNNING)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING,
                                         "Sandbox \"%s\" is %s, a program can be started in a running one only.",
                                         sentry->name, sentry_state_to_string(sentry->state));

        r = launch_server_open(sentry, options.container, options.hold, &fd);
        if (r == -EEXIST)
                return sd_bus_error_setf(error, BUS_ERROR_NAME_IN_USE,
                                         "A program \"%s\" waits in sandbox \"%s\" already.", options.hold,
                                         sentry->name);
        if (r == -EMFILE)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Sandbox \"%s\" has %u launched programs, no more are possible.",
                                         sentry->name, LAUNCHES_MAX);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "hhs", fd, sentry->init_pidfd, sentry->document);
}

static int do_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        const char *id;
        int r;

        r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return r;
        r = *id ? launch_server_start(sentry, id) : -ESRCH;
        if (r == -ESRCH)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_TASK,
                                         "No program \"%s\" waits for its start in sandbox \"%s\".", id,
                                         sentry->name);
        if (r < 0)
                return r;
        return 0;
}

int kernel_method_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_once(do_start, m, userdata, error);
}
