/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* trace: the calls that a sandbox's kernel answers, as it answers them, written as strace(1) does. */

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "connect.h"
#include "sandboxes.h"
#include "table.h"
#include "text.h"
#include "trace.h"

enum {
        OPTION_EXPRESSION = OPTION_FIRST,
        OPTION_TIMES,
        OPTION_CONTAINER,
};

#define FOREIGN_MAX 16U /* bytes of an ABI's name that are shown */

static const char *member_string(json_object *object, const char *key) {
        return json_object_get_string(json_object_object_get(object, key));
}

/* "uname({sysname="Linux", …}) = 0", "mount(NULL, …) = -1 EPERM". */
static int make_call_text(json_object *call, char **ret) {
        json_object *arguments = json_object_object_get(call, "args"), *result = json_object_object_get(call, "result");
        const char *arch = member_string(call, "arch"), *error = member_string(call, "errno");
        _cleanup_free_ char *text = NULL;
        int r;

        r = string_appendf(&text, "%s%s%.*s%s(", member_string(call, "syscall") ?: "?", arch ? "[" : "",
                           (int) FOREIGN_MAX, arch ?: "", arch ? "]" : "");
        if (!arguments && r >= 0)
                r = string_appendf(&text, "...");
        for (size_t i = 0; r >= 0 && arguments && i < json_object_array_length(arguments); i++)
                r = string_appendf(&text, "%s%s", i > 0 ? ", " : "",
                                   json_object_get_string(json_object_array_get_idx(arguments, i)) ?: "?");
        if (r < 0)
                return r;
        if (streq_ptr(error, "ERESTARTSYS"))
                r = string_appendf(&text, ") = ? (made again after a signal or a stop)");
        else if (error)
                r = string_appendf(&text, ") = -1 %s", error);
        else if (result)
                r = string_appendf(&text, ") = %s", json_object_get_string(result));
        else
                r = string_appendf(&text, ") = ? (the host kernel's answer)");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

static int print_call(json_object *call, bool times) {
        uint64_t usec = json_object_get_uint64(json_object_object_get(call, "time"));
        uint64_t nsec = json_object_get_uint64(json_object_object_get(call, "nsec"));
        _cleanup_free_ char *text = NULL, *safe = NULL, *comm = NULL;
        time_t seconds = (time_t) (usec / 1000000);
        char clock[16] = "";
        struct tm tm;

        if (make_call_text(call, &text) < 0)
                return ctl_oom();
        safe = text_escape(text, ESCAPE_TERMINAL);
        comm = text_escape(member_string(call, "comm") ?: "?", ESCAPE_TERMINAL);
        if (!safe || !comm)
                return ctl_oom();

        if (times && localtime_r(&seconds, &tm) && strftime(clock, sizeof(clock), "%H:%M:%S", &tm) > 0)
                printf("%s.%06" PRIu64 " ", clock, usec % 1000000);
        printf("[%d %s] %s <%" PRIu64 ".%06" PRIu64 ">\n", json_object_get_int(json_object_object_get(call, "pid")),
               comm, safe, nsec / 1000000000, nsec / 1000 % 1000000);
        return 0;
}

static int print_line(Ctl *ctl, const char *line, bool times) {
        _cleanup_json_ json_object *call = json_tokener_parse(line);
        json_object *dropped;

        if (!json_object_is_type(call, json_type_object))
                return ctl_bad_reply("Trace", -EBADMSG);
        if (ctl->json != JSON_OFF)
                return json_print(ctl, NULL, call);
        if (json_object_object_get_ex(call, "dropped", &dropped)) {
                printf("[... %s calls not shown: they came too fast]\n", json_object_get_string(dropped));
                return 0;
        }
        return print_call(call, times);
}

/* Prints lines until the sandbox ends, or nobody reads them any more. */
static int follow(Ctl *ctl, int fd, bool times) {
        _cleanup_(freep) char *line = NULL;
        size_t allocated = 0;
        FILE *f;
        int r = 0;

        f = fdopen(fd, "r");
        if (!f) {
                safe_close(fd);
                return ctl_oom();
        }
        while (r >= 0 && getline(&line, &allocated, f) > 0) {
                r = print_line(ctl, line, times);
                /* Whoever reads wants it now. */
                if (fflush(stdout) != 0)
                        break;
        }
        fclose(f);
        return r;
}

/* Checks the list before anybody is asked, for a suggestion that helps. */
static int check_expression(Ctl *ctl, const char *expression) {
        _cleanup_free_ char *name = NULL;
        TextNearest nearest;
        TraceFilter filter;
        const char *word;
        size_t length;

        if (trace_filter_parse(expression, &filter, &word, &length) >= 0)
                return 0;
        name = strndup(word, length);
        if (!name)
                return ctl_oom();
        if (*name == '%')
                return ctl_usage(ctl, "there is no class or family '%s': classes are %%native, %%emulated, %%mediated, "
                                 "%%refused and %%unknown, families those of `sentryctl syscalls`", name);
        nearest = TEXT_NEAREST_INIT(name);
        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++)
                text_nearest_offer(&nearest, syscall_table[id].name);
        if (nearest.best)
                return ctl_usage(ctl, "there is no system call '%s', did you mean '%s'?", name, nearest.best);
        return ctl_usage(ctl, "there is no system call '%s'", name);
}

