/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sentry-kernel: the process that holds one sandbox's listeners and its emulated kernel. One thread, one event
 * loop, every signal blocked and read from a signalfd. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "cgroup.h"
#include "freezer.h"
#include "host-seccomp.h"
#include "kernel.h"
#include "host-mount.h"
#include "journal.h"
#include "keeper.h"
#include "lister.h"
#include "manager-link.h"
#include "notify.h"
#include "profile.h"
#include "restorer.h"
#include "saver.h"
#include "task-watch.h"
#include "tracer.h"

#define LAUNCH_ID_MAX 64U
#define TOKENS_MAX 64U
#define TOKEN_MESSAGE_MAX 256U
#define LAUNCHES_MAX 64U /* programs that were launched into a sandbox and have a launcher that waits */

typedef enum SentryState {
        SENTRY_STARTING, /* waits for the first LISTENER */
        SENTRY_RUNNING,
        SENTRY_PAUSED,
        SENTRY_EXITED,
        _SENTRY_STATE_MAX,
} SentryState;

const char *sentry_state_to_string(SentryState state);

typedef struct Sentry Sentry;

/* A call of the manager's that was answered: should it come again, it is answered as it was. */
typedef struct Token {
        uint64_t token;                   /* 0: unused */
        char error[128];                  /* "": none */
        char message[TOKEN_MESSAGE_MAX];
} Token;

/* One program that a launcher brings in: the first makes the sandbox, the others are exec'ed into it. */
#define LAUNCH_STREAMS 3U

typedef struct Launch {
        Sentry *sentry;            /* lookup only */
        int fd;                    /* owned; the launch socket */
        sd_event_source *source;   /* owned */
        pid_t pid;                 /* the program's, once it said LISTENER; 0 before */
        pid_t parent_pid;          /* the launcher's, with pid */
        int pidfd;                 /* owned, with pid */
        sd_event_source *exit_source; /* owned, with pidfd: the first program only */
        bool is_first;             /* immutable */
        bool twice;                /* what comes next was dealt with by the sentry-kernel before us, maybe */
        bool in_place;             /* with pid: nobody waits for it, and the socket closes when it execs */
        char container[LAUNCH_ID_MAX + 1]; /* immutable; what it and its descendants belong to. "": the first
                                               * program's */
        char hold[LAUNCH_ID_MAX + 1]; /* what Start() calls it while it must wait for that; "" else */
        bool held;                 /* it said LISTENER and was not told to go yet */
        uint64_t streams[2 * LAUNCH_STREAMS]; /* recorded; with pid: device and inode of its standard streams; 0: closed */
        LIST_ENTRY(Launch) link;   /* owned by the sentry */
} Launch;

struct Sentry {
        char *name;                /* immutable, owned */
        Profile *profile;          /* immutable, owned */
        char *document;            /* immutable, owned: the profile as text, for those who exec */
        sd_event *event;           /* owned */
        sd_bus *bus;               /* owned; NULL while there is no manager */
        ManagerLink link;          /* owned by manager-link.c */
        Journal journal;           /* owned by journal.c; always there, but it may end with us */
        Keeper keeper;             /* owned by keeper.c */
        uint64_t token;            /* of the call that the manager makes next; 0: it has none */
        Token tokens[TOKENS_MAX];  /* recorded; owned by sentry-record.c, as the next */
        unsigned next_token;
        bool resuming;             /* calls that another sentry-kernel received are still to be served */
        bool ending;               /* what goes now is not to be kept as gone */

        HostSeccomp host;          /* owned */
        Kernel *kernel;            /* owned */
        TaskWatch task_watch;      /* owned by task-watch.c */
        Notifier notifier;         /* owned by notify.c */
        Freezer freezer;           /* owned by freezer.c */
        Tracer tracer;             /* owned by tracer.c */
        Lister lister;             /* owned by lister.c */
        SentryMounter mounter;     /* owned by host-mount.c */
        Restorer restorer;         /* owned by restorer.c */
        Saver saver;               /* owned by saver.c */
        int imager_fd;             /* owned: sentry-imager, the program; -EBADF: there is none */
        SandboxCgroup cgroup;      /* owned; launch-server.c fills it in */
        uint32_t walls;            /* what stands around the first program, bit (1 << LaunchWall), as its launcher says */
        bool launcher_lost;        /* the first launcher died without a word: its part of tidying up is ours */

        LIST_HEAD(, Launch) launches; /* owned by launch-server.c */
        unsigned n_launches;

        SentryState state;         /* sentry_set_state() */
        unsigned pause_depth;      /* owned by sentry.c: how often Pause() was called */
        unsigned freeze_depth;     /* owned by sentry.c: sentry_freeze(), once for all pauses */
        pid_t init_pid;            /* host pid of the first program; 0 before. In place: when that has ended, of who was
                                    * there next */
        int init_pidfd;            /* the launch's; -EBADF before */
        bool tells_tasks;          /* somebody subscribed to what happens to tasks; changed by the manager */
        uint64_t started_usec;     /* CLOCK_REALTIME, when the first program was let go */
        int status;                /* of the sandbox: 0-255, or -1 while nobody decided */
        int in_place_status;       /* of the last init of a sandbox in place; -1: of none yet */
        uint64_t names_told_ns;    /* owned by kernel-methods.c: when the names were last told … */
        sd_event_source *names_source; /* owned by it: … and when they will be next */
        sd_event_source *end_source; /* owned: deadline for the end after init died */
};

/* A sentry of a new sandbox, or one that takes the place of another, of whom the journal tells; takes ownership of
 * journal_fd and rundir_fd (either may be -EBADF for a new one), and of name and document by copy. It does not serve yet:
 * sentry_start(), or sentry_take_over(). */
