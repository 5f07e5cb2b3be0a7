/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Time on the bus: the timers of a sandbox, and its clocks. */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "abi/time.h"
#include "bus-timers.h"
#include "bus-util.h"
#include "host-timers.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "util.h"

typedef struct Listing {
        sd_bus_message *message;
        uint32_t pid;
        unsigned n_looked;
} Listing;

static const char *clock_name(int32_t clock) {
        switch (clock) {
        case CLOCK_REALTIME:
                return "realtime";
        case CLOCK_MONOTONIC:
                return "monotonic";
        case CLOCK_BOOTTIME:
                return "boottime";
        case CLOCK_REALTIME_ALARM:
                return "realtime-alarm";
        case CLOCK_BOOTTIME_ALARM:
                return "boottime-alarm";
        case CLOCK_TAI:
                return "tai";
        default: /* also clock_getcpuclockid(3) */
                return clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & 4)) ? "thread-cputime" :
                                                                                        "process-cputime";
        }
}

static const char *notify_name(int32_t notify, int32_t signo, GuestPid tid, char *buffer, size_t size) {
        const char *name = signo > 0 && signo < SIGRTMIN ? sigabbrev_np(signo) : NULL;
        char signal[24];

        if (notify == ABI_SIGEV_NONE)
                return "none";
        if (name)
                (void) snprintf(signal, sizeof(signal), "SIG%s", name);
        else
                (void) snprintf(signal, sizeof(signal), "signal %" PRId32, signo);
        if (notify != ABI_SIGEV_THREAD_ID)
                (void) snprintf(buffer, size, "%s", signal);
        else if (tid > 0)
                (void) snprintf(buffer, size, "%s to %" PRId32, signal, tid);
        else
                (void) snprintf(buffer, size, "%s to a thread", signal);
        return buffer;
}

/* left: ns; what is not armed has none, what is armed too far away TIME_NEVER. */
static int append(Listing *listing, const char *kind, int32_t id, const char *clock, bool armed, int64_t left,
                  int64_t interval, uint64_t overrun, const char *notify) {
        int r = sd_bus_message_append(listing->message, TIMER_STRUCT, listing->pid, kind, id, clock, (int) armed,
                                      armed ? left : INT64_C(-1), interval, overrun, notify);

        return r < 0 ? r : 0;
}

static int append_emulated(Listing *listing, const ProcessTimers *timers) {
        TimerSetting setting = interval_timer_get(timers);
        const PosixTimer *timer;
        char buffer[48];
        int r = 0;

        if (timer_is_armed(&timers->real.timer))
                r = append(listing, "itimer", 0, "realtime", true, setting.value, setting.interval, 0, "SIGALRM");
        LIST_FOREACH(timer, &timers->posix, link) {
                if (r < 0)
                        break;
                setting = posix_timer_get(timer);
                r = append(listing, "posix", posix_timer_id(timer), clock_name(timer->clock),
                           timer->counting || timer_is_armed(&timer->timer), setting.value, setting.interval,
                           timer->missed, notify_name(timer->notify, timer->signo, timer->target->tid, buffer, sizeof(buffer)));
        }
        return r;
}

static int append_host_timer(const HostTimer *timer, void *userdata) {
        Listing *listing = userdata;
        char buffer[48];

        if (timer->descriptor)
                return append(listing, "timerfd", timer->id, clock_name(timer->clock), timer->left > 0, timer->left,
                              timer->interval, timer->ticks > 0 ? timer->ticks - 1 : 0, "read");
        /* Of these the host tells no more. */
        return append(listing, "host", timer->id, clock_name(timer->clock), false, 0, 0, 0,
                      notify_name(timer->notify, timer->signo, 0, buffer, sizeof(buffer)));
}

static int append_all(sd_bus_message *reply, void *userdata) {
        Listing listing = { .message = reply };
        Sentry *sentry = userdata;
        ThreadGroup *process;
        int r = 0;

        TAILQ_FOREACH(process, &sentry->kernel->tasks.processes, link) {
                listing.pid = (uint32_t) process->pid;
                if (process->timers)
                        r = append_emulated(&listing, process->timers);
                if (r >= 0)
                        r = host_timers_for_each(process->host_pid, &listing.n_looked, append_host_timer, &listing);
                if (r < 0)
                        break;
        }
        return r;
}

int kernel_method_list_timers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        (void) error;
        r = task_table_sync(&sentry->kernel->tasks);
        return r < 0 && r != -ESRCH ? r : kernel_reply_array(m, TIMER_STRUCT, append_all, sentry);
}

int kernel_method_get_clocks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;
        const Timekeeper *timekeeper = &sentry->kernel->timekeeper;
        const int64_t *offsets = sentry->host.clocks.offsets_ns;

        (void) error;
        return sd_bus_reply_method_return(
                m, "a{sv}", 8, "Realtime", "x", timekeeper_now(timekeeper, HOST_CLOCK_REALTIME),
                "Monotonic", "x", timekeeper_now(timekeeper, HOST_CLOCK_MONOTONIC),
                "Boottime", "x", timekeeper_now(timekeeper, HOST_CLOCK_BOOTTIME),
                "MonotonicOffset", "x", offsets[HOST_CLOCK_MONOTONIC], "BoottimeOffset", "x", offsets[HOST_CLOCK_BOOTTIME],
                "Timers", "s", sentry->profile->timers_emulated ? "emulated" : "native",
                "TimersArmed", "t", (uint64_t) timekeeper_n_armed(timekeeper),
                "TimersPaused", "b", (int) (timekeeper->pause_depth > 0));
}
