/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's side of emulated time: clocks, alarms, and the signals that timers send. Errors are the guest's. */

#include <poll.h>
#include <sys/types.h>

#include "host.h"

#define STATUS_FILES 8U

/* /proc/PID/status of a process or thread that timers look at again and again. */
typedef struct StatusFile {
        HostTid host_pid, thread; /* host_pid 0: unused */
        int fd;                   /* owned */
} StatusFile;

typedef struct HostClocks {
        int64_t offsets_ns[_HOST_CLOCK_MAX]; /* what the sandbox's clocks add to ours; immutable after the start */
        int alarm_fds[_HOST_CLOCK_MAX];      /* owned; timerfd_create(2) */
        bool armed[_HOST_CLOCK_MAX];
        StatusFile status[STATUS_FILES];     /* owned */
        unsigned next_status;                /* the one to be replaced next */
} HostClocks;

typedef struct Sentry Sentry;

int host_clocks_init(HostClocks *clocks);
void host_clocks_done(HostClocks *clocks);

/* Learns how the clocks of a task differ from ours; time_namespaces(7). */
void host_clocks_attach(HostClocks *clocks, pid_t pid);

/* Fills in one pollfd for each alarm that is set, and returns how many there are; and expires timers when one of them
 * rang. */
unsigned host_clocks_poll_fds(const HostClocks *clocks, struct pollfd ret[static _HOST_CLOCK_MAX]);
void host_clocks_dispatch(Sentry *sentry, const struct pollfd *fds, unsigned n);

int64_t host_clock_now(Host *host, HostClock clock);
void host_clock_alarm(Host *host, HostClock clock, int64_t at);
int host_process_signal(Host *host, const struct ThreadGroup *process, HostTid thread, int signo,
                        const AbiSiginfo *info);
int host_signals_of(Host *host, HostTid host_pid, HostTid thread, HostSignals *ret);
