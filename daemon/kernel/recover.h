/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sentry-kernel that takes the place of one that died. */

#include "journal.h"

/* First of all, with --recover: closes all descriptors but those that the journal names, and has those closed on exec. 0,
 * or -EBADMSG when there is no journal of ours. */
int recover_descriptors(void);

/* Has signals of bugs noted in the journal before they end us. They must not be blocked. */
void recover_note_crashes(JournalHeader *header);
