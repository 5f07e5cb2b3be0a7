/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <seccomp.h>

#include "log.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"
#include "util/macros.h"
#include "watchdog.h"

/* Since Linux 6.6; not in older headers. The flags go by value: a pointer gives EINVAL and no speed-up. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (UINT64_C(1) << 0)
#endif

#define NUMBERS_MAX 1024U              /* system calls of the native ABI are numbered below this */
#define X32_SYSCALL_BIT 0x40000000
#define WATCH_INTERVAL_USEC (20 * 1000U)
/* No machine makes this many tasks in this time: even 100 CPUs that do nothing else need twice as long. */
#define TID_SAFE_PID_MAX 32768
#define TID_SAFE_NS (500 * UINT64_C(1000))
#define REST_NS 1500U                  /* longer without a call: nothing has queued up meanwhile */
#define GUEST_ERESTARTSYS 512          /* known inside kernels only: see restart() */
#define CRASHES_MAX 3U                 /* so many sentry-kernels may crash on a call */

#if defined(__x86_64__)
#  define AUDIT_ARCH_NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#  define AUDIT_ARCH_NATIVE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#  define AUDIT_ARCH_NATIVE AUDIT_ARCH_RISCV64
#else
#  error "Say here what the kernel calls this architecture: AUDIT_ARCH_*."
#endif

static int build_numbers(Notifier *notifier) {
        notifier->n_numbers = NUMBERS_MAX;
        notifier->ids_by_number = malloc(NUMBERS_MAX * sizeof(int32_t));
        if (!notifier->ids_by_number)
                return -ENOMEM;

        for (unsigned i = 0; i < NUMBERS_MAX; i++)
                notifier->ids_by_number[i] = SYSCALL_ID_UNKNOWN;
        for (int id = 0; id < _SYSCALL_ID_MAX; id++) {
                int number = seccomp_syscall_resolve_name(syscall_table[id].name);

                if (number >= 0 && number < (int) NUMBERS_MAX)
                        notifier->ids_by_number[number] = id;
        }
        return 0;
}

/* How long a task id is certain not to be given to another. */
static uint64_t tid_safe_ns(void) {
        _cleanup_free_ char *text = NULL;
        unsigned pid_max;

        if (read_full_file("/proc/sys/kernel/pid_max", 64, &text, NULL) < 0 || sscanf(text, "%u", &pid_max) != 1)
                return 0;
        return pid_max >= TID_SAFE_PID_MAX ? TID_SAFE_NS : 0;
}

int notifier_request_size(uint32_t *ret) {
        struct seccomp_notif_sizes sizes;

        if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
                return -errno;
        *ret = sizes.seccomp_notif;
        return 0;
}

int notifier_init(Notifier *notifier, Sentry *sentry) {

        *notifier = (Notifier) { .sentry = sentry, .receiving = true };
        LIST_INIT(&notifier->listeners);

        notifier->request_size = sentry->journal.header->request_size;
        notifier->tid_safe_ns = tid_safe_ns();

        notifier->slots = calloc(NOTIFY_SLOTS, sizeof(NotifySlot));
        if (!notifier->slots)
                return -ENOMEM;
        return build_numbers(notifier);
}

/* The same call in the journal. */
static JournalSlot *kept(const Notifier *notifier, const NotifySlot *slot) {
        return &notifier->sentry->journal.slots[slot - notifier->slots];
}

static void slot_release(Notifier *notifier, NotifySlot *slot) {
        slot->state = SLOT_FREE;
        atomic_store_explicit(&kept(notifier, slot)->state, JOURNAL_SLOT_FREE, memory_order_release);
}

static void listener_free(Listener *listener) {
        Notifier *notifier = listener->notifier;

        for (unsigned i = 0; i < NOTIFY_SLOTS; i++) {
                NotifySlot *slot = &notifier->slots[i];

                if (slot->state == SLOT_FREE || slot->listener != listener)
                        continue;
                if (slot->state == SLOT_PARKED) {
                        notifier->n_parked--;
                        kernel_unpark(notifier->sentry->kernel, slot->call.cookie);
                }
                slot_release(notifier, slot);
        }
        LIST_REMOVE(listener, link);
        notifier->n_listeners--;
        sentry_changed(notifier->sentry); /* before another gets the number */
        safe_close(listener->fd);
        free(listener);
}

