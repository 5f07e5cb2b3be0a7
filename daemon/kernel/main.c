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
#include "keeper.h"
#include "log.h"
#include "profile.h"
#include "profile-features.h"
#include "recover.h"
#include "sentry.h"
#include "util.h"
#include "watchdog.h"

#define IMAGE_FD 9 /* the directory of an image, with --restore */

static int usage(FILE *f) {
        fputs("Usage: sentry-kernel --name NAME [--recover]\n\n"
              "The emulated kernel of one sandbox. Started by sentryd(8), which passes the D-Bus connection\n"
              "as descriptor 3, the launch socket as 4, the profile as 5, the sandbox's entry in the index as 6,\n"
              "the runtime directory as 7 and the journal as 8; of no use by itself.\n\n"
              "  --recover   take the place of one that died, with all descriptors that its journal names\n",
              f);
        return f == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The number, if it is an open descriptor. */
static int open_fd(int fd) {
        return fcntl(fd, F_GETFD) >= 0 ? fd : -EBADF;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "name", required_argument, NULL, 'n' },
                { "recover", no_argument, NULL, 'r' },
                { "confined", no_argument, NULL, 'c' }, /* by a keeper that has our filter: it is not added again */
                { "restore", no_argument, NULL, 'R' },
                { "lazy", no_argument, NULL, 'L' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                {},
        };
        _cleanup_(sentry_freep) Sentry *sentry = NULL;
        _cleanup_free_ char *document = NULL;
        bool recover = false, confined = false;
        bool restore = false, lazy = false;
        const char *name = NULL;
        sigset_t all;
        int c, r;

        keeper_prepare(argv);

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'n':
                        name = optarg;
                        break;
                case 'r':
                        recover = true;
                        break;
                case 'c':
                        confined = true;
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

        r = recover ? recover_descriptors() : 0;
        if (r < 0) {
                log_error("%s: there is no journal of a sentry-kernel to recover from: %s", name, strerror(-r));
                return EXIT_FAILURE;
        }
        for (int fd = RENDEZVOUS_FD_BUS; fd <= RENDEZVOUS_FD_JOURNAL; fd++)
                (void) fcntl(fd, F_SETFD, FD_CLOEXEC);

        /* It stays open: the next one reads it, too. */
        (void) lseek(RENDEZVOUS_FD_PROFILE, 0, SEEK_SET);
        r = read_full_fd(RENDEZVOUS_FD_PROFILE, PROFILE_TEXT_MAX, &document, NULL);
        if (r < 0) {
                log_error("%s: cannot read the profile from descriptor %d: %s", name, RENDEZVOUS_FD_PROFILE,
                          strerror(-r));
                return EXIT_FAILURE;
        }

        r = sentry_new(name, document, open_fd(RENDEZVOUS_FD_JOURNAL), open_fd(RENDEZVOUS_FD_RUNDIR), recover, &sentry);
        if (r >= 0) {
                recover_note_crashes(sentry->journal.header);
                r = keeper_start(&sentry->keeper, sentry, confined);
        }
        /* Before any call is begun again: what the answer needs is in the new keeper's table of descriptors, not in that one's. */
        if (r >= 0)
                keeper_dismiss_standby(&sentry->journal);
        if (r >= 0)
                r = recover ? sentry_take_over(sentry) : sentry_start(sentry, RENDEZVOUS_FD_BUS, RENDEZVOUS_FD_LAUNCH);
        if (r < 0) {
                log_error("%s: cannot set up the kernel: %s", name, strerror(-r));
                if (sentry)
                        keeper_goodbye(&sentry->keeper);
                return EXIT_FAILURE;
        }
        r = confined ? 0 :
                confine_self(sentry->profile->mount_calls.kinds != 0, profile_binds_ports(sentry->profile));
        if (r < 0) {
                keeper_goodbye(&sentry->keeper);
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
