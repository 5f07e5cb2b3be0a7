/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The method Trace. */

#include <errno.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "util.h"

static int read_filter(sd_bus_message *m, TraceFilter *filter, sd_bus_error *error) {
        const char *text, *word;
        size_t length;
        int r;

        r = sd_bus_message_read(m, "v", "s", &text);
        if (r < 0)
                return r;
        if (trace_filter_parse(text, filter, &word, &length) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no system call \"%.*s\": option \"syscalls\" is a list of names, "
                                         "%%classes and %%families as sentry-syscalls(7) has them, separated by "
                                         "commas; \"!\" before it means all others.", (int) length, word);
        return 0;
}

static int read_options(sd_bus_message *m, TraceFilter *filter, sd_bus_error *error) {
        const char *key;
        int r;

        (void) trace_filter_parse(NULL, filter, NULL, NULL);
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (!streq(key, "syscalls"))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "Unknown option \"%s\": Trace has \"syscalls\".", key);
                r = read_filter(m, filter, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int kernel_method_trace(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        Sentry *sentry = userdata;
        TraceFilter filter;
        int r;

        r = read_options(m, &filter, error);
        if (r < 0)
                return r;
        r = tracer_add(&sentry->tracer, &filter, &fd);
        if (r == -EMFILE && sentry->tracer.n_readers >= TRACE_READERS_MAX)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Sandbox \"%s\" is traced %u times already, no more are possible.",
                                         sentry->name, TRACE_READERS_MAX);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "h", fd);
}
