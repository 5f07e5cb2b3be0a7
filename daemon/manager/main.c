/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentryd: options, signals, the event loop. */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "arrivals.h"
#include "cgroup-path.h"
#include "embedded.h"
#include "log.h"
#include "manager.h"
#include "util.h"

#define EXIT_USAGE 2
#define STATUS_READY "STATUS=Ready for sandboxes."

static void print_help(void) {
        printf("Usage: sentryd [--system | --user | --embedded]\n"
               "\n"
               "Keeps sandboxes: serves org.sentryd1 and starts a sentry-kernel for each sandbox.\n"
               "\n"
               "  --system    Serve all users on the system bus (the default for root)\n"
               "  --user      Serve one user on the session bus (the default for others)\n"
               "  --embedded  Serve one user on the socket that sentryctl hands over, until idle\n"
               "  --help      Show this help\n"
               "  --version   Show the version\n"
               "\n"
               "Environment: SENTRYD_LOG_LEVEL (error, warning, info, debug), SENTRYD_PROFILE_PATH,\n"
               "SENTRYD_CONFIG_PATH. SIGHUP reads the configuration again: sentryd.conf(5).\n"
               "See sentryd(8); `sentryctl --help` is the place to start.\n");
}

/* Returns 1 to go on, 0 when all is done, -EXIT_USAGE for a bad command line. */
static int parse_options(int argc, char **argv, ManagerMode *ret_mode) {
        enum {
                OPTION_SYSTEM = 256,
                OPTION_USER,
                OPTION_EMBEDDED,
                OPTION_VERSION,
        };
        static const struct option options[] = {
                { "system",   no_argument, NULL, OPTION_SYSTEM   },
                { "user",     no_argument, NULL, OPTION_USER     },
                { "embedded", no_argument, NULL, OPTION_EMBEDDED },
                { "help",     no_argument, NULL, 'h'             },
                { "version",  no_argument, NULL, OPTION_VERSION  },
                {},
        };
        ManagerMode mode = geteuid() == 0 ? MANAGER_SYSTEM : MANAGER_USER, chosen = mode;
        unsigned n_chosen = 0;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {

                case 'h':
                        print_help();
                        return 0;

                case OPTION_VERSION:
                        printf("sentryd %s\n", PACKAGE_VERSION);
                        return 0;

                case OPTION_SYSTEM:
                        chosen = MANAGER_SYSTEM;
                        break;

                case OPTION_USER:
                        chosen = MANAGER_USER;
                        break;

                case OPTION_EMBEDDED:
                        chosen = MANAGER_EMBEDDED;
                        break;

                default: /* getopt has said what is wrong */
                        fprintf(stderr, "Try `sentryd --help`.\n");
                        return -EXIT_USAGE;
                }

                if (n_chosen++ > 0 && chosen != mode) {
                        fprintf(stderr, "sentryd: only one of --system, --user and --embedded can be given.\n");
                        return -EXIT_USAGE;
                }
                mode = chosen;
        }

        if (optind < argc) {
                fprintf(stderr, "sentryd: \"%s\" is one argument too many: sentryd takes options only. Programs are "
                        "run with `sentryctl run`.\n", argv[optind]);
                return -EXIT_USAGE;
        }
        if (mode == MANAGER_SYSTEM && geteuid() != 0) {
                fprintf(stderr, "sentryd: --system needs root; as another user, use --user, or just `sentryctl "
                        "run`.\n");
                return -EXIT_USAGE;
        }

        *ret_mode = mode;
        return 1;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Manager *m = userdata;

        if (m->n_live > 0)
                log_info("Stopping. %u sandboxes go on without their manager.", m->n_live);
        else
                log_debug("Stopping.");

        (void) sd_notify(0, "STOPPING=1");
        return sd_event_exit(m->event, EXIT_SUCCESS);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Manager *m = userdata;
        struct timespec now;
        int r;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the configuration again.",
                          (unsigned long long) now.tv_sec * 1000000 + (unsigned long long) now.tv_nsec / 1000);

        /* Profiles need no reading: that is done each time one is asked for. */
        r = manager_load_config(m);
        if (r < 0)
                log_error_errno(r, "Failed to read the configuration again: %m. The old one stays.");
        else
                log_info("The configuration was read again.");

        (void) sd_notify(0, "READY=1\n" STATUS_READY);
        return 0;
}

/* Signals to us are read from the event loop; SIGCHLD is blocked because sd-event wants it so. A closed terminal or log
 * is no reason to end. */
static int set_up_signals(sd_event *event, Manager *m) {
        struct sigaction ignore = { .sa_handler = SIG_IGN };
        sigset_t mask;
        int r;

        if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGHUP, &ignore, NULL) < 0)
                return -errno;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGCHLD);
        if (m->mode != MANAGER_EMBEDDED)
                sigaddset(&mask, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;

        if (m->mode != MANAGER_EMBEDDED) {
                (void) signal(SIGHUP, SIG_DFL); /* blocked by now; what is ignored is not read either */
                r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, m);
                if (r < 0)
                        return r;
        }
        r = sd_event_add_signal(event, NULL, SIGTERM, on_stop, m);
        if (r < 0)
                return r;
        return sd_event_add_signal(event, NULL, SIGINT, on_stop, m);
}

/* Sandboxes and clients cost descriptors; takes as many as we may have. Returns what we had before. */
static struct rlimit raise_nofile(void) {
        struct rlimit before = { 1024, 4096 }, raised;

        if (getrlimit(RLIMIT_NOFILE, &before) < 0)
                return before;

        raised = (struct rlimit) { before.rlim_max, before.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
                log_debug_errno(errno, "Failed to raise the limit of open files: %m");
        return before;
}

/* What launchers have made in the root of the hierarchy, where they may not remove it. */
static void remove_cgroup_base(void) {
        _cleanup_free_ char *path = NULL;

        if (geteuid() == 0 && cgroup_find_mount(&path) >= 0 && string_appendf(&path, "/" CGROUP_BASE) >= 0)
                (void) rmdir(path); /* not while there are sandboxes in it, of whomever */
}

/* What there is of sandboxes is known by now. */
static int serve(Manager *m) {
        int r;

        r = m->mode == MANAGER_EMBEDDED ? embedded_serve(m) : manager_connect_bus(m);
        if (r < 0)
                return r;

        (void) sd_notify(0, "READY=1\n" STATUS_READY);
        log_debug("Serving as the %s instance of uid %u.", manager_mode_to_string(m->mode), m->uid);
        return 0;
}

static int run(ManagerMode mode) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        struct rlimit nofile;
        int r;

        (void) umask(0077);
        nofile = raise_nofile();

        r = sd_event_default(&event);
        if (r >= 0)
                r = manager_new(mode, event, &nofile, &m);
        if (r >= 0)
                r = set_up_signals(event, m);
        if (r < 0)
                return log_error_errno(r, "Failed to start: %m");

        (void) sd_event_set_watchdog(event, 1);
        r = mode == MANAGER_EMBEDDED ? embedded_start(m) : runtime_open(&m->runtime, mode, NULL);
        if (r >= 0)
                r = arrivals_start(m, serve);
        if (r < 0)
                return r;

        r = sd_event_loop(event);
        if (r < 0)
                log_error_errno(r, "The event loop failed: %m");
        remove_cgroup_base();
        return r;
}

int main(int argc, char **argv) {
        ManagerMode mode;
        int r;

        r = parse_options(argc, argv, &mode);
        if (r <= 0)
                return -r;

        /* run() returns the loop's exit code, or negative after a message. */
        return run(mode) == EXIT_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
