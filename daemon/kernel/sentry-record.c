/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of a sentry-kernel itself outlives it: its state, launches, listeners, descriptors, and the calls of the manager that
 * were answered. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "keeper.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

typedef struct KeptLaunch {
        int fd, pidfd;
        pid_t pid, parent_pid;
        bool is_first, in_place, held;
        char container[LAUNCH_ID_MAX + 1], hold[LAUNCH_ID_MAX + 1];
        uint64_t streams[2 * LAUNCH_STREAMS];
} KeptLaunch;

typedef struct KeptListener {
        int fd;
        bool killable;
} KeptListener;

/* All of it. */
typedef struct KeptSentry {
        uint32_t state, pause_depth, walls, pid_level;
        int32_t init_pid, status, in_place_status;
        bool launcher_lost, restoring;
        uint64_t started_usec;
        int cgroup_parent_fd, cgroup_fd, proc_fd, pid_ns_fd;
        char cgroup_name[128];
        bool cgroup_partial;
        uint64_t user_ns, pid_ns, uts_ns, net_ns, ipc_ns, maker_net_ns;
        int handles[HOST_HANDLES];
        int mqueue_fd;
        int64_t offsets_ns[_HOST_CLOCK_MAX];
        uint32_t n_launches, n_listeners;
        KeptLaunch launches[LAUNCHES_MAX];
        KeptListener listeners[LISTENERS_MAX];
} KeptSentry;


/* ---- records ---- */

static void record_int(Record *record, const char *name, int *value) {
        int64_t v = *value;

        record_i64(record, name, &v);
        if (v < INT32_MIN || v > INT32_MAX) {
                record->error = record->error < 0 ? record->error : -EBADMSG;
                return;
        }
        *value = (int) v;
}

static int launch_record(KeptLaunch *launch, Record *record) {
        record_begin(record, "launch", 1);
        record_int(record, "fd", &launch->fd);
        record_int(record, "pidfd", &launch->pidfd);
        record_int(record, "pid", &launch->pid);
        record_int(record, "parent", &launch->parent_pid);
        record_bool(record, "first", &launch->is_first);
        record_bool(record, "in-place", &launch->in_place);
        record_bool(record, "held", &launch->held);
        record_string(record, "container", launch->container, sizeof(launch->container));
        record_string(record, "hold", launch->hold, sizeof(launch->hold));
        record_bytes(record, "streams", launch->streams, sizeof(launch->streams));
        return record_end(record);
}

static int listener_record(KeptListener *listener, Record *record) {
        record_begin(record, "listener", 1);
        record_int(record, "fd", &listener->fd);
        record_bool(record, "killable", &listener->killable);
        return record_end(record);
}

static int kept_record(KeptSentry *kept, Record *record) {
        int r;

        record_begin(record, "sentry", 1);
        record_u32(record, "state", &kept->state);
        record_u32(record, "pause-depth", &kept->pause_depth);
        record_u32(record, "walls", &kept->walls);
        record_int(record, "init", &kept->init_pid);
        record_int(record, "status", &kept->status);
        record_int(record, "in-place-status", &kept->in_place_status);
        record_bool(record, "launcher-lost", &kept->launcher_lost);
        record_bool(record, "restoring", &kept->restoring);
        record_u64(record, "started", &kept->started_usec);
        record_int(record, "cgroup-parent-fd", &kept->cgroup_parent_fd);
        record_int(record, "cgroup-fd", &kept->cgroup_fd);
        record_string(record, "cgroup-name", kept->cgroup_name, sizeof(kept->cgroup_name));
        record_bool(record, "cgroup-partial", &kept->cgroup_partial);
        record_int(record, "proc-fd", &kept->proc_fd);
        record_int(record, "pid-ns-fd", &kept->pid_ns_fd);
        record_u64(record, "user-ns", &kept->user_ns);
        record_u64(record, "pid-ns", &kept->pid_ns);
        record_u64(record, "uts-ns", &kept->uts_ns);
        record_u64(record, "net-ns", &kept->net_ns);
        record_u64(record, "ipc-ns", &kept->ipc_ns);
        record_u64(record, "maker-net-ns", &kept->maker_net_ns);
        record_bytes(record, "handles", kept->handles, sizeof(kept->handles));
        record_int(record, "mqueue-fd", &kept->mqueue_fd);
        record_u32(record, "pid-level", &kept->pid_level);
        record_bytes(record, "clock-offsets", kept->offsets_ns, sizeof(kept->offsets_ns));
        record_u32(record, "launches", &kept->n_launches);
        record_u32(record, "listeners", &kept->n_listeners);
        r = record_end(record);
        if (r < 0)
                return r;
        if (kept->n_launches > LAUNCHES_MAX || kept->n_listeners > LISTENERS_MAX || kept->state >= _SENTRY_STATE_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; r >= 0 && i < kept->n_launches; i++)
                r = launch_record(&kept->launches[i], record);
        for (uint32_t i = 0; r >= 0 && i < kept->n_listeners; i++)
                r = listener_record(&kept->listeners[i], record);
        return r;
}

