/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a task may do to others: signals, priorities and limits where tasks go by the host's numbers, and tracing by
 * the scope of the sandbox. On a fake host, whose tasks are these:
 *
 *     1000 ── 1001 (a thread)        in group 1000, as is 500, which is outside
 *      ├─ 1010 ── 1020               in group 1010
 *      └─ 1030                       in group 1000
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <sys/resource.h>

#include "tap.h"
#include "fake-host.h"

static Kernel *kernel_with_tasks(FakeHost *fake) {
        Kernel *kernel = fake_kernel(fake);

        fake_peer_add(fake, 1001, 1000, 1, 1000);
        fake_peer_add(fake, 1010, 1010, 1000, 1010);
        fake_peer_add(fake, 1020, 1020, 1010, 1010);
        fake_peer_add(fake, 1030, 1030, 1000, 1000);
        fake_peer_add(fake, 500, 500, 1, 1000)->outside = true;
        kernel->emulated_capabilities = 0;
        return kernel;
}

#define CONTINUES(verdict, ...) is_int((verdict).kind, VERDICT_CONTINUE, __VA_ARGS__)
#define FAILS(verdict, error, ...) do {                                                 \
                Verdict v_ = (verdict);                                                 \
                is_int(v_.kind == VERDICT_ERROR ? v_.value : -v_.kind, error, __VA_ARGS__); \
        } while (0)
#define SUCCEEDS(verdict, ...) do {                                                     \
                Verdict v_ = (verdict);                                                 \
                is_int(v_.kind == VERDICT_VALUE ? v_.value : -1, 0, __VA_ARGS__);       \
        } while (0)
#define SENT(pid) fake_peer(&fake, pid)->n_signals

static void test_kill(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        CONTINUES(fake_call(kernel, "kill", 1000, SIGTERM, 0), "a signal to oneself is the host's");
        CONTINUES(fake_call4(kernel, 1001, "kill", 1000, SIGTERM, 0, 0), "of another thread too");
        CONTINUES(fake_call4(kernel, 1001, "kill", 1001, SIGTERM, 0, 0), "by the thread's own number too");
        SUCCEEDS(fake_call4(kernel, 1000, "kill", 1001, SIGTERM, 0, 0), "a thread's number means its process");
        is_int(SENT(1000), 1, "which gets it");
        SUCCEEDS(fake_call(kernel, "kill", 1010, SIGTERM, 0), "to another");
        is_int(SENT(1010), 1, "it is sent");
        is_int(fake_peer(&fake, 1010)->last_sender, 1000, "in the sender's name");
        is_int(fake_peer(&fake, 1010)->last_code, SI_QUEUE, "with the code that may say so");
        FAILS(fake_call(kernel, "kill", 500, SIGTERM, 0), ESRCH, "who is outside is not there");
        FAILS(fake_call(kernel, "kill", 500, 99, 0), ESRCH, "whatever the signal");
        FAILS(fake_call(kernel, "kill", 1010, 99, 0), EINVAL, "no such signal");
        FAILS(fake_call(kernel, "kill", 1010, UINT64_MAX, 0), EINVAL, "no such signal, -1");
        SUCCEEDS(fake_call(kernel, "kill", 1010, 0, 0), "0 asks");
        FAILS(fake_call(kernel, "kill", (uint64_t) INT32_MIN, SIGTERM, 0), ESRCH, "the least number");

        fake_peer(&fake, 1030)->error = -EAGAIN;
        SUCCEEDS(fake_call(kernel, "kill", 1030, SIGRTMIN, 0), "when the queue is full");
        is_int(fake_peer(&fake, 1030)->last_sender, 0, "it is sent without a siginfo");
        kernel_free(kernel);
}

