/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The values of a profile's keys, all but the mounts: what is allowed, and how it is read. */

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "ns/mount.h"
#include "profile-internal.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define UTS_TEXT_MAX 64U /* __NEW_UTS_LEN */

static char **target_string(const SchemaKey *key, void *target) {
        return (char **) ((char *) target + key->offset);
}

/* Puts a copy into *ret, in place of what is there. */
static void replace_string(ProfileReader *reader, char **ret, const char *value) {
        char *copy = strdup(value);

        if (!profile_reader_good(reader, copy ? 0 : -ENOMEM))
                return;
        free(*ret);
        *ret = copy;
}

static bool has_control_character(const char *text) {
        for (; *text; text++)
                if ((unsigned char) *text < ' ' || *text == 0x7F)
                        return true;
        return false;
}

int read_word(ProfileReader *reader, const KeyPath *path, const char *const *words, size_t n_words,
              json_object *value) {
        _cleanup_free_ char *allowed = NULL;
        Nearest nearest = { .distance = UINT_MAX };
        const char *seen;

        if (json_object_is_type(value, json_type_string)) {
                seen = json_object_get_string(value);
                for (size_t i = 0; i < n_words; i++)
                        if (streq(words[i], seen))
                                return (int) i;
        } else
                seen = "";

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return -1;

        for (size_t i = 0; i < n_words; i++) {
                const char *before = i == 0 ? "" : i == n_words - 1 ? " or " : ", ";

                nearest_consider(&nearest, seen, words[i]);
                if (!profile_reader_good(reader, string_appendf(&allowed, "%s\"%s\"", before, words[i])))
                        return -1;
        }
        profile_complain_value(reader, path, allowed, value, nearest_word(&nearest, seen));
        return -1;
}

void read_boolean(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                  void *target) {
        *(bool *) ((char *) target + key->offset) = json_object_get_boolean(value);
}

/* As sethostname(2) has it, less what would be no name in a prompt or in a path. */
void read_domain(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                 void *target) {
        const char *name = json_object_get_string(value);
        size_t n = strlen(name);

        if (n == 0 || n > UTS_TEXT_MAX || strchr(name, '/') || has_control_character(name))
                profile_complain_value(reader, path, key->allowed, value, NULL);
        else
                replace_string(reader, target_string(key, target), name);
}

void read_kernel_text(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                      void *target) {
        const char *text = json_object_get_string(value);
        size_t n = strlen(text);
        bool good = n > 0 && n <= UTS_TEXT_MAX;

        for (const char *p = text; good && *p; p++)
                good = *p >= ' ' && *p < 0x7F;
        if (good)
                replace_string(reader, target_string(key, target), text);
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

void read_path(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value, void *target) {
        const char *text = json_object_get_string(value);
        _cleanup_free_ char *normalized = NULL;

        int r = path_normalize(text, &normalized);
        if (r == -EINVAL && text[0] == '~')
                profile_complain_value(reader, path, "an absolute path (\"~\" is not expanded)", value, NULL);
        else if (r == -ENAMETOOLONG)
                profile_complain_value(reader, path, "a path of at most 4095 bytes, 255 in a component", value, NULL);
        else if (r == -EINVAL || r == -EXDEV)
                profile_complain_value(reader, path, key->allowed, value, NULL);
        else if (profile_reader_good(reader, r)) {
                free(*target_string(key, target));
                *target_string(key, target) = TAKE_PTR(normalized);
        }
}

size_t env_name_length(const char *assignment) {
        size_t n = strcspn(assignment, "=");

        return assignment[n] == '=' ? n : 0;
}

/* Whether an array is short enough to be looked at. */
static bool check_count(ProfileReader *reader, const KeyPath *path, json_object *array, unsigned max) {
        size_t n = json_object_array_length(array);

        if (n <= max)
                return true;
        profile_complain(reader, path, "%zu elements; at most %u are allowed", n, max);
        return false;
}

void read_env(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value, void *target) {
        Profile *profile = reader->profile;
        size_t n = json_object_array_length(value), used = 0;

        if (!check_count(reader, path, value, PROFILE_ENV_MAX))
                return;

        profile->env = strv_free(profile->env);
        profile->env = calloc(n + 1, sizeof(char *));
        if (!profile_reader_good(reader, profile->env ? 0 : -ENOMEM))
                return;

        for (size_t i = 0; i < n && reader->error == 0; i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                bool twice = false;

                if (!schema_check_type(reader, &at, SCHEMA_STRING, "a string \"NAME=VALUE\"", element))
                        continue;
                const char *text = json_object_get_string(element);
                size_t length = env_name_length(text);
                if (length == 0) {
                        profile_complain_value(reader, &at, "\"NAME=VALUE\"", element, NULL);
                        continue;
                }
                for (size_t j = 0; j < used && !twice; j++)
                        twice = strncmp(profile->env[j], text, length + 1) == 0;
                if (twice) {
                        profile_complain_value(reader, &at, "each variable once", element, NULL);
                        continue;
                }

                profile->env[used] = strdup(text);
                if (profile_reader_good(reader, profile->env[used] ? 0 : -ENOMEM))
                        used++;
        }
}

void read_unsetenv(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                   void *target) {
        Profile *profile = reader->profile;
        size_t n = json_object_array_length(value), used = 0;

        if (!check_count(reader, path, value, PROFILE_ENV_MAX))
                return;

        profile->unsetenv = strv_free(profile->unsetenv);
        profile->unsetenv = calloc(n + 1, sizeof(char *));
        if (!profile_reader_good(reader, profile->unsetenv ? 0 : -ENOMEM))
                return;

        for (size_t i = 0; i < n && reader->error == 0; i++) {
                static const char allowed[] = "the name of a variable (without \"=\")";
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };

                if (!schema_check_type(reader, &at, SCHEMA_STRING, allowed, element))
                        continue;
                const char *name = json_object_get_string(element);
                if (name[0] == '\0' || strchr(name, '=')) {
                        profile_complain_value(reader, &at, allowed, element, NULL);
                        continue;
                }

                profile->unsetenv[used] = strdup(name);
                if (profile_reader_good(reader, profile->unsetenv[used] ? 0 : -ENOMEM))
                        used++;
        }
}

