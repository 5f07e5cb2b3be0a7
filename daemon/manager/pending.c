/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls of a sandbox that are answered later: those forwarded to sentry-kernel, and Wait(). */

#include <sys/random.h>

#include "bus-util.h"
#include "connection.h"
#include "log.h"
#include "manager.h"
#include "pending.h"
#include "sandbox-kernel.h"
#include "sandbox.h"

/* One call. Owned by sandbox->pending. */
struct Pending {
        Sandbox *sandbox;       /* not owned; immutable */
        Connection *connection; /* not owned; immutable: where the call came from */
        sd_bus_message *call;   /* owned; immutable */
        uint64_t token;         /* immutable; forwarded: by which sentry-kernel knows the call; 0: it may be made twice */
        uid_t uid;              /* immutable: who called */
        bool wait;              /* immutable: a Wait(); else forwarded */
        sd_bus_slot *slot;      /* owned; forwarded: the call to sentry-kernel, NULL until it is sent */
        sd_bus_track *track;    /* owned; a wait on a bus: tells when who called is gone */
        TAILQ_ENTRY(Pending) queue; /* in sandbox->pending */
};

static Pending *pending_free(Pending *p) {
        if (!p)
                return NULL;

        TAILQ_REMOVE(&p->sandbox->pending, p, queue);
        if (p->wait)
                p->sandbox->n_waits--;
        else
                p->sandbox->n_forwards--;

        sd_bus_slot_unref(p->slot);
        sd_bus_track_unref(p->track);
        sd_bus_message_unref(p->call);
        free(p);
        return NULL;
}

/* How many calls of a user wait for their answers. */
static unsigned pending_of_user(const Manager *m, uid_t uid) {
        const Sandbox *s;
        const Pending *p;
        unsigned n = 0;

        TAILQ_FOREACH(s, &m->live, queue)
                TAILQ_FOREACH(p, &s->pending, queue)
                        n += p->uid == uid;
        return n;
}

static int pending_new(Sandbox *s, Connection *c, sd_bus_message *call, bool wait, sd_bus_error *error,
                       Pending **ret) {
        unsigned n = wait ? s->n_waits : s->n_forwards, max = wait ? PENDING_WAITS_MAX : PENDING_FORWARDS_MAX;
        Manager *m = s->manager;
        Pending *p;
        uid_t uid;
        int r;

        r = connection_query_uid(c, call, &uid);
        if (r < 0)
                return r;
        if (uid != 0 && pending_of_user(m, uid) >= m->config.max_calls_per_user)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Uid %u has %u calls that are not answered yet, and no user may have more "
                                         "(MaxCallsPerUser=): let some of them end first.", uid,
                                         m->config.max_calls_per_user);

        if (n >= max)
                return sd_bus_error_setf(error, BUS_ERROR_LIMIT_REACHED,
                                         "Sandbox \"%s\" has %u %s that are not answered yet, and no more than %u are "
                                         "allowed: let some of them end first.", s->name, n,
                                         wait ? "Wait() calls" : "calls", max);

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;

        p->sandbox = s;
        p->connection = c;
        p->call = sd_bus_message_ref(call);
        p->uid = uid;
        p->wait = wait;
        TAILQ_INSERT_TAIL(&s->pending, p, queue);
        if (wait)
                s->n_waits++;
        else
                s->n_forwards++;

        *ret = p;
        return 0;
}

/* Sending an answer fails when who called is gone, and then there is nobody to tell. */
static void pending_answered(Pending *p, int error) {
        if (error < 0)
                log_debug_errno(error, "Failed to answer %s() of sandbox %s: %m",
                                sd_bus_message_get_member(p->call), p->sandbox->name);
        pending_free(p);
}

static bool pending_is_kill(const Pending *p) {
        return sd_bus_message_is_method_call(p->call, BUS_SANDBOX_INTERFACE, "Kill") > 0;
}

static bool pending_is_save(const Pending *p) {
        return sd_bus_message_is_method_call(p->call, BUS_SANDBOX_INTERFACE, "Save") > 0;
}

