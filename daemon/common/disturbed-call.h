/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that end with EINTR at any stop of their task, by job control, a freezer or a tracer, though no signal was delivered;
 * signal(7). Whoever stops tasks unseen has them begin again: ERESTARTNOHAND in place of EINTR does so, unless a handler runs. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#define DISTURBED_CALL_AGAIN (-514) /* ERESTARTNOHAND, linux/errno.h */

/* number: orig_rax; result: rax, as a stop found them. */
static inline bool call_is_disturbed(int64_t number, int64_t result) {
        static const long numbers[] = {
#ifdef SYS_epoll_wait
                SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
                SYS_epoll_pwait2,
#endif
                SYS_epoll_pwait, SYS_rt_sigtimedwait, SYS_semop, SYS_semtimedop, SYS_io_getevents,
        };

        for (unsigned i = 0; result == -EINTR && i < sizeof(numbers) / sizeof(numbers[0]); i++)
                if (numbers[i] == number)
                        return true;
        return false;
}