void read_env_mode(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                   void *target) {
        static const char *const words[] = { "keep", "clear" };

        reader->profile->clear_env = read_word(reader, path, words, ELEMENTSOF(words), value) == 1;
}

/* libcap knows the names in lower case, takes numbers for names, and knows which the running kernel has. */
static int capability_from_name(const char *name) {
        char lower[64];
        cap_value_t cap;
        size_t n = 0;

        if (!startswith(name, "CAP_"))
                return -EINVAL;
        for (; name[n]; n++) {
                if (n >= sizeof lower - 1 ||
                    !((name[n] >= 'A' && name[n] <= 'Z') || (name[n] >= '0' && name[n] <= '9') || name[n] == '_'))
                        return -EINVAL;
                lower[n] = (char) (name[n] >= 'A' && name[n] <= 'Z' ? name[n] | 0x20 : name[n]);
        }
        lower[n] = '\0';

        if (cap_from_name(lower, &cap) < 0 || cap < 0 || cap >= 64)
                return -EINVAL;
        return cap;
}

static void complain_capability(ProfileReader *reader, const KeyPath *path, json_object *value) {
        const char *seen = json_object_get_string(value);
        unsigned best = UINT_MAX;
        char word[64] = "";

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return;

        for (cap_value_t cap = 0; cap < 64; cap++) {
                char *name = cap_to_name(cap);

                /* Those without a name come as numbers. */
                if (name && startswith(name, "cap_")) {
                        unsigned distance = text_distance(seen, name);

                        /* "SYS_ADMIN" is CAP_SYS_ADMIN, four letters away. */
                        distance = MIN(distance, text_distance(seen, name + 4));
                        if (distance < best && strlen(name) < sizeof word) {
                                best = distance;
                                strcpy(word, name);
                        }
                }
                cap_free(name);
        }
        for (char *p = word; *p; p++)
                *p = (char) (*p >= 'a' && *p <= 'z' ? *p & ~0x20 : *p);

        profile_complain_value(reader, path, "the name of a capability as in capabilities(7), in upper case, such as "
                               "\"CAP_SYS_NICE\"", value, best <= 4 ? word : NULL);
}

void read_capabilities(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                       void *target) {
        uint64_t *capabilities = (uint64_t *) ((char *) target + key->offset);
        size_t n = json_object_array_length(value);

        *capabilities = 0;
        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };

                if (!schema_check_type(reader, &at, SCHEMA_STRING, "the name of a capability", element))
                        continue;
                int cap = capability_from_name(json_object_get_string(element));
                if (cap < 0)
                        complain_capability(reader, &at, element);
                else
                        *capabilities |= UINT64_C(1) << cap;
        }
}

