/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The program that asks for a password at the terminal when polkit wants one: pkttyagent(1). */

#include <stdbool.h>
#include <sys/types.h>

#define AGENT_START_MSEC 10000 /* how long is waited for it to be ready */

/* Whether there is somebody at a terminal to ask. */
bool agent_can_ask(void);

/* Starts it for this process, and returns when it is ready: its process id. 0 when there is none to start, which leaves
 * the asking to that of the desktop, if any. */
pid_t agent_start(void);
/* Ends it. 0 for none. */
void agent_stop(pid_t pid);
