/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "arguments.h"
#include "host-tasks.h"
#include "proc-task.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

/* ioctl_nsfs(2), since Linux 6.11; not in older headers. */
#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#define NS_GET_TGID_IN_PIDNS _IOR(0xb7, 0x9, int)
#endif
#define NS_GET_PARENT_NS _IO(0xb7, 0x2)

static bool pid_host(const HostSeccomp *h) {
        return h->pid_ns == 0;
}

typedef struct Scan {
        const HostSeccomp *host;
        int (*function)(GuestPid pid, void *userdata);
        void *userdata;
} Scan;

static int scan_one(pid_t pid, void *userdata) {
        const Scan *scan = userdata;

        if (pid_host(scan->host) && !host_seccomp_owns(scan->host, pid))
                return 0;
        return scan->function(pid, scan->userdata);
}

static int compare_pairs(const void *a, const void *b) {
        const PidPair *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static int map_one(pid_t host_pid, void *userdata) {
        HostSeccomp *h = userdata;
        PidMap *map = &h->pid_map;
        pid_t id;

        if (map->n >= TASKS_MAX || proc_read_ids(host_pid, h->pid_level, NULL, &id) < 0)
                return 0;
        if (map->n == map->n_allocated) {
                size_t want = map->n_allocated == 0 ? 64 : map->n_allocated * 2;
                PidPair *grown = reallocarray(map->pairs, want, sizeof(PidPair));

                if (!grown)
                        return -ENOMEM;
                map->pairs = grown;
                map->n_allocated = want;
        }
        map->pairs[map->n++] = (PidPair) { .id = id, .host_id = host_pid };
        return 0;
}

/* Looks through the host's /proc once for all. What is not found now is looked for by itself. */
static void map_fill(HostSeccomp *h) {
        h->pid_map.n = 0;
        h->pid_map.stale = false;
        (void) tasks_for_each(h, map_one, h);
        if (h->pid_map.n > 0)
                qsort(h->pid_map.pairs, h->pid_map.n, sizeof(PidPair), compare_pairs);
}

/* An old pair may be of an id that was given again; so it is asked whether it still holds. */
static HostTid mapped_id(HostSeccomp *h, GuestPid id) {
        PidPair key = { .id = id };
        pid_t now, tid;

        for (;;) {
                const PidPair *found = NULL;

                if (h->pid_map.last.id == id)
                        found = &h->pid_map.last;
                else if (h->pid_map.n > 0)
                        found = bsearch(&key, h->pid_map.pairs, h->pid_map.n, sizeof(PidPair), compare_pairs);
                if (found && host_seccomp_owns(h, found->host_id) &&
                    proc_read_ids(found->host_id, h->pid_level, NULL, &now) >= 0 && now == id)
                        return found->host_id;
                h->pid_map.last = (PidPair) {};
                if (!h->pid_map.stale)
                        break;
                map_fill(h); /* the first that is missed in this scan; others are, too */
        }
        tid = tasks_find_tid(h, id);
        return tid > 0 ? tid : 0;
}

/* Our id of a process or thread of the sandbox; 0 when it is not there. */
static HostTid host_id_of(HostSeccomp *h, GuestPid id) {
        int tid;

        if (pid_host(h))
                return id;
        if (!h->pid_map.needed) {
                tid = ioctl(h->pid_ns_fd, NS_GET_PID_FROM_PIDNS, id);
                if (tid >= 0 || errno != ENOTTY)
                        return tid > 0 ? tid : 0;
                h->pid_map.needed = true;
        }
        return mapped_id(h, id);
}

/* The sandbox's own /proc has its processes, in nested namespaces too, and no others. */
int host_task_scan(Host *host, int (*function)(GuestPid pid, void *userdata), void *userdata) {
        HostSeccomp *h = host_seccomp_of(host);
        Scan scan = { .host = h, .function = function, .userdata = userdata };

        if (h->proc_fd < 0)
                return -ESRCH;
        (void) host_id_of(h, 1); /* finds out whether the kernel translates */
        h->pid_map.stale = true;
        return host_error_to_guest(proc_for_each(h->proc_fd, ".", scan_one, &scan));
}

/* The PID namespace of a process, and the one around that. */
static void read_namespace(HostSeccomp *h, HostTask *task) {
        _cleanup_close_ int fd = -EBADF, parent_fd = -EBADF;
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%" PRId32 "/ns/pid", task->id);
        if (fstatat(h->proc_fd, path, &st, 0) < 0)
                return;
        task->pid_namespace = st.st_ino;
        if (pid_host(h) || st.st_ino == h->pid_ns)
                return;
        fd = openat(h->proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        parent_fd = ioctl(fd, NS_GET_PARENT_NS);
        if (parent_fd >= 0 && fstat(parent_fd, &st) >= 0)
                task->parent_pid_namespace = st.st_ino;
}

/* The maps of the sandbox's user namespace, which never change once they are written. */
static const ProcIdMaps *id_maps(HostSeccomp *h, GuestPid pid) {
        if (!h->id_maps.known)
                proc_read_id_maps(h->proc_fd, pid, &h->id_maps);
        return &h->id_maps;
}

int host_task_read(Host *host, GuestPid pid, unsigned parts, HostTask *ret) {
        HostSeccomp *h = host_seccomp_of(host);
        HostTask task = { .id = pid, .wait_status = WAIT_STATUS_UNKNOWN };
        int r = 0;

        if (h->proc_fd < 0)
                return -ESRCH;
        if (parts & HOST_TASK_STAT) {
                r = proc_read_stat(h->proc_fd, pid, 0, &task);
                if (r < 0)
                        return r == -ENOENT ? -ESRCH : host_error_to_guest(r);
        }
        if (parts & HOST_TASK_NS) {
                task.host_id = host_id_of(h, pid);
                if (task.host_id == 0)
                        return -ESRCH;
                read_namespace(h, &task);
        }
        if (parts & HOST_TASK_STATUS)
                r = proc_read_status(h->proc_fd, pid, id_maps(h, pid), &task);
        if (r >= 0 && (parts & HOST_TASK_EXE))
                r = proc_read_link(h->proc_fd, pid, "exe", &task.exe);
        if (r != -ENOMEM && (parts & HOST_TASK_PLACES)) {
                r = proc_read_link(h->proc_fd, pid, "root", &task.root);
                if (r != -ENOMEM)
                        r = proc_read_link(h->proc_fd, pid, "cwd", &task.cwd);
        }
        if (r == -ENOMEM) {
                free(task.exe);
                free(task.root);
                free(task.cwd);
                return r;
        }
        *ret = task;
        return 0;
}

void host_task_arguments(Host *host, HostArguments *of, size_t n) {
        arguments_read(host_seccomp_of(host)->proc_fd, of, n);
}

typedef struct Threads {
        HostSeccomp *host;
        int proc_fd;
        pid_t pid; /* in that /proc */
        int (*function)(const HostTask *task, void *userdata);
        void *userdata;
} Threads;

static int read_thread(pid_t tid, void *userdata) {
        Threads *threads = userdata;
        HostTask task = { .id = tid, .wait_status = WAIT_STATUS_UNKNOWN };

        if (proc_read_stat(threads->proc_fd, threads->pid, tid, &task) < 0)
                return 0;
        if (threads->host->pid_map.needed) {
                task.host_id = tid;
                if (proc_read_ids(tid, threads->host->pid_level, NULL, &task.id) < 0)
                        return 0;
        } else
                task.host_id = host_id_of(threads->host, tid);
        return task.host_id == 0 ? 0 : threads->function(&task, threads->userdata);
}

int host_task_threads(Host *host, GuestPid pid, int (*function)(const HostTask *task, void *userdata),
                      void *userdata) {
        HostSeccomp *h = host_seccomp_of(host);
        Threads threads = {
                .host = h,
                .proc_fd = h->proc_fd,
                .pid = pid,
                .function = function,
                .userdata = userdata,
        };
        _cleanup_close_ int own_proc = -EBADF;
        char path[64];
        int r;

        if (h->proc_fd < 0)
                return -ESRCH;
        if (h->pid_map.needed) {
                /* Only our own /proc has both numbers. */
                threads.pid = host_id_of(h, pid);
                threads.proc_fd = own_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (threads.pid == 0 || own_proc < 0)
                        return -ESRCH;
        }
        (void) snprintf(path, sizeof(path), "%d/task", (int) threads.pid);
        r = proc_for_each(threads.proc_fd, path, read_thread, &threads);
        return r == -ENOENT ? -ESRCH : host_error_to_guest(r);
}

int host_task_of(Host *host, HostTid tid, HostCaller *ret) {
        HostSeccomp *h = host_seccomp_of(host);
        pid_t host_pid;
        int pid = -1;

        if (h->pid_ns_fd < 0)
                return -ESRCH;
        if (!h->pid_map.needed) {
                pid = ioctl(h->pid_ns_fd, NS_GET_TGID_IN_PIDNS, tid);
                h->pid_map.needed = pid < 0 && errno == ENOTTY;
        }
        if (h->pid_map.needed) {
                if (proc_read_ids(tid, 0, &host_pid, NULL) < 0 ||
                    proc_read_ids(host_pid, h->pid_level, NULL, &pid) < 0 || !host_seccomp_owns(h, host_pid))
                        return -ESRCH;
                if (pid_host(h))
                        pid = host_pid;
                h->pid_map.last = (PidPair) { .id = pid, .host_id = host_pid };
        } else
                host_pid = pid > 0 ? host_id_of(h, pid) : 0;
        if (pid <= 0 || host_pid == 0 || (pid_host(h) && !host_seccomp_owns(h, host_pid)))
                return -ESRCH;
        *ret = (HostCaller) { .pid = pid, .host_pid = host_pid };
        return 0;
}

int host_task_watch(Host *host, HostTid host_pid) {
        return task_watch_add(&host_seccomp_of(host)->sentry->task_watch, host_pid);
}

void host_task_unwatch(Host *host, int handle) {
        task_watch_remove(&host_seccomp_of(host)->sentry->task_watch, handle);
}

void host_task_poll(Host *host) {
        task_watch_poll(&host_seccomp_of(host)->sentry->task_watch);
}

/* Every task of the sandbox has an id in our PID namespace, too, and the last one that was given out is the last word
 * of /proc/loadavg. */
int host_birth_mark(Host *host, uint64_t *ret) {
        HostSeccomp *h = host_seccomp_of(host);
        char text[128], *last;
        ssize_t n;

        if (!h->sentry->task_watch.tells_reaped || h->loadavg_fd < 0)
                return -EOPNOTSUPP;
        n = pread(h->loadavg_fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return -EIO;
        text[n] = '\0';
        last = strrchr(text, ' ');
        if (!last)
                return -EIO;
        *ret = strtoull(last + 1, NULL, 10);
        return 0;
}
