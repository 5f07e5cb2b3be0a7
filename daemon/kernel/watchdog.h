/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The watchdog: notices that the service of a call does not end, tells, and has another thread serve on.
 *
 * What blocks sentry-kernel is the memory of a guest: a page of a file on a file system that does not answer (FUSE,
 * NFS), or one that userfaultfd holds back. Reading it is a wait that only fatal signals end: others were tried and
 * leave process_vm_readv(2) where it is, and a fatal one is the end of all of sentry-kernel. So no signal is used, not
 * even one that would be unblocked for the time of a service: all stay blocked in every thread, and the ioctls on the
 * listener, of which a signal would make RECV, SEND and ADDFD fail half done, never see one.
 *
 * Instead a second thread watches the one that serves. When the time is over, and the serving thread is in a *section*,
 * that is within one of the calls that may block, it takes the place of the other for good: it answers the stuck call
 * with EFAULT and runs the event loop from there on. Wherever there is a section all objects must be in a state from
 * which others can go on, as they must be for an error that the section returns, and no lock may be held. The thread
 * that was relieved learns of it at the end of its section: it forgets all that it was doing, without a look at any
 * object, and waits until it is needed as a watcher. So there always is just one thread that serves, without locks.
 * What it cannot undo is the wait itself: a write that was stuck is done when the page comes, long after the answer.
 *
 * The watcher sleeps in a read of a timer, which the begin of a service arms when it is not armed. When it expires and
 * nothing is in service it is not armed again: an idle sandbox wakes nobody. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "syscall.h"

#define WATCHDOG_DEFAULT_SEC 10U
#define WATCHDOG_THREADS_MAX 8U /* one serves, one watches, the others are stuck */

typedef struct Sentry Sentry;

/* What a thread shows of itself to its watcher. */
typedef struct Station Station;
struct Station {
        _Atomic uint64_t service;   /* odd while a call is in service; counts up at begin and end */
        _Atomic uint64_t start_ns;  /* of that service */
        _Atomic uint64_t section;   /* 0, `service` while in a section of it, or SECTION_TAKEN */
        _Atomic bool late;          /* the watcher found it too long, but in no section */
        const Call *call;           /* in service */
        uint64_t cookie;            /* of the call whose section it is */
        const char *what;           /* the section does, for the log */
        void *frame;                /* where the stack stood at its begin */
};

/* One per process, static: a thread that was relieved may come back to it at any time. */
typedef struct Watchdog {
        Station *serving;           /* that of the thread that serves; changed by whoever takes over */
        _Atomic bool armed;         /* the timer will expire; or there is none */
        uint64_t n_stuck;           /* services that were too long; owned by the thread that serves */
} Watchdog;

extern Watchdog watchdog;

#define SECTION_TAKEN UINT64_MAX

/* Serves the sandbox as sentry_run() does, with a watcher beside it. $SENTRYD_WATCHDOG_SEC is the deadline, 0: none.
 * Returns in the main thread only: when the end finds another one serving, that one ends the process. */
int watchdog_run(Sentry *sentry);

/* Whether threads are stuck, who must not be waited for at the end. */
bool watchdog_has_stuck(void);

void watchdog_arm(void);
void watchdog_tell_late(Station *station);
_Noreturn void watchdog_relieved(Station *station);

/* A call gets into service, or is answered. now_ns: kernel_now(). */
static inline void watchdog_begin(const Call *call, uint64_t now_ns) {
        Station *s = watchdog.serving;

        s->call = call;
        atomic_store_explicit(&s->start_ns, now_ns, memory_order_relaxed);
        /* Sequentially consistent, as is the watcher's: either it sees this service or we see that it let the timer
         * run out. */
        atomic_store(&s->service, atomic_load_explicit(&s->service, memory_order_relaxed) + 1);
        if (__builtin_expect(!atomic_load(&watchdog.armed), 0))
                watchdog_arm();
}

static inline void watchdog_end(void) {
        Station *s = watchdog.serving;

        atomic_store_explicit(&s->service, atomic_load_explicit(&s->service, memory_order_relaxed) + 1,
                              memory_order_release);
        if (__builtin_expect(atomic_load_explicit(&s->late, memory_order_relaxed), 0))
                watchdog_tell_late(s);
}

/* Around what may block. `what` is static text. Between the two nothing but local variables may be touched. Outside of
 * a service, as in a callback of the event loop, nobody is relieved. */
static inline __attribute__((always_inline)) Station *watchdog_enter(uint64_t cookie, const char *what) {
        Station *s = watchdog.serving;

        s->cookie = cookie;
        s->what = what;
        s->frame = __builtin_frame_address(0);
        atomic_store_explicit(&s->section, atomic_load_explicit(&s->service, memory_order_relaxed),
                              memory_order_release);
        return s;
}

static inline void watchdog_leave(Station *s) {
        if (__builtin_expect(atomic_exchange(&s->section, 0) == SECTION_TAKEN, 0))
                watchdog_relieved(s);
}
