/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/syscall.h>

#include <systemd/sd-daemon.h>

#include "held.h"
#include "log.h"
#include "manager.h"
#include "rendezvous.h"
#include "util.h"

#define HELD_MAX_DEFAULT 512U
#define STORE_MAX_DEFAULT 4096U /* FileDescriptorStoreMax= of our units; systemd says it from version 254 on */

/* Names in the store are "SANDBOX/NUMBER". */
static void tell_store(const char *name, uint32_t number, const char *what, int fd) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = string_appendf(&text, "%s\nFDNAME=%s/%u%s", what, name, number, fd >= 0 ? "\nFDPOLL=0" : "");
        if (r >= 0)
                r = sd_pid_notify_with_fds(0, 0, text, fd >= 0 ? &fd : NULL, fd >= 0);
        if (r < 0)
                log_debug_errno(r, "Failed to tell systemd of a descriptor of sandbox %s: %m", name);
}

static void store_remove(Manager *m, const char *name, uint32_t number) {
        tell_store(name, number, "FDSTOREREMOVE=1", -EBADF);
        m->store.n--;
}

/* Nobody waits for the store: it is for the death of a sentry-kernel, its keeper and us within a moment, and a program that
 * waited to be let go until systemd has it would make every start wait for systemd. */
static void store_add(const Sandbox *s, HeldFd *held) {
        Store *store = &s->manager->store;

        if (!store->enabled || held->stored || held->role == RENDEZVOUS_KEEPER)
                return;
        if (store->n >= store->max) {
                if (!store->full)
                        log_warning("The %u descriptors that systemd keeps for us are all in use: from now on, sandboxes do "
                                    "not outlive that sentryd, a sentry-kernel and its keeper are killed at once "
                                    "(FileDescriptorStoreMax= in the unit).", store->max);
                store->full = true;
                return;
        }
        tell_store(s->name, held->number, "FDSTORE=1", held->fd);
        held->stored = true;
        store->n++;
}

static int parse_name(const char *text, StoredFd *ret) {
        const char *slash = strrchr(text, '/');
        unsigned number;

        if (!slash || safe_atou(slash + 1, &number) < 0 ||
            !rendezvous_table_is_valid(&(RendezvousFd) { RENDEZVOUS_JOURNAL, number }, 1))
                return -EINVAL;
        ret->name = strndup(text, (size_t) (slash - text));
        if (!ret->name)
                return -ENOMEM;
        if (!sandbox_name_is_valid(ret->name)) {
                free(TAKE_PTR(ret->name));
                return -EINVAL;
        }
        ret->number = number;
        return 0;
}

int store_open(Manager *m) {
        const char *max = getenv("FDSTORE");
        _cleanup_strv_free_ char **names = NULL;
        Store *store = &m->store;
        struct rlimit nofile;
        int n, r;

        m->held_max = HELD_MAX_DEFAULT;
        if (getrlimit(RLIMIT_NOFILE, &nofile) >= 0)
                m->held_max = nofile.rlim_cur / 4 * 3; /* we need some for ourselves */
        store->enabled = m->mode != MANAGER_EMBEDDED && getenv("NOTIFY_SOCKET");
        if (!store->enabled)
                return 0;
        store->max = STORE_MAX_DEFAULT;
        if (max && safe_atou(max, &store->max) < 0)
                store->max = STORE_MAX_DEFAULT;

        n = sd_listen_fds_with_names(1, &names);
        if (n <= 0)
                return n;
        store->fds = calloc((size_t) n, sizeof(*store->fds));
        if (!store->fds)
                return -ENOMEM;
        for (int i = 0; i < n; i++) {
                StoredFd *stored = store->fds + store->n_fds;

                r = parse_name(names[i], stored);
                if (r < 0) {
                        log_debug_errno(r, "systemd hands over a descriptor \"%s\", which is none of ours: %m", names[i]);
                        safe_close(SD_LISTEN_FDS_START + i);
                        if (r == -ENOMEM)
                                return r;
                        continue;
                }
                stored->fd = SD_LISTEN_FDS_START + i;
                store->n_fds++;
                store->n++;
        }
        return 0;
}

void store_drop_unclaimed(Manager *m) {
        Store *store = &m->store;

        for (size_t i = 0; i < store->n_fds; i++) {
                StoredFd *stored = store->fds + i;

                if (!stored->name)
                        continue;
                store_remove(m, stored->name, stored->number);
                safe_close(stored->fd);
                free(TAKE_PTR(stored->name));
        }
        free(TAKE_PTR(store->fds));
        store->n_fds = 0;
}

