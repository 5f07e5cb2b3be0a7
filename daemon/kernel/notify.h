/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The notification engine: receives system calls from the listeners of a sandbox, has the kernel dispatch
 * them, and answers. A sandbox has one listener for its first program and one for each program that was
 * exec'ed into it. */

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "kernel.h"

#define LISTENERS_MAX 64U
#define NOTIFY_BATCH 64U          /* received before the first is dispatched */
#define NOTIFY_SLOTS (PARKED_CALLS_MAX + NOTIFY_BATCH)

typedef struct Sentry Sentry;
typedef struct Notifier Notifier;

typedef struct Listener { /* recorded: sentry-record.c */
        Notifier *notifier;          /* lookup only */
        int fd;                      /* owned */
        bool killable;               /* immutable; its received calls end by an answer or by death */
        LIST_ENTRY(Listener) link;   /* owned by the notifier */
} Listener;

typedef enum SlotState {
        SLOT_FREE,
        SLOT_GOT,    /* received, not answered */
        SLOT_PARKED, /* the same, but the handler said: later */
} SlotState;

/* A call that was received and not answered yet. */
typedef struct NotifySlot {
        SlotState state;
        Listener *listener; /* lookup only; NULL when the listener went away */
        uint64_t id;        /* the kernel's */
        uint64_t start_ns;  /* when its service began; kernel_now() */
        int64_t acted;      /* how far a sentry-kernel before us got with it: notifier_act() */
        Call call;
} NotifySlot;

struct Notifier {
        Sentry *sentry;                  /* lookup only */
        LIST_HEAD(, Listener) listeners; /* owned */
        unsigned n_listeners;
        bool receiving;                  /* false while paused */
        uint64_t pause_in;               /* so many calls from now the sandbox is paused; 0: never. Not recorded */
        bool pause_due;
        NotifySlot *slots;               /* owned; NOTIFY_SLOTS of them, each with the one of the journal that has its
                                          * number */
        NotifySlot *serving;             /* the call that is in service, NULL: none */
        int64_t acted_before;            /* what its journal had before the last notifier_act() */
        unsigned n_parked;
        bool rearm;                      /* the event loop has something new to wait for: sentry_run() */
        uint64_t tid_safe_ns;            /* immutable; a task id is not given again within this time */
        size_t request_size;             /* immutable; bytes the kernel writes for a request */
        int32_t *ids_by_number;          /* owned, immutable: SyscallId of a number of the native ABI */
        unsigned n_numbers;              /* immutable */
        sd_event_source *watch_source;   /* owned; looks after parked calls, off when there are none */
};

/* Bytes of a request of this kernel's. */
int notifier_request_size(uint32_t *ret);

/* With the sentry's journal. */
int notifier_init(Notifier *notifier, Sentry *sentry);
void notifier_done(Notifier *notifier);

/* Serves a listener; takes ownership of fd when it returns 0. killable: its filter has WAIT_KILLABLE_RECV. -EMFILE over
 * the limit. */
int notifier_add(Notifier *notifier, int fd, bool killable);

/* Fills fds (room for LISTENERS_MAX) with what to poll; returns how many. None while paused. */
struct pollfd;
unsigned notifier_poll_fds(const Notifier *notifier, struct pollfd *fds);

/* Receives all that is there from listeners that poll said something of, dispatches, answers. */
void notifier_dispatch(Notifier *notifier, const struct pollfd *fds, unsigned n_fds);

/* Gives a call up in whose service a thread is stuck: EFAULT, and everybody is told. ns: how long it has been; what:
 * what it was doing. */
void notifier_abandon(Notifier *notifier, uint64_t cookie, uint64_t ns, const char *what);
/* Serves what was received and not dispatched, or not to the end. */
void notifier_serve_rest(Notifier *notifier);

/* Gives parked calls back to their tasks to run again: each must be about to stop for a signal or a freezer. */
void notifier_restart_parked(Notifier *notifier);

/* Whether the caller still waits for its answer: what was read of it by its task id was its own. */
bool notifier_call_is_valid(const Notifier *notifier, const Call *call);

/* The call in service is about to do something that must not be done twice, as sending a signal. key: a number above 0
 * that tells what is done from what the same call does before; they rise. False: a sentry-kernel that served this call
 * before us and was killed has done it already, so it is to be left out, as if it had succeeded. */
bool notifier_act(Notifier *notifier, int64_t key);
/* It was not done after all. */
void notifier_act_undone(Notifier *notifier);

/* Takes over the calls that the journal has, once the listeners are there: sends answers that were given, and makes the
 * others wait for notifier_serve_rest(). A call that several sentry-kernels crashed on gets ENOSYS. */
void notifier_recover(Notifier *notifier);

/* The call that is in service or parked under this cookie, or NULL. */
const Call *notifier_call(const Notifier *notifier, uint64_t cookie);

/* The name of a call for people, as its architecture has it; "#9999" if it has none. */
void notifier_call_name(const Call *call, char *buffer, size_t size);
/* The name of its architecture, by libseccomp's names. */
const char *notifier_arch_name(const Call *call);

/* Adds a copy of fd to the descriptors of a caller that waits, with flags as of open(2). Its number there, or a negative
 * errno. */
int notifier_add_fd(Notifier *notifier, const Call *call, int fd, uint32_t flags);

/* Answers a call that was parked. */
void notifier_answer(Notifier *notifier, const Call *call, Verdict verdict);
