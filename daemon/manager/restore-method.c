/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Restore(): like CreateSandbox(), with an image. The manager does not read that: its directory may be of a file system that
 * never answers, and what is in it is for the one to judge who has no rights to lose. So the caller says what profile the
 * image has; sentry-kernel, as the caller's user, holds the sandbox to it. */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "bus-util.h"
#include "connection.h"
#include "manager.h"
#include "profile.h"
#include "sandbox.h"
#include "util.h"

#define KEY_SHOWN_MAX 128U

/* All point into the message. */
typedef struct RestoreOptions {
        const char *profile, *program;
        int lazy;
} RestoreOptions;

static int restore_option_read(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *shown = NULL;
        RestoreOptions *options = userdata;
        const char *contents, *wanted = streq(key, "lazy") ? "b" : "s";
        int r;

        if (!streq(key, "profile") && !streq(key, "program") && !streq(key, "lazy")) {
                shown = text_shown(key, KEY_SHOWN_MAX);
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Restore does not know the option \"%s\". It knows \"profile\" and \"program\", both "
                                         "strings, and \"lazy\", a boolean.", shown ?: "");
        }
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, wanted))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Restore's option \"%s\" has type \"%.64s\"; it must be \"%s\".",
                                         key, contents, wanted);
        if (*wanted == 'b')
                return sd_bus_message_read(m, "v", "b", &options->lazy);
        return sd_bus_message_read(m, "v", "s", streq(key, "profile") ? &options->profile : &options->program);
}

static int check_document(const char *document, sd_bus_error *error) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_(profile_freep) Profile *profile = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        if (!document)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "Restore needs the option \"profile\": the text of the profile that the image's manifest has.");
        if (strlen(document) > PROFILE_TEXT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The profile is %zu bytes, and no more than %u are allowed.",
                                         strlen(document), PROFILE_TEXT_MAX);
        r = profile_parse(document, &profile, &problems);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                text = profile_problems_to_string(&problems);
                return sd_bus_error_setf(error, BUS_ERROR_BAD_PROFILE, "The profile of the image is not valid: %s",
                                         text ? bus_text(text) : strerror(-r));
        }
        if (profile->pid_host)
                return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                        "A sandbox with the host's process ids (pid: host) can't be restored: its numbers may be taken.");
        if (profile->users == PROFILE_USERS_HOST)
                return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                        "A sandbox with the host's users (users: host) can't be restored: it belongs to a unit.");
        return 0;
}

int manager_method_restore(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int launch_fd = -EBADF;
        _cleanup_free_ char *name = NULL;
        RestoreOptions options = {};
        Connection *c = userdata;
        Manager *manager = c->manager;
        SandboxImage image = {};
        const char *wanted;
        struct statx stx;
        Sandbox *s;
        uid_t uid;
        int r;

        r = sd_bus_message_read(m, "hs", &image.directory_fd, &wanted);
        if (r < 0)
                return r;
        r = bus_read_options(m, restore_option_read, &options, error);
        if (r < 0)
                return r;
        r = manager_may_create(c, m, &uid, error);
        if (r < 0)
                return r;
        if (statx(image.directory_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0 || !S_ISDIR(stx.stx_mode))
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The image is not the descriptor of a directory.");
        r = check_document(options.profile, error);
        if (r < 0)
                return r;
        /* Its own, if it is free. */
        if (!*wanted && options.program && sandbox_name_is_valid(options.program)) {
                s = manager_find_sandbox(manager, options.program, false);
                if (s)
                        sandbox_settle(s);
                if (!manager_find_sandbox(manager, options.program, false))
                        wanted = options.program;
        }
        r = manager_choose_name(manager, wanted, options.program, &name, error);
        if (r < 0)
                return r;
        r = manager_check_limits(manager, uid, error);
        if (r < 0)
                return r;

        image.lazy = options.lazy;
        r = sandbox_new(manager, name, uid, "(image)", options.profile, &image, &s, &launch_fd, error);
        if (r < 0)
                return r;
        r = sd_bus_reply_method_return(m, "ohs", s->path, launch_fd, options.profile);
        sandbox_announce(s);
        return r;
}
