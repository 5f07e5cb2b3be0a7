/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* run: a program in a new sandbox. The daemon says what the sandbox is made of and gives the launch socket; the program
 * becomes our child. And what run and exec share. */

#include <fcntl.h>
#include <libgen.h>
#ifdef HAVE_SANITIZERS
#  include <sanitizer/lsan_interface.h>
#endif

#include <systemd/sd-daemon.h>

#include "connect.h"
#include "document.h"
#include "run.h"
#include "sandboxes.h"

#define NAME_TRIES 100U
#define NAME_TRY_USEC 20000U

extern char **environ;

enum {
        OPTION_NAME = OPTION_FIRST,
        OPTION_PROFILE,
        OPTION_HOSTNAME,
        OPTION_BIND,
        OPTION_RO_BIND,
        OPTION_TMPFS,
        OPTION_CHDIR,
        OPTION_ENV,
        OPTION_UNSETENV,
        OPTION_CLEARENV,
        OPTION_PID,
        OPTION_NETWORK,
        OPTION_INIT,
        OPTION_USERS,
        OPTION_IN_PLACE,
        OPTION_ARGV0,
        OPTION_CAPABILITIES,
};

int run_failure(int r) {
        return r == -ENOMEM ? ctl_oom() : r;
}

/* Sets a key to one of a few words. */
static int set_choice(Ctl *ctl, json_object *document, const char *key, const char *value, const char *allowed) {
        _cleanup_free_ char *words = strdup(allowed);
        char *state = NULL;

        if (!words)
                return -ENOMEM;
        for (char *word = strtok_r(words, ", ", &state); word; word = strtok_r(NULL, ", ", &state))
                if (streq(word, value))
                        return document_set_string(document, "sentry", key, value);
        return ctl_usage(ctl, "--%s is one of %s, not '%s'", key, allowed, value);
}

/* Everything a run was asked for. */
typedef struct Request {
        const char *name, *profile;
        json_object *document; /* overrides */
        bool in_place;
        const char *argv0;     /* NULL: the program's name as given */
        char **unset;          /* --unsetenv, also those that a later --env set again */
} Request;

static void request_done(Request *request) {
        json_object_put(request->document);
        strv_free(request->unset);
}

static int run_option(Ctl *ctl, Request *request, int id, const char *value) {
        json_object *document = request->document;
        _cleanup_free_ char *path = NULL;
        int r;

        switch (id) {
        case OPTION_NAME:
                request->name = value;
                return 0;
        case OPTION_PROFILE:
                request->profile = value;
                return 0;
        case OPTION_HOSTNAME:
                return document_set_string(document, NULL, "hostname", value);
        case OPTION_BIND:
                return document_bind(ctl, document, "--bind", value, false);
        case OPTION_RO_BIND:
                return document_bind(ctl, document, "--ro-bind", value, true);
        case OPTION_TMPFS:
                return document_tmpfs(ctl, document, value);
        case OPTION_CHDIR:
                r = path_from_option(ctl, "--chdir", value, &path);
                return r < 0 ? r : document_set_string(document, "process", "cwd", path);
        case OPTION_ENV:
                return document_set_env(ctl, document, value);
        case OPTION_UNSETENV:
                r = strv_extend(&request->unset, value);
                return r < 0 ? r : document_unset_env(ctl, document, value);
        case OPTION_CLEARENV:
                return document_set_string(document, "sentry", "env", "clear");
        case OPTION_INIT:
                return document_set_boolean(document, "sentry", "init", true);
        case OPTION_USERS:
                return set_choice(ctl, document, "users", value, "single, range, host");
        case OPTION_IN_PLACE:
                request->in_place = true;
                return 0;
        case OPTION_ARGV0:
                request->argv0 = value;
                return 0;
        case OPTION_CAPABILITIES:
                return document_set_capabilities(document, value);
        case OPTION_PID:
                return set_choice(ctl, document, "pid", value, "private, host");
        default: /* OPTION_NETWORK */
                return set_choice(ctl, document, "network", value, "none, private, host");
        }
}

/* True when a "NAME=VALUE" of the array is about this variable. */
static bool is_set(json_object *array, const char *name) {
        for (size_t i = 0; array && i < json_object_array_length(array); i++) {
                const char *item = json_object_get_string(json_object_array_get_idx(array, i));
                const char *rest = item ? startswith(item, name) : NULL;

                if (rest && *rest == '=')
                        return true;
        }
        return false;
}

/* The array sentry.unsetenv or process.env of a document, or NULL. */
static json_object *find_array(json_object *document, const char *section, const char *key) {
        json_object *object;

        if (!json_object_object_get_ex(document, section, &object) ||
            !json_object_object_get_ex(object, key, &object) || !json_object_is_type(object, json_type_array))
                return NULL;
        return object;
}

