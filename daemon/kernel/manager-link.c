/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "log.h"
#include "manager-link.h"
#include "sentry.h"
#include "util.h"

#define RETRY_USEC (50 * 1000U)

void manager_link_init(ManagerLink *link, Sentry *sentry, int rundir_fd) {
        *link = (ManagerLink) { .sentry = sentry, .rundir_fd = rundir_fd, .inotify_fd = -EBADF, .fd = -EBADF };
}

static void stop_watching(ManagerLink *link) {
        link->inotify_source = sd_event_source_disable_unref(link->inotify_source);
        link->inotify_fd = safe_close(link->inotify_fd);
        link->retry_source = sd_event_source_disable_unref(link->retry_source);
}

static void stop_asking(ManagerLink *link) {
        link->answer_source = sd_event_source_disable_unref(link->answer_source);
        link->fd = safe_close(link->fd);
}

void manager_link_done(ManagerLink *link) {
        if (!link->sentry)
                return;
        stop_watching(link);
        stop_asking(link);
        link->rundir_fd = safe_close(link->rundir_fd);
}

bool manager_link_may_come(const ManagerLink *link) {
        return !link->sentry->bus && link->rundir_fd >= 0;
}

/* The manager is gone. The sandbox goes on: who is left without a bus can still be launched from and answer. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;

        (void) m, (void) error;
        log_warning("%s: the manager is gone; serving on", sentry->name);
        sentry->bus = sd_bus_close_unref(sentry->bus);
        sentry->tells_tasks = false; /* the next one says */
        sentry->token = 0;
        manager_link_seek(&sentry->link);
        return 0;
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ManagerLink *link = userdata;

        (void) m, (void) error;
        link->ready = true;
        sentry_tell_descriptors(link->sentry);
        return 0;
}

int manager_link_serve(ManagerLink *link, int fd) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        Sentry *sentry = link->sentry;
        int r;

        r = bus_peer_new(fd, true, "manager", &bus);
        if (r < 0)
                return r;
        sentry->bus = TAKE_PTR(bus);
        r = kernel_dbus_add(sentry);
        if (r >= 0)
                r = sd_bus_match_signal(sentry->bus, NULL, NULL, BUS_LOCAL_PATH, BUS_LOCAL_INTERFACE, "Disconnected",
                                        on_disconnected, sentry);
        if (r >= 0)
                r = sd_bus_attach_event(sentry->bus, sentry->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_start(sentry->bus);
        /* Descriptors that come together with the end of the authentication are an error to sd-bus. So they wait until the
         * other side has answered something, which shows that it is beyond that. */
        link->ready = false;
        if (r >= 0)
                r = sd_bus_call_method_async(sentry->bus, NULL, NULL, "/", "org.freedesktop.DBus.Peer", "Ping", on_pong, link,
                                             NULL);
        if (r >= 0)
                sentry->notifier.rearm = true;
        return r;
}

/* ---- coming to the socket ---- */

static void try(ManagerLink *link);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        ManagerLink *link = userdata;

        (void) source, (void) usec;
        link->retry_source = sd_event_source_disable_unref(link->retry_source);
        try(link);
        return 0;
}

static void retry_later(ManagerLink *link) {
        int r;

        if (link->retry_source)
                return;
        link->sentry->notifier.rearm = true;
        r = sd_event_add_time_relative(link->sentry->event, &link->retry_source, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry,
                                       link);
        if (r < 0)
                log_warning("%s: cannot look for a manager again: %s", link->sentry->name, strerror(-r));
}

/* Taken in: tells all that a manager may have missed. */
static void welcome(ManagerLink *link) {
        Sentry *sentry = link->sentry;
        int r;

        stop_watching(link);
        link->answer_source = sd_event_source_disable_unref(link->answer_source);
        r = manager_link_serve(link, link->fd);
        if (r < 0) {
                log_warning("%s: cannot serve the manager: %s", sentry->name, strerror(-r));
                if (!sentry->bus)
                        link->fd = safe_close(link->fd);
                link->fd = -EBADF;
                sentry->bus = sd_bus_close_unref(sentry->bus);
                manager_link_seek(link);
                retry_later(link);
                return;
        }
        link->fd = -EBADF; /* the connection's */
        link->complained = false;
        log_info("%s: a manager is there", sentry->name);
        kernel_dbus_changed(sentry, "State", "InitPID", "StartedUSec", "PauseDepth", "Hostname", "DomainName", "CPUs",
                            "Walls", "SaveStatus", "SaveMessage", NULL);
        if (sentry->state == SENTRY_EXITED) {
                kernel_dbus_exited(sentry, sentry->status);
                (void) sd_event_exit(sentry->event, 0);
        }
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        ManagerLink *link = userdata;
        int r;

        (void) source, (void) revents;
        r = rendezvous_receive_answer(fd);
        if (r == -EAGAIN)
                return 0;
        if (r == 0) {
                welcome(link);
                return 0;
        }
        stop_asking(link);
        if (r == EEXIST || r == EAGAIN || r == EBUSY) /* it has not heard of the death of the last one yet */
                retry_later(link);
        else if (r > 0 && !link->complained) {
                log_warning("%s: the manager does not take this sandbox: %s; serving on, until another comes",
                            link->sentry->name, strerror(r));
                link->complained = true;
        } else if (r == -EPROTO || r == -EBADMSG)
                log_warning("%s: who listens for sandboxes speaks another protocol: %s", link->sentry->name, strerror(-r));
        else if (r < 0)
                retry_later(link);
        return 0;
}

