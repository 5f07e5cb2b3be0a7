/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A scanner of JSON texts (RFC 8259) that remembers where keys stand and finds what json-c lets pass. */

#include <stdio.h>

#include "profile-locate.h"
#include "util.h"

#define NODE_NONE UINT32_MAX

/* A value: the document, a member of an object or an element of an array. */
typedef struct Node {
        uint32_t line; /* of the key, of an element's first character */
        uint32_t key;  /* where in the arena its decoded key starts; unused for elements */
        uint32_t first, next; /* child and sibling, or NODE_NONE */
} Node;

struct Locator {
        Node *nodes; /* [0] is the document */
        uint32_t n_nodes, capacity;
        char *arena; /* decoded keys, each with its NUL */
        size_t arena_used;
};

typedef struct Scan {
        Locator *locator;
        const char *at, *end;
        uint32_t line;
        unsigned max_depth;
        LocatorComplaint complaint;
        void *userdata;
        bool bad; /* something was complained of that did not end the scan */
} Scan;

Locator *locator_free(Locator *locator) {
        if (!locator)
                return NULL;

        free(locator->nodes);
        free(locator->arena);
        free(locator);
        return NULL;
}

static bool key_is_plain(const char *key) {
        size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$");

        return n > 0 && key[n] == '\0' && n <= 64;
}

static int key_path_append(char **text, const KeyPath *path) {
        if (!path)
                return 0;

        int r = key_path_append(text, path->up);
        if (r < 0)
                return r;
        if (!path->key)
                return string_appendf(text, "[%zu]", path->index);
        if (key_is_plain(path->key))
                return string_appendf(text, "%s%s", path->up ? "." : "", path->key);

        _cleanup_free_ char *shown = text_shown(path->key, 64);
        if (!shown)
                return -ENOMEM;
        return string_appendf(text, "[\"%s\"]", shown);
}

char *key_path_to_string(const KeyPath *path) {
        _cleanup_free_ char *text = strdup("");

        if (!text || key_path_append(&text, path) < 0)
                return NULL;
        return TAKE_PTR(text);
}

/* An error of syntax: nothing behind it can be trusted to be what it seems. */
static int scan_stop(Scan *scan, const char *message) {
        scan->complaint(scan->userdata, scan->line, NULL, message);
        return -EBADMSG;
}

static void scan_complain(Scan *scan, const KeyPath *path, const char *message) {
        scan->bad = true;
        scan->complaint(scan->userdata, scan->line, path, message);
}

/* The next character, or '\0' at the end (there is no NUL within). */
static char scan_peek(const Scan *scan) {
        return scan->at < scan->end ? *scan->at : '\0';
}

static char scan_space(Scan *scan) {
        for (; scan->at < scan->end; scan->at++)
                if (*scan->at == '\n')
                        scan->line++;
                else if (*scan->at != ' ' && *scan->at != '\t' && *scan->at != '\r')
                        break;
        return scan_peek(scan);
}

/* "expected X, found Y" with the character seen. */
static int scan_unexpected(Scan *scan, const char *expected) {
        _cleanup_free_ char *message = NULL;
        char c = scan_peek(scan);
        int r;

        if (c == '\0')
                r = string_appendf(&message, "the text ends where %s is expected", expected);
        else if (c == '/' || c == '#')
                r = string_appendf(&message, "expected %s, found '%c'; JSON has no comments", expected, c);
        else if (c == '\'')
                r = string_appendf(&message, "expected %s, found '; strings and keys stand in double quotes",
                                   expected);
        else if (c >= ' ' && c < 0x7F)
                r = string_appendf(&message, "expected %s, found '%c'", expected, c);
        else
                r = string_appendf(&message, "expected %s, found the byte 0x%02x", expected, (unsigned char) c);
        return r < 0 ? r : scan_stop(scan, message);
}

