/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The mounts of a profile and their options. */

#include <limits.h>
#include <stdio.h>

#include "profile-internal.h"

static const char *const mount_types[] = {
        [PROFILE_MOUNT_BIND] = "bind",
        [PROFILE_MOUNT_TMPFS] = "tmpfs",
        [PROFILE_MOUNT_PROC] = "proc",
        [PROFILE_MOUNT_DEV] = "dev",
        [PROFILE_MOUNT_DEVPTS] = "devpts",
        [PROFILE_MOUNT_MQUEUE] = "mqueue",
        [PROFILE_MOUNT_SYSFS] = "sysfs",
        [PROFILE_MOUNT_OVERLAY] = "overlay",
};

#define TYPE_BIT(type) (1U << (type))
#define TYPES_ALL (TYPE_BIT(_PROFILE_MOUNT_TYPE_MAX) - 1)

/* Flags come in pairs that contradict each other. */
typedef enum MountPair {
        PAIR_WRITE,
        PAIR_SUID,
        PAIR_DEV,
        PAIR_EXEC,
        PAIR_RECURSIVE,
        PAIR_DATA, /* of the file system: no pair, but at most one of each name */
        PAIR_LAYER, /* directories of an overlay: the same */
        _PAIR_MAX,
} MountPair;

typedef struct MountOption {
        const char *name; /* with its "=" if it has a value */
        unsigned types;   /* of mounts that take it */
        MountPair pair;
        bool value;          /* what the pair's field becomes */
        const char *refused; /* why it is not allowed although it is well known */
        const char *values;  /* what may stand behind "=" */
        bool (*check)(const char *value);
} MountOption;

/* "1777": up to 07777, as chmod(1) takes it. */
static bool check_mode(const char *value) {
        uint64_t mode;

        return safe_atou64(value, 8, &mode) >= 0 && mode <= 07777;
}

/* A number with k, m or g behind it; fits in 64 bits. */
static bool check_count(const char *value) {
        size_t n = strspn(value, "0123456789");
        unsigned shift = 0;
        uint64_t number;
        char digits[24];

        if (n == 0 || n >= sizeof digits)
                return false;
        memcpy(digits, value, n);
        digits[n] = '\0';
        if (value[n] != '\0') {
                if (value[n + 1] != '\0')
                        return false;
                switch (value[n] | 0x20) {
                case 'k':
                        shift = 10;
                        break;
                case 'm':
                        shift = 20;
                        break;
                case 'g':
                        shift = 30;
                        break;
                default:
                        return false;
                }
        }

        return safe_atou64(digits, 10, &number) >= 0 && number > 0 && number <= (UINT64_MAX >> 1) >> shift;
}

/* As check_count(), or a share of the host's memory. */
static bool check_size(const char *value) {
        size_t n = strspn(value, "0123456789");

        if (n > 0 && n <= 3 && streq(value + n, "%")) {
                unsigned percent = (unsigned) atoi(value);

                return percent >= 1 && percent <= 100;
        }
        return check_count(value);
}

static bool check_hidepid(const char *value) {
        static const char *const words[] = { "0", "1", "2", "4", "off", "noaccess", "invisible", "ptraceable" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i], value))
                        return true;
        return false;
}

