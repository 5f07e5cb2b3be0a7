/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where in a JSON text a key stands. json-c gives no lines, keeps the last of duplicate keys without a word and
 * bends numbers that do not fit; so a scanner of our own goes over the text first, stricter than json-c is: what it
 * accepts, json-c accepts. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The way to a value from the top of a document, innermost first. Lives on the stack of whoever walks down. */
typedef struct KeyPath {
        const struct KeyPath *up; /* NULL: key is a member of the document */
        const char *key;          /* of an object's member; NULL: an element of an array */
        size_t index;             /* of an array's element */
} KeyPath;

/* "sentry.network", "mounts[2].type"; NULL is the document itself: "". Keys that are no plain words are quoted.
 * Safe to show, and of limited length. NULL without memory. */
char *key_path_to_string(const KeyPath *path);

/* Told of each thing wrong. path is NULL for errors of syntax. message is the callee's to copy. */
typedef void (*LocatorComplaint)(void *userdata, unsigned line, const KeyPath *path, const char *message);

typedef struct Locator Locator;

/* Scans a text: 0; -EBADMSG after at least one complaint; -ENOMEM. What is complained of: bytes that are no UTF-8,
 * NULs (raw or escaped), syntax (the scan ends there), nesting deeper than max_depth (likewise), duplicate keys,
 * integers beyond 64 bits, halves of surrogate pairs. The locator keeps no reference to the text. */
int locator_new(const char *text, size_t size, unsigned max_depth, LocatorComplaint complaint, void *userdata,
                Locator **ret);
Locator *locator_free(Locator *locator);
static inline void locator_freep(Locator **locator) {
        locator_free(*locator);
}

/* The line, from 1, on which the key or element at path stands; that of the nearest container when it is not
 * there. 0 only without a locator. *ret_found (may be NULL): whether it is there itself. */
unsigned locator_find(const Locator *locator, const KeyPath *path, bool *ret_found);
