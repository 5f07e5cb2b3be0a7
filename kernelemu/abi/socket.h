/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Layouts and numbers of <linux/socket.h>, <linux/in.h>, <linux/in6.h> and <linux/un.h> on 64-bit architectures. */

#include <stdint.h>

#define ABI_SOCKADDR_MAX 128U  /* sizeof(struct sockaddr_storage): longer is EINVAL */
#define ABI_FAMILY_SIZE 2U     /* sa_family comes first in every address */
#define ABI_SOCKADDR_IN 16U
#define ABI_SOCKADDR_IN6 24U   /* without the scope, as RFC 2133 had it: what Linux asks for at least */
#define ABI_SOCKADDR_UN_MAX 110U

#define ABI_AF_UNSPEC 0
#define ABI_AF_UNIX 1
#define ABI_AF_INET 2
#define ABI_AF_INET6 10
#define ABI_AF_NETLINK 16

#define ABI_SOCK_STREAM 1
#define ABI_SOCK_DGRAM 2
#define ABI_SOCK_SEQPACKET 5
#define ABI_SOCK_TYPE_MASK 0xf

#define ABI_IPPROTO_IP 0
#define ABI_IPPROTO_ICMP 1
#define ABI_IPPROTO_TCP 6
#define ABI_IPPROTO_UDP 17
#define ABI_IPPROTO_IPV6 41
#define ABI_IPPROTO_ICMPV6 58
#define ABI_IPPROTO_UDPLITE 136
#define ABI_IPPROTO_MPTCP 262

#define ABI_MSG_OOB 0x1
#define ABI_MSG_DONTWAIT 0x40
#define ABI_MSG_NOSIGNAL 0x4000
#define ABI_MSG_ZEROCOPY 0x4000000
#define ABI_MSG_FASTOPEN 0x20000000

#define ABI_SOL_SOCKET 1
#define ABI_SCM_RIGHTS 1
#define ABI_SCM_CREDENTIALS 2
#define ABI_SCM_MAX_FD 253U
#define ABI_SO_ZEROCOPY 60
#define ABI_IP_OPTIONS 4
#define ABI_IPV6_2292PKTOPTIONS 6
#define ABI_IPV6_FLOWLABEL_MGR 32
#define ABI_IPV6_RTHDR 57

#define ABI_SOCK_RAW 3
#define ABI_SOCK_NONBLOCK 04000
#define ABI_SOCK_CLOEXEC 02000000

#define ABI_SIOCGIFNAME 0x8910U
#define ABI_SIOCGIFINDEX 0x8933U

#define ABI_IOV_MAX 1024U
#define ABI_RW_MAX 0x7ffff000U /* MAX_RW_COUNT: bytes that one call transfers */

typedef struct AbiIovec {
        uint64_t base, size;
} AbiIovec;

/* struct user_msghdr, sendmsg(2). */
typedef struct AbiMsghdr {
        uint64_t name;
        int32_t name_size;
        uint32_t padding;
        uint64_t iov, n_iov;
        uint64_t control, control_size;
        uint32_t flags;
        uint32_t padding2;
} AbiMsghdr;

/* struct mmsghdr, sendmmsg(2). */
typedef struct AbiMmsghdr {
        AbiMsghdr header;
        uint32_t size;
        uint32_t padding;
} AbiMmsghdr;

/* struct cmsghdr, cmsg(3). What is in it follows, aligned to 8. */
typedef struct AbiCmsghdr {
        uint64_t size; /* with this header */
        int32_t level, type;
} AbiCmsghdr;

/* struct ifreq, netdevice(7), as far as it is about the index. */
typedef struct AbiIfreq {
        char name[16];
        int32_t index;
        uint8_t unused[20];
} AbiIfreq;

/* struct ucred, unix(7). */
typedef struct AbiUcred {
        int32_t pid;
        uint32_t uid, gid;
} AbiUcred;
