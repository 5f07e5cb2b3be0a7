/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* setitimer(2), getitimer(2) with ITIMER_REAL, and alarm(2), which share one timer of the process. The filter leaves the
 * timers of CPU time to the host. */

#include <errno.h>

#include "kernel.h"
#include "sys/timespec.h"

static bool timeval_is_valid(AbiTimespec t) {
        return t.sec >= 0 && t.nsec >= 0 && t.nsec < 1000000;
}

static int64_t timeval_to_ns(AbiTimespec t) {
        return timespec_to_ns((AbiTimespec) { t.sec, t.nsec * (int64_t) NSEC_PER_USEC });
}

static int write_itimerval(Kernel *kernel, const Call *call, GuestAddr address, TimerSetting setting) {
        AbiItimerspec value = { .interval = timespec_of_ns(setting.interval), .value = timespec_of_ns(setting.value) };

        value.interval.nsec /= (int64_t) NSEC_PER_USEC;
        value.value.nsec /= (int64_t) NSEC_PER_USEC;
        return kernel->host->ops->memory_write(kernel->host, call, address, &value, sizeof(value));
}

/* Sets the timer, which is not made for a process that only turns it off. */
static int set(ThreadGroup *process, TimerSetting setting) {
        ProcessTimers *timers = process->timers;
        int r;

        if (!timers) {
                if (setting.value == 0)
                        return 0;
                r = process_timers_get(process, &timers);
                if (r < 0)
                        return r;
        }
        interval_timer_set(timers, setting);
        return 0;
}

SYSCALL_DEFINE3(setitimer, int32_t, which, GuestAddr, new_value, GuestAddr, old_value) {
        AbiItimerspec value = {};
        ThreadGroup *process;
        TimerSetting old;
        int r;

        (void) which;
        /* Linux takes NULL for a timer that is to be turned off. */
        if (new_value != 0) {
                r = kernel->host->ops->memory_read(kernel->host, call, new_value, &value, sizeof(value));
                if (r < 0)
                        return verdict_error(r);
                if (!timeval_is_valid(value.value) || !timeval_is_valid(value.interval))
                        return verdict_error(EINVAL);
        }
        r = task_table_caller(&kernel->tasks, call, &process);
        if (r < 0)
                return verdict_error(r);

        if (old_value != 0)
                old = interval_timer_get(process->timers);
        r = set(process, (TimerSetting) { timeval_to_ns(value.value), timeval_to_ns(value.interval) });
        if (r >= 0 && old_value != 0)
                r = write_itimerval(kernel, call, old_value, old);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE2(getitimer, int32_t, which, GuestAddr, value) {
        ThreadGroup *process;
        int r;

        (void) which;
        r = task_table_caller(&kernel->tasks, call, &process);
        if (r >= 0)
                r = write_itimerval(kernel, call, value, interval_timer_get(process->timers));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE1(alarm, uint32_t, seconds) {
        ThreadGroup *process;
        AbiTimespec old;
        int r;

        r = task_table_caller(&kernel->tasks, call, &process);
        if (r < 0)
                return verdict_error(r);
        old = timespec_of_ns(interval_timer_get(process->timers).value);
        r = set(process, (TimerSetting) { .value = (int64_t) seconds * (int64_t) NSEC_PER_SEC });
        if (r < 0)
                return verdict_error(r);
        /* Rounded, but never to 0 while there was an alarm. */
        if ((old.sec == 0 && old.nsec > 0) || old.nsec >= (int64_t) NSEC_PER_SEC / 2)
                old.sec++;
        return verdict_value(old.sec);
}
