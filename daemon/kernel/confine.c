/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <seccomp.h>
#include <sys/capability.h>

#include "confine.h"
#include "log.h"
#include "util.h"

/* A Landlock domain would be a further wall, but a task in a domain may not ptrace one outside of it, and reading
 * the memory of the sandbox is just that. */
static const char *const allowed[] = {
        /* memory and the process itself */
        "brk", "madvise", "mmap", "mprotect", "mremap", "munmap", "exit", "exit_group", "futex", "getrandom",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "alarm",
        "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrusage", "prlimit64", "getrlimit",
        "uname", "sysinfo", "clock_gettime", "clock_getres", "gettimeofday", "time",
        "clone", "set_robust_list", "rseq",
        /* the event loop and the bus */
        "poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
        "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4", "eventfd2",
        "read", "readv", "pread64", "write", "writev", "close", "close_range", "dup", "dup3", "pipe2", "fcntl", "lseek",
        "sendmsg", "sendto", "recvmsg", "recvfrom", "socketpair", "getsockopt", "setsockopt", "getsockname",
        "getpeername", "shutdown", "memfd_create", "ftruncate", "pwrite64",
        /* /proc of the sandbox */
        "openat", "open", "stat", "lstat", "fstat", "newfstatat", "statx", "fstatfs", "getdents", "getdents64", "readlink",
        "readlinkat", "mq_getsetattr", "access", "faccessat", "faccessat2", "getxattr", "openat2",
        /* the next sentry-kernel, by a keeper that was made late, under this very filter; the way to a manager */
        "set_tid_address", "setsid", "flock", "inotify_init1", "inotify_add_watch",
        /* the control group of a sandbox whose launcher died */
        "unlinkat",
        /* the sandbox */
        "ioctl", "process_vm_readv", "process_vm_writev", "ptrace", "wait4", "waitid", "kill", "tgkill",
        "pidfd_open", "pidfd_send_signal", "setns", "kcmp", "sched_getaffinity", "sched_setaffinity",
        /* on behalf of its tasks */
        "bind", "connect", "listen", "openat2", "chdir", "fchdir", "umask",
        "pidfd_getfd", "rt_tgsigqueueinfo", "getpriority", "setpriority", "ioprio_get", "ioprio_set",
        "sched_getscheduler", "sched_setscheduler", "sched_getparam", "sched_setparam", "sched_getattr", "sched_setattr",
        "sched_rr_get_interval",
        /* sentry-imager, which inherits this filter: to start, to make files in the sandbox, and to save it */
        "set_tid_address", "pwrite64", "mkdirat", "symlinkat", "linkat", "mknodat", "fchmod", "fchmodat", "fchownat",
        "utimensat", "inotify_rm_watch",
        "renameat", "renameat2", "fsync", "tee", "mq_timedreceive", "mq_timedsend", "rt_sigtimedwait", "nanosleep", "clock_nanosleep", "get_robust_list",
        /* what sanitizers and malloc of other libcs use */
        "sched_yield", "prctl", "arch_prctl", "getcwd", "mincore",
};

/* By host-mount.c, after it has become one of the sandbox. */
static const char *const allowed_for_mounts[] = {
        "mount", "umount2", "open_tree", "move_mount", "chroot", "fchdir", "capset", "setfsuid", "setfsgid", "setgroups",
};

static int allow(scmp_filter_ctx filter, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int number = seccomp_syscall_resolve_name(names[i]), r;

                /* Not every architecture has all of them. */
                if (number < 0)
                        continue;
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int install_filter(bool mounts) {
        scmp_filter_ctx filter;
        int r;

        filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        if (!filter)
                return -ENOMEM;

        r = allow(filter, allowed, ELEMENTSOF(allowed));
        if (r >= 0 && mounts)
                r = allow(filter, allowed_for_mounts, ELEMENTSOF(allowed_for_mounts));
        if (r < 0)
                goto finish;
        /* Of sockets, those that sock_diag(7) is asked by. */
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                             SCMP_A2(SCMP_CMP_EQ, NETLINK_SOCK_DIAG, 0));
        if (r < 0)
                goto finish;
        /* How a sentry-kernel comes to a manager, and says what it has to say to the system's log. */
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
        if (r < 0)
                goto finish;
        /* How large its requests are. */
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 1,
                             SCMP_A0(SCMP_CMP_EQ, SECCOMP_GET_NOTIF_SIZES, 0));
        if (r < 0)
                goto finish;
        /* Programs that were opened before, by their descriptors: sentry-imager, and the next sentry-kernel. */
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(execveat), 1, SCMP_A4(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
        if (r < 0)
                goto finish;
        /* Libc starts threads with it unless the kernel does not know it. */
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        if (r < 0)
                goto finish;
        r = seccomp_load(filter);

finish:
        seccomp_release(filter);
        return r;
}

static int drop_capabilities(bool ports) {
        const cap_value_t port = CAP_NET_BIND_SERVICE;
        cap_flag_value_t there = CAP_CLEAR;
        cap_t caps;
        int r = 0;

        caps = cap_get_proc();
        if (!caps)
                return -errno;
        if (cap_get_flag(caps, port, CAP_PERMITTED, &there) < 0 || cap_clear(caps) < 0 ||
            (ports && there == CAP_SET &&
             (cap_set_flag(caps, CAP_PERMITTED, 1, &port, CAP_SET) < 0 || cap_set_flag(caps, CAP_EFFECTIVE, 1, &port, CAP_SET) < 0)) ||
            cap_set_proc(caps) < 0)
                r = -errno;
        (void) cap_free(caps);
        return r;
}

int confine_self(bool mounts, bool ports) {
        int r;

        r = drop_capabilities(ports);
        if (r < 0)
                return log_error_errno(r, "Cannot drop capabilities: %m");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "Cannot set no_new_privs: %m");
        r = install_filter(mounts);
        if (r < 0)
                return log_error_errno(r, "Cannot install the system call filter: %m");
        return 0;
}
