/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What mounts.c and mount-dev.c share. */

#include <stddef.h>
#include <sys/types.h>

#include "failure.h"
#include "profile.h"

/* A sandbox's file system while it is put together. */
typedef struct Mounter {
        const Profile *profile;   /* immutable */
        LaunchFailure *failure;   /* where the first failure goes */
        int root;                 /* root of the sandbox, attached */
        int *sources;             /* owned: per mount of the profile a detached tree, or -EBADF */
        dev_t *own;               /* owned: file systems made here, where missing directories may be made */
        size_t n_own, max_own;
} Mounter;

/* Attaches a file system of our own making to a directory, and remembers it as ours. */
int mounter_attach_own(Mounter *mounter, int tree, int dirfd, const char *path);

/* Fills the tmpfs of a "dev" mount, dev being its root. */
int mount_dev_fill(Mounter *mounter, int dev, const char *destination);
