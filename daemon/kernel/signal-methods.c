/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signal() and its arguments. */

#include <errno.h>
#include <signal.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "signals.h"
#include "util.h"

static int read_option(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        SignalRequest *request = userdata;

        if (!streq(key, "value"))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unknown option \"%s\" of Signal, known is \"value\".", key);
        if (sd_bus_message_read(m, "v", "i", &request->value) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Option \"value\" of Signal is an integer (i).");
        request->has_value = true;
        return 0;
}

/* What id has to be depends on whom. */
static int read_id(const char *id, SignalRequest *request, sd_bus_error *error) {
        const char *whom = signal_whom_to_string(request->whom);

        switch (request->whom) {
        case SIGNAL_WHOM_INIT:
        case SIGNAL_WHOM_ALL:
                if (*id)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "\"%s\" takes no id, not \"%s\" either.", whom, id);
                return 0;
        case SIGNAL_WHOM_LEADER:
        case SIGNAL_WHOM_CONTAINER:
                request->container = id;
                return 0;
        default:
                if (safe_atoi(id, &request->id) < 0 || request->id <= 0)
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "\"%s\" takes a number as its id, as `sentryctl ps` shows them, not "
                                                 "\"%s\".", whom, id);
                return 0;
        }
}

static int no_such(const Sentry *sentry, const SignalRequest *request, const char *id, sd_bus_error *error) {
        static const char *const what[_SIGNAL_WHOM_MAX] = {
                [SIGNAL_WHOM_GROUP] = "process",
                [SIGNAL_WHOM_PGRP] = "process group",
                [SIGNAL_WHOM_TASK] = "task",
                [SIGNAL_WHOM_LEADER] = "running program that leads a container",
                [SIGNAL_WHOM_CONTAINER] = "process in a container",
        };

        if (!what[request->whom])
                return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING, "Sandbox \"%s\" has no process any more.",
                                         sentry->name);
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_TASK, "Sandbox \"%s\" has no %s \"%s\".", sentry->name,
                                 what[request->whom], id);
}

static int do_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *message = NULL;
        Sentry *sentry = userdata;
        SignalRequest request = {};
        const char *whom, *id;
        int r;

        r = sd_bus_message_read(m, "ssi", &whom, &id, &request.signo);
        if (r < 0)
                return r;
        request.whom = signal_whom_from_string(whom);
        if (request.whom == _SIGNAL_WHOM_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A signal goes to init, all, leader, group, pgrp, task or container, not to "
                                         "\"%s\".", whom);
        if (request.signo < 0 || request.signo > SIGRTMAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no signal %d, they are numbered 1 to %d.", request.signo, SIGRTMAX);
        r = read_id(id, &request, error);
        if (r < 0)
                return r;
        r = bus_read_options(m, read_option, &request, error);
        if (r < 0)
                return r;

        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING,
                                         "Sandbox \"%s\" is %s, a signal needs one that is running or paused.",
                                         sentry->name, sentry_state_to_string(sentry->state));
        r = sentry_signal(sentry, &request, &message);
        if (r < 0 && message)
                return sd_bus_error_setf(error, r == -ETIMEDOUT ? BUS_ERROR_TIMEOUT : BUS_ERROR_KERNEL_FAILED,
                                         "Nobody got the signal, because sandbox \"%s\" could not be stopped for it: "
                                         "%s.", sentry->name, message);
        if (r == -ESRCH)
                return no_such(sentry, &request, id, error);
        if (r == -EAGAIN)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "As many signals as may be (RLIMIT_SIGPENDING) are queued already.");
        if (r < 0)
                return sd_bus_error_set_errnof(error, -r, "Sandbox \"%s\": the signal could not be sent: %s.",
                                               sentry->name, strerror(-r));
        return 0;
}

int kernel_method_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_once(do_signal, m, userdata, error);
}
