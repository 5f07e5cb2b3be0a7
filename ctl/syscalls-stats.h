/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long the calls of a sandbox took. */

#include "ctl.h"

/* Prints a histogram for each system call that the sandbox has made, or for one (NULL: all). 0 or CTL_FAILED. */
int syscalls_stats(Ctl *ctl, const char *sandbox, const char *syscall);
