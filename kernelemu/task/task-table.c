/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "kernel.h"
#include "ns/pid.h"
#include "util/macros.h"

/* A task has its id before it is in /proc. After this long without another birth it is. */
#define BIRTH_SETTLES_NS (100 * UINT64_C(1000000))
/* No thread's id is given to another sooner than this: a machine uses up all of its ids first. */
#define CALLER_KEEPS_NS (100 * UINT64_C(1000000))

int task_table_init(TaskTable *table, Kernel *kernel) {
        *table = (TaskTable) { .kernel = kernel };
        TAILQ_INIT(&table->processes);
        TAILQ_INIT(&table->events);
        ratelimit_init(&table->event_limit, TASK_EVENT_RATE, TASK_EVENT_BURST, kernel_now(kernel));
        return 0;
}

static void queue_event(ThreadGroup *process, TaskEvent event) {
        if (process->table->adopting)
                return;
        if (process->events == 0)
                TAILQ_INSERT_TAIL(&process->table->events, process, event_link);
        process->events |= event;
}

static void tell(ThreadGroup *process) {
        static const struct {
                TaskEvent event;
                KernelEventKind kind;
        } kinds[] = {
                { TASK_EVENT_NEW, KERNEL_EVENT_TASK_NEW },
                { TASK_EVENT_EXEC, KERNEL_EVENT_TASK_EXEC },
                { TASK_EVENT_EXIT, KERNEL_EVENT_TASK_EXIT },
        };
        TaskTable *table = process->table;
        Kernel *kernel = table->kernel;

        TAILQ_REMOVE(&table->events, process, event_link);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (!(process->events & kinds[i].event))
                        continue;
                if (!ratelimit_take(&table->event_limit, kernel_now(kernel)))
                        continue;
                kernel->host->ops->event(kernel->host, &(KernelEvent) { .kind = kinds[i].kind, .process = process });
        }
        process->events = 0;
}

void task_table_tell(TaskTable *table) {
        ThreadGroup *process;

        while ((process = TAILQ_FIRST(&table->events)))
                tell(process);
        event_report_dropped_slowly(table->kernel);
}

static void unwatch(ThreadGroup *process) {
        Host *host = process->table->kernel->host;

        if (process->watch >= 0)
                host->ops->task_unwatch(host, process->watch);
        process->watch = -1;
}

/* Frees a process that is out of all lists, and half-built ones. */
static void process_free(ThreadGroup *process) {
        TaskTable *table = process->table;

        thread_group_drop_threads(process);
        process_group_leave(table, process);
        pid_namespace_leave(&table->kernel->namespaces, process->ns);
        free(process->container);
        free(process->exe);
        free(process->root);
        free(process->cwd);
        free(process->argv);
        free(process);
}

static void process_died(ThreadGroup *process, int wait_status) {
        if (wait_status != WAIT_STATUS_UNKNOWN)
                process->wait_status = wait_status;
        if (process->dead)
                return;
        process->dead = true;
        process->state = 'Z';
        process_timers_free(process->timers);
        queue_event(process, TASK_EVENT_EXIT);
}

static void process_remove(ThreadGroup *process) {
        TaskTable *table = process->table;

        for (unsigned i = 0; i < TASK_CALLERS; i++)
                if (table->callers[i].process == process)
                        table->callers[i] = (TaskCaller) {};
        process_died(process, WAIT_STATUS_UNKNOWN);
        if (process->container)
                task_note_container(process, true);
        if (process->events != 0)
                tell(process);
        if (process->watch < 0)
                table->n_unwatched--;
        unwatch(process);
        TAILQ_REMOVE(&table->processes, process, link);
        idmap_remove(&table->by_pid, &process->by_pid);
        idmap_remove(&table->by_host_pid, &process->by_host_pid);
        table->n_processes--;
        process_free(process);
}

void task_table_done(TaskTable *table) {
        ThreadGroup *process;

        while ((process = TAILQ_FIRST(&table->processes))) {
                TAILQ_REMOVE(&table->processes, process, link);
                process_free(process);
        }
        task_attributes_done(table);
        idmap_done(&table->by_pid);
        idmap_done(&table->by_host_pid);
        idmap_done(&table->groups);
        idmap_done(&table->sessions);
}

