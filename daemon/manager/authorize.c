/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asking polkit, without waiting for it. A call by somebody who may not make it is kept while polkit decides; when it
 * agrees, the call is dispatched anew, and is found to be granted wherever that is asked. */

#include <stdio.h>

#include "authorize.h"
#include "bus-util.h"
#include "connection.h"
#include "log.h"
#include "manager.h"
#include "sandbox.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_FLAG_INTERACTIVE 1U

/* A call that polkit is asked about. Owned by manager->authorizations. */
struct Authorization {
        Connection *connection; /* not owned; immutable: where the call came from */
        sd_bus_message *call;   /* owned; immutable */
        const char *action;     /* static; immutable: what polkit calls it */
        char *name;             /* owned; immutable: of the sandbox; NULL: the call is about none */
        uint64_t serial;        /* immutable: of the sandbox; a later one of the same name is another */
        uid_t uid, owner;       /* immutable: who calls; whose sandbox it is */
        uint64_t id;            /* immutable: names the question to polkit, should it be taken back */
        bool interactive;       /* immutable: polkit may ask a person */
        bool granted;           /* polkit has agreed: the call comes, or is there, once more */
        bool used;              /* … and was dispatched: to be freed */
        sd_bus_slot *slot;      /* owned: the question; NULL once it is answered */
        sd_bus_track *track;    /* owned: tells when who called is gone */
        LIST_ENTRY(Authorization) authorizations; /* in manager->authorizations */
};

/* What is asked for which call of others' sandboxes. What is missing is refused unasked: a new method has to be thought
 * about first. */