int sentry_new(const char *name, const char *document, int journal_fd, int rundir_fd, bool recover, Sentry **ret);
/* Takes ownership of the descriptors. */
int sentry_start(Sentry *sentry, int bus_fd, int launch_fd);
/* recover.c: goes on where the other one was. */
int sentry_take_over(Sentry *sentry);
/* The rest of it, by sentry_run(). */
void sentry_settle(Sentry *sentry);
/* It has ended; waits a moment for a manager to tell that, then leaves the event loop. */
void sentry_linger(Sentry *sentry);
Sentry *sentry_free(Sentry *sentry);
static inline void sentry_freep(Sentry **sentry) { sentry_free(*sentry); }

/* Serves until the sandbox has ended; watchdog_run() is this with a watchdog. A thread may begin it while another that
 * did so before is stuck in the service of a call and never comes back to it. */
int sentry_run(Sentry *sentry);
/* Says what is left to say, within a deadline; r: what sentry_run() returned. */
void sentry_goodbye(Sentry *sentry, int r);

/* The first program is there and waits to go. pidfd stays the launch's; of fds (indexed by LaunchFd), what
 * is taken is set to -EBADF. 0 or an error, which refuses the launch. */
int sentry_boot(Sentry *sentry, pid_t pid, int pidfd, int fds[]);
/* It was told to go. */
void sentry_started(Sentry *sentry);
/* It is dead; its launcher, if it lives, is about to say how. */
void sentry_init_died(Sentry *sentry);
/* The last process under a listener is leaving, or the last of whom the sandbox knew has ended: ends it when both are so and
 * nobody waits for it. */
void sentry_deserted(Sentry *sentry);
/* It has ended, with the exit code of the sandbox as far as its launcher knows it (-1: nobody knows). Tells the
 * manager and leaves the event loop. */
void sentry_exited(Sentry *sentry, int status);

/* Ends the sandbox: all tasks die, status (0-255) is the sandbox's. -ESRCH before the start and after the end. */
int sentry_kill(Sentry *sentry, int status);

/* Nesting pause. 0; -ETIMEDOUT and -EBUSY with a message that names the task that would not stop. */
int sentry_pause(Sentry *sentry, char **ret_message);
/* -EALREADY when it is not paused. */
int sentry_resume(Sentry *sentry);

/* Stops all tasks while something is done to them; nests, and with pauses. Nobody is told. As sentry_pause(). */
int sentry_freeze(Sentry *sentry, char **ret_message);
void sentry_thaw(Sentry *sentry);

/* Something of a sentry has changed that is kept: it is, now. sentry-record.c, as what follows */
void sentry_changed(Sentry *sentry);
/* Writes all there is: for the journal, and for whoever wants to have a copy. userdata: the Sentry. */
int sentry_snapshot(Record *record, void *userdata);
/* Reads a snapshot and what changed since into a new sentry. */
int sentry_read(Sentry *sentry, Record *record);
/* All descriptors that whoever takes our place needs. */
uint32_t sentry_table(const Sentry *sentry, RendezvousFd table[static RENDEZVOUS_FDS_MAX]);
/* NULL: unknown. */
const Token *sentry_token_find(const Sentry *sentry, uint64_t token);
/* How a call ended; error "": well. Kept with the next sentry_changed(). */
void sentry_token_note(Sentry *sentry, uint64_t token, const char *error, const char *message);
/* manager-link.c: tells the manager that table. */
void sentry_tell_descriptors(Sentry *sentry);

/* launch-server.c */
/* A launch as it was kept, of which fd, pidfd and all that is recorded are set. */
int launch_server_restore(Sentry *sentry, const Launch *kept);
/* Serves the launch socket of the first program; takes ownership of fd. */
int launch_server_add(Sentry *sentry, int fd);
void launch_server_done(Sentry *sentry);
/* Tells the waiting launchers that the status was decided here. */
void launch_server_tell_status(Sentry *sentry, int status);
/* Nobody waits for the first program, and it has ended, as have those who took its place. */
bool launch_server_in_place_is_over(const Sentry *sentry);
/* Whether a process is a launcher that waits for its program: it is in the sandbox's user namespace, but none
 * of its tasks. */
bool launch_server_is_launcher(const Sentry *sentry, pid_t pid);
/* A socket for one more program of a container: the launcher's end. hold: "", or what launch_server_start() will call
 * it; -EEXIST when one that waits is called so. */
int launch_server_open(Sentry *sentry, const char *container, const char *hold, int *ret_fd);
/* Lets the program go that was opened with this hold, now or as soon as it is there. -ESRCH. */
int launch_server_start(Sentry *sentry, const char *hold);
/* The sandbox runs again: lets those go that came meanwhile. */
void launch_server_resumed(Sentry *sentry);
/* A sandbox from an image whose launcher was kept waiting: it goes on, or is refused. */
void launch_server_checked(Sentry *sentry, int r);
/* Host pid of the program that a container was started with: the oldest that still has its launcher. 0: none. */
pid_t launch_server_leader(const Sentry *sentry, const char *container);
/* Host pid of a program that was told to go and has not exec'ed in the sandbox yet, where it is out of reach. 0: none. */
pid_t launch_server_starting(const Sentry *sentry);

/* kernel-dbus.c */
int kernel_dbus_add(Sentry *sentry);
void kernel_dbus_event(Sentry *sentry, const KernelEvent *event);
void kernel_dbus_task_event(Sentry *sentry, const KernelEvent *event); /* task-methods.c */
void kernel_dbus_stuck(Sentry *sentry, const Call *call, uint64_t usec);
void kernel_dbus_exited(Sentry *sentry, int status);
/* PropertiesChanged for the named ones, NULL at the end. */
void kernel_dbus_changed(Sentry *sentry, ...) __attribute__((sentinel));
