/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What programs mount and unmount inside. The mounts are the host's, in the sandbox's own mount namespace, and all that
 * is to be known of them says its table (/proc/PID/mountinfo), so none is kept or recorded here. What is kept is the one
 * call that the host is making on behalf: others wait their turn, which makes the limit exact. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

/* What a profile can allow. */
typedef enum MountKind {
        MOUNT_TMPFS,
        MOUNT_BIND,
        MOUNT_PROC,    /* a view of the /proc that the launch made, with all that is laid over it */
        MOUNT_OVERLAY,
        _MOUNT_KIND_MAX,
} MountKind;

typedef struct MountRules {
        uint32_t kinds;      /* bit (1 << MountKind) */
        uint32_t max;        /* mounts at a time, beside those of the launch */
        uint64_t tmpfs_size; /* bytes that a tmpfs has at most */
} MountRules;

#define MOUNT_PATH_MAX 4096U /* bytes with the NUL, as Linux has it */
#define MOUNT_DATA_MAX 4096U
#define MOUNT_TYPE_MAX 16U

typedef enum HostMountAction {
        HOST_MOUNT,      /* mount(2) */
        HOST_MOUNT_PROC, /* the sandbox's /proc once more */
        HOST_UMOUNT,     /* umount2(2) */
} HostMountAction;

/* A checked call; all of it copies. */
typedef struct HostMountRequest {
        HostMountAction action;
        bool has_source, has_type, has_data; /* else the host gets NULL */
        char source[MOUNT_PATH_MAX];
        char target[MOUNT_PATH_MAX];
        char type[MOUNT_TYPE_MAX];
        char data[MOUNT_DATA_MAX];
        uint64_t flags;
        bool adds;           /* makes a mount: ENOSPC beyond the limit */
        bool tree;           /* and as many as are below the source */
        uint32_t max;        /* the limit */
        uint64_t capabilities;       /* bit per CAP_*: the caller holds them for this call, beside those it has natively */
        uint64_t owner_capabilities; /* the same, for one who has the user id of the sandbox's owner */
} HostMountRequest;

typedef enum MountJobState {
        MOUNT_JOB_NONE,
        MOUNT_JOB_RUNNING, /* the host is at it */
        MOUNT_JOB_DONE,    /* the answer waits for its call to run again */
} MountJobState;

typedef struct MountJob {
        MountJobState state; /* not recorded, as are the others: a save waits for the end of it */
        uint64_t cookie;     /* of the call */
        int error;           /* DONE: 0 or the guest's errno, negative */
        bool held;           /* none is begun: the sandbox is about to stand still */
} MountJob;

typedef struct Kernel Kernel;

/* The host has made the call, or could not; error: 0 or the guest's errno, negative. */
void kernel_mount_done(Kernel *kernel, int error);
/* Whether this call is made by the host right now, so that no signal may end it: it would be made twice. */
bool kernel_mount_is_running(const Kernel *kernel, uint64_t cookie);
/* No further one is begun, or they are again. */
void kernel_mount_hold(Kernel *kernel, bool hold);