static const struct {
        const char *interface, *member, *action;
} actions[] = {
        { BUS_SANDBOX_INTERFACE, "Kill",                 "org.sentryd1.kill-others"    },
        { BUS_SANDBOX_INTERFACE, "Pause",                "org.sentryd1.control-others" },
        { BUS_SANDBOX_INTERFACE, "Resume",               "org.sentryd1.control-others" },
        { BUS_SANDBOX_INTERFACE, "Save",                 "org.sentryd1.save-others"    },
        { BUS_SANDBOX_INTERFACE, "Signal",               "org.sentryd1.control-others" },
        { BUS_SANDBOX_INTERFACE, "Start",                "org.sentryd1.control-others" },
        { BUS_SANDBOX_INTERFACE, "Exec",                 "org.sentryd1.exec-others"    },
        { BUS_SANDBOX_INTERFACE, "Trace",                "org.sentryd1.trace-others"   },
        { BUS_SANDBOX_INTERFACE, "Wait",                 "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListTasks",            "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetTasks",             "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListFds",              "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListSockets",          "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListMounts",           "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListNamespaces",       "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListIPC",              "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListCgroups",          "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetLog",               "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetSyscalls",          "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetSyscallStatistics", "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetStatistics",        "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "ListTimers",           "org.sentryd1.inspect-others" },
        { BUS_SANDBOX_INTERFACE, "GetClocks",            "org.sentryd1.inspect-others" },
        { BUS_PROPERTIES_INTERFACE, "Get",               "org.sentryd1.inspect-others" },
        { BUS_PROPERTIES_INTERFACE, "GetAll",            "org.sentryd1.inspect-others" },
};

#define ACTION_LOG_LEVEL "org.sentryd1.set-log-level"

static const char *find_action(sd_bus_message *m) {
        const char *interface = sd_bus_message_get_interface(m), *member = sd_bus_message_get_member(m);

        /* A call need not name the interface. Those of the properties' do not share names with the sandbox's. */
        for (size_t i = 0; i < ELEMENTSOF(actions); i++)
                if (streq(actions[i].member, member) && (!interface || streq(actions[i].interface, interface)))
                        return actions[i].action;

        return NULL;
}

static Authorization *authorization_free(Authorization *a) {
        if (!a)
                return NULL;

        LIST_REMOVE(a, authorizations);
        a->connection->manager->n_authorizations--;
        sd_bus_slot_unref(a->slot);
        sd_bus_track_unref(a->track);
        sd_bus_message_unref(a->call);
        free(a->name);
        free(a);
        return NULL;
}

void authorize_drop_connection(Connection *c) {
        for (Authorization *a = LIST_FIRST(&c->manager->authorizations), *next; a; a = next) {
                next = LIST_NEXT(a, authorizations);
                if (a->connection == c)
                        authorization_free(a);
        }
}

static Authorization *find_authorization(Connection *c, sd_bus_message *m) {
        Authorization *a;

        LIST_FOREACH(a, &c->manager->authorizations, authorizations)
                if (a->call == m)
                        return a;

        return NULL;
}

/* The sandbox that a call is about: by its object, or by its argument. NULL when it is about none that there is. */
static Sandbox *find_subject(Manager *manager, sd_bus_message *m) {
        _cleanup_free_ char *decoded = NULL;
        const char *name;
        int r;

        if (sd_bus_message_is_method_call(m, BUS_MANAGER_INTERFACE, "GetSandbox") > 0) {
                if (sd_bus_message_has_signature(m, "s") <= 0)
                        return NULL;
                r = sd_bus_message_read(m, "s", &name);
                (void) sd_bus_message_rewind(m, true);
                if (r <= 0)
                        return NULL;
        } else {
                if (sd_bus_path_decode(sd_bus_message_get_path(m), BUS_SANDBOX_PREFIX, &decoded) <= 0)
                        return NULL;
                name = decoded;
        }

        return sandbox_name_is_valid(name) ? manager_find_sandbox(manager, name, true) : NULL;
}

static bool is_log_setting(sd_bus_message *m) {
        return streq(sd_bus_message_get_path(m), BUS_LOG_PATH) &&
               sd_bus_message_is_method_call(m, BUS_PROPERTIES_INTERFACE, "Set") > 0;
}

/* Answers the call with a no. why is a whole sentence. */
static void deny(Authorization *a, const char *error_name, const char *why) {
        int r;

        if (a->name)
                r = sd_bus_reply_method_errorf(
                                a->call, error_name,
                                "Sandbox \"%s\" belongs to uid %u and you are uid %u: others than its owner and root "
                                "need polkit's permission (action %s). %s", a->name, a->owner, a->uid, a->action, why);
        else
                r = sd_bus_reply_method_errorf(
                                a->call, error_name,
                                "You are uid %u, and others than root need polkit's permission for this (action %s). "
                                "%s", a->uid, a->action, why);
        if (r < 0)
                log_debug_errno(r, "Failed to answer %s(): %m", sd_bus_message_get_member(a->call));

        authorization_free(a);
}

static void deny_for_error(Authorization *a, const sd_bus_error *e) {
        _cleanup_free_ char *why = NULL;

        if (sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return deny(a, SD_BUS_ERROR_ACCESS_DENIED, "polkit is not there to ask: install polkitd, or be root.");
        if (sd_bus_error_has_names(e, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT,
                                   "org.freedesktop.DBus.Error.TimedOut"))
                return deny(a, SD_BUS_ERROR_ACCESS_DENIED, "polkit was asked and did not answer.");

        log_warning("Failed to ask polkit about %s for uid %u: %s", a->action, a->uid, bus_error_message(e, EIO));
        if (asprintf(&why, "polkit was asked and could not tell: %s", bus_error_message(e, EIO)) < 0)
                why = NULL;
        deny(a, SD_BUS_ERROR_ACCESS_DENIED, why ?: "polkit was asked and could not tell.");
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        Authorization *a = userdata;
        int authorized = 0, challenge = 0, r;

        a->slot = sd_bus_slot_unref(a->slot);

        if (sd_bus_message_is_method_error(reply, NULL)) {
                deny_for_error(a, sd_bus_message_get_error(reply));
                return 1;
        }

        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0) {
                log_warning_errno(r, "Failed to read what polkit says of %s: %m", a->action);
                deny(a, SD_BUS_ERROR_ACCESS_DENIED, "polkit was asked and gave an answer that makes no sense.");
                return 1;
        }

        if (!authorized) {
                if (challenge && !a->interactive)
                        deny(a, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                             "It would ask for a password, which this call does not let it: call from a terminal, or "
                             "be root.");
                else
                        deny(a, SD_BUS_ERROR_ACCESS_DENIED, "It says no.");
                return 1;
        }

        log_debug("polkit grants %s to uid %u for sandbox %s.", a->action, a->uid, a->name ?: "-");
        a->granted = true;
        r = sd_bus_enqueue_for_read(a->connection->bus, a->call);
        if (r < 0) {
                log_warning_errno(r, "Failed to go on with a call that polkit has granted: %m");
                deny(a, SD_BUS_ERROR_FAILED, "It says yes, but the call could not be gone on with: try again.");
        }
        return 1;
}

static int on_caller_gone(sd_bus_track *track, void *userdata) {
        Authorization *a = userdata;
        char id[32];

        if (a->granted)
                return 1; /* comes all the same, and is freed then */

        /* A question on somebody's screen goes away with who made it come. */
        (void) snprintf(id, sizeof(id), "sentryd-%llu", (unsigned long long) a->id);
        (void) sd_bus_call_method_async(a->connection->bus, NULL, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                        "CancelCheckAuthorization", NULL, NULL, "s", id);
        authorization_free(a);
        return 1;
}

static int ask(Authorization *a) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        sd_bus *bus = a->connection->bus;
        char id[32], owner[16];
        int r;

        (void) snprintf(id, sizeof(id), "sentryd-%llu", (unsigned long long) a->id);
        (void) snprintf(owner, sizeof(owner), "%u", a->owner);

        r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", sd_bus_message_get_sender(a->call),
                                  a->action);
        if (r < 0)
                return r;
        r = a->name ? sd_bus_message_append(m, "a{ss}", 2, "sandbox", a->name, "owner", owner)
                    : sd_bus_message_append(m, "a{ss}", 0);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "us", a->interactive ? POLKIT_FLAG_INTERACTIVE : 0U, id);
        if (r < 0)
                return r;

        r = sd_bus_call_async(bus, &a->slot, m, on_answer, a,
                              a->interactive ? AUTHORIZE_INTERACTIVE_USEC : AUTHORIZE_USEC);
        if (r < 0)
                return r;

        r = sd_bus_track_new(bus, &a->track, on_caller_gone, a);
        if (r < 0)
                return r;
        return sd_bus_track_add_sender(a->track, a->call);
}

