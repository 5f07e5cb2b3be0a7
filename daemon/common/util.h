/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The small things that every part of the daemon needs: cleanup of automatic variables, string vectors, parsing of
 * numbers, reading of files with a limit, text that is safe to show. */

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#ifndef _cleanup_
#define _cleanup_(function) __attribute__((cleanup(function)))
#endif

/* File descriptors that are not there are -EBADF, which no system call takes for another meaning (-1 and AT_FDCWD
 * have some). */

#ifndef ELEMENTSOF
#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0])) /* the same, to the letter, as in kernelemu/util/macros.h */
#endif

/* Each argument is evaluated once; the names are new ones each time, so that they nest. */
#undef MIN
#undef MAX
#define MIN(a, b) CHOOSE_UNIQUE(<, a, b, __COUNTER__)
#define MAX(a, b) CHOOSE_UNIQUE(>, a, b, __COUNTER__)
#define CHOOSE_UNIQUE(op, a, b, n) CHOOSE_NAMED(op, a, b, n)
#define CHOOSE_NAMED(op, a, b, n)                \
        ({                                       \
                __typeof__(a) _a##n = (a);       \
                __typeof__(b) _b##n = (b);       \
                _a##n op _b##n ? _a##n : _b##n;  \
        })

/* The value of a variable that owns it; the variable owns nothing afterwards. */
#define TAKE_GENERIC(variable, none)                       \
        ({                                                 \
                __typeof__(variable) *_from = &(variable); \
                __typeof__(variable) _taken = *_from;      \
                *_from = (none);                           \
                _taken;                                    \
        })
#define TAKE_PTR(pointer) TAKE_GENERIC(pointer, NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, -EBADF)

static inline void freep(void *pointer) {
        free(*(void **) pointer);
}

/* Closes fd if it is one; leaves errno as it is. Returns -EBADF: fd = safe_close(fd). */
int safe_close(int fd);
static inline void closep(int *fd) {
        safe_close(*fd);
}

static inline void json_object_putp(json_object **object) {
        json_object_put(*object); /* NULL-safe */
}

static inline void json_tokener_freep(json_tokener **tokener) {
        if (*tokener)
                json_tokener_free(*tokener);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

static inline void closedirp(DIR **dir) {
        if (*dir)
                (void) closedir(*dir);
}
#define _cleanup_strv_free_ _cleanup_(strv_freep)
#define _cleanup_json_ _cleanup_(json_object_putp)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* NULL equals NULL and nothing else. */
static inline bool streq_ptr(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

/* What follows the prefix, or NULL when text does not start with it. */
static inline const char *startswith(const char *text, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* String vectors: NULL-terminated arrays of allocated strings. NULL is an empty one. */
char **strv_free(char **strv); /* returns NULL */
static inline void strv_freep(char ***strv) {
        strv_free(*strv);
}
size_t strv_length(char *const *strv);
bool strv_contains(char *const *strv, const char *value);
/* Appends a copy, or takes ownership of value (also when it fails; NULL counts as no memory). 0 or -ENOMEM. */
int strv_extend(char ***strv, const char *value);
int strv_consume(char ***strv, char *value);
char **strv_copy(char *const *strv); /* never NULL but for want of memory */
char *strv_join(char *const *strv, const char *separator);

/* Numbers in full: no white space, no sign but '-' for the signed, nothing after them; base as for strtoull().
 * 0, -EINVAL for what is no number, -ERANGE. */
int safe_atou64(const char *text, unsigned base, uint64_t *ret);
int safe_atou(const char *text, unsigned *ret);
int safe_atoi(const char *text, int *ret);

/* Reads what is left in fd. -EFBIG when it is more than max bytes. The text ends with a NUL that is not counted;
 * NULs may lie within. */
int read_full_fd(int fd, size_t max, char **ret, size_t *ret_size);

/* Reads a regular file: -EISDIR for a directory, -EINVAL for a pipe, a device or a socket (which could block). */
int read_full_file(const char *path, size_t max, char **ret, size_t *ret_size);

/* Sends data with descriptors (none, or at most SEND_FDS_MAX) over a UNIX socket, without SIGPIPE. All of it or a negative errno. */
#define SEND_FDS_MAX 8U
int send_fds(int socket, const void *data, size_t size, const int fds[], size_t n);

/* Where text stops being UTF-8: its size when all of it is. Overlong forms and surrogates are not UTF-8. */
size_t utf8_valid_length(const char *text, size_t size);

/* A copy of UTF-8 text to be shown on a terminal: control characters (C0, DEL, C1) and bidirectional overrides as
 * '?', at most max bytes (at least 4), the last three an ellipsis when something was cut off. */
char *text_shown(const char *text, size_t max);

/* How many characters must be inserted, removed or replaced to make b of a, not counting case (ASCII). UINT_MAX
 * when one is longer than 64 bytes. */
unsigned text_distance(const char *a, const char *b);

/* "/a//b/./c/" as "/a/b/c". -EINVAL when not absolute or empty, -EXDEV with a ".." component, -ENAMETOOLONG. */
int path_normalize(const char *path, char **ret);

/* Appends formatted text to an allocated string (NULL: empty). 0 or -ENOMEM; the string stays whole then. */
__attribute__((format(printf, 2, 3))) int string_appendf(char **text, const char *format, ...);
