/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keeper: a process beside each sentry-kernel that does nothing but wait for the other's death. It shares its table of
 * descriptors (CLONE_FILES), which so outlives it, and becomes the next sentry-kernel: it executes the same program anew,
 * with --recover, and all descriptors that the journal's table names under their numbers. Before that it makes a keeper for
 * itself, which stands by until the new sentry-kernel has one that shares its table.
 *
 * It is made before sentry-kernel confines itself and is bound by no filter of ours, so that the next one starts as this
 * one did. One that has to be made later, because somebody killed the first, has the filter and passes it on; then another
 * one is not added. It has a session and a name of its own, and nobody but root can trace it, since it is the less confined
 * of the two. */

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "journal.h"

typedef struct Sentry Sentry;

typedef struct Keeper {
        Sentry *sentry;          /* lookup only */
        pid_t pid;               /* 0: none */
        int pidfd;               /* owned; -EBADF: none */
        sd_event_source *source; /* owned; its death */
        unsigned n_started;      /* counts them */
} Keeper;

/* Remembers the arguments that it shows itself by and starts others with; first of all in main(). */
void keeper_prepare(char *argv[]);

/* Makes one for a sentry-kernel that has a journal which outlives it. confined: we have our filter. 0 or an error. */
int keeper_start(Keeper *keeper, Sentry *sentry, bool confined);
/* Another when it dies; once the event loop is there. */
int keeper_watch(Keeper *keeper);
/* Ends the one that stood by while there was none. */
void keeper_dismiss_standby(Journal *journal);
/* The keeper is to go, too, when we do. */
void keeper_goodbye(Keeper *keeper);
void keeper_done(Keeper *keeper);
