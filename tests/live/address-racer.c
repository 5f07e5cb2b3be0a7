/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tries to reach a port and a directory that the rules deny by changing everything while it is looked at:
 *     address-racer SECONDS ALLOWED-PORT DENIED-PORT DIRECTORY
 * Listens on both ports of the loopback (TCP and UDP), and in DIRECTORY/ok and DIRECTORY/no, and prints how often each
 * was reached. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <net/if.h>

#include "../sys/sys.h"

#define VICTIM 100 /* the number that is dup2()ed to */

static atomic_bool over;
static unsigned short allowed, denied;
static _Atomic unsigned long n_allowed, n_denied, n_calls;

/* What the calls name, rewritten all the time. */
static volatile struct sockaddr_in address;
static struct sockaddr_in good, bad;
static volatile struct sockaddr_un place;
static char message_text[] = "x";
static struct iovec one[] = { { message_text, 1 } }, none[] = { { NULL, 1 } };
static volatile struct msghdr header = { .msg_namelen = sizeof(good), .msg_iov = one, .msg_iovlen = 1 };
static volatile struct mmsghdr headers[2];
static int udp, tcp, local;

static void die(const char *what) {
        fprintf(stderr, "address-racer: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void loopback_up(void) {
        struct ifreq request = { .ifr_name = "lo" };
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
                request.ifr_flags |= IFF_UP;
                (void) ioctl(fd, SIOCSIFFLAGS, &request);
        }
        close(fd);
}

static struct sockaddr_in loopback(unsigned short port) {
        return (struct sockaddr_in) {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
}

static int listener(int type, unsigned short port) {
        struct sockaddr_in at = loopback(port);
        int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int));
        if (fd < 0 || bind(fd, (struct sockaddr *) &at, sizeof(at)) < 0 || (type == SOCK_STREAM && listen(fd, 128) < 0))
                die("cannot listen");
        return fd;
}

static int listener_at(const char *directory, const char *name) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                die(directory);
        (void) snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", directory, name);
        unlink(un.sun_path);
        if (bind(fd, (struct sockaddr *) &un, sizeof(un)) < 0 || listen(fd, 128) < 0)
                die("cannot listen at a path");
        return fd;
}

static void drain(int fd, bool stream, _Atomic unsigned long *n) {
        char buffer[16];
        int peer;

        if (!stream)
                while (recv(fd, buffer, sizeof(buffer), 0) >= 0)
                        (*n)++;
        else
                while ((peer = accept(fd, NULL, NULL)) >= 0) {
                        (*n)++;
                        close(peer);
                }
}

static void *flip_memory(void *arg) {
        while (!over) {
                address.sin_port = bad.sin_port;
                header.msg_name = &bad;
                headers[0].msg_hdr.msg_name = headers[1].msg_hdr.msg_name = &bad;
                memcpy((void *) place.sun_path, "no/s", 4);
                header.msg_iov = none;
                address.sin_port = good.sin_port;
                header.msg_name = &good;
                headers[0].msg_hdr.msg_name = headers[1].msg_hdr.msg_name = &good;
                memcpy((void *) place.sun_path, "ok/s", 4);
                header.msg_iov = one;
        }
        return arg;
}

static void *flip_number(void *arg) {
        while (!over) {
                (void) dup2(local, VICTIM);
                (void) dup2(udp, VICTIM);
                (void) dup2(tcp, VICTIM);
        }
        return arg;
}

static void *flip_link(void *arg) {
        while (!over) {
                (void) unlink("new");
                (void) symlink("no", "new");
                (void) rename("new", "link");
                (void) symlink("ok", "new");
                (void) rename("new", "link");
        }
        return arg;
}

static void *call(void *arg) {
        const struct sockaddr_un link = { .sun_family = AF_UNIX, .sun_path = "link/s" };

        while (!over) {
                int stream = socket(AF_INET, SOCK_STREAM, 0), path = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

                (void) setsockopt(stream, SOL_SOCKET, SO_LINGER, &(struct linger) { 1, 0 }, sizeof(struct linger));
                (void) connect(stream, (struct sockaddr *) &address, sizeof(address));
                (void) sendto(udp, "x", 1, MSG_DONTWAIT, (struct sockaddr *) &address, sizeof(address));
                (void) sendmsg(udp, (struct msghdr *) &header, MSG_DONTWAIT);
                (void) sendmmsg(udp, (struct mmsghdr *) headers, 2, MSG_DONTWAIT);
                (void) sendto(VICTIM, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN, (struct sockaddr *) &address,
                              sizeof(address));
                (void) sendmsg(VICTIM, (struct msghdr *) &header, MSG_DONTWAIT | MSG_NOSIGNAL);
                (void) connect(VICTIM, (struct sockaddr *) &address, sizeof(address));
                (void) sendto(VICTIM, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
                (void) connect(path, (struct sockaddr *) &place, sizeof(place));
                close(path);
                path = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
                (void) connect(path, (const struct sockaddr *) &link, sizeof(link));
                close(path);
                close(stream);
                n_calls++;
        }
        return arg;
}

int main(int argc, char *argv[]) {
        static void *(*const threads[])(void *) = { flip_memory, flip_number, flip_link, call, call };
        pthread_t ids[sizeof(threads) / sizeof(threads[0])];
        int fds[6];
        time_t end;

        if (argc != 5 || chdir(argv[4]) < 0)
                die("SECONDS ALLOWED DENIED DIRECTORY");
        signal(SIGPIPE, SIG_IGN);
        loopback_up();
        allowed = (unsigned short) atoi(argv[2]);
        denied = (unsigned short) atoi(argv[3]);
        good = loopback(allowed);
        bad = loopback(denied);
        memcpy((void *) &address, &good, sizeof(good));
        memcpy((void *) &place, &(struct sockaddr_un) { .sun_family = AF_UNIX, .sun_path = "ok/s" }, sizeof(place));
        header.msg_name = &good;
        for (unsigned i = 0; i < 2; i++)
                memcpy((void *) &headers[i].msg_hdr, (void *) &header, sizeof(header));

        fds[0] = listener(SOCK_STREAM, allowed);
        fds[1] = listener(SOCK_DGRAM, allowed);
        fds[2] = listener_at("ok", "s");
        fds[3] = listener(SOCK_STREAM, denied);
        fds[4] = listener(SOCK_DGRAM, denied);
        fds[5] = listener_at("no", "s");
        udp = socket(AF_INET, SOCK_DGRAM, 0);
        tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        local = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        (void) dup2(udp, VICTIM);

        for (unsigned i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
                if (pthread_create(&ids[i], NULL, threads[i], NULL) != 0)
                        die("cannot start a thread");
        end = time(NULL) + atoi(argv[1]);
        while (time(NULL) < end || n_calls < 50) {
                (void) poll(NULL, 0, 5);
                for (unsigned i = 0; i < 6; i++)
                        drain(fds[i], i % 3 != 1, i < 3 ? &n_allowed : &n_denied);
        }
        over = true;
        for (unsigned i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
                pthread_join(ids[i], NULL);
        for (unsigned i = 0; i < 6; i++)
                drain(fds[i], i % 3 != 1, i < 3 ? &n_allowed : &n_denied);
        printf("rounds %lu allowed %lu denied %lu\n", n_calls, n_allowed, n_denied);
        return 0;
}
