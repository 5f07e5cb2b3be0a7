/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "bus-util.h"
#include "host-behalf.h"
#include "host-sockets.h"
#include "imager.h"
#include "log.h"
#include "profile-features.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

#define PAUSE_DEADLINE_NS (10 * UINT64_C(1000000000))
#define GOODBYE_SEC 5
#define LINGER_USEC (2 * 1000000U)    /* how long an ended sandbox waits for a manager to tell */
#define STATUS_UNKNOWN 255 /* of a program in place, which its own parent has taken before we could look */
#define EXIT_WORD_USEC (2 * 1000000U) /* how long a launcher may take to say how its program ended */

const char *sentry_state_to_string(SentryState state) {
        static const char *const names[_SENTRY_STATE_MAX] = {
                [SENTRY_STARTING] = "starting",
                [SENTRY_RUNNING] = "running",
                [SENTRY_PAUSED] = "paused",
                [SENTRY_EXITED] = "exited",
        };

        return state < _SENTRY_STATE_MAX ? names[state] : NULL;
}

static int kernel_of_profile(Sentry *sentry) {
        Profile *profile = sentry->profile;
        KernelConfig config = {
                .name = sentry->name,
                .hostname = profile->hostname,
                .domainname = profile->domainname,
                .emulated_capabilities = profile->emulated_capabilities,
                .features = profile_features(profile),
                .mount_rules = {
                        .kinds = profile->mount_calls.kinds,
                        .max = profile->mount_calls.max,
                        .tmpfs_size = (uint64_t) profile->mount_calls.tmpfs_mib * 1024 * 1024,
                },
                .ptrace_scope = (PtraceScope) profile->ptrace_scope,
                .addresses = &profile->addresses,
                .own_network = profile->network != PROFILE_NETWORK_HOST,
                .binds_ports = profile_binds_ports(profile),
                .log_size = profile->log_size,
                .version_string = PACKAGE_VERSION,
                .statistics = sentry->journal.statistics,
        };
        struct utsname host;
        CpuSet wanted;
        int r;

        if (profile->addresses.n > 0 && !host_sockets_are_possible()) {
                log_error("%s: the profile has rules for addresses (sentry.addresses), which need Linux 5.6 and that nothing "
                          "around us forbids pidfd_getfd(2) and openat2(2)", sentry->name);
                return -EOPNOTSUPP;
        }
        profile->addresses.abstract_is_shared = profile->network == PROFILE_NETWORK_HOST;
        if (uname(&host) < 0)
                return -errno;
        if (!config.hostname)
                config.hostname = host.nodename;
        if (!config.domainname)
                config.domainname = host.domainname;
        config.sysname = host.sysname;
        config.release = profile->kernel_release ?: host.release;
        config.version = profile->kernel_version ?: host.version;
        config.machine = host.machine;

        r = host_seccomp_cpus(&config.cpus, &config.cpu_mask_size, &config.cpu_ids);
        if (r < 0)
                return r;
        if (profile->cpus) {
                char allowed[CPUSET_LIST_MAX];

                r = cpuset_parse(profile->cpus, &wanted);
                if (r < 0)
                        return r;
                cpuset_format(&config.cpus, allowed, sizeof(allowed));
                cpuset_and(&config.cpus, &wanted);
                if (cpuset_is_empty(&config.cpus)) {
                        log_error("%s: none of the CPUs \"%s\" of the profile is among those allowed here (%s)",
                                  sentry->name, profile->cpus, allowed);
                        return -EINVAL;
                }
        } else if (profile->n_cpus > 0)
                cpuset_truncate(&config.cpus, profile->n_cpus);

        return kernel_new(&config, &sentry->host.host, &sentry->kernel);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Sentry *sentry = userdata;

        (void) source;
        if (info->ssi_signo == SIGCHLD) {
                freezer_reap(&sentry->freezer);
                return 0;
        }

        log_info("%s: ending the sandbox for signal %" PRIu32, sentry->name, info->ssi_signo);
        if (sentry_kill(sentry, 128 + (int) info->ssi_signo) < 0)
                sentry_exited(sentry, 128 + (int) info->ssi_signo);
        return 0;
}

