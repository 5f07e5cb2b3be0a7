/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* exec: a further program in a sandbox, and start, which lets one go that was told to wait. */

#include <fcntl.h>
#include <sys/resource.h>

#include "connect.h"
#include "document.h"
#include "run.h"
#include "sandboxes.h"
#include "text.h"

enum {
        OPTION_ENV = OPTION_FIRST,
        OPTION_CWD,
        OPTION_CONTAINER,
        OPTION_USER,
        OPTION_UMASK,
        OPTION_LIMIT,
        OPTION_FD,
        OPTION_HOLD,
};

typedef struct ExecRequest {
        char **assignments; /* owned */
        char **limits;      /* owned */
        char *cwd;          /* owned */
        const char *container, *hold;
        int64_t uid, gid;
        int umask, fd;
} ExecRequest;

static void request_done(ExecRequest *request) {
        strv_free(request->assignments);
        strv_free(request->limits);
        free(request->cwd);
}

static int parse_id(const char *text, int64_t *ret) {
        unsigned id;

        if (safe_atou(text, &id) < 0 || id == UINT32_MAX)
                return -EINVAL;
        *ret = id;
        return 0;
}

/* "UID" or "UID:GID". */
static int parse_user(Ctl *ctl, const char *value, ExecRequest *request) {
        size_t length = strcspn(value, ":");
        _cleanup_free_ char *uid = strndup(value, length);

        if (!uid)
                return ctl_oom();
        if (parse_id(uid, &request->uid) < 0 || (value[length] && parse_id(value + length + 1, &request->gid) < 0))
                return ctl_usage(ctl, "--user is UID or UID:GID, in numbers, not '%s'", value);
        return 0;
}

static int parse_umask(Ctl *ctl, const char *value, int *ret) {
        uint64_t mask;

        if (safe_atou64(value, 8, &mask) < 0 || mask > 0777)
                return ctl_usage(ctl, "--umask is an octal number from 0 to 777, not '%s'", value);
        *ret = (int) mask;
        return 0;
}

static int parse_fd(Ctl *ctl, const char *value, int *ret) {
        if (safe_atoi(value, ret) < 0 || *ret < 0)
                return ctl_usage(ctl, "--fd is the number of an open file, not '%s'", value);
        if (fcntl(*ret, F_GETFD) < 0)
                return ctl_usage(ctl, "--fd=%d: %s (for example: sentryctl exec --fd=5 web -- tool 5</usr/bin/tool)",
                                 *ret, strerror(errno));
        return 0;
}

/* The value of one of a limit's sides, as profiles have it. NULL: it is none. */
static json_object *limit_value(const char *text) {
        uint64_t value;

        if (streq(text, "infinity") || streq(text, "unlimited"))
                return json_object_new_string("infinity");
        if (safe_atou64(text, 10, &value) < 0 || value > INT64_MAX)
                return NULL;
        return json_object_new_int64((int64_t) value);
}

/* "nofile", "RLIMIT_NOFILE" as the latter. NULL after it was told that it is none. */
static const char *limit_name(Ctl *ctl, const char *text) {
        const char *word = strncasecmp(text, "RLIMIT_", 7) == 0 ? text + 7 : text;
        TextNearest nearest = TEXT_NEAREST_INIT(word);
        const char *name;

        for (unsigned i = 0; (name = profile_rlimit_name(i)); i++) {
                if (strcasecmp(name + strlen("RLIMIT_"), word) == 0)
                        return name;
                text_nearest_offer(&nearest, name + strlen("RLIMIT_"));
        }
        (void) ctl_usage(ctl, "--limit: there is no resource limit '%s'%s%s%s", text,
                         nearest.best ? ", did you mean '" : "; see getrlimit(2)", nearest.best ?: "",
                         nearest.best ? "'?" : "");
        return NULL;
}

/* "NAME=SOFT[:HARD]" into process.rlimits, in the place of what the profile says of it. */
static int apply_limit(Ctl *ctl, json_object *document, const char *spec) {
        _cleanup_free_ char *copy = strdup(spec);
        _cleanup_json_ json_object *soft = NULL, *hard = NULL;
        char *equals, *colon;
        const char *name;
        int r;

        if (!copy)
                return ctl_oom();
        equals = strchr(copy, '=');
        if (equals) {
                *equals = '\0';
                name = limit_name(ctl, copy);
                if (!name)
                        return CTL_USAGE;
                colon = strchr(equals + 1, ':');
                if (colon)
                        *colon = '\0';
                soft = limit_value(equals + 1);
                hard = limit_value(colon ? colon + 1 : equals + 1);
        }
        if (!soft || !hard)
                return ctl_usage(ctl, "--limit is NAME=SOFT or NAME=SOFT:HARD, with numbers or 'infinity', not '%s'",
                                 spec);

        r = document_set_rlimit(document, name, soft, hard);
        return r < 0 ? run_failure(r) : 0;
}

/* The document of a sandbox with the changes for this program made. */
static int merge(Ctl *ctl, const char *document, const ExecRequest *request, char **ret) {
        _cleanup_json_ json_object *object = json_tokener_parse(document);
        const char *text;
        int r;

        if (!json_object_is_type(object, json_type_object))
                return ctl_bad_reply("Exec", -EBADMSG);
        for (size_t i = 0; i < strv_length(request->assignments); i++) {
                r = document_set_env(ctl, object, request->assignments[i]);
                if (r < 0)
                        return run_failure(r);
        }
        for (size_t i = 0; i < strv_length(request->limits); i++) {
                r = apply_limit(ctl, object, request->limits[i]);
                if (r < 0)
                        return r;
        }
        text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
        *ret = text ? strdup(text) : NULL;
        return *ret ? 0 : ctl_oom();
}

