/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading sentryd.conf and its drop-ins. Nothing in them is fatal: who cannot start because of a misspelled key keeps
 * nobody's sandboxes. */

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config.h"
#include "log.h"
#include "profile-internal.h"
#include "util.h"

#define CONFIG_NAME "sentryd.conf"
#define CONFIG_SIZE_MAX (256U * 1024U)
#define CONFIG_DROPINS_MAX 1024U
#define CONFIG_SHOWN_MAX 64U
#define SECTION "Manager"

/* A file being read. */
typedef struct Reader {
        const char *file;
        unsigned line;
        Config *config;
} Reader;

/* Sets a key. value is empty to go back to the default. Returns 0, or -EINVAL when the value is none of those allowed. */
typedef int (*SetKey)(Config *config, const char *value, size_t offset);

static int set_level(Config *config, const char *value, size_t offset) {
        int level = *value ? log_level_from_string(value) : -1;

        if (*value && level < 0)
                return -EINVAL;
        config->log_level = level;
        return 0;
}

/* Limits, by where they lie in Config. */
static const struct {
        size_t offset;
        unsigned initially, max;
} limits[] = {
        { offsetof(Config, max_sandboxes), CONFIG_SANDBOXES_DEFAULT, CONFIG_SANDBOXES_MAX },
        { offsetof(Config, max_sandboxes_per_user), CONFIG_SANDBOXES_PER_USER_DEFAULT, CONFIG_SANDBOXES_MAX },
        { offsetof(Config, max_descriptors_per_user), CONFIG_DESCRIPTORS_PER_USER_DEFAULT, CONFIG_DESCRIPTORS_MAX },
        { offsetof(Config, max_calls_per_user), CONFIG_CALLS_PER_USER_DEFAULT, CONFIG_CALLS_MAX },
};

static int set_limit(Config *config, const char *value, size_t offset) {
        unsigned *field = (unsigned *) ((char *) config + offset), number;
        size_t i = 0;

        while (limits[i].offset != offset)
                i++;
        if (!*value)
                number = limits[i].initially;
        else if (safe_atou(value, &number) < 0 || number < 1 || number > limits[i].max)
                return -EINVAL;
        *field = number;
        return 0;
}

static int set_watchdog(Config *config, const char *value, size_t offset) {
        unsigned seconds = CONFIG_UNSET;

        if (*value && (safe_atou(value, &seconds) < 0 || seconds > CONFIG_WATCHDOG_SEC_MAX))
                return -EINVAL;
        config->watchdog_sec = seconds;
        return 0;
}

static int set_default_profile(Config *config, const char *value, size_t offset) {
        char *copy;

        if (!*value)
                value = "default";
        if (!profile_name_is_valid(value))
                return -EINVAL;
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(config->default_profile);
        config->default_profile = copy;
        return 0;
}

static int set_profile_path(Config *config, const char *value, size_t offset) {
        _cleanup_strv_free_ char **path = NULL;
        int r;

        for (size_t n; *value; value += n + (value[n] == ':')) {
                _cleanup_free_ char *directory = NULL, *normal = NULL;

                n = strcspn(value, ":");
                if (n == 0)
                        continue;
                directory = strndup(value, n);
                if (!directory)
                        return -ENOMEM;
                r = path_normalize(directory, &normal);
                if (r < 0)
                        return r == -ENOMEM ? r : -EINVAL;
                r = strv_consume(&path, TAKE_PTR(normal));
                if (r < 0)
                        return r;
        }

        strv_free(config->profile_path);
        config->profile_path = TAKE_PTR(path);
        return 0;
}


static const struct {
        const char *name;
        SetKey set;
        size_t offset;
        const char *allowed; /* completes "expected …" */
} keys[] = {
        { "LogLevel", set_level, 0, "error, warning, info, debug, or 0 to 7" },
        { "MaxSandboxes", set_limit, offsetof(Config, max_sandboxes), "a number from 1 to 16384" },
        { "MaxSandboxesPerUser", set_limit, offsetof(Config, max_sandboxes_per_user), "a number from 1 to 16384" },
        { "MaxDescriptorsPerUser", set_limit, offsetof(Config, max_descriptors_per_user), "a number from 1 to 1000000" },
        { "MaxCallsPerUser", set_limit, offsetof(Config, max_calls_per_user), "a number from 1 to 1000000" },
        { "ProfilePath", set_profile_path, 0, "absolute paths of directories, with colons between" },
        { "DefaultProfile", set_default_profile, 0, "the name of a profile: no directory, no \".json\"" },
        { "WatchdogSec", set_watchdog, 0, "a number of seconds from 0 (no watchdog) to 86400" },
};

