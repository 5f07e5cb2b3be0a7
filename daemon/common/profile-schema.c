/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading an object by a table of its keys: unknown and missing keys, wrong types; and complaints that say where,
 * what was seen and what is allowed. */

#include <stdio.h>

#include "profile-internal.h"

bool profile_reader_is_full(const ProfileReader *reader) {
        return reader->error < 0 || (reader->bad && reader->problems->n_items >= PROFILE_PROBLEMS_MAX);
}

bool profile_reader_good(ProfileReader *reader, int r) {
        if (r < 0 && reader->error == 0)
                reader->error = r;
        return r >= 0;
}

/* The file and line to blame: those of the topmost source that has the key. An element of an array that was
 * merged stands elsewhere in the sources, so that there the array itself is looked for. */
static void profile_reader_locate(const ProfileReader *reader, const KeyPath *path, const char **ret_file,
                                  unsigned *ret_line) {
        const ProfileSource *top = &reader->sources[reader->n_sources - 1];

        if (reader->n_sources > 1)
                for (const KeyPath *p = path; p; p = p->up)
                        if (!p->key)
                                path = p->up;

        for (size_t i = reader->n_sources; i > 0; i--) {
                const ProfileSource *source = &reader->sources[i - 1];
                bool found;
                unsigned line = locator_find(source->locator, path, &found);

                if (found) {
                        *ret_file = source->file;
                        *ret_line = source->without_lines ? 0 : line;
                        return;
                }
        }

        /* Nobody has it: it is missing, where its nearest container is. */
        *ret_file = top->file;
        *ret_line = reader->n_sources == 1 && !top->without_lines ? locator_find(top->locator, path, NULL) : 0;
}

void profile_complain(ProfileReader *reader, const KeyPath *path, const char *format, ...) {
        _cleanup_free_ char *message = NULL;
        const char *file;
        unsigned line;
        va_list ap;

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return;

        va_start(ap, format);
        int r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0) {
                message = NULL;
                reader->error = -ENOMEM;
                return;
        }

        profile_reader_locate(reader, path, &file, &line);
        profile_reader_good(reader, profile_problem_add(reader->problems, file, line, path, message));
}

static const char *type_to_string(json_type type) {
        switch (type) {
        case json_type_null:
                return "null";
        case json_type_boolean:
                return "a boolean";
        case json_type_double:
                return "a number that is no integer";
        case json_type_int:
                return "a number";
        case json_type_object:
                return "an object";
        case json_type_array:
                return "an array";
        case json_type_string:
                return "a string";
        }
        return "of an unknown type";
}

static char *value_shown(json_object *value) {
        switch (json_object_get_type(value)) {
        case json_type_object:
                return strdup(json_object_object_length(value) == 0 ? "{}" : "{…}");
        case json_type_array:
                return strdup(json_object_array_length(value) == 0 ? "[]" : "[…]");
        default: {
                const char *text =
                        json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

                return text ? text_shown(text, 80) : NULL;
        }
        }
}

void profile_complain_value(ProfileReader *reader, const KeyPath *path, const char *allowed, json_object *value,
                            const char *nearest) {
        reader->bad = true;
        if (profile_reader_is_full(reader))
                return;

        _cleanup_free_ char *shown = value_shown(value);
        if (!profile_reader_good(reader, shown ? 0 : -ENOMEM))
                return;

        profile_complain(reader, path, "expected %s, found %s%s%s%s", allowed, shown,
                         nearest ? "; did you mean \"" : "", nearest ?: "", nearest ? "\"?" : "");
}

bool schema_check_type(ProfileReader *reader, const KeyPath *path, unsigned types, const char *allowed,
                       json_object *value) {
        static const unsigned bits[] = {
                [json_type_null] = 0,
                [json_type_boolean] = SCHEMA_BOOLEAN,
                [json_type_double] = 0,
                [json_type_int] = SCHEMA_INTEGER,
                [json_type_object] = SCHEMA_OBJECT,
                [json_type_array] = SCHEMA_ARRAY,
                [json_type_string] = SCHEMA_STRING,
        };
        json_type type = json_object_get_type(value);

        if ((types & bits[type]) != 0)
                return true;

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return false;
        _cleanup_free_ char *shown = value_shown(value);
        if (profile_reader_good(reader, shown ? 0 : -ENOMEM))
                profile_complain(reader, path, "expected %s, found %s%s%s", allowed, shown,
                                 type == json_type_null ? "" : ", ",
                                 type == json_type_null ? "" : type_to_string(type));
        return false;
}

