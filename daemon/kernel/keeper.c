/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "keeper.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define PROCESS_NAME "sentry-keeper"
#define ATTEMPTS_MAX 200U  /* of taking a place in a row of which none led to one that serves */
#define RESTARTS_MAX 1000U /* of keepers, by whoever kills them for fun */

static char *own_name;         /* argv[0]: writable, and what ps(1) shows */
static int own_program = -EBADF; /* O_PATH: also when a newer one has taken its place, it stays the one that knows the journal */

void keeper_prepare(char *argv[]) {
        own_name = argv[0];
        /* What is executed by a descriptor has that's number for a name. */
        (void) prctl(PR_SET_NAME, "sentry-kernel", 0, 0, 0);
}

static void keep_open(int fd) {
        (void) fcntl(fd, F_SETFD, 0);
}

/* Becomes the next sentry-kernel. */
static void take_its_place(JournalHeader *header, const JournalSlot *slots, const char *name, bool confined) {
        const char *argv[] = { "sentry-kernel", "--name", name, "--recover", confined ? "--confined" : NULL, NULL };
        uint32_t table = atomic_load(&header->table) & 1;

        for (uint32_t i = 0; i < header->tables[table].n && i < RENDEZVOUS_FDS_MAX; i++)
                keep_open((int) header->tables[table].fds[i].number);
        keep_open(RENDEZVOUS_FD_INDEX);
        keep_open(RENDEZVOUS_FD_RUNDIR);
        /* Descriptors that are on their way to a guest. */
        for (unsigned i = 0; i < NOTIFY_SLOTS; i++)
                if (atomic_load(&slots[i].state) != JOURNAL_SLOT_FREE && atomic_load(&slots[i].done_at) != 0 &&
                    slots[i].kind == VERDICT_FD && slots[i].source > RENDEZVOUS_FD_JOURNAL)
                        keep_open(slots[i].source);
        (void) syscall(SYS_execveat, own_program, "", argv, environ, AT_EMPTY_PATH);
}

/* The life of a keeper. It runs in a copy of a process that may have had threads: nothing here but system calls. */
static _Noreturn void keeper_main(JournalHeader *header, const JournalSlot *slots, pid_t watched, const char *name,
                                  bool confined) {
        for (;;) {
                struct pollfd pollfd = { .events = POLLIN };
                pid_t self = (pid_t) syscall(SYS_getpid), child;
                int32_t owner = watched;

                (void) prctl(PR_SET_NAME, PROCESS_NAME, 0, 0, 0);
                (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
                (void) setsid();
                if (own_name && strlen(own_name) == strlen(PROCESS_NAME))
                        memcpy(own_name, PROCESS_NAME, strlen(PROCESS_NAME));

                pollfd.fd = (int) syscall(SYS_pidfd_open, watched, 0);
                /* As long as it is our parent the number is its own. */
                if (pollfd.fd >= 0 && (pid_t) syscall(SYS_getppid) == watched)
                        while (poll(&pollfd, 1, -1) < 0 && errno == EINTR)
                                ;
                safe_close(pollfd.fd);

                /* There may be two of us, while one stands by. */
                if (atomic_load(&header->goodbye) != 0 || !atomic_compare_exchange_strong(&header->owner, &owner, self))
                        _exit(EXIT_SUCCESS);
                /* None of many has come so far as to serve: no more of that. */
                if (atomic_fetch_add(&header->attempts, 1) >= ATTEMPTS_MAX)
                        _exit(EXIT_FAILURE);
                child = (pid_t) syscall(SYS_clone, CLONE_FILES, NULL, NULL, NULL, NULL);
                if (child == 0) {
                        watched = self;
                        continue;
                }
                atomic_store(&header->standby, child > 0 ? child : 0);
                take_its_place(header, slots, name, confined);
                _exit(EXIT_FAILURE);
        }
}

int keeper_start(Keeper *keeper, Sentry *sentry, bool confined) {
        Journal *journal = &sentry->journal;
        pid_t self = getpid(), pid;

        *keeper = (Keeper) { .sentry = sentry, .pidfd = -EBADF, .n_started = keeper->n_started + 1 };
        if (journal->fd < 0)
                return 0;
        if (own_program < 0)
                own_program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
        if (own_program < 0)
                return -errno;
        /* Without a signal to us at its end: SIGCHLD is for those whom we trace. */
        pid = (pid_t) syscall(SYS_clone, CLONE_FILES, NULL, NULL, NULL, NULL);
        if (pid < 0)
                return -errno;
        if (pid == 0)
                keeper_main(journal->header, journal->slots, self, sentry->name, confined);
        keeper->pid = pid;
        keeper->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        return keeper->pidfd < 0 ? -errno : 0;
}

static void reap(pid_t pid) {
        (void) waitpid(pid, NULL, __WALL);
}

static int on_death(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Keeper *keeper = userdata;
        Sentry *sentry = keeper->sentry;
        int r;

        (void) source, (void) fd, (void) revents;
        reap(keeper->pid);
        keeper_done(keeper);
        if (keeper->n_started >= RESTARTS_MAX) {
                log_warning("%s: no keeper any more, after %u were killed", sentry->name, keeper->n_started);
                sentry_changed(sentry);
                return 0;
        }
        log_warning("%s: the keeper is dead, starting another", sentry->name);
        r = keeper_start(keeper, sentry, true);
        if (r >= 0)
                r = keeper_watch(keeper);
        if (r < 0)
                log_error("%s: cannot start a keeper: %s", sentry->name, strerror(-r));
        sentry_changed(sentry);
        return 0;
}

int keeper_watch(Keeper *keeper) {
        if (keeper->pidfd < 0)
                return 0;
        return sd_event_add_io(keeper->sentry->event, &keeper->source, keeper->pidfd, EPOLLIN, on_death, keeper);
}

void keeper_dismiss_standby(Journal *journal) {
        pid_t pid = atomic_exchange(&journal->header->standby, 0);

        /* A child of ours, from the time when we were a keeper; if not, waitpid() would not find it. */
        if (pid <= 0 || waitpid(pid, NULL, __WALL | WNOHANG) != 0)
                return;
        (void) kill(pid, SIGKILL);
        reap(pid);
}

void keeper_goodbye(Keeper *keeper) {
        JournalHeader *header = keeper->sentry ? keeper->sentry->journal.header : NULL;

        if (header && atomic_load(&header->owner) == getpid())
                atomic_store(&header->goodbye, 1);
}

void keeper_done(Keeper *keeper) {
        keeper->source = sd_event_source_disable_unref(keeper->source);
        if (keeper->sentry)
                keeper->pidfd = safe_close(keeper->pidfd);
        keeper->pid = 0;
}