void notifier_done(Notifier *notifier) {
        while (notifier->slots && !LIST_EMPTY(&notifier->listeners)) {
                Listener *listener = LIST_FIRST(&notifier->listeners);

                LIST_REMOVE(listener, link);
                safe_close(listener->fd);
                free(listener);
        }
        notifier->watch_source = sd_event_source_disable_unref(notifier->watch_source);
        free(notifier->slots);
        notifier->slots = NULL;
        free(notifier->ids_by_number);
        notifier->ids_by_number = NULL;
}

int notifier_add(Notifier *notifier, int fd, bool killable) {
        Listener *listener;

        if (notifier->n_listeners >= LISTENERS_MAX)
                return -EMFILE;

        /* Makes the kernel hand the CPU over between guest and sentry; before Linux 6.6 it is slower. */
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0 &&
            errno != EINVAL && errno != ENOTTY)
                return -errno;

        listener = calloc(1, sizeof(Listener));
        if (!listener)
                return -ENOMEM;
        listener->notifier = notifier;
        listener->fd = fd;
        listener->killable = killable;
        LIST_INSERT_HEAD(&notifier->listeners, listener, link);
        notifier->n_listeners++;
        return 0;
}

static NotifySlot *slot_of(const Notifier *notifier, uint64_t cookie) {
        NotifySlot *slot = &notifier->slots[cookie % NOTIFY_SLOTS];

        return slot->state != SLOT_FREE && slot->call.cookie == cookie ? slot : NULL;
}

const Call *notifier_call(const Notifier *notifier, uint64_t cookie) {
        const NotifySlot *slot = slot_of(notifier, cookie);

        return slot ? &slot->call : NULL;
}

static NotifySlot *slot_find_free(Notifier *notifier, unsigned *position) {
        for (; *position < NOTIFY_SLOTS; (*position)++)
                if (notifier->slots[*position].state == SLOT_FREE)
                        return &notifier->slots[*position];
        return NULL;
}

/* A free slot gets its call. Cookies are never used twice: they count up in steps of the number of slots. */
static void slot_fill(Notifier *notifier, NotifySlot *slot, Listener *listener,
                      const struct seccomp_notif *request) {
        uint64_t index = (uint64_t) (slot - notifier->slots);
        uint64_t cookie = slot->call.cookie == 0 ? index : slot->call.cookie;
        int32_t number = request->data.nr;
        bool foreign = request->data.arch != AUDIT_ARCH_NATIVE;

#if defined(__x86_64__)
        foreign = foreign || (number >= 0 && (number & X32_SYSCALL_BIT));
#endif

        *slot = (NotifySlot) {
                .state = SLOT_GOT,
                .listener = listener,
                .id = request->id,
                .call = {
                        .cookie = cookie + NOTIFY_SLOTS,
                        .tid = (HostTid) request->pid,
                        .id = SYSCALL_ID_UNKNOWN,
                        .number = number,
                        .arch = request->data.arch,
                        .foreign = foreign,
                        .received_ns = kernel_now(notifier->sentry->kernel),
                },
        };
        if (!foreign && number >= 0 && (unsigned) number < notifier->n_numbers)
                slot->call.id = notifier->ids_by_number[number];
        memcpy(slot->call.args, request->data.args, sizeof(slot->call.args));
}

bool notifier_call_is_valid(const Notifier *notifier, const Call *call) {
        const NotifySlot *slot = slot_of(notifier, call->cookie);

        if (!slot)
                return false;
        /* Asking makes certain of the moment it is asked in, not of the next one. The answer can be told without
         * as long as the id cannot have come round: the caller has not gone on, and if it died, as many tasks
         * have to be born as there are ids before another gets its own. */
        if (slot->listener->killable && kernel_now(notifier->sentry->kernel) - call->received_ns < notifier->tid_safe_ns)
                return true;
        return ioctl(slot->listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &slot->id) == 0;
}

/* The ABIs through which a process of this machine can make a call; libseccomp numbers them by AUDIT_ARCH_*, but
 * for x32, which shares that of x86-64. */
