/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* UNIX sockets: natively, in a sandbox, and in one in the host's network, where they are made elsewhere and handed over. */

#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "sys.h"

#define MAKERS 4
#define MADE 300

static socklen_t abstract(struct sockaddr_un *address, const char *name) {
        *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
        (void) snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s", name);
        return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int new(int type) {
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        if (fd < 0)
                tap_bail_out("socket: %s", strerror(errno));
        return fd;
}

/* An abstract name that is taken before we come would be somebody else's. */
static int bound(int type, const char *name) {
        struct sockaddr_un address;
        socklen_t size = abstract(&address, name);
        int fd = new(type);

        if (bind(fd, (struct sockaddr *) &address, size) < 0)
                tap_bail_out("bind %s: %s", name, strerror(errno));
        return fd;
}

static long connects(int fd, const char *name) {
        struct sockaddr_un address;
        socklen_t size = abstract(&address, name);

        return RAW(SYS_connect, fd, &address, size);
}

static void test_arguments(void) {
        static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET };
        int value = -1, fd;
        socklen_t size = sizeof(value);

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                fd = (int) RAW(SYS_socket, AF_UNIX, types[i], 0);
                ok(fd >= 0, "type %d", types[i]);
                is_int(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size), 0, "… is asked for its type");
                is_int(value, types[i] == SOCK_RAW ? SOCK_DGRAM : types[i], "… and says it");
                is_int(fcntl(fd, F_GETFD), 0, "… which an exec leaves open");
                is_int(fcntl(fd, F_GETFL), O_RDWR, "… and that waits");
                close(fd);
        }
        fd = (int) RAW(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, PF_UNIX);
        is_int(fcntl(fd, F_GETFD), FD_CLOEXEC, "SOCK_CLOEXEC");
        is_int(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK, "SOCK_NONBLOCK");
        close(fd);
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_RDM, 0), -ESOCKTNOSUPPORT, "no such type");
        is_int(RAW(SYS_socket, AF_UNIX, 7, 0), -ESOCKTNOSUPPORT, "nor that");
        is_int(RAW(SYS_socket, AF_UNIX, 15, 0), -EINVAL, "types end");
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_STREAM | 0x40, 0), -EINVAL, "no such flag");
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_STREAM, 2), -EPROTONOSUPPORT, "no such protocol");
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_STREAM, -1), -EPROTONOSUPPORT, "nor that");
        fd = (int) RAW(SYS_socket, AF_UNIX | UINT64_C(1) << 32, SOCK_STREAM, 0);
        ok(fd >= 0, "the upper half of a register is nothing");
        close(fd);
}

static void test_streams(void) {
        int server = bound(SOCK_STREAM, "unix-test-stream"), client = new(SOCK_STREAM), peer;
        struct sockaddr_un address;
        socklen_t size = abstract(&address, "unix-test-stream");
        struct ucred credentials = {};
        char buffer[16] = {};

        is_int(RAW(SYS_connect, client, &address, size), -ECONNREFUSED, "who does not listen refuses");
        is_int(listen(server, 1), 0, "listen");
        is_int(connects(client, "unix-test-stream"), 0, "an abstract name is found");
        peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        ok(peer >= 0, "accept");
        is_int(send(client, "hello", 5, 0), 5, "send");
        is_int(recv(peer, buffer, sizeof(buffer), 0), 5, "receive");
        size = sizeof(credentials);
        is_int(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size), 0, "SO_PEERCRED");
        is_int(credentials.pid, getpid(), "… is this process");
        is_int(credentials.uid, getuid(), "… of this user");
        size = sizeof(address);
        is_int(getsockname(peer, (struct sockaddr *) &address, &size), 0, "getsockname");
        is_str(address.sun_path + 1, "unix-test-stream", "… is the abstract name");
        close(client);
        close(peer);
        close(server);
        client = new(SOCK_STREAM);
        is_int(connects(client, "unix-test-stream"), -ECONNREFUSED, "a name goes with its socket");
        close(client);
}

