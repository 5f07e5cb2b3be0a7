/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections that the API is served on: who is at the other end, and telling all of them of what happens. */

#include "authorize.h"
#include "bus-util.h"
#include "connection.h"
#include "log-control.h"
#include "log.h"
#include "manager.h"
#include "pending.h"

/* Closes the connection once nothing runs on it: it may be the one whose call we are answering. */
static void connection_doom(Connection *c) {
        if (c->doomed)
                return;

        c->doomed = true;
        (void) sd_event_source_set_enabled(c->manager->reap_source, SD_EVENT_ONESHOT);
}

/* Looks at what sending led to, and at what the other end has not read. Returns whether signals may be sent. */
static bool connection_check(Connection *c, int error) {
        uint64_t queued = 0;

        if (c->doomed)
                return false;

        (void) sd_bus_get_n_queued_write(c->bus, &queued);

        if (!c->peer) {
                /* The bus daemon reads, be it late: signals can wait for that, answers should not. */
                bool full = queued > CONNECTION_QUEUE_MAX;

                if (full && !c->dropping)
                        log_warning("The bus daemon has %llu messages of ours to read: leaving out signals until it "
                                    "has.", (unsigned long long) queued);
                c->dropping = full;
                return !full;
        }

        if (error == -ENOBUFS || queued > CONNECTION_QUEUE_MAX) {
                log_warning("A client (uid %u) does not read what it is sent, %llu messages by now: closing its "
                            "connection.", c->uid, (unsigned long long) queued);
                connection_doom(c);
                return false;
        }

        return true;
}

void connections_reap(Manager *manager) {
        for (Connection *c = LIST_FIRST(&manager->connections), *next; c; c = next) {
                next = LIST_NEXT(c, connections);
                if (c->doomed)
                        connection_free(c);
        }
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        Manager *manager = c->manager;

        if (c->peer) {
                connection_free(c);
                return 1;
        }

        connection_doom(c);

        /* A session bus ends with its session, and then so do we. */
        if (manager->mode == MANAGER_USER && manager->n_live == 0) {
                log_info("The session bus went away: the end.");
                (void) sd_event_exit(manager->event, EXIT_SUCCESS);
                return 1;
        }

        log_error("The bus went away. %u sandboxes go on without their manager.", manager->n_live);
        (void) sd_event_exit(manager->event, EXIT_FAILURE);
        return 1;
}

/* Sees every message before its handler does. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Connection *c = userdata;
        int r;

        (void) connection_check(c, 0);
        if (sd_bus_message_is_method_call(m, NULL, NULL) > 0) {
                r = bus_check_strings(m, error);
                if (r < 0)
                        return r;
        }
        return authorize_message(c, m, error);
}

static int connection_add_objects(Connection *c) {
        int r;

        r = sd_bus_add_object_manager(c->bus, NULL, BUS_MANAGER_PATH);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(c->bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, manager_vtable, c);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c->bus, NULL, BUS_SANDBOX_PREFIX, BUS_SANDBOX_INTERFACE, sandbox_vtable,
                                       sandbox_find, c);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(c->bus, NULL, BUS_LOG_PATH, BUS_LOG_INTERFACE, log_control_vtable, c);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(c->bus, NULL, BUS_SANDBOX_PREFIX, sandbox_enumerate, c);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(c->bus, NULL, on_message, c);
        if (r < 0)
                return r;

        return sd_bus_match_signal_async(c->bus, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Disconnected",
                                         on_disconnected, NULL, c);
}

int connection_new(Manager *manager, sd_bus *bus, bool peer, uid_t uid, Connection **ret) {
        Connection *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;

        c->manager = manager;
        c->bus = sd_bus_ref(bus);
        c->peer = peer;
        c->uid = uid;
        LIST_INSERT_HEAD(&manager->connections, c, connections);
        manager->n_connections++;

        r = connection_add_objects(c);
        if (r >= 0)
                r = sd_bus_attach_event(bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0) {
                connection_free(c); /* closes bus, too: the caller has nothing more to do with it than to unref it */
                return r;
        }

        sd_bus_unref(bus); /* the caller's, which is ours now */
        *ret = c;
        return 0;
}

Connection *connection_free(Connection *c) {
        Manager *manager;

        if (!c)
                return NULL;

        manager = c->manager;
        LIST_REMOVE(c, connections);
        manager->n_connections--;

        c->subscribers = sd_bus_track_unref(c->subscribers);
        manager_check_subscribed(manager);
        authorize_drop_connection(c);
        pending_drop_connection(manager, c);
        sd_bus_close_unref(c->bus);
        free(c);

        manager_check_idle(manager);
        return NULL;
}

Connection *connection_of(Manager *manager, sd_bus *bus) {
        Connection *c;

        LIST_FOREACH(c, &manager->connections, connections)
                if (c->bus == bus)
                        return c;

        return NULL;
}

