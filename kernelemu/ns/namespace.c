/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "kernel.h"
#include "ns/namespace.h"
#include "ns/pid.h"
#include "ns/uts.h"

const char *namespace_kind_to_string(NamespaceKind kind) {
        static const char *const names[_NAMESPACE_KIND_MAX] = {
                [NAMESPACE_USER] = "user", [NAMESPACE_PID] = "pid",     [NAMESPACE_MOUNT] = "mnt",
                [NAMESPACE_UTS] = "uts",   [NAMESPACE_IPC] = "ipc",     [NAMESPACE_NETWORK] = "net",
                [NAMESPACE_CGROUP] = "cgroup", [NAMESPACE_TIME] = "time",
        };

        return kind < _NAMESPACE_KIND_MAX ? names[kind] : NULL;
}

int namespace_table_init(NamespaceTable *table) {
        int r;

        *table = (NamespaceTable) {};
        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++)
                LIST_INIT(&table->namespaces[kind]);
        r = namespace_add(table, NAMESPACE_PID, 0, &table->first_pid);
        if (r >= 0)
                table->first_pid->n_refs = 1;
        return r;
}

void namespace_table_done(NamespaceTable *table) {
        Namespace *ns;

        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++)
                while ((ns = LIST_FIRST(&table->namespaces[kind])))
                        namespace_remove(table, ns);
        table->first_pid = NULL;
}

Namespace *namespace_find(const NamespaceTable *table, NamespaceKind kind, uint64_t inode) {
        Namespace *ns;

        LIST_FOREACH(ns, &table->namespaces[kind], link)
                if (ns->inode == inode)
                        return ns;
        return NULL;
}

int namespace_add(NamespaceTable *table, NamespaceKind kind, uint64_t inode, Namespace **ret) {
        Namespace *ns;

        if (namespace_find(table, kind, inode))
                return -EEXIST;
        if (table->n[kind] >= NAMESPACES_MAX)
                return -ENOSPC;
        ns = calloc(1, sizeof(Namespace));
        if (!ns)
                return -ENOMEM;
        ns->kind = kind;
        ns->inode = inode;
        LIST_INSERT_HEAD(&table->namespaces[kind], ns, link);
        table->n[kind]++;
        *ret = ns;
        return 0;
}

void namespace_remove(NamespaceTable *table, Namespace *ns) {
        LIST_REMOVE(ns, link);
        table->n[ns->kind]--;
        free(ns);
}

static int add(Kernel *kernel, NamespaceKind kind, uint64_t inode, HostTid tid, Namespace **ret) {
        if (kind == NAMESPACE_UTS)
                return uts_namespace_add(&kernel->namespaces, inode,
                                         tid != 0 ? uts_namespace_parent(kernel, tid) : kernel->first_uts, ret);
        return namespace_add(&kernel->namespaces, kind, inode, ret);
}

/* One namespace that was seen, of a task or (0) by a descriptor. NULL: it cannot be kept. */
static Namespace *see(Kernel *kernel, NamespaceKind kind, uint64_t inode, HostTid tid) {
        NamespaceTable *table = &kernel->namespaces;
        Namespace *ns = namespace_find(table, kind, inode);

        /* PID namespaces come with their processes; but those that a descriptor alone keeps do not. */
        if (!ns && kind == NAMESPACE_PID && table->first_pid->inode == 0) {
                ns = table->first_pid;
                ns->inode = inode;
        }
        if (!ns && add(kernel, kind, inode, tid, &ns) < 0)
                return NULL;
        if (ns->seen != table->syncs) {
                ns->seen = table->syncs;
                ns->n_processes = 0;
                ns->first_pid = ns->holder_pid = 0;
        }
        return ns;
}

typedef struct Look {
        Kernel *kernel;
        HostTid leader;                         /* of the process at hand */
        uint64_t inodes[_NAMESPACE_KIND_MAX];   /* where it is; 0: not known */
} Look;

static void see_member(Look *look, NamespaceKind kind, HostTid tid, GuestPid id, uint64_t inode) {
        Kernel *kernel = look->kernel;
        HostNamespace info = {};
        Namespace *ns;

        ns = see(kernel, kind, inode, tid);
        if (!ns)
                return;
        if (ns->owner_inode == 0 && ns->parent_inode == 0 &&
            kernel->host->ops->namespace_of(kernel->host, tid, kind, &info) >= 0 && info.inode == inode) {
                ns->parent_inode = info.parent;
                ns->owner_inode = info.owner;
        }
        ns->n_processes++;
        if (ns->first_pid == 0 || id < ns->first_pid)
                ns->first_pid = id;
}

static void look_at(Look *look, HostTid tid, GuestPid id) {
        Host *host = look->kernel->host;

        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++) {
                uint64_t inode;

                if (host->ops->task_namespace(host, tid, kind, &inode) < 0)
                        inode = 0;
                /* Threads count where they are apart from their process only. */
                if (inode != 0 && (tid == look->leader || inode != look->inodes[kind]))
                        see_member(look, kind, tid, id, inode);
                if (tid == look->leader)
                        look->inodes[kind] = inode;
        }
}

static int on_thread(const HostTask *task, void *userdata) {
        Look *look = userdata;

        if (task->host_id != look->leader)
                look_at(look, task->host_id, task->id);
        return 0;
}

static int on_held(GuestPid pid, int fd, NamespaceKind kind, const HostNamespace *info, void *userdata) {
        Kernel *kernel = userdata;
        Namespace *ns = see(kernel, kind, info->inode, 0);

        if (!ns)
                return 0;
        if (ns->owner_inode == 0)
                ns->owner_inode = info->owner;
        if (ns->parent_inode == 0)
                ns->parent_inode = info->parent;
        if (ns->n_processes == 0 && ns->holder_pid == 0) {
                ns->holder_pid = pid;
                ns->holder_fd = fd;
        }
        return 0;
}

void namespaces_sync(Kernel *kernel) {
        NamespaceTable *table = &kernel->namespaces;
        Host *host = kernel->host;
        Look look = { .kernel = kernel };
        ThreadGroup *process;

        table->syncs++;
        TAILQ_FOREACH(process, &kernel->tasks.processes, link) {
                if (process->dead)
                        continue;
                look.leader = process->host_pid;
                look_at(&look, process->host_pid, process->pid);
                if (process->n_threads > 1)
                        (void) host->ops->task_threads(host, process->pid, on_thread, &look);
        }
        (void) host->ops->namespace_for_each_held(host, on_held, kernel);

        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++) {
                Namespace *next;

                for (Namespace *ns = LIST_FIRST(&table->namespaces[kind]); ns; ns = next) {
                        next = LIST_NEXT(ns, link);
                        if (ns->seen == table->syncs)
                                continue;
                        ns->n_processes = 0;
                        ns->first_pid = ns->holder_pid = 0;
                        if (ns->n_refs == 0)
                                namespace_remove(table, ns);
                }
        }
}
