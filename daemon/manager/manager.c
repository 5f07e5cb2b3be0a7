/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The manager object: the table of sandboxes with their names and limits, the bus connection, start and end. */

#include <stdio.h>

#include "arrivals.h"
#include "bus-util.h"
#include "connection.h"
#include "embedded.h"
#include "log.h"
#include "manager.h"
#include "profile.h"
#include "spawn.h"
#include "visitors.h"

const char *manager_mode_to_string(ManagerMode mode) {
        static const char *const names[_MANAGER_MODE_MAX] = {
                [MANAGER_EMBEDDED] = "embedded",
                [MANAGER_USER] = "user",
                [MANAGER_SYSTEM] = "system",
        };

        return names[mode];
}

static int on_reap(sd_event_source *source, void *userdata) {
        connections_reap(userdata);
        return 0;
}

int manager_update_kernel_env(Manager *m) {
        _cleanup_strv_free_ char **env = NULL, **given = NULL;
        char *level = NULL, *watchdog = NULL;
        int r;

        r = spawn_make_environment(&given);
        for (char **e = given; e && *e && r >= 0; e++)
                if (!startswith(*e, "SENTRYD_LOG_LEVEL="))
                        r = strv_extend(&env, *e);
        if (r >= 0)
                r = string_appendf(&level, "SENTRYD_LOG_LEVEL=%d", log_max_level());
        if (r >= 0)
                r = strv_consume(&env, level);
        if (r >= 0 && m->config.watchdog_sec != CONFIG_UNSET && !getenv("SENTRYD_WATCHDOG_SEC")) {
                r = string_appendf(&watchdog, "SENTRYD_WATCHDOG_SEC=%u", m->config.watchdog_sec);
                if (r >= 0)
                        r = strv_consume(&env, watchdog);
        }
        if (r < 0)
                return r;

        strv_free(m->kernel_env);
        m->kernel_env = TAKE_PTR(env);
        return 0;
}

int manager_load_config(Manager *m) {
        _cleanup_strv_free_ char **path = NULL;
        Config config;
        int r;

        /* The system instance serves many users, so no user's directory counts for it. What the environment says counts
         * more than what files do. */
        r = config_load(m->mode != MANAGER_SYSTEM, &config);
        if (r < 0)
                return r;
        if (config.profile_path && !secure_getenv("SENTRYD_PROFILE_PATH")) {
                path = strv_copy(config.profile_path);
                r = path ? 0 : -ENOMEM;
        } else
                r = profile_search_path(m->mode != MANAGER_SYSTEM, &path);
        if (r < 0) {
                config_done(&config);
                return r;
        }

        config_done(&m->config);
        m->config = config;
        strv_free(m->profile_path);
        m->profile_path = TAKE_PTR(path);

        log_open(); /* by the environment, or the default */
        if (config.log_level >= 0 && !getenv("SENTRYD_LOG_LEVEL"))
                log_set_max_level(config.log_level);
        return manager_update_kernel_env(m);
}

