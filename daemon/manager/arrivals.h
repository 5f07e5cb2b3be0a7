/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A manager that starts takes over what its predecessor has left: sentry-kernels that live come to its socket, dead ones
 * are started again where the store has their descriptors, lost ones are said to be. Nobody is served before that. */

#include <stdint.h>

typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

#define ARRIVALS_DEADLINE_USEC (3U * UINT64_C(1000000)) /* then we serve all the same */

/* Called once: negative ends the event loop with a failure. */
typedef int (*arrivals_done_t)(Manager *m);

/* Reads the index and opens the socket. done is called at once when there is nobody to wait for, else when all have come
 * or the deadline is over. Errors are logged. */
int arrivals_start(Manager *m, arrivals_done_t done);

/* A sandbox is not waited for any more: its sentry-kernel is there, or it has ended. */
void arrivals_come(Sandbox *s);

void arrivals_free(Manager *m);
