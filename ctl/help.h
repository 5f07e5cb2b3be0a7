/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The help texts: of sentryctl as a whole, which fits a screen of 80 by 24, and of each verb. */

#include "ctl.h"

extern const Option common_options[]; /* ended by a NULL name */

void help_main(void);
void help_verb(const Verb *verb);
