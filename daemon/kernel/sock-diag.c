/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sock-diag.h"
#include "util.h"

#define ATTRIBUTES_MAX 16U
#define PROC_NET_MAX (64U << 20)

void socket_table_done(SocketTable *table) {
        for (size_t i = 0; i < table->n; i++) {
                free(table->sockets[i].local);
                free(table->sockets[i].peer);
        }
        free(table->sockets);
        *table = (SocketTable) {};
}

static int add(SocketTable *table, const SocketInfo *info, SocketInfo **ret) {
        if (table->n >= SOCKETS_MAX)
                return -ENOSPC;
        if (table->n == table->n_allocated) {
                size_t want = table->n_allocated == 0 ? 64 : table->n_allocated * 2;
                SocketInfo *grown = reallocarray(table->sockets, want, sizeof(SocketInfo));

                if (!grown)
                        return -ENOMEM;
                table->sockets = grown;
                table->n_allocated = want;
        }
        table->sockets[table->n] = *info;
        *ret = &table->sockets[table->n++];
        return 0;
}

/* "10.0.0.1:80", "[::1]:80". */
static char *address_text(int family, const void *address, unsigned port) {
        char text[INET6_ADDRSTRLEN];
        _cleanup_free_ char *result = NULL;

        if (!inet_ntop(family, address, text, sizeof(text)) ||
            string_appendf(&result, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port) < 0)
                return NULL;
        return TAKE_PTR(result);
}

/* What a dump is for. */
typedef struct Dump {
        SocketTable *table;
        uint64_t netns;
        const char *protocol;
        uint8_t type;
        int fd;             /* what we ask by */
        uint32_t own_inode; /* its inode */
        uint32_t sequence;  /* of the last request */
        struct rtattr *attributes[ATTRIBUTES_MAX]; /* of the message at hand */
        int (*parse)(struct Dump *dump, const struct nlmsghdr *header);
} Dump;

static void read_attributes(Dump *dump, const struct nlmsghdr *header, size_t fixed) {
        struct rtattr *attribute = (struct rtattr *) (void *) ((char *) NLMSG_DATA(header) + NLMSG_ALIGN(fixed));
        size_t left = header->nlmsg_len > NLMSG_SPACE(fixed) ? header->nlmsg_len - NLMSG_SPACE(fixed) : 0;

        memset(dump->attributes, 0, sizeof(dump->attributes));
        for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
                if (attribute->rta_type < ATTRIBUTES_MAX)
                        dump->attributes[attribute->rta_type] = attribute;
}

/* The attribute when it has at least that many bytes. */
static const void *attribute(const Dump *dump, unsigned type, size_t size) {
        const struct rtattr *found = dump->attributes[type];

        return found && RTA_PAYLOAD(found) >= size ? RTA_DATA(found) : NULL;
}

static int parse_inet(Dump *dump, const struct nlmsghdr *header) {
        const struct inet_diag_msg *message = NLMSG_DATA(header);
        SocketInfo info = { .netns = dump->netns, .protocol = dump->protocol, .type = dump->type }, *added;
        bool connected;
        int r;

        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)) ||
            (message->idiag_family != AF_INET && message->idiag_family != AF_INET6))
                return 0;
        info.family = message->idiag_family;
        info.state = message->idiag_state;
        info.inode = message->idiag_inode;
        info.recv_queue = message->idiag_rqueue;
        info.send_queue = message->idiag_wqueue;
        r = add(dump->table, &info, &added);
        if (r < 0)
                return r;
        connected = message->id.idiag_dport != 0;
        added->local = address_text(info.family, message->id.idiag_src, ntohs(message->id.idiag_sport));
        if (connected)
                added->peer = address_text(info.family, message->id.idiag_dst, ntohs(message->id.idiag_dport));
        return added->local && (added->peer || !connected) ? 0 : -ENOMEM;
}

