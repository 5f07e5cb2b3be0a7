/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the long listings: each answers with a pipe, lister.h. */

#include <errno.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "sentry.h"
#include "util.h"

static GuestPid init_of(const Sentry *sentry) {
        const TaskTable *table = &sentry->kernel->tasks;
        const ThreadGroup *process = task_table_find_host(table, sentry->init_pid) ?: TAILQ_FIRST(&table->processes);

        return process ? process->pid : 0;
}

/* pid 0: of all. */
static int start(Sentry *sentry, sd_bus_message *m, ListFunction function, GuestPid pid, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = lister_start(&sentry->lister, function, pid, &fd);
        if (r == -EMFILE && sentry->lister.n_children >= LISTERS_MAX)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "%u lists of sandbox \"%s\" are being made already, no more are possible: "
                                         "let one of them end first.", LISTERS_MAX, sentry->name);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "h", fd);
}

static int sync_tasks(Sentry *sentry, sd_bus_error *error) {
        int r;

        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING,
                                         "Sandbox \"%s\" is %s, this needs one that is running or paused.",
                                         sentry->name, sentry_state_to_string(sentry->state));
        r = task_table_refresh(&sentry->kernel->tasks, HOST_TASK_STAT | HOST_TASK_UID);
        return r == -ESRCH ? 0 : r;
}

/* For methods that take a pid; 0 stands for init, or for all. */
static int start_for(Sentry *sentry, sd_bus_message *m, ListFunction function, bool init, sd_bus_error *error) {
        uint32_t pid;
        int r;

        r = sd_bus_message_read(m, "u", &pid);
        if (r >= 0)
                r = sync_tasks(sentry, error);
        if (r < 0)
                return r;
        if (pid == 0 && init)
                pid = (uint32_t) init_of(sentry);
        else if (pid != 0 && (pid > INT32_MAX || !task_table_find(&sentry->kernel->tasks, (GuestPid) pid)))
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_TASK,
                                         "There is no process %u in sandbox \"%s\". `sentryctl ps %s` shows those "
                                         "that there are.", pid, sentry->name, sentry->name);
        return start(sentry, m, function, (GuestPid) pid, error);
}

int kernel_method_list_fds(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start_for(userdata, m, list_fds, false, error);
}

int kernel_method_list_mounts(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start_for(userdata, m, list_mounts, true, error);
}

int kernel_method_list_sockets(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        r = sync_tasks(sentry, error);
        return r < 0 ? r : start(sentry, m, list_sockets, 0, error);
}

int kernel_method_list_namespaces(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        r = sync_tasks(sentry, error);
        return r < 0 ? r : start(sentry, m, list_namespaces, 0, error);
}

int kernel_method_list_ipc(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        r = sync_tasks(sentry, error);
        return r < 0 ? r : start(sentry, m, list_ipc, init_of(sentry), error);
}

int kernel_method_list_cgroups(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        r = sync_tasks(sentry, error);
        return r < 0 ? r : start(sentry, m, list_cgroups, 0, error);
}
