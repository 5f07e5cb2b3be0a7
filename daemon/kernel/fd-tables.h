/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tables of descriptors of a sandbox, clone(2) CLONE_FILES: who shares which, and what is in them. For lister.h. */

#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"

#define FD_TARGET_MAX 4096U

typedef struct Sentry Sentry;
typedef struct ThreadGroup ThreadGroup;

typedef struct FdTable {
        const ThreadGroup *process; /* the first that has it */
        GuestPid tid;               /* a thread with a table of its own; 0: the process */
        HostTid host_tid;
        GuestPid *sharers;          /* owned; processes and threads that have it too, not with the first */
        size_t n_sharers;
} FdTable;

typedef struct FdTables {
        FdTable **tables;           /* owned; by process and thread */
        size_t n, n_allocated;
} FdTables;

/* Of all processes, in the order of their ids. 0 or -ENOMEM. */
int fd_tables_read(Sentry *sentry, FdTables *ret);
void fd_tables_done(FdTables *tables);

/* Its directory in /proc: "fd" or "fdinfo". A descriptor or an error. */
int fd_table_open(const Sentry *sentry, const FdTable *table, const char *name);

/* Calls function for each descriptor with its target, until it returns other than 0, which is returned. Those that are
 * closed meanwhile are left out. 0, or why the table cannot be read (-ENOENT: it is gone). */
int fd_table_for_each(int dir_fd, int (*function)(int number, const char *target, void *userdata), void *userdata);

/* The number in "socket:[123]"; 0 when it is not that. */
uint64_t fd_target_inode(const char *target, const char *kind);
