/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of system calls as mdoc(7), for sentry-syscalls(7), and what both forms share. */

#include "ctl.h"
#include "syscall.h"

/* Prints a subsection for each class. 0 or CTL_FAILED. */
int syscalls_man(void);

/* The condition of a row as text, or NULL. */
const char *syscall_condition(SyscallId id);
/* The same for calls that are ours with another feature of the profile (SyscallRow.also); NULL: there is none. */
const char *syscall_also_condition(SyscallId id);
/* The errno or the feature of a row, or "". */
const char *syscall_detail(const SyscallRow *row);
/* "fd, out, size"; the caller frees. NULL without memory. */
char *syscall_arguments(const SyscallRow *row);
/* What the class of a row means for it. */
const char *syscall_class_explain(const SyscallRow *row);