static int exec_in(Ctl *ctl, const char *name, char **command, const ExecRequest *request) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_close_ int launch_fd = -EBADF, init_pidfd = -EBADF;
        _cleanup_free_ char *path = NULL, *merged = NULL;
        const char *document;
        int fds[2], r;

        r = sandbox_find(ctl, name, NULL, &path);
        if (r < 0)
                return r;
        r = ctl_call_options(ctl, path, BUS_SANDBOX_INTERFACE, "Exec", (const CtlCallOption[]) {
                { "container", request->container },
                { "hold", request->hold },
        }, 2, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "hhs", &fds[0], &fds[1], &document);
        if (r >= 0)
                r = launch_fd = run_take_fd(fds[0]);
        if (r >= 0)
                r = init_pidfd = run_take_fd(fds[1]);
        if (r < 0)
                return ctl_bad_reply("Exec", r);

        r = merge(ctl, document, request, &merged);
        if (r < 0)
                return r;
        return run_launch(ctl, merged,
                          &(LaunchRequest) {
                                          .name = name,
                                          .argv = command,
                                          .launch_fd = launch_fd,
                                          .init_pidfd = init_pidfd,
                                          .program_fd = request->fd,
                                          .cwd = request->cwd,
                                          .umask = request->umask,
                                          .uid = request->uid,
                                          .gid = request->gid,
                          });
}

static int exec_option(Ctl *ctl, ExecRequest *request, int id, const char *value) {
        switch (id) {
        case OPTION_ENV:
                return strv_extend(&request->assignments, value) < 0 ? ctl_oom() : 0;
        case OPTION_LIMIT:
                return strv_extend(&request->limits, value) < 0 ? ctl_oom() : 0;
        case OPTION_CWD:
                request->cwd = (free(request->cwd), NULL);
                return path_from_option(ctl, "--cwd", value, &request->cwd);
        case OPTION_CONTAINER:
                request->container = value;
                return 0;
        case OPTION_HOLD:
                if (!*value)
                        return ctl_usage(ctl, "--hold needs an id for `sentryctl start`");
                request->hold = value;
                return 0;
        case OPTION_USER:
                return parse_user(ctl, value, request);
        case OPTION_UMASK:
                return parse_umask(ctl, value, &request->umask);
        default: /* OPTION_FD */
                return parse_fd(ctl, value, &request->fd);
        }
}

/* Options stand before the name and after it, up to the command. */
static int exec_options(Ctl *ctl, int argc, char **argv, ExecRequest *request) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv, .in_order = true };
        int id, r;

        while ((id = options_next(&parser)) > 0) {
                r = exec_option(ctl, request, id, parser.value);
                if (r < 0)
                        return r;
        }
        return id < 0 ? id : parser.index;
}

static int verb_exec_main(Ctl *ctl, int argc, char **argv) {
        static const char example[] = "for example: sentryctl exec web -- ps";
        _cleanup_(request_done) ExecRequest request = { .uid = -1, .gid = -1, .umask = -1, .fd = -1 };
        int name, command;

        name = exec_options(ctl, argc, argv, &request);
        if (name < 0)
                return name;
        if (name >= argc)
                return ctl_usage(ctl, "exec needs the name of a sandbox and a command, %s", example);
        command = exec_options(ctl, argc - name, argv + name, &request);
        if (command < 0)
                return command;
        command += name;
        if (command >= argc)
                return ctl_usage(ctl, "exec needs a command, %s", example);
        return exec_in(ctl, argv[name], argv + command, &request);
}

const Verb verb_exec = {
        .name = "exec",
        .arguments = "NAME [OPTION...] [--] COMMAND [ARGUMENT...]",
        .summary = "Run a further program in a sandbox",
        .details = "Examples:\n"
                   "  sentryctl exec web -- ps aux\n"
                   "  sentryctl exec web --container=worker --limit=nofile=64:128 -- work\n"
                   "  sentryctl exec web --fd=5 -- strace -p 1 5</usr/bin/strace\n"
                   "The exit status is the command's; 125 to 127 as in env(1).\n",
        .runs_program = true,
        .options = (const Option[]) {
                { OPTION_ENV, "env", 'E', "NAME[=VALUE]", false, "Set a variable, or pass it on" },
                { OPTION_CWD, "cwd", 0, "DIR", false, "Start in this directory" },
                { OPTION_CWD, "chdir", 0, "DIR", false, NULL },
                { OPTION_CONTAINER, "container", 'c', "ID", false, "It and its descendants belong to this container" },
                { OPTION_USER, "user", 'u', "UID[:GID]", false, "Run it as this user of the sandbox" },
                { OPTION_UMASK, "umask", 0, "MODE", false, "Mode bits that new files shall not have" },
                { OPTION_LIMIT, "limit", 'l', "NAME=SOFT[:HARD]", false, "Set a resource limit" },
                { OPTION_FD, "fd", 0, "N", false, "Run this open file, COMMAND is its name" },
                { OPTION_HOLD, "hold", 0, "ID", false, "Create it, but wait for `sentryctl start`" },
                {},
        },
        .run = verb_exec_main,
};

static int verb_start_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *path = NULL;
        int index, r;

        index = options_only(ctl, argc, argv, 2, 2);
        if (index < 0)
                return index;
        r = sandbox_find(ctl, argv[index], NULL, &path);
        if (r < 0)
                return r;
        return ctl_call(ctl, path, BUS_SANDBOX_INTERFACE, "Start", NULL, "s", argv[index + 1]);
}

const Verb verb_start = {
        .name = "start",
        .aside = true,
        .arguments = "NAME ID",
        .summary = "Let a program go that exec --hold=ID has created",
        .run = verb_start_main,
};
