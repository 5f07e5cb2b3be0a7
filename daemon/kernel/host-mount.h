/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* mount(2) and umount2(2) on behalf of a task: by a child of ours that becomes like the task and makes the call. A path
 * may lead to what never answers (a dead network file system, FUSE), so nobody waits for it but the task; it has a
 * deadline. There is one such child at a time, but for those that are about to end, or that cannot even be killed. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "host.h"

#define MOUNTERS_LEFT_MAX 8U /* children that are not dead yet, beside the one at work; with more no call is made */

typedef struct Sentry Sentry;

typedef struct MounterChild {
        pid_t pid; /* 0: none */
        int pidfd; /* owned, with pid */
} MounterChild;

typedef struct SentryMounter {
        Sentry *sentry;            /* lookup only */
        MounterChild child;        /* at work */
        MounterChild left[MOUNTERS_LEFT_MAX]; /* whose answer was had, or given up */
        int answer_fd;             /* owned, with the child: the pipe that it answers by */
        sd_event_source *source;   /* owned, with the child */
        sd_event_source *deadline; /* owned, with the child */
        uint32_t n_launch;         /* mounts that the launch made: as many as there were before the first call; 0: not
                                    * known yet; not recorded: counted again */
        bool full;                 /* the last call that adds found no room; not recorded: a hint */
} SentryMounter;

void mounter_init(SentryMounter *mounter, Sentry *sentry);
void mounter_done(SentryMounter *mounter);

/* Waits for the child at work, if there is one, for a moment, then kills it; its call is answered either way. */
void mounter_settle(SentryMounter *mounter);

/* Whether a process is one of the children: those are in the sandbox's user namespace, but are none of its tasks. */
bool mounter_is_child(const SentryMounter *mounter, pid_t pid);

/* HostOps.mount */
int host_mount(Host *host, const Call *call, const HostMountRequest *request);
