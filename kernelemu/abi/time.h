/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Layouts of <linux/time_types.h> and <asm-generic/siginfo.h> on 64-bit architectures. */

#include <stdint.h>

/* struct __kernel_timespec, and struct timeval with microseconds in place of the nanoseconds. */
typedef struct AbiTimespec {
        int64_t sec, nsec;
} AbiTimespec;

/* struct itimerspec, timer_settime(2); struct itimerval, setitimer(2). */
typedef struct AbiItimerspec {
        AbiTimespec interval, value;
} AbiItimerspec;

#define ABI_TIMER_ABSTIME 1

/* struct sigevent, sigevent(7). */
typedef struct AbiSigevent {
        uint64_t value;
        int32_t signo, notify, tid;
        int32_t rest[11];
} AbiSigevent;
_Static_assert(sizeof(AbiSigevent) == 64, "the size is the guest's");

#define ABI_SIGEV_SIGNAL 0
#define ABI_SIGEV_NONE 1
#define ABI_SIGEV_THREAD 2
#define ABI_SIGEV_THREAD_ID 4

/* struct timex of <linux/timex.h>, adjtimex(2). */
typedef struct AbiTimex {
        uint32_t modes;
        uint8_t rest[204];
} AbiTimex;
_Static_assert(sizeof(AbiTimex) == 208, "the size is the guest's");

#define ABI_ADJ_OFFSET_SINGLESHOT 0x0001U
#define ABI_ADJ_OFFSET_READONLY 0x2000U
#define ABI_ADJ_ADJTIME 0x8000U