static int check_limits(Manager *manager, uid_t uid, sd_bus_error *error) {
        Authorization *a;
        unsigned n = 0;

        LIST_FOREACH(a, &manager->authorizations, authorizations)
                n += a->uid == uid;
        if (n < AUTHORIZATIONS_PER_UID_MAX && manager->n_authorizations < AUTHORIZATIONS_MAX)
                return 0;

        return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                 "%u calls wait for polkit, %u of them of uid %u, and no more than %u and %u are "
                                 "allowed: answer or end some of them.", manager->n_authorizations, n, uid,
                                 AUTHORIZATIONS_MAX, AUTHORIZATIONS_PER_UID_MAX);
}

/* Keeps the call, and asks. s: NULL when the call is about no sandbox. */
static int authorization_new(Connection *c, sd_bus_message *m, const char *action, uid_t uid, const Sandbox *s,
                             sd_bus_error *error) {
        Manager *manager = c->manager;
        Authorization *a;
        int r;

        r = check_limits(manager, uid, error);
        if (r < 0)
                return r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;

        a->connection = c;
        a->call = sd_bus_message_ref(m);
        a->action = action;
        a->uid = uid;
        a->id = ++manager->authorization_counter;
        a->interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        LIST_INSERT_HEAD(&manager->authorizations, a, authorizations);
        manager->n_authorizations++;

        if (s) {
                a->serial = s->serial;
                a->owner = s->owner;
                a->name = strdup(s->name);
        }
        r = s && !a->name ? -ENOMEM : ask(a);
        if (r < 0) {
                authorization_free(a);
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Failed to ask polkit whether uid %u may "
                                         "do this (action %s): %s", uid, action, strerror(-r));
        }
        return 1;
}

/* Frees what was dispatched before. */
static void forget_used(Manager *manager) {
        for (Authorization *a = LIST_FIRST(&manager->authorizations), *next; a; a = next) {
                next = LIST_NEXT(a, authorizations);
                if (a->used)
                        authorization_free(a);
        }
}

int authorize_message(Connection *c, sd_bus_message *m, sd_bus_error *error) {
        Manager *manager = c->manager;
        const char *action;
        Authorization *a;
        Sandbox *s;
        uid_t uid;
        int r;

        forget_used(manager);

        if (manager->mode != MANAGER_SYSTEM || c->peer || !sd_bus_message_get_path(m) ||
            !sd_bus_message_get_member(m) || !sd_bus_message_get_sender(m) ||
            sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;

        a = find_authorization(c, m);
        if (a) {
                a->used = true;
                return 0;
        }

        s = find_subject(manager, m);
        action = is_log_setting(m) ? ACTION_LOG_LEVEL : !s ? NULL
                 : sd_bus_message_is_method_call(m, BUS_MANAGER_INTERFACE, "GetSandbox") > 0
                         ? "org.sentryd1.inspect-others" : find_action(m);
        if (!action)
                return 0;

        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;
        if (uid == 0 || (s && sandbox_check_access(s, uid, NULL) >= 0))
                return 0;

        return authorization_new(c, m, action, uid, s, error);
}

int authorize_check(Connection *c, sd_bus_message *m, const Sandbox *s, sd_bus_error *error) {
        Authorization *a;
        uid_t uid;
        int r;

        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;

        a = find_authorization(c, m);
        if (a && a->granted && a->name && a->serial == s->serial)
                return 0;

        return sandbox_check_access(s, uid, error);
}

int authorize_check_root(Connection *c, sd_bus_message *m, const char *what, sd_bus_error *error) {
        Authorization *a;
        uid_t uid;
        int r;

        r = connection_query_uid(c, m, &uid);
        if (r < 0)
                return r;
        if (uid == 0 || uid == c->manager->uid)
                return 0;

        a = find_authorization(c, m);
        if (a && a->granted && !a->name)
                return 0;

        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "You are uid %u, and only root may %s.", uid, what);
}
