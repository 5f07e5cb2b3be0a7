/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Stops all tasks of a sandbox and lets them go on, unseen by them. By ptrace, which needs nothing but the
 * power over the sandbox's user namespace: every thread is seized and interrupted, children that are born
 * meanwhile are seized by the kernel. Should sentry-kernel die, the host kernel lets go of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Sentry Sentry;

typedef struct FrozenTask {
        pid_t tid;
        int signo;    /* to deliver when it goes on: it was stopped on the way to it. 0: none */
        bool stopped;
} FrozenTask;

typedef struct Freezer {
        Sentry *sentry;      /* lookup only */
        FrozenTask *tasks;   /* owned */
        size_t n_tasks, n_allocated;
        bool frozen;
} Freezer;

void freezer_init(Freezer *freezer, Sentry *sentry);
void freezer_done(Freezer *freezer);

/* Returns 0 when every task has stopped. -ETIMEDOUT after deadline_ns of CLOCK_MONOTONIC, -EBUSY when a task is
 * traced by another: everything runs again then, and *ret_message (the caller frees) names the task. */
int freezer_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message);
void freezer_thaw(Freezer *freezer);

/* A child or tracee changed its state outside of freezer_freeze(): reaps what is dead. */
void freezer_reap(Freezer *freezer);
