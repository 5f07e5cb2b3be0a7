/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a text to a Profile: syntax, the tables of all keys, what must hold between keys, and defaults. */

#include <sched.h>
#include <stdio.h>

#include "profile-internal.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define NAMESPACES_DEFAULT                                                                                     \
        (CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWTIME |     \
         CLONE_NEWCGROUP)

#define ALLOWED_OBJECT "an object"
#define ALLOWED_PATH "an absolute path without \"..\""
#define ALLOWED_DOMAIN "a name of 1 to 64 bytes without '/' and control characters"
#define ALLOWED_KERNEL_TEXT "1 to 64 printable ASCII characters"
#define ALLOWED_CAPABILITIES "an array of capability names such as \"CAP_SYS_NICE\""

static const SchemaKey root_keys[] = {
        { .name = "path", .types = SCHEMA_STRING, .allowed = ALLOWED_PATH,
          .read = read_path, .offset = offsetof(Profile, root_path) },
        { .name = "readonly", .types = SCHEMA_BOOLEAN, .allowed = "true or false",
          .read = read_boolean, .offset = offsetof(Profile, root_read_only) },
};
static const Schema root_schema = SCHEMA(root_keys);

static const SchemaKey process_keys[] = {
        { .name = "cwd", .types = SCHEMA_STRING, .allowed = ALLOWED_PATH,
          .read = read_path, .offset = offsetof(Profile, cwd) },
        { .name = "env", .types = SCHEMA_ARRAY, .allowed = "an array of strings \"NAME=VALUE\"", .read = read_env },
        { .name = "capabilities", .types = SCHEMA_ARRAY | SCHEMA_OBJECT, .read = read_capability_sets,
          .allowed = ALLOWED_CAPABILITIES ", or an object of such arrays (\"permitted\": […], …)" },
        { .name = "rlimits", .types = SCHEMA_ARRAY, .read = read_rlimits,
          .allowed = "an array of objects { \"type\": \"RLIMIT_…\", \"soft\": …, \"hard\": … }" },
        { .name = "noNewPrivileges", .types = SCHEMA_BOOLEAN, .allowed = "true", .read = read_no_new_privileges },
};
static const Schema process_schema = SCHEMA(process_keys);

static const SchemaKey linux_keys[] = {
        { .name = "namespaces", .types = SCHEMA_ARRAY, .read = read_namespaces,
          .allowed = "an array of objects { \"type\": \"…\" }" },
        { .name = "maskedPaths", .types = SCHEMA_ARRAY, .allowed = "an array of absolute paths",
          .read = read_masked_paths, .offset = offsetof(Profile, masked_paths) },
        { .name = "readonlyPaths", .types = SCHEMA_ARRAY, .allowed = "an array of absolute paths",
          .read = read_masked_paths, .offset = offsetof(Profile, readonly_paths) },
        { .name = "resources", .types = SCHEMA_OBJECT, .allowed = ALLOWED_OBJECT, .members = &profile_resources_schema },
};
static const Schema linux_schema = SCHEMA(linux_keys);

