/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a sandbox as the manager sees it: the start, what sentry-kernel says of it, and the end. */

#include <stdio.h>
#include <time.h>

#include "arrivals.h"
#include "bus-util.h"
#include "connection.h"
#include "log.h"
#include "manager.h"
#include "pending.h"
#include "runtime.h"
#include "sandbox-kernel.h"
#include "sandbox-log.h"
#include "sandbox.h"

/* How many messages are taken in at once where one waits for it: what a socket buffer can hold, and a dead
 * sentry-kernel can have left. */
#define SETTLE_MESSAGES_MAX 1024U
#define DRAIN_MESSAGES_MAX 65536U

int sandbox_check_access(const Sandbox *s, uid_t caller, sd_bus_error *error) {
        if (caller == 0 || caller == s->owner)
                return 0;

        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Sandbox \"%s\" belongs to uid %u and you are uid %u: only its owner and root may "
                                 "use it.", s->name, s->owner, caller);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Sandbox *s = userdata;

        if (s->ended) {
                log_warning("sentry-kernel of sandbox %s (process %d) does not exit though its sandbox has ended: "
                            "killing it.", s->name, (int) s->pid);
                sandbox_kill_kernel(s);
        } else if (streq(s->state, "starting")) {
                log_warning("Sandbox %s (uid %u) was not started in time: removing it.", s->name, s->owner);
                sandbox_kill_kernel(s);
        }

        return 0;
}

int sandbox_set_deadline(Sandbox *s, uint64_t usec) {
        s->deadline_source = sd_event_source_disable_unref(s->deadline_source);
        return sd_event_add_time_relative(s->manager->event, &s->deadline_source, CLOCK_MONOTONIC, usec, 0,
                                          on_deadline, s);
}

void sandbox_end(Sandbox *s, int status) {
        static const char *const changed[] = { "State", "ExitStatus", "InitPID", "PauseDepth", "IsPaused", NULL };
        char field[sizeof("SENTRYD_STATUS=") + 12];

        if (s->ended)
                return;

        (void) snprintf(field, sizeof(field), "SENTRYD_STATUS=%d", status);
        sandbox_log(s, LOG_INFO, MESSAGE_SANDBOX_END, (char *[]) { field, NULL }, "Sandbox %s has ended with status %d.",
                    s->name, status);

        s->exit_status = status;
        s->state = "exited";
        s->init_pid = s->pause_depth = 0;
        s->userns_ino = 0;
        free(TAKE_PTR(s->profile));
        index_remove(&s->manager->runtime, s->name);
        manager_retire_sandbox(s->manager, s);

        broadcast_exited(s);
        broadcast_properties(s, (char **) changed);
        broadcast_removed(s);
        pending_answer_waits(s);

        sandbox_depart(s);
        arrivals_come(s);
        manager_forget_ended(s->manager);
}

void sandbox_settle(Sandbox *s) {
        /* Not from within one of its own callbacks. */
        if (s->ended || !s->kernel || sd_bus_get_current_message(s->kernel))
                return;

        for (unsigned i = 0; i < SETTLE_MESSAGES_MAX && !s->ended; i++)
                if (sd_bus_process(s->kernel, NULL) <= 0)
                        break;
}

void sandbox_tell_subscribed(Sandbox *s) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        if (!s->kernel_ready || !s->kernel || s->ended)
                return;
        r = sd_bus_message_new_method_call(s->kernel, &call, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "TellTasks");
        if (r >= 0)
                r = sd_bus_message_append(call, "b", (int) s->manager->subscribed);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(call, 0);
        if (r >= 0)
                r = sd_bus_send(s->kernel, call, NULL);
        if (r < 0)
                log_warning_errno(r, "Failed to ask sentry-kernel of sandbox %s about its tasks: %m", s->name);
}

static int on_kernel_connected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        pending_kernel_ready(s);
        if (s->manager->subscribed)
                sandbox_tell_subscribed(s);
        return 1;
}

static int on_kernel_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;

        if (!s->ended)
                sandbox_lose_kernel(s);
        return 1;
}

static int on_kernel_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        int r;

        r = sandbox_take_properties(s, m);
        if (r < 0)
                log_warning_errno(r, "Failed to read what sentry-kernel of sandbox %s says of it: %m", s->name);
        return 1;
}

static int on_kernel_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const struct {
                const char *member, *signature;
        } known[] = {
                { "UnimplementedSyscall", "sisus" },
                { "Refused", "ssus" },
                { "EventsDropped", "t" },
                { "TaskNew", "uus" },
                { "TaskExec", "uuss" },
                { "TaskExit", "uui" },
                { "Stuck", "sust" },
                { "SaveProgress", "tt" },
        };
        const char *member = sd_bus_message_get_member(m);
        Sandbox *s = userdata;
        int status, r;

        if (s->ended)
                return 1;

        if (sd_bus_message_is_signal(m, BUS_SANDBOX_INTERFACE, "Exited")) {
                r = sd_bus_message_read(m, "i", &status);
                if (r < 0 || status < 0 || status > 255) {
                        log_warning("sentry-kernel of sandbox %s says Exited with a bad status.", s->name);
                        status = SANDBOX_STATUS_LOST;
                }
                sandbox_end(s, status);
                return 1;
        }

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(member, known[i].member) && sd_bus_message_has_signature(m, known[i].signature) > 0) {
                        sandbox_log_event(s, m);
                        broadcast_signal(s, m);
                        return 1;
                }

        log_debug("sentry-kernel of sandbox %s sent %s(%s), which is not known; ignored.", s->name, member,
                  sd_bus_message_get_signature(m, true));
        return 1;
}

