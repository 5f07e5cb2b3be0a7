/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/time.h"
#include "kernel.h"
#include "time/process-timers.h"
#include "util/macros.h"

/* How soon it is looked again whether a signal can be sent that waits for another to be delivered. */
#define RETRY_FIRST_NS (1000 * INT64_C(1000))
#define RETRY_LAST_NS (256 * RETRY_FIRST_NS)
#define STANDARD_SIGNALS_MAX 31 /* those with numbers up to this do not queue */
#define TIMERS_OF_PROCESS 2U    /* besides POSIX timers */

static Host *host_of(const ProcessTimers *timers) {
        return timers->timekeeper->kernel->host;
}

static int64_t now_on(const ProcessTimers *timers, HostClock clock) {
        return timekeeper_now(timers->timekeeper, clock);
}

/* Whoever keeps changes is told; see below. */
static void note_head(ProcessTimers *timers);
static void note_timer(PosixTimer *timer);
static void note_gone(const ProcessTimers *timers, uint32_t id, bool all);

/* ---- signals --------------------------------------------------------------------------------------------------- */

static int send_signal(ProcessTimers *timers, HostTid thread, int signo, uint32_t id, uint64_t overrun, uint64_t value) {
        AbiSiginfo info = {
                .signo = signo,
                .code = SI_TIMER,
                .pid = (int32_t) id,                                 /* si_timerid */
                .uid = (uint32_t) MIN2(overrun, (uint64_t) INT_MAX), /* si_overrun */
                .value = value,
        };

        return host_of(timers)->ops->process_signal(host_of(timers), timers->process, thread, signo, &info);
}

static void interval_timer_expired(Timer *t, uint64_t expirations) {
        ProcessTimers *timers = CONTAINER_OF(t, ProcessTimers, real.timer);

        (void) expirations; /* one SIGALRM for all of them */
        if (!timers->process)
                return;
        /* Before it is sent: who dies in between has lost it, which takes a moment that is hardly hit; the other way
         * round it would be sent twice, for all the time that sending takes. */
        note_head(timers);
        change_commit(timers->timekeeper->kernel);
        (void) send_signal(timers, 0, SIGALRM, 0, 0, 0);
}

/* An exec that we have not heard of yet has ended POSIX timers: what they send would kill a program that knows nothing
 * of it. An exec takes all handlers away; so while there are those that were there before, there was none. */
static bool image_is_new(ProcessTimers *timers, const HostSignals *signals) {
        uint64_t before = timers->caught;

        timers->caught = signals->caught;
        if (signals->caught != 0 && (before & ~signals->caught) == 0)
                return false;
        return thread_group_refresh(timers->process, HOST_TASK_STAT) >= 0 && timers->process->last_image.stack != 0 &&
                memcmp(&timers->process->last_image, &timers->image, sizeof(HostImage)) != 0;
}

static SignalTarget *target_ref(ProcessTimers *timers, GuestPid tid, HostTid thread) {
        SignalTarget *target;

        LIST_FOREACH(target, &timers->targets, link)
                if (target->tid == tid)
                        break;
        if (!target) {
                target = calloc(1, sizeof(SignalTarget));
                if (!target)
                        return NULL;
                target->tid = tid;
                target->thread = thread;
                for (unsigned i = 0; i < TIMER_SIGNALS_MAX; i++)
                        target->generation[i] = 1;
                LIST_INSERT_HEAD(&timers->targets, target, link);
        }
        target->n_timers++;
        return target;
}

static void target_unref(SignalTarget *target) {
        if (!target || --target->n_timers > 0)
                return;
        LIST_REMOVE(target, link);
        free(target);
}

/* What was sent for this timer may be pending yet. */
static bool may_be_pending(const PosixTimer *timer) {
        return timer->sent != 0 && timer->sent == timer->target->generation[timer->signo - 1];
}

static void forget_sent(PosixTimer *timer) {
        if (may_be_pending(timer))
                timer->target->n_sent[timer->signo - 1]--;
        timer->sent = 0;
}

static void note_sent(PosixTimer *timer) {
        timer->sent = timer->target->generation[timer->signo - 1];
        timer->target->n_sent[timer->signo - 1]++;
}

/* Whether a signal of the timer's number waits for its target. When none does, all were delivered. 0, 1, or -ESRCH when
 * there is nobody to ask. */
