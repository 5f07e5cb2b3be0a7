/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentry-imager: saves and restores sandboxes, for sentry-kernel, which starts it. A process of its own, because its memory
 * would be in every sandbox's sentry-kernel, and because a thread that traces waits for what it traces. */

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "imager.h"
#include "util.h"

int main(int argc, char *argv[]) {
        sigset_t alarm_only;

        /* Its parent blocks every signal. */
        (void) sigemptyset(&alarm_only);
        (void) sigaddset(&alarm_only, SIGALRM);
        (void) sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);

        /* The filter lets no leak checker work, which would end this with a status of its own. */
        /* It was executed by a descriptor, whose number would be its name. */
        (void) prctl(PR_SET_NAME, "sentry-imager");
        if (argc == 2 && streq(argv[1], "save"))
                _exit(save_main());
        if (argc == 2 && streq(argv[1], "restore"))
                _exit(restore_main());
        if (argc == 2 && streq(argv[1], "--version")) {
                puts("sentry-imager " PACKAGE_VERSION);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && streq(argv[1], "--help")) {
                puts("Usage: sentry-imager save|restore\n\n"
                     "Started by sentry-kernel(8), which passes what it needs; of no use by itself.");
                return EXIT_SUCCESS;
        }
        fputs("sentry-imager: sentry-kernel starts this, with what is to be done; of no use by itself.\n", stderr);
        return EXIT_FAILURE;
}
