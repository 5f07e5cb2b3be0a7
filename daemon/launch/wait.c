/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The waiting parent: signals, job control, and the end.
 *
 * The program is what the shell, systemd or a terminal means when they send us a signal, but the child is often
 * process 1 of its PID namespace, for which the kernel drops every signal that it has no handler for. So the
 * default action of a signal is ours to carry out. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "launch-protocol.h"
#include "util.h"
#include "wait.h"

#ifndef SYS_pidfd_send_signal
#  define SYS_pidfd_send_signal 424
#endif

#define START_TIMEOUT_MSEC 60000 /* longer than any of the child's own */
#define KILL_TIMEOUT_MSEC 10000
#define SETTLE_MSEC 2
#define SETTLE_LOOKS 40 /* a shell that forks all the time is found unblocked much sooner */
#define SETTLE_PENDING_MSEC 100
#define BYE_TIMEOUT_MSEC 5000

typedef struct Waiter {
        const LaunchWait *wait;
        LaunchFailure *failure;
        bool starting;       /* the program has not been exec'd */
        bool status_open;    /* status_fd has more to say: until exec, and for as long as sentry-init lives */
        bool kernel_gone;    /* end of file on the launch socket */
        bool killed;         /* by us, for good */
        bool stopped;        /* by us, with SIGSTOP */
        int death_signal;    /* whose default action we carry out; 0: none */
        int exit_code;       /* decided by the emulated kernel; -1: not */
        int64_t deadline;    /* CLOCK_MONOTONIC, ms; INT64_MAX: none */
        uint64_t unsettled;  /* bit (signal - 1): blocked when it came, see settle() */
        int64_t settle_at;   /* CLOCK_MONOTONIC, ms; when to look at those again */
        unsigned n_looks;    /* that found none of them pending */
} Waiter;

typedef enum Disposition {
        DISPOSITION_DEFAULT,
        DISPOSITION_IGNORED,
        DISPOSITION_HANDLED, /* caught */
        DISPOSITION_PENDING, /* blocked, and not delivered yet */
        DISPOSITION_BLOCKED, /* blocked, and dropped since or taken by sigwait(3) or signalfd(2) */
} Disposition;

static int64_t now_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void send_signal(const Waiter *waiter, int sig, siginfo_t *info) {
        (void) syscall(SYS_pidfd_send_signal, waiter->wait->pidfd, sig, info, 0);
}

static void kill_program(Waiter *waiter) {
        if (waiter->killed)
                return;
        send_signal(waiter, SIGKILL, NULL);
        waiter->killed = true;
        waiter->deadline = now_msec() + KILL_TIMEOUT_MSEC;
}

static bool mask_has(const char *status, const char *key, int sig) {
        const char *line = strstr(status, key);
        unsigned long long mask;

        return line && sscanf(line + strlen(key), " %llx", &mask) == 1 && (mask & (1ULL << (sig - 1)));
}

/* What the program does about a signal, as far as its main thread tells. */
static Disposition disposition(const Waiter *waiter, int sig) {
        char status[8192];
        ssize_t n;

        if (waiter->wait->proc_status_fd < 0)
                return DISPOSITION_HANDLED;
        n = pread(waiter->wait->proc_status_fd, status, sizeof(status) - 1, 0);
        if (n <= 0)
                return DISPOSITION_HANDLED; /* it has ended */
        status[n] = '\0';

        if (mask_has(status, "\nSigIgn:", sig))
                return DISPOSITION_IGNORED;
        if (waiter->starting) /* handlers and mask are still ours */
                return DISPOSITION_DEFAULT;
        if (mask_has(status, "\nSigCgt:", sig))
                return DISPOSITION_HANDLED;
        if (mask_has(status, "\nSigPnd:", sig) || mask_has(status, "\nShdPnd:", sig))
                return DISPOSITION_PENDING;
        if (mask_has(status, "\nSigBlk:", sig))
                return DISPOSITION_BLOCKED;
        return DISPOSITION_DEFAULT;
}

/* By its control group, or by sentry-kernel as its tracer. */
static bool is_frozen(const Waiter *waiter) {
        char status[8192];
        ssize_t n;

        if (cgroup_is_frozen(waiter->wait->cgroup->events_fd))
                return true;
        n = waiter->wait->proc_status_fd < 0 ? -1
                                             : pread(waiter->wait->proc_status_fd, status, sizeof(status) - 1, 0);
        status[n > 0 ? n : 0] = '\0';
        return strstr(status, "\nState:\tt");
}

