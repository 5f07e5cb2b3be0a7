/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Making system calls in another task, and reaching its memory. The task is a stopped tracee of the calling thread, seized
 * with INJECT_OPTIONS and whatever else its tracer wants.
 *
 * Injected calls go through the filter of the sandbox: those that it notifies return when they are answered, by somebody
 * who is not the calling thread. Whoever injects has a deadline of its own for everything (alarm(2)): the calls here wait
 * for the tracee as long as it takes. */

#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>

#define INJECT_OPTIONS PTRACE_O_TRACESYSGOOD
#define INJECT_SYSCALL_SIZE 2U /* bytes of the instruction */

/* What a thread takes up again when it is let go. */
typedef struct InjectState {
        struct user_regs_struct regs; /* raw: orig_rax and rax are those of the call that was interrupted */
        uint64_t mask;                /* of signals, bit (1 << (signo - 1)) */
        void *xstate;                 /* owned, may be NULL: as PTRACE_GETREGSET has it (NT_X86_XSTATE) */
        size_t xstate_size;
} InjectState;

/* A task that calls are made in. */
typedef struct Inject {
        pid_t tid;
        uint64_t ip;    /* address of a syscall instruction in its memory */
        uint64_t stack; /* what rsp shall be meanwhile; 0: as it is */
        pid_t child;    /* the task that the last call made, as we number it, seized by the kernel and not waited for yet;
                         * 0: none. Only with PTRACE_O_TRACEFORK and its like */
        int signo;      /* the last signal that was on its way to the task and was taken from it; 0: none. With all
                         * signals blocked that can be SIGSTOP alone */
} Inject;

/* Takes the task's state down: once, before anything is injected. -ESRCH when it is gone. */
int inject_state_get(pid_t tid, InjectState *ret);
void inject_state_done(InjectState *state);

/* Blocks these signals in the task. */
int inject_set_mask(pid_t tid, uint64_t mask);

/* Finds a syscall instruction in size bytes at address, in a mapping that is executable: the vDSO. -ENOENT: there is none. */
int inject_find_syscall(pid_t tid, uint64_t address, size_t size, uint64_t *ret);

/* Makes a call. Returns 0, with what the call returned (a negative errno of the task's) in ret; or an error of ours:
 * -ESRCH when the task died meanwhile, which is what exit(2) does. Signals should be blocked. A call that was interrupted
 * is made again. */
int inject_syscall(Inject *inject, long number, const uint64_t arguments[static 6], int64_t *ret);

/* The same, with up to six arguments, for calls whose errors are ours: the result, or a negative errno. */
#define inject_call(inject, number, ...) \
        inject_call_array((inject), (number), (const uint64_t[6]) { __VA_ARGS__ })
int64_t inject_call_array(Inject *inject, long number, const uint64_t arguments[static 6]);

/* Lets a stopped task run into a trap before its next instruction: there all of its state can be set, and a call that was
 * interrupted is taken up by the kernel as registers say. Returns 0; -ESRCH when it died. */
int inject_to_trap(pid_t tid);
/* Sets the state, at a trap. A state without xstate leaves that alone. */
int inject_state_set(pid_t tid, const InjectState *state);

/* Memory, by the protections of the mapping: all or -EFAULT. -ESRCH when the task is gone. */
int inject_read(pid_t tid, uint64_t address, void *buffer, size_t size);
int inject_write(pid_t tid, uint64_t address, const void *buffer, size_t size);
