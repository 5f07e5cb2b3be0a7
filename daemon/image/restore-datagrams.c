/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What waits in UDP sockets to be read. Who has sent it may be gone, or never have been in the sandbox: so it is written whole,
 * with the headers of udp(7) that it had, to a socket of raw(7) in the sandbox's own network, which brings it over loopback. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "restore-internal.h"
#include "util.h"

#define PAYLOAD_MAX 65507U /* IPv4's: 65535 less both headers */
#define LOOKS_MAX 5000U    /* each a millisecond: over loopback it is there when it was sent, unless the machine is very busy */
#define HOPS 64U
#define PACKET_MAX (UINT16_MAX + sizeof(struct ip6_hdr) + sizeof(struct udphdr))

typedef struct End {
        struct in6_addr address; /* IPv4 as IPv6 has it within */
        uint16_t port;           /* as on the wire */
        bool v4;
} End;

static int end_of(const void *address, size_t size, End *ret) {
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } u = {};

        memcpy(&u, address, MIN(size, sizeof(u)));
        *ret = (End) { .v4 = true };
        if (size >= sizeof(u.v4) && u.any.sa_family == AF_INET) {
                ret->port = u.v4.sin_port;
                ret->address.s6_addr[10] = ret->address.s6_addr[11] = 0xff;
                memcpy(ret->address.s6_addr + 12, &u.v4.sin_addr, 4);
        } else if (size >= sizeof(u.v6) && u.any.sa_family == AF_INET6) {
                *ret = (End) { .address = u.v6.sin6_addr, .port = u.v6.sin6_port, .v4 = IN6_IS_ADDR_V4MAPPED(&u.v6.sin6_addr) };
        } else
                return -EBADMSG;
        return 0;
}

/* A socket that takes what comes to any address gets it to the first one of loopback. */
static void to_somewhere(End *to, bool v4) {
        static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
        bool any = IN6_IS_ADDR_UNSPECIFIED(&to->address) || (to->v4 && memcmp(to->address.s6_addr + 12, (uint8_t[4]) {}, 4) == 0);

        if (!any)
                return;
        to->v4 = v4;
        to->address = loopback;
        if (v4) {
                to->address = (struct in6_addr) {};
                memcpy(to->address.s6_addr + 10, (uint8_t[]) { 0xff, 0xff, 127, 0, 0, 1 }, 6);
        }
}

static uint32_t sum_of(const void *data, size_t size, uint32_t sum) {
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                sum += i % 2 == 0 ? (uint32_t) bytes[i] << 8 : bytes[i];
        while (sum > UINT16_MAX)
                sum = (sum & UINT16_MAX) + (sum >> 16);
        return sum;
}

/* RFC 768: over a header of addresses, which for both versions of IP is summed up alike, and all that follows. */
static uint16_t checksum(const End *from, const End *to, const void *udp, size_t size) {
        size_t skip = from->v4 ? 12 : 0;
        uint32_t sum = IPPROTO_UDP + (uint32_t) size;

        sum = sum_of(from->address.s6_addr + skip, 16 - skip, sum);
        sum = sum_of(to->address.s6_addr + skip, 16 - skip, sum);
        sum = ~sum_of(udp, size, sum) & UINT16_MAX;
        return htons(sum == 0 ? UINT16_MAX : (uint16_t) sum);
}

/* The whole packet; returns its size. */
static size_t make_packet(const End *from, const End *to, const void *data, size_t size, uint8_t *packet) {
        size_t header = from->v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr), length = sizeof(struct udphdr) + size;
        struct udphdr udp = { .source = from->port, .dest = to->port, .len = htons((uint16_t) length) };

        memcpy(packet + header, &udp, sizeof(udp));
        memcpy(packet + header + sizeof(udp), data, size);
        udp.check = checksum(from, to, packet + header, length);
        memcpy(packet + header, &udp, sizeof(udp));
        if (from->v4) {
                struct iphdr ip = { .version = 4, .ihl = sizeof(ip) / 4, .ttl = HOPS, .protocol = IPPROTO_UDP }; /* the kernel does the rest */

                memcpy(&ip.saddr, from->address.s6_addr + 12, 4);
                memcpy(&ip.daddr, to->address.s6_addr + 12, 4);
                memcpy(packet, &ip, sizeof(ip));
        } else {
                struct ip6_hdr ip = { .ip6_src = from->address, .ip6_dst = to->address };

                ip.ip6_flow = htonl(6U << 28);
                ip.ip6_plen = htons((uint16_t) length);
                ip.ip6_nxt = IPPROTO_UDP;
                ip.ip6_hlim = HOPS;
                memcpy(packet, &ip, sizeof(ip));
        }
        return header + length;
}

