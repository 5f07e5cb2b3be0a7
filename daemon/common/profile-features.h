/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a profile turns on in the table of system calls: the launcher makes the filter by it, and sentry-kernel knows by
 * it which calls may arrive. */

#include <stdint.h>

#include "profile.h"
#include "syscall.h"

/* Bit (1 << SyscallFeature) each. */
static inline uint32_t profile_features(const Profile *profile) {
        uint32_t features = 0;

        if (profile->pid_host)
                features |= 1U << SYSCALL_FEATURE_PID_HOST;
        if (profile->pid_host || profile->ptrace_scope > 0)
                features |= 1U << SYSCALL_FEATURE_TRACING;
        if (profile->addresses.n > 0)
                features |= 1U << SYSCALL_FEATURE_SOCKETS;
        if (profile->timers_emulated)
                features |= 1U << SYSCALL_FEATURE_TIMERS;
        if (profile->nested_namespaces == 0)
                features |= 1U << SYSCALL_FEATURE_NO_NESTING;
        return features;
}