/* A journal in memory that outlives us, if we were given some, or in our own. */
static int open_journal(Sentry *sentry, int fd, bool recover) {
        uint32_t request_size, version;
        int r;

        r = notifier_request_size(&request_size);
        if (r >= 0 && !recover) {
                r = journal_create(&sentry->journal, fd, request_size);
                if (r < 0 && fd >= 0) {
                        log_warning("%s: no journal, so that a crash would be the end of the sandbox: %s", sentry->name,
                                    strerror(-r));
                        safe_close(fd);
                        r = journal_create(&sentry->journal, -EBADF, request_size);
                }
                return r;
        }
        if (r >= 0)
                r = journal_open(&sentry->journal, fd, request_size, &version);
        if (r == -EPROTO)
                log_error("%s: the sandbox has a journal of version %u, this sentry-kernel knows version %u: only the one that "
                          "began it can go on", sentry->name, version, JOURNAL_VERSION);
        else if (r == -EBADMSG)
                log_error("%s: what the last sentry-kernel has left cannot be read", sentry->name);
        return r;
}

int sentry_new(const char *name, const char *document, int journal_fd, int rundir_fd, bool recover, Sentry **ret) {
        static const int signals[] = { SIGTERM, SIGCHLD };
        _cleanup_(sentry_freep) Sentry *sentry = NULL;
        ProfileProblems problems = {};
        int r;

        sentry = calloc(1, sizeof(Sentry));
        if (!sentry)
                return -ENOMEM;
        LIST_INIT(&sentry->launches);
        freezer_init(&sentry->freezer, sentry);
        tracer_init(&sentry->tracer, sentry);
        lister_init(&sentry->lister, sentry);
        mounter_init(&sentry->mounter, sentry);
        saver_init(&sentry->saver, sentry);
        sentry->imager_fd = -EBADF;
        imager_open(sentry);
        sandbox_cgroup_init(&sentry->cgroup);
        manager_link_init(&sentry->link, sentry, rundir_fd);
        sentry->init_pidfd = sentry->journal.fd = sentry->keeper.pidfd = -EBADF;
        sentry->restorer = (Restorer) { .sentry = sentry, .control_fd = -EBADF, .listener = -EBADF };
        sentry->init_pidfd = -EBADF;
        r = host_seccomp_init(&sentry->host, sentry);
        if (r < 0)
                return r;
        sentry->status = sentry->in_place_status = -1;
        sentry->name = strdup(name);
        sentry->document = strdup(document);
        if (!sentry->name || !sentry->document)
                return -ENOMEM;
        r = open_journal(sentry, journal_fd, recover);
        if (r < 0)
                return r;

        r = profile_parse(document, &sentry->profile, &problems);
        if (r == -EBADMSG) {
                _cleanup_free_ char *text = profile_problems_to_string(&problems);

                log_error("%s: the profile is not valid: %s", name, text ?: "no memory to say why");
        }
        profile_problems_done(&problems);
        if (r < 0)
                return r;

        r = kernel_of_profile(sentry);
        if (r < 0)
                return r;
        r = sd_event_new(&sentry->event);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(sentry->event, NULL, signals[i], on_signal, sentry);
                if (r < 0)
                        return r;
        }
        r = task_watch_init(&sentry->task_watch, sentry);
        if (r < 0)
                return r;
        r = notifier_init(&sentry->notifier, sentry);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(sentry);
        return 0;
}

int sentry_start(Sentry *sentry, int bus_fd, int launch_fd) {
        const char *text = getenv("SENTRYD_JOURNAL");
        const char *pause_at = getenv("SENTRYD_PAUSE_AT");
        bool journal = !text || !streq(text, "0");
        int r;

        r = keeper_watch(&sentry->keeper);
        if (r < 0)
                return r;
        if (journal)
                journal_start(&sentry->journal, sentry->kernel, sentry_snapshot, sentry);
        else
                log_warning("%s: SENTRYD_JOURNAL=0: a crash of sentry-kernel will be the end of the sandbox", sentry->name);
        if (pause_at)
                sentry->notifier.pause_in = strtoull(pause_at, NULL, 10);
        r = launch_server_add(sentry, launch_fd);
        if (r < 0)
                return r;
        r = manager_link_serve(&sentry->link, bus_fd);
        if (r < 0)
                return r;
        sentry_changed(sentry);
        return 0;
}

