/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListSockets: a line for each socket, with the first process that has it. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fd-tables.h"
#include "list-sockets.h"
#include "sentry.h"
#include "util.h"

/* The namespace that UNIX sockets are made in, where none of the tasks is. */
static void add_made(SocketIndex *index, const HostSeccomp *host) {
        const SocketSource source = { .netns = host->maker_net_ns, .diag_fd = host->maker_diag_fd, .net_dir = -EBADF };
        int r;

        if (source.diag_fd < 0 || index->n_namespaces > 0)
                return;
        index->namespaces[index->n_namespaces++] = source.netns;
        r = socket_table_add(&index->table, &source);
        if (r < 0)
                index->error = r;
}

void socket_index_add(SocketIndex *index, Sentry *sentry, GuestPid pid) {
        SocketSource source = { .diag_fd = -EBADF };
        _cleanup_close_ int net_dir = -EBADF;
        struct stat st;
        char path[64];
        int r = 0;

        (void) snprintf(path, sizeof(path), "%d/ns/net", (int) pid);
        if (fstatat(sentry->host.proc_fd, path, &st, 0) < 0)
                return;
        add_made(index, &sentry->host);
        for (size_t i = 0; i < index->n_namespaces; i++)
                if (index->namespaces[i] == st.st_ino)
                        return;
        if (index->n_namespaces == NETWORK_NAMESPACES_MAX)
                return;
        /* Not tried again when it fails. */
        index->namespaces[index->n_namespaces++] = st.st_ino;
        source.netns = st.st_ino;
        if (st.st_ino == sentry->host.net_ns)
                source.diag_fd = sentry->host.sock_diag_fd;
        if (source.diag_fd < 0)
                r = lister_join(sentry, pid, CLONE_NEWNET);
        (void) snprintf(path, sizeof(path), "%d/net", (int) pid);
        source.net_dir = net_dir = openat(sentry->host.proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r >= 0 && net_dir < 0)
                r = -errno;
        if (r >= 0)
                r = socket_table_add(&index->table, &source);
        if (r < 0)
                index->error = r;
        socket_table_sort(&index->table);
}

void socket_index_done(SocketIndex *index) {
        socket_table_done(&index->table);
        socket_table_done(&index->unknown);
}

const SocketInfo *socket_index_find(SocketIndex *index, int dir_fd, const char *number, uint32_t inode) {
        SocketInfo *info = socket_table_find(&index->table, inode);
        char path[64], protocol[64];
        ssize_t n;

        if (info)
                return info;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, number);
        n = getxattr(path, "system.sockprotoname", protocol, sizeof(protocol) - 1);
        if (n < 0)
                return NULL;
        protocol[n] = '\0';
        socket_table_done(&index->unknown);
        return socket_table_add_unknown(&index->unknown, inode, protocol, &info) < 0 ? NULL : info;
}

/* A descriptor that is a socket. */
typedef struct Owner {
        uint32_t inode;
        GuestPid pid;
        int fd;
        const char *comm; /* of the process */
        bool shown;
} Owner;

typedef struct SocketList {
        Sentry *sentry;
        Lines *lines;
        SocketIndex index;   /* owned */
        Owner *owners;       /* owned; by inode */
        size_t n, n_allocated;
        const FdTable *table; /* at hand */
        int dir_fd;
} SocketList;

static int on_fd(int number, const char *target, void *userdata) {
        uint32_t inode = (uint32_t) fd_target_inode(target, "socket");
        SocketList *list = userdata;

        if (inode == 0)
                return 0;
        if (list->n == list->n_allocated) {
                size_t want = list->n_allocated == 0 ? 64 : list->n_allocated * 2;
                Owner *grown = reallocarray(list->owners, want, sizeof(Owner));

                if (!grown)
                        return -ENOMEM;
                list->owners = grown;
                list->n_allocated = want;
        }
        list->owners[list->n++] = (Owner) {
                .inode = inode,
                .pid = list->table->tid ?: list->table->process->pid,
                .fd = number,
                .comm = list->table->process->comm,
        };
        return 0;
}

static int compare_owners(const void *a, const void *b) {
        const Owner *x = a, *y = b;

        if (x->inode != y->inode)
                return x->inode > y->inode ? 1 : -1;
        if (x->pid != y->pid)
                return x->pid > y->pid ? 1 : -1;
        return (x->fd > y->fd) - (x->fd < y->fd);
}