void nearest_consider(Nearest *nearest, const char *seen, const char *candidate) {
        unsigned distance = text_distance(seen, candidate);

        if (distance < nearest->distance)
                *nearest = (Nearest) { .word = candidate, .distance = distance };
}

/* Near enough: at most half of what was written is wrong. Anything further would be a guess. */
const char *nearest_word(const Nearest *nearest, const char *seen) {
        if (!nearest->word || nearest->distance == UINT32_MAX ||
            nearest->distance * 2 > MAX(strlen(seen), strlen(nearest->word)))
                return NULL;
        return nearest->word;
}

/* Where else the schema knows the key of this name: "sentry." and the like into prefix. */
static bool schema_find_elsewhere(const Schema *schema, const char *name, char *prefix, size_t size) {
        for (size_t i = 0; i < schema->n_keys; i++) {
                const SchemaKey *key = &schema->keys[i];

                if (streq(key->name, name))
                        return true;
                if (!key->members)
                        continue;

                size_t used = strlen(prefix);
                if (used + strlen(key->name) + 4 > size)
                        continue;
                sprintf(prefix + used, "%s%s", key->name, (key->types & SCHEMA_ARRAY) != 0 ? "[]." : ".");
                if (schema_find_elsewhere(key->members, name, prefix, size))
                        return true;
                prefix[used] = '\0';
        }

        return false;
}

static void schema_complain_unknown(ProfileReader *reader, const KeyPath *path, const Schema *schema) {
        Nearest nearest = { .distance = UINT32_MAX };
        _cleanup_free_ char *known = NULL;
        char prefix[64] = "";
        const char *word;

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return;

        for (size_t i = 0; i < schema->n_keys; i++) {
                nearest_consider(&nearest, path->key, schema->keys[i].name);
                if (!profile_reader_good(reader, string_appendf(&known, "%s%s", i > 0 ? ", " : "",
                                                                schema->keys[i].name)))
                        return;
        }

        word = nearest_word(&nearest, path->key);
        if (!word && schema_find_elsewhere(&profile_schema, path->key, prefix, sizeof prefix))
                profile_complain(reader, path, "unknown key; did you mean \"%s%s\"? Known here: %s", prefix, path->key,
                                 known);
        else if (word)
                profile_complain(reader, path, "unknown key; did you mean \"%s\"? Known here: %s", word, known);
        else
                profile_complain(reader, path, "unknown key. Known here: %s", known);
}

static const SchemaKey *schema_find(const Schema *schema, const char *name) {
        for (size_t i = 0; i < schema->n_keys; i++)
                if (streq(schema->keys[i].name, name))
                        return &schema->keys[i];
        return NULL;
}

void schema_read_object(ProfileReader *reader, const KeyPath *path, const Schema *schema, json_object *object,
                        void *target) {
        json_object_object_foreach(object, name, value) {
                const SchemaKey *key = schema_find(schema, name);
                KeyPath member = { .up = path, .key = name };

                if (reader->error < 0)
                        return;
                if (!key)
                        schema_complain_unknown(reader, &member, schema);
                else if (!schema_check_type(reader, &member, key->types, key->allowed, value))
                        ;
                else if (key->read)
                        key->read(reader, &member, key, value, target);
                else
                        schema_read_object(reader, &member, key->members, value, target);
        }

        for (size_t i = 0; i < schema->n_keys; i++) {
                KeyPath member = { .up = path, .key = schema->keys[i].name };

                if (schema->keys[i].required && !json_object_object_get_ex(object, schema->keys[i].name, NULL))
                        profile_complain(reader, &member, "missing; expected %s", schema->keys[i].allowed);
        }
}