/* OCI's five sets. There is no way from one to another (no_new_privs), so that what counts is what is permitted in the end. */
static const SchemaKey capability_set_keys[] = {
        { .name = "bounding", .types = SCHEMA_ARRAY, .allowed = "an array of capability names", .read = read_capabilities,
          .offset = 0 * sizeof(uint64_t) },
        { .name = "effective", .types = SCHEMA_ARRAY, .allowed = "an array of capability names", .read = read_capabilities,
          .offset = 1 * sizeof(uint64_t) },
        { .name = "inheritable", .types = SCHEMA_ARRAY, .allowed = "an array of capability names", .read = read_capabilities,
          .offset = 2 * sizeof(uint64_t) },
        { .name = "permitted", .types = SCHEMA_ARRAY, .allowed = "an array of capability names", .read = read_capabilities,
          .offset = 3 * sizeof(uint64_t) },
        { .name = "ambient", .types = SCHEMA_ARRAY, .allowed = "an array of capability names", .read = read_capabilities,
          .offset = 4 * sizeof(uint64_t) },
};
static const Schema capability_sets_schema = SCHEMA(capability_set_keys);

void read_capability_sets(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                          void *target) {
        SchemaKey one = *key;
        uint64_t sets[ELEMENTSOF(capability_set_keys)] = {};

        reader->profile->capabilities_given = true;
        one.offset = offsetof(Profile, capabilities);
        if (json_object_is_type(value, json_type_array)) {
                read_capabilities(reader, path, &one, value, target);
                return;
        }
        schema_read_object(reader, path, &capability_sets_schema, value, sets);
        reader->profile->capabilities = sets[1] | sets[3] | sets[4];
}

