/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Profiles: the object and its problems; where profiles lie, and which ones there are. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "profile-internal.h"

#ifndef SENTRYD_DATADIR
#define SENTRYD_DATADIR "/usr/share/sentryd"
#endif
#ifndef SENTRYD_SYSCONFDIR
#define SENTRYD_SYSCONFDIR "/etc/sentryd"
#endif
#ifndef SENTRYD_LIBEXECDIR
#define SENTRYD_LIBEXECDIR "/usr/libexec"
#endif
#ifndef SENTRYD_BINDIR
#define SENTRYD_BINDIR "/usr/bin"
#endif

#define PROFILE_NAME_MAX 64U
#define PROFILE_LIST_MAX 1024U /* how many profiles a listing tells of */

static ProfileMount *profile_mounts_free(ProfileMount *mounts, size_t n) {
        for (size_t i = 0; mounts && i < n; i++)
                profile_mount_done(mounts + i);
        free(mounts);
        return NULL;
}

Profile *profile_free(Profile *profile) {
        if (!profile)
                return NULL;

        free(profile->hostname);
        free(profile->domainname);
        free(profile->root_path);
        free(profile->cwd);
        strv_free(profile->env);
        strv_free(profile->unsetenv);
        free(profile->rlimits);
        profile_mounts_free(profile->mounts, profile->n_mounts);
        strv_free(profile->masked_paths);
        strv_free(profile->readonly_paths);
        for (size_t i = 0; i < profile->resources.n_hugepages; i++)
                free(profile->resources.hugepages[i].page_size);
        free(profile->kernel_release);
        free(profile->kernel_version);
        free(profile->cpus);
        address_rules_done(&profile->addresses);
        free(profile->description);
        free(profile);
        return NULL;
}

void profile_problems_done(ProfileProblems *problems) {
        if (!problems)
                return;

        for (size_t i = 0; i < problems->n_items; i++) {
                free(problems->items[i].file);
                free(problems->items[i].key);
                free(problems->items[i].message);
        }
        free(problems->items);
        *problems = (ProfileProblems) {};
}

int profile_problem_add(ProfileProblems *problems, const char *file, unsigned line, const KeyPath *path,
                        const char *message) {
        if (problems->n_items >= PROFILE_PROBLEMS_MAX)
                return 0;
        bool last = problems->n_items == PROFILE_PROBLEMS_MAX - 1;

        if (!problems->items) {
                problems->items = calloc(PROFILE_PROBLEMS_MAX, sizeof(ProfileProblem));
                if (!problems->items)
                        return -ENOMEM;
        }

        ProfileProblem problem = {
                .file = strdup(file),
                .line = line,
                .key = last ? strdup("") : key_path_to_string(path),
                .message = strdup(last ? "there are more problems; these are the first ones" : message),
        };
        if (!problem.file || !problem.key || !problem.message) {
                free(problem.file);
                free(problem.key);
                free(problem.message);
                return -ENOMEM;
        }

        problems->items[problems->n_items++] = problem;
        return 0;
}

void profile_problems_sort(ProfileProblems *problems, size_t first) {
        size_t n = problems->n_items;

        if (n >= PROFILE_PROBLEMS_MAX)
                n--; /* the last one says that there are more */

        /* By insertion: few, and those of one line stay in their order. */
        for (size_t i = first + 1; i < n; i++) {
                ProfileProblem moved = problems->items[i];
                size_t j = i;

                for (; j > first && problems->items[j - 1].line > moved.line; j--)
                        problems->items[j] = problems->items[j - 1];
                problems->items[j] = moved;
        }
}

