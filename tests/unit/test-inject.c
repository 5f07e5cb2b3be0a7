/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/image/inject.h: calls in another task, its memory and state. */

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject.h"
#include "tap.h"
#include "util.h"

static char word[16] = "before";
static int gate[2];

/* Waits in read(2), which is what it is to find again as it was. */
static _Noreturn void child(void) {
        char c;

        _exit(read(gate[0], &c, 1) == 1 && c == 'g' && streq(word, "after") ? 42 : 1);
}

int main(void) {
        uint64_t vdso = (uint64_t) getauxval(AT_SYSINFO_EHDR), ip = 0;
        InjectState state = {};
        Inject inject = {};
        char copy[16] = "";
        int64_t address, r;
        int status = 0;
        pid_t pid;

        (void) alarm(60);
        if (pipe(gate) < 0 || (pid = fork()) < 0)
                return 1;
        if (pid == 0)
                child();

        ok(ptrace(PTRACE_SEIZE, pid, NULL, INJECT_OPTIONS | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL) == 0 &&
                           ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, &status, __WALL) == pid,
           "a task is stopped");
        is_int(inject_state_get(pid, &state), 0, "its state is read");
        ok(state.xstate_size >= 512, "with the floating point registers");
        is_int(inject_set_mask(pid, ~UINT64_C(0)), 0, "signals are blocked");
        is_int(inject_find_syscall(pid, vdso, 4096, &ip), 0, "the vDSO has a system call");
        is_int(inject_find_syscall(pid, (uint64_t) (uintptr_t) word, sizeof(word), &ip), -ENOENT, "data has none");

        inject = (Inject) { .tid = pid, .ip = ip };
        is_int((int) inject_call(&inject, SYS_getpid), pid, "a call without arguments");
        is_int((int) inject_call(&inject, SYS_close, 12345), -EBADF, "a call that fails");
        address = inject_call(&inject, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                              (uint64_t) -1, 0);
        ok(address > 0, "a call with six arguments");
        is_int(inject_write(pid, (uint64_t) address, "hello", 6), 0, "memory is written");
        ok(inject_read(pid, (uint64_t) address, copy, 6) == 0 && streq(copy, "hello"), "and read");
        is_int((int) inject_call(&inject, SYS_mprotect, (uint64_t) address, 4096, PROT_READ), 0, "and protected");
        is_int(inject_write(pid, (uint64_t) address, "hello", 6), -EFAULT, "which holds for us too");
        is_int(inject_read(pid, 4096, copy, 6), -EFAULT, "what is not there is not read");

        r = inject_call(&inject, SYS_clone, SIGCHLD, 0, 0, 0, 0);
        ok(r > 0 && inject.child == r && waitpid(inject.child, &status, __WALL) == r && status >> 16 == PTRACE_EVENT_STOP,
           "a child that is born is ours");
        is_int(kill((pid_t) r, SIGKILL), 0, "it is killed");
        (void) waitpid((pid_t) r, &status, __WALL);
        ok(WIFSIGNALED(status), "and gone");

        is_int(inject_write(pid, (uint64_t) (uintptr_t) word, "after", 6), 0, "a variable of its");
        is_int(inject_to_trap(pid), 0, "it runs into a trap");
        is_int(inject_state_set(pid, &state), 0, "its state is put back");
        ok(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0 && write(gate[1], "g", 1) == 1, "it is let go");
        ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42, "and goes on with what it did");

        is_int(inject_read(pid, (uint64_t) (uintptr_t) word, copy, 6), -ESRCH, "who is gone has no memory");
        inject_state_done(&state);
        return tap_done();
}
