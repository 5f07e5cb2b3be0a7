/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Types of values that come from a guest, and the layouts the guest expects back. A GuestAddr is never
 * dereferenced: memory behind it is reached by the host operations alone. */

#include <stdint.h>

typedef uint64_t GuestAddr;   /* an address in the memory of the calling task */
typedef int32_t GuestPid;     /* a process or thread id as the calling task sees it */
typedef int32_t HostTid;      /* a thread id as sentry-kernel sees it */

#define ABI_UTS_LENGTH 65U    /* __NEW_UTS_LEN + 1 */

/* siginfo_t of 64-bit architectures as SI_QUEUE fills it in; sigaction(2). */
typedef struct AbiSiginfo {
        int32_t signo, error, code, padding;
        int32_t pid;
        uint32_t uid;
        uint64_t value;
        uint8_t rest[96];
} AbiSiginfo;

/* struct new_utsname of <linux/utsname.h>, uname(2). */
typedef struct AbiUtsname {
        char sysname[ABI_UTS_LENGTH];
        char nodename[ABI_UTS_LENGTH];
        char release[ABI_UTS_LENGTH];
        char version[ABI_UTS_LENGTH];
        char machine[ABI_UTS_LENGTH];
        char domainname[ABI_UTS_LENGTH];
} AbiUtsname;
