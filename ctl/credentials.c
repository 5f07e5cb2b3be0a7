/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/capability.h>

#include "credentials.h"
#include "lists.h"
#include "util.h"

static const char *const capability_sets[] = {
        "CapInheritable", "CapPermitted", "CapEffective", "CapBounding", "CapAmbient",
};

/* "cap_chown" for each bit. NULL without memory. */
static json_object *names_of(uint64_t bits) {
        _cleanup_json_ json_object *names = json_object_new_array();

        for (cap_value_t cap = 0; names && cap < 64; cap++) {
                json_object *item;
                char *name;

                if (!(bits & (UINT64_C(1) << cap)))
                        continue;
                name = cap_to_name(cap); /* a number when libcap has no name for it */
                item = name ? json_object_new_string(name) : NULL;
                if (name)
                        (void) cap_free(name);
                if (!item || json_object_array_add(names, item) < 0) {
                        json_object_put(item);
                        return NULL;
                }
        }
        return TAKE_PTR(names);
}

int credentials_name(json_object *row) {
        json_object *details = json_object_object_get(row, "details");

        for (size_t i = 0; details && i < ELEMENTSOF(capability_sets); i++) {
                json_object *names;

                if (!json_object_object_get_ex(details, capability_sets[i], NULL))
                        continue;
                names = names_of(row_number(details, capability_sets[i]));
                if (!names || json_object_object_add(details, capability_sets[i], names) < 0) {
                        json_object_put(names);
                        return -ENOMEM;
                }
        }
        return 0;
}

/* "all", "none", "chown,net_admin", "all but sys_admin": whichever is shorter. Of names. */
static int capabilities_text(json_object *names, char **ret) {
        size_t n = names ? json_object_array_length(names) : 0, all = (size_t) cap_max_bits();
        _cleanup_free_ char *text = NULL;
        bool inverse = n > all / 2;
        int r;

        r = string_appendf(&text, "%s", n >= all ? "all" : n == 0 ? "none" : inverse ? "all but " : "");
        for (cap_value_t cap = 0; r >= 0 && n > 0 && n < all && cap < (cap_value_t) all; cap++) {
                char *name = cap_to_name(cap);
                bool has = false;

                if (!name)
                        return -ENOMEM;
                for (size_t i = 0; !has && i < n; i++)
                        has = streq_ptr(json_object_get_string(json_object_array_get_idx(names, i)), name);
                if (has != inverse)
                        r = string_appendf(&text, "%s%s", text[0] && text[strlen(text) - 1] != ' ' ? "," : "",
                                           startswith(name, "cap_") ?: name);
                (void) cap_free(name);
        }
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

/* "1000", or all four (real, effective, saved, of the file system) where they are not the same. */
static int ids_text(json_object *row, const char *key, json_object *details, const char *const others[3],
                    char **ret) {
        uint64_t real = row_number(row, key), e = row_number(details, others[0]), s = row_number(details, others[1]),
                 f = row_number(details, others[2]);
        _cleanup_free_ char *text = NULL;
        int r;

        if (real == e && real == s && real == f)
                r = string_appendf(&text, "%ju", (uintmax_t) real);
        else
                r = string_appendf(&text, "%ju/%ju/%ju/%ju", (uintmax_t) real, (uintmax_t) e, (uintmax_t) s,
                                   (uintmax_t) f);
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

static int add_groups(json_object *row, json_object *details) {
        json_object *list = json_object_object_get(details, "GroupList");
        size_t n = list ? json_object_array_length(list) : 0;
        _cleanup_free_ char *text = NULL;
        int r;

        r = string_appendf(&text, "%s", n == 0 ? "none" : "");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = string_appendf(&text, "%s%s", i > 0 ? "," : "",
                                   json_object_get_string(json_object_array_get_idx(list, i)));
        if (r >= 0 && row_number(details, "Groups") > n)
                r = string_appendf(&text, ",...");
        return r < 0 ? r : row_add(row, "GROUPS", text);
}

static const char *yes_no(json_object *details, const char *key) {
        json_object *value;

        return !json_object_object_get_ex(details, key, &value) ? "?" : json_object_get_boolean(value) ? "yes" : "no";
}

/* What the columns below show, made of the details. */
static int complete(json_object *row) {
        static const struct {
                const char *key, *column;
        } sets[] = { { "CapEffective", "EFFECTIVE" }, { "CapPermitted", "PERMITTED" }, { "CapBounding", "BOUNDING" } };
        json_object *details = json_object_object_get(row, "details");
        _cleanup_free_ char *uids = NULL, *gids = NULL;
        char umask[16];
        int r;

        r = ids_text(row, "uid", details, (const char *const[]) { "EUID", "SUID", "FSUID" }, &uids);
        if (r >= 0)
                r = row_add(row, "UIDS", uids);
        if (r >= 0)
                r = ids_text(details, "GID", details, (const char *const[]) { "EGID", "SGID", "FSGID" }, &gids);
        if (r >= 0)
                r = row_add(row, "GIDS", gids);
        if (r >= 0)
                r = add_groups(row, details);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(sets); i++) {
                _cleanup_free_ char *text = NULL;

                r = capabilities_text(json_object_object_get(details, sets[i].key), &text);
                if (r >= 0)
                        r = row_add(row, sets[i].column, text);
        }
        if (r >= 0)
                r = row_add(row, "NNP", yes_no(details, "NoNewPrivs"));
        if (r >= 0)
                r = row_add(row, "DUMP", yes_no(details, "Dumpable"));
        (void) snprintf(umask, sizeof(umask), "%04o", (unsigned) row_number(details, "Umask"));
        if (r >= 0)
                r = row_add(row, "UMASK", umask);
        return r;
}

int credentials_print(const Ctl *ctl, json_object *rows, bool with_sandbox, bool with_threads) {
        Column columns[] = {
                { "sandbox", with_sandbox ? "NAME" : NULL, 0, COLUMN_TEXT, false, 0 },
                { "pid", "PID", 0, COLUMN_NUMBER, false, 0 },
                { "tid", with_threads ? "TID" : NULL, 0, COLUMN_NUMBER, false, 0 },
                { NULL, "UIDS", 0, COLUMN_TEXT, false, 0 },
                { NULL, "GIDS", 0, COLUMN_TEXT, false, 0 },
                { NULL, "GROUPS", 0, COLUMN_TEXT, true, 0 },
                { NULL, "EFFECTIVE", 0, COLUMN_TEXT, true, 0 },
                { NULL, "PERMITTED", 0, COLUMN_TEXT, true, 0 },
                { NULL, "BOUNDING", 0, COLUMN_TEXT, true, 0 },
                { NULL, "NNP", 0, COLUMN_TEXT, false, 0 },
                { NULL, "DUMP", 0, COLUMN_TEXT, false, 0 },
                { NULL, "UMASK", 0, COLUMN_TEXT, false, 0 },
                { "comm", "COMM", 0, COLUMN_TEXT, false, 0 },
                {},
        };

        for (size_t i = 0; i < json_object_array_length(rows); i++)
                if (complete(json_object_array_get_idx(rows, i)) < 0)
                        return ctl_oom();
        return table_print(ctl, columns, rows);
}
