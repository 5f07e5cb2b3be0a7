/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The call by which libc gives the first thread of a program its storage, once in the life of an image and before main()
 * runs: it tells that there is a new one. One call, for each costs the program a round trip; and one that comes before
 * the program can have set up a handler of a signal, so that a signal that arrives before we receive it has the host
 * begin it again, unseen. (brk(0) comes again later, and its caller would take an EINTR for an address.) The host
 * answers. */

#include "kernel.h"

SYSCALL_DEFINE2(arch_prctl, int32_t, code, GuestAddr, address) {
        (void) code, (void) address;
        task_table_note_image(&kernel->tasks, call);
        return verdict_continue();
}

SYSCALL_DEFINE1(set_tid_address, GuestAddr, address) {
        (void) address;
        task_table_note_image(&kernel->tasks, call);
        return verdict_continue();
}
