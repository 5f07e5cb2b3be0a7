/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses as hostile guests write them, and the rules that judge them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/address-rules.h"
#include "tap.h"
#include "util/macros.h"

static uint8_t raw[ABI_SOCKADDR_MAX];

static size_t put_inet(uint16_t family, uint32_t ip, uint16_t port) {
        memset(raw, 0, sizeof(raw));
        memcpy(raw, &family, 2);
        raw[2] = (uint8_t) (port >> 8);
        raw[3] = (uint8_t) port;
        for (unsigned i = 0; i < 4; i++)
                raw[4 + i] = (uint8_t) (ip >> (24 - 8 * i));
        return ABI_SOCKADDR_IN;
}

static size_t put_inet6(const uint8_t bytes[16], uint16_t port) {
        uint16_t family = ABI_AF_INET6;

        memset(raw, 0, sizeof(raw));
        memcpy(raw, &family, 2);
        raw[2] = (uint8_t) (port >> 8);
        raw[3] = (uint8_t) port;
        memcpy(raw + 8, bytes, 16);
        return 28;
}

static size_t put_unix(const char *name, size_t n) {
        uint16_t family = ABI_AF_UNIX;

        memset(raw, 'Z', sizeof(raw));
        memcpy(raw, &family, 2);
        memcpy(raw + 2, name, n);
        return 2 + n;
}

static Address parsed;

static int parse(int32_t domain, AddressCall call, size_t size) {
        return address_parse(domain, call, false, raw, size, &parsed);
}

static const char *shown(void) {
        static char text[ADDRESS_TEXT_MAX];

        address_format(&parsed, text);
        return text;
}

static const uint8_t v6_any[16], v6_one[16] = { [15] = 1 },
        v6_mapped[16] = { [10] = 0xff, 0xff, 10, 1, 2, 3 }, v6_mapped_any[16] = { [10] = 0xff, 0xff },
        v6_doc[16] = { 0x20, 0x01, 0x0d, 0xb8, [11] = 5, [15] = 9 };

static void test_inet(void) {
        for (size_t size = 0; size < ABI_SOCKADDR_IN; size++) {
                bool good = true;

                put_inet(ABI_AF_INET, 0x0a000001, 80);
                for (AddressCall call = 0; call < _ADDRESS_CALL_MAX; call++)
                        good = good && parse(ABI_AF_INET, call, size) == -EINVAL;
                ok(good, "inet, %zu bytes are too few", size);
        }
        put_inet(ABI_AF_INET, 0x0a000001, 8080);
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 16), 0, "inet, 16 bytes are enough");
        is_str(shown(), "10.0.0.1:8080", "and read in the order of the network");
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 128), 0, "what follows does not matter");
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 129), -EINVAL, "more than 128 bytes are no address");

        put_inet(ABI_AF_UNSPEC, 0x0a000001, 80);
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 16), 0, "connect to AF_UNSPEC");
        is_int(parsed.kind, ADDRESS_NOBODY, "dissolves an association");
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 2), 0, "for which the family is enough");
        is_int(parse(ABI_AF_INET, ADDRESS_SEND, 16), 0, "sending to AF_UNSPEC");
        is_int(parsed.kind, ADDRESS_INET, "is sending to AF_INET, as Linux has it");
        is_int(parse(ABI_AF_INET, ADDRESS_BIND, 16), 0, "so is binding");
        is_int(parsed.kind, ADDRESS_INET, "the kind of it");

        put_inet(ABI_AF_INET, 0, 80);
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 16), 0, "connect to any address");
        is_str(shown(), "127.0.0.1:80", "goes to the loopback");
        is_int(raw[4], 127, "and says so from then on");
        put_inet(ABI_AF_INET, 0, 80);
        is_int(parse(ABI_AF_INET, ADDRESS_BIND, 16), 0, "bind to any address");
        is_str(shown(), "0.0.0.0:80", "is another thing");
        put_inet(5, 1, 1);
        is_int(parse(ABI_AF_INET, ADDRESS_CONNECT, 16), -EAFNOSUPPORT, "another family is none of an inet socket's");
        put_inet6(v6_one, 1);
        is_int(parse(ABI_AF_INET, ADDRESS_SEND, 28), -EAFNOSUPPORT, "nor is inet6");
}

