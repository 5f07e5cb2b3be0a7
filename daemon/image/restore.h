/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From an image to a sandbox that runs, in a sandbox that the launcher has built around sentry-stub. */

#include "image-read.h"

typedef struct RestoreOptions {
        int directory_fd;  /* of the image */
        int listener;      /* of the filter of the sandbox, which nobody else reads meanwhile */
        pid_t init;        /* the first process, as we number it */
        bool lazy;         /* memory is read from the image when it is touched */
        bool many_users;   /* the sandbox has a range of users, who may have groups */
        uint64_t capabilities; /* bit per CAP_*: what the profile gives; nobody gets more */
        uint64_t limits[IMAGE_LIMITS]; /* RLIMIT_*: the highest hard limits of the profile */
} RestoreOptions;

/* Restores everything and stops short of letting go: all tasks wait in the state that they were saved in. 0, or an error
 * with a message (the caller frees): then, and until restore_go(), everything dies with the calling process. */
typedef struct Restore Restore;
int restore_prepare(ImageReader *reader, const RestoreOptions *options, Restore **ret, char **ret_message);
/* Lets all tasks go. The launcher is told. */
int restore_go(Restore *restore);
/* Tells the launcher why it failed: a whole sentence or two. */
void restore_tell(const Restore *restore, const char *message);
Restore *restore_free(Restore *restore);
