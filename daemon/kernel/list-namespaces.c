/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListNamespaces: a line for each namespace that a process of the sandbox is in, or has a descriptor of. */

#include <stdio.h>
#include <sys/stat.h>

#include "sentry.h"
#include "util.h"

/* The sandbox's own tasks are not alone in those that we are in, too. */
static bool is_host(const Namespace *ns) {
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", namespace_kind_to_string(ns->kind));
        return stat(path, &st) >= 0 && st.st_ino == ns->inode;
}

static void put_names(Lines *lines, const Namespace *ns) {
        lines_text(lines, "hostname", ns->nodename, strnlen(ns->nodename, sizeof(ns->nodename)));
        lines_text(lines, "domainname", ns->domainname, strnlen(ns->domainname, sizeof(ns->domainname)));
}

static void put_namespace(const Sentry *sentry, Lines *lines, const Namespace *ns) {
        GuestPid pid = ns->first_pid ?: ns->holder_pid;
        const ThreadGroup *process = task_table_find(&sentry->kernel->tasks, pid);

        lines_begin(lines);
        lines_unsigned(lines, "inode", ns->inode);
        lines_string(lines, "type", namespace_kind_to_string(ns->kind));
        lines_unsigned(lines, "processes", ns->n_processes);
        lines_unsigned(lines, "pid", (uint64_t) pid);
        if (ns->first_pid == 0 && pid != 0)
                lines_unsigned(lines, "held_by_fd", (uint64_t) ns->holder_fd);
        if (process) {
                lines_unsigned(lines, "uid", process->credentials.uid);
                lines_string(lines, "comm", process->comm);
        }
        lines_unsigned(lines, "parent", ns->parent_inode);
        lines_unsigned(lines, "owner", ns->owner_inode);
        lines_bool(lines, "host", is_host(ns));
        if (ns->kind == NAMESPACE_UTS)
                put_names(lines, ns);
        lines_end(lines);
}

static int compare(const void *a, const void *b) {
        const Namespace *x = *(const Namespace *const *) a, *y = *(const Namespace *const *) b;

        return (x->inode > y->inode) - (x->inode < y->inode);
}

int list_namespaces(Sentry *sentry, GuestPid pid, Lines *lines) {
        const NamespaceTable *table = &sentry->kernel->namespaces;

        (void) pid;
        namespaces_sync(sentry->kernel);
        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++) {
                const Namespace *sorted[NAMESPACES_MAX], *ns;
                size_t n = 0;

                LIST_FOREACH(ns, &table->namespaces[kind], link)
                        if (ns->inode != 0 && (ns->n_processes > 0 || ns->holder_pid != 0))
                                sorted[n++] = ns;
                qsort(sorted, n, sizeof(Namespace *), compare);
                for (size_t i = 0; i < n; i++)
                        put_namespace(sentry, lines, sorted[i]);
        }
        return lines->error;
}
