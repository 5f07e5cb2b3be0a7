/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "host-timers.h"
#include "proc-task.h"
#include "util.h"
#include "util/macros.h"

typedef struct Visit {
        pid_t pid;
        unsigned *n_looked;
        int (*function)(const HostTimer *timer, void *userdata);
        void *userdata;
} Visit;

static int64_t to_ns(int64_t seconds, int64_t nanoseconds) {
        int64_t ns;

        return __builtin_mul_overflow(seconds, (int64_t) NSEC_PER_SEC, &ns) ||
                               __builtin_add_overflow(ns, nanoseconds, &ns) ? INT64_MAX : ns;
}

/* proc_pid_fdinfo(5) of a timerfd. */
static int read_timerfd(pid_t pid, pid_t fd, HostTimer *ret) {
        int64_t left_sec, left_nsec, interval_sec, interval_nsec;
        HostTimer timer = { .descriptor = true, .id = fd };
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int) pid, (int) fd);
        r = read_full_file(path, 4096, &text, NULL);
        if (r < 0)
                return r;
        if (!(p = strstr(text, "clockid:")) || sscanf(p, "clockid: %" SCNd32, &timer.clock) != 1 ||
            !(p = strstr(text, "ticks:")) || sscanf(p, "ticks: %" SCNu64, &timer.ticks) != 1 ||
            !(p = strstr(text, "it_value:")) ||
            sscanf(p, "it_value: (%" SCNd64 ", %" SCNd64 ")", &left_sec, &left_nsec) != 2 ||
            !(p = strstr(text, "it_interval:")) ||
            sscanf(p, "it_interval: (%" SCNd64 ", %" SCNd64 ")", &interval_sec, &interval_nsec) != 2)
                return -EBADF; /* another file has the number by now */
        timer.left = to_ns(left_sec, left_nsec);
        timer.interval = to_ns(interval_sec, interval_nsec);
        *ret = timer;
        return 0;
}

static int visit_descriptor(pid_t fd, void *userdata) {
        const Visit *visit = userdata;
        char path[64], target[64];
        HostTimer timer;
        ssize_t n;

        if ((*visit->n_looked)++ >= HOST_TIMER_DESCRIPTORS_MAX)
                return 0;
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) visit->pid, (int) fd);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return 0;
        target[n] = '\0';
        if (!streq(target, "anon_inode:[timerfd]") || read_timerfd(visit->pid, fd, &timer) < 0)
                return 0;
        return visit->function(&timer, visit->userdata);
}

static int notify_from_string(const char *word) {
        if (streq(word, "none"))
                return SIGEV_NONE;
        if (streq(word, "thread"))
                return SIGEV_THREAD;
        return SIGEV_SIGNAL;
}

/* proc_pid_timers(5), on kernels with CONFIG_CHECKPOINT_RESTORE. */
static int visit_posix_timers(const Visit *visit) {
        _cleanup_free_ char *text = NULL;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/timers", (int) visit->pid);
        if (read_full_file(path, 1024 * 1024, &text, NULL) < 0)
                return 0;
        for (const char *p = text; (p = strstr(p, "ID: ")); p++) {
                char word[16] = "", who[8] = "";
                HostTimer timer = {};
                int r;

                if (sscanf(p, "ID: %" SCNd32 " signal: %" SCNd32 "/%*s notify: %15[a-z]/%7[a-z]", &timer.id,
                           &timer.signo, word, who) < 3)
                        continue;
                timer.notify = streq(who, "tid") ? SIGEV_THREAD_ID : notify_from_string(word);
                if (!(p = strstr(p, "ClockID: ")) || sscanf(p, "ClockID: %" SCNd32, &timer.clock) != 1)
                        break;
                r = visit->function(&timer, visit->userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

int host_timers_for_each(pid_t pid, unsigned *n_looked, int (*function)(const HostTimer *timer, void *userdata),
                         void *userdata) {
        Visit visit = { .pid = pid, .n_looked = n_looked, .function = function, .userdata = userdata };
        char path[64];
        int r;

        r = visit_posix_timers(&visit);
        if (r != 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
        r = proc_for_each(AT_FDCWD, path, visit_descriptor, &visit);
        return r == -ENOENT || r == -ESRCH || r == -EACCES ? 0 : r;
}
