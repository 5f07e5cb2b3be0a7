/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signals, priorities, groups and limits of other tasks. Runs natively, in a sandbox with PIDs of its own, where the
 * host answers, and in one with the host's, where the emulated kernel does. */

#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "sys.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_send_signal 424
#define SYS_pidfd_open 434
#endif

/* <linux/sched/types.h> and <sched.h> do not go together. */
struct sched_attr_v0 {
        uint32_t size, sched_policy;
        uint64_t sched_flags;
        int32_t sched_nice;
        uint32_t sched_priority;
        uint64_t sched_runtime, sched_deadline, sched_period;
};

static bool pid_host(void) {
        return sandboxed() && getpid() != 1;
}

/* What a child has got: it writes each siginfo into a pipe and goes on until the end. */
typedef struct Child {
        pid_t pid, thread;
        int ready, infos;
} Child;

static int info_fd;

static void on_signal(int signo, siginfo_t *info, void *context) {
        (void) signo, (void) context;
        (void) !write(info_fd, info, sizeof(*info));
}

static void catch_all(void) {
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGUSR2, &action, NULL);
        sigaction(SIGRTMIN + 3, &action, NULL);
}

static void *thread_main(void *arg) {
        pid_t tid = (pid_t) syscall(SYS_gettid);

        (void) !write(*(int *) arg, &tid, sizeof(tid));
        for (;;)
                pause();
        return NULL;
}

static Child child_new(pid_t group) { /* 0: one of its own; -1: ours */
        int infos[2], ready[2];
        pthread_t thread;
        Child child;

        if (pipe(infos) < 0 || pipe(ready) < 0)
                tap_bail_out("pipe");
        fflush(stdout);
        child.pid = fork();
        if (child.pid < 0)
                tap_bail_out("fork");
        if (child.pid == 0) {
                if (group >= 0)
                        setpgid(0, group);
                info_fd = infos[1];
                close(infos[0]);
                catch_all();
                pthread_create(&thread, NULL, thread_main, &ready[1]);
                for (;;)
                        pause();
        }
        close(infos[1]);
        close(ready[1]);
        child.infos = infos[0];
        if (read(ready[0], &child.thread, sizeof(child.thread)) != sizeof(child.thread))
                tap_bail_out("the child does not come up");
        close(ready[0]);
        return child;
}

static void child_end(Child *child) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        close(child->infos);
}

/* The next signal that the child has got; si_signo 0 when none comes. */
static siginfo_t next_info(const Child *child, int msec) {
        struct pollfd fd = { .fd = child->infos, .events = POLLIN };
        siginfo_t info = {};

        if (poll(&fd, 1, msec) > 0 && (fd.revents & POLLIN))
                (void) !read(child->infos, &info, sizeof(info));
        return info;
}

static void got(const Child *child, int signo, int code, const char *how) {
        siginfo_t info = next_info(child, 10000);

        is_int(info.si_signo, signo, "%s: it arrives", how);
        is_int(info.si_pid, getpid(), "%s: from us", how);
        if (pid_host() && (code == SI_USER || code == SI_TKILL))
                code = SI_QUEUE;
        is_int(info.si_code, code, "%s: its code", how);
}

static void test_kill(void) {
        Child child = child_new(0), other = child_new(child.pid);
        int status;

        is_int(RAW(SYS_kill, child.pid, 0), 0, "a child is there");
        is_int(RAW(SYS_kill, child.pid, SIGUSR1), 0, "kill");
        got(&child, SIGUSR1, SI_USER, "kill");
        is_int(RAW(SYS_kill, child.thread, SIGUSR1), 0, "kill by the number of a thread");
        got(&child, SIGUSR1, SI_USER, "kill by the number of a thread");
        is_int(RAW(SYS_kill, child.pid, 65), -EINVAL, "no such signal");
        is_int(RAW(SYS_kill, child.pid, -1), -EINVAL, "nor -1");
        is_int(RAW(SYS_kill, 4999999, SIGUSR1), -ESRCH, "nobody");
        is_int(RAW(SYS_kill, 4999999, 65), -ESRCH, "nobody, whatever the signal");
        is_int(RAW(SYS_kill, INT_MIN, SIGUSR1), -ESRCH, "the least number");
        is_int(RAW(SYS_kill, getpid(), 0), 0, "we are there");

        is_int(RAW(SYS_kill, -child.pid, SIGUSR2), 0, "a group");
        got(&child, SIGUSR2, SI_USER, "a group, its leader");
        got(&other, SIGUSR2, SI_USER, "a group, a member");
        is_int(RAW(SYS_kill, -4999999, SIGUSR2), -ESRCH, "no group");
        is_int(RAW(SYS_kill, -child.pid, 65), -EINVAL, "no such signal to a group");
        is_int(RAW(SYS_kill, -1, SIGUSR2), 0, "all");
        got(&child, SIGUSR2, SI_USER, "all, one");
        got(&other, SIGUSR2, SI_USER, "all, another");
        is_int(next_info(&child, 0).si_signo, 0, "once");

        kill(other.pid, SIGKILL);
        waitid(P_PID, (id_t) other.pid, &(siginfo_t) {}, WEXITED | WNOWAIT);
        is_int(RAW(SYS_kill, other.pid, SIGUSR1), 0, "a zombie takes signals");
        is_int(waitpid(other.pid, &status, 0), other.pid, "it is reaped");
        is_int(RAW(SYS_kill, other.pid, 0), -ESRCH, "and gone");
        close(other.infos);

        kill(child.pid, SIGSTOP);
        waitpid(child.pid, &status, WUNTRACED);
        ok(WIFSTOPPED(status), "SIGSTOP stops");
        kill(child.pid, SIGCONT);
        waitpid(child.pid, &status, WCONTINUED);
        ok(WIFCONTINUED(status), "SIGCONT continues");
        child_end(&child);
}

