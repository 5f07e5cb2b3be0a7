/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files behind profile.h share: reading a document by tables of keys (the schema) and complaining about it
 * with file, line and key. */

#include "profile-locate.h"
#include "profile.h"
#include "util.h"

#define PROFILE_DEPTH_MAX 32U /* how deep arrays and objects may nest */
#define PROFILE_PROBLEMS_MAX 64U
#define PROFILE_CPUS_MAX 1024U
#define PROFILE_LOG_SIZE_MIN 4096U
#define PROFILE_LOG_SIZE_MAX (16U * 1024U * 1024U)
#define PROFILE_LOG_SIZE_DEFAULT 65536U
#define PROFILE_PTRACE_SCOPE_DEFAULT 1U
#define PROFILE_PTRACE_SCOPE_MAX 3U
#define PROFILE_NESTED_MAX 63U /* with the sandbox's own as many as sentry-kernel lists */
#define PROFILE_DESCRIPTION_MAX 256U
#define PROFILE_LAYERS_MAX 64U
#define PROFILE_PATHS_MAX 256U

/* Where a document, or one of those that it was merged of, comes from. */
typedef struct ProfileSource {
        const char *file;
        const Locator *locator; /* or NULL: then nobody knows what it holds */
        bool without_lines;     /* the user does not see it as a text: its lines are 0 */
} ProfileSource;

typedef enum ProfileDocument {
        PROFILE_DOCUMENT_FILE,      /* may extend another one, and be a part of the whole only */
        PROFILE_DOCUMENT_OVERRIDES, /* a part; extends nothing */
        PROFILE_DOCUMENT_RESOLVED,  /* whole; extends nothing any more */
} ProfileDocument;

/* A document being read. */
typedef struct ProfileReader {
        Profile *profile; /* what is made of it */
        ProfileDocument kind;
        const ProfileSource *sources; /* the later ones lie on top of the earlier */
        size_t n_sources;
        ProfileProblems *problems;
        bool bad;  /* something was complained of */
        int error; /* 0 or -ENOMEM: what was read is not whole */
        bool has_extends, has_pid, has_network;
} ProfileReader;

typedef enum SchemaType {
        SCHEMA_BOOLEAN = 1 << 0,
        SCHEMA_INTEGER = 1 << 1,
        SCHEMA_STRING = 1 << 2,
        SCHEMA_ARRAY = 1 << 3,
        SCHEMA_OBJECT = 1 << 4,
} SchemaType;

typedef struct SchemaKey SchemaKey;
typedef struct Schema Schema;

/* Reads one value, of a type that the key allows, into target. */
typedef void (*SchemaRead)(ProfileReader *reader, const KeyPath *path, const SchemaKey *key, json_object *value,
                           void *target);

struct SchemaKey {
        const char *name;
        unsigned types;         /* SchemaType bits */
        const char *allowed;    /* completes "expected …" */
        SchemaRead read;        /* NULL for an object that has members: read into the same target */
        const Schema *members;
        size_t offset;          /* in target, for the readers that serve several keys */
        bool required;
};

struct Schema {
        const SchemaKey *keys;
        size_t n_keys;
};

#define SCHEMA(keys) { (keys), ELEMENTSOF(keys) }

extern const Schema profile_resources_schema; /* profile-linux.c */
extern const Schema profile_schema, profile_mount_schema, profile_address_schema;

/* profile.c */
int profile_problem_add(ProfileProblems *problems, const char *file, unsigned line, const KeyPath *path,
                        const char *message);
/* Sorts the problems from the one numbered first on by line. */
void profile_problems_sort(ProfileProblems *problems, size_t first);
bool profile_name_is_valid(const char *name);

/* profile-parse.c */

/* Scans and parses a text. 0 with the object (and the locator, if asked), -EBADMSG with problems, -ENOMEM.
 * with_lines: false for a text that the user does not see as a file; its problems have line 0. */
int profile_document_new(const char *text, size_t size, const char *file, bool with_lines, ProfileProblems *problems,
                         json_object **ret, Locator **ret_locator);
/* Reads a parsed document by the schema. 0, -EBADMSG with problems, -ENOMEM. ret may be NULL. */
int profile_document_read(json_object *document, ProfileDocument kind, const ProfileSource *sources,
                          size_t n_sources, ProfileProblems *problems, Profile **ret);
/* As profile_check(), for a text that may hold NULs. */
int profile_check_text(const char *text, size_t size, const char *file, ProfileProblems *ret_problems);

/* profile-schema.c */

/* Complains about the value at path. */
__attribute__((format(printf, 3, 4))) void profile_complain(ProfileReader *reader, const KeyPath *path,
                                                            const char *format, ...);
/* "expected ALLOWED, found VALUE", and a known word that is near, if any. */
void profile_complain_value(ProfileReader *reader, const KeyPath *path, const char *allowed, json_object *value,
                            const char *nearest);
/* True when nobody would see a further complaint: no need to think about what it should say. */
bool profile_reader_is_full(const ProfileReader *reader);
/* Remembers r when it is an error. Returns whether it is none. */
bool profile_reader_good(ProfileReader *reader, int r);

void schema_read_object(ProfileReader *reader, const KeyPath *path, const Schema *schema, json_object *object,
                        void *target);
/* Whether the value is of an allowed type; complains when it is not. */
bool schema_check_type(ProfileReader *reader, const KeyPath *path, unsigned types, const char *allowed,
                       json_object *value);

/* The best of candidates so far: start with { .distance = UINT_MAX }. NULL when nothing is near enough. */
typedef struct Nearest {
        const char *word;
        unsigned distance;
} Nearest;
void nearest_consider(Nearest *nearest, const char *seen, const char *candidate);
const char *nearest_word(const Nearest *nearest, const char *seen);

/* profile-values.c, profile-addresses.c and profile-mounts.c: the readers of single values */
void read_boolean(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_domain(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_path(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_env(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_unsetenv(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_env_mode(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_capabilities(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_rlimits(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_no_new_privileges(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_namespaces(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_extends(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_description(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_kernel_text(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_cpus(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_pid(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_ptrace_scope(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_timers(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_nested_namespaces(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_landlock(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_users(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_capability_sets(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_freezer(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_network(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_log_size(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_masked_paths(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_limits(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_addresses(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);
void read_mounts(ProfileReader *, const KeyPath *, const SchemaKey *, json_object *, void *);

void profile_check_resources(ProfileReader *reader);
void profile_mount_done(ProfileMount *mount);

/* Reads "a word of a list". The index of the word, or -1 after a complaint. */
int read_word(ProfileReader *reader, const KeyPath *path, const char *const *words, size_t n_words,
              json_object *value);

/* The name of a variable in "K=V": its length, 0 when it is none. */
size_t env_name_length(const char *assignment);
