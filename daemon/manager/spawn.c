/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Starting a sentry-kernel: its user, its descriptors, its environment. */

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "log.h"
#include "spawn.h"
#include "util.h"

#define EXIT_SPAWN_FAILED 125
#define NOBODY_GID 65534U
#define GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

/* Who a sentry-kernel runs as. */
typedef struct Identity {
        gid_t gid;
        gid_t *groups; /* owned */
        int n_groups;
} Identity;

static void identity_done(Identity *identity) {
        free(identity->groups);
}

int spawn_find_kernel(char **ret) {
        char own[PATH_MAX];
        _cleanup_free_ char *path = NULL;
        ssize_t n;
        char *slash;

        n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        if (n > 0) {
                own[n] = '\0';
                slash = strrchr(own, '/');
                if (slash) {
                        *slash = '\0';
                        if (asprintf(&path, "%s/sentry-kernel", own) < 0) {
                                path = NULL;
                                return -ENOMEM;
                        }
                        if (access(path, X_OK) >= 0) {
                                *ret = TAKE_PTR(path);
                                return 0;
                        }
                }
        }

        *ret = strdup(SENTRYD_LIBEXECDIR "/sentry-kernel");
        return *ret ? 0 : -ENOMEM;
}

int spawn_make_environment(char ***ret) {
        /* Told by systemd to its child, which is us. */
        static const char *const ours[] = {
                "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=",
                "FDSTORE=", "MAINPID=", "MANAGERPID=", "RUNTIME_DIRECTORY=", "DBUS_STARTER_ADDRESS=",
                "DBUS_STARTER_BUS_TYPE=",
        };
        _cleanup_strv_free_ char **env = NULL;
        int r;

        for (char **e = environ; e && *e; e++) {
                bool skip = false;

                for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                        skip = skip || startswith(*e, ours[i]);
                if (skip)
                        continue;

                r = strv_extend(&env, *e);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(env); /* NULL when nothing is left, which is an empty one to Linux, too */
        return 0;
}

/* Looks up the groups of a user. A user without an entry has none. */
static int identity_of(uid_t uid, Identity *ret) {
        struct passwd entry, *found = NULL;
        _cleanup_free_ char *buffer = NULL;
        size_t size = 4096;
        int n = 64, r;

        do {
                char *bigger = realloc(buffer, size);

                if (!bigger)
                        return -ENOMEM;
                buffer = bigger;
                r = getpwuid_r(uid, &entry, buffer, size, &found);
                size *= 2;
        } while (r == ERANGE && size <= 1024 * 1024);

        if (!found) {
                log_debug("Uid %u has no entry in the user database: its sandboxes run with group %u.", uid,
                          NOBODY_GID);
                *ret = (Identity) { .gid = NOBODY_GID };
                return 0;
        }

        for (;;) {
                gid_t *groups = calloc((size_t) n, sizeof(*groups));
                int got = n;

                if (!groups)
                        return -ENOMEM;
                if (getgrouplist(entry.pw_name, entry.pw_gid, groups, &got) >= 0) {
                        *ret = (Identity) { .gid = entry.pw_gid, .groups = groups, .n_groups = got };
                        return 0;
                }
                free(groups);
                if (n >= GROUPS_MAX)
                        return -E2BIG;
                n = got > n ? got : 2 * n;
                n = MIN(n, GROUPS_MAX);
        }
}

/* Has everything from 3 on closed at exec. Async-signal-safe. */
static void close_the_rest(void) {
#ifdef CLOSE_RANGE_CLOEXEC
        if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) >= 0)
                return;
#endif
        /* Older than Linux 5.11 */
        for (int fd = 3; fd <= SPAWN_FD_MAX; fd++)
                (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Puts the descriptors in place; high has room for one more than there are. Async-signal-safe. */
static int arrange_fds(const SpawnRequest *request, int *high) {
        int above = STDERR_FILENO, null_fd;

        for (size_t i = 0; i < request->n_fds; i++)
                above = MAX(above, request->fds[i].number);

        /* Out of the way first: one's source may be another's place. */
        for (size_t i = 0; i < request->n_fds; i++) {
                high[i] = fcntl(request->fds[i].fd, F_DUPFD_CLOEXEC, above + 1);
                if (high[i] < 0)
                        return -errno;
        }

        close_the_rest();
        for (size_t i = 0; i < request->n_fds; i++)
                if (dup2(high[i], request->fds[i].number) < 0)
                        return -errno;

        null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
                return -errno;
        if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                return -errno;
        return 0;
}

static _Noreturn void child_fail(const char *what, const SpawnRequest *request, int error) {
        log_error_errno(error, "Failed to %s for sentry-kernel of sandbox %s (%s): %m", what, request->name,
                        request->path);
        _exit(EXIT_SPAWN_FAILED);
}

/* The new process, up to its exec. */
static _Noreturn void child_run(const SpawnRequest *request, const Identity *identity, int *high) {
        char *argv[] = {
                (char *) "sentry-kernel", (char *) "--name", (char *) request->name,
                request->recover ? (char *) "--recover" : request->restore ? (char *) "--restore" : NULL,
                request->lazy ? (char *) "--lazy" : NULL, NULL,
        };
        struct sigaction default_action = { .sa_handler = SIG_DFL };
        sigset_t none;
        int r;

        (void) sigaction(SIGPIPE, &default_action, NULL);
        (void) sigaction(SIGHUP, &default_action, NULL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);

        if (setsid() < 0)
                child_fail("start a session", request, errno);
        if (chdir("/") < 0)
                child_fail("go to /", request, errno);
        (void) umask(0077);

        r = arrange_fds(request, high);
        if (r < 0)
                child_fail("arrange file descriptors", request, r);
        (void) setrlimit(RLIMIT_NOFILE, request->nofile); /* what has a higher number stays */

        if (request->switch_user) {
                if (setgroups((size_t) identity->n_groups, identity->groups) < 0)
                        child_fail("set the groups", request, errno);
                if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
                        child_fail("set the group", request, errno);
                if (setresuid(request->uid, request->uid, request->uid) < 0)
                        child_fail("set the user", request, errno);
        }

        (void) execve(request->path, argv, request->env);
        child_fail("execute the program", request, errno);
}

int spawn_kernel(const SpawnRequest *request, pid_t *ret) {
        _cleanup_(identity_done) Identity identity = {};
        _cleanup_free_ int *high = NULL;
        pid_t pid;
        int r;

        /* For the message: the exec itself is not waited for. */
        if (access(request->path, X_OK) < 0)
                return -errno;

        if (request->switch_user) {
                r = identity_of(request->uid, &identity);
                if (r < 0)
                        return r;
        }

        high = calloc(request->n_fds + 1, sizeof(*high));
        if (!high)
                return -ENOMEM;

        /* Not vfork() and not posix_spawn(): we would wait for a process that its new user may stop before it
         * execs. */
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child_run(request, &identity, high);

        *ret = pid;
        return 0;
}
