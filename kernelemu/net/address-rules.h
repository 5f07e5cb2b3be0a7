/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which addresses a sandbox may name: an ordered list of rules, of which the first that matches decides. Pure: it judges
 * copies of addresses and has no idea of sockets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/socket.h"

#define ADDRESS_RULES_MAX 1024U
#define ADDRESS_PORTS_MAX 32U     /* ranges in one rule */
#define ADDRESS_TEXT_MAX 600U     /* of an address for people, with NUL */
#define ADDRESS_PATH_MAX 4096U    /* PATH_MAX */
#define ADDRESS_FAMILY_ANY (-1)

typedef enum AddressCall {
        ADDRESS_BIND,
        ADDRESS_CONNECT,
        ADDRESS_SEND,
        _ADDRESS_CALL_MAX,
} AddressCall;

#define ADDRESS_CALLS_ALL ((1U << _ADDRESS_CALL_MAX) - 1)

typedef struct PortRange {
        uint16_t first, last;
} PortRange;

/* All fields immutable once it is in a list; none is recorded, they are the profile's. */
typedef struct AddressRule {
        bool allow;
        unsigned calls;       /* bit per AddressCall */
        int32_t family;       /* AF_*, or ADDRESS_FAMILY_ANY */
        bool has_prefix;      /* inet and inet6 */
        uint8_t prefix[16];   /* in the order of the network; of inet the first four */
        unsigned prefix_bits;
        unsigned n_ports;     /* 0: every port */
        PortRange ports[ADDRESS_PORTS_MAX];
        char *name;           /* owned; unix: "/directory" and what is below, "@name", "@prefix*"; or NULL */
} AddressRule;

typedef struct AddressRules {
        AddressRule *items;      /* owned */
        size_t n;                /* 0: there are no rules, and everything is allowed */
        bool abstract_is_shared; /* abstract names are those of the host: who is to have one must be told its name */
} AddressRules;

typedef enum AddressKind {
        ADDRESS_NOBODY,        /* it names nobody: AF_UNSPEC dissolves an association */
        ADDRESS_INET,          /* also the addresses of IPv4 as IPv6 writes them, ::ffff:a.b.c.d */
        ADDRESS_INET6,
        ADDRESS_UNIX_PATH,
        ADDRESS_UNIX_ABSTRACT,
        ADDRESS_UNIX_AUTO,     /* bind(2): any abstract name that is free */
        ADDRESS_OTHER,         /* nobody knows what is in it */
} AddressKind;

typedef struct Address {
        AddressKind kind;
        int32_t family;      /* AF_* */
        uint8_t bytes[16];   /* INET: the first four; INET6 */
        uint16_t port;       /* INET, INET6 */
        bool with_inet;      /* INET6, bind: the wildcard of both, so that it takes 0.0.0.0 as well */
        size_t name_size;    /* UNIX_*, without the NUL in front or behind; it may hold further ones */
        char name[ADDRESS_PATH_MAX]; /* UNIX_PATH: at first as the caller wrote it, to be replaced by where it leads */
} Address;

/* Understands an address of so many bytes for a socket of this domain, as the host kernel would: the domain decides what
 * the bytes mean. sockaddr is a copy; where Linux takes "any address" for the loopback of connect(2) and of what is sent, it
 * is rewritten to say so. v6only: the socket's IPV6_V6ONLY. 0; -EINVAL: too short or too long; -EAFNOSUPPORT. */
int address_parse(int32_t domain, AddressCall call, bool v6only, uint8_t sockaddr[static ABI_SOCKADDR_MAX], size_t size,
                  Address *ret);

/* Whether the rules let a call name this address. No rules: yes; no rule that matches: no. */
bool address_rules_allow(const AddressRules *rules, AddressCall call, const Address *address);

/* Whether there is any address of this family that any call may name. */
bool address_rules_allow_family(const AddressRules *rules, int32_t family);

/* Whether a socket of this kind can be judged: others of the internet families name addresses in options, headers or
 * several at once (raw sockets, SCTP). type: without flags. */
bool address_socket_is_plain(int32_t domain, int32_t type, int32_t protocol);

/* "10.0.0.1:80", "[::1]:80", "/run/socket", "@name", "netlink". */
void address_format(const Address *address, char text[static ADDRESS_TEXT_MAX]);

/* The number of a family by its name in profiles ("inet", "vsock"), and back; -EINVAL and NULL: there is none. */
int address_family_from_name(const char *name);
const char *address_family_name(int32_t family);
/* The names, one by one; NULL at the end. */
const char *address_family_nth(size_t i);

/* Frees the items. */
void address_rules_done(AddressRules *rules);
/* 0 or -ENOMEM. */
int address_rules_copy(const AddressRules *rules, AddressRules *ret);
