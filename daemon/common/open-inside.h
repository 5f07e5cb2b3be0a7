/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/openat2.h>
#include <stdint.h>
#include <sys/types.h>

/* openat2(2) below root_fd, to which absolute paths and ".." are bound: resolve is one or more of RESOLVE_IN_ROOT,
 * RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS. flags and mode as of open(2); O_CLOEXEC is added. Where a wall around us
 * refuses that call (RestrictSUIDSGID= of a unit does), open_inside_walk() does it. Returns a descriptor or a negative errno. */
int open_inside(int root_fd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve);

/* The same by steps, which follows no link at all and goes up nowhere: -ENOTDIR or -ELOOP for a link, -EXDEV for "..". */
int open_inside_walk(int root_fd, const char *path, uint64_t flags, mode_t mode);
