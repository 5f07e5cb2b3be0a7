/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control group of a sandbox, which its launcher has made; if it has. */

#include <stdbool.h>
#include <stdint.h>

typedef struct SandboxCgroup {
        int parent_fd;  /* owned; O_PATH. -EBADF: none was announced */
        int fd;         /* owned; its directory. -EBADF: nobody is in it (yet) */
        char name[128]; /* in parent_fd */
        bool partial;   /* a program that was launched later could not enter it */
} SandboxCgroup;

void sandbox_cgroup_init(SandboxCgroup *cgroup);
/* remove: ends what is in it and removes it, as its maker cannot any more. */
void sandbox_cgroup_done(SandboxCgroup *cgroup, bool remove);

/* The launcher is about to make it. Takes ownership of parent_fd, and sets it to -EBADF. number 0: it did not. */
int sandbox_cgroup_announced(SandboxCgroup *cgroup, const char *sandbox, int *parent_fd, int number);
/* The first program has entered it. */
int sandbox_cgroup_entered(SandboxCgroup *cgroup);

/* Whether every process of the sandbox is in it. */
static inline bool sandbox_cgroup_is_whole(const SandboxCgroup *cgroup) {
        return cgroup->fd >= 0 && !cgroup->partial;
}

/* Writes one of its files. Negative errno. */
int sandbox_cgroup_write(const SandboxCgroup *cgroup, const char *file, const char *text);

/* Waits until cgroup.events has this line. -ETIMEDOUT after deadline_ns of CLOCK_MONOTONIC. */
int sandbox_cgroup_await(const SandboxCgroup *cgroup, const char *what, uint64_t deadline_ns);