static const char *const rlimit_names[] = {
        [RLIMIT_CPU] = "RLIMIT_CPU",
        [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
        [RLIMIT_DATA] = "RLIMIT_DATA",
        [RLIMIT_STACK] = "RLIMIT_STACK",
        [RLIMIT_CORE] = "RLIMIT_CORE",
        [RLIMIT_RSS] = "RLIMIT_RSS",
        [RLIMIT_NPROC] = "RLIMIT_NPROC",
        [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
        [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
        [RLIMIT_AS] = "RLIMIT_AS",
        [RLIMIT_LOCKS] = "RLIMIT_LOCKS",
        [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
        [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
        [RLIMIT_NICE] = "RLIMIT_NICE",
        [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",
        [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
};

const char *profile_rlimit_name(unsigned resource) {
        return resource < ELEMENTSOF(rlimit_names) ? rlimit_names[resource] : NULL;
}

typedef struct RlimitTarget {
        int resource; /* -1: none read, or a bad one */
        rlim_t soft, hard;
        bool has_soft, has_hard;
} RlimitTarget;

static void read_rlimit_type(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                             void *target) {
        RlimitTarget *rlimit = target;

        rlimit->resource = read_word(reader, path, rlimit_names, ELEMENTSOF(rlimit_names), value);
}

static bool read_rlimit_number(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                               rlim_t *ret) {
        if (json_object_is_type(value, json_type_string)) {
                const char *text = json_object_get_string(value);

                if (streq(text, "infinity") || streq(text, "unlimited")) {
                        *ret = RLIM_INFINITY;
                        return true;
                }
        } else if (json_object_get_int64(value) >= 0) { /* clamped to what fits */
                *ret = json_object_get_uint64(value);
                return true;
        }

        profile_complain_value(reader, path, key->allowed, value, NULL);
        return false;
}

static void read_rlimit_soft(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                             void *target) {
        RlimitTarget *rlimit = target;

        rlimit->has_soft = read_rlimit_number(reader, path, key, value, &rlimit->soft);
}

static void read_rlimit_hard(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                             void *target) {
        RlimitTarget *rlimit = target;

        rlimit->has_hard = read_rlimit_number(reader, path, key, value, &rlimit->hard);
}

#define ALLOWED_LIMIT "a number that is not negative, or \"infinity\""
static const SchemaKey rlimit_keys[] = {
        { .name = "type", .types = SCHEMA_STRING, .allowed = "the name of a limit such as \"RLIMIT_NOFILE\"",
          .read = read_rlimit_type, .required = true },
        { .name = "soft", .types = SCHEMA_INTEGER | SCHEMA_STRING, .allowed = ALLOWED_LIMIT,
          .read = read_rlimit_soft, .required = true },
        { .name = "hard", .types = SCHEMA_INTEGER | SCHEMA_STRING, .allowed = ALLOWED_LIMIT,
          .read = read_rlimit_hard, .required = true },
};
static const Schema rlimit_schema = SCHEMA(rlimit_keys);

static void add_rlimit(ProfileReader *reader, const KeyPath *path, const RlimitTarget *rlimit) {
        static const char *const infinity = "infinity";
        Profile *profile = reader->profile;

        if (rlimit->has_soft && rlimit->has_hard && rlimit->soft > rlimit->hard) {
                char soft[32], hard[32];

                snprintf(soft, sizeof soft, "%llu", (unsigned long long) rlimit->soft);
                snprintf(hard, sizeof hard, "%llu", (unsigned long long) rlimit->hard);
                profile_complain(reader, path, "the soft limit (%s) is higher than the hard one (%s)",
                                 rlimit->soft == RLIM_INFINITY ? infinity : soft, hard);
                return;
        }
        if (rlimit->resource < 0)
                return;

        for (size_t i = 0; i < profile->n_rlimits; i++)
                if (profile->rlimits[i].resource == rlimit->resource) {
                        profile_complain(reader, path, "%s is set twice", rlimit_names[rlimit->resource]);
                        return;
                }

        /* Room for one of each kind, and each comes once. */
        profile->rlimits[profile->n_rlimits++] = (ProfileRlimit) {
                .resource = rlimit->resource,
                .limit = { .rlim_cur = rlimit->soft, .rlim_max = rlimit->hard },
        };
}

void read_rlimits(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                  void *target) {
        Profile *profile = reader->profile;

        if (!profile->rlimits)
                profile->rlimits = calloc(ELEMENTSOF(rlimit_names), sizeof(ProfileRlimit));
        if (!profile_reader_good(reader, profile->rlimits ? 0 : -ENOMEM))
                return;

        for (size_t i = 0; i < json_object_array_length(value) && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                RlimitTarget rlimit = { .resource = -1 };

                if (!schema_check_type(reader, &at, SCHEMA_OBJECT, "an object with type, soft and hard", element))
                        continue;
                schema_read_object(reader, &at, &rlimit_schema, element, &rlimit);
                add_rlimit(reader, &at, &rlimit);
        }
}

void read_no_new_privileges(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                            void *target) {
        if (!json_object_get_boolean(value))
                profile_complain(reader, path,
                                 "expected true, found false: without no_new_privs a set-user-ID program would gain "
                                 "privileges that the filter was not made for, and an unprivileged launcher cannot "
                                 "install the filter at all; remove the key or set it to true");
}

static const struct {
        const char *name;
        int flag;
} namespace_types[] = {
        { "user", CLONE_NEWUSER },   { "mount", CLONE_NEWNS }, { "pid", CLONE_NEWPID },
        { "ipc", CLONE_NEWIPC },     { "network", CLONE_NEWNET }, { "uts", CLONE_NEWUTS },
        { "time", CLONE_NEWTIME },   { "cgroup", CLONE_NEWCGROUP },
};

static void read_namespace_type(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                                void *target) {
        const char *words[ELEMENTSOF(namespace_types)];
        int *flags = target;

        for (size_t i = 0; i < ELEMENTSOF(namespace_types); i++)
                words[i] = namespace_types[i].name;

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        if (i < 0)
                return;
        if ((*flags & namespace_types[i].flag) != 0)
                profile_complain(reader, path, "\"%s\" is listed twice", words[i]);
        *flags |= namespace_types[i].flag;
}

static const SchemaKey namespace_keys[] = {
        { .name = "type", .types = SCHEMA_STRING, .allowed = "the name of a kind of namespace such as \"pid\"",
          .read = read_namespace_type, .required = true },
};
static const Schema namespace_schema = SCHEMA(namespace_keys);

void read_namespaces(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                     void *target) {
        int flags = 0;

        for (size_t i = 0; i < json_object_array_length(value) && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };

                if (schema_check_type(reader, &at, SCHEMA_OBJECT, "an object { \"type\": \"…\" }", element))
                        schema_read_object(reader, &at, &namespace_schema, element, &flags);
        }

        if ((flags & CLONE_NEWUSER) == 0)
                profile_complain(reader, path,
                                 "the list must have { \"type\": \"user\" }: a sandbox is built, and looked "
                                 "after, by the owner of its user namespace");
        reader->profile->namespaces = flags;
}

void read_extends(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                  void *target) {
        switch (reader->kind) {
        case PROFILE_DOCUMENT_FILE:
                reader->has_extends = true;
                if (!profile_name_is_valid(json_object_get_string(value)))
                        profile_complain_value(reader, path, "the name of a profile (up to 64 letters, digits, '_', "
                                               "'-' and '.', without directory and \".json\")", value, NULL);
                return;
        case PROFILE_DOCUMENT_OVERRIDES:
                profile_complain(reader, path, "not allowed here: what is laid over a profile extends nothing; choose "
                                 "the profile itself instead");
                return;
        case PROFILE_DOCUMENT_RESOLVED:
                profile_complain(reader, path, "not allowed in a resolved profile: everything that it extends is part "
                                 "of it already");
                return;
        }
}

void read_description(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                      void *target) {
        const char *text = json_object_get_string(value);

        if (strlen(text) > PROFILE_DESCRIPTION_MAX || has_control_character(text))
                profile_complain_value(reader, path, key->allowed, value, NULL);
        else
                replace_string(reader, &reader->profile->description, text);
}

/* A list as in cpuset(7): "0-3,5". */
static bool cpu_list_is_valid(const char *text) {
        for (;;) {
                unsigned bounds[2] = {};

                for (unsigned i = 0; i < 2; i++) {
                        size_t n = strspn(text, "0123456789");

                        if (n == 0 || n > 4)
                                return false;
                        for (size_t j = 0; j < n; j++)
                                bounds[i] = bounds[i] * 10 + (unsigned) (text[j] - '0');
                        text += n;
                        if (i == 0) {
                                bounds[1] = bounds[0];
                                if (*text != '-')
                                        break;
                                bounds[1] = 0;
                                text++;
                        }
                }
                if (bounds[0] > bounds[1] || bounds[1] >= PROFILE_CPUS_MAX)
                        return false;
                if (*text == '\0')
                        return true;
                if (*text++ != ',')
                        return false;
        }
}

static bool read_integer(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                         unsigned min, unsigned max, unsigned *ret) {
        int64_t number = json_object_get_int64(value); /* clamped to what fits */

        if (number < (int64_t) min || number > (int64_t) max) {
                profile_complain_value(reader, path, key->allowed, value, NULL);
                return false;
        }

        *ret = (unsigned) number;
        return true;
}

void read_cpus(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value, void *target) {
        Profile *profile = reader->profile;

        if (json_object_is_type(value, json_type_int))
                read_integer(reader, path, key, value, 1, PROFILE_CPUS_MAX, &profile->n_cpus);
        else if (cpu_list_is_valid(json_object_get_string(value)))
                replace_string(reader, &profile->cpus, json_object_get_string(value));
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

void read_pid(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value, void *target) {
        static const char *const words[] = { "private", "host" };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        reader->has_pid = i >= 0;
        reader->profile->pid_host = i == 1;
}

void read_ptrace_scope(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                       void *target) {
        read_integer(reader, path, key, value, 0, PROFILE_PTRACE_SCOPE_MAX, &reader->profile->ptrace_scope);
}

void read_timers(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value, void *target) {
        static const char *const words[] = { "emulated", "native" };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        if (i >= 0)
                reader->profile->timers_emulated = i == 0;
}

void read_nested_namespaces(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                            void *target) {
        read_integer(reader, path, key, value, 0, PROFILE_NESTED_MAX, &reader->profile->nested_namespaces);
}

void read_users(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                void *target) {
        static const char *const words[_PROFILE_USERS_MAX] = {
                [PROFILE_USERS_SINGLE] = "single",
                [PROFILE_USERS_RANGE] = "range",
                [PROFILE_USERS_HOST] = "host",
        };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        if (i >= 0)
                reader->profile->users = (ProfileUsers) i;
}

void read_landlock(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                   void *target) {
        static const char *const words[_PROFILE_LANDLOCK_MAX] = {
                [PROFILE_LANDLOCK_AUTO] = "auto",
                [PROFILE_LANDLOCK_OFF] = "off",
                [PROFILE_LANDLOCK_FULL] = "full",
        };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        if (i >= 0)
                reader->profile->landlock = (ProfileLandlock) i;
}

void read_freezer(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                  void *target) {
        static const char *const words[_PROFILE_FREEZER_MAX] = {
                [PROFILE_FREEZER_AUTO] = "auto",
                [PROFILE_FREEZER_CGROUP] = "cgroup",
                [PROFILE_FREEZER_PTRACE] = "ptrace",
        };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        if (i >= 0)
                reader->profile->freezer = (ProfileFreezer) i;
}

static void read_network_mode(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                              void *target) {
        static const char *const words[] = {
                [PROFILE_NETWORK_NONE] = "none",
                [PROFILE_NETWORK_PRIVATE] = "private",
                [PROFILE_NETWORK_HOST] = "host",
        };

        int i = read_word(reader, path, words, ELEMENTSOF(words), value);
        reader->has_network = i >= 0;
        if (i >= 0)
                reader->profile->network = (ProfileNetwork) i;
}

static void read_uplink(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        static const char *const words[] = { "none", "pasta" };

        reader->profile->pasta = read_word(reader, path, words, ELEMENTSOF(words), value) == 1;
}

static const SchemaKey network_keys[] = {
        { .name = "mode", .types = SCHEMA_STRING, .allowed = "\"none\", \"private\" or \"host\"",
          .read = read_network_mode, .required = true },
        { .name = "uplink", .types = SCHEMA_STRING, .allowed = "\"none\" or \"pasta\"", .read = read_uplink },
};
static const Schema network_schema = SCHEMA(network_keys);

void read_network(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                  void *target) {
        if (json_object_is_type(value, json_type_object))
                schema_read_object(reader, path, &network_schema, value, target);
        else
                read_network_mode(reader, path, key, value, target);
}

static void read_mount_mode(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                            void *target) {
        static const char *const words[] = { "none", "emulated" };

        if (read_word(reader, path, words, ELEMENTSOF(words), value) == 1)
                reader->profile->mount_calls.kinds = (1U << _MOUNT_KIND_MAX) - 1;
}

static void read_mount_kinds(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                             void *target) {
        static const char *const words[_MOUNT_KIND_MAX] = {
                [MOUNT_TMPFS] = "tmpfs", [MOUNT_BIND] = "bind", [MOUNT_PROC] = "proc", [MOUNT_OVERLAY] = "overlay",
        };

        for (size_t i = 0; i < json_object_array_length(value); i++) {
                const KeyPath item = { .up = path, .index = i };
                int k = read_word(reader, &item, words, ELEMENTSOF(words), json_object_array_get_idx(value, i));

                if (k >= 0)
                        reader->profile->mount_calls.kinds |= 1U << k;
        }
}

static void read_mount_max(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                           void *target) {
        read_integer(reader, path, key, value, 1, PROFILE_MOUNT_CALLS_MAX, &reader->profile->mount_calls.max);
}

static void read_tmpfs_size(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                            void *target) {
        read_integer(reader, path, key, value, 1, PROFILE_TMPFS_MIB_MAX, &reader->profile->mount_calls.tmpfs_mib);
}

static const SchemaKey mount_call_keys[] = {
        { .name = "types", .types = SCHEMA_ARRAY, .read = read_mount_kinds, .required = true,
          .allowed = "an array of \"tmpfs\", \"bind\", \"proc\" and \"overlay\"" },
        { .name = "max", .types = SCHEMA_INTEGER, .allowed = "a number from 1 to 4096", .read = read_mount_max },
        { .name = "tmpfsSize", .types = SCHEMA_INTEGER, .allowed = "a number of mebibytes from 1 to 1048576",
          .read = read_tmpfs_size },
};
static const Schema mount_call_schema = SCHEMA(mount_call_keys);

void read_mount_calls(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                      void *target) {
        if (json_object_is_type(value, json_type_object))
                schema_read_object(reader, path, &mount_call_schema, value, target);
        else
                read_mount_mode(reader, path, key, value, target);
}

void read_log_size(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                   void *target) {
        unsigned size;

        if (read_integer(reader, path, key, value, PROFILE_LOG_SIZE_MIN, PROFILE_LOG_SIZE_MAX, &size))
                reader->profile->log_size = size;
}
