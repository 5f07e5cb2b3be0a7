/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Processes of a PID namespace as seen from inside: PID 1 and what only it may and must do. */

#include <ctype.h>
#include <dirent.h>
#include <sys/prctl.h>

#include "sys.h"

static bool is_ours(int pid) {
        char path[64];

        snprintf(path, sizeof path, "/proc/%d", pid);
        return access(path, F_OK) == 0;
}

static int n_processes(void) {
        DIR *d = opendir("/proc");
        struct dirent *e;
        int n = 0;

        while (d && (e = readdir(d)))
                n += isdigit((unsigned char) e->d_name[0]) != 0;
        if (d)
                closedir(d);
        return n;
}

static char state_of(pid_t pid) {
        char path[64];
        const char *text, *p;

        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        text = file_text(path);
        p = strrchr(text, ')');
        return p && p[1] ? p[2] : 0;
}

static int kills_init(void *arg) {
        /* Without a handler, nothing from inside reaches PID 1. */
        return kill(1, *(int *) arg) == 0 ? 0 : errno;
}

static int pipe_fds[2];

static int leaves_orphan(void *arg) {
        pid_t pid = fork();

        (void) arg;
        if (pid == 0) {
                char c;
                pid_t parent = 0;

                close(pipe_fds[1]);
                if (read(pipe_fds[0], &c, 1) != 0) /* until the main process closes its end */
                        _exit(1);
                for (int i = 0; i < 1000 && (parent = getppid()) != 1; i++)
                        usleep(1000);
                _exit(parent == 1 ? 77 : 78);
        }
        return pid < 0;
}

static int subreaper(void *arg) {
        pid_t pid, orphan;
        int status = 0;

        (void) arg;
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return 1;
        pid = fork();
        if (pid == 0) {
                if (fork() == 0) {
                        usleep(20000);
                        _exit(66);
                }
                _exit(0);
        }
        waitpid(pid, &status, 0);
        orphan = wait(&status);
        return orphan > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 66 ? 0 : 2;
}

int main(void) {
        static const int signals[] = { SIGTERM, SIGKILL, SIGSTOP, SIGHUP, SIGINT, SIGUSR1 };
        char link[64] = "";
        siginfo_t info = {};
        int status;
        pid_t pid, last = 0;

        is_int(getpid(), 1, "this is PID 1");
        is_int(getppid(), 0, "its parent is out of sight");
        is_int(syscall(SYS_gettid), 1, "its thread is 1 too");
        ok(readlink("/proc/self", link, sizeof link - 1) > 0, "/proc/self");
        is_str(link, "1", "… is 1");
        is_str(file_text("/proc/1/comm"), "procs", "/proc/1/comm is this program");
        is_str(file_text("/proc/self/cmdline") + strlen(file_text("/proc/self/cmdline")) - 5, "procs",
               "/proc/self/cmdline ends with it");
        is_int(n_processes(), 1, "/proc shows nobody else");
        is_int(access("/proc/2", F_OK), -1, "there is no PID 2 yet");

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                pause();
                _exit(0);
        }
        is_int(n_processes(), 2, "with a child /proc shows two");
        ok(is_ours(pid), "… the child");
        kill(pid, SIGKILL);
        is_int(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0, "a killed child can be waited for");
        is_int(info.si_status, SIGKILL, "… and says by what it was killed");
        is_int(state_of(pid), 'Z', "until it is, it is a zombie");
        is_int(waitpid(pid, &status, 0), pid, "waiting");
        ok(!is_ours(pid), "… then it is gone");
        is_int(kill(pid, 0), -1, "… and can't be signalled");
        is_int(errno, ESRCH, "… ESRCH");

        /* Orphans come to init. */
        if (pipe(pipe_fds) < 0)
                tap_bail_out("pipe");
        is_int(child_exit(leaves_orphan, NULL), 0, "a child leaves an orphan");
        is_int(waitpid(-1, &status, WNOHANG), 0, "… which is PID 1's child now, and lives");
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        pid = waitpid(-1, &status, 0);
        ok(pid > 1 && WIFEXITED(status), "… PID 1 reaps it");
        is_int(WEXITSTATUS(status), 77, "… and it saw that its parent is 1");
        is_int(child_exit(subreaper, NULL), 0, "a subreaper gets its own orphans");
        is_int(waitpid(-1, &status, WNOHANG), -1, "nothing is left to wait for");
        is_int(errno, ECHILD, "… ECHILD");

        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
                int signo = signals[i];

                is_int(child_exit(kills_init, &signo), 0, "a child may send signal %d to PID 1, which ignores it", signo);
        }

        /* Numbers are given in order. */
        for (int i = 0; i < 50; i++) {
                fflush(stdout);
                pid = fork();
                if (pid == 0)
                        _exit(0);
                waitpid(pid, &status, 0);
                if (pid <= last)
                        break;
                last = pid;
        }
        is_int(pid, last, "50 children have rising numbers");
        ok(last < 300, "… small ones: %d", last);
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 0 : 1);
        waitpid(pid, &status, 0);
        is_int(status, 0, "setsid in a child");
        return tap_done();
}
