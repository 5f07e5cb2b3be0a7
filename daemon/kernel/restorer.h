/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sandbox comes from an image: sentry-imager, which is our child, makes its tasks, and we what is emulated of it. */

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

typedef struct Sentry Sentry;

typedef enum RestorerState {
        RESTORER_NONE,     /* no image */
        RESTORER_CHECKING, /* the imager reads it */
        RESTORER_CHECKED,  /* the emulated kernel has its records */
        RESTORER_MAKING,   /* the imager makes the tasks */
        RESTORER_LETTING_GO,
        RESTORER_DONE,
        RESTORER_FAILED,
} RestorerState;

typedef struct Restorer {
        Sentry *sentry;          /* lookup only */
        RestorerState state;     /* not recorded: a sandbox that is not whole yet is not kept */
        bool lazy;               /* immutable */
        int control_fd;          /* owned */
        sd_event_source *source; /* owned */
        int listener;            /* owned: the first program's, until it is the notifier's */
        bool killable;           /* with listener */
} Restorer;

/* Starts the imager with the image in directory_fd, which is not taken. */
int restorer_start(Restorer *restorer, Sentry *sentry, int directory_fd, bool lazy);
void restorer_done(Restorer *restorer);

/* The launcher has handed over: takes the listener. An error refuses the launch. The program may go when the state is
 * MAKING; else launch_server_checked() comes. */
int restorer_begin(Restorer *restorer, int *listener, bool killable);
