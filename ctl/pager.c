/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-login.h>

#include "pager.h"
#include "util.h"

/* Of this process; stdout is there once. */
static pid_t pager;    /* 0: none */
static unsigned width; /* of the terminal, when there is one */

bool pager_on_terminal(void) {
        return pager > 0 || isatty(STDOUT_FILENO);
}

unsigned pager_width(void) {
        return pager > 0 ? width : 0;
}

static bool is_true(const char *text) {
        return streq(text, "1") || strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0;
}

/* A pager may run other programs. So one that the environment names is not trusted with rights that whoever is at the
 * terminal has not got (sudo(8)), and less(1) is told to do nothing but show. */
static bool is_secure(bool *ret_told) {
        const char *secure = getenv("SYSTEMD_PAGERSECURE");
        uid_t owner;

        *ret_told = secure;
        if (secure)
                return is_true(secure);
        if (geteuid() != getuid())
                return true;
        if (sd_pid_get_owner_uid(0, &owner) >= 0)
                return owner != geteuid();
        return getenv("SUDO_UID"); /* no session at all, as in a container */
}

static _Noreturn void run_pager(const char *chosen, bool secure, int error_fd) {
        const char *less = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");
        int error;

        (void) setenv("LESS", less ?: "FRSXMK", 1);
        if (charset)
                (void) setenv("LESSCHARSET", charset, 1);
        if (secure)
                (void) setenv("LESSSECURE", "1", 1);
        else
                (void) unsetenv("LESSSECURE");

        if (chosen) {
                /* A command with arguments, as systemctl takes it. */
                if (strpbrk(chosen, " \t"))
                        execlp("sh", "sh", "-c", chosen, NULL);
                else
                        execlp(chosen, chosen, NULL);
        } else {
                execlp("less", "less", NULL);
                if (!secure)
                        execlp("more", "more", NULL);
        }
        error = errno;
        (void) !write(error_fd, &error, sizeof(error));
        _exit(EXIT_FAILURE);
}

/* Starts it with the reading end as stdin. Returns its pid, or 0 when it could not be. */
static pid_t start_pager(const char *chosen, bool secure, int in) {
        int error_fds[2], error = 0;
        pid_t pid;
        ssize_t n;

        if (pipe2(error_fds, O_CLOEXEC) < 0)
                return 0;
        pid = fork();
        if (pid == 0) {
                if (dup2(in, STDIN_FILENO) < 0)
                        _exit(EXIT_FAILURE);
                run_pager(chosen, secure, error_fds[1]);
        }
        close(error_fds[1]);
        n = pid < 0 ? 1 : read(error_fds[0], &error, sizeof(error));
        close(error_fds[0]);
        if (n == 0)
                return pid;
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return 0;
}

void pager_open(const Ctl *ctl, bool help) {
        const char *term = getenv("TERM"), *chosen;
        struct winsize size = {};
        bool secure, told;
        int fds[2];
        pid_t pid;

        if (pager > 0 || ctl->no_pager || (!help && !(ctl->verb && ctl->verb->pages)) || !isatty(STDOUT_FILENO) || !term ||
            streq(term, "dumb"))
                return;
        secure = is_secure(&told);
        chosen = getenv("SYSTEMD_PAGER") ?: getenv("PAGER");
        if (chosen && (!*chosen || streq(chosen, "cat")))
                return;
        if (secure && !told)
                chosen = NULL;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        (void) ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        fflush(stdout);
        pid = start_pager(chosen, secure, fds[0]);
        if (pid > 0 && dup2(fds[1], STDOUT_FILENO) >= 0) {
                pager = pid;
                width = size.ws_col;
                /* Ctrl-C is for the pager, and its end is no error. */
                (void) signal(SIGINT, SIG_IGN);
                (void) signal(SIGPIPE, SIG_IGN);
        }
        close(fds[0]);
        close(fds[1]);
}

bool pager_close(void) {
        if (pager <= 0)
                return false;
        fflush(stdout);
        close(STDOUT_FILENO);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = 0;
        return true;
}
