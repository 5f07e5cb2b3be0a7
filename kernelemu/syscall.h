/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* System calls as the emulated kernel sees them: the table (syscalls.def), a call in service (Call), what a
 * handler decides (Verdict), and the macros that tie a handler to its row. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"

typedef struct Kernel Kernel;

/* One id per row of syscalls.def, in the order of the table. Not a syscall number: those differ between
 * architectures and only the host side, which has libseccomp, knows them. */
typedef enum SyscallId {
#define SYSCALL_ROW(name) SYSCALL_ID_##name,
#define NATIVE(name, family, args, note) SYSCALL_ROW(name)
#define NATIVE_UNLESS(name, family, when, args, note) SYSCALL_ROW(name)
#define EMULATED(name, family, args, note) SYSCALL_ROW(name)
#define MEDIATED(name, family, feature, args, note) SYSCALL_ROW(name)
#define MEDIATED_WHEN(name, family, feature, when, args, note) SYSCALL_ROW(name)
#define MEDIATED_ALSO(name, family, feature, also, when, args, note) SYSCALL_ROW(name)
#define REFUSED(name, family, error, args, note) SYSCALL_ROW(name)
#define REFUSED_WHEN(name, family, error, when, args, note) SYSCALL_ROW(name)
#define DENIED_WHEN(name, family, error, when, args, note) SYSCALL_ROW(name)
#define DENIED_ALSO(name, family, error, when, also, also_when, args, note) SYSCALL_ROW(name)
#include "syscalls.def"
#undef SYSCALL_ROW
        _SYSCALL_ID_MAX,
        SYSCALL_ID_UNKNOWN = -1, /* newer than the table, or of a foreign ABI */
} SyscallId;

typedef enum SyscallClass {
        SYSCALL_NATIVE,   /* the host kernel answers; calls that match `when`, if any, are ours */
        SYSCALL_EMULATED, /* the emulated kernel answers every call */
        SYSCALL_MEDIATED, /* the emulated kernel answers when the profile has the feature, else the host; only
                           * calls that match `when`, if any */
        SYSCALL_REFUSED,  /* answered with an errno and an event; only calls that match `when`, if any */
        SYSCALL_DENIED,   /* calls that match `when` are answered with an errno by the filter itself, unseen
                           * by the sentry; for conditions that a notifying filter cannot express */
        _SYSCALL_CLASS_MAX,
} SyscallClass;

/* Features of a profile that turn MEDIATED rows into ours. */
typedef enum SyscallFeature {
        SYSCALL_FEATURE_NONE,
        SYSCALL_FEATURE_PATHS,    /* "paths": "mediated" */
        SYSCALL_FEATURE_SOCKETS,  /* "addresses" has rules */
        SYSCALL_FEATURE_BIND,     /* "addresses" has rules, or "users" and "network" are the host's */
        SYSCALL_FEATURE_IDS,      /* "users": "emulated" */
        SYSCALL_FEATURE_PID_HOST, /* "pid": "host" */
        SYSCALL_FEATURE_TRACING,  /* "ptraceScope" above 0, or "pid": "host" */
        SYSCALL_FEATURE_TIMERS,   /* "timers": "emulated" */
        SYSCALL_FEATURE_NO_NESTING, /* namespaces are those of the launch, and none are made or joined */
        SYSCALL_FEATURE_MOUNTS,   /* "mounts": "emulated"; without, the calls are ours all the same, and refused */
        SYSCALL_FEATURE_UNIX,     /* UNIX sockets are made in a network namespace of the sandbox's own, while it is in the
                                   * host's; not together with SOCKETS */
        _SYSCALL_FEATURE_MAX,
} SyscallFeature;

/* How an argument reads, for tracing and documentation. */
typedef enum SyscallArg {
        ARG_INT,    /* signed number */
        ARG_UINT,   /* unsigned number */
        ARG_HEX,    /* bits nobody named */
        ARG_FD,     /* file descriptor */
        ARG_DIRFD,  /* file descriptor or AT_FDCWD */
        ARG_PATH,   /* address of a file name */
        ARG_STR,    /* address of a NUL-terminated string */
        ARG_PTR,    /* address that the kernel reads from */
        ARG_OUT,    /* address that the kernel writes to */
        ARG_INOUT,  /* address that the kernel reads and writes */
        ARG_SIZE,   /* number of bytes or elements */
        ARG_OFFSET, /* position in a file */
        ARG_ADDR,   /* address that is a value: mmap, brk */
        ARG_PID,    /* process, thread, group or session id */
        ARG_SIGNAL, /* signal number */
        ARG_MODE,   /* permission bits */
        ARG_FLAGS,  /* or-ed flags */
        ARG_ID,     /* uid or gid */
        ARG_CLOCK,  /* clockid_t */
        ARG_CMD,    /* a selector: fcntl, ioctl, prctl, futex */
        /* Addresses of structures that traces show: trace-struct.c has their fields. IN: the kernel reads it, OUT: it
         * writes it. */
        ARG_IN_CPUS, /* a set of CPUs, its size is the argument before */
        ARG_OUT_CPUS,
        ARG_OUT_UTSNAME,
        ARG_OUT_SYSINFO,
        ARG_IN_ITIMERSPEC,
        ARG_OUT_ITIMERSPEC,
        ARG_IN_ITIMERVAL,
        ARG_OUT_ITIMERVAL,
        ARG_IN_SIGEVENT,
        _SYSCALL_ARG_MAX,
} SyscallArg;

