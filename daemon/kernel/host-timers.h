/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Timers of the sandbox that the host keeps: those behind descriptors (timerfd_create(2)), and those of timer_create(2)
 * on clocks of CPU time. They are looked up in /proc, for listing. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_TIMER_DESCRIPTORS_MAX 262144U /* looked at in one listing */

typedef struct HostTimer {
        bool descriptor;   /* id is one, and left, interval and ticks are known */
        int32_t id;
        int32_t clock;     /* clockid_t */
        int32_t notify, signo; /* of timer_create(2): sigevent(7) */
        int64_t left;      /* ns until it is due; 0: not armed */
        int64_t interval;  /* ns; 0: once */
        uint64_t ticks;    /* expirations that were not read yet */
} HostTimer;

/* Calls function for each timer of a process, by the host's pid, until it returns other than 0, and returns that.
 * n_looked counts the descriptors that were looked at over all calls: beyond the limit nothing is looked at. A process
 * that is gone has none. */
int host_timers_for_each(pid_t pid, unsigned *n_looked, int (*function)(const HostTimer *timer, void *userdata),
                         void *userdata);
