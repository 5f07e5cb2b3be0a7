/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

void thread_group_take(ThreadGroup *process, unsigned parts, HostTask *seen) {
        if (parts & HOST_TASK_STAT) {
                process->parent = seen->parent;
                process->state = seen->state;
                process->n_threads = seen->n_threads;
                process->cpu_usec = seen->cpu_usec;
                process->children_usec = seen->children_usec;
                process->last_image = seen->image;
                memcpy(process->comm, seen->comm, sizeof(process->comm));
                if (seen->wait_status != WAIT_STATUS_UNKNOWN)
                        process->wait_status = seen->wait_status;
                (void) process_group_join(process->table, process, seen->group, seen->session);
        }
        if (parts & HOST_TASK_STATUS) {
                process->credentials = seen->credentials;
                process->has_credentials = true;
                if (parts & HOST_TASK_STAT)
                        process->owner = seen->owner;
                process->inner_pid = seen->inner_id;
        }
        if (parts & HOST_TASK_PLACES) {
                free(process->root);
                free(process->cwd);
                process->root = seen->root;
                process->cwd = seen->cwd;
                seen->root = seen->cwd = NULL;
        }
        /* A zombie has no executable any more, but had one. */
        if ((parts & HOST_TASK_EXE) && seen->exe) {
                free(process->exe);
                process->exe = seen->exe;
                seen->exe = NULL;
        }
}

int thread_group_refresh(ThreadGroup *process, unsigned parts) {
        Host *host = process->table->kernel->host;
        HostTask seen = {};
        int r;

        r = host->ops->task_read(host, process->pid, parts, &seen);
        if (r >= 0 && (parts & HOST_TASK_STAT) && seen.start_usec != process->start_usec)
                r = -ESRCH;
        if (r >= 0) {
                thread_group_take(process, parts, &seen);
                if ((parts & HOST_TASK_UID) && (!process->has_credentials || process->owner != seen.owner)) {
                        HostTask status = {};

                        if (host->ops->task_read(host, process->pid, HOST_TASK_STATUS, &status) >= 0) {
                                thread_group_take(process, HOST_TASK_STATUS, &status);
                                process->owner = seen.owner;
                        }
                }
        }
        free(seen.exe);
        free(seen.root);
        free(seen.cwd);
        return r;
}

int thread_group_set_container(ThreadGroup *process, const char *id) {
        char *copy = NULL;

        if (id && strlen(id) >= CONTAINER_ID_MAX)
                return -EINVAL;
        if (id && *id) {
                copy = strdup(id);
                if (!copy)
                        return -ENOMEM;
        }
        free(process->container);
        process->container = copy;
        return 0;
}
