/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Mounts as descriptors: a tree is cloned or made detached, given its attributes, and then attached somewhere
 * (Linux 5.2). Thin wrappers, because C libraries before glibc 2.36 have none and those of later ones
 * do not go together with the kernel's header. All return negative errno. */

#include <linux/mount.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes a copy of the mount at path, as the caller sees it; with everything mounted below when recursive. */
int tree_clone(int dirfd, const char *path, bool recursive, int *ret);

/* Attaches a detached tree. path "" means dirfd itself. attributes: MOUNT_ATTR_* to switch on, on every mount
 * of the tree if recursive. */
int tree_attach(int tree, int dirfd, const char *path, uint64_t attributes, bool recursive);

/* Switches attributes on for a mount that is attached already. tree: any descriptor on its root. */
int tree_restrict(int tree, uint64_t attributes, bool recursive);

/* Makes a file system from its type and comma-separated options (NULL: none), detached. What the kernel has to
 * say about the options comes back in ret_message ("" when nothing). */
int tree_new(const char *type, const char *options, uint64_t attributes, int *ret, char *ret_message, size_t size);

/* Opens path with O_PATH, with root as "/": no symlink, no ".." and no magic link leads out of it. root negative: as the caller
 * sees it, by links of any kind. */
int open_in_root(int root, const char *path, int flags, int *ret);