static const struct {
        uint32_t token;
        const char *name;
} abis[] = {
        { SCMP_ARCH_X86_64, "x86_64" },   { SCMP_ARCH_X86, "x86" },         { SCMP_ARCH_X32, "x32" },
        { SCMP_ARCH_AARCH64, "aarch64" }, { SCMP_ARCH_ARM, "arm" },         { SCMP_ARCH_RISCV64, "riscv64" },
};

static uint32_t abi_of(const Call *call) {
        return call->foreign && call->arch == AUDIT_ARCH_NATIVE ? SCMP_ARCH_X32 : call->arch;
}

const char *notifier_arch_name(const Call *call) {
        for (size_t i = 0; i < ELEMENTSOF(abis); i++)
                if (abis[i].token == abi_of(call))
                        return abis[i].name;
        return "unknown";
}

void notifier_call_name(const Call *call, char *buffer, size_t size) {
        _cleanup_free_ char *name = NULL;

        name = seccomp_syscall_resolve_num_arch(abi_of(call), call->number);
        if (name)
                (void) snprintf(buffer, size, "%s", name);
        else
                (void) snprintf(buffer, size, "#%" PRId32, call->number);
}

/* A fd answer takes two steps. ADDFD with the SEND flag would be one, but it marks the call as replied before
 * the fd is in the table: a signal in between makes the guest return a number without a file behind it. */