static bool is_stop_signal(int sig) {
        return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* Stops this process as the shell expects of a job, until somebody continues it. */
static void stop_self(Waiter *waiter) {
        int64_t before = now_msec();

        (void) raise(SIGSTOP);

        if (waiter->deadline != INT64_MAX)
                waiter->deadline += now_msec() - before;
}

/* Carries out the default action of a signal, as the kernel would for any process but the first of a namespace. */
static void act_by_default(Waiter *waiter, int sig) {
        if (!is_stop_signal(sig)) {
                if (waiter->death_signal == 0)
                        waiter->death_signal = sig;
                kill_program(waiter);
        } else if (waiter->starting)
                stop_self(waiter);
        else {
                waiter->stopped = true;
                send_signal(waiter, SIGSTOP, NULL); /* then SIGCHLD comes, see on_child() */
        }
}

/* Shells block signals for moments around a fork. One that comes then is dropped by the kernel as soon as it is
 * unblocked, if it has the default action; so we look until we have seen it unblocked, or so often without that it must
 * be one that the program keeps blocked and takes by itself. */
static void settle_later(Waiter *waiter, int sig) {
        waiter->unsettled |= UINT64_C(1) << (sig - 1);
        waiter->n_looks = 0;
        waiter->settle_at = now_msec() + SETTLE_MSEC;
}

static void settle(Waiter *waiter) {
        bool any_pending = false;

        for (int sig = 1; sig < 64; sig++) {
                uint64_t bit = UINT64_C(1) << (sig - 1);
                Disposition what;

                if (!(waiter->unsettled & bit))
                        continue;
                what = disposition(waiter, sig);
                any_pending = any_pending || what == DISPOSITION_PENDING;
                if (what == DISPOSITION_PENDING || (what == DISPOSITION_BLOCKED && waiter->n_looks < SETTLE_LOOKS))
                        continue;
                waiter->unsettled &= ~bit;
                if (what == DISPOSITION_DEFAULT)
                        act_by_default(waiter, sig);
        }
        if (!any_pending)
                waiter->n_looks++;
        waiter->settle_at = now_msec() + (any_pending ? SETTLE_PENDING_MSEC : SETTLE_MSEC);
}

static void on_signal(Waiter *waiter, const struct signalfd_siginfo *si) {
        int sig = (int) si->ssi_signo;
        bool from_process = si->ssi_code <= 0; /* not a terminal's, which the program got itself */
        siginfo_t info = {}, *queued = NULL;

        if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG)
                return;

        if (sig == SIGCONT) {
                waiter->stopped = false;
                send_signal(waiter, SIGCONT, NULL);
                return;
        }

        /* Before exec it is all the same whose child it is. */
        if ((waiter->wait->is_init || waiter->starting) && sig != SIGWINCH) {
                Disposition what = disposition(waiter, sig);

                if (what == DISPOSITION_DEFAULT) {
                        act_by_default(waiter, sig);
                        return;
                }
                if (what == DISPOSITION_PENDING || what == DISPOSITION_BLOCKED)
                        settle_later(waiter, sig);
        }

        if (!from_process)
                return;
        if (si->ssi_code == SI_QUEUE) {
                info.si_signo = sig;
                info.si_code = SI_QUEUE;
                info.si_pid = (pid_t) si->ssi_pid;
                info.si_uid = (uid_t) si->ssi_uid;
                info.si_value.sival_ptr = (void *) (uintptr_t) si->ssi_ptr;
                queued = &info;
        }
        send_signal(waiter, sig, queued);
}

static void on_signals(Waiter *waiter) {
        struct signalfd_siginfo si[8];
        ssize_t n;

        n = read(waiter->wait->signal_fd, si, sizeof(si));
        for (size_t i = 0; n > 0 && i < (size_t) n / sizeof(si[0]); i++)
                on_signal(waiter, si + i);
}

/* News from before exec: why it failed, or end of file, which is exec or death; and of sentry-init. */
static void on_start_status(Waiter *waiter) {
        LaunchFailure failure = {};

        if (read(waiter->wait->status_fd, &failure, sizeof(failure)) != sizeof(failure))
                waiter->status_open = false;

        if (failure.code == LAUNCH_NEWS_STOPPED) {
                if (!waiter->killed)
                        stop_self(waiter);
                return;
        }
        if (failure.code > 0 && waiter->failure->code == 0)
                *waiter->failure = failure;

        if (failure.code == LAUNCH_NEWS_STARTED && waiter->wait->ready_fd >= 0)
                (void) !write(waiter->wait->ready_fd, "", 1);
        if (failure.code != LAUNCH_NEWS_HELD)
                waiter->starting = false;
        if (!waiter->killed)
                waiter->deadline = INT64_MAX;
}

