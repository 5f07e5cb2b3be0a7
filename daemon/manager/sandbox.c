/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a sandbox as the manager sees it: making the sockets and starting sentry-kernel, listening to that one,
 * and the end. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "bus-util.h"
#include "connection.h"
#include "log.h"
#include "manager.h"
#include "pending.h"
#include "rendezvous.h"
#include "runtime.h"
#include "sandbox-log.h"
#include "sandbox.h"
#include "spawn.h"

/* How many messages are taken in at once where one waits for it: what a socket buffer can hold, and a dead
 * sentry-kernel can have left. */
#define SETTLE_MESSAGES_MAX 1024U
#define DRAIN_MESSAGES_MAX 65536U

int sandbox_check_access(const Sandbox *s, uid_t caller, sd_bus_error *error) {
        if (caller == 0 || caller == s->owner)
                return 0;

        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Sandbox \"%s\" belongs to uid %u and you are uid %u: only its owner and root may "
                                 "use it.", s->name, s->owner, caller);
}

void sandbox_kill_kernel(Sandbox *s) {
        int r;

        if (!s->child_source)
                return;

        r = sd_event_source_send_child_signal(s->child_source, SIGKILL, NULL, 0);
        if (r < 0 && r != -ESRCH)
                log_warning_errno(r, "Failed to kill sentry-kernel of sandbox %s (process %d): %m", s->name,
                                  (int) s->pid);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Sandbox *s = userdata;

        if (s->ended) {
                log_warning("sentry-kernel of sandbox %s (process %d) does not exit though its sandbox has ended: "
                            "killing it.", s->name, (int) s->pid);
                sandbox_kill_kernel(s);
        } else if (streq(s->state, "starting")) {
                log_warning("Sandbox %s (uid %u) was not started in time: removing it.", s->name, s->owner);
                sandbox_kill_kernel(s);
        }

        return 0;
}

static int sandbox_set_deadline(Sandbox *s, uint64_t usec) {
        s->deadline_source = sd_event_source_disable_unref(s->deadline_source);
        return sd_event_add_time_relative(s->manager->event, &s->deadline_source, CLOCK_MONOTONIC, usec, 0,
                                          on_deadline, s);
}

/* The sandbox is over. Everybody is told; sentry-kernel may still live for a moment. */
static void sandbox_end(Sandbox *s, int status) {
        static const char *const changed[] = { "State", "ExitStatus", "InitPID", "PauseDepth", "IsPaused", NULL };
        char field[sizeof("SENTRYD_STATUS=") + 12];

        if (s->ended)
                return;

        (void) snprintf(field, sizeof(field), "SENTRYD_STATUS=%d", status);
        sandbox_log(s, LOG_INFO, MESSAGE_SANDBOX_END, (char *[]) { field, NULL }, "Sandbox %s has ended with status %d.",
                    s->name, status);

        s->exit_status = status;
        s->state = "exited";
        s->init_pid = s->pause_depth = 0;
        s->userns_ino = 0;
        free(TAKE_PTR(s->profile));
        index_remove(&s->manager->runtime, s->name);
        manager_retire_sandbox(s->manager, s);

        broadcast_exited(s);
        broadcast_properties(s, (char **) changed);
        broadcast_removed(s);
        pending_answer_waits(s);

        if (s->child_source)
                (void) sandbox_set_deadline(s, SANDBOX_DEPART_DEADLINE_USEC);
        manager_forget_ended(s->manager);
}

void sandbox_settle(Sandbox *s) {
        /* Not from within one of its own callbacks. */
        if (s->ended || !s->kernel || sd_bus_get_current_message(s->kernel))
                return;

        for (unsigned i = 0; i < SETTLE_MESSAGES_MAX && !s->ended; i++)
                if (sd_bus_process(s->kernel, NULL) <= 0)
                        break;
}

void sandbox_tell_subscribed(Sandbox *s) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        if (!s->kernel_ready || !s->kernel || s->ended)
                return;
        r = sd_bus_message_new_method_call(s->kernel, &call, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "TellTasks");
        if (r >= 0)
                r = sd_bus_message_append(call, "b", (int) s->manager->subscribed);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(call, 0);
        if (r >= 0)
                r = sd_bus_send(s->kernel, call, NULL);
        if (r < 0)
                log_warning_errno(r, "Failed to ask sentry-kernel of sandbox %s about its tasks: %m", s->name);
}

static int on_kernel_connected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        pending_kernel_ready(s);
        if (s->manager->subscribed)
                sandbox_tell_subscribed(s);
        return 1;
}

static int on_kernel_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        /* It is dead, or as good as: its exit is what ends the sandbox, with all that it said before taken in. */
        if (!s->ended)
                sandbox_kill_kernel(s);
        return 1;
}

static int on_kernel_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        int r;

        r = sandbox_take_properties(s, m);
        if (r < 0)
                log_warning_errno(r, "Failed to read what sentry-kernel of sandbox %s says of it: %m", s->name);
        return 1;
}

