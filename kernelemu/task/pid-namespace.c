/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "pid-namespace.h"

static PIDNamespace *add(PIDNamespaceTable *table, uint64_t inode, PIDNamespace *parent) {
        PIDNamespace *ns;

        if (table->n_namespaces >= PID_NAMESPACES_MAX)
                return NULL;
        ns = calloc(1, sizeof(PIDNamespace));
        if (!ns)
                return NULL;
        *ns = (PIDNamespace) { .inode = inode, .parent = parent, .level = parent ? parent->level + 1 : 0 };
        if (parent)
                parent->n_members++;
        LIST_INSERT_HEAD(&table->namespaces, ns, link);
        table->n_namespaces++;
        return ns;
}

int pid_namespaces_init(PIDNamespaceTable *table) {
        *table = (PIDNamespaceTable) {};
        LIST_INIT(&table->namespaces);
        table->first = add(table, 0, NULL);
        return table->first ? 0 : -ENOMEM;
}

void pid_namespaces_done(PIDNamespaceTable *table) {
        PIDNamespace *ns;

        while ((ns = LIST_FIRST(&table->namespaces))) {
                LIST_REMOVE(ns, link);
                free(ns);
        }
        *table = (PIDNamespaceTable) {};
}

static PIDNamespace *find(const PIDNamespaceTable *table, uint64_t inode) {
        PIDNamespace *ns;

        LIST_FOREACH(ns, &table->namespaces, link)
                if (ns->inode == inode)
                        return ns;
        return NULL;
}

PIDNamespace *pid_namespace_join(PIDNamespaceTable *table, uint64_t inode, uint64_t parent_inode,
                                 PIDNamespace *fallback) {
        PIDNamespace *ns = NULL;

        if (inode != 0) {
                if (table->first->inode == 0)
                        table->first->inode = inode; /* the first task that tells is in the first one */
                ns = find(table, inode);
                if (!ns)
                        ns = add(table, inode, find(table, parent_inode) ?: table->first);
        }
        ns = ns ?: fallback ?: table->first;
        ns->n_members++;
        return ns;
}

void pid_namespace_leave(PIDNamespaceTable *table, PIDNamespace *ns) {
        while (ns) {
                PIDNamespace *parent = ns->parent;

                ns->n_members--;
                if (ns->n_members > 0 || !parent)
                        return;
                LIST_REMOVE(ns, link);
                table->n_namespaces--;
                free(ns);
                ns = parent;
        }
}
