/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sysinfo(2). */

#include <stdint.h>

#include "kernel.h"
#include "util/macros.h"

/* struct sysinfo of <linux/sysinfo.h> on a 64-bit ABI, the only kind a sandbox has. */
typedef struct AbiSysinfo {
        int64_t uptime;
        uint64_t loads[3];
        uint64_t total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
        uint16_t n_tasks, padding;
        uint64_t total_high, free_high;
        uint32_t mem_unit;
        uint32_t tail;
} AbiSysinfo;

_Static_assert(sizeof(AbiSysinfo) == 112, "struct sysinfo has 112 bytes");

SYSCALL_DEFINE1(sysinfo, GuestAddr, buffer) {
        HostSystemInfo host;
        AbiSysinfo info;
        int r;

        r = kernel->host->ops->system_info(kernel->host, &host);
        if (r < 0)
                return verdict_error(r);

        info = (AbiSysinfo) {
                /* Linux rounds up to whole seconds. */
                .uptime = (int64_t) ((host.uptime_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC),
                .loads = { host.loads[0], host.loads[1], host.loads[2] },
                .total_ram = host.total_ram,
                .free_ram = host.free_ram,
                .shared_ram = host.shared_ram,
                .buffer_ram = host.buffer_ram,
                .total_swap = host.total_swap,
                .free_swap = host.free_swap,
                .n_tasks = (uint16_t) MIN2(host.n_tasks, UINT16_MAX),
                .mem_unit = 1,
        };

        r = kernel->host->ops->memory_write(kernel->host, call, buffer, &info, sizeof(info));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}
