/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "ns/pid.h"

static void nest(NamespaceTable *table, Namespace *ns, uint64_t parent_inode) {
        Namespace *parent;

        parent = parent_inode != ns->inode ? namespace_find(table, NAMESPACE_PID, parent_inode) : NULL;
        ns->parent = parent ? parent : table->first_pid;
        ns->level = ns->parent->level + 1;
        ns->parent->n_refs++;
}

Namespace *pid_namespace_join(NamespaceTable *table, uint64_t inode, uint64_t parent_inode, Namespace *fallback) {
        Namespace *ns = NULL;

        if (inode != 0) {
                if (table->first_pid->inode == 0)
                        table->first_pid->inode = inode; /* the first task that tells is in the first one */
                ns = namespace_find(table, NAMESPACE_PID, inode);
                if (!ns && namespace_add(table, NAMESPACE_PID, inode, &ns) < 0)
                        ns = NULL;
                /* It may have been seen before as one without a process, so nested nowhere. */
                if (ns && ns != table->first_pid && !ns->parent)
                        nest(table, ns, parent_inode);
        }
        if (!ns)
                ns = fallback ? fallback : table->first_pid;
        ns->n_refs++;
        return ns;
}

void pid_namespace_leave(NamespaceTable *table, Namespace *ns) {
        while (ns) {
                Namespace *parent = ns->parent;

                ns->n_refs--;
                if (ns->n_refs > 0)
                        return;
                namespace_remove(table, ns);
                ns = parent;
        }
}
