/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starting sentry-imager, the program that saves and restores: protocol.h says how we talk. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct Sentry Sentry;

/* Opens the program beside our own, or where it is installed: before we are confined, so that it is of our version even
 * after an upgrade. Leaves Sentry.imager_fd at -EBADF when there is none, which is told when it is wanted. */
void imager_open(Sentry *sentry);
/* Starts `sentry-imager VERB`, with fds[i] as descriptor 3 + i and none else but the standard ones. follow: it dies with us. pidfd is the caller's;
 * the zombie is reaped with all others. -ENOEXEC: there was no such program to open. */
int imager_spawn(Sentry *sentry, const char *verb, bool follow, const int fds[], size_t n_fds, pid_t *ret_pid, int *ret_pidfd);