static int add_fd(const NotifySlot *slot, int host_fd, uint32_t flags) {
        struct seccomp_notif_addfd add = { .id = slot->id, .srcfd = (uint32_t) host_fd, .newfd_flags = flags };
        int fd;

        fd = ioctl(slot->listener->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
        return fd < 0 ? -errno : fd;
}

int notifier_add_fd(Notifier *notifier, const Call *call, int fd, uint32_t flags) {
        const NotifySlot *slot = slot_of(notifier, call->cookie);

        return slot ? add_fd(slot, fd, flags) : -ESRCH;
}

/* Gives a call its answer, and the slot free unless it is parked. Returns the descriptor that a VERDICT_FD became, or
 * the error it ended with. */
static int complete(Notifier *notifier, NotifySlot *slot, Verdict verdict) {
        struct seccomp_notif_resp response = { .id = slot->id };
        JournalSlot *in_journal = kept(notifier, slot);
        int fd = -EBADF, r;

        if (verdict.kind != VERDICT_PARKED) {
                /* From here on the call has happened. */
                in_journal->kind = verdict.kind;
                in_journal->value = verdict.value;
                in_journal->source = verdict.host_fd;
                journal_commit(&notifier->sentry->journal, in_journal);
        }
        switch (verdict.kind) {
        case VERDICT_VALUE:
                response.val = verdict.value;
                break;
        case VERDICT_ERROR:
                response.error = (int32_t) -verdict.value;
                break;
        case VERDICT_CONTINUE:
                response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
                break;
        case VERDICT_FD:
                r = add_fd(slot, verdict.host_fd, (uint32_t) verdict.value);
                if (r < 0)
                        response.error = host_error_to_guest(r);
                else {
                        atomic_store_explicit(&in_journal->added, r + 1, memory_order_release);
                        response.val = r;
                }
                fd = r < 0 ? response.error : r;
                break;
        case VERDICT_PARKED:
                if (slot->state != SLOT_PARKED) {
                        slot->state = SLOT_PARKED;
                        notifier->n_parked++;
                }
                return -EBADF;
        }

        /* ENOENT: the task died, or a signal took it out of the call. Handlers are idempotent, so nothing
         * is to be undone. */
        if (ioctl(slot->listener->fd, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 && errno != ENOENT)
                log_warning("cannot answer a call of task %" PRId32 ": %s", slot->call.tid, strerror(errno));
        if (slot->state == SLOT_PARKED)
                notifier->n_parked--;
        slot_release(notifier, slot);
        if (verdict.kind == VERDICT_FD)
                safe_close(verdict.host_fd); /* only now: whoever takes our place would need it */
        return fd;
}

/* Apart, for the size of its frame. */
static __attribute__((noinline)) void answer_traced(Notifier *notifier, NotifySlot *slot, Verdict verdict) {
        Tracer *tracer = &notifier->sentry->tracer;
        TracedCall traced;

        tracer_take_down(tracer, &slot->call, verdict, slot->start_ns, &traced);
        tracer_tell(tracer, &traced, complete(notifier, slot, verdict));
}

static void answer(Notifier *notifier, NotifySlot *slot, Verdict verdict) {
        /* All that tracing costs when nobody traces. */
        if (__builtin_expect(notifier->sentry->tracer.n_readers > 0, 0) && verdict.kind != VERDICT_PARKED)
                answer_traced(notifier, slot, verdict);
        else
                (void) complete(notifier, slot, verdict);
}

/* A guest kernel that gets -ERESTARTSYS runs the call again after the signal or the stop that is pending, with
 * the rules of SA_RESTART. Nothing may be sent so when neither is pending: the number would reach the guest. */
static void restart(Notifier *notifier, NotifySlot *slot, int otherwise) {
        Verdict verdict;

        /* What has done something already must not do it again. */
        if (!kernel_interrupt(notifier->sentry->kernel, slot->call.cookie, &verdict))
                verdict = verdict_error(otherwise);
        answer(notifier, slot, verdict);
}

void notifier_restart_parked(Notifier *notifier) {
        /* What is being done on behalf is answered by how it ends, which is soon; nothing new is begun meanwhile. */
        kernel_mount_hold(notifier->sentry->kernel, true);
        mounter_settle(&notifier->sentry->mounter);
        for (unsigned i = 0; i < NOTIFY_SLOTS && notifier->n_parked > 0; i++)
                if (notifier->slots[i].state == SLOT_PARKED)
                        restart(notifier, &notifier->slots[i], GUEST_ERESTARTSYS);
        kernel_mount_hold(notifier->sentry->kernel, false);
}

void notifier_answer(Notifier *notifier, const Call *call, Verdict verdict) {
        NotifySlot *slot = slot_of(notifier, call->cookie);

        if (slot)
                answer(notifier, slot, verdict);
        else if (verdict.kind == VERDICT_FD)
                safe_close(verdict.host_fd);
}

typedef enum SignalWait {
        SIGNAL_NONE,
        SIGNAL_OF_TASK,  /* will be delivered to this very task */
        SIGNAL_OF_GROUP, /* another thread may take it first */
} SignalWait;

/* Whether a signal waits that the task does not block; proc_pid_status(5). */
static SignalWait signal_waits(HostTid tid) {
        _cleanup_free_ char *text = NULL;
        ProcSignals signals;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/status", tid);
        if (read_full_file(path, 65536, &text, NULL) < 0)
                return SIGNAL_NONE;
        (void) proc_parse_signals(text, &signals);

        if (signals.own & ~signals.blocked)
                return SIGNAL_OF_TASK;
        if (signals.shared & ~signals.blocked)
                return signals.n_threads == 1 ? SIGNAL_OF_TASK : SIGNAL_OF_GROUP;
        return SIGNAL_NONE;
}

/* A call that was received cannot be interrupted by the kernel any more (WAIT_KILLABLE), so while some are
 * parked we look whether a signal waits for their tasks. */
static int on_watch(sd_event_source *source, uint64_t usec, void *userdata) {
        Notifier *notifier = userdata;

        (void) usec;
        for (unsigned i = 0; i < NOTIFY_SLOTS && notifier->n_parked > 0; i++) {
                NotifySlot *slot = &notifier->slots[i];

                if (slot->state != SLOT_PARKED || kernel_mount_is_running(notifier->sentry->kernel, slot->call.cookie))
                        continue;
                if (!notifier_call_is_valid(notifier, &slot->call)) {
                        kernel_unpark(notifier->sentry->kernel, slot->call.cookie);
                        slot_release(notifier, slot);
                        notifier->n_parked--;
                        continue;
                }
                switch (signal_waits(slot->call.tid)) {
                case SIGNAL_NONE:
                        break;
                case SIGNAL_OF_TASK:
                        restart(notifier, slot, GUEST_ERESTARTSYS);
                        break;
                case SIGNAL_OF_GROUP:
                        restart(notifier, slot, EINTR);
                        break;
                }
        }

        if (notifier->n_parked == 0)
                return 0;
        (void) sd_event_source_set_time_relative(source, WATCH_INTERVAL_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void watch_parked(Notifier *notifier) {
        int enabled = SD_EVENT_OFF, r;

        if (notifier->n_parked == 0)
                return;
        notifier->rearm = true;
        if (!notifier->watch_source) {
                r = sd_event_add_time_relative(notifier->sentry->event, &notifier->watch_source, CLOCK_MONOTONIC,
                                               WATCH_INTERVAL_USEC, 0, on_watch, notifier);
                if (r < 0)
                        log_warning("cannot watch parked calls for signals: %s", strerror(-r));
                return;
        }
        if (sd_event_source_get_enabled(notifier->watch_source, &enabled) >= 0 && enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(notifier->watch_source, WATCH_INTERVAL_USEC);
        (void) sd_event_source_set_enabled(notifier->watch_source, SD_EVENT_ONESHOT);
}

/* A call is there, and the sandbox shall be paused before anybody receives it. */
static bool is_pause_due(Notifier *notifier) {
        if (notifier->pause_in > 0 && notifier->sentry->state == SENTRY_RUNNING && --notifier->pause_in == 0)
                notifier->pause_due = true;
        return notifier->pause_due;
}

static void pause_if_due(Notifier *notifier) {
        _cleanup_free_ char *message = NULL;
        int r;

        if (!notifier->pause_due)
                return;
        notifier->pause_due = false;
        r = sentry_pause(notifier->sentry, &message);
        if (r < 0)
                log_warning("%s: cannot be paused as SENTRYD_PAUSE_AT says: %s", notifier->sentry->name, message ?: strerror(-r));
}

/* Receives one call into a slot. 0; -EAGAIN: nothing is there; other errors: the listener is of no use. */
static int receive(Notifier *notifier, Listener *listener, NotifySlot *slot) {
        JournalSlot *in_journal = kept(notifier, slot);

        /* The kernel wants it zeroed. It writes the whole of it or nothing, also if we are killed meanwhile. */
        memset(in_journal->request, 0, notifier->request_size);
        in_journal->listener = (uint32_t) listener->fd;
        in_journal->crashes = 0;
        atomic_store_explicit(&in_journal->added, 0, memory_order_relaxed);
        atomic_store_explicit(&in_journal->acted, 0, memory_order_relaxed);
        atomic_store_explicit(&in_journal->done_at, 0, memory_order_relaxed);
        atomic_store_explicit(&in_journal->state, JOURNAL_SLOT_ARMED, memory_order_release);
        if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_RECV, in_journal->request) < 0) {
                atomic_store_explicit(&in_journal->state, JOURNAL_SLOT_FREE, memory_order_release);
                /* ENOENT: the task died between poll and here. */
                return errno == ENOENT || errno == EINTR ? -EAGAIN : -errno;
        }
        slot_fill(notifier, slot, listener, (const struct seccomp_notif *) (const void *) in_journal->request);
        return 0;
}

/* Receives what one listener holds: before anything is dispatched, because a received call is safe from
 * signals and one that waits is not. Returns how many, and whether the listener is at its end. */
static unsigned receive_batch(Notifier *notifier, Listener *listener, NotifySlot *batch[static NOTIFY_BATCH],
                              bool *ret_hangup) {
        unsigned n = 0, position = 0;

        *ret_hangup = false;
        while (n < NOTIFY_BATCH) {
                struct pollfd fd = { .fd = listener->fd, .events = POLLIN };
                NotifySlot *slot;
                int r;

                if (n > 0) {
                        /* RECV waits when nothing is there, so it is only called when poll says there is. The
                         * first time it has. */
                        if (poll(&fd, 1, 0) <= 0)
                                break;
                        if (!(fd.revents & POLLIN)) {
                                *ret_hangup = fd.revents & (POLLHUP | POLLERR | POLLNVAL);
                                break;
                        }
                }
                slot = slot_find_free(notifier, &position);
                if (!slot || is_pause_due(notifier))
                        break;
                r = receive(notifier, listener, slot);
                if (r == -EAGAIN)
                        break;
                if (r < 0) {
                        log_warning("cannot receive from a listener: %s", strerror(-r));
                        *ret_hangup = true;
                        break;
                }
                batch[n++] = slot;

                /* Whether more is there takes a poll, a tenth of the whole round trip. Calls queue up when we
                 * were busy until just now; after a rest, there is most likely the one that woke us. */
                if (slot->call.received_ns - notifier->sentry->kernel->decided_ns > REST_NS)
                        break;
        }
        return n;
}

static void serve_slot(Notifier *notifier, NotifySlot *slot, uint64_t now) {
        JournalHeader *header = notifier->sentry->journal.header;
        Verdict verdict;

        slot->start_ns = now;
        notifier->serving = slot;
        atomic_store_explicit(&header->serving, (uint32_t) (slot - notifier->slots) + 1, memory_order_relaxed);
        watchdog_begin(&slot->call, now);
        verdict = syscall_dispatch(notifier->sentry->kernel, &slot->call);
        /* Whom the first half of it has killed is not there for the second. */
        if (slot->acted > 0 && verdict.kind == VERDICT_ERROR && verdict.value == ESRCH)
                verdict = verdict_value(0);
        answer(notifier, slot, verdict);
        watchdog_end();
        notifier->serving = NULL;
        atomic_store_explicit(&header->serving, 0, memory_order_relaxed);
}

bool notifier_act(Notifier *notifier, int64_t key) {
        NotifySlot *slot = notifier->serving;

        if (!slot)
                return true;
        if (key <= slot->acted)
                return false;
        /* Before it is done: to do it twice would take the time of a system call to hit, this takes that of a store. */
        notifier->acted_before = atomic_load_explicit(&kept(notifier, slot)->acted, memory_order_relaxed);
        atomic_store_explicit(&kept(notifier, slot)->acted, key, memory_order_release);
        return true;
}

void notifier_act_undone(Notifier *notifier) {
        if (notifier->serving)
                atomic_store_explicit(&kept(notifier, notifier->serving)->acted, notifier->acted_before,
                                      memory_order_release);
}

/* ---- taking over ---- */

/* The descriptor that a task has of a file of ours, which nobody else has given it; -ENOENT. */
static int find_added(pid_t tid, int source) {
        char path[64];
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) tid);
        dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
                unsigned fd;

                if (safe_atou(entry->d_name, &fd) >= 0 &&
                    syscall(SYS_kcmp, getpid(), tid, KCMP_FILE, source, fd) == 0)
                        return (int) fd;
        }
        return -ENOENT;
}

