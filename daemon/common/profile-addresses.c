/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rules for the addresses that a sandbox may name: "sentry.addresses". */

#include <arpa/inet.h>
#include <limits.h>

#include "profile-internal.h"

#define ALLOWED_CALLS "an array of \"bind\", \"connect\" and \"send\""

static const char *const call_names[_ADDRESS_CALL_MAX] = {
        [ADDRESS_BIND] = "bind",
        [ADDRESS_CONNECT] = "connect",
        [ADDRESS_SEND] = "send",
};

/* A rule as far as it was read. What the address and the ports mean depends on the family, which may come later. */
typedef struct RuleTarget {
        AddressRule rule;
        bool has_family, bad_family;
        json_object *address, *port; /* lookup only */
} RuleTarget;

static void read_action(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        static const char *const words[] = { "allow", "deny" };
        RuleTarget *rule = target;

        rule->rule.allow = read_word(reader, path, words, ELEMENTSOF(words), value) == 0;
}

static void read_family(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        const char *words[64];
        RuleTarget *rule = target;
        size_t n = 0;
        int i;

        while (n < ELEMENTSOF(words) && (words[n] = address_family_nth(n)))
                n++;
        i = read_word(reader, path, words, n, value);
        rule->has_family = i >= 0;
        rule->bad_family = i < 0;
        if (i >= 0)
                rule->rule.family = address_family_from_name(words[i]);
}

static void read_address(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                         void *target) {
        ((RuleTarget *) target)->address = value;
}

static void read_port(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                      void *target) {
        ((RuleTarget *) target)->port = value;
}

static void read_calls(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                       void *target) {
        RuleTarget *rule = target;
        size_t n = json_object_array_length(value);

        if (n == 0)
                profile_complain(reader, path, "an empty array: the rule would be for no call; leave \"calls\" out for "
                                 "all, or name some of \"bind\", \"connect\" and \"send\"");
        rule->rule.calls = 0;
        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                KeyPath at = { .up = path, .index = i };
                int call = read_word(reader, &at, call_names, ELEMENTSOF(call_names), json_object_array_get_idx(value, i));

                if (call < 0)
                        continue;
                if (rule->rule.calls & 1U << call)
                        profile_complain(reader, &at, "\"%s\" stands twice in this list", call_names[call]);
                rule->rule.calls |= 1U << call;
        }
}

static const SchemaKey rule_keys[] = {
        { .name = "action", .types = SCHEMA_STRING, .allowed = "\"allow\" or \"deny\"", .read = read_action,
          .required = true },
        { .name = "family", .types = SCHEMA_STRING, .allowed = "the name of a family of addresses such as \"inet\"",
          .read = read_family },
        { .name = "address", .types = SCHEMA_STRING, .read = read_address,
          .allowed = "an address or a prefix such as \"10.0.0.0/8\", \"fd00::/8\", \"/run/web\" or \"@name\"" },
        { .name = "port", .types = SCHEMA_STRING | SCHEMA_INTEGER, .read = read_port,
          .allowed = "a port from 0 to 65535, or a list of ports and ranges such as \"80,443,8000-8100\"" },
        { .name = "calls", .types = SCHEMA_ARRAY, .allowed = ALLOWED_CALLS, .read = read_calls },
};
const Schema profile_address_schema = SCHEMA(rule_keys);

/* Decimal digits and nothing else, up to max. */
static bool parse_number(const char **text, unsigned max, unsigned *ret) {
        unsigned n = 0, digits = 0;

        for (; **text >= '0' && **text <= '9' && digits < 6; (*text)++, digits++)
                n = n * 10 + (unsigned) (**text - '0');
        *ret = n;
        return digits > 0 && n <= max;
}

static const char *parse_ports(const char *text, AddressRule *rule) {
        for (;;) {
                unsigned first, last;

                if (rule->n_ports >= ADDRESS_PORTS_MAX)
                        return "at most 32 ports and ranges in one rule";
                if (!parse_number(&text, 65535, &first))
                        return rule_keys[3].allowed;
                last = first;
                if (*text == '-') {
                        text++;
                        if (!parse_number(&text, 65535, &last) || last < first)
                                return "ranges of ports as FIRST-LAST, 0 to 65535, the lower one first";
                }
                rule->ports[rule->n_ports++] = (PortRange) { .first = (uint16_t) first, .last = (uint16_t) last };
                if (*text == '\0')
                        return NULL;
                if (*text++ != ',')
                        return rule_keys[3].allowed;
        }
}

