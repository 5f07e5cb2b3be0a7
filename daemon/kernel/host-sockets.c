/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-behalf.h"
#include "host-sockets.h"
#include "sentry.h"
#include "util.h"
#include "watchdog.h"

#ifndef SYS_pidfd_getfd
#  define SYS_pidfd_getfd 438
#endif
#ifndef SYS_openat2
#  define SYS_openat2 437
#endif
/* <linux/pidfd.h>, since Linux 6.9 */
#ifndef PIDFD_THREAD
#  define PIDFD_THREAD O_EXCL
#endif

#define RESOLVE_TRIES 64U /* a rename anywhere makes openat2(2) give up */

bool host_sockets_are_possible(void) {
        struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
        _cleanup_close_ int fd = (int) syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

        return fd >= 0 && syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 && errno == EBADF;
}

/* ---- copies ---- */

static int open_caller(Host *host, const Call *call) {
        HostPeer task;
        int fd, r;

        fd = (int) syscall(SYS_pidfd_open, call->tid, PIDFD_THREAD);
        if (fd < 0 && errno == EINVAL) { /* before Linux 6.9 */
                r = host_task_info(host, call->tid, &task);
                if (r < 0)
                        return r;
                fd = (int) syscall(SYS_pidfd_open, task.tgid, 0);
        }
        return fd < 0 ? -errno : fd;
}

/* What the caller's number means at this moment. Whatever it means later, the copy stays what it is. */
static int copy_fd(Host *host, const Call *call, int32_t number) {
        _cleanup_close_ int pidfd = -EBADF, fd = -EBADF;

        if (number < 0)
                return -EBADF;
        pidfd = open_caller(host, call);
        if (pidfd < 0)
                return pidfd;
        fd = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE ? -ENOBUFS : -errno;
        /* Only now it is certain whose it is. */
        if (!notifier_call_is_valid(&host_seccomp_of(host)->sentry->notifier, call))
                return -ESRCH;
        return TAKE_FD(fd);
}

static int get_option(int fd, int level, int option, int32_t *ret) {
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, level, option, ret, &size) < 0 ? -errno : 0;
}

int host_socket_copy(Host *host, const Call *call, int32_t number, HostSocket *ret) {
        _cleanup_close_ int fd = -EBADF;
        HostSocket socket = {};
        int32_t v6only = 0;
        int flags, r;

        ret->fd = -1;
        fd = copy_fd(host, call, number);
        if (fd < 0)
                return host_error_to_guest(fd);
        r = get_option(fd, SOL_SOCKET, SO_DOMAIN, &socket.domain);
        if (r >= 0)
                r = get_option(fd, SOL_SOCKET, SO_TYPE, &socket.type);
        if (r >= 0)
                r = get_option(fd, SOL_SOCKET, SO_PROTOCOL, &socket.protocol);
        if (r < 0)
                return host_error_to_guest(r);
        if (socket.domain == AF_INET6 && get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only) >= 0)
                socket.v6only = v6only != 0;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return host_error_to_guest(-errno);
        socket.nonblocking = flags & O_NONBLOCK;
        socket.fd = TAKE_FD(fd);
        *ret = socket;
        return 0;
}

int host_socket_fd(Host *host, const Call *call, int32_t number) {
        int fd = copy_fd(host, call, number);

        return fd < 0 ? host_error_to_guest(fd) : fd;
}

void host_socket_close(Host *host, int fd) {
        (void) host;
        safe_close(fd);
}

void host_socket_credentials(Host *host, AbiUcred *ret) {
        (void) host;
        *ret = (AbiUcred) { .pid = getpid(), .uid = getuid(), .gid = getgid() };
}

/* ---- paths ---- */

static int link_of(const char *path, char *to, size_t size) {
        ssize_t n = readlink(path, to, size);

        if (n < 0)
                return -errno;
        if ((size_t) n >= size)
                return -ENAMETOOLONG;
        to[n] = '\0';
        return 0;
}

