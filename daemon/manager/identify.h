/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which sandbox a process is in. */

#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

/* Finds the sandbox whose user namespace the process is in, or in a child of. Returns 0 and NULL when there is
 * none, negative with error set when pidfd is none or its process has ended. */
int identify_sandbox(Manager *m, int pidfd, Sandbox **ret, sd_bus_error *error);

/* The process of a pidfd. -EBADF when it is no pidfd, -ESRCH when the process has ended or we can't see it. */
int pidfd_get_pid(int pidfd, pid_t *ret);
