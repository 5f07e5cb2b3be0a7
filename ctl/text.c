/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text for people. text_escape() is the only thing between what a sandbox writes and somebody's terminal. */

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pager.h"
#include "text.h"
#include "util.h"

/* Decodes the character that valid UTF-8 starts with. Returns its length. */
static size_t utf8_decode(const char *text, uint32_t *ret) {
        const unsigned char *p = (const unsigned char *) text;
        size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        uint32_t c = length == 1 ? p[0] : p[0] & (0x7fU >> length);

        for (size_t i = 1; i < length; i++)
                c = c << 6 | (p[i] & 0x3fU);
        *ret = c;
        return length;
}

/* Characters that control a terminal, or that make text look other than it is: controls, joiners and marks of
 * direction, separators, tags, those that are none. */
static bool is_hostile(uint32_t c) {
        static const struct {
                uint32_t first, last;
        } ranges[] = {
                { 0x0000, 0x001f },   { 0x007f, 0x009f },   { 0x00ad, 0x00ad },   { 0x061c, 0x061c },
                { 0x115f, 0x1160 },   { 0x180e, 0x180e },   { 0x200b, 0x200f },   { 0x2028, 0x202e },
                { 0x2060, 0x206f },   { 0x3164, 0x3164 },   { 0xfdd0, 0xfdef },   { 0xfeff, 0xfeff },
                { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0xfffe, 0xffff },   { 0xe0000, 0xe0fff },
                { 0xf0000, 0x10ffff },
        };

        for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

static int escape_terminal(char *to, uint32_t c) {
        switch (c) {
        case '\n':
                return sprintf(to, "\\n");
        case '\t':
                return sprintf(to, "\\t");
        case '\r':
                return sprintf(to, "\\r");
        }
        if (c < 0x100)
                return sprintf(to, "\\x%02" PRIx32, c);
        return sprintf(to, c > 0xffff ? "\\U%08" PRIx32 : "\\u%04" PRIx32, c);
}

static int escape_json(char *to, uint32_t c) {
        if (c <= 0xffff)
                return sprintf(to, "\\u%04" PRIx32, c);
        c -= 0x10000;
        return sprintf(to, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ffU));
}

/* Nearly all that there is to show: nothing in it needs a look. */
static bool is_plain(const char *text) {
        for (; *text; text++)
                if (*text < 0x20 || *text > 0x7e)
                        return false;
        return true;
}

char *text_escape(const char *text, EscapeStyle style) {
        if (is_plain(text))
                return strdup(text);

        bool ascii_only = style == ESCAPE_TERMINAL && strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
        size_t left = strlen(text), valid = 0;
        char *result, *to;

        /* The longest a single byte can become is \U0010ffff's share, or \x41: four. A surrogate pair is twelve
         * for four bytes; \ufffd for one bad byte is six. */
        result = to = malloc(left * 6 + 1);
        if (!result)
                return NULL;

        while (left > 0) {
                uint32_t c = 0;
                size_t n = 1;

                if (valid == 0)
                        valid = utf8_valid_length(text, left);
                if (valid > 0) {
                        n = utf8_decode(text, &c);
                        valid -= n;
                }

                if (c == 0) { /* a byte that is not UTF-8: what follows it is looked at again */
                        if (style == ESCAPE_JSON)
                                to += sprintf(to, "\\ufffd");
                        else
                                to += sprintf(to, "\\x%02x", (unsigned char) *text);
                } else if (style == ESCAPE_JSON && c == '\n')
                        *to++ = '\n'; /* json-c has escaped those within strings: this one is layout */
                else if (is_hostile(c))
                        to += style == ESCAPE_JSON ? escape_json(to, c) : escape_terminal(to, c);
                else if (c > 0x7f && ascii_only)
                        to += escape_terminal(to, c);
                else {
                        memcpy(to, text, n);
                        to += n;
                }
                text += n;
                left -= n;
        }
        *to = 0;
        return result;
}

const char *text_span(uint64_t usec, char buffer[static TEXT_SPAN_MAX]) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "y", 31557600000000 }, { "d", 86400000000 }, { "h", 3600000000 }, { "min", 60000000 },
                { "s", 1000000 },        { "ms", 1000 },       { "us", 1 },
        };
        size_t n = ELEMENTSOF(units), i = 0;
        uint64_t rest;
        int length;

        if (usec == 0) {
                strcpy(buffer, "0");
                return buffer;
        }
        while (i + 1 < n && usec < units[i].usec)
                i++;
        length = sprintf(buffer, "%" PRIu64 "%s", usec / units[i].usec, units[i].name);
        rest = usec % units[i].usec;
        /* Below seconds one unit is exact enough. */
        if (i + 1 < n && units[i].usec > 1000000 && rest >= units[i + 1].usec)
                sprintf(buffer + length, " %" PRIu64 "%s", rest / units[i + 1].usec, units[i + 1].name);
        return buffer;
}

const char *text_size(uint64_t bytes, char buffer[static TEXT_SPAN_MAX]) {
        static const char units[] = "BKMGTPE";
        uint64_t value = bytes, rest = 0;
        size_t unit = 0;

        while (value >= 1024) {
                rest = value % 1024;
                value /= 1024;
                unit++;
        }
        if (unit == 0)
                snprintf(buffer, TEXT_SPAN_MAX, "%" PRIu64 "B", value);
        else
                snprintf(buffer, TEXT_SPAN_MAX, "%" PRIu64 ".%" PRIu64 "%c", value, rest * 10 / 1024, units[unit]);
        return buffer;
}

const char *text_time(uint64_t usec, char buffer[static TEXT_SPAN_MAX]) {
        time_t seconds = (time_t) (usec / 1000000);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(buffer, TEXT_SPAN_MAX, "%a %Y-%m-%d %H:%M:%S %Z", &tm) == 0)
                snprintf(buffer, TEXT_SPAN_MAX, "@%" PRIu64, usec / 1000000);
        return buffer;
}

uint64_t text_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

void text_nearest_offer(TextNearest *nearest, const char *candidate) {
        size_t length = strlen(nearest->word);
        unsigned distance = text_distance(nearest->word, candidate);
        /* Half of the word may be wrong, at most; a beginning of the candidate is always near. */
        bool near = distance <= (length + 1) / 2 && distance < strlen(candidate);

        if (length >= 2 && strncmp(candidate, nearest->word, length) == 0) {
                near = true;
                distance = 0;
        }
        if (near && distance < nearest->distance) {
                nearest->best = candidate;
                nearest->distance = distance;
        }
}

bool text_colors(void) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0 && pager_on_terminal();
}
