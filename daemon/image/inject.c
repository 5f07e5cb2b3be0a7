/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "inject.h"
#include "util.h"

#define XSTATE_MAX 65536U  /* bytes; the AMX tiles of today make it 11 KiB */
#define RETRIES_MAX 1000U  /* of a call that is interrupted again and again */
#define SYSCALL_STOP (SIGTRAP | 0x80)

/* What the kernel returns of a call that it would make again; linux/errno.h, not for user space. */
#define ERESTART_FIRST 512
#define ERESTART_LAST 516

int inject_state_get(pid_t tid, InjectState *ret) {
        _cleanup_free_ void *xstate = NULL;
        struct iovec iov;
        InjectState state = {};

        iov = (struct iovec) { &state.regs, sizeof(state.regs) };
        if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0)
                return -errno;
        if (iov.iov_len != sizeof(state.regs)) /* of a 32-bit task */
                return -EOPNOTSUPP;
        if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(state.mask), &state.mask) < 0)
                return -errno;

        xstate = malloc(XSTATE_MAX);
        if (!xstate)
                return -ENOMEM;
        iov = (struct iovec) { xstate, XSTATE_MAX };
        if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
                return -errno;
        state.xstate = realloc(xstate, iov.iov_len);
        if (!state.xstate)
                return -ENOMEM;
        (void) TAKE_PTR(xstate);
        state.xstate_size = iov.iov_len;

        *ret = state;
        return 0;
}

void inject_state_done(InjectState *state) {
        free(state->xstate);
        *state = (InjectState) {};
}

int inject_set_mask(pid_t tid, uint64_t mask) {
        return ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) < 0 ? -errno : 0;
}

int inject_find_syscall(pid_t tid, uint64_t address, size_t size, uint64_t *ret) {
        _cleanup_free_ uint8_t *text = malloc(size);
        int r;

        if (!text)
                return -ENOMEM;
        r = inject_read(tid, address, text, size);
        if (r < 0)
                return r;
        for (size_t i = 0; i + 1 < size; i++)
                if (text[i] == 0x0f && text[i + 1] == 0x05) {
                        *ret = address + i;
                        return 0;
                }
        return -ENOENT;
}

/* The next stop of the task. 0, or -ESRCH when it is dead. */
static int await(pid_t tid, int *ret_status) {
        int status;

        while (waitpid(tid, &status, __WALL) < 0)
                if (errno != EINTR)
                        return errno == ECHILD ? -ESRCH : -errno;
        if (!WIFSTOPPED(status))
                return -ESRCH;
        *ret_status = status;
        return 0;
}

/* From a stop over the entry of the call to its exit. */
static int run_call(Inject *inject) {
        for (unsigned stops = 0; stops < 2;) {
                unsigned long message;
                int status, event, r;

                if (ptrace(PTRACE_SYSCALL, inject->tid, NULL, NULL) < 0)
                        return -errno;
                r = await(inject->tid, &status);
                if (r < 0)
                        return r;

                event = status >> 16;
                if (WSTOPSIG(status) == SYSCALL_STOP)
                        stops++;
                else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
                        if (ptrace(PTRACE_GETEVENTMSG, inject->tid, NULL, &message) < 0)
                                return -errno;
                        inject->child = (pid_t) message;
                } else if (event == 0)
                        inject->signo = WSTOPSIG(status);
        }
        return 0;
}

int inject_syscall(Inject *inject, long number, const uint64_t arguments[static 6], int64_t *ret) {
        struct user_regs_struct regs;
        struct iovec iov = { &regs, sizeof(regs) };

        inject->child = 0;
        for (unsigned i = 0; i < RETRIES_MAX; i++) {
                int64_t result;
                int r;

                if (ptrace(PTRACE_GETREGSET, inject->tid, NT_PRSTATUS, &iov) < 0)
                        return -errno;
                regs.rip = inject->ip;
                if (inject->stack != 0)
                        regs.rsp = inject->stack;
                /* The call that the task may have been in is none of the kernel's business now. */
                regs.orig_rax = (unsigned long long) -1;
                regs.rax = (unsigned long long) number;
                regs.rdi = arguments[0];
                regs.rsi = arguments[1];
                regs.rdx = arguments[2];
                regs.r10 = arguments[3];
                regs.r8 = arguments[4];
                regs.r9 = arguments[5];
                if (ptrace(PTRACE_SETREGSET, inject->tid, NT_PRSTATUS, &iov) < 0)
                        return -errno;

                r = run_call(inject);
                if (r < 0)
                        return r;
                if (ptrace(PTRACE_GETREGSET, inject->tid, NT_PRSTATUS, &iov) < 0)
                        return -errno;
                result = (int64_t) regs.rax;
                if (result > -ERESTART_FIRST || result < -ERESTART_LAST) {
                        *ret = result;
                        return 0;
                }
        }
        return -ELOOP;
}

int64_t inject_call_array(Inject *inject, long number, const uint64_t arguments[static 6]) {
        int64_t result;
        int r;

        r = inject_syscall(inject, number, arguments, &result);
        return r < 0 ? r : result;
}

int inject_to_trap(pid_t tid) {
        int status, r;

        if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
                return -errno;
        do {
                if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
                        return -errno;
                r = await(tid, &status);
                if (r < 0)
                        return r;
        } while (status >> 16 != PTRACE_EVENT_STOP);
        return 0;
}

int inject_state_set(pid_t tid, const InjectState *state) {
        struct iovec iov = { (void *) &state->regs, sizeof(state->regs) };

        if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov) < 0)
                return -errno;
        iov = (struct iovec) { state->xstate, state->xstate_size };
        if (state->xstate && ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
                return -errno;
        return inject_set_mask(tid, state->mask);
}

int inject_read(pid_t tid, uint64_t address, void *buffer, size_t size) {
        struct iovec local = { buffer, size }, remote = { (void *) (uintptr_t) address, size };
        ssize_t n;

        n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EFAULT;
}

int inject_write(pid_t tid, uint64_t address, const void *buffer, size_t size) {
        struct iovec local = { (void *) buffer, size }, remote = { (void *) (uintptr_t) address, size };
        ssize_t n;

        n = process_vm_writev(tid, &local, 1, &remote, 1, 0);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EFAULT;
}