/* A socket for whole packets, in the sandbox's network. A descriptor of ours. */
static int open_raw(Restore *restore, bool v4) {
        RestoreProcess *init = &restore->processes[0];
        int64_t number = restore_call(restore, init, "make a raw socket", SYS_socket, v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
                                      IPPROTO_RAW);
        int fd, on = 1;

        if (number < 0)
                return (int) number;
        fd = restore_borrow_fd(restore, (int) number);
        (void) restore_call(restore, init, "close a raw socket", SYS_close, (uint64_t) number);
        if (fd >= 0 && !v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)) < 0) {
                int r = -errno;

                safe_close(fd);
                return r;
        }
        return fd;
}

static int send_packet(int fd, const End *to, const uint8_t *packet, size_t size) {
        const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = *(const uint32_t *) (const void *) (to->address.s6_addr + 12) };
        const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = to->address };
        const void *address = to->v4 ? (const void *) &v4 : (const void *) &v6;

        return sendto(fd, packet, size, 0, address, to->v4 ? sizeof(v4) : sizeof(v6)) < 0 ? -errno : 0;
}

/* That all have come, and in their order. */
static int see(int fd, const ImageSocket *socket, uint8_t *buffer, size_t size) {
        int before, start = 0, none = -1, r = 0;
        socklen_t option_size = sizeof(before);

        if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, &option_size) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) < 0)
                return -errno;
        for (size_t i = 0; r >= 0 && i < socket->n_sizes; i++) {
                ssize_t n = -1;

                for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
                        n = recv(fd, buffer, size, MSG_PEEK | MSG_DONTWAIT);
                        if (n >= 0 || errno != EAGAIN)
                                break;
                        (void) nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
                }
                if (n < 0 || (uint64_t) n != socket->sizes[i])
                        r = n < 0 ? -errno : -EIO;
        }
        return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, before < 0 ? &none : &before, sizeof(before)) < 0 && r >= 0 ? -errno : r;
}

static int fill(Restore *restore, const ImageSocket *socket, int number) {
        _cleanup_close_ int own = restore_borrow_fd(restore, number), raw_v4 = -EBADF, raw_v6 = -EBADF;
        _cleanup_free_ char *data = NULL, *senders = NULL;
        _cleanup_free_ uint8_t *packet = malloc(PACKET_MAX);
        struct sockaddr_storage address;
        socklen_t address_size = sizeof(address);
        uint64_t done = 0, at = 0;
        int r;

        if (own < 0 || !packet)
                return own < 0 ? own : -ENOMEM;
        if (getsockname(own, (struct sockaddr *) &address, &address_size) < 0)
                return -errno;
        r = restore_blob(restore, &socket->queue, &data);
        if (r >= 0)
                r = restore_blob(restore, &socket->senders, &senders);
        for (size_t i = 0; r >= 0 && i < socket->n_sizes; i++) {
                End from, to;
                uint32_t size;
                int *raw;

                if (socket->senders.size - at < sizeof(size))
                        return -EBADMSG;
                memcpy(&size, senders + at, sizeof(size));
                at += sizeof(size);
                if (size > socket->senders.size - at || socket->sizes[i] > PAYLOAD_MAX || end_of(senders + at, size, &from) < 0 ||
                    end_of(&address, address_size, &to) < 0)
                        return -EBADMSG;
                at += size;
                to_somewhere(&to, from.v4);
                if (to.v4 != from.v4)
                        return -EBADMSG;
                raw = from.v4 ? &raw_v4 : &raw_v6;
                if (*raw < 0)
                        *raw = open_raw(restore, from.v4);
                if (*raw < 0)
                        return *raw;
                r = send_packet(*raw, &to, packet, make_packet(&from, &to, data + done, socket->sizes[i], packet));
                done += socket->sizes[i];
        }
        return r < 0 ? r : see(own, socket, packet, PACKET_MAX);
}

int restore_datagrams(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                int r;

                if (file->kind != IMAGE_FILE_INET || file->socket->protocol != IPPROTO_UDP || file->socket->n_sizes == 0)
                        continue;
                r = fill(restore, file->socket, restore->files[i]);
                if (r < 0)
                        return restore_fail(restore, r, "cannot fill a UDP socket (%s) with %zu datagrams", file->was ?: "?",
                                            file->socket->n_sizes);
        }
        return 0;
}
