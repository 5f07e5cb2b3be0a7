/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "arrivals.h"
#include "held.h"
#include "identify.h"
#include "log.h"
#include "manager.h"
#include "pending.h"
#include "rendezvous.h"
#include "runtime.h"
#include "sandbox-kernel.h"
#include "sandbox-log.h"
#include "sandbox.h"
#include "spawn.h"
#include "util.h"

#define FAILED_MAX 3U              /* sentry-kernels that we start in a row without one that comes */
#define KILLED_MAX 200U            /* those among them that somebody else has killed do not count, up to so many */
#define RETRY_USEC 20000U          /* flock(2) has no event */
#define RETRY_LATE_USEC 1000000U   /* … once nobody waits any more */
#define STATUS_SIZE_MAX 4096U

static void check_dead(Sandbox *s);

/* ---- processes */

/* Whether who runs a sandbox could kill that process himself: pidfds come from processes of his. -ESRCH: it is gone. */
static int is_owners(const Sandbox *s, int pidfd) {
        _cleanup_free_ char *text = NULL;
        char path[sizeof("/proc//status") + 12];
        unsigned uid;
        const char *line;
        pid_t pid;

        if (s->manager->mode != MANAGER_SYSTEM || s->owner == s->manager->uid)
                return true;
        if (pidfd_get_pid(pidfd, &pid) < 0)
                return -ESRCH;
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        if (read_full_file(path, STATUS_SIZE_MAX, &text, NULL) < 0)
                return -ESRCH;
        line = strstr(text, "\nUid:\t");
        return line && sscanf(line, "\nUid:\t%u", &uid) == 1 && uid == s->owner;
}

static void kill_process(const Sandbox *s, sd_event_source *source, bool trusted) {
        int fd = source ? sd_event_source_get_io_fd(source) : -EBADF, r = 1;

        if (fd < 0)
                return;
        if (!trusted)
                r = is_owners(s, fd);
        if (r < 0)
                return;
        if (r == 0) {
                log_warning("Sandbox %s names a process that is not its owner's as its own; not killing that.", s->name);
                return;
        }
        if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                log_warning_errno(errno, "Failed to kill sentry-kernel of sandbox %s: %m", s->name);
}

/* Reaps a process if it is a child of ours. */
static bool reap(int pidfd, siginfo_t *ret) {
        *ret = (siginfo_t) {};
        return waitid(P_PIDFD, (id_t) pidfd, ret, WEXITED | WNOHANG) >= 0 && ret->si_pid > 0;
}

/* Calls handler when the process exits. pidfd is taken. */
static int watch_process(Sandbox *s, int pidfd, sd_event_io_handler_t handler, sd_event_source **ret) {
        int r;

        *ret = sd_event_source_disable_unref(*ret);
        r = sd_event_add_io(s->manager->event, ret, pidfd, EPOLLIN, handler, s);
        if (r < 0) {
                safe_close(pidfd);
                return r;
        }
        (void) sd_event_source_set_io_fd_own(*ret, 1);
        return 0;
}

static int on_stray_exit(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        siginfo_t si;

        (void) reap(fd, &si);
        sd_event_source_disable_unref(source);
        return 0;
}

/* Stops watching sentry-kernel, which has a successor: it is dead or is about to be. */
static void forget_process(Sandbox *s) {
        siginfo_t si;
        int fd;

        if (!s->process_source)
                return;
        fd = sd_event_source_get_io_fd(s->process_source);
        if (s->is_child && !reap(fd, &si)) {
                sd_event_source *stray;

                kill_process(s, s->process_source, true);
                fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (fd >= 0 && sd_event_add_io(s->manager->event, &stray, fd, EPOLLIN, on_stray_exit, NULL) >= 0)
                        (void) sd_event_source_set_io_fd_own(stray, 1);
                else
                        safe_close(fd);
        }
        s->process_source = sd_event_source_disable_unref(s->process_source);
}

static void describe_exit(const siginfo_t *si, bool known, char text[static 64]) {
        if (!known)
                (void) snprintf(text, 64, "ended");
        else if (si->si_code == CLD_EXITED)
                (void) snprintf(text, 64, "exited with status %d", si->si_status);
        else
                (void) snprintf(text, 64, "was killed by signal %d (%s)", si->si_status, strsignal(si->si_status));
}

