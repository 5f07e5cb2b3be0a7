/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "time/timer-queue.h"

void timer_queue_done(TimerQueue *queue) {
        free(queue->heap);
        *queue = (TimerQueue) {};
}

int timer_queue_reserve(TimerQueue *queue, size_t n) {
        size_t want = queue->n_allocated == 0 ? 16 : queue->n_allocated;
        Timer **grown;

        if (n <= queue->n_allocated)
                return 0;
        while (want < n)
                want *= 2;
        grown = reallocarray(queue->heap, want, sizeof(Timer *));
        if (!grown)
                return -ENOMEM;
        queue->heap = grown;
        queue->n_allocated = want;
        return 0;
}

static void put(TimerQueue *queue, size_t position, Timer *timer) {
        queue->heap[position - 1] = timer;
        timer->position = position;
}

/* Moves a timer up from this position as far as it is due before those above. */
static void sift_up(TimerQueue *queue, size_t position, Timer *timer) {
        for (; position > 1; position /= 2) {
                Timer *above = queue->heap[position / 2 - 1];

                if (above->expiry <= timer->expiry)
                        break;
                put(queue, position, above);
        }
        put(queue, position, timer);
}

/* The same downwards. */
static void sift_down(TimerQueue *queue, size_t position, Timer *timer) {
        for (;;) {
                size_t below = position * 2;

                if (below > queue->n)
                        break;
                if (below < queue->n && queue->heap[below]->expiry < queue->heap[below - 1]->expiry)
                        below++;
                if (timer->expiry <= queue->heap[below - 1]->expiry)
                        break;
                put(queue, position, queue->heap[below - 1]);
                position = below;
        }
        put(queue, position, timer);
}

void timer_queue_add(TimerQueue *queue, Timer *timer, int64_t expiry, int64_t interval) {
        timer->queue = queue;
        timer->expiry = expiry;
        timer->interval = interval;
        queue->n++;
        sift_up(queue, queue->n, timer);
}

void timer_queue_remove(Timer *timer) {
        TimerQueue *queue = timer->queue;
        size_t position = timer->position;
        Timer *last = queue->heap[queue->n - 1];

        queue->n--;
        timer->position = 0;
        if (last == timer)
                return;
        /* The last one takes the place; which way it has to go shows only there. */
        sift_down(queue, position, last);
        if (last->position == position)
                sift_up(queue, position, last);
}

uint64_t timer_expirations(int64_t expiry, int64_t interval, int64_t now) {
        if (expiry == TIME_NEVER || now < expiry)
                return 0;
        return interval == 0 ? 1 : 1 + ((uint64_t) now - (uint64_t) expiry) / (uint64_t) interval;
}

int64_t timer_left(const Timer *timer, int64_t now) {
        uint64_t late;

        if (now < timer->expiry) {
                int64_t left;

                return __builtin_sub_overflow(timer->expiry, now, &left) ? TIME_NEVER : left;
        }
        if (timer->interval == 0)
                return 0;
        late = ((uint64_t) now - (uint64_t) timer->expiry) % (uint64_t) timer->interval;
        return timer->interval - (int64_t) late;
}

bool timer_queue_run(TimerQueue *queue, int64_t now, unsigned limit) {
        for (unsigned i = 0; i < limit; i++) {
                Timer *timer = queue->n > 0 ? queue->heap[0] : NULL;
                uint64_t expirations;
                int64_t next;

                if (!timer || (expirations = timer_expirations(timer->expiry, timer->interval, now)) == 0)
                        return false;

                timer_queue_remove(timer);
                if (timer->interval > 0) {
                        /* The multiple is at most now - expiry + interval, so only the sum can be too much. */
                        next = time_add(timer->expiry, (int64_t) ((expirations - 1) * (uint64_t) timer->interval));
                        timer_queue_add(queue, timer, time_add(next, timer->interval), timer->interval);
                }
                timer->expired(timer, expirations);
        }
        return timer_queue_next(queue) <= now;
}
