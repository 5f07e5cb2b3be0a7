/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a name to a resolved document: the chain of "extends", each file checked on its own so that its problems have
 * its lines, and the merge. */

#include <limits.h>
#include <stdio.h>

#include "profile-internal.h"

static const char overrides_file[] = "command line";

/* A document of the chain. */
typedef struct Layer {
        char *name, *file;
        json_object *document; /* NULL: could not be parsed */
        Locator *locator;
} Layer;

/* [0] is the profile that was asked for, [n - 1] the one at the end of the chain. */
typedef struct Chain {
        Layer layers[PROFILE_EXTENDS_MAX + 1];
        size_t n;
} Chain;

static void layer_done(Layer *layer) {
        free(layer->name);
        free(layer->file);
        json_object_put(layer->document);
        locator_free(layer->locator);
        *layer = (Layer) {};
}

static void chain_done(Chain *chain) {
        while (chain->n > 0)
                layer_done(&chain->layers[--chain->n]);
}

/* A complaint outside of any reader. Returns the error to go on with. */
__attribute__((format(printf, 6, 7))) static int load_complain(ProfileProblems *problems, int error, const char *file,
                                                               unsigned line, const KeyPath *path,
                                                               const char *format, ...) {
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0) {
                message = NULL;
                return -ENOMEM;
        }

        r = profile_problem_add(problems, file, line, path, message);
        return r < 0 ? r : error;
}

/* "no such profile", where it was looked for and what there is instead. */
static int complain_missing(char *const *search_path, const char *name, const char *file, unsigned line,
                            const KeyPath *path, ProfileProblems *problems) {
        _cleanup_free_ char *shown = text_shown(name, 80), *searched = NULL;
        Nearest nearest = { .distance = UINT_MAX };
        ProfileListing *listing = NULL;
        const char *word;
        size_t n = 0;
        int r;

        if (!shown)
                return -ENOMEM;
        if (!profile_name_is_valid(name))
                return load_complain(problems, -ENOENT, file, line, path,
                                     "\"%s\" is no name of a profile: up to 64 letters, digits, '_', '-' and '.', "
                                     "without directory", shown);

        searched = strv_join(search_path, ", ");
        if (!searched)
                return -ENOMEM;
        r = profile_list(search_path, &listing, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                nearest_consider(&nearest, name, listing[i].name);
        word = nearest_word(&nearest, name);
        r = load_complain(problems, -ENOENT, file, line, path, "there is no profile \"%s\"%s%s%s (no %s.json in %s)",
                          shown, word ? "; did you mean \"" : "", word ?: "", word ? "\"?" : "", shown,
                          searched[0] ? searched : "an empty search path");
        profile_listing_free(listing, n);
        return r;
}

/* Reads the file and checks it by itself. */
static int layer_load(Layer *layer, ProfileProblems *problems) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = read_full_file(layer->file, PROFILE_TEXT_MAX, &text, &size);
        if (r == -ENOMEM)
                return r;
        if (r == -EFBIG)
                return load_complain(problems, -EBADMSG, layer->file, 0, NULL,
                                     "the file is too large; at most %u bytes are allowed", PROFILE_TEXT_MAX);
        if (r == -EINVAL)
                return load_complain(problems, -EBADMSG, layer->file, 0, NULL, "this is no regular file");
        if (r < 0)
                return load_complain(problems, -EBADMSG, layer->file, 0, NULL, "cannot be read: %s", strerror(-r));

        r = profile_document_new(text, size, layer->file, true, problems, &layer->document, &layer->locator);
        if (r < 0)
                return r;

        ProfileSource source = { .file = layer->file, .locator = layer->locator };
        return profile_document_read(layer->document, PROFILE_DOCUMENT_FILE, &source, 1, problems, NULL);
}

/* What the layer extends, or NULL: nothing, or no name (which was complained of). */
static const char *layer_extends(const Layer *layer) {
        json_object *sentry, *extends;

        if (!layer->document || !json_object_object_get_ex(layer->document, "sentry", &sentry) ||
            !json_object_is_type(sentry, json_type_object) ||
            !json_object_object_get_ex(sentry, "extends", &extends) ||
            !json_object_is_type(extends, json_type_string))
                return NULL;

        const char *name = json_object_get_string(extends);
        return profile_name_is_valid(name) ? name : NULL;
}