static void test_kill_many(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        SUCCEEDS(fake_call(kernel, "kill", 0, SIGUSR1, 0), "to the own group");
        ok(SENT(1000) == 1 && SENT(1030) == 1 && SENT(1010) == 0 && SENT(1001) == 0, "it goes to the processes of it");
        is_int(SENT(500), 0, "but not to who is outside");
        SUCCEEDS(fake_call(kernel, "kill", (uint64_t) -1010, SIGUSR1, 0), "to another group");
        ok(SENT(1010) == 1 && SENT(1020) == 1 && SENT(1000) == 1, "likewise");
        FAILS(fake_call(kernel, "kill", (uint64_t) -77, SIGUSR1, 0), ESRCH, "a group that is not there");
        FAILS(fake_call(kernel, "kill", (uint64_t) -1010, 99, 0), EINVAL, "no such signal");
        FAILS(fake_call(kernel, "kill", (uint64_t) -77, 99, 0), ESRCH, "no such signal to no such group");

        fake_peer_add(&fake, 1040, 1040, 1010, 1010);
        fake.n_looks = 0;
        fake.n_late = 1;
        SUCCEEDS(fake_call(kernel, "kill", (uint64_t) -1, SIGUSR2, 0), "to all");
        ok(SENT(1000) == 1 && SENT(1010) == 2 && SENT(1020) == 2 && SENT(1030) == 2, "once each, but the caller");
        is_int(SENT(1040), 1, "whoever is born meanwhile too");
        is_int(SENT(500), 0, "nobody outside");
        FAILS(fake_call(kernel, "kill", (uint64_t) -1, 99, 0), EINVAL, "no such signal");

        fake_peer(&fake, 1010)->error = -EPERM;
        SUCCEEDS(fake_call(kernel, "kill", (uint64_t) -1010, SIGUSR1, 0), "one of a group that fails does no harm");
        kernel_free(kernel);

        kernel = fake_kernel(&fake);
        FAILS(fake_call(kernel, "kill", (uint64_t) -1, SIGUSR1, 0), ESRCH, "all, when there is only the caller");
        kernel_free(kernel);
}

static void test_threads(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        CONTINUES(fake_call(kernel, "tkill", 1000, SIGTERM, 0), "tkill to oneself");
        SUCCEEDS(fake_call(kernel, "tkill", 1001, SIGTERM, 0), "to a sibling");
        is_int(SENT(1001), 1, "it is sent");
        FAILS(fake_call(kernel, "tkill", 0, SIGTERM, 0), EINVAL, "tkill 0");
        FAILS(fake_call(kernel, "tkill", (uint64_t) -1, SIGTERM, 0), EINVAL, "tkill -1");
        FAILS(fake_call(kernel, "tkill", 500, SIGTERM, 0), ESRCH, "outside");
        CONTINUES(fake_call(kernel, "tgkill", 1000, 1001, SIGTERM), "tgkill in the own process");
        CONTINUES(fake_call(kernel, "tgkill", 1000, 9999, SIGTERM), "whatever the thread");
        SUCCEEDS(fake_call(kernel, "tgkill", 1010, 1010, SIGTERM), "in another");
        FAILS(fake_call(kernel, "tgkill", 1010, 1020, SIGTERM), ESRCH, "of which it is no thread");
        FAILS(fake_call(kernel, "tgkill", 500, 500, SIGTERM), ESRCH, "outside");
        FAILS(fake_call(kernel, "tgkill", 0, 1010, SIGTERM), EINVAL, "tgkill 0");
        FAILS(fake_call(kernel, "tgkill", 1010, 0, SIGTERM), EINVAL, "tgkill thread 0");
        FAILS(fake_call(kernel, "tgkill", 1010, 1010, 65), EINVAL, "no such signal");
        kernel_free(kernel);
}

static void test_sigqueue(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);
        AbiSiginfo *info = (AbiSiginfo *) (void *) fake.memory;

        *info = (AbiSiginfo) { .code = SI_QUEUE, .pid = 42 };
        SUCCEEDS(fake_call(kernel, "rt_sigqueueinfo", 1010, SIGRTMIN, GUEST_BASE), "a siginfo of one's own");
        is_int(fake_peer(&fake, 1010)->last_sender, 42, "arrives as it is");
        SUCCEEDS(fake_call4(kernel, FAKE_TID, "rt_tgsigqueueinfo", 1010, 1010, SIGRTMIN, GUEST_BASE), "to a thread");
        info->code = SI_USER;
        FAILS(fake_call(kernel, "rt_sigqueueinfo", 1010, SIGRTMIN, GUEST_BASE), EPERM, "SI_USER is a lie");
        info->code = SI_TKILL;
        FAILS(fake_call(kernel, "rt_sigqueueinfo", 1010, SIGRTMIN, GUEST_BASE), EPERM, "SI_TKILL too");
        FAILS(fake_call4(kernel, FAKE_TID, "rt_tgsigqueueinfo", 1010, 1010, SIGRTMIN, GUEST_BASE), EPERM,
              "to a thread too");
        CONTINUES(fake_call(kernel, "rt_sigqueueinfo", 1000, SIGRTMIN, GUEST_BASE), "to oneself the host knows");
        info->code = SI_QUEUE;
        FAILS(fake_call(kernel, "rt_sigqueueinfo", 500, SIGRTMIN, GUEST_BASE), ESRCH, "outside");
        FAILS(fake_call(kernel, "rt_sigqueueinfo", (uint64_t) -1, SIGRTMIN, GUEST_BASE), ESRCH, "-1 is nobody");
        FAILS(fake_call(kernel, "rt_sigqueueinfo", 1010, SIGRTMIN, 1), EFAULT, "no siginfo");
        FAILS(fake_call4(kernel, FAKE_TID, "rt_tgsigqueueinfo", 1010, 0, SIGRTMIN, GUEST_BASE), EINVAL, "thread 0");
        kernel_free(kernel);
}