/* Messages of sentry-kernel. Returns true when it said goodbye or is gone. */
static bool on_kernel(Waiter *waiter) {
        for (;;) {
                LaunchMessage message;
                ssize_t n;

                n = recv(waiter->wait->launch_fd, &message, sizeof(message), MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return false;
                if (n <= 0) {
                        waiter->kernel_gone = true;
                        return true;
                }
                if (n != sizeof(message) || message.version != LAUNCH_PROTOCOL_VERSION)
                        continue;
                if (message.type == LAUNCH_STATUS)
                        waiter->exit_code = message.value & 0xff;
                else if (message.type == LAUNCH_BYE)
                        return true;
        }
}

/* Reaps the child, or stops with it. Returns true with its wait status once it has ended. */
static bool on_child(Waiter *waiter, int *ret_status) {
        for (;;) {
                int status, sig;
                pid_t pid;

                pid = waitpid(waiter->wait->pid, &status, WNOHANG | WUNTRACED);
                if (pid == 0)
                        return false;
                if (pid < 0) { /* cannot be: only we reap it */
                        *ret_status = LAUNCH_EXIT_FAILURE << 8;
                        return true;
                }
                if (!WIFSTOPPED(status)) {
                        *ret_status = status;
                        return true;
                }

                /* A program that somebody stopped, not the terminal, is for that somebody to continue, who does
                 * not know of us. */
                sig = WSTOPSIG(status);
                if (!waiter->killed && (is_stop_signal(sig) || (sig == SIGSTOP && waiter->stopped)))
                        stop_self(waiter);
        }
}

/* Tells sentry-kernel of the end, also of one before the hand-over, and waits until everybody knows who asks. */
static void say_exited(Waiter *waiter, int status) {
        LaunchMessage message = { .version = LAUNCH_PROTOCOL_VERSION, .type = LAUNCH_EXITED, .value = status };
        struct pollfd fd = { .fd = waiter->wait->launch_fd, .events = POLLIN };
        int64_t deadline = now_msec() + BYE_TIMEOUT_MSEC;

        if (send(waiter->wait->launch_fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return;

        while (!on_kernel(waiter)) {
                int64_t left = deadline - now_msec();

                if (left <= 0 || (poll(&fd, 1, (int) left) < 0 && errno != EINTR))
                        break;
        }
}

static int finish(Waiter *waiter, int status) {
        LaunchFailure *failure = waiter->failure;

        if (waiter->starting && waiter->status_open && failure->code == 0) /* what it wrote last may still lie in the pipe */
                on_start_status(waiter);

        if (WIFSIGNALED(status))
                terminal_take_back(&waiter->wait->terminal);

        /* As if the signal had done it. */
        if (waiter->death_signal != 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                status = waiter->death_signal;

        if (waiter->kernel_gone && failure->code == 0 && waiter->exit_code < 0)
                failure_set(failure, 0, "The log of sentryd says why; what ran in the sandbox was ended.",
                            "its sentry-kernel died");
        if (failure->code != 0) {
                failure_print(failure, waiter->wait->name);
                if (WIFSIGNALED(status) || WEXITSTATUS(status) == 0)
                        status = failure->code << 8;
        }

        cgroup_done(waiter->wait->cgroup); /* who hears of the end finds nothing left of it */
        if (!waiter->kernel_gone)
                say_exited(waiter, status);

        if (failure->code != 0)
                return failure->code;
        if (waiter->exit_code >= 0)
                return waiter->exit_code;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int wait_for_program(const LaunchWait *wait, LaunchFailure *failure) {
        Waiter waiter = {
                .wait = wait,
                .failure = failure,
                .starting = true,
                .status_open = true,
                .exit_code = -1,
                .deadline = now_msec() + START_TIMEOUT_MSEC,
        };

        if (failure->code != 0)
                kill_program(&waiter);

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = wait->signal_fd, .events = POLLIN },
                        { .fd = wait->pidfd, .events = POLLIN },
                        { .fd = waiter.status_open ? wait->status_fd : -1, .events = POLLIN },
                        /* Until exec the first message is for the child, who reads from the same socket. */
                        { .fd = waiter.kernel_gone ? -1 : wait->launch_fd, .events = waiter.starting ? 0 : POLLIN },
                };
                int64_t left, next = waiter.deadline;
                int status, r;

                if (waiter.unsettled != 0)
                        next = MIN(next, waiter.settle_at);
                left = next - now_msec();
                r = poll(fds, ELEMENTSOF(fds), next == INT64_MAX ? -1 : left > 0 ? (int) left : 0);
                if (r < 0 && errno != EINTR) {
                        failure_set(failure, errno, NULL, "cannot wait for the program");
                        kill_program(&waiter);
                }
                if (waiter.unsettled != 0 && now_msec() >= waiter.settle_at)
                        settle(&waiter);
                if (r == 0 && now_msec() >= waiter.deadline) {
                        if (waiter.killed) {
                                failure_set(failure, ETIMEDOUT,
                                            "It may hang in the host's kernel, on a dead network mount for one.",
                                            "process %d was killed but does not end", wait->pid);
                                return finish(&waiter, LAUNCH_EXIT_FAILURE << 8);
                        }
                        if (is_frozen(&waiter)) { /* with the sandbox that it joins: time does not count */
                                waiter.deadline = now_msec() + START_TIMEOUT_MSEC;
                                continue;
                        }
                        failure_set(failure, ETIMEDOUT, NULL, "the program did not start");
                        kill_program(&waiter);
                }
                if (r <= 0)
                        continue;

                if (fds[0].revents)
                        on_signals(&waiter);
                if (fds[2].revents)
                        on_start_status(&waiter);
                if (fds[3].revents) {
                        if (waiter.starting)
                                waiter.kernel_gone = fds[3].revents & (POLLHUP | POLLERR);
                        else
                                (void) on_kernel(&waiter);
                }
                if ((fds[0].revents || fds[1].revents) && on_child(&waiter, &status))
                        return finish(&waiter, status);
                if (waiter.kernel_gone)
                        kill_program(&waiter);
        }
}
