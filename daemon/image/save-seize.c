/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All tasks of a sandbox under our ptrace, stopped where they can be asked for what they are; and the way back. */

#include <dirent.h>
#include <errno.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "protocol.h"
#include "save.h"
#include "util.h"

#ifndef NS_GET_PID_FROM_PIDNS /* ioctl_nsfs(2), since Linux 6.11 */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

#define OPTIONS (INJECT_OPTIONS | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)
#define SLICE_NS 2000000L          /* between looks at those that do not stop */
/* For those that wait in vfork(2): after so long nothing is left but to let all go on for a moment, for longer each time, up to a
 * moment's and all moments' length. */
#define VFORK_PATIENCE_NS (UINT64_C(20) * 1000000U)
#define VFORK_MOMENT_NS 3000000L
#define VFORK_MOMENT_MAX_NS 50000000L
#define VFORK_LIMIT_NS 1000000000L

static SaveThread *find(Save *save, pid_t tid) {
        for (size_t i = save->n_threads; i-- > 0;) /* those that were born last are asked for most */
                if (save->threads[i].tid == tid)
                        return save->threads + i;
        return NULL;
}

static void forget(Save *save, pid_t tid) {
        SaveThread *thread = find(save, tid);

        if (!thread)
                return;
        inject_state_done(&thread->state);
        *thread = save->threads[--save->n_threads];
}

static SaveThread *add(Save *save, pid_t pid, pid_t tid) {
        SaveThread *thread = IMAGE_APPEND(save->threads, save->n_threads);

        if (thread)
                *thread = (SaveThread) { .tid = tid, .pid = pid };
        return thread;
}

/* The state in the stat of a thread, 0 when it is gone. */
static char state_of(pid_t tid) {
        _cleanup_free_ char *text = NULL;
        const char *p;

        if (save_read_proc(tid, "stat", &text) < 0 || !(p = strrchr(text, ')')) || p[1] != ' ')
                return 0;
        return p[2];
}

static int status_number(pid_t tid, const char *key) {
        _cleanup_free_ char *text = NULL;
        const char *p;

        if (save_read_proc(tid, "status", &text) < 0 || !(p = strstr(text, key)))
                return 0;
        return atoi(p + strlen(key));
}

static bool in_vfork(pid_t tid) {
        _cleanup_free_ char *text = NULL;
        long number;

        if (state_of(tid) != 'D' || save_read_proc(tid, "syscall", &text) < 0 || sscanf(text, "%ld", &number) != 1)
                return false;
        return number == 56 || number == 58 || number == 435; /* clone, vfork, clone3 */
}

/* Newly seen: 1. Known, or gone: 0. -EAGAIN: all must go on for a moment. */
static int seize_thread(Save *save, pid_t pid, pid_t tid) {
        SaveThread *thread = find(save, tid);
        char state;
        int tracer;

        if (thread && !thread->zombie)
                return 0;
        if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS) >= 0) {
                (void) ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
                if (thread) /* its number was a zombie's before */
                        *thread = (SaveThread) { .tid = tid, .pid = pid };
                else if (!add(save, pid, tid)) {
                        (void) ptrace(PTRACE_DETACH, tid, NULL, NULL);
                        return -ENOMEM;
                }
                return 1;
        }
        state = state_of(tid);
        if (state == 'Z' || state == 'X') {
                if (thread)
                        return 0;
                thread = add(save, pid, tid);
                if (!thread)
                        return -ENOMEM;
                thread->zombie = thread->stopped = true;
                return 1;
        }
        if (thread)
                forget(save, tid);
        tracer = state == 0 ? 0 : status_number(tid, "\nTracerPid:");
        if (tracer > 0 && tracer == getppid() && in_vfork(tid)) {
                /* sentry-kernel lets go of it when it has stopped, for which its child must go on. */
                save->in_vfork = tid;
                return -EAGAIN;
        }
        if (tracer > 0 && tracer != getpid()) {
                char comm[64] = "?";
                _cleanup_free_ char *name = NULL;

                if (save_read_proc(tid, "comm", &name) >= 0)
                        (void) snprintf(comm, sizeof(comm), "%.*s", (int) strcspn(name, "\n"), name);
                return save_fail(save, -EBUSY, "process %d (%s) is traced by another (%d), which must let it go first",
                                 (int) pid, comm, tracer);
        }
        /* Gone; or seized by the kernel at its birth, of which we are told in a moment; or a launcher that has not exec'ed
         * yet. */
        return state == 0 ? 0 : 1;
}

