/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentry-stub: what the first process of a restored sandbox is until sentry-imager has made it what it was. It makes one
 * call that the filter notifies, by which it is found, and from then on sentry-imager makes calls in its name, at the
 * system call instruction that it is stopped behind. No libc, which would leave registrations with the kernel that point
 * into memory that is about to go. */

#include <sys/syscall.h>
#include <sys/utsname.h>

#ifndef __x86_64__
#  error "Sandboxes are restored on x86-64 only."
#endif

static long call(long number, void *argument) {
        long result;

        __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(argument) : "rcx", "r11", "memory");
        return result;
}

_Noreturn void _start(void);
_Noreturn void _start(void) {
        static struct utsname name;

        (void) call(SYS_uname, &name);
        /* Nobody came for us: the filter has no listener any more. */
        (void) call(SYS_exit_group, (void *) 125L);
        for (;;)
                ;
}
