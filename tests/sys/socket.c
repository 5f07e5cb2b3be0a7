/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bind, connect, listen, sendto, sendmsg and sendmmsg: natively, in a sandbox, and in one whose rules allow all, where
 * each of them is made on behalf. */

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <net/if.h>

#include "sys.h"

#define MEGABYTE (1024U * 1024U)

static bool on_behalf(void) {
        return getenv("SOCKET_RULES") != NULL;
}

static void loopback_up(void) {
        struct ifreq request = { .ifr_name = "lo" };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
                request.ifr_flags |= IFF_UP;
                (void) ioctl(fd, SIOCSIFFLAGS, &request);
        }
        close(fd);
}

static struct sockaddr_in inet(uint16_t port) {
        return (struct sockaddr_in) {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
}

static int bound(int type, struct sockaddr_in *address) {
        socklen_t size = sizeof(*address);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        *address = inet(0);
        if (fd < 0 || bind(fd, (struct sockaddr *) address, sizeof(*address)) < 0 ||
            getsockname(fd, (struct sockaddr *) address, &size) < 0)
                tap_bail_out("bind: %s", strerror(errno));
        return fd;
}

static void test_tcp(void) {
        struct sockaddr_in address, other;
        struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
        int server = bound(SOCK_STREAM, &address), client, peer, error = -1;
        socklen_t size = sizeof(error);
        char buffer[8];

        ok(address.sin_port != 0, "bind to port 0 gets a port");
        is_int(RAW(SYS_connect, (client = socket(AF_INET, SOCK_STREAM, 0)), &address, sizeof(address)), -ECONNREFUSED,
               "a port where nobody listens refuses");
        close(client);
        is_int(RAW(SYS_listen, server, 5), 0, "listen");
        client = socket(AF_INET, SOCK_STREAM, 0);
        is_int(RAW(SYS_connect, client, &address, sizeof(address)), 0, "connect");
        is_int(RAW(SYS_connect, client, &address, sizeof(address)), -EISCONN, "connect again");
        peer = accept(server, NULL, NULL);
        is_int(RAW(SYS_sendto, client, "hello", 5, 0, NULL, 0), 5, "send without an address");
        is_int(RAW(SYS_sendto, client, "hello", 5, 0, &address, sizeof(address)), 5, "send with one, of which TCP takes no note");
        is_int(recv(peer, buffer, 5, MSG_WAITALL), 5, "arrives");
        close(client);
        close(peer);

        client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        is_int(RAW(SYS_connect, client, &address, sizeof(address)), -EINPROGRESS, "connect of a socket that does not block");
        is_int(poll(&(struct pollfd) { .fd = client, .events = POLLOUT }, 1, 10000), 1, "is through later");
        is_int(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size), 0, "its result");
        is_int(error, 0, "is success");
        ok(fcntl(client, F_GETFL) & O_NONBLOCK, "and it still does not block");
        close(client);
        close(accept(server, NULL, NULL));

        client = socket(AF_INET6, SOCK_STREAM, 0);
        mapped.sin6_port = address.sin_port;
        mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
        mapped.sin6_addr.s6_addr[12] = 127;
        mapped.sin6_addr.s6_addr[15] = 1;
        is_int(RAW(SYS_connect, client, &mapped, sizeof(mapped)), 0, "an IPv6 socket connects to IPv4");
        close(client);
        close(accept(server, NULL, NULL));

        client = socket(AF_INET, SOCK_STREAM, 0);
        other = address;
        other.sin_addr.s_addr = 0;
        is_int(RAW(SYS_connect, client, &other, sizeof(other)), 0, "connect to any address is to the loopback");
        close(client);
        close(accept(server, NULL, NULL));