/* Nothing of the sandbox runs any more, or is about to: what was for its kernel goes. */
static void departed(Sandbox *s) {
        kill_process(s, s->keeper_source, false);
        s->keeper_source = sd_event_source_disable_unref(s->keeper_source);
        s->deadline_source = sd_event_source_disable_unref(s->deadline_source);
        s->away_source = sd_event_source_disable_unref(s->away_source);
        s->retry_source = sd_event_source_disable_unref(s->retry_source);
        pending_kernel_gone(s);
        s->kernel = sd_bus_close_unref(s->kernel);
        s->kernel_ready = false;
        held_clear(s, true);
        manager_check_idle(s->manager);
}

static int on_process_exit(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Sandbox *s = userdata;
        Manager *manager = s->manager;
        char how[64];
        siginfo_t si;
        bool known;

        /* What it said before it went, most of all Exited, may still be to be read. */
        sandbox_drain(s);
        known = reap(fd, &si);
        describe_exit(&si, known, how);
        s->process_source = sd_event_source_disable_unref(s->process_source);
        /* SIGKILL is nothing that it does to itself: the next one may fare better. */
        if (known && si.si_code == CLD_KILLED && si.si_status == SIGKILL && s->n_failed > 0 && s->n_killed < KILLED_MAX) {
                s->n_failed--;
                s->n_killed++;
        }

        if (s->ended) {
                manager->n_departing--;
                departed(s);
                manager_forget_ended(manager);
                return 0;
        }

        if (s->recoverable && !s->doomed)
                sandbox_log(s, LOG_WARNING, MESSAGE_KERNEL_DIED, NULL,
                            "sentry-kernel of sandbox %s (process %d) %s; another one goes on in its place.", s->name,
                            (int) s->pid, how);
        else
                sandbox_log(s, s->doomed ? LOG_INFO : LOG_ERR, s->doomed ? NULL : MESSAGE_SANDBOX_LOST, NULL,
                            "sentry-kernel of sandbox %s (process %d) %s before its sandbox had ended.", s->name,
                            (int) s->pid, how);
        sandbox_lose_kernel(s);
        check_dead(s);
        return 0;
}

static int on_keeper_exit(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Sandbox *s = userdata;

        s->keeper_source = sd_event_source_disable_unref(s->keeper_source);
        check_dead(s);
        return 0;
}

/* ---- starting */

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
        int pidfd, r;

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

        pidfd = (int) syscall(SYS_pidfd_open, s->pid, 0);
        r = pidfd < 0 ? -errno : watch_process(s, pidfd, on_process_exit, &s->process_source);
        s->is_child = true;
        if (r < 0) {
                (void) kill(s->pid, SIGKILL);
                (void) waitpid(s->pid, NULL, 0);
        }
        return r;
}

int sandbox_start_kernel(Sandbox *s, const SandboxImage *image, int *ret_launch_fd) {
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

        /* The lock is in sentry-kernel alone, and in who has its descriptors from it: that is what tells us of its life. */
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

/* ---- losing it, and getting it back */

static int on_away_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Sandbox *s = userdata;

        s->away_source = sd_event_source_disable_unref(s->away_source);
        log_warning("No sentry-kernel of sandbox %s has come for %u s: its calls fail until one does.", s->name,
                    (unsigned) (SANDBOX_AWAY_DEADLINE_USEC / 1000000));
        pending_kernel_late(s);
        kill_process(s, s->process_source, s->is_child); /* its keeper, or we, have another one come */
        arrivals_come(s);
        return 0;
}

/* The sandbox has no sentry-kernel that we can talk to. */
static void start_waiting(Sandbox *s) {
        int r;

        if (s->away_source)
                return;
        r = sd_event_add_time_relative(s->manager->event, &s->away_source, CLOCK_MONOTONIC, SANDBOX_AWAY_DEADLINE_USEC, 0,
                                       on_away_deadline, s);
        if (r < 0) {
                log_warning_errno(r, "Failed to set a deadline for sentry-kernel of sandbox %s: %m", s->name);
                pending_kernel_late(s);
        }
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Sandbox *s = userdata;

        s->retry_source = sd_event_source_disable_unref(s->retry_source);
        check_dead(s);
        return 0;
}

