/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sethostname(2) and setdomainname(2) are one behaviour on two fields: the whole test, with the number of the call
 * and the field of struct utsname as its parameters. */

#include <sys/utsname.h>

#include "sys.h"

static long uts_number;      /* SYS_sethostname or SYS_setdomainname */
static size_t uts_offset;    /* of its field in struct utsname */
static const char *uts_name; /* for descriptions */
static const char *uts_file; /* in /proc/sys/kernel */

static long uts_set(const void *name, long len) {
        return RAW(uts_number, name, len);
}

/* The field as uname() says it; every call its own buffer, so that two can be compared. */
static const char *uts_get(void) {
        static char fields[8][UTS_MAX + 1];
        static atomic_uint next;
        char *field = fields[next++ % 8];
        struct utsname u;

        memset(&u, 0xa5, sizeof u);
        if (uname(&u) < 0)
                return "uname failed";
        memcpy(field, (char *) &u + uts_offset, UTS_MAX + 1);
        return field;
}

/* The whole field, NUL and what is behind it. */
static bool uts_is(const void *bytes, size_t n) {
        char expected[UTS_MAX + 1] = {};
        struct utsname u;

        memcpy(expected, bytes, n);
        return uname(&u) == 0 && memcmp((char *) &u + uts_offset, expected, sizeof expected) == 0;
}

static int uts_child_sees(void *arg) {
        return strcmp(uts_get(), arg) == 0 ? 0 : 1;
}

static int uts_child_sets(void *arg) {
        return uts_set(arg, (long) strlen(arg)) == 0 ? 0 : 1;
}

static void *uts_thread_sees(void *arg) {
        return strcmp(uts_get(), arg) == 0 ? arg : NULL;
}

static void *uts_thread_sets(void *arg) {
        return uts_set(arg, (long) strlen(arg)) == 0 ? arg : NULL;
}

static bool uts_in_thread(void *(*f)(void *), const char *arg) {
        pthread_t thread;
        void *result;

        return pthread_create(&thread, NULL, f, (void *) arg) == 0 && pthread_join(thread, &result) == 0 && result;
}

/* Two writers and a reader: the reader sees one name or the other, never a mixture. */
static atomic_bool uts_stop;

static void *uts_writer(void *arg) {
        char name[UTS_MAX];

        memset(name, *(char *) arg, sizeof name);
        while (!uts_stop)
                if (uts_set(name, UTS_MAX) != 0)
                        return arg;
        return NULL;
}

static void uts_race(void) {
        pthread_t a, b;
        int torn = 0, seen_a = 0, seen_b = 0;
        void *failed_a, *failed_b;
        int64_t end;

        uts_set("aaaa", 4);
        if (pthread_create(&a, NULL, uts_writer, (void *) "a") != 0 ||
            pthread_create(&b, NULL, uts_writer, (void *) "b") != 0)
                tap_bail_out("pthread_create");
        end = now_ns(CLOCK_MONOTONIC) + 5000000000;
        for (int i = 0; i < 2000 || ((!seen_a || !seen_b) && now_ns(CLOCK_MONOTONIC) < end); i++) {
                const char *s = uts_get();

                if (s[0] == 'a')
                        seen_a++;
                if (s[0] == 'b')
                        seen_b++;
                for (const char *p = s; *p; p++)
                        if (*p != s[0]) {
                                torn++;
                                break;
                        }
        }
        uts_stop = true;
        pthread_join(a, &failed_a);
        pthread_join(b, &failed_b);
        is_int(torn, 0, "a reader beside two writers never sees half of a %s", uts_name);
        ok(seen_a > 0 && seen_b > 0, "… but those of both (%d, %d)", seen_a, seen_b);
        ok(!failed_a && !failed_b, "… and no writer fails");
}