static int own_group(void *arg) {
        sigset_t set;
        siginfo_t info;

        (void) arg;
        setpgid(0, 0);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (RAW(SYS_kill, 0, SIGUSR1) != 0)
                return 1;
        if (sigtimedwait(&set, &info, &(struct timespec) {}) != SIGUSR1)
                return 2; /* it must be there when kill returns */
        return info.si_pid == getpid() ? 0 : 3;
}

static void *wait_for_rt(void *arg) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 3);
        ((pid_t *) arg)[1] = (pid_t) syscall(SYS_gettid);
        atomic_thread_fence(memory_order_seq_cst);
        ((volatile pid_t *) arg)[0] = 1;
        return (void *) (intptr_t) sigtimedwait(&set, NULL, &(struct timespec) { .tv_sec = 10 });
}

static void test_threads(void) {
        Child child = child_new(-1);
        pid_t shared[2] = {};
        pthread_t thread;
        void *result;
        sigset_t set;

        is_int(RAW(SYS_tgkill, child.pid, child.thread, SIGUSR1), 0, "tgkill");
        got(&child, SIGUSR1, SI_TKILL, "tgkill");
        is_int(RAW(SYS_tkill, child.thread, SIGUSR1), 0, "tkill");
        got(&child, SIGUSR1, SI_TKILL, "tkill");
        is_int(RAW(SYS_tgkill, getpid(), child.thread, SIGUSR1), -ESRCH, "tgkill of another's thread");
        is_int(RAW(SYS_tgkill, child.pid, getpid(), SIGUSR1), -ESRCH, "the other way round");
        is_int(RAW(SYS_tgkill, child.pid, 0, SIGUSR1), -EINVAL, "thread 0");
        is_int(RAW(SYS_tgkill, -1, child.pid, SIGUSR1), -EINVAL, "process -1");
        is_int(RAW(SYS_tkill, 0, SIGUSR1), -EINVAL, "tkill 0");
        is_int(RAW(SYS_tkill, child.pid, 65), -EINVAL, "no such signal");
        is_int(RAW(SYS_tkill, 4999999, SIGUSR1), -ESRCH, "nobody");
        child_end(&child);

        /* Within the process */
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 3);
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (int i = 0; i < 2; i++) {
                shared[0] = 0;
                pthread_create(&thread, NULL, wait_for_rt, shared);
                while (!*(volatile pid_t *) shared)
                        sched_yield();
                if (i == 0)
                        is_int(RAW(SYS_tkill, shared[1], SIGRTMIN + 3), 0, "tkill to a thread of ours");
                else
                        is_int(pthread_kill(thread, SIGRTMIN + 3), 0, "pthread_kill");
                pthread_join(thread, &result);
                is_int((intptr_t) result, SIGRTMIN + 3, "it gets it");
        }
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        pthread_create(&thread, NULL, thread_main, &(int) { open("/dev/null", O_WRONLY | O_CLOEXEC) });
        is_int(pthread_cancel(thread), 0, "a thread is cancelled");
        pthread_join(thread, &result);
        ok(result == PTHREAD_CANCELED, "and ends so");
}

