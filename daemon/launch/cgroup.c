/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "cgroup-path.h"
#include "cgroup.h"
#include "isolate.h"
#include "launch-protocol.h"
#include "util.h"

#define BASE_TRIES 10U
#define EMPTY_TIMEOUT_MSEC 3000

static const LaunchCgroup no_cgroup = { .parent_fd = -EBADF, .fd = -EBADF, .procs_fd = -EBADF, .events_fd = -EBADF };

static bool events_say(int events_fd, const char *what) {
        char text[256];
        ssize_t n;

        n = events_fd < 0 ? -1 : pread(events_fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        return strstr(text, what);
}

bool cgroup_is_frozen(int events_fd) {
        return events_say(events_fd, "frozen 1");
}

/* sentry-kernel shall remove it if we cannot: so it hears of it before it is made. */
static int announce(int launch_fd, int parent_fd, int number) {
        LaunchMessage message = {
                .version = LAUNCH_PROTOCOL_VERSION,
                .type = LAUNCH_CGROUP,
                .value = number,
        };
        union {
                char buffer[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec iov = { &message, sizeof(message) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
                .msg_controllen = sizeof(control.buffer),
        };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &parent_fd, sizeof(int));
        return sendmsg(launch_fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Opens the group that ours shall be below. In the root of the hierarchy only root may, by a capability that is gone when
 * it comes to removing: there it is a group of sentryd's own, which sentryd removes when it ends. */
static int open_parent(int *ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = cgroup_find_of(0, &path);
        if (r < 0)
                return r;
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (faccessat(fd, "cgroup.events", F_OK, 0) >= 0) {
                *ret = TAKE_FD(fd);
                return 0;
        }

        if (mkdirat(fd, CGROUP_BASE, 0755) < 0 && errno != EEXIST)
                return -errno;
        *ret = openat(fd, CGROUP_BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return *ret < 0 ? -errno : 0;
}

static int open_files(LaunchCgroup *cgroup) {
        cgroup->procs_fd = openat(cgroup->fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (cgroup->procs_fd < 0)
                return -errno;
        cgroup->events_fd = openat(cgroup->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        return cgroup->events_fd < 0 ? -errno : 0;
}

static int make_below(const LaunchRequest *request, LaunchCgroup *cgroup) {
        int r;

        for (int number = 1; number <= LAUNCH_CGROUP_NUMBER_MAX; number++) {
                launch_cgroup_name(request->name, number, cgroup->name, sizeof(cgroup->name));
                r = announce(request->launch_fd, cgroup->parent_fd, number);
                if (r < 0)
                        return r;
                if (mkdirat(cgroup->parent_fd, cgroup->name, 0755) >= 0) {
                        cgroup->fd = openat(cgroup->parent_fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        return cgroup->fd < 0 ? -errno : open_files(cgroup);
                }
                if (errno != EEXIST) /* a sandbox of this name, of another sentryd */
                        return -errno;
        }
        return -EEXIST;
}

static int make(const LaunchRequest *request, LaunchCgroup *cgroup) {
        int r = -ENOENT;

        /* Another sentryd may remove the parent at any moment while it is empty. */
        for (unsigned i = 0; r == -ENOENT && i < BASE_TRIES; i++) {
                cgroup->parent_fd = safe_close(cgroup->parent_fd);
                r = open_parent(&cgroup->parent_fd);
                if (r >= 0)
                        r = make_below(request, cgroup);
                else if (r == -ENOENT)
                        break;
        }
        if (r < 0 && cgroup->parent_fd >= 0) {
                if (cgroup->fd >= 0)
                        (void) unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR);
                (void) announce(request->launch_fd, cgroup->parent_fd, 0);
        }
        return r;
}

/* The group of the sandbox that has this init. */
static int open_of(int init_pidfd, LaunchCgroup *cgroup) {
        _cleanup_free_ char *path = NULL;
        const char *name;
        pid_t pid;
        int r;

        r = isolate_pid_of(init_pidfd, &pid);
        if (r >= 0)
                r = cgroup_find_of(pid, &path);
        if (r < 0)
                return r;
        name = strrchr(path, '/');
        if (!name || !startswith(name + 1, CGROUP_PREFIX))
                return -ENOENT;
        cgroup->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return cgroup->fd < 0 ? -errno : open_files(cgroup);
}

int cgroup_prepare(const LaunchRequest *request, LaunchCgroup *ret, LaunchFailure *failure) {
        LaunchCgroup cgroup = no_cgroup;
        int r;

        *ret = no_cgroup;
        if (request->profile->freezer == PROFILE_FREEZER_PTRACE)
                return 0;

        r = request->init_pidfd >= 0 ? open_of(request->init_pidfd, &cgroup) : make(request, &cgroup);
        if (r >= 0) {
                *ret = cgroup;
                return 0;
        }

        safe_close(cgroup.parent_fd);
        safe_close(cgroup.fd);
        safe_close(cgroup.procs_fd);
        safe_close(cgroup.events_fd);
        if (request->profile->freezer == PROFILE_FREEZER_CGROUP)
                return failure_set(failure, r,
                                   "It needs control groups version 2 and the right to make one below our own, as in a "
                                   "unit with Delegate=yes (systemd-run --user --scope -p Delegate=yes); or use "
                                   "\"freezer\": \"auto\".",
                                   "cannot make a control group for the sandbox");
        return 0;
}

bool cgroup_join(const LaunchCgroup *cgroup) {
        return cgroup->procs_fd >= 0 && write(cgroup->procs_fd, "0", 1) == 1;
}

static void kill_rest(const LaunchCgroup *cgroup) {
        _cleanup_close_ int fd = openat(cgroup->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC); /* since Linux 5.14 */

        if (fd >= 0)
                (void) !write(fd, "1", 1);
}

void cgroup_done(LaunchCgroup *cgroup) {
        if (cgroup->parent_fd >= 0 && cgroup->fd >= 0) {
                struct pollfd events = { .fd = cgroup->events_fd, .events = POLLPRI };

                /* With a PID namespace of its own there is nobody left by now, but who died last may still be on its
                 * way out. */
                if (events_say(cgroup->events_fd, "populated 1")) {
                        kill_rest(cgroup);
                        while (events_say(cgroup->events_fd, "populated 1") &&
                               poll(&events, 1, EMPTY_TIMEOUT_MSEC) > 0)
                                ;
                }
                (void) unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR);
        }
        safe_close(cgroup->parent_fd);
        safe_close(cgroup->fd);
        safe_close(cgroup->procs_fd);
        safe_close(cgroup->events_fd);
        *cgroup = no_cgroup;
}