static int token_record(Token *token, Record *record) {
        record_begin(record, "token", 1);
        record_u64(record, "token", &token->token);
        record_string(record, "error", token->error, sizeof(token->error));
        record_string(record, "message", token->message, sizeof(token->message));
        return record_end(record);
}

/* ---- writing ---- */

static void kept_of(const Sentry *sentry, KeptSentry *ret) {
        int *handles[HOST_HANDLES];
        const Listener *listener;
        const Launch *launch;

        *ret = (KeptSentry) {
                .state = sentry->state,
                .pause_depth = sentry->pause_depth,
                .walls = sentry->walls,
                .pid_level = sentry->host.pid_level,
                .init_pid = sentry->init_pid,
                .status = sentry->status,
                .in_place_status = sentry->in_place_status,
                .launcher_lost = sentry->launcher_lost,
                .restoring = sentry->restorer.state != RESTORER_NONE && sentry->state == SENTRY_STARTING,
                .started_usec = sentry->started_usec,
                .cgroup_parent_fd = sentry->cgroup.parent_fd,
                .cgroup_fd = sentry->cgroup.fd,
                .cgroup_partial = sentry->cgroup.partial,
                .proc_fd = sentry->host.proc_fd,
                .pid_ns_fd = sentry->host.pid_ns_fd,
                .mqueue_fd = sentry->host.mqueue_fd,
                .user_ns = sentry->host.user_ns,
                .pid_ns = sentry->host.pid_ns,
                .uts_ns = sentry->host.uts_ns,
                .net_ns = sentry->host.net_ns,
                .ipc_ns = sentry->host.ipc_ns,
                .maker_net_ns = sentry->host.maker_net_ns,
        };
        host_seccomp_handles((HostSeccomp *) &sentry->host, handles);
        for (size_t i = 0; i < HOST_HANDLES; i++)
                ret->handles[i] = *handles[i];
        memcpy(ret->cgroup_name, sentry->cgroup.name, sizeof(ret->cgroup_name));
        memcpy(ret->offsets_ns, sentry->host.clocks.offsets_ns, sizeof(ret->offsets_ns));
        LIST_FOREACH(launch, &sentry->launches, link) {
                KeptLaunch *kept = &ret->launches[ret->n_launches++];

                *kept = (KeptLaunch) {
                        .fd = launch->fd, .pidfd = launch->pidfd, .pid = launch->pid, .parent_pid = launch->parent_pid,
                        .is_first = launch->is_first, .in_place = launch->in_place, .held = launch->held,
                };
                memcpy(kept->container, launch->container, sizeof(kept->container));
                memcpy(kept->hold, launch->hold, sizeof(kept->hold));
                memcpy(kept->streams, launch->streams, sizeof(kept->streams));
        }
        LIST_FOREACH(listener, &sentry->notifier.listeners, link)
                ret->listeners[ret->n_listeners++] = (KeptListener) { .fd = listener->fd, .killable = listener->killable };
}

static int write_sentry(const Sentry *sentry, Record *record) {
        static KeptSentry kept; /* large; one thread serves */

        kept_of(sentry, &kept);
        return kept_record(&kept, record);
}

int sentry_snapshot(Record *record, void *userdata) {
        Sentry *sentry = userdata;
        int r;

        r = kernel_snapshot(sentry->kernel, record);
        if (r >= 0)
                r = write_sentry(sentry, record);
        for (unsigned i = 0; r >= 0 && i < TOKENS_MAX; i++)
                if (sentry->tokens[i].token != 0)
                        r = token_record(&sentry->tokens[i], record);
        return r;
}

