/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The socket that sentry-kernels come to (daemon/common/rendezvous.h). On the system's instance anybody may connect; who
 * does not prove to be a sandbox's sentry-kernel gets nothing. */

#include <stdint.h>

typedef struct Manager Manager;

#define VISITORS_MAX 1024U        /* connections that have not said who they are */
#define VISITORS_PER_UID_MAX 64U
#define VISITOR_DEADLINE_USEC (5U * UINT64_C(1000000)) /* for saying that */

/* Listens. Errors are logged. */
int visitors_open(Manager *m);
/* NULL-safe. Removes the socket. */
void visitors_close(Manager *m);