static const SchemaKey sentry_keys[] = {
        { .name = "extends", .types = SCHEMA_STRING, .allowed = "the name of a profile", .read = read_extends },
        { .name = "description", .types = SCHEMA_STRING, .read = read_description,
          .allowed = "one line of at most 256 bytes" },
        { .name = "kernelRelease", .types = SCHEMA_STRING, .allowed = ALLOWED_KERNEL_TEXT,
          .read = read_kernel_text, .offset = offsetof(Profile, kernel_release) },
        { .name = "kernelVersion", .types = SCHEMA_STRING, .allowed = ALLOWED_KERNEL_TEXT,
          .read = read_kernel_text, .offset = offsetof(Profile, kernel_version) },
        { .name = "cpus", .types = SCHEMA_INTEGER | SCHEMA_STRING, .read = read_cpus,
          .allowed = "a number of CPUs from 1 to 1024 or a list of them such as \"0-3,5\" (0 to 1023)" },
        { .name = "pid", .types = SCHEMA_STRING, .allowed = "\"private\" or \"host\"", .read = read_pid },
        { .name = "freezer", .types = SCHEMA_STRING, .allowed = "\"auto\", \"cgroup\" or \"ptrace\"",
          .read = read_freezer },
        { .name = "users", .types = SCHEMA_STRING, .allowed = "\"single\", \"range\" or \"host\"", .read = read_users },
        { .name = "landlock", .types = SCHEMA_STRING, .allowed = "\"auto\", \"off\" or \"full\"",
          .read = read_landlock },
        { .name = "limits", .types = SCHEMA_STRING, .allowed = "\"required\" or \"best-effort\"",
          .read = read_limits },
        { .name = "init", .types = SCHEMA_BOOLEAN, .allowed = "true or false",
          .read = read_boolean, .offset = offsetof(Profile, init) },
        { .name = "ptraceScope", .types = SCHEMA_INTEGER, .allowed = "a number from 0 to 3",
          .read = read_ptrace_scope },
        { .name = "timers", .types = SCHEMA_STRING, .allowed = "\"emulated\" or \"native\"", .read = read_timers },
        { .name = "pauseTimers", .types = SCHEMA_BOOLEAN, .allowed = "true or false",
          .read = read_boolean, .offset = offsetof(Profile, pause_timers) },
        { .name = "nestedNamespaces", .types = SCHEMA_INTEGER, .allowed = "a number from 0 to 63",
          .read = read_nested_namespaces },
        { .name = "mounts", .types = SCHEMA_STRING | SCHEMA_OBJECT, .read = read_mount_calls,
          .allowed = "\"none\" or \"emulated\", or an object { \"types\": […], \"max\": …, \"tmpfsSize\": … }" },
        { .name = "network", .types = SCHEMA_STRING | SCHEMA_OBJECT, .read = read_network,
          .allowed = "\"none\", \"private\" or \"host\", or an object { \"mode\": …, \"uplink\": … }" },
        { .name = "addresses", .types = SCHEMA_ARRAY, .read = read_addresses, .members = &profile_address_schema,
          .allowed = "an array of objects { \"action\": \"allow\", … }" },
        { .name = "emulatedCapabilities", .types = SCHEMA_ARRAY, .allowed = ALLOWED_CAPABILITIES,
          .read = read_capabilities, .offset = offsetof(Profile, emulated_capabilities) },
        { .name = "logSize", .types = SCHEMA_INTEGER, .allowed = "a number of bytes from 4096 to 16777216",
          .read = read_log_size },
        { .name = "env", .types = SCHEMA_STRING, .allowed = "\"keep\" or \"clear\"", .read = read_env_mode },
        { .name = "unsetenv", .types = SCHEMA_ARRAY, .allowed = "an array of names of variables",
          .read = read_unsetenv },
};
static const Schema sentry_schema = SCHEMA(sentry_keys);

static const SchemaKey profile_keys[] = {
        { .name = "hostname", .types = SCHEMA_STRING, .allowed = ALLOWED_DOMAIN,
          .read = read_domain, .offset = offsetof(Profile, hostname) },
        { .name = "domainname", .types = SCHEMA_STRING, .allowed = ALLOWED_DOMAIN,
          .read = read_domain, .offset = offsetof(Profile, domainname) },
        { .name = "root", .types = SCHEMA_OBJECT, .allowed = ALLOWED_OBJECT, .members = &root_schema },
        { .name = "process", .types = SCHEMA_OBJECT, .allowed = ALLOWED_OBJECT, .members = &process_schema },
        { .name = "mounts", .types = SCHEMA_ARRAY, .read = read_mounts, .members = &profile_mount_schema,
          .allowed = "an array of objects { \"destination\": \"/…\", \"type\": \"…\" }" },
        { .name = "linux", .types = SCHEMA_OBJECT, .allowed = ALLOWED_OBJECT, .members = &linux_schema },
        { .name = "sentry", .types = SCHEMA_OBJECT, .allowed = ALLOWED_OBJECT, .members = &sentry_schema },
};
const Schema profile_schema = SCHEMA(profile_keys);

typedef struct ScanComplaints {
        ProfileProblems *problems;
        const char *file;
        bool with_lines;
        int error;
} ScanComplaints;

static void scan_complaint(void *userdata, unsigned line, const KeyPath *path, const char *message) {
        ScanComplaints *complaints = userdata;

        int r = profile_problem_add(complaints->problems, complaints->file, complaints->with_lines ? line : 0, path,
                                    message);
        if (r < 0)
                complaints->error = r;
}

/* The scanner is stricter than json-c, which therefore has nothing to refuse; should it differ in a version to
 * come, then its word counts, too. */
static int document_parse(const char *text, size_t size, ScanComplaints *complaints, json_object **ret) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new_ex((int) PROFILE_DEPTH_MAX + 2);
        _cleanup_free_ char *message = NULL;
        unsigned line = 1;

        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

        _cleanup_json_ json_object *document = json_tokener_parse_ex(tokener, text, (int) size);
        enum json_tokener_error error = json_tokener_get_error(tokener);
        if (error == json_tokener_success && document) {
                *ret = TAKE_PTR(document);
                return 0;
        }

        size_t end = MIN(json_tokener_get_parse_end(tokener), size);
        for (size_t i = 0; i < end; i++)
                line += text[i] == '\n';
        int r = string_appendf(&message, "json-c: %s", json_tokener_error_desc(error));
        if (r < 0)
                return r;
        scan_complaint(complaints, line, NULL, message);
        return -EBADMSG;
}