/* The answer was given. Nobody knows whether it was sent. */
static void send_again(Notifier *notifier, NotifySlot *slot) {
        JournalSlot *in_journal = kept(notifier, slot);
        Verdict verdict = {
                .kind = (VerdictKind) in_journal->kind, .value = in_journal->value, .host_fd = in_journal->source,
        };

        if (verdict.kind == VERDICT_FD) {
                int fd = atomic_load(&in_journal->added) - 1;

                if (fd < 0 && verdict.host_fd < 0) {
                        /* It died with them. The call is begun again; what it may have got already, nobody can tell from what
                         * it has got before. */
                        atomic_store(&in_journal->done_at, 0);
                        return;
                }
                if (fd < 0)
                        fd = find_added(slot->call.tid, verdict.host_fd);
                if (fd >= 0) {
                        /* Known before what it was found by is gone. */
                        atomic_store_explicit(&in_journal->added, fd + 1, memory_order_release);
                        safe_close(verdict.host_fd);
                        verdict = verdict_value(fd);
                }
        }
        if (verdict.kind != VERDICT_PARKED)
                (void) complete(notifier, slot, verdict);
}

static Listener *listener_of(const Notifier *notifier, uint32_t fd) {
        Listener *listener;

        LIST_FOREACH(listener, &notifier->listeners, link)
                if ((uint32_t) listener->fd == fd)
                        return listener;
        return NULL;
}

