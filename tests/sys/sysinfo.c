/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sysinfo(2): its fields, and bad places to write them to. */

#include <sys/sysinfo.h>

#include "sys.h"

static long raw_sysinfo(void *info) {
        return RAW(SYS_sysinfo, info);
}

static unsigned procs_now(void) {
        struct sysinfo info;

        return raw_sysinfo(&info) == 0 ? info.procs : 0;
}

static void *wait_for_pipe(void *arg) {
        char c;

        return read(*(int *) arg, &c, 1) < 0 ? NULL : arg;
}

int main(void) {
        struct sysinfo info, again;
        unsigned before, during;
        int64_t boot;
        int fds[2];
        pthread_t threads[20];
        char *p;

        is_int(sizeof info, 112, "the structure is that of the kernel");
        memset(&info, 0xa5, sizeof info);
        boot = now_ns(CLOCK_BOOTTIME);
        is_int(raw_sysinfo(&info), 0, "sysinfo succeeds");
        ok(info.uptime >= boot / 1000000000 && info.uptime <= now_ns(CLOCK_BOOTTIME) / 1000000000 + 1,
           "uptime is CLOCK_BOOTTIME, rounded up: %ld", info.uptime);
        ok(info.mem_unit >= 1 && (info.mem_unit & (info.mem_unit - 1)) == 0, "mem_unit is a power of two: %u",
           info.mem_unit);
        ok(info.totalram > 0 && info.totalram * info.mem_unit >= 16UL << 20, "some memory: %lu", info.totalram);
        ok(info.freeram <= info.totalram, "no more free memory than there is: %lu", info.freeram);
        ok(info.sharedram <= info.totalram && info.bufferram <= info.totalram, "nor shared, nor buffers");
        ok(info.freeswap <= info.totalswap, "no more free swap than there is");
        is_int(info.totalhigh, 0, "no high memory on 64 bits");
        is_int(info.freehigh, 0, "… none free either");
        ok(info.procs >= 1, "at least one process: %u", info.procs);
        for (int i = 0; i < 3; i++)
                ok(info.loads[i] < 10000UL << SI_LOAD_SHIFT, "load %d is sane: %lu", i, info.loads[i]);
        ok(((char *) &info)[offsetof(struct sysinfo, procs) + 2] != (char) 0xa5, "padding is written too");

        /* Processes and threads are counted. */
        if (pipe(fds) < 0)
                tap_bail_out("pipe");
        before = procs_now();
        for (int i = 0; i < 20; i++)
                if (pthread_create(&threads[i], NULL, wait_for_pipe, &fds[0]) != 0)
                        tap_bail_out("pthread_create");
        during = procs_now();
        if (sandboxed())
                is_int(during, before + 20, "20 threads are counted, and nobody else's");
        else
                ok(during >= 20, "threads are counted: %u", during);
        close(fds[1]);
        for (int i = 0; i < 20; i++)
                pthread_join(threads[i], NULL);
        if (sandboxed())
                ok(procs_now() < 10, "a sandbox counts its own processes: %u", procs_now());

        is_int(raw_sysinfo(&again), 0, "once more");
        ok(again.uptime >= info.uptime && again.uptime <= info.uptime + 60, "uptime goes on");
        is_int(again.totalram * again.mem_unit, info.totalram * info.mem_unit, "the memory is the same");

        is_int(raw_sysinfo(NULL), -EFAULT, "NULL is EFAULT");
        is_int(raw_sysinfo(page_unmapped()), -EFAULT, "an unmapped page is EFAULT");
        is_int(raw_sysinfo(page_new(PROT_NONE)), -EFAULT, "a PROT_NONE page is EFAULT");
        p = page_new(PROT_READ);
        is_int(raw_sysinfo(p), -EFAULT, "a read-only page is EFAULT");
        is_int(p[0], 'x', "… and not written to");
        is_int(raw_sysinfo(page_edge(sizeof info - 1)), -EFAULT, "one byte too few is EFAULT");
        is_int(raw_sysinfo(page_bus()), -EFAULT, "a page behind a file's end is EFAULT");
        is_int(raw_sysinfo(KERNEL_ADDRESS), -EFAULT, "a kernel address is EFAULT");
        is_int(raw_sysinfo(NON_CANONICAL), -EFAULT, "a non-canonical address is EFAULT");
        is_int(raw_sysinfo(LAST_ADDRESS), -EFAULT, "the last address is EFAULT");
        is_int(raw_sysinfo(page_edge(sizeof info)), 0, "a structure that ends where memory does");
        p = page_edge(sizeof info + 1);
        is_int(raw_sysinfo(p), 0, "one byte before that");
        is_int(p[sizeof info], 'x', "… not a byte more is written");
        return tap_done();
}
