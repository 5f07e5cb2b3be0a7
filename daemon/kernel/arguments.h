/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading the arguments of processes, /proc/PID/cmdline. They lie in the memory of the guest, where a page that nobody
 * delivers (userfaultfd, FUSE, NFS) blocks whoever reads it for all but fatal signals. No call is in service when they are
 * asked for, so nobody could take over from the thread that serves; hence another one reads and is left behind when it
 * gets no further. It ends by itself when the page comes, or with the process. */

#include <stdbool.h>
#include <stddef.h>

#include "task/host-task.h"

/* Fills in the arguments of n processes of a /proc. Those that cannot be read in time are marked as withheld, and those
 * marked so before are asked again only when no thread is left behind. Takes no longer than a second or so. */
void arguments_read(int proc_fd, HostArguments *of, size_t n);

/* Whether threads are left behind, who must not be waited for at the end. */
bool arguments_has_stuck(void);