ThreadGroup *task_table_find(const TaskTable *table, GuestPid pid) {
        IdNode *node = idmap_find(&table->by_pid, (uint32_t) pid);

        return node ? CONTAINER_OF(node, ThreadGroup, by_pid) : NULL;
}

ThreadGroup *task_table_find_host(const TaskTable *table, HostTid host_pid) {
        IdNode *node = idmap_find(&table->by_host_pid, (uint32_t) host_pid);

        return node ? CONTAINER_OF(node, ThreadGroup, by_host_pid) : NULL;
}

/* What a process is born into: its parent's container. Who was an orphan before we saw it has the reaper of the
 * sandbox for a parent, which tells nothing: then the session and the group that it is in do. */
static const char *inherited_container(const TaskTable *table, const HostTask *seen) {
        const ThreadGroup *parent = task_table_find(table, seen->parent), *other;
        const ProcessGroup *group;
        const Session *session;

        if (parent && parent->pid != 1)
                return parent->container;
        group = seen->group != 0 ? process_group_find(table, seen->group) : NULL;
        other = group ? LIST_FIRST(&group->members) : NULL;
        if (other && other->pid != 1)
                return other->container;
        session = seen->session != 0 ? session_find(table, seen->session) : NULL;
        if (session)
                return session->container;
        return parent ? parent->container : NULL;
}

/* Adds a process of which STAT (and NS, where it could be had) were read. */
static int process_add(TaskTable *table, HostTask *seen, ThreadGroup **ret) {
        ThreadGroup *process, *parent = task_table_find(table, seen->parent);
        Host *host = table->kernel->host;
        int r;

        if (table->n_processes >= TASKS_MAX)
                return -ENOSPC;
        process = calloc(1, sizeof(ThreadGroup));
        if (!process)
                return -ENOMEM;
        *process = (ThreadGroup) {
                .table = table,
                .pid = seen->id,
                .host_pid = seen->host_id,
                .start_usec = seen->start_usec,
                .ns = pid_namespace_join(&table->kernel->namespaces, seen->pid_namespace, seen->parent_pid_namespace,
                                         parent ? parent->ns : NULL),
                .wait_status = WAIT_STATUS_UNKNOWN,
                .watch = -1,
        };
        TAILQ_INIT(&process->threads);
        if (parent)
                process->image = parent->image; /* until it execs, they share it */

        r = thread_group_set_container(process, inherited_container(table, seen));
        if (r < 0)
                goto fail;
        r = idmap_add(&table->by_pid, &process->by_pid, (uint32_t) process->pid);
        if (r < 0)
                goto fail;
        r = idmap_add(&table->by_host_pid, &process->by_host_pid, (uint32_t) process->host_pid);
        if (r < 0) {
                idmap_remove(&table->by_pid, &process->by_pid);
                goto fail;
        }
        TAILQ_INSERT_TAIL(&table->processes, process, link);
        table->n_processes++;
        table->n_discovered++;
        if (table->n_attributes > 0)
                task_attributes_apply(process);
        if (process->container)
                task_note_container(process, false);
        thread_group_take(process, HOST_TASK_STAT, seen);
        process_timers_adopt(process);
        queue_event(process, TASK_EVENT_NEW);

        r = host->ops->task_watch(host, process->host_pid);
        process->watch = r >= 0 ? r : -1;
        if (process->watch < 0)
                table->n_unwatched++;
        if (seen->state == 'Z' && seen->n_threads <= 1)
                process_died(process, seen->wait_status);
        *ret = process;
        return 0;

fail:
        process_free(process);
        return r;
}

/* Reads and adds a process that is not in the table. -ESRCH when it is not there any more. */
static int process_discover(TaskTable *table, GuestPid pid, ThreadGroup **ret) {
        Host *host = table->kernel->host;
        ThreadGroup *stale;
        HostTask seen = {};
        int r;

        if (table->closed)
                return -ESRCH;
        r = host->ops->task_read(host, pid, HOST_TASK_STAT | HOST_TASK_NS, &seen);
        if (r < 0)
                return r;
        /* Ids that were given again before we heard that they were free. */
        while ((stale = task_table_find_host(table, seen.host_id) ?: task_table_find(table, seen.id)))
                process_remove(stale);
        return process_add(table, &seen, ret);
}

