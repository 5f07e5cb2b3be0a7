/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Landlock domain for the program: a second wall, for what namespaces do not divide or a mount says anyway. Only the
 * program is in it; sentry-kernel, in no domain, may reach into one. */

#include <stdbool.h>

#include "failure.h"
#include "profile.h"

/* Whether the program will be kept from abstract UNIX sockets outside. */
bool landlock_scopes_sockets(const Profile *profile);

/* To be called with no_new_privs, with the sandbox's root as "/". Adds what stands now, bit (1 << LaunchWall), to
 * *walls. */
int landlock_enter(const Profile *profile, uint32_t *walls, LaunchFailure *failure);
