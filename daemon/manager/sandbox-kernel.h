/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process that is a sandbox's kernel: starting it, watching it, and getting it back. Once it has told its descriptors,
 * the death of a sentry-kernel is no end: its keeper starts the next one, which comes to our socket; when the keeper is
 * dead too, we start it, from the same descriptors. Until then calls to it are kept (pending.h). */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

typedef struct Rendezvous Rendezvous;
typedef struct Sandbox Sandbox;
typedef struct SandboxImage SandboxImage;

#define SANDBOX_AWAY_DEADLINE_USEC (10U * UINT64_C(1000000)) /* for a sentry-kernel to come back; then calls fail */

/* Makes all that joins us, sentry-kernel and launcher, and starts sentry-kernel. image: what it restores, or NULL. */
int sandbox_start_kernel(Sandbox *s, const SandboxImage *image, int *ret_launch_fd);

/* Expects the sentry-kernel of a sandbox of the index to come. lock_fd: -EBADF when it lives; else the lock of its file,
 * which says that it is dead: another one is started from what is held. */
int sandbox_expect_kernel(Sandbox *s, int lock_fd);

/* Takes in a sentry-kernel that has come: it has proved to be this sandbox's. Takes what it needs out of hello, and fd,
 * the connection, when it succeeds. */
int sandbox_adopt_kernel(Sandbox *s, Rendezvous *hello, int fd);

/* The connection to sentry-kernel is at its end. */
void sandbox_lose_kernel(Sandbox *s);

/* Takes the table of descriptors that sentry-kernel tells: org.sentryd1.Kernel's signal Descriptors. */
int sandbox_take_descriptors(Sandbox *s, sd_bus_message *m);

/* Ends sentry-kernel and lets no other one come; that ends the sandbox and, by the launch socket, the program. */
void sandbox_kill_kernel(Sandbox *s);

/* Sentry-kernel has said that the sandbox has ended, and is about to exit: it has so long. */
void sandbox_depart(Sandbox *s);

/* Frees all of it. What runs goes on by itself. */
void sandbox_release_kernel(Sandbox *s);