static int on_process(GuestPid pid, void *userdata) {
        TaskTable *table = userdata;
        ThreadGroup *process = task_table_find(table, pid);
        int r;

        /* Watched, so it is the one we know. */
        if (process && process->watch >= 0)
                goto seen;

        if (process) {
                r = thread_group_refresh(process, HOST_TASK_STAT);
                if (r >= 0) {
                        if (process->state == 'Z' && process->n_threads <= 1)
                                process_died(process, process->wait_status);
                        goto seen;
                }
                process_remove(process); /* the number is another's now */
        }
        r = process_discover(table, pid, &process);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return 0; /* gone meanwhile, or one too many */

seen:
        process->seen = table->syncs;
        return 0;
}

/* True when nobody was born since the last sync that looked at everybody, and the exits of all are told. */
static bool nothing_happened(TaskTable *table) {
        Kernel *kernel = table->kernel;
        uint64_t mark, now = kernel_now(kernel);

        if (kernel->host->ops->birth_mark(kernel->host, &mark) < 0) {
                table->settled = false;
                table->birth_mark_ns = UINT64_MAX;
                return false;
        }
        if (table->birth_mark_ns == 0 || table->birth_mark_ns == UINT64_MAX || mark != table->birth_mark) {
                table->birth_mark = mark;
                table->birth_mark_ns = now;
                table->settled = false;
                return false;
        }
        return table->settled && table->n_unwatched == 0;
}

void task_table_close(TaskTable *table) {
        table->closed = true;
}

void task_table_open(TaskTable *table) {
        table->closed = false;
}

int task_table_sync(TaskTable *table) {
        Kernel *kernel = table->kernel;
        ThreadGroup *process, *next;
        uint64_t start;
        int r;

        if (table->closed)
                return -ESRCH;
        kernel->host->ops->task_poll(kernel->host);
        if (nothing_happened(table))
                return 0;

        start = kernel_now(kernel);
        table->syncs++;
        r = kernel->host->ops->task_scan(kernel->host, on_process, table);
        if (r < 0)
                return r;
        for (process = TAILQ_FIRST(&table->processes); process; process = next) {
                next = TAILQ_NEXT(process, link);
                if (process->seen != table->syncs)
                        process_remove(process);
        }
        if (table->n_processes > 0)
                task_attributes_done(table);
        table->settled = table->birth_mark_ns != UINT64_MAX && start - table->birth_mark_ns >= BIRTH_SETTLES_NS;
        return 0;
}

int task_table_adopt(TaskTable *table) {
        int r;

        table->adopting = true;
        r = task_table_sync(table);
        table->adopting = false;
        if (r >= 0)
                timekeeper_drop_unadopted(&table->kernel->timekeeper);
        return r;
}

static int refresh_arguments(TaskTable *table) {
        Host *host = table->kernel->host;
        ThreadGroup *process;
        HostArguments *of;
        size_t n = 0;

        of = calloc(table->n_processes + 1, sizeof(HostArguments));
        if (!of)
                return -ENOMEM;
        TAILQ_FOREACH(process, &table->processes, link)
                of[n++] = (HostArguments) { .pid = process->pid, .withheld = process->argv_withheld };
        host->ops->task_arguments(host, of, n);

        n = 0;
        TAILQ_FOREACH(process, &table->processes, link) {
                free(process->argv);
                process->argv = of[n].argv;
                process->argv_size = of[n].size;
                process->argv_withheld = of[n++].withheld;
        }
        free(of);
        return 0;
}

int task_table_refresh(TaskTable *table, unsigned parts) {
        ThreadGroup *process, *next;
        int r;

        r = task_table_sync(table);
        for (process = TAILQ_FIRST(&table->processes); process; process = next) {
                int q;

                next = TAILQ_NEXT(process, link);
                q = thread_group_refresh(process, parts);
                if (q == -ESRCH)
                        process_remove(process);
                else if (q >= 0 && process->state == 'Z' && process->n_threads <= 1)
                        process_died(process, process->wait_status);
        }
        if (parts & HOST_TASK_ARGV) {
                int q = refresh_arguments(table);

                r = r < 0 ? r : q;
        }
        return r;
}