void notifier_recover(Notifier *notifier) {
        Journal *journal = &notifier->sentry->journal;
        char name[64];

        for (unsigned i = 0; i < NOTIFY_SLOTS; i++) {
                JournalSlot *in_journal = &journal->slots[i];
                const struct seccomp_notif *request = (const struct seccomp_notif *) (const void *) in_journal->request;
                NotifySlot *slot = &notifier->slots[i];
                Listener *listener = listener_of(notifier, in_journal->listener);

                if (atomic_load(&in_journal->state) == JOURNAL_SLOT_FREE)
                        continue;
                /* Armed and nothing came; or it was answered, or its task is dead. */
                if (request->id == 0 || !listener ||
                    ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) < 0) {
                        if (journal_slot_is_done(journal, in_journal) && in_journal->kind == VERDICT_FD)
                                safe_close(in_journal->source);
                        slot_release(notifier, slot);
                        continue;
                }

                slot_fill(notifier, slot, listener, request);
                slot->acted = atomic_load(&in_journal->acted);
                if (journal_slot_is_done(journal, in_journal))
                        send_again(notifier, slot);
                else if (in_journal->crashes >= CRASHES_MAX) {
                        notifier_call_name(&slot->call, name, sizeof(name));
                        log_error("%s: %u sentry-kernels have crashed on %s of pid %" PRId32 "; it gets ENOSYS",
                                  notifier->sentry->name, in_journal->crashes, name, slot->call.tid);
                        event_unimplemented(notifier->sentry->kernel, &slot->call);
                        (void) complete(notifier, slot, verdict_error(ENOSYS));
                }
        }
}

