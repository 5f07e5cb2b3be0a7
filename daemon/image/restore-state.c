/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process and its threads have beside memory and files: credentials, signals, scheduling, registers. */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "stopped-call.h"
#include "launch-protocol.h"
#include "restore-internal.h"
#include "util.h"
#include "util/cpuset.h"

#define SIGINFO_SIZE 128U
#define CAPABILITY_LAST 63
#ifndef PR_TIMER_CREATE_RESTORE_IDS
#  define PR_TIMER_CREATE_RESTORE_IDS 77
#endif

/* What the kernel returns of a call that was interrupted; linux/errno.h. */
#define ERESTART_RESTARTBLOCK 516

#define CALL(...) \
        do { \
                if (restore_call(restore, process, __VA_ARGS__) < 0) \
                        return -EIO; \
        } while (false)

/* ---- a process -------------------------------------------------------------------------------------------------- */

static int set_actions(Restore *restore, RestoreProcess *process) {
        for (size_t i = 0; i < process->image->n_actions; i++) {
                const ImageSigaction *action = &process->image->actions[i];
                uint64_t words[4] = { action->handler, action->flags, action->restorer, action->mask }, at;
                int r;

                r = restore_put(restore, process, 0, words, sizeof(words), &at);
                if (r < 0)
                        return r;
                CALL("set what a signal does", SYS_rt_sigaction, action->signo, at, 0, sizeof(uint64_t));
        }
        return 0;
}

static int set_directories(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        int64_t number;

        if (image->root.path && !streq(image->root.path, "/"))
                return restore_fail(restore, -EOPNOTSUPP, "process %d has the root directory %s: that cannot be restored", image->pid,
                                    image->root.path);
        number = restore_open(restore, process, &image->cwd, O_PATH | O_DIRECTORY);
        if (number < 0)
                return (int) number;
        CALL("enter its working directory", SYS_fchdir, (uint64_t) number);
        CALL("close a directory", SYS_close, (uint64_t) number);
        CALL("set its umask", SYS_umask, image->umask);
        return 0;
}

/* Files of /proc that are the owner's to write. Best effort: they say little, and not all may be had. */
static void write_proc(const RestoreProcess *process, const char *name, const char *value) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) process->inject.tid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
                (void) !write(fd, value, strlen(value));
}

static int queue_signals(Restore *restore, RestoreProcess *process, const ImageBlob *blob, int32_t tid) {
        _cleanup_free_ char *data = NULL;
        int r;

        if (blob->size == 0)
                return 0;
        if (blob->size % SIGINFO_SIZE != 0)
                return restore_fail(restore, -EBADMSG, "process %d: signals of %lu bytes", process->image->pid, (unsigned long) blob->size);
        r = restore_blob(restore, blob, &data);
        for (uint64_t i = 0; r >= 0 && i < blob->size; i += SIGINFO_SIZE) {
                const siginfo_t *info = (const void *) (data + i);
                uint64_t at;

                r = restore_put(restore, process, 0, info, SIGINFO_SIZE, &at);
                if (r < 0)
                        return r;
                if (tid != 0)
                        CALL("queue a signal", SYS_rt_tgsigqueueinfo, (uint64_t) process->image->pid, (uint64_t) tid,
                             (uint64_t) info->si_signo, at);
                else
                        CALL("queue a signal", SYS_rt_sigqueueinfo, (uint64_t) process->image->pid, (uint64_t) info->si_signo, at);
        }
        return r;
}