/* Starts a sentry-kernel that goes on from what we hold. lock_fd: of the sandbox's file. */
static int recover(Sandbox *s, int lock_fd) {
        Manager *m = s->manager;
        _cleanup_free_ SpawnFd *fds = NULL;
        size_t n = 0;
        int r;

        if (!s->recoverable || s->doomed || s->n_failed >= FAILED_MAX)
                return -ENOTRECOVERABLE;
        fds = calloc(s->n_held + 2, sizeof(*fds));
        if (!fds)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_held; i++) {
                const HeldFd *held = s->held + i;

                if (held->role != RENDEZVOUS_KEEPER &&
                    held->number != RENDEZVOUS_FD_INDEX && held->number != RENDEZVOUS_FD_RUNDIR)
                        fds[n++] = (SpawnFd) { held->fd, (int) held->number };
        }
        fds[n++] = (SpawnFd) { lock_fd, RENDEZVOUS_FD_INDEX };
        fds[n++] = (SpawnFd) { m->runtime.fd, RENDEZVOUS_FD_RUNDIR };

        s->n_failed++;
        r = sandbox_spawn(s, fds, n, true, NULL);
        if (r < 0)
                return log_error_errno(r, "Failed to start sentry-kernel of sandbox %s again: %m", s->name);
        log_info("Sandbox %s: sentry-kernel and its keeper are dead; process %d goes on in their place.", s->name,
                 (int) s->pid);
        start_waiting(s);
        return 0;
}

/* Looks whether anybody is left who could come. The lock decides, and not what we know of processes: one that we have
 * not heard of yet may serve. */
static void check_dead(Sandbox *s) {
        _cleanup_close_ int lock_fd = -EBADF;
        int r;

        if (s->ended || s->kernel || s->process_source || s->keeper_source)
                return;

        lock_fd = index_lock(&s->manager->runtime, s->name);
        if (lock_fd == -EWOULDBLOCK) {
                if (!s->retry_source &&
                    sd_event_add_time_relative(s->manager->event, &s->retry_source, CLOCK_MONOTONIC,
                                               s->away_source ? RETRY_USEC : RETRY_LATE_USEC, 0, on_retry, s) < 0)
                        log_oom();
                return;
        }
        if (lock_fd < 0 && lock_fd != -ENOENT)
                log_warning_errno(lock_fd, "Failed to lock the file of sandbox %s: %m", s->name);

        r = lock_fd < 0 ? lock_fd : recover(s, lock_fd);
        if (r >= 0)
                return;
        if (!s->doomed && r != -ENOTRECOVERABLE)
                sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL, "Sandbox %s is lost.", s->name);
        else if (!s->doomed && s->n_failed > 0)
                sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL,
                            "Sandbox %s is lost: %u sentry-kernels that should go on did not come.", s->name, s->n_failed);
        sandbox_end(s, s->kill_status >= 0 ? s->kill_status : SANDBOX_STATUS_LOST);
}

void sandbox_lose_kernel(Sandbox *s) {
        if (!s->kernel)
                return;
        s->kernel_ready = false;
        s->kernel = sd_bus_close_unref(s->kernel);
        pending_kernel_away(s);
        if (s->ended)
                return;
        start_waiting(s);
        check_dead(s);
}

int sandbox_expect_kernel(Sandbox *s, int lock_fd) {
        start_waiting(s);
        if (lock_fd < 0) {
                check_dead(s);
                return 0;
        }
        s->recoverable = held_find_number(s, RENDEZVOUS_FD_JOURNAL);
        return recover(s, lock_fd);
}

static void take_table(Sandbox *s, HeldFd *table, size_t n) {
        const HeldFd *keeper;
        int fd, r;

        r = held_set(s, table, n);
        if (r < 0)
                log_warning_errno(r, "Failed to hold the descriptors of sandbox %s: %m", s->name);
        s->recoverable = r >= 0 && held_find_role(s, RENDEZVOUS_JOURNAL);

        s->keeper_source = sd_event_source_disable_unref(s->keeper_source);
        keeper = held_find_role(s, RENDEZVOUS_KEEPER);
        if (!keeper)
                return;
        fd = fcntl(keeper->fd, F_DUPFD_CLOEXEC, 3);
        r = fd < 0 ? -errno : watch_process(s, fd, on_keeper_exit, &s->keeper_source);
        if (r < 0) /* then the lock will tell */
                log_debug_errno(r, "Failed to watch the keeper of sandbox %s: %m", s->name);
}

