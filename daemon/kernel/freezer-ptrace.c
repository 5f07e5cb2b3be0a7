/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stopping a sandbox by ptrace: every thread is seized and interrupted, children that are born meanwhile are seized by the
 * kernel. Should sentry-kernel die, the host kernel lets go of them. */

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "stopped-call.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

/* Children are seized at birth, so that none is born past us. */
#define SEIZE_OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)
#define FROZEN_TASKS_MAX (2U * TASKS_MAX)
#define WAIT_SLICE_MSEC 20 /* between two looks for tasks that stop without a signal to us: see in_vfork() */

void freezer_ptrace_done(Freezer *freezer) {
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

/* One pass over all threads: seizes and interrupts those that are new. */
typedef struct Seize {
        Freezer *freezer;
        unsigned n_new;     /* seized, or a reason to look again */
        unsigned n_threads; /* of the process that is looked at */
        pid_t failed;       /* a task that is traced by another */
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

/* The tracer of a task, 0 when there is none. */
static pid_t tracer_of(pid_t tid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        int tracer;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) tid);
        if (read_full_file(path, 65536, &text, NULL) < 0 || !(p = strstr(text, "\nTracerPid:")) ||
            sscanf(p, "\nTracerPid: %d", &tracer) != 1)
                return 0;
        return tracer;
}

/* A task that could not be seized. */
static int not_seized(Seize *seize, pid_t tid) {
        char state = thread_state(tid);
        FrozenTask *task;
        pid_t tracer;

        if (state == 'Z' || state == 'X') {
                task = add(seize->freezer, tid);
                if (!task)
                        return -ENOMEM;
                task->zombie = task->stopped = true;
                seize->n_new++;
                return 0;
        }

        tracer = state == 0 ? 0 : tracer_of(tid);
        if (tracer > 0 && tracer != getpid()) {
                seize->failed = tid;
                return -EBUSY;
        }
        /* Gone, or seized by the kernel at its birth, of which we are told in a moment. Or a launcher, which is none of
         * the tasks yet. */
        if (state == 0 || tracer > 0 || host_seccomp_owns(&seize->freezer->sentry->host, tid))
                seize->n_new++;
        return 0;
}

static int seize_thread(pid_t tid, void *userdata) {
        Seize *seize = userdata;
        FrozenTask *task;

        seize->n_threads++;
        task = find(seize->freezer, tid);
        if (task && (!task->zombie || thread_state(tid) == 'Z'))
                return 0;
        if (task) /* the number is another's now */
                forget(seize->freezer, tid);

        if (ptrace(PTRACE_SEIZE, tid, NULL, SEIZE_OPTIONS) < 0)
                return not_seized(seize, tid);
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
        Seize *seize = userdata;
        int r;

        seize->n_threads = 0;
        r = task_for_each_thread(pid, seize_thread, userdata);
        if (r >= 0 && seize->n_threads == 0) /* gone */
                seize->n_new++;
        return r;
}

/* The processes of the sandbox from its own /proc, by rising number. What forks and goes meanwhile has a child with a
 * higher number, which is still to come: at the end, every process that lives is in the list. */
static int list_processes(const HostSeccomp *host, pid_t **ret, size_t *ret_n) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0, n_allocated = 0;
        struct dirent *entry;
        DIR *dir;

        fd = openat(host->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void) TAKE_FD(fd);
        while ((entry = readdir(dir))) {
                int pid;

                if (safe_atoi(entry->d_name, &pid) < 0 || pid <= 0)
                        continue;
                if (n == n_allocated) {
                        size_t want = n_allocated == 0 ? 64 : 2 * n_allocated;
                        pid_t *grown = reallocarray(pids, want, sizeof(pid_t));

                        if (!grown) {
                                (void) closedir(dir);
                                return -ENOMEM;
                        }
                        pids = grown;
                        n_allocated = want;
                }
                pids[n++] = pid;
        }
        (void) closedir(dir);

        *ret = TAKE_PTR(pids);
        *ret_n = n;
        return 0;
}

/* Everything has been seized when a whole list of all processes holds nobody new and nobody who is gone since. */
static int seize_all(Seize *seize) {
        const HostSeccomp *host = &seize->freezer->sentry->host;
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int r;

        seize->n_new = 0;
        /* Among the host's processes somebody is always gone. */
        if (host->sentry->profile->pid_host)
                return tasks_for_each(host, seize_process, seize);

        r = list_processes(host, &pids, &n);
        /* The newest first: they are the ones that are about to go. */
        for (size_t i = n; r >= 0 && i-- > 0;) {
                pid_t pid = host_seccomp_find_task(host, pids[i]);

                if (pid < 0)
                        seize->n_new++;
                else
                        r = seize_process(pid, seize);
        }
        return r;
}

/* So that a pause is nothing that a program hears of. */
static void mend_call(pid_t tid) {
#if defined(__x86_64__)
        struct user_regs_struct regs;
        struct iovec iov = { &regs, sizeof(regs) };

        if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0 || iov.iov_len != sizeof(regs) || !call_mend(&regs))
                return;
        (void) ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov);
#else
        (void) tid;
#endif
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
        if (!freezer->seizing) {
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
        task->zombie = false;
        task->signo = signo;
        if (status >> 16 == PTRACE_EVENT_STOP)
                mend_call(tid);
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

void freezer_describe(char **ret_message, pid_t tid, const char *what) {
        char comm[65];

        task_comm(tid, comm);
        *ret_message = NULL;
        (void) string_appendf(ret_message, "task %d (%s) %s", (int) tid, comm, what);
}

static void ptrace_thaw(Freezer *freezer) {
        size_t kept = 0;

        freezer->seizing = false;
        for (size_t i = 0; i < freezer->n_tasks; i++) {
                FrozenTask *task = &freezer->tasks[i];

                if (task->zombie)
                        continue;
                if (task->stopped)
                        (void) ptrace(PTRACE_DETACH, task->tid, NULL, (long) task->signo);
                else
                        /* Only a stopped task can be let go. This one stops in a moment (a vfork parent, when
                         * its child has gone on), and note_stop() does it then. */
                        freezer->tasks[kept++] = *task;
        }
        freezer->n_tasks = kept;
}

static int ptrace_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message) {
        Seize seize = { .freezer = freezer };
        pid_t running;
        int r;

        freezer->seizing = true;
        do {
                r = seize_all(&seize);
                if (r == -EBUSY)
                        freezer_describe(ret_message, seize.failed, "is traced by another, which must let it go first");
                if (r < 0)
                        break;
                r = await_stops(freezer, deadline_ns);
                if (r == -ETIMEDOUT && (running = first_running(freezer)) > 0)
                        freezer_describe(ret_message, running, "did not stop in time");
                if (r < 0)
                        break;
                /* Out of reach until it has exec'ed, which is a matter of moments. */
                running = launch_server_starting(freezer->sentry);
                if (running > 0)
                        (void) poll(NULL, 0, 1);
                if ((running > 0 || seize.n_new > 0) && kernel_now(freezer->sentry->kernel) >= deadline_ns) {
                        if (running > 0)
                                freezer_describe(ret_message, running, "did not start in time");
                        else
                                freezer_describe(ret_message, freezer->sentry->init_pid,
                                                 "and others fork faster than they can be stopped");
                        r = -ETIMEDOUT;
                        break;
                }
        } while (seize.n_new > 0 || running > 0);

        if (r < 0)
                ptrace_thaw(freezer);
        return r;
}

const FreezerMethod freezer_ptrace = { .name = "ptrace", .freeze = ptrace_freeze, .thaw = ptrace_thaw };