static int set_timers(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        uint64_t at;
        int r;

        for (unsigned i = 0; i < 2; i++) {
                uint64_t value = image->itimers[2 * i], interval = image->itimers[2 * i + 1];
                struct itimerval timer = {
                        .it_value = { (time_t) (value / 1000000), (suseconds_t) (value % 1000000) },
                        .it_interval = { (time_t) (interval / 1000000), (suseconds_t) (interval % 1000000) },
                };

                if (value == 0)
                        continue;
                r = restore_put(restore, process, 0, &timer, sizeof(timer), &at);
                if (r < 0)
                        return r;
                CALL("set a timer", SYS_setitimer, i == 0 ? ITIMER_VIRTUAL : ITIMER_PROF, at, 0);
        }

        if (image->n_timers > 0)
                CALL("choose the ids of timers (Linux 6.15)", SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, 1);
        for (size_t i = 0; i < image->n_timers; i++) {
                const ImageTimer *timer = &image->timers[i];
                struct sigevent event = { .sigev_notify = timer->notify, .sigev_signo = timer->signo };
                struct itimerspec value = {
                        .it_value = { (time_t) (timer->remaining_ns / 1000000000U), (long) (timer->remaining_ns % 1000000000U) },
                        .it_interval = { (time_t) (timer->interval_ns / 1000000000U), (long) (timer->interval_ns % 1000000000U) },
                };
                uint64_t at_event, at_id;

                event.sigev_value.sival_ptr = (void *) (uintptr_t) timer->value;
                event._sigev_un._tid = timer->tid;
                r = restore_put(restore, process, 0, &event, sizeof(event), &at_event);
                if (r >= 0)
                        r = restore_put(restore, process, 128, &timer->id, sizeof(timer->id), &at_id);
                if (r >= 0)
                        r = restore_put(restore, process, 192, &value, sizeof(value), &at);
                if (r < 0)
                        return r;
                CALL("make a timer", SYS_timer_create, (uint64_t) timer->clock, at_event, at_id);
                if (timer->remaining_ns > 0)
                        CALL("set a timer", SYS_timer_settime, (uint64_t) timer->id, 0, at, 0);
        }
        if (image->n_timers > 0)
                CALL("let timers have any id", SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, 0);
        return 0;
}

