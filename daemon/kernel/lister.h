/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long listings: what the host's /proc and sock_diag(7) say of the sandbox, written by a child as lines of JSON to a
 * pipe whose other end whoever asked has. The child has a copy of all that is known here, so nothing of it changes while
 * it looks; no guest and no person waits for it but the one who asked; it may join namespaces of the sandbox; and what
 * blocks it (a dead network file system) blocks nothing else. It has a deadline.
 *
 * The last line is {"end":true}, or {"error":"…"} with what went wrong. Without one the list is cut short. */

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "lines.h"
#include "abi/types.h"

#define LISTERS_MAX 8U /* per sandbox */

typedef struct Sentry Sentry;
typedef struct ListerChild ListerChild;

typedef struct Lister {
        Sentry *sentry;                    /* lookup only */
        LIST_HEAD(, ListerChild) children; /* owned */
        unsigned n_children;
} Lister;

/* Runs in the child. pid: of the task that is asked for, 0 when it is all. 0, or an error that the reader is told. */
typedef int (*ListFunction)(Sentry *sentry, GuestPid pid, Lines *lines);

void lister_init(Lister *lister, Sentry *sentry);
void lister_done(Lister *lister);

/* Starts a listing; the caller owns the pipe that it can be read from. -EMFILE: LISTERS_MAX are under way. */
int lister_start(Lister *lister, ListFunction function, GuestPid pid, int *ret_fd);

/* Whether a process is one of the children: those may be in the sandbox's user namespace, but are none of its tasks. */
bool lister_is_child(const Lister *lister, pid_t pid);

/* In the child: joins the user namespace of the sandbox, where the owner has every capability, and then namespaces of
 * a task of it. flags: CLONE_NEWNET, CLONE_NEWIPC. Those that we are in already are left as they are. */
int lister_join(Sentry *sentry, GuestPid pid, int flags);

/* list-*.c */
int list_fds(Sentry *sentry, GuestPid pid, Lines *lines);
int list_sockets(Sentry *sentry, GuestPid pid, Lines *lines);
int list_mounts(Sentry *sentry, GuestPid pid, Lines *lines);
int list_namespaces(Sentry *sentry, GuestPid pid, Lines *lines);
int list_cgroups(Sentry *sentry, GuestPid pid, Lines *lines);
int list_ipc(Sentry *sentry, GuestPid pid, Lines *lines);
