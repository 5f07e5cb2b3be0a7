/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The queue of timers against a model: an array that is looked through. Time goes by, stops being looked at and goes on
 * again, at random but the same in each run. */

#include "tap.h"
#include "time/timer-queue.h"

#define N 64
#define OPERATIONS 10000

typedef struct Model {
        Timer timer; /* first */
        bool armed;
        int64_t expiry, interval;
        uint64_t due, expired; /* how often it has to have been due, and was told */
} Model;

static Model models[N];
static uint64_t seed = 20061;
static unsigned n_calls;

static uint64_t draw(uint64_t below) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (seed >> 33) % below;
}

static void on_expired(Timer *timer, uint64_t expirations) {
        ((Model *) timer)->expired += expirations;
        n_calls++;
}

static void model_run(int64_t now) {
        for (unsigned i = 0; i < N; i++) {
                Model *m = &models[i];

                while (m->armed && m->expiry <= now) {
                        m->due++;
                        m->expiry += m->interval;
                        m->armed = m->interval != 0;
                }
        }
}

static bool same(const TimerQueue *queue, int64_t now) {
        int64_t first = TIME_NEVER;
        size_t n = 0;

        for (unsigned i = 0; i < N; i++) {
                const Model *m = &models[i];

                if (m->armed != timer_is_armed(&m->timer) || m->due != m->expired ||
                    (m->armed && (m->expiry != m->timer.expiry || timer_left(&m->timer, now) != m->expiry - now))) {
                        tap_diag("timer %u: armed %d/%d, due %" PRIu64 "/%" PRIu64 ", expiry %" PRId64 "/%" PRId64, i,
                                 m->armed, timer_is_armed(&m->timer), m->due, m->expired, m->expiry, m->timer.expiry);
                        return false;
                }
                n += m->armed;
                if (m->armed && m->expiry < first)
                        first = m->expiry;
        }
        return n == queue->n && first == timer_queue_next(queue);
}

static void test_model(void) {
        unsigned n_run = 0, n_paused = 0, n_added = 0, n_removed = 0, wrong = 0;
        TimerQueue queue = {};
        bool paused = false;
        int64_t now = 0;

        is_int(timer_queue_reserve(&queue, N), 0, "there is room");
        for (unsigned i = 0; i < N; i++)
                models[i].timer.expired = on_expired;

        for (unsigned i = 0; i < OPERATIONS && wrong == 0; i++) {
                Model *m = &models[draw(N)];

                switch (draw(5)) {
                case 0:
                        if (m->armed) {
                                timer_queue_remove(&m->timer);
                                n_removed++;
                        }
                        m->armed = true;
                        m->expiry = now + (int64_t) draw(1000);
                        m->interval = draw(2) ? 1 + (int64_t) draw(100) : 0;
                        timer_queue_add(&queue, &m->timer, m->expiry, m->interval);
                        n_added++;
                        break;
                case 1:
                        if (m->armed)
                                timer_queue_remove(&m->timer);
                        m->armed = false;
                        break;
                case 2:
                        paused = !paused;
                        n_paused += paused;
                        break;
                default:
                        now += (int64_t) draw(200);
                        if (paused)
                                break;
                        while (timer_queue_run(&queue, now, 1 + (unsigned) draw(N)))
                                ;
                        model_run(now);
                        n_run++;
                }
                if (!paused) {
                        while (timer_queue_run(&queue, now, N))
                                ;
                        model_run(now);
                        wrong += !same(&queue, now);
                }
        }
        is_int(wrong, 0, "after %d operations the queue agrees with the model", OPERATIONS);
        ok(n_run > 1000 && n_paused > 100 && n_added > 1000 && n_removed > 100 && n_calls > 1000,
           "… %u runs, %u pauses, %u timers armed, %u of them again, %u calls", n_run, n_paused, n_added, n_removed, n_calls);
        timer_queue_done(&queue);
}

static void test_numbers(void) {
        is_int(timer_expirations(100, 0, 99), 0, "a timer that is not due");
        is_int(timer_expirations(100, 0, 100), 1, "one that is");
        is_int(timer_expirations(100, 0, 100000), 1, "once");
        is_int(timer_expirations(100, 10, 100), 1, "a periodic one");
        is_int(timer_expirations(100, 10, 109), 1, "within its period");
        is_int(timer_expirations(100, 10, 110), 2, "at its end");
        is_int(timer_expirations(100, 10, 1000), 91, "1 + (now - next) / period");
        is_int(timer_expirations(TIME_NEVER, 10, INT64_MAX), 0, "never");
        ok(timer_expirations(INT64_MIN, 1, INT64_MAX - 1) == UINT64_MAX, "as often as there are ns");
        ok(time_add(INT64_MAX - 1, 1) == TIME_NEVER && time_add(INT64_MAX, 5) == TIME_NEVER, "sums do not wrap");
        ok(time_add(-5, 3) == -2, "and are right");
}

static unsigned n_far;

static void count_far(Timer *timer, uint64_t expirations) {
        n_far++;
}

static void test_far(void) {
        Timer timer = { .expired = count_far };
        TimerQueue queue = {};

        is_int(timer_queue_reserve(&queue, 1), 0, "room for one");
        timer_queue_add(&queue, &timer, TIME_NEVER, 1);
        ok(timer_is_armed(&timer) && !timer_queue_run(&queue, INT64_MAX, 1) && timer_is_armed(&timer),
           "what is never due is armed, and does not expire");
        timer_queue_remove(&timer);
        timer_queue_add(&queue, &timer, 5, INT64_MAX - 2);
        ok(!timer_queue_run(&queue, 6, 1) && n_far == 1 && timer.expiry == TIME_NEVER,
           "a next time that is too far away is never");
        timer_queue_done(&queue);
}

int main(void) {
        test_model();
        test_numbers();
        test_far();
        return tap_done();
}
