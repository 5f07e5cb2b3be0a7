/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "task-table.h"
#include "util/macros.h"

ProcessGroup *process_group_find(const TaskTable *table, GuestPid id) {
        IdNode *node = idmap_find(&table->groups, (uint32_t) id);

        return node ? CONTAINER_OF(node, ProcessGroup, node) : NULL;
}

Session *session_find(const TaskTable *table, GuestPid id) {
        IdNode *node = idmap_find(&table->sessions, (uint32_t) id);

        return node ? CONTAINER_OF(node, Session, node) : NULL;
}

int session_set_container(Session *session, const char *id) {
        char *copy = NULL;

        if (id && *id && !(copy = strdup(id)))
                return -ENOMEM;
        free(session->container);
        session->container = copy;
        return 0;
}

static void session_put(TaskTable *table, Session *session) {
        if (session->n_groups > 0)
                return;
        idmap_remove(&table->sessions, &session->node);
        free(session->container);
        free(session);
}

static Session *session_get(TaskTable *table, GuestPid id, const char *container) {
        Session *session = session_find(table, id);

        if (session)
                return session;
        session = calloc(1, sizeof(Session));
        if (!session)
                return NULL;
        session->id = id;
        if (container && !(session->container = strdup(container)))
                goto fail;
        if (idmap_add(&table->sessions, &session->node, (uint32_t) id) < 0)
                goto fail;
        return session;

fail:
        free(session->container);
        free(session);
        return NULL;
}

static void group_put(TaskTable *table, ProcessGroup *group) {
        Session *session = group->session;

        if (!LIST_EMPTY(&group->members))
                return;
        idmap_remove(&table->groups, &group->node);
        free(group);
        session->n_groups--;
        session_put(table, session);
}

static ProcessGroup *group_get(TaskTable *table, GuestPid id, Session *session) {
        ProcessGroup *group = process_group_find(table, id);

        if (group && group->session == session)
                return group;
        if (group) {
                /* The id was given again, in another session: whom we still have as its members has left it, and
                 * is corrected when it is looked at. */
                Session *old = group->session;

                group->session = session;
                session->n_groups++;
                old->n_groups--;
                session_put(table, old);
                return group;
        }
        group = calloc(1, sizeof(ProcessGroup));
        if (!group)
                return NULL;
        *group = (ProcessGroup) { .id = id, .session = session };
        LIST_INIT(&group->members);
        if (idmap_add(&table->groups, &group->node, (uint32_t) id) < 0) {
                free(group);
                return NULL;
        }
        session->n_groups++;
        return group;
}

void process_group_leave(TaskTable *table, ThreadGroup *task) {
        ProcessGroup *group = task->group;

        if (!group)
                return;
        LIST_REMOVE(task, group_link);
        task->group = NULL;
        group_put(table, group);
}

int process_group_join(TaskTable *table, ThreadGroup *task, GuestPid id, GuestPid session_id) {
        ProcessGroup *group = task->group;
        Session *session;

        if (id == 0)
                session_id = 0; /* who is in a group of the outside is in its session */
        if (group && group->id == id && group->session->id == session_id)
                return 0;

        process_group_leave(table, task);
        session = session_get(table, session_id, task->container);
        if (!session)
                return -ENOMEM;
        group = group_get(table, id, session);
        if (!group) {
                session_put(table, session);
                return -ENOMEM;
        }
        LIST_INSERT_HEAD(&group->members, task, group_link);
        task->group = group;
        return 0;
}
