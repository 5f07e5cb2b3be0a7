/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <json-c/json.h>

#include "log.h"
#include "manager.h"
#include "profile.h"
#include "runtime-dir.h"
#include "runtime.h"
#include "util.h"

#define INDEX_VERSION 1
#define INDEX_SIZE_MAX (8U * PROFILE_TEXT_MAX) /* bytes: what a document may be with all of it escaped, and more */
#define INDEX_FILES_MAX (2U * CONFIG_SANDBOXES_MAX)
#define LOCK_TRIES 100U /* processes that we start have our lock up to their exec: 2 s */
#define LOCK_TRY_USEC 20000U
#define TEMPORARY ".new" /* no sandbox is called so */

/* The usual place of an instance. */
static int default_path(ManagerMode mode, char **ret) {
        const char *given = getenv("RUNTIME_DIRECTORY");
        int r;

        *ret = NULL;
        if (mode == MANAGER_SYSTEM) {
                size_t n = given && given[0] == '/' ? strcspn(given, ":") : 0;

                return n > 0 ? string_appendf(ret, "%.*s", (int) n, given) : string_appendf(ret, "/run/sentryd");
        }

        r = runtime_dir_of_user(ret);
        if (r < 0)
                return r;
        if (mkdir(*ret, 0700) < 0 && errno != EEXIST)
                return log_error_errno(errno, "Failed to make %s: %m", *ret);
        return string_appendf(ret, "/user"); /* the embedded instance has the directory itself */
}

/* Opens a directory of ours, and makes it. */
static int open_directory(int at, const char *path, mode_t mode) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        bool made;

        made = mkdirat(at, path, mode) >= 0;
        if (!made && errno != EEXIST)
                return log_error_errno(errno, "Failed to make %s: %m", path);
        fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return log_error_errno(errno, "Failed to open %s: %m", path);
        if (st.st_uid != geteuid() || (st.st_mode & 022)) {
                log_error("%s belongs to uid %u and has mode %04o: it must be ours and nobody else's to write. Remove it, "
                          "and it is made anew.", path, st.st_uid, (unsigned) st.st_mode & 07777);
                return -EPERM;
        }
        if (made && fchmod(fd, mode) < 0) /* whatever the umask is */
                return log_error_errno(errno, "Failed to set the mode of %s: %m", path);
        return TAKE_FD(fd);
}

static int take_lock(Runtime *runtime) {
        struct stat st;

        for (unsigned i = 0; i < LOCK_TRIES; i++) {
                safe_close(runtime->lock_fd);
                runtime->lock_fd = openat(runtime->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (runtime->lock_fd < 0)
                        return log_error_errno(errno, "Failed to open %s/lock: %m", runtime->path);
                if (flock(runtime->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                        if (errno != EWOULDBLOCK)
                                return log_error_errno(errno, "Failed to lock %s/lock: %m", runtime->path);
                        (void) usleep(LOCK_TRY_USEC);
                } else if (fstat(runtime->lock_fd, &st) >= 0 && st.st_nlink > 0) /* who had it removes it in the end */
                        return 0;
        }

        log_error("%s/lock is locked: another sentryd of the same kind runs, on another bus.", runtime->path);
        return -EBUSY;
}

int runtime_open(Runtime *runtime, ManagerMode mode, const char *path) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        *runtime = (Runtime) RUNTIME_NONE;
        if (path) {
                runtime->path = strdup(path);
                r = runtime->path ? 0 : log_oom();
        } else
                r = default_path(mode, &runtime->path);
        if (r < 0)
                return r;

        /* Which sentry-kernels there are is nobody's business, but each of them must get to the socket. */
        fd = open_directory(AT_FDCWD, runtime->path, mode == MANAGER_SYSTEM ? 0755 : 0700);
        if (fd < 0)
                return fd;
        runtime->fd = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (runtime->fd < 0)
                return log_error_errno(errno, "Failed to open %s: %m", runtime->path);
        if (!path) {
                r = take_lock(runtime);
                if (r < 0)
                        return r;
        }
        runtime->sandboxes_fd = open_directory(fd, "sandboxes", 0700);
        return MIN(runtime->sandboxes_fd, 0);
}

void runtime_close(Runtime *runtime) {
        /* Not while there are any. */
        if (runtime->fd >= 0 && unlinkat(runtime->fd, "sandboxes", AT_REMOVEDIR) >= 0 && runtime->lock_fd >= 0) {
                (void) unlinkat(runtime->fd, "lock", 0);
                (void) rmdir(runtime->path); /* nor when there is configuration */
        }
        safe_close(runtime->sandboxes_fd);
        safe_close(runtime->fd);
        safe_close(runtime->lock_fd);
        free(runtime->path);
        *runtime = (Runtime) RUNTIME_NONE;
}

void index_entry_done(IndexEntry *entry) {
        free(TAKE_PTR(entry->name));
        free(TAKE_PTR(entry->profile_name));
        free(TAKE_PTR(entry->profile));
}

static int write_all(int fd, const char *text) {
        for (size_t left = strlen(text); left > 0;) {
                ssize_t n = write(fd, text, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                text += n;
                left -= (size_t) n;
        }
        return 0;
}

static json_object *entry_to_json(const IndexEntry *entry) {
        json_object *object = json_object_new_object();

        if (!object)
                return NULL;
        if (json_object_object_add(object, "version", json_object_new_int(INDEX_VERSION)) < 0 ||
            json_object_object_add(object, "name", json_object_new_string(entry->name)) < 0 ||
            json_object_object_add(object, "owner", json_object_new_int64(entry->owner)) < 0 ||
            json_object_object_add(object, "profileName", json_object_new_string(entry->profile_name)) < 0 ||
            json_object_object_add(object, "profile", json_object_new_string(entry->profile)) < 0 ||
            json_object_object_add(object, "madeUSec", json_object_new_int64((int64_t) entry->made_usec)) < 0) {
                json_object_put(object);
                return NULL;
        }
        return object;
}

int index_write(const Runtime *runtime, const IndexEntry *entry) {
        _cleanup_json_ json_object *object = entry_to_json(entry);
        _cleanup_close_ int fd = -EBADF, locked = -EBADF;
        const char *text;
        int r;

        text = object ? json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN) : NULL;
        if (!text)
                return -ENOMEM;

        (void) unlinkat(runtime->sandboxes_fd, TEMPORARY, 0);
        fd = openat(runtime->sandboxes_fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text);
        if (r >= 0) {
                /* Who has it may not write: the owner's processes do, and it says who the owner is. */
                locked = openat(runtime->sandboxes_fd, TEMPORARY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                r = locked < 0 || flock(locked, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
        }
        if (r >= 0 && renameat(runtime->sandboxes_fd, TEMPORARY, runtime->sandboxes_fd, entry->name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(runtime->sandboxes_fd, TEMPORARY, 0);
                return r;
        }
        return TAKE_FD(locked);
}

static const char *get_string(json_object *object, const char *key) {
        json_object *value;

        return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, json_type_string) &&
                               strlen(json_object_get_string(value)) == (size_t) json_object_get_string_len(value)
                       ? json_object_get_string(value)
                       : NULL;
}

static bool get_number(json_object *object, const char *key, int64_t max, int64_t *ret) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_int))
                return false;
        *ret = json_object_get_int64(value);
        return *ret >= 0 && *ret <= max;
}