static uint64_t pending_deadline(const Pending *p) {
        return pending_is_save(p) ? PENDING_SAVE_USEC : PENDING_FORWARD_USEC;
}

/* sentry-kernel has not answered in time. */
static void pending_time_out(Pending *p, unsigned seconds) {
        Sandbox *s = p->sandbox;
        bool kill = pending_is_kill(p) && !s->ended;

        /* First the answer: killing may be the end of the sandbox and all its calls. */
        pending_answered(p, sd_bus_reply_method_errorf(
                                    p->call, BUS_ERROR_TIMEOUT,
                                    "sentry-kernel of sandbox \"%s\" did not answer %s() for %u s; %s", s->name,
                                    sd_bus_message_get_member(p->call), seconds,
                                    kill ? "it was killed, and the sandbox's processes end with it."
                                         : "try again, or end the sandbox with Kill()."));
        if (kill) {
                log_warning("sentry-kernel of sandbox %s did not answer Kill() for %u s: killing it.", s->name, seconds);
                sandbox_kill_kernel(s);
        }
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Pending *p = userdata;

        /* sd-bus makes NoReply up itself: when the time is over, and when the connection ends. The latter is
         * dealt with when we hear of that, together with the calls that were not even sent. */
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY)) {
                if (p->sandbox->kernel && sd_bus_is_ready(p->sandbox->kernel) > 0)
                        pending_time_out(p, (unsigned) (pending_deadline(p) / 1000000));
                else
                        p->slot = sd_bus_slot_unref(p->slot);
                return 1;
        }

        pending_answered(p, bus_reply_forward(p->call, reply));
        return 1;
}

/* Tells sentry-kernel which call comes next: it does none twice. */
static int pending_send_token(const Pending *p) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        sd_bus *kernel = p->sandbox->kernel;
        int r;

        r = sd_bus_message_new_method_call(kernel, &m, NULL, BUS_KERNEL_PATH, BUS_KERNEL_INTERFACE, "Token");
        if (r >= 0)
                r = sd_bus_message_append(m, "t", p->token);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, 0);
        return r < 0 ? r : sd_bus_send(kernel, m, NULL);
}

static int pending_send(Pending *p) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        sd_bus *kernel = p->sandbox->kernel;
        int r;

        r = sd_bus_message_new_method_call(kernel, &m, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE,
                                           sd_bus_message_get_member(p->call));
        if (r < 0)
                return r;

        r = bus_message_copy_body(m, p->call);
        if (r >= 0 && p->token != 0)
                r = pending_send_token(p);
        if (r < 0)
                return r;

        return sd_bus_call_async(kernel, &p->slot, m, on_reply, p, pending_deadline(p));
}

/* Whether it makes a difference that a call is made twice. */
static bool changes_something(sd_bus_message *call) {
        static const char *const members[] = { "Pause", "Resume", "Kill", "Signal", "Start" };

        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (streq(sd_bus_message_get_member(call), members[i]))
                        return true;
        return false;
}

static uint64_t make_token(void) {
        uint64_t token = 0;

        while (token == 0)
                if (getrandom(&token, sizeof(token), 0) != (ssize_t) sizeof(token))
                        return 0;
        return token;
}

int pending_forward(Sandbox *s, Connection *c, sd_bus_message *call, sd_bus_error *error) {
        Pending *p = NULL;
        uint64_t token = 0;
        int r;

        if (changes_something(call))
                token = connection_take_token(c, call) ?: make_token();
        r = pending_new(s, c, call, false, error, &p);
        if (r < 0)
                return r;
        p->token = token;

        /* Not left to sd-bus's own queue: with file descriptors in the body it would block until the other end has
         * said whether it takes them. */
        if (!s->kernel_ready) {
                if (!s->kernel && !s->away_source) /* it is overdue */
                        pending_time_out(p, SANDBOX_AWAY_DEADLINE_USEC / 1000000);
                return 0;
        }

        r = pending_send(p);
        if (r < 0) {
                pending_free(p);
                return sd_bus_error_setf(error, BUS_ERROR_KERNEL_FAILED,
                                         "Failed to pass %s() on to sentry-kernel of sandbox \"%s\": %s",
                                         sd_bus_message_get_member(call), s->name, strerror(-r));
        }
        return 0;
}

