/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is said on a launch socket: a SOCK_SEQPACKET pair between the launcher (the waiting parent and the
 * process that becomes the confined program share one end) and sentry-kernel. The manager makes the pair and
 * takes no part in it.
 *
 * The launch of a process:
 *   parent → kernel    CGROUP (value: number, launch_cgroup_name()) with a descriptor (O_PATH) of the control group below
 *                      which it is about to make one for the sandbox, so that there is somebody to remove it; (0): it
 *                      has made none. First program only
 *   program → kernel   LISTENER (value: LAUNCH_LISTENER_ flags; fds) with descriptors of LaunchFd; SCM_CREDENTIALS names
 *                      the process
 *   kernel → program   GO (value 0), or REFUSED (value: errno); the program then execs. HELD says before that it may
 *                      take any time: the sandbox is paused, or the program waits for Start()
 *   parent → kernel    EXITED (value: wait status) once it has reaped the program
 *   kernel → parent    STATUS (value: exit code), when the emulated kernel decided the status (kill, reboot);
 *                      it precedes the death of the program
 *   kernel → parent    BYE, the answer to EXITED: everyone who has to know knows
 * A program that runs in place (LAUNCH_LISTENER_IN_PLACE) has no parent of ours: the socket closes when it execs, and only if
 * it cannot it says EXITED itself. Its sandbox ends with the last process in it.
 * Else the kernel treats end-of-file without EXITED as the death of the launcher and ends what it launched. The
 * launcher treats it as the death of sentry-kernel and ends the program. */

#include <stdint.h>
#include <stdio.h>

#define LAUNCH_PROTOCOL_VERSION 2U

typedef enum LaunchType {
        LAUNCH_LISTENER = 1,
        LAUNCH_GO,
        LAUNCH_REFUSED,
        LAUNCH_EXITED,
        LAUNCH_STATUS,
        LAUNCH_BYE,
        LAUNCH_HELD,
        LAUNCH_CGROUP,
} LaunchType;

enum {
        LAUNCH_LISTENER_KILLABLE = 1 << 0,  /* received calls end by an answer or by death: WAIT_KILLABLE_RECV */
        LAUNCH_LISTENER_IN_CGROUP = 1 << 1, /* the process is in the sandbox's control group */
        LAUNCH_LISTENER_IN_PLACE = 1 << 2,  /* nobody waits for the program; its socket closes with its exec */
};

/* What the host's kernel keeps a program inside by. */
typedef enum LaunchWall {
        LAUNCH_WALL_USER_NS,
        LAUNCH_WALL_MOUNT_NS,
        LAUNCH_WALL_PID_NS,
        LAUNCH_WALL_IPC_NS,
        LAUNCH_WALL_NETWORK_NS,
        LAUNCH_WALL_UTS_NS,
        LAUNCH_WALL_TIME_NS,
        LAUNCH_WALL_CGROUP_NS,
        LAUNCH_WALL_SECCOMP,
        LAUNCH_WALL_NO_NEW_PRIVS,
        LAUNCH_WALL_NO_CAPABILITIES,
        LAUNCH_WALL_CGROUP,           /* a control group, by which it can be stopped and ended as a whole */
        LAUNCH_WALL_LIMITS,           /* which has limits */
        LAUNCH_WALL_LANDLOCK_SIGNALS, /* to processes outside */
        LAUNCH_WALL_LANDLOCK_SOCKETS, /* abstract UNIX sockets outside */
        LAUNCH_WALL_LANDLOCK_FILES,   /* writing where the mounts are read-only */
        LAUNCH_WALL_LANDLOCK_PORTS,   /* TCP */
        LAUNCH_WALL_UNIX_SOCKETS,     /* they are made in a network namespace of their own: MakerRequest */
        _LAUNCH_WALL_MAX,
} LaunchWall;

static inline const char *launch_wall_to_string(LaunchWall wall) {
        static const char *const names[_LAUNCH_WALL_MAX] = {
                [LAUNCH_WALL_USER_NS] = "user-namespace",
                [LAUNCH_WALL_MOUNT_NS] = "mount-namespace",
                [LAUNCH_WALL_PID_NS] = "pid-namespace",
                [LAUNCH_WALL_IPC_NS] = "ipc-namespace",
                [LAUNCH_WALL_NETWORK_NS] = "network-namespace",
                [LAUNCH_WALL_UTS_NS] = "uts-namespace",
                [LAUNCH_WALL_TIME_NS] = "time-namespace",
                [LAUNCH_WALL_CGROUP_NS] = "cgroup-namespace",
                [LAUNCH_WALL_SECCOMP] = "seccomp",
                [LAUNCH_WALL_NO_NEW_PRIVS] = "no-new-privileges",
                [LAUNCH_WALL_NO_CAPABILITIES] = "no-capabilities",
                [LAUNCH_WALL_CGROUP] = "cgroup",
                [LAUNCH_WALL_LIMITS] = "limits",
                [LAUNCH_WALL_LANDLOCK_SIGNALS] = "landlock-signals",
                [LAUNCH_WALL_LANDLOCK_SOCKETS] = "landlock-sockets",
                [LAUNCH_WALL_LANDLOCK_FILES] = "landlock-files",
                [LAUNCH_WALL_LANDLOCK_PORTS] = "landlock-ports",
                [LAUNCH_WALL_UNIX_SOCKETS] = "unix-sockets",
        };

        return names[wall];
}

