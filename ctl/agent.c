/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starting and ending pkttyagent(1). */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent.h"
#include "util.h"

#define NOTIFY_FD 3

bool agent_can_ask(void) {
        return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static _Noreturn void child_run(int notify_fd, pid_t parent) {
        char process[16];

        /* Not to stay at the terminal when we are killed. */
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);

        (void) snprintf(process, sizeof(process), "%d", (int) parent);
        if (notify_fd == NOTIFY_FD ? fcntl(notify_fd, F_SETFD, 0) < 0 : dup2(notify_fd, NOTIFY_FD) < 0)
                _exit(EXIT_FAILURE);
        (void) execlp("pkttyagent", "pkttyagent", "--process", process, "--notify-fd", "3", "--fallback", NULL);
        _exit(EXIT_FAILURE);
}

pid_t agent_start(void) {
        _cleanup_close_ int ready = -EBADF, notify = -EBADF;
        pid_t self = getpid(), pid;
        struct pollfd poll_fd;
        int pair[2];

        if (pipe2(pair, O_CLOEXEC) < 0)
                return 0;
        ready = pair[0];
        notify = pair[1];

        pid = fork();
        if (pid < 0)
                return 0;
        if (pid == 0)
                child_run(notify, self);

        /* It closes its end when it is ready, or has failed. */
        notify = safe_close(notify);
        poll_fd = (struct pollfd) { .fd = ready, .events = POLLIN };
        while (poll(&poll_fd, 1, AGENT_START_MSEC) < 0 && errno == EINTR)
                ;
        return pid;
}

void agent_stop(pid_t pid) {
        if (pid <= 0)
                return;

        (void) kill(pid, SIGTERM);
        (void) kill(pid, SIGCONT);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
