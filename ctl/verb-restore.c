/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* restore: a sandbox from an image. Like run: the daemon makes the sandbox, and its first process becomes our child. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "connect.h"
#include "image-host.h"
#include "image-read.h"
#include "run.h"
#include "sandboxes.h"

enum {
        OPTION_NAME = OPTION_FIRST,
        OPTION_DETACH,
        OPTION_LAZY,
        OPTION_STDIO,
};

typedef struct Request {
        const char *name, *directory;
        bool detach, lazy, null_stdio;
        int ready_fds[2]; /* with detach: from who restores to who waits for it */
} Request;

static int call_restore(Ctl *ctl, const Request *request, const Image *image, int directory_fd, sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = ctl_new_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "Restore", &call);
        if (r < 0)
                return CTL_FAILED;
        r = sd_bus_message_append(call, "hs", directory_fd, request->name);
        if (r >= 0)
                r = sd_bus_message_append(call, "a{sv}", 3, "profile", "s", image->profile, "program", "s", image->name ?: "", "lazy", "b",
                                          (int) request->lazy);
        if (r < 0)
                return ctl_error("cannot ask for a sandbox: %s", strerror(-r));
        return ctl_send(ctl, call, 0, NULL, ret);
}

/* Standard streams of /dev/null. */
static int take_null(void) {
        _cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
                return ctl_error("cannot open /dev/null: %m");
        return 0;
}

static int restore(Ctl *ctl, const Request *request) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_close_ int directory_fd = -EBADF, launch_fd = -EBADF;
        _cleanup_free_ char *message = NULL, *name = NULL, *document = NULL;
        const char *path, *resolved;
        ImageReader reader = IMAGE_READER_NONE;
        LaunchClocks clocks;
        int fd, r;

        directory_fd = open(request->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory_fd < 0)
                return ctl_error("cannot open the image %s: %m", request->directory);
        r = image_reader_open(&reader, directory_fd, &message);
        if (r < 0) {
                image_reader_done(&reader);
                return ctl_error("cannot restore %s: %s", request->directory, message ?: strerror(-r));
        }
        if (image_host_check(reader.image, &message) > 0) {
                image_reader_done(&reader);
                return ctl_error("cannot restore %s on this host:\n%s", request->directory, message ?: "");
        }
        clocks = (LaunchClocks) {
                .realtime = reader.image->clocks.realtime_ns,
                .monotonic = reader.image->clocks.monotonic_ns,
                .boottime = reader.image->clocks.boottime_ns,
        };
        r = ctl_connect(ctl, CONNECT_START);
        if (r >= 0)
                r = call_restore(ctl, request, reader.image, directory_fd, &reply);
        image_reader_done(&reader);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "ohs", &path, &fd, &resolved);
        if (r >= 0)
                r = launch_fd = run_take_fd(fd);
        if (r >= 0)
                r = sd_bus_path_decode(path, BUS_SANDBOX_PREFIX, &name);
        if (r < 0)
                return ctl_bad_reply("Restore", r);
        directory_fd = safe_close(directory_fd);
        if (request->null_stdio) {
                r = take_null();
                if (r < 0)
                        return r;
        }
        if (request->detach && name) /* who waits says it */
                (void) !write(request->ready_fds[1], name, strlen(name));

        document = strdup(resolved);
        return document ? run_launch(ctl, document,
                                     &(LaunchRequest) {
                                             .name = name ?: request->name,
                                             .argv = (char *[]) { NULL },
                                             .launch_fd = launch_fd,
                                             .init_pidfd = -1,
                                             .program_fd = -1,
                                             .umask = -1,
                                             .uid = -1,
                                             .gid = -1,
                                             .restore = &clocks,
                                             .ready_fd = request->detach ? request->ready_fds[1] : -1,
                                     })
                        : ctl_oom();
}

/* Waits for the word of who restores: the name of the sandbox, and a NUL when it runs. */
static int await_ready(Ctl *ctl, const Request *request, pid_t pid) {
        char word[256];
        size_t size = 0;
        ssize_t n;
        int status;

        (void) ctl;
        while (size < sizeof(word) - 1 && (n = read(request->ready_fds[0], word + size, sizeof(word) - 1 - size)) > 0) {
                size += (size_t) n;
                if (memchr(word, '\0', size)) {
                        printf("%s\n", word);
                        return 0;
                }
        }
        if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
                return ctl_error("who was to restore the sandbox died");
        return WEXITSTATUS(status) == 0 ? CTL_FAILED : WEXITSTATUS(status);
}

static int restore_detached(Ctl *ctl, Request *request) {
        pid_t pid;

        if (pipe2(request->ready_fds, O_CLOEXEC) < 0)
                return ctl_error("cannot make a pipe: %m");
        fflush(NULL);
        pid = fork();
        if (pid < 0)
                return ctl_error("cannot start a process: %m");
        if (pid > 0) {
                int r;

                request->ready_fds[1] = safe_close(request->ready_fds[1]);
                r = await_ready(ctl, request, pid);
                safe_close(request->ready_fds[0]);
                return r;
        }
        request->ready_fds[0] = safe_close(request->ready_fds[0]);
        (void) setsid();
        return restore(ctl, request);
}

static int verb_restore_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        Request request = { .name = "" };
        const char *stdio = NULL;
        int id;

        while ((id = options_next(&parser)) > 0)
                switch (id) {
                case OPTION_NAME:
                        request.name = parser.value;
                        break;
                case OPTION_DETACH:
                        request.detach = true;
                        break;
                case OPTION_LAZY:
                        request.lazy = true;
                        break;
                case OPTION_STDIO:
                        stdio = parser.value;
                        break;
                }
        if (id < 0)
                return id;
        if (argc - parser.index != 1)
                return ctl_usage(ctl, "restore needs the directory of one image, for example: sentryctl restore web.img");
        if (stdio && !streq(stdio, "inherit") && !streq(stdio, "null"))
                return ctl_usage(ctl, "--stdio is one of inherit, null, not '%s'", stdio);
        request.directory = argv[parser.index];
        request.null_stdio = stdio ? streq(stdio, "null") : request.detach;
        return request.detach ? restore_detached(ctl, &request) : restore(ctl, &request);
}

const Verb verb_restore = {
        .name = "restore",
        .arguments = "DIRECTORY",
        .summary = "Take a saved sandbox up again",
        .details = "What the sandbox had as standard input, output and error is ours then. Other descriptors that were\n"
                   "opened outside of it have to be given under their numbers:\n"
                   "  sentryctl restore web.img 5<web.conf\n"
                   "The exit status is the program's; 125 when it cannot be restored: then nothing is left of it.\n",
        .options = (const Option[]) {
                { OPTION_NAME, "name", 'n', "NAME", false, "Name of the sandbox" },
                { OPTION_DETACH, "detach", 0, NULL, false, "Return when it runs, and print its name" },
                { OPTION_LAZY, "lazy", 0, NULL, false, "Read memory from the image when it is used" },
                { OPTION_STDIO, "stdio", 0, "inherit|null", false, "What its standard streams are" },
                {},
        },
        .run = verb_restore_main,
};
