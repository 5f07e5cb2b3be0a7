/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What everybody who speaks on the bus shares: names of the API (org.sentryd1(5)), connections peer to peer, copying
 * of messages from one connection to another. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "util.h"

#define BUS_NAME "org.sentryd1"
#define BUS_MANAGER_PATH "/org/sentryd1"
#define BUS_MANAGER_INTERFACE "org.sentryd1.Manager"
#define BUS_SANDBOX_PREFIX "/org/sentryd1/sandbox" /* objects: sd_bus_path_encode(prefix, name) */
#define BUS_SANDBOX_INTERFACE "org.sentryd1.Sandbox"
#define BUS_KERNEL_PATH "/org/sentryd1/kernel" /* between sentryd and a sentry-kernel only */
#define BUS_KERNEL_INTERFACE "org.sentryd1.Kernel" /* likewise, and no part of the API */

#define BUS_KERNEL_INTERFACE "org.sentryd1.Kernel" /* of that object: what is between the two alone */

#define BUS_LOG_PATH "/org/freedesktop/LogControl1"
#define BUS_LOG_INTERFACE "org.freedesktop.LogControl1"

#define BUS_ERROR_NO_SUCH_SANDBOX "org.sentryd1.Error.NoSuchSandbox"
#define BUS_ERROR_NAME_IN_USE "org.sentryd1.Error.NameInUse"
#define BUS_ERROR_NO_SUCH_PROFILE "org.sentryd1.Error.NoSuchProfile"
#define BUS_ERROR_BAD_PROFILE "org.sentryd1.Error.BadProfile"
#define BUS_ERROR_NO_SUCH_TASK "org.sentryd1.Error.NoSuchTask"
#define BUS_ERROR_NOT_RUNNING "org.sentryd1.Error.NotRunning"
#define BUS_ERROR_NOT_PAUSED "org.sentryd1.Error.NotPaused"
#define BUS_ERROR_LIMIT_REACHED "org.sentryd1.Error.LimitReached"
#define BUS_ERROR_TIMEOUT "org.sentryd1.Error.Timeout"
#define BUS_ERROR_CANNOT_SAVE "org.sentryd1.Error.CannotSave"
#define BUS_ERROR_SAVE_FAILED "org.sentryd1.Error.SaveFailed"
#define BUS_ERROR_KERNEL_FAILED "org.sentryd1.Error.KernelFailed"

#define BUS_STRING_MAX (1024U * 1024U) /* bytes of one string in a call */

#define BUS_LOCAL_PATH "/org/freedesktop/DBus/Local"
#define BUS_LOCAL_INTERFACE "org.freedesktop.DBus.Local"
#define BUS_PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

/* The destructors sd_bus_unrefp, sd_bus_close_unrefp, sd_bus_message_unrefp, sd_bus_slot_unrefp and
 * sd_bus_creds_unrefp come with sd-bus.h; these are the shorter spellings. */
#define _cleanup_bus_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)
#define _cleanup_bus_close_ _cleanup_(sd_bus_close_unrefp)

/* Makes a connection peer to peer of a connected stream socket: authenticated by the peer's credentials, file
 * descriptors allowed, not ending the event loop by itself, never flushed with blocking at exit. Not started yet, so
 * that matches and objects come first. On success the connection owns the fd; on failure the caller does. */
int bus_peer_new(int fd, bool server, const char *description, sd_bus **ret);

/* Copies the body of a message, from its start and with its file descriptors, behind what `to` has. */
int bus_message_copy_body(sd_bus_message *to, sd_bus_message *from);

/* Sends reply (a method return or an error that came in on another connection) as the answer to call. A body that
 * call's method does not declare is answered with KernelFailed, since a peer of ours made it up. */
int bus_reply_forward(sd_bus_message *call, sd_bus_message *reply);

/* Sends a signal with the interface, member and body of `signal` from path on bus. */
int bus_signal_forward(sd_bus *bus, const char *path, sd_bus_message *signal);

/* Reads a dictionary of options (a{sv}): calls function for each, which reads the variant and returns 0, or what ends
 * this, with error set where it is the caller's mistake. */
int bus_read_options(sd_bus_message *m,
                     int (*function)(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error),
                     void *userdata, sd_bus_error *error);

/* Checks that no string in a call, and not the path it goes to, is longer than BUS_STRING_MAX: InvalidArgs else. Answers
 * that quote what they refuse, sd-bus's own do, could otherwise get longer than a bus carries, and it closes the connection
 * of who sends such. Reads the message from its start and rewinds it. */
int bus_check_strings(sd_bus_message *m, sd_bus_error *error);

/* Makes text fit for a message: what is not UTF-8 becomes '?'. (A bus daemon closes the connection of who sends other
 * bytes, and sd-bus does not look.) Returns text. */
char *bus_text(char *text);

/* What to tell a person about a failed call: the error's message, else its name, else strerror(error). Valid as long
 * as the error is. */
const char *bus_error_message(const sd_bus_error *e, int error);
