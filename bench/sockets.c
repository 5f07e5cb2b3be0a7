/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What socket calls over the loopback cost where this program runs. "sockets --serve" measures the call that it is told on
 * standard input, like bench/calls: one line of JSON each, until "quit". */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define ROUND_NS UINT64_C(20000000)

static struct sockaddr_in udp_address, tcp_address;
static int udp_server, tcp_server, udp, pair[2];

static int listener(int type, struct sockaddr_in *ret) {
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        if (fd < 0 || bind(fd, (struct sockaddr *) ret, sizeof(*ret)) < 0 ||
            getsockname(fd, (struct sockaddr *) ret, &size) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
                return -errno;
        return fd;
}

/* Each makes its call once and takes back what came of it. */
static int call_sendto(void) {
        char byte;

        return sendto(udp, "x", 1, 0, (struct sockaddr *) &udp_address, sizeof(udp_address)) == 1 &&
                recv(udp_server, &byte, 1, 0) == 1 ? 0 : -errno;
}

static int call_connect(void) {
        const struct linger reset = { .l_onoff = 1 }; /* no TIME_WAIT */
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1, r = 0;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
            connect(fd, (struct sockaddr *) &tcp_address, sizeof(tcp_address)) < 0 ||
            (peer = accept(tcp_server, NULL, NULL)) < 0)
                r = -errno;
        close(fd);
        if (peer >= 0)
                close(peer);
        return r;
}

static int call_sendmsg(void) {
        char byte = 'x';
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        return sendmsg(pair[0], &message, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1 ? 0 : -errno;
}

static void measure(const char *name, int (*call)(void)) {
        uint64_t begin = now_ns(), end;
        unsigned long n = 0;
        int r = 0;

        do {
                for (unsigned i = 0; i < 16 && r >= 0; i++, n++)
                        r = call();
                end = now_ns();
        } while (r >= 0 && end - begin < ROUND_NS);
        if (r < 0)
                printf("{\"call\":\"%s\",\"error\":\"%s\"}\n", name, strerror(-r));
        else
                printf("{\"call\":\"%s\",\"ns\":%.0f}\n", name, (double) (end - begin) / (double) n);
        (void) fflush(stdout);
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                int (*call)(void);
        } calls[] = {
                { "udp-sendto", call_sendto }, { "tcp-connect+close", call_connect }, { "unix-sendmsg", call_sendmsg },
        };
        char line[64];

        if (argc != 2 || strcmp(argv[1], "--serve") != 0) {
                fputs("Usage: sockets --serve\n", stderr);
                return 2;
        }
        udp_server = listener(SOCK_DGRAM, &udp_address);
        tcp_server = listener(SOCK_STREAM, &tcp_address);
        udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (udp_server < 0 || tcp_server < 0 || udp < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
                fprintf(stderr, "sockets: no loopback to measure: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }
        while (fgets(line, sizeof(line), stdin)) {
                size_t i = 0;

                line[strcspn(line, "\n")] = '\0';
                if (strcmp(line, "quit") == 0)
                        break;
                while (i < ELEMENTSOF(calls) && strcmp(calls[i].name, line) != 0)
                        i++;
                if (i < ELEMENTSOF(calls))
                        measure(line, calls[i].call);
                else {
                        puts("{\"call\":\"?\",\"error\":\"no such call\"}");
                        (void) fflush(stdout);
                }
        }
        return EXIT_SUCCESS;
}
