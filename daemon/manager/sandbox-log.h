/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happens to sandboxes, as it is logged: in the journal with fields to search by (sentryd(8)) and a catalog entry
 * for each kind of message, as plain lines elsewhere. The ids are those of units/sentryd.catalog. */

#include <systemd/sd-bus.h>

typedef struct Sandbox Sandbox;

#define MESSAGE_SANDBOX_START "26419cd47b424840b24ad075c4985e75"
#define MESSAGE_SANDBOX_END "c6de21b83138432994fe29eae21b10f9"
#define MESSAGE_SANDBOX_LOST "80ca0ef16370438180e5170143ef971d"
#define MESSAGE_KERNEL_DIED "ae500cace1004670a631e06c953a119a"
#define MESSAGE_CALL_REFUSED "8abbdf56142c4c248e956575541e4014"
#define MESSAGE_CALL_UNIMPLEMENTED "dd9e95b05222495e986d0744c9b14a00"
#define MESSAGE_CALL_STUCK "bbb785362f144e44b182c100ec622c76"

/* How many events of a sandbox are logged in so much time: who owns it may make as many as he likes. */
#define SANDBOX_LOG_EVENTS 20U
#define SANDBOX_LOG_USEC (30U * UINT64_C(1000000))

/* Logs a line about a sandbox. What is LOG_INFO is LOG_DEBUG outside of the journal: whoever runs a daemon of his own
 * sees that his sandboxes start and end. id: one of the above, or NULL. fields: further "KEY=VALUE", a string vector,
 * or NULL. */
void sandbox_log(const Sandbox *s, int level, const char *id, char *const *fields, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* Logs a signal of sentry-kernel's, if it is one that is worth it. The message is rewound afterwards. */
void sandbox_log_event(Sandbox *s, sd_bus_message *signal);
