/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The embedded instance. sentryctl made the socket and holds the lock for us, so there is one of us per directory; we
 * give the lock up by exiting, after the socket is gone and nobody is left in its backlog. */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bus-util.h"
#include "connection.h"
#include "embedded.h"
#include "log.h"
#include "manager.h"

#define BACKLOG 256
#define ACCEPT_PER_WAKEUP 16U
#define ACCEPT_PAUSE_USEC 100000U /* after an error that comes again at once */

struct Embedded {
        Manager *manager; /* not owned; immutable */
        int listen_fd;    /* owned */
        int lock_fd;      /* owned; immutable: locked until we exit */
        int directory_fd; /* owned; immutable: where the socket was made. What has its path now may be another's */
        struct sockaddr_un address; /* immutable: of listen_fd; a path */
        sd_event_source *listen_source; /* owned */
        sd_event_source *pause_source;  /* owned: ends a pause in accepting; or NULL */
        sd_event_source *idle_source;   /* owned: the end; enabled while there is nothing to do */
};

/* Serves a peer, if it may be one. */
static int embedded_add_peer(Embedded *e, int accepted) {
        _cleanup_close_ int fd = accepted;
        Manager *m = e->manager;
        struct ucred peer;
        socklen_t size = sizeof(peer);
        Connection *c;
        sd_bus *bus;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != m->uid && peer.uid != 0) {
                log_warning("Uid %u tried to connect to this instance, which serves uid %u and root only.", peer.uid,
                            m->uid);
                return -EPERM;
        }
        if (m->n_connections >= MANAGER_CONNECTIONS_MAX) {
                log_warning("There are %u connections, and no more than %u are allowed: closing a new one.",
                            m->n_connections, MANAGER_CONNECTIONS_MAX);
                return -EMFILE;
        }

        r = bus_peer_new(fd, true, "client", &bus);
        if (r < 0)
                return r;
        (void) TAKE_FD(fd); /* the bus's now */

        r = connection_new(m, bus, true, peer.uid, &c);
        if (r < 0) {
                sd_bus_close_unref(bus);
                return r;
        }

        r = sd_bus_start(c->bus);
        if (r < 0) {
                connection_free(c);
                return r;
        }
        return 0;
}

/* Accepts one connection. Returns 0 when there is none, 1 when there was one, be it a bad one. */
static int embedded_accept(Embedded *e) {
        int fd, r;

        fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return errno == EAGAIN ? 0 : errno == EINTR || errno == ECONNABORTED ? 1 : -errno;

        r = embedded_add_peer(e, fd);
        if (r < 0)
                log_debug_errno(r, "Failed to serve a connection: %m");

        embedded_check_idle(e->manager);
        return 1;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Embedded *e = userdata;

        return sd_event_source_set_enabled(e->listen_source, SD_EVENT_ON);
}

/* Without descriptors accept() fails again and again, and the socket stays readable: don't spin on that. */
static void embedded_pause(Embedded *e, int error) {
        log_warning_errno(error, "Failed to accept a connection: %m. Trying again soon.");

        e->pause_source = sd_event_source_disable_unref(e->pause_source);
        if (sd_event_add_time_relative(e->manager->event, &e->pause_source, CLOCK_MONOTONIC, ACCEPT_PAUSE_USEC, 0,
                                       on_pause_over, e) >= 0)
                (void) sd_event_source_set_enabled(e->listen_source, SD_EVENT_OFF);
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Embedded *e = userdata;
        int r;

        for (unsigned i = 0; i < ACCEPT_PER_WAKEUP; i++) {
                r = embedded_accept(e);
                if (r < 0)
                        embedded_pause(e, r);
                if (r <= 0)
                        break;
        }

        return 0;
}

/* Listens on e->listen_fd. */
static int embedded_watch(Embedded *e) {
        e->listen_source = sd_event_source_disable_unref(e->listen_source);
        return sd_event_add_io(e->manager->event, &e->listen_source, e->listen_fd, EPOLLIN, on_listen, e);
}

static void embedded_unlink(Embedded *e) {
        if (e->directory_fd >= 0 && unlinkat(e->directory_fd, strrchr(e->address.sun_path, '/') + 1, 0) < 0 && errno != ENOENT)
                log_warning_errno(errno, "Failed to remove %s: %m", e->address.sun_path);
}

/* Makes the socket again after it was removed. We hold the lock, so that nobody else does. */
static int embedded_listen_again(Embedded *e) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        /* It was removed with all that was in it, and what may have come in its place is not ours. */
        if (fstat(e->directory_fd, &st) < 0 || st.st_nlink == 0)
                return -ESTALE;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *) &e->address, sizeof(e->address)) < 0)
                return -errno;
        if (listen(fd, BACKLOG) < 0)
                return -errno;

        e->listen_source = sd_event_source_disable_unref(e->listen_source);
        safe_close(e->listen_fd);
        e->listen_fd = TAKE_FD(fd);
        return embedded_watch(e);
}

