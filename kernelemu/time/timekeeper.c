/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "kernel.h"
#include "time/process-timers.h"
#include "time/timekeeper.h"
#include "util/macros.h"

/* Of each clock, between two looks at guests that wait for an answer. */
#define EXPIRATIONS_AT_ONCE 64U
/* Looks at the queues are at least so far apart, and as far as the last one took: timers with an interval of 1 ns, or very
 * many of them, get half of our time and no more. Their expirations are counted all the same. */
#define RUN_INTERVAL_NS (20 * INT64_C(1000))

const char *host_clock_to_string(HostClock clock) {
        static const char *const names[_HOST_CLOCK_MAX] = {
                [HOST_CLOCK_REALTIME] = "realtime",
                [HOST_CLOCK_MONOTONIC] = "monotonic",
                [HOST_CLOCK_BOOTTIME] = "boottime",
        };

        return clock < _HOST_CLOCK_MAX ? names[clock] : NULL;
}

void timekeeper_init(Timekeeper *timekeeper, Kernel *kernel) {
        *timekeeper = (Timekeeper) { .kernel = kernel };
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                timekeeper->alarms[clock] = TIME_NEVER;
        TAILQ_INIT(&timekeeper->processes);
}

void timekeeper_done(Timekeeper *timekeeper) {
        while (!TAILQ_EMPTY(&timekeeper->processes))
                process_timers_free(TAILQ_FIRST(&timekeeper->processes));
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                timer_queue_done(&timekeeper->queues[clock]);
        idmap_done(&timekeeper->posix_by_id);
}

void timekeeper_drop_unadopted(Timekeeper *timekeeper) {
        ProcessTimers *timers, *next;

        for (timers = TAILQ_FIRST(&timekeeper->processes); timers; timers = next) {
                next = TAILQ_NEXT(timers, link);
                if (!timers->process)
                        process_timers_free(timers);
        }
}

int64_t timekeeper_now(const Timekeeper *timekeeper, HostClock clock) {
        Host *host = timekeeper->kernel->host;

        return host->ops->clock_now(host, clock);
}

/* Asks the host to wake us when the first of a queue is due, if it does not know yet. An alarm that is too early stays: a
 * deadline that is put off again and again, as they are, need not be told each time. */
static void set_alarm(Timekeeper *timekeeper, HostClock clock) {
        Host *host = timekeeper->kernel->host;
        int64_t next = timekeeper->pause_depth > 0 ? TIME_NEVER : timer_queue_next(&timekeeper->queues[clock]);

        if (next == timekeeper->alarms[clock] || (next > timekeeper->alarms[clock] && next != TIME_NEVER))
                return;
        timekeeper->alarms[clock] = next;
        host->ops->clock_alarm(host, clock, next);
}

HostClock timekeeper_clock_of(const Timekeeper *timekeeper, const Timer *timer) {
        return timer->queue ? (HostClock) (timer->queue - timekeeper->queues) : HOST_CLOCK_MONOTONIC;
}

void timekeeper_arm(Timekeeper *timekeeper, Timer *timer, HostClock clock, int64_t expiry, int64_t interval) {
        timekeeper_disarm(timekeeper, timer);
        timer_queue_add(&timekeeper->queues[clock], timer, expiry, interval);
        if (!timekeeper->running)
                set_alarm(timekeeper, clock);
}

void timekeeper_disarm(Timekeeper *timekeeper, Timer *timer) {
        if (!timer_is_armed(timer))
                return;
        timer_queue_remove(timer);
        if (!timekeeper->running)
                set_alarm(timekeeper, timekeeper_clock_of(timekeeper, timer));
}

int timekeeper_reserve(Timekeeper *timekeeper, size_t n) {
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++) {
                int r = timer_queue_reserve(&timekeeper->queues[clock], n);

                if (r < 0)
                        return r;
        }
        return 0;
}

void timekeeper_run(Timekeeper *timekeeper) {
        int64_t start = timekeeper_now(timekeeper, HOST_CLOCK_MONOTONIC), rest;
        Host *host = timekeeper->kernel->host;

        if (timekeeper->pause_depth > 0)
                return;
        timekeeper->running = true;
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                if (timer_queue_next(&timekeeper->queues[clock]) != TIME_NEVER)
                        (void) timer_queue_run(&timekeeper->queues[clock], timekeeper_now(timekeeper, clock),
                                               EXPIRATIONS_AT_ONCE);
        timekeeper->running = false;

        rest = MAX2(timekeeper_now(timekeeper, HOST_CLOCK_MONOTONIC) - start, RUN_INTERVAL_NS);
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++) {
                int64_t next = timer_queue_next(&timekeeper->queues[clock]);

                if (next == TIME_NEVER && timekeeper->alarms[clock] == TIME_NEVER)
                        continue;
                if (next != TIME_NEVER)
                        next = MAX2(next, time_add(timekeeper_now(timekeeper, clock), rest));
                /* An alarm that went off has to be set again, or it would go on ringing. */
                timekeeper->alarms[clock] = next;
                host->ops->clock_alarm(host, clock, next);
        }
}

void timekeeper_pause(Timekeeper *timekeeper) {
        if (timekeeper->pause_depth++ > 0)
                return;
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                set_alarm(timekeeper, clock);
}

void timekeeper_resume(Timekeeper *timekeeper) {
        if (--timekeeper->pause_depth == 0)
                timekeeper_run(timekeeper);
}

size_t timekeeper_n_armed(const Timekeeper *timekeeper) {
        size_t n = 0;

        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                n += timekeeper->queues[clock].n;
        return n;
}

int64_t timekeeper_restored_clock(const Timekeeper *timekeeper, HostClock clock, int64_t realtime) {
        int64_t passed;

        if (clock == HOST_CLOCK_REALTIME)
                return realtime;
        if (__builtin_sub_overflow(realtime, timekeeper->saved[HOST_CLOCK_REALTIME], &passed) || passed < 0)
                passed = 0;
        return time_add(timekeeper->saved[clock], passed);
}

int timekeeper_record(Timekeeper *timekeeper, Record *record) {
        ProcessTimers *timers;
        uint32_t n = 0;
        int r;

        if (record->mode == RECORD_WRITE) {
                TAILQ_FOREACH(timers, &timekeeper->processes, link)
                        n++;
                for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                        timekeeper->saved[clock] = timekeeper_now(timekeeper, clock);
        }

        record_begin(record, "timekeeper", 1);
        record_i64(record, "realtime", &timekeeper->saved[HOST_CLOCK_REALTIME]);
        record_i64(record, "monotonic", &timekeeper->saved[HOST_CLOCK_MONOTONIC]);
        record_i64(record, "boottime", &timekeeper->saved[HOST_CLOCK_BOOTTIME]);
        record_u32(record, "last-id", &timekeeper->last_id);
        record_u32(record, "processes", &n);
        r = record_end(record);
        if (r < 0)
                return r;
        if (timekeeper->saved[HOST_CLOCK_MONOTONIC] < 0 || timekeeper->saved[HOST_CLOCK_BOOTTIME] < 0 || n > TASKS_MAX)
                return -EBADMSG;

        if (record->mode == RECORD_WRITE) {
                TAILQ_FOREACH(timers, &timekeeper->processes, link) {
                        r = process_timers_record(timers, record);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        for (uint32_t i = 0; i < n; i++) {
                r = process_timers_read(timekeeper, record);
                if (r < 0)
                        return r;
        }
        return 0;
}
