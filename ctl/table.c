/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tables by libsmartcols, JSON by json-c, both from the same rows and the same description. */

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>

#include <libsmartcols.h>

#include "pager.h"
#include "table.h"
#include "text.h"
#include "util.h"

static bool column_is_end(const Column *column) {
        return !column->key && !column->header;
}

/* Where the value of a column lies in a row: under its key, or its header when JSON is not to have it. */
static const char *column_name(const Column *column) {
        return column->key ?: column->header;
}

static int add(json_object *object, const char *key, json_object *value) {
        if (!value || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static int read_strings(sd_bus_message *message, json_object **ret) {
        _cleanup_json_ json_object *array = json_object_new_array();
        const char *item;
        int r;

        if (!array)
                return -ENOMEM;
        r = sd_bus_message_enter_container(message, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read_basic(message, 's', &item)) > 0) {
                json_object *string = json_object_new_string(item);

                if (!string || json_object_array_add(array, string) < 0) {
                        json_object_put(string);
                        return -ENOMEM;
                }
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(array);
        return 0;
}

static int read_basic(sd_bus_message *message, char type, json_object **ret) {
        union {
                const char *s;
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
        } value;
        int r;

        if (type == 'h')
                return -EOPNOTSUPP;
        r = sd_bus_message_read_basic(message, type, &value);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADMSG;

        switch (type) {
        case 's':
        case 'o':
        case 'g':
                *ret = json_object_new_string(value.s);
                break;
        case 'y':
                *ret = json_object_new_int(value.y);
                break;
        case 'b':
                *ret = json_object_new_boolean(value.b);
                break;
        case 'n':
                *ret = json_object_new_int(value.n);
                break;
        case 'q':
                *ret = json_object_new_int(value.q);
                break;
        case 'i':
                *ret = json_object_new_int(value.i);
                break;
        case 'u':
                *ret = json_object_new_uint64(value.u);
                break;
        case 'x':
                *ret = json_object_new_int64(value.x);
                break;
        case 't':
                *ret = json_object_new_uint64(value.t);
                break;
        case 'd':
                *ret = json_object_new_double(value.d);
                break;
        default:
                return -EOPNOTSUPP;
        }
        return *ret ? 0 : -ENOMEM;
}

/* The column that stands at this place, from 1, in a message. */
static const Column *column_of_field(const Column *columns, unsigned field) {
        unsigned n = 0;

        for (const Column *c = columns; !column_is_end(c); c++) {
                if (c->type == 0)
                        continue;
                n++;
                if ((c->field != 0 ? c->field : n) == field)
                        return c;
        }
        return NULL;
}

int table_read_row(json_object *row, const Column *columns, sd_bus_message *message) {
        const Column *c;
        int r;

        for (unsigned field = 1; (c = column_of_field(columns, field)); field++) {
                json_object *value;

                if (c->type == 'D')
                        r = json_from_message(message, &value);
                else
                        r = c->type == 'a' ? read_strings(message, &value) : read_basic(message, c->type, &value);
                if (r < 0)
                        return r;
                r = add(row, column_name(c), value);
                if (r < 0)
                        return r;
        }
        return 0;
}

int json_merge(json_object *to, json_object *from) {
        json_object_object_foreach(from, key, value) {
                int r = add(to, key, json_object_get(value));

                if (r < 0)
                        return r;
        }
        return 0;
}

int table_read(json_object *rows, const Column *columns, sd_bus_message *message, json_object *common) {
        int r;

        r = sd_bus_message_enter_container(message, 'a', NULL);
        if (r < 0)
                return r;

        while ((r = sd_bus_message_at_end(message, false)) == 0) {
                _cleanup_json_ json_object *row = json_object_new_object();

                if (!row)
                        return -ENOMEM;
                if (common) {
                        r = json_merge(row, common);
                        if (r < 0)
                                return r;
                }
                r = sd_bus_message_enter_container(message, 'r', NULL);
                if (r < 0)
                        return r;
                r = table_read_row(row, columns, message);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
                if (json_object_array_add(rows, row) < 0)
                        return -ENOMEM;
                row = NULL;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(message);
}

/* One element of a dictionary into object. Keys that are no strings are written as they print. */
static int read_entry(sd_bus_message *message, json_object *object) {
        _cleanup_json_ json_object *key = NULL;
        json_object *value;
        int r;

        r = sd_bus_message_enter_container(message, 'e', NULL);
        if (r < 0)
                return r;
        r = json_from_message(message, &key);
        if (r < 0)
                return r;
        r = json_from_message(message, &value);
        if (r < 0)
                return r;
        r = add(object, json_object_get_string(key), value);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(message);
}

int json_from_message(sd_bus_message *message, json_object **ret) {
        _cleanup_json_ json_object *result = NULL;
        const char *contents;
        bool dictionary;
        char type;
        int r;

        r = sd_bus_message_peek_type(message, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADMSG;
        if (!strchr("avr", type))
                return read_basic(message, type, ret);

        r = sd_bus_message_enter_container(message, type, contents);
        if (r < 0)
                return r;
        if (type == 'v') {
                r = json_from_message(message, &result);
                if (r < 0)
                        return r;
        } else {
                dictionary = type == 'a' && contents[0] == '{';
                result = dictionary ? json_object_new_object() : json_object_new_array();
                if (!result)
                        return -ENOMEM;
                while ((r = sd_bus_message_at_end(message, false)) == 0) {
                        json_object *item;

                        r = dictionary ? read_entry(message, result) : json_from_message(message, &item);
                        if (r < 0)
                                return r;
                        if (!dictionary && json_object_array_add(result, item) < 0) {
                                json_object_put(item);
                                return -ENOMEM;
                        }
                }
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(result);
        return 0;
}

static char *join_strings(json_object *array) {
        _cleanup_free_ char *joined = NULL;

        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (string_appendf(&joined, "%s%s", i > 0 ? " " : "",
                                   json_object_get_string(json_object_array_get_idx(array, i)) ?: "") < 0)
                        return NULL;
        return text_escape(joined ?: "", ESCAPE_TERMINAL);
}

char *column_format(const Column *column, json_object *value) {
        char buffer[TEXT_SPAN_MAX];
        const char *text = buffer;
        uint64_t number, now;
        struct passwd *user;

        if (!value)
                return strdup("-");
        if (json_object_is_type(value, json_type_array))
                return join_strings(value);

        number = json_object_get_uint64(value);
        switch (column->kind) {
        case COLUMN_NUMBER0:
                if (number == 0)
                        return strdup("-");
                (void) snprintf(buffer, sizeof(buffer), "%" PRIu64, number);
                break;
        case COLUMN_USER:
                user = getpwuid((uid_t) number);
                text = user ? user->pw_name : json_object_get_string(value);
                break;
        case COLUMN_SINCE:
                if (number == 0)
                        return strdup("-");
                now = text_now();
                text_span(now > number ? now - number : 1, buffer);
                strcat(buffer, " ago"); /* a span is far shorter than its buffer */
                break;
        case COLUMN_TIME:
                if (number == 0)
                        return strdup("-");
                text_time(number, buffer);
                break;
        case COLUMN_SPAN:
                text_span(number, buffer);
                break;
        case COLUMN_SPAN_NS:
                text_span(number / 1000, buffer);
                break;
        case COLUMN_SPAN_NS0:
                if (json_object_get_int64(value) <= 0)
                        return strdup("-");
                text_span((number + 999) / 1000, buffer);
                break;
        case COLUMN_SIZE:
                text_size(number, buffer);
                break;
        default:
                if (json_object_is_type(value, json_type_int) && number <= INT64_MAX && json_object_get_int64(value) >= 0)
                        (void) snprintf(buffer, sizeof(buffer), "%" PRIu64, number); /* json-c would keep a text of each */
                else
                        text = json_object_get_string(value);
        }
        return text_escape(text ?: "", ESCAPE_TERMINAL);
}

static const char *state_color(const char *state) {
        return streq(state, "running") ? "green" : streq(state, "exited") ? "gray" : "yellow";
}

static bool is_right(const Column *column) {
        return column->kind != COLUMN_TEXT && column->kind != COLUMN_USER && column->kind != COLUMN_STATE &&
               column->kind != COLUMN_SINCE && column->kind != COLUMN_TIME;
}

/* The columns that --columns asks for. */
typedef struct Selection {
        Column *columns; /* owned; NULL: all */
        char **headers;  /* owned: of those that have none in tables */
} Selection;

static void selection_done(Selection *selection) {
        free(selection->columns);
        strv_free(selection->headers);
}

/* By its key or its header, whichever case. In a table the one with a header counts. */
static const Column *find_column(const Column *columns, const char *name) {
        const Column *found = NULL;

        for (const Column *c = columns; !column_is_end(c); c++)
                if ((c->key && strcasecmp(c->key, name) == 0) || (c->header && strcasecmp(c->header, name) == 0)) {
                        if (c->header)
                                return c;
                        found = found ?: c;
                }
        return found;
}

static int no_column(const Column *columns, const char *name) {
        _cleanup_free_ char *all = NULL;

        for (const Column *c = columns; !column_is_end(c); c++)
                if (string_appendf(&all, "%s%s", all ? ", " : "", column_name(c)) < 0)
                        return ctl_oom();
        (void) ctl_error("there is no column '%s', there are %s", name, all ?: "none");
        return CTL_USAGE;
}

static int select_columns(const Ctl *ctl, const Column *columns, Selection *ret) {
        _cleanup_free_ char *words = strdup(ctl->columns);
        char *rest = words, *word;
        size_t n = 0, max = 1;

        for (const char *p = ctl->columns; *p; p++)
                max += *p == ',';
        ret->columns = calloc(max + 1, sizeof(Column));
        if (!words || !ret->columns)
                return ctl_oom();
        while ((word = strsep(&rest, ","))) {
                const Column *c = find_column(columns, word);

                if (!c)
                        return no_column(columns, word);
                ret->columns[n] = *c;
                if (!c->header) {
                        char *header = strdup(c->key);

                        for (char *p = header; p && *p; p++)
                                *p = *p >= 'a' && *p <= 'z' ? (char) (*p - 'a' + 'A') : *p;
                        if (!header || strv_consume(&ret->headers, header) < 0)
                                return ctl_oom();
                        ret->columns[n].header = header;
                }
                n++;
        }
        return 0;
}

struct Table {
        const Ctl *ctl;               /* lookup only */
        struct libscols_table *table; /* owned */
        Selection selection;          /* owned */
        const Column *columns;        /* those that are shown; the selection's, or whoever began it keeps them */
};

Table *table_free(Table *table) {
        if (!table)
                return NULL;
        if (table->table)
                scols_unref_table(table->table);
        selection_done(&table->selection);
        free(table);
        return NULL;
}

/* tree: the key of the column that shows it, or NULL. */
static int begin(const Ctl *ctl, const Column *columns, const char *tree, Table **ret) {
        _cleanup_(table_freep) Table *table = calloc(1, sizeof(Table));
        int r;

        if (!table)
                return ctl_oom();
        table->ctl = ctl;
        table->columns = columns;
        if (ctl->columns) {
                r = select_columns(ctl, columns, &table->selection);
                if (r < 0)
                        return r;
                table->columns = columns = table->selection.columns;
        }
        table->table = scols_new_table();
        if (!table->table)
                return ctl_oom();
        scols_table_enable_noheadings(table->table, !ctl->legend);
        scols_table_enable_noencoding(table->table, 1); /* every cell is escaped already */
        for (const Column *c = columns; !column_is_end(c); c++)
                if (c->header &&
                    !scols_table_new_column(table->table, c->header, 0,
                                            (is_right(c) ? SCOLS_FL_RIGHT : 0) | (c->cut ? SCOLS_FL_TRUNC : 0) |
                                            (tree && c->key && streq(c->key, tree) ? SCOLS_FL_TREE : 0)))
                        return ctl_oom();
        *ret = TAKE_PTR(table);
        return 0;
}

int table_begin(const Ctl *ctl, const Column *columns, Table **ret) {
        return begin(ctl, columns, NULL, ret);
}

int table_add(Table *table, json_object *row) {
        struct libscols_line *line = scols_table_new_line(table->table, NULL);
        size_t n = 0;

        if (!line)
                return ctl_oom();
        for (const Column *c = table->columns; !column_is_end(c); c++) {
                char *text;

                if (!c->header)
                        continue;
                text = column_format(c, json_object_object_get(row, column_name(c)));
                if (!text)
                        return ctl_oom();
                if (c->kind == COLUMN_STATE)
                        (void) scols_cell_set_color(scols_line_get_cell(line, n), state_color(text));
                if (scols_line_refer_data(line, n++, text) < 0) {
                        free(text);
                        return ctl_oom();
                }
        }
        return 0;
}

int table_end(Table *table) {
        pager_open(table->ctl, false);
        scols_table_enable_colors(table->table, text_colors());
        if (pager_width() > 0) {
                scols_table_set_termforce(table->table, SCOLS_TERMFORCE_ALWAYS);
                scols_table_set_termwidth(table->table, pager_width());
        }
        return scols_print_table(table->table) < 0 ? ctl_oom() : 0;
}

int table_print(const Ctl *ctl, const Column *columns, json_object *rows) {
        if (ctl->json != JSON_OFF)
                return json_print(ctl, columns, rows);
        return table_print_tree(ctl, columns, rows, NULL, NULL);
}

int table_print_tree(const Ctl *ctl, const Column *columns, json_object *rows, const char *key, const size_t *parents) {
        _cleanup_(table_freep) Table *table = NULL;
        int r;

        r = begin(ctl, columns, key, &table);
        if (r < 0)
                return r;
        if (key && !find_column(table->columns, key))
                key = NULL; /* no column, no tree */
        for (size_t i = 0; r >= 0 && i < json_object_array_length(rows); i++)
                r = table_add(table, json_object_array_get_idx(rows, i));
        for (size_t i = 0; r >= 0 && key && i < json_object_array_length(rows); i++)
                if (parents[i] != SIZE_MAX &&
                    scols_line_add_child(scols_table_get_line(table->table, parents[i]),
                                         scols_table_get_line(table->table, i)) < 0)
                        r = ctl_oom();
        return r < 0 ? r : table_end(table);
}

/* A copy of the rows with the described keys only, in their order. */
static json_object *select_keys(const Column *columns, json_object *rows) {
        _cleanup_json_ json_object *result = json_object_new_array();

        if (!result)
                return NULL;
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                json_object *row = json_object_array_get_idx(rows, i), *copy = json_object_new_object(), *value;

                if (!copy || json_object_array_add(result, copy) < 0) {
                        json_object_put(copy);
                        return NULL;
                }
                for (const Column *c = columns; !column_is_end(c); c++)
                        if (c->key && json_object_object_get_ex(row, c->key, &value) &&
                            json_object_object_add(copy, c->key, json_object_get(value)) < 0)
                                return NULL;
        }
        return TAKE_PTR(result);
}

int json_print(const Ctl *ctl, const Column *columns, json_object *value) {
        _cleanup_(selection_done) Selection selection = {};
        _cleanup_json_ json_object *selected = NULL;
        _cleanup_free_ char *safe = NULL;
        const char *text;
        int r;

        if (columns && ctl->columns) {
                r = select_columns(ctl, columns, &selection);
                if (r < 0)
                        return r;
                columns = selection.columns;
        }
        pager_open(ctl, false);
        if (columns) {
                value = selected = select_keys(columns, value);
                if (!selected)
                        return ctl_oom();
        }
        text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE |
                                                             (ctl->json == JSON_SHORT ? JSON_C_TO_STRING_PLAIN :
                                                                                        JSON_C_TO_STRING_PRETTY |
                                                                                        JSON_C_TO_STRING_SPACED));
        safe = text ? text_escape(text, ESCAPE_JSON) : NULL;
        if (!safe)
                return ctl_oom();
        puts(safe);
        return 0;
}

void field_print(const char *label, const char *format, ...) {
        va_list ap;

        printf("%14s: ", label);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
}
