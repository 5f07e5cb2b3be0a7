/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Running a unit's own commands in sandboxes, by a drop-in: what would be written and what that changes, and putting it to
 * the test. sentryd-harden(7) says why it is what it is. */

#include <stdbool.h>

#include "ctl.h"
#include "systemd.h"

#define HARDEN_DROPIN "50-sentryd.conf"
#define HARDEN_MARK "# Made by `sentryctl harden`"

typedef struct HardenPlan {
        char *unit;       /* owned, like all that follows: its name, no alias */
        char *path;       /* its object on the bus */
        char *type;       /* Type= */
        char *directory;  /* of the drop-in */
        char *file;
        bool is_there;    /* the file, loaded or not */
        bool is_foreign;  /* … which somebody else wrote */
        char *text;       /* what is to be written */
        char **refusals;  /* why it cannot be done; NULL: it can */
        char **changes;   /* in words */
        char **commands;  /* ExecStart= as it will be */
} HardenPlan;

void harden_plan_done(HardenPlan *plan);

/* Finds a unit. 0 or CTL_FAILED, told. */
int harden_find(Ctl *ctl, sd_bus *bus, const char *name, HardenPlan *ret);
/* Looks at all of it, and writes the drop-in in memory. 0 or CTL_FAILED, told; refusals are no failure. */
int harden_look(sd_bus *bus, const char *profile, HardenPlan *plan);

/* Writes the drop-in, has the service manager read it, and sees whether the unit starts with it: if not, all is as it was
 * when this returns. 0 or CTL_FAILED, told. */
int harden_apply(Ctl *ctl, sd_bus *bus, const HardenPlan *plan);
/* Removes it, and restarts the unit if it runs. */
int harden_undo(Ctl *ctl, sd_bus *bus, const HardenPlan *plan);
