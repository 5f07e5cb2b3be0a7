/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/address-rules.h"
#include "util/macros.h"

static const struct {
        const char *name;
        int32_t family;
} families[] = {
        { "inet", ABI_AF_INET },   { "inet6", ABI_AF_INET6 }, { "unix", ABI_AF_UNIX },  { "netlink", ABI_AF_NETLINK },
        { "vsock", 40 },           { "packet", 17 },          { "alg", 38 },            { "can", 29 },
        { "bluetooth", 31 },       { "tipc", 30 },            { "rds", 21 },            { "key", 15 },
        { "xdp", 44 },             { "qipcrtr", 42 },         { "smc", 43 },            { "kcm", 41 },
        { "nfc", 39 },             { "phonet", 35 },          { "caif", 37 },           { "ieee802154", 36 },
        { "pppox", 24 },           { "rxrpc", 33 },           { "mctp", 45 },           { "ax25", 3 },
        { "x25", 9 },              { "appletalk", 5 },
};

int address_family_from_name(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                if (strcmp(families[i].name, name) == 0)
                        return families[i].family;
        return -EINVAL;
}

const char *address_family_name(int32_t family) {
        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                if (families[i].family == family)
                        return families[i].name;
        return NULL;
}

const char *address_family_nth(size_t i) {
        return i < ELEMENTSOF(families) ? families[i].name : NULL;
}

