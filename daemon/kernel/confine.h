/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* sentry-kernel's own confinement: it is what a hostile guest talks to. */

/* Drops every capability, sets no_new_privs and allows itself the system calls it needs, nothing else. What
 * is not allowed fails with EPERM, so that an oversight costs a feature and not the sandbox. mounts: with the calls that
 * host-mount.c makes on behalf. ports: keeps CAP_NET_BIND_SERVICE, if it is there. 0 or negative. */
int confine_self(bool mounts, bool ports);
