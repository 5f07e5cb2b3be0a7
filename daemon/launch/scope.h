/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A unit of systemd for a sandbox that is started outside of one: a transient scope, sentryd-NAME.scope, of the system's
 * service manager for root, of the user's for others. The waiting parent is moved into it, before it has namespaces of its
 * own, and makes the sandbox's control group there. It goes with the last process in it. */

#include <stdbool.h>

#include "launch.h"

/* Moves this process into a scope of its own. Where no systemd answers, or where it is in a unit of its own already (a
 * service, a scope with Delegate=yes), all stays as it is. launcher: into a group of its own below the scope's, so that
 * controllers can be passed on to others there. Returns whether it was. */
bool scope_enter(const LaunchRequest *request, bool launcher);

/* Moves this process into the scope that a group of a sandbox lies in, so that it may go on into that: a user who is not
 * root may move processes only within what systemd has delegated to him. Nothing happens where it need not. group: its
 * directory. */
void scope_follow(const char *group);
