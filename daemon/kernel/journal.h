/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The journal: what the next sentry-kernel needs when this one is killed. It is memory of a memfd, which outlives the
 * process that writes it, so a store into it is all that it costs to keep something. (It is not for when the machine
 * stops: then the sandbox does too.)
 *
 * - The slots of calls that were received. A slot goes FREE → ARMED → got → done → FREE: it is zeroed and armed before the
 *   ioctl that receives, which writes the kernel's request right into it, so that a call is never received and forgotten:
 *   armed with an id is got. A call that was got and not done is dispatched by the next one; handlers may be begun again.
 *   One that is done has its answer in the slot: that is sent, if nobody did.
 * - Records: a snapshot, and what changed since (kernelemu/changes.h), one after the other in one of two halves. When a half
 *   has grown too long, a new snapshot goes to the other one.
 *
 * What was written counts when the header says so: `committed` has the half and how much of it is valid. The answer of a
 * call counts from the same store on, for a slot is done when `committed` has reached its `done_at`. So a call and what it
 * changed are there both or neither.
 *
 * Whoever recovers must have the slots and records of the same layout, which the version stands for. All that is read is
 * checked: it comes from a process that has crashed. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "changes.h"
#include "rendezvous.h"
#include "statistics.h"

#define JOURNAL_VERSION 1U
#define JOURNAL_REQUEST_MAX 128U /* bytes of the kernel's request that a slot has room for */
#define JOURNAL_CRASHES 16U

typedef enum JournalSlotState {
        JOURNAL_SLOT_FREE,
        JOURNAL_SLOT_ARMED,
} JournalSlotState;

/* A call. Owned by notify.c. */
typedef struct JournalSlot {
        _Atomic uint64_t done_at;         /* see above; 0: not done */
        _Atomic uint32_t state;           /* JournalSlotState */
        uint32_t listener;                /* its descriptor */
        uint32_t kind;                    /* of a done one: VerdictKind; … */
        int32_t source;                   /* … VERDICT_FD: the descriptor that it gets a copy of, … */
        _Atomic int32_t added;            /* … and the number that it has got in the guest, plus 1; 0: not yet known */
        uint32_t crashes;                 /* sentry-kernels that crashed while they served it */
        int64_t value;
        _Atomic int64_t acted;            /* how far it got with what must not be done twice: notifier_act() */
        uint8_t request[JOURNAL_REQUEST_MAX] __attribute__((aligned(8)));
} JournalSlot;

typedef struct JournalHeader {
        char magic[8];
        uint32_t version;
        uint32_t n_slots;
        uint32_t request_size;            /* of the kernel's struct seccomp_notif */
        _Atomic uint32_t broken;          /* nothing was kept since: do not recover from this */
        _Atomic uint64_t committed;       /* generation << 32 | bytes that are valid in half (generation & 1) */

        /* Who serves: keeper.c */
        _Atomic int32_t owner;            /* pid of the sentry-kernel */
        _Atomic int32_t standby;          /* pid of the keeper that watches it while it has none of its own; 0: none */
        _Atomic uint32_t attempts;        /* to take its place, since there was one that served */
        _Atomic uint32_t goodbye;         /* it ended in order: nobody is to take its place */
        _Atomic uint32_t table;           /* which of the tables is the valid one */
        struct {
                uint32_t n;
                RendezvousFd fds[RENDEZVOUS_FDS_MAX];
        } tables[2];                      /* the descriptors that whoever takes its place must have */

        /* Crashes: recover.c */
        _Atomic uint32_t serving;         /* the slot of the call in service, plus 1 */
        _Atomic uint32_t crashed;         /* the signal that it is dying of: a bug, and not a kill(1) */
        uint32_t n_crashes;               /* that there ever were */
        uint32_t n_recoveries;
        uint64_t crash_ns[JOURNAL_CRASHES]; /* CLOCK_MONOTONIC; the last ones, by n_crashes % JOURNAL_CRASHES */
} JournalHeader;

typedef struct Journal {
        ChangeSink sink;                  /* first */
        Kernel *kernel;                   /* lookup only; NULL: before there is one */
        int fd;                           /* owned; -EBADF: nothing outlives us */
        uint8_t *map;                     /* owned */
        JournalHeader *header;            /* in map, as the next two */
        JournalSlot *slots;
        SyscallStatistics *statistics;    /* KERNEL_STATISTICS of them */

        int (*snapshot)(Record *record, void *userdata); /* writes all there is */
        void *userdata;
        Record record;                    /* what is being written */
        size_t tail;                      /* bytes of the half that are written, whether they count yet or not */
        size_t limit;                     /* a snapshot is due beyond */
        bool whole;                       /* a snapshot is due */
        bool warned;                      /* the log knows that nothing can be kept */
} Journal;

/* A journal in the memory of a memfd, which is made to fit, or (fd -EBADF) in memory that ends with us; takes ownership of
 * fd. It is empty, and keeps nothing before journal_start(). 0 or a negative errno. */
int journal_create(Journal *journal, int fd, uint32_t request_size);
/* The journal that somebody left behind. -EPROTO: one of another version, of which *ret_version tells; -EBADMSG: it is
 * none, or is broken. */
int journal_open(Journal *journal, int fd, uint32_t request_size, uint32_t *ret_version);
void journal_done(Journal *journal);

/* Prepares to read what is committed. The record lives as long as nothing is written. */
void journal_read(const Journal *journal, Record *ret);

/* Keeps what changes from now on. The first commit is a snapshot. */
void journal_start(Journal *journal, Kernel *kernel, int (*snapshot)(Record *record, void *userdata), void *userdata);

/* What was told counts from now on, and with it, if slot is not NULL, the answer that was written into that. */
void journal_commit(Journal *journal, JournalSlot *slot);

/* Whether the answer in a slot counts. */
bool journal_slot_is_done(const Journal *journal, const JournalSlot *slot);

/* Sets the table of descriptors. */
void journal_set_table(Journal *journal, const RendezvousFd *table, uint32_t n);
