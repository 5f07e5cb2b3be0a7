/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* personality(2), as far as uname(2) shows it. */

#include <sys/personality.h>
#include <sys/utsname.h>

#include "sys.h"

#ifndef UNAME26
#define UNAME26 0x0020000
#endif

static int says_linux32(void *arg) {
        struct utsname u;

        (void) arg;
        if (personality(PER_LINUX32) < 0 || uname(&u) < 0)
                return 2;
        return strcmp(u.machine, "i686") == 0 ? 0 : 1;
}

static int says_26(void *arg);

/* The call's parameter is an int: nothing in the upper half of its register hides it. */
static int says_26_by_half(void *arg) {
        struct utsname u;

        (void) arg;
        if (RAW(SYS_personality, 0xabcd00000000L | UNAME26) < 0 || uname(&u) < 0)
                return 2;
        return strncmp(u.release, "2.6.", 4) == 0 ? 0 : 1;
}

static void *in_thread(void *arg) {
        return says_26(NULL) == 0 ? arg : NULL;
}

/* A thread's personality is its own. */
static int thread_only(void *arg) {
        pthread_t thread;
        struct utsname u;
        void *result;

        if (pthread_create(&thread, NULL, in_thread, &u) != 0 || pthread_join(thread, &result) != 0 || !result)
                return 2;
        (void) arg;
        return uname(&u) == 0 && strncmp(u.release, "2.6.", 4) != 0 ? 0 : 1;
}

static int says_26(void *arg) {
        struct utsname before, after;

        (void) arg;
        if (uname(&before) < 0 || personality(PER_LINUX | UNAME26) < 0 || uname(&after) < 0)
                return 2;
        if (strncmp(after.release, "2.6.", 4) != 0)
                return 1;
        return strcmp(before.version, after.version) == 0 && strcmp(before.nodename, after.nodename) == 0 ? 0 : 3;
}

static int inherits(void *arg) {
        (void) arg;
        return personality(0xffffffff) == ADDR_NO_RANDOMIZE ? 0 : 1;
}

static int keeps(void *arg) {
        char *argv[] = { (char *) "personality", (char *) "show", NULL };

        (void) arg;
        if (personality(ADDR_NO_RANDOMIZE) < 0)
                return 2;
        if (child_exit(inherits, NULL) != 0)
                return 3;
        execv("/proc/self/exe", argv);
        return 4;
}

static int back(void *arg) {
        struct utsname before, after;

        (void) arg;
        if (uname(&before) < 0 || personality(UNAME26) < 0 || personality(PER_LINUX) != UNAME26 || uname(&after) < 0)
                return 2;
        return memcmp(&before, &after, sizeof before) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "show") == 0)
                return personality(0xffffffff) == ADDR_NO_RANDOMIZE ? 0 : 1;
        is_int(personality(0xffffffff), PER_LINUX, "the personality is Linux's");
#if defined __x86_64__
        is_int(child_exit(says_linux32, NULL), 0, "PER_LINUX32 makes uname say i686");
#else
        tap_skip("what PER_LINUX32 makes of the machine is known for x86 only");
#endif
        is_int(child_exit(says_26, NULL), 0, "UNAME26 makes uname say 2.6");
        is_int(child_exit(says_26_by_half, NULL), 0, "… also with bits in the upper half of the register");
        is_int(child_exit(thread_only, NULL), 0, "… only to the thread that asked for it");
        is_int(child_exit(back, NULL), 0, "… until it is taken back");
        is_int(child_exit(keeps, NULL), 0, "children inherit it, and exec keeps it");
        is_int(personality(0xffffffff), PER_LINUX, "a child's changes are its own");
        return tap_done();
}
