/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "task/ptrace-rules.h"

#define ANCESTORS_MAX 4096U /* numbers that are given again while we walk could lead in circles */

void ptrace_rules_init(PtraceRules *rules, PtraceScope scope) {
        *rules = (PtraceRules) { .scope = scope };
        LIST_INIT(&rules->exceptions);
}

static void exception_free(PtraceRules *rules, PtraceException *exception) {
        LIST_REMOVE(exception, link);
        rules->n_exceptions--;
        free(exception);
}

void ptrace_rules_done(PtraceRules *rules) {
        while (!LIST_EMPTY(&rules->exceptions))
                exception_free(rules, LIST_FIRST(&rules->exceptions));
}

static bool lives(Kernel *kernel, HostTid tgid, uint64_t start) {
        HostPeer task;

        return kernel->host->ops->task_info(kernel->host, tgid, &task) >= 0 && task.start == start;
}

/* Whether a process is the ancestor or one of its descendants. */
static bool descends(Kernel *kernel, HostTid ancestor, const HostPeer *process) {
        HostPeer task = *process;

        for (unsigned i = 0; i < ANCESTORS_MAX; i++) {
                if (task.tgid == ancestor)
                        return true;
                if (task.parent <= 0 || kernel->host->ops->task_info(kernel->host, task.parent, &task) < 0)
                        return false;
        }
        return false;
}

static PtraceException *exception_of(PtraceRules *rules, HostTid tgid) {
        PtraceException *exception;

        LIST_FOREACH(exception, &rules->exceptions, link)
                if (exception->tracee == tgid)
                        return exception;
        return NULL;
}

static bool excepted(Kernel *kernel, const HostPeer *tracer, const HostPeer *tracee) {
        const PtraceException *exception = exception_of(&kernel->ptrace, tracee->tgid);

        if (!exception || exception->tracee_start != tracee->start)
                return false;
        if (exception->tracer == 0)
                return true;
        return lives(kernel, exception->tracer, exception->tracer_start) &&
                descends(kernel, exception->tracer, tracer);
}

static bool capable(const Kernel *kernel, const HostPeer *task) {
        return (task->capabilities | kernel->emulated_capabilities) & (UINT64_C(1) << CAP_SYS_PTRACE);
}

static bool traces_already(Kernel *kernel, const HostPeer *tracer, const HostPeer *tracee) {
        HostPeer task;

        return tracee->tracer > 0 && kernel->host->ops->task_info(kernel->host, tracee->tracer, &task) >= 0 &&
                task.tgid == tracer->tgid;
}

int ptrace_may_attach(Kernel *kernel, const HostPeer *tracer, const HostPeer *tracee) {
        bool may = tracer->tgid == tracee->tgid;

        switch (kernel->ptrace.scope) {
        case PTRACE_SCOPE_CLASSIC:
                return 0;
        case PTRACE_SCOPE_RELATED:
                may = may || capable(kernel, tracer) || descends(kernel, tracer->tgid, tracee) ||
                        traces_already(kernel, tracer, tracee) || excepted(kernel, tracer, tracee);
                break;
        case PTRACE_SCOPE_CAPABILITY:
                may = may || capable(kernel, tracer);
                break;
        case PTRACE_SCOPE_NONE:
        case _PTRACE_SCOPE_MAX:
                break;
        }
        return may ? 0 : -EPERM;
}

int ptrace_may_traceme(Kernel *kernel, const HostPeer *parent) {
        if (kernel->ptrace.scope <= PTRACE_SCOPE_RELATED)
                return 0;
        return kernel->ptrace.scope == PTRACE_SCOPE_CAPABILITY && capable(kernel, parent) ? 0 : -EPERM;
}

static void forget_dead(Kernel *kernel) {
        PtraceException *exception, *next;

        for (exception = LIST_FIRST(&kernel->ptrace.exceptions); exception; exception = next) {
                next = LIST_NEXT(exception, link);
                if (!lives(kernel, exception->tracee, exception->tracee_start) ||
                    (exception->tracer != 0 && !lives(kernel, exception->tracer, exception->tracer_start)))
                        exception_free(&kernel->ptrace, exception);
        }
}

static int exception_record(PtraceException *exception, bool *gone, Record *record) {
        uint32_t tracee = (uint32_t) exception->tracee, tracer = (uint32_t) exception->tracer;

        record_begin(record, "ptrace-exception", 1);
        record_bool(record, "gone", gone);
        record_u32(record, "tracee", &tracee);
        record_u64(record, "tracee-start", &exception->tracee_start);
        record_u32(record, "tracer", &tracer);
        record_u64(record, "tracer-start", &exception->tracer_start);
        exception->tracee = (HostTid) tracee;
        exception->tracer = (HostTid) tracer;
        return record_end(record);
}

