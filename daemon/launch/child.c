/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a fresh fork to the confined program. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/securebits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "child.h"
#include "filter.h"
#include "isolate.h"
#include "landlock.h"
#include "launch-protocol.h"
#include "cgroup-limits.h"
#include "mount-tree.h"
#include "mounts.h"
#include "profile-features.h"
#include "program.h"
#include "socket-maker.h"
#include "uplink.h"
#include "util.h"

#ifndef CLONE_NEWTIME
#  define CLONE_NEWTIME 0x00000080
#endif

#define GO_TIMEOUT_MSEC 30000


/* Ends with the parent: not a moment without it. */
static int follow_parent(const LaunchChild *child, LaunchFailure *failure) {
        struct pollfd parent = { .fd = child->status_fd };

        if (child->request->in_place)
                return 0;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return failure_set(failure, errno, NULL, "cannot follow the launcher into death");

        /* It may be gone already: then nobody reads our pipe. */
        if (poll(&parent, 1, 0) > 0 && (parent.revents & POLLERR))
                return failure_set(failure, 0, NULL, "the launcher is gone");
        return 0;
}

/* The sandbox's own /proc, by which sentry-kernel finds its tasks: one of another PID namespace numbers them
 * otherwise. */
static int open_proc(int root, int *ret, LaunchFailure *failure) {
        _cleanup_close_ int fd = -EBADF;
        struct statfs fs;
        char self[16];
        ssize_t n;
        int r, pid;

        r = open_in_root(root, "/proc", O_DIRECTORY, &fd);
        if (r >= 0 && fstatfs(fd, &fs) < 0)
                r = -errno;
        if (r >= 0 && fs.f_type == PROC_SUPER_MAGIC) {
                n = readlinkat(fd, "self", self, sizeof(self) - 1);
                self[n > 0 ? n : 0] = '\0';
                if (safe_atoi(self, &pid) >= 0 && pid == getpid()) {
                        *ret = TAKE_FD(fd);
                        return 0;
                }
        }

        return failure_set(failure, r, "Have a mount {\"destination\": \"/proc\", \"type\": \"proc\"} in the profile.",
                           "the sandbox has no /proc of its own");
}

/* What goes to sentry-kernel, apart from the listener, which is not there yet. */
static int open_handles(int root, int ret[static _LAUNCH_FD_MAX], LaunchFailure *failure) {
        static const struct {
                LaunchFd index;
                const char *path;
        } namespaces[] = {
                { LAUNCH_FD_USER_NS, "self/ns/user" },
                { LAUNCH_FD_PID_NS, "self/ns/pid" },
                { LAUNCH_FD_UTS_NS, "self/ns/uts" },
                { LAUNCH_FD_NET_NS, "self/ns/net" },
                { LAUNCH_FD_IPC_NS, "self/ns/ipc" },
        };
        int r;

        r = open_proc(root, &ret[LAUNCH_FD_PROC], failure);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(namespaces); i++) {
                int fd = openat(ret[LAUNCH_FD_PROC], namespaces[i].path, O_RDONLY | O_CLOEXEC);

                if (fd < 0)
                        return failure_set(failure, errno, NULL, "cannot open /proc/%s", namespaces[i].path);
                ret[namespaces[i].index] = fd;
        }
        return 0;
}

/* What shows the namespaces that were made, and is bound to them by its making. A kernel that has none of it, or walls
 * around us that forbid it, leave less to be listed. */
static void open_views(int ret[static _LAUNCH_FD_MAX]) {
        ret[LAUNCH_FD_SOCK_DIAG] = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        ret[LAUNCH_FD_SHM] = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
        ret[LAUNCH_FD_MSG] = open("/proc/sysvipc/msg", O_RDONLY | O_CLOEXEC);
        ret[LAUNCH_FD_SEM] = open("/proc/sysvipc/sem", O_RDONLY | O_CLOEXEC);
}