/* "a → b → a" */
static int complain_loop(const Chain *chain, size_t from, const char *name, const char *file, unsigned line,
                         const KeyPath *path, ProfileProblems *problems) {
        _cleanup_free_ char *way = NULL;

        for (size_t i = from; i < chain->n; i++)
                if (string_appendf(&way, "%s → ", chain->layers[i].name) < 0)
                        return -ENOMEM;
        return load_complain(problems, -EBADMSG, file, line, path, "the profile extends itself: %s%s", way, name);
}

/* Loads name and all that it extends. -EBADMSG and -ENOENT leave as much of the chain as there is; the first
 * error decides. */
static int chain_load(Chain *chain, char *const *search_path, const char *name, ProfileProblems *problems) {
        static const KeyPath sentry_path = { .key = "sentry" };
        static const KeyPath extends_path = { .up = &sentry_path, .key = "extends" };
        const Layer *from = NULL;
        int error = 0;

        while (name) {
                _cleanup_free_ char *file = NULL;
                const char *blamed = from ? from->file : "";
                const KeyPath *path = from ? &extends_path : NULL;
                unsigned line = from ? locator_find(from->locator, path, NULL) : 0;

                for (size_t i = 0; i < chain->n; i++)
                        if (streq(chain->layers[i].name, name))
                                return complain_loop(chain, i, name, blamed, line, path, problems);
                if (chain->n >= ELEMENTSOF(chain->layers))
                        return load_complain(problems, -EBADMSG, blamed, line, path,
                                             "the chain of profiles that extend each other is too long; at most %u "
                                             "are followed", PROFILE_EXTENDS_MAX);

                int r = profile_find(search_path, name, &file);
                if (r == -ENOENT || r == -EINVAL)
                        return complain_missing(search_path, name, blamed, line, path, problems);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return load_complain(problems, -EBADMSG, blamed, line, path,
                                             "cannot look for the profile \"%s\": %s", name, strerror(-r));

                Layer *layer = &chain->layers[chain->n++];
                layer->file = TAKE_PTR(file);
                layer->name = strdup(name);
                if (!layer->name)
                        return -ENOMEM;
                r = layer_load(layer, problems);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 && error == 0)
                        error = r;

                from = layer;
                name = layer_extends(layer);
        }

        return error;
}

/* What makes an element of an array the same as one below it. */
typedef int (*MergeKey)(json_object *element, char **ret);

static int env_key(json_object *element, char **ret) {
        const char *text = json_object_get_string(element);

        *ret = strndup(text, env_name_length(text));
        return *ret ? 0 : -ENOMEM;
}

static int mount_key(json_object *element, char **ret) {
        return path_normalize(json_object_get_string(json_object_object_get(element, "destination")), ret);
}

/* Appends what is new, and puts what has the key of an element there in its place: the order of mounts stays. */
static int merge_array(json_object *below, json_object *above, MergeKey key_of) {
        _cleanup_json_ json_object *positions = json_object_new_object(); /* key → index in below */
        size_t n_below = json_object_array_length(below), n_above = json_object_array_length(above);

        if (!positions)
                return -ENOMEM;

        for (size_t i = 0; i < n_below + n_above; i++) {
                json_object *element = i < n_below ? json_object_array_get_idx(below, i) :
                                                     json_object_array_get_idx(above, i - n_below);
                size_t at = i < n_below ? i : json_object_array_length(below);
                _cleanup_free_ char *key = NULL;
                json_object *position;

                int r = key_of(element, &key);
                if (r < 0)
                        return r;
                if (i >= n_below) {
                        if (json_object_object_get_ex(positions, key, &position))
                                at = (size_t) json_object_get_int64(position);
                        if (json_object_array_put_idx(below, at, json_object_get(element)) < 0) {
                                json_object_put(element);
                                return -ENOMEM;
                        }
                }

                position = json_object_new_int64((int64_t) at);
                if (!position || json_object_object_add(positions, key, position) < 0) {
                        json_object_put(position);
                        return -ENOMEM;
                }
        }

        return 0;
}

/* Lays above over below. Both are valid by the schema, which bounds the recursion. path names the object, for the
 * two arrays that are merged. */
