/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PID namespaces of a sandbox (pid_namespaces(7)): the first, and those nested in it. Identified by the inode of the
 * host's namespace. The ids that tasks show are those of the first one, which sees all of them. */

#include <stdint.h>
#include <sys/queue.h>

#define PID_NAMESPACES_MAX 64U /* per sandbox; tasks of further ones are shown in the innermost one that is known */

typedef struct PIDNamespace {
        uint64_t inode;                /* immutable once known; not recorded: the host's. 0: not known yet */
        struct PIDNamespace *parent;   /* immutable; not recorded: found again with the tasks. NULL: the first */
        unsigned level;                /* immutable; 0: the first */
        unsigned n_members;            /* processes and nested namespaces; owned by the table, not recorded */
        LIST_ENTRY(PIDNamespace) link; /* owned by the table */
} PIDNamespace;

typedef struct PIDNamespaceTable {
        LIST_HEAD(, PIDNamespace) namespaces; /* owned; few, so a list */
        PIDNamespace *first;                  /* in it */
        unsigned n_namespaces;
} PIDNamespaceTable;

int pid_namespaces_init(PIDNamespaceTable *table);
void pid_namespaces_done(PIDNamespaceTable *table);

/* Takes a membership in the namespace with this inode, making it under the one with parent_inode when it is new.
 * Inode 0 stands for `fallback` (NULL: the first). Never fails: without memory or over the limit it is the nearest
 * namespace that there is. */
PIDNamespace *pid_namespace_join(PIDNamespaceTable *table, uint64_t inode, uint64_t parent_inode,
                                 PIDNamespace *fallback);
/* Gives it back. A nested namespace goes with its last member. */
void pid_namespace_leave(PIDNamespaceTable *table, PIDNamespace *ns);