static bool embedded_is_idle(const Manager *m) {
        return m->n_connections == 0 && m->n_live == 0 && m->n_departing == 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
        Embedded *e = userdata;
        int r;

        embedded_unlink(e);
        /* Nobody new gets here from now on, but somebody may have just before. */
        while ((r = embedded_accept(e)) > 0)
                ;

        if (embedded_is_idle(e->manager)) {
                log_debug("No sandbox and no client: the end.");
                return sd_event_exit(e->manager->event, EXIT_SUCCESS);
        }

        r = embedded_listen_again(e);
        if (r < 0)
                log_warning_errno(r, "Failed to listen on %s again: %m. Serving those who are here, and no others.",
                                  e->address.sun_path);
        return 0;
}

void embedded_check_idle(Manager *m) {
        Embedded *e = m->embedded;
        int r, enabled;

        if (!e->idle_source)
                return; /* not serving yet */
        if (!embedded_is_idle(m)) {
                (void) sd_event_source_set_enabled(e->idle_source, SD_EVENT_OFF);
                return;
        }

        if (sd_event_source_get_enabled(e->idle_source, &enabled) > 0)
                return;

        r = sd_event_source_set_time_relative(e->idle_source, EMBEDDED_IDLE_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->idle_source, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(m->event, EXIT_FAILURE); /* never stay behind with nothing to do */
}

/* Checks what sentryctl handed over. */
static int embedded_take_fds(Embedded *e) {
        socklen_t size = sizeof(e->address);
        int listening = 0;
        socklen_t option_size = sizeof(listening);

        if (getsockopt(EMBEDDED_FD_LISTEN, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option_size) < 0 || !listening)
                return log_error_errno(EINVAL, "File descriptor %d is no listening socket. sentryctl starts sentryd "
                                       "--embedded with one; by hand, use --user or --system.", EMBEDDED_FD_LISTEN);
        if (getsockname(EMBEDDED_FD_LISTEN, (struct sockaddr *) &e->address, &size) < 0 ||
            e->address.sun_family != AF_UNIX || e->address.sun_path[0] != '/')
                return log_error_errno(EINVAL, "The listening socket, file descriptor %d, has no path.",
                                       EMBEDDED_FD_LISTEN);
        if (flock(EMBEDDED_FD_LOCK, LOCK_EX | LOCK_NB) < 0)
                return log_error_errno(errno, "File descriptor %d is not the lock file, or another process has it "
                                       "locked: %m", EMBEDDED_FD_LOCK);

        if (fcntl(EMBEDDED_FD_LISTEN, F_SETFD, FD_CLOEXEC) < 0 || fcntl(EMBEDDED_FD_LOCK, F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(EMBEDDED_FD_LISTEN, F_SETFL, O_NONBLOCK) < 0)
                return log_error_errno(errno, "Failed to set up what sentryctl handed over: %m");

        e->listen_fd = EMBEDDED_FD_LISTEN;
        e->lock_fd = EMBEDDED_FD_LOCK;
        return 0;
}

/* What outlives us lies beside the socket. */
static int embedded_open_runtime(Embedded *e) {
        _cleanup_free_ char *directory = strdup(e->address.sun_path);
        char *slash;
        int r;

        if (!directory)
                return log_oom();
        slash = strrchr(directory, '/');
        if (slash == directory)
                slash++;
        *slash = '\0';
        r = runtime_open(&e->manager->runtime, MANAGER_EMBEDDED, directory);
        if (r < 0)
                return r;
        e->directory_fd = fcntl(e->manager->runtime.fd, F_DUPFD_CLOEXEC, 0);
        return e->directory_fd < 0 ? log_error_errno(errno, "Failed to open %s: %m", directory) : 0;
}

int embedded_start(Manager *m) {
        Embedded *e;
        int r;

        e = calloc(1, sizeof(*e));
        if (!e)
                return log_oom();

        e->manager = m;
        e->listen_fd = e->lock_fd = e->directory_fd = -EBADF;

        r = embedded_take_fds(e);
        if (r >= 0)
                r = embedded_open_runtime(e);
        if (r < 0) {
                embedded_free(e);
                return r;
        }

        m->embedded = e;
        return 0;
}

int embedded_serve(Manager *m) {
        Embedded *e = m->embedded;
        int r;

        r = embedded_watch(e);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &e->idle_source, CLOCK_MONOTONIC, EMBEDDED_IDLE_USEC, 0,
                                               on_idle, e);
        if (r < 0)
                return log_error_errno(r, "Failed to listen: %m");
        embedded_check_idle(m);
        return 0;
}

Embedded *embedded_free(Embedded *e) {
        if (!e)
                return NULL;

        sd_event_source_disable_unref(e->listen_source);
        sd_event_source_disable_unref(e->pause_source);
        sd_event_source_disable_unref(e->idle_source);

        /* While we hold the lock the path is ours, and nobody else's. */
        if (e->listen_fd >= 0)
                embedded_unlink(e);
        safe_close(e->listen_fd);
        safe_close(e->directory_fd);
        safe_close(e->lock_fd);
        free(e);
        return NULL;
}
