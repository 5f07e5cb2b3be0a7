/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

void thread_group_drop_threads(ThreadGroup *process) {
        Task *task;

        while ((task = TAILQ_FIRST(&process->threads))) {
                TAILQ_REMOVE(&process->threads, task, link);
                process->table->n_threads--;
                free(task);
        }
}

static int on_thread(const HostTask *seen, void *userdata) {
        ThreadGroup *process = userdata;
        Task *task;

        if (process->table->n_threads >= TASKS_MAX)
                return 0;
        task = calloc(1, sizeof(Task));
        if (!task)
                return -ENOMEM;
        *task = (Task) {
                .process = process,
                .tid = seen->id,
                .host_tid = seen->host_id,
                .start_usec = seen->start_usec,
                .state = seen->state,
                .cpu_usec = seen->cpu_usec,
        };
        memcpy(task->comm, seen->comm, sizeof(task->comm));
        TAILQ_INSERT_TAIL(&process->threads, task, link);
        process->table->n_threads++;
        return 0;
}

int thread_group_list_threads(ThreadGroup *process) {
        Host *host = process->table->kernel->host;

        thread_group_drop_threads(process);
        return host->ops->task_threads(host, process->pid, on_thread, process);
}