void store_close(Manager *m) {
        Store *store = &m->store;

        for (size_t i = 0; i < store->n_fds; i++)
                if (store->fds[i].name) {
                        safe_close(store->fds[i].fd);
                        free(store->fds[i].name);
                }
        free(TAKE_PTR(store->fds));
        store->n_fds = 0;
}

int held_claim(Sandbox *s) {
        Store *store = &s->manager->store;
        HeldFd *held;
        size_t n = 0;

        for (size_t i = 0; i < store->n_fds; i++)
                n += store->fds[i].name && streq(store->fds[i].name, s->name);
        if (n == 0)
                return 0;
        held = calloc(n, sizeof(*held));
        if (!held)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < store->n_fds; i++) {
                StoredFd *stored = store->fds + i;

                if (!stored->name || !streq(stored->name, s->name))
                        continue;
                held[n++] = (HeldFd) { .fd = stored->fd, .number = stored->number, .stored = true };
                free(TAKE_PTR(stored->name));
        }
        held_clear(s, false);
        s->held = held;
        s->n_held = n;
        s->manager->n_held += n;
        return 0;
}

static bool is_same_file(int a, int b) {
        pid_t self = getpid();

        return syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long) a, (unsigned long) b) == 0;
}

/* What a user's sandboxes have us hold. */
static size_t held_by(const Manager *m, uid_t owner) {
        const Sandbox *s;
        size_t n = 0;

        TAILQ_FOREACH(s, &m->live, queue)
                if (s->owner == owner)
                        n += s->n_held;
        return n;
}

static int check_limits(const Sandbox *s, size_t n) {
        const Manager *m = s->manager;
        size_t more = n - MIN(n, s->n_held), has = held_by(m, s->owner);

        if (has + more <= m->config.max_descriptors_per_user && m->n_held + more <= m->held_max)
                return 0;
        log_warning("Sandbox %s would have us hold %zu descriptors more, %zu of uid %u and %zu of all users, who may have %u "
                    "(MaxDescriptorsPerUser=) and %zu: the sandbox does not outlive that its sentry-kernel and the keeper "
                    "of that one are both killed.", s->name, more, has, s->owner, m->n_held,
                    m->config.max_descriptors_per_user, m->held_max);
        return -EMFILE;
}

int held_set(Sandbox *s, HeldFd *table, size_t n) {
        Manager *m = s->manager;
        HeldFd *copy;
        int r;

        r = check_limits(s, n);
        copy = r >= 0 ? calloc(n + 1, sizeof(*copy)) : NULL;
        if (!copy) {
                for (size_t i = 0; i < n; i++)
                        safe_close(table[i].fd);
                held_clear(s, true);
                return r < 0 ? r : -ENOMEM;
        }
        memcpy(copy, table, n * sizeof(*copy));

        /* What is in the store and is still the same stays there. Removals come first: a number may be used anew. */
        for (size_t i = 0; i < s->n_held; i++) {
                HeldFd *old = s->held + i;
                bool kept = false;

                if (!old->stored)
                        continue;
                for (size_t k = 0; k < n && !kept; k++)
                        if (copy[k].number == old->number && is_same_file(copy[k].fd, old->fd))
                                kept = copy[k].stored = true;
                if (!kept)
                        store_remove(m, s->name, old->number);
                old->stored = false;
        }
        held_clear(s, false);
        s->held = copy;
        s->n_held = n;
        m->n_held += n;
        for (size_t i = 0; i < n; i++)
                store_add(s, s->held + i);
        return 0;
}

HeldFd *held_find_number(const Sandbox *s, uint32_t number) {
        for (size_t i = 0; i < s->n_held; i++)
                if (s->held[i].number == number)
                        return s->held + i;
        return NULL;
}

HeldFd *held_find_role(const Sandbox *s, uint32_t role) {
        for (size_t i = 0; i < s->n_held; i++)
                if (s->held[i].role == role)
                        return s->held + i;
        return NULL;
}

void held_clear(Sandbox *s, bool forget) {
        for (size_t i = 0; i < s->n_held; i++) {
                if (forget && s->held[i].stored)
                        store_remove(s->manager, s->name, s->held[i].number);
                safe_close(s->held[i].fd);
        }
        s->manager->n_held -= s->n_held;
        free(TAKE_PTR(s->held));
        s->n_held = 0;
}
