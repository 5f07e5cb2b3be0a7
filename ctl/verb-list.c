/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list: the sandboxes there are. */

#include "connect.h"
#include "sandboxes.h"
#include "table.h"

static int verb_list_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        int r;

        r = options_only(ctl, argc, argv, 0, 0);
        if (r < 0)
                return r;
        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        r = sandboxes_list(ctl, &rows);
        if (r < 0)
                return r;
        r = table_print(ctl, sandbox_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                sandboxes_notice_none(ctl);
        return r;
}

const Verb verb_list = {
        .name = "list",
        .arguments = "",
        .summary = "List sandboxes",
        .lists = true,
        .pages = true,
        .run = verb_list_main,
};