/* A condition on one argument. A row's conditions are alternatives: any one that holds makes it match. */
typedef enum SyscallTest {
        TEST_IS,   /* the whole 64-bit register equals value */
        TEST_HAS,  /* any bit of value is set in the register */
        TEST_IS32, /* the lower half equals value: what an int or unsigned parameter really is */
        TEST_ISNT32, /* the lower half does not equal value */
} SyscallTest;

typedef struct SyscallWhen {
        SyscallTest test;
        unsigned arg; /* 0 … 5 */
        uint64_t value;
} SyscallWhen;

#define SYSCALL_ARGS_MAX 6U
#define SYSCALL_WHEN_MAX 5U

typedef struct Call Call;
typedef struct Verdict Verdict;

typedef struct SyscallRow {
        const char *name;
        const char *family; /* the file sys/FAMILY.c holds the handler, if there is one */
        SyscallClass class;
        SyscallFeature feature; /* of MEDIATED rows */
        int error;              /* errno of REFUSED and DENIED rows, positive */
        unsigned n_when;        /* 0: every call */
        SyscallWhen when[SYSCALL_WHEN_MAX];
        SyscallFeature also;    /* with it calls that match `also_when` are ours, if those of `feature` are not; or NONE */
        unsigned n_also;
        SyscallWhen also_when[SYSCALL_WHEN_MAX];
        unsigned n_args;
        SyscallArg args[SYSCALL_ARGS_MAX];
        const char *note; /* one sentence for people; "" when there is nothing to say */
        Verdict (*handler)(Kernel *kernel, const Call *call);
} SyscallRow;

extern const SyscallRow syscall_table[_SYSCALL_ID_MAX];

/* The row with this name, or SYSCALL_ID_UNKNOWN. */
SyscallId syscall_id_from_name(const char *name);

const char *syscall_class_to_string(SyscallClass class);
const char *syscall_feature_to_string(SyscallFeature feature);
const char *syscall_arg_to_string(SyscallArg arg);

/* True when calls of this row, or those that match its conditions, are notified to the sentry. */
bool syscall_row_is_ours(const SyscallRow *row, uint32_t features /* bit (1 << SyscallFeature) */);
/* The same, and which conditions those are: ret_n of them, any of which makes a call match; 0: every call. */
bool syscall_row_calls(const SyscallRow *row, uint32_t features, const SyscallWhen **ret_when, unsigned *ret_n);

/* A call in service. Everything in it is a copy: the guest cannot change it any more. */
struct Call {
        uint64_t cookie;   /* the host's name for the call; unique for the life of the sandbox */
        HostTid tid;       /* the calling task */
        SyscallId id;      /* SYSCALL_ID_UNKNOWN: number and arch are all there is */
        int32_t number;    /* as the architecture numbers it, for events */
        uint32_t arch;     /* AUDIT_ARCH_* of the call, for events */
        bool foreign;      /* came through an ABI other than the sandbox's own */
        uint64_t args[SYSCALL_ARGS_MAX];
        uint64_t received_ns; /* when it was received, by the clock of HostOps.now */
};

typedef enum VerdictKind {
        VERDICT_VALUE,    /* returns value */
        VERDICT_ERROR,    /* fails with errno */
        VERDICT_FD,       /* host_fd is added to the caller's table and its number returned */
        VERDICT_PARKED,   /* nothing yet: host_answer() comes later, or a signal ends the wait */
        VERDICT_CONTINUE, /* the host kernel runs the call. Only where the decision rests on register
                           * arguments alone: memory may change before the host reads it again. */
} VerdictKind;

struct Verdict {
        VerdictKind kind;
        int64_t value; /* VALUE: the result. ERROR: errno, positive. FD: O_CLOEXEC or 0 */
        int host_fd;   /* FD: ours to close after it was added */
};

