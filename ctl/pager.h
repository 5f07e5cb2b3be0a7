/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long output goes through a pager, as systemctl's does: on a terminal only, chosen by $SYSTEMD_PAGER and $PAGER, and by
 * nobody's environment where the caller has other rights than whose terminal it is ($SYSTEMD_PAGERSECURE). */

#include <stdbool.h>

#include "ctl.h"

/* What is printed from here on goes to a pager, if there is to be one. May be called again. Verbs that are not to be
 * paged (verb->pages) are not, unless this is for their help. */
void pager_open(const Ctl *ctl, bool help);

/* Whether output goes to a terminal, through a pager or not. */
bool pager_on_terminal(void);

/* The width of the terminal behind a pager; 0: there is none. */
unsigned pager_width(void);

/* Waits until the person has read it. True: there was one, and it may have taken less than all. */
bool pager_close(void);
