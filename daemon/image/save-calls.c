/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls in tasks that outlive us. A task whose tracer is killed goes on with the registers it has: those of a call that it
 * never made. So calls are made by a *guard*, code in the padding behind the vDSO (which is private to the process as soon
 * as it is written to): behind its syscall instruction it takes the scratch memory away, restores the mask of signals, then
 * all registers, and goes on where the program was. We stop the task right behind that instruction, so none of this runs
 * unless we are gone.
 *
 * Registers of vectors no call changes, so the guard need not know them. */

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "save.h"
#include "util.h"

#define RED_ZONE 136 /* the 128 bytes below the stack pointer that are a function's own, and 8 to keep it aligned */

/* What interrupted calls return that the kernel makes again by itself; linux/errno.h. */
#define RESTARTSYS 512
#define RESTARTNOINTR 513
#define RESTARTNOHAND 514
#define RESTART_BLOCK 516

#if defined(__x86_64__)

typedef struct GuardData {
        uint64_t mask, scratch, size, flags;
        uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rsp, rip;
} GuardData;

#define CODE_SIZE 208U
#define GUARD_SIZE (CODE_SIZE + sizeof(GuardData))

typedef struct Guard {
        uint8_t code[CODE_SIZE];
        GuardData data;
} Guard;

static void emit(Guard *guard, size_t *at, const uint8_t *bytes, size_t n) {
        memcpy(guard->code + *at, bytes, n);
        *at += n;
}

/* An instruction of these bytes with the address of a field of the data, relative to the next one. */
static void emit_data(Guard *guard, size_t *at, const uint8_t *bytes, size_t n, size_t field) {
        int32_t distance;

        emit(guard, at, bytes, n);
        distance = (int32_t) (CODE_SIZE + field - (*at + 4));
        emit(guard, at, (const uint8_t *) &distance, sizeof(distance));
}

#define EMIT(...) emit(guard, &at, (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }))
#define EMIT_DATA(field, ...) \
        emit_data(guard, &at, (const uint8_t[]) { __VA_ARGS__ }, sizeof((const uint8_t[]) { __VA_ARGS__ }), \
                  offsetof(GuardData, field))

static void make_code(Guard *guard) {
        size_t at = 0;

        EMIT(0x0f, 0x05);                                  /* syscall: the one that we make */
        EMIT(0xb8, SYS_munmap, 0, 0, 0);                   /* mov $SYS_munmap, %eax */
        EMIT_DATA(scratch, 0x48, 0x8b, 0x3d);              /* mov scratch(%rip), %rdi */
        EMIT_DATA(size, 0x48, 0x8b, 0x35);                 /* mov size(%rip), %rsi */
        EMIT(0x0f, 0x05);
        EMIT(0xb8, SYS_rt_sigprocmask, 0, 0, 0);           /* mov $SYS_rt_sigprocmask, %eax */
        EMIT(0xbf, SIG_SETMASK, 0, 0, 0);                  /* mov $SIG_SETMASK, %edi */
        EMIT_DATA(mask, 0x48, 0x8d, 0x35);                 /* lea mask(%rip), %rsi */
        EMIT(0x31, 0xd2);                                  /* xor %edx, %edx */
        EMIT(0x41, 0xba, 8, 0, 0, 0);                      /* mov $8, %r10d */
        EMIT(0x0f, 0x05);
        EMIT(0x48, 0x81, 0xec, RED_ZONE, 0, 0, 0);         /* sub $RED_ZONE, %rsp */
        EMIT_DATA(flags, 0xff, 0x35);                      /* push flags(%rip) */
        EMIT(0x9d);                                        /* popf */
        EMIT_DATA(r15, 0x4c, 0x8b, 0x3d);
        EMIT_DATA(r14, 0x4c, 0x8b, 0x35);
        EMIT_DATA(r13, 0x4c, 0x8b, 0x2d);
        EMIT_DATA(r12, 0x4c, 0x8b, 0x25);
        EMIT_DATA(rbp, 0x48, 0x8b, 0x2d);
        EMIT_DATA(rbx, 0x48, 0x8b, 0x1d);
        EMIT_DATA(r11, 0x4c, 0x8b, 0x1d);
        EMIT_DATA(r10, 0x4c, 0x8b, 0x15);
        EMIT_DATA(r9, 0x4c, 0x8b, 0x0d);
        EMIT_DATA(r8, 0x4c, 0x8b, 0x05);
        EMIT_DATA(rax, 0x48, 0x8b, 0x05);
        EMIT_DATA(rcx, 0x48, 0x8b, 0x0d);
        EMIT_DATA(rdx, 0x48, 0x8b, 0x15);
        EMIT_DATA(rsi, 0x48, 0x8b, 0x35);
        EMIT_DATA(rdi, 0x48, 0x8b, 0x3d);
        EMIT_DATA(rsp, 0x48, 0x8b, 0x25);
        EMIT_DATA(rip, 0xff, 0x25);                        /* jmp *rip(%rip) */
}

