/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a sentry-kernel without a connection to a manager comes to one: after a crash, a restart or an upgrade of either.
 * The manager listens on RENDEZVOUS_SOCKET in its runtime directory, bound under another name and renamed when it
 * listens, so that one inotify event says that somebody is there. sentry-kernel connects, says HELLO once, waits for
 * the answer; then the connection is a D-Bus connection peer to peer, whose server is sentry-kernel.
 *
 * With HELLO come all descriptors that another sentry-kernel needs to go on, each with its number and what it is. Who
 * executes sentry-kernel --recover puts each under its number, without FD_CLOEXEC. */

#include <stdbool.h>
#include <stdint.h>

#define RENDEZVOUS_SOCKET "kernels"
#define RENDEZVOUS_VERSION 1U
#define RENDEZVOUS_NAME_MAX 64U
#define RENDEZVOUS_FDS_MAX 248U /* with two more, fewer than Linux takes in one message */

/* The fixed numbers of a sentry-kernel's descriptors. */
enum {
        RENDEZVOUS_FD_BUS = 3,     /* at the start only, not when it recovers */
        RENDEZVOUS_FD_LAUNCH = 4,  /* likewise: the socket of the first launch */
        RENDEZVOUS_FD_PROFILE = 5,
        RENDEZVOUS_FD_INDEX = 6,   /* locked by flock(2): whose description this is, serves the sandbox */
        RENDEZVOUS_FD_RUNDIR = 7,  /* O_PATH, the manager's runtime directory */
        RENDEZVOUS_FD_JOURNAL = 8, /* a memfd */
};

/* What a descriptor is. Told to the manager and kept in the journal: numbers stay as they are. */
typedef enum RendezvousRole {
        RENDEZVOUS_PROFILE = 1,
        RENDEZVOUS_JOURNAL,
        RENDEZVOUS_KEEPER,        /* pidfd of the process that starts the next sentry-kernel */
        RENDEZVOUS_LISTENER,
        RENDEZVOUS_LAUNCH,        /* a launch socket */
        RENDEZVOUS_LAUNCH_PIDFD,  /* the program that was launched over it */
        RENDEZVOUS_PROC,
        RENDEZVOUS_USER_NS,
        RENDEZVOUS_PID_NS,
        RENDEZVOUS_UTS_NS,
        RENDEZVOUS_CGROUP,
        RENDEZVOUS_CGROUP_PARENT,
        RENDEZVOUS_HANDLE,        /* what shows or makes a part of the sandbox: LAUNCH_FD_SOCK_DIAG and those after it */
        _RENDEZVOUS_ROLE_END,
} RendezvousRole;

typedef struct RendezvousFd {
        uint32_t role;   /* RendezvousRole */
        uint32_t number; /* the descriptor's in sentry-kernel */
} RendezvousFd;

/* What HELLO says. */
typedef struct Rendezvous {
        char name[RENDEZVOUS_NAME_MAX + 1];      /* of the sandbox; when received not checked but for its NUL */
        int index_fd;                            /* owned when received, and so are all below */
        int pidfd;                               /* of the sentry-kernel */
        uint32_t n;
        RendezvousFd table[RENDEZVOUS_FDS_MAX];
        int fds[RENDEZVOUS_FDS_MAX];             /* fds[i] is table[i]; at the sender it has that number */
} Rendezvous;

/* Closes what was received. */
void rendezvous_done(Rendezvous *hello);

/* sentry-kernel's side. rendezvous_connect() returns a connected socket that does not block; -ENOENT and -ECONNREFUSED:
 * nobody listens; -EAGAIN: too many are before us. rendezvous_send() returns -EAGAIN when the socket is full.
 * rendezvous_receive_answer() returns 0: taken; -EAGAIN: not there yet; -ECONNRESET: the manager went away; a positive
 * errno: what the manager refuses with; -EBADMSG and -EPROTO (another version) for what is no answer. */
int rendezvous_connect(int rundir_fd);
int rendezvous_send(int fd, const Rendezvous *hello);
int rendezvous_receive_answer(int fd);

/* The manager's side. rendezvous_receive() returns 0 with every descriptor close-on-exec; -EAGAIN: not there yet;
 * -ECONNRESET: end of file; -EPROTO: another version; -EBADMSG: anything else than a HELLO of which all that can be
 * checked without knowing the sandbox was. After an error nothing is left open. rendezvous_answer(): error is 0 or a
 * positive errno. */
int rendezvous_receive(int fd, Rendezvous *ret);
int rendezvous_answer(int fd, int error);

/* Whether each of a table is of a known role and has a number of its own from 3 to 65535, other than those that are
 * never in a table. For whoever puts descriptors under such numbers. */
bool rendezvous_table_is_valid(const RendezvousFd *table, uint32_t n);