static int on_kernel_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const struct {
                const char *member, *signature;
        } known[] = {
                { "UnimplementedSyscall", "sisus" },
                { "Refused", "ssus" },
                { "EventsDropped", "t" },
                { "TaskNew", "uus" },
                { "TaskExec", "uuss" },
                { "TaskExit", "uui" },
                { "Stuck", "sust" },
        };
        const char *member = sd_bus_message_get_member(m);
        Sandbox *s = userdata;
        int status, r;

        if (s->ended)
                return 1;

        if (sd_bus_message_is_signal(m, BUS_SANDBOX_INTERFACE, "Exited")) {
                r = sd_bus_message_read(m, "i", &status);
                if (r < 0 || status < 0 || status > 255) {
                        log_warning("sentry-kernel of sandbox %s says Exited with a bad status.", s->name);
                        status = SANDBOX_STATUS_LOST;
                }
                sandbox_end(s, status);
                return 1;
        }

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(member, known[i].member) && sd_bus_message_has_signature(m, known[i].signature) > 0) {
                        sandbox_log_event(s, m);
                        broadcast_signal(s, m);
                        return 1;
                }

        log_debug("sentry-kernel of sandbox %s sent %s(%s), which is not known; ignored.", s->name, member,
                  sd_bus_message_get_signature(m, true));
        return 1;
}

static int on_kernel_exit(sd_event_source *source, const siginfo_t *si, void *userdata) {
        Sandbox *s = userdata;
        Manager *manager = s->manager;

        /* What it said before it went, most of all Exited, may still be to be read. */
        for (unsigned i = 0; i < DRAIN_MESSAGES_MAX; i++)
                if (sd_bus_process(s->kernel, NULL) <= 0)
                        break;

        if (!s->ended) {
                if (si->si_code == CLD_EXITED)
                        sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL,
                                    "sentry-kernel of sandbox %s (process %d) exited with status %d before its "
                                    "sandbox had ended.", s->name, (int) si->si_pid, si->si_status);
                else
                        sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL,
                                    "sentry-kernel of sandbox %s (process %d) was killed by signal %d (%s).", s->name,
                                    (int) si->si_pid, si->si_status, strsignal(si->si_status));
                sandbox_end(s, s->kill_status >= 0 ? s->kill_status : SANDBOX_STATUS_LOST);
        }

        s->child_source = sd_event_source_disable_unref(s->child_source);
        s->deadline_source = sd_event_source_disable_unref(s->deadline_source);
        manager->n_departing--;

        pending_kernel_gone(s);
        s->kernel = sd_bus_close_unref(s->kernel);

        manager_forget_ended(manager);
        manager_check_idle(manager);
        return 0;
}

/* Connects to sentry-kernel over fd; the handshake goes on by itself. Takes ownership of fd when it succeeds. */
static int sandbox_connect_kernel(Sandbox *s, int fd) {
        int r;

        r = bus_peer_new(fd, false, s->name, &s->kernel);
        if (r < 0)
                return r;

        r = sd_bus_set_connected_signal(s->kernel, 1);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Connected",
                                on_kernel_connected, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Disconnected",
                                on_kernel_disconnected, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, NULL,
                                on_kernel_signal, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_KERNEL_PATH, BUS_PROPERTIES_INTERFACE, "PropertiesChanged",
                                on_kernel_properties, s);
        if (r < 0)
                return r;

        r = sd_bus_attach_event(s->kernel, s->manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        return sd_bus_start(s->kernel);
}

/* A file in memory that nobody can change any more. */
static int make_sealed_file(const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        size_t size = strlen(text), done = 0;
        ssize_t n;

        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;

        while (done < size) {
                n = pwrite(fd, text + done, size - done, (off_t) done);
                if (n < 0)
                        return -errno;
                done += (size_t) n;
        }

        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;

        return TAKE_FD(fd);
}