/* Arrays other than process.env replace those of the profile: what it unsets must be in ours, too. */
static int keep_unset(Ctl *ctl, Request *request) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *profile = NULL;
        json_object *array;
        const char *text;
        int r;

        r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "GetProfile", &reply, "s",
                     request->profile);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return ctl_bad_reply("GetProfile", r);

        profile = json_tokener_parse(text);
        array = find_array(profile, "sentry", "unsetenv");
        for (size_t i = 0; array && i < json_object_array_length(array); i++) {
                const char *name = json_object_get_string(json_object_array_get_idx(array, i));

                if (!name || is_set(find_array(request->document, "process", "env"), name))
                        continue;
                r = document_unset_env(ctl, request->document, name);
                if (r < 0)
                        return run_failure(r);
        }
        return 0;
}

/* What a profile sets stays set in spite of its unsetenv: takes it out of the resolved document. */
static int drop_unset(Ctl *ctl, const Request *request, const char *document, char **ret) {
        _cleanup_json_ json_object *object = json_tokener_parse(document);
        const char *text;
        int r;

        if (!json_object_is_type(object, json_type_object))
                return ctl_bad_reply("CreateSandbox", -EBADMSG);
        for (size_t i = 0; i < strv_length(request->unset); i++) {
                if (is_set(find_array(request->document, "process", "env"), request->unset[i]))
                        continue;
                r = document_unset_env(ctl, object, request->unset[i]);
                if (r < 0)
                        return run_failure(r);
        }
        text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
        *ret = text ? strdup(text) : NULL;
        return *ret ? 0 : ctl_oom();
}

int run_take_fd(int borrowed) {
        int fd = fcntl(borrowed, F_DUPFD_CLOEXEC, 3);

        return fd < 0 ? -errno : fd;
}

static int print_problems(const char *name, ProfileProblems *problems) {
        _cleanup_free_ char *text = profile_problems_to_string(problems);

        profile_problems_done(problems);
        return ctl_error("the profile of sandbox '%s' cannot be used:\n%s", name, text ?: "");
}

int run_launch(Ctl *ctl, const char *document, LaunchRequest *launch_request) {
        _cleanup_(profile_freep) Profile *profile = NULL;
        ProfileProblems problems = {};
        int r;

        r = profile_parse(document, &profile, &problems);
        if (r < 0)
                return print_problems(launch_request->name, &problems);
        profile_problems_done(&problems);

        ctl_disconnect(ctl);
        fflush(NULL);
        launch_request->profile = profile;
        launch_request->envp = environ;
#ifdef HAVE_SANITIZERS
        /* Now and not at the end: once it has made namespaces the leak checker may not trace us. */
        __lsan_do_leak_check();
#endif
        return launch_request->in_place ? launch_in_place(launch_request) : launch_run(launch_request);
}

static int create_once(Ctl *ctl, const Request *request, const char *program, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_free_ char *copy = strdup(program);
        int r;

        if (!copy)
                return ctl_oom();
        r = ctl_new_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "CreateSandbox", &call);
        if (r < 0)
                return CTL_FAILED;
        r = sd_bus_message_append(call, "ss", request->name, request->profile);
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(call, "{sv}", "program", "s", basename(copy));
        if (r >= 0 && json_object_object_length(request->document) > 0)
                r = sd_bus_message_append(call, "{sv}", "overrides", "s",
                                          json_object_to_json_string_ext(request->document, JSON_C_TO_STRING_PLAIN));
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0)
                return ctl_error("cannot ask for a sandbox: %s (are all names and paths UTF-8?)", strerror(-r));
        r = ctl_send(ctl, call, 0, error, ret);
        if (r < 0 && !sd_bus_error_is_set(error))
                return ctl_error("the connection to %s was lost", ctl_daemon_name(ctl));
        return r;
}

static int create(Ctl *ctl, const Request *request, const char *program, sd_bus_message **ret) {
        int r;

        for (unsigned i = 0;; i++) {
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                unsigned lost = ctl->n_lost;

                r = create_once(ctl, request, program, &error, ret);
                if (r >= 0 || !sd_bus_error_is_set(&error))
                        return r;
                /* The daemon that went away had made it already. It ends when nobody launches in it, which is now. */
                if (ctl->n_lost != lost)
                        i = 0;
                if (!sd_bus_error_has_name(&error, BUS_ERROR_NAME_IN_USE) || ctl->n_lost == 0 || i >= NAME_TRIES)
                        return ctl_error("%s", bus_error_message(&error, EIO));
                (void) usleep(NAME_TRY_USEC);
        }
}

