/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Recording and printing why a launch failed. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "failure.h"
#include "util.h"

int failure_set(LaunchFailure *failure, int error, const char *hint, const char *format, ...) {
        va_list ap;

        if (error < 0)
                error = -error;
        if (failure->code != 0)
                return error > 0 ? -error : -EIO;

        failure->code = LAUNCH_EXIT_FAILURE;
        failure->error = error;

        va_start(ap, format);
        (void) vsnprintf(failure->text, sizeof(failure->text), format, ap);
        va_end(ap);
        (void) snprintf(failure->hint, sizeof(failure->hint), "%s", hint ?: "");

        return error > 0 ? -error : -EIO;
}

void failure_print(const LaunchFailure *failure, const char *name) {
        _cleanup_free_ char *text = text_shown(failure->text, sizeof(failure->text));
        _cleanup_free_ char *hint = text_shown(failure->hint, sizeof(failure->hint));

        fprintf(stderr, "%s: %s: %s%s%s.%s%s\n", program_invocation_short_name, name, text ?: "launch failed",
                failure->error > 0 ? ": " : "", failure->error > 0 ? strerror(failure->error) : "",
                hint && *hint ? " " : "", hint ?: "");
}
