/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Environment, working directory, limits and start of the confined program. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mount-tree.h"
#include "program.h"
#include "util.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void program_done(Program *program) {
        strv_free(program->envp);
        strv_free(program->candidates);
        free(program->shell_argv);
        *program = (Program) {};
}

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

static const char *env_find(char *const *envp, const char *name) {
        for (char *const *e = envp; e && *e; e++)
                if (same_variable(*e, name))
                        return *e + strlen(name) + 1;
        return NULL;
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

static int make_candidates(const char *name, const char *path, char ***ret) {
        _cleanup_strv_free_ char **candidates = NULL;
        int r;

        if (!path)
                r = strv_extend(&candidates, name);
        else
                for (const char *p = path;; p++) {
                        int size = (int) strcspn(p, ":");
                        char *candidate = NULL;

                        /* An empty one is the working directory. */
                        if (asprintf(&candidate, "%.*s%s%s", size, p, size > 0 ? "/" : "", name) < 0)
                                candidate = NULL;
                        r = strv_consume(&candidates, candidate);
                        if (r < 0)
                                break;
                        p += size;
                        if (!*p)
                                break;
                }
        if (r < 0)
                return r;

        *ret = TAKE_PTR(candidates);
        return 0;
}

int program_prepare(const LaunchRequest *request, Program *ret, LaunchFailure *failure) {
        _cleanup_(program_done) Program program = { .argv = request->argv, .fd = request->program_fd };
        size_t argc = strv_length(request->argv);
        int r;

        if (argc == 0 || !*request->argv[0]) {
                r = failure_set(failure, ENOENT, NULL, "there is no program to run");
                failure->code = LAUNCH_EXIT_NOT_FOUND;
                return r;
        }

        r = make_environment(request, &program.envp);
        if (r >= 0) {
                if (request->program_fd < 0 && !strchr(request->argv[0], '/'))
                        program.path = env_find(program.envp, "PATH") ?: DEFAULT_PATH;
                r = make_candidates(request->argv[0], program.path, &program.candidates);
        }
        if (r >= 0) {
                /* sh, the path, what followed argv[0], NULL */
                program.shell_argv = calloc(argc + 2, sizeof(char *));
                if (!program.shell_argv)
                        r = -ENOMEM;
        }
        if (r < 0)
                return failure_set(failure, r, NULL, "cannot prepare the program");

        program.shell_argv[0] = (char *) "/bin/sh";
        for (size_t i = 1; i < argc; i++)
                program.shell_argv[i + 1] = request->argv[i];

        *ret = program;
        program = (Program) {};
        return 0;
}

/* Errors after which the next directory of PATH is tried, as in execvp(3). */
static bool is_not_here(int error) {
        return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV || error == ETIMEDOUT ||
               error == EACCES;
}

/* The interpreter of a script must be able to open the file again, so then it stays open; else it does not. */
static int exec_fd(const Program *program, LaunchFailure *failure) {
        int r;

        (void) fcntl(program->fd, F_SETFD, FD_CLOEXEC);
        (void) syscall(SYS_execveat, program->fd, "", program->argv, program->envp, AT_EMPTY_PATH);
        if (errno == ENOENT) {
                (void) fcntl(program->fd, F_SETFD, 0);
                (void) syscall(SYS_execveat, program->fd, "", program->argv, program->envp, AT_EMPTY_PATH);
        }

        r = failure_set(failure, errno,
                        errno == EACCES   ? "It must be an executable file, on a file system that is not mounted noexec."
                        : errno == ENOENT ? "The interpreter or loader that it names is not in the sandbox: mount it."
                                          : NULL,
                        "cannot run the open file %d", program->fd);
        failure->code = LAUNCH_EXIT_NOT_EXECUTABLE;
        return r;
}

int program_exec(const Program *program, LaunchFailure *failure) {
        const char *name = program->argv[0], *hint = NULL;
        bool denied = false;
        int error = ENOENT, r;

        if (program->fd >= 0)
                return exec_fd(program, failure);

        for (char **candidate = program->candidates; *candidate; candidate++) {
                execve(*candidate, program->argv, program->envp);
                error = errno;

                if (error == ENOEXEC) {
                        program->shell_argv[1] = *candidate;
                        execve(program->shell_argv[0], program->shell_argv, program->envp);
                        error = ENOEXEC;
                }
                if (error == ENOENT && faccessat(AT_FDCWD, *candidate, F_OK, 0) >= 0) {
                        name = *candidate;
                        hint = "The file is there, but the interpreter or loader that it names is not: mount it too.";
                        break;
                }
                if (!is_not_here(error))
                        break;
                /* Not when it is a directory of PATH that we may not search. */
                if (error == EACCES && (!program->path || faccessat(AT_FDCWD, *candidate, F_OK, 0) >= 0))
                        denied = true;
        }

        if (is_not_here(error))
                error = denied ? EACCES : ENOENT;
        if (!hint && error == EACCES)
                hint = "It must be an executable file, on a file system that is not mounted noexec in the sandbox.";
        else if (!hint && is_not_here(error))
                hint = program->path ? "It is in no directory of PATH inside the sandbox."
                                     : "It must exist inside the sandbox.";

        r = failure_set(failure, error, hint, "cannot run %s", name);
        failure->code = error == ENOENT || error == ENOTDIR ? LAUNCH_EXIT_NOT_FOUND : LAUNCH_EXIT_NOT_EXECUTABLE;
        return r;
}