static int merge_object(json_object *below, json_object *above, const char *path) {
        json_object_object_foreach(above, key, value) {
                json_object *present;
                int r;

                if (json_object_object_get_ex(below, key, &present)) {
                        r = 1;
                        if (json_object_is_type(present, json_type_object) &&
                            json_object_is_type(value, json_type_object))
                                r = merge_object(present, value, key);
                        else if (streq(path, "") && streq(key, "mounts"))
                                r = merge_array(present, value, mount_key);
                        else if (streq(path, "process") && streq(key, "env"))
                                r = merge_array(present, value, env_key);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                continue;
                }

                if (json_object_object_add(below, key, json_object_get(value)) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }

        return 0;
}

static void forget_key(json_object *document, const char *key) {
        json_object *sentry;

        if (json_object_object_get_ex(document, "sentry", &sentry))
                json_object_object_del(sentry, key);
}

/* All layers from the end of the chain up, then the overrides. */
static int chain_merge(const Chain *chain, json_object *overrides, json_object **ret) {
        _cleanup_json_ json_object *merged = json_object_new_object();

        if (!merged)
                return -ENOMEM;

        for (size_t i = chain->n + 1; i > 0; i--) {
                json_object *above = i > 1 ? chain->layers[i - 2].document : overrides;
                _cleanup_json_ json_object *copy = NULL;

                if (!above)
                        continue;

                /* A copy, for parts of it go into the merged document and are merged into in turn. A description
                 * says what its own file is for. */
                if (json_object_deep_copy(above, &copy, NULL) < 0)
                        return -ENOMEM;
                if (i > 1) {
                        forget_key(merged, "description");
                        forget_key(copy, "extends");
                }
                int r = merge_object(merged, copy, "");
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(merged);
        return 0;
}

/* The merged document must hold as a whole: what no file is to blame for alone. */
static int chain_check(const Chain *chain, const Locator *overrides, json_object *merged, const char *text,
                       ProfileProblems *problems) {
        ProfileSource sources[ELEMENTSOF(chain->layers) + 1];
        size_t n = 0, size = strlen(text);

        for (size_t i = chain->n; i > 0; i--)
                sources[n++] = (ProfileSource) {
                        .file = chain->layers[i - 1].file,
                        .locator = chain->layers[i - 1].locator,
                };
        if (overrides)
                sources[n++] = (ProfileSource) { .file = overrides_file, .locator = overrides, .without_lines = true };

        if (size > PROFILE_TEXT_MAX)
                return load_complain(problems, -EBADMSG, chain->layers[0].file, 0, NULL,
                                     "with all that it extends and with the overrides the profile has %zu bytes; at "
                                     "most %u are allowed", size, PROFILE_TEXT_MAX);

        return profile_document_read(merged, PROFILE_DOCUMENT_RESOLVED, sources, n, problems, NULL);
}

static int overrides_load(const char *text, ProfileProblems *problems, json_object **ret, Locator **ret_locator) {
        int r = profile_document_new(text, strlen(text), overrides_file, false, problems, ret, ret_locator);
        if (r < 0)
                return r;

        ProfileSource source = { .file = overrides_file, .locator = *ret_locator, .without_lines = true };
        return profile_document_read(*ret, PROFILE_DOCUMENT_OVERRIDES, &source, 1, problems, NULL);
}

int profile_load(char *const *search_path, const char *name, const char *overrides, char **ret_document,
                 ProfileProblems *ret_problems) {
        _cleanup_json_ json_object *over = NULL, *merged = NULL;
        _cleanup_(locator_freep) Locator *over_locator = NULL;
        _cleanup_(chain_done) Chain chain = {};
        const char *text;
        int r, q = 0;

        *ret_problems = (ProfileProblems) {};

        r = chain_load(&chain, search_path, name, ret_problems);
        if (r == -ENOMEM)
                return r;
        if (overrides)
                q = overrides_load(overrides, ret_problems, &over, &over_locator);
        if (q == -ENOMEM || r < 0 || q < 0)
                return q == -ENOMEM || r == 0 ? q : r;

        r = chain_merge(&chain, over, &merged);
        if (r < 0)
                return r;

        /* For people as well: with lines, that the problems of profile_parse() can name. */
        text = json_object_to_json_string_ext(merged, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text)
                return -ENOMEM;
        r = chain_check(&chain, over_locator, merged, text, ret_problems);
        if (r < 0)
                return r;

        *ret_document = strdup(text);
        return *ret_document ? 0 : -ENOMEM;
}
