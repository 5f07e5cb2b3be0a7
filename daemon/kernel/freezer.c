/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sentry.h"
#include "tasks.h"
#include "util.h"

/* Children are seized at birth, so that none is born past us. */
#define SEIZE_OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)
#define FROZEN_TASKS_MAX (2U * TASKS_MAX)
#define WAIT_SLICE_MSEC 20 /* between two looks for tasks that stop without a signal to us: see in_vfork() */

void freezer_init(Freezer *freezer, Sentry *sentry) {
        *freezer = (Freezer) { .sentry = sentry };
}

void freezer_done(Freezer *freezer) {
        if (freezer->frozen)
                freezer_thaw(freezer);
        free(freezer->tasks);
        freezer->tasks = NULL;
}

static FrozenTask *find(Freezer *freezer, pid_t tid) {
        for (size_t i = 0; i < freezer->n_tasks; i++)
                if (freezer->tasks[i].tid == tid)
                        return &freezer->tasks[i];
        return NULL;
}

static FrozenTask *add(Freezer *freezer, pid_t tid) {
        if (freezer->n_tasks >= FROZEN_TASKS_MAX)
                return NULL;
        if (freezer->n_tasks == freezer->n_allocated) {
                size_t want = freezer->n_allocated == 0 ? 16 : freezer->n_allocated * 2;
                FrozenTask *grown = reallocarray(freezer->tasks, want, sizeof(FrozenTask));

                if (!grown)
                        return NULL;
                freezer->tasks = grown;
                freezer->n_allocated = want;
        }
        freezer->tasks[freezer->n_tasks] = (FrozenTask) { .tid = tid };
        return &freezer->tasks[freezer->n_tasks++];
}

static void forget(Freezer *freezer, pid_t tid) {
        FrozenTask *task = find(freezer, tid);

        if (task)
                *task = freezer->tasks[--freezer->n_tasks];
}

/* One pass over the threads of a process: seizes and interrupts those that are new. */
typedef struct Seize {
        Freezer *freezer;
        unsigned n_new;
        pid_t failed; /* a task that could not be seized though it lives */
} Seize;

/* The state letter of a thread, 0 when it is gone. */
static char thread_state(pid_t tid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) tid);
        if (read_full_file(path, 4096, &text, NULL) < 0 || !(p = strrchr(text, ')')) || p[1] != ' ')
                return 0;
        return p[2];
}

static int seize_thread(pid_t tid, void *userdata) {
        Seize *seize = userdata;
        FrozenTask *task;
        char state;

        if (find(seize->freezer, tid))
                return 0;

        if (ptrace(PTRACE_SEIZE, tid, NULL, SEIZE_OPTIONS) < 0) {
                int error = errno;

                state = thread_state(tid);
                /* Seized by the kernel at its birth, told of in a moment; or dead. */
                if (error == ESRCH || state == 0 || state == 'Z' || state == 'X' || find(seize->freezer, tid))
                        return 0;
                seize->failed = tid;
                return -EBUSY;
        }
        (void) ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
        seize->n_new++;
        task = add(seize->freezer, tid);
        if (!task) {
                (void) ptrace(PTRACE_DETACH, tid, NULL, NULL);
                return -ENOMEM;
        }
        return 0;
}

static int seize_process(pid_t pid, void *userdata) {
        return task_for_each_thread(pid, seize_thread, userdata);
}

/* What waitpid() said of a task. */
static void note_stop(Freezer *freezer, pid_t tid, int status) {
        /* A stop on the way to a signal: it is delivered when the task goes on. The other stops carry events,
         * or are those of job control, which the kernel keeps. */
        int signo = status >> 16 == 0 ? WSTOPSIG(status) : 0;
        FrozenTask *task;

        if (!WIFSTOPPED(status)) {
                forget(freezer, tid);
                return;
        }
        if (!freezer->frozen) {
                (void) ptrace(PTRACE_DETACH, tid, NULL, (long) signo);
                forget(freezer, tid);
                return;
        }
        task = find(freezer, tid) ?: add(freezer, tid);
        if (!task) {
                (void) ptrace(PTRACE_DETACH, tid, NULL, NULL);
                return;
        }
        task->stopped = true;
        task->signo = signo;
}

