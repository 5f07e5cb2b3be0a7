/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The task table on the bus: its methods and its signals. */

#include <time.h>

#include "bus-tasks.h"
#include "bus-util.h"
#include "kernel-methods.h"
#include "log.h"
#include "ns/namespace.h"
#include "sentry.h"
#include "util.h"

/* When the host booted: what start times count from, in CLOCK_REALTIME. */
static uint64_t boot_realtime_usec(void) {
        struct timespec real, boot;

        (void) clock_gettime(CLOCK_REALTIME, &real);
        (void) clock_gettime(CLOCK_BOOTTIME, &boot);
        return (uint64_t) ((real.tv_sec - boot.tv_sec) * INT64_C(1000000) + (real.tv_nsec - boot.tv_nsec) / 1000);
}

/* A guest's text, fit for a message. */
static const char *text(const char *guest, char *buffer, size_t size) {
        size_t n = MIN(strlen(guest), size - 1);

        memcpy(buffer, guest, n);
        buffer[n] = '\0';
        return bus_text(buffer);
}

static const char *comm_text(const char comm[static TASK_COMM_MAX]) {
        static char buffer[TASK_COMM_MAX];

        return text(comm, buffer, sizeof(buffer));
}

static const char *exe_text(const ThreadGroup *process) {
        static char buffer[4096];

        return process->exe ? text(process->exe, buffer, sizeof(buffer)) : "";
}

/* The parent as a task of the sandbox; 0 when it is none. */
static uint32_t parent_of(const ThreadGroup *process) {
        return task_table_find(process->table, process->parent) ? (uint32_t) process->parent : 0;
}

static int append_argv(sd_bus_message *reply, const ThreadGroup *process) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < process->argv_size; i += strlen(process->argv + i) + 1)
                r = sd_bus_message_append_basic(reply, 's', bus_text(process->argv + i));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int refresh(Sentry *sentry, unsigned parts) {
        int r = 0;

        if (sentry->state == SENTRY_RUNNING || sentry->state == SENTRY_PAUSED)
                r = task_table_refresh(&sentry->kernel->tasks, parts);
        return r == -ESRCH ? 0 : r;
}

typedef struct Reply {
        sd_bus_message *message;
        ThreadGroup **tasks;     /* ended by NULL */
        uint64_t boot_usec;
        bool details, threads;
} Reply;

static int append_listed(const Reply *to, const ThreadGroup *process) {
        sd_bus_message *reply = to->message;
        int r;

        r = sd_bus_message_open_container(reply, 'r', "uuuusstas");
        if (r >= 0)
                r = sd_bus_message_append(reply, "uuuusst", (uint32_t) process->pid, parent_of(process),
                                          (uint32_t) process->host_pid, process->n_threads,
                                          (char[]) { process->state, '\0' }, comm_text(process->comm),
                                          to->boot_usec + process->start_usec);
        if (r >= 0)
                r = append_argv(reply, process);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Looks at all processes and answers with what fill makes of them. */
static int reply_tasks(sd_bus_message *m, Sentry *sentry, unsigned parts, const char *contents,
                       int (*fill)(sd_bus_message *reply, void *userdata), Reply *to) {
        _cleanup_free_ ThreadGroup **tasks = NULL;
        int r;

        r = refresh(sentry, parts);
        if (r >= 0)
                r = task_table_sorted(&sentry->kernel->tasks, &tasks);
        if (r < 0)
                return r;
        to->tasks = tasks;
        to->boot_usec = boot_realtime_usec();
        return kernel_reply_array(m, contents, fill, to);
}

static int fill_listed(sd_bus_message *reply, void *userdata) {
        Reply *to = userdata;
        int r = 0;

        to->message = reply;
        for (ThreadGroup **p = to->tasks; r >= 0 && *p; p++)
                r = append_listed(to, *p);
        return r;
}

int kernel_method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return reply_tasks(m, userdata, HOST_TASK_STAT | HOST_TASK_ARGV, "(uuuusstas)", fill_listed, &(Reply) {});
}

static const char *path_text(const char *path) {
        static char buffer[4096];

        return path ? text(path, buffer, sizeof(buffer)) : "";
}