/* What the program goes on with: as the kernel would restart the call, or end it. */
static void make_data(Guard *guard, const SaveProcess *process, const InjectState *state) {
        struct user_regs_struct regs = state->regs;

        if ((int64_t) regs.orig_rax >= 0)
                switch (-(int64_t) regs.rax) {
                case RESTARTSYS:
                case RESTARTNOINTR:
                case RESTARTNOHAND:
                        regs.rax = regs.orig_rax;
                        regs.rip -= INJECT_SYSCALL_SIZE;
                        break;
                case RESTART_BLOCK:
                        regs.rax = (unsigned long long) -EINTR;
                        break;
                }
        guard->data = (GuardData) {
                .mask = state->mask, .scratch = process->scratch, .size = process->scratch_size, .flags = regs.eflags,
                .r15 = regs.r15, .r14 = regs.r14, .r13 = regs.r13, .r12 = regs.r12, .rbp = regs.rbp, .rbx = regs.rbx,
                .r11 = regs.r11, .r10 = regs.r10, .r9 = regs.r9, .r8 = regs.r8, .rax = regs.rax, .rcx = regs.rcx,
                .rdx = regs.rdx, .rsi = regs.rsi, .rdi = regs.rdi, .rsp = regs.rsp, .rip = regs.rip,
        };
}

/* Words, which ptrace writes whatever the protection. */
static int poke(pid_t tid, uint64_t address, const void *data, size_t size) {
        for (size_t i = 0; i < size; i += sizeof(long)) {
                long word;

                memcpy(&word, (const char *) data + i, sizeof(word));
                if (ptrace(PTRACE_POKEDATA, tid, address + i, word) < 0)
                        return -errno;
        }
        return 0;
}

static uint64_t place_of(const SaveProcess *process) {
        return (process->vdso + process->vdso_size - GUARD_SIZE) & ~UINT64_C(15);
}

/* Whether a guard lies there that somebody who was killed has left. */
static bool read_left(pid_t tid, const SaveProcess *process, Guard *ret) {
        Guard ours = {};

        make_code(&ours);
        return process->vdso_size > GUARD_SIZE && inject_read(tid, place_of(process), ret, sizeof(*ret)) >= 0 &&
                memcmp(ours.code, ret->code, sizeof(ours.code)) == 0;
}

static uint64_t find_room(pid_t tid, const SaveProcess *process) {
        _cleanup_free_ uint8_t *text = malloc(process->vdso_size);
        size_t zeros = 0;
        Guard left;

        if (read_left(tid, process, &left))
                return place_of(process);
        if (!text || inject_read(tid, process->vdso, text, process->vdso_size) < 0)
                return 0;
        while (zeros < process->vdso_size && text[process->vdso_size - zeros - 1] == 0)
                zeros++;
        /* The last byte of what is there may be a zero, too. */
        return zeros >= GUARD_SIZE + 32 ? place_of(process) : 0;
}

void save_calls_adopt(const SaveProcess *process, SaveThread *thread) {
        struct user_regs_struct *regs = &thread->state.regs;
        Guard left;

        if (process->vdso == 0 || regs->rip - place_of(process) >= CODE_SIZE || !read_left(thread->tid, process, &left))
                return;
        *regs = (struct user_regs_struct) {
                .r15 = left.data.r15, .r14 = left.data.r14, .r13 = left.data.r13, .r12 = left.data.r12, .rbp = left.data.rbp,
                .rbx = left.data.rbx, .r11 = left.data.r11, .r10 = left.data.r10, .r9 = left.data.r9, .r8 = left.data.r8,
                .rax = left.data.rax, .rcx = left.data.rcx, .rdx = left.data.rdx, .rsi = left.data.rsi, .rdi = left.data.rdi,
                .rsp = left.data.rsp, .rip = left.data.rip, .eflags = left.data.flags, .orig_rax = (unsigned long long) -1,
                .cs = regs->cs, .ss = regs->ss, .ds = regs->ds, .es = regs->es, .fs = regs->fs, .gs = regs->gs,
                .fs_base = regs->fs_base, .gs_base = regs->gs_base,
        };
        thread->state.mask = left.data.mask;
}

