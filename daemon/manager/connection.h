/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection that the API is served on: the session or system bus, or one peer of an embedded instance. All have
 * the same objects. Knows who is at the other end, and tells all connections of what happens to sandboxes. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

typedef struct Connection Connection;
typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

/* A peer that has so many messages to read does not read, and is dropped. Towards a bus signals are left out then. */
#define CONNECTION_QUEUE_MAX 4096U

#define CONNECTION_SENDERS 64U /* how many callers on a bus we remember the user of */

/* What we asked the bus about one of its clients. Unique names are never used again. */
typedef struct Sender {
        char name[32]; /* unique name; empty: slot unused */
        uid_t uid;     /* effective user */
        uint64_t token; /* that of its next call, or 0 */
} Sender;

struct Connection {
        Manager *manager; /* not owned; immutable */
        sd_bus *bus;      /* owned; immutable */
        bool peer;        /* immutable: no bus between, the other end is one process */
        uid_t uid;        /* immutable: the peer's; nothing on a bus */
        uint64_t token;   /* peers only: that of the next call, or 0 */
        bool doomed;      /* closed as soon as no callback of it runs */
        bool subscribed;  /* peers only: the other end wants to hear of tasks */
        sd_bus_track *subscribers; /* owned; bus only: the clients that do. NULL: none ever did */
        bool dropping;    /* bus only: signals are being left out, which was logged */
        Sender senders[CONNECTION_SENDERS]; /* bus only: a ring */
        unsigned next_sender;               /* the slot of senders to use next */
        LIST_ENTRY(Connection) connections; /* owned by connection.c: in manager->connections */
};

/* Puts our objects on bus, watches for its end and attaches it to the event loop; starts nothing. Takes ownership of
 * bus when it succeeds. */
int connection_new(Manager *manager, sd_bus *bus, bool peer, uid_t uid, Connection **ret);
/* NULL-safe. Drops the calls that the peer waits for. */
Connection *connection_free(Connection *c);

/* The connection that a message came in on. NULL if it is none of ours. */
Connection *connection_of(Manager *manager, sd_bus *bus);

/* The effective user of who sent a message. On a bus this asks the bus daemon the first time. */
int connection_query_uid(Connection *c, sd_bus_message *m, uid_t *ret);

/* By which a call is known that its sender may have to make again: Token(). Taking it gives it to the call at hand. 0: it
 * has none. */
int connection_set_token(Connection *c, sd_bus_message *m, uint64_t token);
uint64_t connection_take_token(Connection *c, sd_bus_message *m);

/* Whether the sender of a message wants to hear of tasks: TaskNew, TaskExec and TaskExit are told to nobody otherwise. */
int connection_subscribe(Connection *c, sd_bus_message *m, bool yes);
/* Whether anybody does. */
bool connections_subscribed(const Manager *manager);

/* Telling everybody who may see the sandbox. */
void broadcast_added(Sandbox *s);
void broadcast_removed(Sandbox *s);
void broadcast_properties(Sandbox *s, char **names);
void broadcast_exited(Sandbox *s);
void broadcast_signal(Sandbox *s, sd_bus_message *signal); /* one of sentry-kernel's, from the sandbox's path */

/* Called when manager->reap_source is due: frees doomed connections. */
void connections_reap(Manager *manager);