static void test_pidfds(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);
        AbiSiginfo *info = (AbiSiginfo *) (void *) fake.memory;
        Verdict verdict;

        fake.pidfds[1] = 1010;
        fake.pidfds[2] = 500;
        verdict = fake_call(kernel, "pidfd_open", 1010, 0, 0);
        ok(verdict.kind == VERDICT_FD && verdict.host_fd == 2010 && verdict.value == O_CLOEXEC, "pidfd_open");
        FAILS(fake_call(kernel, "pidfd_open", 500, 0, 0), ESRCH, "of who is outside");
        FAILS(fake_call(kernel, "pidfd_open", 0, 0, 0), EINVAL, "of 0");
        FAILS(fake_call(kernel, "pidfd_open", 1010, 1, 0), EINVAL, "with a strange flag");

        SUCCEEDS(fake_call(kernel, "pidfd_send_signal", 1, SIGUSR1, 0), "a signal by pidfd");
        is_int(fake_peer(&fake, 1010)->last_sender, 1000, "names its sender");
        FAILS(fake_call(kernel, "pidfd_send_signal", 2, SIGUSR1, 0), ESRCH, "by one of an outsider's");
        FAILS(fake_call(kernel, "pidfd_send_signal", 3, SIGUSR1, 0), EBADF, "by none");
        FAILS(fake_call4(kernel, FAKE_TID, "pidfd_send_signal", 1, SIGUSR1, 0, 8), EINVAL, "a strange flag");
        FAILS(fake_call4(kernel, FAKE_TID, "pidfd_send_signal", 1, SIGUSR1, 0, 3), EINVAL, "two flags");
        SUCCEEDS(fake_call4(kernel, FAKE_TID, "pidfd_send_signal", 1, SIGUSR1, 0, 4), "to its group");
        is_int(SENT(1020), 1, "which gets it");
        CONTINUES(fake_call(kernel, "pidfd_send_signal", (uint64_t) -10001, SIGUSR1, 0), "to oneself");
        *info = (AbiSiginfo) { .signo = SIGUSR2, .code = SI_QUEUE };
        FAILS(fake_call(kernel, "pidfd_send_signal", 1, SIGUSR1, GUEST_BASE), EINVAL, "a siginfo of another signal");
        info->code = SI_USER;
        FAILS(fake_call(kernel, "pidfd_send_signal", 1, SIGUSR2, GUEST_BASE), EPERM, "one that lies");

        CONTINUES(fake_call(kernel, "process_mrelease", 1, 0, 0), "process_mrelease");
        FAILS(fake_call(kernel, "process_mrelease", 2, 0, 0), ESRCH, "of an outsider");
        CONTINUES(fake_call(kernel, "process_madvise", 1, 0, 0), "process_madvise");
        CONTINUES(fake_call(kernel, "pidfd_getfd", 1, 0, 0), "pidfd_getfd from a child");
        FAILS(fake_call4(kernel, 1010, "pidfd_getfd", 2, 0, 0, 0), ESRCH, "from an outsider");
        fake.pidfds[1] = 1000;
        FAILS(fake_call4(kernel, 1010, "pidfd_getfd", 1, 0, 0, 0), EPERM, "from a parent");
        kernel_free(kernel);
}

