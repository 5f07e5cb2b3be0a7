/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sentryd.conf(5): where it lies, what may stand in it. */

#include <stdbool.h>

typedef struct Config {
        int log_level;                 /* LOG_ERR … LOG_DEBUG; -1: not set */
        unsigned max_sandboxes;
        unsigned max_sandboxes_per_user;
        unsigned max_descriptors_per_user; /* held for sandboxes */
        unsigned max_calls_per_user;   /* not answered yet */
        unsigned watchdog_sec;         /* of sentry-kernels; CONFIG_UNSET: not set */
        char *default_profile;         /* owned */
        char **profile_path;           /* owned; NULL: not set */
} Config;

#define CONFIG_UNSET (~0U)
#define CONFIG_SANDBOXES_MAX 16384U    /* the most that can be asked for: each takes a few descriptors */
#define CONFIG_SANDBOXES_DEFAULT 4096U
#define CONFIG_SANDBOXES_PER_USER_DEFAULT 512U
#define CONFIG_DESCRIPTORS_MAX 1000000U
#define CONFIG_DESCRIPTORS_PER_USER_DEFAULT 16384U
#define CONFIG_CALLS_MAX 1000000U
#define CONFIG_CALLS_PER_USER_DEFAULT 1024U
#define CONFIG_WATCHDOG_SEC_MAX 86400U

/* Reads all of it. What is wrong is logged with file and line, and as if it were not there: 0 or -ENOMEM.
 * with_user: the user's own directory counts, too. */
int config_load(bool with_user, Config *ret);
void config_done(Config *config);
