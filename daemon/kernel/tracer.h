/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who traces a sandbox. Each reader has a pipe, into which answered calls are written as lines of JSON; what does not
 * fit is dropped and counted, so that no reader can make the sandbox wait. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "task/thread-group.h"
#include "trace.h" /* kernelemu's */

#define TRACE_READERS_MAX 16U

typedef struct Sentry Sentry;
typedef struct TraceReader TraceReader;

typedef struct Tracer {
        Sentry *sentry;                   /* lookup only */
        LIST_HEAD(, TraceReader) readers; /* owned */
        unsigned n_readers;
        uint64_t n_dropped;               /* lines, of all readers that there were */
} Tracer;

/* What a traced call was, taken down while its caller still waits. */
typedef struct TracedCall {
        Call call;
        Verdict verdict;
        TraceArguments arguments;
        uint64_t start_ns; /* kernel_now() */
        GuestPid pid;      /* in the sandbox's first PID namespace */
        char container[CONTAINER_ID_MAX]; /* "" unless a reader asks for it */
        char comm[65];
        bool unread;       /* without arguments */
        bool wanted;       /* some reader wants it; nothing else is set if not */
} TracedCall;

void tracer_init(Tracer *tracer, Sentry *sentry);
void tracer_done(Tracer *tracer);

/* Adds a reader, who ends the trace by closing ret_fd. container: only calls from there ("": the sandbox's own), NULL: all
 * calls; it is copied. -EMFILE over the limit. */
int tracer_add(Tracer *tracer, const TraceFilter *filter, const char *container, int *ret_fd);

/* The two halves of a traced call: before the answer, and after it with the descriptor that the caller got (VERDICT_FD)
 * or an error. */
void tracer_take_down(Tracer *tracer, const Call *call, Verdict verdict, uint64_t start_ns, TracedCall *ret);
/* The first half, for a call whose memory must not be touched. */
void tracer_take_down_unread(Tracer *tracer, const Call *call, Verdict verdict, uint64_t start_ns, TracedCall *ret);
void tracer_tell(Tracer *tracer, const TracedCall *traced, int fd);
