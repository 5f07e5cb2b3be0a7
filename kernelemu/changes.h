/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What has changed in a kernel, told at the moment when it does, as records. Whoever keeps them (the journal of
 * sentry-kernel, daemon/kernel/journal.h) can put them on top of a kernel_snapshot() and has the same kernel again. They
 * are written at once but count only from the commit on, which is the one of the answer to a call, or, where something
 * is done that nobody asked for (the signal of a timer), one of its own before it is done. */

#include "record.h"

typedef struct Kernel Kernel;
typedef struct Namespace Namespace;
typedef struct ChangeSink ChangeSink;

/* The first member of whatever keeps changes. */
struct ChangeSink {
        /* A record to write one or several records to; what does not get in whole is taken care of by a snapshot. */
        Record *(*begin)(ChangeSink *sink);
        void (*end)(ChangeSink *sink, Record *record);
        /* More has changed than is worth to be told one by one. */
        void (*all)(ChangeSink *sink);
        /* What was told counts from now on. */
        void (*commit)(ChangeSink *sink);
};

/* NULL when nobody keeps changes. Between the two nothing else may be told. */
Record *change_begin(Kernel *kernel);
void change_end(Kernel *kernel, Record *record);
void change_all(Kernel *kernel);
void change_commit(Kernel *kernel);

/* The names of a UTS namespace. */
void change_uts(Kernel *kernel, Namespace *ns);

/* For whoever keeps changes, before a commit: the log is told here. True when it has changed. */
bool changes_log_pending(const Kernel *kernel);
int changes_log_record(Kernel *kernel, Record *record);

/* Reads the next record if it is a change: 1; 0: it is of a type that is not ours; or an error, -EBADMSG for what cannot
 * be. The kernel's processes must not have been looked for yet. */
int changes_apply(Kernel *kernel, Record *record);
