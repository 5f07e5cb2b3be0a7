/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ns/uts.h"

void uts_table_init(UTSTable *table) {
        LIST_INIT(&table->namespaces);
        table->n_namespaces = 0;
}

void uts_table_done(UTSTable *table) {
        UTSNamespace *ns;

        while ((ns = LIST_FIRST(&table->namespaces))) {
                LIST_REMOVE(ns, link);
                free(ns);
        }
        table->n_namespaces = 0;
}

UTSNamespace *uts_table_find(const UTSTable *table, uint64_t inode) {
        UTSNamespace *ns;

        LIST_FOREACH(ns, &table->namespaces, link)
                if (ns->inode == inode)
                        return ns;
        return NULL;
}

int uts_table_add(UTSTable *table, uint64_t inode, const UTSNamespace *parent, UTSNamespace **ret) {
        UTSNamespace *ns;

        if (uts_table_find(table, inode))
                return -EEXIST;
        if (table->n_namespaces >= UTS_NAMESPACES_MAX)
                return -ENOSPC;

        ns = calloc(1, sizeof(UTSNamespace));
        if (!ns)
                return -ENOMEM;
        if (parent)
                *ns = *parent;
        ns->inode = inode;

        LIST_INSERT_HEAD(&table->namespaces, ns, link);
        table->n_namespaces++;
        if (ret)
                *ret = ns;
        return 0;
}

void uts_name_set(char name[static ABI_UTS_LENGTH], const char *value, size_t length) {
        assert(length < ABI_UTS_LENGTH);

        memcpy(name, value, length);
        memset(name + length, 0, ABI_UTS_LENGTH - length);
}

int uts_namespace_record(UTSNamespace *ns, Record *record) {
        record_begin(record, "uts-namespace", 1);
        record_u64(record, "inode", &ns->inode);
        record_bytes(record, "nodename", ns->nodename, sizeof(ns->nodename));
        record_bytes(record, "domainname", ns->domainname, sizeof(ns->domainname));
        if (record->mode == RECORD_READ && record->error == 0 &&
            (ns->nodename[ABI_UTS_LENGTH - 1] || ns->domainname[ABI_UTS_LENGTH - 1]))
                record->error = -EBADMSG;
        return record_end(record);
}