static int on_kernel_descriptors(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sandbox *s = userdata;
        int r;

        if (s->ended)
                return 1;
        r = sandbox_take_descriptors(s, m);
        if (r < 0)
                log_warning_errno(r, "Failed to take the descriptors that sentry-kernel of sandbox %s tells: %m", s->name);
        return 1;
}

void sandbox_drain(Sandbox *s) {
        _cleanup_(sd_bus_unrefp) sd_bus *kernel = sd_bus_ref(s->kernel);

        for (unsigned i = 0; kernel && i < DRAIN_MESSAGES_MAX; i++)
                if (sd_bus_process(kernel, NULL) <= 0)
                        break;
}

int sandbox_connect_kernel(Sandbox *s, int fd) {
        int r;

        r = bus_peer_new(fd, false, s->name, &s->kernel);
        if (r < 0)
                return r;

        r = sd_bus_set_connected_signal(s->kernel, 1);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Connected",
                                on_kernel_connected, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Disconnected",
                                on_kernel_disconnected, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, NULL,
                                on_kernel_signal, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_KERNEL_PATH, BUS_KERNEL_INTERFACE, "Descriptors",
                                on_kernel_descriptors, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal(s->kernel, NULL, NULL, BUS_KERNEL_PATH, BUS_PROPERTIES_INTERFACE, "PropertiesChanged",
                                on_kernel_properties, s);
        if (r < 0)
                return r;

        r = sd_bus_attach_event(s->kernel, s->manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        return sd_bus_start(s->kernel);
}

/* A sandbox in the table, with nothing started. */
static int sandbox_make(Manager *manager, const char *name, uid_t owner, const char *profile_name, const char *profile,
                        uint64_t made_usec, Sandbox **ret) {
        Sandbox *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        s->manager = manager;
        s->serial = ++manager->serial_counter;
        s->owner = owner;
        s->state = "starting";
        s->exit_status = s->kill_status = -1;
        s->started_usec = made_usec;
        TAILQ_INIT(&s->pending);

        s->name = strdup(name);
        s->profile_name = strdup(profile_name);
        s->profile = strdup(profile);
        if (!s->name || !s->profile_name || !s->profile ||
            sd_bus_path_encode(BUS_SANDBOX_PREFIX, name, &s->path) < 0) {
                sandbox_free(s);
                return -ENOMEM;
        }

        manager_link_sandbox(manager, s);
        *ret = s;
        return 0;
}

int sandbox_new(Manager *manager, const char *name, uid_t owner, const char *profile_name, const char *profile,
                const SandboxImage *image, Sandbox **ret, int *ret_launch_fd, sd_bus_error *error) {
        struct timespec now;
        Sandbox *s;
        int r;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        r = sandbox_make(manager, name, owner, profile_name, profile,
                         (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000, &s);
        if (r < 0)
                return r;

        r = sandbox_start_kernel(s, image, ret_launch_fd);
        if (r < 0)
                goto fail;

        sandbox_log(s, LOG_INFO, MESSAGE_SANDBOX_START, NULL,
                    "Sandbox %s made: uid %u, profile %s, sentry-kernel is process %d.", name, owner, profile_name,
                    (int) s->pid);
        *ret = s;
        return 0;

fail:
        sandbox_free(s);
        if (r == -ENOENT || r == -EACCES)
                return sd_bus_error_setf(error, BUS_ERROR_KERNEL_FAILED,
                                         "Can't run %s: %s. Is sentryd installed completely?", manager->kernel_path,
                                         strerror(-r));
        return sd_bus_error_setf(error, r == -EMFILE || r == -ENFILE || r == -EAGAIN ? BUS_ERROR_LIMIT_REACHED
                                                                                    : BUS_ERROR_KERNEL_FAILED,
                                 "Failed to start sentry-kernel for sandbox \"%s\": %s", name, strerror(-r));
}

int sandbox_new_known(Manager *manager, const IndexEntry *entry, Sandbox **ret) {
        return sandbox_make(manager, entry->name, entry->owner, entry->profile_name, entry->profile, entry->made_usec, ret);
}

void sandbox_announce(Sandbox *s) {
        broadcast_added(s);
}

Sandbox *sandbox_free(Sandbox *s) {
        if (!s)
                return NULL;

        manager_unlink_sandbox(s->manager, s);

        pending_drop_sandbox(s);
        sandbox_release_kernel(s);
        sd_event_source_disable_unref(s->deadline_source);

        free(s->name);
        free(s->path);
        free(s->profile_name);
        free(s->profile);
        free(s->hostname);
        free(s->save_status);
        free(s->save_message);
        free(s->domainname);
        free(s->cpus);
        free(s->walls);
        free(s);
        return NULL;
}