int ptrace_rules_record(PtraceRules *rules, Record *record) {
        PtraceException *exception;
        bool gone = false;

        LIST_FOREACH(exception, &rules->exceptions, link) {
                int r = exception_record(exception, &gone, record);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_read(PtraceRules *rules, const PtraceException *seen) {
        PtraceException *exception;

        if (seen->tracee <= 0 || seen->tracer < 0 || rules->n_exceptions >= PTRACE_EXCEPTIONS_MAX)
                return -EBADMSG;
        exception = malloc(sizeof(PtraceException));
        if (!exception)
                return -ENOMEM;
        *exception = *seen;
        LIST_INSERT_HEAD(&rules->exceptions, exception, link);
        rules->n_exceptions++;
        return 0;
}

int ptrace_rules_apply(PtraceRules *rules, Record *record) {
        PtraceException seen = {}, *exception;
        bool gone;
        int r;

        r = exception_record(&seen, &gone, record);
        if (r < 0)
                return r;
        exception = exception_of(rules, seen.tracee);
        if (exception)
                exception_free(rules, exception);
        return gone ? 0 : add_read(rules, &seen);
}

static int inside_record(PtraceException *exception, Record *record) {
        uint32_t tracee = (uint32_t) exception->tracee, tracer = (uint32_t) exception->tracer;

        record_begin(record, "ptrace-exception-inside", 1);
        record_u32(record, "tracee", &tracee);
        record_u32(record, "tracer", &tracer);
        exception->tracee = (HostTid) tracee;
        exception->tracer = (HostTid) tracer;
        return record_end(record);
}

static int write_inside(Kernel *kernel, Record *record) {
        const PtraceException *exception;
        int r = 0;

        forget_dead(kernel);
        LIST_FOREACH(exception, &kernel->ptrace.exceptions, link) {
                const ThreadGroup *tracee = task_table_find_host(&kernel->tasks, exception->tracee),
                                  *tracer = exception->tracer != 0 ? task_table_find_host(&kernel->tasks, exception->tracer) : NULL;
                PtraceException inside = { .tracee = tracee ? (HostTid) tracee->pid : 0, .tracer = tracer ? (HostTid) tracer->pid : 0 };

                if (r >= 0 && tracee && (tracer || exception->tracer == 0))
                        r = inside_record(&inside, record);
        }
        return r;
}

int ptrace_rules_image(Kernel *kernel, Record *record) {
        char type[RECORD_NAME_MAX + 1];

        if (record->mode == RECORD_WRITE)
                return write_inside(kernel, record);
        while (record_peek(record, type) && strcmp(type, "ptrace-exception-inside") == 0) {
                PtraceException seen = {};
                int r = inside_record(&seen, record);

                if (r >= 0)
                        r = add_read(&kernel->ptrace, &seen);
                if (r < 0)
                        return r;
        }
        return record->error;
}

static void note(Kernel *kernel, PtraceException *exception, bool gone) {
        Record *record = change_begin(kernel);

        if (!record)
                return;
        (void) exception_record(exception, &gone, record);
        change_end(kernel, record);
}

/* The numbers of a process of the sandbox as those of the host. */
static bool adopt(Kernel *kernel, HostTid *pid, uint64_t *ret_start) {
        const ThreadGroup *process = task_table_find(&kernel->tasks, (GuestPid) *pid);
        HostPeer peer;

        if (!process || kernel->host->ops->task_info(kernel->host, process->host_pid, &peer) < 0)
                return false;
        *pid = process->host_pid;
        *ret_start = peer.start;
        return true;
}

void ptrace_rules_adopt(Kernel *kernel) {
        PtraceException *exception, *next;

        for (exception = LIST_FIRST(&kernel->ptrace.exceptions); exception; exception = next) {
                next = LIST_NEXT(exception, link);
                if (exception->tracee_start != 0)
                        continue;
                if (adopt(kernel, &exception->tracee, &exception->tracee_start) &&
                    (exception->tracer == 0 || adopt(kernel, &exception->tracer, &exception->tracer_start)))
                        note(kernel, exception, false);
                else
                        exception_free(&kernel->ptrace, exception);
        }
}

int ptrace_exception_set(Kernel *kernel, const HostPeer *tracee, const HostPeer *tracer) {
        PtraceException *exception = exception_of(&kernel->ptrace, tracee->tgid);

        if (!exception) {
                /* A look at all of them only at powers of two: asking all the time stays cheap. */
                if ((kernel->ptrace.n_exceptions & (kernel->ptrace.n_exceptions - 1)) == 0)
                        forget_dead(kernel);
                if (kernel->ptrace.n_exceptions >= PTRACE_EXCEPTIONS_MAX)
                        return -ENOMEM;
                exception = calloc(1, sizeof(PtraceException));
                if (!exception)
                        return -ENOMEM;
                LIST_INSERT_HEAD(&kernel->ptrace.exceptions, exception, link);
                kernel->ptrace.n_exceptions++;
        }

        exception->tracee = tracee->tgid;
        exception->tracee_start = tracee->start;
        exception->tracer = tracer ? tracer->tgid : 0;
        exception->tracer_start = tracer ? tracer->start : 0;
        note(kernel, exception, false);
        return 0;
}

void ptrace_exception_clear(Kernel *kernel, const HostPeer *tracee) {
        PtraceException *exception = exception_of(&kernel->ptrace, tracee->tgid);

        if (!exception)
                return;
        note(kernel, exception, true);
        exception_free(&kernel->ptrace, exception);
}
