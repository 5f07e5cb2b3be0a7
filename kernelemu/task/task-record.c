/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records of the task table: what is ours and the host does not know. Processes are known by their number in the
 * sandbox, which a restored sandbox gives them again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

struct TaskAttributes {
        GuestPid pid;
        char container[CONTAINER_ID_MAX];
};

static int attributes_record(TaskAttributes *attributes, Record *record) {
        uint32_t pid = (uint32_t) attributes->pid;

        record_begin(record, "task", 1);
        record_u32(record, "pid", &pid);
        record_string(record, "container", attributes->container, sizeof(attributes->container));
        attributes->pid = (GuestPid) pid;
        if (record->error == 0 && attributes->pid <= 0)
                record->error = -EBADMSG;
        return record_end(record);
}

void task_note_container(ThreadGroup *process, bool gone) {
        Kernel *kernel = process->table->kernel;
        TaskAttributes attributes = { .pid = process->pid };
        Record *record = change_begin(kernel);

        if (!record)
                return;
        if (!gone)
                strncpy(attributes.container, process->container, sizeof(attributes.container) - 1);
        (void) attributes_record(&attributes, record);
        change_end(kernel, record);
}

int task_container_apply(TaskTable *table, Record *record) {
        TaskAttributes seen = {}, *bigger;
        int r;

        r = attributes_record(&seen, record);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < table->n_attributes; i++)
                if (table->attributes[i].pid == seen.pid) {
                        table->attributes[i] = seen;
                        return 0;
                }
        if (seen.container[0] == '\0')
                return 0;
        if (table->n_attributes >= TASKS_MAX)
                return -EBADMSG;
        bigger = realloc(table->attributes, (table->n_attributes + 1) * sizeof(TaskAttributes));
        if (!bigger)
                return -ENOMEM;
        table->attributes = bigger;
        table->attributes[table->n_attributes++] = seen;
        return 0;
}

static int write_tasks(TaskTable *table, Record *record) {
        const ThreadGroup *process;

        TAILQ_FOREACH(process, &table->processes, link) {
                TaskAttributes attributes = { .pid = process->pid };
                int r;

                if (!process->container)
                        continue;
                strncpy(attributes.container, process->container, sizeof(attributes.container) - 1);
                r = attributes_record(&attributes, record);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_tasks(TaskTable *table, Record *record, uint32_t n) {
        if (n == 0)
                return 0;
        table->attributes = calloc(n, sizeof(TaskAttributes));
        if (!table->attributes)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                int r = attributes_record(&table->attributes[i], record);

                if (r < 0)
                        return r;
                table->n_attributes++;
        }
        return 0;
}

int task_table_record(TaskTable *table, Record *record) {
        const ThreadGroup *process;
        uint32_t n = 0;
        int r;

        if (record->mode == RECORD_WRITE)
                TAILQ_FOREACH(process, &table->processes, link)
                        n += process->container != NULL;

        record_begin(record, "task-table", 1);
        record_u32(record, "tasks", &n);
        r = record_end(record);
        if (r < 0)
                return r;
        if (n > TASKS_MAX)
                return -EBADMSG;
        if (record->mode == RECORD_WRITE)
                return write_tasks(table, record);
        task_attributes_done(table);
        return read_tasks(table, record, n);
}

void task_attributes_apply(ThreadGroup *process) {
        TaskTable *table = process->table;

        for (unsigned i = 0; i < table->n_attributes; i++)
                if (table->attributes[i].pid == process->pid) {
                        (void) thread_group_set_container(process, table->attributes[i].container);
                        table->attributes[i].pid = 0;
                        return;
                }
}

void task_attributes_done(TaskTable *table) {
        free(table->attributes);
        table->attributes = NULL;
        table->n_attributes = 0;
}