static int say_hello(ManagerLink *link) {
        Rendezvous *hello = calloc(1, sizeof(Rendezvous));
        Sentry *sentry = link->sentry;
        int r;

        if (!hello)
                return -ENOMEM;
        (void) snprintf(hello->name, sizeof(hello->name), "%s", sentry->name);
        hello->index_fd = RENDEZVOUS_FD_INDEX;
        hello->n = sentry_table(sentry, hello->table);
        for (uint32_t i = 0; i < hello->n; i++)
                hello->fds[i] = (int) hello->table[i].number;
        hello->pidfd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        r = hello->pidfd < 0 ? -errno : rendezvous_send(link->fd, hello);
        safe_close(hello->pidfd);
        free(hello);
        return r;
}

static void try(ManagerLink *link) {
        Sentry *sentry = link->sentry;
        int r;

        if (sentry->bus || link->fd >= 0)
                return;
        r = rendezvous_connect(link->rundir_fd);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return; /* inotify tells */
        if (r < 0 && r != -EAGAIN && !link->complained) {
                log_warning("%s: cannot get to the manager's socket: %s", sentry->name, strerror(-r));
                link->complained = true;
        }
        if (r >= 0) {
                link->fd = r;
                r = say_hello(link);
                if (r >= 0)
                        r = sd_event_add_io(sentry->event, &link->answer_source, link->fd, EPOLLIN, on_answer, link);
                if (r < 0)
                        stop_asking(link);
        }
        sentry->notifier.rearm = true;
        if (r < 0)
                retry_later(link);
}

static int on_inotify(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        ManagerLink *link = userdata;
        union {
                struct inotify_event event;
                char buffer[4096];
        } events;

        (void) source, (void) revents;
        while (read(fd, &events, sizeof(events)) > 0)
                ;
        try(link);
        return 0;
}

void manager_link_seek(ManagerLink *link) {
        Sentry *sentry = link->sentry;
        char path[64];
        int r = 0;

        if (sentry->bus || link->rundir_fd < 0)
                return;
        if (link->inotify_fd < 0) {
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", link->rundir_fd);
                link->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
                if (link->inotify_fd < 0 || inotify_add_watch(link->inotify_fd, path, IN_MOVED_TO | IN_ONLYDIR) < 0)
                        r = -errno;
                else
                        r = sd_event_add_io(sentry->event, &link->inotify_source, link->inotify_fd, EPOLLIN, on_inotify,
                                            link);
                if (r < 0) {
                        link->inotify_fd = safe_close(link->inotify_fd);
                        log_warning("%s: cannot wait for a manager: %s", sentry->name, strerror(-r));
                }
        }
        sentry->notifier.rearm = true;
        try(link);
}

void sentry_tell_descriptors(Sentry *sentry) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        RendezvousFd table[RENDEZVOUS_FDS_MAX];
        uint32_t n;
        int r;

        if (!sentry->bus || !sentry->link.ready || sentry->journal.fd < 0)
                return;
        sentry->notifier.rearm = true;
        n = sentry_table(sentry, table);
        r = sd_bus_message_new_signal(sentry->bus, &m, BUS_KERNEL_PATH, BUS_KERNEL_INTERFACE, "Descriptors");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "(uuh)");
        for (uint32_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "(uuh)", table[i].role, table[i].number, (int) table[i].number);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(sentry->bus, m, NULL);
        if (r < 0)
                log_warning("%s: cannot tell the manager of descriptors: %s", sentry->name, strerror(-r));
}

/* ---- calls that are done once ---- */

static int method_token(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;

        (void) error;
        return sd_bus_message_read(m, "t", &sentry->token);
}

const sd_bus_vtable kernel_internal_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Token", "t", NULL, method_token, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
        SD_BUS_SIGNAL("Descriptors", "a(uuh)", 0),
        SD_BUS_VTABLE_END,
};

int kernel_once(sd_bus_message_handler_t function, sd_bus_message *m, Sentry *sentry, sd_bus_error *error) {
        uint64_t token = sentry->token;
        const Token *known = token != 0 ? sentry_token_find(sentry, token) : NULL;
        int r;

        sentry->token = 0;
        if (known && known->error[0] != '\0')
                return sd_bus_error_set(error, known->error, known->message);
        if (known)
                return sd_bus_reply_method_return(m, NULL);

        r = function(m, sentry, error);
        if (r < 0 && !sd_bus_error_is_set(error))
                (void) sd_bus_error_set_errno(error, r);
        if (token != 0)
                sentry_token_note(sentry, token, r < 0 ? error->name : "", r < 0 && error->message ? error->message : "");
        sentry_changed(sentry);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}
