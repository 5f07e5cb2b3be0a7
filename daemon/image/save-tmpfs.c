/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is in the file systems in memory that the profile gives a sandbox: all of their files, of which copies are made as
 * of other memory. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "open-inside.h"
#include "save.h"
#include "util.h"

#define TMPFS_MAGIC 0x01021994
#define DEPTH_MAX 128U

typedef struct Walk {
        Save *save;
        ImageTmpfs *tmpfs;
        dev_t dev;
} Walk;

static int add_node(Walk *walk, const char *path, const struct stat *st, const char *target) {
        Save *save = walk->save;
        ImageNode *node;

        if (walk->tmpfs->n_nodes >= IMAGE_NODES_MAX)
                return save_fail(save, -EFBIG, "%s: more than %u files", walk->tmpfs->mount, IMAGE_NODES_MAX);
        node = IMAGE_APPEND(walk->tmpfs->nodes, walk->tmpfs->n_nodes);
        if (!node)
                return -ENOMEM;
        *node = (ImageNode) {
                .path = strdup(path),
                .mode = st->st_mode,
                .uid = save_uid_inside(save, false, st->st_uid),
                .gid = save_uid_inside(save, true, st->st_gid),
                .mtime_sec = st->st_mtim.tv_sec,
                .mtime_nsec = (uint32_t) st->st_mtim.tv_nsec,
                .size = S_ISREG(st->st_mode) ? (uint64_t) st->st_size : 0,
                .rdev = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? st->st_rdev : 0,
                .ino = st->st_ino,
                .target = target ? strdup(target) : NULL,
        };
        return node->path && (!target || node->target) ? 0 : -ENOMEM;
}

static int walk_directory(Walk *walk, int fd, const char *path, unsigned depth);

static int walk_entry(Walk *walk, int dir_fd, const char *parent, const char *name, unsigned depth) {
        char path[IMAGE_PATH_MAX + 1], target[IMAGE_PATH_MAX + 1];
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        ssize_t n;
        int r;

        if (snprintf(path, sizeof(path), "%s%s%s", parent, *parent ? "/" : "", name) >= (int) sizeof(path))
                return save_fail(walk->save, -ENAMETOOLONG, "%s: a path of more than %u bytes", walk->tmpfs->mount, IMAGE_PATH_MAX);
        fd = save_open(dir_fd, name, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_dev != walk->dev) /* another mount lies on it */
                return 0;
        if (S_ISLNK(st.st_mode)) {
                n = readlinkat(fd, "", target, sizeof(target) - 1);
                if (n < 0)
                        return -errno;
                target[n] = '\0';
                return add_node(walk, path, &st, target);
        }
        r = add_node(walk, path, &st, NULL);
        if (r < 0 || !S_ISDIR(st.st_mode))
                return r;
        safe_close(fd);
        fd = save_open(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd < 0) {
                save_refuse(walk->save, "%s/%s: the directory cannot be read: %s", walk->tmpfs->mount, path, strerror(-fd));
                return 0;
        }
        return walk_directory(walk, fd, path, depth + 1);
}

static int walk_directory(Walk *walk, int fd, const char *path, unsigned depth) {
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int copy, r;

        if (depth > DEPTH_MAX) {
                save_refuse(walk->save, "%s/%s: directories lie deeper than %u", walk->tmpfs->mount, path, DEPTH_MAX);
                return 0;
        }
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 16);
        if (copy < 0)
                return -errno;
        dir = fdopendir(copy);
        if (!dir) {
                safe_close(copy);
                return -ENOMEM;
        }
        while ((entry = readdir(dir))) {
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                r = walk_entry(walk, fd, path, entry->d_name, depth);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int save_mount(Save *save, const char *destination) {
        Walk walk = { .save = save };
        struct statfs fs;
        struct stat st;
        int fd, *place, r;

        fd = save_open_inside(save->root_fd, destination, O_RDONLY | O_DIRECTORY, RESOLVE_IN_ROOT);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd; /* hidden by a later mount */
        if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC || fstat(fd, &st) < 0) {
                safe_close(fd);
                return 0;
        }
        place = IMAGE_APPEND(save->tmpfs_fds, save->n_tmpfs_fds);
        if (!place) {
                safe_close(fd);
                return -ENOMEM;
        }
        *place = fd;
        walk.tmpfs = IMAGE_APPEND(save->image->tmpfs, save->image->n_tmpfs);
        if (!walk.tmpfs || !(walk.tmpfs->mount = strdup(destination)))
                return -ENOMEM;
        walk.dev = st.st_dev;
        r = add_node(&walk, "", &st, NULL);
        return r < 0 ? r : walk_directory(&walk, fd, "", 0);
}

int save_tmpfs(Save *save) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < save->profile->n_mounts; i++) {
                const ProfileMount *mount = save->profile->mounts + i;
                char shm[IMAGE_PATH_MAX + 1];

                if (mount->type == PROFILE_MOUNT_TMPFS)
                        r = save_mount(save, mount->destination);
                else if (mount->type == PROFILE_MOUNT_DEV) {
                        (void) snprintf(shm, sizeof(shm), "%s/shm", mount->destination);
                        r = save_mount(save, shm);
                } else if (mount->type == PROFILE_MOUNT_OVERLAY && !mount->upper)
                        save_refuse(save, "%s: an overlay whose upper directory goes with the sandbox; give it one (upperdir=) that stays",
                                    mount->destination);
        }
        return r;
}
