/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ipc: shared memory, message queues and semaphores of a sandbox. */

#include "lists.h"
#include "util.h"

static const Column ipc_columns[] = {
        { "kind", "KIND", 0, COLUMN_TEXT, false, 0 },
        { "key", "KEY", 0, COLUMN_TEXT, false, 0 },
        { "id", "ID", 0, COLUMN_NUMBER, false, 0 },
        { "mode", "MODE", 0, COLUMN_TEXT, false, 0 },
        { "uid", "UID", 0, COLUMN_NUMBER, false, 0 },
        { "gid", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "bytes", "BYTES", 0, COLUMN_NUMBER, false, 0 },
        { "count", "COUNT", 0, COLUMN_NUMBER, false, 0 },
        { "max_messages", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "max_bytes", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "creator", "CREATOR", 0, COLUMN_NUMBER0, false, 0 },
        { "last", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "last_sender", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "last_receiver", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "notifies", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "removed", NULL, 0, COLUMN_TEXT, false, 0 },
        {},
};

static int verb_ipc_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = list_read(ctl, path, "ListIPC", NULL, &rows);
        if (r >= 0)
                r = table_print(ctl, ipc_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                ctl_notice(ctl, "No objects of IPC.");
        return r;
}

const Verb verb_ipc = {
        .name = "ipc",
        .arguments = "[NAME]",
        .summary = "List shared memory, message queues and semaphores of a sandbox",
        .details = "KIND is shm, msg or sem of System V, or mqueue: a POSIX queue, whose KEY is its name; in the\n"
                   "host's mounts, those that are mounted. COUNT is of a shm who is attached, of queues the\n"
                   "messages in them, of a sem its semaphores. A CREATOR that has ended is not shown.\n",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_ipc_main,
};
