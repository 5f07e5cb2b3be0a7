/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Visiting fields: writes them into a JSON object, or reads them from one and checks them. Errors stick: after the first
 * one every call does nothing. For image-visit.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "image.h"
#include "util.h"

#define VISIT_PATH_MAX 256U

typedef struct VisitState {
        int error;
        char *message; /* owned: file, key, value, what is allowed */
        uint64_t items; /* array members read so far, for a limit on all of them together */
} VisitState;

typedef struct Visit {
        VisitState *state;
        json_object *object; /* borrowed */
        bool writing;
        char path[VISIT_PATH_MAX]; /* where we are, for messages: "processes[3].threads[0]." */
} Visit;

void visit_state_done(VisitState *state);
/* The first failure holds. */
void visit_fail(Visit *v, int error, const char *key, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* An object within the object. False: it is not there (reading), or is not to be (writing), or an error stands. */
bool visit_enter(Visit *v, const char *key, bool there, Visit *inner);
void visit_leave(Visit *v, Visit *inner);

void visit_u64(Visit *v, const char *key, uint64_t *value, uint64_t max);
void visit_i64(Visit *v, const char *key, int64_t *value, int64_t min, int64_t max);
void visit_u32(Visit *v, const char *key, uint32_t *value, uint32_t max);
void visit_i32(Visit *v, const char *key, int32_t *value, int32_t min, int32_t max);
void visit_bool(Visit *v, const char *key, bool *value);
/* An index: IMAGE_NONE is left out. */
void visit_index(Visit *v, const char *key, uint32_t *value, uint32_t max);
/* One of the letters. */
void visit_letter(Visit *v, const char *key, char *value, const char *letters);
/* Owned, NULL is left out. Bytes that are no UTF-8 are kept. At most max bytes. */
void visit_string(Visit *v, const char *key, char **value, size_t max);
void visit_blob(Visit *v, const char *key, ImageBlob *blob);
void visit_runs(Visit *v, const char *key, ImageRuns *runs);
/* As many numbers as there are; all 0 is left out. */
void visit_u64s(Visit *v, const char *key, uint64_t *values, size_t n);
void visit_u32s(Visit *v, const char *key, uint32_t *values, size_t n);
/* Allocated numbers of 4 or 8 bytes. */
void visit_numbers(Visit *v, const char *key, void *values, size_t *n, size_t size, size_t max);

int visit_name_index(Visit *v, const char *key, int value, const char *(*to_string)(int), int max);
#define visit_enum(v, key, value, to_string, max) \
        ((value) = (__typeof__(value)) visit_name_index((v), (key), (int) (value), (to_string), (int) (max)))

void visit_items(Visit *v, const char *key, void **items, size_t *n, size_t size, size_t max,
                 void (*function)(Visit *v, void *item));
#define visit_array(v, key, items, n, max, function) \
        visit_items((v), (key), (void **) &(items), &(n), sizeof(*(items)), (max), (function))

/* What no field can say by itself: indices, orders, that things are there once. image-check.c. 0, or -EBADMSG with a
 * message. */
int image_check(const Image *image, char **ret_message);
