/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "event.h"
#include "kernel.h"
#include "util/macros.h"

void event_source_init(EventSource *source, uint64_t now_ns) {
        *source = (EventSource) {};
        ratelimit_init(&source->log_limit, EVENT_LOG_RATE, EVENT_LOG_BURST, now_ns);
        ratelimit_init(&source->limit, EVENT_RATE, EVENT_BURST, now_ns);
}

uint64_t event_dropped(const Kernel *kernel) {
        return kernel->events.limit.dropped + kernel->tasks.event_limit.dropped;
}

void event_report_dropped_slowly(Kernel *kernel) {
        if (event_dropped(kernel) != kernel->events.reported &&
            kernel_now(kernel) - kernel->events.report_ns >= NSEC_PER_SEC)
                event_report_dropped(kernel);
}

void event_report_dropped(Kernel *kernel) {
        EventSource *source = &kernel->events;

        if (event_dropped(kernel) == source->reported)
                return;

        source->reported = event_dropped(kernel);
        source->report_ns = kernel_now(kernel);
        kernel->host->ops->event(kernel->host, &(KernelEvent) {
                .kind = KERNEL_EVENT_DROPPED,
                .count = source->reported,
        });
}

/* The first time per system call, in this sandbox. */
static bool first_time(EventSource *source, const Call *call) {
        bool *logged = call->id != SYSCALL_ID_UNKNOWN ?
                &source->logged[call->id] :
                &source->logged_unknown[(uint32_t) call->number % ELEMENTSOF(source->logged_unknown)];
        bool first = !*logged;

        *logged = true;
        return first;
}

/* logged: the log says it already. */
static void emit(Kernel *kernel, KernelEventKind kind, const Call *call, int error, bool logged) {
        EventSource *source = &kernel->events;
        uint64_t now = kernel_now(kernel);
        bool first = first_time(source, call);

        if (logged)
                ;
        else if (first && call->id != SYSCALL_ID_UNKNOWN && !call->foreign)
                kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_NOTICE,
                                  "%s: %s", syscall_table[call->id].name,
                                  kind == KERNEL_EVENT_REFUSED ? "refused" : "not implemented");
        else if (first)
                kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_NOTICE,
                                  "system call %" PRId32 "%s: not implemented", call->number,
                                  call->foreign ? " of a foreign ABI" : "");
        if (first && !logged)
                kernel_log_changed(kernel);

        if (!ratelimit_take(&source->limit, now)) {
                event_report_dropped_slowly(kernel);
                return;
        }

        kernel->host->ops->event(kernel->host, &(KernelEvent) {
                .kind = kind,
                .call = call,
                .error = error,
                .first = first,
        });
}

void event_unimplemented(Kernel *kernel, const Call *call) {
        emit(kernel, KERNEL_EVENT_UNIMPLEMENTED, call, 0, false);
}

void event_refused(Kernel *kernel, const Call *call, int error) {
        emit(kernel, KERNEL_EVENT_REFUSED, call, error, false);
}

void event_refused_what(Kernel *kernel, const Call *call, int error, const char *what) {
        bool logged = ratelimit_take(&kernel->events.log_limit, kernel_now(kernel));

        if (logged) {
                kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_NOTICE, "%s: refused, %s",
                                  syscall_table[call->id].name, what);
                kernel_log_changed(kernel);
        }
        emit(kernel, KERNEL_EVENT_REFUSED, call, error, logged);
}