static int parse_unix(Dump *dump, const struct nlmsghdr *header) {
        const struct unix_diag_msg *message = NLMSG_DATA(header);
        SocketInfo info = { .netns = dump->netns, .protocol = "unix", .family = AF_UNIX }, *added;
        const struct unix_diag_rqlen *queues;
        const uint32_t *peer;
        const char *name;
        size_t n;
        int r;

        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
                return 0;
        read_attributes(dump, header, sizeof(*message));
        info.type = message->udiag_type;
        info.state = message->udiag_state;
        info.inode = message->udiag_ino;
        queues = attribute(dump, UNIX_DIAG_RQLEN, sizeof(*queues));
        if (queues) {
                info.recv_queue = queues->udiag_rqueue;
                info.send_queue = queues->udiag_wqueue;
        }
        peer = attribute(dump, UNIX_DIAG_PEER, sizeof(*peer));
        if (peer)
                info.peer_inode = *peer;
        r = add(dump->table, &info, &added);
        if (r < 0)
                return r;
        name = attribute(dump, UNIX_DIAG_NAME, 1);
        if (!name)
                return 0;
        n = RTA_PAYLOAD(dump->attributes[UNIX_DIAG_NAME]);
        added->abstract = *name == '\0';
        if (!added->abstract)
                n = strnlen(name, n); /* a path may come with its NUL */
        added->local = malloc(n + 1);
        if (!added->local)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                added->local[i] = name[i] ?: '@';
        added->local[n] = '\0';
        return 0;
}

/* Where a family tells of memory and not of queues. */
static void take_queues(const Dump *dump, int type, SocketInfo *info) {
        const uint32_t *memory = attribute(dump, type, (SK_MEMINFO_WMEM_ALLOC + 1) * sizeof(*memory));

        if (!memory)
                return;
        info->recv_queue = memory[SK_MEMINFO_RMEM_ALLOC];
        info->send_queue = memory[SK_MEMINFO_WMEM_ALLOC];
}

static int parse_netlink(Dump *dump, const struct nlmsghdr *header) {
        static const char *const names[] = {
                [NETLINK_ROUTE] = "route", [NETLINK_SOCK_DIAG] = "sock_diag", [NETLINK_XFRM] = "xfrm",
                [NETLINK_AUDIT] = "audit", [NETLINK_NETFILTER] = "netfilter", [NETLINK_CONNECTOR] = "connector",
                [NETLINK_KOBJECT_UEVENT] = "uevent", [NETLINK_GENERIC] = "generic", [NETLINK_CRYPTO] = "crypto",
        };
        const struct netlink_diag_msg *message = NLMSG_DATA(header);
        SocketInfo info = { .netns = dump->netns, .protocol = "netlink", .family = AF_NETLINK }, *added;
        int r;

        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
                return 0;
        /* The kernel's own ends have number 0; and we ask by one, too. */
        if (message->ndiag_portid == 0 || message->ndiag_ino == dump->own_inode)
                return 0;
        read_attributes(dump, header, sizeof(*message));
        info.type = message->ndiag_type;
        info.state = TCP_CLOSE;
        info.inode = message->ndiag_ino;
        take_queues(dump, NETLINK_DIAG_MEMINFO, &info);
        r = add(dump->table, &info, &added);
        if (r < 0)
                return r;
        if (message->ndiag_protocol < ELEMENTSOF(names) && names[message->ndiag_protocol])
                r = string_appendf(&added->local, "%s:%" PRIu32, names[message->ndiag_protocol],
                                   message->ndiag_portid);
        else
                r = string_appendf(&added->local, "%u:%" PRIu32, message->ndiag_protocol, message->ndiag_portid);
        if (r >= 0 && message->ndiag_dst_portid != 0)
                r = string_appendf(&added->peer, "%" PRIu32, message->ndiag_dst_portid);
        return r;
}

