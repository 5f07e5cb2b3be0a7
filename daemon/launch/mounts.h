/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file system of a sandbox. */

#include "failure.h"
#include "profile.h"

/* In the process that becomes the program, in a PID namespace of the sandbox: makes a mount namespace, assembles
 * the root and the mounts of the profile there and makes it the root directory. Nothing of the old one is
 * reachable afterwards; the working directory is /. */
int mounts_apply(const Profile *profile, LaunchFailure *failure);