static void test_priority(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        fake_peer(&fake, 1020)->nice = 5;
        is_int(fake_call(kernel, "getpriority", PRIO_PROCESS, 1020, 0).value, 15, "getpriority");
        FAILS(fake_call(kernel, "getpriority", PRIO_PROCESS, 500, 0), ESRCH, "outside");
        FAILS(fake_call(kernel, "getpriority", 3, 0, 0), EINVAL, "of what?");
        is_int(fake_call(kernel, "getpriority", PRIO_PGRP, 1010, 0).value, 20, "of a group: the best");
        is_int(fake_call(kernel, "getpriority", PRIO_USER, 0, 0).value, 20, "of the user");
        FAILS(fake_call(kernel, "getpriority", PRIO_USER, 77, 0), ESRCH, "of another user");
        FAILS(fake_call(kernel, "getpriority", PRIO_PGRP, 77, 0), ESRCH, "of no group");
        FAILS(fake_call(kernel, "getpriority", PRIO_PGRP, (uint64_t) -1, 0), ESRCH, "of a strange group");
        FAILS(fake_call(kernel, "setpriority", PRIO_PGRP, 1010, 3), EACCES, "one cannot");
        is_int(fake_peer(&fake, 1010)->nice, 3, "the other is set");
        SUCCEEDS(fake_call(kernel, "setpriority", PRIO_PGRP, 0, 7), "the own group");
        ok(fake_peer(&fake, 1001)->nice == 7 && fake_peer(&fake, 1030)->nice == 7, "with its threads");
        is_int(fake_peer(&fake, 500)->nice, 0, "without who is outside");
        SUCCEEDS(fake_call(kernel, "ioprio_set", 2, 1010, 0x4005), "ioprio_set");
        fake_peer(&fake, 1020)->ioprio = 0x4003;
        is_int(fake_call(kernel, "ioprio_get", 2, 1010, 0).value, 0x4003, "ioprio_get: the best");
        FAILS(fake_call(kernel, "ioprio_get", 0, 0, 0), EINVAL, "of what?");
        FAILS(fake_call(kernel, "ioprio_get", 1, 500, 0), ESRCH, "outside");

        CONTINUES(fake_call(kernel, "sched_getscheduler", 1000, 0, 0), "of oneself the host tells");
        SUCCEEDS(fake_call(kernel, "sched_getscheduler", 1010, 0, 0), "of others we");
        FAILS(fake_call(kernel, "sched_getscheduler", 500, 0, 0), ESRCH, "but of outsiders");
        FAILS(fake_call(kernel, "sched_getscheduler", (uint64_t) -1, 0, 0), EINVAL, "and -1");
        FAILS(fake_call(kernel, "sched_setscheduler", 500, 0, GUEST_BASE), ESRCH, "sched_setscheduler");
        FAILS(fake_call(kernel, "sched_setscheduler", 1010, 0, 1), EFAULT, "without parameters");
        FAILS(fake_call(kernel, "sched_setparam", 1010, 0, 0), EINVAL, "sched_setparam with NULL");
        FAILS(fake_call(kernel, "sched_getparam", 1010, 1, 0), EFAULT, "sched_getparam to nowhere");
        SUCCEEDS(fake_call(kernel, "sched_rr_get_interval", 1010, GUEST_BASE, 0), "sched_rr_get_interval");
        SUCCEEDS(fake_call4(kernel, FAKE_TID, "sched_getattr", 1010, GUEST_BASE, 56, 0), "sched_getattr");
        ok(fake.memory[47] == 'a' && fake.memory[48] == 0, "as much as there is");
        FAILS(fake_call4(kernel, FAKE_TID, "sched_getattr", 1010, GUEST_BASE, 4097, 0), EINVAL, "a page at most");
        FAILS(fake_call4(kernel, FAKE_TID, "sched_getattr", 1010, GUEST_BASE, 47, 0), EINVAL, "48 at least");
        SUCCEEDS(fake_call(kernel, "sched_setattr", 1010, GUEST_BASE, 0), "sched_setattr");
        memset(fake.memory, 0, 4);
        SUCCEEDS(fake_call(kernel, "sched_setattr", 1010, GUEST_BASE, 0), "size 0 means the first version");
        memcpy(fake.memory, &(uint32_t) { 4097 }, 4);
        FAILS(fake_call(kernel, "sched_setattr", 1010, GUEST_BASE, 0), E2BIG, "too large");
        memcpy(fake.memory, &(uint32_t) { 64 }, 4);
        FAILS(fake_call(kernel, "sched_setattr", 1010, GUEST_BASE, 0), E2BIG, "larger than the host knows");
        is_int(fake.memory[0], 56, "whose size is told");

        CONTINUES(fake_call4(kernel, 1001, "prlimit64", 1000, RLIMIT_NOFILE, 0, 0), "prlimit of the own process");
        SUCCEEDS(fake_call4(kernel, FAKE_TID, "prlimit64", 1010, RLIMIT_NOFILE, 0, GUEST_BASE), "of another");
        is_int(fake.memory[15], 'l', "is written");
        FAILS(fake_call4(kernel, FAKE_TID, "prlimit64", 500, RLIMIT_NOFILE, 0, GUEST_BASE), ESRCH, "outside");
        FAILS(fake_call4(kernel, FAKE_TID, "prlimit64", 1010, 16, 0, GUEST_BASE), EINVAL, "of no such limit");
        kernel_free(kernel);
}