static const MountOption mount_options[] = {
        { .name = "ro", .types = TYPES_ALL, .pair = PAIR_WRITE, .value = true },
        { .name = "rw", .types = TYPES_ALL, .pair = PAIR_WRITE, .value = false },
        { .name = "nosuid", .types = TYPES_ALL, .pair = PAIR_SUID, .value = true },
        { .name = "nodev", .types = TYPES_ALL, .pair = PAIR_DEV, .value = true },
        { .name = "noexec", .types = TYPES_ALL, .pair = PAIR_EXEC, .value = true },
        { .name = "exec", .types = TYPES_ALL, .pair = PAIR_EXEC, .value = false },
        { .name = "bind", .types = TYPE_BIT(PROFILE_MOUNT_BIND), .pair = PAIR_RECURSIVE, .value = false },
        { .name = "rbind", .types = TYPE_BIT(PROFILE_MOUNT_BIND), .pair = PAIR_RECURSIVE, .value = true },
        { .name = "mode=", .types = TYPE_BIT(PROFILE_MOUNT_TMPFS), .pair = PAIR_DATA, .check = check_mode,
          .values = "an octal number up to 7777" },
        { .name = "size=", .types = TYPE_BIT(PROFILE_MOUNT_TMPFS) | TYPE_BIT(PROFILE_MOUNT_OVERLAY), .pair = PAIR_DATA, .check = check_size,
          .values = "a number of bytes, with k, m or g behind it, or 1% to 100% of the memory" },
        { .name = "nr_inodes=", .types = TYPE_BIT(PROFILE_MOUNT_TMPFS) | TYPE_BIT(PROFILE_MOUNT_OVERLAY),
          .pair = PAIR_DATA, .check = check_count, .values = "a number of files, with k, m or g behind it" },
        { .name = "hidepid=", .types = TYPE_BIT(PROFILE_MOUNT_PROC), .pair = PAIR_DATA, .check = check_hidepid,
          .values = "off, noaccess, invisible or ptraceable" },
        { .name = "lowerdir=", .types = TYPE_BIT(PROFILE_MOUNT_OVERLAY), .pair = PAIR_LAYER },
        { .name = "upperdir=", .types = TYPE_BIT(PROFILE_MOUNT_OVERLAY), .pair = PAIR_LAYER },
        { .name = "workdir=", .types = TYPE_BIT(PROFILE_MOUNT_OVERLAY), .pair = PAIR_LAYER },
        { .name = "suid",
          .refused = "not allowed: no program in a sandbox gains privileges by set-user-ID bits (noNewPrivileges), so "
                     "that every mount is nosuid; remove it" },
        { .name = "dev",
          .refused = "not allowed: device files work below /dev only (a mount of type \"dev\"), so that every other "
                     "mount is nodev; remove it" },
};

/* A mount being read: the options are looked at once the type is known. */
typedef struct MountTarget {
        ProfileMount mount;
        bool has_type;
        json_object *source, *options; /* the document's */
        const SchemaKey *source_key;
} MountTarget;

void profile_mount_done(ProfileMount *mount) {
        free(mount->destination);
        free(mount->source);
        free(mount->data);
        strv_free(mount->lower);
        free(mount->upper);
        free(mount->work);
        *mount = (ProfileMount) {};
}

static void mount_target_done(MountTarget *target) {
        profile_mount_done(&target->mount);
}

static void read_mount_destination(ProfileReader *reader, const KeyPath *path, const SchemaKey *key,
                                   json_object *value, void *target) {
        MountTarget *mount = target;

        read_path(reader, path, key, value, &mount->mount);
        if (mount->mount.destination && streq(mount->mount.destination, "/"))
                profile_complain(reader, path, "nothing can be mounted on \"/\": set root.path instead");
}

static void read_mount_type(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                            void *target) {
        MountTarget *mount = target;

        int i = read_word(reader, path, mount_types, ELEMENTSOF(mount_types), value);
        mount->has_type = i >= 0;
        if (i >= 0)
                mount->mount.type = (ProfileMountType) i;
}

static void read_mount_source(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                              void *target) {
        MountTarget *mount = target;

        mount->source = value;
        mount->source_key = key;
}

static void read_mount_options(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                               void *target) {
        MountTarget *mount = target;

        mount->options = value;
}

static const SchemaKey mount_keys[] = {
        { .name = "destination", .types = SCHEMA_STRING, .allowed = "an absolute path without \"..\"",
          .read = read_mount_destination, .offset = offsetof(ProfileMount, destination), .required = true },
        { .name = "type", .types = SCHEMA_STRING, .read = read_mount_type, .required = true,
          .allowed = "\"bind\", \"tmpfs\", \"proc\", \"dev\", \"devpts\", \"mqueue\", \"sysfs\" or \"overlay\"" },
        { .name = "source", .types = SCHEMA_STRING, .allowed = "an absolute path without \"..\"",
          .read = read_mount_source, .offset = offsetof(ProfileMount, source) },
        { .name = "options", .types = SCHEMA_ARRAY, .allowed = "an array of strings",
          .read = read_mount_options },
};
const Schema profile_mount_schema = SCHEMA(mount_keys);

/* "known here" for a type of mount. */
static char *options_known(unsigned types) {
        char *known = NULL;

        for (size_t i = 0; i < ELEMENTSOF(mount_options); i++)
                if ((mount_options[i].types & types) != 0 &&
                    string_appendf(&known, "%s%s", known ? ", " : "", mount_options[i].name) < 0) {
                        free(known);
                        return NULL;
                }
        return known;
}

/* Names end with '=', as they stand in the table. */
static const MountOption *option_find(const char *text) {
        size_t n = strcspn(text, "=");

        if (text[n] == '=')
                n++;
        for (size_t i = 0; i < ELEMENTSOF(mount_options); i++)
                if (strlen(mount_options[i].name) == n && strncmp(mount_options[i].name, text, n) == 0)
                        return &mount_options[i];
        return NULL;
}

