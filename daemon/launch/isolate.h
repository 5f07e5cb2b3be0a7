/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Namespaces and capabilities: what the kernel itself keeps apart. */

#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "profile.h"

typedef struct LaunchClocks LaunchClocks;

/* The waiting parent enters a user namespace of its own, where its uid and gid mean what they mean outside and
 * nobody else exists; its next child is the first process of a PID namespace, and of a time namespace whose
 * clocks start at zero, if the profile has them; or, with saved ones, where those are now. Needs to be dumpable. */
int isolate_new(const Profile *profile, const LaunchClocks *saved, LaunchFailure *failure);
/* That child makes the others, except the mount namespace: a network namespace takes a while, in which the parent
 * has other things to do. Sets the names, and loopback up. */
int isolate_new_child(const Profile *profile, LaunchFailure *failure);

/* Why there is no user namespace for us, as far as the system tells; NULL when it does not. error: positive errno. */
const char *isolate_user_namespace_hint(int error);

/* The process behind a pidfd, as this process numbers it. -ESRCH when it is gone. */
int isolate_pid_of(int pidfd, pid_t *ret);

/* The waiting parent joins the namespaces that the process behind init_pidfd has of its own, except the mount
 * namespace if that is the sandbox's, and becomes the user that the sandbox's user namespace knows. */
int isolate_join(const Profile *profile, int init_pidfd, LaunchFailure *failure);
/* Its child joins the mount namespace: root and working directory are then the sandbox's. */
int isolate_join_mounts(int init_pidfd, LaunchFailure *failure);

/* Keeps these capabilities (bit per CAP_*), also over exec, and gives up the others for good. */
int isolate_capabilities(uint64_t keep, LaunchFailure *failure);