static int scan_hex4(Scan *scan, unsigned *ret) {
        unsigned value = 0;

        for (unsigned i = 0; i < 4; i++) {
                char c = scan_peek(scan);

                if (c >= '0' && c <= '9')
                        value = value * 16 + (unsigned) (c - '0');
                else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                        value = value * 16 + (unsigned) ((c | 0x20) - 'a') + 10;
                else
                        return scan_stop(scan, "\\u must be followed by four hexadecimal digits");
                scan->at++;
        }

        *ret = value;
        return 0;
}

static char *put_utf8(char *p, unsigned c) {
        if (c < 0x80)
                *p++ = (char) c;
        else if (c < 0x800) {
                *p++ = (char) (0xC0 | c >> 6);
                *p++ = (char) (0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
                *p++ = (char) (0xE0 | c >> 12);
                *p++ = (char) (0x80 | (c >> 6 & 0x3F));
                *p++ = (char) (0x80 | (c & 0x3F));
        } else {
                *p++ = (char) (0xF0 | c >> 18);
                *p++ = (char) (0x80 | (c >> 12 & 0x3F));
                *p++ = (char) (0x80 | (c >> 6 & 0x3F));
                *p++ = (char) (0x80 | (c & 0x3F));
        }
        return p;
}

/* The part of a string behind a backslash and 'u'. */
static int scan_unicode(Scan *scan, const char **ret_fault, unsigned *ret_c) {
        unsigned high, low;

        int r = scan_hex4(scan, &high);
        if (r < 0)
                return r;

        *ret_c = high;
        if (high >= 0xD800 && high < 0xDC00 && scan->end - scan->at >= 6 && scan->at[0] == '\\' &&
            scan->at[1] == 'u') {
                const char *behind = scan->at;

                scan->at += 2;
                r = scan_hex4(scan, &low);
                if (r < 0)
                        return r;
                if (low >= 0xDC00 && low < 0xE000) {
                        *ret_c = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        return 0;
                }
                scan->at = behind;
        }

        if (high >= 0xD800 && high < 0xE000) {
                *ret_fault = "the string holds half of a surrogate pair (\\ud800 to \\udfff), which is no character";
                *ret_c = 0xFFFD;
        } else if (high == 0) {
                *ret_fault = "the string holds \\u0000, where a program would see its end";
                *ret_c = 0xFFFD;
        }
        return 0;
}

/* At the opening quote. Decodes into out when it is not NULL: there must be as much room as text is left. A fault
 * that does not end the scan is left to the caller, who knows the path. */
static int scan_string(Scan *scan, char *out, const char **ret_fault) {
        *ret_fault = NULL;

        for (scan->at++;;) {
                char c = scan_peek(scan);
                unsigned decoded = (unsigned char) c;

                if (scan->at >= scan->end)
                        return scan_stop(scan, "the text ends within a string; is a closing quote missing?");
                if (c == '\n')
                        return scan_stop(scan, "the line ends within a string; is a closing quote missing? (a new "
                                               "line within a string is written \\n)");
                if ((unsigned char) c < ' ')
                        return scan_stop(scan, "a string holds a control character; write it as \\t or \\u00XX");
                scan->at++;
                if (c == '"')
                        break;
                if (c == '\\') {
                        char escape = scan_peek(scan);

                        scan->at++;
                        switch (escape) {
                        case '"':
                        case '\\':
                        case '/':
                                decoded = (unsigned char) escape;
                                break;
                        case 'b':
                                decoded = '\b';
                                break;
                        case 'f':
                                decoded = '\f';
                                break;
                        case 'n':
                                decoded = '\n';
                                break;
                        case 'r':
                                decoded = '\r';
                                break;
                        case 't':
                                decoded = '\t';
                                break;
                        case 'u': {
                                int r = scan_unicode(scan, ret_fault, &decoded);
                                if (r < 0)
                                        return r;
                                break;
                        }
                        default:
                                return scan_stop(scan, "a backslash in a string must be followed by one of \" \\ / b "
                                                       "f n r t u");
                        }
                        if (out)
                                out = put_utf8(out, decoded);
                } else if (out)
                        *out++ = c;
        }

        if (out)
                *out = '\0';
        return 0;
}

static int scan_number(Scan *scan, const KeyPath *path) {
        const char *start = scan->at;
        bool integer = true, overflow = false;
        uint64_t value = 0;

        bool negative = *scan->at == '-';
        scan->at += negative;

        if (scan_peek(scan) == '0') {
                scan->at++;
                char c = scan_peek(scan);
                if (c >= '0' && c <= '9')
                        return scan_stop(scan, "a number must not start with 0; octal ones are given as strings "
                                               "where they are allowed (\"mode=0755\")");
                if (c == 'x' || c == 'X')
                        return scan_stop(scan, "JSON knows no hexadecimal numbers");
        } else {
                const char *digits = scan->at;

                for (; scan_peek(scan) >= '0' && scan_peek(scan) <= '9'; scan->at++)
                        if (__builtin_mul_overflow(value, (uint64_t) 10, &value) ||
                            __builtin_add_overflow(value, (uint64_t) (*scan->at - '0'), &value))
                                overflow = true;
                if (scan->at == digits)
                        return scan_unexpected(scan, "a digit");
        }
        if (scan_peek(scan) == '.') {
                const char *digits = ++scan->at;

                integer = false;
                while (scan_peek(scan) >= '0' && scan_peek(scan) <= '9')
                        scan->at++;
                if (scan->at == digits)
                        return scan_unexpected(scan, "a digit behind the decimal point");
        }
        if ((scan_peek(scan) | 0x20) == 'e') {
                scan->at++;
                if (scan_peek(scan) == '+' || scan_peek(scan) == '-')
                        scan->at++;
                const char *digits = scan->at;

                integer = false;
                while (scan_peek(scan) >= '0' && scan_peek(scan) <= '9')
                        scan->at++;
                if (scan->at == digits)
                        return scan_unexpected(scan, "a digit of the exponent");
        }

        if (integer && (overflow || (negative && value > (uint64_t) INT64_MAX + 1))) {
                _cleanup_free_ char *message = NULL;
                int shown = (int) MIN(scan->at - start, (ptrdiff_t) 24);

                int r = string_appendf(&message, "the number %.*s%s is out of range: it does not fit in 64 bits",
                                       shown, start, scan->at - start > shown ? "…" : "");
                if (r < 0)
                        return r;
                scan_complain(scan, path, message);
        }
        return 0;
}

static int scan_literal(Scan *scan) {
        static const char *const literals[] = { "true", "false", "null" };

        for (size_t i = 0; i < ELEMENTSOF(literals); i++) {
                size_t n = strlen(literals[i]);

                if ((size_t) (scan->end - scan->at) >= n && memcmp(scan->at, literals[i], n) == 0) {
                        scan->at += n;
                        return 0;
                }
        }

        return scan_unexpected(scan, "a value");
}

static int locator_add(Locator *locator, uint32_t line, uint32_t key, uint32_t *ret) {
        if (locator->n_nodes == locator->capacity) {
                uint32_t wanted = MAX(2 * locator->capacity, 64U);

                Node *longer = reallocarray(locator->nodes, wanted, sizeof(Node));
                if (!longer)
                        return -ENOMEM;
                locator->nodes = longer;
                locator->capacity = wanted;
        }

        *ret = locator->n_nodes++;
        locator->nodes[*ret] = (Node) { .line = line, .key = key, .first = NODE_NONE, .next = NODE_NONE };
        return 0;
}

/* Makes child the next one of parent; last is the one before, or NODE_NONE. */
static void locator_link(Locator *locator, uint32_t parent, uint32_t last, uint32_t child) {
        if (last == NODE_NONE)
                locator->nodes[parent].first = child;
        else
                locator->nodes[last].next = child;
}

typedef struct Member {
        const char *key;
        uint32_t line, node;
} Member;

static int member_compare(const void *a, const void *b) {
        const Member *x = a, *y = b;
        int r = strcmp(x->key, y->key);

        return r != 0 ? r : x->node < y->node ? -1 : x->node > y->node;
}

/* Sorted, so that a hostile text of many keys costs no quadratic time. */
static int scan_duplicates(Scan *scan, uint32_t object, size_t n_members, const KeyPath *path) {
        const Locator *locator = scan->locator;
        size_t n = 0;

        if (n_members < 2)
                return 0;

        _cleanup_free_ Member *members = calloc(n_members, sizeof(Member));
        if (!members)
                return -ENOMEM;
        for (uint32_t i = locator->nodes[object].first; i != NODE_NONE; i = locator->nodes[i].next)
                members[n++] = (Member) {
                        .key = locator->arena + locator->nodes[i].key,
                        .line = locator->nodes[i].line,
                        .node = i,
                };
        qsort(members, n, sizeof(Member), member_compare);

        for (size_t i = 1, first = 0; i < n; i++) {
                _cleanup_free_ char *message = NULL;
                uint32_t line = scan->line;

                if (!streq(members[i].key, members[first].key)) {
                        first = i;
                        continue;
                }

                KeyPath member = { .up = path, .key = members[i].key };
                int r = string_appendf(&message, "duplicate key; it stands on line %u already: remove one of them",
                                       members[first].line);
                if (r < 0)
                        return r;
                scan->line = members[i].line;
                scan_complain(scan, &member, message);
                scan->line = line;
        }

        return 0;
}

static int scan_value(Scan *scan, uint32_t node, const KeyPath *path, unsigned depth);

static int scan_object(Scan *scan, uint32_t node, const KeyPath *path, unsigned depth) {
        Locator *locator = scan->locator;
        uint32_t last = NODE_NONE, child;
        size_t n_members = 0;

        scan->at++;
        if (scan_space(scan) == '}') {
                scan->at++;
                return 0;
        }

        for (;;) {
                const char *fault;
                uint32_t key = (uint32_t) locator->arena_used;

                if (scan_space(scan) != '"')
                        return scan_unexpected(scan, n_members == 0 ? "a key in double quotes, or '}'" :
                                                     scan_peek(scan) == '}' ?
                                                                      "a key in double quotes (no comma before '}')" :
                                                                      "a key in double quotes");
                int r = scan_string(scan, locator->arena + key, &fault);
                if (r < 0)
                        return r;
                locator->arena_used += strlen(locator->arena + key) + 1;

                KeyPath member = { .up = path, .key = locator->arena + key };
                if (fault)
                        scan_complain(scan, &member, fault);
                r = locator_add(locator, scan->line, key, &child);
                if (r < 0)
                        return r;
                locator_link(locator, node, last, child);
                last = child;
                n_members++;

                if (scan_space(scan) != ':')
                        return scan_unexpected(scan, "':' behind the key");
                scan->at++;
                r = scan_value(scan, child, &member, depth);
                if (r < 0)
                        return r;

                char c = scan_space(scan);
                if (c != ',' && c != '}')
                        return scan_unexpected(scan, "',' or '}' behind a value");
                scan->at++;
                if (c == '}')
                        return scan_duplicates(scan, node, n_members, path);
        }
}

static int scan_array(Scan *scan, uint32_t node, const KeyPath *path, unsigned depth) {
        uint32_t last = NODE_NONE, child;

        scan->at++;
        if (scan_space(scan) == ']') {
                scan->at++;
                return 0;
        }

        for (size_t i = 0;; i++) {
                KeyPath element = { .up = path, .index = i };

                if (scan_space(scan) == ']')
                        return scan_unexpected(scan, "a value (no comma before ']')");
                int r = locator_add(scan->locator, scan->line, 0, &child);
                if (r < 0)
                        return r;
                locator_link(scan->locator, node, last, child);
                last = child;

                r = scan_value(scan, child, &element, depth);
                if (r < 0)
                        return r;

                char c = scan_space(scan);
                if (c != ',' && c != ']')
                        return scan_unexpected(scan, "',' or ']' behind a value");
                scan->at++;
                if (c == ']')
                        return 0;
        }
}

/* depth: how many containers the value lies in; bounded by max_depth, and so is the recursion. */
static int scan_value(Scan *scan, uint32_t node, const KeyPath *path, unsigned depth) {
        const char *fault;
        int r;

        char c = scan_space(scan);
        if ((c == '{' || c == '[') && depth >= scan->max_depth) {
                _cleanup_free_ char *message = NULL;

                r = string_appendf(&message, "nested deeper than %u levels", scan->max_depth);
                return r < 0 ? r : scan_stop(scan, message);
        }

        switch (c) {
        case '{':
                return scan_object(scan, node, path, depth + 1);
        case '[':
                return scan_array(scan, node, path, depth + 1);
        case '"':
                r = scan_string(scan, NULL, &fault);
                if (r >= 0 && fault)
                        scan_complain(scan, path, fault);
                return r;
        case '-':
        case '0' ... '9':
                return scan_number(scan, path);
        default:
                return scan_literal(scan);
        }
}

/* What must hold of the bytes before they are looked at as JSON: no NUL, UTF-8. */
static int scan_bytes(Scan *scan, const char *text, size_t size) {
        _cleanup_free_ char *message = NULL;
        const char *nul = memchr(text, '\0', size);
        size_t valid = utf8_valid_length(text, size);
        int r = 0;

        size_t bad = nul ? MIN((size_t) (nul - text), valid) : valid;
        if (bad == size) {
                if (startswith(text, "\xEF\xBB\xBF"))
                        return scan_stop(scan, "the text starts with a byte order mark; save it as UTF-8 without");
                return 0;
        }

        for (size_t i = 0; i < bad; i++)
                scan->line += text[i] == '\n';
        if (bad == valid)
                r = string_appendf(&message, "the byte 0x%02x is no UTF-8; profiles are written in UTF-8",
                                   (unsigned char) text[bad]);
        else
                r = string_appendf(&message, "the text holds a NUL byte");
        return r < 0 ? r : scan_stop(scan, message);
}

int locator_new(const char *text, size_t size, unsigned max_depth, LocatorComplaint complaint, void *userdata,
                Locator **ret) {
        _cleanup_(locator_freep) Locator *locator = NULL;
        Scan scan = {
                .at = text,
                .end = text + size,
                .line = 1,
                .max_depth = max_depth,
                .complaint = complaint,
                .userdata = userdata,
        };
        uint32_t top;

        if (size >= UINT32_MAX / 2)
                return -EFBIG;

        int r = scan_bytes(&scan, text, size);
        if (r < 0)
                return r;

        /* Keys: none is longer decoded than it was with its quotes, and the NUL takes the place of one. */
        locator = calloc(1, sizeof(Locator));
        if (!locator)
                return -ENOMEM;
        locator->arena = malloc(size + 1);
        if (!locator->arena)
                return -ENOMEM;
        scan.locator = locator;

        if (scan_space(&scan) == '\0')
                return scan_stop(&scan, "the text is empty; the least that a profile can be is {}");
        r = locator_add(locator, scan.line, 0, &top);
        if (r < 0)
                return r;
        r = scan_value(&scan, top, NULL, 0);
        if (r < 0)
                return r;
        if (scan_space(&scan) != '\0')
                return scan_unexpected(&scan, "nothing more behind the document");
        if (scan.bad)
                return -EBADMSG;

        *ret = TAKE_PTR(locator);
        return 0;
}

/* The node at path; when there is none, the deepest one on the way to it, and *found is false. */
static uint32_t locator_walk(const Locator *locator, const KeyPath *path, bool *found) {
        if (!path)
                return 0;

        uint32_t parent = locator_walk(locator, path->up, found);
        if (!*found)
                return parent;

        size_t i = 0;
        for (uint32_t n = locator->nodes[parent].first; n != NODE_NONE; n = locator->nodes[n].next, i++)
                if (path->key ? streq(locator->arena + locator->nodes[n].key, path->key) : i == path->index)
                        return n;

        *found = false;
        return parent;
}

unsigned locator_find(const Locator *locator, const KeyPath *path, bool *ret_found) {
        bool found = locator != NULL;
        unsigned line = found ? locator->nodes[locator_walk(locator, path, &found)].line : 0;

        if (ret_found)
                *ret_found = found;
        return line;
}
