/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes and threads with the numbers, parents, sessions and groups that they had. Each process is forked by its parent,
 * or by somebody of its session who ends, which leaves it to its reaper as it was left at the time. */

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "restore-internal.h"
#include "util.h"

#define SESSION_ANY (-1)  /* it will have one of its own, and nobody below it had it before */
#define SESSION_UNKNOWN (-2)

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* The part of struct clone_args that has a set_tid. */
typedef struct CloneArguments {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size;
} CloneArguments;

/* Has a process make another task, which is stopped then. */
static int make_task(Restore *restore, RestoreProcess *parent, uint64_t flags, unsigned exit_signal, int32_t tid, pid_t *ret) {
        CloneArguments arguments = { .flags = flags, .exit_signal = exit_signal, .set_tid_size = 1 };
        uint64_t at, id;
        int64_t result;
        int status, r;

        r = restore_put(restore, parent, sizeof(arguments), &tid, sizeof(tid), &id);
        if (r < 0)
                return r;
        arguments.set_tid = id;
        r = restore_put(restore, parent, 0, &arguments, sizeof(arguments), &at);
        if (r < 0)
                return r;
        result = inject_call(&parent->inject, SYS_clone3, at, sizeof(arguments));
        if (result == -EEXIST)
                return restore_fail(restore, -EEXIST, "task %d cannot be made: another has its number", tid);
        if (result < 0)
                return restore_fail(restore, (int) result, "task %d cannot be made", tid);
        if (result != tid || parent->inject.child <= 0)
                return restore_fail(restore, -EIO, "task %d was made with the number %lld", tid, (long long) result);
        *ret = parent->inject.child;
        if (waitpid(*ret, &status, __WALL) < 0 || !WIFSTOPPED(status))
                return restore_fail(restore, -ESRCH, "task %d died", tid);
        return inject_set_mask(*ret, ~UINT64_C(0));
}

static bool has_number(const Restore *restore, int32_t id) {
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                const ImageProcess *process = &restore->image->processes[i];

                if (process->pid == id || process->group == id || process->session == id)
                        return true;
                for (size_t j = 0; j < process->n_threads; j++)
                        if (process->threads[j].tid == id)
                                return true;
        }
        return false;
}

static int32_t free_number(const Restore *restore) {
        int32_t id = 2;

        while (has_number(restore, id))
                id++;
        return id;
}

/* A process that lives for a moment only. */
static int make_helper(Restore *restore, RestoreProcess *parent, int32_t pid, RestoreProcess *ret) {
        pid_t tid;
        int r;

        r = make_task(restore, parent, 0, 0, pid, &tid);
        if (r < 0)
                return r;
        *ret = (RestoreProcess) { .image = parent->image, .inject = parent->inject };
        ret->inject.tid = tid;
        return 0;
}

/* Has it end, and its parent forget it. */
static int end_helper(Restore *restore, RestoreProcess *parent, RestoreProcess *helper, int32_t pid) {
        int status;

        (void) inject_call(&helper->inject, SYS_exit_group, 0);
        (void) waitpid(helper->inject.tid, &status, __WALL | WNOHANG);
        if (restore_call(restore, parent, "wait for a helper", SYS_wait4, (uint64_t) pid, 0, __WALL, 0) < 0)
                return -EIO;
        return 0;
}

static const ImageProcess *child_of(const Restore *restore, const ImageProcess *parent, size_t *index) {
        while (*index < restore->image->n_processes) {
                const ImageProcess *process = &restore->image->processes[(*index)++];

                if (process != parent && process->parent == parent->pid)
                        return process;
        }
        return NULL;
}

/* The session that a process must be born in. */
static int32_t birth_session(const Restore *restore, const ImageProcess *process) {
        const ImageProcess *child;
        size_t index = 0;

        if (process->session != process->pid)
                return process->session;
        while ((child = child_of(restore, process, &index))) {
                int32_t session = birth_session(restore, child);

                if (session != SESSION_ANY && session != process->pid)
                        return session;
        }
        return SESSION_ANY;
}

static RestoreProcess *process_of(Restore *restore, const ImageProcess *image) {
        return &restore->processes[image - restore->image->processes];
}

static int make_below(Restore *restore, RestoreProcess *process, int32_t session);

