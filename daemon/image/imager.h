/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sentry-imager can do: each returns its exit status. */

/* Saves the sandbox that the descriptors of protocol.h are of. */
int save_main(void);
