/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "log.h"
#include "recover.h"
#include "sentry.h"
#include "util.h"
#include "util/macros.h"

/* So many crashes within this time, which are bugs and not kills, are the end: there is no use in trying again. */
#define CRASHES_RAPID 10U
#define RAPID_NS (10 * NSEC_PER_SEC)
#define DESCRIPTORS_MAX 65536U

_Static_assert(CRASHES_RAPID <= JOURNAL_CRASHES, "they are remembered");

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
static struct sigaction before[ELEMENTSOF(crash_signals)];
static JournalHeader *noted_in;

static void on_crash(int signo) {
        atomic_store(&noted_in->crashed, (uint32_t) signo);
        /* What there was before, a sanitizer maybe, does the rest, when the instruction is run again. */
        for (size_t i = 0; i < ELEMENTSOF(crash_signals); i++)
                if (crash_signals[i] == signo)
                        (void) sigaction(signo, &before[i], NULL);
}

void recover_note_crashes(JournalHeader *header) {
        struct sigaction action = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK };
        sigset_t set;

        noted_in = header;
        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(crash_signals); i++) {
                (void) sigaddset(&set, crash_signals[i]);
                (void) sigaction(crash_signals[i], &action, &before[i]);
        }
        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Marks what is to stay open. */
static int mark(uint8_t *keep) {
        _cleanup_close_ int fd = -EBADF;
        uint32_t request_size, version;
        Journal journal;
        int r;

        r = notifier_request_size(&request_size);
        if (r < 0)
                return r;
        fd = fcntl(RENDEZVOUS_FD_JOURNAL, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = journal_open(&journal, fd, request_size, &version);
        if (r < 0)
                return r == -EPROTO ? 0 : r; /* whose version that is says who opens it next */
        fd = -EBADF;

        for (uint32_t i = 0; i < journal.header->tables[journal.header->table].n; i++) {
                const RendezvousFd *entry = &journal.header->tables[journal.header->table].fds[i];

                if (entry->role != RENDEZVOUS_KEEPER)
                        keep[entry->number] = 1;
        }
        for (unsigned i = 0; i < NOTIFY_SLOTS; i++)
                if (journal_slot_is_done(&journal, &journal.slots[i]) && journal.slots[i].kind == VERDICT_FD &&
                    atomic_load(&journal.slots[i].state) != JOURNAL_SLOT_FREE && journal.slots[i].source > 0 &&
                    (unsigned) journal.slots[i].source < DESCRIPTORS_MAX) {
                        /* A keeper has them; the manager, who starts one where the keeper is dead too, does not. By that number
                         * we may soon have something else. */
                        if (journal.slots[i].source != journal.fd && fcntl(journal.slots[i].source, F_GETFD) >= 0)
                                keep[journal.slots[i].source] = 1;
                        else
                                journal.slots[i].source = -1;
                }
        journal_done(&journal);
        return 0;
}

int recover_descriptors(void) {
        _cleanup_free_ uint8_t *keep = calloc(1, DESCRIPTORS_MAX);
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        int r;

        if (!keep)
                return -ENOMEM;
        for (int fd = 0; fd <= RENDEZVOUS_FD_JOURNAL; fd++)
                keep[fd] = fd != RENDEZVOUS_FD_BUS && fd != RENDEZVOUS_FD_LAUNCH;
        r = mark(keep);
        if (r < 0)
                return r;
        dir = opendir("/proc/self/fd");
        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                unsigned fd;

                if (safe_atou(entry->d_name, &fd) < 0 || fd <= STDERR_FILENO || (int) fd == dirfd(dir))
                        continue;
                if (fd < DESCRIPTORS_MAX && keep[fd])
                        (void) fcntl((int) fd, F_SETFD, FD_CLOEXEC);
                else
                        (void) close((int) fd);
        }
        return 0;
}