void pending_kernel_ready(Sandbox *s) {
        int r;

        s->kernel_ready = true;

        for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                next = TAILQ_NEXT(p, queue);
                if (p->wait || p->slot)
                        continue;

                r = pending_send(p);
                if (r < 0)
                        pending_answered(p, sd_bus_reply_method_errorf(
                                                    p->call, BUS_ERROR_KERNEL_FAILED,
                                                    "Failed to pass %s() on to sentry-kernel of sandbox \"%s\": %s",
                                                    sd_bus_message_get_member(p->call), s->name, strerror(-r)));
        }
}

void pending_kernel_away(Sandbox *s) {
        for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                bool sent = p->slot != NULL;

                next = TAILQ_NEXT(p, queue);
                p->slot = sd_bus_slot_unref(p->slot);
                /* What it has written is removed, or was whole already: there is no going on with it, and to begin anew is
                 * for who asked. */
                if (sent && pending_is_save(p))
                        pending_answered(p, sd_bus_reply_method_errorf(
                                                    p->call, BUS_ERROR_SAVE_FAILED,
                                                    "sentry-kernel of sandbox \"%s\" died in the middle of the save. The sandbox "
                                                    "runs on, unless the image was whole already: look for it, or save again.",
                                                    s->name));
        }
}

void pending_kernel_late(Sandbox *s) {
        /* Each answer may be the end of the sandbox. */
        for (unsigned n = s->n_forwards; n > 0; n--) {
                Pending *p;

                TAILQ_FOREACH(p, &s->pending, queue)
                        if (!p->wait)
                                break;
                if (!p)
                        break;
                pending_time_out(p, SANDBOX_AWAY_DEADLINE_USEC / 1000000);
        }
}

static int on_waiter_gone(sd_bus_track *track, void *userdata) {
        pending_free(userdata);
        return 1;
}

int pending_wait(Sandbox *s, Connection *c, sd_bus_message *call, sd_bus_error *error) {
        Pending *p = NULL;
        int r;

        r = pending_new(s, c, call, true, error, &p);
        if (r < 0)
                return r;

        if (!c->peer) {
                r = sd_bus_track_new(c->bus, &p->track, on_waiter_gone, p);
                if (r >= 0)
                        r = sd_bus_track_add_sender(p->track, call);
                if (r < 0) {
                        pending_free(p);
                        return r;
                }
        }

        return 0;
}

void pending_answer_waits(Sandbox *s) {
        for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                next = TAILQ_NEXT(p, queue);
                if (p->wait)
                        pending_answered(p, sd_bus_reply_method_return(p->call, "i", s->exit_status));
        }
}

void pending_kernel_gone(Sandbox *s) {
        for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                next = TAILQ_NEXT(p, queue);
                if (p->wait)
                        continue;

                if (pending_is_kill(p))
                        pending_answered(p, sd_bus_reply_method_return(p->call, NULL));
                else
                        pending_answered(p, sd_bus_reply_method_errorf(
                                                    p->call, BUS_ERROR_NOT_RUNNING,
                                                    "Sandbox \"%s\" ended with status %d before it answered %s().",
                                                    s->name, s->exit_status, sd_bus_message_get_member(p->call)));
        }
}

void pending_drop_sandbox(Sandbox *s) {
        for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                next = TAILQ_NEXT(p, queue);
                pending_free(p);
        }
}

static void drop_from_queue(SandboxQueue *queue, Connection *c) {
        Sandbox *s;

        TAILQ_FOREACH(s, queue, queue)
                for (Pending *p = TAILQ_FIRST(&s->pending), *next; p; p = next) {
                        next = TAILQ_NEXT(p, queue);
                        if (p->connection == c)
                                pending_free(p);
                }
}

void pending_drop_connection(Manager *m, Connection *c) {
        drop_from_queue(&m->live, c);
        drop_from_queue(&m->ended, c);
}
