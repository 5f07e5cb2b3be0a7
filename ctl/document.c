/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes to a profile's document. The keys are those of sentryd-profile(5). */

#include <limits.h>

#include "document.h"
#include "util.h"

/* The object or array under key, made when it is not there. Borrowed; NULL without memory. */
static json_object *child(json_object *parent, const char *key, json_type type) {
        json_object *found;

        if (json_object_object_get_ex(parent, key, &found) && json_object_is_type(found, type))
                return found;
        found = type == json_type_object ? json_object_new_object() : json_object_new_array();
        if (!found || json_object_object_add(parent, key, found) < 0) {
                json_object_put(found);
                return NULL;
        }
        return found;
}

static json_object *child_array(json_object *document, const char *section, const char *key) {
        json_object *object = section ? child(document, section, json_type_object) : document;

        return object ? child(object, key, json_type_array) : NULL;
}

static int set(json_object *object, const char *key, json_object *value) {
        if (!value || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static int append(json_object *array, json_object *value) {
        if (!array || !value || json_object_array_add(array, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int document_set_string(json_object *document, const char *section, const char *key, const char *value) {
        json_object *object = section ? child(document, section, json_type_object) : document;

        return object ? set(object, key, json_object_new_string(value)) : -ENOMEM;
}

int document_set_boolean(json_object *document, const char *section, const char *key, bool value) {
        json_object *object = section ? child(document, section, json_type_object) : document;

        return object ? set(object, key, json_object_new_boolean(value)) : -ENOMEM;
}

/* Removes the strings that are `name`, alone or followed by "=". */
static void remove_variable(json_object *array, const char *name, size_t length) {
        for (size_t i = json_object_array_length(array); i-- > 0;) {
                const char *item = json_object_get_string(json_object_array_get_idx(array, i));

                if (item && strncmp(item, name, length) == 0 && (item[length] == 0 || item[length] == '='))
                        json_object_array_del_idx(array, i, 1);
        }
}

int document_set_env(Ctl *ctl, json_object *document, const char *assignment) {
        size_t length = strcspn(assignment, "=");
        _cleanup_free_ char *text = strdup(assignment);
        json_object *env, *unset;
        const char *value;

        if (!text)
                return -ENOMEM;
        if (length == 0)
                return ctl_usage(ctl, "--env is NAME=VALUE or NAME, not '%s'", assignment);
        if (assignment[length] == 0) {
                value = getenv(assignment);
                if (!value)
                        return 0;
                if (string_appendf(&text, "=%s", value) < 0)
                        return -ENOMEM;
        }

        env = child_array(document, "process", "env");
        if (!env)
                return -ENOMEM;
        remove_variable(env, assignment, length);

        /* The last of --env and --unsetenv counts. */
        if (json_object_object_get_ex(document, "sentry", &unset) &&
            json_object_object_get_ex(unset, "unsetenv", &unset) && json_object_is_type(unset, json_type_array))
                remove_variable(unset, assignment, length);
        return append(env, json_object_new_string(text));
}

int document_unset_env(Ctl *ctl, json_object *document, const char *name) {
        json_object *array, *env;
        size_t length = strlen(name);

        if (length == 0 || strchr(name, '='))
                return ctl_usage(ctl, "--unsetenv is the name of a variable, not '%s'", name);

        array = child_array(document, "sentry", "unsetenv");
        if (!array)
                return -ENOMEM;
        remove_variable(array, name, length);
        if (json_object_object_get_ex(document, "process", &env) && json_object_object_get_ex(env, "env", &env) &&
            json_object_is_type(env, json_type_array))
                remove_variable(env, name, length);
        return append(array, json_object_new_string(name));
}

int document_set_capabilities(json_object *document, const char *list) {
        _cleanup_free_ char *copy = strdup(list);
        json_object *array = child_array(document, "process", "capabilities");
        char *state = NULL;
        int r = 0;

        if (!copy || !array)
                return -ENOMEM;
        for (char *word = strtok_r(copy, ",", &state); r >= 0 && word; word = strtok_r(NULL, ",", &state))
                r = append(array, json_object_new_string(word));
        return r;
}

int document_set_rlimit(json_object *document, const char *name, json_object *soft, json_object *hard) {
        json_object *array = child_array(document, "process", "rlimits"), *limit, *type;
        int r;

        if (!array)
                return -ENOMEM;
        for (size_t i = json_object_array_length(array); i-- > 0;) {
                limit = json_object_array_get_idx(array, i);
                if (json_object_object_get_ex(limit, "type", &type) && streq(json_object_get_string(type), name))
                        json_object_array_del_idx(array, i, 1);
        }

        limit = json_object_new_object();
        r = append(array, limit);
        if (r >= 0)
                r = set(limit, "type", json_object_new_string(name));
        if (r >= 0)
                r = set(limit, "soft", json_object_get(soft));
        if (r >= 0)
                r = set(limit, "hard", json_object_get(hard));
        return r;
}

int path_from_option(Ctl *ctl, const char *option, const char *value, char **ret) {
        _cleanup_free_ char *cwd = NULL, *path = NULL;
        int r;

        if (!*value)
                return ctl_usage(ctl, "%s needs a path, not an empty string", option);
        if (value[0] != '/') {
                cwd = getcwd(NULL, 0);
                if (!cwd)
                        return ctl_error("%s: the current directory cannot be found: %s", option, strerror(errno));
        }
        if (string_appendf(&path, "%s%s%s", cwd ?: "", cwd ? "/" : "", value) < 0)
                return ctl_oom();
        r = path_normalize(path, ret);
        if (r == -EXDEV)
                return ctl_usage(ctl, "%s: '%s' may not contain '..'", option, value);
        if (r < 0)
                return ctl_error("%s: '%s': %s", option, value, strerror(-r));
        return 0;
}

/* Splits "a:b", where "\:" is a colon, in place. Returns b, or NULL when there is none. */
static char *split(char *spec) {
        char *to = spec;

        for (char *from = spec; *from; from++) {
                if (from[0] == '\\' && from[1] == ':')
                        from++;
                else if (*from == ':') {
                        *to = 0;
                        return from + 1;
                }
                *to++ = *from;
        }
        *to = 0;
        return NULL;
}

static int add_mount(json_object *document, const char *type, const char *source, const char *destination,
                     const char *const *options) {
        json_object *mount = json_object_new_object(), *array;
        int r;

        r = append(child_array(document, NULL, "mounts"), mount);
        if (r < 0)
                return r;
        r = set(mount, "destination", json_object_new_string(destination));
        if (r >= 0)
                r = set(mount, "type", json_object_new_string(type));
        if (r >= 0 && source)
                r = set(mount, "source", json_object_new_string(source));
        if (r < 0 || !options)
                return r;
        array = child(mount, "options", json_type_array);
        for (size_t i = 0; r >= 0 && options[i]; i++)
                r = append(array, json_object_new_string(options[i]));
        return r;
}

int document_bind(Ctl *ctl, json_object *document, const char *option, const char *spec, bool read_only) {
        const char *const options[] = { "rbind", read_only ? "ro" : NULL, NULL };
        _cleanup_free_ char *copy = strdup(spec), *source = NULL, *destination = NULL;
        const char *to;
        int r;

        if (!copy)
                return -ENOMEM;
        to = split(copy);
        if (to)
                split((char *) to); /* only for its "\:" */
        if (!*copy || (to && !*to))
                return ctl_usage(ctl, "%s is SOURCE or SOURCE:DESTINATION, not '%s'", option, spec);

        source = realpath(copy, NULL);
        if (!source)
                return ctl_error("%s: %s: %s", option, copy, strerror(errno));
        /* Where a source with ".." or a link leads is its name inside, too, unless another is given. */
        if (!to && strstr(copy, ".."))
                to = source;
        r = path_from_option(ctl, option, to ?: copy, &destination);
        return r < 0 ? r : add_mount(document, "bind", source, destination, options);
}

int document_tmpfs(Ctl *ctl, json_object *document, const char *destination) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_from_option(ctl, "--tmpfs", destination, &path);
        return r < 0 ? r : add_mount(document, "tmpfs", NULL, path, NULL);
}