static void complain(const Reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(const Reader *reader, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        log_warning("%s:%u: %s", reader->file, reader->line, text ?: "out of memory");
}

static int read_key(Reader *reader, const char *name, const char *value) {
        _cleanup_free_ char *shown = NULL, *shown_value = NULL, *known = NULL;
        Nearest nearest = { .distance = UINT32_MAX };
        const char *word;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (!streq(keys[i].name, name)) {
                        nearest_consider(&nearest, name, keys[i].name);
                        if (string_appendf(&known, "%s%s=", i > 0 ? ", " : "", keys[i].name) < 0)
                                return -ENOMEM;
                        continue;
                }

                r = keys[i].set(reader->config, value, keys[i].offset);
                if (r != -EINVAL)
                        return r;
                shown_value = text_shown(value, CONFIG_SHOWN_MAX);
                complain(reader, "%s=: expected %s, found \"%s\"; the line is ignored", name, keys[i].allowed,
                         shown_value ?: "");
                return 0;
        }

        shown = text_shown(name, CONFIG_SHOWN_MAX);
        word = nearest_word(&nearest, name);
        if (word)
                complain(reader, "unknown key \"%s\"; did you mean \"%s\"? The line is ignored", shown ?: "", word);
        else
                complain(reader, "unknown key \"%s\"; known are %s. The line is ignored", shown ?: "", known);
        return 0;
}

static char *strip(char *text) {
        size_t n;

        text += strspn(text, " \t\r");
        for (n = strlen(text); n > 0 && strchr(" \t\r", text[n - 1]); n--)
                ;
        text[n] = '\0';
        return text;
}

/* One line, without white space around it. */
static int read_line(Reader *reader, char *line, bool *known_section) {
        _cleanup_free_ char *shown = NULL;
        size_t n = strlen(line);
        char *equals;

        if (n == 0 || line[0] == '#' || line[0] == ';')
                return 0;

        if (line[0] == '[') {
                *known_section = streq(line, "[" SECTION "]");
                if (*known_section)
                        return 0;
                shown = text_shown(line, CONFIG_SHOWN_MAX);
                complain(reader, "\"%s\" is no section that is known here, [" SECTION "] is: what follows is ignored",
                         shown ?: "");
                return 0;
        }
        if (!*known_section)
                return 0;

        equals = strchr(line, '=');
        if (!equals) {
                shown = text_shown(line, CONFIG_SHOWN_MAX);
                complain(reader, "expected KEY=VALUE, found \"%s\"; the line is ignored", shown ?: "");
                return 0;
        }
        *equals = '\0';
        return read_key(reader, strip(line), strip(equals + 1));
}