static void test_queue(void) {
        Child child = child_new(-1);
        siginfo_t info = { .si_code = SI_QUEUE };
        int fd;

        is_int(sigqueue(child.pid, SIGRTMIN + 3, (union sigval) { .sival_int = 77 }), 0, "sigqueue");
        info = next_info(&child, 10000);
        ok(info.si_signo == SIGRTMIN + 3 && info.si_value.sival_int == 77 && info.si_pid == getpid() &&
                           info.si_code == SI_QUEUE, "arrives with its value");
        info = (siginfo_t) { .si_signo = SIGUSR1, .si_code = SI_USER };
        is_int(RAW(SYS_rt_sigqueueinfo, child.pid, SIGUSR1, &info), -EPERM, "SI_USER may not be claimed");
        info.si_code = SI_TKILL;
        is_int(RAW(SYS_rt_sigqueueinfo, child.pid, SIGUSR1, &info), -EPERM, "SI_TKILL neither");
        is_int(RAW(SYS_rt_tgsigqueueinfo, child.pid, child.thread, SIGUSR1, &info), -EPERM, "nor to a thread");
        info.si_code = -77;
        info.si_pid = 4711;
        is_int(RAW(SYS_rt_sigqueueinfo, child.pid, SIGUSR1, &info), 0, "another code may");
        info = next_info(&child, 10000);
        ok(info.si_code == -77 && info.si_pid == 4711, "and arrives as it is");
        info.si_code = SI_QUEUE;
        is_int(RAW(SYS_rt_tgsigqueueinfo, child.pid, child.thread, SIGUSR2, &info), 0, "to a thread");
        is_int(next_info(&child, 10000).si_signo, SIGUSR2, "it arrives");
        is_int(RAW(SYS_rt_sigqueueinfo, 4999999, SIGUSR1, &info), -ESRCH, "nobody");
        is_int(RAW(SYS_rt_sigqueueinfo, child.pid, 65, &info), -EINVAL, "no such signal");
        is_int(RAW(SYS_rt_sigqueueinfo, child.pid, SIGUSR1, page_unmapped()), -EFAULT, "no siginfo");
        is_int(RAW(SYS_rt_tgsigqueueinfo, 0, child.pid, SIGUSR1, &info), -EINVAL, "process 0");

        fd = (int) RAW(SYS_pidfd_open, child.pid, 0);
        ok(fd >= 0, "pidfd_open: %d", fd);
        ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "closed by exec");
        is_int(RAW(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0), 0, "pidfd_send_signal");
        got(&child, SIGUSR1, SI_USER, "pidfd_send_signal");
        is_int(RAW(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 64), -EINVAL, "a strange flag");
        is_int(RAW(SYS_pidfd_send_signal, 0, SIGUSR1, NULL, 0), -EBADF, "no pidfd");
        is_int(RAW(SYS_pidfd_send_signal, 999, SIGUSR1, NULL, 0), -EBADF, "no descriptor");
        is_int(RAW(SYS_pidfd_send_signal, fd, 65, NULL, 0), -EINVAL, "no such signal");
        info = (siginfo_t) { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
        is_int(RAW(SYS_pidfd_send_signal, fd, SIGUSR2, &info, 0), -EINVAL, "a siginfo of another");
        is_int(RAW(SYS_pidfd_open, 0, 0), -EINVAL, "a pidfd of 0");
        is_int(RAW(SYS_pidfd_open, 4999999, 0), -ESRCH, "of nobody");
        is_int(RAW(SYS_pidfd_open, child.pid, 1), -EINVAL, "with a strange flag");
        child_end(&child);
        is_int(poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, 0), 1, "a pidfd tells of the end");
        is_int(RAW(SYS_pidfd_send_signal, fd, 0, NULL, 0), -ESRCH, "and reaches nobody");
        close(fd);
}

