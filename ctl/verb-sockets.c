/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sockets: those of a sandbox's network namespaces. */

#include "lists.h"
#include "util.h"

static const Column socket_columns[] = {
        { "protocol", NULL, 0, COLUMN_TEXT, false, 0 },
        { "family", NULL, 0, COLUMN_TEXT, false, 0 },
        { NULL, "PROTO", 0, COLUMN_TEXT, false, 0 },
        { "type", "TYPE", 0, COLUMN_TEXT, false, 0 },
        { "state", "STATE", 0, COLUMN_TEXT, false, 0 },
        { "recv_queue", "RECV-Q", 0, COLUMN_NUMBER, false, 0 },
        { "send_queue", "SEND-Q", 0, COLUMN_NUMBER, false, 0 },
        { "local", "LOCAL", 0, COLUMN_TEXT, false, 0 },
        { "peer", "PEER", 0, COLUMN_TEXT, false, 0 },
        { "abstract", NULL, 0, COLUMN_TEXT, false, 0 },
        { "inode", "INODE", 0, COLUMN_NUMBER0, false, 0 },
        { "peer_inode", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "netns", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "holders", NULL, 0, COLUMN_TEXT, false, 0 },
        { NULL, "HELD BY", 0, COLUMN_TEXT, true, 0 },
        {},
};

/* "nginx[7]:3 nginx[8]:3" */
static int make_holders(json_object *holders, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r = string_appendf(&text, "%s", "");

        for (size_t i = 0; r >= 0 && holders && i < json_object_array_length(holders); i++) {
                json_object *holder = json_object_array_get_idx(holders, i);

                r = string_appendf(&text, "%s%s[%s]:%s", i > 0 ? " " : "", row_text(holder, "comm"),
                                   row_text(holder, "pid"), row_text(holder, "fd"));
        }
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

static int complete(json_object *row) {
        _cleanup_free_ char *holders = NULL, *protocol = NULL;
        uint64_t peer = row_number(row, "peer_inode");
        int r;

        r = make_holders(json_object_object_get(row, "holders"), &holders);
        if (r >= 0)
                r = row_add(row, "HELD BY", holders);
        if (r >= 0)
                r = string_appendf(&protocol, "%s%s", row_text(row, "protocol"),
                                   streq(row_text(row, "family"), "inet6") ? "6" : "");
        if (r >= 0)
                r = row_add(row, "PROTO", protocol);
        if (r >= 0 && peer != 0 && !*row_text(row, "peer")) {
                char text[32];

                /* The other end has no name, so it is told by its inode. */
                (void) snprintf(text, sizeof(text), "[%ju]", (uintmax_t) peer);
                r = row_add(row, "peer", text);
        }
        return r;
}

static int verb_sockets_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_json_ json_object *rows = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = list_arguments(ctl, argc, argv, 1, &path, NULL);
        if (r >= 0)
                r = list_read(ctl, path, "ListSockets", NULL, &rows);
        if (r < 0)
                return r;
        for (size_t i = 0; ctl->json == JSON_OFF && i < json_object_array_length(rows); i++)
                if (complete(json_object_array_get_idx(rows, i)) < 0)
                        return ctl_oom();
        r = table_print(ctl, socket_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                ctl_notice(ctl, "No sockets.");
        return r;
}

const Verb verb_sockets = {
        .name = "sockets",
        .arguments = "[NAME]",
        .summary = "List the sockets of a sandbox",
        .details = "Those of its own network namespaces; with the host's network those that its processes hold. RECV-Q\n"
                   "and SEND-Q are bytes that wait; of a listening socket connections, and how many may. The name of an\n"
                   "abstract UNIX socket begins with '@', a peer without a name is shown by its inode.\n",
        .aside = true,
        .lists = true,
        .pages = true,
        .run = verb_sockets_main,
};
