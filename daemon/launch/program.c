/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Environment, working directory and limits of the confined program. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "mount-tree.h"
#include "program.h"
#include "util.h"

char *program_caller_cwd(void) {
        char *cwd = getcwd(NULL, 0);

        if (cwd && *cwd != '/') { /* "(unreachable)/…" */
                free(cwd);
                return NULL;
        }
        return cwd;
}

static int enter(int root, const char *path) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        /* The sandbox may be full of traps: /proc/self is still us. */
        r = open_in_root(root, path, O_DIRECTORY, &fd);
        if (r < 0)
                return r;
        return fchdir(fd) < 0 ? -errno : 0;
}

int program_enter_cwd(const LaunchRequest *request, const char *caller_cwd, int root, LaunchFailure *failure) {
        const char *wanted = request->cwd ?: request->profile->cwd;
        char now[PATH_MAX];
        int r;

        if (wanted) {
                r = enter(root, wanted);
                if (r < 0)
                        return failure_set(failure, r, "It must exist inside the sandbox, for the user who runs it.",
                                           "cannot start in the directory %s", wanted);
        } else if (!caller_cwd || enter(root, caller_cwd) < 0) {
                r = enter(root, "/");
                if (r < 0)
                        return failure_set(failure, r, NULL, "cannot start in the directory /");
        }

        if (!getcwd(now, sizeof(now)) || *now != '/')
                return failure_set(failure, EXDEV, "That must never happen; nothing was run.",
                                   "the working directory lies outside the sandbox");
        return 0;
}

int program_set_rlimits(const Profile *profile, LaunchFailure *failure) {
        for (size_t i = 0; i < profile->n_rlimits; i++) {
                const ProfileRlimit *rlimit = profile->rlimits + i;
                struct rlimit now;

                if (setrlimit((__rlimit_resource_t) rlimit->resource, &rlimit->limit) >= 0)
                        continue;
                if (errno == EPERM && getrlimit((__rlimit_resource_t) rlimit->resource, &now) >= 0)
                        return failure_set(failure, EPERM,
                                           "A hard limit can only be lowered: see process.rlimits of the profile.",
                                           "cannot set resource limit number %d (hard) to %ju, it is %ju",
                                           rlimit->resource, (uintmax_t) rlimit->limit.rlim_max,
                                           (uintmax_t) now.rlim_max);
                return failure_set(failure, errno, "See process.rlimits of the profile.",
                                   "cannot set resource limit number %d", rlimit->resource);
        }
        return 0;
}

/* Whether an entry "K=V" is the variable of this name, or of this entry. */
static bool same_variable(const char *entry, const char *name) {
        size_t size = strcspn(name, "=");

        return strncmp(entry, name, size) == 0 && entry[size] == '=';
}

static bool names_variable(char *const *names, const char *entry) {
        for (char *const *n = names; n && *n; n++)
                if (same_variable(entry, *n))
                        return true;
        return false;
}

/* Ours to set, so that it is true: the shell's idea of the working directory. */
static char *pwd_entry(void) {
        char now[PATH_MAX], *entry;

        if (!getcwd(now, sizeof(now)) || asprintf(&entry, "PWD=%s", now) < 0)
                return NULL;
        return entry;
}

static int make_environment(const LaunchRequest *request, char ***ret) {
        const Profile *profile = request->profile;
        size_t n = strv_length(request->envp) + strv_length(profile->env), k = 0;
        _cleanup_strv_free_ char **envp = calloc(n + 1, sizeof(char *));

        if (!envp)
                return -ENOMEM;

        if (!profile->clear_env)
                for (char *const *e = request->envp; e && *e; e++) {
                        if (names_variable(profile->unsetenv, *e) || names_variable(profile->env, *e))
                                continue;
                        envp[k] = same_variable(*e, "PWD") ? pwd_entry() : strdup(*e);
                        if (!envp[k++])
                                return -ENOMEM;
                }
        for (char *const *e = profile->env; e && *e; e++) {
                envp[k] = strdup(*e);
                if (!envp[k++])
                        return -ENOMEM;
        }

        *ret = TAKE_PTR(envp);
        return 0;
}

/* argv of sentry-init: itself, the descriptor (for sentry-stub four of them), the program. The array and what is at [1] are never freed: exec is next. */
static char **make_init_argv(const char *name, const LaunchRequest *request, int status_fd, const int next_id_fds[static 3]) {
        size_t argc = strv_length(request->argv);
        char **ret = calloc(argc + 3, sizeof(char *));
        int r = -1;

        if (ret)
                r = request->restore ? asprintf(&ret[1], "%d,%d,%d,%d", status_fd, next_id_fds[0], next_id_fds[1], next_id_fds[2])
                                     : asprintf(&ret[1], "%d", status_fd);
        if (r < 0)
                return NULL;
        ret[0] = (char *) name;
        memcpy(ret + 2, request->argv, argc * sizeof(char *));
        if (request->file) /* which it takes for the name as well */
                ret[2] = (char *) request->file;
        return ret;
}

int program_prepare(const LaunchRequest *request, int init_fd, int status_fd, const int next_id_fds[static 3], Program *ret,
                    LaunchFailure *failure) {
        char **envp, **argv;
        int r;

        r = make_environment(request, &envp);
        if (r < 0)
                return failure_set(failure, r, NULL, "cannot prepare the program");
        if (init_fd < 0)
                return program_find(request->file, request->argv, envp, request->program_fd, ret, failure);

        argv = make_init_argv(request->restore ? "sentry-stub" : "sentry-init", request, status_fd, next_id_fds);
        for (size_t i = 0; i < 3; i++)
                if (next_id_fds[i] >= 0)
                        (void) fcntl(next_id_fds[i], F_SETFD, 0);
        if (!argv || fcntl(status_fd, F_SETFD, 0) < 0)
                return failure_set(failure, argv ? errno : ENOMEM, NULL, "cannot prepare the program");
        return program_find(NULL, argv, envp, init_fd, ret, failure);
}
