/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding and starting a program, as execvpe(3) does it, but with words for what goes wrong. Part of sentry-init, too:
 * no profile, no bus, no library. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "program-exec.h"
#include "util.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void program_done(Program *program) {
        strv_free(program->envp);
        strv_free(program->candidates);
        free(program->shell_argv);
        *program = (Program) {};
}

static const char *env_find(char *const *envp, const char *name) {
        for (char *const *e = envp; e && *e; e++)
                if (strncmp(*e, name, strlen(name)) == 0 && (*e)[strlen(name)] == '=')
                        return *e + strlen(name) + 1;
        return NULL;
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

int program_find(const char *file, char *const *argv, char **envp, int fd, Program *ret, LaunchFailure *failure) {
        _cleanup_(program_done) Program program = { .argv = argv, .envp = envp, .fd = fd };
        size_t argc = strv_length(argv);
        int r = 0;

        program.file = file ?: argc > 0 ? argv[0] : "";
        if (argc == 0 || !*program.file) {
                r = failure_set(failure, ENOENT, NULL, "there is no program to run");
                failure->code = LAUNCH_EXIT_NOT_FOUND;
                return r;
        }

        if (fd < 0) {
                if (!strchr(program.file, '/'))
                        program.path = env_find(envp, "PATH") ?: DEFAULT_PATH;
                r = make_candidates(program.file, program.path, &program.candidates);
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
                program.shell_argv[i + 1] = argv[i];

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
        const char *name = program->file, *hint = NULL;
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
