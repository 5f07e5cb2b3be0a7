/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may do what: the owner of a sandbox and root may use it, and others if polkit says so. polkit is asked by the
 * system's instance alone, and never for those who may anyhow. */

#include <sys/types.h>

#include <systemd/sd-bus.h>

typedef struct Connection Connection;
typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

#define AUTHORIZATIONS_MAX 256U       /* calls that wait for polkit */
#define AUTHORIZATIONS_PER_UID_MAX 16U
#define AUTHORIZE_USEC (25U * UINT64_C(1000000))              /* polkit's deadline to decide by itself */
#define AUTHORIZE_INTERACTIVE_USEC (300U * UINT64_C(1000000)) /* … to ask a person */

/* To be called for each message before anything else is: 0 when it can be dispatched; 1 when it waits for polkit, and
 * will come once more when that agrees, or be answered when it does not; negative with error when it is refused. */
int authorize_message(Connection *c, sd_bus_message *m, sd_bus_error *error);

/* Whether the message, which is being dispatched, may be about s: 0, or AccessDenied with a sentence that helps. */
int authorize_check(Connection *c, sd_bus_message *m, const Sandbox *s, sd_bus_error *error);

/* The same for what only root may do, or who polkit lets. `what` completes "only root may …". */
int authorize_check_root(Connection *c, sd_bus_message *m, const char *what, sd_bus_error *error);

/* Forgets the calls that came over a connection. */
void authorize_drop_connection(Connection *c);