static void test_inet6(void) {
        put_inet6(v6_doc, 443);
        is_int(parse(ABI_AF_INET6, ADDRESS_CONNECT, 23), -EINVAL, "inet6, 23 bytes are too few");
        is_int(parse(ABI_AF_INET6, ADDRESS_CONNECT, 24), 0, "24 are enough");
        is_str(shown(), "[2001:db8::5:0:9]:443", "and formatted as RFC 5952 has it");
        put_inet6(v6_mapped, 443);
        is_int(parse(ABI_AF_INET6, ADDRESS_CONNECT, 28), 0, "an address of IPv4 in IPv6");
        is_str(shown(), "10.1.2.3:443", "is one of IPv4");
        put_inet6(v6_mapped_any, 443);
        is_int(parse(ABI_AF_INET6, ADDRESS_SEND, 28), 0, "any of those");
        is_str(shown(), "127.0.0.1:443", "is the loopback");
        put_inet6(v6_any, 443);
        is_int(parse(ABI_AF_INET6, ADDRESS_CONNECT, 28), 0, "any of IPv6");
        is_str(shown(), "[::1]:443", "too");
        put_inet6(v6_any, 443);
        is_int(parse(ABI_AF_INET6, ADDRESS_BIND, 28), 0, "bind to any of IPv6");
        ok(parsed.with_inet, "takes IPv4 as well");
        is_int(address_parse(ABI_AF_INET6, ADDRESS_BIND, true, raw, 28, &parsed), 0, "unless the socket is v6only");
        ok(!parsed.with_inet, "as this one is");
        put_inet(ABI_AF_INET, 0x0a000001, 53);
        is_int(parse(ABI_AF_INET6, ADDRESS_SEND, 16), 0, "an inet6 socket sends to inet");
        is_str(shown(), "10.0.0.1:53", "which is judged as such");
        is_int(parse(ABI_AF_INET6, ADDRESS_BIND, 16), -EAFNOSUPPORT, "but does not bind to it");
        put_inet(ABI_AF_UNSPEC, 0x0a000001, 53);
        is_int(parse(ABI_AF_INET6, ADDRESS_SEND, 16), 0, "to AF_UNSPEC it sends");
        is_int(parsed.kind, ADDRESS_NOBODY, "what it is connected to");
}

static void test_unix(void) {
        char longest[108];

        memset(longest, 'a', sizeof(longest));
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix(longest, 108)), 0, "a path without a NUL");
        is_int((long) parsed.name_size, 108, "is as long as the address");
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix(longest, 108) + 1), -EINVAL, "which has an end");
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("/run/x\0y", 8)), 0, "what follows a NUL");
        is_str(shown(), "/run/x", "is not of the path");
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("\0a\0b", 4)), 0, "an abstract name");
        is_str(shown(), "@a\\000b", "may hold NULs");
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("\0", 1)), 0, "or be empty");
        is_int((long) parsed.name_size, 0, "with no bytes");
        is_int(parse(ABI_AF_UNIX, ADDRESS_BIND, put_unix("", 0)), 0, "bind without a name");
        is_int(parsed.kind, ADDRESS_UNIX_AUTO, "gets one");
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("", 0)), -EINVAL, "connect does not");
        is_int(parse(ABI_AF_UNIX, ADDRESS_SEND, 0), 0, "sending to no bytes");
        is_int(parsed.kind, ADDRESS_NOBODY, "is sending without an address");
        is_int(parse(ABI_AF_UNIX, ADDRESS_BIND, 1), -EINVAL, "half a family is none");
        put_inet(ABI_AF_INET, 1, 1);
        is_int(parse(ABI_AF_UNIX, ADDRESS_CONNECT, 16), -EINVAL, "another family is none of a unix socket's");
        is_int(parse(ABI_AF_NETLINK, ADDRESS_SEND, 12), 0, "the socket says what an address is");
        is_str(shown(), "netlink", "whatever family it claims");
}

static bool allowed(const AddressRules *rules, int32_t domain, AddressCall call, size_t size) {
        return parse(domain, call, size) == 0 && address_rules_allow(rules, call, &parsed);
}