        client = socket(AF_INET, SOCK_STREAM, 0);
        is_int(RAW(SYS_connect, client, &address, 15), -EINVAL, "an address that is too short");
        is_int(RAW(SYS_connect, client, &address, 129), -EINVAL, "one that is too long");
        is_int(RAW(SYS_connect, client, &address, -1), -EINVAL, "one of a negative size");
        is_int(RAW(SYS_connect, client, page_unmapped(), sizeof(address)), -EFAULT, "one that is not there");
        is_int(RAW(SYS_connect, client, page_edge(8), sizeof(address)), -EFAULT, "half of one");
        is_int(RAW(SYS_connect, -1, &address, sizeof(address)), -EBADF, "no descriptor");
        is_int(RAW(SYS_connect, 0, &address, sizeof(address)), -ENOTSOCK, "no socket");
        is_int(RAW(SYS_bind, 999, &address, sizeof(address)), -EBADF, "bind: no descriptor");
        is_int(RAW(SYS_bind, client, &address, 4), -EINVAL, "bind: too short");
        is_int(RAW(SYS_bind, client, page_unmapped(), sizeof(address)), -EFAULT, "bind: not there");
        is_int(RAW(SYS_bind, client, &address, sizeof(address)), -EADDRINUSE, "bind: in use");
        is_int(RAW(SYS_listen, 0, 1), -ENOTSOCK, "listen: no socket");
        other = address;
        other.sin_family = AF_UNIX;
        is_int(RAW(SYS_connect, client, &other, sizeof(other)), -EAFNOSUPPORT, "an address of another family");
        is_int(RAW(SYS_listen, client, 1), 0, "listen without bind");
        size = sizeof(other);
        getsockname(client, (struct sockaddr *) &other, &size);
        ok(other.sin_port != 0, "takes a port");
        close(client);
        close(server);
}

static void test_udp(void) {
        struct sockaddr_in address, from;
        int server = bound(SOCK_DGRAM, &address), client = socket(AF_INET, SOCK_DGRAM, 0);
        socklen_t size = sizeof(from);
        char *big = calloc(1, 70000), buffer[64];
        struct iovec iov[2] = { { (void *) "ab", 2 }, { (void *) "cde", 3 } };
        struct mmsghdr messages[3] = {};
        struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = iov, .msg_iovlen = 2 };
        const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

        is_int(RAW(SYS_sendto, client, "x", 1, 0, &address, sizeof(address)), 1, "sendto");
        is_int(recvfrom(server, buffer, sizeof(buffer), 0, (struct sockaddr *) &from, &size), 1, "arrives");
        is_int(RAW(SYS_sendto, client, "", 0, 0, &address, sizeof(address)), 0, "nothing at all, too");
        is_int(recv(server, buffer, sizeof(buffer), 0), 0, "arrives");
        is_int(RAW(SYS_sendmsg, client, &message, 0), 5, "sendmsg in pieces");
        is_int(recv(server, buffer, sizeof(buffer), 0), 5, "arrives in one");
        ok(memcmp(buffer, "abcde", 5) == 0, "in their order");
        is_int(RAW(SYS_sendto, client, big, 70000, 0, &address, sizeof(address)), -EMSGSIZE, "too much for a datagram");
        is_int(RAW(SYS_sendto, client, big, 60000, 0, &address, sizeof(address)), 60000, "much");
        is_int(recv(server, big, 70000, 0), 60000, "arrives");

        for (unsigned i = 0; i < 3; i++)
                messages[i].msg_hdr = message;
        is_int(RAW(SYS_sendmmsg, client, messages, 3, 0), 3, "sendmmsg");
        ok(messages[0].msg_len == 5 && messages[2].msg_len == 5, "says how much of each");
        for (unsigned i = 0; i < 3; i++)
                is_int(recv(server, buffer, sizeof(buffer), 0), 5, "message %u arrives", i);
        messages[1].msg_hdr.msg_iov = (void *) page_unmapped();
        is_int(RAW(SYS_sendmmsg, client, messages, 3, 0), 1, "sendmmsg up to one that is bad");
        is_int(RAW(SYS_sendmmsg, client, messages + 1, 2, 0), -EFAULT, "which is an error as the first");
        is_int(RAW(SYS_sendmmsg, client, messages, 0, 0), 0, "sendmmsg of nothing");
        is_int(recv(server, buffer, sizeof(buffer), 0), 5, "the good one arrives");

        is_int(RAW(SYS_sendmsg, client, page_unmapped(), 0), -EFAULT, "a message that is not there");
        message.msg_name = page_unmapped();
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EFAULT, "its address");
        message.msg_name = &address;
        message.msg_control = page_unmapped();
        message.msg_controllen = 32;
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EFAULT, "its control messages");
        message.msg_controllen = 0;
        iov[1].iov_base = page_unmapped();
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EFAULT, "its data");
        iov[1].iov_base = buffer;
        iov[1].iov_len = (size_t) -1;
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EINVAL, "a size below zero");
        iov[1].iov_len = 3;
        message.msg_iovlen = 1025;
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EMSGSIZE, "too many pieces");
        message.msg_iovlen = 2;
        message.msg_namelen = 8;
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EINVAL, "half an address");
        message.msg_name = NULL;
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EDESTADDRREQ, "no address");
        is_int(RAW(SYS_sendmsg, 0, &message, 0), -ENOTSOCK, "sendmsg: no socket");
        is_int(RAW(SYS_sendmsg, -1, &message, 0), -EBADF, "sendmsg: no descriptor");

        is_int(RAW(SYS_connect, client, &address, sizeof(address)), 0, "connect");
        is_int(RAW(SYS_sendmsg, client, &message, 0), 5, "sendmsg without an address then");
        is_int(RAW(SYS_connect, client, &nobody, sizeof(nobody)), 0, "connect to nobody");
        is_int(RAW(SYS_sendmsg, client, &message, 0), -EDESTADDRREQ, "takes it back");
        free(big);
        close(client);
        close(server);
}