static int look(const PosixTimer *timer, HostSignals *ret_signals) {
        const ProcessTimers *timers = timer->owner;
        SignalTarget *target = timer->target;
        unsigned i = (unsigned) timer->signo - 1;
        int r;

        if (!timers->process)
                return -ESRCH;
        r = host_of(timers)->ops->signals_of(host_of(timers), timers->process->host_pid, target->thread, ret_signals);
        if (r < 0)
                return -ESRCH;
        if (ret_signals->pending & (UINT64_C(1) << i))
                return 1;
        if (target->n_sent[i] > 0) {
                target->n_sent[i] = 0;
                if (++target->generation[i] == 0)
                        target->generation[i] = 1;
        }
        return 0;
}

static void arm_retry(ProcessTimers *timers) {
        if (timer_is_armed(&timers->retry))
                return;
        timers->retry_ns = timers->retry_ns == 0 ? RETRY_FIRST_NS : MIN2(timers->retry_ns * 2, RETRY_LAST_NS);
        timekeeper_arm(timers->timekeeper, &timers->retry, HOST_CLOCK_MONOTONIC,
                       time_add(now_on(timers, HOST_CLOCK_MONOTONIC), timers->retry_ns), 0);
}

/* Its signal cannot be sent now. */
static void hold(PosixTimer *timer, uint64_t expirations) {
        timer->missed += expirations;
        timer->held = true;
        arm_retry(timer->owner);
}

/* The last signal was delivered: what was missed until then is what timer_getoverrun(2) says. */
static void note_delivered(PosixTimer *timer) {
        timer->sent = 0;
        timer->overrun = timer->queued_overrun + timer->missed;
}

/* Sends the signal of a timer that was due `expirations` times since we were here, unless its last one is still
 * pending. 0, or -ESRCH when this was the end of all POSIX timers of the process. */
static int deliver(PosixTimer *timer, uint64_t expirations) {
        ProcessTimers *timers = timer->owner;
        uint64_t missed, queued_overrun;
        HostSignals signals;
        int pending;

        pending = look(timer, &signals);
        if (pending < 0)
                return 0; /* not found yet; or gone, and we will be told */
        if (image_is_new(timers, &signals)) {
                process_timers_exec(timers);
                return -ESRCH;
        }
        if (may_be_pending(timer)) {
                timer->missed += expirations;
                return 0;
        }
        /* Each timer has its own signal pending, even of those that do not queue. One that we send is dropped when there
         * is another of its number. */
        if (pending && timer->signo <= STANDARD_SIGNALS_MAX && timer->target->n_sent[timer->signo - 1] > 0) {
                hold(timer, expirations);
                return 0;
        }

        if (timer->sent != 0)
                note_delivered(timer);
        if (timer->held) {
                expirations += timer->missed;
                timer->missed = 0;
        }
        missed = timer->missed;
        queued_overrun = timer->queued_overrun;
        timer->queued_overrun = expirations - 1;
        timer->missed = 0;
        timer->held = false;
        note_sent(timer);
        note_timer(timer);
        change_commit(timers->timekeeper->kernel); /* see interval_timer_expired() */
        /* Linux has set a place in the queue aside for it. We have to wait until there is one. */
        if (send_signal(timers, timer->target->thread, timer->signo, timer->by_id.id, expirations - 1 + missed,
                        timer->value) == -EAGAIN) {
                forget_sent(timer);
                timer->missed = missed;
                timer->queued_overrun = queued_overrun;
                hold(timer, expirations);
                note_timer(timer);
                change_commit(timers->timekeeper->kernel);
        }
        return 0;
}

static void posix_timer_expired(Timer *t, uint64_t expirations) {
        (void) deliver(CONTAINER_OF(t, PosixTimer, timer), expirations);
}

static void retry_expired(Timer *t, uint64_t expirations) {
        ProcessTimers *timers = CONTAINER_OF(t, ProcessTimers, retry);
        PosixTimer *timer, *next;

        (void) expirations;
        for (timer = LIST_FIRST(&timers->posix); timer; timer = next) {
                next = LIST_NEXT(timer, link);
                /* Whoever is sent now makes those after it wait on. */
                if (timer->held && deliver(timer, 0) < 0)
                        return;
        }
        if (!timer_is_armed(t))
                timers->retry_ns = 0;
}

