/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#if defined(__x86_64__)
#  include <asm/prctl.h>
#  define BITS_WITHOUT_ARCH_PRCTL 0
#else
#  define ARCH_SET_FS 0x1002 /* in the row of a call that x86 alone has */
#  define BITS_WITHOUT_ARCH_PRCTL UINT64_MAX
#endif

/* <linux/in6.h> and <netinet/in.h> exclude each other. */
#ifndef IPV6_FLOWLABEL_MGR
#  define IPV6_FLOWLABEL_MGR 32
#endif

#include "kernel.h"
#include "syscall.h"
#include "time/process-timers.h"
#include "util/macros.h"

/* Rows that are answered with an errno and an event have no handler of their own. */
static Verdict refuse(Kernel *kernel, const Call *call) {
        int error = syscall_table[call->id].error;

        event_refused(kernel, call, error);
        return verdict_error(error);
}

#define A0 .n_args = 0
#define A1(a) .n_args = 1, .args = { ARG_##a }
#define A2(a, b) .n_args = 2, .args = { ARG_##a, ARG_##b }
#define A3(a, b, c) .n_args = 3, .args = { ARG_##a, ARG_##b, ARG_##c }
#define A4(a, b, c, d) .n_args = 4, .args = { ARG_##a, ARG_##b, ARG_##c, ARG_##d }
#define A5(a, b, c, d, e) .n_args = 5, .args = { ARG_##a, ARG_##b, ARG_##c, ARG_##d, ARG_##e }
#define A6(a, b, c, d, e, f) .n_args = 6, .args = { ARG_##a, ARG_##b, ARG_##c, ARG_##d, ARG_##e, ARG_##f }

#define IS(n, v) { .test = TEST_IS, .arg = (n), .value = (uint64_t) (v) }
#define HAS(n, v) { .test = TEST_HAS, .arg = (n), .value = (uint64_t) (v) }
#define IS32(n, v) { .test = TEST_IS32, .arg = (n), .value = (uint32_t) (v) }
#define ISNT32(n, v) { .test = TEST_ISNT32, .arg = (n), .value = (uint32_t) (v) }
#define V1(a) .n_also = 1, .also_when = { a }
#define V2(a, b) .n_also = 2, .also_when = { a, b }
#define W1(a) .n_when = 1, .when = { a }
#define W2(a, b) .n_when = 2, .when = { a, b }
#define W3(a, b, c) .n_when = 3, .when = { a, b, c }
#define W4(a, b, c, d) .n_when = 4, .when = { a, b, c, d }
#define W5(a, b, c, d, e) .n_when = 5, .when = { a, b, c, d, e }

