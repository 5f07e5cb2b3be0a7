/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The calls by which libc starts a program: brk(0) asks where the heap is, arch_prctl(ARCH_SET_FS) gives the first
 * thread its storage. The host answers both; that they come tells of a new image before its main() runs. */

#include "kernel.h"

/* sbrk(0) of a running program comes here, too. */
SYSCALL_DEFINE1(brk, GuestAddr, address) {
        (void) address;
        task_table_note_image(&kernel->tasks, call, false);
        return verdict_continue();
}

SYSCALL_DEFINE2(arch_prctl, int32_t, code, GuestAddr, address) {
        (void) code, (void) address;
        task_table_note_image(&kernel->tasks, call, true);
        return verdict_continue();
}
