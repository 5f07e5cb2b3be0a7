/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Histograms of how long the calls of a sandbox took, drawn with characters. */

#include <inttypes.h>

#include "connect.h"
#include "sandboxes.h"
#include "syscalls-stats.h"
#include "table.h"
#include "text.h"
#include "util.h"

#define BAR_WIDTH 50U
#define NS_TEXT_MAX 24U

/* "512ns", "4.1us", "131us". */
static const char *text_ns(uint64_t ns, char buffer[static NS_TEXT_MAX]) {
        static const char *const units[] = { "ns", "us", "ms", "s" };
        double value = (double) ns;
        size_t unit = 0;

        for (; value >= 1000 && unit + 1 < ELEMENTSOF(units); unit++)
                value /= 1000;
        (void) snprintf(buffer, NS_TEXT_MAX, "%.*f%s", unit > 0 && value < 100 ? 1 : 0, value, units[unit]);
        return buffer;
}

static int make_row(json_object *values, json_object **ret) {
        static const char *const keys[] = { "name", "calls", "nsec", "max_nsec", "histogram" };
        _cleanup_json_ json_object *row = json_object_new_object();

        if (!row)
                return -ENOMEM;
        if (!json_object_is_type(values, json_type_array) || json_object_array_length(values) != ELEMENTSOF(keys))
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (json_object_object_add(row, keys[i], json_object_get(json_object_array_get_idx(values, i))) < 0)
                        return -ENOMEM;
        if (!json_object_is_type(json_object_object_get(row, "histogram"), json_type_array))
                return -EBADMSG;
        *ret = TAKE_PTR(row);
        return 0;
}

/* The rows of the answer, as objects; only that of `wanted` if this is not NULL. */
static int read_rows(sd_bus_message *reply, const char *wanted, json_object *rows) {
        _cleanup_json_ json_object *list = NULL;
        int r;

        r = json_from_message(reply, &list);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++) {
                _cleanup_json_ json_object *row = NULL;

                r = make_row(json_object_array_get_idx(list, i), &row);
                if (r < 0)
                        return r;
                if (wanted && !streq_ptr(json_object_get_string(json_object_object_get(row, "name")), wanted))
                        continue;
                if (json_object_array_add(rows, json_object_get(row)) < 0)
                        return -ENOMEM;
        }
        return r;
}

static void print_histogram(json_object *histogram) {
        size_t n = json_object_array_length(histogram), first = n;
        uint64_t most = 1;

        for (size_t i = 0; i < n; i++) {
                uint64_t count = json_object_get_uint64(json_object_array_get_idx(histogram, i));

                if (count > 0 && first == n)
                        first = i;
                most = MAX(most, count);
        }
        for (size_t i = first; i < n; i++) {
                uint64_t count = json_object_get_uint64(json_object_array_get_idx(histogram, i));
                uint64_t from = i == 0 ? 0 : UINT64_C(1) << MIN(i, (size_t) 62), width;
                char text[NS_TEXT_MAX];

                /* What is there shows, however little it is. */
                width = (uint64_t) ((double) count / (double) most * BAR_WIDTH + 0.5);
                width = count > 0 ? MAX(width, UINT64_C(1)) : 0;
                printf("  %8s  %10" PRIu64 "  ", text_ns(from, text), count);
                for (uint64_t c = 0; c < width; c++)
                        putchar('#');
                putchar('\n');
        }
}

static void print_row(json_object *row) {
        uint64_t calls = json_object_get_uint64(json_object_object_get(row, "calls"));
        uint64_t total = json_object_get_uint64(json_object_object_get(row, "nsec"));
        uint64_t max = json_object_get_uint64(json_object_object_get(row, "max_nsec"));
        _cleanup_free_ char *name = text_escape(json_object_get_string(json_object_object_get(row, "name")) ?: "?",
                                                ESCAPE_TERMINAL);
        char total_text[NS_TEXT_MAX], mean_text[NS_TEXT_MAX], max_text[NS_TEXT_MAX];

        printf("%s: %" PRIu64 " calls, %s, mean %s, longest %s\n", name ?: "?", calls, text_ns(total, total_text),
               text_ns(calls > 0 ? total / calls : 0, mean_text), text_ns(max, max_text));
        print_histogram(json_object_object_get(row, "histogram"));
}

int syscalls_stats(Ctl *ctl, const char *sandbox, const char *syscall) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        _cleanup_free_ char *path = NULL;
        size_t n;
        int r;

        if (!rows)
                return ctl_oom();
        r = sandbox_find(ctl, sandbox, NULL, &path);
        if (r >= 0)
                r = sandbox_call(ctl, path, "GetSyscallStatistics", &reply);
        if (r < 0)
                return r;
        r = read_rows(reply, syscall, rows);
        if (r < 0)
                return ctl_bad_reply("GetSyscallStatistics", r);
        json_object_array_sort(rows, compare_calls);
        if (ctl->json != JSON_OFF)
                return json_print(ctl, NULL, rows);

        n = json_object_array_length(rows);
        if (n == 0)
                ctl_notice(ctl, "No calls.");
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        putchar('\n');
                print_row(json_object_array_get_idx(rows, i));
        }
        return 0;
}
