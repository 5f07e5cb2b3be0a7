/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of a sandbox that are answered later: those forwarded to sentry-kernel, and Wait(). */

#include <stdint.h>

#include <systemd/sd-bus.h>

typedef struct Connection Connection;
typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

#define PENDING_WAITS_MAX 64U     /* per sandbox */
#define PENDING_FORWARDS_MAX 256U /* per sandbox */
#define PENDING_SAVE_USEC (3600U * UINT64_C(1000000))  /* the same for Save(): it writes to a disk */
#define PENDING_FORWARD_USEC (30U * UINT64_C(1000000)) /* sentry-kernel's deadline to answer */

/* Forwards a call to sentry-kernel; at once, or when the connection to it is up. The answer, be it an error, goes
 * back by itself. Sets error and returns negative when too many are under way. */
int pending_forward(Sandbox *s, Connection *c, sd_bus_message *call, sd_bus_error *error);

/* Keeps a Wait() call until the sandbox ends or who called is gone. */
int pending_wait(Sandbox *s, Connection *c, sd_bus_message *call, sd_bus_error *error);

/* The connection to sentry-kernel is up: sends what was held back. */
void pending_kernel_ready(Sandbox *s);

/* The connection to sentry-kernel is gone, and another one is waited for: what it has not answered is sent again to that
 * one. Calls that change something carry a token, by which it knows what its predecessor has done already. */
void pending_kernel_away(Sandbox *s);

/* None has come in time: answers what was forwarded with Timeout. */
void pending_kernel_late(Sandbox *s);

/* The sandbox has ended: answers all waits. */
void pending_answer_waits(Sandbox *s);

/* sentry-kernel is gone for good: answers all forwarded calls (Kill() well, the others with NotRunning). */
void pending_kernel_gone(Sandbox *s);

/* Frees all calls of a sandbox, or all that came over a connection, without an answer. */
void pending_drop_sandbox(Sandbox *s);
void pending_drop_connection(Manager *m, Connection *c);
