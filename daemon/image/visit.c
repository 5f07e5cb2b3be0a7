/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "image-visit.h"

#define ITEMS_MAX (UINT64_C(64) << 20) /* of all arrays together: bounds the memory that a manifest can ask for */

void visit_state_done(VisitState *state) {
        free(state->message);
        state->message = NULL;
}

void visit_fail(Visit *v, int error, const char *key, const char *format, ...) {
        char text[512];
        va_list ap;

        if (v->state->error < 0)
                return;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        v->state->error = error;
        (void) string_appendf(&v->state->message, IMAGE_MANIFEST ": %s%s%s%s", v->path, key,
                              *key || *v->path ? ": " : "", text);
}

/* A member to read, NULL when it is not there or an error stands. */
static json_object *member(Visit *v, const char *key, json_type type, const char *type_name) {
        json_object *value;

        if (v->state->error < 0 || !json_object_object_get_ex(v->object, key, &value))
                return NULL;
        if (!json_object_is_type(value, type)) {
                _cleanup_free_ char *shown = text_shown(json_object_to_json_string(value) ?: "", 64);

                visit_fail(v, -EBADMSG, key, "%s is no %s", shown ?: "it", type_name);
                return NULL;
        }
        return value;
}

static void add(Visit *v, const char *key, json_object *value) {
        if (v->state->error >= 0 && value && json_object_object_add(v->object, key, value) >= 0)
                return;
        json_object_put(value);
        visit_fail(v, -ENOMEM, key, "no memory");
}

static void enter_path(const Visit *v, Visit *inner, const char *key, size_t index) {
        char name[64];

        if (index == SIZE_MAX)
                (void) snprintf(name, sizeof(name), "%s.", key);
        else
                (void) snprintf(name, sizeof(name), "%s[%zu].", key, index);
        (void) snprintf(inner->path, sizeof(inner->path), "%.180s%s", v->path, name);
}

bool visit_enter(Visit *v, const char *key, bool there, Visit *inner) {
        json_object *object;

        if (v->state->error < 0)
                return false;
        if (v->writing) {
                if (!there)
                        return false;
                object = json_object_new_object();
                add(v, key, object);
        } else
                object = member(v, key, json_type_object, "object");
        if (!object || v->state->error < 0)
                return false;
        *inner = (Visit) { .state = v->state, .object = object, .writing = v->writing };
        enter_path(v, inner, key, SIZE_MAX);
        return true;
}

void visit_leave(Visit *v, Visit *inner) {
        (void) v, (void) inner;
}

static bool in_range_u64(json_object *value, uint64_t max, uint64_t *ret) {
        /* A negative number comes out as 0, one that is too large as the largest. */
        if (json_object_get_int64(value) < 0)
                return false;
        *ret = json_object_get_uint64(value);
        return *ret <= max;
}

static void bad_number(Visit *v, const char *key, json_object *value, const char *allowed) {
        _cleanup_free_ char *shown = text_shown(json_object_to_json_string(value) ?: "", 64);

        visit_fail(v, -EBADMSG, key, "%s is not allowed, %s is", shown ?: "it", allowed);
}

void visit_u64(Visit *v, const char *key, uint64_t *value, uint64_t max) {
        json_object *number;
        char allowed[64];

        if (v->writing) {
                if (*value != 0)
                        add(v, key, json_object_new_uint64(*value));
                return;
        }
        number = member(v, key, json_type_int, "number");
        if (!number || in_range_u64(number, max, value))
                return;
        (void) snprintf(allowed, sizeof(allowed), "0 to %" PRIu64, max);
        bad_number(v, key, number, allowed);
}

void visit_i64(Visit *v, const char *key, int64_t *value, int64_t min, int64_t max) {
        json_object *number;
        char allowed[64];

        if (v->writing) {
                if (*value != 0)
                        add(v, key, json_object_new_int64(*value));
                return;
        }
        number = member(v, key, json_type_int, "number");
        if (!number)
                return;
        *value = json_object_get_int64(number);
        if (*value >= min && *value <= max && (*value < 0 || json_object_get_uint64(number) <= INT64_MAX))
                return;
        (void) snprintf(allowed, sizeof(allowed), "%" PRId64 " to %" PRId64, min, max);
        bad_number(v, key, number, allowed);
}

void visit_u32(Visit *v, const char *key, uint32_t *value, uint32_t max) {
        uint64_t wide = *value;

        visit_u64(v, key, &wide, max);
        *value = (uint32_t) wide;
}

void visit_i32(Visit *v, const char *key, int32_t *value, int32_t min, int32_t max) {
        int64_t wide = *value;

        visit_i64(v, key, &wide, min, max);
        *value = (int32_t) wide;
}

void visit_bool(Visit *v, const char *key, bool *value) {
        json_object *object;

        if (v->writing) {
                if (*value)
                        add(v, key, json_object_new_boolean(true));
                return;
        }
        object = member(v, key, json_type_boolean, "boolean");
        *value = object && json_object_get_boolean(object);
}