#define ROW(n, f, c, ...) [SYSCALL_ID_##n] = { .name = #n, .family = #f, .class = (c), __VA_ARGS__ },
#define NATIVE(n, f, a, t) ROW(n, f, SYSCALL_NATIVE, a, .note = t)
#define NATIVE_UNLESS(n, f, w, a, t) ROW(n, f, SYSCALL_NATIVE, w, a, .note = t, .handler = sys_##n)
#define EMULATED(n, f, a, t) ROW(n, f, SYSCALL_EMULATED, a, .note = t, .handler = sys_##n)
#define MEDIATED(n, f, x, a, t) \
        ROW(n, f, SYSCALL_MEDIATED, .feature = SYSCALL_FEATURE_##x, a, .note = t, .handler = sys_##n)
#define MEDIATED_WHEN(n, f, x, w, a, t) \
        ROW(n, f, SYSCALL_MEDIATED, .feature = SYSCALL_FEATURE_##x, w, a, .note = t, .handler = sys_##n)
#define MEDIATED_ALSO(n, f, x, o, v, a, t) \
        ROW(n, f, SYSCALL_MEDIATED, .feature = SYSCALL_FEATURE_##x, .also = SYSCALL_FEATURE_##o, v, a, .note = t, \
            .handler = sys_##n)
#define REFUSED(n, f, e, a, t) ROW(n, f, SYSCALL_REFUSED, .error = (e), a, .note = t, .handler = refuse)
#define REFUSED_WHEN(n, f, e, w, a, t) \
        ROW(n, f, SYSCALL_REFUSED, .error = (e), w, a, .note = t, .handler = refuse)
#define DENIED_WHEN(n, f, e, w, a, t) ROW(n, f, SYSCALL_DENIED, .error = (e), w, a, .note = t)
#define DENIED_ALSO(n, f, e, w, o, v, a, t) \
        ROW(n, f, SYSCALL_DENIED, .error = (e), w, .also = SYSCALL_FEATURE_##o, v, a, .note = t, .handler = sys_##n)

const SyscallRow syscall_table[_SYSCALL_ID_MAX] = {
#include "syscalls.def"
};

SyscallId syscall_id_from_name(const char *name) {
        /* The table is sorted, which a lint holds. */
        SyscallId low = 0, high = _SYSCALL_ID_MAX;

        while (low < high) {
                SyscallId middle = low + (high - low) / 2;
                int c = strcmp(name, syscall_table[middle].name);

                if (c == 0)
                        return middle;
                if (c < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return SYSCALL_ID_UNKNOWN;
}

const char *syscall_class_to_string(SyscallClass class) {
        static const char *const names[_SYSCALL_CLASS_MAX] = {
                [SYSCALL_NATIVE] = "native",
                [SYSCALL_EMULATED] = "emulated",
                [SYSCALL_MEDIATED] = "mediated",
                [SYSCALL_REFUSED] = "refused",
                [SYSCALL_DENIED] = "denied",
        };

        return class < _SYSCALL_CLASS_MAX ? names[class] : NULL;
}

const char *syscall_feature_to_string(SyscallFeature feature) {
        static const char *const names[_SYSCALL_FEATURE_MAX] = {
                [SYSCALL_FEATURE_NONE] = "",
                [SYSCALL_FEATURE_PATHS] = "paths",
                [SYSCALL_FEATURE_SOCKETS] = "sockets",
                [SYSCALL_FEATURE_BIND] = "bind",
                [SYSCALL_FEATURE_IDS] = "ids",
                [SYSCALL_FEATURE_PID_HOST] = "pid-host",
                [SYSCALL_FEATURE_TRACING] = "tracing",
                [SYSCALL_FEATURE_TIMERS] = "timers",
                [SYSCALL_FEATURE_NO_NESTING] = "no-nesting",
                [SYSCALL_FEATURE_MOUNTS] = "mounts",
                [SYSCALL_FEATURE_UNIX] = "unix",
        };

        return feature < _SYSCALL_FEATURE_MAX ? names[feature] : NULL;
}

const char *syscall_arg_to_string(SyscallArg arg) {
        static const char *const names[_SYSCALL_ARG_MAX] = {
                [ARG_INT] = "int",
                [ARG_UINT] = "uint",
                [ARG_HEX] = "hex",
                [ARG_FD] = "fd",
                [ARG_DIRFD] = "dirfd",
                [ARG_PATH] = "path",
                [ARG_STR] = "string",
                [ARG_PTR] = "in",
                [ARG_OUT] = "out",
                [ARG_INOUT] = "inout",
                [ARG_SIZE] = "size",
                [ARG_OFFSET] = "offset",
                [ARG_ADDR] = "address",
                [ARG_PID] = "pid",
                [ARG_SIGNAL] = "signal",
                [ARG_MODE] = "mode",
                [ARG_FLAGS] = "flags",
                [ARG_ID] = "id",
                [ARG_CLOCK] = "clock",
                [ARG_CMD] = "command",
                [ARG_IN_CPUS] = "in cpus",
                [ARG_OUT_CPUS] = "out cpus",
                [ARG_OUT_UTSNAME] = "out utsname",
                [ARG_OUT_SYSINFO] = "out sysinfo",
                [ARG_IN_ITIMERSPEC] = "in itimerspec",
                [ARG_OUT_ITIMERSPEC] = "out itimerspec",
                [ARG_IN_ITIMERVAL] = "in itimerval",
                [ARG_OUT_ITIMERVAL] = "out itimerval",
                [ARG_IN_SIGEVENT] = "in sigevent",
        };

        return arg < _SYSCALL_ARG_MAX ? names[arg] : NULL;
}

bool syscall_row_calls(const SyscallRow *row, uint32_t features, const SyscallWhen **ret_when, unsigned *ret_n) {
        *ret_when = row->when;
        *ret_n = row->n_when;
        switch (row->class) {
        case SYSCALL_EMULATED:
        case SYSCALL_REFUSED:
                return true;
        case SYSCALL_MEDIATED:
                if (features & (1U << row->feature))
                        return true;
                break;
        case SYSCALL_NATIVE:
                /* HAS() no bits never holds: so a row says that it is native on this architecture. */
                return row->n_when > 0 && !(row->n_when == 1 && row->when[0].test == TEST_HAS &&
                                            row->when[0].value == 0);
        case SYSCALL_DENIED:
        case _SYSCALL_CLASS_MAX:
                break;
        }
        *ret_when = row->also_when;
        *ret_n = row->n_also;
        return row->also != SYSCALL_FEATURE_NONE && (features & (1U << row->also));
}

bool syscall_row_is_ours(const SyscallRow *row, uint32_t features) {
        const SyscallWhen *when;
        unsigned n;

        return syscall_row_calls(row, features, &when, &n);
}

Verdict syscall_dispatch(Kernel *kernel, const Call *call) {
        SyscallStatistics *statistics = &kernel->statistics[_SYSCALL_ID_MAX];
        Verdict verdict;

        if (call->id != SYSCALL_ID_UNKNOWN && !call->foreign)
                statistics = &kernel->statistics[call->id];

        if (call->id != SYSCALL_ID_UNKNOWN && !call->foreign &&
            syscall_row_is_ours(&syscall_table[call->id], kernel->features))
                verdict = syscall_table[call->id].handler(kernel, call);
        else {
                event_unimplemented(kernel, call);
                verdict = verdict_error(ENOSYS);
        }

        kernel->decided_ns = kernel_now(kernel);
        statistics_add(statistics, kernel->decided_ns - call->received_ns);
        return verdict;
}