/* "ADDRESS" or "ADDRESS/BITS". NULL, or what would have been right. */
static const char *parse_prefix(const char *text, AddressRule *rule) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        bool six = rule->family == ABI_AF_INET6;
        unsigned max = six ? 128 : 32, bits = max;
        const char *slash = strchr(text, '/');
        char address[64];
        size_t n = slash ? (size_t) (slash - text) : strlen(text);

        if (n >= sizeof(address))
                return six ? "an address of IPv6, or a prefix such as \"fd00::/8\"" :
                             "an address of IPv4, or a prefix such as \"10.0.0.0/8\"";
        memcpy(address, text, n);
        address[n] = '\0';
        if (inet_pton(six ? AF_INET6 : AF_INET, address, rule->prefix) != 1)
                return six ? "an address of IPv6, or a prefix such as \"fd00::/8\"" :
                             "an address of IPv4, or a prefix such as \"10.0.0.0/8\"";
        if (slash) {
                text = slash + 1;
                if (!parse_number(&text, max, &bits) || *text != '\0')
                        return six ? "a prefix of 0 to 128 bits" : "a prefix of 0 to 32 bits";
        }
        for (unsigned i = bits; i < max; i++)
                if (rule->prefix[i / 8] & 0x80U >> i % 8)
                        return "a prefix whose bits after its length are 0";
        if (six && bits >= 96 && memcmp(rule->prefix, mapped, sizeof(mapped)) == 0)
                return "an address of IPv4 in the way of IPv4, \"a.b.c.d\": the rules for it are for \"::ffff:a.b.c.d\" as "
                       "well";
        rule->has_prefix = true;
        rule->prefix_bits = bits;
        return NULL;
}

/* A path is compared with what the host says of where a socket lies. */
static const char *parse_name(const char *text, AddressRule *rule, int *ret_error) {
        _cleanup_free_ char *normalized = NULL;
        int r = 0;

        if (text[0] == '@')
                normalized = strdup(text);
        else {
                r = path_normalize(text, &normalized);
                if (r < 0 && r != -ENOMEM)
                        return "an absolute path without \"..\", or \"@\" and the name of an abstract socket";
        }
        if (r < 0 || !normalized) {
                *ret_error = -ENOMEM;
                return NULL;
        }
        rule->name = TAKE_PTR(normalized);
        return NULL;
}

static bool is_inet(int32_t family) {
        return family == ABI_AF_INET || family == ABI_AF_INET6;
}

static void complete_address(ProfileReader *reader, const KeyPath *rule_path, RuleTarget *target) {
        KeyPath path = { .up = rule_path, .key = "address" };
        const char *text, *expected = NULL;
        AddressRule *rule = &target->rule;
        int error = 0;

        if (!target->address || target->bad_family)
                return;
        text = json_object_get_string(target->address);
        /* The way it is written tells. */
        if (!target->has_family)
                rule->family = text[0] == '/' || text[0] == '@' ? ABI_AF_UNIX :
                        strchr(text, ':') ? ABI_AF_INET6 : ABI_AF_INET;

        if (is_inet(rule->family))
                expected = parse_prefix(text, rule);
        else if (rule->family == ABI_AF_UNIX)
                expected = parse_name(text, rule, &error);
        else
                expected = "no \"address\" with this family: its addresses cannot be told apart";
        if (!profile_reader_good(reader, error))
                return;
        if (expected)
                profile_complain_value(reader, &path, expected, target->address, NULL);
}

static void complete_ports(ProfileReader *reader, const KeyPath *rule_path, RuleTarget *target) {
        KeyPath path = { .up = rule_path, .key = "port" };
        AddressRule *rule = &target->rule;
        const char *expected;

        if (!target->port || target->bad_family)
                return;
        if (rule->family != ADDRESS_FAMILY_ANY && !is_inet(rule->family))
                expected = "no \"port\" with this family: \"inet\" and \"inet6\" have ports";
        else if (json_object_is_type(target->port, json_type_int)) {
                int64_t port = json_object_get_int64(target->port);

                expected = port >= 0 && port <= 65535 ? NULL : rule_keys[3].allowed;
                rule->n_ports = 1;
                rule->ports[0] = (PortRange) { .first = (uint16_t) port, .last = (uint16_t) port };
        } else
                expected = parse_ports(json_object_get_string(target->port), rule);
        if (expected)
                profile_complain_value(reader, &path, expected, target->port, NULL);
}

void read_addresses(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                    void *target) {
        size_t n = json_object_array_length(value);
        AddressRules *rules = &reader->profile->addresses;

        if (n > ADDRESS_RULES_MAX) {
                profile_complain(reader, path, "%zu rules; at most %u are allowed", n, ADDRESS_RULES_MAX);
                return;
        }

        address_rules_done(rules);
        rules->items = calloc(MAX(n, (size_t) 1), sizeof(AddressRule));
        if (!profile_reader_good(reader, rules->items ? 0 : -ENOMEM))
                return;
        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                RuleTarget rule = { .rule = { .family = ADDRESS_FAMILY_ANY, .calls = ADDRESS_CALLS_ALL } };

                if (!schema_check_type(reader, &at, SCHEMA_OBJECT, "an object { \"action\": \"allow\", … }", element))
                        continue;
                schema_read_object(reader, &at, &profile_address_schema, element, &rule);
                complete_address(reader, &at, &rule);
                complete_ports(reader, &at, &rule);
                rules->items[rules->n++] = rule.rule;
        }
}
