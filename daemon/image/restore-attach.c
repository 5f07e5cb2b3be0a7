/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first process of a sandbox that is being restored: how it is taken over from sentry-stub. */

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "restore-internal.h"
#include "util.h"

#define KNOCK_TIMEOUT_MSEC 30000
#define OPTIONS (INJECT_OPTIONS | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)
#define MAPS_MAX (1U << 20)
#define ADDRESS_END 0x7ffffffff000U /* of user space, with four levels of page tables */

#ifndef CAP_SETPCAP
#  define CAP_SETPCAP 8
#endif
#define CAP_CHECKPOINT_RESTORE_BIT 40

/* What a call that was received is answered: the host shall run it. Before that, whatever is to be given away. */
static int answer_one(RestoreAnswers *answers, pid_t *ret_tid) {
        union {
                struct seccomp_notif notification;
                char room[512]; /* the kernel's may be larger than ours */
        } received = {};
        union {
                struct seccomp_notif_resp answer;
                char room[512];
        } answer = {};

        if (ioctl(answers->listener, SECCOMP_IOCTL_NOTIF_RECV, &received) < 0)
                return errno == EINTR || errno == ENOENT ? -EAGAIN : -errno;
        if (ret_tid) {
                *ret_tid = (pid_t) received.notification.pid;
                if (ptrace(PTRACE_SEIZE, *ret_tid, NULL, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, *ret_tid, NULL, NULL) < 0)
                        return -errno;
        }

        (void) pthread_mutex_lock(&answers->lock);
        if (answers->give_fd >= 0) {
                struct seccomp_notif_addfd add = {
                        .id = received.notification.id,
                        .flags = SECCOMP_ADDFD_FLAG_SETFD,
                        .srcfd = (uint32_t) answers->give_fd,
                        .newfd = (uint32_t) answers->give_number,
                };

                answers->give_result = ioctl(answers->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
                answers->give_fd = -EBADF;
        }
        (void) pthread_mutex_unlock(&answers->lock);

        answer.answer.id = received.notification.id;
        answer.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        if (ioctl(answers->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

static void *answers_main(void *userdata) {
        RestoreAnswers *answers = userdata;

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = answers->stop_fds[0], .events = POLLIN },
                        { .fd = answers->listener, .events = POLLIN },
                };
                int r;

                if (poll(fds, ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
                        return NULL;
                if (fds[0].revents)
                        return NULL;
                r = fds[1].revents & POLLIN ? answer_one(answers, NULL) : 0;
                /* Without a listener's other side there is nobody left who could wait for us. */
                if ((r < 0 && r != -EAGAIN) || (fds[1].revents & (POLLHUP | POLLERR)))
                        return NULL;
        }
}

void restore_detach_answers(Restore *restore) {
        RestoreAnswers *answers = &restore->answers;

        answers->stop_fds[1] = safe_close(answers->stop_fds[1]);
        if (answers->runs)
                (void) pthread_join(answers->thread, NULL);
        answers->runs = false;
        answers->stop_fds[0] = safe_close(answers->stop_fds[0]);
}

/* sentry-stub's argument: the numbers of its status pipe and of the files that choose ids. */
static int find_numbers(Restore *restore) {
        _cleanup_close_ int pidfd = -EBADF;
        _cleanup_free_ char *text = NULL;
        char path[64];
        size_t size;
        int number, ids[3], r;

        (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) restore->options.init);
        r = read_full_file(path, 4096, &text, &size);
        if (r < 0)
                return r;
        if (strlen(text) + 1 >= size || sscanf(text + strlen(text) + 1, "%d,%d,%d,%d", &number, &ids[0], &ids[1], &ids[2]) != 4)
                return -EBADMSG;
        memcpy(restore->next_id_numbers, ids, sizeof(ids));

        pidfd = (int) syscall(SYS_pidfd_open, restore->options.init, 0);
        if (pidfd < 0)
                return -errno;
        restore->status_number = number;
        restore->status_fd = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);
        return restore->status_fd < 0 ? -errno : 0;
}

int restore_attach(Restore *restore) {
        RestoreAnswers *answers = &restore->answers;
        RestoreProcess *init = &restore->processes[0];
        struct pollfd knock = { .fd = answers->listener, .events = POLLIN };
        struct user_regs_struct regs;
        struct iovec iov = { &regs, sizeof(regs) };
        struct rlimit limit;
        pid_t tid = 0;
        uint64_t address;
        int status, r;

        /* Its first call: it has exec'ed then, and is within reach. */
        do
                r = poll(&knock, 1, KNOCK_TIMEOUT_MSEC);
        while (r < 0 && errno == EINTR);
        if (r <= 0)
                return restore_fail(restore, r == 0 ? -ETIMEDOUT : -errno, "the first process did not start");
        r = answer_one(answers, &tid);
        if (r < 0 || tid != restore->options.init)
                return restore_fail(restore, r < 0 ? r : -ESRCH, "cannot take over the first process");
        if (waitpid(tid, &status, __WALL) < 0 || !WIFSTOPPED(status))
                return restore_fail(restore, -ESRCH, "the first process died");
        if (ptrace(PTRACE_GETREGSET, tid, 1 /* NT_PRSTATUS */, &iov) < 0)
                return restore_fail(restore, -errno, "cannot read the first process's registers");

        init->inject = (Inject) { .tid = tid, .ip = regs.rip - INJECT_SYSCALL_SIZE };
        init->threads[0] = tid;
        r = inject_set_mask(tid, ~UINT64_C(0));
        if (r < 0)
                return restore_fail(restore, r, "cannot block signals");
        r = find_numbers(restore);
        if (r < 0)
                return restore_fail(restore, r, "cannot find the launcher's pipe");

        if (pipe2(answers->stop_fds, O_CLOEXEC) < 0)
                return restore_fail(restore, -errno, "cannot make a pipe");
        r = pthread_create(&answers->thread, NULL, answers_main, answers);
        if (r != 0)
                return restore_fail(restore, -r, "cannot start a thread");
        answers->runs = true;

        /* Memory to put arguments in comes first, in a place that stays. */
        if (restore_call(restore, init, "map memory for arguments", SYS_mmap, restore->scratch, RESTORE_SCRATCH_SIZE,
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t) -1, 0) < 0)
                return -EIO;

        /* What nobody in there shall have, though they could not use it: new privileges are off. */
        if (restore_call(restore, init, "drop a capability", SYS_prctl, PR_CAPBSET_DROP, CAP_CHECKPOINT_RESTORE_BIT) < 0)
                return -EIO;

        limit = (struct rlimit) {};
        r = restore_put(restore, init, 0, &limit, sizeof(limit), &address);
        if (r < 0)
                return r;
        if (restore_call(restore, init, "read a limit", SYS_prlimit64, 0, RLIMIT_NOFILE, 0, address) < 0)
                return -EIO;
        r = inject_read(tid, address, &limit, sizeof(limit));
        if (r < 0)
                return restore_fail(restore, r, "cannot read a limit");
        limit.rlim_cur = limit.rlim_max;
        r = restore_put(restore, init, 0, &limit, sizeof(limit), &address);
        if (r < 0)
                return r;
        if (restore_call(restore, init, "raise a limit", SYS_prlimit64, 0, RLIMIT_NOFILE, address, 0) < 0)
                return -EIO;
        return 0;
}

