/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The seccomp filter of a sandbox, made from the table of system calls: what is native passes, everything else
 * is notified to sentry-kernel. */

#include <stdbool.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

/* Two programs, because a filter that notifies by default cannot say "unless the lower half of a register
 * equals": that takes a filter of its own, which allows by default. Of two verdicts the kernel takes the
 * stricter one. */
typedef struct FilterPrograms {
        struct sock_filter *deny, *notify;
        size_t n_deny, n_notify; /* instructions; n_deny 0: there is nothing to deny */
} FilterPrograms;

void filter_programs_done(FilterPrograms *programs);

/* Builds both for this architecture. features: bit (1 << SyscallFeature) for what the profile turns on. Takes
 * about a millisecond. */
int filter_build(uint32_t features, FilterPrograms *ret, LaunchFailure *failure);

/* Hands programs to another process over a stream socket. */
int filter_send(const FilterPrograms *programs, int fd);
/* -ENODATA: the sender gave up. */
int filter_receive(int fd, FilterPrograms *ret);

/* Confines the calling process, which has set no_new_privs, and returns the listener (O_CLOEXEC), and
 * whether a received call can be interrupted by fatal signals only. After that, calls that are not native wait for
 * whoever holds the listener. */
int filter_install(const FilterPrograms *programs, int *ret_listener, bool *ret_killable, LaunchFailure *failure);
