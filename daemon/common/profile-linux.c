/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys of OCI's "linux" object, all but the namespaces. */

#include <stdio.h>

#include "profile-internal.h"

const char *const profile_masked_in_proc[] = {
        "acpi",        "asound",     "config.gz",    "kallsyms",     "kcore",        "key-users",     "keys",
        "kmsg",        "kpagecgroup", "kpagecount",  "kpageflags",   "latency_stats", "pagetypeinfo", "sched_debug",
        "scsi",        "slabinfo",   "sysrq-trigger", "timer_list",  "timer_stats",  "vmallocinfo",   NULL,
};

const char *const profile_masked_by_default[] = {
        "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/bpf", "/sys/fs/pstore", "/sys/kernel/debug",
        "/sys/kernel/security",          "/sys/kernel/tracing", NULL,
};

void read_masked_paths(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                       void *target) {
        char ***paths = (char ***) ((char *) target + key->offset);
        size_t n = json_object_array_length(value), used = 0;

        if (n > PROFILE_PATHS_MAX) {
                profile_complain(reader, path, "%zu paths; at most %u are allowed", n, PROFILE_PATHS_MAX);
                return;
        }
        *paths = strv_free(*paths);
        *paths = calloc(n + 1, sizeof(char *));
        if (!profile_reader_good(reader, *paths ? 0 : -ENOMEM))
                return;

        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                static const char allowed[] = "an absolute path without \"..\", and not \"/\"";
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                _cleanup_free_ char *normalized = NULL;
                int r;

                if (!schema_check_type(reader, &at, SCHEMA_STRING, allowed, element))
                        continue;
                r = path_normalize(json_object_get_string(element), &normalized);
                if (r == -ENOMEM)
                        (void) profile_reader_good(reader, r);
                else if (r < 0 || streq(normalized, "/"))
                        profile_complain_value(reader, &at, allowed, element, NULL);
                else
                        (*paths)[used++] = TAKE_PTR(normalized);
        }
}

/* -1, or from 1 on. */
static void read_amount(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value); /* clamped to what fits */

        if (number == -1 || number > 0)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

static void read_positive(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value);

        if (number > 0)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

static void read_period(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value);

        if (number >= 1000 && number <= 1000000)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

static void read_weight(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value);

        if (number >= 10 && number <= 1000)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

static void read_shares(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value);

        if (number >= 2 && number <= 262144)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

#define RESOURCE(field) offsetof(Profile, resources.field)
#define ALLOWED_BYTES "a number of bytes above 0, or -1 for no limit"

static const SchemaKey memory_keys[] = {
        { .name = "limit", .types = SCHEMA_INTEGER, .allowed = ALLOWED_BYTES, .read = read_amount,
          .offset = RESOURCE(memory) },
        { .name = "swap", .types = SCHEMA_INTEGER, .allowed = "a number of bytes, of memory and swap together, or -1 for no limit",
          .read = read_amount, .offset = RESOURCE(memory_and_swap) },
        { .name = "reservation", .types = SCHEMA_INTEGER, .allowed = ALLOWED_BYTES, .read = read_amount,
          .offset = RESOURCE(memory_low) },
};
static const Schema memory_schema = SCHEMA(memory_keys);

static const SchemaKey pids_keys[] = {
        { .name = "limit", .types = SCHEMA_INTEGER, .allowed = "a number of tasks above 0, or -1 for no limit",
          .read = read_amount, .offset = RESOURCE(pids), .required = true },
};
static const Schema pids_schema = SCHEMA(pids_keys);

static const SchemaKey cpu_keys[] = {
        { .name = "quota", .types = SCHEMA_INTEGER, .allowed = "a number of microseconds above 0, or -1 for no limit",
          .read = read_amount, .offset = RESOURCE(cpu_quota) },
        { .name = "period", .types = SCHEMA_INTEGER, .allowed = "a number of microseconds from 1000 to 1000000",
          .read = read_period, .offset = RESOURCE(cpu_period) },
        { .name = "shares", .types = SCHEMA_INTEGER, .allowed = "a number from 2 to 262144", .read = read_shares,
          .offset = RESOURCE(cpu_shares) },
};
static const Schema cpu_schema = SCHEMA(cpu_keys);

typedef struct ThrottleTarget {
        int64_t major, minor, rate;
} ThrottleTarget;

static void read_device(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        int64_t number = json_object_get_int64(value);

        if (number >= 0 && number <= INT32_MAX)
                *(int64_t *) ((char *) target + key->offset) = number;
        else
                profile_complain_value(reader, path, key->allowed, value, NULL);
}

static const SchemaKey throttle_keys[] = {
        { .name = "major", .types = SCHEMA_INTEGER, .allowed = "the major number of a device", .read = read_device,
          .offset = offsetof(ThrottleTarget, major), .required = true },
        { .name = "minor", .types = SCHEMA_INTEGER, .allowed = "the minor number of a device", .read = read_device,
          .offset = offsetof(ThrottleTarget, minor), .required = true },
        { .name = "rate", .types = SCHEMA_INTEGER, .allowed = "a number above 0", .read = read_positive,
          .offset = offsetof(ThrottleTarget, rate), .required = true },
};
static const Schema throttle_schema = SCHEMA(throttle_keys);

/* key->offset is the kind here. */
static void read_throttles(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        ProfileResources *resources = &reader->profile->resources;

        for (size_t i = 0; i < json_object_array_length(value) && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                ThrottleTarget throttle = {};

                if (!schema_check_type(reader, &at, SCHEMA_OBJECT, "an object with major, minor and rate", element))
                        continue;
                schema_read_object(reader, &at, &throttle_schema, element, &throttle);
                if (resources->n_throttles >= PROFILE_THROTTLES_MAX) {
                        profile_complain(reader, &at, "at most %u limits of devices are allowed", PROFILE_THROTTLES_MAX);
                        return;
                }
                resources->throttles[resources->n_throttles++] = (ProfileThrottle) {
                        .kind = (ProfileThrottleKind) key->offset,
                        .major = throttle.major,
                        .minor = throttle.minor,
                        .rate = throttle.rate,
                };
        }
}

