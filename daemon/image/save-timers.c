/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Timers of the host's: those on the time of a CPU, and of timer_create(2) on clocks that are not emulated. Those that
 * sentry-kernel keeps are among its records. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "save.h"
#include "util.h"

static int save_itimers(SaveProcess *process, Inject *inject, ImageProcess *image) {
        static const int which[] = { ITIMER_VIRTUAL, ITIMER_PROF };
        int64_t timer[4], x;
        int r;

        for (unsigned i = 0; i < ELEMENTSOF(which); i++) {
                x = inject_call(inject, SYS_getitimer, (uint64_t) which[i], process->scratch);
                r = x < 0 ? (int) x : inject_read(inject->tid, process->scratch, timer, sizeof(timer));
                if (r < 0)
                        return r;
                image->itimers[2 * i] = (uint64_t) (timer[2] * 1000000 + timer[3]);
                image->itimers[2 * i + 1] = (uint64_t) (timer[0] * 1000000 + timer[1]);
        }
        return 0;
}

/* What the sandbox calls a thread of a process; 0 when it has none of that number. */
static int32_t inner_id(const Save *save, const SaveProcess *process, pid_t tid) {
        for (size_t i = 0; i < process->n_threads; i++)
                if (save->threads[process->first + i].tid == tid)
                        return save->threads[process->first + i].id;
        return 0;
}

static int save_posix_timers(Save *save, size_t index, Inject *inject, ImageProcess *image) {
        SaveProcess *process = save->processes + index;
        _cleanup_free_ char *text = NULL;
        char *line, *rest;

        if (save_read_proc(process->pid, "timers", &text) < 0)
                return 0;
        for (rest = text; (line = strstr(rest, "ID: ")); rest = line + 1) {
                int64_t value[4], x;
                ImageTimer *timer;
                char *p;
                int r;

                if (line != text && line[-1] != '\n') /* a ClockID */
                        continue;
                timer = IMAGE_APPEND(image->timers, image->n_timers);
                if (!timer)
                        return -ENOMEM;
                timer->id = atoi(line + 4);
                p = strstr(line, "signal: ");
                if (p) {
                        timer->signo = atoi(p + 8);
                        p = strchr(p, '/');
                        timer->value = p ? strtoull(p + 1, NULL, 16) : 0;
                }
                p = strstr(line, "notify: ");
                if (p) {
                        p += 8;
                        timer->notify = startswith(p, "none") ? SIGEV_NONE : SIGEV_SIGNAL;
                        p = strchr(p, '/');
                        if (p && startswith(p + 1, "tid."))
                                timer->tid = inner_id(save, process, (pid_t) atoi(p + 5));
                        if (timer->tid != 0 && p && timer->notify == SIGEV_SIGNAL)
                                timer->notify = SIGEV_THREAD_ID;
                }
                p = strstr(line, "ClockID: ");
                timer->clock = p ? atoi(p + 9) : 0;
                x = inject_call(inject, SYS_timer_gettime, (uint64_t) timer->id, process->scratch);
                r = x < 0 ? (int) x : inject_read(inject->tid, process->scratch, value, sizeof(value));
                if (r < 0)
                        return r;
                timer->interval_ns = (uint64_t) value[0] * 1000000000U + (uint64_t) value[1];
                timer->remaining_ns = (uint64_t) value[2] * 1000000000U + (uint64_t) value[3];
                x = inject_call(inject, SYS_timer_getoverrun, (uint64_t) timer->id);
                timer->overrun = x > 0 ? (int32_t) x : 0;
        }
        return 0;
}

int save_host_timers(Save *save, size_t index, Inject *inject) {
        ImageProcess *image = save->image->processes + index;
        int r;

        r = save_itimers(save->processes + index, inject, image);
        return r < 0 ? r : save_posix_timers(save, index, inject, image);
}
