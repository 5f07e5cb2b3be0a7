/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Namespaces and capabilities of a new sandbox, or of a further process in an old one. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "id-range.h"
#include "isolate.h"
#include "launch.h"
#include "users-host.h"
#include "util.h"

#ifndef CLONE_NEWTIME
#  define CLONE_NEWTIME 0x00000080
#endif
#define NSEC_PER_SEC 1000000000L
#define CLOCK_MAX_NS (INT64_C(100) * 365 * 86400 * NSEC_PER_SEC) /* of a saved clock: a hundred years */

#ifndef SYS_pidfd_send_signal
#  define SYS_pidfd_send_signal 424
#endif
/* Reads a number from a file of /proc/sys. Negative when there is none. */
static int64_t sysctl_read(const char *path) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t value;
        size_t size;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read_full_fd(fd, 64, &text, &size) < 0)
                return -1;
        if (size > 0 && text[size - 1] == '\n')
                text[size - 1] = '\0';
        return safe_atou64(text, 10, &value) < 0 || value > INT64_MAX ? -1 : (int64_t) value;
}

/* Why there is no user namespace for us, as far as the system tells. */
const char *isolate_user_namespace_hint(int error) {
        struct stat root, init_root;

        if (error == ENOSYS || error == EINVAL)
                return "The kernel needs CONFIG_USER_NS.";
        if (sysctl_read("/proc/sys/kernel/unprivileged_userns_clone") == 0)
                return "Unprivileged user namespaces are switched off: the administrator can set the sysctl "
                       "kernel.unprivileged_userns_clone to 1.";
        if (sysctl_read("/proc/sys/user/max_user_namespaces") == 0)
                return "User namespaces are switched off: the administrator can set the sysctl "
                       "user.max_user_namespaces to a number above 0.";
        if (error == ENOSPC || error == EUSERS)
                return "There are as many user namespaces as allowed, or they are nested too deep: end some, or raise "
                       "the sysctl user.max_user_namespaces.";
        if (sysctl_read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
                return "AppArmor restricts unprivileged user namespaces: the administrator can allow them to "
                       "sentryctl by a profile with \"userns,\", or set the sysctl "
                       "kernel.apparmor_restrict_unprivileged_userns to 0.";
        if (stat("/", &root) >= 0 && stat("/proc/1/root/.", &init_root) >= 0 &&
            (root.st_dev != init_root.st_dev || root.st_ino != init_root.st_ino))
                return "Inside a chroot the kernel allows no user namespaces.";
        return "If this is a container, it must be allowed to make user namespaces (Docker: --security-opt "
               "seccomp=… with clone, unshare and mount; systemd units: RestrictNamespaces=no).";
}

static int write_proc(const char *path, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        size_t size = strlen(text);
        ssize_t n;

        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = write(fd, text, size);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

static int enter_user_range(LaunchFailure *failure) {
        _cleanup_(id_range_done) IdRange range = ID_RANGE_NONE;
        int r;

        r = id_range_prepare(&range, failure);
        if (r < 0)
                return r;
        if (unshare(CLONE_NEWUSER) < 0) {
                r = -errno;
                return failure_set(failure, r, isolate_user_namespace_hint(-r), "cannot make a user namespace");
        }
        return id_range_map(&range, failure);
}

static int enter_user_namespace(LaunchFailure *failure) {
        uid_t uid = geteuid();
        gid_t gid = getegid();
        char map[64];
        int r;

        if (unshare(CLONE_NEWUSER) < 0) {
                r = -errno;
                return failure_set(failure, r, isolate_user_namespace_hint(-r), "cannot make a user namespace");
        }

        r = write_proc("/proc/self/setgroups", "deny");
        if (r < 0)
                return failure_set(failure, r, isolate_user_namespace_hint(-r), "cannot write /proc/self/setgroups");

        (void) snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
        r = write_proc("/proc/self/uid_map", map);
        if (r < 0)
                return failure_set(failure, r,
                                   uid == 0 && r == -EPERM ? "Root needs CAP_SETFCAP to map uid 0: run with it, or as "
                                                             "another user."
                                                           : isolate_user_namespace_hint(-r),
                                   "cannot map uid %u into the sandbox", uid);

        (void) snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
        r = write_proc("/proc/self/gid_map", map);
        if (r < 0)
                return failure_set(failure, r, isolate_user_namespace_hint(-r), "cannot map gid %u into the sandbox", gid);

        return 0;
}

static int64_t timespec_to_ns(const struct timespec *t) {
        return (int64_t) t->tv_sec * NSEC_PER_SEC + t->tv_nsec;
}

/* What to add to a clock so that it reads value now, with the nanoseconds not negative. */
static int clock_offset(clockid_t clock, int64_t value, struct timespec *ret) {
        struct timespec now;
        int64_t offset;

        if (clock_gettime(clock, &now) < 0)
                return -errno;
        offset = value - timespec_to_ns(&now);
        ret->tv_sec = offset / NSEC_PER_SEC;
        ret->tv_nsec = offset % NSEC_PER_SEC;
        if (ret->tv_nsec < 0) {
                ret->tv_sec--;
                ret->tv_nsec += NSEC_PER_SEC;
        }
        return 0;
}

/* How much time has passed since a save, by the clock on the wall, which may have been set back. */
static int time_since(const LaunchClocks *saved, int64_t *ret) {
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return -errno;
        *ret = timespec_to_ns(&now) > saved->realtime ? timespec_to_ns(&now) - saved->realtime : 0;
        return saved->monotonic < 0 || saved->boottime < 0 || saved->realtime < 0 || saved->monotonic > CLOCK_MAX_NS - *ret ||
                               saved->boottime > CLOCK_MAX_NS - *ret
                       ? -ERANGE
                       : 0;
}

static int enter_time_namespace(const LaunchClocks *saved, LaunchFailure *failure) {
        struct timespec monotonic, boottime;
        int64_t passed = 0;
        char text[160];
        int r;

        if (unshare(CLONE_NEWTIME) < 0) {
                if (errno == EINVAL) /* before Linux 5.6, or without CONFIG_TIME_NS: the host's clocks will do */
                        return 0;
                return failure_set(failure, errno, "See the sysctl user.max_time_namespaces.",
                                   "cannot make a time namespace");
        }

        r = saved ? time_since(saved, &passed) : 0;
        if (r >= 0)
                r = clock_offset(CLOCK_MONOTONIC, saved ? saved->monotonic + passed : 0, &monotonic);
        if (r >= 0)
                r = clock_offset(CLOCK_BOOTTIME, saved ? saved->boottime + passed : 0, &boottime);
        if (r >= 0) {
                (void) snprintf(text, sizeof(text), "monotonic %jd %ld\nboottime %jd %ld\n",
                                (intmax_t) monotonic.tv_sec, monotonic.tv_nsec, (intmax_t) boottime.tv_sec,
                                boottime.tv_nsec);
                r = write_proc("/proc/self/timens_offsets", text);
        }
        if (r < 0)
                return failure_set(failure, r, NULL, "cannot set the clocks of the sandbox");
        return 0;
}

static int loopback_up(LaunchFailure *failure) {
        _cleanup_close_ int fd = -EBADF;
        struct ifreq request = { .ifr_name = "lo" };

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* any family will do */
        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return failure_set(failure, errno, NULL, "cannot find the sandbox's loopback interface");
        request.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return failure_set(failure, errno, NULL, "cannot bring the sandbox's loopback interface up");
        return 0;
}

static int make_namespaces(int flags, LaunchFailure *failure) {
        const char *hint;
        int error;

        if (flags == 0 || unshare(flags) >= 0)
                return 0;

        error = errno;
        if (error == ENOSPC)
                hint = "There are as many namespaces as allowed: see the sysctls user.max_*_namespaces.";
        else if (error == EINVAL)
                hint = "The kernel needs CONFIG_PID_NS, CONFIG_IPC_NS, CONFIG_UTS_NS and CONFIG_NET_NS.";
        else
                hint = isolate_user_namespace_hint(error);
        return failure_set(failure, error, hint, "cannot make the namespaces of the sandbox");
}

int isolate_new(const Profile *profile, const LaunchClocks *saved, LaunchFailure *failure) {
        int r;

        r = profile->users == PROFILE_USERS_RANGE  ? enter_user_range(failure)
            : profile->users == PROFILE_USERS_HOST ? users_host_enter(failure)
                                                   : enter_user_namespace(failure);
        if (r < 0)
                return r;

        if (profile->namespaces & CLONE_NEWTIME) {
                r = enter_time_namespace(saved, failure);
                if (r < 0)
                        return r;
        }

        return make_namespaces(profile->namespaces & CLONE_NEWPID, failure);
}

/* The host's own limits (namespaces(7), /proc/sys/user), of what is made in our user namespace and in all below it. The
 * sandbox's own namespaces count, but for the user namespace itself. */
static int limit_namespaces(const Profile *profile, LaunchFailure *failure) {
        static const struct {
                const char *name;
                int flag;
        } kinds[] = {
                { "user", 0 },            { "pid", CLONE_NEWPID }, { "mnt", CLONE_NEWNS },
                { "uts", CLONE_NEWUTS },  { "ipc", CLONE_NEWIPC }, { "net", CLONE_NEWNET },
                { "time", CLONE_NEWTIME }, { "cgroup", CLONE_NEWCGROUP },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                unsigned own = kinds[i].flag == CLONE_NEWNS || (profile->namespaces & kinds[i].flag);
                char path[64], text[16];
                int r;

                (void) snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", kinds[i].name);
                /* mounts_lock() makes one more of both. */
                if (profile->mount_calls.kinds != 0 && (kinds[i].flag == CLONE_NEWNS || kinds[i].flag == 0))
                        own++;
                (void) snprintf(text, sizeof(text), "%u\n", profile->nested_namespaces + own);
                r = write_proc(path, text);
                if (r < 0 && r != -ENOENT) /* a type that the kernel does not have */
                        return failure_set(failure, r,
                                           r == -EROFS ? "/proc/sys is read-only here, as in many containers: have it "
                                                         "writable, or sentry.nestedNamespaces at 0."
                                                       : NULL,
                                           "cannot limit the number of %s namespaces in the sandbox", kinds[i].name);
        }
        return 0;
}

int isolate_new_child(const Profile *profile, LaunchFailure *failure) {
        int flags = profile->namespaces & ~(CLONE_NEWUSER | CLONE_NEWTIME | CLONE_NEWPID | CLONE_NEWNS);
        int r;

        r = make_namespaces(flags, failure);
        if (r < 0)
                return r;

        if (flags & CLONE_NEWUTS) {
                if (profile->hostname && sethostname(profile->hostname, strlen(profile->hostname)) < 0)
                        return failure_set(failure, errno, NULL, "cannot set the host name '%s'", profile->hostname);
                if (profile->domainname && setdomainname(profile->domainname, strlen(profile->domainname)) < 0)
                        return failure_set(failure, errno, NULL, "cannot set the domain name '%s'",
                                           profile->domainname);
        }

        if (profile->nested_namespaces > 0) {
                r = limit_namespaces(profile, failure);
                if (r < 0)
                        return r;
        }

        if ((flags & CLONE_NEWNET) && profile->network == PROFILE_NETWORK_PRIVATE)
                return loopback_up(failure);
        return 0;
}

int isolate_pid_of(int pidfd, pid_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *line;
        size_t size;
        int pid, r;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = read_full_file(path, 4096, &text, &size);
        if (r < 0)
                return r;

        line = strstr(text, "\nPid:");
        if (!line)
                return -EBADF;
        if (sscanf(line, "\nPid: %d", &pid) != 1)
                return -EBADF;
        if (pid <= 0) /* 0: of another PID namespace; -1: reaped */
                return -ESRCH;

        *ret = pid;
        return 0;
}

/* The first line of a uid_map or gid_map of ours is about the owner: his id inside, the same as we see it, 1. Or it is
 * the only one and about everybody, and root is the owner. */
static int read_id_map(pid_t pid, const char *file, unsigned *ret_inside, unsigned *ret_outside) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        unsigned count;
        size_t size;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
        r = read_full_file(path, 4096, &text, &size);
        if (r < 0)
                return r;
        if (sscanf(text, "%u %u %u", ret_inside, ret_outside, &count) != 3)
                return -EUCLEAN;
        return count == 1 || (count == UINT32_MAX && *ret_inside == 0 && *ret_outside == 0) ? 0 : -EUCLEAN;
}

static int same_namespace(pid_t pid, const char *name, bool *ret) {
        char path[64], ours[64], theirs[64];
        ssize_t n, m;

        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        n = readlink(path, ours, sizeof(ours));
        if (n < 0)
                return -errno;
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
        m = readlink(path, theirs, sizeof(theirs));
        if (m < 0)
                return -errno;

        *ret = n == m && memcmp(ours, theirs, (size_t) n) == 0;
        return 0;
}

int isolate_join(const Profile *profile, int init_pidfd, LaunchFailure *failure) {
        static const struct {
                const char *name;
                int flag;
        } kinds[] = {
                { "user", CLONE_NEWUSER }, { "ipc", CLONE_NEWIPC },  { "uts", CLONE_NEWUTS }, { "net", CLONE_NEWNET },
                { "pid", CLONE_NEWPID },   { "time", CLONE_NEWTIME }, { "cgroup", CLONE_NEWCGROUP }, { "mnt", CLONE_NEWNS },
        };
        unsigned uid_inside, uid, gid_inside, gid;
        int flags = 0, around, r;
        pid_t pid = 0;

        r = isolate_pid_of(init_pidfd, &pid);
        if (r == -ESRCH)
                return failure_set(failure, 0, NULL, "the sandbox has ended");
        if (r >= 0)
                r = read_id_map(pid, "uid_map", &uid_inside, &uid);
        if (r >= 0)
                r = read_id_map(pid, "gid_map", &gid_inside, &gid);
        if (r == -EUCLEAN)
                return failure_set(failure, 0, NULL, "process %d is the first one of no sandbox of ours", pid);
        if (r < 0)
                return failure_set(failure, r, "It may have ended just now, or belong to someone else.",
                                   "cannot find out whose sandbox it is");

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                bool same = false;

                r = same_namespace(pid, kinds[i].name, &same);
                if (r == -ENOENT) /* the kernel does not know this kind */
                        continue;
                if (r < 0)
                        return failure_set(failure, r, "It may have ended just now.",
                                           "cannot look at the namespaces of the sandbox");
                if (!same)
                        flags |= kinds[i].flag;
        }

        /* What its launcher was in already, a unit's for one, has another owner. */
        around = flags & ~profile->namespaces;
        flags &= ~(around | CLONE_NEWNS);
        if (around != 0 && setns(init_pidfd, around) < 0)
                return failure_set(failure, errno, "What is around the sandbox, as around a unit, only root can join.",
                                   "cannot join the namespaces that the sandbox is in");

        /* Root steps down to the owner before it sets foot in there, groups first: inside they cannot be
         * dropped. As the owner of the user namespace he has all rights over it. */
        if (geteuid() != uid) {
                if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                        return failure_set(failure, errno, "Only he and root can start processes in it.",
                                           "the sandbox belongs to uid %u", uid);
        }

        /* The number may have gone to somebody else while we looked at it. */
        if (syscall(SYS_pidfd_send_signal, init_pidfd, 0, NULL, 0) < 0)
                return failure_set(failure, 0, NULL, "the sandbox has ended");
        if (!(flags & CLONE_NEWUSER))
                return failure_set(failure, 0, "Outside of it is where to join it from.",
                                   "we are in this sandbox already");

        /* Nobody in there may reach into this process, which comes from outside. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return failure_set(failure, errno, NULL, "cannot close the launcher to other processes");
        if (setns(init_pidfd, flags) < 0) {
                if (errno == ESRCH)
                        return failure_set(failure, 0, NULL, "the sandbox has ended");
                return failure_set(failure, errno, errno == EINVAL ? "Linux 5.8 or later is needed." : NULL,
                                   "cannot join the namespaces of the sandbox");
        }

        if (profile->users == PROFILE_USERS_HOST)
                return 0;

        /* Same uid, another primary group (newgrp): inside we have the right to change it. */
        if (getegid() != gid_inside && setresgid(gid_inside, gid_inside, gid_inside) < 0)
                return failure_set(failure, errno, NULL, "cannot become group %u of the sandbox", gid_inside);
        if (geteuid() != uid_inside && setresuid(uid_inside, uid_inside, uid_inside) < 0)
                return failure_set(failure, errno, NULL, "cannot become user %u of the sandbox", uid_inside);

        return 0;
}

