/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentry-kernel(8): started by sentryd, one for each sandbox. */

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "arguments.h"
#include "confine.h"
#include "log.h"
#include "profile.h"
#include "profile-features.h"
#include "sentry.h"
#include "util.h"
#include "watchdog.h"

/* The descriptors that the manager hands over. */
enum {
        BUS_FD = 3,
        LAUNCH_FD = 4,
        PROFILE_FD = 5,
};

#define IMAGE_FD 9 /* the directory of an image, with --restore */

static int usage(FILE *f) {
        fputs("Usage: sentry-kernel --name NAME\n\n"
              "The emulated kernel of one sandbox. Started by sentryd(8), which passes the D-Bus connection\n"
              "as descriptor 3, the launch socket as 4 and the profile as 5; of no use by itself.\n",
              f);
        return f == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "name", required_argument, NULL, 'n' },
                { "restore", no_argument, NULL, 'R' },
                { "lazy", no_argument, NULL, 'L' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                {},
        };
        _cleanup_(sentry_freep) Sentry *sentry = NULL;
        _cleanup_free_ char *document = NULL;
        bool restore = false, lazy = false;
        const char *name = NULL;
        sigset_t all;
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'n':
                        name = optarg;
                        break;
                case 'R':
                        restore = true;
                        break;
                case 'L':
                        lazy = true;
                        break;
                case 'h':
                        return usage(stdout);
                case 'v':
                        puts("sentry-kernel " PACKAGE_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return usage(stderr);
                }
        if (!name || optind < argc)
                return usage(stderr);

        /* A signal in the middle of an ioctl on the listener would lose a call. */
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, NULL);
        log_open();

        r = read_full_fd(PROFILE_FD, PROFILE_TEXT_MAX, &document, NULL);
        if (r < 0) {
                log_error("%s: cannot read the profile from descriptor %d: %s", name, PROFILE_FD, strerror(-r));
                return EXIT_FAILURE;
        }
        safe_close(PROFILE_FD);

        r = sentry_new(name, document, BUS_FD, LAUNCH_FD, &sentry);
        if (r < 0) {
                log_error("%s: cannot set up the kernel: %s", name, strerror(-r));
                return EXIT_FAILURE;
        }
        r = confine_self(sentry->profile->mount_calls.kinds != 0, profile_binds_ports(sentry->profile));
        if (r < 0) {
                log_error("%s: cannot confine sentry-kernel: %s", name, strerror(-r));
                return EXIT_FAILURE;
        }

        if (restore) {
                r = restorer_start(&sentry->restorer, sentry, IMAGE_FD, lazy);
                if (r < 0) {
                        log_error("%s: cannot start sentry-imager: %s", name, strerror(-r));
                        return EXIT_FAILURE;
                }
                safe_close(IMAGE_FD);
        }

        /* Threads take turns, so they do well with one heap: one each would be memory in every sandbox. */
        (void) mallopt(M_ARENA_MAX, 1);
        r = watchdog_run(sentry);
        sentry_goodbye(sentry, r);
        if (watchdog_has_stuck() || arguments_has_stuck())
                _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