/* The descriptors that come with LISTENER, in this order, as far as they are among its fds. */
typedef enum LaunchFd {
        LAUNCH_FD_LISTENER, /* of the seccomp filter */
        LAUNCH_FD_PROC,     /* O_PATH on the sandbox's own /proc */
        LAUNCH_FD_USER_NS,  /* the namespaces of the program. The launcher passes them, because nobody may */
        LAUNCH_FD_PID_NS,   /* look into a process that has not exec'ed in the sandbox yet */
        LAUNCH_FD_UTS_NS,
        LAUNCH_FD_NET_NS,
        LAUNCH_FD_IPC_NS,
        _LAUNCH_FD_REQUIRED_MAX,
        /* Of the first program, as far as the kernel has such: */
        LAUNCH_FD_SOCK_DIAG = _LAUNCH_FD_REQUIRED_MAX, /* a socket of sock_diag(7) in its network namespace */
        LAUNCH_FD_SHM,      /* /proc/sysvipc/shm … of its IPC namespace, for reading */
        LAUNCH_FD_MSG,
        LAUNCH_FD_SEM,
        LAUNCH_FD_HOSTNAME, /* what lies over /proc/sys/kernel/hostname and domainname, for writing */
        LAUNCH_FD_DOMAINNAME,
        LAUNCH_FD_MAKER,    /* MakerRequest goes here */
        LAUNCH_FD_MQUEUE,   /* a mount of its POSIX message queues that is nowhere */
        /* Of every program, to be looked at and closed: its standard streams, as far as they are open. */
        LAUNCH_FD_STDIN,
        LAUNCH_FD_STDOUT,
        LAUNCH_FD_STDERR,
        _LAUNCH_FD_MAX,
} LaunchFd;

#define LAUNCH_FDS_REQUIRED ((1U << _LAUNCH_FD_REQUIRED_MAX) - 1)

typedef struct LaunchMessage {
        uint32_t version; /* LAUNCH_PROTOCOL_VERSION */
        uint32_t type;    /* LaunchType */
        int32_t value;
        uint32_t walls;   /* LISTENER: what stands around the program, bit (1 << LaunchWall); else 0 */
        uint32_t fds;     /* LISTENER: what comes with it, bit (1 << LaunchFd); else 0 */
} LaunchMessage;

/* What makes UNIX sockets for a sandbox in the host's network, so that abstract names are its own: a process that the
 * launcher leaves behind, in a network namespace that nobody else is in. It answers what it is asked over a socket pair
 * (SOCK_SEQPACKET), and ends when nobody holds the other end. Its first word is an answer with id 0: whether there is such
 * a namespace. */
typedef enum MakerKind {
        MAKER_SOCKET,    /* of type and protocol: a socket of AF_UNIX */
        MAKER_PAIR,      /* two that are connected */
        MAKER_SOCK_DIAG, /* a socket of sock_diag(7) */
} MakerKind;

typedef struct MakerRequest {
        uint64_t id;      /* of any value but 0; the answer has it too */
        uint32_t kind;    /* MakerKind */
        int32_t type;     /* as socket(2) takes it */
        int32_t protocol;
        int32_t unused;
} MakerRequest;

/* With what was made in SCM_RIGHTS. */
typedef struct MakerAnswer {
        uint64_t id;
        int32_t error;    /* 0 or a positive errno */
        uint32_t net_ns;  /* inode of the network namespace */
} MakerAnswer;

/* Capabilities (bit per CAP_*) that the first process of a sandbox that is being restored has until everything is there:
 * CHECKPOINT_RESTORE, for process ids and the programs of processes, NET_RAW, for what waits in UDP sockets, SETPCAP, SETUID
 * and SETGID, and CHOWN, DAC_OVERRIDE and FOWNER, for the files of its other users. */
#define RESTORE_CAPABILITIES \
        (UINT64_C(1) << 40 | UINT64_C(1) << 13 | UINT64_C(1) << 8 | UINT64_C(1) << 7 | UINT64_C(1) << 6 | UINT64_C(1) << 3 | \
         UINT64_C(1) << 1 | UINT64_C(1) << 0)

#define LAUNCH_CGROUP_NUMBER_MAX 64 /* sandboxes of one name below one control group, of several sentryds */

static inline void launch_cgroup_name(const char *sandbox, int number, char *buffer, size_t size) {
        if (number == 1)
                (void) snprintf(buffer, size, "sentryd-%s", sandbox);
        else
                (void) snprintf(buffer, size, "sentryd-%s.%d", sandbox, number);
}
