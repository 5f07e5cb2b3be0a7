/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may trace whom: the scopes and exceptions of Documentation/admin-guide/LSM/Yama.rst, per sandbox. What the host
 * demands (same ids, dumpable, its own scope) comes on top: a call that is allowed here is then made by the host. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "host.h"
#include "record.h"

#define PTRACE_EXCEPTIONS_MAX 4096U

typedef struct Kernel Kernel;

typedef enum PtraceScope {
        PTRACE_SCOPE_CLASSIC,    /* whoever the host lets */
        PTRACE_SCOPE_RELATED,    /* ancestors, and whom the tracee has named by PR_SET_PTRACER */
        PTRACE_SCOPE_CAPABILITY, /* holders of CAP_SYS_PTRACE */
        PTRACE_SCOPE_NONE,
        _PTRACE_SCOPE_MAX,
} PtraceScope;

/* prctl(PR_SET_PTRACER): this process may be traced by that one and what descends from it. Processes are told apart by
 * their start time when a number is given again. */
typedef struct PtraceException {
        HostTid tracee, tracer;              /* tracer 0: anyone */
        uint64_t tracee_start, tracer_start; /* tracee_start 0: of an image, with numbers of the sandbox until its processes are there */
        LIST_ENTRY(PtraceException) link;
} PtraceException;

typedef struct PtraceRules {
        PtraceScope scope;                      /* immutable */
        LIST_HEAD(, PtraceException) exceptions; /* owned; one per tracee. Those of the dead go when room is needed */
        unsigned n_exceptions;
} PtraceRules;

void ptrace_rules_init(PtraceRules *rules, PtraceScope scope);
void ptrace_rules_done(PtraceRules *rules);

/* Whether the tracer may attach to the tracee, read its memory, take its files: 0 or -EPERM. */
int ptrace_may_attach(Kernel *kernel, const HostPeer *tracer, const HostPeer *tracee);
/* Whether a child of parent may ask to be traced by it: 0 or -EPERM. */
int ptrace_may_traceme(Kernel *kernel, const HostPeer *parent);

/* Replaces the exception of a tracee; tracer NULL: anyone. 0 or -ENOMEM. */
int ptrace_exception_set(Kernel *kernel, const HostPeer *tracee, const HostPeer *tracer);
void ptrace_exception_clear(Kernel *kernel, const HostPeer *tracee);

/* Writes all exceptions. */
int ptrace_rules_record(PtraceRules *rules, Record *record);
/* Reads one: it replaces that of its tracee, or takes it away. */
int ptrace_rules_apply(PtraceRules *rules, Record *record);

/* Writes or reads all exceptions of processes that live, by their numbers in the sandbox. What was read is of no effect
 * before ptrace_rules_adopt(), when they are in the table of tasks. */
int ptrace_rules_image(Kernel *kernel, Record *record);
void ptrace_rules_adopt(Kernel *kernel);
