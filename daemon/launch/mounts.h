/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file system of a sandbox. */

#include "failure.h"
#include "profile.h"

/* In the process that becomes the program, in a PID namespace of the sandbox: makes a mount namespace, assembles
 * the root and the mounts of the profile there and makes it the root directory. Nothing of the old one is
 * reachable afterwards; the working directory is /. ret_names: files that lie over sys/kernel/hostname and domainname in
 * each /proc of the sandbox, for writing, close-on-exec; -EBADF where it has none. */
int mounts_apply(const Profile *profile, int ret_names[static 2], LaunchFailure *failure);
