/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "id-range.h"
#include "util.h"

#define SUBID_MAX (1024U * 1024U) /* bytes of /etc/subuid */

enum { /* how the process that maps ends */
        EXIT_UID = 1,
        EXIT_GID,
        EXIT_NO_TOOL,
        EXIT_CALLED_OFF,
};

/* The first range of a user in a file of lines NAME:FIRST:COUNT, the name being one or a number; subuid(5). */
static int find_range(const char *file, uint64_t *ret_first, uint64_t *ret_count) {
        _cleanup_free_ char *text = NULL;
        const struct passwd *pw = getpwuid(geteuid());
        char number[16], *rest;
        int r;

        r = read_full_file(file, SUBID_MAX, &text, NULL);
        if (r < 0)
                return r;
        (void) snprintf(number, sizeof(number), "%u", geteuid());
        rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
                const char *name = strsep(&line, ":"), *first = strsep(&line, ":");

                if (!line || !(streq(name, number) || (pw && streq(name, pw->pw_name))))
                        continue;
                if (safe_atou64(first, 10, ret_first) >= 0 && safe_atou64(line, 10, ret_count) >= 0 && *ret_count > 0 &&
                    *ret_first > 0 && *ret_first <= UINT32_MAX && *ret_count <= UINT32_MAX - *ret_first)
                        return 0;
        }
        return -ENOENT;
}

static int run_tool(const char *tool, pid_t pid, uint64_t own, uint64_t first, uint64_t count) {
        char pid_text[16], own_text[24], first_text[24], count_text[24];
        int status;
        pid_t child;

        (void) snprintf(pid_text, sizeof(pid_text), "%d", pid);
        (void) snprintf(own_text, sizeof(own_text), "%" PRIu64, own);
        (void) snprintf(first_text, sizeof(first_text), "%" PRIu64, first);
        (void) snprintf(count_text, sizeof(count_text), "%" PRIu64, count);
        child = fork();
        if (child == 0) {
                execlp(tool, tool, pid_text, "0", own_text, "1", "1", first_text, count_text, (char *) NULL);
                _exit(127);
        }
        if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
                return -EIO;
        return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 127 ? -ENOENT : -EPERM;
}

static _Noreturn void map_ids(pid_t parent, int go_fd, const uint64_t ids[static 4]) {
        char go;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(go_fd, &go, 1) != 1)
                _exit(EXIT_CALLED_OFF);
        r = run_tool("newuidmap", parent, geteuid(), ids[0], ids[1]);
        if (r < 0)
                _exit(r == -ENOENT ? EXIT_NO_TOOL : EXIT_UID);
        r = run_tool("newgidmap", parent, getegid(), ids[2], ids[3]);
        _exit(r < 0 ? r == -ENOENT ? EXIT_NO_TOOL : EXIT_GID : 0);
}

int id_range_prepare(IdRange *ret, LaunchFailure *failure) {
        static const char *const files[] = { "/etc/subuid", "/etc/subgid" };
        pid_t parent = getpid();
        uint64_t ids[4];
        int fds[2], r;

        for (unsigned i = 0; i < 2; i++) {
                r = find_range(files[i], ids + 2 * i, ids + 2 * i + 1);
                if (r < 0)
                        return failure_set(failure, r == -ENOENT ? 0 : r,
                                           "The administrator gives some away by usermod --add-subuids 100000-165535 "
                                           "--add-subgids 100000-165535 USER; \"users\": \"single\" needs none.",
                                           "there is no range of ids for uid %u in %s, which \"users\": \"range\" takes",
                                           geteuid(), files[i]);
        }

        if (pipe2(fds, O_CLOEXEC) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare a range of users");
        ret->pid = fork();
        if (ret->pid < 0) {
                r = -errno;
                safe_close(fds[0]);
                safe_close(fds[1]);
                return failure_set(failure, r, NULL, "cannot prepare a range of users");
        }
        if (ret->pid == 0) {
                safe_close(fds[1]);
                map_ids(parent, fds[0], ids);
        }
        safe_close(fds[0]);
        ret->go_fd = fds[1];
        return 0;
}

static int reap(IdRange *range) {
        int status = -1;

        if (range->pid <= 0 || waitpid(range->pid, &status, 0) < 0 || !WIFEXITED(status))
                return -EIO;
        range->pid = 0;
        return WEXITSTATUS(status);
}

int id_range_map(IdRange *range, LaunchFailure *failure) {
        int r = 0;

        if (write(range->go_fd, "", 1) != 1)
                r = -EIO;
        range->go_fd = safe_close(range->go_fd);
        if (r == 0)
                r = reap(range);
        if (r == EXIT_NO_TOOL)
                return failure_set(failure, 0, "Install them: the package is called uidmap on Debian, shadow-utils elsewhere.",
                                   "newuidmap and newgidmap are not here, which \"users\": \"range\" takes");
        if (r != 0)
                return failure_set(failure, 0, "See what it says above; subuid(5) and subgid(5) are what it goes by.",
                                   "%s did not map the range of ids", r == EXIT_GID ? "newgidmap" : "newuidmap");
        return 0;
}

void id_range_done(IdRange *range) {
        range->go_fd = safe_close(range->go_fd);
        if (range->pid > 0)
                (void) reap(range);
}