void visit_index(Visit *v, const char *key, uint32_t *value, uint32_t max) {
        uint64_t wide = IMAGE_NONE;
        json_object *number;

        if (v->writing) {
                if (*value != IMAGE_NONE)
                        add(v, key, json_object_new_uint64(*value));
                return;
        }
        number = member(v, key, json_type_int, "number");
        if (number && !in_range_u64(number, max, &wide))
                bad_number(v, key, number, "the index of something that is there");
        *value = (uint32_t) wide;
}

void visit_letter(Visit *v, const char *key, char *value, const char *letters) {
        json_object *object;
        const char *text;

        if (v->writing) {
                add(v, key, json_object_new_string_len(value, 1));
                return;
        }
        object = member(v, key, json_type_string, "string");
        text = object ? json_object_get_string(object) : "";
        if (strlen(text) == 1 && strchr(letters, *text))
                *value = *text;
        else
                visit_fail(v, -EBADMSG, key, "must be one of the letters \"%s\"", letters);
}

void visit_string(Visit *v, const char *key, char **value, size_t max) {
        json_object *object;
        size_t n;

        if (v->writing) {
                if (*value)
                        add(v, key, json_object_new_string(*value));
                return;
        }
        object = member(v, key, json_type_string, "string");
        if (!object)
                return;
        n = (size_t) json_object_get_string_len(object);
        if (n > max || strlen(json_object_get_string(object)) != n) {
                visit_fail(v, -EBADMSG, key, n > max ? "has %zu bytes, allowed are %zu" : "has a NUL within its %zu bytes of %zu",
                           n, max);
                return;
        }
        *value = strdup(json_object_get_string(object));
        if (!*value)
                visit_fail(v, -ENOMEM, key, "no memory");
}

static json_object *new_numbers(const uint64_t *values, size_t n) {
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < n; i++)
                if (json_object_array_add(array, json_object_new_uint64(values[i])) < 0) {
                        json_object_put(array);
                        return NULL;
                }
        return array;
}

/* False and an error unless the array has n numbers, none above max. */
static bool read_numbers(Visit *v, const char *key, json_object *array, uint64_t *values, size_t n, uint64_t max) {
        if (!json_object_is_type(array, json_type_array) || json_object_array_length(array) != n) {
                visit_fail(v, -EBADMSG, key, "must have %zu numbers", n);
                return false;
        }
        for (size_t i = 0; i < n; i++) {
                json_object *number = json_object_array_get_idx(array, i);

                if (!json_object_is_type(number, json_type_int) || !in_range_u64(number, max, &values[i])) {
                        visit_fail(v, -EBADMSG, key, "number %zu is none from 0 to %" PRIu64, i + 1, max);
                        return false;
                }
        }
        return true;
}

void visit_blob(Visit *v, const char *key, ImageBlob *blob) {
        uint64_t values[] = { blob->offset, blob->size };
        json_object *array;

        if (v->writing) {
                if (blob->size > 0)
                        add(v, key, new_numbers(values, ELEMENTSOF(values)));
                return;
        }
        array = member(v, key, json_type_array, "array");
        if (!array || !read_numbers(v, key, array, values, ELEMENTSOF(values), INT64_MAX))
                return;
        *blob = (ImageBlob) { values[0], values[1] };
}

static bool count_items(Visit *v, const char *key, size_t n, size_t max) {
        v->state->items += n;
        if (n <= max && v->state->items <= ITEMS_MAX)
                return true;
        visit_fail(v, -EBADMSG, key, "has %zu members, allowed are %zu", n, n > max ? max : (size_t) 0);
        return false;
}

void visit_runs(Visit *v, const char *key, ImageRuns *runs) {
        json_object *array;
        size_t n;

        if (v->writing) {
                if (runs->n == 0)
                        return;
                array = json_object_new_array_ext((int) MIN(runs->n, (size_t) INT32_MAX));
                for (size_t i = 0; array && i < runs->n; i++) {
                        const ImageRun *run = runs->items + i;
                        uint64_t values[] = { run->address, run->size, run->file, run->offset, run->stored };

                        if (json_object_array_add(array, new_numbers(values, ELEMENTSOF(values))) < 0)
                                visit_fail(v, -ENOMEM, key, "no memory");
                }
                add(v, key, array);
                return;
        }
        array = member(v, key, json_type_array, "array");
        n = array ? json_object_array_length(array) : 0;
        if (n == 0 || !count_items(v, key, n, IMAGE_RUNS_MAX))
                return;
        runs->items = calloc(n, sizeof(ImageRun));
        if (!runs->items) {
                visit_fail(v, -ENOMEM, key, "no memory for %zu runs", n);
                return;
        }
        runs->n = runs->n_allocated = n;
        for (size_t i = 0; i < n; i++) {
                uint64_t values[5];

                if (!read_numbers(v, key, json_object_array_get_idx(array, i), values, ELEMENTSOF(values), INT64_MAX))
                        return;
                runs->items[i] = (ImageRun) { .address = values[0], .size = values[1], .file = (uint32_t) MIN(values[2], (uint64_t) IMAGE_NONE),
                                              .offset = values[3], .stored = values[4] };
        }
}

