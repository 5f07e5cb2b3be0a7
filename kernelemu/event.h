/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events about system calls that a sandbox did not get: rate limited, because a guest can cause any number, and
 * logged once per system call. */

#include <stdbool.h>
#include <stdint.h>

#include "syscall.h"
#include "util/ratelimit.h"

#define EVENT_RATE 100U   /* a second */
#define EVENT_BURST 1000U
#define EVENT_LOG_RATE 1U     /* lines a second: they must not drive all others out of the log */
#define EVENT_LOG_BURST 20U

typedef struct EventSource {
        RateLimit log_limit;   /* not recorded, as the next: lines about what was refused */
        RateLimit limit;       /* not recorded: a restored sandbox starts with a full bucket */
        uint64_t reported;     /* not recorded, as above: drops that were told of */
        uint64_t report_ns;    /* not recorded: when drops were last told of */
        bool logged[_SYSCALL_ID_MAX]; /* not recorded: the log says it again after a restore */
        bool logged_unknown[1024];    /* the same for numbers without a row, one flag per number modulo */
} EventSource;

void event_source_init(EventSource *source, uint64_t now_ns);

/* A call that nobody answers (error ENOSYS) or that a rule refuses. */
void event_unimplemented(Kernel *kernel, const Call *call);
void event_refused(Kernel *kernel, const Call *call, int error);
/* The same, and the kernel log says what it was, as long as there are not too many. */
void event_refused_what(Kernel *kernel, const Call *call, int error, const char *what);

/* How many events were dropped so far, those of the task table too. */
uint64_t event_dropped(const Kernel *kernel);
/* Tells of events dropped since the last time, if there are any; slowly: at most once a second, or telling of the
 * flood would be one. */
void event_report_dropped(Kernel *kernel);
void event_report_dropped_slowly(Kernel *kernel);