Sentry *sentry_free(Sentry *sentry) {
        if (!sentry)
                return NULL;

        sentry->ending = true;
        launch_server_done(sentry);
        notifier_done(&sentry->notifier);
        tracer_done(&sentry->tracer);
        lister_done(&sentry->lister);
        mounter_done(&sentry->mounter);
        saver_done(&sentry->saver);
        freezer_done(&sentry->freezer);
        task_watch_done(&sentry->task_watch);
        host_seccomp_done(&sentry->host);
        restorer_done(&sentry->restorer);
        safe_close(sentry->imager_fd);
        sentry->end_source = sd_event_source_disable_unref(sentry->end_source);
        sentry->names_source = sd_event_source_disable_unref(sentry->names_source);
        sentry->bus = sd_bus_flush_close_unref(sentry->bus);
        manager_link_done(&sentry->link);
        sandbox_cgroup_done(&sentry->cgroup, sentry->launcher_lost);
        keeper_done(&sentry->keeper);
        sentry->event = sd_event_unref(sentry->event);
        kernel_free(sentry->kernel);
        journal_done(&sentry->journal);
        profile_free(sentry->profile);
        free(sentry->document);
        free(sentry->name);
        free(sentry);
        return NULL;
}

/* The listeners are polled beside the event loop and not by it: a round of sd-event costs several system calls,
 * and a guest waits for every one of them. */
int sentry_run(Sentry *sentry) {
        /* Where a thread has been relieved, it was in the loop of poll. */
        bool resumed = sd_event_get_state(sentry->event) == SD_EVENT_ARMED;
        struct pollfd fds[1 + _HOST_CLOCK_MAX + 1 + LISTENERS_MAX];
        int r;

        for (;; resumed = false) {
                unsigned n_alarms, n_jobs, n;

                if (sentry->resuming) {
                        notifier_serve_rest(&sentry->notifier);
                        sentry->resuming = false;
                        sentry_settle(sentry);
                }

                if (sd_event_get_state(sentry->event) == SD_EVENT_FINISHED)
                        return 0;
                r = resumed ? 0 : sd_event_prepare(sentry->event);
                if (r == 0 && !resumed)
                        do {
                                n_alarms = host_clocks_poll_fds(&sentry->host.clocks, fds + 1);
                                n_jobs = socket_jobs_poll_fds(fds + 1 + n_alarms);
                                n = notifier_poll_fds(&sentry->notifier, fds + 1 + n_alarms + n_jobs);
                                fds[0] = (struct pollfd) {
                                        .fd = sd_event_get_fd(sentry->event),
                                        .events = POLLIN,
                                };
                                if (poll(fds, 1 + n_alarms + n_jobs + n, -1) < 0 && errno != EINTR)
                                        return -errno;
                                host_clocks_dispatch(sentry, fds + 1, n_alarms);
                                socket_jobs_dispatch(sentry, fds + 1 + n_alarms, n_jobs);
                                notifier_dispatch(&sentry->notifier, fds + 1 + n_alarms + n_jobs, n);
                                /* Those whose calls these were have their answers: now is the time to tell. */
                                if (task_table_has_events(&sentry->kernel->tasks))
                                        task_table_tell(&sentry->kernel->tasks);
                        } while (fds[0].revents == 0 && !sentry->notifier.rearm);
                if (r >= 0)
                        r = r > 0 ? r : sd_event_wait(sentry->event, 0);
                if (r > 0)
                        r = sd_event_dispatch(sentry->event);
                if (task_table_has_events(&sentry->kernel->tasks))
                        task_table_tell(&sentry->kernel->tasks);
                if (r == -ESTALE || r == -ECHILD)
                        return 0;
                if (r < 0)
                        return r;
                sentry->notifier.rearm = false;
        }
}