static void test_datagrams(void) {
        int receiver = bound(SOCK_DGRAM, "unix-test-dgram"), sender = new(SOCK_DGRAM), on = 1, pair[2];
        struct sockaddr_un address, from;
        socklen_t size = abstract(&address, "unix-test-dgram"), from_size = sizeof(from);
        char buffer[16];

        is_int(sendto(sender, "one", 3, 0, (struct sockaddr *) &address, size), 3, "sendto an abstract name");
        is_int(recv(receiver, buffer, sizeof(buffer), 0), 3, "… which arrives");
        is_int(setsockopt(sender, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0, "SO_PASSCRED");
        is_int(sendto(sender, "two", 3, 0, (struct sockaddr *) &address, size), 3, "… gives the sender a name");
        is_int(recvfrom(receiver, buffer, sizeof(buffer), 0, (struct sockaddr *) &from, &from_size), 3, "… that is told");
        ok(from_size > sizeof(sa_family_t) && from.sun_path[0] == '\0', "… and abstract");
        is_int(sendto(receiver, "back", 4, 0, (struct sockaddr *) &from, from_size), 4, "… and can be answered");
        is_int(recv(sender, buffer, sizeof(buffer), 0), 4, "… which arrives, too");

        for (int type = SOCK_DGRAM; type <= SOCK_RAW; type++) {
                is_int(RAW(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0, "a pair of type %d", type);
                is_int(send(pair[0], "a", 1, 0), 1, "… one end sends");
                is_int(recv(pair[1], buffer, sizeof(buffer), 0), 1, "… the other receives");
                is_int(send(pair[1], "b", 1, 0), 1, "… and back");
                is_int(recv(pair[0], buffer, sizeof(buffer), 0), 1, "… as well");
                is_int(sendto(pair[0], "x", 1, 0, (struct sockaddr *) &address, size), 1, "… it reaches names, too");
                is_int(recv(receiver, buffer, sizeof(buffer), 0), 1, "… they are where the others are");
                is_int(fcntl(pair[1], F_GETFD), FD_CLOEXEC, "… SOCK_CLOEXEC");
                close(pair[0]);
                is_int(RAW(SYS_sendto, pair[1], "x", 1, MSG_NOSIGNAL, NULL, 0), -ECONNREFUSED, "… and one end closes");
                close(pair[1]);
        }
        close(sender);
        close(receiver);
}

static void test_pairs(void) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
        int pair[2] = { 77, 77 }, fd;
        char buffer[4];

        for (size_t i = 0; i < 2; i++) {
                is_int(RAW(SYS_socketpair, AF_UNIX, types[i], 0, pair), 0, "a pair of type %d", types[i]);
                is_int(send(pair[0], "hi", 2, 0), 2, "… sends");
                is_int(recv(pair[1], buffer, sizeof(buffer), 0), 2, "… and receives");
                close(pair[0]);
                close(pair[1]);
        }
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM | 0x40, 0, pair), -EINVAL, "no such flag of a pair");
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 5, pair), -EPROTONOSUPPORT, "no such protocol");
        is_int(RAW(SYS_socketpair, AF_INET, SOCK_DGRAM, 0, pair), -EOPNOTSUPP, "no such family");
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(fd);
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, page_new(PROT_READ)), -EFAULT, "memory that is read-only");
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, page_edge(4)), -EFAULT, "memory for one number");
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, NULL), -EFAULT, "none");
        is_int(open("/dev/null", O_RDONLY | O_CLOEXEC), fd, "… of which nothing is left");
        close(fd);
}

static void test_limit(void) {
        struct rlimit old, few;
        int next = open("/dev/null", O_RDONLY | O_CLOEXEC), pair[2];

        close(next);
        if (getrlimit(RLIMIT_NOFILE, &old) < 0)
                tap_bail_out("getrlimit: %s", strerror(errno));
        few = (struct rlimit) { .rlim_cur = (rlim_t) next, .rlim_max = old.rlim_max };
        is_int(setrlimit(RLIMIT_NOFILE, &few), 0, "no descriptors are left");
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_STREAM, 0), -EMFILE, "no socket");
        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair), -EMFILE, "no pair");
        is_int(setrlimit(RLIMIT_NOFILE, &old), 0, "there are again");
        is_int(RAW(SYS_socket, AF_UNIX, SOCK_STREAM, 0), next, "the lowest number is taken");
        close(next);
}

static void test_paths(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int server = new(SOCK_STREAM), client = new(SOCK_STREAM);
        struct stat st;

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "socket");
        (void) unlink("socket");
        is_int(RAW(SYS_bind, server, &address, sizeof(address)), 0, "bind to a path");
        ok(stat("socket", &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == getuid(), "… makes a file of ours");
        is_int(listen(server, 1), 0, "… listen");
        is_int(RAW(SYS_connect, client, &address, sizeof(address)), 0, "… connect");
        close(server);
        is_int(RAW(SYS_bind, client, &address, sizeof(address)), -EADDRINUSE, "… whose path stays taken");
        (void) unlink("socket");
        close(client);
}