/* ---- the timers of a process ----------------------------------------------------------------------------------- */

static PosixTimer *timer_free(PosixTimer *timer) {
        Timekeeper *timekeeper = timer->owner->timekeeper;

        timekeeper_disarm(timekeeper, &timer->timer);
        if (timer->notify != ABI_SIGEV_NONE)
                forget_sent(timer);
        target_unref(timer->target);
        idmap_remove(&timekeeper->posix_by_id, &timer->by_id);
        LIST_REMOVE(timer, link);
        timer->owner->n_posix--;
        timekeeper->n_posix--;
        free(timer);
        return NULL;
}

static ProcessTimers *timers_new(Timekeeper *timekeeper, GuestPid pid) {
        ProcessTimers *timers;

        if (timekeeper_reserve(timekeeper, timekeeper->n_posix + (timekeeper->n_processes + 1) * TIMERS_OF_PROCESS) < 0)
                return NULL;
        timers = calloc(1, sizeof(ProcessTimers));
        if (!timers)
                return NULL;
        *timers = (ProcessTimers) {
                .timekeeper = timekeeper,
                .pid = pid,
                .real.timer.expired = interval_timer_expired,
                .retry.expired = retry_expired,
        };
        LIST_INIT(&timers->posix);
        LIST_INIT(&timers->targets);
        TAILQ_INSERT_TAIL(&timekeeper->processes, timers, link);
        timekeeper->n_processes++;
        return timers;
}

int process_timers_get(ThreadGroup *process, ProcessTimers **ret) {
        if (!process->timers) {
                if (process->watch < 0)
                        return -EAGAIN;
                process->timers = timers_new(&process->table->kernel->timekeeper, process->pid);
                if (!process->timers)
                        return -ENOMEM;
                process->timers->process = process;
        }
        *ret = process->timers;
        return 0;
}

void process_timers_exec(ProcessTimers *timers) {
        if (!timers)
                return;
        if (!LIST_EMPTY(&timers->posix))
                note_gone(timers, 0, false);
        while (!LIST_EMPTY(&timers->posix))
                timer_free(LIST_FIRST(&timers->posix));
        timekeeper_disarm(timers->timekeeper, &timers->retry);
}

ProcessTimers *process_timers_free(ProcessTimers *timers) {
        if (!timers)
                return NULL;

        note_gone(timers, 0, true);
        process_timers_exec(timers);
        timekeeper_disarm(timers->timekeeper, &timers->real.timer);
        TAILQ_REMOVE(&timers->timekeeper->processes, timers, link);
        timers->timekeeper->n_processes--;
        if (timers->process)
                timers->process->timers = NULL;
        free(timers);
        return NULL;
}

/* ---- ITIMER_REAL ----------------------------------------------------------------------------------------------- */

TimerSetting interval_timer_get(const ProcessTimers *timers) {
        const Timer *timer = timers ? &timers->real.timer : NULL;

        if (!timer || !timer_is_armed(timer))
                return (TimerSetting) {};
        return (TimerSetting) {
                /* An armed one never reads 0. */
                .value = MAX2(timer_left(timer, now_on(timers, HOST_CLOCK_MONOTONIC)), (int64_t) NSEC_PER_USEC),
                .interval = timer->interval,
        };
}

void interval_timer_set(ProcessTimers *timers, TimerSetting setting) {
        Timer *timer = &timers->real.timer;

        if (setting.value == 0) {
                timekeeper_disarm(timers->timekeeper, timer);
                timer->interval = 0;
        } else
                timekeeper_arm(timers->timekeeper, timer, HOST_CLOCK_MONOTONIC,
                               time_add(now_on(timers, HOST_CLOCK_MONOTONIC), setting.value), setting.interval);
        note_head(timers);
}

/* ---- POSIX timers ---------------------------------------------------------------------------------------------- */

static uint32_t next_id(Timekeeper *timekeeper) {
        /* There are many more numbers than timers. */
        do
                timekeeper->last_id = (timekeeper->last_id + 1) & (POSIX_TIMER_ID_BIT - 1);
        while (idmap_find(&timekeeper->posix_by_id, timekeeper->last_id | POSIX_TIMER_ID_BIT));
        return timekeeper->last_id | POSIX_TIMER_ID_BIT;
}