void sentry_goodbye(Sentry *sentry, int r) {
        sigset_t alarm_only;

        if (r < 0)
                log_error("%s: event loop: %s", sentry->name, strerror(-r));

        /* What is left for the manager is written on the way out. One that does not read must not keep us. */
        (void) sigemptyset(&alarm_only);
        (void) sigaddset(&alarm_only, SIGALRM);
        (void) alarm(GOODBYE_SEC);
        (void) pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
        sentry->bus = sd_bus_flush_close_unref(sentry->bus);
        keeper_goodbye(&sentry->keeper);
}

int sentry_boot(Sentry *sentry, pid_t pid, int pidfd, int fds[]) {
        int r;

        r = host_seccomp_attach(&sentry->host, pid, fds);
        if (r < 0)
                return r;

        /* What the emulated sched_setaffinity(2) allows is what the tasks start with. */
        r = sentry->host.host.ops->task_set_affinity(&sentry->host.host, pid, &sentry->kernel->cpus);
        if (r < 0)
                return r;

        sentry->init_pid = pid;
        sentry->init_pidfd = pidfd;
        return 0;
}

void sentry_started(Sentry *sentry) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        sentry->started_usec = (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
        sentry->state = SENTRY_RUNNING;
        if (sentry->restorer.state != RESTORER_NONE)
                kernel_go_on(sentry->kernel, sentry->host.uts_ns);
        else
                kernel_boot(sentry->kernel, sentry->host.uts_ns);
        change_all(sentry->kernel);
        sentry_changed(sentry);
        kernel_dbus_changed(sentry, "State", "InitPID", "StartedUSec", "Hostname", "DomainName", "CPUs", "Walls", "SaveStatus", NULL);
}

static int on_nobody_came(sd_event_source *source, uint64_t usec, void *userdata) {
        Sentry *sentry = userdata;

        (void) source, (void) usec;
        return sd_event_exit(sentry->event, 0);
}

void sentry_linger(Sentry *sentry) {
        int r = -ENOTCONN;

        sentry->end_source = sd_event_source_disable_unref(sentry->end_source);
        sentry->notifier.rearm = true;
        if (manager_link_may_come(&sentry->link))
                r = sd_event_add_time_relative(sentry->event, &sentry->end_source, CLOCK_MONOTONIC, LINGER_USEC, 0,
                                               on_nobody_came, sentry);
        if (r < 0)
                (void) sd_event_exit(sentry->event, 0);
}

#define PID_MAX (4U * 1024 * 1024) /* PID_MAX_LIMIT */

typedef struct Sweep {
        Sentry *sentry;
        uint8_t *seen; /* bit per number; NULL: there was no memory for it */
        bool any;      /* one that was not seen before */
} Sweep;

static int kill_one(pid_t pid, void *userdata) {
        _cleanup_close_ int pidfd = -EBADF;
        Sweep *sweep = userdata;

        /* The number may be another's by now, what the pidfd is for does not change. */
        pidfd = host_task_pidfd(&sweep->sentry->host.host, pid, 0);
        if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 || (unsigned) pid >= PID_MAX)
                return 0;
        if (!sweep->seen || !(sweep->seen[pid / 8] & (1U << pid % 8)))
                sweep->any = true;
        if (sweep->seen)
                sweep->seen[pid / 8] |= (uint8_t) (1U << pid % 8);
        return 0;
}

/* With a PID namespace the death of init is the death of all, and the kernel lets none be born. Without one they are
 * killed until a look finds none that was not killed before: those cannot fork any more, and nobody else can while we
 * are at it, see sys/process.c. */
static void kill_by_number(Sentry *sentry) {
        Sweep sweep = { .sentry = sentry, .seen = calloc(1, PID_MAX / 8) };

        for (unsigned round = 0; round < 1000; round++) {
                sweep.any = false;
                (void) tasks_for_each(&sentry->host, kill_one, &sweep);
                if (!sweep.any)
                        break;
        }
        free(sweep.seen);
}

void sentry_exited(Sentry *sentry, int status) {
        if (sentry->state == SENTRY_EXITED)
                return;

        sentry->state = SENTRY_EXITED;
        if (sentry->status < 0)
                sentry->status = status;
        if (sentry->profile->pid_host)
                kill_by_number(sentry);
        event_report_dropped(sentry->kernel);
        sentry_changed(sentry);
        kernel_dbus_changed(sentry, "State", NULL);
        kernel_dbus_exited(sentry, sentry->status);
        /* A manager that is just being replaced will want to know how it ended. */
        sentry_linger(sentry);
}