/* The same, when there is a namespace of mounts of our own; with no other this is nobody's to make. */
static void open_mqueues(int ret[static _LAUNCH_FD_MAX]) {
        char message[256];

        (void) tree_new("mqueue", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &ret[LAUNCH_FD_MQUEUE],
                        message, sizeof(message));
}

static void find_streams(int ret[static _LAUNCH_FD_MAX]) {
        for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
                ret[LAUNCH_FD_STDIN + i] = fcntl(i, F_GETFD) < 0 ? -EBADF : i;
}

/* What chooses the ids of System V IPC, by whoever has the capability in the namespace: sentry-stub has it. */
static void open_next_ids(int ret[static 3]) {
        static const char *const names[] = { "shm", "msg", "sem" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "/proc/sys/kernel/%s_next_id", names[i]);
                ret[i] = open(path, O_WRONLY | O_CLOEXEC);
        }
}

/* From here on no call may be made that the filter of the sandbox notifies: nobody answers it yet. */
static int hand_over(const LaunchChild *child, const int handles[static _LAUNCH_FD_MAX], int32_t flags, uint32_t walls,
                     pid_t pid, LaunchFailure *failure) {
        LaunchMessage message = {
                .version = LAUNCH_PROTOCOL_VERSION,
                .type = LAUNCH_LISTENER,
                .value = flags,
                .walls = walls,
        };
        int fds[_LAUNCH_FD_MAX];
        size_t n = 0, fds_size;
        struct ucred credentials = { .pid = pid, .uid = getuid(), .gid = getgid() };
        union {
                char buffer[CMSG_SPACE(_LAUNCH_FD_MAX * sizeof(int)) + CMSG_SPACE(sizeof(credentials))];
                struct cmsghdr align;
        } control = {};
        struct iovec iov = { &message, sizeof(message) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
        };
        struct cmsghdr *cmsg;

        for (size_t i = 0; i < _LAUNCH_FD_MAX; i++)
                if (handles[i] >= 0) {
                        message.fds |= 1U << i;
                        fds[n++] = handles[i];
                }
        fds_size = n * sizeof(int);
        header.msg_controllen = CMSG_SPACE(fds_size) + CMSG_SPACE(sizeof(credentials));
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(fds_size);
        memcpy(CMSG_DATA(cmsg), fds, fds_size);

        cmsg = CMSG_NXTHDR(&header, cmsg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_CREDENTIALS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(credentials));
        memcpy(CMSG_DATA(cmsg), &credentials, sizeof(credentials));

        if (sendmsg(child->request->launch_fd, &header, MSG_NOSIGNAL) < 0)
                return failure_set(failure, errno, NULL, "cannot hand the sandbox over to sentry-kernel");
        return 0;
}

/* The next word of sentry-kernel. msec: -1 for any time. */
static int hear(const LaunchChild *child, int msec, LaunchMessage *ret, LaunchFailure *failure) {
        struct pollfd kernel = { .fd = child->request->launch_fd, .events = POLLIN };
        ssize_t n;
        int r;

        do
                r = poll(&kernel, 1, msec);
        while (r < 0 && errno == EINTR); /* a signal that the program will have to deal with */
        if (r < 0)
                return failure_set(failure, errno, NULL, "cannot wait for sentry-kernel");
        if (r == 0)
                return failure_set(failure, ETIMEDOUT, NULL, "sentry-kernel did not take over the sandbox");

        n = recv(child->request->launch_fd, ret, sizeof(*ret), MSG_DONTWAIT);
        if (n < 0)
                return failure_set(failure, errno, NULL, "cannot hear from sentry-kernel");
        if (n == 0)
                return failure_set(failure, 0, "Its log says why.",
                                   "sentry-kernel died before the program could start");
        if (n != sizeof(*ret) || ret->version != LAUNCH_PROTOCOL_VERSION)
                return failure_set(failure, EPROTO, "After an upgrade, start the sandbox anew.",
                                   "sentry-kernel is of another version than sentryctl");
        return 0;
}