/* ---- unix ---- */

static socklen_t unix_address(struct sockaddr_un *un, const char *name) {
        *un = (struct sockaddr_un) { .sun_family = AF_UNIX };
        memcpy(un->sun_path, name, strlen(name));
        if (name[0] == '@')
                un->sun_path[0] = '\0';
        return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

static void try_unix(int type, const char *kind, const char *name) {
        struct sockaddr_un un, seen;
        socklen_t size = unix_address(&un, name), n = sizeof(seen);
        int server = socket(AF_UNIX, type, 0), client = socket(AF_UNIX, type, 0), peer = -1;
        char buffer[8];
        struct stat st;

        is_int(RAW(SYS_connect, client, &un, size), name[0] == '@' ? -ECONNREFUSED : -ENOENT, "%s %s: nobody there", kind, name);
        umask(027);
        is_int(RAW(SYS_bind, server, &un, size), 0, "%s %s: bind", kind, name);
        umask(022);
        if (name[0] != '@')
                ok(stat(name, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0750,
                   "%s %s: a socket with the caller's umask", kind, name);
        is_int(RAW(SYS_bind, server, &un, size), name[0] == '@' ? -EINVAL : -EADDRINUSE, "%s %s: bind again", kind, name);
        if (type != SOCK_DGRAM) {
                is_int(RAW(SYS_connect, client, &un, size), -ECONNREFUSED, "%s %s: not listening", kind, name);
                is_int(RAW(SYS_listen, server, 2), 0, "%s %s: listen", kind, name);
        }
        is_int(RAW(SYS_connect, client, &un, size), 0, "%s %s: connect", kind, name);
        if (type != SOCK_DGRAM)
                peer = accept(server, NULL, NULL);
        is_int(RAW(SYS_sendmsg, client, &((struct msghdr) { .msg_iov = &(struct iovec) { (void *) "hi", 2 }, .msg_iovlen = 1 }), 0), 2,
               "%s %s: send", kind, name);
        is_int(recv(peer >= 0 ? peer : server, buffer, sizeof(buffer), 0), 2, "%s %s: receive", kind, name);
        if (type == SOCK_DGRAM) {
                int other = socket(AF_UNIX, type, 0);

                is_int(RAW(SYS_sendto, other, "abc", 3, 0, &un, size), 3, "%s %s: sendto", kind, name);
                is_int(recv(server, buffer, sizeof(buffer), 0), 3, "%s %s: receive", kind, name);
                close(other);
        }
        getsockname(server, (struct sockaddr *) &seen, &n);
        if (!on_behalf() || name[0] == '@' || !strchr(name, '/'))
                ok(n >= size && memcmp(&seen, &un, size) == 0, "%s %s: getsockname", kind, name);
        close(client);
        close(server);
        close(peer);
        unlink(name);
}

static void test_unix(void) {
        static const struct { int type; const char *name; } kinds[] = {
                { SOCK_STREAM, "stream" }, { SOCK_DGRAM, "dgram" }, { SOCK_SEQPACKET, "seqpacket" },
        };
        char absolute[128], through[160];
        struct sockaddr_un un;
        socklen_t size;
        int fd;

        (void) snprintf(absolute, sizeof(absolute), "%s/s", getenv("TESTDIR") ?: ".");
        for (unsigned i = 0; i < 3; i++) {
                try_unix(kinds[i].type, kinds[i].name, "@some name");
                try_unix(kinds[i].type, kinds[i].name, "relative");
                if (strlen(absolute) < sizeof(un.sun_path))
                        try_unix(kinds[i].type, kinds[i].name, absolute);
        }

        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        is_int(RAW(SYS_bind, fd, &(sa_family_t) { AF_UNIX }, sizeof(sa_family_t)), 0, "bind without a name");
        close(fd);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        size = unix_address(&un, "no/such/directory");
        is_int(RAW(SYS_bind, fd, &un, size), -ENOENT, "bind where no directory is");
        mkdir("d", 0700);
        symlink("d", "l");
        size = unix_address(&un, "l/../d/x");
        is_int(RAW(SYS_bind, fd, &un, size), 0, "bind through a symlink and back");
        ok(access("d/x", F_OK) == 0, "is where that leads");
        listen(fd, 1);
        close(socket(AF_UNIX, SOCK_STREAM, 0));
        (void) snprintf(through, sizeof(through), "l/x");
        size = unix_address(&un, through);
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        is_int(RAW(SYS_connect, client, &un, size), 0, "connect through a symlink");
        close(client);
        client = socket(AF_UNIX, SOCK_STREAM, 0);
        size = unix_address(&un, "d");
        is_int(RAW(SYS_connect, client, &un, size), -ECONNREFUSED, "connect to what is no socket");
        is_int(RAW(SYS_bind, client, &un, size), -EADDRINUSE, "bind to what is there");
        close(client);
        close(fd);
        unlink("d/x");
        unlink("l");
        rmdir("d");
}

static void test_rights(void) {
        union {
                char buffer[CMSG_SPACE(2 * sizeof(int))];
                struct cmsghdr align;
        } control = {};
        char byte;
        struct iovec iov = { (void *) "x", 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buffer,
                                  .msg_controllen = sizeof(control.buffer) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        int pair[2], pipes[2], got[2];
        struct ucred me = { .pid = getpid(), .uid = getuid(), .gid = getgid() };

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || pipe(pipes) < 0)
                tap_bail_out("%s", strerror(errno));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(c), pipes, sizeof(pipes));
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), 1, "two descriptors");
        memset(control.buffer, 0, sizeof(control.buffer));
        iov.iov_base = &byte;
        is_int(recvmsg(pair[1], &message, 0), 1, "arrive");
        c = CMSG_FIRSTHDR(&message);
        ok(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(2 * sizeof(int)), "as such");
        memcpy(got, CMSG_DATA(c), sizeof(got));
        is_int(write(got[1], "z", 1), 1, "the one writes");
        is_int(read(pipes[0], &byte, 1), 1, "what the other's file has");
        memcpy(CMSG_DATA(c), &(int) { 999 }, sizeof(int));
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), -EBADF, "a descriptor that is none");
        c->cmsg_len = 3;
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), -EINVAL, "a control message that is none");
        message.msg_controllen = CMSG_SPACE(sizeof(me));
        c->cmsg_type = SCM_CREDENTIALS;
        c->cmsg_len = CMSG_LEN(sizeof(me));
        memcpy(CMSG_DATA(c), &me, sizeof(me));
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), 1, "who one is can be told");
        close(pair[1]);
        message.msg_controllen = 0;
        signal(SIGPIPE, SIG_IGN);
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), -EPIPE, "a broken pipe");
        signal(SIGPIPE, SIG_DFL);
        is_int(RAW(SYS_sendmsg, pair[0], &message, MSG_NOSIGNAL), -EPIPE, "and without a signal");
        close(pair[0]);
}

