/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The timers of a process: those of timer_create(2), and the one of setitimer(ITIMER_REAL) and alarm(2). They are not
 * inherited over fork(2); an exec ends the former and keeps the latter; the end of the process ends all. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "abi/types.h"
#include "record.h"
#include "task/host-task.h"
#include "time/timekeeper.h"
#include "util/idmap.h"

/* Ids of emulated timers have this bit, which no host gets to in numbering its own: the filter tells them apart by it.
 * Timers on clocks of CPU time, on CLOCK_TAI and the alarm clocks are the host's. */
#define POSIX_TIMER_ID_BIT 0x40000000U

typedef struct ThreadGroup ThreadGroup;

/* setitimer(2) with ITIMER_REAL. */
typedef struct IntervalTimer {
        Timer timer;      /* on CLOCK_MONOTONIC; recorded */
        bool was_armed;   /* when it was recorded: it will be when its process is found */
} IntervalTimer;

#define TIMER_SIGNALS_MAX 64U /* SIGRTMAX */

/* Whom timers send their signals to: the process, or one of its threads. Here is known which of those signals may still
 * be pending. A generation of a signal ends when none is pending: then all that were sent in it have been delivered. */
typedef struct SignalTarget {
        GuestPid tid;                            /* immutable: in the first PID namespace; 0: the process */
        HostTid thread;                          /* the same for the host. -1: it is gone */
        unsigned n_timers;                       /* that refer to it */
        uint32_t generation[TIMER_SIGNALS_MAX];  /* from 1 */
        uint32_t n_sent[TIMER_SIGNALS_MAX];      /* timers whose signal was sent in this generation */
        LIST_ENTRY(SignalTarget) link;           /* owned by the process's timers */
} SignalTarget;

/* timer_create(2). Of a signal that was sent nobody tells us when it is delivered, and what it says cannot be changed any
 * more. So its si_overrun counts what was missed before it was sent, and timer_getoverrun(2) what was missed between
 * that and its delivery; each of the two leaves out nothing when all are added up. */
typedef struct PosixTimer {
        Timer timer;               /* recorded; of SIGEV_NONE it is never in a queue */
        bool counting;             /* recorded: SIGEV_NONE was set, and counts down */
        bool was_armed;            /* when it was recorded: it will be when its process is found */
        ProcessTimers *owner;      /* immutable */
        IdNode by_id;              /* immutable: POSIX_TIMER_ID_BIT | number. Recorded */
        int32_t clock;             /* immutable, recorded: clockid_t */
        int32_t notify, signo;     /* immutable, recorded: sigevent(7) */
        uint64_t value;            /* immutable, recorded: sigev_value */
        SignalTarget *target;      /* immutable; recorded by its tid */
        uint32_t sent;             /* generation in which its signal was sent, 0: none was. Recorded as whether it may
                                    * be pending */
        bool held;                 /* recorded: its signal waits to be sent, see retry */
        uint64_t queued_overrun;   /* recorded: missed when the last signal was sent, for want of our attention */
        uint64_t missed;           /* recorded: due since then */
        uint64_t overrun;          /* recorded: what timer_getoverrun(2) says while a signal is pending */
        LIST_ENTRY(PosixTimer) link; /* owned by the process's timers */
} PosixTimer;

struct ProcessTimers {
        Timekeeper *timekeeper;    /* immutable */
        ThreadGroup *process;      /* lookup only; NULL after a restore, until it is found */
        GuestPid pid;              /* immutable, recorded */
        IntervalTimer real;
        LIST_HEAD(, PosixTimer) posix; /* owned */
        LIST_HEAD(, SignalTarget) targets; /* owned; not recorded */
        uint32_t n_posix;          /* recorded, like these themselves */
        HostImage image;           /* that the POSIX timers are of; not recorded: as it is when they are found again */
        uint64_t caught;           /* the signals with handlers as of the last look; not recorded */
        Timer retry;               /* armed while signals are held; not recorded: it is armed again */
        int64_t retry_ns;          /* how long it waits */
        TAILQ_ENTRY(ProcessTimers) link; /* owned by the Timekeeper */
};

/* A setting of a timer: struct itimerspec in ns. TIME_NEVER is what is too far away. */
typedef struct TimerSetting {
        int64_t value;    /* 0: disarmed */
        int64_t interval;
} TimerSetting;

/* What timer_create(2) is asked for. */
typedef struct PosixTimerConfig {
        int32_t clock, notify, signo;
        bool value_is_id;    /* there was no sigevent: the value is the timer's own id */
        uint64_t value;
        GuestPid tid;        /* of the thread that gets the signal, in the first PID namespace; 0: the process */
        HostTid thread;      /* the same for the host */
} PosixTimerConfig;

/* The timers of a process, made when it has none yet. -EAGAIN when the host cannot tell of its end, -ENOMEM. */
int process_timers_get(ThreadGroup *process, ProcessTimers **ret);
/* Ends all of them. NULL-safe. */
ProcessTimers *process_timers_free(ProcessTimers *timers);
/* The process is in a new image. NULL-safe. */
void process_timers_exec(ProcessTimers *timers);

/* What is left until ITIMER_REAL expires, and its interval; zeros when it is not armed. timers may be NULL. */
TimerSetting interval_timer_get(const ProcessTimers *timers);
void interval_timer_set(ProcessTimers *timers, TimerSetting setting);

/* A new timer, not armed. -EAGAIN when there are TIMERS_MAX, -ENOMEM. */
int posix_timer_new(ProcessTimers *timers, const PosixTimerConfig *config, PosixTimer **ret);
PosixTimer *posix_timer_free(PosixTimer *timer);
/* The timer of this id if it is the process's, else NULL. */
PosixTimer *posix_timer_find(const ThreadGroup *process, int32_t id);
static inline int32_t posix_timer_id(const PosixTimer *timer) { return (int32_t) timer->by_id.id; }

TimerSetting posix_timer_get(const PosixTimer *timer);
/* absolute: value is a time of the timer's clock, and not from now. */
void posix_timer_set(PosixTimer *timer, TimerSetting setting, bool absolute);
/* How often it was due, beyond the first time, between the sending of the last signal and its delivery; timer_getoverrun(2). */
int32_t posix_timer_overrun(PosixTimer *timer);

/* Visits the timers of a process; see record.h. */
int process_timers_record(ProcessTimers *timers, Record *record);
/* Reads those of one process into a Timekeeper. */
int process_timers_read(Timekeeper *timekeeper, Record *record);
/* changes.h: reads what was told of the interval timer of a process, of a POSIX timer, of timers that are gone. */
int process_timers_apply(Timekeeper *timekeeper, Record *record);
int posix_timer_apply(Timekeeper *timekeeper, Record *record);
int process_timers_apply_gone(Timekeeper *timekeeper, Record *record);
/* Gives a process that was just found what a record said of it: the timers are armed. */
void process_timers_adopt(ThreadGroup *process);
