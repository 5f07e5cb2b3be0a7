/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "imager.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define FDS_MAX 12U
#define FIRST_FD 3
#define HIGH_FD 64 /* where descriptors wait that have to go below */

void imager_open(Sentry *sentry) {
        static const char installed[] = SENTRYD_LIBEXECDIR "/sentry-imager";
        _cleanup_free_ char *path = NULL;
        char own[PATH_MAX], *slash;
        ssize_t n;

        n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        own[n > 0 ? n : 0] = '\0';
        slash = strrchr(own, '/');
        if (slash && string_appendf(&path, "%.*s/sentry-imager", (int) (slash - own), own) >= 0)
                sentry->imager_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (sentry->imager_fd < 0)
                sentry->imager_fd = open(installed, O_RDONLY | O_CLOEXEC);
}

__attribute__((noreturn)) static void child_main(int program, const char *verb, pid_t follow, const int fds[], size_t n_fds) {
        char *argv[] = { (char *) "sentry-imager", (char *) verb, NULL };
        int high[FDS_MAX + 1];
        size_t i;

        if (follow > 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != follow)
                        _exit(EXIT_FAILURE);
        }
        for (i = 0; i <= n_fds; i++) {
                high[i] = fcntl(i < n_fds ? fds[i] : program, F_DUPFD_CLOEXEC, HIGH_FD);
                if (high[i] < 0)
                        _exit(EXIT_FAILURE);
        }
        for (i = 0; i <= n_fds; i++)
                if (dup3(high[i], FIRST_FD + (int) i, i < n_fds ? 0 : O_CLOEXEC) < 0)
                        _exit(EXIT_FAILURE);
        /* A copy of a listener that lives on would leave the guests waiting, should we die. */
        (void) syscall(SYS_close_range, (unsigned) (FIRST_FD + n_fds + 1), ~0U, 0);
        (void) syscall(SYS_execveat, FIRST_FD + (int) n_fds, "", argv, environ, AT_EMPTY_PATH);
        log_error("cannot run sentry-imager: %s", strerror(errno));
        _exit(EXIT_FAILURE);
}

int imager_spawn(Sentry *sentry, const char *verb, bool follow, const int fds[], size_t n_fds, pid_t *ret_pid, int *ret_pidfd) {
        pid_t parent = getpid(), pid;
        int r;

        if (sentry->imager_fd < 0)
                return -ENOEXEC;
        if (n_fds > FDS_MAX)
                return -EINVAL;
        pid = fork();
        if (pid == 0)
                child_main(sentry->imager_fd, verb, follow ? parent : 0, fds, n_fds);
        if (pid < 0)
                return -errno;
        /* It cannot be reaped before the event loop comes around. */
        *ret_pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (*ret_pidfd < 0) {
                r = -errno;
                (void) kill(pid, SIGKILL);
                return r;
        }
        *ret_pid = pid;
        return 0;
}
