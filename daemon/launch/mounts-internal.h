/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What mounts.c and mount-*.c share. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "profile.h"

#define SCRATCH_NAME_MAX 16

/* A sandbox's file system while it is put together. */
typedef struct Mounter {
        const Profile *profile;   /* immutable */
        LaunchFailure *failure;   /* where the first failure goes */
        int root;                 /* root of the sandbox, attached */
        int *sources;             /* owned: per mount of the profile a detached tree, or -EBADF */
        int scratch;              /* owned: a file system of ours that the sandbox sees single files of, or -EBADF; it lies
                                   * over the old root directory and goes with that */
        int names[2];             /* owned: the host and domain name of the sandbox as /proc/sys/kernel has them, for
                                   * writing; or -EBADF */
        unsigned n_over_root;     /* what else lies over the old root directory, below the new one */
        unsigned n_scratch;       /* files in it that have numbers for names */
        dev_t *own;               /* owned: file systems made here, where missing directories may be made */
        size_t n_own, max_own;
} Mounter;

/* Attaches one over the old root directory: before Linux 6.15 what is detached can be neither copied nor a layer of an
 * overlay. Nobody runs into it there, for paths start below; and it goes with the old root. */
int mounter_attach_over_root(Mounter *mounter, int tree);

/* Attaches a file system of our own making to a directory, and remembers it as ours. */
int mounter_attach_own(Mounter *mounter, int tree, int dirfd, const char *path);

/* Finds the place of a mount inside the sandbox: a directory, or a file. Makes it where that touches nobody's disk. */
int mounter_open_destination(Mounter *mounter, const ProfileMount *mount, bool directory, int *ret);

/* mount-mask.c */
/* Makes the scratch, and the overlays of the profile, whose layers are looked up in the host's view: before the new root
 * lies over the old one. */
int mounter_prepare_scratch(Mounter *mounter);
/* Lays a file that says text (read-only) over the one at path in the sandbox, if there is one. */
int mounter_overlay_text(Mounter *mounter, const char *path, const char *text);
/* The same with one file over several: *fd and name are what the call for the first of them made, before which *fd is
 * -EBADF. The file stays open for writing. */
int mounter_overlay_file(Mounter *mounter, const char *path, const char *text, int *fd, char name[static SCRATCH_NAME_MAX]);
/* Hides what nobody in a sandbox needs to see, makes read-only what the profile wants so. */
int mounter_mask(Mounter *mounter);

/* mount-facts.c */
/* Lays texts of our own over files that would tell of the machine in place of the sandbox. */
int mounter_state_facts(Mounter *mounter);

/* mount-overlay.c */
/* Makes a detached overlay. A mount must be attached for overlayfs to take layers from it, which is why it is made while
 * the old root is the root. */
int overlay_new(Mounter *mounter, const ProfileMount *mount, int *ret);
/* Attaches it. */
int mount_overlay(Mounter *mounter, const ProfileMount *mount, uint64_t attributes);

/* mount-lock.c */
/* Has the kernel keep every mount as it is, and enters the mount namespace in which it does. */
int mounts_lock(LaunchFailure *failure);

/* Fills the tmpfs of a "dev" mount, dev being its root. */
int mount_dev_fill(Mounter *mounter, int dev, const char *destination);