char *profile_problems_to_string(const ProfileProblems *problems) {
        _cleanup_free_ char *text = strdup("");

        if (!text)
                return NULL;

        for (size_t i = 0; i < problems->n_items; i++) {
                const ProfileProblem *p = &problems->items[i];
                int r = 0;

                if (p->file[0])
                        r = p->line > 0 ? string_appendf(&text, "%s:%u: ", p->file, p->line) :
                                          string_appendf(&text, "%s: ", p->file);
                if (r >= 0)
                        r = string_appendf(&text, "%s%s%s\n", p->key, p->key[0] ? ": " : "", p->message);
                if (r < 0)
                        return NULL;
        }

        return TAKE_PTR(text);
}

bool profile_name_is_valid(const char *name) {
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
        size_t n = strnlen(name, PROFILE_NAME_MAX + 1);

        return n > 0 && n <= PROFILE_NAME_MAX && name[0] != '.' && name[0] != '-' && strspn(name, allowed) == n;
}

static bool is_executable(int dir_fd, const char *name) {
        struct stat st;

        return fstatat(dir_fd, name, &st, 0) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* The profiles beside an uninstalled binary; *ret is NULL when this one is installed. */
static int profile_build_directory(char **ret) {
        char exe[PATH_MAX];
        struct stat st;

        *ret = NULL;
        ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
        if (n <= 0 || (size_t) n >= sizeof exe || exe[0] != '/')
                return 0;
        exe[n] = '\0';
        *strrchr(exe, '/') = '\0';
        if (streq(exe, SENTRYD_LIBEXECDIR) || streq(exe, SENTRYD_BINDIR))
                return 0;

        _cleanup_close_ int fd = open(exe, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || !is_executable(fd, "sentryd") || !is_executable(fd, "sentry-kernel") ||
            fstatat(fd, "profiles", &st, 0) < 0 || !S_ISDIR(st.st_mode))
                return 0;

        return string_appendf(ret, "%s/profiles", exe);
}

/* $SENTRYD_PROFILE_PATH, which replaces all other directories. */
static int profile_search_path_given(const char *given, char ***path) {
        while (*given) {
                size_t n = strcspn(given, ":");

                if (n > 0) {
                        int r = strv_consume(path, strndup(given, n));
                        if (r < 0)
                                return r;
                }
                given += n;
                given += *given == ':';
        }

        return 0;
}

static int profile_search_path_user(char ***path) {
        const char *config = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
        char *directory = NULL;
        int r;

        /* The XDG base directory specification: what is not absolute is as if it were not set. */
        if (config && config[0] == '/')
                r = string_appendf(&directory, "%s/sentryd/profiles", config);
        else if (home && home[0] == '/')
                r = string_appendf(&directory, "%s/.config/sentryd/profiles", home);
        else
                return 0;

        return r < 0 ? r : strv_consume(path, directory);
}

int profile_search_path(bool with_user, char ***ret) {
        _cleanup_strv_free_ char **path = NULL;
        _cleanup_free_ char *build = NULL;
        const char *given;
        int r;

        path = calloc(1, sizeof(char *));
        if (!path)
                return -ENOMEM;

        given = secure_getenv("SENTRYD_PROFILE_PATH"); /* NULL when privileged by setuid */
        if (given)
                r = profile_search_path_given(given, &path);
        else {
                r = with_user ? profile_search_path_user(&path) : 0;
                if (r >= 0)
                        r = strv_extend(&path, SENTRYD_SYSCONFDIR "/profiles");
                if (r >= 0)
                        r = profile_build_directory(&build);
                if (r >= 0)
                        r = strv_extend(&path, build ?: SENTRYD_DATADIR "/profiles");
        }
        if (r < 0)
                return r;

        *ret = TAKE_PTR(path);
        return 0;
}

int profile_find(char *const *search_path, const char *name, char **ret_file) {
        if (!profile_name_is_valid(name))
                return -EINVAL;

        for (char *const *dir = search_path; dir && *dir; dir++) {
                _cleanup_free_ char *file = NULL;

                int r = string_appendf(&file, "%s/%s.json", *dir, name);
                if (r < 0)
                        return r;

                /* A dangling link is there: who reads it finds out. A directory that must not be looked into, as
                 * $HOME is after a change of user, is none of ours. */
                if (faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) >= 0) {
                        *ret_file = TAKE_PTR(file);
                        return 0;
                }
                if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                        return -errno;
        }

        return -ENOENT;
}