static void complain_option(ProfileReader *reader, const KeyPath *path, json_object *value, unsigned types) {
        const char *seen = json_object_get_string(value);
        Nearest nearest = { .distance = UINT_MAX };
        _cleanup_free_ char *allowed = NULL, *name = NULL;

        reader->bad = true;
        if (profile_reader_is_full(reader))
                return;

        _cleanup_free_ char *known = options_known(types);
        if (!profile_reader_good(reader, known ? 0 : -ENOMEM))
                return;

        if (strchr(seen, ','))
                profile_complain_value(reader, path, "one option per string", value, NULL);
        else {
                size_t n = strcspn(seen, "=");

                name = strndup(seen, n + (seen[n] == '='));
                if (!profile_reader_good(reader, name ? 0 : -ENOMEM) ||
                    !profile_reader_good(reader, string_appendf(&allowed, "one of %s", known)))
                        return;
                for (size_t i = 0; i < ELEMENTSOF(mount_options); i++)
                        if ((mount_options[i].types & types) != 0)
                                nearest_consider(&nearest, name, mount_options[i].name);
                profile_complain_value(reader, path, allowed, value, nearest_word(&nearest, name));
        }
}

/* Directories of an overlay, as they stand behind the "=". */
static void read_layer(ProfileReader *reader, const KeyPath *path, json_object *value, const char *text,
                       ProfileMount *mount) {
        static const char allowed[] = "an absolute path without \"..\" behind the \"=\"";
        const char *lower = startswith(text, "lowerdir=");
        _cleanup_free_ char *one = NULL, *copy = strdup(lower ?: strchr(text, '=') + 1);
        char *rest = copy, *layer;
        int r;

        if (!profile_reader_good(reader, copy ? 0 : -ENOMEM))
                return;
        while ((layer = lower ? strsep(&rest, ":") : rest)) {
                if (mount->lower && strv_length(mount->lower) >= PROFILE_LAYERS_MAX) {
                        profile_complain(reader, path, "more than %u directories", PROFILE_LAYERS_MAX);
                        return;
                }
                r = path_normalize(layer, &one);
                if (r == -EINVAL || r == -EXDEV || r == -ENAMETOOLONG) {
                        profile_complain_value(reader, path, lower ? "absolute paths without \"..\", a colon between them"
                                                                   : allowed, value, NULL);
                        return;
                }
                if (!profile_reader_good(reader, r))
                        return;
                if (!lower) {
                        *(startswith(text, "upperdir=") ? &mount->upper : &mount->work) = TAKE_PTR(one);
                        return;
                }
                if (!profile_reader_good(reader, strv_consume(&mount->lower, TAKE_PTR(one))))
                        return;
        }
}

/* One option: checked, and put where it belongs. seen: what the mount has of each pair already. */
static void read_option(ProfileReader *reader, const KeyPath *path, json_object *value, MountTarget *target,
                        const MountOption **seen) {
        const char *text = json_object_get_string(value);
        const MountOption *option = option_find(text);
        unsigned types = target->has_type ? TYPE_BIT(target->mount.type) : TYPES_ALL;
        ProfileMount *mount = &target->mount;

        if (option && option->refused) {
                profile_complain(reader, path, "\"%s\" is %s", option->name, option->refused);
                return;
        }
        if (!option || (option->types & types) == 0) {
                complain_option(reader, path, value, types);
                return;
        }

        if (option->pair == PAIR_DATA || option->pair == PAIR_LAYER) {
                size_t i = (size_t) (option - mount_options);

                if (option->check && !option->check(text + strlen(option->name)))
                        profile_complain_value(reader, path, option->values, value, NULL);
                else if (seen[_PAIR_MAX + i])
                        profile_complain_value(reader, path, "each option once", value, NULL);
                else if (option->pair == PAIR_LAYER)
                        read_layer(reader, path, value, text, mount);
                else
                        profile_reader_good(reader,
                                            string_appendf(&mount->data, "%s%s", mount->data ? "," : "", text));
                seen[_PAIR_MAX + i] = option;
                return;
        }

        if (seen[option->pair] && seen[option->pair] != option)
                profile_complain(reader, path, "\"%s\" contradicts \"%s\"", option->name, seen[option->pair]->name);
        seen[option->pair] = option;

        switch (option->pair) {
        case PAIR_WRITE:
                mount->read_only = option->value;
                break;
        case PAIR_EXEC:
                mount->noexec = option->value;
                break;
        case PAIR_RECURSIVE:
                mount->recursive = option->value;
                break;
        default: /* nosuid and nodev are always true */
                break;
        }
}