static int start(Ctl *ctl, const char *name, const char *expression, const char *container, int *ret_fd) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL, *found = NULL, *safe = NULL;
        int fd, r;

        r = sandbox_find(ctl, name, &found, &path);
        if (r >= 0)
                r = ctl_call_options(ctl, path, BUS_SANDBOX_INTERFACE, "Trace", (const CtlCallOption[]) {
                        { "syscalls", expression },
                        { "container", container },
                }, 2, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return ctl_bad_reply("Trace", r);
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (*ret_fd < 0)
                return ctl_error("cannot keep the trace: %s", strerror(errno));

        safe = text_escape(found, ESCAPE_TERMINAL);
        ctl_notice(ctl, "Tracing %s, until it ends or you interrupt this.", safe ?: "?");
        return 0;
}

static int verb_trace_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        const char *expression = NULL, *container = NULL;
        bool times = false;
        int fd = -EBADF, id, r;

        while ((id = options_next(&parser)) > 0) {
                if (id == OPTION_TIMES)
                        times = true;
                else if (id == OPTION_CONTAINER)
                        container = parser.value;
                else /* As strace has it; other qualifiers of strace have no meaning here. */
                        expression = startswith(parser.value, "trace=") ?: parser.value;
        }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 0, 1);
        if (r >= 0 && expression)
                r = check_expression(ctl, expression);
        if (r >= 0)
                r = start(ctl, argv[parser.index], expression, container, &fd); /* argv ends with NULL */
        if (r < 0)
                return r;
        if (ctl->json == JSON_PRETTY)
                ctl->json = JSON_SHORT; /* one call, one line */

        /* The pipe leads to sentry-kernel: a daemon that ends or is replaced does not end the trace. */
        ctl_disconnect(ctl);
        return follow(ctl, fd, times);
}

const Verb verb_trace = {
        .name = "trace",
        .arguments = "[NAME]",
        .summary = "Print the calls that a sandbox's kernel answers",
        .details = "CALLS are names, %class (%emulated, %mediated, %refused, %unknown), %family, or all, separated by\n"
                   "commas; \"!\" before them means all others. Native calls never come to the kernel of a sandbox.\n"
                   "\n"
                   "Examples:\n"
                   "  sentryctl trace web\n"
                   "  sentryctl trace web -e %refused,%unknown\n"
                   "  sentryctl trace web -e '!uname,sysinfo' --json=short\n"
                   "  sentryctl trace web --container=worker\n",
        .options = (const Option[]) {
                { OPTION_EXPRESSION, "expression", 'e', "CALLS", false, "Only these calls" },
                { OPTION_CONTAINER, "container", 'c', "ID", false, "Only calls from this container" },
                { OPTION_TIMES, "times", 't', NULL, false, "Begin lines with the time of day" },
                {},
        },
        .live = true,
        .run = verb_trace_main,
};