static int on_no_word(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        sentry_exited(userdata, 128 + SIGKILL);
        return 0;
}

void sentry_init_died(Sentry *sentry) {
        int r;

        if (sentry->end_source)
                return;
        r = sd_event_add_time_relative(sentry->event, &sentry->end_source, CLOCK_MONOTONIC, EXIT_WORD_USEC, 0,
                                       on_no_word, sentry);
        if (r < 0)
                sentry_exited(sentry, 128 + SIGKILL);
}

void sentry_deserted(Sentry *sentry) {
        /* Who is about to end has left its listener already. Its end is what its status comes with. */
        if (LIST_EMPTY(&sentry->notifier.listeners) && launch_server_in_place_is_over(sentry))
                sentry_exited(sentry, sentry->in_place_status >= 0 ? sentry->in_place_status : STATUS_UNKNOWN);
}

static void kill_all(Sentry *sentry) {
        (void) syscall(SYS_pidfd_send_signal, sentry->init_pidfd, SIGKILL, NULL, 0);
        if (sentry->cgroup.fd >= 0) /* before Linux 5.14 there is no such file */
                (void) sandbox_cgroup_write(&sentry->cgroup, "cgroup.kill", "1");
        if (sentry->profile->pid_host)
                kill_by_number(sentry);
}

int sentry_kill(Sentry *sentry, int status) {
        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return -ESRCH;

        /* The first status holds, as with exit_group(2). */
        if (sentry->status < 0) {
                sentry->status = status & 0xff;
                sentry_changed(sentry);
                launch_server_tell_status(sentry, sentry->status);
        }
        kill_all(sentry);
        return 0;
}

int sentry_freeze(Sentry *sentry, char **ret_message) {
        uint64_t now = kernel_now(sentry->kernel);
        int r;

        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return -ESRCH;

        if (saver_is_busy(&sentry->saver)) {
                (void) string_appendf(ret_message, "it is being saved");
                return -EBUSY;
        }

        if (sentry->freeze_depth == 0) {
                /* A task whose call was received cannot stop before it is answered, and all but the parked ones
                 * are. So nothing is received any more: a call that waits for that stops, and is made again
                 * afterwards. */
                sentry->notifier.receiving = false;
                r = freezer_freeze(&sentry->freezer, now + PAUSE_DEADLINE_NS, ret_message);
                if (r < 0) {
                        sentry->notifier.receiving = true;
                        return r;
                }
        }
        sentry->freeze_depth++;
        return 0;
}

void sentry_thaw(Sentry *sentry) {
        if (--sentry->freeze_depth > 0)
                return;
        freezer_thaw(&sentry->freezer);
        sentry->notifier.receiving = true;
        sentry->notifier.rearm = true;
}

int sentry_pause(Sentry *sentry, char **ret_message) {
        int r;

        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return -ESRCH;

        if (sentry->pause_depth == 0) {
                r = sentry_freeze(sentry, ret_message);
                if (r < 0)
                        return r;
                sentry->state = SENTRY_PAUSED;
                if (sentry->profile->pause_timers)
                        timekeeper_pause(&sentry->kernel->timekeeper);
        }

        sentry->pause_depth++;
        kernel_dbus_changed(sentry, "State", "PauseDepth", NULL);
        return 0;
}

int sentry_resume(Sentry *sentry) {
        if (sentry->state != SENTRY_RUNNING && sentry->state != SENTRY_PAUSED)
                return -ESRCH;
        if (sentry->pause_depth == 0)
                return -EALREADY;

        if (--sentry->pause_depth == 0) {
                if (sentry->profile->pause_timers)
                        timekeeper_resume(&sentry->kernel->timekeeper);
                sentry_thaw(sentry);
                sentry->state = SENTRY_RUNNING;
                launch_server_resumed(sentry);
        }
        kernel_dbus_changed(sentry, "State", "PauseDepth", NULL);
        return 0;
}
