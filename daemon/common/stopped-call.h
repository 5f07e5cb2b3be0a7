/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a call returns that a stop of its task has interrupted (by job control, a freezer or a tracer), so that whoever stops
 * tasks unseen leaves no trace. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/user.h>

/* linux/errno.h: the call begins again, the first one unless a handler without SA_RESTART runs, the second one always, the
 * third one unless any handler runs. */
#define CALL_RESTARTSYS (-512)
#define CALL_RESTARTNOINTR (-513)
#define CALL_RESTARTNOHAND (-514)

static inline bool call_is_one_of(int64_t number, const long *numbers, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (numbers[i] == number)
                        return true;
        return false;
}

/* number: orig_rax; result: rax, as a stop found them. Returns what result should be. */
static inline int64_t call_mended(int64_t number, int64_t result) {
        /* They end with EINTR at any stop, though no signal was delivered; signal(7). */
        static const long disturbed[] = {
#ifdef SYS_epoll_wait
                SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
                SYS_epoll_pwait2,
#endif
                SYS_epoll_pwait, SYS_rt_sigtimedwait, SYS_semop, SYS_semtimedop, SYS_io_getevents,
        };
        /* The host does them at once: that a signal can come before the answer is due to there being somebody to ask. */
        static const long immediate[] = {
#ifdef SYS_alarm
                SYS_alarm,
#endif
#ifdef SYS_time
                SYS_time,
#endif
                SYS_adjtimex, SYS_clock_adjtime, SYS_clock_getres, SYS_clock_gettime, SYS_clock_settime, SYS_getitimer,
                SYS_gettimeofday, SYS_settimeofday, SYS_setitimer, SYS_timer_create, SYS_timer_delete, SYS_timer_getoverrun,
                SYS_timer_gettime, SYS_timer_settime, SYS_timerfd_create, SYS_timerfd_gettime, SYS_timerfd_settime, SYS_times,
                SYS_uname, SYS_sethostname, SYS_setdomainname, SYS_sysinfo, SYS_getrusage, SYS_prlimit64,
                SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_getcpu, SYS_prctl, SYS_personality, SYS_clone, SYS_unshare, SYS_setns,
                SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_open,
                SYS_pidfd_send_signal, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_socket, SYS_bind, SYS_listen,
        };

        if (result == -EINTR && call_is_one_of(number, disturbed, sizeof(disturbed) / sizeof(disturbed[0])))
                return CALL_RESTARTNOHAND;
        if (result == CALL_RESTARTSYS && call_is_one_of(number, immediate, sizeof(immediate) / sizeof(immediate[0])))
                return CALL_RESTARTNOINTR;
        return result;
}

#if defined(__x86_64__)

/* The same in the registers of a task; true when they have changed. */
static inline bool call_mend(struct user_regs_struct *regs) {
        int64_t number = (int64_t) regs->orig_rax, result = (int64_t) regs->rax, mended = call_mended(number, result);

        /* A call of number -1 the kernel takes for none, and shows its program what no program should see. That it was one is
         * told by what the instruction has left in the other registers. */
        if (number == -1 && result == CALL_RESTARTSYS && regs->rcx == regs->rip && regs->r11 == regs->eflags)
                mended = -ENOSYS;
        regs->rax = (unsigned long long) mended;
        return mended != result;
}

#endif
