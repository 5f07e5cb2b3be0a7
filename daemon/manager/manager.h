/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager: the one object of sentryd. Owns the connections that the API is served on, the table of sandboxes
 * with their names and limits, and what the whole process has once. */

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "connection.h"
#include "held.h"
#include "runtime.h"
#include "sandbox.h"

#define MANAGER_ENDED_MAX 256U     /* ended sandboxes whose exit status is kept */
#define MANAGER_CONNECTIONS_MAX 1024U /* of an embedded instance */
#define MANAGER_BUCKETS 256U       /* of the table of names; a power of two */

typedef struct Arrivals Arrivals;
typedef struct Authorization Authorization;
typedef struct Embedded Embedded;
typedef struct Visitors Visitors;

typedef enum ManagerMode {
        MANAGER_EMBEDDED, /* serves peers on a socket of its own, ends when idle */
        MANAGER_USER,     /* on the session bus */
        MANAGER_SYSTEM,   /* on the system bus; runs each sentry-kernel as the sandbox's owner */
        _MANAGER_MODE_MAX,
} ManagerMode;

/* Single-threaded: everything belongs to the event loop. */
struct Manager {
        ManagerMode mode;  /* immutable */
        uid_t uid;         /* immutable; our own */
        sd_event *event;   /* owned; immutable */
        char *kernel_path; /* owned; immutable: the sentry-kernel program */
        Config config;     /* owned: as of the last reload */
        char **kernel_env; /* owned: the environment of new ones */
        char **profile_path; /* owned: where profiles lie */
        struct rlimit nofile; /* immutable: RLIMIT_NOFILE as we got it; what sentry-kernels start with */

        LIST_HEAD(, Connection) connections; /* owned, by connection.c */
        unsigned n_connections;              /* length of connections */
        sd_event_source *reap_source;        /* owned: frees doomed connections once nothing runs on them */

        SandboxQueue live;                /* owned, by sandbox.c: those that have not ended, oldest first */
        LIST_HEAD(, Sandbox) buckets[MANAGER_BUCKETS]; /* lookup only: live by name */
        unsigned n_live;                  /* length of live */
        SandboxQueue ended;               /* owned, by sandbox.c: oldest first */
        unsigned n_ended;                 /* length of ended */
        unsigned n_departing;             /* those of ended whose sentry-kernel still lives */
        uint64_t name_counter;            /* the number in the last name we made up */
        uint64_t serial_counter;          /* the last one that a sandbox got */

        LIST_HEAD(, Authorization) authorizations; /* owned, by authorize.c: calls that polkit is asked about */
        unsigned n_authorizations;        /* length of authorizations */
        uint64_t authorization_counter;   /* the number of the last question to polkit */

        bool subscribed;   /* somebody wants to hear of tasks: sentry-kernels have been told */
        unsigned emitting; /* > 0 while we emit signals: finding objects then needs no caller's permission */
        Store store;       /* owned, by held.c */
        size_t n_held;     /* descriptors held for all sandboxes */
        size_t held_max;   /* immutable: how many there may be */
        Visitors *visitors; /* owned, by visitors.c: the socket that sentry-kernels come to */
        Arrivals *arrivals; /* owned, by arrivals.c: while we wait for those of our predecessor; or NULL */
        unsigned n_awaited; /* sandboxes whose sentry-kernel we wait for before we serve anybody */
        Runtime runtime;   /* owned: the directory; open once the manager serves */
        Embedded *embedded; /* owned: MANAGER_EMBEDDED only */
};

extern const sd_bus_vtable manager_vtable[];

/* Makes the manager. event stays the caller's (a reference is taken). */
int manager_new(ManagerMode mode, sd_event *event, const struct rlimit *nofile, Manager **ret);
/* NULL-safe. Running sentry-kernels go on by themselves. */
Manager *manager_free(Manager *m);
static inline void manager_freep(Manager **m) {
        manager_free(*m);
}

/* Reads the configuration (again) and goes by it from now on: limits and profiles for what comes, the level of the log at
 * once. What is wrong in it is logged and ignored. */
int manager_load_config(Manager *m);

/* Has new sentry-kernels log what we do. */
int manager_update_kernel_env(Manager *m);

/* Serves the session or system bus and takes the name. Errors are logged. */
int manager_connect_bus(Manager *m);

const char *manager_mode_to_string(ManagerMode mode);

/* Whether text can be the name of a sandbox: [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool sandbox_name_is_valid(const char *text);

/* Finds a sandbox: the living one of that name, else (when with_ended) the one that ended last. NULL if none. */
Sandbox *manager_find_sandbox(Manager *m, const char *name, bool with_ended);

/* Makes up a free name: the base name of program (or "sandbox"), and a number never used before. The caller frees. */
int manager_pick_name(Manager *m, const char *program, char **ret);

/* Checks the limits before a sandbox of owner is made. Sets error and returns negative when one is reached. */
int manager_check_limits(Manager *m, uid_t owner, sd_bus_error *error);

/* The table's side of a sandbox's life; called by sandbox.c only. */
void manager_link_sandbox(Manager *m, Sandbox *s);
void manager_unlink_sandbox(Manager *m, Sandbox *s);   /* live → nowhere */
void manager_retire_sandbox(Manager *m, Sandbox *s);   /* live → ended */
void manager_forget_ended(Manager *m);                 /* drops the oldest of too many ended */

/* Tells the sentry-kernels when the first one subscribes to what happens to tasks, and when the last one is gone. */
void manager_check_subscribed(Manager *m);

/* Something that idleness depends on has changed. */
void manager_check_idle(Manager *m);

/* Methods of org.sentryd1.Manager (manager-methods.c) */
/* Whether the sender of a call may have sandboxes made by us and can take the launch socket. 0 with its uid, or an error
 * that says what to do. */
int manager_may_create(Connection *c, sd_bus_message *m, uid_t *ret_uid, sd_bus_error *error);
/* Checks or makes up the name of a new sandbox. */
int manager_choose_name(Manager *manager, const char *wanted, const char *program, char **ret, sd_bus_error *error);

int manager_method_restore(sd_bus_message *m, void *userdata, sd_bus_error *error); /* restore-method.c */
int manager_method_create_sandbox(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_list_sandboxes(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_get_sandbox(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_get_sandbox_by_pid(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_token(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_list_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_get_profile(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_method_check_profile(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_property_get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                                 sd_bus_message *reply, void *userdata, sd_bus_error *error);
int manager_property_get_mode(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error);
int manager_property_get_n_sandboxes(sd_bus *bus, const char *path, const char *interface, const char *property,
                                     sd_bus_message *reply, void *userdata, sd_bus_error *error);
