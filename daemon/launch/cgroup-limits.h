/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* linux.resources of a profile as files of a control group (version 2). */

#include <stdbool.h>

#include "failure.h"
#include "profile.h"

typedef struct Limit {
        const char *key;        /* below linux.resources, for messages */
        const char *controller;
        const char *file;
        char value[96];
} Limit;

/* Told of each; a negative return ends it. */
typedef int (*LimitFunction)(const Limit *limit, void *userdata);

/* Tells of all that the profile asks for. 0, or what ended it. */
int limits_each(const Profile *profile, LimitFunction function, void *userdata);

/* Whether the profile asks for any. */
bool limits_any(const Profile *profile);

/* Has the groups below parent (O_PATH) get the controllers that the profile's limits need. 0, or a negative errno; the name
 * of the controller that is missing, or NULL, goes to ret_missing. */
int limits_enable(const Profile *profile, int parent, const char **ret_missing);

/* Writes them into a group. Records a failure, with the key of the profile, when one cannot be set. */
int limits_apply(const Profile *profile, int group, LaunchFailure *failure);

/* Sets those of them that can be set. */
void limits_try(const Profile *profile, int parent, int group);

/* The controllers that a group has: words, "none" when there is none. The caller frees; NULL without memory. */
char *limits_controllers(int group);