static bool all_zero(const uint8_t *bytes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

/* struct sockaddr_in: family, port, address. */
static int parse_inet(AddressCall call, uint8_t *sockaddr, size_t size, Address *ret) {
        static const uint8_t loopback[] = { 127, 0, 0, 1 };

        if (size < ABI_SOCKADDR_IN)
                return -EINVAL;
        if (call != ADDRESS_BIND && all_zero(sockaddr + 4, 4))
                memcpy(sockaddr + 4, loopback, sizeof(loopback));
        ret->kind = ADDRESS_INET;
        ret->family = ABI_AF_INET;
        ret->port = (uint16_t) (sockaddr[2] << 8 | sockaddr[3]);
        memcpy(ret->bytes, sockaddr + 4, 4);
        return 0;
}

/* struct sockaddr_in6: family, port, flow, address, scope. */
static int parse_inet6(AddressCall call, bool v6only, uint8_t *sockaddr, size_t size, Address *ret) {
        uint8_t *bytes = sockaddr + 8;

        if (size < ABI_SOCKADDR_IN6)
                return -EINVAL;
        ret->port = (uint16_t) (sockaddr[2] << 8 | sockaddr[3]);

        if (all_zero(bytes, 10) && bytes[10] == 0xff && bytes[11] == 0xff) {
                if (call != ADDRESS_BIND && all_zero(bytes + 12, 4)) {
                        bytes[12] = 127;
                        bytes[15] = 1;
                }
                ret->kind = ADDRESS_INET;
                ret->family = ABI_AF_INET;
                memcpy(ret->bytes, bytes + 12, 4);
                return 0;
        }
        if (all_zero(bytes, 16)) {
                if (call == ADDRESS_BIND)
                        ret->with_inet = !v6only;
                else
                        bytes[15] = 1;
        }
        ret->kind = ADDRESS_INET6;
        ret->family = ABI_AF_INET6;
        memcpy(ret->bytes, bytes, 16);
        return 0;
}

static int parse_unix(AddressCall call, const uint8_t *sockaddr, size_t size, Address *ret) {
        const char *name = (const char *) sockaddr + ABI_FAMILY_SIZE;

        ret->family = ABI_AF_UNIX;
        if (size > ABI_SOCKADDR_UN_MAX || (size == ABI_FAMILY_SIZE && call != ADDRESS_BIND))
                return -EINVAL;
        if (size == ABI_FAMILY_SIZE) {
                ret->kind = ADDRESS_UNIX_AUTO;
                return 0;
        }
        size -= ABI_FAMILY_SIZE;
        if (name[0] == '\0') {
                ret->kind = ADDRESS_UNIX_ABSTRACT;
                ret->name_size = size - 1;
                memcpy(ret->name, name + 1, size - 1);
        } else {
                /* It may fill the address up to its end, without a NUL. */
                ret->kind = ADDRESS_UNIX_PATH;
                ret->name_size = strnlen(name, size);
                memcpy(ret->name, name, ret->name_size);
        }
        ret->name[ret->name_size] = '\0';
        return 0;
}

int address_parse(int32_t domain, AddressCall call, bool v6only, uint8_t sockaddr[static ABI_SOCKADDR_MAX], size_t size,
                  Address *ret) {
        uint16_t family;

        ret->kind = ADDRESS_NOBODY;
        ret->family = domain;
        ret->with_inet = false;
        ret->port = 0;
        ret->name_size = 0;
        ret->name[0] = '\0';
        memset(ret->bytes, 0, sizeof(ret->bytes));

        if (size > ABI_SOCKADDR_MAX)
                return -EINVAL;
        if (domain != ABI_AF_INET && domain != ABI_AF_INET6 && domain != ABI_AF_UNIX) {
                ret->kind = ADDRESS_OTHER;
                return 0;
        }
        if (size == 0 && call == ADDRESS_SEND && domain == ABI_AF_UNIX)
                return 0; /* as no address */
        if (size < ABI_FAMILY_SIZE)
                return -EINVAL;
        memcpy(&family, sockaddr, sizeof(family));

        if (family == ABI_AF_UNSPEC) {
                if (call == ADDRESS_CONNECT)
                        return 0;
                /* IPv4 takes it for AF_INET there, IPv6 and bind(2) do not. */
                if (domain == ABI_AF_INET)
                        return parse_inet(call, sockaddr, size, ret);
                if (domain == ABI_AF_INET6 && call == ADDRESS_SEND)
                        return 0;
        }
        if (domain == ABI_AF_UNIX)
                return family == ABI_AF_UNIX ? parse_unix(call, sockaddr, size, ret) : -EINVAL;
        if (family == ABI_AF_INET && (domain == ABI_AF_INET || call != ADDRESS_BIND))
                return parse_inet(call, sockaddr, size, ret);
        if (family == ABI_AF_INET6 && domain == ABI_AF_INET6)
                return parse_inet6(call, v6only, sockaddr, size, ret);
        return size < ABI_SOCKADDR_IN ? -EINVAL : -EAFNOSUPPORT;
}

static bool prefix_matches(const AddressRule *rule, const uint8_t *bytes) {
        unsigned whole = rule->prefix_bits / 8, rest = rule->prefix_bits % 8;

        return memcmp(rule->prefix, bytes, whole) == 0 &&
                (rest == 0 || ((rule->prefix[whole] ^ bytes[whole]) >> (8 - rest)) == 0);
}

static bool port_matches(const AddressRule *rule, uint16_t port) {
        for (unsigned i = 0; i < rule->n_ports; i++)
                if (port >= rule->ports[i].first && port <= rule->ports[i].last)
                        return true;
        return rule->n_ports == 0;
}

static bool name_matches(const AddressRule *rule, const Address *address) {
        size_t n = strlen(rule->name);

        if (rule->name[0] == '@') {
                bool is_prefix = n > 1 && rule->name[n - 1] == '*';

                n -= 1 + is_prefix;
                if (address->kind == ADDRESS_UNIX_AUTO)
                        return is_prefix && n == 0;
                return address->kind == ADDRESS_UNIX_ABSTRACT && address->name_size >= n &&
                        (is_prefix || address->name_size == n) && memcmp(address->name, rule->name + 1, n) == 0;
        }
        while (n > 0 && rule->name[n - 1] == '/')
                n--;
        return address->kind == ADDRESS_UNIX_PATH && address->name_size >= n &&
                memcmp(address->name, rule->name, n) == 0 &&
                (address->name_size == n || address->name[n] == '/');
}

static bool rule_matches(const AddressRules *rules, const AddressRule *rule, AddressCall call, const Address *address) {
        if ((rule->calls & 1U << call) == 0 ||
            (rule->family != ADDRESS_FAMILY_ANY && rule->family != address->family))
                return false;

        switch (address->kind) {
        case ADDRESS_INET:
        case ADDRESS_INET6:
                return !rule->name && (!rule->has_prefix || prefix_matches(rule, address->bytes)) &&
                        port_matches(rule, address->port);
        case ADDRESS_UNIX_ABSTRACT:
                if (rules->abstract_is_shared && rule->allow && !rule->name)
                        return false;
                __attribute__((fallthrough));
        case ADDRESS_UNIX_PATH:
        case ADDRESS_UNIX_AUTO:
                return rule->n_ports == 0 && (!rule->name || name_matches(rule, address));
        case ADDRESS_OTHER:
                return rule->n_ports == 0;
        case ADDRESS_NOBODY:
                break;
        }
        return false;
}

static bool decide(const AddressRules *rules, AddressCall call, const Address *address) {
        for (size_t i = 0; i < rules->n; i++)
                if (rule_matches(rules, &rules->items[i], call, address))
                        return rules->items[i].allow;
        return false;
}

bool address_rules_allow(const AddressRules *rules, AddressCall call, const Address *address) {
        if (rules->n == 0 || address->kind == ADDRESS_NOBODY)
                return true;
        if (address->with_inet) {
                const Address any = { .kind = ADDRESS_INET, .family = ABI_AF_INET, .port = address->port };

                if (!decide(rules, call, &any))
                        return false;
        }
        return decide(rules, call, address);
}

bool address_rules_allow_family(const AddressRules *rules, int32_t family) {
        unsigned open = ADDRESS_CALLS_ALL;

        /* A rule that refuses the whole family closes it for those after it. */
        for (size_t i = 0; i < rules->n; i++) {
                const AddressRule *rule = &rules->items[i];

                if (rule->family != ADDRESS_FAMILY_ANY && rule->family != family)
                        continue;
                if (rule->n_ports > 0 && family != ABI_AF_INET && family != ABI_AF_INET6)
                        continue;
                if (rule->allow && (rule->calls & open) != 0)
                        return true;
                if (!rule->allow && !rule->has_prefix && !rule->name && rule->n_ports == 0)
                        open &= ~rule->calls;
        }
        return rules->n == 0;
}

bool address_socket_is_plain(int32_t domain, int32_t type, int32_t protocol) {
        if (domain != ABI_AF_INET && domain != ABI_AF_INET6)
                return true;
        if (type == ABI_SOCK_STREAM)
                return protocol == 0 || protocol == ABI_IPPROTO_TCP || protocol == ABI_IPPROTO_MPTCP;
        if (type == ABI_SOCK_DGRAM)
                return protocol == 0 || protocol == ABI_IPPROTO_UDP || protocol == ABI_IPPROTO_UDPLITE ||
                        protocol == ABI_IPPROTO_ICMP || protocol == ABI_IPPROTO_ICMPV6;
        return false;
}

static void format_inet6(const uint8_t *bytes, uint16_t port, char *text) {
        unsigned groups[8], best = 8, best_n = 1;
        char *p = text;

        for (unsigned i = 0; i < 8; i++)
                groups[i] = (unsigned) bytes[2 * i] << 8 | bytes[2 * i + 1];
        /* RFC 5952: the longest run of zeros, but not one alone, is left out. */
        for (unsigned i = 0; i < 8; i++) {
                unsigned n = 0;

                while (i + n < 8 && groups[i + n] == 0)
                        n++;
                if (n > best_n) {
                        best = i;
                        best_n = n;
                }
        }
        *p++ = '[';
        for (unsigned i = 0; i < 8; i++)
                if (i == best) {
                        p += sprintf(p, "::");
                        i += best_n - 1;
                } else
                        p += sprintf(p, "%s%x", i > 0 && p[-1] != ':' ? ":" : "", groups[i]);
        sprintf(p, "]:%u", (unsigned) port);
}

/* A guest chose the bytes: what is not printable shows as \ooo. */
static void format_name(const Address *address, const char *before, char *text) {
        char *p = stpcpy(text, before);
        size_t n = MIN2(address->name_size, (size_t) (ADDRESS_TEXT_MAX - 8) / 4);

        for (size_t i = 0; i < n; i++) {
                uint8_t c = (uint8_t) address->name[i];

                if (c >= 0x20 && c < 0x7f && c != '\\')
                        *p++ = (char) c;
                else
                        p += sprintf(p, "\\%03o", (unsigned) c);
        }
        strcpy(p, n < address->name_size ? "..." : "");
}

void address_format(const Address *address, char text[static ADDRESS_TEXT_MAX]) {
        const uint8_t *b = address->bytes;
        const char *name;

        switch (address->kind) {
        case ADDRESS_INET:
                sprintf(text, "%u.%u.%u.%u:%u", (unsigned) b[0], (unsigned) b[1], (unsigned) b[2], (unsigned) b[3],
                        (unsigned) address->port);
                return;
        case ADDRESS_INET6:
                format_inet6(b, address->port, text);
                return;
        case ADDRESS_UNIX_PATH:
                format_name(address, "", text);
                return;
        case ADDRESS_UNIX_ABSTRACT:
                format_name(address, "@", text);
                return;
        case ADDRESS_UNIX_AUTO:
                strcpy(text, "@ (any)");
                return;
        case ADDRESS_OTHER:
                name = address_family_name(address->family);
                if (name)
                        strcpy(text, name);
                else
                        sprintf(text, "family %d", (int) address->family);
                return;
        case ADDRESS_NOBODY:
                break;
        }
        strcpy(text, "nobody");
}

void address_rules_done(AddressRules *rules) {
        for (size_t i = 0; i < rules->n; i++)
                free(rules->items[i].name);
        free(rules->items);
        *rules = (AddressRules) {};
}

int address_rules_copy(const AddressRules *rules, AddressRules *ret) {
        AddressRules copy = { .abstract_is_shared = rules->abstract_is_shared };

        if (rules->n > 0) {
                copy.items = calloc(rules->n, sizeof(AddressRule));
                if (!copy.items)
                        return -ENOMEM;
        }
        for (; copy.n < rules->n; copy.n++) {
                const AddressRule *from = &rules->items[copy.n];
                AddressRule *to = &copy.items[copy.n];

                *to = *from;
                to->name = from->name ? strdup(from->name) : NULL;
                if (from->name && !to->name) {
                        address_rules_done(&copy);
                        return -ENOMEM;
                }
        }
        *ret = copy;
        return 0;
}