/* Where sentry-kernel keeps what its successor must know. */
static int make_journal(void) {
        int fd = memfd_create("sentry-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        return fd < 0 ? -errno : fd;
}

/* Starts sentry-kernel with these descriptors. */
static int sandbox_spawn(Sandbox *s, const SpawnFd *fds, size_t n, bool recover, const SandboxImage *image) {
        Manager *manager = s->manager;
        int r;

        r = spawn_kernel(&(SpawnRequest) {
                                 .path = manager->kernel_path,
                                 .name = s->name,
                                 .recover = recover,
                                 .restore = image,
                                 .lazy = image && image->lazy,
                                 .env = manager->kernel_env,
                                 .fds = fds,
                                 .n_fds = n,
                                 .nofile = &manager->nofile,
                                 .switch_user = manager->mode == MANAGER_SYSTEM && s->owner != manager->uid,
                                 .uid = s->owner,
                         }, &s->pid);
        if (r < 0)
                return r;

        r = sd_event_add_child(manager->event, &s->child_source, s->pid, WEXITED, on_kernel_exit, s);
        if (r < 0) {
                (void) kill(s->pid, SIGKILL);
                (void) waitpid(s->pid, NULL, 0);
        }
        return r;
}

/* Makes all that joins us, sentry-kernel and launcher, and starts sentry-kernel. */
static int sandbox_start_kernel(Sandbox *s, const SandboxImage *image, int *ret_launch_fd) {
        Manager *manager = s->manager;
        _cleanup_close_ int launch_ours = -EBADF, launch_kernel = -EBADF, bus_ours = -EBADF, bus_kernel = -EBADF,
                            profile_fd = -EBADF, index_fd = -EBADF, journal_fd = -EBADF;
        int pair[2], one = 1, r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        launch_ours = pair[0];
        launch_kernel = pair[1];

        /* Before anything can be sent: each message of the launcher says then which process sent it. */
        if (setsockopt(launch_kernel, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
                return -errno;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        bus_ours = pair[0];
        bus_kernel = pair[1];

        profile_fd = make_sealed_file("sentryd-profile", s->profile);
        if (profile_fd < 0)
                return profile_fd;
        journal_fd = make_journal();
        if (journal_fd < 0)
                return journal_fd;

        r = sandbox_connect_kernel(s, bus_ours);
        if (s->kernel)
                bus_ours = -EBADF;
        if (r < 0)
                return r;

        r = sandbox_set_deadline(s, image ? SANDBOX_RESTORE_DEADLINE_USEC : SANDBOX_START_DEADLINE_USEC);
        if (r < 0)
                return r;

        index_fd = index_write(&manager->runtime, &(IndexEntry) {
                                                          .name = s->name,
                                                          .owner = s->owner,
                                                          .profile_name = s->profile_name,
                                                          .profile = s->profile,
                                                          .made_usec = s->started_usec,
                                                  });
        if (index_fd < 0)
                return index_fd;

        r = sandbox_spawn(s,
                          (SpawnFd[]) {
                                      { bus_kernel, RENDEZVOUS_FD_BUS },
                                      { launch_kernel, RENDEZVOUS_FD_LAUNCH },
                                      { profile_fd, RENDEZVOUS_FD_PROFILE },
                                      { index_fd, RENDEZVOUS_FD_INDEX },
                                      { manager->runtime.fd, RENDEZVOUS_FD_RUNDIR },
                                      { journal_fd, RENDEZVOUS_FD_JOURNAL },
                                      { image ? image->directory_fd : -EBADF, SPAWN_FD_IMAGE },
                          }, image ? 7 : 6, false, image);
        if (r < 0) {
                index_remove(&manager->runtime, s->name);
                return r;
        }

        *ret_launch_fd = TAKE_FD(launch_ours);
        return 0;
}

int sandbox_new(Manager *manager, const char *name, uid_t owner, const char *profile_name, const char *profile,
                const SandboxImage *image, Sandbox **ret, int *ret_launch_fd, sd_bus_error *error) {
        struct timespec now;
        Sandbox *s;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        s->manager = manager;
        s->serial = ++manager->serial_counter;
        s->owner = owner;
        s->state = "starting";
        s->exit_status = s->kill_status = -1;
        TAILQ_INIT(&s->pending);
        (void) clock_gettime(CLOCK_REALTIME, &now);
        s->started_usec = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;

        s->name = strdup(name);
        s->profile_name = strdup(profile_name);
        s->profile = strdup(profile);
        if (!s->name || !s->profile_name || !s->profile ||
            sd_bus_path_encode(BUS_SANDBOX_PREFIX, name, &s->path) < 0) {
                r = -ENOMEM;
                goto fail;
        }
        manager_link_sandbox(manager, s);

        r = sandbox_start_kernel(s, image, ret_launch_fd);
        if (r < 0)
                goto fail;

        sandbox_log(s, LOG_INFO, MESSAGE_SANDBOX_START, NULL,
                    "Sandbox %s made: uid %u, profile %s, sentry-kernel is process %d.", name, owner, profile_name,
                    (int) s->pid);
        *ret = s;
        return 0;

fail:
        sandbox_free(s);
        if (r == -ENOENT || r == -EACCES)
                return sd_bus_error_setf(error, BUS_ERROR_KERNEL_FAILED,
                                         "Can't run %s: %s. Is sentryd installed completely?", manager->kernel_path,
                                         strerror(-r));
        return sd_bus_error_setf(error, r == -EMFILE || r == -ENFILE || r == -EAGAIN ? BUS_ERROR_LIMIT_REACHED
                                                                                    : BUS_ERROR_KERNEL_FAILED,
                                 "Failed to start sentry-kernel for sandbox \"%s\": %s", name, strerror(-r));
}

void sandbox_announce(Sandbox *s) {
        broadcast_added(s);
}

Sandbox *sandbox_free(Sandbox *s) {
        if (!s)
                return NULL;

        manager_unlink_sandbox(s->manager, s);

        pending_drop_sandbox(s);
        sd_event_source_disable_unref(s->child_source);
        sd_event_source_disable_unref(s->deadline_source);
        sd_bus_close_unref(s->kernel);

        free(s->name);
        free(s->path);
        free(s->profile_name);
        free(s->profile);
        free(s->hostname);
        free(s->save_status);
        free(s->save_message);
        free(s->domainname);
        free(s->cpus);
        free(s->walls);
        free(s);
        return NULL;
}
