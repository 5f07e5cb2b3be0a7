/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lines.h"
#include "util.h"

int lines_flush(Lines *lines) {
        size_t done = 0;

        while (lines->error == 0 && done < lines->n) {
                ssize_t n = write(lines->fd, lines->buffer + done, lines->n - done);

                if (n >= 0)
                        done += (size_t) n;
                else if (errno != EINTR)
                        lines->error = -errno;
        }
        lines->n = 0;
        return lines->error;
}

static void put(Lines *lines, const char *bytes, size_t n) {
        while (n > 0 && lines->error == 0) {
                size_t part = MIN(n, sizeof(lines->buffer) - lines->n);

                memcpy(lines->buffer + lines->n, bytes, part);
                lines->n += part;
                bytes += part;
                n -= part;
                if (lines->n == sizeof(lines->buffer))
                        (void) lines_flush(lines);
        }
}

static void put_text(Lines *lines, const char *text, size_t n) {
        static const char hex[] = "0123456789abcdef";
        size_t valid = utf8_valid_length(text, n), from = 0;

        put(lines, "\"", 1);
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char) text[i];
                char escape[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

                if (i == valid) {
                        /* Not UTF-8 here: on with what follows. */
                        put(lines, text + from, i - from);
                        put(lines, "?", 1);
                        from = i + 1;
                        valid = from + utf8_valid_length(text + from, n - from);
                } else if (c == '"' || c == '\\') {
                        put(lines, text + from, i - from);
                        put(lines, (char[]) { '\\', (char) c }, 2);
                        from = i + 1;
                } else if (c < 0x20 || c == 0x7f) {
                        put(lines, text + from, i - from);
                        put(lines, escape, sizeof(escape));
                        from = i + 1;
                }
        }
        if (from < n)
                put(lines, text + from, n - from);
        put(lines, "\"", 1);
}

/* What comes before a value. Keys are ours, and plain. */
static void put_key(Lines *lines, const char *key) {
        if (lines->comma)
                put(lines, ",", 1);
        lines->comma = true;
        if (key) {
                put(lines, "\"", 1);
                put(lines, key, strlen(key));
                put(lines, "\":", 2);
        }
}

void lines_open(Lines *lines, const char *key, char bracket) {
        put_key(lines, key);
        put(lines, &bracket, 1);
        lines->comma = false;
}

void lines_close(Lines *lines, char bracket) {
        put(lines, &bracket, 1);
        lines->comma = true;
}

void lines_begin(Lines *lines) {
        lines->comma = false;
        put(lines, "{", 1);
}

void lines_end(Lines *lines) {
        put(lines, "}\n", 2);
}

void lines_text(Lines *lines, const char *key, const char *value, size_t n) {
        put_key(lines, key);
        put_text(lines, value, n);
}

void lines_string(Lines *lines, const char *key, const char *value) {
        if (value)
                return lines_text(lines, key, value, strlen(value));
        put_key(lines, key);
        put(lines, "null", 4);
}

static void put_number(Lines *lines, uint64_t value, bool negative) {
        char digits[24], *p = digits + sizeof(digits);

        do
                *--p = (char) ('0' + value % 10);
        while ((value /= 10) > 0);
        if (negative)
                *--p = '-';
        put(lines, p, (size_t) (digits + sizeof(digits) - p));
}

void lines_unsigned(Lines *lines, const char *key, uint64_t value) {
        put_key(lines, key);
        put_number(lines, value, false);
}

void lines_signed(Lines *lines, const char *key, int64_t value) {
        put_key(lines, key);
        put_number(lines, value < 0 ? -(uint64_t) value : (uint64_t) value, value < 0);
}

void lines_bool(Lines *lines, const char *key, bool value) {
        put_key(lines, key);
        put(lines, value ? "true" : "false", value ? 4 : 5);
}