static void add_fd(RendezvousFd *table, uint32_t *n, RendezvousRole role, int fd) {
        if (fd >= 0 && *n < RENDEZVOUS_FDS_MAX)
                table[(*n)++] = (RendezvousFd) { .role = role, .number = (uint32_t) fd };
}

uint32_t sentry_table(const Sentry *sentry, RendezvousFd table[static RENDEZVOUS_FDS_MAX]) {
        int *handles[HOST_HANDLES];
        const Listener *listener;
        const Launch *launch;
        uint32_t n = 0;

        add_fd(table, &n, RENDEZVOUS_PROFILE, RENDEZVOUS_FD_PROFILE);
        add_fd(table, &n, RENDEZVOUS_JOURNAL, sentry->journal.fd);
        add_fd(table, &n, RENDEZVOUS_KEEPER, sentry->keeper.pidfd);
        add_fd(table, &n, RENDEZVOUS_PROC, sentry->host.proc_fd);
        add_fd(table, &n, RENDEZVOUS_PID_NS, sentry->host.pid_ns_fd);
        add_fd(table, &n, RENDEZVOUS_CGROUP_PARENT, sentry->cgroup.parent_fd);
        add_fd(table, &n, RENDEZVOUS_CGROUP, sentry->cgroup.fd);
        host_seccomp_handles((HostSeccomp *) &sentry->host, handles);
        for (size_t i = 0; i < HOST_HANDLES; i++)
                add_fd(table, &n, RENDEZVOUS_HANDLE, *handles[i]);
        add_fd(table, &n, RENDEZVOUS_HANDLE, sentry->host.mqueue_fd);
        LIST_FOREACH(listener, &sentry->notifier.listeners, link)
                add_fd(table, &n, RENDEZVOUS_LISTENER, listener->fd);
        LIST_FOREACH(launch, &sentry->launches, link) {
                add_fd(table, &n, RENDEZVOUS_LAUNCH, launch->fd);
                add_fd(table, &n, RENDEZVOUS_LAUNCH_PIDFD, launch->pidfd);
        }
        return n;
}

void sentry_changed(Sentry *sentry) {
        RendezvousFd table[RENDEZVOUS_FDS_MAX];
        const JournalHeader *header = sentry->journal.header;
        uint32_t n = sentry_table(sentry, table), which = atomic_load(&header->table);
        bool same = header->tables[which].n == n &&
                memcmp(header->tables[which].fds, table, n * sizeof(RendezvousFd)) == 0;
        Record *record;

        if (sentry->ending)
                return;
        if (!same)
                journal_set_table(&sentry->journal, table, n);
        record = change_begin(sentry->kernel);
        if (record) {
                (void) write_sentry(sentry, record);
                change_end(sentry->kernel, record);
        }
        journal_commit(&sentry->journal, NULL);
        if (!same)
                sentry_tell_descriptors(sentry);
}

/* ---- tokens ---- */

const Token *sentry_token_find(const Sentry *sentry, uint64_t token) {
        for (unsigned i = 0; i < TOKENS_MAX; i++)
                if (sentry->tokens[i].token == token)
                        return &sentry->tokens[i];
        return NULL;
}

void sentry_token_note(Sentry *sentry, uint64_t token, const char *error, const char *message) {
        Token *t = &sentry->tokens[sentry->next_token++ % TOKENS_MAX];
        Record *record;

        *t = (Token) { .token = token };
        (void) snprintf(t->error, sizeof(t->error), "%s", error);
        (void) snprintf(t->message, sizeof(t->message), "%s", message);
        record = change_begin(sentry->kernel);
        if (record) {
                (void) token_record(t, record);
                change_end(sentry->kernel, record);
        }
}

/* ---- reading ---- */

/* A descriptor that was kept; -EBADF when it was not, or is not there. */
static int take_fd(int fd) {
        return fd >= 0 && fcntl(fd, F_GETFD) >= 0 ? fd : -EBADF;
}

