/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The choice between the ways to stop a sandbox. */

#include <errno.h>

#include "freezer.h"
#include "log.h"
#include "sentry.h"

void freezer_init(Freezer *freezer, Sentry *sentry) {
        *freezer = (Freezer) { .sentry = sentry };
}

void freezer_done(Freezer *freezer) {
        if (freezer->frozen_by)
                freezer_thaw(freezer);
        freezer_ptrace_done(freezer);
}

const FreezerMethod *freezer_method(const Freezer *freezer) {
        return sandbox_cgroup_is_whole(&freezer->sentry->cgroup) ? &freezer_cgroup : &freezer_ptrace;
}

int freezer_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message) {
        const FreezerMethod *method = freezer_method(freezer);
        int r;

        r = method->freeze(freezer, deadline_ns, ret_message);
        if (r < 0 && r != -ETIMEDOUT && method != &freezer_ptrace) {
                log_warning("%s: cannot freeze the control group (%s), using ptrace", freezer->sentry->name,
                            strerror(-r));
                method = &freezer_ptrace;
                r = method->freeze(freezer, deadline_ns, ret_message);
        }
        if (r >= 0)
                freezer->frozen_by = method;
        return r;
}

void freezer_thaw(Freezer *freezer) {
        const FreezerMethod *method = freezer->frozen_by;

        freezer->frozen_by = NULL;
        method->thaw(freezer);
}
