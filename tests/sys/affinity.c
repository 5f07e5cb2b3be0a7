/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sched_setaffinity(2) and sched_getaffinity(2), as the kernel has them: sizes in bytes, results in bytes. */

#include "sys.h"

#define BYTES 1024 /* more than any kernel's mask of today */

static unsigned char original[BYTES];
static long mask_bytes; /* what the kernel calls a mask's size */
static int cpus[BYTES * 8];
static int n_cpus;

static long get(pid_t pid, long size, void *mask) {
        return RAW(SYS_sched_getaffinity, (long) pid, size, mask);
}

static long set(pid_t pid, long size, const void *mask) {
        return RAW(SYS_sched_setaffinity, (long) pid, size, mask);
}

static void one(unsigned char *mask, int cpu) {
        memset(mask, 0, BYTES);
        mask[cpu / 8] = (unsigned char) (1U << (cpu % 8));
}

/* The only CPU of a task; -1: more or fewer than one, or an error. */
static int only(pid_t pid) {
        unsigned char mask[BYTES] = {};
        int found = -1;

        if (get(pid, BYTES, mask) < 0)
                return -1;
        for (int i = 0; i < BYTES * 8; i++)
                if (mask[i / 8] & (1U << (i % 8))) {
                        if (found >= 0)
                                return -1;
                        found = i;
                }
        return found;
}

static long set_one(pid_t pid, int cpu) {
        unsigned char mask[BYTES];

        one(mask, cpu);
        return set(pid, BYTES, mask);
}

static int child_only(void *arg) {
        (void) arg;
        return only(0);
}

static int child_sets_parent(void *arg) {
        return set_one(getppid(), *(int *) arg) == 0 ? 0 : 1;
}

static int child_execs(void *arg) {
        char *argv[] = { (char *) "affinity", (char *) "show", NULL };

        (void) arg;
        execv("/proc/self/exe", argv);
        return 255;
}

struct Thread {
        int at_start, after;
        int set_to;
        pid_t tid;
        int fds[2]; /* told to go on */
        int ready[2];
};

static void *thread_main(void *arg) {
        struct Thread *t = arg;
        char c = 0;

        t->tid = (pid_t) syscall(SYS_gettid);
        t->at_start = only(0);
        if (write(t->ready[1], &c, 1) != 1 || read(t->fds[0], &c, 1) != 1)
                return NULL;
        t->after = only(0);
        return NULL;
}