static void test_rights(void) {
        union {
                char buffer[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        char byte = 'x';
        struct iovec iov = { &byte, 1 };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buffer,
                                 .msg_controllen = sizeof(control.buffer) };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        int pair[2], fd = new(SOCK_STREAM), got = -1;
        struct stat sent, came;

        is_int(RAW(SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0, "a pair for descriptors");
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
        is_int(sendmsg(pair[0], &header, 0), 1, "… one goes in");
        header.msg_controllen = sizeof(control.buffer);
        is_int(recvmsg(pair[1], &header, MSG_CMSG_CLOEXEC), 1, "… and comes out");
        cmsg = CMSG_FIRSTHDR(&header);
        if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
                memcpy(&got, CMSG_DATA(cmsg), sizeof(got));
        ok(got >= 0 && fstat(fd, &sent) == 0 && fstat(got, &came) == 0 && sent.st_ino == came.st_ino, "… the same socket");
        close(got);
        close(fd);
        close(pair[0]);
        close(pair[1]);
}

static void test_interfaces(void) {
        struct ifreq request = { .ifr_name = "lo" };
        int fd = new(SOCK_DGRAM), inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), null = open("/dev/null", O_RDWR | O_CLOEXEC);
        char name[IF_NAMESIZE];

        is_int(RAW(SYS_ioctl, fd, SIOCGIFINDEX, &request), 0, "the index of an interface, from a UNIX socket");
        is_int(request.ifr_ifindex, 1, "… is that of the loopback");
        request = (struct ifreq) { .ifr_ifindex = 1 };
        is_int(RAW(SYS_ioctl, fd, SIOCGIFNAME, &request), 0, "the name of one");
        is_str(request.ifr_name, "lo", "… likewise");
        is_int((int) if_nametoindex("lo"), 1, "if_nametoindex");
        ok(if_indextoname(1, name) != NULL && strcmp(name, "lo") == 0, "if_indextoname");
        request = (struct ifreq) { .ifr_name = "no-such-one" };
        is_int(RAW(SYS_ioctl, fd, SIOCGIFINDEX, &request), -ENODEV, "there is no such interface");
        request = (struct ifreq) { .ifr_ifindex = 987654 };
        is_int(RAW(SYS_ioctl, fd, SIOCGIFNAME, &request), -ENODEV, "nor with that index");
        is_int(RAW(SYS_ioctl, fd, SIOCGIFINDEX, NULL), -EFAULT, "bad memory");
        is_int(RAW(SYS_ioctl, null, SIOCGIFINDEX, &request), -ENOTTY, "what is no socket");
        is_int(RAW(SYS_ioctl, -1, SIOCGIFINDEX, &request), -EBADF, "what is nothing");
        request = (struct ifreq) { .ifr_name = "lo" };
        is_int(RAW(SYS_ioctl, inet, SIOCGIFINDEX, &request), 0, "another socket");
        is_int(request.ifr_ifindex, 1, "… says the same");
        close(fd);
        close(inet);
        close(null);
}

/* Sockets are made by several threads while signals hit them: each number is a socket, and of the type that was asked
 * for. */
static atomic_uint n_wrong;

static void *make_many(void *arg) {
        int type = (intptr_t) arg % 2 ? SOCK_STREAM : SOCK_DGRAM, value;

        for (unsigned i = 0; i < MADE; i++) {
                int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
                socklen_t size = sizeof(value);

                if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) < 0 || value != type || close(fd) < 0)
                        n_wrong++;
        }
        return NULL;
}

static void on_signal(int signo) {
        (void) signo;
}

static void test_storm(void) {
        const struct itimerval often = { .it_interval.tv_usec = 700, .it_value.tv_usec = 700 }, never = {};
        struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
        pthread_t threads[MAKERS];

        sigaction(SIGVTALRM, &action, NULL);
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        for (intptr_t i = 0; i < MAKERS; i++)
                if (pthread_create(&threads[i], NULL, make_many, (void *) i) != 0)
                        tap_bail_out("pthread_create");
        for (unsigned i = 0; i < MAKERS; i++)
                pthread_join(threads[i], NULL);
        setitimer(ITIMER_REAL, &never, NULL);
        is_int(n_wrong, 0, "%u sockets by %u threads under signals", MADE * MAKERS, MAKERS);
}

int main(void) {
        test_arguments();
        test_streams();
        test_datagrams();
        test_pairs();
        test_limit();
        test_paths();
        test_rights();
        test_interfaces();
        test_storm();
        return tap_done();
}