int profile_document_new(const char *text, size_t size, const char *file, bool with_lines, ProfileProblems *problems,
                         json_object **ret, Locator **ret_locator) {
        _cleanup_(locator_freep) Locator *locator = NULL;
        _cleanup_json_ json_object *document = NULL;
        ScanComplaints complaints = { .problems = problems, .file = file, .with_lines = with_lines };
        int r;

        if (size > PROFILE_TEXT_MAX) {
                _cleanup_free_ char *message = NULL;

                r = string_appendf(&message, "the text has %zu bytes; at most %u are allowed", size, PROFILE_TEXT_MAX);
                if (r < 0)
                        return r;
                scan_complaint(&complaints, 0, NULL, message);
                return complaints.error < 0 ? complaints.error : -EBADMSG;
        }

        size_t first = problems->n_items;
        r = locator_new(text, size, PROFILE_DEPTH_MAX, scan_complaint, &complaints, &locator);
        if (r >= 0 && *(text + strspn(text, " \t\r\n")) != '{') {
                /* json-c would wait for more behind a number; and for NULL it returns an error or a null. */
                scan_complaint(&complaints, locator_find(locator, NULL, NULL), NULL,
                               "a profile is an object: it starts with '{' and ends with '}'");
                r = -EBADMSG;
        }
        if (r >= 0)
                r = document_parse(text, size, &complaints, &document);
        if (complaints.error < 0)
                return complaints.error;
        if (r < 0) {
                profile_problems_sort(problems, first);
                return r;
        }

        *ret = TAKE_PTR(document);
        if (ret_locator)
                *ret_locator = TAKE_PTR(locator);
        return 0;
}

static int profile_new(Profile **ret) {
        _cleanup_(profile_freep) Profile *profile = calloc(1, sizeof(Profile));

        if (!profile)
                return -ENOMEM;
        profile->root_read_only = true;
        profile->namespaces = NAMESPACES_DEFAULT;
        profile->log_size = PROFILE_LOG_SIZE_DEFAULT;
        profile->ptrace_scope = PROFILE_PTRACE_SCOPE_DEFAULT;
        profile->timers_emulated = true;
        profile->mount_calls = (ProfileMountCalls) { .max = PROFILE_MOUNT_CALLS_DEFAULT,
                                                     .tmpfs_mib = PROFILE_TMPFS_MIB_DEFAULT };
        profile->env = calloc(1, sizeof(char *));
        profile->unsetenv = calloc(1, sizeof(char *));
        if (!profile->env || !profile->unsetenv)
                return -ENOMEM;

        *ret = TAKE_PTR(profile);
        return 0;
}

/* Namespaces are named twice, by OCI's list and by "pid" and "network". "host" wins over the list; a list without
 * means "host"; and what contradicts itself is refused rather than guessed. */
static void check_namespaces(ProfileReader *reader) {
        static const KeyPath linux_path = { .key = "linux" }, path = { .up = &linux_path, .key = "namespaces" };
        static const KeyPath sentry_path = { .key = "sentry" },
                             nested_path = { .up = &sentry_path, .key = "nestedNamespaces" };
        Profile *profile = reader->profile;

        if ((profile->namespaces & CLONE_NEWPID) == 0) {
                if (reader->has_pid && !profile->pid_host)
                        profile_complain(reader, &path,
                                         "the list has no \"pid\", but sentry.pid is \"private\": add { \"type\": "
                                         "\"pid\" } or set sentry.pid to \"host\"");
                profile->pid_host = true;
        }
        if (profile->pid_host)
                profile->namespaces &= ~CLONE_NEWPID;
        /* Who belongs to the sandbox is then told by its user namespace, which a nested one is not. */
        if (profile->pid_host && profile->nested_namespaces > 0)
                profile_complain(reader, &nested_path,
                                 "namespaces cannot nest with the host's process ids: set it to 0, or sentry.pid to "
                                 "\"private\"");

        if ((profile->namespaces & CLONE_NEWNET) == 0) {
                if (reader->has_network && profile->network != PROFILE_NETWORK_HOST)
                        profile_complain(reader, &path,
                                         "the list has no \"network\", but sentry.network is \"%s\": add { \"type\": "
                                         "\"network\" } or set sentry.network to \"host\"",
                                         profile->network == PROFILE_NETWORK_NONE ? "none" : "private");
                profile->network = PROFILE_NETWORK_HOST;
        }
        if (profile->network == PROFILE_NETWORK_HOST)
                profile->namespaces &= ~CLONE_NEWNET;
}

