/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "host-clock.h"
#include "proc-task.h"
#include "sentry.h"
#include "util.h"
#include "util/macros.h"

#define STATUS_MAX 65536U /* bytes of a status file: one line has all groups of a task, and the signals come after */

static const clockid_t host_clocks[_HOST_CLOCK_MAX] = {
        [HOST_CLOCK_REALTIME] = CLOCK_REALTIME,
        [HOST_CLOCK_MONOTONIC] = CLOCK_MONOTONIC,
        [HOST_CLOCK_BOOTTIME] = CLOCK_BOOTTIME,
};

int host_clocks_init(HostClocks *clocks) {
        *clocks = (HostClocks) {};
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                clocks->alarm_fds[clock] = -EBADF;
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++) {
                clocks->alarm_fds[clock] = timerfd_create(host_clocks[clock], TFD_CLOEXEC | TFD_NONBLOCK);
                if (clocks->alarm_fds[clock] < 0)
                        return -errno;
        }
        return 0;
}

static void status_drop(StatusFile *file) {
        if (file->host_pid != 0)
                safe_close(file->fd);
        *file = (StatusFile) {};
}

void host_clocks_done(HostClocks *clocks) {
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                clocks->alarm_fds[clock] = safe_close(clocks->alarm_fds[clock]);
        for (unsigned i = 0; i < STATUS_FILES; i++)
                status_drop(&clocks->status[i]);
}

void host_clocks_attach(HostClocks *clocks, pid_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/timens_offsets", (int) pid);
        if (read_full_file(path, 4096, &text, NULL) < 0)
                return; /* the host has no time namespaces: the clocks are its own */
        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++) {
                const char *p = strstr(text, host_clock_to_string(clock));
                int64_t seconds, nanoseconds;

                if (p && sscanf(p, "%*s %" SCNd64 " %" SCNd64, &seconds, &nanoseconds) == 2)
                        clocks->offsets_ns[clock] = seconds * (int64_t) NSEC_PER_SEC + nanoseconds;
        }
}

unsigned host_clocks_poll_fds(const HostClocks *clocks, struct pollfd ret[static _HOST_CLOCK_MAX]) {
        unsigned n = 0;

        for (HostClock clock = 0; clock < _HOST_CLOCK_MAX; clock++)
                if (clocks->armed[clock])
                        ret[n++] = (struct pollfd) { .fd = clocks->alarm_fds[clock], .events = POLLIN };
        return n;
}

void host_clocks_dispatch(Sentry *sentry, const struct pollfd *fds, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (fds[i].revents != 0) {
                        timekeeper_run(&sentry->kernel->timekeeper);
                        return;
                }
}

int64_t host_clock_now(Host *host, HostClock clock) {
        struct timespec ts;

        (void) clock_gettime(host_clocks[clock], &ts);
        return ts.tv_sec * (int64_t) NSEC_PER_SEC + ts.tv_nsec + host_seccomp_of(host)->clocks.offsets_ns[clock];
}

void host_clock_alarm(Host *host, HostClock clock, int64_t at) {
        HostClocks *clocks = &host_seccomp_of(host)->clocks;
        struct itimerspec value = {};
        int64_t ours;

        clocks->armed[clock] = at != TIME_NEVER;
        if (clocks->armed[clock]) {
                /* Before the beginning of our clock: now. */
                if (__builtin_sub_overflow(at, clocks->offsets_ns[clock], &ours) || ours < 1)
                        ours = 1;
                value.it_value.tv_sec = ours / (int64_t) NSEC_PER_SEC;
                value.it_value.tv_nsec = ours % (int64_t) NSEC_PER_SEC;
        }
        (void) timerfd_settime(clocks->alarm_fds[clock], TFD_TIMER_ABSTIME, &value, NULL);
}

int host_process_signal(Host *host, const ThreadGroup *process, HostTid thread, int signo, const AbiSiginfo *info) {
        AbiSiginfo copy = *info; /* the wrappers' parameters are not const */
        long r;

        (void) host;
        /* The pidfd stands for this process and none after it; as long as it is there, so are its threads' numbers. */
        r = syscall(SYS_pidfd_send_signal, process->watch, thread == 0 ? signo : 0, thread == 0 ? &copy : NULL, 0);
        if (r >= 0 && thread != 0)
                r = syscall(SYS_rt_tgsigqueueinfo, process->host_pid, thread, signo, &copy);
        return r < 0 ? host_error_to_guest(-errno) : 0;
}

/* NULL, and errno, when it cannot be opened. */
static StatusFile *status_open(HostClocks *clocks, HostTid host_pid, HostTid thread) {
        StatusFile *file;
        char path[64];
        int fd;

        for (unsigned i = 0; i < STATUS_FILES; i++)
                if (clocks->status[i].host_pid == host_pid && clocks->status[i].thread == thread)
                        return &clocks->status[i];

        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/task/%" PRId32 "/status", host_pid,
                        thread != 0 ? thread : host_pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        file = &clocks->status[clocks->next_status++ % STATUS_FILES];
        status_drop(file);
        *file = (StatusFile) { .host_pid = host_pid, .thread = thread, .fd = fd };
        return file;
}

int host_signals_of(Host *host, HostTid host_pid, HostTid thread, HostSignals *ret) {
        HostClocks *clocks = &host_seccomp_of(host)->clocks;
        static char text[STATUS_MAX]; /* one thread serves, and nothing here makes it stuck */
        ProcSignals signals;
        ssize_t n = -1;

        /* A file that is open stays that of the task it was opened for: when it is gone, another may have its number. */
        for (unsigned attempt = 0; attempt < 2 && n < 0; attempt++) {
                StatusFile *file = status_open(clocks, host_pid, thread);

                if (!file)
                        return errno == ENOENT ? -ESRCH : host_error_to_guest(-errno);
                n = pread(file->fd, text, sizeof(text) - 1, 0);
                if (n < 0)
                        status_drop(file);
        }
        if (n < 0)
                return -ESRCH;

        text[n] = '\0';
        if (!proc_parse_signals(text, &signals))
                return -EIO;
        *ret = (HostSignals) { .pending = thread == 0 ? signals.shared : signals.own, .caught = signals.caught };
        return 0;
}