static void collect_stops(Freezer *freezer) {
        int status;
        pid_t tid;

        while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
                note_stop(freezer, tid, status);
}

void freezer_reap(Freezer *freezer) {
        collect_stops(freezer);
}

/* A task that waits for its vfork child to exec cannot stop, and does nothing while the child is stopped. */
static bool in_vfork(pid_t tid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        long number;

        if (thread_state(tid) != 'D')
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/syscall", (int) tid);
        if (read_full_file(path, 4096, &text, NULL) < 0 || sscanf(text, "%ld", &number) != 1)
                return false;
        return number == SYS_clone
#ifdef SYS_vfork
                || number == SYS_vfork
#endif
                ;
}

static pid_t first_running(Freezer *freezer) {
        for (size_t i = 0; i < freezer->n_tasks; i++)
                if (!freezer->tasks[i].stopped && !in_vfork(freezer->tasks[i].tid))
                        return freezer->tasks[i].tid;
        return 0;
}

/* Waits until each seized task has stopped. 0 or -ETIMEDOUT. */
static int await_stops(Freezer *freezer, uint64_t deadline_ns) {
        _cleanup_close_ int fd = -EBADF;
        sigset_t chld;

        (void) sigemptyset(&chld);
        (void) sigaddset(&chld, SIGCHLD);
        /* Its readiness alone is of interest: waitpid() is asked anyway. */
        fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return -errno;

        for (;;) {
                struct pollfd pollfd = { .fd = fd, .events = POLLIN };
                struct signalfd_siginfo info;

                (void) !read(fd, &info, sizeof(info));
                collect_stops(freezer);
                /* Parked calls end with the stop that is pending for their tasks now, unseen. */
                notifier_restart_parked(&freezer->sentry->notifier);
                if (first_running(freezer) == 0)
                        return 0;
                if (kernel_now(freezer->sentry->kernel) >= deadline_ns)
                        return -ETIMEDOUT;
                (void) poll(&pollfd, 1, WAIT_SLICE_MSEC);
        }
}

static void describe(char **ret_message, pid_t tid, const char *what) {
        char comm[65];

        task_comm(tid, comm);
        *ret_message = NULL;
        (void) string_appendf(ret_message, "task %d (%s) %s", (int) tid, comm, what);
}

int freezer_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message) {
        Seize seize = { .freezer = freezer };
        pid_t running;
        int r;

        freezer->frozen = true;
        do {
                seize.n_new = 0;
                r = tasks_for_each(&freezer->sentry->host, seize_process, &seize);
                if (r == -EBUSY)
                        describe(ret_message, seize.failed, "is traced by another, which must let it go first");
                if (r < 0)
                        break;
                r = await_stops(freezer, deadline_ns);
                if (r == -ETIMEDOUT && (running = first_running(freezer)) > 0)
                        describe(ret_message, running, "did not stop in time");
                if (r < 0)
                        break;
        } while (seize.n_new > 0);

        if (r < 0)
                freezer_thaw(freezer);
        return r;
}

void freezer_thaw(Freezer *freezer) {
        size_t kept = 0;

        freezer->frozen = false;
        for (size_t i = 0; i < freezer->n_tasks; i++) {
                FrozenTask *task = &freezer->tasks[i];

                if (task->stopped)
                        (void) ptrace(PTRACE_DETACH, task->tid, NULL, (long) task->signo);
                else
                        /* Only a stopped task can be let go. This one stops in a moment (a vfork parent, when
                         * its child has gone on), and note_stop() does it then. */
                        freezer->tasks[kept++] = *task;
        }
        freezer->n_tasks = kept;
}