int index_read(const Runtime *runtime, const char *name, IndexEntry *ret) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = NULL;
        _cleanup_json_ json_object *object = NULL;
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        int64_t version, owner, made;
        const char *known, *profile_name, *profile;
        IndexEntry entry = {};
        struct stat st;
        size_t size;
        int r;

        fd = openat(runtime->sandboxes_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
                goto bad;
        r = read_full_fd(fd, INDEX_SIZE_MAX, &text, &size);
        if (r == -EFBIG)
                goto bad;
        if (r < 0)
                return r;

        tokener = json_tokener_new_ex(4);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, text, (int) size + 1);
        if (!json_object_is_type(object, json_type_object) || !get_number(object, "version", INT32_MAX, &version))
                goto bad;
        if (version != INDEX_VERSION) {
                log_warning("%s/sandboxes/%s is of version %lld, and this sentryd knows version %d only.", runtime->path,
                            name, (long long) version, INDEX_VERSION);
                return -EPROTO;
        }
        known = get_string(object, "name");
        profile_name = get_string(object, "profileName");
        profile = get_string(object, "profile");
        if (!known || !streq(known, name) || !profile_name || !profile || strlen(profile) > PROFILE_TEXT_MAX ||
            !get_number(object, "owner", UINT32_MAX - 1, &owner) || !get_number(object, "madeUSec", INT64_MAX, &made))
                goto bad;

        entry = (IndexEntry) {
                .name = strdup(name),
                .owner = (uint32_t) owner,
                .profile_name = strdup(profile_name),
                .profile = strdup(profile),
                .made_usec = (uint64_t) made,
        };
        if (!entry.name || !entry.profile_name || !entry.profile) {
                index_entry_done(&entry);
                return -ENOMEM;
        }
        *ret = entry;
        return 0;

bad:
        log_warning("%s/sandboxes/%s is not what sentryd wrote there.", runtime->path, name);
        return -EBADMSG;
}

int index_lock(const Runtime *runtime, const char *name) {
        _cleanup_close_ int fd = -EBADF;

        fd = openat(runtime->sandboxes_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        return TAKE_FD(fd);
}

bool index_is(const Runtime *runtime, const char *name, int fd) {
        struct stat ours, theirs;

        return fstatat(runtime->sandboxes_fd, name, &ours, AT_SYMLINK_NOFOLLOW) >= 0 && fstat(fd, &theirs) >= 0 &&
               S_ISREG(ours.st_mode) && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

void index_remove(const Runtime *runtime, const char *name) {
        if (runtime->sandboxes_fd >= 0 && unlinkat(runtime->sandboxes_fd, name, 0) < 0 && errno != ENOENT)
                log_warning_errno(errno, "Failed to remove %s/sandboxes/%s: %m", runtime->path, name);
}

int index_list(const Runtime *runtime, char ***ret) {
        _cleanup_(closedirp) DIR *directory = NULL;
        _cleanup_strv_free_ char **names = NULL;
        struct dirent *entry;
        size_t n = 0;
        int fd, r;

        fd = openat(runtime->sandboxes_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        directory = fdopendir(fd);
        if (!directory) {
                r = -errno;
                safe_close(fd);
                return r;
        }

        while ((errno = 0, entry = readdir(directory))) {
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                if (!sandbox_name_is_valid(entry->d_name)) {
                        (void) unlinkat(runtime->sandboxes_fd, entry->d_name, 0);
                        continue;
                }
                if (n++ >= INDEX_FILES_MAX)
                        return -E2BIG;
                r = strv_extend(&names, entry->d_name);
                if (r < 0)
                        return r;
        }
        if (errno != 0)
                return -errno;
        *ret = TAKE_PTR(names);
        return 0;
}