void visit_u64s(Visit *v, const char *key, uint64_t *values, size_t n) {
        bool any = false;
        json_object *array;

        if (v->writing) {
                for (size_t i = 0; i < n; i++)
                        any = any || values[i] != 0;
                if (any)
                        add(v, key, new_numbers(values, n));
                return;
        }
        array = member(v, key, json_type_array, "array");
        if (array)
                (void) read_numbers(v, key, array, values, n, UINT64_MAX);
}

void visit_u32s(Visit *v, const char *key, uint32_t *values, size_t n) {
        uint64_t wide[8] = {};

        for (size_t i = 0; i < n; i++)
                wide[i] = values[i];
        visit_u64s(v, key, wide, n);
        for (size_t i = 0; i < n; i++) {
                if (wide[i] > UINT32_MAX)
                        visit_fail(v, -EBADMSG, key, "number %zu is above %" PRIu32, i + 1, UINT32_MAX);
                values[i] = (uint32_t) wide[i];
        }
}

void visit_numbers(Visit *v, const char *key, void *values, size_t *n, size_t size, size_t max) {
        void **items = values;
        json_object *array;

        if (v->writing) {
                if (*n == 0)
                        return;
                array = json_object_new_array();
                for (size_t i = 0; array && i < *n; i++)
                        if (json_object_array_add(array, size == sizeof(uint32_t)
                                                  ? json_object_new_int64(((const uint32_t *) *items)[i])
                                                  : json_object_new_int64(((const int64_t *) *items)[i])) < 0)
                                visit_fail(v, -ENOMEM, key, "no memory");
                add(v, key, array);
                return;
        }
        array = member(v, key, json_type_array, "array");
        if (!array || json_object_array_length(array) == 0 || !count_items(v, key, json_object_array_length(array), max))
                return;
        *items = calloc(json_object_array_length(array), size);
        if (!*items) {
                visit_fail(v, -ENOMEM, key, "no memory");
                return;
        }
        *n = json_object_array_length(array);
        for (size_t i = 0; i < *n; i++) {
                json_object *number = json_object_array_get_idx(array, i);
                int64_t x = json_object_get_int64(number);

                if (!json_object_is_type(number, json_type_int) || (size == sizeof(uint32_t) && (x < 0 || x > UINT32_MAX))) {
                        visit_fail(v, -EBADMSG, key, "number %zu is none that is allowed", i + 1);
                        return;
                }
                if (size == sizeof(uint32_t))
                        ((uint32_t *) *items)[i] = (uint32_t) x;
                else
                        ((int64_t *) *items)[i] = x;
        }
}

int visit_name_index(Visit *v, const char *key, int value, const char *(*to_string)(int), int max) {
        _cleanup_free_ char *shown = NULL;
        json_object *object;
        const char *text;

        if (v->writing) {
                add(v, key, json_object_new_string(to_string(value)));
                return value;
        }
        object = member(v, key, json_type_string, "string");
        if (!object) {
                visit_fail(v, -EBADMSG, key, "is missing");
                return value;
        }
        text = json_object_get_string(object);
        for (int i = 0; i < max; i++)
                if (streq(text, to_string(i)))
                        return i;
        shown = text_shown(text, 64);
        visit_fail(v, -EBADMSG, key, "\"%s\" is none that is known", shown ?: "");
        return value;
}

void visit_items(Visit *v, const char *key, void **items, size_t *n, size_t size, size_t max,
                 void (*function)(Visit *v, void *item)) {
        json_object *array;

        if (v->state->error < 0 || (v->writing && *n == 0))
                return;
        if (v->writing) {
                array = json_object_new_array_ext((int) *n);
                add(v, key, array);
        } else {
                array = member(v, key, json_type_array, "array");
                if (!array || json_object_array_length(array) == 0 ||
                    !count_items(v, key, json_object_array_length(array), max))
                        return;
                *items = calloc(json_object_array_length(array), size);
                if (!*items) {
                        visit_fail(v, -ENOMEM, key, "no memory");
                        return;
                }
                *n = json_object_array_length(array);
        }
        for (size_t i = 0; v->state->error >= 0 && i < *n; i++) {
                Visit inner = { .state = v->state, .writing = v->writing };

                enter_path(v, &inner, key, i);
                if (v->writing) {
                        inner.object = json_object_new_object();
                        if (!inner.object || json_object_array_add(array, inner.object) < 0) {
                                json_object_put(inner.object);
                                visit_fail(v, -ENOMEM, key, "no memory");
                                return;
                        }
                } else {
                        inner.object = json_object_array_get_idx(array, i);
                        if (!json_object_is_type(inner.object, json_type_object)) {
                                visit_fail(&inner, -EBADMSG, "", "it is no object");
                                return;
                        }
                }
                function(&inner, (char *) *items + i * size);
        }
}