/* A relative path of the caller's from his root. Where his directory is not below it, nobody can tell. */
static int from_root(const Call *call, const char *path, char to[static PATH_MAX]) {
        char link[64], root[PATH_MAX], cwd[PATH_MAX];
        size_t n;
        int r;

        if (path[0] == '/') {
                strcpy(to, path);
                return 0;
        }
        (void) snprintf(link, sizeof(link), "/proc/%" PRId32 "/root", call->tid);
        r = link_of(link, root, sizeof(root));
        (void) snprintf(link, sizeof(link), "/proc/%" PRId32 "/cwd", call->tid);
        if (r >= 0)
                r = link_of(link, cwd, sizeof(cwd));
        if (r < 0)
                return r;
        n = streq(root, "/") ? 0 : strlen(root);
        if (strncmp(root, cwd, n) != 0 || (cwd[n] != '/' && cwd[n] != '\0'))
                return -EACCES;
        return snprintf(to, PATH_MAX, "%s/%s", cwd + n, path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The directory part stays in path; the last component goes to name. */
static int split(char *path, char name[static ABI_SOCKADDR_UN_MAX]) {
        char *slash = strrchr(path, '/');

        if (slash[1] == '\0')
                return -ENOENT; /* a directory is what it would have to be */
        if (streq(slash + 1, ".") || streq(slash + 1, ".."))
                return -EADDRINUSE;
        (void) snprintf(name, ABI_SOCKADDR_UN_MAX, "%s", slash + 1); /* it is of a sun_path, so it fits */
        slash[slash == path] = '\0';
        return 0;
}

static int open_below(int root, const char *path, bool directory) {
        struct open_how how = {
                .flags = O_PATH | O_CLOEXEC | (directory ? O_DIRECTORY : 0),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        int fd = -1;

        for (unsigned i = 0; i < RESOLVE_TRIES; i++) {
                fd = (int) syscall(SYS_openat2, root, path, &how, sizeof(how));
                if (fd >= 0 || errno != EAGAIN)
                        break;
        }
        if (fd >= 0)
                return fd;
        return errno == EAGAIN || errno == EXDEV ? -EACCES : -errno;
}

static int locate(Host *host, const Call *call, const char *path, bool for_bind, HostPlace *ret,
                  char ret_path[static ADDRESS_PATH_MAX]) {
        _cleanup_close_ int root = -EBADF, fd = -EBADF;
        char full[PATH_MAX], link[64];
        HostPlace place = {};
        HostPeer caller;
        size_t n;
        int r;

        /* What the host asks of file permissions it asks of us. */
        r = host_task_info(host, call->tid, &caller);
        if (r < 0)
                return r;
        if (caller.uid != geteuid())
                return -EACCES;

        (void) snprintf(link, sizeof(link), "/proc/%" PRId32 "/root", call->tid);
        root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        r = from_root(call, path, full);
        if (r >= 0 && !notifier_call_is_valid(&host_seccomp_of(host)->sentry->notifier, call))
                r = -ESRCH;
        if (r >= 0 && for_bind)
                r = split(full, place.name);
        if (r < 0)
                return r;
        fd = open_below(root, full, for_bind);
        if (fd < 0)
                return fd;

        /* From here on it is this file, whatever the path leads to. */
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        r = link_of(link, ret_path, ADDRESS_PATH_MAX);
        if (r < 0)
                return r;
        if (for_bind) {
                n = streq(ret_path, "/") ? 0 : strlen(ret_path);
                if (n + 1 + strlen(place.name) >= ADDRESS_PATH_MAX)
                        return -ENAMETOOLONG;
                ret_path[n] = '/';
                strcpy(ret_path + n + 1, place.name);
        }
        place.fd = TAKE_FD(fd);
        *ret = place;
        return 0;
}

int host_socket_locate(Host *host, const Call *call, const char *path, bool for_bind, HostPlace *ret,
                       char ret_path[static ADDRESS_PATH_MAX]) {
        Station *section;
        int r;

        /* A file system may be one that does not answer. */
        section = watchdog_enter(call->cookie, "finding a socket");
        r = locate(host, call, path, for_bind, ret, ret_path);
        watchdog_leave(section);
        return r < 0 ? host_error_to_guest(r) : 0;
}

uint32_t host_socket_address(const HostAddress *address, uint8_t to[static ABI_SOCKADDR_MAX]) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        if (address->place.fd < 0) {
                memcpy(to, address->bytes, sizeof(address->bytes));
                return address->size;
        }
        (void) snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", address->place.fd);
        memcpy(to, &un, sizeof(un));
        return sizeof(un);
}

/* ---- calls that do not wait ---- */

static mode_t umask_of(HostTid tid) {
        _cleanup_free_ char *text = NULL;
        unsigned mask = 0777;
        const char *p;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%" PRId32 "/status", tid);
        if (read_full_file(path, 65536, &text, NULL) >= 0 && (p = strstr(text, "\nUmask:")))
                (void) sscanf(p, "\nUmask: %o", &mask);
        return mask;
}

/* In the directory, by the name alone. Nothing else here goes by the working directory or by the umask. */
static int bind_in_place(const Call *call, int fd, const HostPlace *place) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        size_t n = strnlen(place->name, sizeof(un.sun_path));
        mode_t before;
        int r;

        memcpy(un.sun_path, place->name, n);
        if (fchdir(place->fd) < 0)
                return -errno;
        before = umask(umask_of(call->tid));
        r = bind(fd, (struct sockaddr *) &un, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0 ? -errno : 0;
        (void) umask(before);
        (void) chdir("/"); /* not to keep a file system of the sandbox busy */
        return r;
}

int host_socket_bind(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address) {
        Notifier *notifier = &host_seccomp_of(host)->sentry->notifier;
        Station *section;
        int r;

        if (!notifier_act(notifier, 1))
                return 0;
        section = watchdog_enter(call->cookie, "binding a socket");
        if (address->place.fd >= 0)
                r = bind_in_place(call, socket->fd, &address->place);
        else
                r = bind(socket->fd, (const struct sockaddr *) (const void *) address->bytes, address->size) < 0 ?
                        -errno : 0;
        watchdog_leave(section);
        if (r < 0)
                notifier_act_undone(notifier);
        return r < 0 ? host_error_to_guest(r) : 0;
}

int host_socket_name(Host *host, const HostSocket *socket, HostAddress *ret) {
        socklen_t size = sizeof(ret->bytes);

        (void) host;
        *ret = (HostAddress) { .place.fd = -1 };
        if (getsockname(socket->fd, (struct sockaddr *) (void *) ret->bytes, &size) < 0)
                return host_error_to_guest(-errno);
        ret->size = MIN(size, (socklen_t) sizeof(ret->bytes));
        return 0;
}

int host_socket_listen(Host *host, const HostSocket *socket, int32_t backlog) {
        (void) host;
        return listen(socket->fd, backlog) < 0 ? host_error_to_guest(-errno) : 0;
}

int host_socket_connect(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address) {
        uint8_t bytes[ABI_SOCKADDR_MAX];
        uint32_t size = host_socket_address(address, bytes);
        Notifier *notifier = &host_seccomp_of(host)->sentry->notifier;
        Station *section;
        int r;

        if (!notifier_act(notifier, 1))
                return 0;
        section = watchdog_enter(call->cookie, "connecting a socket");
        r = connect(socket->fd, (const struct sockaddr *) (const void *) bytes, size) < 0 ? -errno : 0;
        watchdog_leave(section);
        if (r < 0)
                notifier_act_undone(notifier);
        return r < 0 ? host_error_to_guest(r) : 0;
}

int64_t host_socket_send(Host *host, const Call *call, const HostSocket *socket, const HostMessage *message) {
        uint8_t bytes[ABI_SOCKADDR_MAX];
        struct iovec iov = { .iov_base = (void *) message->data, .iov_len = message->size };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = message->control_size > 0 ? (void *) message->control : NULL,
                .msg_controllen = message->control_size,
        };
        Notifier *notifier = &host_seccomp_of(host)->sentry->notifier;
        Station *section;
        ssize_t r;

        if (!notifier_act(notifier, 1))
                return (int64_t) message->size;
        if (message->address) {
                header.msg_name = bytes;
                header.msg_namelen = host_socket_address(message->address, bytes);
        }
        section = watchdog_enter(call->cookie, "sending");
        r = sendmsg(socket->fd, &header, (int) (message->flags | MSG_DONTWAIT | MSG_NOSIGNAL));
        if (r < 0)
                r = -errno;
        watchdog_leave(section);
        if (r < 0)
                notifier_act_undone(notifier);
        return r < 0 ? host_error_to_guest((int) r) : r;
}
