/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a profile turns on in the table of system calls: the launcher makes the filter by it, and sentry-kernel knows by
 * it which calls may arrive. */

#include <stdint.h>

#include "profile.h"
#include "syscall.h"

/* Its programs may have CAP_NET_BIND_SERVICE, but over their own user namespace and not over the network, which is the host's.
 * So sentry-kernel keeps it, and takes ports below 1024 on behalf of those who have it. */
static inline bool profile_binds_ports(const Profile *profile) {
        return profile->users == PROFILE_USERS_HOST && profile->network == PROFILE_NETWORK_HOST;
}

/* Bit (1 << SyscallFeature) each. */
static inline uint32_t profile_features(const Profile *profile) {
        uint32_t features = 0;

        if (profile->pid_host)
                features |= 1U << SYSCALL_FEATURE_PID_HOST;
        if (profile->pid_host || profile->ptrace_scope > 0)
                features |= 1U << SYSCALL_FEATURE_TRACING;
        if (profile->addresses.n > 0)
                features |= 1U << SYSCALL_FEATURE_SOCKETS | 1U << SYSCALL_FEATURE_BIND;
        if (profile_binds_ports(profile))
                features |= 1U << SYSCALL_FEATURE_BIND;
        if (profile->timers_emulated)
                features |= 1U << SYSCALL_FEATURE_TIMERS;
        if (profile->nested_namespaces == 0)
                features |= 1U << SYSCALL_FEATURE_NO_NESTING;
        if (profile->mount_calls.kinds != 0)
                features |= 1U << SYSCALL_FEATURE_MOUNTS;
        return features;
}
