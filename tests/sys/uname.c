/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* uname(2): its fields, and every bad place that they can be written to. */

#include <ctype.h>
#include <sys/utsname.h>

#include "sys.h"

static long raw_uname(void *buffer) {
        return RAW(SYS_uname, buffer);
}

static bool is_field(const char *field) {
        const char *end = memchr(field, 0, UTS_MAX + 1);

        if (!end)
                return false;
        for (; end < field + UTS_MAX + 1; end++)
                if (*end)
                        return false; /* the kernel's own buffers are zero behind the string */
        return true;
}

struct Shared {
        struct utsname expected;
        atomic_int wrong;
};

static void *hammer(void *arg) {
        struct Shared *shared = arg;

        for (int i = 0; i < 500; i++) {
                struct utsname u;

                memset(&u, 0xa5, sizeof u);
                if (raw_uname(&u) != 0 || memcmp(&u, &shared->expected, sizeof u) != 0)
                        shared->wrong++;
        }
        return NULL;
}

static int deep_stack(void *arg) {
        volatile char hole[512 * 1024];
        struct utsname u;

        hole[0] = 0;
        (void) arg;
        return raw_uname(&u) == 0 && hole[0] == 0 && strcmp(u.sysname, "Linux") == 0 ? 0 : 1;
}

int main(void) {
        static struct Shared shared;
        struct utsname u;
        char host[UTS_MAX + 1], *p, *q;
        pthread_t threads[4];

        is_int(sizeof u, UTS_STRUCT, "the structure is that of the kernel");
        memset(&u, 0xa5, sizeof u);
        is_int(raw_uname(&u), 0, "uname succeeds");
        is_str(u.sysname, "Linux", "sysname");
        ok(is_field(u.sysname) && is_field(u.nodename) && is_field(u.release) && is_field(u.version) &&
                           is_field(u.machine) && is_field(u.domainname),
           "every field is a string, filled up with zeros");
        ok(strlen(u.nodename) > 0, "nodename is not empty: %s", u.nodename);
        ok(isdigit((unsigned char) u.release[0]) && strchr(u.release, '.'), "release is a version: %s", u.release);
        ok(u.version[0] == '#', "version starts with the build's number: %s", u.version);
#if defined __x86_64__
        is_str(u.machine, "x86_64", "machine");
#elif defined __aarch64__
        is_str(u.machine, "aarch64", "machine");
#else
        ok(u.machine[0], "machine");
#endif
        is_int(gethostname(host, sizeof host), 0, "gethostname succeeds");
        is_str(host, u.nodename, "gethostname is nodename");
        errno = 0;
        is_int(gethostname(host, strlen(u.nodename)), -1, "gethostname into too small a buffer");
        is_int(errno, ENAMETOOLONG, "… is ENAMETOOLONG");
        is_str(file_text("/proc/sys/kernel/ostype"), u.sysname, "/proc/sys/kernel/ostype agrees");

        /* Good places */
        p = page_edge(UTS_STRUCT);
        is_int(raw_uname(p), 0, "a buffer that ends exactly where memory does");
        ok(memcmp(p, &u, sizeof u) == 0, "… is filled");
        p = page_edge(UTS_STRUCT + 1);
        is_int(raw_uname(p), 0, "a buffer one byte before that");
        is_int(p[UTS_STRUCT], 'x', "… not a byte more than the structure is written");
        p = page_edge(2 * PAGE);
        is_int(raw_uname(p + PAGE - 100), 0, "a buffer across two pages");
        ok(memcmp(p + PAGE - 100, &u, sizeof u) == 0 && p[PAGE - 101] == 'x' && p[PAGE - 100 + UTS_STRUCT] == 'x',
           "… is filled, and nothing else");
        p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        is_int(raw_uname(p + 3), 0, "a page that was never touched, unaligned");
        ok(memcmp(p + 3, &u, sizeof u) == 0, "… is filled");
        p = mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        is_int(raw_uname(p), 0, "a page that may only be written");
        is_int(child_exit(deep_stack, NULL), 0, "a buffer deep in the stack");

        /* Bad places */
        is_int(raw_uname(NULL), -EFAULT, "NULL is EFAULT");
        is_int(raw_uname((void *) 1), -EFAULT, "1 is EFAULT");
        is_int(raw_uname(page_unmapped()), -EFAULT, "an unmapped page is EFAULT");
        is_int(raw_uname(page_new(PROT_NONE)), -EFAULT, "a PROT_NONE page is EFAULT");
        p = page_new(PROT_READ);
        is_int(raw_uname(p), -EFAULT, "a read-only page is EFAULT");
        is_int(p[0], 'x', "… and not written to");
        p = (char *) ((uintptr_t) raw_uname & ~(PAGE - 1));
        is_int(raw_uname(p), -EFAULT, "the program's own text is EFAULT");
        is_int(raw_uname(page_edge(UTS_STRUCT - 1)), -EFAULT, "one byte too few is EFAULT");
        is_int(raw_uname(page_edge(1)), -EFAULT, "one byte alone is EFAULT");
        p = page_edge(2 * PAGE);
        is_int(mprotect(p + PAGE, PAGE, PROT_READ), 0, "mprotect");
        is_int(raw_uname(p + PAGE - 100), -EFAULT, "from a writable page into a read-only one is EFAULT");
        is_int(p[PAGE], 'x', "… and the read-only one is not written to");
        is_int(raw_uname(page_bus()), -EFAULT, "a page behind a file's end is EFAULT");
        is_int(raw_uname(KERNEL_ADDRESS), -EFAULT, "a kernel address is EFAULT");
        is_int(raw_uname(NON_CANONICAL), -EFAULT, "a non-canonical address is EFAULT");
        is_int(raw_uname(LAST_ADDRESS), -EFAULT, "the last address is EFAULT");
        is_int(raw_uname((char *) LAST_ADDRESS - 100), -EFAULT, "an address that wraps round is EFAULT");
        is_int(raw_uname((void *) 0x7ffffffff000UL), -EFAULT, "the first address that no process has is EFAULT");

        /* A page of a file, shared: the file sees it. */
        int fd = (int) syscall(SYS_memfd_create, "uts", 0);
        is_int(ftruncate(fd, PAGE), 0, "a memory file");
        q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        is_int(raw_uname(q), 0, "a shared mapping");
        p = page_new(PROT_READ | PROT_WRITE);
        is_int(pread(fd, p, UTS_STRUCT, 0), UTS_STRUCT, "… can be read from the file");
        ok(memcmp(p, &u, sizeof u) == 0, "… and holds the answer");

        /* Threads */
        shared.expected = u;
        for (int i = 0; i < 4; i++)
                if (pthread_create(&threads[i], NULL, hammer, &shared) != 0)
                        tap_bail_out("pthread_create");
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        is_int(shared.wrong, 0, "2000 calls of four threads at once all give the same");
        return tap_done();
}