static int break_pipe(void *arg) {
        struct iovec iov = { (void *) "x", 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        int pair[2];

        (void) arg;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
                return 1;
        close(pair[1]);
        (void) sendmsg(pair[0], &message, 0);
        return 2;
}

/* ---- waiting ---- */

typedef struct Reader {
        int fd;
        size_t n;
} Reader;

static void *reader_main(void *arg) {
        static char buffer[65536];
        Reader *reader = arg;
        ssize_t n;

        while ((n = read(reader->fd, buffer, sizeof(buffer))) > 0)
                reader->n += (size_t) n;
        return NULL;
}

static volatile sig_atomic_t n_alarms;

static void on_alarm(int signo) {
        n_alarms++;
}

/* A signal now and then until the call has seen one. */
static void *kicker_main(void *arg) {
        pthread_t *to = arg;

        while (n_alarms == 0) {
                poll(NULL, 0, 50);
                pthread_kill(*to, SIGUSR1);
        }
        return NULL;
}

static void test_waiting(void) {
        struct sigaction action = { .sa_handler = on_alarm };
        char *data = malloc(3 * MEGABYTE);
        struct iovec iov[2] = { { data, MEGABYTE }, { data + MEGABYTE, 2 * MEGABYTE } };
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
        struct sockaddr_un un;
        socklen_t size = unix_address(&un, "@waiting");
        pthread_t thread, self = pthread_self();
        Reader reader;
        int pair[2], server, clients[16], n = 0;
        long r;

        memset(data, 'd', 3 * MEGABYTE);
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        reader = (Reader) { .fd = pair[1] };
        pthread_create(&thread, NULL, reader_main, &reader);
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), 3 * MEGABYTE, "a stream takes all when it may wait");
        close(pair[0]);
        pthread_join(thread, NULL);
        is_int((long) reader.n, 3 * MEGABYTE, "which arrives");
        close(pair[1]);

        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        r = RAW(SYS_sendmsg, pair[0], &message, MSG_DONTWAIT);
        ok(r > 0 && r < 3 * MEGABYTE, "some of it when it may not (%ld)", r);
        while (RAW(SYS_sendmsg, pair[0], &message, MSG_DONTWAIT) > 0)
                ;
        is_int(RAW(SYS_sendmsg, pair[0], &message, MSG_DONTWAIT), -EAGAIN, "then nothing");
        setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval) { .tv_usec = 50000 }, sizeof(struct timeval));
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), -EAGAIN, "SO_SNDTIMEO ends the wait");
        setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval) {}, sizeof(struct timeval));

        sigaction(SIGUSR1, &action, NULL);
        pthread_create(&thread, NULL, kicker_main, &self);
        is_int(RAW(SYS_sendmsg, pair[0], &message, 0), -EINTR, "so does a signal");
        pthread_join(thread, NULL);
        ok(n_alarms > 0, "whose handler runs");
        close(pair[0]);
        close(pair[1]);

        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        n_alarms = 0;
        pthread_create(&thread, NULL, kicker_main, &self);
        r = RAW(SYS_sendmsg, pair[0], &message, 0);
        ok(r > 0 && r < 3 * MEGABYTE, "what was sent before it counts (%ld)", r);
        pthread_join(thread, NULL);
        shutdown(pair[0], SHUT_WR);
        reader = (Reader) { .fd = pair[1] };
        reader_main(&reader);
        is_int((long) reader.n, r, "to the byte");
        close(pair[0]);
        close(pair[1]);

        server = socket(AF_UNIX, SOCK_STREAM, 0);
        bind(server, (struct sockaddr *) &un, size);
        listen(server, 0);
        do
                clients[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        while (connect(clients[n++], (struct sockaddr *) &un, size) == 0 && n < 15);
        is_int(errno, EAGAIN, "a queue of connections fills up");
        clients[n] = socket(AF_UNIX, SOCK_STREAM, 0);
        n_alarms = 0;
        pthread_create(&thread, NULL, kicker_main, &self);
        is_int(RAW(SYS_connect, clients[n], &un, size), -EINTR, "a signal ends the wait for room");
        pthread_join(thread, NULL);
        action.sa_flags = SA_RESTART;
        sigaction(SIGUSR1, &action, NULL);
        n_alarms = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
                poll(NULL, 0, 50);
                kill(getppid(), SIGUSR1);
                poll(NULL, 0, 100);
                close(accept(server, NULL, NULL));
                _exit(0);
        }
        is_int(RAW(SYS_connect, clients[n], &un, size), 0, "with SA_RESTART it goes on");
        ok(n_alarms > 0, "after the handler");
        waitpid(child, NULL, 0);
        for (int i = 0; i <= n; i++)
                close(clients[i]);
        close(server);
        free(data);
}

int main(void) {
        loopback_up();
        test_tcp();
        test_udp();
        test_unix();
        test_rights();
        is_int(child_exit(break_pipe, NULL), 256 + SIGPIPE, "a broken pipe kills who does not care");
        test_waiting();
        return tap_done();
}