static int append_groups(sd_bus_message *reply, const HostCredentials *c) {
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "GroupList");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'u', c->groups,
                                                MIN(c->n_groups, TASK_GROUPS_MAX) * sizeof(uint32_t));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_numbers(sd_bus_message *reply, const ThreadGroup *process) {
        const HostCredentials *c = &process->credentials;
        const struct {
                const char *key;
                uint32_t value;
        } numbers[] = {
                { "EUID", c->euid }, { "SUID", c->suid }, { "FSUID", c->fsuid }, { "GID", c->gid },
                { "EGID", c->egid }, { "SGID", c->sgid }, { "FSGID", c->fsgid }, { "Groups", c->n_groups },
                { "Umask", c->umask }, { "PIDNamespaceLevel", process->ns->level },
                { "InnerPID", (uint32_t) process->inner_pid },
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
                r = sd_bus_message_append(reply, "{sv}", numbers[i].key, "u", numbers[i].value);
        return r;
}

static int append_details(sd_bus_message *reply, const ThreadGroup *process) {
        const HostCredentials *c = &process->credentials;
        const struct {
                const char *key;
                uint64_t value;
        } sets[] = {
                { "CapInheritable", c->cap_inheritable }, { "CapPermitted", c->cap_permitted },
                { "CapEffective", c->cap_effective },     { "CapBounding", c->cap_bounding },
                { "CapAmbient", c->cap_ambient },         { "PIDNamespace", process->ns->inode },
        };
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = append_numbers(reply, process);
        if (r >= 0)
                r = append_groups(reply, c);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(sets); i++)
                r = sd_bus_message_append(reply, "{sv}", sets[i].key, "t", sets[i].value);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "NoNewPrivs", "b", (int) c->no_new_privs);
        if (r >= 0 && c->dumpable >= 0)
                r = sd_bus_message_append(reply, "{sv}", "Dumpable", "b", (int) c->dumpable);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "Root", "s", path_text(process->root));
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "Cwd", "s", path_text(process->cwd));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* A process, or one thread of it. */
static int append_task(const Reply *to, ThreadGroup *process, const Task *thread) {
        const ProcessGroup *group = process->group;
        sd_bus_message *reply = to->message;
        int r;

        r = sd_bus_message_open_container(reply, 'r', TASK_STRUCT_CONTENTS);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "uuuuuuuussstti",
                                  (uint32_t) (thread ? thread->tid : process->pid), (uint32_t) process->pid,
                                  parent_of(process), (uint32_t) (thread ? thread->host_tid : process->host_pid),
                                  (uint32_t) (group ? group->id : 0), (uint32_t) (group ? group->session->id : 0),
                                  process->n_threads, process->credentials.uid,
                                  (char[]) { thread ? thread->state : process->state, '\0' },
                                  comm_text(thread ? thread->comm : process->comm), process->container ?: "",
                                  to->boot_usec + (thread ? thread->start_usec : process->start_usec),
                                  thread ? thread->cpu_usec : process->cpu_usec,
                                  (int32_t) process->wait_status);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", exe_text(process));
        if (r >= 0)
                r = append_argv(reply, process);
        if (r >= 0)
                r = to->details ? append_details(reply, process) : sd_bus_message_append(reply, "a{sv}", 0);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_threads(const Reply *to, ThreadGroup *process) {
        const Task *thread;
        int r;

        /* Who is gone meanwhile is shown as it was. */
        r = thread_group_list_threads(process);
        if (r == -ENOMEM)
                return r;
        if (TAILQ_EMPTY(&process->threads))
                return append_task(to, process, NULL);
        TAILQ_FOREACH(thread, &process->threads, link) {
                r = append_task(to, process, thread);
                if (r < 0)
                        break;
        }
        thread_group_drop_threads(process);
        return r;
}

static int fill_tasks(sd_bus_message *reply, void *userdata) {
        Reply *to = userdata;
        int r = 0;

        to->message = reply;
        for (ThreadGroup **p = to->tasks; r >= 0 && *p; p++)
                r = to->threads ? append_threads(to, *p) : append_task(to, *p, NULL);
        return r;
}

int kernel_method_get_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint32_t flags;
        Reply to;
        int r;

        r = sd_bus_message_read(m, "u", &flags);
        if (r < 0)
                return r;
        if (flags & ~(uint32_t) _GET_TASKS_ALL)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "The flags of GetTasks() are %#x; 1 (threads) and 2 (details) are known.",
                                         flags);
        to = (Reply) { .threads = flags & GET_TASKS_THREADS, .details = flags & GET_TASKS_DETAILS };
        return reply_tasks(m, userdata, HOST_TASK_STAT | HOST_TASK_ARGV |
                           (to.details ? HOST_TASK_STATUS | HOST_TASK_EXE | HOST_TASK_PLACES : HOST_TASK_UID), TASK_STRUCT, fill_tasks,
                           &to);
}

int kernel_method_tell_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int yes, r;

        r = sd_bus_message_read(m, "b", &yes);
        if (r < 0)
                return r;
        sentry->tells_tasks = yes;
        return sd_bus_reply_method_return(m, NULL);
}

void kernel_dbus_task_event(Sentry *sentry, const KernelEvent *event) {
        const ThreadGroup *process = event->process;
        const char *comm = comm_text(process->comm);
        uint32_t pid = (uint32_t) process->pid, host_pid = (uint32_t) process->host_pid;

        if (!sentry->tells_tasks)
                return;
        switch (event->kind) {
        case KERNEL_EVENT_TASK_NEW:
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "TaskNew", "uus", pid,
                                          host_pid, comm);
                return;
        case KERNEL_EVENT_TASK_EXEC:
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "TaskExec", "uuss",
                                          pid, host_pid, comm, exe_text(process));
                return;
        default: /* TASK_EXIT */
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "TaskExit", "uui",
                                          pid, host_pid, (int32_t) process->wait_status);
        }
}