/* The first of a socket's owners. NULL: none, as for one that is on its way in a message. */
static Owner *find_owner(const SocketList *list, uint32_t inode) {
        size_t low = 0, high = list->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (list->owners[middle].inode < inode)
                        low = middle + 1;
                else
                        high = middle;
        }
        return inode != 0 && low < list->n && list->owners[low].inode == inode ? &list->owners[low] : NULL;
}

static void put_owners(const SocketList *list, const Owner *owner) {
        Lines *lines = list->lines;
        size_t n = 0;

        lines_open(lines, "holders", '[');
        for (; owner && owner + n < list->owners + list->n && owner[n].inode == owner->inode; n++) {
                lines_open(lines, NULL, '{');
                lines_unsigned(lines, "pid", (uint64_t) owner[n].pid);
                lines_unsigned(lines, "fd", (uint64_t) owner[n].fd);
                lines_string(lines, "comm", owner[n].comm);
                lines_close(lines, '}');
        }
        lines_close(lines, ']');
}

static int put_socket(const SocketList *list, const SocketInfo *info, const Owner *owner) {
        const SocketInfo *peer = info->peer ? NULL : socket_table_find(&list->index.table, info->peer_inode);
        Lines *lines = list->lines;

        lines_begin(lines);
        lines_string(lines, "family", socket_family_name(info));
        lines_string(lines, "type", socket_type_name(info));
        lines_string(lines, "protocol", info->protocol);
        lines_string(lines, "state", socket_state_name(info));
        lines_unsigned(lines, "recv_queue", info->recv_queue);
        lines_unsigned(lines, "send_queue", info->send_queue);
        lines_string(lines, "local", info->local);
        lines_string(lines, "peer", info->peer ?: peer ? peer->local : NULL);
        if (info->abstract)
                lines_bool(lines, "abstract", true);
        lines_unsigned(lines, "inode", info->inode);
        if (info->peer_inode != 0)
                lines_unsigned(lines, "peer_inode", info->peer_inode);
        if (info->netns != 0)
                lines_unsigned(lines, "netns", info->netns);
        put_owners(list, owner);
        lines_end(lines);
        return lines->error;
}

/* What no namespace knows of: the families without an interface, and what was never bound nor connected. */
static int put_unknown(SocketList *list) {
        const SocketInfo *info;
        char number[16];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < list->n; i++) {
                const Owner *owner = &list->owners[i];
                char path[64];
                _cleanup_close_ int dir_fd = -EBADF;

                if (owner->shown || (i > 0 && owner[-1].inode == owner->inode))
                        continue;
                (void) snprintf(path, sizeof(path), "%d/fd", (int) owner->pid);
                dir_fd = openat(list->sentry->host.proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (dir_fd < 0)
                        continue;
                (void) snprintf(number, sizeof(number), "%d", owner->fd);
                info = socket_index_find(&list->index, dir_fd, number, owner->inode);
                if (info)
                        r = put_socket(list, info, owner);
        }
        return r;
}

int list_sockets(Sentry *sentry, GuestPid pid, Lines *lines) {
        SocketList list = { .sentry = sentry, .lines = lines };
        FdTables tables;
        int r;

        r = fd_tables_read(sentry, &tables);
        if (r < 0)
                return r;
        for (size_t i = 0; i < tables.n; i++)
                if (pid == 0 || tables.tables[i]->process->pid == pid)
                        socket_index_add(&list.index, sentry, tables.tables[i]->process->pid);
        for (size_t i = 0; r >= 0 && i < tables.n; i++) {
                list.table = tables.tables[i];
                list.dir_fd = fd_table_open(sentry, list.table, "fd");
                if (list.dir_fd < 0)
                        continue;
                if (fd_table_for_each(list.dir_fd, on_fd, &list) == -ENOMEM)
                        r = -ENOMEM;
                safe_close(list.dir_fd);
        }
        if (list.n > 0)
                qsort(list.owners, list.n, sizeof(Owner), compare_owners);

        for (size_t i = 0; r >= 0 && i < list.index.table.n; i++) {
                const SocketInfo *info = &list.index.table.sockets[i];
                Owner *owner = find_owner(&list, info->inode);

                for (Owner *o = owner; o && o < list.owners + list.n && o->inode == owner->inode; o++)
                        o->shown = true;
                /* In the host's network namespace only what the sandbox holds is its own. */
                if (owner || sentry->profile->network != PROFILE_NETWORK_HOST || info->netns != sentry->host.net_ns)
                        r = put_socket(&list, info, owner);
        }
        if (r >= 0)
                r = put_unknown(&list);
        if (r >= 0)
                r = list.index.error;
        free(list.owners);
        socket_index_done(&list.index);
        fd_tables_done(&tables);
        return r;
}
