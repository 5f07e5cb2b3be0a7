/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "fd-tables.h"
#include "sentry.h"
#include "util.h"

/* A table is found by kcmp(2), which puts all tables of the system in an order: those of ours are kept in it. What
 * goes away meanwhile, or has no memory of its own any more, is not compared but stands for itself. */
typedef struct Search {
        FdTables *tables;           /* what is found */
        FdTable **ordered;          /* owned; the same in the order of kcmp(2) */
        size_t n_ordered, n_allocated;
        const ThreadGroup *process; /* at hand */
} Search;

static int compare(HostTid a, HostTid b) {
        return (int) syscall(SYS_kcmp, a, b, KCMP_FILES, 0, 0);
}

static int add_table(FdTables *tables, const FdTable *table, FdTable **ret) {
        FdTable *copy;

        if (tables->n == tables->n_allocated) {
                size_t want = tables->n_allocated == 0 ? 64 : tables->n_allocated * 2;
                FdTable **grown = reallocarray(tables->tables, want, sizeof(FdTable *));

                if (!grown)
                        return -ENOMEM;
                tables->tables = grown;
                tables->n_allocated = want;
        }
        copy = malloc(sizeof(FdTable));
        if (!copy)
                return -ENOMEM;
        *copy = *table;
        tables->tables[tables->n++] = copy;
        *ret = copy;
        return 0;
}

static int add_sharer(FdTable *table, GuestPid id) {
        GuestPid *grown = table->sharers;

        /* Doubles when the number is a power of two. */
        if ((table->n_sharers & (table->n_sharers - 1)) == 0) {
                grown = reallocarray(table->sharers, table->n_sharers == 0 ? 1 : table->n_sharers * 2,
                                     sizeof(GuestPid));
                if (!grown)
                        return -ENOMEM;
                table->sharers = grown;
        }
        grown[table->n_sharers++] = id;
        return 0;
}

static int insert(Search *search, size_t place, FdTable *table) {
        if (search->n_ordered == search->n_allocated) {
                size_t want = search->n_allocated == 0 ? 64 : search->n_allocated * 2;
                FdTable **grown = reallocarray(search->ordered, want, sizeof(FdTable *));

                if (!grown)
                        return -ENOMEM;
                search->ordered = grown;
                search->n_allocated = want;
        }
        memmove(search->ordered + place + 1, search->ordered + place,
                (search->n_ordered - place) * sizeof(FdTable *));
        search->ordered[place] = table;
        search->n_ordered++;
        return 0;
}

static int add_task(Search *search, GuestPid tid, HostTid host_tid) {
        FdTable table = { .process = search->process, .tid = tid, .host_tid = host_tid }, *added;
        size_t low = 0, high = search->n_ordered;
        int order = -1, r;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                order = compare(host_tid, search->ordered[middle]->host_tid);
                if (order == 0)
                        return add_sharer(search->ordered[middle], tid ?: search->process->pid);
                if (order == 1)
                        high = middle;
                else if (order == 2)
                        low = middle + 1;
                else
                        break;
        }
        r = add_table(search->tables, &table, &added);
        if (r < 0 || low < high)
                return r;
        return insert(search, low, added);
}

static int on_thread(const HostTask *task, void *userdata) {
        Search *search = userdata;

        if (task->host_id == search->process->host_pid ||
            compare(task->host_id, search->process->host_pid) <= 0) /* the same; or gone */
                return 0;
        return add_task(search, task->id, task->host_id);
}

int fd_tables_read(Sentry *sentry, FdTables *ret) {
        _cleanup_free_ ThreadGroup **processes = NULL;
        Search search = { .tables = ret };
        Host *host = &sentry->host.host;
        int r;

        *ret = (FdTables) {};
        r = task_table_sorted(&sentry->kernel->tasks, &processes);
        for (ThreadGroup **p = processes; r >= 0 && *p; p++) {
                if ((*p)->dead)
                        continue;
                search.process = *p;
                r = add_task(&search, 0, (*p)->host_pid);
                if (r >= 0 && (*p)->n_threads > 1 &&
                    host->ops->task_threads(host, (*p)->pid, on_thread, &search) == -ENOMEM)
                        r = -ENOMEM;
        }
        free(search.ordered);
        if (r < 0)
                fd_tables_done(ret);
        return r;
}

void fd_tables_done(FdTables *tables) {
        for (size_t i = 0; i < tables->n; i++) {
                free(tables->tables[i]->sharers);
                free(tables->tables[i]);
        }
        free(tables->tables);
        *tables = (FdTables) {};
}

int fd_table_open(const Sentry *sentry, const FdTable *table, const char *name) {
        char path[64];
        int fd;

        if (table->tid != 0)
                (void) snprintf(path, sizeof(path), "%d/task/%d/%s", (int) table->process->pid, (int) table->tid, name);
        else
                (void) snprintf(path, sizeof(path), "%d/%s", (int) table->process->pid, name);
        fd = openat(sentry->host.proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int fd_table_for_each(int dir_fd, int (*function)(int number, const char *target, void *userdata), void *userdata) {
        _cleanup_(closedirp) DIR *dir = NULL;
        static char target[FD_TARGET_MAX + 1];
        const struct dirent *entry;
        int copy, number, r;

        copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        dir = fdopendir(copy);
        if (!dir) { /* the kernel looks at the task: it may be gone */
                r = -errno;
                safe_close(copy);
                return r;
        }
        while ((errno = 0, entry = readdir(dir))) {
                ssize_t n;

                if (safe_atoi(entry->d_name, &number) < 0)
                        continue;
                n = readlinkat(dir_fd, entry->d_name, target, FD_TARGET_MAX);
                if (n < 0)
                        continue;
                target[n] = '\0';
                r = function(number, target, userdata);
                if (r != 0)
                        return r;
        }
        return errno == ESRCH ? -ENOENT : -errno;
}

uint64_t fd_target_inode(const char *target, const char *kind) {
        const char *p = startswith(target, kind);
        uint64_t inode = 0;

        if (!p || p[0] != ':' || p[1] != '[')
                return 0;
        for (p += 2; *p >= '0' && *p <= '9'; p++)
                inode = inode * 10 + (uint64_t) (*p - '0');
        return streq(p, "]") ? inode : 0;
}
