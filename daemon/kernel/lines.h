/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes JSON objects, a line each, to a descriptor. Errors stick: after the first one every call does nothing, and
 * lines_flush() returns it. Text of a guest is cleaned on the way: what is not UTF-8 becomes '?', control characters
 * \uXXXX, so a line is a line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_BUFFER 65536U

typedef struct Lines {
        int fd;       /* the caller's */
        int error;    /* the first one, negative */
        bool comma;   /* something stands before, in the same object or array */
        size_t n;     /* bytes in buffer */
        char buffer[LINES_BUFFER];
} Lines;

/* An object that is a line; everything else comes between the two. */
void lines_begin(Lines *lines);
void lines_end(Lines *lines);

/* Members of an object; in an array key is NULL. A NULL value is null. */
void lines_string(Lines *lines, const char *key, const char *value);
void lines_text(Lines *lines, const char *key, const char *value, size_t n);
void lines_unsigned(Lines *lines, const char *key, uint64_t value);
void lines_signed(Lines *lines, const char *key, int64_t value);
void lines_bool(Lines *lines, const char *key, bool value);

/* '{' or '[', and its counterpart. */
void lines_open(Lines *lines, const char *key, char bracket);
void lines_close(Lines *lines, char bracket);

/* 0 or the error that stuck. */
int lines_flush(Lines *lines);