static int timer_add(ProcessTimers *timers, const PosixTimerConfig *config, uint32_t id, PosixTimer **ret) {
        Timekeeper *timekeeper = timers->timekeeper;
        PosixTimer *timer;
        int r;

        if (timekeeper->n_posix >= TIMERS_MAX)
                return -EAGAIN;
        r = timekeeper_reserve(timekeeper, timekeeper->n_posix + 1 + timekeeper->n_processes * TIMERS_OF_PROCESS);
        if (r < 0)
                return r;
        timer = calloc(1, sizeof(PosixTimer));
        if (!timer)
                return -ENOMEM;
        *timer = (PosixTimer) {
                .timer.expired = posix_timer_expired,
                .owner = timers,
                .clock = config->clock,
                .notify = config->notify,
                .signo = config->signo,
                .value = config->value_is_id ? id : config->value,
                .target = target_ref(timers, config->tid, config->thread),
        };
        r = timer->target ? 0 : -ENOMEM;
        if (r >= 0)
                r = idmap_add(&timekeeper->posix_by_id, &timer->by_id, id);
        if (r < 0) {
                target_unref(timer->target);
                free(timer);
                return r;
        }
        LIST_INSERT_HEAD(&timers->posix, timer, link);
        timers->n_posix++;
        timekeeper->n_posix++;
        *ret = timer;
        return 0;
}

int posix_timer_new(ProcessTimers *timers, const PosixTimerConfig *config, PosixTimer **ret) {
        int r;

        if (LIST_EMPTY(&timers->posix)) {
                (void) thread_group_refresh(timers->process, HOST_TASK_STAT);
                timers->image = timers->process->last_image;
        }
        r = timer_add(timers, config, next_id(timers->timekeeper), ret);
        if (r >= 0)
                note_timer(*ret);
        return r;
}

PosixTimer *posix_timer_free(PosixTimer *timer) {
        if (!timer)
                return NULL;
        note_gone(timer->owner, timer->by_id.id, false);
        return timer_free(timer);
}

PosixTimer *posix_timer_find(const ThreadGroup *process, int32_t id) {
        IdNode *node = idmap_find(&process->table->kernel->timekeeper.posix_by_id, (uint32_t) id);
        PosixTimer *timer = node ? CONTAINER_OF(node, PosixTimer, by_id) : NULL;

        return timer && timer->owner->process == process ? timer : NULL;
}

static HostClock clock_of(const PosixTimer *timer, bool absolute) {
        switch (timer->clock) {
        case CLOCK_MONOTONIC:
                return HOST_CLOCK_MONOTONIC;
        case CLOCK_BOOTTIME:
                return HOST_CLOCK_BOOTTIME;
        default:
                /* A time from now does not change when somebody sets the clock. */
                return absolute ? HOST_CLOCK_REALTIME : HOST_CLOCK_MONOTONIC;
        }
}

TimerSetting posix_timer_get(const PosixTimer *timer) {
        const ProcessTimers *timers = timer->owner;
        TimerSetting setting = { .interval = timer->timer.interval };
        int64_t now;

        if (!timer->counting && !timer_is_armed(&timer->timer))
                return setting;
        now = now_on(timers, timekeeper_clock_of(timers->timekeeper, &timer->timer));
        setting.value = timer_left(&timer->timer, now);
        if (!timer->counting) /* not 0 before its signal was sent */
                setting.value = MAX2(setting.value, INT64_C(1));
        return setting;
}

void posix_timer_set(PosixTimer *timer, TimerSetting setting, bool absolute) {
        Timekeeper *timekeeper = timer->owner->timekeeper;
        HostClock clock = clock_of(timer, absolute);
        int64_t expiry = absolute ? setting.value : time_add(timekeeper_now(timekeeper, clock), setting.value);

        timer->counting = false;
        timer->held = false;
        timer->missed = timer->queued_overrun = timer->overrun = 0;
        if (setting.value == 0) {
                timekeeper_disarm(timekeeper, &timer->timer);
                timer->timer.interval = 0;
        } else if (timer->notify == ABI_SIGEV_NONE) {
                timer->timer.queue = &timekeeper->queues[clock];
                timer->timer.expiry = expiry;
                timer->timer.interval = setting.interval;
                timer->counting = true;
        } else
                timekeeper_arm(timekeeper, &timer->timer, clock, expiry, setting.interval);
        note_timer(timer);
}