static void test_others(void) {
        Child child = child_new(0);
        struct sched_attr_v0 attr = { .size = sizeof(attr) };
        struct sched_param param = {};
        struct timespec interval;
        struct rlimit limit, set;

        is_int(RAW(SYS_getpgid, child.pid), child.pid, "getpgid");
        is_int(RAW(SYS_getpgid, 0), getpgrp(), "of ourselves");
        is_int(RAW(SYS_getpgid, 4999999), -ESRCH, "of nobody");
        is_int(RAW(SYS_getpgid, -1), -ESRCH, "of -1");
        is_int(RAW(SYS_getsid, child.pid), getsid(0), "getsid");
        is_int(RAW(SYS_getsid, 4999999), -ESRCH, "of nobody");
        is_int(RAW(SYS_setpgid, child.pid, 4999999), -EPERM, "setpgid to no group");
        is_int(RAW(SYS_setpgid, 4999999, 0), -ESRCH, "of nobody");
        is_int(RAW(SYS_setpgid, child.pid, -1), -EINVAL, "to -1");

        is_int(RAW(SYS_setpriority, PRIO_PROCESS, child.pid, 5), 0, "setpriority");
        is_int(RAW(SYS_getpriority, PRIO_PROCESS, child.pid), 15, "getpriority");
        is_int(RAW(SYS_getpriority, PRIO_PROCESS, 4999999), -ESRCH, "of nobody");
        is_int(RAW(SYS_getpriority, 3, 0), -EINVAL, "of nothing");
        is_int(RAW(SYS_setpriority, PRIO_PGRP, child.pid, 6), 0, "setpriority of a group");
        is_int(RAW(SYS_getpriority, PRIO_PGRP, child.pid), 14, "getpriority of a group");
        is_int(RAW(SYS_getpriority, PRIO_PROCESS, child.thread), 14, "… with its threads");
        is_int(RAW(SYS_getpriority, PRIO_USER, 0), 20, "of the user");
        is_int(RAW(SYS_ioprio_set, 1, child.pid, 2 << 13 | 6), 0, "ioprio_set");
        is_int(RAW(SYS_ioprio_get, 1, child.pid), 2 << 13 | 6, "ioprio_get");
        is_int(RAW(SYS_ioprio_get, 1, 4999999), -ESRCH, "of nobody");

        is_int(RAW(SYS_sched_getscheduler, child.pid), SCHED_OTHER, "sched_getscheduler");
        is_int(RAW(SYS_sched_setscheduler, child.pid, SCHED_BATCH, &param), 0, "sched_setscheduler");
        is_int(RAW(SYS_sched_getscheduler, child.pid), SCHED_BATCH, "… is kept");
        is_int(RAW(SYS_sched_setparam, child.pid, &param), 0, "sched_setparam");
        is_int(RAW(SYS_sched_getparam, child.pid, &param), 0, "sched_getparam");
        is_int(RAW(SYS_sched_rr_get_interval, child.pid, &interval), 0, "sched_rr_get_interval");
        is_int(RAW(SYS_sched_getattr, child.pid, &attr, sizeof(attr), 0), 0, "sched_getattr");
        ok(attr.sched_policy == SCHED_BATCH && attr.sched_nice == 6, "… tells all");
        attr.sched_nice = 7;
        is_int(RAW(SYS_sched_setattr, child.pid, &attr, 0), 0, "sched_setattr");
        is_int(RAW(SYS_getpriority, PRIO_PROCESS, child.pid), 13, "… sets it");
        attr.size = 5000;
        is_int(RAW(SYS_sched_setattr, child.pid, &attr, 0), -E2BIG, "a large one");
        ok(attr.size >= 48 && attr.size < 5000, "… is told the size");
        is_int(RAW(SYS_sched_getscheduler, 4999999), -ESRCH, "of nobody");
        is_int(RAW(SYS_sched_getscheduler, -1), -EINVAL, "of -1");
        is_int(RAW(SYS_sched_getparam, child.pid, NULL), -EINVAL, "to NULL");
        is_int(RAW(SYS_sched_getparam, child.pid, page_unmapped()), -EFAULT, "to nowhere");
        is_int(RAW(SYS_sched_setattr, 4999999, &(struct sched_attr_v0) { .size = 48 }, 0), -ESRCH, "of nobody");

        is_int(RAW(SYS_prlimit64, child.pid, RLIMIT_CORE, NULL, &limit), 0, "prlimit");
        set = (struct rlimit) { 0, limit.rlim_max };
        is_int(RAW(SYS_prlimit64, child.pid, RLIMIT_CORE, &set, &limit), 0, "… sets");
        is_int(RAW(SYS_prlimit64, child.pid, RLIMIT_CORE, NULL, &limit), 0, "… and");
        is_int((intmax_t) limit.rlim_cur, 0, "… it is kept");
        is_int(RAW(SYS_prlimit64, 4999999, RLIMIT_CORE, NULL, &limit), -ESRCH, "of nobody");
        is_int(RAW(SYS_prlimit64, child.pid, 99, NULL, &limit), -EINVAL, "of nothing");
        is_int(RAW(SYS_prlimit64, child.pid, RLIMIT_CORE, page_unmapped(), NULL), -EFAULT, "from nowhere");
        is_int(RAW(SYS_prlimit64, getpid(), RLIMIT_CORE, NULL, &limit), 0, "of ourselves, by number");
        is_int(RAW(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &limit), 0, "and without");
        is_int(RAW(SYS_kcmp, getpid(), 4999999, 0, 0, 0), -ESRCH, "kcmp with nobody");
        child_end(&child);
}

int main(void) {
        int fd;

        /* A session of our own where we can have one: the group we were started in may hold others. */
        if (getpid() != getpgrp())
                setpgid(0, 0);
        test_kill();
        is_int(child_exit(own_group, NULL), 0, "a signal to the own group is there when kill returns");
        test_threads();
        test_queue();
        test_others();

        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        is_int(fcntl(fd, F_SETOWN, getpid()), 0, "SIGIO for ourselves");
        is_int(fcntl(fd, F_GETOWN), getpid(), "is kept");
        is_int(fcntl(fd, F_SETOWN, 0), 0, "and taken back");
        is_int(fcntl(fd, F_SETOWN, 4999999), -1, "for nobody");
        return tap_done();
}
