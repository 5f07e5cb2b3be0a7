/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "ns/uts.h"
#include "util/macros.h"

Record *change_begin(Kernel *kernel) {
        return kernel->changes ? kernel->changes->begin(kernel->changes) : NULL;
}

void change_end(Kernel *kernel, Record *record) {
        kernel->changes->end(kernel->changes, record);
}

void change_all(Kernel *kernel) {
        if (kernel->changes)
                kernel->changes->all(kernel->changes);
}

void change_commit(Kernel *kernel) {
        if (kernel->changes)
                kernel->changes->commit(kernel->changes);
}

void change_uts(Kernel *kernel, Namespace *ns) {
        Record *record = change_begin(kernel);

        if (!record)
                return;
        (void) uts_namespace_record(ns, record);
        change_end(kernel, record);
}

bool changes_log_pending(const Kernel *kernel) {
        return kernel->log.changed;
}

int changes_log_record(Kernel *kernel, Record *record) {
        return kernel_log_record_changes(&kernel->log, record);
}

static int apply_uts(Kernel *kernel, Record *record) {
        Namespace seen = {}, *ns;
        int r;

        r = uts_namespace_record(&seen, record);
        if (r < 0)
                return r;
        ns = namespace_find(&kernel->namespaces, NAMESPACE_UTS, seen.inode);
        if (!ns) {
                r = uts_namespace_add(&kernel->namespaces, seen.inode, &seen, &ns);
                /* Those that are gone are not told of. */
                return r == -ENOSPC ? 0 : r;
        }
        memcpy(ns->nodename, seen.nodename, sizeof(ns->nodename));
        memcpy(ns->domainname, seen.domainname, sizeof(ns->domainname));
        return 0;
}

static int apply_log(Kernel *kernel, Record *record) {
        return kernel_log_record_changes(&kernel->log, record);
}

static int apply_task(Kernel *kernel, Record *record) {
        return task_container_apply(&kernel->tasks, record);
}

static int apply_exception(Kernel *kernel, Record *record) {
        return ptrace_rules_apply(&kernel->ptrace, record);
}

static int apply_timers(Kernel *kernel, Record *record) {
        return process_timers_apply(&kernel->timekeeper, record);
}

static int apply_timer(Kernel *kernel, Record *record) {
        return posix_timer_apply(&kernel->timekeeper, record);
}

static int apply_timers_gone(Kernel *kernel, Record *record) {
        return process_timers_apply_gone(&kernel->timekeeper, record);
}

int changes_apply(Kernel *kernel, Record *record) {
        static const struct {
                const char *type;
                int (*apply)(Kernel *kernel, Record *record);
        } types[] = {
                { "uts-namespace", apply_uts },
                { "kernel-log-change", apply_log },
                { "task", apply_task },
                { "ptrace-exception", apply_exception },
                { "timers", apply_timers },
                { "timer-of", apply_timer },
                { "timers-gone", apply_timers_gone },
        };
        char type[RECORD_NAME_MAX + 1];

        if (!record_peek(record, type))
                return record->error;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (strcmp(types[i].type, type) == 0) {
                        int r = types[i].apply(kernel, record);

                        return r < 0 ? r : 1;
                }
        return 0;
}
