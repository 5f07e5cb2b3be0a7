/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sentry-imager does: it is started by sentry-kernel, each time for one thing, and returns an exit status. */

int restore_main(void);
/* Saves the sandbox that the descriptors of protocol.h are of. */
int save_main(void);
