/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* timer_create(2) on CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME, and what is done with such timers, which the
 * filter knows by POSIX_TIMER_ID_BIT. Others are the host's. */

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "kernel.h"
#include "sys/timespec.h"

/* The thread of the caller's process that the caller knows as tid. */
static int find_thread(Kernel *kernel, const Call *call, ThreadGroup *process, GuestPid tid, PosixTimerConfig *config) {
        const Task *task;
        HostTid host_tid;
        int r;

        if (tid <= 0 || kernel->host->ops->task_find(kernel->host, call, tid, &host_tid) < 0)
                return -EINVAL;
        r = thread_group_list_threads(process);
        if (r < 0)
                return r;
        TAILQ_FOREACH(task, &process->threads, link)
                if (task->host_tid == host_tid) {
                        config->tid = task->tid;
                        config->thread = host_tid;
                        return 0;
                }
        return -EINVAL;
}

/* Whom and how a timer notifies; as good_sigevent() of Linux has it. */
static int read_sigevent(Kernel *kernel, const Call *call, ThreadGroup *process, GuestAddr address,
                         PosixTimerConfig *config) {
        AbiSigevent event;
        int r;

        if (address == 0) {
                config->notify = ABI_SIGEV_SIGNAL;
                config->signo = SIGALRM;
                config->value_is_id = true;
                return 0;
        }
        r = kernel->host->ops->memory_read(kernel->host, call, address, &event, sizeof(event));
        if (r < 0)
                return r;
        config->notify = event.notify;
        config->signo = event.signo;
        config->value = event.value;

        if (event.notify == ABI_SIGEV_THREAD_ID) {
                r = find_thread(kernel, call, process, event.tid, config);
                if (r < 0)
                        return r;
        }
        switch (event.notify) {
        case ABI_SIGEV_THREAD_ID:
        case ABI_SIGEV_SIGNAL:
        case ABI_SIGEV_THREAD:
                return event.signo > 0 && event.signo <= (int32_t) TIMER_SIGNALS_MAX ? 0 : -EINVAL;
        case ABI_SIGEV_NONE:
                return 0;
        default:
                return -EINVAL;
        }
}

/* Linux sets a signal aside for each timer, and counts it with those of RLIMIT_SIGPENDING. */
static int check_limit(Kernel *kernel, const Call *call) {
        struct rlimit limit;
        int64_t r;

        r = kernel->host->ops->task_call(kernel->host, call->tid, HOST_PRLIMIT, RLIMIT_SIGPENDING, NULL, &limit);
        if (r < 0)
                return (int) r;
        return kernel->timekeeper.n_posix < limit.rlim_cur ? 0 : -EAGAIN;
}

SYSCALL_DEFINE3(timer_create, int32_t, clock, GuestAddr, event, GuestAddr, ret_id) {
        PosixTimerConfig config = { .clock = clock };
        ProcessTimers *timers;
        ThreadGroup *process;
        PosixTimer *timer;
        int32_t id;
        int r;

        r = task_table_caller(&kernel->tasks, call, &process);
        if (r >= 0)
                r = read_sigevent(kernel, call, process, event, &config);
        if (r >= 0)
                r = check_limit(kernel, call);
        if (r >= 0)
                r = process_timers_get(process, &timers);
        if (r >= 0)
                r = posix_timer_new(timers, &config, &timer);
        if (r < 0)
                return verdict_error(r);

        id = posix_timer_id(timer);
        r = kernel->host->ops->memory_write(kernel->host, call, ret_id, &id, sizeof(id));
        if (r < 0) {
                posix_timer_free(timer);
                return verdict_error(r);
        }
        return verdict_value(0);
}

/* The caller's timer of this id; NULL when it has none. */
static PosixTimer *find(Kernel *kernel, const Call *call, int32_t id) {
        ThreadGroup *process;

        if (task_table_caller(&kernel->tasks, call, &process) < 0)
                return NULL;
        return posix_timer_find(process, id);
}

static int write_itimerspec(Kernel *kernel, const Call *call, GuestAddr address, TimerSetting setting) {
        AbiItimerspec value = { .interval = timespec_of_ns(setting.interval), .value = timespec_of_ns(setting.value) };

        return kernel->host->ops->memory_write(kernel->host, call, address, &value, sizeof(value));
}

SYSCALL_DEFINE4(timer_settime, int32_t, id, int32_t, flags, GuestAddr, new_value, GuestAddr, old_value) {
        AbiItimerspec value;
        TimerSetting old;
        PosixTimer *timer;
        int r;

        if (new_value == 0)
                return verdict_error(EINVAL);
        r = kernel->host->ops->memory_read(kernel->host, call, new_value, &value, sizeof(value));
        if (r < 0)
                return verdict_error(r);
        if (!timespec_is_valid(value.interval) || !timespec_is_valid(value.value))
                return verdict_error(EINVAL);
        timer = find(kernel, call, id);
        if (!timer)
                return verdict_error(EINVAL);

        if (old_value != 0)
                old = posix_timer_get(timer);
        posix_timer_set(timer, (TimerSetting) { timespec_to_ns(value.value), timespec_to_ns(value.interval) },
                        flags & ABI_TIMER_ABSTIME);
        r = old_value != 0 ? write_itimerspec(kernel, call, old_value, old) : 0;
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE2(timer_gettime, int32_t, id, GuestAddr, value) {
        PosixTimer *timer = find(kernel, call, id);
        int r;

        if (!timer)
                return verdict_error(EINVAL);
        r = write_itimerspec(kernel, call, value, posix_timer_get(timer));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

SYSCALL_DEFINE1(timer_getoverrun, int32_t, id) {
        PosixTimer *timer = find(kernel, call, id);

        return timer ? verdict_value(posix_timer_overrun(timer)) : verdict_error(EINVAL);
}

SYSCALL_DEFINE1(timer_delete, int32_t, id) {
        PosixTimer *timer = find(kernel, call, id);

        if (!timer)
                return verdict_error(EINVAL);
        posix_timer_free(timer);
        return verdict_value(0);
}