/* Reads a file. *ret_found (may be NULL): whether there is one; one that cannot be read is. */
static int read_file(Config *config, const char *file, bool *ret_found) {
        Reader reader = { .file = file, .config = config };
        _cleanup_free_ char *text = NULL;
        bool known_section = false, told = false;
        size_t size = 0;
        char *next;
        int r;

        r = read_full_file(file, CONFIG_SIZE_MAX, &text, &size);
        if (ret_found)
                *ret_found = r != -ENOENT;
        if (r == -ENOENT || r == -ENOMEM)
                return MIN(r == -ENOENT ? 0 : r, 0);
        if (r == -EFBIG)
                log_warning("%s is larger than %u bytes: ignored.", file, CONFIG_SIZE_MAX);
        else if (r < 0)
                log_warning_errno(r, "Failed to read %s: %m. It is ignored.", file);
        if (r < 0)
                return 0;
        if (strlen(text) != size || utf8_valid_length(text, size) != size) {
                log_warning("%s is not a text in UTF-8: ignored.", file);
                return 0;
        }

        for (char *line = text; line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                reader.line++;

                line = strip(line);
                if (!known_section && !told && *line && !strchr("#;[", *line)) {
                        complain(&reader, "this is in no section: write [" SECTION "] above it");
                        told = true;
                }
                if (*line == '[')
                        told = true;
                r = read_line(&reader, line, &known_section);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Where configuration lies, the most important first. */
static int find_directories(bool with_user, char ***ret) {
        static const char *const usual[] = {
                SENTRYD_SYSCONFDIR, "/run/sentryd", "/usr/local/lib/sentryd", "/usr/lib/sentryd",
        };
        const char *given = secure_getenv("SENTRYD_CONFIG_PATH"), *config = secure_getenv("XDG_CONFIG_HOME"),
                   *home = secure_getenv("HOME");
        _cleanup_strv_free_ char **path = NULL;
        char *own = NULL;
        int r = 0;

        if (given) {
                for (size_t n; *given && r >= 0; given += n + (given[n] == ':')) {
                        n = strcspn(given, ":");
                        if (n > 0)
                                r = strv_consume(&path, strndup(given, n));
                }
                if (r >= 0)
                        *ret = TAKE_PTR(path);
                return r;
        }

        if (with_user && config && config[0] == '/')
                r = string_appendf(&own, "%s/sentryd", config);
        else if (with_user && home && home[0] == '/')
                r = string_appendf(&own, "%s/.config/sentryd", home);
        if (r >= 0 && own)
                r = strv_consume(&path, own);
        for (size_t i = 0; i < ELEMENTSOF(usual) && r >= 0; i++)
                r = strv_extend(&path, usual[i]);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(path);
        return 0;
}

/* The name of a file without its directory. */
static const char *base_name(const char *path) {
        return strrchr(path, '/') + 1;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(base_name(*(char *const *) a), base_name(*(char *const *) b));
}

/* Adds the drop-ins of a directory, unless one of their name is there already, which counts instead. */
static int collect_dropins(const char *directory, char ***dropins) {
        _cleanup_free_ char *path = NULL;
        struct dirent *entry;
        DIR *d;
        int r;

        r = string_appendf(&path, "%s/" CONFIG_NAME ".d", directory);
        if (r < 0)
                return r;
        d = opendir(path);
        if (!d) {
                if (errno != ENOENT)
                        log_warning_errno(errno, "Failed to read %s: %m. It is ignored.", path);
                return 0;
        }

        while (r >= 0 && (entry = readdir(d))) {
                size_t n = strlen(entry->d_name), have = strv_length(*dropins);
                bool masked = false;
                char *file = NULL;

                if (entry->d_name[0] == '.' || n <= strlen(".conf") || !streq(entry->d_name + n - 5, ".conf"))
                        continue;
                if (have >= CONFIG_DROPINS_MAX) {
                        log_warning("There are more than %u drop-ins for " CONFIG_NAME ": the rest is ignored.",
                                    CONFIG_DROPINS_MAX);
                        break;
                }
                for (size_t i = 0; i < have; i++)
                        masked = masked || streq(base_name((*dropins)[i]), entry->d_name);
                if (masked)
                        continue;

                r = string_appendf(&file, "%s/%s", path, entry->d_name);
                if (r >= 0)
                        r = strv_consume(dropins, file);
        }
        (void) closedir(d);
        return MIN(r, 0);
}

/* Whether a drop-in is there only to take the place of others of its name. */
static bool is_mask(const char *file) {
        struct stat st;

        return stat(file, &st) >= 0 && S_ISCHR(st.st_mode);
}

static int load(bool with_user, Config *config) {
        _cleanup_strv_free_ char **path = NULL, **dropins = NULL;
        bool found = false;
        int r;

        r = find_directories(with_user, &path);
        if (r < 0)
                return r;

        for (char **directory = path; directory && *directory && !found; directory++) {
                _cleanup_free_ char *file = NULL;

                r = string_appendf(&file, "%s/" CONFIG_NAME, *directory);
                if (r >= 0)
                        r = read_file(config, file, &found);
                if (r < 0)
                        return r;
        }

        for (char **directory = path; directory && *directory; directory++) {
                r = collect_dropins(*directory, &dropins);
                if (r < 0)
                        return r;
        }
        if (dropins)
                qsort(dropins, strv_length(dropins), sizeof(*dropins), compare_names);
        for (char **file = dropins; file && *file; file++) {
                r = is_mask(*file) ? 0 : read_file(config, *file, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

int config_load(bool with_user, Config *ret) {
        Config config = {
                .log_level = -1,
                .watchdog_sec = CONFIG_UNSET,
                .default_profile = strdup("default"),
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                (void) set_limit(&config, "", limits[i].offset);
        r = config.default_profile ? load(with_user, &config) : -ENOMEM;
        if (r < 0) {
                config_done(&config);
                return r;
        }

        *ret = config;
        return 0;
}

void config_done(Config *config) {
        free(TAKE_PTR(config->default_profile));
        config->profile_path = strv_free(config->profile_path);
}
