/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys of OCI's "linux" object, all but the namespaces. */

#include <limits.h>
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