int save_calls_begin(Save *save, SaveProcess *process) {
        pid_t tid = save->threads[process->first].tid;
        int r;

        if (process->vdso == 0)
                return -ENOENT;
        process->guard = find_room(tid, process);
        process->call = process->guard;
        if (process->guard != 0)
                return 0;
        /* Without room for one: then our death in the next milliseconds is the program's. */
        r = inject_find_syscall(tid, process->vdso, process->vdso_size, &process->call);
        return r;
}

int save_calls_thread(Save *save, SaveProcess *process, SaveThread *thread, Inject *ret) {
        struct user_regs_struct regs = thread->state.regs;
        struct iovec iov = { &regs, sizeof(regs) };
        Guard guard = {};
        int r;

        (void) save;
        *ret = (Inject) { .tid = thread->tid, .ip = process->call };
        if (process->guard != 0) {
                make_code(&guard);
                make_data(&guard, process, &thread->state);
                r = poke(thread->tid, process->guard, &guard, sizeof(guard));
                if (r < 0)
                        return r;
                process->guard_written = true;
                /* From here on the guard restores it all, so the mask may be another. */
                regs.rip = process->guard + INJECT_SYSCALL_SIZE;
                regs.orig_rax = (unsigned long long) -1;
                regs.rax = 0;
                if (ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov) < 0)
                        return -errno;
        }
        thread->disturbed = true;
        return inject_set_mask(thread->tid, UINT64_MAX);
}

int save_calls_thread_end(Save *save, SaveProcess *process, SaveThread *thread) {
        struct iovec iov = { &thread->state.regs, sizeof(thread->state.regs) };
        int r;

        (void) save, (void) process;
        r = inject_to_trap(thread->tid);
        if (r >= 0)
                r = inject_set_mask(thread->tid, thread->state.mask);
        if (r < 0)
                return r;
        if (ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov) < 0)
                return -errno;
        thread->disturbed = false;
        return 0;
}

void save_calls_end(Save *save, SaveProcess *process, Inject *inject) {
        static const uint8_t zeros[GUARD_SIZE];

        (void) save;
        (void) inject;
        if (process->guard_written)
                (void) poke(save->threads[process->first].tid, process->guard, zeros, sizeof(zeros));
        process->guard_written = false;
}

#else

void save_calls_adopt(const SaveProcess *process, SaveThread *thread) {
}

int save_calls_begin(Save *save, SaveProcess *process) {
        return -EOPNOTSUPP;
}

int save_calls_thread(Save *save, SaveProcess *process, SaveThread *thread, Inject *ret) {
        return -EOPNOTSUPP;
}

int save_calls_thread_end(Save *save, SaveProcess *process, SaveThread *thread) {
        return -EOPNOTSUPP;
}

void save_calls_end(Save *save, SaveProcess *process, Inject *inject) {
}

#endif

int save_calls_open(Save *save, size_t index, uint64_t size, uint64_t mapped, Inject *ret) {
        SaveProcess *process = save->processes + index;
        int64_t x;
        int r;

        r = save_calls_begin(save, process);
        if (r < 0)
                return r;
        process->scratch = save_hole(save->image->processes + index, size);
        process->scratch_size = size;
        if (process->scratch == 0)
                return -ENOMEM;
        r = save_calls_thread(save, process, save->threads + process->first, ret);
        if (r < 0)
                return r;
        x = inject_call(ret, SYS_mmap, process->scratch, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                        (uint64_t) -1, 0);
        return (int) MIN(x, (int64_t) 0);
}

int save_calls_close(Save *save, SaveProcess *process, SaveThread *thread, Inject *inject) {
        int r = 0;

        if (thread->disturbed) {
                r = (int) MIN(inject_call(inject, SYS_munmap, process->scratch, process->scratch_size), (int64_t) 0);
                if (r >= 0)
                        r = save_calls_thread_end(save, process, thread);
        }
        save_calls_end(save, process, inject);
        return r;
}