void notifier_abandon(Notifier *notifier, uint64_t cookie, uint64_t ns, const char *what) {
        NotifySlot *slot = slot_of(notifier, cookie);
        Kernel *kernel = notifier->sentry->kernel;
        char comm[65], name[64];
        TracedCall traced;
        Call call;

        if (!slot)
                return;

        call = slot->call;
        notifier_call_name(&call, name, sizeof(name));
        task_comm(call.tid, comm);
        log_warning("%s: stuck in %s of %s (pid %" PRId32 ") for %" PRIu64 " ms, %s; it gets EFAULT. Where that is:",
                    notifier->sentry->name, name, comm, call.tid, ns / (1000 * NSEC_PER_USEC), what);
        if (call.id != SYSCALL_ID_UNKNOWN && !call.foreign)
                statistics_add(&kernel->statistics[call.id], ns);
        watchdog.n_stuck++;
        kernel_dbus_stuck(notifier->sentry, &call, ns / NSEC_PER_USEC);

        kernel_unpark(kernel, cookie);
        tracer_take_down_unread(&notifier->sentry->tracer, &call, verdict_error(EFAULT), slot->start_ns, &traced);
        tracer_tell(&notifier->sentry->tracer, &traced, complete(notifier, slot, verdict_error(EFAULT)));
}

/* A service that woke a parked call which then got stuck is begun again: handlers are idempotent. */
void notifier_serve_rest(Notifier *notifier) {
        for (unsigned i = 0; i < NOTIFY_SLOTS; i++)
                if (notifier->slots[i].state == SLOT_GOT)
                        serve_slot(notifier, &notifier->slots[i], kernel_now(notifier->sentry->kernel));
}

/* Nobody is left who could make a call that it would tell of. */
static void hang_up(Notifier *notifier, Listener *listener) {
        listener_free(listener);
        if (LIST_EMPTY(&notifier->listeners))
                sentry_deserted(notifier->sentry);
}

/* Serves what one listener holds; frees it at its end. */
static void serve(Notifier *notifier, Listener *listener) {
        Kernel *kernel = notifier->sentry->kernel;
        NotifySlot *batch[NOTIFY_BATCH];
        bool hangup;
        unsigned n;

        n = receive_batch(notifier, listener, batch, &hangup);
        for (unsigned i = 0; i < n; i++)
                serve_slot(notifier, batch[i], i == 0 ? batch[i]->call.received_ns : kernel->decided_ns);

        if (hangup)
                hang_up(notifier, listener);
}

unsigned notifier_poll_fds(const Notifier *notifier, struct pollfd *fds) {
        const Listener *listener;
        unsigned n = 0;

        if (!notifier->receiving)
                return 0;
        LIST_FOREACH(listener, &notifier->listeners, link)
                fds[n++] = (struct pollfd) { .fd = listener->fd, .events = POLLIN };
        return n;
}

void notifier_dispatch(Notifier *notifier, const struct pollfd *fds, unsigned n_fds) {
        Listener *listener = LIST_FIRST(&notifier->listeners);

        for (unsigned i = 0; i < n_fds && listener; i++) {
                Listener *next = LIST_NEXT(listener, link);

                if (fds[i].revents & POLLIN)
                        serve(notifier, listener);
                else if (fds[i].revents)
                        hang_up(notifier, listener);
                listener = next;
        }
        pause_if_due(notifier);
        watch_parked(notifier);
}