int32_t posix_timer_overrun(PosixTimer *timer) {
        HostSignals signals;

        if (timer->sent != 0 && timer->notify != ABI_SIGEV_NONE) {
                int pending = look(timer, &signals);

                /* Where what is pending may be another timer's, it is: who asks has got a signal of this one. */
                if (pending == 0 || (pending > 0 && may_be_pending(timer) && timer->target->n_sent[timer->signo - 1] > 1)) {
                        uint64_t missed = timer->missed;

                        forget_sent(timer);
                        note_delivered(timer);
                        timer->missed = pending > 0 ? 0 : missed;
                        note_timer(timer);
                }
        }
        return (int32_t) MIN2(timer->overrun, (uint64_t) INT_MAX);
}

/* ---- records --------------------------------------------------------------------------------------------------- */

/* A setting as it is recorded: the time at which it is due, on which clock, and its interval. */
static void timer_record(ProcessTimers *timers, Timer *timer, bool *armed, Record *record) {
        uint32_t clock = timekeeper_clock_of(timers->timekeeper, timer);

        record_bool(record, "armed", armed);
        record_u32(record, "queue", &clock);
        record_i64(record, "expiry", &timer->expiry);
        record_i64(record, "interval", &timer->interval);
        if (record->mode != RECORD_READ || record->error < 0)
                return;
        if (clock >= _HOST_CLOCK_MAX || timer->expiry < 0 || timer->interval < 0) {
                record->error = -EBADMSG;
                return;
        }
        timer->queue = &timers->timekeeper->queues[clock];
}

static int posix_timer_record(ProcessTimers *timers, PosixTimer *timer, GuestPid *ret_tid, Record *record) {
        bool armed = timer->counting || timer_is_armed(&timer->timer) || (!timers->process && timer->was_armed);
        uint32_t thread = timer->target ? (uint32_t) timer->target->tid : 0;
        int64_t clock = timer->clock, notify = timer->notify, signo = timer->signo;
        bool sent = timer->notify != ABI_SIGEV_NONE && timer->target && may_be_pending(timer);
        int r;

        record_begin(record, "posix-timer", 1);
        record_u32(record, "id", &timer->by_id.id);
        record_i64(record, "clock", &clock);
        record_i64(record, "notify", &notify);
        record_i64(record, "signo", &signo);
        record_u64(record, "value", &timer->value);
        record_u32(record, "thread", &thread);
        timer_record(timers, &timer->timer, &armed, record);
        record_bool(record, "sent", &sent);
        record_bool(record, "held", &timer->held);
        record_u64(record, "queued-overrun", &timer->queued_overrun);
        record_u64(record, "missed", &timer->missed);
        record_u64(record, "overrun", &timer->overrun);
        r = record_end(record);
        if (r < 0 || record->mode == RECORD_WRITE)
                return r;

        if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) ||
            (notify != ABI_SIGEV_SIGNAL && notify != ABI_SIGEV_NONE && notify != ABI_SIGEV_THREAD &&
             notify != ABI_SIGEV_THREAD_ID) ||
            (notify != ABI_SIGEV_NONE && (signo < 1 || signo > 64)) || (notify == ABI_SIGEV_THREAD_ID) != (thread != 0) || thread > INT32_MAX ||
            (timer->by_id.id & ~(POSIX_TIMER_ID_BIT - 1)) != POSIX_TIMER_ID_BIT)
                return -EBADMSG;
        timer->clock = (int32_t) clock;
        timer->notify = (int32_t) notify;
        timer->signo = (int32_t) signo;
        *ret_tid = (GuestPid) thread;
        timer->was_armed = armed;
        timer->sent = sent;
        return 0;
}

static int head_record(ProcessTimers *timers, uint32_t *n_posix, Record *record) {
        bool armed = timer_is_armed(&timers->real.timer) || (!timers->process && timers->real.was_armed);
        uint32_t pid = (uint32_t) timers->pid;
        int r;

        record_begin(record, "timers", 1);
        record_u32(record, "pid", &pid);
        record_u32(record, "posix-timers", n_posix);
        timer_record(timers, &timers->real.timer, &armed, record);
        r = record_end(record);
        if (r < 0)
                return r;
        timers->pid = (GuestPid) pid;
        timers->real.was_armed = armed;
        return timers->pid > 0 ? 0 : -EBADMSG;
}