/* Without mounts of its own it has the files of whoever starts it, as they are. */
static void check_files(ProfileReader *reader) {
        static const KeyPath linux_path = { .key = "linux" }, path = { .up = &linux_path, .key = "namespaces" };
        const Profile *profile = reader->profile;
        const char *wants = NULL;

        if (profile->namespaces & CLONE_NEWNS)
                return;
        if (profile->root_read_only)
                wants = "root.readonly";
        else if (profile->root_path && !streq(profile->root_path, "/"))
                wants = "root.path";
        else if (profile->n_mounts > 0)
                wants = "mounts";
        else if (profile->masked_paths && *profile->masked_paths)
                wants = "linux.maskedPaths";
        else if (profile->readonly_paths && *profile->readonly_paths)
                wants = "linux.readonlyPaths";
        else if (profile->mount_calls.kinds != 0)
                wants = "sentry.mounts";
        else if (!profile->pid_host)
                wants = "sentry.pid \"private\""; /* for the sake of its /proc */
        if (wants)
                profile_complain(reader, &path, "the list has no \"mount\", which %s needs: add { \"type\": \"mount\" }", wants);
}

static void check_uplink(ProfileReader *reader) {
        static const KeyPath sentry_path = { .key = "sentry" }, network = { .up = &sentry_path, .key = "network" },
                             path = { .up = &network, .key = "uplink" };

        if (reader->profile->pasta && reader->profile->network != PROFILE_NETWORK_PRIVATE)
                profile_complain(reader, &path, "\"pasta\" is a way out of a private network: set \"mode\" to \"private\"");
}

static int set_default(char **text, const char *value) {
        if (!*text)
                *text = strdup(value);
        return *text ? 0 : -ENOMEM;
}

int profile_document_read(json_object *document, ProfileDocument kind, const ProfileSource *sources,
                          size_t n_sources, ProfileProblems *problems, Profile **ret) {
        _cleanup_(profile_freep) Profile *profile = NULL;
        size_t first = problems->n_items;

        int r = profile_new(&profile);
        if (r < 0)
                return r;

        ProfileReader reader = {
                .profile = profile,
                .kind = kind,
                .sources = sources,
                .n_sources = n_sources,
                .problems = problems,
        };
        schema_read_object(&reader, NULL, &profile_schema, document, profile);

        /* What is a part only may get the rest from another one. */
        if (kind == PROFILE_DOCUMENT_RESOLVED || (kind == PROFILE_DOCUMENT_FILE && !reader.has_extends)) {
                check_namespaces(&reader);
                check_files(&reader);
                profile_check_resources(&reader);
                check_uplink(&reader);
        }

        if (reader.error < 0)
                return reader.error;
        if (reader.bad) {
                if (n_sources == 1)
                        profile_problems_sort(problems, first);
                return -EBADMSG;
        }

        if (ret) {
                /* Who has the host's UTS namespace has its names, unless the profile has others. */
                if (profile->namespaces & CLONE_NEWUTS) {
                        r = set_default(&profile->hostname, "sandbox");
                        if (r >= 0)
                                r = set_default(&profile->domainname, "(none)");
                }
                if (r >= 0)
                        r = set_default(&profile->root_path, "/");
                if (r < 0)
                        return r;
                *ret = TAKE_PTR(profile);
        }
        return 0;
}

static int profile_read_text(const char *text, size_t size, const char *file, ProfileDocument kind,
                             ProfileProblems *problems, Profile **ret) {
        _cleanup_(locator_freep) Locator *locator = NULL;
        _cleanup_json_ json_object *document = NULL;

        int r = profile_document_new(text, size, file, true, problems, &document, &locator);
        if (r < 0)
                return r;

        ProfileSource source = { .file = file, .locator = locator };
        return profile_document_read(document, kind, &source, 1, problems, ret);
}

int profile_check(const char *text, const char *file, ProfileProblems *ret_problems) {
        *ret_problems = (ProfileProblems) {};
        return profile_read_text(text, strlen(text), file, PROFILE_DOCUMENT_FILE, ret_problems, NULL);
}

int profile_check_text(const char *text, size_t size, const char *file, ProfileProblems *ret_problems) {
        *ret_problems = (ProfileProblems) {};
        return profile_read_text(text, size, file, PROFILE_DOCUMENT_FILE, ret_problems, NULL);
}

int profile_parse(const char *document, Profile **ret, ProfileProblems *ret_problems) {
        *ret_problems = (ProfileProblems) {};
        return profile_read_text(document, strlen(document), "resolved profile", PROFILE_DOCUMENT_RESOLVED,
                                 ret_problems, ret);
}
