/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fd-tables.h"
#include "host-namespaces.h"
#include "ns/namespace.h"
#include "sentry.h"
#include "util.h"

/* ioctl_nsfs(2) */
#define NS_GET_USERNS_OF _IO(0xb7, 0x1)
#define NS_GET_PARENT_OF _IO(0xb7, 0x2)
#define NS_GET_PID_FROM_PIDNS_OF _IOR(0xb7, 0x6, int)
#define PID_LEVELS_MAX 32U /* how deep they nest */

int host_task_namespace(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret_inode) {
        HostSeccomp *h = (HostSeccomp *) (void *) ((char *) host - offsetof(HostSeccomp, host));
        char path[64];
        struct stat st;

        /* Asked with each uname(2). */
        if (kind == NAMESPACE_UTS && !h->namespaces_nest) {
                *ret_inode = h->uts_ns;
                return 0;
        }
        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/%s", tid, namespace_kind_to_string(kind));
        if (stat(path, &st) < 0)
                return errno == ENOENT ? -ESRCH : host_error_to_guest(-errno);
        *ret_inode = st.st_ino;
        return 0;
}

bool host_pid_namespace_is_inside(const HostSeccomp *host, pid_t pid) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        struct stat ours, st;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int) pid);
        /* Most processes of the host are where we are. */
        if (stat("/proc/self/ns/pid", &ours) < 0 || stat(path, &st) < 0 || st.st_ino == ours.st_ino)
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        for (unsigned level = 0; fd >= 0 && level < PID_LEVELS_MAX; level++) {
                int parent = ioctl(fd, NS_GET_PARENT_OF);

                safe_close(fd);
                fd = parent;
                if (fd >= 0 && fstat(fd, &st) >= 0 && st.st_ino == host->pid_ns)
                        return true;
        }
        return false;
}

pid_t host_find_as_seen_by(const HostSeccomp *host, HostTid tid, GuestPid id) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        struct stat st;
        int found;

        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/pid", tid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -ESRCH;
        if (st.st_ino == host->pid_ns)
                return host_seccomp_find_task(host, id);
        if (id <= 0)
                return -ESRCH;
        /* Before Linux 6.11 tasks of nested ones have no names that we can tell. */
        found = ioctl(fd, NS_GET_PID_FROM_PIDNS_OF, id);
        return found > 0 ? found : -ESRCH;
}

/* The namespace that an ioctl of another tells of. 0: none, or it is not ours to see. */
static uint64_t related(int fd, unsigned long request) {
        _cleanup_close_ int other = ioctl(fd, request);
        struct stat st;

        return other >= 0 && fstat(other, &st) >= 0 ? st.st_ino : 0;
}

static int describe(int fd, NamespaceKind kind, HostNamespace *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = (HostNamespace) { .inode = st.st_ino, .owner = related(fd, NS_GET_USERNS_OF) };
        if (kind == NAMESPACE_USER || kind == NAMESPACE_PID)
                ret->parent = related(fd, NS_GET_PARENT_OF);
        return 0;
}

int host_namespace_of(Host *host, HostTid tid, NamespaceKind kind, HostNamespace *ret) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) host;
        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/%s", tid, namespace_kind_to_string(kind));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : host_error_to_guest(-errno);
        return host_error_to_guest(describe(fd, kind, ret));
}

typedef struct Held {
        int (*function)(GuestPid pid, int fd, NamespaceKind kind, const HostNamespace *info, void *userdata);
        void *userdata;
        GuestPid pid; /* at hand */
        int dir_fd;
} Held;

static int on_fd(int number, const char *target, void *userdata) {
        _cleanup_close_ int fd = -EBADF;
        const Held *held = userdata;
        HostNamespace info;
        char name[16];

        for (NamespaceKind kind = 0; kind < _NAMESPACE_KIND_MAX; kind++) {
                if (fd_target_inode(target, namespace_kind_to_string(kind)) == 0)
                        continue;
                (void) snprintf(name, sizeof(name), "%d", number);
                fd = openat(held->dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                if (fd < 0 || describe(fd, kind, &info) < 0)
                        return 0; /* closed meanwhile */
                return held->function(held->pid, number, kind, &info, held->userdata);
        }
        return 0;
}

int host_namespace_for_each_held(Host *host,
                                 int (*function)(GuestPid pid, int fd, NamespaceKind kind, const HostNamespace *info,
                                                 void *userdata),
                                 void *userdata) {
        HostSeccomp *h = (HostSeccomp *) (void *) ((char *) host - offsetof(HostSeccomp, host));
        Held held = { .function = function, .userdata = userdata };
        FdTables tables;
        int r;

        r = fd_tables_read(h->sentry, &tables);
        for (size_t i = 0; r >= 0 && i < tables.n; i++) {
                const FdTable *table = tables.tables[i];

                held.pid = table->tid ?: table->process->pid;
                held.dir_fd = fd_table_open(h->sentry, table, "fd");
                if (held.dir_fd < 0)
                        continue;
                r = fd_table_for_each(held.dir_fd, on_fd, &held);
                safe_close(held.dir_fd);
                if (r > 0)
                        break;
                r = 0; /* it died, perhaps */
        }
        fd_tables_done(&tables);
        return r;
}
