/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Namespaces of a sandbox, of every kind (namespaces(7)). A namespace is known by the inode that the host has for it,
 * so that the host keeps the books of who is in which. What is ours to keep, as the names of a UTS namespace, hangs on
 * the object; what the host says of it is looked at again when it is asked for. */

#include <stdint.h>
#include <sys/queue.h>

#include "abi/types.h"
#include "host.h"

#define NAMESPACES_MAX 64U /* of each kind, per sandbox; further ones are not listed */

typedef struct Kernel Kernel;

typedef struct Namespace {
        NamespaceKind kind;         /* immutable */
        uint64_t inode;             /* immutable once known; 0: not known yet. Recorded for UTS: it is their name there */
        uint64_t parent_inode;      /* immutable; USER and PID, 0: none, or not known. Not recorded: the host's */
        uint64_t owner_inode;       /* immutable; of the user namespace that owns it, likewise */
        struct Namespace *parent;   /* immutable; PID, counted in it. NULL: the first. Not recorded: found again */
        unsigned level;             /* immutable; PID: how deep it is nested. Not recorded */
        unsigned n_refs;            /* objects of ours that hold it, nested ones and processes; not recorded */

        char nodename[ABI_UTS_LENGTH];   /* UTS: owned by sys/utsname.c, recorded. May hold NULs: sethostname(2) */
        char domainname[ABI_UTS_LENGTH]; /* UTS: owned by sys/utsname.c, recorded */

        /* As of the last namespaces_sync(); not recorded */
        unsigned n_processes;       /* and threads that are not where their process is */
        GuestPid first_pid;         /* the lowest of them; 0: none */
        GuestPid holder_pid;        /* without any: a process with a descriptor of it; 0: none */
        int holder_fd;
        unsigned seen;              /* the sync that saw it last */
        LIST_ENTRY(Namespace) link; /* owned by the table */
} Namespace;

/* Few of each kind, so lists. */
typedef struct NamespaceTable {
        LIST_HEAD(, Namespace) namespaces[_NAMESPACE_KIND_MAX]; /* owned */
        unsigned n[_NAMESPACE_KIND_MAX];
        Namespace *first_pid;       /* the first PID namespace, held by the table */
        unsigned syncs;
} NamespaceTable;

/* "user", "mnt" …: as /proc/PID/ns has them. */
const char *namespace_kind_to_string(NamespaceKind kind);

/* 0 or -ENOMEM. */
int namespace_table_init(NamespaceTable *table);
void namespace_table_done(NamespaceTable *table);

/* NULL when there is none. */
Namespace *namespace_find(const NamespaceTable *table, NamespaceKind kind, uint64_t inode);
/* -EEXIST when the inode is in the table, -ENOSPC over the limit, as unshare(2) has it, -ENOMEM. */
int namespace_add(NamespaceTable *table, NamespaceKind kind, uint64_t inode, Namespace **ret);
void namespace_remove(NamespaceTable *table, Namespace *ns);

/* Finds all namespaces that processes of the sandbox are in or have a descriptor of, and forgets the others. Sync the
 * task table first. What cannot be looked at is left out. */
void namespaces_sync(Kernel *kernel);
