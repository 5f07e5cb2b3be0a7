/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every way to start a process or thread; the emulated calls in all of them. */

#include <sched.h>
#include <spawn.h>
#include <sys/utsname.h>

#include "sys.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

extern char **environ;

static bool works(void) {
        struct utsname u;

        return uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0;
}

static int child_works(void *arg) {
        (void) arg;
        return works() ? 0 : 1;
}

static void *thread_works(void *arg) {
        return works() ? arg : NULL;
}

static int chain(void *arg) {
        int depth = *(int *) arg;

        if (depth == 0)
                return works() ? 42 : 1;
        depth--;
        return child_exit(chain, &depth);
}

static int wait_exit(pid_t pid) {
        int status;

        if (pid < 0)
                return -1;
        while (waitpid(pid, &status, __WALL) < 0)
                if (errno != EINTR)
                        return -2;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static pid_t vforked(void) {
        pid_t pid = vfork();

        if (pid == 0)
                _exit(works() ? 41 : 1);
        return pid;
}

static char stack[64 * 1024] __attribute__((aligned(16)));

static int shared_value;

static int clone_main(void *arg) {
        shared_value = 7;
        return works() ? *(int *) arg : 1;
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                unsigned long flag;
        } namespaces[] = {
                { "CLONE_NEWNS", CLONE_NEWNS },   { "CLONE_NEWUSER", CLONE_NEWUSER },
                { "CLONE_NEWPID", CLONE_NEWPID }, { "CLONE_NEWNET", CLONE_NEWNET },
                { "CLONE_NEWUTS", CLONE_NEWUTS }, { "CLONE_NEWIPC", CLONE_NEWIPC },
                { "CLONE_NEWCGROUP", CLONE_NEWCGROUP },
        };
        pthread_t thread;
        void *result = NULL;
        int value = 5, depth = 30, all = 0;
        pid_t pid;
        char *show[] = { (char *) "clone", (char *) "show", NULL };

        if (argc == 2 && strcmp(argv[1], "show") == 0)
                return works() ? 43 : 1;

        is_int(pthread_create(&thread, NULL, thread_works, &value), 0, "pthread_create");
        pthread_join(thread, &result);
        ok(result == &value, "… and emulated calls work in it");
        is_int(child_exit(child_works, NULL), 0, "fork");
        is_int(child_exit(chain, &depth), 42, "30 generations of forks");
        is_int(wait_exit(vforked()), 41, "vfork");
        pid = -1;
        is_int(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, show, environ), 0, "posix_spawn");
        is_int(wait_exit(pid), 43, "… of this program");
        is_int(posix_spawn(&pid, "/nonexistent", NULL, NULL, show, environ), ENOENT,
               "posix_spawn of nothing says so");
        is_int(system("exit 9") >> 8, 9, "system");
        FILE *f = popen("echo through a pipe", "r");
        char line[64] = "";
        ok(f && fgets(line, sizeof line, f), "popen");
        is_str(line, "through a pipe\n", "… gives output");
        is_int(f ? pclose(f) : -1, 0, "… and ends well");

        is_int(wait_exit(clone(clone_main, stack + sizeof stack, SIGCHLD, &value)), 5, "clone");
        is_int(shared_value, 0, "… without CLONE_VM keeps its memory to itself");
        is_int(wait_exit(clone(clone_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &value)), 5,
               "clone with CLONE_VM and CLONE_VFORK");
        is_int(shared_value, 7, "… shares it");
        is_int(wait_exit(clone(clone_main, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, &value)),
               5, "clone with CLONE_VM, CLONE_FILES and CLONE_FS");
        pid = -1;
        int cloned = clone(clone_main, stack + sizeof stack, CLONE_PARENT_SETTID | SIGCHLD, &value, &pid);
        is_int(wait_exit(cloned), 5, "clone with CLONE_PARENT_SETTID");
        is_int(pid, cloned, "… sets it");

        /* clone3's flags lie in memory, out of a filter's sight: libc falls back to clone. */
        if (sandboxed()) {
                is_int(RAW(SYS_clone3, NULL, 0), -ENOSYS, "clone3 is ENOSYS");
                is_int(RAW(SYS_clone3, stack, 64), -ENOSYS, "… whatever its arguments");
        } else
                is_int(RAW(SYS_clone3, NULL, 0), -EINVAL, "clone3 of nothing is EINVAL");

        for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
                pid = (pid_t) RAW(SYS_clone, namespaces[i].flag | SIGCHLD, NULL, NULL, NULL, NULL);
                if (pid == 0)
                        _exit(0);
                if (pid > 0)
                        wait_exit(pid);
                if (sandboxed())
                        ok(pid < 0, "clone with %s is refused: %d", namespaces[i].name, pid);
                else
                        ok(pid > 0, "clone with %s works natively: %d", namespaces[i].name, pid);
        }
        is_int(RAW(SYS_clone, CLONE_THREAD | SIGCHLD, NULL, NULL, NULL, NULL), -EINVAL,
               "CLONE_THREAD without CLONE_SIGHAND is EINVAL");

        for (int i = 0; i < 200; i++)
                all += child_exit(child_works, NULL) == 0;
        is_int(all, 200, "200 forks");
        all = 0;
        for (int i = 0; i < 200; i++) {
                result = NULL;
                if (pthread_create(&thread, NULL, thread_works, &value) == 0)
                        pthread_join(thread, &result);
                all += result == &value;
        }
        is_int(all, 200, "200 threads");
        return tap_done();
}