int restore_process_state(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        char text[32];
        int r;

        r = set_actions(restore, process);
        if (r >= 0)
                r = set_directories(restore, process);
        if (r >= 0)
                r = set_timers(restore, process);
        if (r >= 0)
                r = queue_signals(restore, process, &image->pending, 0);
        if (r < 0)
                return r;
        if (image->subreaper)
                CALL("become a reaper of orphans", SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
        if (image->thp_disabled)
                CALL("do without huge pages", SYS_prctl, PR_SET_THP_DISABLE, 1);
        (void) snprintf(text, sizeof(text), "%d", image->oom_score_adj);
        write_proc(process, "oom_score_adj", text);
        (void) snprintf(text, sizeof(text), "%#lx", (unsigned long) image->coredump_filter);
        write_proc(process, "coredump_filter", text);
        return 0;
}

/* Last, because the old ones were high enough for what we did. */
int restore_limits(Restore *restore, RestoreProcess *process) {
        for (unsigned i = 0; i < IMAGE_LIMITS; i++) {
                const uint64_t *values = &process->image->limits[(size_t) 2 * i];
                struct rlimit limit = { values[0], values[1] };
                uint64_t at;
                int64_t result;
                int r;

                if (values[1] > restore->options.limits[i])
                        return restore_fail(restore, -EPERM,
                                            "process %d has resource limit number %u at %lu (hard), the profile allows no more than %lu",
                                            process->image->pid, i, (unsigned long) values[1], (unsigned long) restore->options.limits[i]);
                r = restore_put(restore, process, 0, &limit, sizeof(limit), &at);
                if (r < 0)
                        return r;
                result = inject_call(&process->inject, SYS_prlimit64, 0, i, at, 0);
                if (result == -EPERM)
                        return restore_fail(restore, -EPERM,
                                            "process %d has resource limit number %u at %lu (hard), which is more than there is here: raise "
                                            "it with ulimit -H before", process->image->pid, i, (unsigned long) values[1]);
                if (result < 0)
                        return restore_fail(restore, (int) result, "process %d: cannot set resource limit number %u", process->image->pid, i);
        }
        return 0;
}

/* ---- a thread --------------------------------------------------------------------------------------------------- */

static int set_scheduling(Restore *restore, RestoreProcess *process, const ImageThread *thread) {
        struct {
                uint32_t size, policy;
                uint64_t flags;
                int32_t nice;
                uint32_t priority;
                uint64_t runtime, deadline, period;
        } attributes = {
                .size = 48, .policy = thread->policy, .flags = thread->sched_flags, .nice = thread->nice, .priority = thread->priority,
        };
        CpuSet cpus;
        uint64_t at;
        int r;

        if (thread->policy != SCHED_OTHER || thread->sched_flags != 0) {
                r = restore_put(restore, process, 0, &attributes, sizeof(attributes), &at);
                if (r < 0)
                        return r;
                CALL("set its scheduling", SYS_sched_setattr, 0, at, 0);
        } else if (thread->nice != 0)
                CALL("set its nice value", SYS_setpriority, PRIO_PROCESS, 0, (uint64_t) (int64_t) thread->nice);
        if (thread->io_priority != 0)
                CALL("set its priority for files", SYS_ioprio_set, 1, 0, thread->io_priority);
        if (thread->affinity && *thread->affinity && cpuset_parse(thread->affinity, &cpus) >= 0) {
                r = restore_put(restore, process, 0, cpus.words, sizeof(cpus.words), &at);
                if (r < 0)
                        return r;
                /* Where none of them is left it runs on those that there are. */
                (void) inject_call(&process->inject, SYS_sched_setaffinity, 0, sizeof(cpus.words), at);
        }
        return 0;
}

static int set_ids(Restore *restore, RestoreProcess *process, const ImageThread *thread) {
        uint64_t at;
        int r;

        CALL("keep capabilities when it becomes its user", SYS_prctl, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
        if (restore->options.many_users) {
                if (thread->n_groups > 0) {
                        r = restore_put(restore, process, 0, thread->groups, thread->n_groups * sizeof(uint32_t), &at);
                        if (r < 0)
                                return r;
                } else
                        at = restore->scratch;
                CALL("set its groups", SYS_setgroups, thread->n_groups, at);
        }
        CALL("become its group", SYS_setresgid, thread->gid[0], thread->gid[1], thread->gid[2]);
        CALL("become its user", SYS_setresuid, thread->uid[0], thread->uid[1], thread->uid[2]);
        if (thread->gid[3] != thread->gid[1])
                CALL("become its group for files", SYS_setfsgid, thread->gid[3]);
        if (thread->uid[3] != thread->uid[1])
                CALL("become its user for files", SYS_setfsuid, thread->uid[3]);
        return 0;
}

static int set_capabilities(Restore *restore, RestoreProcess *process, const ImageThread *thread) {
        uint64_t all = thread->cap_inheritable | thread->cap_permitted | thread->cap_effective | thread->cap_bounding | thread->cap_ambient;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {
                { (uint32_t) thread->cap_effective, (uint32_t) thread->cap_permitted, (uint32_t) thread->cap_inheritable },
                { (uint32_t) (thread->cap_effective >> 32), (uint32_t) (thread->cap_permitted >> 32),
                  (uint32_t) (thread->cap_inheritable >> 32) },
        };
        uint64_t at_header, at_data;
        int r;

        if (all & ~restore->options.capabilities)
                return restore_fail(restore, -EPERM, "thread %d has capabilities (%#lx) that the profile does not give (%#lx)", thread->tid,
                                    (unsigned long) all, (unsigned long) restore->options.capabilities);
        CALL("drop ambient capabilities", SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (uint64_t cap = 0; cap <= CAPABILITY_LAST; cap++)
                if (!(thread->cap_bounding & (UINT64_C(1) << cap)) && ((restore->options.capabilities | RESTORE_CAPABILITIES) & (UINT64_C(1) << cap)))
                        CALL("drop a capability for good", SYS_prctl, PR_CAPBSET_DROP, cap);
        CALL("set its secure bits", SYS_prctl, PR_SET_SECUREBITS,
             (thread->securebits & ~(uint64_t) SECBIT_KEEP_CAPS) | (thread->keep_caps ? SECBIT_KEEP_CAPS : 0U));

        r = restore_put(restore, process, 0, &header, sizeof(header), &at_header);
        if (r >= 0)
                r = restore_put(restore, process, 64, data, sizeof(data), &at_data);
        if (r < 0)
                return r;
        CALL("set its capabilities", SYS_capset, at_header, at_data);
        for (uint64_t cap = 0; cap <= CAPABILITY_LAST; cap++)
                if (thread->cap_ambient & (UINT64_C(1) << cap))
                        CALL("raise an ambient capability", SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
        return 0;
}

static int set_registrations(Restore *restore, RestoreProcess *process, const ImageThread *thread) {
        uint64_t at;
        int r;

        if (thread->altstack_size > 0) {
                stack_t stack = {
                        .ss_sp = (void *) (uintptr_t) thread->altstack_sp,
                        .ss_flags = (int) (thread->altstack_flags & ~(uint32_t) (SS_ONSTACK | SS_DISABLE)),
                        .ss_size = thread->altstack_size,
                };

                r = restore_put(restore, process, 0, &stack, sizeof(stack), &at);
                if (r < 0)
                        return r;
                CALL("set its signal stack", SYS_sigaltstack, at, 0);
        }
        CALL("set the address that its end clears", SYS_set_tid_address, thread->clear_tid);
        if (thread->robust_list != 0)
                CALL("set its robust futexes", SYS_set_robust_list, thread->robust_list, thread->robust_size);
        if (thread->rseq_address != 0)
                CALL("set its restartable sequences", SYS_rseq, thread->rseq_address, thread->rseq_size, thread->rseq_flags,
                     thread->rseq_signature);
        return 0;
}

int restore_thread_state(Restore *restore, RestoreProcess *of, unsigned index) {
        const ImageThread *thread = &of->image->threads[index];
        RestoreProcess copy = *of, *process = &copy; /* calls are the thread's */
        uint64_t at;
        int r;

        process->inject.tid = of->threads[index];
        r = restore_put(restore, process, 0, thread->comm, strlen(thread->comm) + 1, &at);
        if (r < 0)
                return r;
        CALL("set its name", SYS_prctl, PR_SET_NAME, at);
        r = set_scheduling(restore, process, thread);
        if (r >= 0)
                r = set_registrations(restore, process, thread);
        if (r >= 0)
                r = queue_signals(restore, process, &thread->pending, thread->tid);
        if (r < 0)
                return r;
        CALL("set the slack of its timers", SYS_prctl, PR_SET_TIMERSLACK, thread->timer_slack_ns);
        if (thread->personality != 0)
                CALL("set its personality", SYS_personality, thread->personality);
        r = set_ids(restore, process, thread);
        if (r >= 0)
                r = set_capabilities(restore, process, thread);
        if (r < 0)
                return r;
        /* After its credentials: a change of those makes the kernel forget. */
        if (thread->pdeathsig != 0)
                CALL("set the signal of its parent's end", SYS_prctl, PR_SET_PDEATHSIG, thread->pdeathsig);
        return 0;
}

/* What makes an interrupted call go on: the kernel's own restart has what was left in a place that nobody else has. */
static void mend_call(struct user_regs_struct *regs) {
        long call = (long) regs->orig_rax;
        long long result = (long long) regs->rax;

        if (call < 0)
                return;
        if (result == -ERESTART_RESTARTBLOCK) {
                if (call == SYS_nanosleep && regs->rsi != 0)
                        regs->rdi = regs->rsi;
                else if (call == SYS_clock_nanosleep && regs->r10 != 0)
                        regs->rdx = regs->r10;
                regs->rax = (unsigned long long) CALL_RESTARTNOHAND;
        }
}

int restore_thread_registers(Restore *restore, RestoreProcess *process, unsigned index) {
        const ImageThread *thread = &process->image->threads[index];
        InjectState state = { .mask = thread->sigmask };
        char *xstate = NULL;
        int r;

        _Static_assert(sizeof(state.regs) == sizeof(thread->regs), "the registers of an image are the kernel's");
        memcpy(&state.regs, thread->regs, sizeof(state.regs));
        mend_call(&state.regs);
        r = restore_blob(restore, &thread->xstate, &xstate);
        if (r < 0)
                return r;
        state.xstate = xstate;
        state.xstate_size = thread->xstate.size;
        r = inject_to_trap(process->threads[index]);
        if (r >= 0)
                r = inject_state_set(process->threads[index], &state);
        inject_state_done(&state);
        return r < 0 ? restore_fail(restore, r, "thread %d cannot have its registers again", thread->tid) : 0;
}

/* ---- the stopped ------------------------------------------------------------------------------------------------ */

int restore_stop(Restore *restore, RestoreProcess *process) {
        pid_t tid = process->inject.tid;
        int status, deliver = 0;

        /* Not by the signal that it was: the others do nothing to a process group without a shell, and it would run. */
        if (kill(tid, SIGSTOP) < 0)
                return restore_fail(restore, -errno, "process %d cannot be stopped", process->image->pid);
        do {
                if (ptrace(PTRACE_CONT, tid, NULL, (long) deliver) < 0 || waitpid(tid, &status, __WALL) < 0 || !WIFSTOPPED(status))
                        return restore_fail(restore, -ESRCH, "process %d cannot be stopped", process->image->pid);
                deliver = status >> 16 == 0 ? WSTOPSIG(status) : 0;
        } while (status >> 16 != PTRACE_EVENT_STOP || WSTOPSIG(status) != SIGSTOP);
        return 0;
}