static int parse_packet(Dump *dump, const struct nlmsghdr *header) {
        const struct packet_diag_msg *message = NLMSG_DATA(header);
        SocketInfo info = { .netns = dump->netns, .protocol = "packet", .family = AF_PACKET }, *added;
        const struct packet_diag_info *details;
        char interface[IF_NAMESIZE] = "*";
        int r;

        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
                return 0;
        read_attributes(dump, header, sizeof(*message));
        info.type = message->pdiag_type;
        info.state = TCP_CLOSE;
        info.inode = message->pdiag_ino;
        take_queues(dump, PACKET_DIAG_MEMINFO, &info);
        r = add(dump->table, &info, &added);
        if (r < 0)
                return r;
        details = attribute(dump, PACKET_DIAG_INFO, sizeof(*details));
        if (details && details->pdi_index != 0)
                (void) snprintf(interface, sizeof(interface), "if%" PRIu32, details->pdi_index);
        return string_appendf(&added->local, "%#06x:%s", message->pdiag_num, interface);
}

/* Sends the request and goes through the answers. -EOPNOTSUPP and -ENOENT: the kernel has no such interface. */
static int dump_run(Dump *dump, void *request, size_t size) {
        struct {
                struct nlmsghdr header;
                char body[128];
        } message = { .header = { .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
        static char buffer[128 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));

        memcpy(message.body, request, size);
        message.header.nlmsg_len = (uint32_t) NLMSG_LENGTH(size);
        message.header.nlmsg_seq = ++dump->sequence;
        if (send(dump->fd, &message, message.header.nlmsg_len, 0) < 0)
                return -errno;
        for (;;) {
                ssize_t n = recv(dump->fd, buffer, sizeof(buffer), 0);
                size_t left = n > 0 ? (size_t) n : 0;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                for (const struct nlmsghdr *header = (void *) buffer; NLMSG_OK(header, left);
                     header = NLMSG_NEXT(header, left)) {
                        const struct nlmsgerr *error = NLMSG_DATA(header);
                        int r;

                        if (header->nlmsg_seq != dump->sequence)
                                continue;
                        if (header->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (header->nlmsg_type == NLMSG_ERROR)
                                return header->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) || error->error >= 0 ?
                                        -EIO : error->error;
                        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
                                continue;
                        r = dump->parse(dump, header);
                        if (r < 0)
                                return r;
                }
        }
}

/* One at a time asks by a socket that several processes have. Who died in the middle of a dump has left the rest of it,
 * and no other is begun before that is read. */
static int take_turn(Dump *dump) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        char rest[64];

        while (fcntl(dump->fd, F_SETLKW, &lock) < 0)
                if (errno != EINTR)
                        return -errno;
        while (recv(dump->fd, rest, sizeof(rest), MSG_DONTWAIT | MSG_TRUNC) > 0)
                ;
        dump->sequence = (uint32_t) getpid() << 8;
        return 0;
}

static void end_turn(const Dump *dump) {
        struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

        (void) fcntl(dump->fd, F_SETLK, &lock);
}

/* Files of /proc/net that look alike: "sl local_address rem_address st tx_queue:rx_queue … uid timeout inode". */
static int add_from_proc(SocketTable *table, const SocketSource *source, const char *file, int family, uint8_t type,
                         const char *protocol) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        char *rest, *line;
        int r;

        fd = openat(source->net_dir, file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_full_fd(fd, PROC_NET_MAX, &text, NULL);
        if (r < 0)
                return r;
        rest = text;
        (void) strsep(&rest, "\n"); /* the header */
        while ((line = strsep(&rest, "\n"))) {
                SocketInfo info = { .netns = source->netns, .family = (uint16_t) family, .type = type, .protocol = protocol };
                char local[33], peer[33];
                unsigned local_port, peer_port, state;
                uint32_t addresses[2][4] = {};
                SocketInfo *added;

                if (sscanf(line, " %*[^:]: %32[0-9A-F]:%X %32[0-9A-F]:%X %X %" SCNx32 ":%" SCNx32
                           " %*[^ ] %*[^ ] %*u %*u %" SCNu32, local, &local_port, peer, &peer_port, &state,
                           &info.send_queue, &info.recv_queue, &info.inode) != 8)
                        continue;
                info.state = (uint8_t) state;
                for (size_t i = 0; i < (family == AF_INET6 ? 4U : 1U); i++) {
                        (void) sscanf(local + i * 8, "%8" SCNx32, &addresses[0][i]);
                        (void) sscanf(peer + i * 8, "%8" SCNx32, &addresses[1][i]);
                }
                r = add(table, &info, &added);
                if (r < 0)
                        return r;
                added->local = address_text(family, addresses[0], local_port);
                if (peer_port != 0 || state == TCP_ESTABLISHED)
                        added->peer = address_text(family, addresses[1], peer_port);
                if (!added->local)
                        return -ENOMEM;
        }
        return 0;
}