int manager_new(ManagerMode mode, sd_event *event, const struct rlimit *nofile, Manager **ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;

        m->mode = mode;
        m->uid = geteuid();
        m->event = sd_event_ref(event);
        m->nofile = *nofile;
        m->runtime = (Runtime) RUNTIME_NONE;
        TAILQ_INIT(&m->live);
        TAILQ_INIT(&m->ended);

        r = spawn_find_kernel(&m->kernel_path);
        if (r < 0)
                return r;
        r = manager_load_config(m);
        if (r < 0)
                return r;

        r = sd_event_add_defer(event, &m->reap_source, on_reap, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(m->reap_source, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(m);
        return 0;
}

Manager *manager_free(Manager *m) {
        Connection *c;
        Sandbox *s;

        if (!m)
                return NULL;

        while ((c = LIST_FIRST(&m->connections)))
                connection_free(c);
        while ((s = TAILQ_FIRST(&m->live)))
                sandbox_free(s);
        while ((s = TAILQ_FIRST(&m->ended)))
                sandbox_free(s);

        arrivals_free(m);
        visitors_close(m);
        store_close(m);
        runtime_close(&m->runtime);
        m->embedded = embedded_free(m->embedded); /* last: it has the lock of the directory */
        sd_event_source_disable_unref(m->reap_source);
        sd_event_unref(m->event);
        config_done(&m->config);
        strv_free(m->profile_path);
        strv_free(m->kernel_env);
        free(m->kernel_path);
        free(m);
        return NULL;
}

int manager_connect_bus(Manager *m) {
        const char *which = m->mode == MANAGER_SYSTEM ? "system" : "session";
        _cleanup_bus_close_ sd_bus *bus = NULL;
        sd_bus *borrowed;
        Connection *c;
        int r;

        r = m->mode == MANAGER_SYSTEM ? sd_bus_open_system(&bus) : sd_bus_open_user(&bus);
        if (r < 0)
                return log_error_errno(r, "Failed to connect to the %s bus: %m. %s", which,
                                       m->mode == MANAGER_SYSTEM ? "Does dbus run?"
                                       : "Where there is none, `sentryctl run` starts a daemon by itself.");

        r = sd_bus_set_exit_on_disconnect(bus, 0);
        if (r >= 0)
                r = sd_bus_set_close_on_exit(bus, 0);
        if (r >= 0) {
                borrowed = bus;
                r = connection_new(m, bus, false, 0, &c);
        }
        if (r < 0)
                return log_error_errno(r, "Failed to set up the %s bus: %m", which);
        bus = NULL; /* the connection's now */

        r = sd_bus_request_name(borrowed, BUS_NAME, 0);
        if (r == -EEXIST || r == -EALREADY)
                return log_error_errno(r, "The name " BUS_NAME " is taken on the %s bus: another sentryd serves it "
                                       "already.", which);
        if (r < 0)
                return log_error_errno(r, "Failed to take the name " BUS_NAME " on the %s bus: %m%s", which,
                                       m->mode == MANAGER_SYSTEM ? ". Is its policy, " BUS_NAME ".conf, installed?"
                                                                 : "");
        return 0;
}

bool sandbox_name_is_valid(const char *text) {
        static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        size_t n = strlen(text);

        return n >= 1 && n <= SANDBOX_NAME_MAX && strchr(alnum, text[0]) &&
               strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static size_t bucket_of(const char *name) {
        uint32_t hash = UINT32_C(2166136261); /* FNV-1a */

        for (; *name; name++)
                hash = (hash ^ (unsigned char) *name) * UINT32_C(16777619);

        return hash % MANAGER_BUCKETS;
}

Sandbox *manager_find_sandbox(Manager *m, const char *name, bool with_ended) {
        Sandbox *s;

        LIST_FOREACH(s, &m->buckets[bucket_of(name)], bucket)
                if (streq(s->name, name))
                        return s;

        if (with_ended)
                TAILQ_FOREACH_REVERSE(s, &m->ended, SandboxQueue, queue)
                        if (streq(s->name, name))
                                return s;

        return NULL;
}

int manager_pick_name(Manager *m, const char *program, char **ret) {
        char base[SANDBOX_NAME_MAX - 20]; /* leaves room for a dash and the number */
        _cleanup_free_ char *name = NULL;
        const char *slash;
        size_t n = 0;

        slash = strrchr(program, '/');
        for (const char *p = slash ? slash + 1 : program; *p && n < sizeof(base) - 1; p++) {
                char one[2] = { *p, '\0' };

                if (sandbox_name_is_valid(one) || (n > 0 && strchr("._-", *p)))
                        base[n++] = *p;
                else if (n > 0)
                        base[n++] = '_';
        }
        base[n] = '\0';

        /* A number is never used again: an ended sandbox and a new one are not mistaken for each other. */
        do {
                free(TAKE_PTR(name));
                if (asprintf(&name, "%s-%llu", n > 0 ? base : "sandbox",
                             (unsigned long long) ++m->name_counter % 1000000000000ULL) < 0) {
                        name = NULL;
                        return -ENOMEM;
                }
        } while (manager_find_sandbox(m, name, true));

        *ret = TAKE_PTR(name);
        return 0;
}

int manager_check_limits(Manager *m, uid_t owner, sd_bus_error *error) {
        unsigned n = 0;
        Sandbox *s;

        if (m->n_live + m->n_departing >= m->config.max_sandboxes)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "There are %u sandboxes, and no more than %u are allowed: end some of them.",
                                         m->n_live + m->n_departing, m->config.max_sandboxes);

        TAILQ_FOREACH(s, &m->live, queue)
                n += s->owner == owner;
        TAILQ_FOREACH(s, &m->ended, queue)
                n += s->owner == owner && s->process_source;
        if (n >= m->config.max_sandboxes_per_user)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Uid %u has %u sandboxes, and no user may have more than %u: end some of "
                                         "them (`sentryctl list`, `sentryctl kill NAME`).", owner, n,
                                         m->config.max_sandboxes_per_user);

        return 0;
}

void manager_link_sandbox(Manager *m, Sandbox *s) {
        s->linked = true;
        TAILQ_INSERT_TAIL(&m->live, s, queue);
        LIST_INSERT_HEAD(&m->buckets[bucket_of(s->name)], s, bucket);
        m->n_live++;
        manager_check_idle(m);
}

void manager_unlink_sandbox(Manager *m, Sandbox *s) {
        if (!s->linked)
                return;

        s->linked = false;
        if (s->ended) {
                TAILQ_REMOVE(&m->ended, s, queue);
                m->n_ended--;
                if (s->process_source)
                        m->n_departing--;
        } else {
                TAILQ_REMOVE(&m->live, s, queue);
                LIST_REMOVE(s, bucket);
                m->n_live--;
        }
        manager_check_idle(m);
}

void manager_retire_sandbox(Manager *m, Sandbox *s) {
        TAILQ_REMOVE(&m->live, s, queue);
        LIST_REMOVE(s, bucket);
        m->n_live--;

        s->ended = true;
        TAILQ_INSERT_TAIL(&m->ended, s, queue);
        m->n_ended++;
        if (s->process_source)
                m->n_departing++;
}

void manager_forget_ended(Manager *m) {
        for (Sandbox *s = TAILQ_FIRST(&m->ended), *next; s && m->n_ended > MANAGER_ENDED_MAX; s = next) {
                next = TAILQ_NEXT(s, queue);
                if (!s->process_source) /* else it must still be reaped */
                        sandbox_free(s);
        }
}

void manager_check_subscribed(Manager *m) {
        bool subscribed = connections_subscribed(m);
        Sandbox *s;

        if (subscribed == m->subscribed)
                return;
        m->subscribed = subscribed;
        TAILQ_FOREACH(s, &m->live, queue)
                sandbox_tell_subscribed(s);
}

void manager_check_idle(Manager *m) {
        if (m->embedded)
                embedded_check_idle(m);
}
