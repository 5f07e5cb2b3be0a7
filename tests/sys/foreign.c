/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that no table knows, and calls that come by another ABI's door. */

#include <sys/utsname.h>

#include "sys.h"

#if defined __x86_64__
static int through_int80(void *arg) {
        long result;

        (void) arg;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) /* getpid of i386 */ : "memory", "r8", "r9", "r10", "r11");
        return (int) result == -ENOSYS ? 38 : (int) result == getpid() ? 1 : 2;
}

static int int80_bad(void *arg) {
        long result;

        (void) arg;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(9999L) : "memory", "r8", "r9", "r10", "r11");
        return (int) result == -ENOSYS ? 38 : 2;
}
#endif

static void *many(void *arg) {
        long wrong = 0;

        for (int i = 0; i < 200; i++)
                wrong += RAW(9990L + i % 5, 1, 2, 3, 4, 5, 6) != -ENOSYS;
        *(long *) arg = wrong;
        return NULL;
}

int main(void) {
        static const long numbers[] = { 9999, 1000, 0x3fffffff, 0x7fffffff, -1, -2 };
        struct utsname u;
        pthread_t threads[4];
        long wrong[4];

        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
                is_int(RAW(numbers[i], 1, 2, 3, 4, 5, 6), -ENOSYS, "number %ld is ENOSYS", numbers[i]);

#if defined __x86_64__
        long x32 = RAW(0x40000000L | SYS_getpid), x32_uname = RAW(0x40000000L | SYS_uname, &u);
        int status;

        if (sandboxed()) {
                is_int(x32, -ENOSYS, "an x32 call is ENOSYS");
                is_int(x32_uname, -ENOSYS, "… also one that is emulated");
        } else
                ok(x32 == -ENOSYS || x32 == getpid(), "an x32 call is answered, or ENOSYS: %ld", x32);
        status = child_exit(through_int80, NULL);
        if (sandboxed()) {
                /* Without support in the host's kernel the instruction itself is refused. */
                ok(status == 38 || status == 256 + SIGSEGV, "int 0x80 is ENOSYS: %d", status);
                status = child_exit(int80_bad, NULL);
                ok(status == 38 || status == 256 + SIGSEGV, "… also an unknown number: %d", status);
        } else
                ok(status == 1 || status == 256 + SIGSEGV, "int 0x80 is answered, or no instruction: %d", status);
#else
        tap_skip("no foreign ABI that this test knows on this architecture");
#endif

        for (int i = 0; i < 4; i++)
                if (pthread_create(&threads[i], NULL, many, &wrong[i]) != 0)
                        tap_bail_out("pthread_create");
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                is_int(wrong[i], 0, "200 unknown calls of thread %d are all ENOSYS", i);
        }
        is_int(uname(&u), 0, "the program goes on, and emulated calls work");
        is_str(u.sysname, "Linux", "… as before");
        return tap_done();
}