static int take(Sentry *sentry, const KeptSentry *kept) {
        int *handles[HOST_HANDLES];

        sentry->state = (SentryState) kept->state;
        sentry->pause_depth = kept->pause_depth;
        sentry->walls = kept->walls;
        sentry->init_pid = kept->init_pid;
        sentry->status = kept->status;
        sentry->in_place_status = kept->in_place_status;
        sentry->launcher_lost = kept->launcher_lost;
        sentry->started_usec = kept->started_usec;
        sentry->cgroup.parent_fd = take_fd(kept->cgroup_parent_fd);
        sentry->cgroup.fd = take_fd(kept->cgroup_fd);
        sentry->cgroup.partial = kept->cgroup_partial;
        memcpy(sentry->cgroup.name, kept->cgroup_name, sizeof(sentry->cgroup.name));
        sentry->host.proc_fd = take_fd(kept->proc_fd);
        sentry->host.pid_ns_fd = take_fd(kept->pid_ns_fd);
        sentry->host.mqueue_fd = take_fd(kept->mqueue_fd);
        sentry->host.user_ns = kept->user_ns;
        sentry->host.pid_ns = kept->pid_ns;
        sentry->host.uts_ns = kept->uts_ns;
        sentry->host.net_ns = kept->net_ns;
        sentry->host.ipc_ns = kept->ipc_ns;
        sentry->host.maker_net_ns = kept->maker_net_ns;
        host_seccomp_handles(&sentry->host, handles);
        for (size_t i = 0; i < HOST_HANDLES; i++)
                *handles[i] = take_fd(kept->handles[i]);
        if (sentry->host.maker_fd >= 0)
                kernel_make_unix_sockets(sentry->kernel, kept->net_ns);
        sentry->host.pid_level = kept->pid_level;
        sentry->host.namespaces_nest = sentry->profile->nested_namespaces > 0;
        memcpy(sentry->host.clocks.offsets_ns, kept->offsets_ns, sizeof(kept->offsets_ns));

        /* The newest come first, and are put before the others. */
        for (uint32_t i = kept->n_listeners; i-- > 0;) {
                const KeptListener *l = &kept->listeners[i];
                int r = take_fd(l->fd) < 0 ? -EBADF : notifier_add(&sentry->notifier, l->fd, l->killable);

                if (r < 0)
                        log_warning("%s: listener %d is lost: %s", sentry->name, l->fd, strerror(-r));
        }
        for (uint32_t i = kept->n_launches; i-- > 0;) {
                const KeptLaunch *l = &kept->launches[i];
                Launch launch = {
                        .fd = take_fd(l->fd), .pidfd = take_fd(l->pidfd), .pid = l->pid, .parent_pid = l->parent_pid,
                        .is_first = l->is_first, .in_place = l->in_place, .held = l->held,
                };
                int r = -EBADF;

                memcpy(launch.container, l->container, sizeof(launch.container));
                memcpy(launch.hold, l->hold, sizeof(launch.hold));
                memcpy(launch.streams, l->streams, sizeof(launch.streams));
                if (launch.fd >= 0)
                        r = launch_server_restore(sentry, &launch);
                if (r < 0)
                        log_warning("%s: the launch of process %d is lost: %s", sentry->name, (int) l->pid,
                                    strerror(-r));
        }
        /* One that an image was being made into is not whole, and nobody is left who could go on with that. */
        return kept->restoring ? -ECANCELED : 0;
}

int sentry_read(Sentry *sentry, Record *record) {
        _cleanup_free_ KeptSentry *kept = calloc(1, sizeof(KeptSentry));
        char type[RECORD_NAME_MAX + 1];
        bool found = false;
        int r;

        if (!kept)
                return -ENOMEM;
        kept->mqueue_fd = -EBADF; /* of a sentry-kernel that had none */
        r = kernel_snapshot(sentry->kernel, record);
        while (r >= 0 && record_peek(record, type)) {
                if (streq(type, "sentry")) {
                        r = kept_record(kept, record);
                        found = true;
                } else if (streq(type, "token")) {
                        Token token = {};

                        r = token_record(&token, record);
                        if (r >= 0)
                                sentry->tokens[sentry->next_token++ % TOKENS_MAX] = token;
                } else {
                        r = changes_apply(sentry->kernel, record);
                        if (r == 0)
                                r = -EBADMSG;
                }
        }
        if (r >= 0)
                r = record->error;
        if (r < 0)
                return r;
        return found ? take(sentry, kept) : -EBADMSG;
}
