/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ps: the processes and threads of sandboxes. */

#include "bus-tasks.h"
#include "connect.h"
#include "credentials.h"
#include "sandboxes.h"
#include "tasks.h"

enum {
        OPTION_THREADS = OPTION_FIRST,
        OPTION_TREE,
        OPTION_CREDENTIALS,
};

static const Option ps_options[] = {
        { OPTION_THREADS, "threads", 'T', NULL, false, "A line for each thread" },
        { OPTION_CREDENTIALS, "credentials", 'c', NULL, false, "Show ids, groups and capabilities" },
        { OPTION_TREE, "tree", 't', NULL, false, "Show who is whose child" },
        {},
};

/* The tasks of every sandbox. One that ends meanwhile has none. */
static int all_tasks(Ctl *ctl, uint32_t flags, json_object *rows) {
        _cleanup_json_ json_object *sandboxes = NULL;
        int r;

        r = sandboxes_list(ctl, &sandboxes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(sandboxes); i++) {
                json_object *sandbox = json_object_array_get_idx(sandboxes, i);

                r = tasks_get(ctl, json_object_get_string(json_object_object_get(sandbox, "path")),
                              json_object_get_string(json_object_object_get(sandbox, "name")), flags, true, rows);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int verb_ps_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *path = NULL;
        bool tree = false, threads = false, credentials = false;
        uint32_t flags = 0;
        const char *name;
        int r;

        if (!rows)
                return ctl_oom();
        while ((r = options_next(&parser)) > 0)
                if (r == OPTION_THREADS)
                        threads = true;
                else if (r == OPTION_CREDENTIALS)
                        credentials = true;
                else
                        tree = true;
        if (r >= 0)
                r = options_check_count(ctl, argc - parser.index, 0, 1);
        if (r < 0)
                return r;
        if (threads)
                flags |= GET_TASKS_THREADS;
        if (tree && credentials)
                return ctl_usage(ctl, "--tree and --credentials do not go together: which one is it?");
        if (ctl->json != JSON_OFF || credentials)
                flags |= GET_TASKS_DETAILS;

        name = parser.index < argc ? argv[parser.index] : NULL;
        if (name) {
                r = sandbox_find(ctl, name, NULL, &path);
                if (r >= 0)
                        r = tasks_get(ctl, path, name, flags, false, rows);
        } else {
                r = ctl_connect(ctl, CONNECT_RUNNING);
                if (r >= 0)
                        r = all_tasks(ctl, flags, rows);
        }
        if (r >= 0 && credentials && ctl->json == JSON_OFF)
                r = credentials_print(ctl, rows, !name, threads);
        else if (r >= 0)
                r = tasks_print(ctl, rows, !name, threads, tree);
        if (r >= 0 && !name && json_object_array_length(rows) == 0)
                sandboxes_notice_none(ctl);
        return r;
}

const Verb verb_ps = {
        .name = "ps",
        .arguments = "[NAME]",
        .summary = "List the processes of one or all sandboxes",
        .details = "S is the state as ps(1) has it: R running, S and D waiting, T stopped, Z a zombie: dead, with\n"
                   "the status it ended with, and not waited for yet.\n"
                   "\n"
                   "With --credentials, several ids are the real, effective, saved and file system's. NNP is\n"
                   "no_new_privs, DUMP whether it is dumpable: ? where that cannot be told, as for root.\n",
        .options = ps_options,
        .lists = true,
        .pages = true,
        .run = verb_ps_main,
};
