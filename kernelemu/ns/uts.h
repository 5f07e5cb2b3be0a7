/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UTS namespaces: host and domain name. Identified by the inode of the host's UTS namespace that a task is in,
 * so that the host keeps the books of who inherits which (uts_namespaces(7)). */

#include <stdint.h>
#include <sys/queue.h>

#include "abi/types.h"
#include "record.h"

#define UTS_NAMESPACES_MAX 64U /* per sandbox */

typedef struct UTSNamespace {
        uint64_t inode;                   /* immutable, recorded. Identity on the host */
        char nodename[ABI_UTS_LENGTH];    /* owned by sys/utsname.c, recorded. May hold NULs: sethostname(2) */
        char domainname[ABI_UTS_LENGTH];  /* owned by sys/utsname.c, recorded */
        LIST_ENTRY(UTSNamespace) link;    /* owned by the table */
} UTSNamespace;

/* All UTS namespaces of a sandbox. Few, so a list. */
typedef struct UTSTable {
        LIST_HEAD(, UTSNamespace) namespaces; /* owned */
        unsigned n_namespaces;
} UTSTable;

void uts_table_init(UTSTable *table);
void uts_table_done(UTSTable *table);

/* Adds a namespace with the names of `parent`, or empty ones when that is NULL. -EEXIST when the inode is in
 * the table, -ENOSPC over the limit, as unshare(2) has it, -ENOMEM. */
int uts_table_add(UTSTable *table, uint64_t inode, const UTSNamespace *parent, UTSNamespace **ret);

/* NULL when there is none. */
UTSNamespace *uts_table_find(const UTSTable *table, uint64_t inode);

/* Sets a name of `length` bytes (at most ABI_UTS_LENGTH - 1) and clears the rest. */
void uts_name_set(char name[static ABI_UTS_LENGTH], const char *value, size_t length);

/* Visits the fields of one namespace; see record.h. Returns 0 or a negative error. */
int uts_namespace_record(UTSNamespace *ns, Record *record);