static int run_request(Ctl *ctl, Request *request, char **program) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_close_ int launch_fd = -EBADF;
        _cleanup_free_ char *name = NULL, *merged = NULL, *profile = NULL;
        const char *path, *document, *file;
        int fd, r;

        r = ctl_connect(ctl, CONNECT_START);
        if (r < 0)
                return r;
        if (request->unset) {
                r = keep_unset(ctl, request);
                if (r < 0)
                        return r;
        }
        r = create(ctl, request, program[0], &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ohs", &path, &fd, &document);
        if (r >= 0)
                r = launch_fd = run_take_fd(fd);
        if (r >= 0)
                r = sd_bus_path_decode(path, BUS_SANDBOX_PREFIX, &name);
        if (r < 0)
                return ctl_bad_reply("CreateSandbox", r);
        if (request->unset) {
                r = drop_unset(ctl, request, document, &merged);
                if (r < 0)
                        return r;
                document = merged;
        }
        if (!*request->profile && sd_booted() > 0) /* for the description of its unit */
                (void) sd_bus_get_property_string(ctl->bus, ctl_sender(ctl), path, BUS_SANDBOX_INTERFACE, "ProfileName", NULL,
                                                  &profile);

        file = program[0];
        if (request->argv0)
                program[0] = (char *) request->argv0;
        return run_launch(ctl, document,
                          &(LaunchRequest) {
                                      .name = name ?: request->name,
                                      .profile_name = profile ?: request->profile,
                                      .argv = program,
                                      .file = file,
                                      .launch_fd = launch_fd,
                                      .init_pidfd = -1,
                                      .program_fd = -1,
                                      .umask = -1,
                                      .in_place = request->in_place,
                                      .uid = -1,
                                      .gid = -1,
                      });
}

static int verb_run_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv, .in_order = true };
        _cleanup_(request_done) Request request = { .name = "", .profile = "", .document = json_object_new_object() };
        int id, r;

        if (!request.document)
                return ctl_oom();
        while ((id = options_next(&parser)) > 0) {
                r = run_option(ctl, &request, id, parser.value);
                if (r < 0)
                        return run_failure(r);
        }
        if (id < 0)
                return id;
        if (parser.index >= argc)
                return ctl_usage(ctl, "run needs a program, for example: sentryctl run -- ls -l /");
        if (request.in_place && !*request.profile)
                request.profile = "service";
        return run_request(ctl, &request, argv + parser.index);
}

const Verb verb_run = {
        .name = "run",
        .arguments = "[--] PROGRAM [ARGUMENT...]",
        .summary = "Run a program in a new sandbox",
        .details = "Examples:\n"
                   "  sentryctl run -- sh\n"
                   "  sentryctl run --name=build --bind=src:/src --chdir=/src -- make\n"
                   "The exit status is the program's; 125 to 127 as in env(1).\n",
        .runs_program = true,
        .options = (const Option[]) {
                { OPTION_NAME, "name", 'n', "NAME", false, "Name of the sandbox" },
                { OPTION_PROFILE, "profile", 'p', "PROFILE", false, "What it is made of" },
                { OPTION_HOSTNAME, "hostname", 0, "NAME", false, "Its host name" },
                { OPTION_BIND, "bind", 0, "SRC[:DST]", false, "Show a file or directory inside" },
                { OPTION_RO_BIND, "ro-bind", 0, "SRC[:DST]", false, "The same, read-only" },
                { OPTION_TMPFS, "tmpfs", 0, "DST", false, "Put an empty directory there" },
                { OPTION_CHDIR, "chdir", 0, "DIR", false, "Start in this directory" },
                { OPTION_ENV, "env", 'E', "NAME[=VALUE]", false, "Set a variable, or pass it on" },
                { OPTION_UNSETENV, "unsetenv", 0, "NAME", false, "Remove a variable" },
                { OPTION_CLEARENV, "clearenv", 0, NULL, false, "Start with an empty environment" },
                { OPTION_INIT, "init", 0, NULL, false, "Have a first process that reaps orphans" },
                { OPTION_PID, "pid", 0, "private|host", false, "Which processes it sees" },
                { OPTION_USERS, "users", 0, "single|range|host", false, "Which users it has" },
                { OPTION_CAPABILITIES, "capabilities", 0, "CAP,…", false, "Those of capabilities(7) that it keeps" },
                { OPTION_ARGV0, "argv0", 0, "NAME", false, "What the program is told as its name" },
                { OPTION_IN_PLACE, "in-place", 0, NULL, false, "Become the program, as units want it" },
                { OPTION_NETWORK, "network", 0, "none|private|host", false, "Which network it has" },
                {},
        },
        .run = verb_run_main,
};