int restore_give_fd(Restore *restore, RestoreProcess *process, int fd, int number) {
        RestoreAnswers *answers = &restore->answers;
        int r;

        (void) pthread_mutex_lock(&answers->lock);
        answers->give_fd = fd;
        answers->give_number = number;
        answers->give_result = -ENOSYS;
        (void) pthread_mutex_unlock(&answers->lock);

        /* Any call that is notified. It fails, for want of an address. */
        r = (int) inject_call(&process->inject, SYS_uname, 0);
        if (r == -ESRCH)
                return restore_fail(restore, r, "process %d died", process->image->pid);

        (void) pthread_mutex_lock(&answers->lock);
        r = answers->give_result;
        answers->give_fd = -EBADF;
        (void) pthread_mutex_unlock(&answers->lock);
        if (r < 0)
                return restore_fail(restore, r, "cannot pass descriptor %d into the sandbox (its limit of open files is %s)", number,
                                    r == -EBADF ? "too low" : "another matter");
        return 0;
}

static int find_specials(Restore *restore, uint64_t starts[static RESTORE_SPECIALS_MAX]) {
        _cleanup_free_ char *text = NULL;
        char path[64], *state = NULL;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) restore->options.init);
        r = read_full_file(path, MAPS_MAX, &text, NULL);
        if (r < 0)
                return restore_fail(restore, r, "cannot read the first process's maps");
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *name = strchr(line, '[');
                RestoreSpecial *special;
                uint64_t start, end;

                if (!name || (!startswith(name, "[vvar") && !streq(name, "[vdso]")))
                        continue;
                if (sscanf(line, "%lx-%lx", &start, &end) != 2 || restore->n_specials == RESTORE_SPECIALS_MAX)
                        return restore_fail(restore, -EOPNOTSUPP, "the maps of this kernel are not understood");
                special = &restore->specials[restore->n_specials];
                (void) snprintf(special->name, sizeof(special->name), "%s", name);
                special->size = end - start;
                starts[restore->n_specials++] = start;
        }
        return 0;
}

int restore_park(Restore *restore) {
        RestoreProcess *init = &restore->processes[0];
        uint64_t starts[RESTORE_SPECIALS_MAX], at = restore->scratch + RESTORE_SCRATCH_SIZE, ip;
        int r;

        r = find_specials(restore, starts);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < restore->n_specials; i++) {
                RestoreSpecial *special = &restore->specials[i];

                if (at + special->size > restore->park + restore->park_size)
                        return restore_fail(restore, -EOPNOTSUPP, "%s of this kernel is too large", special->name);
                if (restore_call(restore, init, "move what the kernel mapped", SYS_mremap, starts[i], special->size, special->size,
                                 MREMAP_MAYMOVE | MREMAP_FIXED, at) < 0)
                        return -EIO;
                special->parked = at;
                at += special->size;
                if (streq(special->name, "[vdso]"))
                        restore->vdso_parked = special->parked;
        }
        if (restore->vdso_parked == 0)
                return restore_fail(restore, -EOPNOTSUPP, "the first process has no vDSO");
        r = inject_find_syscall(init->inject.tid, restore->vdso_parked, IMAGE_PAGE, &ip);
        if (r < 0)
                return restore_fail(restore, r, "the vDSO has no system call");
        restore->ip_offset = ip - restore->vdso_parked;
        init->inject.ip = ip;
        init->inject.stack = restore->scratch + RESTORE_SCRATCH_SIZE - 128;

        /* The rest of it, sentry-stub, goes. */
        if (restore_call(restore, init, "unmap memory", SYS_munmap, 0, restore->park) < 0 ||
            restore_call(restore, init, "unmap memory", SYS_munmap, at, ADDRESS_END - at) < 0)
                return -EIO;
        return 0;
}
