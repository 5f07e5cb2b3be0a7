/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentry-init: the first process of a sandbox that was asked for one. Starts the program, passes signals on to it, reaps
 * orphans, and ends with the program's status. The launcher executes it by descriptor, so it need not be in the sandbox;
 * it is statically linked for the same reason, and confined by the same filter as the program.
 *
 *     sentry-init STATUS-FD PROGRAM [ARGUMENT...]
 *
 * The program is in our process group, which is the terminal's foreground one if the launcher's is: what the terminal
 * sends it has itself, and what came from a process is for us to pass on. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "program-exec.h"
#include "util.h"

#ifndef SYS_close_range
#  define SYS_close_range 436
#endif

/* Set before the fork, constant after it. */
typedef struct Init {
        int status_fd; /* to the launcher, for LaunchFailure */
        sigset_t mask; /* what the program inherits */
        struct sigaction child_action;
} Init;

static void tell(const Init *init, int news) {
        LaunchFailure message = { .code = news };

        /* The launcher may be gone, and we about to go. */
        (void) !write(init->status_fd, &message, sizeof(message));
}

static _Noreturn void run_program(const Init *init, char **argv) {
        LaunchFailure failure = {};
        Program program = {};

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (program_find(NULL, argv, strv_copy(environ), -EBADF, &program, &failure) >= 0) {
                (void) sigaction(SIGCHLD, &init->child_action, NULL);
                (void) sigprocmask(SIG_SETMASK, &init->mask, NULL);
                (void) program_exec(&program, &failure);
        }
        (void) !write(init->status_fd, &failure, sizeof(failure));
        _exit(failure.code);
}

/* Starts the program. Returns when it has been exec'ed or has failed at that. */
static pid_t start(const Init *init, char **argv) {
        int fds[2];
        pid_t pid;
        char end;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                run_program(init, argv);
        safe_close(fds[1]);
        (void) !read(fds[0], &end, 1);
        safe_close(fds[0]);
        return pid;
}

/* Pipes that the program closes shall not stay open by us. */
static void close_all_but(int a, int b) {
        int low = MIN(a, b), high = MAX(a, b);

        if (low > 0)
                (void) syscall(SYS_close_range, 0, low - 1, 0);
        if (high > low + 1)
                (void) syscall(SYS_close_range, low + 1, high - 1, 0);
        (void) syscall(SYS_close_range, high + 1, ~0U, 0);
}

/* Those of the terminal. Whoever sends SIGSTOP does not know of the launcher, and continues the program himself. */
static bool is_stop_signal(int sig) {
        return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* Reaps whoever has ended. Returns true with the exit status when the program has. */
static bool reap(const Init *init, pid_t program, int *ret_status) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
                if (pid != program)
                        continue;
                if (WIFSTOPPED(status)) {
                        /* The shell waits for the launcher, which does not see the program. */
                        if (is_stop_signal(WSTOPSIG(status)))
                                tell(init, LAUNCH_NEWS_STOPPED);
                        continue;
                }
                *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                return true;
        }
        return false;
}

static void pass_on(pid_t program, const struct signalfd_siginfo *si) {
        int sig = (int) si->ssi_signo;

        /* Above 0: from the kernel, and for us, or from the terminal, and for all of the group. */
        if (si->ssi_code > 0 || sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG)
                return;
        if (si->ssi_code == SI_QUEUE) {
                siginfo_t info = { .si_signo = sig, .si_code = SI_QUEUE };

                info.si_pid = (pid_t) si->ssi_pid;
                info.si_uid = (uid_t) si->ssi_uid;
                info.si_value.sival_ptr = (void *) (uintptr_t) si->ssi_ptr;
                (void) syscall(SYS_rt_sigqueueinfo, program, sig, &info);
        } else
                (void) kill(program, sig);
}

int main(int argc, char **argv) {
        struct sigaction default_action = { .sa_handler = SIG_DFL };
        Init init = {};
        sigset_t all;
        int signal_fd, status = 0;
        pid_t program;

        if (argc < 3 || safe_atoi(argv[1], &init.status_fd) < 0 || fcntl(init.status_fd, F_SETFD, FD_CLOEXEC) < 0)
                return LAUNCH_EXIT_FAILURE;

        /* First of all: from here on nothing is lost. */
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, &init.mask);
        (void) sigaction(SIGCHLD, &default_action, &init.child_action);
        (void) prctl(PR_SET_NAME, "sentry-init");
        if (getpid() != 1) /* of the host's PID namespace */
                (void) prctl(PR_SET_CHILD_SUBREAPER, 1);

        /* Not sigwaitinfo(2), during which /proc/PID/status has them as not blocked: by that the launcher knows that we
         * deal with them. */
        signal_fd = signalfd(-1, &all, SFD_CLOEXEC);
        if (signal_fd < 0)
                return LAUNCH_EXIT_FAILURE;

        program = start(&init, argv + 2);
        if (program < 0) {
                LaunchFailure failure = {};

                (void) failure_set(&failure, program, NULL, "sentry-init cannot start the program");
                (void) !write(init.status_fd, &failure, sizeof(failure));
                return LAUNCH_EXIT_FAILURE;
        }
        tell(&init, LAUNCH_NEWS_STARTED);
        close_all_but(init.status_fd, signal_fd);

        while (!reap(&init, program, &status)) {
                struct signalfd_siginfo si;

                if (read(signal_fd, &si, sizeof(si)) == sizeof(si))
                        pass_on(program, &si);
        }
        return status;
}