#define ALLOWED_THROTTLES "an array of objects { \"major\": …, \"minor\": …, \"rate\": … }"
static const SchemaKey io_keys[] = {
        { .name = "weight", .types = SCHEMA_INTEGER, .allowed = "a number from 10 to 1000", .read = read_weight,
          .offset = RESOURCE(io_weight) },
        { .name = "throttleReadBpsDevice", .types = SCHEMA_ARRAY, .allowed = ALLOWED_THROTTLES, .read = read_throttles,
          .offset = PROFILE_THROTTLE_RBPS },
        { .name = "throttleWriteBpsDevice", .types = SCHEMA_ARRAY, .allowed = ALLOWED_THROTTLES, .read = read_throttles,
          .offset = PROFILE_THROTTLE_WBPS },
        { .name = "throttleReadIOPSDevice", .types = SCHEMA_ARRAY, .allowed = ALLOWED_THROTTLES, .read = read_throttles,
          .offset = PROFILE_THROTTLE_RIOPS },
        { .name = "throttleWriteIOPSDevice", .types = SCHEMA_ARRAY, .allowed = ALLOWED_THROTTLES, .read = read_throttles,
          .offset = PROFILE_THROTTLE_WIOPS },
};
static const Schema io_schema = SCHEMA(io_keys);

/* "2MB": goes into the name of a file. */
static void read_page_size(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        ProfileHugepages *hugepages = target;
        const char *text = json_object_get_string(value);
        size_t n = strspn(text, "0123456789");

        if (n == 0 || n > 6 || !(streq(text + n, "KB") || streq(text + n, "MB") || streq(text + n, "GB"))) {
                profile_complain_value(reader, path, key->allowed, value, NULL);
                return;
        }
        free(hugepages->page_size);
        hugepages->page_size = strdup(text);
        (void) profile_reader_good(reader, hugepages->page_size ? 0 : -ENOMEM);
}

static const SchemaKey hugepages_keys[] = {
        { .name = "pageSize", .types = SCHEMA_STRING, .allowed = "a size of pages such as \"2MB\"", .read = read_page_size,
          .required = true },
        { .name = "limit", .types = SCHEMA_INTEGER, .allowed = ALLOWED_BYTES, .read = read_amount,
          .offset = offsetof(ProfileHugepages, limit), .required = true },
};
static const Schema hugepages_schema = SCHEMA(hugepages_keys);

static void read_hugepages(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        ProfileResources *resources = &reader->profile->resources;
        size_t n = json_object_array_length(value);

        if (n > PROFILE_HUGEPAGES_MAX) {
                profile_complain(reader, path, "%zu elements; at most %u are allowed", n, PROFILE_HUGEPAGES_MAX);
                return;
        }
        for (size_t i = 0; i < n && !profile_reader_is_full(reader); i++) {
                json_object *element = json_object_array_get_idx(value, i);
                KeyPath at = { .up = path, .index = i };
                ProfileHugepages *hugepages = resources->hugepages + resources->n_hugepages;

                if (!schema_check_type(reader, &at, SCHEMA_OBJECT, "an object with pageSize and limit", element))
                        continue;
                schema_read_object(reader, &at, &hugepages_schema, element, hugepages);
                if (hugepages->page_size)
                        resources->n_hugepages++;
        }
}

static const SchemaKey resources_keys[] = {
        { .name = "memory", .types = SCHEMA_OBJECT, .allowed = "an object", .members = &memory_schema },
        { .name = "pids", .types = SCHEMA_OBJECT, .allowed = "an object", .members = &pids_schema },
        { .name = "cpu", .types = SCHEMA_OBJECT, .allowed = "an object", .members = &cpu_schema },
        { .name = "blockIO", .types = SCHEMA_OBJECT, .allowed = "an object", .members = &io_schema },
        { .name = "hugepageLimits", .types = SCHEMA_ARRAY, .read = read_hugepages,
          .allowed = "an array of objects { \"pageSize\": \"…\", \"limit\": … }" },
};
const Schema profile_resources_schema = SCHEMA(resources_keys);

void read_limits(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                        void *target) {
        static const char *const words[_PROFILE_LIMITS_MAX] = {
                [PROFILE_LIMITS_REQUIRED] = "required",
                [PROFILE_LIMITS_BEST_EFFORT] = "best-effort",
        };
        int i = read_word(reader, path, words, ELEMENTSOF(words), value);

        if (i >= 0)
                reader->profile->limits = (ProfileLimits) i;
}

/* Keys that make sense together only: said of the whole profile, not of a part of it. */
void profile_check_resources(ProfileReader *reader) {
        static const KeyPath linux_path = { .key = "linux" }, resources = { .up = &linux_path, .key = "resources" },
                             memory = { .up = &resources, .key = "memory" }, path = { .up = &memory, .key = "swap" };
        const ProfileResources *r = &reader->profile->resources;

        if (r->memory_and_swap > 0 && r->memory <= 0)
                profile_complain(reader, &path, "it counts memory and swap together and needs linux.resources.memory.limit");
        else if (r->memory_and_swap > 0 && r->memory_and_swap < r->memory)
                profile_complain(reader, &path, "%jd bytes of memory and swap together are less than "
                                 "linux.resources.memory.limit, %jd", (intmax_t) r->memory_and_swap, (intmax_t) r->memory);
}
