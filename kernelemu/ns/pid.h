/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PID namespaces of a sandbox (pid_namespaces(7)): the first, and those nested in it. The ids that tasks show are those
 * of the first one, which sees all of them. */

#include "ns/namespace.h"

/* Takes a membership in the namespace with this inode, making it under the one with parent_inode when it is new.
 * Inode 0 stands for `fallback` (NULL: the first). Never fails: without memory or over the limit it is the nearest
 * namespace that there is. */
Namespace *pid_namespace_join(NamespaceTable *table, uint64_t inode, uint64_t parent_inode, Namespace *fallback);
/* Gives it back. A nested namespace goes with its last member. */
void pid_namespace_leave(NamespaceTable *table, Namespace *ns);
