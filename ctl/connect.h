/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to a daemon, and calls to it that tell the person what went wrong. */

#include "bus-util.h"
#include "ctl.h"

typedef enum ConnectMode {
        CONNECT_RUNNING, /* leaves ctl->bus NULL when no daemon runs, and starts none by any call */
        CONNECT_NEEDED,  /* an error when none runs; starts none */
        CONNECT_START,   /* starts one when none runs */
} ConnectMode;

/* Connects ctl->bus to the daemon that the options choose. 0, or CTL_FAILED after an error message. */
int ctl_connect(Ctl *ctl, ConnectMode mode);

/* Flushes and closes the connection, if there is one. */
void ctl_disconnect(Ctl *ctl);

/* "the embedded sentryd", "the user's sentryd", "the system's sentryd". */
const char *ctl_daemon_name(const Ctl *ctl);

/* The sender to match signals of: NULL on a connection without a bus daemon. */
static inline const char *ctl_sender(const Ctl *ctl) {
        return ctl->peer ? NULL : BUS_NAME;
}

/* Starts a call to the daemon; the caller appends arguments. Returns a negative errno on failure, told. */
int ctl_new_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret);

/* One of the arguments that a method takes as a dictionary (a{sv}). */
typedef struct CtlCallOption {
        const char *key, *value; /* value NULL: not given */
} CtlCallOption;

/* Calls a method that takes strings as options, n of them, and nothing else. As ctl_call(). */
int ctl_call_options(Ctl *ctl, const char *path, const char *interface, const char *member,
                     const CtlCallOption *options, size_t n, sd_bus_message **ret);

/* Sends a call and waits for the answer: 0 or CTL_FAILED after printing the daemon's message. timeout_usec 0 is
 * the usual one, UINT64_MAX none. When ret_error is given it is filled instead of printing anything. */
int ctl_send(Ctl *ctl, sd_bus_message *call, uint64_t timeout_usec, sd_bus_error *ret_error, sd_bus_message **ret);

/* For who sends a call by himself: whether the error is polkit's wish to ask a person, and there is one to ask. */
bool ctl_may_ask(const Ctl *ctl, const sd_bus_error *error);

/* The same call once more, with polkit let to ask; the agent that does is started. Returns a negative errno on failure. */
int ctl_ask_again(Ctl *ctl, sd_bus_message *call, sd_bus_message **ret);

/* For who sends a call by himself: whether the error is that the daemon went away before it answered. */
bool ctl_is_orphaned(const Ctl *ctl, int r, const sd_bus_error *error);

/* Waits for the daemon that went away to come back: 0, or CTL_FAILED when none does. */
int ctl_reconnect(Ctl *ctl);

/* The two in one, with arguments as sd_bus_message_append() takes them. ret may be NULL. */
int ctl_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret,
             const char *types, ...);

/* Says that an answer is not what it should be. Returns CTL_FAILED. */
int ctl_bad_reply(const char *member, int error);
