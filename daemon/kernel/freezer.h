/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Stops all tasks of a sandbox and lets them go on, unseen by them. By its control group, when everybody is in it; else
 * by ptrace, which needs nothing but the power over the sandbox's user namespace. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Sentry Sentry;
typedef struct Freezer Freezer;

typedef struct FreezerMethod {
        const char *name;
        int (*freeze)(Freezer *freezer, uint64_t deadline_ns, char **ret_message);
        void (*thaw)(Freezer *freezer);
} FreezerMethod;

extern const FreezerMethod freezer_cgroup, freezer_ptrace;

typedef struct FrozenTask {
        pid_t tid;
        int signo;    /* to deliver when it goes on: it was stopped on the way to it. 0: none */
        bool stopped;
        bool zombie;  /* for freezer-ptrace.c to know it again; not traced */
} FrozenTask;

struct Freezer {
        Sentry *sentry;                 /* lookup only */
        const FreezerMethod *frozen_by; /* NULL: not frozen */

        /* Owned by freezer-ptrace.c */
        FrozenTask *tasks;              /* owned */
        size_t n_tasks, n_allocated;
        bool seizing;                   /* tasks that stop shall stay so */
};

void freezer_init(Freezer *freezer, Sentry *sentry);
void freezer_done(Freezer *freezer);

/* That which would be used now. */
const FreezerMethod *freezer_method(const Freezer *freezer);

/* Returns 0 when every task has stopped. -ETIMEDOUT after deadline_ns of CLOCK_MONOTONIC, -EBUSY when a task is
 * traced by another: everything runs again then, and *ret_message (the caller frees) names the task. */
int freezer_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message);
/* Only when frozen. */
void freezer_thaw(Freezer *freezer);

/* A child or tracee changed its state outside of freezer_freeze(): reaps what is dead. */
void freezer_reap(Freezer *freezer);

/* For the methods: a message that names a task. */
void freezer_describe(char **ret_message, pid_t tid, const char *what);

void freezer_ptrace_done(Freezer *freezer);
