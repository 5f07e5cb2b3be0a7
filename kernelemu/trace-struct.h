/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Structures of arguments as text, "{it_interval={tv_sec=0, tv_nsec=0}, …}": by tables of their fields, one for each kind
 * of argument (SyscallArg) that is a structure. */

#include <stdbool.h>

#include "syscall.h"

#define TRACE_STRUCT_SIZE_MAX 512U

/* How many bytes an argument of this kind points to; 0: it is no structure. */
size_t trace_struct_size(SyscallArg kind);
/* Whether the kernel writes it, so that there is nothing to see when the call fails. */
bool trace_struct_is_output(SyscallArg kind);
/* Formats one, from a copy of it. What does not fit is left out. Precondition: trace_struct_size() is not 0. */
void trace_struct_format(SyscallArg kind, const void *bytes, char *to, size_t size);
/* A set of CPUs of so many bytes: "[0-3]". */
void trace_cpus_format(const void *bytes, size_t n, char *to, size_t size);