int process_timers_record(ProcessTimers *timers, Record *record) {
        uint32_t n_posix = timers->n_posix;
        PosixTimer *timer;
        int r;

        r = head_record(timers, &n_posix, record);
        if (r < 0)
                return r;
        LIST_FOREACH(timer, &timers->posix, link) {
                r = posix_timer_record(timers, timer, NULL, record);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_posix_timer(ProcessTimers *timers, Record *record) {
        PosixTimer seen = {}, *timer;
        PosixTimerConfig config;
        GuestPid tid;
        int r;

        r = posix_timer_record(timers, &seen, &tid, record);
        if (r < 0)
                return r;
        if (idmap_find(&timers->timekeeper->posix_by_id, seen.by_id.id))
                return -EBADMSG;
        config = (PosixTimerConfig) {
                .clock = seen.clock,
                .notify = seen.notify,
                .signo = seen.signo,
                .value = seen.value,
                .tid = tid,
                .thread = -1,
        };
        r = timer_add(timers, &config, seen.by_id.id, &timer);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        timer->timer.queue = seen.timer.queue;
        timer->timer.expiry = seen.timer.expiry;
        timer->timer.interval = seen.timer.interval;
        timer->was_armed = seen.was_armed;
        if (seen.sent != 0 && seen.notify != ABI_SIGEV_NONE)
                note_sent(timer);
        timer->held = seen.held && seen.notify != ABI_SIGEV_NONE;
        timer->queued_overrun = seen.queued_overrun;
        timer->missed = seen.missed;
        timer->overrun = seen.overrun;
        return 0;
}

int process_timers_read(Timekeeper *timekeeper, Record *record) {
        ProcessTimers *timers, *other;
        uint32_t n_posix = 0;
        int r;

        timers = timers_new(timekeeper, 0);
        if (!timers)
                return -ENOMEM;
        r = head_record(timers, &n_posix, record);
        if (r < 0)
                return r;
        TAILQ_FOREACH(other, &timekeeper->processes, link)
                if (other != timers && other->pid == timers->pid)
                        return -EBADMSG;
        for (uint32_t i = 0; i < n_posix; i++) {
                r = read_posix_timer(timers, record);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

static void note_head(ProcessTimers *timers) {
        Kernel *kernel = timers->timekeeper->kernel;
        Record *record = change_begin(kernel);
        uint32_t n_posix = timers->n_posix;

        if (!record)
                return;
        (void) head_record(timers, &n_posix, record);
        change_end(kernel, record);
}

static int of_record(uint32_t *pid, Record *record) {
        record_begin(record, "timer-of", 1);
        record_u32(record, "pid", pid);
        return record_end(record);
}

static void note_timer(PosixTimer *timer) {
        Kernel *kernel = timer->owner->timekeeper->kernel;
        uint32_t pid = (uint32_t) timer->owner->pid;
        Record *record = change_begin(kernel);

        if (!record)
                return;
        (void) of_record(&pid, record);
        (void) posix_timer_record(timer->owner, timer, NULL, record);
        change_end(kernel, record);
}

/* One POSIX timer, or (id 0) all of them, or the interval timer with them. */
static int gone_record(uint32_t *pid, uint32_t *id, bool *all, Record *record) {
        record_begin(record, "timers-gone", 1);
        record_u32(record, "pid", pid);
        record_u32(record, "id", id);
        record_bool(record, "all", all);
        return record_end(record);
}

static void note_gone(const ProcessTimers *timers, uint32_t id, bool all) {
        Kernel *kernel = timers->timekeeper->kernel;
        uint32_t pid = (uint32_t) timers->pid;
        Record *record = change_begin(kernel);

        if (!record)
                return;
        (void) gone_record(&pid, &id, &all, record);
        change_end(kernel, record);
}

static ProcessTimers *find_unadopted(Timekeeper *timekeeper, GuestPid pid) {
        ProcessTimers *timers;

        TAILQ_FOREACH(timers, &timekeeper->processes, link)
                if (!timers->process && timers->pid == pid)
                        break;
        return timers;
}

int process_timers_apply(Timekeeper *timekeeper, Record *record) {
        ProcessTimers seen = { .timekeeper = timekeeper }, *timers;
        uint32_t n_posix = 0;
        int r;

        r = head_record(&seen, &n_posix, record);
        if (r < 0)
                return r;
        timers = find_unadopted(timekeeper, seen.pid) ?: timers_new(timekeeper, seen.pid);
        if (!timers)
                return -ENOMEM;
        timers->real.was_armed = seen.real.was_armed;
        timers->real.timer.queue = seen.real.timer.queue;
        timers->real.timer.expiry = seen.real.timer.expiry;
        timers->real.timer.interval = seen.real.timer.interval;
        return 0;
}

int posix_timer_apply(Timekeeper *timekeeper, Record *record) {
        PosixTimer seen = {}, *timer;
        ProcessTimers *timers;
        Record ahead;
        uint32_t pid;
        IdNode *node;
        GuestPid tid;
        int r;

        r = of_record(&pid, record);
        if (r < 0 || pid == 0 || pid > INT32_MAX)
                return r < 0 ? r : -EBADMSG;
        timers = find_unadopted(timekeeper, (GuestPid) pid) ?: timers_new(timekeeper, (GuestPid) pid);
        if (!timers)
                return -ENOMEM;

        /* It takes the place of the one of the same id. */
        ahead = *record;
        r = posix_timer_record(timers, &seen, &tid, &ahead);
        if (r < 0)
                return r;
        node = idmap_find(&timekeeper->posix_by_id, seen.by_id.id);
        timer = node ? CONTAINER_OF(node, PosixTimer, by_id) : NULL;
        if (timer && timer->owner != timers)
                return -EBADMSG;
        if (timer)
                (void) timer_free(timer);
        else
                timekeeper->last_id = seen.by_id.id & (POSIX_TIMER_ID_BIT - 1);
        return read_posix_timer(timers, record);
}

int process_timers_apply_gone(Timekeeper *timekeeper, Record *record) {
        ProcessTimers *timers;
        uint32_t pid, id;
        IdNode *node;
        bool all;
        int r;

        r = gone_record(&pid, &id, &all, record);
        if (r < 0)
                return r;
        timers = find_unadopted(timekeeper, (GuestPid) pid);
        node = id != 0 ? idmap_find(&timekeeper->posix_by_id, id) : NULL;
        if (timers && node && CONTAINER_OF(node, PosixTimer, by_id)->owner == timers)
                (void) timer_free(CONTAINER_OF(node, PosixTimer, by_id));
        else if (timers && all)
                (void) process_timers_free(timers);
        else if (timers && id == 0)
                process_timers_exec(timers);
        return 0;
}

/* ---- processes that are found again ---------------------------------------------------------------------------- */

/* Our id of the thread that a restored timer signals. -1 when it is gone: nobody gets the signal then. */
static HostTid find_thread(ThreadGroup *process, GuestPid tid) {
        const Task *task;

        (void) thread_group_list_threads(process);
        TAILQ_FOREACH(task, &process->threads, link)
                if (task->tid == tid)
                        return task->host_tid;
        return -1;
}

static void arm_again(Timekeeper *timekeeper, Timer *timer) {
        timekeeper_arm(timekeeper, timer, timekeeper_clock_of(timekeeper, timer), timer->expiry, timer->interval);
}

void process_timers_adopt(ThreadGroup *process) {
        Timekeeper *timekeeper = &process->table->kernel->timekeeper;
        ProcessTimers *timers = find_unadopted(timekeeper, process->pid);
        PosixTimer *timer;

        if (!timers)
                return;

        timers->process = process;
        timers->image = process->last_image;
        process->timers = timers;
        if (timers->real.was_armed)
                arm_again(timekeeper, &timers->real.timer);
        LIST_FOREACH(timer, &timers->posix, link) {
                if (timer->target->tid != 0)
                        timer->target->thread = find_thread(process, timer->target->tid);
                else
                        timer->target->thread = 0;
                if (timer->was_armed && timer->notify == ABI_SIGEV_NONE)
                        timer->counting = true;
                else if (timer->was_armed)
                        arm_again(timekeeper, &timer->timer);
                if (timer->held)
                        arm_retry(timers);
        }
}
