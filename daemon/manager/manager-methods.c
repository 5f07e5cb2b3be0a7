/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods and properties of org.sentryd1.Manager: checking of arguments, answers. */

#include "authorize.h"
#include "bus-util.h"
#include "connection.h"
#include "identify.h"
#include "log.h"
#include "manager.h"
#include "profile.h"
#include "sandbox.h"

#define NAME_SHOWN_MAX 128U /* bytes of a name that an error repeats */
#define FILENAME_SHOWN_MAX 4096U /* bytes of the name of the file that CheckProfile's problems are about */

/* The options of CreateSandbox. All point into the message. */
typedef struct CreateOptions {
        const char *overrides; /* JSON text, or NULL */
        const char *program;   /* whose base name a made-up name has, or NULL */
} CreateOptions;

static int create_option_read(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *shown = NULL;
        CreateOptions *options = userdata;
        const char *contents, **value;
        int r;

        if (streq(key, "overrides"))
                value = &options->overrides;
        else if (streq(key, "program"))
                value = &options->program;
        else {
                shown = text_shown(key, NAME_SHOWN_MAX);
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "CreateSandbox does not know the option \"%s\". It knows \"overrides\" and "
                                         "\"program\", both strings.", shown ?: "");
        }

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, "s"))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "CreateSandbox's option \"%s\" has type \"%.64s\"; it must be a string "
                                         "(\"s\").", key, contents);
        return sd_bus_message_read(m, "v", "s", value);
}

static int set_name_error(sd_bus_error *error, const char *name) {
        _cleanup_free_ char *shown = text_shown(name, NAME_SHOWN_MAX);

        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "\"%s\" can't be the name of a sandbox: it must be 1 to %u letters, digits, dots, "
                                 "underscores and dashes, and start with a letter or a digit.", shown ?: "",
                                 SANDBOX_NAME_MAX);
}

static int set_no_sandbox_error(sd_bus_error *error, const char *name) {
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_SANDBOX,
                                 "There is no sandbox \"%s\". `sentryctl list` shows those that there are.", name);
}

/* Loads a profile, and says what is wrong with it. */
static int load_profile(Manager *manager, const char *name, const char *overrides, char **ret, sd_bus_error *error) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_free_ char *text = NULL, *where = NULL, *shown = NULL;
        int r;

        r = profile_load(manager->profile_path, name, overrides, ret, &problems);
        if (r >= 0)
                return 0;
        if (r == -ENOMEM)
                return r;

        shown = text_shown(name, NAME_SHOWN_MAX);
        if (!shown)
                return -ENOMEM;

        if (problems.n_items > 0) {
                text = profile_problems_to_string(&problems);
                if (!text)
                        return -ENOMEM;
                bus_text(text);
                for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
                        text[n - 1] = '\0';
        }

        if (r == -ENOENT) {
                if (text)
                        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_PROFILE,
                                                 "%s\n`sentryctl profile list` shows the profiles that there are.",
                                                 text);

                where = strv_join(manager->profile_path, ", ");
                if (where)
                        bus_text(where);
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_PROFILE,
                                         "There is no profile \"%s\" in %s. `sentryctl profile list` shows the "
                                         "profiles that there are.", shown, where ?: "the search path");
        }
        if (text)
                return sd_bus_error_set(error, BUS_ERROR_BAD_PROFILE, text);
        if (r == -EINVAL)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" can't be the name of a profile: that is a file's name without "
                                         "directory and \".json\".", shown);

        return sd_bus_error_setf(error, BUS_ERROR_BAD_PROFILE, "Failed to load profile \"%s\": %s", shown,
                                 strerror(-r));
}

/* Checks or makes up the name. */
int manager_choose_name(Manager *manager, const char *wanted, const char *program, char **ret, sd_bus_error *error) {
        Sandbox *s;

        if (!*wanted)
                return manager_pick_name(manager, program ?: "", ret);

        if (!sandbox_name_is_valid(wanted))
                return set_name_error(error, wanted);

        s = manager_find_sandbox(manager, wanted, false);
        if (s) {
                sandbox_settle(s); /* who saw it end may use its name again */
                s = manager_find_sandbox(manager, wanted, false);
        }
        if (s)
                return sd_bus_error_setf(error, BUS_ERROR_NAME_IN_USE,
                                         "There already is a sandbox \"%s\", of uid %u: choose another name, or end "
                                         "it with `sentryctl kill %s`.", wanted, s->owner, wanted);

        *ret = strdup(wanted);
        return *ret ? 0 : -ENOMEM;
}

/* Whether this instance makes sandboxes for that user: only the system instance can run a sentry-kernel as another. */
static int check_may_create(Manager *manager, uid_t uid, sd_bus_error *error) {
        if (manager->mode == MANAGER_SYSTEM || uid == manager->uid)
                return 0;

        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "This is the %s instance of uid %u and makes sandboxes for nobody else, and you are "
                                 "uid %u: use an instance of your own, or the system's (`sentryctl --system`).",
                                 manager_mode_to_string(manager->mode), manager->uid, uid);
}

int manager_may_create(Connection *c, sd_bus_message *m, uid_t *ret_uid, sd_bus_error *error) {
        int r;

        r = connection_query_uid(c, m, ret_uid);
        if (r < 0)
                return r;
        r = check_may_create(c->manager, *ret_uid, error);
        if (r < 0)
                return r;
        if (sd_bus_can_send(c->bus, SD_BUS_TYPE_UNIX_FD) <= 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                         "%s returns a file descriptor, which this connection can't take: "
                                         "negotiate the passing of file descriptors when connecting.", sd_bus_message_get_member(m));
        return 0;
}

