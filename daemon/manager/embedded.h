/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The embedded instance: a listening socket that sentryctl made, whose peers are connections; ends when idle. */

typedef struct Embedded Embedded;
typedef struct Manager Manager;

#define EMBEDDED_IDLE_USEC 500000U

/* What sentryctl hands over. */
enum {
        EMBEDDED_FD_LISTEN = 3, /* the listening socket */
        EMBEDDED_FD_LOCK = 4,   /* the lock file, locked */
};

/* Takes the two descriptors, and opens the directory that they lie in. Errors are logged. */
int embedded_start(Manager *m);
/* Serves who connects. Errors are logged. */
int embedded_serve(Manager *m);
/* NULL-safe. Removes the socket. */
Embedded *embedded_free(Embedded *e);

/* Starts or stops the count-down to the end, by what the manager has. */
void embedded_check_idle(Manager *m);