int connection_query_uid(Connection *c, sd_bus_message *m, uid_t *ret) {
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        const char *sender;
        Sender *slot;
        uid_t uid;
        int r;

        if (c->peer) {
                *ret = c->uid;
                return 0;
        }

        sender = sd_bus_message_get_sender(m);
        if (!sender)
                return -ENODATA;

        for (size_t i = 0; i < CONNECTION_SENDERS; i++)
                if (streq(c->senders[i].name, sender)) {
                        *ret = c->senders[i].uid;
                        return 0;
                }

        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r < 0)
                return r;
        r = sd_bus_creds_get_euid(creds, &uid);
        if (r < 0)
                return r;

        if (sender[0] == ':' && strlen(sender) < sizeof(slot->name)) {
                slot = c->senders + c->next_sender;
                c->next_sender = (c->next_sender + 1) % CONNECTION_SENDERS;
                strcpy(slot->name, sender);
                slot->uid = uid;
                slot->token = 0;
        }

        *ret = uid;
        return 0;
}

/* Where the token of a caller's next call is. */
static uint64_t *find_token(Connection *c, sd_bus_message *m) {
        const char *sender = sd_bus_message_get_sender(m);

        if (c->peer)
                return &c->token;
        for (size_t i = 0; sender && i < CONNECTION_SENDERS; i++)
                if (streq(c->senders[i].name, sender))
                        return &c->senders[i].token;
        return NULL;
}

int connection_set_token(Connection *c, sd_bus_message *m, uint64_t token) {
        uint64_t *place;
        uid_t uid;
        int r;

        r = connection_query_uid(c, m, &uid); /* which remembers the sender */
        if (r < 0)
                return r;
        place = find_token(c, m);
        if (!place)
                return -ENOBUFS;
        *place = token;
        return 0;
}

uint64_t connection_take_token(Connection *c, sd_bus_message *m) {
        uint64_t *place = find_token(c, m), token = place ? *place : 0;

        if (place)
                *place = 0;
        return token;
}

static int on_subscriber_gone(sd_bus_track *track, void *userdata) {
        Connection *c = userdata;

        manager_check_subscribed(c->manager);
        return 1; /* 0 would have it called again, for ever */
}

int connection_subscribe(Connection *c, sd_bus_message *m, bool yes) {
        int r = 0;

        if (c->peer)
                c->subscribed = yes;
        else {
                if (!c->subscribers)
                        r = sd_bus_track_new(c->bus, &c->subscribers, on_subscriber_gone, c);
                if (r >= 0)
                        r = yes ? sd_bus_track_add_sender(c->subscribers, m) : sd_bus_track_remove_sender(c->subscribers, m);
        }
        if (r < 0)
                return r;
        manager_check_subscribed(c->manager);
        return 0;
}

bool connections_subscribed(const Manager *manager) {
        const Connection *c;

        LIST_FOREACH(c, &manager->connections, connections)
                if (c->subscribed || (c->subscribers && sd_bus_track_count(c->subscribers) > 0))
                        return true;
        return false;
}

/* A bus shows signals to everybody who asks for them: what is on it must not be secret. */
static bool connection_may_see(Connection *c, const Sandbox *s) {
        return !c->peer || c->uid == 0 || c->uid == s->owner;
}

/* One thing to be told. */
typedef int (*tell_t)(Connection *c, Sandbox *s, void *what);

static void broadcast(Sandbox *s, tell_t tell, void *what) {
        Manager *manager = s->manager;
        Connection *c;
        int r;

        manager->emitting++;
        LIST_FOREACH(c, &manager->connections, connections) {
                if (!connection_may_see(c, s) || !connection_check(c, 0))
                        continue;

                r = tell(c, s, what);
                if (r < 0) {
                        /* Some client that is just leaving is nothing to talk about. */
                        if (r != -ENOTCONN && r != -ECONNRESET && r != -EPIPE)
                                log_debug_errno(r, "Failed to send a signal about sandbox %s: %m", s->name);
                        (void) connection_check(c, r);
                }
        }
        manager->emitting--;
}

static int tell_added(Connection *c, Sandbox *s, void *what) {
        int r, q;

        r = sd_bus_emit_signal(c->bus, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "SandboxNew", "so", s->name, s->path);
        q = sd_bus_emit_object_added(c->bus, s->path);
        return r < 0 ? r : q;
}

static int tell_removed(Connection *c, Sandbox *s, void *what) {
        int r, q;

        r = sd_bus_emit_object_removed(c->bus, s->path);
        q = sd_bus_emit_signal(c->bus, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "SandboxRemoved", "so", s->name,
                               s->path);
        return r < 0 ? r : q;
}

static int tell_properties(Connection *c, Sandbox *s, void *what) {
        return sd_bus_emit_properties_changed_strv(c->bus, s->path, BUS_SANDBOX_INTERFACE, what);
}

static int tell_exited(Connection *c, Sandbox *s, void *what) {
        return sd_bus_emit_signal(c->bus, s->path, BUS_SANDBOX_INTERFACE, "Exited", "i", s->exit_status);
}

static int tell_signal(Connection *c, Sandbox *s, void *what) {
        return bus_signal_forward(c->bus, s->path, what);
}

void broadcast_added(Sandbox *s) {
        broadcast(s, tell_added, NULL);
}

void broadcast_removed(Sandbox *s) {
        broadcast(s, tell_removed, NULL);
}

void broadcast_properties(Sandbox *s, char **names) {
        broadcast(s, tell_properties, names);
}

void broadcast_exited(Sandbox *s) {
        broadcast(s, tell_exited, NULL);
}

void broadcast_signal(Sandbox *s, sd_bus_message *signal) {
        broadcast(s, tell_signal, signal);
}
