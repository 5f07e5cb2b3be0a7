/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sandbox as the manager knows it: its name and owner, the connection to its sentry-kernel, a cache of what that
 * one says, and the calls that wait for an answer. It lives from CreateSandbox until sentry-kernel says Exited or
 * is lost; after that it is kept a while for its exit status. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Connection Connection;
typedef struct HeldFd HeldFd;
typedef struct IndexEntry IndexEntry;
typedef struct Manager Manager;
typedef struct Pending Pending;
typedef struct Sandbox Sandbox;

#define SANDBOX_NAME_MAX 64U
#define SANDBOX_STATUS_LOST 125 /* the status when sentry-kernel dies without telling one */
#define SANDBOX_START_DEADLINE_USEC (60U * UINT64_C(1000000))  /* for the launcher to come */
#define SANDBOX_RESTORE_DEADLINE_USEC (900U * UINT64_C(1000000)) /* the same, and for all of its memory */
#define SANDBOX_DEPART_DEADLINE_USEC (10U * UINT64_C(1000000)) /* for sentry-kernel to exit after Exited */

typedef TAILQ_HEAD(SandboxQueue, Sandbox) SandboxQueue;

struct Sandbox {
        Manager *manager;   /* not owned; immutable */
        char *name, *path;  /* owned; immutable: and its object path */
        uint64_t serial;    /* immutable: no other sandbox of this manager ever has it */
        uint32_t owner;     /* immutable: the uid that made it */
        char *profile_name; /* owned; immutable */
        char *profile;      /* owned: the resolved document; freed (NULL) at the end */

        /* Said by sentry-kernel, so not to be relied on for security. */
        const char *state; /* static text: starting, running, paused, exited; never NULL */
        char *hostname, *domainname, *cpus, *walls, *save_status, *save_message; /* owned; NULL: not told yet */
        uint32_t init_pid;         /* 0: none yet, or no longer */
        uint32_t pause_depth;
        uint64_t started_usec;     /* CLOCK_REALTIME; our own measure until we are told better */

        /* The user namespace of init_pid; read on the first GetSandboxByPID() that needs it. */
        dev_t userns_dev;
        ino_t userns_ino; /* 0: not read */

        sd_bus *kernel;    /* owned: to sentry-kernel; NULL while none is connected */
        bool kernel_ready; /* authenticated: calls may be sent */

        /* By sandbox-kernel.c */
        pid_t pid;         /* of sentry-kernel, for messages */
        bool is_child;     /* it is our own, as opposed to one that came */
        sd_event_source *process_source;  /* owned, with its pidfd: its exit; NULL: none is known to live */
        sd_event_source *keeper_source;   /* owned, with its pidfd: the exit of who starts the next one; or NULL */
        sd_event_source *away_source;     /* owned: deadline for a sentry-kernel to come; NULL while one is there */
        sd_event_source *retry_source;    /* owned: looks again whether somebody has the lock; or NULL */
        HeldFd *held;      /* owned, by held.c: what a successor needs */
        size_t n_held;     /* length of held */
        bool recoverable;  /* held is a whole table */
        bool awaited;      /* manager->n_awaited counts it */
        bool doomed;       /* sandbox_kill_kernel(): no sentry-kernel is let in any more */
        unsigned n_failed; /* how many sentry-kernels in a row we started that died before they came … */
        unsigned n_killed; /* … and how many of somebody else's SIGKILL, who are not among those */

        sd_event_source *deadline_source; /* owned: what must have happened by then depends on ended; or NULL */

        uint64_t log_since_usec; /* CLOCK_MONOTONIC: since when n_logged counts */
        unsigned n_logged;       /* events that were to be logged */

        int32_t exit_status; /* -1 while it lives */
        int kill_status;     /* what the last Kill() asked for, the status if we have to kill hard; or -1 */
        bool linked;         /* by manager.c: in manager->live or ->ended */
        bool ended;          /* by manager.c: in manager->ended instead of manager->live */

        TAILQ_HEAD(, Pending) pending; /* owned, by pending.c: calls not answered yet, oldest first */
        unsigned n_waits, n_forwards; /* how many of each kind are in pending */

        TAILQ_ENTRY(Sandbox) queue;  /* owned by manager.c: in manager->live or ->ended */
        LIST_ENTRY(Sandbox) bucket;  /* owned by manager.c: in manager->buckets, while it lives */
};

/* What a sandbox is restored from. */
typedef struct SandboxImage {
        int directory_fd; /* stays the caller's */
        bool lazy;
} SandboxImage;

extern const sd_bus_vtable sandbox_vtable[];

/* Makes a sandbox and starts its sentry-kernel. Returns the launcher's end of the launch socket. name must be valid
 * and free, profile a resolved document; image: what it is restored from, or NULL. Nobody has been told of it yet: sandbox_announce(). */
int sandbox_new(Manager *manager, const char *name, uid_t owner, const char *profile_name, const char *profile,
                const SandboxImage *image, Sandbox **ret, int *ret_launch_fd, sd_bus_error *error);
void sandbox_announce(Sandbox *s);

/* Makes the sandbox that an entry of the index is about; its sentry-kernel is still to come. */
int sandbox_new_known(Manager *manager, const IndexEntry *entry, Sandbox **ret);

/* Connects to sentry-kernel over fd, which is taken when it succeeds; the handshake goes on by itself. */
int sandbox_connect_kernel(Sandbox *s, int fd);

/* The sandbox is over: everybody is told. sentry-kernel may still live for a moment. */
void sandbox_end(Sandbox *s, int status);

/* Takes in all that sentry-kernel has said before it went. */
void sandbox_drain(Sandbox *s);

/* What must happen next has so long. */
int sandbox_set_deadline(Sandbox *s, uint64_t usec);

/* NULL-safe. Calls that wait are dropped without an answer; sentry-kernel, if it runs, goes on by itself. */
Sandbox *sandbox_free(Sandbox *s);

/* Takes in what sentry-kernel has already sent, so that who has seen the sandbox change (by way of the launcher)
 * never gets an older answer from us. The sandbox may have ended after it, but is still there. */
void sandbox_settle(Sandbox *s);

/* Tells sentry-kernel whether anybody wants to hear of tasks. */
void sandbox_tell_subscribed(Sandbox *s);

/* 0, or AccessDenied with a sentence that helps: only owner and root may. */
int sandbox_check_access(const Sandbox *s, uid_t caller, sd_bus_error *error);

/* Takes over what PropertiesChanged of sentry-kernel says, and tells everybody of what is new (properties.c). */
int sandbox_take_properties(Sandbox *s, sd_bus_message *changed);

/* The objects under BUS_SANDBOX_PREFIX; userdata is the Connection. */
int sandbox_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                 sd_bus_error *error);
int sandbox_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error);

/* Methods and properties of org.sentryd1.Sandbox (sandbox-methods.c); userdata is the Sandbox. */
int sandbox_method_forward(sd_bus_message *m, void *userdata, sd_bus_error *error);
int sandbox_method_save(sd_bus_message *m, void *userdata, sd_bus_error *error);
int sandbox_method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error);
int sandbox_method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error);
int sandbox_property_get_profile(sd_bus *bus, const char *path, const char *interface, const char *property,
                                 sd_bus_message *reply, void *userdata, sd_bus_error *error);
int sandbox_property_get_walls(sd_bus *bus, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *error);
int sandbox_property_get_is_paused(sd_bus *bus, const char *path, const char *interface, const char *property,
                                   sd_bus_message *reply, void *userdata, sd_bus_error *error);