int sandbox_take_descriptors(Sandbox *s, sd_bus_message *m) {
        HeldFd table[RENDEZVOUS_FDS_MAX];
        RendezvousFd names[RENDEZVOUS_FDS_MAX];
        uint32_t role, number;
        size_t n = 0;
        int fd, r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "(uuh)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(uuh)", &role, &number, &fd)) > 0) {
                r = n < RENDEZVOUS_FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
                if (r < 0) {
                        r = n < RENDEZVOUS_FDS_MAX ? -errno : -E2BIG;
                        break;
                }
                names[n] = (RendezvousFd) { role, number };
                table[n++] = (HeldFd) { .fd = r, .role = role, .number = number };
        }
        if (r >= 0 && !rendezvous_table_is_valid(names, (uint32_t) n))
                r = -EBADMSG;
        if (r < 0) {
                while (n > 0)
                        safe_close(table[--n].fd);
                return r;
        }
        take_table(s, table, n);
        return 0;
}

int sandbox_adopt_kernel(Sandbox *s, Rendezvous *hello, int fd) {
        HeldFd table[RENDEZVOUS_FDS_MAX];
        pid_t pid;
        int r;

        if (s->doomed)
                return -ESTALE;
        r = pidfd_get_pid(hello->pidfd, &pid);
        if (r < 0)
                return r;

        /* The one before is dead, but we may not have heard all that it said. */
        sandbox_drain(s);
        if (s->ended)
                return -ESTALE;
        if (s->kernel) {
                s->kernel_ready = false;
                s->kernel = sd_bus_close_unref(s->kernel);
                pending_kernel_away(s);
        }
        if (!s->process_source || pid != s->pid) {
                forget_process(s);
                s->is_child = false;
                s->pid = pid;
                r = watch_process(s, TAKE_FD(hello->pidfd), on_process_exit, &s->process_source);
                if (r < 0)
                        goto fail;
        }
        for (uint32_t i = 0; i < hello->n; i++)
                table[i] = (HeldFd) {
                        .fd = TAKE_FD(hello->fds[i]),
                        .role = hello->table[i].role,
                        .number = hello->table[i].number,
                };
        take_table(s, table, hello->n);

        r = rendezvous_answer(fd, 0); /* the first bytes; then it is a bus */
        if (r >= 0)
                r = sandbox_connect_kernel(s, fd);
        if (r < 0)
                goto fail;

        s->away_source = sd_event_source_disable_unref(s->away_source);
        s->retry_source = sd_event_source_disable_unref(s->retry_source);
        s->n_failed = s->n_killed = 0;
        log_debug("sentry-kernel of sandbox %s (process %d) has come.", s->name, (int) pid);
        return 0;

fail:
        s->kernel = sd_bus_close_unref(s->kernel);
        start_waiting(s);
        check_dead(s);
        return r;
}

void sandbox_kill_kernel(Sandbox *s) {
        s->doomed = true;
        kill_process(s, s->keeper_source, false);
        kill_process(s, s->process_source, s->is_child);
        if (!s->ended)
                check_dead(s);
}

void sandbox_depart(Sandbox *s) {
        s->doomed = true;
        if (s->process_source)
                (void) sandbox_set_deadline(s, SANDBOX_DEPART_DEADLINE_USEC);
        else
                departed(s);
}

void sandbox_release_kernel(Sandbox *s) {
        s->process_source = sd_event_source_disable_unref(s->process_source);
        s->keeper_source = sd_event_source_disable_unref(s->keeper_source);
        s->away_source = sd_event_source_disable_unref(s->away_source);
        s->retry_source = sd_event_source_disable_unref(s->retry_source);
        s->kernel = sd_bus_close_unref(s->kernel);
        held_clear(s, false);
}