/* Looks at how the other one ended. -ELOOP: it makes no sense to go on. */
static int look_back(Sentry *sentry) {
        JournalHeader *header = sentry->journal.header;
        uint32_t signo = atomic_exchange(&header->crashed, 0), serving = atomic_exchange(&header->serving, 0);
        uint64_t now = kernel_now(sentry->kernel);

        header->n_recoveries++;
        atomic_store(&header->attempts, 0);
        if (signo == 0) {
                log_info("%s: the sentry-kernel was killed, another one goes on", sentry->name);
                return 0;
        }

        log_error("%s: the sentry-kernel has crashed with signal %" PRIu32 "%s; another one goes on", sentry->name, signo,
                  serving > 0 ? " in the service of a call" : "");
        if (serving > 0 && serving <= NOTIFY_SLOTS)
                sentry->journal.slots[serving - 1].crashes++;
        header->crash_ns[header->n_crashes % JOURNAL_CRASHES] = now;
        header->n_crashes++;
        if (header->n_crashes >= CRASHES_RAPID &&
            now - header->crash_ns[(header->n_crashes - CRASHES_RAPID) % JOURNAL_CRASHES] < RAPID_NS) {
                log_error("%s: that was the %uth crash within %u seconds, giving up: the sandbox ends", sentry->name,
                          CRASHES_RAPID, (unsigned) (RAPID_NS / NSEC_PER_SEC));
                return -ELOOP;
        }
        return 0;
}

/* Once all calls are answered that were under way. */
void sentry_settle(Sentry *sentry) {
        _cleanup_free_ char *message = NULL;
        unsigned depth = sentry->pause_depth;
        int r;

        if (sentry->state == SENTRY_PAUSED && depth > 0) {
                r = sentry_freeze(sentry, &message);
                if (r >= 0)
                        return;
                log_error("%s: the sandbox was paused and cannot be stopped again, it runs on: %s", sentry->name,
                          message ?: strerror(-r));
                sentry->pause_depth = 0;
                sentry->state = SENTRY_RUNNING;
                if (sentry->profile->pause_timers)
                        timekeeper_resume(&sentry->kernel->timekeeper);
                sentry_changed(sentry);
                return;
        }
        /* It may have been about to be paused. */
        if (sentry->cgroup.fd >= 0)
                (void) sandbox_cgroup_write(&sentry->cgroup, "cgroup.freeze", "0");
        launch_server_resumed(sentry);
        if (sentry->status >= 0 && sentry->state == SENTRY_RUNNING)
                (void) sentry_kill(sentry, sentry->status);
}

int sentry_take_over(Sentry *sentry) {
        JournalHeader *header = sentry->journal.header;
        Record record;
        int r;

        /* Whoever serves has the lock, by whatever way it came to him. */
        if (flock(RENDEZVOUS_FD_INDEX, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        atomic_store(&header->owner, getpid());

        journal_read(&sentry->journal, &record);
        r = sentry_read(sentry, &record);
        if (r == -ECANCELED && sentry->init_pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, sentry->init_pidfd, SIGKILL, NULL, 0);
        if (r < 0)
                return r;
        r = look_back(sentry);
        if (r < 0) {
                (void) sentry_kill(sentry, 128 + SIGKILL);
                return r;
        }
        r = keeper_watch(&sentry->keeper);
        if (r < 0)
                return r;
        if (sentry->state == SENTRY_PAUSED && sentry->profile->pause_timers)
                timekeeper_pause(&sentry->kernel->timekeeper);
        r = task_table_adopt(&sentry->kernel->tasks);
        if (r < 0 && r != -ESRCH)
                log_warning("%s: cannot look for the processes: %s", sentry->name, strerror(-r));

        journal_start(&sentry->journal, sentry->kernel, sentry_snapshot, sentry);
        sentry_changed(sentry);
        if (sentry->state == SENTRY_EXITED) {
                manager_link_seek(&sentry->link);
                sentry_linger(sentry);
                return 0;
        }
        notifier_recover(&sentry->notifier);
        sentry->resuming = true;
        manager_link_seek(&sentry->link);
        return 0;
}
