/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sched_getaffinity(2), sched_setaffinity(2), within the CPUs of the sandbox. The host schedules, so the mask
 * in force is the host's; what a task sees and may ask for is cut to the sandbox's set. */

#include <errno.h>
#include <string.h>

#include "kernel.h"
#include "util/macros.h"

SYSCALL_DEFINE3(sched_getaffinity, GuestPid, pid, uint32_t, size, GuestAddr, address) {
        CpuSet set;
        HostTid tid;
        size_t n;
        int r;

        /* The product wraps in 32 bits, as it does in Linux. */
        if (size * 8 < kernel->cpu_ids || size % sizeof(uint64_t) != 0)
                return verdict_error(EINVAL);

        r = kernel->host->ops->task_find(kernel->host, call, pid, &tid);
        if (r < 0)
                return verdict_error(r);
        r = kernel->host->ops->task_get_affinity(kernel->host, tid, &set);
        if (r < 0)
                return verdict_error(r);
        cpuset_and(&set, &kernel->cpus);

        n = MIN2((size_t) size, (size_t) kernel->cpu_mask_size);
        r = kernel->host->ops->memory_write(kernel->host, call, address, &set, n);
        return r < 0 ? verdict_error(r) : verdict_value((int64_t) n);
}

SYSCALL_DEFINE3(sched_setaffinity, GuestPid, pid, uint32_t, size, GuestAddr, address) {
        CpuSet set = {};
        HostTid tid;
        int r;

        r = kernel->host->ops->memory_read(kernel->host, call, address, &set,
                                           MIN2((size_t) size, (size_t) kernel->cpu_mask_size));
        if (r < 0)
                return verdict_error(r);
        r = kernel->host->ops->task_find(kernel->host, call, pid, &tid);
        if (r < 0)
                return verdict_error(r);

        cpuset_and(&set, &kernel->cpus);
        if (cpuset_is_empty(&set))
                return verdict_error(EINVAL);

        r = kernel->host->ops->task_set_affinity(kernel->host, tid, &set);
        return r < 0 ? verdict_error(r) : verdict_value(0);
}