static void read_options(ProfileReader *reader, const KeyPath *mount_path, MountTarget *target) {
        const MountOption *seen[_PAIR_MAX + ELEMENTSOF(mount_options)] = {};
        KeyPath path = { .up = mount_path, .key = "options" };

        if (!target->options)
                return;

        for (size_t i = 0; i < json_object_array_length(target->options) && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(target->options, i);
                KeyPath at = { .up = &path, .index = i };

                if (schema_check_type(reader, &at, SCHEMA_STRING, "a mount option (a string)", element))
                        read_option(reader, &at, element, target, seen);
        }
}

/* What is bound needs an absolute path; elsewhere OCI's custom is to repeat the type, which says nothing. */
static void read_source(ProfileReader *reader, const KeyPath *mount_path, MountTarget *target) {
        KeyPath path = { .up = mount_path, .key = "source" };

        if (target->has_type && target->mount.type == PROFILE_MOUNT_BIND) {
                if (target->source)
                        read_path(reader, &path, target->source_key, target->source, &target->mount);
                else
                        profile_complain(reader, &path, "missing; a mount of type \"bind\" needs the absolute path of "
                                         "what is to be seen at its destination");
        } else if (target->source && strlen(json_object_get_string(target->source)) >= PATH_MAX)
                profile_complain_value(reader, &path, "at most 4095 bytes", target->source, NULL);
}

/* What an overlay needs to be one. Where an option was wrong there are complaints enough. */
static void check_overlay(ProfileReader *reader, const KeyPath *mount_path, const ProfileMount *mount) {
        KeyPath path = { .up = mount_path, .key = "options" };

        if (!mount->lower)
                profile_complain(reader, &path, "a mount of type \"overlay\" needs an option \"lowerdir=/…\": what is to "
                                 "be seen below what is written");
        else if (!mount->upper != !mount->work)
                profile_complain(reader, &path, "\"%s=\" needs \"%s=\", an empty directory of the same file system; "
                                 "without both, what is written goes with the sandbox",
                                 mount->upper ? "upperdir" : "workdir", mount->upper ? "workdir" : "upperdir");
        else if (mount->upper && mount->data)
                profile_complain(reader, &path, "\"size=\" and \"nr_inodes=\" are for an overlay without \"upperdir=\"");
}

static void read_mount(ProfileReader *reader, const KeyPath *path, json_object *value) {
        _cleanup_(mount_target_done) MountTarget target = {
                .mount = { .nosuid = true, .nodev = true },
        };
        Profile *profile = reader->profile;
        bool was_bad = reader->bad;

        reader->bad = false;
        schema_read_object(reader, path, &profile_mount_schema, value, &target);
        read_source(reader, path, &target);
        read_options(reader, path, &target);
        if (!reader->bad && target.mount.type == PROFILE_MOUNT_OVERLAY)
                check_overlay(reader, path, &target.mount);
        reader->bad = reader->bad || was_bad;
        if (!target.mount.destination)
                return;

        for (size_t i = 0; i < profile->n_mounts; i++)
                if (streq(profile->mounts[i].destination, target.mount.destination)) {
                        KeyPath at = { .up = path, .key = "destination" };
                        _cleanup_free_ char *shown = text_shown(target.mount.destination, 80);

                        if (profile_reader_good(reader, shown ? 0 : -ENOMEM))
                                profile_complain(reader, &at, "\"%s\" has a mount already in this list", shown);
                        return;
                }

        profile->mounts[profile->n_mounts++] = target.mount;
        target.mount = (ProfileMount) {};
}

void read_mounts(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                 void *target) {
        size_t n = json_object_array_length(value);
        Profile *profile = reader->profile;

        if (n > PROFILE_MOUNTS_MAX) {
                profile_complain(reader, path, "%zu mounts; at most %u are allowed", n, PROFILE_MOUNTS_MAX);
                return;
        }

        profile->mounts = calloc(MAX(n, (size_t) 1), sizeof(ProfileMount));
        if (!profile_reader_good(reader, profile->mounts ? 0 : -ENOMEM))
                return;
        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };

                if (schema_check_type(reader, &at, SCHEMA_OBJECT, "an object with destination and type", element))
                        read_mount(reader, &at, element);
        }
}