int task_table_process_of(TaskTable *table, HostTid tid, ThreadGroup **ret) {
        Host *host = table->kernel->host;
        HostCaller who;
        int r;

        *ret = task_table_find_host(table, tid);
        if (*ret)
                return 0;
        r = host->ops->task_of(host, tid, &who);
        if (r < 0)
                return r;
        *ret = task_table_find_host(table, who.host_pid);
        return *ret ? 0 : process_discover(table, who.pid, ret);
}

int task_table_caller(TaskTable *table, const Call *call, ThreadGroup **ret) {
        TaskCaller *caller = &table->callers[(uint32_t) call->tid % TASK_CALLERS];
        uint64_t now = kernel_now(table->kernel);
        int r;

        /* Of a process that is watched we would know if it were not the same any more. */
        *ret = task_table_find_host(table, call->tid);
        if (*ret && (*ret)->watch >= 0 && !(*ret)->dead)
                return 0;
        if (caller->process && caller->tid == call->tid && now - caller->seen_ns < CALLER_KEEPS_NS) {
                *ret = caller->process;
                return 0;
        }

        r = task_table_process_of(table, call->tid, ret);
        if (r >= 0)
                *caller = (TaskCaller) { .tid = call->tid, .process = *ret, .seen_ns = now };
        return r;
}

static int compare_pid(const void *a, const void *b) {
        const ThreadGroup *x = *(ThreadGroup *const *) a, *y = *(ThreadGroup *const *) b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

int task_table_sorted(const TaskTable *table, ThreadGroup ***ret) {
        ThreadGroup **array = calloc(table->n_processes + 1, sizeof(ThreadGroup *)), *process;
        size_t n = 0;

        if (!array)
                return -ENOMEM;
        TAILQ_FOREACH(process, &table->processes, link)
                array[n++] = process;
        qsort(array, n, sizeof(ThreadGroup *), compare_pid);
        *ret = array;
        return 0;
}

int task_table_set_container(TaskTable *table, HostTid pid, const char *id) {
        ThreadGroup *process;
        int r;

        if (id && strlen(id) >= CONTAINER_ID_MAX)
                return -EINVAL;
        r = task_table_process_of(table, pid, &process);
        if (r < 0)
                return r;
        r = thread_group_set_container(process, id);
        if (r >= 0)
                task_note_container(process, !process->container);
        if (r >= 0 && process->group && process->group->session->id == process->pid)
                r = session_set_container(process->group->session, id);
        return r;
}

void task_table_note_exit(TaskTable *table, HostTid host_pid, int wait_status, bool reaped) {
        ThreadGroup *process = task_table_find_host(table, host_pid);

        if (!process)
                return;
        process_died(process, wait_status);
        if (reaped)
                process_remove(process);
}

uint64_t task_table_cpu_usec(TaskTable *table) {
        const ThreadGroup *process;
        uint64_t usec = 0;

        (void) task_table_refresh(table, HOST_TASK_STAT);
        TAILQ_FOREACH(process, &table->processes, link)
                usec += process->cpu_usec + process->children_usec;
        if (usec > table->cpu_usec)
                table->cpu_usec = usec;
        return table->cpu_usec;
}

/* With addresses that are not random, the next image may lie where the last one did. */
static bool image_was_told(const ThreadGroup *process) {
        Host *host = process->table->kernel->host;
        uint32_t persona;

        return process->last_image.stack != 0 &&
                memcmp(&process->last_image, &process->image, sizeof(HostImage)) == 0 &&
                host->ops->task_personality(host, process->host_pid, &persona) >= 0 && !(persona & ADDR_NO_RANDOMIZE);
}

void task_table_note_image(TaskTable *table, const Call *call) {
        unsigned n_before = table->n_discovered;
        ThreadGroup *process;

        if (task_table_process_of(table, call->tid, &process) < 0)
                return;
        if (table->n_discovered == n_before && thread_group_refresh(process, HOST_TASK_STAT) == -ESRCH) {
                /* The id was given again, and this is the first that we hear of the one who has it now. */
                process_remove(process);
                if (task_table_process_of(table, call->tid, &process) < 0)
                        return;
        }
        if (image_was_told(process))
                return;

        (void) thread_group_refresh(process, HOST_TASK_EXE);
        process->image = process->last_image;
        process->argv_withheld = false; /* the new image has its own */
        process_timers_exec(process->timers);
        queue_event(process, TASK_EVENT_EXEC);
}