static int wait_for_go(const LaunchChild *child, LaunchFailure *failure) {
        const LaunchFailure held = { .code = LAUNCH_NEWS_HELD };
        LaunchMessage message;
        int r;

        r = hear(child, GO_TIMEOUT_MSEC, &message, failure);
        if (r < 0)
                return r;
        if (message.type == LAUNCH_HELD) {
                if (!child->request->in_place && write(child->status_fd, &held, sizeof(held)) < 0)
                        return failure_set(failure, errno, NULL, "the launcher is gone");
                /* A status means that the sandbox is about to end, and we with it. */
                do
                        r = hear(child, -1, &message, failure);
                while (r >= 0 && message.type == LAUNCH_STATUS);
                if (r < 0)
                        return r;
        }
        if (message.type == LAUNCH_REFUSED)
                return failure_set(failure, message.value, "Its log says why.", "sentry-kernel refused the program");
        if (message.type != LAUNCH_GO)
                return failure_set(failure, EPROTO, NULL, "sentry-kernel said something out of turn (%u)",
                                   message.type);
        return 0;
}

/* Takes the user and group that were asked for, where there is more than one of each. */
static int become(const LaunchRequest *request, LaunchFailure *failure) {
        uid_t uid = request->uid < 0 ? geteuid() : (uid_t) request->uid;
        gid_t gid = request->gid < 0 ? getegid() : (gid_t) request->gid;

        if (uid == geteuid() && gid == getegid())
                return 0;
        /* Capabilities are dropped by the next step, not by this one. */
        if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
            setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 || prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0)
                return failure_set(failure, errno, "The ids in a sandbox are those of /proc/self/uid_map and gid_map.",
                                   "cannot become user %u with group %u in the sandbox", uid, gid);
        return 0;
}

/* What stands, apart from Landlock. */
static uint32_t walls_of(const LaunchChild *child, bool in_cgroup) {
        static const struct {
                int flag;
                LaunchWall wall;
        } namespaces[] = {
                { CLONE_NEWUSER, LAUNCH_WALL_USER_NS }, { CLONE_NEWNS, LAUNCH_WALL_MOUNT_NS },
                { CLONE_NEWPID, LAUNCH_WALL_PID_NS },   { CLONE_NEWIPC, LAUNCH_WALL_IPC_NS },
                { CLONE_NEWNET, LAUNCH_WALL_NETWORK_NS }, { CLONE_NEWUTS, LAUNCH_WALL_UTS_NS },
                { CLONE_NEWTIME, LAUNCH_WALL_TIME_NS }, { CLONE_NEWCGROUP, LAUNCH_WALL_CGROUP_NS },
        };
        const Profile *profile = child->request->profile;
        uint32_t walls = 1U << LAUNCH_WALL_SECCOMP | 1U << LAUNCH_WALL_NO_NEW_PRIVS;

        for (size_t i = 0; i < ELEMENTSOF(namespaces); i++)
                if ((profile->namespaces & namespaces[i].flag) &&
                    (namespaces[i].flag != CLONE_NEWTIME || access("/proc/self/ns/time", F_OK) >= 0))
                        walls |= 1U << namespaces[i].wall;
        if (profile->capabilities == 0 && (profile->users != PROFILE_USERS_HOST || profile->capabilities_given))
                walls |= 1U << LAUNCH_WALL_NO_CAPABILITIES;
        if (socket_maker_is_needed(profile))
                walls |= 1U << LAUNCH_WALL_UNIX_SOCKETS;
        if (in_cgroup)
                walls |= 1U << LAUNCH_WALL_CGROUP;
        if (in_cgroup && child->cgroup->limited)
                walls |= 1U << LAUNCH_WALL_LIMITS;
        return walls;
}

/* Where the filter notifies sendmsg(2) itself, handing over is for a thread that was there before the filter, which is for
 * the thread that installs it alone. */
typedef struct Courier {
        const LaunchChild *child;
        const int *fds;
        int32_t flags;
        uint32_t walls;
        pid_t pid;
        LaunchFailure *failure;
        pthread_t thread;
        sem_t ready; /* posted when there is something to hand over */
        bool runs;
        int r;
} Courier;

