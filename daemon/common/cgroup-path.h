/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where control groups (version 2) lie in the file system. */

#include <sys/types.h>

#define CGROUP_BASE "sentryd"    /* holds the groups of sandboxes that are launched in the root of the hierarchy */
#define CGROUP_PREFIX "sentryd-" /* of the group of a sandbox; its name follows */

/* The directory of the hierarchy, or of the part of it that is shown here: "/sys/fs/cgroup". The caller frees. -ENOENT
 * when there is none. */
int cgroup_find_mount(char **ret);

/* The directory of the group that a process (0: this one) is in. The caller frees. -ENOENT when it is not shown here. */
int cgroup_find_of(pid_t pid, char **ret);
