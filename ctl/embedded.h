/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The embedded daemon: a sentryd of the user's own that sentryctl starts when no other is there, reached by a
 * socket in the user's runtime directory, without a bus daemon. */

#include <stdbool.h>

/* Connects to the embedded daemon; starts it when none runs and start is set. Returns a connected socket, -ENOENT
 * when none runs, or another negative errno after an error message was printed (-EUCLEAN for all of those). */
int embedded_connect(bool start);

/* The file beside the socket where the daemon's messages go, or NULL. The caller frees. */
char *embedded_log(void);
