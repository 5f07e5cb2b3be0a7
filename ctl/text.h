/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text for people: strings that a sandbox may have chosen made harmless, spans of time, near misses. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum EscapeStyle {
        ESCAPE_TERMINAL, /* everything that could move a cursor, in C's notation; only UTF-8 in such a locale */
        ESCAPE_JSON,     /* a whole JSON text: what JSON leaves alone but a terminal would not, as \uXXXX */
} EscapeStyle;

/* Returns a copy of text with control characters, invalid UTF-8, invisible and direction-changing characters
 * written out. Everything from a sandbox passes here before it is printed. The caller frees; NULL without
 * memory. */
char *text_escape(const char *text, EscapeStyle style);

/* "3min 12s": the two largest units of a span. */
#define TEXT_SPAN_MAX 48U
const char *text_span(uint64_t usec, char buffer[static TEXT_SPAN_MAX]);

/* "3.4M". */
const char *text_size(uint64_t bytes, char buffer[static TEXT_SPAN_MAX]);

/* "Fri 2025-01-31 12:00:00 CET" of a CLOCK_REALTIME time. */
const char *text_time(uint64_t usec, char buffer[static TEXT_SPAN_MAX]);

uint64_t text_now(void); /* CLOCK_REALTIME in µs */

/* Remembers the nearest of the words offered to it. Start with TEXT_NEAREST_INIT(word). */
typedef struct TextNearest {
        const char *word;
        const char *best; /* NULL: nothing near enough */
        unsigned distance;
} TextNearest;
#define TEXT_NEAREST_INIT(w) ((TextNearest) { .word = (w), .distance = UINT_MAX })
void text_nearest_offer(TextNearest *nearest, const char *candidate);

/* True when output may use colours: stdout is a terminal that is not dumb, and NO_COLOR is not set. */
bool text_colors(void);