static int add_all(SocketTable *table, const SocketSource *source, Dump *dump) {
        static const struct {
                int family, protocol;
                uint8_t type;
                const char *name, *file;
        } inet[] = {
                { AF_INET, IPPROTO_TCP, SOCK_STREAM, "tcp", "tcp" },
                { AF_INET6, IPPROTO_TCP, SOCK_STREAM, "tcp", "tcp6" },
                { AF_INET, IPPROTO_UDP, SOCK_DGRAM, "udp", "udp" },
                { AF_INET6, IPPROTO_UDP, SOCK_DGRAM, "udp", "udp6" },
                { AF_INET, IPPROTO_RAW, SOCK_RAW, "raw", "raw" },
                { AF_INET6, IPPROTO_RAW, SOCK_RAW, "raw", "raw6" },
                { AF_INET, 0, SOCK_DGRAM, "icmp", "icmp" },
                { AF_INET6, 0, SOCK_DGRAM, "icmp", "icmp6" },
        };
        struct unix_diag_req unix_request = {
                .sdiag_family = AF_UNIX,
                .udiag_states = UINT32_MAX,
                .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN,
        };
        struct netlink_diag_req netlink_request = {
                .sdiag_family = AF_NETLINK,
                .sdiag_protocol = NDIAG_PROTO_ALL,
                .ndiag_show = NDIAG_SHOW_MEMINFO,
        };
        struct packet_diag_req packet_request = {
                .sdiag_family = AF_PACKET,
                .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MEMINFO,
        };
        int r, result = 0;

        for (size_t i = 0; source->net_dir >= 0 && i < ELEMENTSOF(inet); i++) {
                struct inet_diag_req_v2 request = {
                        .sdiag_family = (uint8_t) inet[i].family,
                        .sdiag_protocol = (uint8_t) inet[i].protocol,
                        .idiag_states = UINT32_MAX,
                };
                size_t before = table->n;

                dump->parse = parse_inet;
                dump->protocol = inet[i].name;
                dump->type = inet[i].type;
                r = inet[i].protocol == 0 ? -EOPNOTSUPP : dump_run(dump, &request, sizeof(request));
                /* A kernel without that family of interfaces says so in several ways. */
                if (r < 0 && r != -ENOMEM && table->n == before)
                        r = add_from_proc(table, source, inet[i].file, inet[i].family, inet[i].type, inet[i].name);
                if (r == -ENOMEM || r == -ENOSPC)
                        return r;
                if (r < 0 && r != -ENOENT) /* no IPv6 */
                        result = r;
        }
        dump->parse = parse_unix;
        r = dump_run(dump, &unix_request, sizeof(unix_request));
        if (r >= 0) {
                dump->parse = parse_netlink;
                r = dump_run(dump, &netlink_request, sizeof(netlink_request));
        }
        if (r >= 0) {
                dump->parse = parse_packet;
                r = dump_run(dump, &packet_request, sizeof(packet_request));
        }
        /* Without them their sockets are those that processes have, with what their descriptors tell. */
        return r == -ENOMEM || r == -ENOSPC ? r : result;
}

int socket_table_add(SocketTable *table, const SocketSource *source) {
        Dump dump = { .table = table, .netns = source->netns, .fd = source->diag_fd };
        _cleanup_close_ int own = -EBADF;
        struct stat st;
        int r;

        if (dump.fd < 0) {
                dump.fd = own = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
                if (own < 0)
                        return -errno;
        }
        if (fstat(dump.fd, &st) >= 0)
                dump.own_inode = (uint32_t) st.st_ino;
        r = take_turn(&dump);
        if (r < 0)
                return r;
        r = add_all(table, source, &dump);
        end_turn(&dump);
        return r;
}