static void *courier_main(void *userdata) {
        Courier *courier = userdata;

        while (sem_wait(&courier->ready) < 0)
                ;
        courier->r = hand_over(courier->child, courier->fds, courier->flags, courier->walls, courier->pid, courier->failure);
        return NULL;
}

static int courier_start(Courier *courier) {
        int r;

        (void) sem_init(&courier->ready, 0, 0);
        r = pthread_create(&courier->thread, NULL, courier_main, courier);
        if (r != 0)
                return failure_set(courier->failure, r, "A limit on processes (RLIMIT_NPROC, pids.max)?",
                                   "cannot start a thread to hand the sandbox over");
        courier->runs = true;
        return 0;
}

/* At a failure before, the process ends and the thread with it. */
static int courier_finish(Courier *courier) {
        if (!courier->runs)
                return hand_over(courier->child, courier->fds, courier->flags, courier->walls, courier->pid, courier->failure);
        (void) sem_post(&courier->ready);
        (void) pthread_join(courier->thread, NULL);
        return courier->r;
}

static int confine_and_exec(const LaunchChild *child, LaunchFailure *failure) {
        const LaunchRequest *request = child->request;
        _cleanup_(filter_programs_done) FilterPrograms filter = {};
        _cleanup_close_ int root = -EBADF;
        int handles[_LAUNCH_FD_MAX], hostname_fds[2]; /* close-on-exec all, and at a failure this process ends */
        int next_id_fds[3] = { -1, -1, -1 };
        _cleanup_(program_done) Program program = {};
        Courier courier = { .child = child, .fds = handles, .pid = getpid(), .failure = failure };
        bool killable, in_cgroup = false;
        uint32_t walls = 0;
        int r;

        for (size_t i = 0; i < _LAUNCH_FD_MAX; i++)
                handles[i] = -EBADF;
        /* In the namespaces of others we can be seen from now on, or from the start: none of them may open
         * /proc/PID/exe, which is still the launcher, or reach into our memory. Exec ends this. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return failure_set(failure, errno, NULL, "cannot close the launcher to other processes");
        r = follow_parent(child, failure);
        if (r < 0)
                return r;

        if (request->init_pidfd >= 0)
                r = request->profile->namespaces & CLONE_NEWNS ? isolate_join_mounts(request->init_pidfd, failure) : 0;
        else {
                /* Before there is a namespace of control groups, which begins with the group that its maker is in. Nobody
                 * pauses a sandbox that has no program yet. */
                in_cgroup = child->in_cgroup || cgroup_join(child->cgroup);
                r = isolate_new_child(request->profile, failure);
                if (r >= 0 && child->uplink_fd >= 0)
                        r = uplink_connect(child->uplink_fd, failure);
                if (r >= 0)
                        open_views(handles);
                if (r >= 0 && request->restore)
                        open_next_ids(next_id_fds);
                if (r >= 0 && (request->profile->namespaces & CLONE_NEWNS)) {
                        r = mounts_apply(request->profile, hostname_fds, failure);
                        handles[LAUNCH_FD_HOSTNAME] = r < 0 ? -EBADF : hostname_fds[0];
                        handles[LAUNCH_FD_DOMAINNAME] = r < 0 ? -EBADF : hostname_fds[1];
                        open_mqueues(handles);
                }
        }
        if (r < 0)
                return r;

        /* Without mounts of its own the files are those of who started it, and no trap to him. */
        if (request->profile->namespaces & CLONE_NEWNS) {
                root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (root < 0)
                        return failure_set(failure, errno, NULL, "cannot open the root directory of the sandbox");
        }
        r = open_handles(root, handles, failure);
        if (r < 0)
                return r;
        r = program_enter_cwd(request, child->caller_cwd, root, failure);
        if (r < 0)
                return r;
        root = safe_close(root);
        if (request->umask >= 0)
                (void) umask((mode_t) request->umask);
        r = program_prepare(request, child->init_fd, child->status_fd, next_id_fds, &program, failure);
        if (r < 0)
                return r;

        if (child->filter_fd < 0)
                r = filter_build(launch_features(request->profile), &filter, failure);
        else {
                r = filter_receive(child->filter_fd, &filter);
                if (r < 0 && r != -ENODATA)
                        return failure_set(failure, r, NULL, "cannot receive the seccomp filter");
        }
        if (r < 0)
                return r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return failure_set(failure, errno, NULL, "cannot set no_new_privs");
        r = landlock_enter(request->profile, &walls, failure);
        if (r < 0)
                return r;
        r = become(request, failure);
        if (r < 0)
                return r;
        if (request->profile->users == PROFILE_USERS_HOST)
                r = bounds_enter(&child->bounds, request->profile->capabilities_given ? request->profile->capabilities : UINT64_MAX, failure);
        else
                r = isolate_capabilities(request->profile->capabilities | (request->restore ? RESTORE_CAPABILITIES : 0), failure);
        if (r < 0)
                return r;
        if (profile_features(request->profile) & 1U << SYSCALL_FEATURE_SOCKETS) {
                r = courier_start(&courier);
                if (r < 0)
                        return r;
        }
        if (child->maker_fd >= 0) {
                r = socket_maker_wait(child->maker_fd, failure);
                if (r < 0)
                        return r;
                handles[LAUNCH_FD_MAKER] = child->maker_fd;
        }
        /* A restored process gets those that it had, no higher than these, when it has everything else. */
        r = request->restore ? 0 : program_set_rlimits(request->profile, failure);
        if (r < 0)
                return r;
        r = follow_parent(child, failure); /* a change of credentials may have made the kernel forget */
        if (r < 0)
                return r;

        if (sigaction(SIGCHLD, &child->child_action, NULL) < 0 ||
            sigprocmask(SIG_SETMASK, &child->signal_mask, NULL) < 0)
                return failure_set(failure, errno, NULL, "cannot restore the signal mask");

        /* Late: if the sandbox is paused, this is where we stand still from now on. */
        if (request->init_pidfd >= 0)
                in_cgroup = cgroup_join(child->cgroup);
        if (!in_cgroup && (request->profile->freezer == PROFILE_FREEZER_CGROUP ||
                           (limits_any(request->profile) && request->profile->limits == PROFILE_LIMITS_REQUIRED)))
                return failure_set(failure, errno,
                                   "Only who may move processes to the nearest group above both can do that.",
                                   "cannot enter the control group of the sandbox");

        walls |= walls_of(child, in_cgroup);
        find_streams(handles);
        r = filter_install(&filter, &handles[LAUNCH_FD_LISTENER], &killable, failure);
        if (r < 0)
                return r;
        courier.flags = (killable ? LAUNCH_LISTENER_KILLABLE : 0) | (in_cgroup ? LAUNCH_LISTENER_IN_CGROUP : 0) |
                        (request->in_place ? LAUNCH_LISTENER_IN_PLACE : 0);
        courier.walls = walls;
        r = courier_finish(&courier);
        if (r < 0)
                return r;
        /* The listener ends with sentry-kernel only when we do not hold it too. */
        safe_close(handles[LAUNCH_FD_LISTENER]);

        r = wait_for_go(child, failure);
        if (r < 0)
                return r;
        return program_exec(&program, failure);
}

void child_run(const LaunchChild *child) {
        LaunchFailure failure = {};

        (void) confine_and_exec(child, &failure);

        /* Without a failure of ours it is the parent's, who knows about it; so it does when the pipe is closed. */
        if (failure.code == 0 || write(child->status_fd, &failure, sizeof(failure)) < 0)
                _exit(LAUNCH_EXIT_FAILURE);
        _exit(failure.code);
}

void child_run_in_place(const LaunchChild *child, LaunchFailure *failure) {
        (void) confine_and_exec(child, failure);
}