static int for_each_number(int dir_fd, const char *path, int (*function)(Save *save, int number, void *userdata), Save *save,
                           void *userdata) {
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int fd, n, any = 0, r;

        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                safe_close(fd);
                return r;
        }
        while ((entry = readdir(dir))) {
                if (safe_atoi(entry->d_name, &n) < 0 || n <= 0)
                        continue;
                r = function(save, n, userdata);
                if (r < 0)
                        return r;
                any += r;
        }
        return any;
}

static int seize_one_thread(Save *save, int tid, void *userdata) {
        return seize_thread(save, *(pid_t *) userdata, tid);
}

/* For kernels that do not translate: the process among the host's whose innermost number is this. */
static pid_t search_host_pid(int32_t wanted) {
        _cleanup_(closedirp) DIR *dir = opendir("/proc");
        struct stat ours, theirs;
        struct dirent *entry;

        if (!dir || fstat(IMAGER_FD_PID_NS, &ours) < 0)
                return -ESRCH;
        while ((entry = readdir(dir))) {
                _cleanup_free_ char *text = NULL;
                char path[64];
                const char *p, *end;
                int pid;

                if (safe_atoi(entry->d_name, &pid) < 0 || pid <= 0)
                        continue;
                (void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
                if (stat(path, &theirs) < 0 || theirs.st_ino != ours.st_ino)
                        continue;
                if (save_read_proc(pid, "status", &text) < 0 || !(p = strstr(text, "\nNSpid:")))
                        continue;
                end = strchrnul(p + 1, '\n');
                while (end > p && end[-1] != '\t' && end[-1] != ' ')
                        end--;
                if (atoi(end) == wanted)
                        return pid;
        }
        return -ESRCH;
}

pid_t save_host_pid(int32_t pid) {
        int host = ioctl(IMAGER_FD_PID_NS, NS_GET_PID_FROM_PIDNS, pid);

        if (host < 0 && errno == ENOTTY)
                return search_host_pid(pid);
        return host > 0 ? host : -ESRCH;
}

static int seize_process(Save *save, int id, void *userdata) {
        pid_t pid = save_host_pid(id);
        char path[64];
        int r;

        (void) userdata;
        if (pid < 0)
                return 1; /* gone since the list was made: maybe after it had a child */
        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        r = for_each_number(AT_FDCWD, path, seize_one_thread, save, &pid);
        return r == -ESRCH ? 1 : r;
}

/* The thread group of a task that was seized at its birth. */
static pid_t process_of(pid_t tid) {
        int pid = status_number(tid, "\nTgid:");

        return pid > 0 ? pid : tid;
}

static bool is_job_stop(int signo) {
        return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

static int note_stop(Save *save, pid_t tid, int status) {
        int event = status >> 16, signo = WSTOPSIG(status);
        SaveThread *thread;

        if (!WIFSTOPPED(status)) {
                forget(save, tid);
                return 0;
        }
        thread = find(save, tid) ?: add(save, process_of(tid), tid);
        if (!thread) {
                (void) ptrace(PTRACE_DETACH, tid, NULL, NULL);
                return -ENOMEM;
        }
        if (event == PTRACE_EVENT_STOP && (signo == SIGTRAP || is_job_stop(signo))) {
                thread->stopped = true;
                thread->zombie = false;
                thread->job_stop = is_job_stop(signo) ? signo : 0;
                return 0;
        }
        /* On its way to a signal, or in the middle of a fork: that comes to its end first, before the next instruction of
         * the program. */
        thread->stopped = false;
        (void) ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
        (void) ptrace(PTRACE_CONT, tid, NULL, event == 0 ? (long) (signo & 0x7f) : 0L);
        return 0;
}

static int collect(Save *save) {
        int status, r;
        pid_t tid;

        while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
                r = note_stop(save, tid, status);
                if (r < 0)
                        return r;
        }
        return 0;
}

static SaveThread *first_running(Save *save) {
        for (size_t i = 0; i < save->n_threads; i++)
                if (!save->threads[i].stopped)
                        return save->threads + i;
        return NULL;
}

/* All that have not stopped wait so. */
static bool all_in_vfork(Save *save) {
        for (size_t i = 0; i < save->n_threads; i++) {
                if (save->threads[i].stopped)
                        continue;
                if (!in_vfork(save->threads[i].tid))
                        return false;
                save->in_vfork = save->threads[i].tid;
        }
        return true;
}

/* Waits until all that were seized have stopped. -EAGAIN: one waits for a vfork child, which must go on first. */
static int await_stops(Save *save, uint64_t deadline) {
        const struct timespec slice = { .tv_nsec = SLICE_NS };
        uint64_t patience = save_now() + VFORK_PATIENCE_NS;
        sigset_t chld;
        int r;

        (void) sigemptyset(&chld);
        (void) sigaddset(&chld, SIGCHLD);
        for (;;) {
                SaveThread *running;

                r = collect(save);
                if (r < 0)
                        return r;
                running = first_running(save);
                if (!running)
                        return 0;
                if (save_now() >= patience && all_in_vfork(save))
                        return -EAGAIN;
                if (save_now() >= deadline) {
                        _cleanup_free_ char *comm = NULL;

                        (void) save_read_proc(running->tid, "comm", &comm);
                        return save_fail(save, -ETIMEDOUT, "task %d (%.*s) did not stop within %u seconds", (int) running->tid,
                                         comm ? (int) strcspn(comm, "\n") : 1, comm ?: "?",
                                         (unsigned) (SAVE_DEADLINE_NS / 1000000000U));
                }
                (void) sigtimedwait(&chld, NULL, &slice);
        }
}

/* All go on, but for those that have not stopped: nobody can let go of them. They stop when what they wait for is over, and are
 * the next look's; or our end lets go of them. */
static void let_go_all(Save *save) {
        size_t kept = 0;

        for (size_t i = 0; i < save->n_threads; i++) {
                SaveThread *thread = save->threads + i;

                if (!thread->zombie && !thread->stopped)
                        save->threads[kept++] = *thread;
                else if (!thread->zombie)
                        (void) ptrace(PTRACE_DETACH, thread->tid, NULL, NULL);
        }
        save->n_threads = kept;
}

static int seize_until_stable(Save *save, bool *told, uint64_t deadline) {
        for (;;) {
                int n, r;

                n = for_each_number(IMAGER_FD_PROC, ".", seize_process, save, NULL);
                if (n < 0)
                        return n;
                if (!*told) {
                        *told = true;
                        r = save_say(IMAGER_SEIZED, 0, 0, "");
                        if (r >= 0)
                                r = save_await_go();
                        if (r < 0)
                                return r;
                }
                r = await_stops(save, deadline);
                if (r < 0)
                        return r;
                if (n == 0)
                        return 0;
                if (save_now() >= deadline)
                        return save_fail(save, -ETIMEDOUT, "tasks fork faster than they can be stopped");
        }
}

/* "7 (sh)", by the sandbox's number. */
static const char *who_is(pid_t tid, char buffer[static 96]) {
        _cleanup_free_ char *status = NULL, *comm = NULL;
        const char *line, *end;

        if (save_read_proc(tid, "status", &status) < 0 || save_read_proc(tid, "comm", &comm) < 0 || !(line = strstr(status, "\nNSpid:")))
                return "that is gone";
        end = strchrnul(line + 1, '\n');
        while (end > line && end[-1] != '\t' && end[-1] != ' ')
                end--;
        (void) snprintf(buffer, 96, "%d (%.*s)", atoi(end), (int) strcspn(comm, "\n"), comm);
        return buffer;
}

static int fail_vfork(Save *save) {
        char parent[96], child[96], path[64];
        _cleanup_free_ char *children = NULL;
        int pid;

        (void) snprintf(path, sizeof(path), "task/%d/children", (int) save->in_vfork);
        if (save_read_proc(save->in_vfork, path, &children) < 0 || sscanf(children, "%d", &pid) != 1)
                pid = 0;
        return save_fail(save, -EOPNOTSUPP, "pid %s waits for its child %s, made by vfork(2), which shares its memory and neither ends nor "
                         "executes a program", who_is(save->in_vfork, parent), pid > 0 ? who_is(pid, child) : "");
}

int save_seize(Save *save) {
        uint64_t deadline = save_now() + SAVE_DEADLINE_NS;
        struct timespec moment = { .tv_nsec = VFORK_MOMENT_NS };
        bool told = false;
        long all = 0;
        int r;

        while ((r = seize_until_stable(save, &told, deadline)) == -EAGAIN) {
                if (all >= VFORK_LIMIT_NS)
                        return fail_vfork(save);
                let_go_all(save);
                (void) nanosleep(&moment, NULL);
                all += moment.tv_nsec;
                moment.tv_nsec = MIN(2 * moment.tv_nsec, VFORK_MOMENT_MAX_NS);
        }
        return r;
}

void save_release(Save *save) {
        for (size_t i = 0; i < save->n_threads; i++) {
                SaveThread *thread = save->threads + i;

                if (thread->zombie)
                        continue;
                /* As long as the registers are the guard's, it sets the mask itself: so they come last. */
                if (thread->disturbed && inject_to_trap(thread->tid) >= 0) {
                        struct iovec iov = { &thread->state.regs, sizeof(thread->state.regs) };

                        (void) inject_set_mask(thread->tid, thread->state.mask);
                        (void) ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov);
                }
        }
        let_go_all(save);
}