static void test_groups(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        CONTINUES(fake_call(kernel, "getpgid", 1010, 0, 0), "getpgid");
        FAILS(fake_call(kernel, "getpgid", 500, 0, 0), ESRCH, "outside");
        FAILS(fake_call(kernel, "getsid", 500, 0, 0), ESRCH, "getsid");
        FAILS(fake_call(kernel, "getsid", (uint64_t) -1, 0, 0), ESRCH, "of -1");
        CONTINUES(fake_call(kernel, "setpgid", 0, 0, 0), "a group of one's own");
        CONTINUES(fake_call(kernel, "setpgid", 1010, 1010, 0), "of a child");
        CONTINUES(fake_call(kernel, "setpgid", 1030, 1010, 0), "one that is there");
        FAILS(fake_call(kernel, "setpgid", 1030, 500, 0), EPERM, "one that is not ours");
        FAILS(fake_call(kernel, "setpgid", 500, 500, 0), ESRCH, "of an outsider");
        FAILS(fake_call(kernel, "setpgid", 0, (uint64_t) -1, 0), EINVAL, "-1");
        FAILS(fake_call(kernel, "kcmp", 1000, 500, 0), ESRCH, "kcmp");
        CONTINUES(fake_call(kernel, "kcmp", 1000, 1010, 0), "within");
        CONTINUES(fake_call(kernel, "fcntl", 0, F_SETOWN, 1000), "SIGIO for oneself");
        CONTINUES(fake_call(kernel, "fcntl", 0, F_SETOWN, 0), "for nobody");
        FAILS(fake_call(kernel, "fcntl", 0, F_SETOWN, 500), ESRCH, "for an outsider");
        FAILS(fake_call(kernel, "fcntl", 0, F_SETOWN, (uint64_t) -1000), EPERM, "for a group");
        FAILS(fake_call(kernel, "fcntl", 0, F_SETOWN_EX, GUEST_BASE), EPERM, "for what memory says");
        kernel_free(kernel);
}

static Verdict attach(Kernel *kernel, HostTid tracer, HostTid tracee) {
        return fake_call4(kernel, tracer, "ptrace", PTRACE_ATTACH, (uint64_t) tracee, 0, 0);
}

static Verdict read_memory(Kernel *kernel, HostTid reader, HostTid pid, uint64_t n_remote) {
        Call call = {
                .tid = reader,
                .id = syscall_id_from_name("process_vm_readv"),
                .args = { (uint64_t) pid, GUEST_BASE, 1, GUEST_BASE, n_remote },
        };

        return syscall_dispatch(kernel, &call);
}

static Verdict set_ptracer(Kernel *kernel, HostTid tracee, int64_t tracer) {
        return fake_call4(kernel, tracee, "prctl", PR_SET_PTRACER, (uint64_t) tracer, 0, 0);
}

