/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sets of CPU numbers, as sched_setaffinity(2) and cpuset(7) know them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUSET_MAX 1024U                  /* CPUs are numbered below this */
#define CPUSET_BYTES (CPUSET_MAX / 8U)
#define CPUSET_LIST_MAX 4096U             /* enough text for any set in list form */

typedef struct CpuSet {
        uint64_t words[CPUSET_MAX / 64U]; /* bit n of word w is CPU 64 w + n: the guest's own layout */
} CpuSet;

void cpuset_add(CpuSet *set, unsigned cpu);
bool cpuset_has(const CpuSet *set, unsigned cpu);
unsigned cpuset_count(const CpuSet *set);
bool cpuset_is_empty(const CpuSet *set);
void cpuset_and(CpuSet *set, const CpuSet *other);

/* Keeps the lowest n members. */
void cpuset_truncate(CpuSet *set, unsigned n);

/* Parses the list form of cpuset(7): "0-3,8". -EINVAL when it is none, is empty or names a CPU that no CpuSet
 * holds. */
int cpuset_parse(const char *text, CpuSet *ret);

/* Writes the list form; always terminated, cut when it does not fit. */
void cpuset_format(const CpuSet *set, char *buffer, size_t size);
