/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs that become others: the emulated calls right before and right after. */

#include <sys/stat.h>
#include <sys/utsname.h>

#include "sys.h"

#define LENGTH 100

static void set_round(int i) {
        char name[32];

        snprintf(name, sizeof name, "exec-%d", i);
        if (sethostname(name, strlen(name)) < 0)
                _exit(10);
}

static bool is_round(int i) {
        char name[32];
        struct utsname u;

        snprintf(name, sizeof name, "exec-%d", i);
        return uname(&u) == 0 && strcmp(u.nodename, name) == 0;
}

static int become(int i) {
        char number[16];
        char *argv[] = { (char *) "exec", (char *) "chain", number, NULL };

        snprintf(number, sizeof number, "%d", i);
        set_round(i);
        execv("/proc/self/exe", argv);
        return 11;
}

static int start_chain(void *arg) {
        (void) arg;
        return become(0);
}

static void *exec_thread(void *arg) {
        char *argv[] = { (char *) "exec", (char *) "from-thread", arg, NULL };

        set_round(1000);
        execv("/proc/self/exe", argv);
        return NULL;
}

static void *idle_thread(void *arg) {
        struct utsname u;

        for (;;)
                if (uname(&u) < 0)
                        return arg;
}

static int start_from_thread(void *arg) {
        pthread_t thread;
        char pid[16];

        (void) arg;
        snprintf(pid, sizeof pid, "%d", getpid());
        for (int i = 0; i < 2; i++)
                if (pthread_create(&thread, NULL, idle_thread, NULL) != 0)
                        return 20;
        if (pthread_create(&thread, NULL, exec_thread, pid) != 0)
                return 21;
        for (;;)
                pause();
}

static pid_t vfork_exec(void) {
        pid_t pid = vfork();

        if (pid == 0) {
                set_round(2000);
                execl("/proc/self/exe", "exec", "check", "2000", NULL);
                _exit(12);
        }
        return pid;
}

int main(int argc, char **argv) {
        char path[PATH_MAX];
        const char *dir = getenv("TESTDIR");
        struct utsname u;
        int status;
        FILE *f;

        if (argc >= 3 && strcmp(argv[1], "chain") == 0) {
                int i = atoi(argv[2]);

                if (!is_round(i))
                        return 13;
                return i == LENGTH ? 42 : become(i + 1);
        }
        if (argc >= 3 && strcmp(argv[1], "check") == 0)
                return is_round(atoi(argv[2])) ? 43 : 14;
        if (argc >= 3 && strcmp(argv[1], "from-thread") == 0) {
                if (!is_round(1000))
                        return 15;
                if (getpid() != atoi(argv[2]) || syscall(SYS_gettid) != getpid())
                        return 16;
                return strcmp(status_field("Threads"), "1") == 0 ? 44 : 17;
        }
        if (argc >= 2 && strncmp(argv[1], "script", 6) == 0)
                return uname(&u) == 0 ? 45 : 18;

        is_int(child_exit(start_chain, NULL), 42, "%d execs in a row, each sees what the one before has set", LENGTH);
        is_int(child_exit(start_from_thread, NULL), 44, "an exec from a thread, while others call");
        waitpid(vfork_exec(), &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : 256, 43, "vfork and exec");
        ok(is_round(2000), "… and the parent sees what the child set before");

        execl("/nonexistent", "nonexistent", NULL);
        is_int(errno, ENOENT, "an exec of nothing fails");
        is_int(uname(&u), 0, "… and emulated calls go on");
        execl("/", "directory", NULL);
        is_int(errno, EACCES, "an exec of a directory fails");
        is_int(uname(&u), 0, "… and emulated calls go on");

        /* By a descriptor, as the dynamic loader is asked to, as a script's interpreter */
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                char *show[] = { (char *) "exec", (char *) "check", (char *) "2000", NULL }, *none[] = { NULL };
                int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

                fexecve(fd, show, none);
                _exit(19);
        }
        waitpid(pid, &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : 256, 43, "fexecve");

        if (!dir) {
                tap_skip("a script needs TESTDIR");
                return tap_done();
        }
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        path[n > 0 ? n : 0] = 0;
        char script[PATH_MAX];
        snprintf(script, sizeof script, "%s/script.%d", dir, getpid());
        f = fopen(script, "we");
        if (!f)
                tap_bail_out("%s: %s", script, strerror(errno));
        fprintf(f, "#!%s script\n", path);
        fclose(f);
        chmod(script, 0755);
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                execl(script, script, NULL);
                _exit(20);
        }
        waitpid(pid, &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : 256, 45, "as a script's interpreter");
        unlink(script);
        return tap_done();
}