static void test_ptrace(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);

        CONTINUES(attach(kernel, 1000, 1010), "scope 1: a child");
        CONTINUES(attach(kernel, 1001, 1020), "a grandchild, by a thread");
        CONTINUES(attach(kernel, 1001, 1000), "the own process: the host says what it says");
        FAILS(attach(kernel, 1010, 1000), EPERM, "not the parent");
        FAILS(attach(kernel, 1030, 1010), EPERM, "nor a sibling");
        FAILS(attach(kernel, 1000, 500), ESRCH, "who is outside is not there");
        FAILS(attach(kernel, 1000, 0), ESRCH, "nor is 0");
        FAILS(attach(kernel, 1000, -1), ESRCH, "nor -1");
        FAILS(fake_call4(kernel, 1030, "ptrace", PTRACE_SEIZE, 1010, 0, 0), EPERM, "seizing is the same");
        CONTINUES(fake_call4(kernel, 1030, "ptrace", PTRACE_SEIZE, 1010, 1, 0),
                  "but for an address, which is an error");
        CONTINUES(fake_call4(kernel, 1010, "ptrace", PTRACE_TRACEME, 0, 0, 0), "TRACEME");
        FAILS(read_memory(kernel, 1030, 1010, 1), EPERM, "memory likewise");
        CONTINUES(read_memory(kernel, 1030, 1010, 0), "none of it is nothing");
        fake_peer(&fake, 1010)->info.tracer = 1030;
        CONTINUES(attach(kernel, 1030, 1010), "who traces already");
        fake_peer(&fake, 1010)->info.tracer = 0;

        SUCCEEDS(set_ptracer(kernel, 1010, 1030), "PR_SET_PTRACER");
        CONTINUES(attach(kernel, 1030, 1010), "the exception");
        fake_peer_add(&fake, 1050, 1050, 1030, 1000);
        CONTINUES(attach(kernel, 1050, 1010), "its descendants");
        FAILS(attach(kernel, 1020, 1010), EPERM, "no other");
        FAILS(attach(kernel, 1030, 1020), EPERM, "no descendant of the tracee");
        fake_peer(&fake, 1030)->info.start++;
        FAILS(attach(kernel, 1030, 1010), EPERM, "nor who got the exception's number");
        fake_peer(&fake, 1030)->info.start--;
        fake_peer(&fake, 1010)->info.start++;
        FAILS(attach(kernel, 1030, 1010), EPERM, "nor to who got the tracee's");
        SUCCEEDS(set_ptracer(kernel, 1010, -1), "anyone");
        is_int(kernel->ptrace.n_exceptions, 1, "instead of the other");
        CONTINUES(attach(kernel, 1020, 1010), "may");
        SUCCEEDS(set_ptracer(kernel, 1010, 0), "nobody");
        FAILS(attach(kernel, 1020, 1010), EPERM, "may");
        is_int(kernel->ptrace.n_exceptions, 0, "and none is kept");
        FAILS(set_ptracer(kernel, 1010, 500), EINVAL, "an outsider");
        FAILS(set_ptracer(kernel, 1010, 9999), EINVAL, "nobody we know");
        CONTINUES(fake_call(kernel, "prctl", PR_SET_NAME, 0, 0), "other options");
        fake.has_ptrace_scope = true;
        CONTINUES(set_ptracer(kernel, 1010, -1), "a host that has a scope is told too");

        kernel->ptrace.scope = PTRACE_SCOPE_CAPABILITY;
        FAILS(attach(kernel, 1020, 1010), EPERM, "scope 2: exceptions do not count");
        FAILS(attach(kernel, 1000, 1010), EPERM, "nor do ancestors");
        FAILS(fake_call4(kernel, 1010, "ptrace", PTRACE_TRACEME, 0, 0, 0), EPERM, "nor a parent without capability");
        CONTINUES(read_memory(kernel, 1001, 1000, 1), "the own memory is one's own");
        fake_peer(&fake, 1000)->info.capabilities = UINT64_C(1) << CAP_SYS_PTRACE;
        CONTINUES(attach(kernel, 1000, 1010), "with the capability");
        CONTINUES(fake_call4(kernel, 1010, "ptrace", PTRACE_TRACEME, 0, 0, 0), "TRACEME with the parent's");
        kernel->ptrace.scope = PTRACE_SCOPE_NONE;
        FAILS(attach(kernel, 1000, 1010), EPERM, "scope 3: nobody");
        FAILS(fake_call4(kernel, 1010, "ptrace", PTRACE_TRACEME, 0, 0, 0), EPERM, "nor TRACEME");
        kernel->ptrace.scope = PTRACE_SCOPE_CLASSIC;
        CONTINUES(attach(kernel, 1030, 1010), "scope 0: whom the host lets");
        kernel_free(kernel);
}

static void test_exceptions(void) {
        FakeHost fake;
        Kernel *kernel = kernel_with_tasks(&fake);
        unsigned n = 0;

        /* One process after the other, each with a number of its own, as a guest that forks all the time. */
        for (int i = 0; i < 20000; i++) {
                fake_peer(&fake, 1000)->info.start++;
                fake.peers[2].info = (HostPeer) { .tid = 2000 + i, .tgid = 2000 + i, .parent = 1000, .group = 1000 };
                if (set_ptracer(kernel, 2000 + i, -1).kind == VERDICT_VALUE)
                        n++;
        }
        is_int(n, 20000, "exceptions of the dead make room");
        ok(kernel->ptrace.n_exceptions <= PTRACE_EXCEPTIONS_MAX, "in time");
        kernel_free(kernel);
}

int main(void) {
        test_kill();
        test_kill_many();
        test_threads();
        test_sigqueue();
        test_pidfds();
        test_priority();
        test_groups();
        test_ptrace();
        test_exceptions();
        return tap_done();
}
