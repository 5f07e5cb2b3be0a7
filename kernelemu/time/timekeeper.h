/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Timekeeper: the one source of time for all emulated timers. It has a queue of timers for each clock, and asks the
 * host for one alarm a clock: none when nothing is armed.
 *
 * Clocks are the sandbox's: CLOCK_MONOTONIC and CLOCK_BOOTTIME began near zero when it was started, and go on after a
 * restore where they were saved; time_namespaces(7) does that for what the tasks read, at the speed of the vDSO.
 *
 * While the Timekeeper is paused nothing expires, but time runs on. What fell due meanwhile expires on the resume: once,
 * and as often as it was due, which for a timerfd or an overrun count is what they say. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "record.h"
#include "time/timer-queue.h"
#include "util/idmap.h"

#define TIMERS_MAX 131072U /* POSIX timers of a sandbox: timer_create(2) gives EAGAIN beyond */

typedef struct Kernel Kernel;
typedef struct ProcessTimers ProcessTimers;

/* Clocks that the host can wake us by. Names are those of clock_gettime(2). */
typedef enum HostClock {
        HOST_CLOCK_REALTIME,
        HOST_CLOCK_MONOTONIC,
        HOST_CLOCK_BOOTTIME,
        _HOST_CLOCK_MAX,
} HostClock;

/* "realtime", "monotonic", "boottime" */
const char *host_clock_to_string(HostClock clock);

typedef struct Timekeeper {
        Kernel *kernel;                       /* immutable */
        TimerQueue queues[_HOST_CLOCK_MAX];   /* not recorded: made of the timers' own records */
        int64_t alarms[_HOST_CLOCK_MAX];      /* what the host was asked for last; not recorded: it is asked again */
        unsigned pause_depth;                 /* not recorded: who restores says when time goes on */
        bool running;                         /* timers are being expired; the alarms are set afterwards */
        int64_t saved[_HOST_CLOCK_MAX];       /* the clocks when they were recorded; only after that was read */
        TAILQ_HEAD(, ProcessTimers) processes; /* owned by process-timers.c; recorded */
        uint32_t n_processes;
        IdMap posix_by_id;                    /* lookup only: PosixTimer.by_id */
        uint32_t n_posix;                     /* timers of timer_create(2) there are */
        uint32_t last_id;                     /* recorded: ids are not given again at once */
} Timekeeper;

void timekeeper_init(Timekeeper *timekeeper, Kernel *kernel);
void timekeeper_done(Timekeeper *timekeeper);
/* Ends timers that were read from a record and whose processes were not found. */
void timekeeper_drop_unadopted(Timekeeper *timekeeper);

/* ns of a clock of the sandbox. */
int64_t timekeeper_now(const Timekeeper *timekeeper, HostClock clock);

/* Arms a timer, again if it is armed: clock and interval may change. expiry: ns of that clock, TIME_NEVER for one that
 * is armed but will not be due. There must be room: timekeeper_reserve(). */
void timekeeper_arm(Timekeeper *timekeeper, Timer *timer, HostClock clock, int64_t expiry, int64_t interval);
void timekeeper_disarm(Timekeeper *timekeeper, Timer *timer);
/* The clock that a timer is armed on, or was last. MONOTONIC for one that never was. */
HostClock timekeeper_clock_of(const Timekeeper *timekeeper, const Timer *timer);

/* Makes room for so many timers in every queue. 0 or -ENOMEM. */
int timekeeper_reserve(Timekeeper *timekeeper, size_t n);

/* Expires what is due. For the host, when an alarm has gone off: HostOps.clock_alarm. */
void timekeeper_run(Timekeeper *timekeeper);

/* Nothing expires until it has been resumed as often as it was paused. */
void timekeeper_pause(Timekeeper *timekeeper);
void timekeeper_resume(Timekeeper *timekeeper);

/* How many timers are armed, POSIX timers and interval timers. */
size_t timekeeper_n_armed(const Timekeeper *timekeeper);

/* Where a clock of a restored sandbox has to begin, in ns: at what was saved, plus the real time that has passed since,
 * but never less. realtime: CLOCK_REALTIME of now. After a record was read. */
int64_t timekeeper_restored_clock(const Timekeeper *timekeeper, HostClock clock, int64_t realtime);

/* Visits the clocks, and the timers of all processes. Reading wants a Timekeeper without any; they are given to the
 * processes of the same ids when those are found. */
int timekeeper_record(Timekeeper *timekeeper, Record *record);
