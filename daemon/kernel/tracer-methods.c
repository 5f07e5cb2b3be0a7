/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The method Trace. */

#include <errno.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "util.h"

static int read_syscalls(const char *text, TraceFilter *filter, sd_bus_error *error) {
        const char *word;
        size_t length;

        if (trace_filter_parse(text, filter, &word, &length) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no system call \"%.*s\": option \"syscalls\" is a list of names, "
                                         "%%classes and %%families as sentry-syscalls(7) has them, separated by "
                                         "commas; \"!\" before it means all others.", (int) length, word);
        return 0;
}

typedef struct TraceOptions {
        const char *container; /* NULL: of all */
        TraceFilter filter;
} TraceOptions;

static int read_option(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        TraceOptions *options = userdata;
        const char *text;
        int r;

        if (!streq(key, "syscalls") && !streq(key, "container"))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Unknown option \"%s\": Trace has \"syscalls\" and \"container\".", key);
        r = sd_bus_message_read(m, "v", "s", &text);
        if (r < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Option \"%s\" of Trace is a string.", key);
        if (streq(key, "syscalls"))
                return read_syscalls(text, &options->filter, error);
        if (*text && !kernel_id_is_valid(text))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is no container id: `sentryctl ps` shows those that there are; \"\" "
                                         "stands for the processes that are in none.", text);
        options->container = text;
        return 0;
}

int kernel_method_trace(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        Sentry *sentry = userdata;
        TraceOptions options = {};
        int r;

        (void) trace_filter_parse(NULL, &options.filter, NULL, NULL);
        r = bus_read_options(m, read_option, &options, error);
        if (r < 0)
                return r;
        r = tracer_add(&sentry->tracer, &options.filter, options.container, &fd);
        if (r == -EMFILE && sentry->tracer.n_readers >= TRACE_READERS_MAX)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Sandbox \"%s\" is traced %u times already, no more are possible.",
                                         sentry->name, TRACE_READERS_MAX);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "h", fd);
}