/* Forks one whose parent it is to be, and all below it. */
static int make_process(Restore *restore, RestoreProcess *parent, const ImageProcess *image, int32_t session) {
        RestoreProcess *process = process_of(restore, image);
        pid_t tid;
        int r;

        r = make_task(restore, parent, 0, image->exit_signal, image->pid, &tid);
        if (r < 0)
                return r;
        process->inject = parent->inject;
        process->inject.tid = tid;
        if (image->n_threads > 0)
                process->threads[0] = tid;
        return make_below(restore, process, session);
}

/* The children of a process that can be born now, while it is in this session. */
static int make_children(Restore *restore, RestoreProcess *process, int32_t session, bool last) {
        const ImageProcess *child;
        size_t index = 0;

        while ((child = child_of(restore, process->image, &index))) {
                int32_t wanted = birth_session(restore, child);
                int r;

                if (process_of(restore, child)->inject.tid != 0 || (wanted == SESSION_ANY && !last) ||
                    (wanted != SESSION_ANY && wanted != session))
                        continue;
                r = make_process(restore, process, child, session);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_below(Restore *restore, RestoreProcess *process, int32_t session) {
        const ImageProcess *image = process->image;
        bool leads = image->session == image->pid;
        int r;

        r = make_children(restore, process, session, !leads);
        if (r < 0 || !leads)
                return r;
        if (restore_call(restore, process, "start a session", SYS_setsid, 0) < 0)
                return -EIO;
        return make_children(restore, process, image->pid, true);
}

/* Somebody who is in that session now and lives. */
static RestoreProcess *member_of(Restore *restore, int32_t session) {
        for (size_t i = 0; i < restore->image->n_processes; i++)
                if (restore->processes[i].inject.tid != 0 && restore->image->processes[i].session == session)
                        return &restore->processes[i];
        return NULL;
}

/* Those who were left to their reaper by a parent of another session. */
static int make_orphan(Restore *restore, const ImageProcess *image) {
        RestoreProcess *init = &restore->processes[0], helper, leader, *from;
        int32_t session = birth_session(restore, image), pid = free_number(restore);
        bool temporary = false;
        int r;

        if (session <= 0)
                return restore_fail(restore, -EBADMSG, "process %d was left behind by a session outside", image->pid);
        if (image->parent != init->image->pid)
                return restore_fail(restore, -EOPNOTSUPP,
                                    "process %d is in session %d, in which its parent %d never was: such a sandbox cannot be restored",
                                    image->pid, session, image->parent);
        from = member_of(restore, session);
        if (!from) {
                r = make_helper(restore, init, session, &leader);
                if (r < 0)
                        return r;
                if (restore_call(restore, &leader, "start a session", SYS_setsid, 0) < 0)
                        return -EIO;
                from = &leader;
                temporary = true;
        }

        r = make_helper(restore, from, pid, &helper);
        if (r < 0)
                return r;
        r = make_process(restore, &helper, image, session);
        if (r < 0)
                return r;
        /* Others of this session follow their like. */
        r = end_helper(restore, from, &helper, pid);
        if (r < 0)
                return r;
        return temporary ? end_helper(restore, init, &leader, session) : 0;
}

static int join_group(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        RestoreProcess helper;
        int64_t r;

        r = inject_call(&process->inject, SYS_setpgid, 0, (uint64_t) image->group);
        if (r != -EPERM || has_number(restore, image->group) == false)
                return r < 0 ? restore_fail(restore, (int) r, "process %d cannot join process group %d", image->pid, image->group) : 0;

        /* Its leader is gone: somebody leads it until there is another in it. */
        r = make_helper(restore, process, image->group, &helper);
        if (r < 0)
                return (int) r;
        if (restore_call(restore, &helper, "lead a process group", SYS_setpgid, 0, 0) < 0 ||
            restore_call(restore, process, "join a process group", SYS_setpgid, 0, (uint64_t) image->group) < 0)
                return -EIO;
        return end_helper(restore, process, &helper, image->group);
}

static int make_groups(Restore *restore) {
        /* First those that lead: a session's leader does so from the start. */
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                RestoreProcess *process = &restore->processes[i];

                if (process->image->group == process->image->pid && process->image->session != process->image->pid &&
                    restore_call(restore, process, "lead a process group", SYS_setpgid, 0, 0) < 0)
                        return -EIO;
        }
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                RestoreProcess *process = &restore->processes[i];
                int r;

                if (process->image->group <= 0 || process->image->group == process->image->pid)
                        continue;
                r = join_group(restore, process);
                if (r < 0)
                        return r;
        }
        return 0;
}