/* The description of a profile's file, if it has one that is whole enough to tell. */
static int profile_describe(const char *file, char **ret) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_json_ json_object *document = NULL;
        _cleanup_free_ char *text = NULL;
        json_object *sentry, *description;
        size_t size;

        *ret = NULL;
        int r = read_full_file(file, PROFILE_TEXT_MAX, &text, &size);
        if (r >= 0)
                r = profile_document_new(text, size, file, true, &problems, &document, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !json_object_is_type(document, json_type_object) ||
            !json_object_object_get_ex(document, "sentry", &sentry) ||
            !json_object_is_type(sentry, json_type_object) ||
            !json_object_object_get_ex(sentry, "description", &description) ||
            !json_object_is_type(description, json_type_string))
                return 0;

        *ret = text_shown(json_object_get_string(description), PROFILE_DESCRIPTION_MAX);
        return *ret ? 0 : -ENOMEM;
}

typedef struct ListingBuilder {
        ProfileListing *items;
        size_t n, capacity;
} ListingBuilder;

static void listing_builder_done(ListingBuilder *builder) {
        profile_listing_free(builder->items, builder->n);
}

static int listing_add(ListingBuilder *builder, const char *dir, const char *name) {
        for (size_t i = 0; i < builder->n; i++)
                if (streq(builder->items[i].name, name))
                        return 0; /* an earlier directory has it */

        if (builder->n == builder->capacity) {
                size_t wanted = MAX(2 * builder->capacity, (size_t) 16);
                ProfileListing *longer = reallocarray(builder->items, wanted, sizeof(ProfileListing));

                if (!longer)
                        return -ENOMEM;
                builder->items = longer;
                builder->capacity = wanted;
        }

        ProfileListing *item = &builder->items[builder->n++];
        *item = (ProfileListing) { .name = strdup(name) };
        int r = string_appendf(&item->file, "%s/%s.json", dir, name);
        if (r < 0 || !item->name)
                return -ENOMEM;

        return profile_describe(item->file, &item->description);
}

static int listing_add_directory(ListingBuilder *builder, const char *path) {
        int r = 0;

        DIR *dir = opendir(path);
        if (!dir)
                return errno == ENOMEM ? -ENOMEM : 0;

        for (struct dirent *entry; r >= 0 && builder->n < PROFILE_LIST_MAX && (entry = readdir(dir));) {
                size_t n = strlen(entry->d_name);

                if (n <= strlen(".json") || !streq(entry->d_name + n - strlen(".json"), ".json"))
                        continue;
                entry->d_name[n - strlen(".json")] = '\0';
                if (profile_name_is_valid(entry->d_name))
                        r = listing_add(builder, path, entry->d_name);
        }

        closedir(dir);
        return r;
}

static int listing_compare(const void *a, const void *b) {
        return strcmp(((const ProfileListing *) a)->name, ((const ProfileListing *) b)->name);
}

int profile_list(char *const *search_path, ProfileListing **ret, size_t *ret_n) {
        _cleanup_(listing_builder_done) ListingBuilder builder = {};

        for (char *const *dir = search_path; dir && *dir; dir++) {
                int r = listing_add_directory(&builder, *dir);
                if (r < 0)
                        return r;
        }
        if (builder.n > 0)
                qsort(builder.items, builder.n, sizeof(ProfileListing), listing_compare);

        *ret = TAKE_PTR(builder.items);
        *ret_n = builder.n;
        return 0;
}

ProfileListing *profile_listing_free(ProfileListing *listing, size_t n) {
        for (size_t i = 0; listing && i < n; i++) {
                free(listing[i].name);
                free(listing[i].file);
                free(listing[i].description);
        }
        free(listing);
        return NULL;
}