int manager_method_create_sandbox(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *name = NULL, *profile = NULL;
        _cleanup_close_ int launch_fd = -EBADF;
        const char *wanted, *profile_name;
        Connection *c = userdata;
        Manager *manager = c->manager;
        CreateOptions options = {};
        Sandbox *s;
        uid_t uid;
        int r;

        r = sd_bus_message_read(m, "ss", &wanted, &profile_name);
        if (r < 0)
                return r;
        if (!*profile_name)
                profile_name = manager->config.default_profile;
        r = bus_read_options(m, create_option_read, &options, error);
        if (r < 0)
                return r;
        if (options.overrides && strlen(options.overrides) > PROFILE_TEXT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The overrides are %zu bytes, and no more than %u are allowed.",
                                         strlen(options.overrides), PROFILE_TEXT_MAX);

        r = manager_may_create(c, m, &uid, error);
        if (r < 0)
                return r;

        r = manager_choose_name(manager, wanted, options.program, &name, error);
        if (r < 0)
                return r;
        r = manager_check_limits(manager, uid, error);
        if (r < 0)
                return r;
        r = load_profile(manager, profile_name, options.overrides, &profile, error);
        if (r < 0)
                return r;

        bus_text(profile);
        r = sandbox_new(manager, name, uid, profile_name, profile, NULL, &s, &launch_fd, error);
        if (r < 0)
                return r;

        /* First the answer, then the signals: somebody waits for it. When it can't be sent, launch_fd is closed and
         * sentry-kernel sees that nobody will come. */
        r = sd_bus_reply_method_return(m, "ohs", s->path, launch_fd, profile);
        sandbox_announce(s);
        return r;
}

int manager_method_list_sandboxes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        Connection *c = userdata;
        uid_t uid;
        int r;

        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(sosuut)");
        if (r < 0)
                return r;

        for (Sandbox *s = TAILQ_FIRST(&c->manager->live), *next; s; s = next) {
                next = TAILQ_NEXT(s, queue);
                if (sandbox_check_access(s, uid, NULL) < 0)
                        continue;

                sandbox_settle(s);
                if (s->ended)
                        continue;
                r = sd_bus_message_append(reply, "(sosuut)", s->name, s->path, s->state, s->owner, s->init_pid,
                                          s->started_usec);
                if (r < 0)
                        return r;
        }

        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

int manager_method_get_sandbox(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        const char *name;
        Sandbox *s;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!sandbox_name_is_valid(name))
                return set_name_error(error, name);

        /* One that has just ended counts: its object still answers Wait(). */
        s = manager_find_sandbox(c->manager, name, true);
        if (!s)
                return set_no_sandbox_error(error, name);

        r = authorize_check(c, m, s, error);
        if (r < 0)
                return r;

        return sd_bus_reply_method_return(m, "o", s->path);
}

int manager_method_get_sandbox_by_pid(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        Sandbox *s = NULL;
        int pidfd, r;
        uid_t uid;

        r = sd_bus_message_read(m, "h", &pidfd);
        if (r < 0)
                return r;
        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;
        r = identify_sandbox(c->manager, pidfd, &s, error);
        if (r < 0)
                return r;

        if (!s || sandbox_check_access(s, uid, NULL) < 0)
                return sd_bus_error_set(error, BUS_ERROR_NO_SUCH_SANDBOX, "That process is in no sandbox of yours.");

        return sd_bus_reply_method_return(m, "o", s->path);
}

int manager_method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = connection_subscribe(userdata, m, true);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

int manager_method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = connection_subscribe(userdata, m, false);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

int manager_method_token(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t token;
        int r;

        r = sd_bus_message_read(m, "t", &token);
        if (r >= 0)
                r = connection_set_token(userdata, m, token);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

int manager_method_list_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        ProfileListing *listing = NULL;
        Connection *c = userdata;
        size_t n = 0;
        int r;

        r = profile_list(c->manager->profile_path, &listing, &n);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "Failed to list the profiles: %s", strerror(-r));

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sss)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "(sss)", bus_text(listing[i].name), bus_text(listing[i].file),
                                          listing[i].description ? bus_text(listing[i].description) : "");
        if (r >= 0)
                r = sd_bus_message_close_container(reply);

        profile_listing_free(listing, n);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int manager_method_get_profile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *document = NULL;
        Connection *c = userdata;
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;

        r = load_profile(c->manager, *name ? name : c->manager->config.default_profile, NULL, &document, error);
        if (r < 0)
                return r;

        return sd_bus_reply_method_return(m, "s", bus_text(document));
}

int manager_method_check_profile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        const char *text, *filename;
        int r;

        r = sd_bus_message_read(m, "ss", &text, &filename);
        if (r < 0)
                return r;
        if (strlen(text) > PROFILE_TEXT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The profile is %zu bytes, and no more than %u are allowed.", strlen(text),
                                         PROFILE_TEXT_MAX);
        if (strlen(filename) > FILENAME_SHOWN_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The file's name is %zu bytes, and no more than %u are allowed.",
                                         strlen(filename), FILENAME_SHOWN_MAX);

        r = profile_check(text, filename, &problems);
        if (r < 0 && r != -EBADMSG)
                return r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(uss)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < problems.n_items; i++) {
                const ProfileProblem *p = problems.items + i;

                r = sd_bus_message_append(reply, "(uss)", p->line, p->key ? bus_text(p->key) : "",
                                          p->message ? bus_text(p->message) : "");
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

int manager_property_get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                                 sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

int manager_property_get_mode(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;

        return sd_bus_message_append(reply, "s", manager_mode_to_string(c->manager->mode));
}

int manager_property_get_n_sandboxes(sd_bus *bus, const char *path, const char *interface, const char *property,
                                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;

        return sd_bus_message_append(reply, "u", c->manager->n_live);
}
