/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cpuset.h"
#include "util/macros.h"

void cpuset_add(CpuSet *set, unsigned cpu) {
        if (cpu < CPUSET_MAX)
                set->words[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

bool cpuset_has(const CpuSet *set, unsigned cpu) {
        return cpu < CPUSET_MAX && (set->words[cpu / 64] & (UINT64_C(1) << (cpu % 64)));
}

unsigned cpuset_count(const CpuSet *set) {
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(set->words); i++)
                n += (unsigned) __builtin_popcountll(set->words[i]);
        return n;
}

bool cpuset_is_empty(const CpuSet *set) {
        return cpuset_count(set) == 0;
}

void cpuset_and(CpuSet *set, const CpuSet *other) {
        for (size_t i = 0; i < ELEMENTSOF(set->words); i++)
                set->words[i] &= other->words[i];
}

void cpuset_truncate(CpuSet *set, unsigned n) {
        for (unsigned cpu = 0; cpu < CPUSET_MAX; cpu++)
                if (cpuset_has(set, cpu)) {
                        if (n > 0)
                                n--;
                        else
                                set->words[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
                }
}

/* One CPU number at *text, which is moved behind it. */
static int parse_cpu(const char **text, unsigned *ret) {
        unsigned n = 0;
        const char *p = *text;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                n = n * 10 + (unsigned) (*p - '0');
                if (n >= CPUSET_MAX)
                        return -EINVAL;
        }

        *text = p;
        *ret = n;
        return 0;
}

int cpuset_parse(const char *text, CpuSet *ret) {
        CpuSet set = {};

        for (;;) {
                unsigned first, last;

                if (parse_cpu(&text, &first) < 0)
                        return -EINVAL;
                last = first;
                if (*text == '-') {
                        text++;
                        if (parse_cpu(&text, &last) < 0 || last < first)
                                return -EINVAL;
                }
                for (unsigned cpu = first; cpu <= last; cpu++)
                        cpuset_add(&set, cpu);

                if (*text == '\0')
                        break;
                if (*text++ != ',')
                        return -EINVAL;
        }

        *ret = set;
        return 0;
}

void cpuset_format(const CpuSet *set, char *buffer, size_t size) {
        size_t used = 0;

        if (size == 0)
                return;
        buffer[0] = '\0';

        for (unsigned cpu = 0; cpu < CPUSET_MAX; cpu++) {
                unsigned last = cpu;
                int n;

                if (!cpuset_has(set, cpu))
                        continue;
                while (cpuset_has(set, last + 1))
                        last++;

                n = last == cpu ? snprintf(buffer + used, size - used, "%s%u", used > 0 ? "," : "", cpu) :
                                  snprintf(buffer + used, size - used, "%s%u-%u", used > 0 ? "," : "", cpu, last);
                if (n < 0 || (size_t) n >= size - used)
                        return;
                used += (size_t) n;
                cpu = last;
        }
}
