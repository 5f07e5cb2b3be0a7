/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Timers in the order in which they are due: a binary heap. It knows no clock: whoever owns it says what time it is. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_NEVER INT64_MAX

typedef struct Timer Timer;
typedef struct TimerQueue TimerQueue;

struct Timer {
        TimerQueue *queue; /* lookup only: the one it is armed on, or was armed on last */
        int64_t expiry;   /* ns on the clock of its queue; TIME_NEVER: it is armed and will not be due */
        int64_t interval; /* ns; 0: it expires once */
        size_t position;  /* owned by the queue: 1 is the top of the heap, 0: not armed */
        /* It was due `expirations` (> 0) times since it was armed or called last. It is armed again when it is
         * periodic, else disarmed; the function may arm, disarm and free it. Immutable. */
        void (*expired)(Timer *timer, uint64_t expirations);
};

struct TimerQueue {
        Timer **heap; /* owned; the timers are not */
        size_t n, n_allocated;
};

void timer_queue_done(TimerQueue *queue);

/* Makes room for so many timers, so that arming them cannot fail. 0 or -ENOMEM. */
int timer_queue_reserve(TimerQueue *queue, size_t n);

/* Arms a timer that is not armed. There must be room for it. interval: ns, 0: once. */
void timer_queue_add(TimerQueue *queue, Timer *timer, int64_t expiry, int64_t interval);
/* Disarms a timer that is armed. */
void timer_queue_remove(Timer *timer);

static inline bool timer_is_armed(const Timer *timer) { return timer->position != 0; }

/* When the first is due; TIME_NEVER: none is. */
static inline int64_t timer_queue_next(const TimerQueue *queue) {
        return queue->n > 0 ? queue->heap[0]->expiry : TIME_NEVER;
}

/* Expires what is due at `now`, but at most `limit` timers, each once. True when there may be more. */
bool timer_queue_run(TimerQueue *queue, int64_t now, unsigned limit);

/* How often a timer with this expiry and interval has been due at `now`: 0, 1, or 1 + (now - expiry) / interval. */
uint64_t timer_expirations(int64_t expiry, int64_t interval, int64_t now);

/* ns until a timer that is armed is due; of a periodic one that is due already, until it will be again. 0: it is due, and
 * expires once. */
int64_t timer_left(const Timer *timer, int64_t now);

/* a + b for b >= 0, or TIME_NEVER when that is too much. */
static inline int64_t time_add(int64_t a, int64_t b) {
        int64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? TIME_NEVER : sum;
}