static int uts_test(void) {
        static const char long_name[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0";
        char *p;

        is_int(uts_set("box", 3), 0, "set%s succeeds", uts_name);
        is_str(uts_get(), "box", "… and uname says so");
        is_int(uts_set("boxes", 3), 0, "a name without a NUL");
        ok(uts_is("box", 3), "… is cut where its length says");
        is_int(uts_set(long_name, 64), 0, "64 bytes are allowed");
        ok(uts_is(long_name, 64), "… and kept whole, with a NUL behind");
        is_int(uts_set(long_name, 65), -EINVAL, "65 bytes are EINVAL");
        ok(uts_is(long_name, 64), "… and change nothing");
        is_int(uts_set("b", 1), 0, "a short name after a long one");
        ok(uts_is("b", 1), "… leaves nothing of the long one behind");
        is_int(uts_set("", 0), 0, "an empty name is allowed");
        ok(uts_is("", 0), "… and is empty");
        is_int(uts_set("x\0y", 3), 0, "an embedded NUL is allowed");
        ok(uts_is("x\0y", 3), "… and kept with what is behind it");
        is_int(uts_set("a b\n\xff/..", 8), 0, "any byte is allowed");
        ok(uts_is("a b\n\xff/..", 8), "… and kept");

        /* Lengths */
        is_int(uts_set("good", 4), 0, "a good name");
        is_int(uts_set("x", -1), -EINVAL, "length -1 is EINVAL");
        is_int(uts_set("x", INT_MIN), -EINVAL, "the smallest length is EINVAL");
        is_int(uts_set("x", INT_MAX), -EINVAL, "the largest length is EINVAL");
        is_int(uts_set("x", 4096), -EINVAL, "4096 is EINVAL");
        is_int(uts_set("lower", 0x100000005L), 0, "the upper half of the length's register is not looked at");
        is_str(uts_get(), "lower", "… the lower half is the length");
        is_int(uts_set(NULL, 65), -EINVAL, "a bad length comes before a bad address");
        is_int(uts_set(NULL, -1), -EINVAL, "… also when negative");
        is_int(uts_set(NULL, 0), 0, "nothing at NULL is allowed");
        is_str(uts_get(), "", "… and is the empty name");
        is_int(uts_set(KERNEL_ADDRESS, 0), 0, "nothing at a kernel address is allowed too");

        /* Addresses */
        is_int(uts_set("good", 4), 0, "a good name");
        is_int(uts_set(NULL, 1), -EFAULT, "NULL is EFAULT");
        is_int(uts_set(page_unmapped(), 4), -EFAULT, "an unmapped page is EFAULT");
        is_int(uts_set(page_new(PROT_NONE), 4), -EFAULT, "a PROT_NONE page is EFAULT");
        is_int(uts_set(page_edge(3), 4), -EFAULT, "one byte too few is EFAULT");
        is_int(uts_set(page_bus(), 4), -EFAULT, "a page behind a file's end is EFAULT");
        is_int(uts_set(KERNEL_ADDRESS, 4), -EFAULT, "a kernel address is EFAULT");
        is_int(uts_set(NON_CANONICAL, 4), -EFAULT, "a non-canonical address is EFAULT");
        is_int(uts_set(LAST_ADDRESS, 4), -EFAULT, "the last address is EFAULT");
        is_str(uts_get(), "good", "after all that the name is what it was");
        p = page_edge(4);
        memcpy(p, "edge", 4);
        is_int(uts_set(p, 4), 0, "a name that ends where memory does");
        is_str(uts_get(), "edge", "… is read");
        p = page_edge(2 * PAGE);
        memcpy(p + PAGE - 2, "cross", 5);
        is_int(uts_set(p + PAGE - 2, 5), 0, "a name across two pages");
        is_str(uts_get(), "cross", "… is read");
        p = page_new(PROT_READ);
        is_int(uts_set(p, 2), 0, "a name in a read-only page");
        is_str(uts_get(), "xx", "… is read");

        /* Who sees it */
        is_int(uts_set("seen", 4), 0, "a name to be seen");
        is_int(child_exit(uts_child_sees, (void *) "seen"), 0, "a child sees it");
        ok(uts_in_thread(uts_thread_sees, "seen"), "a thread sees it");
        is_int(child_exit(uts_child_sets, (void *) "by-child"), 0, "a child sets one");
        is_str(uts_get(), "by-child", "… and the parent sees it");
        ok(uts_in_thread(uts_thread_sets, "by-thread"), "a thread sets one");
        is_str(uts_get(), "by-thread", "… and the main thread sees it");
        is_str(file_text(uts_file), "by-thread", "%s says the same", uts_file);
        is_int(uts_set("a", 1), 0, "a shorter one");
        is_str(file_text(uts_file), "a", "… as well");
        is_int(uts_set("", 0), 0, "none");
        is_str(file_text(uts_file), "", "… as well");

        uts_race();
        return tap_done();
}
