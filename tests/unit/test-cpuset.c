/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/util: CPU sets. */

#include <errno.h>

#include "tap.h"
#include "util/cpuset.h"
#include "util/macros.h"

static void test_parse(void) {
        static const struct {
                const char *text, *formatted; /* NULL: invalid */
        } cases[] = {
                { "0", "0" },           { "0-3", "0-3" },    { "3,0,1", "0-1,3" },    { "5-5", "5" },
                { "63-65", "63-65" },   { "1023", "1023" },  { "0-1023", "0-1023" },  { "0,2,4-6,8", "0,2,4-6,8" },
                { "", NULL },           { "-", NULL },       { "1-", NULL },          { "-1", NULL },
                { "3-1", NULL },        { "1024", NULL },    { "0-1024", NULL },      { "1,,2", NULL },
                { "1,", NULL },         { ",1", NULL },      { "a", NULL },           { "1 2", NULL },
                { "0x1", NULL },        { "99999999999999999999", NULL },             { "1-2-3", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[CPUSET_LIST_MAX];
                CpuSet set;
                int r = cpuset_parse(cases[i].text, &set);

                if (!cases[i].formatted) {
                        is_int(r, -EINVAL, "\"%s\" is no CPU list", cases[i].text);
                        continue;
                }
                if (!is_int(r, 0, "\"%s\" is a CPU list", cases[i].text))
                        continue;
                cpuset_format(&set, text, sizeof(text));
                is_str(text, cases[i].formatted, "\"%s\" reads \"%s\"", cases[i].text, cases[i].formatted);
        }
}

static void test_sets(void) {
        CpuSet a, b;
        char text[8], small[4];

        ok(cpuset_parse("0-9,500", &a) == 0 && cpuset_parse("8-20,500", &b) == 0, "two sets");
        cpuset_and(&a, &b);
        cpuset_format(&a, text, sizeof(text));
        is_str(text, "8-9,500", "what they share");
        is_int(cpuset_count(&a), 3, "how many that are");
        cpuset_truncate(&a, 2);
        ok(cpuset_has(&a, 8) && cpuset_has(&a, 9) && !cpuset_has(&a, 500), "the lowest two");
        cpuset_truncate(&a, 0);
        ok(cpuset_is_empty(&a), "none is left");
        ok(!cpuset_has(&a, CPUSET_MAX) && !cpuset_has(&a, UINT32_MAX), "beyond the end is not in it");
        cpuset_add(&a, CPUSET_MAX);
        ok(cpuset_is_empty(&a), "nor can it be added");
        cpuset_format(&b, small, sizeof(small));
        ok(strlen(small) < sizeof(small), "a short buffer is not overrun");
}

int main(void) {
        test_parse();
        test_sets();
        return tap_done();
}
