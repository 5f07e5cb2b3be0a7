/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What run and exec share. */

#include "ctl.h"
#include "launch.h"

/* What a verb returns for a negative errno of document.h, or for a result that it has told of itself. */
int run_failure(int r);

/* A descriptor of a message, as our own. Negative errno. */
int run_take_fd(int borrowed);

/* The last steps of both: the resolved profile, and the launch. Fills in profile and environment of the request. From
 * here on the daemon is not needed. Returns the exit status of the program. */
int run_launch(Ctl *ctl, const char *document, LaunchRequest *request);