int main(int argc, char **argv) {
        unsigned char mask[BYTES], other[BYTES];
        char *p;
        long r;

        if (argc == 2 && strcmp(argv[1], "show") == 0)
                return only(0) < 0 ? 254 : only(0);

        memset(original, 0xa5, sizeof original);
        mask_bytes = get(0, BYTES, original);
        ok(mask_bytes >= 8 && mask_bytes <= BYTES && mask_bytes % 8 == 0, "the result is the mask's size in bytes: %ld",
           mask_bytes);
        if (mask_bytes <= 0)
                return tap_done();
        is_int(original[mask_bytes], 0xa5, "nothing behind it is written");
        for (int i = 0; i < mask_bytes * 8; i++)
                if (original[i / 8] & (1U << (i % 8)))
                        cpus[n_cpus++] = i;
        ok(n_cpus >= 1, "%d CPUs", n_cpus);
        is_int(n_cpus, sysconf(_SC_NPROCESSORS_ONLN) < n_cpus ? sysconf(_SC_NPROCESSORS_ONLN) : n_cpus,
               "no more than are online");

        /* Sizes, reading */
        is_int(get(0, mask_bytes, mask), mask_bytes, "a buffer of exactly that size");
        ok(memcmp(mask, original, (size_t) mask_bytes) == 0, "… gives the same");
        is_int(get(0, 0, mask), -EINVAL, "size 0 is EINVAL");
        for (int size = 1; size < 8; size += 2)
                is_int(get(0, size, mask), -EINVAL, "size %d is EINVAL", size);
        is_int(get(0, mask_bytes + 4, mask), -EINVAL, "a size that is no multiple of a long's is EINVAL");
        is_int(get(0, 127, mask), -EINVAL, "127 is EINVAL");
        is_int(get(0, mask_bytes + 8, mask), mask_bytes, "a larger buffer gives the same size");
        is_int(get(0, 1L << 20, mask), mask_bytes, "the size may be larger than the buffer's page");
        is_int(get(0, 0x100000000L + BYTES, mask), mask_bytes, "the upper half of the size's register is not looked at");
        is_int(get(0, 0x20000000L, mask), -EINVAL, "a size whose bits overflow is EINVAL");
        if (mask_bytes > 8) {
                memset(mask, 0xa5, sizeof mask);
                r = get(0, mask_bytes - 8, mask);
                ok(r == -EINVAL || r == mask_bytes - 8, "a smaller buffer is too small, or filled: %ld", r);
                is_int(mask[mask_bytes - 8], 0xa5, "… and nothing behind it is written");
        }

        /* Whose */
        is_int(get(getpid(), BYTES, mask), mask_bytes, "by one's own pid");
        is_int(get(INT_MAX, BYTES, mask), -ESRCH, "of nobody is ESRCH");
        is_int(get(-1, BYTES, mask), -ESRCH, "of -1 is ESRCH");
        is_int(get(INT_MIN, BYTES, mask), -ESRCH, "of the smallest pid is ESRCH");
        is_int(set(INT_MAX, BYTES, original), -ESRCH, "setting nobody's is ESRCH");
        is_int(set(-1, BYTES, original), -ESRCH, "setting that of -1 is ESRCH");
        is_int(get(INT_MAX, 7, mask), -EINVAL, "a bad size comes before a bad pid");
        is_int(get(INT_MAX, BYTES, NULL), -ESRCH, "a bad pid comes before a bad address, reading");
        is_int(set(INT_MAX, BYTES, NULL), -EFAULT, "… and after it, writing");

        /* Addresses */
        is_int(get(0, BYTES, NULL), -EFAULT, "reading to NULL is EFAULT");
        is_int(get(0, BYTES, page_unmapped()), -EFAULT, "… to an unmapped page");
        p = page_new(PROT_READ);
        is_int(get(0, BYTES, p), -EFAULT, "… to a read-only page");
        is_int(p[0], 'x', "… which is not written to");
        is_int(get(0, BYTES, page_edge((size_t) mask_bytes - 1)), -EFAULT, "… with one byte too few");
        is_int(get(0, BYTES, page_edge((size_t) mask_bytes)), mask_bytes, "… but with exactly enough it works");
        is_int(get(0, BYTES, KERNEL_ADDRESS), -EFAULT, "… to a kernel address");
        is_int(get(0, BYTES, NON_CANONICAL), -EFAULT, "… to a non-canonical address");
        is_int(set(0, BYTES, NULL), -EFAULT, "writing from NULL is EFAULT");
        is_int(set(0, BYTES, page_unmapped()), -EFAULT, "… from an unmapped page");
        is_int(set(0, BYTES, page_new(PROT_NONE)), -EFAULT, "… from a PROT_NONE page");
        is_int(set(0, BYTES, page_edge((size_t) mask_bytes - 1)), -EFAULT, "… with one byte too few");
        is_int(set(0, BYTES, KERNEL_ADDRESS), -EFAULT, "… from a kernel address");
        p = page_edge((size_t) mask_bytes);
        memcpy(p, original, (size_t) mask_bytes);
        is_int(set(0, BYTES, p), 0, "… no more is read than a mask's size");

        /* Values */
        memset(mask, 0, sizeof mask);
        is_int(set(0, BYTES, mask), -EINVAL, "an empty mask is EINVAL");
        is_int(set(0, 0, original), -EINVAL, "a mask of no bytes is EINVAL");
        is_int(set(0, 0, NULL), -EINVAL, "… also at NULL");
        one(mask, (int) mask_bytes * 8 - 1);
        if (cpus[n_cpus - 1] != mask_bytes * 8 - 1)
                is_int(set(0, BYTES, mask), -EINVAL, "only a CPU that is not there is EINVAL");
        else
                tap_skip("the last possible CPU is there");
        memset(mask, 0, sizeof mask);
        mask[BYTES - 1] = 0x80;
        is_int(set(0, BYTES, mask), -EINVAL, "only a CPU that can't be is EINVAL");
        is_int(get(0, BYTES, other), mask_bytes, "after all that");
        ok(memcmp(other, original, (size_t) mask_bytes) == 0, "… the mask is what it was");

        is_int(set_one(0, cpus[0]), 0, "one CPU");
        is_int(only(0), cpus[0], "… is what one gets");
        is_int(sched_getcpu(), cpus[0], "… and where one runs");
        is_int(get(0, BYTES, other), mask_bytes, "the result's size does not depend on it");
        memset(mask, 0xff, sizeof mask);
        is_int(set(0, BYTES, mask), 0, "all CPUs and many that are not there");
        get(0, BYTES, other);
        ok(memcmp(other, original, (size_t) mask_bytes) == 0, "… are those that are there");
        one(mask, cpus[0]);
        is_int(set(0, cpus[0] / 8 + 1, mask), 0, "writing may give fewer bytes than a long");
        is_int(only(0), cpus[0], "… and is obeyed");
        is_int(set(0, 0x100000000L + BYTES, original), 0, "the upper half of the size's register is not looked at");

        /* Inheritance and others */
        if (n_cpus < 2) {
                tap_skip("inheritance needs two CPUs");
                return tap_done();
        }
        is_int(set_one(0, cpus[1]), 0, "the second CPU");
        is_int(sched_getcpu(), cpus[1], "… is where one runs");
        is_int(child_exit(child_only, NULL), cpus[1], "a child inherits it");
        is_int(child_exit(child_execs, NULL), cpus[1], "an exec keeps it");
        is_int(child_exit(child_sets_parent, &cpus[0]), 0, "a child may set its parent's");
        is_int(only(0), cpus[0], "… and that is obeyed");

        struct Thread t = {};
        pthread_t thread;
        char c = 0;

        if (pipe(t.fds) < 0 || pipe(t.ready) < 0)
                tap_bail_out("pipe");
        if (pthread_create(&thread, NULL, thread_main, &t) != 0 || read(t.ready[0], &c, 1) != 1)
                tap_bail_out("pthread_create");
        is_int(t.at_start, cpus[0], "a thread inherits it");
        is_int(set_one(t.tid, cpus[1]), 0, "the main thread sets a thread's, by its id");
        is_int(only(t.tid), cpus[1], "… reads it");
        is_int(only(0), cpus[0], "… and keeps its own");
        if (write(t.fds[1], &c, 1) != 1)
                tap_bail_out("write");
        pthread_join(thread, NULL);
        is_int(t.after, cpus[1], "… and the thread sees it");

        int fds[2];
        pid_t pid;

        if (pipe(fds) < 0)
                tap_bail_out("pipe");
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                close(fds[1]);
                _exit(read(fds[0], &c, 1) == 1 ? only(0) : 255);
        }
        is_int(set_one(pid, cpus[1]), 0, "a parent sets its child's");
        is_int(only(pid), cpus[1], "… reads it");
        if (write(fds[1], &c, 1) != 1)
                tap_bail_out("write");
        int status;
        waitpid(pid, &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : 255, cpus[1], "… and the child sees it");
        is_int(get(pid, BYTES, mask), -ESRCH, "a child that was waited for is ESRCH");
        is_int(set(pid, BYTES, original), -ESRCH, "… to set, too");
        is_int(set(0, BYTES, original), 0, "all again");
        return tap_done();
}
