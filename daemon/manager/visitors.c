/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "log.h"
#include "manager.h"
#include "rendezvous.h"
#include "sandbox-kernel.h"
#include "util.h"
#include "visitors.h"

#define ACCEPT_PER_WAKEUP 64U
#define ACCEPT_PAUSE_USEC 100000U /* after an error that comes again at once */
#define BACKLOG 4096

/* Who has connected and not said HELLO yet. */
typedef struct Visitor {
        Manager *manager; /* not owned; immutable */
        int fd;           /* owned */
        struct ucred peer; /* immutable */
        sd_event_source *io_source, *deadline_source; /* owned */
        LIST_ENTRY(Visitor) link; /* in visitors->list */
} Visitor;

typedef struct Visitors {
        int listen_fd;                  /* owned */
        sd_event_source *listen_source; /* owned */
        sd_event_source *pause_source;  /* owned: ends a pause in accepting; or NULL */
        LIST_HEAD(, Visitor) list;      /* owned */
        unsigned n;                     /* length of list */
} Visitors;

static Visitor *visitor_free(Visitor *v) {
        LIST_REMOVE(v, link);
        v->manager->visitors->n--;
        sd_event_source_disable_unref(v->io_source);
        sd_event_source_disable_unref(v->deadline_source);
        safe_close(v->fd);
        free(v);
        return NULL;
}

/* Whose HELLO that is, and whether he proves it: 0, or what he is refused with. */
static int identify(Manager *m, const Rendezvous *hello, const struct ucred *peer, Sandbox **ret) {
        Sandbox *s;

        if (!sandbox_name_is_valid(hello->name))
                return -EBADMSG;
        s = manager_find_sandbox(m, hello->name, false);
        if (!s)
                return -ENOENT;
        if (peer->uid != s->owner && peer->uid != 0)
                return -EACCES;
        /* Nobody but the sandbox's own processes can have opened that file, which they inherit. */
        if (!index_is(&m->runtime, hello->name, hello->index_fd))
                return -ESTALE;
        *ret = s;
        return 0;
}

/* Reads HELLO if it is there. -EAGAIN when not; else the visitor is done with. */
static int visitor_read(Visitor *v) {
        Manager *m = v->manager;
        Rendezvous hello = {};
        Sandbox *s = NULL;
        int r;

        r = rendezvous_receive(v->fd, &hello);
        if (r == -EAGAIN)
                return r;
        if (r < 0) {
                if (r == -EPROTO)
                        log_warning("A sentry-kernel of another version of sentryd (process %d, uid %u) came, whose language "
                                    "this one does not speak: its sandbox runs on, but cannot be controlled until a sentryd "
                                    "of its version is there, or it ends.", (int) v->peer.pid, v->peer.uid);
                else
                        log_debug_errno(r, "Process %d of uid %u does not say who it is: %m", (int) v->peer.pid, v->peer.uid);
                if (r != -ECONNRESET)
                        (void) rendezvous_answer(v->fd, -r);
                return r;
        }

        /* The event loop watches a descriptor once. */
        v->io_source = sd_event_source_disable_unref(v->io_source);

        r = identify(m, &hello, &v->peer, &s);
        if (r >= 0) {
                r = sandbox_adopt_kernel(s, &hello, v->fd);
                if (r >= 0)
                        v->fd = -EBADF; /* the bus's now */
        }
        if (r < 0) {
                log_warning_errno(r, "Process %d of uid %u says that it is sentry-kernel of sandbox %s and is not let in: %m",
                                  (int) v->peer.pid, v->peer.uid, hello.name);
                (void) rendezvous_answer(v->fd, -r);
        }
        rendezvous_done(&hello);
        return r;
}

static int on_visitor(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Visitor *v = userdata;

        if (visitor_read(v) != -EAGAIN)
                visitor_free(v);
        return 0;
}

static int on_visitor_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Visitor *v = userdata;

        log_debug("Process %d of uid %u connected and said nothing for %u s.", (int) v->peer.pid, v->peer.uid,
                  (unsigned) (VISITOR_DEADLINE_USEC / 1000000));
        visitor_free(v);
        return 0;
}

/* Whether that user may have one more. */
static bool may_wait(const Manager *m, uid_t uid) {
        const Visitors *visitors = m->visitors;
        const Visitor *v;
        const Sandbox *s;
        unsigned n = 0;

        if (visitors->n >= VISITORS_MAX)
                return false;
        LIST_FOREACH(v, &visitors->list, link)
                n += v->peer.uid == uid;
        if (n >= VISITORS_PER_UID_MAX)
                return false;
        TAILQ_FOREACH(s, &m->live, queue)
                if (s->owner == uid)
                        return true;
        return uid == 0;
}

