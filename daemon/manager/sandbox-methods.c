/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sandboxes as objects on the bus: which there are for whom, their methods and the properties that are not plain
 * fields. */

#include <fcntl.h>
#include <sys/stat.h>

#include "authorize.h"
#include "bus-util.h"
#include "connection.h"
#include "manager.h"
#include "pending.h"
#include "sandbox.h"

/* Finds the sandbox that a path names: 1; 0 when it is no path of a sandbox; or NoSuchSandbox. */
static int sandbox_of_path(Manager *manager, const char *path, Sandbox **ret, sd_bus_error *error) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = sd_bus_path_decode(path, BUS_SANDBOX_PREFIX, &name);
        if (r <= 0)
                return r;
        if (!sandbox_name_is_valid(name))
                return 0;

        *ret = manager_find_sandbox(manager, name, true);
        if (*ret)
                return 1;
        if (manager->emitting > 0)
                return 0;

        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_SANDBOX,
                                 "There is no sandbox \"%s\". `sentryctl list` shows those that there are.", name);
}

int sandbox_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                 sd_bus_error *error) {
        Connection *c = userdata;
        sd_bus_message *call;
        Sandbox *s = NULL;
        int r;

        r = sandbox_of_path(c->manager, path, &s, error);
        if (r <= 0)
                return r;

        /* Signals of ours look for their object here, too: nobody calls then. */
        if (c->manager->emitting == 0) {
                call = sd_bus_get_current_message(bus);
                if (!call)
                        return 0;

                r = authorize_check(c, call, s, error);
                if (r < 0)
                        return r;

                sandbox_settle(s);
        }

        *ret_found = s;
        return 1;
}

int sandbox_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error) {
        _cleanup_strv_free_ char **nodes = NULL;
        Connection *c = userdata;
        sd_bus_message *call;
        Sandbox *s;
        uid_t uid;
        int r;

        call = sd_bus_get_current_message(bus);
        if (!call)
                return 0;

        r = connection_query_uid(c, call, &uid);
        if (r < 0)
                return r;

        TAILQ_FOREACH(s, &c->manager->live, queue) {
                if (sandbox_check_access(s, uid, NULL) < 0)
                        continue;
                r = strv_extend(&nodes, s->path);
                if (r < 0)
                        return r;
        }

        *ret_nodes = TAKE_PTR(nodes);
        return 1;
}

/* Sets NotRunning when the sandbox has ended: it is still found then, for Wait(). */
static int sandbox_check_lives(const Sandbox *s, sd_bus_error *error) {
        if (!s->ended)
                return 0;

        return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING,
                                 "Sandbox \"%s\" has ended, with status %d. `sentryctl list` shows those that run.",
                                 s->name, s->exit_status);
}

int sandbox_method_forward(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        Connection *c;
        int r;

        r = sandbox_check_lives(s, error);
        if (r < 0)
                return r;

        c = connection_of(s->manager, sd_bus_message_get_bus(m));
        if (!c)
                return -ENOTCONN;

        r = pending_forward(s, c, m, error);
        return r < 0 ? r : 1;
}

/* A sandbox is saved by its owner's rights. So that these are lent to nobody, others than the owner and root have it saved
 * into directories of their own only. */
static int check_directory(const Sandbox *s, Connection *c, sd_bus_message *m, sd_bus_error *error) {
        struct statx stx;
        uid_t uid;
        int fd, r;

        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;
        if (uid == 0 || uid == s->owner)
                return 0;
        r = sd_bus_message_read(m, "h", &fd);
        if (r < 0)
                return r;
        (void) sd_bus_message_rewind(m, true);
        /* What is known of it: a file system that does not answer is not waited for. */
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_UID, &stx) < 0)
                return -errno;
        if (!S_ISDIR(stx.stx_mode) || stx.stx_uid != uid)
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                         "Sandbox \"%s\" of uid %u is written by that user's rights, and you are uid %u: give a directory "
                                         "that belongs to you, not to uid %u, and in which uid %u may write.", s->name, s->owner, uid,
                                         stx.stx_uid, s->owner);
        return 0;
}

int sandbox_method_save(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        Connection *c = connection_of(s->manager, sd_bus_message_get_bus(m));
        int r;

        if (!c)
                return -ENOTCONN;
        r = check_directory(s, c, m, error);
        return r < 0 ? r : sandbox_method_forward(m, s, error);
}

int sandbox_method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        int status, r;

        r = sd_bus_message_read(m, "i", &status);
        if (r < 0)
                return r;
        if (status < 0 || status > 255)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The status of Kill() is %d; it must be 0 to 255 (137 is what SIGKILL "
                                         "gives).", status);

        r = sandbox_method_forward(m, s, error);
        if (r >= 0)
                s->kill_status = status;
        return r;
}

int sandbox_method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        Connection *c;
        int r;

        if (s->ended)
                return sd_bus_reply_method_return(m, "i", s->exit_status);

        c = connection_of(s->manager, sd_bus_message_get_bus(m));
        if (!c)
                return -ENOTCONN;

        r = pending_wait(s, c, m, error);
        return r < 0 ? r : 1;
}

int sandbox_property_get_profile(sd_bus *bus, const char *path, const char *interface, const char *property,
                                 sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        /* Large, and the environment in it may be private: InterfacesAdded, which everybody on a bus can read, has an
         * empty one. Who asks has been checked. */
        return sd_bus_message_append(reply, "s", s->manager->emitting > 0 || !s->profile ? "" : s->profile);
}

int sandbox_property_get_is_paused(sd_bus *bus, const char *path, const char *interface, const char *property,
                                   sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        return sd_bus_message_append(reply, "b", (int) streq(s->state, "paused"));
}

int sandbox_property_get_walls(sd_bus *bus, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Sandbox *s = userdata;
        _cleanup_free_ char *words = strdup(s->walls ?: "");
        char *rest = words, *word;
        int r;

        if (!words)
                return -ENOMEM;
        r = sd_bus_message_open_container(reply, SD_BUS_TYPE_ARRAY, "s");
        while (r >= 0 && (word = strsep(&rest, " ")))
                if (*word)
                        r = sd_bus_message_append(reply, "s", word);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}