int isolate_join_mounts(int init_pidfd, LaunchFailure *failure) {
        if (setns(init_pidfd, CLONE_NEWNS) < 0) {
                if (errno == ESRCH)
                        return failure_set(failure, 0, NULL, "the sandbox has ended");
                return failure_set(failure, errno, NULL, "cannot join the mounts of the sandbox");
        }
        return 0;
}

static void cap_freep(cap_t *caps) {
        if (*caps)
                cap_free(*caps);
}

int isolate_capabilities(uint64_t keep, LaunchFailure *failure) {
        _cleanup_(cap_freep) cap_t caps = cap_init();
        cap_value_t last = -1;

        if (!caps)
                return failure_set(failure, ENOMEM, NULL, "cannot drop capabilities");

        /* Up to the last one of the running kernel, which may know more than we do. */
        for (cap_value_t cap = 0; cap < 64; cap++) {
                int there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

                if (there < 0)
                        break;
                last = cap;
                if (keep & (UINT64_C(1) << cap)) {
                        if (there == 0)
                                return failure_set(failure, EPERM, "Something around us took it away for good.",
                                                   "cannot keep capability number %d", cap);
                        if (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_SET) < 0 ||
                            cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_SET) < 0 ||
                            cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_SET) < 0)
                                return failure_set(failure, errno, "libcap is older than the kernel.",
                                                   "cannot keep capability number %d", cap);
                } else if (there > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        return failure_set(failure, errno, NULL, "cannot drop capability number %d for good", cap);
        }

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || cap_set_proc(caps) < 0)
                return failure_set(failure, errno, NULL, "cannot drop capabilities");

        /* Ambient ones survive the exec of a program that has no file capabilities. */
        for (cap_value_t cap = 0; cap <= last; cap++)
                if ((keep & (UINT64_C(1) << cap)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return failure_set(failure, errno, NULL, "cannot keep capability number %d", cap);

        return 0;
}
