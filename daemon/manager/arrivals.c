/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "arrivals.h"
#include "held.h"
#include "log.h"
#include "manager.h"
#include "rendezvous.h"
#include "sandbox-kernel.h"
#include "sandbox-log.h"
#include "util.h"
#include "visitors.h"

struct Arrivals {
        arrivals_done_t done;             /* immutable */
        sd_event_source *deadline_source; /* owned */
        sd_event_source *done_source;     /* owned: runs done from the event loop */
};

static int on_done(sd_event_source *source, void *userdata) {
        Manager *m = userdata;
        arrivals_done_t done = m->arrivals->done;

        arrivals_free(m);
        if (done(m) < 0)
                return sd_event_exit(m->event, EXIT_FAILURE);
        return 0;
}

static void finish(Manager *m) {
        (void) sd_event_source_set_enabled(m->arrivals->done_source, SD_EVENT_ONESHOT);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        log_warning("%u sandboxes have not come for %u s. Their calls wait for them.", m->n_awaited,
                    (unsigned) (ARRIVALS_DEADLINE_USEC / 1000000));
        finish(m);
        return 0;
}

/* One file of the index. */
typedef struct Found {
        IndexEntry entry;
        int lock_fd; /* owned; -EBADF: the sandbox lives */
} Found;

static void found_done(Found *found) {
        index_entry_done(&found->entry);
        found->lock_fd = safe_close(found->lock_fd);
}

/* Reads a file. Returns 1, or 0 when it is nothing to take over. */
static int find(Manager *m, const char *name, Found *ret) {
        Found found = {};
        int r;

        found.lock_fd = index_lock(&m->runtime, name);
        if (found.lock_fd < 0 && found.lock_fd != -EWOULDBLOCK)
                return found.lock_fd == -ENOENT ? 0 : found.lock_fd;
        r = index_read(&m->runtime, name, &found.entry);
        if (r >= 0) {
                *ret = found;
                return 1;
        }
        if (r == -EBADMSG || r == -EPROTO) {
                /* Of one that lives we know too little; when it has ended, nobody needs its file any more. */
                if (found.lock_fd >= 0)
                        index_remove(&m->runtime, name);
                else
                        log_warning("Sandbox %s lives, but is not known here. It is left alone.", name);
                r = 0;
        }
        safe_close(found.lock_fd);
        return r;
}

/* Takes over a sandbox. */
static int expect(Manager *m, Found *found) {
        const char *name = found->entry.name;
        Sandbox *s;
        int r;

        r = sandbox_new_known(m, &found->entry, &s);
        if (r < 0)
                return r;
        r = held_claim(s);
        if (r < 0)
                return r;
        s->awaited = true;
        m->n_awaited++;
        if (found->lock_fd >= 0 && !held_find_number(s, RENDEZVOUS_FD_JOURNAL)) {
                sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL,
                            "Sandbox %s is lost: its sentry-kernel and the keeper of that one died while no sentryd ran, and "
                            "nobody has kept its descriptors.", name);
                sandbox_end(s, SANDBOX_STATUS_LOST);
                return 0;
        }
        r = sandbox_expect_kernel(s, found->lock_fd);
        if (r < 0) {
                sandbox_log(s, LOG_ERR, MESSAGE_SANDBOX_LOST, NULL, "Sandbox %s is lost.", name);
                sandbox_end(s, SANDBOX_STATUS_LOST);
        }
        return 0;
}

static int compare_ages(const void *a, const void *b) {
        uint64_t left = ((const Found *) a)->entry.made_usec, right = ((const Found *) b)->entry.made_usec;

        return left < right ? -1 : left > right;
}

/* Takes over all sandboxes of the index, the oldest first. */
static int expect_all(Manager *m) {
        _cleanup_strv_free_ char **names = NULL;
        _cleanup_free_ Found *found = NULL;
        size_t n = 0;
        int r;

        r = index_list(&m->runtime, &names);
        if (r < 0)
                return log_error_errno(r, "Failed to read %s/sandboxes: %m", m->runtime.path);
        found = calloc(strv_length(names) + 1, sizeof(*found));
        if (!found)
                return log_oom();
        for (char **name = names; name && *name; name++) {
                r = find(m, *name, found + n);
                if (r < 0)
                        log_error_errno(r, "Failed to read %s/sandboxes/%s: %m", m->runtime.path, *name);
                n += r > 0;
        }
        qsort(found, n, sizeof(*found), compare_ages);
        for (size_t i = 0; i < n; i++) {
                r = expect(m, found + i);
                if (r < 0)
                        log_error_errno(r, "Failed to take over sandbox %s: %m", found[i].entry.name);
                found_done(found + i);
        }
        return 0;
}

int arrivals_start(Manager *m, arrivals_done_t done) {
        int r;

        m->arrivals = calloc(1, sizeof(*m->arrivals));
        if (!m->arrivals)
                return log_oom();
        m->arrivals->done = done;
        r = sd_event_add_defer(m->event, &m->arrivals->done_source, on_done, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->arrivals->done_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &m->arrivals->deadline_source, CLOCK_MONOTONIC,
                                               ARRIVALS_DEADLINE_USEC, 0, on_deadline, m);
        if (r < 0)
                return log_error_errno(r, "Failed to set a deadline: %m");

        r = store_open(m);
        if (r < 0)
                log_warning_errno(r, "Failed to take what systemd has kept for us: %m");
        r = expect_all(m);
        if (r < 0)
                return r;
        store_drop_unclaimed(m);

        /* Only now: who comes must be known. */
        r = visitors_open(m);
        if (r < 0)
                return r;
        if (m->n_awaited > 0) {
                log_debug("Waiting for %u sandboxes.", m->n_awaited);
                return 0;
        }
        arrivals_free(m);
        return done(m);
}

void arrivals_come(Sandbox *s) {
        Manager *m = s->manager;

        if (!s->awaited)
                return;
        s->awaited = false;
        m->n_awaited--;
        if (m->n_awaited == 0 && m->arrivals)
                finish(m);
}

void arrivals_free(Manager *m) {
        if (!m->arrivals)
                return;
        sd_event_source_disable_unref(m->arrivals->deadline_source);
        sd_event_source_disable_unref(m->arrivals->done_source);
        free(TAKE_PTR(m->arrivals));
}
