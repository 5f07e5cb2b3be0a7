/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts as descriptors. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "mount-tree.h"
#include "util.h"

#ifndef AT_RECURSIVE
#  define AT_RECURSIVE 0x8000
#endif
#ifndef SYS_mount_setattr
#  define SYS_mount_setattr 442
#endif

/* struct mount_attr, which headers have since Linux 5.12. */
typedef struct MountAttributes {
        uint64_t set, clear, propagation, userns_fd;
} MountAttributes;

#define MOUNTINFO_MAX (16U * 1024U * 1024U)

int tree_clone(int dirfd, const char *path, bool recursive, int *ret) {
        unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
        int fd;

        if (!*path)
                flags |= AT_EMPTY_PATH;
        if (recursive)
                flags |= AT_RECURSIVE;

        fd = (int) syscall(SYS_open_tree, dirfd, path, flags);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

static int set_attributes(int tree, uint64_t attributes, bool recursive) {
        MountAttributes change = { .set = attributes };

        if (attributes == 0)
                return 0;
        if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &change,
                    sizeof(change)) < 0)
                return -errno;
        return 0;
}

/* The old way, for kernels before 5.12: one remount per mount, found in mountinfo. A remount sets all flags, so
 * those that are on have to be named again. */

static unsigned long option_flag(const char *option, size_t size) {
        static const struct {
                const char *name;
                unsigned long flag;
        } known[] = {
                { "ro", MS_RDONLY },         { "nosuid", MS_NOSUID },     { "nodev", MS_NODEV },
                { "noexec", MS_NOEXEC },     { "noatime", MS_NOATIME },   { "nodiratime", MS_NODIRATIME },
                { "relatime", MS_RELATIME },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (strlen(known[i].name) == size && strncmp(known[i].name, option, size) == 0)
                        return known[i].flag;
        return 0;
}

static unsigned long options_flags(const char *options) {
        unsigned long flags = 0;

        for (const char *p = options; *p; p += *p == ',') {
                size_t size = strcspn(p, ",");

                flags |= option_flag(p, size);
                p += size;
        }
        return flags;
}

static unsigned long attributes_flags(uint64_t attributes) {
        return (attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0) | (attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0) |
               (attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0) | (attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0);
}

static int mount_id(int fd, int *ret) {
        _cleanup_free_ char *text = NULL;
        const char *line;
        char path[64];
        size_t size;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        r = read_full_file(path, 4096, &text, &size);
        if (r < 0)
                return r;
        line = strstr(text, "mnt_id:");
        return line && sscanf(line, "mnt_id: %d", ret) == 1 ? 0 : -EBADF;
}

/* Octal escapes of mountinfo: \040 for a space. */
static void unescape(char *path) {
        char *to = path;

        for (const char *from = path; *from; to++) {
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
                    from[3] >= '0' && from[3] <= '7') {
                        *to = (char) ((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
                        from += 4;
                } else
                        *to = *from++;
        }
        *to = '\0';
}

static int remount_one(int fd, const char *options, uint64_t attributes) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (syscall(SYS_mount, NULL, path, NULL,
                    MS_REMOUNT | MS_BIND | options_flags(options) | attributes_flags(attributes), NULL) < 0)
                return -errno;
        return 0;
}

/* One mount below the top: remounts it, unless another one hides it, which nobody reaches then. */
static int remount_below(int top, const char *path, int id, const char *options, uint64_t attributes) {
        _cleanup_close_ int fd = -EBADF;
        int r, found;

        r = open_in_root(top, path, 0, &fd);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EACCES)
                return 0;
        if (r < 0)
                return r;
        r = mount_id(fd, &found);
        if (r < 0)
                return r;
        return found == id ? remount_one(fd, options, attributes) : 0;
}