int restore_tree(Restore *restore) {
        int r;

        r = make_below(restore, &restore->processes[0], 0);
        if (r < 0)
                return r;
        for (size_t i = 1; i < restore->image->n_processes; i++)
                if (restore->processes[i].inject.tid == 0) {
                        r = make_orphan(restore, &restore->image->processes[i]);
                        if (r < 0)
                                return r;
                }
        return make_groups(restore);
}

static const ImageProcess *parent_of(const Restore *restore, const ImageProcess *child) {
        for (size_t i = 0; i < restore->image->n_processes; i++)
                if (restore->image->processes[i].pid == child->parent)
                        return &restore->image->processes[i];
        return NULL;
}

int restore_forget_signal(Restore *restore, const ImageProcess *child) {
        const ImageProcess *image = parent_of(restore, child);
        struct timespec now = {};
        uint64_t set, at_set, at_time;
        RestoreProcess *parent;
        int64_t r;

        if (!image || image->state == IMAGE_TASK_ZOMBIE)
                return restore_fail(restore, -EBADMSG, "process %d has no parent", child->pid);
        if (child->exit_signal == 0)
                return 0;
        parent = process_of(restore, image);
        set = UINT64_C(1) << (child->exit_signal - 1);
        r = restore_put(restore, parent, 0, &set, sizeof(set), &at_set);
        if (r >= 0)
                r = restore_put(restore, parent, 64, &now, sizeof(now), &at_time);
        if (r < 0)
                return (int) r;
        do
                r = inject_call(&parent->inject, SYS_rt_sigtimedwait, at_set, 0, at_time, sizeof(set));
        while (r > 0 || r == -EINTR);
        return r == -EAGAIN ? 0 : restore_fail(restore, (int) r, "process %d: cannot take a signal", image->pid);
}

static int end_by_signal(Restore *restore, RestoreProcess *process, int signo) {
        static const struct rlimit none = {};
        uint64_t at;
        int status, r;

        r = restore_put(restore, process, 0, &none, sizeof(none), &at);
        if (r < 0)
                return r;
        if (restore_call(restore, process, "forbid core dumps", SYS_prlimit64, 0, RLIMIT_CORE, at, 0) < 0)
                return -EIO;
        if (signo != SIGKILL && (inject_set_mask(process->inject.tid, 0) < 0 || kill(process->inject.tid, signo) < 0))
                return restore_fail(restore, -errno, "process %d cannot be ended", process->image->pid);
        if (signo == SIGKILL && kill(process->inject.tid, SIGKILL) < 0)
                return restore_fail(restore, -errno, "process %d cannot be ended", process->image->pid);
        for (int deliver = 0;;) {
                if (signo != SIGKILL && ptrace(PTRACE_CONT, process->inject.tid, NULL, (long) deliver) < 0 && errno != ESRCH)
                        return restore_fail(restore, -errno, "process %d cannot be ended", process->image->pid);
                if (waitpid(process->inject.tid, &status, __WALL) < 0 || !WIFSTOPPED(status))
                        return 0;
                deliver = status >> 16 == 0 && WSTOPSIG(status) == signo ? signo : 0;
        }
}

int restore_zombies(Restore *restore) {
        for (size_t i = 1; i < restore->image->n_processes; i++) {
                RestoreProcess *process = &restore->processes[i];
                const ImageProcess *image = process->image;
                int status = (int) image->exit_status, r;

                if (image->state != IMAGE_TASK_ZOMBIE)
                        continue;
                /* Its name is all that is seen of it. */
                if (image->comm) {
                        uint64_t at;

                        r = restore_put(restore, process, 0, image->comm, strlen(image->comm) + 1, &at);
                        if (r < 0)
                                return r;
                        (void) inject_call(&process->inject, SYS_prctl, 15 /* PR_SET_NAME */, at);
                }
                if (WIFSIGNALED(status)) {
                        r = end_by_signal(restore, process, WTERMSIG(status));
                        if (r < 0)
                                return r;
                } else
                        (void) inject_call(&process->inject, SYS_exit_group, (uint64_t) WEXITSTATUS(status));
                (void) waitpid(process->inject.tid, &status, __WALL | WNOHANG);
                process->zombie = true;
                r = restore_forget_signal(restore, image);
                if (r < 0)
                        return r;
        }
        return 0;
}

int restore_threads(Restore *restore, RestoreProcess *process) {
        for (size_t i = 1; i < process->image->n_threads; i++) {
                int r;

                r = make_task(restore, process, THREAD_FLAGS, 0, process->image->threads[i].tid, &process->threads[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}
