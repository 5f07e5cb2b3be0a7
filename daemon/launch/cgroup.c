/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "cgroup-path.h"
#include "cgroup.h"
#include "isolate.h"
#include "launch-protocol.h"
#include "cgroup-limits.h"
#include "scope.h"
#include "util.h"

#define BASE_TRIES 10U
#define EMPTY_TIMEOUT_MSEC 3000

#ifndef CLONE_INTO_CGROUP
#  define CLONE_INTO_CGROUP UINT64_C(0x200000000)
#endif

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

        return send_fds(launch_fd, &message, sizeof(message), &parent_fd, 1);
}

/* Cuts the last name off, but not below where control groups are mounted. */
static int go_up(char *path) {
        _cleanup_free_ char *top = NULL;
        char *slash = strrchr(path, '/');
        int r;

        r = cgroup_find_mount(&top);
        if (r < 0)
                return r;
        if (!slash || (size_t) (slash - path) < strlen(top))
                return -ENOENT;
        *slash = '\0';
        return 0;
}

/* Opens the group that ours shall be below: our own, or the one above it. In the root of the hierarchy only root may, by a capability that is gone when
 * it comes to removing: there it is a group of sentryd's own, which sentryd removes when it ends. */
static int open_parent(unsigned up, int *ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = cgroup_find_of(0, &path);
        if (r < 0)
                return r;
        if (up > 0) {
                r = go_up(path);
                if (r < 0)
                        return r;
        }
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

static int make(const LaunchRequest *request, unsigned up, LaunchCgroup *cgroup) {
        int r = -ENOENT;

        /* Another sentryd may remove the parent at any moment while it is empty. */
        for (unsigned i = 0; r == -ENOENT && i < BASE_TRIES; i++) {
                cgroup->parent_fd = safe_close(cgroup->parent_fd);
                r = open_parent(up, &cgroup->parent_fd);
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
        scope_follow(path);
        cgroup->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return cgroup->fd < 0 ? -errno : open_files(cgroup);
}

static void forget(LaunchCgroup *cgroup) {
        safe_close(cgroup->parent_fd);
        safe_close(cgroup->fd);
        safe_close(cgroup->procs_fd);
        safe_close(cgroup->events_fd);
        *cgroup = no_cgroup;
}

static void unmake(const LaunchRequest *request, LaunchCgroup *cgroup) {
        if (cgroup->parent_fd >= 0 && cgroup->fd >= 0) {
                (void) unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR);
                (void) announce(request->launch_fd, cgroup->parent_fd, 0);
        }
        forget(cgroup);
}

/* Where programs run in a group it cannot pass controllers on to groups below. So what cannot be had below our own is
 * looked for beside it: a unit with a group for its own processes (DelegateSubgroup=, our scope) has it there; at once, if
 * beside says so. -EREMOTE: *ret_wrong
 * says what the limits want; there may be a group. */
static int make_limited(const LaunchRequest *request, bool beside, LaunchCgroup *cgroup, LaunchFailure *ret_wrong) {
        _cleanup_free_ char *have = NULL, *own = NULL;
        const char *missing = NULL, *first = NULL;
        int r = -ENOENT, error = 0;

        for (unsigned up = beside; up <= 1; up++) {
                r = make(request, up, cgroup);
                if (r >= 0)
                        r = limits_enable(request->profile, cgroup->parent_fd, &missing);
                if (r >= 0)
                        r = limits_apply(request->profile, cgroup->fd, ret_wrong);
                cgroup->limited = r >= 0;
                if (r >= 0)
                        return 0;
                if (ret_wrong->code != 0) {
                        if (request->profile->limits == PROFILE_LIMITS_REQUIRED)
                                unmake(request, cgroup);
                        return -EREMOTE;
                }
                if (up == beside) {
                        error = r;
                        first = missing;
                        if (cgroup->parent_fd >= 0)
                                have = limits_controllers(cgroup->parent_fd);
                }
                unmake(request, cgroup);
        }

        (void) cgroup_find_of(0, &own);
        if (first)
                failure_set(ret_wrong, error,
                            "linux.resources needs it delegated: by a unit with Delegate=yes (systemd-run --user --scope -p "
                            "Delegate=yes, or as a service with DelegateSubgroup=), in whose control group no other process "
                            "is. \"limits\": \"best-effort\" goes without.",
                            "the controller \"%s\" cannot be had for a control group in %s (there: %s)", first, own ?: "?",
                            have ?: "?");
        else
                failure_set(ret_wrong, error,
                            "linux.resources needs control groups version 2 and the right to make one below our own, as in "
                            "a unit with Delegate=yes. \"limits\": \"best-effort\" goes without.",
                            "cannot make a control group for the sandbox in %s", own ?: "any place");
        if (request->profile->limits == PROFILE_LIMITS_BEST_EFFORT && make(request, beside, cgroup) >= 0)
                limits_try(request->profile, cgroup->parent_fd, cgroup->fd); /* it serves to pause and to end, too */
        return -EREMOTE;
}

static void warn(const LaunchRequest *request, const LaunchFailure *wrong) {
        fprintf(stderr, "%s: %s: warning: %s%s%s; running without it\n", program_invocation_short_name, request->name, wrong->text,
                wrong->error > 0 ? ": " : "", wrong->error > 0 ? strerror(wrong->error) : "");
}

int cgroup_prepare(const LaunchRequest *request, LaunchCgroup *ret, LaunchFailure *failure) {
        LaunchCgroup cgroup = no_cgroup;
        LaunchFailure wrong = {};
        bool limited, beside = false;
        int r;

        *ret = no_cgroup;
        limited = limits_any(request->profile);
        if (request->init_pidfd < 0)
                beside = scope_enter(request, limited);
        if (request->profile->freezer == PROFILE_FREEZER_PTRACE && !limited)
                return 0;

        if (request->init_pidfd >= 0)
                r = open_of(request->init_pidfd, &cgroup);
        else if (limited)
                r = make_limited(request, beside, &cgroup, &wrong);
        else
                r = make(request, 0, &cgroup);
        if (limited && r == -EREMOTE) {
                if (request->profile->limits == PROFILE_LIMITS_REQUIRED) {
                        *failure = wrong;
                        forget(&cgroup);
                        return r;
                }
                warn(request, &wrong);
                r = cgroup.fd >= 0 ? 0 : -EOPNOTSUPP;
        }
        if (r >= 0) {
                *ret = cgroup;
                return 0;
        }

        forget(&cgroup);
        if (request->profile->freezer == PROFILE_FREEZER_CGROUP)
                return failure_set(failure, r,
                                   "It needs control groups version 2 and the right to make one below our own, as in a "
                                   "unit with Delegate=yes (systemd-run --user --scope -p Delegate=yes); or use "
                                   "\"freezer\": \"auto\".",
                                   "cannot make a control group for the sandbox");
        return 0;
}

/* clone(2). Not through libc, which has no such call; what it does besides a fork(2) is for threads, and here are none. */
pid_t cgroup_fork(const LaunchCgroup *cgroup, bool *ret_inside) {
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t) cgroup->fd,
        };
        long pid = -1;

        if (cgroup->fd >= 0)
                pid = syscall(SYS_clone3, &args, sizeof(args));
        *ret_inside = pid >= 0;
        return pid >= 0 ? (pid_t) pid : fork();
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