static inline Verdict verdict_value(int64_t value) {
        return (Verdict) { .kind = VERDICT_VALUE, .value = value, .host_fd = -1 };
}

/* error: a guest's errno, positive or (as functions return it) negative. */
static inline Verdict verdict_error(int error) {
        return (Verdict) { .kind = VERDICT_ERROR, .value = error < 0 ? -error : error, .host_fd = -1 };
}

/* Takes ownership of host_fd. */
static inline Verdict verdict_fd(int host_fd, int flags) {
        return (Verdict) { .kind = VERDICT_FD, .value = flags, .host_fd = host_fd };
}

static inline Verdict verdict_parked(void) {
        return (Verdict) { .kind = VERDICT_PARKED, .host_fd = -1 };
}

static inline Verdict verdict_continue(void) {
        return (Verdict) { .kind = VERDICT_CONTINUE, .host_fd = -1 };
}

/* Answers a call: finds its row, counts it, runs the handler. Never fails: what nobody implements is ENOSYS
 * and an event. */
Verdict syscall_dispatch(Kernel *kernel, const Call *call);

/* SYSCALL_DEFINEn(name, type, argument, …) opens the body of a handler. The body sees `kernel`, `call` and
 * its arguments, converted to their types as the kernel's own wrappers do. The prototype of sys_NAME exists
 * only when the table has a row that needs it, so a handler without a row does not compile and a row without
 * a handler does not link. */
#define _SYSCALL_OPEN(name, ...)                                                \
        static Verdict body_##name(Kernel *kernel, const Call *call, ##__VA_ARGS__)
#define SYSCALL_DEFINE0(name)                                                   \
        _SYSCALL_OPEN(name);                                                    \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call);                               \
        }                                                                       \
        _SYSCALL_OPEN(name)
#define SYSCALL_DEFINE1(name, t0, a0)                                           \
        _SYSCALL_OPEN(name, t0 a0);                                             \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0]);           \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0)
#define SYSCALL_DEFINE2(name, t0, a0, t1, a1)                                   \
        _SYSCALL_OPEN(name, t0 a0, t1 a1);                                      \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0], (t1) call->args[1]); \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0, t1 a1)
#define SYSCALL_DEFINE3(name, t0, a0, t1, a1, t2, a2)                           \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2);                               \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0], (t1) call->args[1], \
                                   (t2) call->args[2]);                         \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2)
#define SYSCALL_DEFINE4(name, t0, a0, t1, a1, t2, a2, t3, a3)                   \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3);                        \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0], (t1) call->args[1], \
                                   (t2) call->args[2], (t3) call->args[3]);     \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3)
#define SYSCALL_DEFINE5(name, t0, a0, t1, a1, t2, a2, t3, a3, t4, a4)           \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3, t4 a4);                 \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0], (t1) call->args[1], \
                                   (t2) call->args[2], (t3) call->args[3], (t4) call->args[4]); \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3, t4 a4)
#define SYSCALL_DEFINE6(name, t0, a0, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)   \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3, t4 a4, t5 a5);          \
        Verdict sys_##name(Kernel *kernel, const Call *call) {                  \
                return body_##name(kernel, call, (t0) call->args[0], (t1) call->args[1], \
                                   (t2) call->args[2], (t3) call->args[3], (t4) call->args[4], \
                                   (t5) call->args[5]);                         \
        }                                                                       \
        _SYSCALL_OPEN(name, t0 a0, t1 a1, t2 a2, t3 a3, t4 a4, t5 a5)

/* Prototypes of the handlers, from the table. */
#define _SYSCALL_PROTOTYPE(name) Verdict sys_##name(Kernel *kernel, const Call *call);
#define NATIVE(name, family, args, note)
#define NATIVE_UNLESS(name, family, when, args, note) _SYSCALL_PROTOTYPE(name)
#define EMULATED(name, family, args, note) _SYSCALL_PROTOTYPE(name)
#define MEDIATED(name, family, feature, args, note) _SYSCALL_PROTOTYPE(name)
#define MEDIATED_WHEN(name, family, feature, when, args, note) _SYSCALL_PROTOTYPE(name)
#define MEDIATED_ALSO(name, family, feature, also, when, args, note) _SYSCALL_PROTOTYPE(name)
#define REFUSED(name, family, error, args, note)
#define REFUSED_WHEN(name, family, error, when, args, note)
#define DENIED_WHEN(name, family, error, when, args, note)
#define DENIED_ALSO(name, family, error, when, also, also_when, args, note) _SYSCALL_PROTOTYPE(name)
#include "syscalls.def"
