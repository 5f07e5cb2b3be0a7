/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "ns/uts.h"

int uts_namespace_add(NamespaceTable *table, uint64_t inode, const Namespace *parent, Namespace **ret) {
        int r;

        r = namespace_add(table, NAMESPACE_UTS, inode, ret);
        if (r < 0 || !parent)
                return r;
        memcpy((*ret)->nodename, parent->nodename, sizeof(parent->nodename));
        memcpy((*ret)->domainname, parent->domainname, sizeof(parent->domainname));
        return 0;
}

Namespace *uts_namespace_parent(Kernel *kernel, HostTid tid) {
        Host *host = kernel->host;
        HostPeer peer;
        uint64_t inode;

        while (host->ops->task_info(host, tid, &peer) >= 0 && peer.parent != 0 && peer.parent != tid) {
                Namespace *ns;

                tid = peer.parent;
                if (!task_table_find_host(&kernel->tasks, tid) ||
                    host->ops->task_namespace(host, tid, NAMESPACE_UTS, &inode) < 0)
                        break;
                ns = namespace_find(&kernel->namespaces, NAMESPACE_UTS, inode);
                if (ns)
                        return ns;
        }
        return kernel->first_uts;
}

void uts_name_set(char name[static ABI_UTS_LENGTH], const char *value, size_t length) {
        assert(length < ABI_UTS_LENGTH);

        memcpy(name, value, length);
        memset(name + length, 0, ABI_UTS_LENGTH - length);
}

int uts_namespace_record(Namespace *ns, Record *record) {
        record_begin(record, "uts-namespace", 1);
        record_u64(record, "inode", &ns->inode);
        record_bytes(record, "nodename", ns->nodename, sizeof(ns->nodename));
        record_bytes(record, "domainname", ns->domainname, sizeof(ns->domainname));
        if (record->mode == RECORD_READ && record->error == 0 &&
            (ns->nodename[ABI_UTS_LENGTH - 1] || ns->domainname[ABI_UTS_LENGTH - 1]))
                record->error = -EBADMSG;
        return record_end(record);
}