int socket_table_add_unknown(SocketTable *table, uint32_t inode, const char *protocol, SocketInfo **ret) {
        static const struct {
                const char *kernel, *protocol;
                uint16_t family;
                uint8_t type;
        } known[] = {
                { "TCP", "tcp", AF_INET, SOCK_STREAM },      { "TCPv6", "tcp", AF_INET6, SOCK_STREAM },
                { "UDP", "udp", AF_INET, SOCK_DGRAM },       { "UDPv6", "udp", AF_INET6, SOCK_DGRAM },
                { "RAW", "raw", AF_INET, SOCK_RAW },         { "RAWv6", "raw", AF_INET6, SOCK_RAW },
                { "PING", "icmp", AF_INET, SOCK_DGRAM },     { "PINGv6", "icmp", AF_INET6, SOCK_DGRAM },
                { "UNIX", "unix", AF_UNIX, 0 },              { "UNIX-STREAM", "unix", AF_UNIX, SOCK_STREAM },
                { "NETLINK", "netlink", AF_NETLINK, 0 },     { "PACKET", "packet", AF_PACKET, 0 },
                { "MPTCP", "mptcp", AF_INET, SOCK_STREAM },  { "MPTCPv6", "mptcp", AF_INET6, SOCK_STREAM },
                { "AF_VSOCK", "vsock", AF_VSOCK, 0 },        { "ALG", "alg", AF_ALG, 0 },
                { "SCTP", "sctp", AF_INET, 0 },              { "SCTPv6", "sctp", AF_INET6, 0 },
        };
        SocketInfo info = { .inode = inode, .state = TCP_CLOSE };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i].kernel, protocol)) {
                        info.protocol = known[i].protocol;
                        info.family = known[i].family;
                        info.type = known[i].type;
                }
        return add(table, &info, ret);
}

static int compare_inode(const void *a, const void *b) {
        const SocketInfo *x = a, *y = b;

        return (x->inode > y->inode) - (x->inode < y->inode);
}

void socket_table_sort(SocketTable *table) {
        if (table->n > 0)
                qsort(table->sockets, table->n, sizeof(SocketInfo), compare_inode);
}

SocketInfo *socket_table_find(const SocketTable *table, uint32_t inode) {
        SocketInfo key = { .inode = inode };

        return inode == 0 || table->n == 0 ?
                NULL : bsearch(&key, table->sockets, table->n, sizeof(SocketInfo), compare_inode);
}

const char *socket_family_name(const SocketInfo *info) {
        switch (info->family) {
        case AF_INET:
                return "inet";
        case AF_INET6:
                return "inet6";
        case AF_UNIX:
                return "unix";
        case AF_NETLINK:
                return "netlink";
        case AF_PACKET:
                return "packet";
        case AF_VSOCK:
                return "vsock";
        case AF_ALG:
                return "alg";
        default:
                return NULL;
        }
}

const char *socket_type_name(const SocketInfo *info) {
        switch (info->type) {
        case SOCK_STREAM:
                return "stream";
        case SOCK_DGRAM:
                return "dgram";
        case SOCK_RAW:
                return "raw";
        case SOCK_SEQPACKET:
                return "seqpacket";
        case SOCK_RDM:
                return "rdm";
        default:
                return NULL;
        }
}

const char *socket_state_name(const SocketInfo *info) {
        static const char *const names[] = {
                [TCP_ESTABLISHED] = "established", [TCP_SYN_SENT] = "syn-sent",   [TCP_SYN_RECV] = "syn-recv",
                [TCP_FIN_WAIT1] = "fin-wait-1",    [TCP_FIN_WAIT2] = "fin-wait-2", [TCP_TIME_WAIT] = "time-wait",
                [TCP_CLOSE] = "unconnected",       [TCP_CLOSE_WAIT] = "close-wait", [TCP_LAST_ACK] = "last-ack",
                [TCP_LISTEN] = "listen",           [TCP_CLOSING] = "closing",
        };

        return info->state < ELEMENTSOF(names) && names[info->state] ? names[info->state] : NULL;
}