static void test_rules(void) {
        AddressRule items[] = {
                { .allow = false, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_INET, .has_prefix = true,
                  .prefix = { 10, 1 }, .prefix_bits = 17 },
                { .allow = true, .calls = 1U << ADDRESS_CONNECT, .family = ABI_AF_INET, .has_prefix = true,
                  .prefix = { 10 }, .prefix_bits = 8, .n_ports = 2, .ports = { { 80, 80 }, { 8000, 8100 } } },
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_INET6 },
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_UNIX, .name = (char *) "/run/a" },
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_UNIX, .name = (char *) "@x*" },
        };
        AddressRules rules = { .items = items, .n = ELEMENTSOF(items) }, none = {}, copy;

        put_inet(ABI_AF_INET, 0x0a000001, 80);
        ok(allowed(&none, ABI_AF_INET, ADDRESS_CONNECT, 16), "without rules everything is allowed");
        ok(allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "a prefix and a port");
        ok(!allowed(&rules, ABI_AF_INET, ADDRESS_SEND, 16), "but for that call alone");
        put_inet(ABI_AF_INET, 0x0a000001, 81);
        ok(!allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "the next port is not");
        put_inet(ABI_AF_INET, 0x0a000001, 8100);
        ok(allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "the last of a range is");
        put_inet(ABI_AF_INET, 0x0b000001, 80);
        ok(!allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "another network is not");
        put_inet(ABI_AF_INET, 0x0a017f01, 80);
        ok(!allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "the first rule decides");
        put_inet(ABI_AF_INET, 0x0a018001, 80);
        ok(allowed(&rules, ABI_AF_INET, ADDRESS_CONNECT, 16), "to the bit");
        put_inet6(v6_mapped, 80);
        ok(!allowed(&rules, ABI_AF_INET6, ADDRESS_CONNECT, 28), "IPv4 in IPv6 is under the rules for IPv4");
        put_inet6(v6_doc, 80);
        ok(allowed(&rules, ABI_AF_INET6, ADDRESS_CONNECT, 28), "IPv6 under its own");
        put_inet6(v6_any, 80);
        ok(!allowed(&rules, ABI_AF_INET6, ADDRESS_BIND, 28), "to bind both takes both");
        ok(allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("/run/a", 6)), "a path");
        ok(allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("/run/a/b", 8)), "what is below it");
        ok(!allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("/run/ab", 7)), "not what begins alike");
        ok(allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("\0xy", 3)), "the beginning of an abstract name");
        ok(!allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("\0y", 2)), "not another");
        ok(!allowed(&rules, ABI_AF_UNIX, ADDRESS_BIND, put_unix("@xy", 3)), "nor a path that looks so");
        ok(!allowed(&rules, ABI_AF_NETLINK, ADDRESS_BIND, 12), "what no rule speaks of is refused");
        ok(!address_rules_allow_family(&rules, ABI_AF_NETLINK), "as a family, too");
        ok(address_rules_allow_family(&rules, ABI_AF_INET), "one that has some address is allowed");

        AddressRule wide[] = {
                { .allow = false, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_NETLINK },
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ADDRESS_FAMILY_ANY },
        };
        AddressRules all = { .items = wide, .n = ELEMENTSOF(wide), .abstract_is_shared = true };
        ok(!address_rules_allow_family(&all, ABI_AF_NETLINK), "a family can be refused as a whole");
        ok(address_rules_allow_family(&all, 40), "and the others allowed");
        ok(!allowed(&all, ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("\0y", 2)), "a shared abstract name wants to be named");
        ok(allowed(&all, ABI_AF_UNIX, ADDRESS_BIND, 2), "one of the kernel's choice does not");
        ok(allowed(&all, ABI_AF_UNIX, ADDRESS_CONNECT, put_unix("/y", 2)), "a path does not");

        is_int(address_rules_copy(&rules, &copy), 0, "rules can be copied");
        ok(copy.n == rules.n && copy.items[3].name != items[3].name && strcmp(copy.items[3].name, "/run/a") == 0,
           "with their names");
        address_rules_done(&copy);
}

static void test_sockets(void) {
        ok(address_socket_is_plain(ABI_AF_INET, ABI_SOCK_STREAM, 6), "TCP can be judged");
        ok(address_socket_is_plain(ABI_AF_INET6, ABI_SOCK_DGRAM, 17), "UDP too");
        ok(!address_socket_is_plain(ABI_AF_INET, ABI_SOCK_STREAM, 132), "SCTP cannot");
        ok(!address_socket_is_plain(ABI_AF_INET, ABI_SOCK_SEQPACKET, 0), "by any type");
        ok(!address_socket_is_plain(ABI_AF_INET6, 3, 255), "raw sockets cannot");
        is_int(address_family_from_name("vsock"), 40, "families have names");
        is_int(address_family_from_name("inet4"), -EINVAL, "those that have");
}

int main(void) {
        test_inet();
        test_inet6();
        test_unix();
        test_rules();
        test_sockets();
        return tap_done();
}
