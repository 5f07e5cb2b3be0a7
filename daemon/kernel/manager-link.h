/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to a manager: the connection that sentry-kernel was started with and, when that is gone or this sentry-kernel has
 * taken another's place, the manager's socket (rendezvous.h). While nobody listens there, inotify(7) tells when somebody
 * does. No guest ever waits for any of it. */

#include <stdbool.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Sentry Sentry;

typedef struct ManagerLink {
        Sentry *sentry;               /* lookup only */
        int rundir_fd;                /* owned; O_PATH. -EBADF: there is no socket to come to */
        int inotify_fd;               /* owned; -EBADF: not watching */
        sd_event_source *inotify_source; /* owned */
        int fd;                       /* owned; where HELLO was said and no answer came yet. -EBADF */
        sd_event_source *answer_source; /* owned */
        sd_event_source *retry_source;  /* owned */
        bool ready;                   /* the manager has read something: descriptors may be sent */
        bool complained;              /* the log says already why we cannot get there */
} ManagerLink;

/* Takes ownership of rundir_fd. */
void manager_link_init(ManagerLink *link, Sentry *sentry, int rundir_fd);
void manager_link_done(ManagerLink *link);

/* Serves the connection that sentry-kernel was started with; takes ownership of fd. */
int manager_link_serve(ManagerLink *link, int fd);
/* Looks for a manager until there is one. */
void manager_link_seek(ManagerLink *link);
/* Whether there is a way to come to a manager that we have no connection to. */
bool manager_link_may_come(const ManagerLink *link);

/* Methods of the internal interface, and what makes a method that changes something be done once: a call with a token that
 * was seen before is answered as it was then; the effect and how it ended are kept before the answer is sent. */
extern const sd_bus_vtable kernel_internal_vtable[];
int kernel_once(sd_bus_message_handler_t function, sd_bus_message *m, Sentry *sentry, sd_bus_error *error);
