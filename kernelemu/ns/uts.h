/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UTS namespaces: host and domain name, uts_namespaces(7). */

#include "ns/namespace.h"
#include "record.h"

/* Adds a namespace with the names of `parent`, or empty ones when that is NULL. As namespace_add(). */
int uts_namespace_add(NamespaceTable *table, uint64_t inode, const Namespace *parent, Namespace **ret);

/* Whose names a namespace begins with that a task is found in: those of its parent's, where it was most likely made.
 * The first one's when that cannot be told. */
Namespace *uts_namespace_parent(Kernel *kernel, HostTid tid);

/* Sets a name of `length` bytes (at most ABI_UTS_LENGTH - 1) and clears the rest. */
void uts_name_set(char name[static ABI_UTS_LENGTH], const char *value, size_t length);

/* Visits the fields of one namespace; see record.h. Returns 0 or a negative error. */
int uts_namespace_record(Namespace *ns, Record *record);