static int remount_tree(int top, uint64_t attributes, bool recursive) {
        _cleanup_free_ char *text = NULL, *top_path = NULL;
        _cleanup_free_ int *ids = NULL;
        size_t size, n_ids = 0;
        char *save = NULL;
        int r, top_id;

        r = mount_id(top, &top_id);
        if (r < 0)
                return r;
        r = read_full_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &size);
        if (r < 0)
                return r;
        ids = calloc(size / 16 + 1, sizeof(int)); /* no line is as short as that */
        if (!ids)
                return -ENOMEM;

        /* Parents come before their children. */
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *field_save = NULL, *field[6];
                bool ours = false;
                int id, parent;

                for (size_t i = 0; i < ELEMENTSOF(field); i++) {
                        field[i] = strtok_r(i == 0 ? line : NULL, " ", &field_save);
                        if (!field[i])
                                return -EBADMSG;
                }
                if (safe_atoi(field[0], &id) < 0 || safe_atoi(field[1], &parent) < 0)
                        return -EBADMSG;
                unescape(field[4]);

                if (id == top_id) {
                        top_path = strdup(streq(field[4], "/") ? "" : field[4]);
                        if (!top_path)
                                return -ENOMEM;
                        ids[n_ids++] = id;
                        r = remount_one(top, field[5], attributes);
                        if (r < 0)
                                return r;
                        if (!recursive)
                                return 0;
                        continue;
                }

                for (size_t i = 0; i < n_ids && !ours; i++)
                        ours = ids[i] == parent;
                if (!ours)
                        continue;
                ids[n_ids++] = id;

                const char *below = startswith(field[4], top_path);
                if (!below)
                        continue;
                r = remount_below(top, below, id, field[5], attributes);
                if (r < 0)
                        return r;
        }

        return top_path ? 0 : -EINVAL;
}

/* In the eyes of a container's seccomp profile what it does not know is forbidden. */
static bool is_missing(int r) {
        return r == -ENOSYS || r == -EPERM;
}

int tree_restrict(int tree, uint64_t attributes, bool recursive) {
        int r;

        r = set_attributes(tree, attributes, recursive);
        if (is_missing(r))
                return remount_tree(tree, attributes, recursive);
        return r;
}

int tree_attach(int tree, int dirfd, const char *path, uint64_t attributes, bool recursive) {
        bool later = false;
        int r;

        r = set_attributes(tree, attributes, recursive);
        if (is_missing(r)) /* what is detached cannot be remounted */
                later = true;
        else if (r < 0)
                return r;

        if (syscall(SYS_move_mount, tree, "", dirfd, path,
                    MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH)) < 0)
                return -errno;

        return later ? remount_tree(tree, attributes, recursive) : 0;
}

/* What the file system has to say: lines of a level letter, a space, "TYPE: MESSAGE". The first error counts. */
static void read_message(int fs, char *ret_message, size_t size) {
        char line[256];
        ssize_t n;

        *ret_message = '\0';
        while ((n = read(fs, line, sizeof(line) - 1)) > 0) {
                line[n] = '\0';
                line[strcspn(line, "\n")] = '\0';
                if (line[0] == 'e' && line[1] == ' ') {
                        (void) snprintf(ret_message, size, "%s", line + 2);
                        return;
                }
        }
}

static int configure(int fs, const char *options) {
        _cleanup_free_ char *copy = NULL;
        char *save = NULL;

        if (!options)
                return 0;
        copy = strdup(options);
        if (!copy)
                return -ENOMEM;

        for (char *option = strtok_r(copy, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
                char *value = strchr(option, '=');

                if (value)
                        *value++ = '\0';
                if (syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0) < 0)
                        return -errno;
        }
        return 0;
}

int tree_new(const char *type, const char *options, uint64_t attributes, int *ret, char *ret_message, size_t size) {
        _cleanup_close_ int fs = -EBADF;
        int r, fd;

        *ret_message = '\0';

        fs = (int) syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
        if (fs < 0)
                return -errno;

        r = configure(fs, options);
        if (r >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", type, 0) < 0)
                r = -errno;
        if (r >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                r = -errno;
        if (r < 0) {
                read_message(fs, ret_message, size);
                return r;
        }

        fd = (int) syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, (unsigned) attributes);
        if (fd < 0) {
                r = -errno;
                read_message(fs, ret_message, size);
                return r;
        }

        *ret = fd;
        return 0;
}

int open_in_root(int root, const char *path, int flags, int *ret) {
        struct open_how how = {
                .flags = (uint64_t) (O_PATH | O_CLOEXEC | flags),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        int fd;

        fd = root < 0 ? open(path, O_PATH | O_CLOEXEC | flags) : (int) syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}
