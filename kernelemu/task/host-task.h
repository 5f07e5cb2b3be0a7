/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the host says of a process or thread of the sandbox: the values that HostOps fills in and the task table
 * keeps. Process ids without "host" are those of the sandbox's first PID namespace. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"

#define TASK_COMM_MAX 65U      /* with its NUL: workqueue names are long, a program's are 15 bytes */
#define WAIT_STATUS_UNKNOWN -1
#define TASK_GROUPS_MAX 32U

/* Each part costs the host a file to read. */
typedef enum HostTaskPart {
        HOST_TASK_STAT = 1 << 0,   /* always there, for zombies too */
        HOST_TASK_STATUS = 1 << 1, /* credentials, ids in nested namespaces */
        HOST_TASK_ARGV = 1 << 2,   /* for the table: task_arguments() */
        HOST_TASK_EXE = 1 << 3,
        HOST_TASK_NS = 1 << 4,     /* the PID namespace */
        HOST_TASK_PLACES = 1 << 6, /* root and working directory */
        HOST_TASK_UID = 1 << 5,    /* for the table: STATUS, if it was never read or the owner has changed */
} HostTaskPart;

/* credentials(7), as the sandbox's own user namespace numbers them. */
typedef struct HostCredentials {
        uint32_t uid, euid, suid, fsuid;
        uint32_t gid, egid, sgid, fsgid;
        uint32_t n_groups;
        uint32_t groups[TASK_GROUPS_MAX]; /* the first of them */
        uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient; /* bit per CAP_* */
        bool no_new_privs;
        int8_t dumpable;        /* prctl(2) PR_GET_DUMPABLE; -1: not to be told. STAT has to be looked at, too */
        uint16_t umask;         /* not a credential, but told with them */
} HostCredentials;

/* Tells images of a process apart: where each exec has put, at random, its stack and its heap. */
typedef struct HostImage {
        GuestAddr stack; /* 0: the host cannot tell, for a program that its own user cannot read */
        GuestAddr heap;
        GuestAddr arguments;
} HostImage;

typedef struct HostTask {
        /* HOST_TASK_STAT */
        HostTid host_id;          /* of the process, or of the thread where one is asked for */
        GuestPid id;
        GuestPid parent;          /* 0: outside of the sandbox, like the next two */
        GuestPid group, session;
        uint64_t start_usec;      /* CLOCK_BOOTTIME of the host: with the id, what tells tasks apart */
        uint64_t cpu_usec;        /* user and system time of all its threads, or of the thread */
        uint64_t children_usec;   /* of the children it has waited for */
        uint32_t n_threads;
        int wait_status;          /* of a zombie, as wait(2) will give it; WAIT_STATUS_UNKNOWN otherwise */
        uint32_t owner;           /* of its files in /proc: changes with its effective uid */
        char state;               /* proc_pid_stat(5): R S D T t Z X I */
        char comm[TASK_COMM_MAX];
        HostImage image;

        /* HOST_TASK_STATUS */
        HostCredentials credentials;
        GuestPid inner_id;        /* in its own, innermost PID namespace */

        /* HOST_TASK_NS; 0: the host does not tell, as before the first exec in the sandbox */
        uint64_t pid_namespace, parent_pid_namespace;

        char *exe;                /* HOST_TASK_EXE; owned by whoever asked. As the sandbox names it; NULL: not to be
                                   * told */
        char *root, *cwd;         /* HOST_TASK_PLACES; likewise */
} HostTask;

/* The arguments of a process, which lie in memory that is the guest's to withhold: they are not part of HostTask. */
typedef struct HostArguments {
        GuestPid pid;
        bool withheld;   /* could not be read in time, and are not tried again while that lasts */
        char *argv;      /* owned by whoever asked. Strings with a NUL each; NULL: none */
        size_t size;
} HostArguments;

/* A process of ours calls: who is it? */
typedef struct HostCaller {
        GuestPid pid;      /* of its process */
        HostTid host_pid;
} HostCaller;
