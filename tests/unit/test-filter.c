/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The filter says what the table says: for each row, with arguments at and around the values of its conditions, the
 * program is run here and must notify just what is ours. */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include <seccomp.h>

#include "filter.h"
#include "syscall.h"
#include "tap.h"
#include "util.h"

#define VALUES_MAX 96U

/* What seccomp(2) does with classic BPF. */
static uint32_t run(const struct sock_filter *program, size_t n, const struct seccomp_data *data) {
        uint32_t a = 0;

        for (size_t pc = 0; pc < n; pc++) {
                const struct sock_filter *f = program + pc;
                bool holds = false;

                switch (f->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        memcpy(&a, (const char *) data + f->k, sizeof(a));
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= f->k;
                        break;
                case BPF_JMP | BPF_JA:
                        pc += f->k;
                        break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                case BPF_JMP | BPF_JGT | BPF_K:
                case BPF_JMP | BPF_JGE | BPF_K:
                case BPF_JMP | BPF_JSET | BPF_K:
                        holds = BPF_OP(f->code) == BPF_JEQ ? a == f->k :
                                BPF_OP(f->code) == BPF_JGT ? a > f->k :
                                BPF_OP(f->code) == BPF_JGE ? a >= f->k : (a & f->k) != 0;
                        pc += holds ? f->jt : f->jf;
                        break;
                case BPF_RET | BPF_K:
                        return f->k;
                default:
                        tap_bail_out("instruction %#x at %zu", f->code, pc);
                }
        }
        tap_bail_out("the program has no end");
        return 0;
}

static bool matches(const SyscallWhen *when, unsigned n, const uint64_t args[]) {
        for (unsigned i = 0; i < n; i++) {
                uint64_t a = args[when[i].arg], v = when[i].value;

                switch (when[i].test) {
                case TEST_IS:
                        if (a == v)
                                return true;
                        break;
                case TEST_HAS:
                        if (a & v)
                                return true;
                        break;
                case TEST_IS32:
                        if ((uint32_t) a == v)
                                return true;
                        break;
                case TEST_ISNT32:
                        if ((uint32_t) a != v)
                                return true;
                        break;
                }
        }
        return n == 0;
}

/* Values worth trying for an argument: those of the conditions on it, their neighbours, and what only looks alike. */
static unsigned values_of(const SyscallRow *row, unsigned arg, uint64_t ret[static VALUES_MAX]) {
        unsigned n = 0;

        ret[n++] = 0;
        ret[n++] = 1;
        ret[n++] = UINT64_MAX;
        ret[n++] = UINT32_MAX;
        ret[n++] = INT32_MAX;
        ret[n++] = UINT64_C(1) << 32;
        for (unsigned i = 0; i < row->n_when + row->n_also; i++) {
                const SyscallWhen *when = i < row->n_when ? row->when + i : row->also_when + i - row->n_when;
                uint64_t v = when->value;

                if (when->arg != arg)
                        continue;
                ret[n++] = v;
                ret[n++] = v - 1;
                ret[n++] = v + 1;
                ret[n++] = v | UINT64_C(1) << 32;
                ret[n++] = v | UINT64_C(1) << 63;
                ret[n++] = v << 1;
                ret[n++] = v ^ 0x8000;
                ret[n++] = ~v;
        }
        return n;
}

static void test_features(uint32_t features) {
        _cleanup_(filter_programs_done) FilterPrograms programs = {};
        LaunchFailure failure = {};
        unsigned n_calls = 0, n_wrong = 0;

        if (filter_build(features, &programs, &failure) < 0) {
                ok(false, "the filter of features %#x is built", features);
                return;
        }

        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                const SyscallRow *row = syscall_table + id;
                uint64_t first[VALUES_MAX], second[VALUES_MAX];
                unsigned n_first = values_of(row, 0, first), n_second = values_of(row, 1, second);
                int number = seccomp_syscall_resolve_name(row->name);
                const SyscallWhen *when;
                unsigned n_when;

                if (number < 0)
                        continue;
                for (unsigned i = 0; i < n_first; i++)
                        for (unsigned j = 0; j < n_second; j++) {
                                const uint64_t args[SYSCALL_ARGS_MAX] = { first[i], second[j], 3, 4, 5, 6 };
                                struct seccomp_data data = { .nr = number, .arch = seccomp_arch_native() };
                                bool notify = syscall_row_calls(row, features, &when, &n_when) &&
                                        matches(when, n_when, args);
                                bool deny = row->class == SYSCALL_DENIED && matches(row->when, row->n_when, args);
                                uint32_t seen, denied;

                                memcpy(data.args, args, sizeof(args));
                                seen = run(programs.notify, programs.n_notify, &data);
                                denied = run(programs.deny, programs.n_deny, &data);
                                n_calls++;
                                if (seen == (notify ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW) &&
                                    denied == (deny ? SECCOMP_RET_ERRNO | (uint32_t) row->error : SECCOMP_RET_ALLOW))
                                        continue;
                                if (n_wrong++ < 10)
                                        tap_diag("%s(%#llx, %#llx): %#x, %#x", row->name, (unsigned long long) first[i],
                                                 (unsigned long long) second[j], seen, denied);
                        }
        }
        is_int(n_wrong, 0, "features %#x: %u calls are answered by whom the table says (%zu instructions)", features,
               n_calls, programs.n_notify);
}

static void test_strangers(void) {
        _cleanup_(filter_programs_done) FilterPrograms programs = {};
        LaunchFailure failure = {};
        struct seccomp_data data = { .nr = 100000, .arch = seccomp_arch_native() };

        if (filter_build(0, &programs, &failure) < 0)
                return;
        is_int(run(programs.notify, programs.n_notify, &data), SECCOMP_RET_USER_NOTIF, "what nobody knows is notified");
        data = (struct seccomp_data) { .nr = 1, .arch = AUDIT_ARCH_MIPS };
        is_int(run(programs.notify, programs.n_notify, &data), SECCOMP_RET_USER_NOTIF, "so is another architecture");
}

int main(void) {
        test_features(0);
        test_features(1U << SYSCALL_FEATURE_TRACING);
        test_features(1U << SYSCALL_FEATURE_PID_HOST | 1U << SYSCALL_FEATURE_TRACING);
        test_features(1U << SYSCALL_FEATURE_SOCKETS);
        test_features(1U << SYSCALL_FEATURE_UNIX);
        test_strangers();
        return tap_done();
}