static int visitor_add(Manager *m, int accepted) {
        _cleanup_close_ int fd = accepted;
        struct ucred peer;
        socklen_t size = sizeof(peer);
        Visitor *v;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (!may_wait(m, peer.uid)) {
                log_debug("Process %d of uid %u has no sandbox, or too many connections: closing this one.", (int) peer.pid,
                          peer.uid);
                return 0;
        }
        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->manager = m;
        v->fd = TAKE_FD(fd);
        v->peer = peer;
        LIST_INSERT_HEAD(&m->visitors->list, v, link);
        m->visitors->n++;

        /* Usually it is there by now. */
        if (visitor_read(v) != -EAGAIN) {
                visitor_free(v);
                return 0;
        }
        r = sd_event_add_io(m->event, &v->io_source, v->fd, EPOLLIN, on_visitor, v);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &v->deadline_source, CLOCK_MONOTONIC, VISITOR_DEADLINE_USEC, 0,
                                               on_visitor_deadline, v);
        if (r < 0)
                visitor_free(v);
        return r;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        return sd_event_source_set_enabled(m->visitors->listen_source, SD_EVENT_ON);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t events, void *userdata) {
        Manager *m = userdata;
        Visitors *visitors = m->visitors;
        int fd, r = 0;

        for (unsigned i = 0; i < ACCEPT_PER_WAKEUP; i++) {
                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        if (errno == EAGAIN)
                                return 0;
                        if (errno == EINTR || errno == ECONNABORTED)
                                continue;
                        r = -errno;
                        break;
                }
                r = visitor_add(m, fd);
                if (r < 0)
                        break;
        }
        if (r >= 0)
                return 0;

        /* Without descriptors it fails again and again: don't spin on that. */
        log_warning_errno(r, "Failed to let a sentry-kernel in: %m. Trying again soon.");
        visitors->pause_source = sd_event_source_disable_unref(visitors->pause_source);
        if (sd_event_add_time_relative(m->event, &visitors->pause_source, CLOCK_MONOTONIC, ACCEPT_PAUSE_USEC, 0,
                                       on_pause_over, m) >= 0)
                (void) sd_event_source_set_enabled(visitors->listen_source, SD_EVENT_OFF);
        return 0;
}

/* Binds under another name, listens, and takes the name: who sees that one finds somebody who answers. */
static int bind_socket(Manager *m, int fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) unlinkat(m->runtime.fd, RENDEZVOUS_SOCKET ".new", 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" RENDEZVOUS_SOCKET ".new",
                        m->runtime.fd);
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        if (fchmodat(m->runtime.fd, RENDEZVOUS_SOCKET ".new", m->mode == MANAGER_SYSTEM ? 0666 : 0600, 0) < 0)
                return -errno;
        if (listen(fd, BACKLOG) < 0)
                return -errno;
        if (renameat(m->runtime.fd, RENDEZVOUS_SOCKET ".new", m->runtime.fd, RENDEZVOUS_SOCKET) < 0)
                return -errno;
        return 0;
}

int visitors_open(Manager *m) {
        Visitors *visitors;
        int r;

        visitors = m->visitors = calloc(1, sizeof(*visitors));
        if (!visitors)
                return log_oom();
        visitors->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        r = visitors->listen_fd < 0 ? -errno : bind_socket(m, visitors->listen_fd);
        if (r >= 0)
                r = sd_event_add_io(m->event, &visitors->listen_source, visitors->listen_fd, EPOLLIN, on_listen, m);
        if (r < 0)
                return log_error_errno(r, "Failed to listen on %s/" RENDEZVOUS_SOCKET ": %m", m->runtime.path);
        return 0;
}

void visitors_close(Manager *m) {
        Visitors *visitors = m->visitors;
        Visitor *v;

        if (!visitors)
                return;
        while ((v = LIST_FIRST(&visitors->list)))
                visitor_free(v);
        if (visitors->listen_source)
                (void) unlinkat(m->runtime.fd, RENDEZVOUS_SOCKET, 0);
        sd_event_source_disable_unref(visitors->listen_source);
        sd_event_source_disable_unref(visitors->pause_source);
        safe_close(visitors->listen_fd);
        free(TAKE_PTR(m->visitors));
}
