/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line on a terminal that tells that something takes its time, once it has taken more than a second. */

#include <pthread.h>

#include "ctl.h"

typedef struct Progress {
        const char *verb; /* what to call it; NULL: there is nobody to tell */
        int fds[2];       /* closing the second ends it */
        pthread_t thread;
} Progress;

/* Between the two nothing else is to be printed. */
void progress_begin(Progress *progress, const Ctl *ctl);
void progress_end(Progress *progress);
