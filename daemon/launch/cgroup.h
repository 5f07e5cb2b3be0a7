/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control group of a sandbox, by which sentry-kernel stops and ends all of it at once. The waiting parent makes it
 * below its own one, if it may, and stays outside. */

#include <sys/types.h>

#include "failure.h"
#include "launch.h"

typedef struct LaunchCgroup {
        int parent_fd; /* owned; O_PATH. -EBADF: we have made none */
        int fd;        /* owned; the directory of the group, or -EBADF */
        int procs_fd;  /* owned; its cgroup.procs, opened with the rights of the caller. -EBADF: there is no group */
        int events_fd; /* owned; its cgroup.events, or -EBADF */
        bool limited;  /* all that the profile asks for was set */
        char name[128]; /* of the group, in parent_fd */
} LaunchCgroup;

/* Makes a group for a new sandbox, or opens that of the one to join. To be called before the parent becomes another.
 * That there is none to be had is a failure only when the profile insists. */
int cgroup_prepare(const LaunchRequest *request, LaunchCgroup *ret, LaunchFailure *failure);

/* fork(2), with the child in the group from its birth where the kernel can do that (Linux 5.7): to move a process there
 * has to wait for all processors, some milliseconds. *ret_inside says whether it is. */
pid_t cgroup_fork(const LaunchCgroup *cgroup, bool *ret_inside);

/* In the child: enters it. False: it is not in it. */
bool cgroup_join(const LaunchCgroup *cgroup);

/* Whether a child that does not start stands still because its group is frozen. */
bool cgroup_is_frozen(int events_fd);

/* Ends what is left in it and removes it, if it was made here. */
void cgroup_done(LaunchCgroup *cgroup);
