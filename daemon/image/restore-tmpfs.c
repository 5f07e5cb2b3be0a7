/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files of the sandbox that were in memory: made again below a descriptor of its own root directory, from which no path and
 * no link leads out. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "open-inside.h"
#include "restore-internal.h"
#include "util.h"

/* Opens inside of a mount, without links. */
static int open_below(int mount_fd, const char *path, uint64_t flags, uint32_t mode) {
        return open_inside(mount_fd, path, flags | O_NOFOLLOW, mode, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

/* The directory that a node is in, and its name there. */
static int open_parent(int mount_fd, const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = NULL;

        *ret_name = slash ? slash + 1 : path;
        if (!**ret_name || streq(*ret_name, ".") || streq(*ret_name, ".."))
                return -EBADMSG;
        if (!slash || slash == path)
                return open_below(mount_fd, ".", O_PATH | O_DIRECTORY, 0);
        parent = strndup(path, (size_t) (slash - path));
        return parent ? open_below(mount_fd, parent, O_PATH | O_DIRECTORY, 0) : -ENOMEM;
}

/* An earlier node that is the same file. */
static const ImageNode *earlier(const ImageTmpfs *tmpfs, size_t index) {
        for (size_t i = 0; i < index; i++)
                if (tmpfs->nodes[i].ino == tmpfs->nodes[index].ino)
                        return &tmpfs->nodes[i];
        return NULL;
}

static int fill_file(Restore *restore, const ImageNode *node, int fd) {
        if (ftruncate(fd, (off_t) node->size) < 0)
                return -errno;
        for (size_t i = 0; i < node->runs.n; i++) {
                int r = restore_run_to_file(restore, &node->runs.items[i], fd);

                if (r < 0)
                        return r;
        }
        /* The last page was filled up. */
        return ftruncate(fd, (off_t) node->size) < 0 ? -errno : 0;
}

static int make_node(Restore *restore, const ImageTmpfs *tmpfs, size_t index, int mount_fd) {
        const ImageNode *node = &tmpfs->nodes[index], *same;
        _cleanup_close_ int parent = -EBADF, fd = -EBADF;
        const char *name;
        int r;

        parent = open_parent(mount_fd, node->path, &name);
        if (parent < 0)
                return parent;
        if (S_ISDIR(node->mode)) {
                r = mkdirat(parent, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
        } else if ((same = earlier(tmpfs, index))) {
                const char *other;
                _cleanup_close_ int from = open_parent(mount_fd, same->path, &other);

                if (from < 0)
                        return from;
                return linkat(from, other, parent, name, 0) < 0 ? -errno : 0;
        } else if (S_ISLNK(node->mode))
                r = symlinkat(node->target ?: "", parent, name) < 0 ? -errno : 0;
        else if (S_ISREG(node->mode)) {
                fd = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                r = fd < 0 ? -errno : fill_file(restore, node, fd);
        } else if (S_ISFIFO(node->mode))
                r = mkfifoat(parent, name, 0600) < 0 ? -errno : 0;
        else if (S_ISSOCK(node->mode))
                return 0; /* made by who binds it again; else nobody is there anyway */
        else
                return restore_fail(restore, -EOPNOTSUPP, "%s%s is a device", tmpfs->mount, node->path);
        return r;
}

/* Other users of the sandbox have no numbers that we could give files to: the first process can, and has the capability. */
static int set_owner(Restore *restore, const ImageTmpfs *tmpfs, const ImageNode *node) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_free_ char *path = NULL;
        uint64_t at;
        int r;

        if (!restore->options.many_users || (node->uid == 0 && node->gid == 0))
                return 0;
        if (asprintf(&path, "%s/%s", tmpfs->mount, node->path) < 0)
                return -ENOMEM;
        r = restore_put(restore, init, 0, path, strlen(path) + 1, &at);
        if (r >= 0)
                r = (int) inject_call(&init->inject, SYS_lchown, at, node->uid, node->gid);
        if (r >= 0 && S_ISREG(node->mode) && (node->mode & (S_ISUID | S_ISGID))) /* which that has taken away */
                r = (int) inject_call(&init->inject, SYS_chmod, at, node->mode & 07777);
        return r;
}

/* From the deepest on, as making what is inside changes a directory's times. */
static int set_attributes(Restore *restore, const ImageTmpfs *tmpfs, const ImageNode *node, int mount_fd) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { node->mtime_sec, node->mtime_nsec } };
        _cleanup_close_ int parent = -EBADF;
        const char *name;

        if (S_ISSOCK(node->mode))
                return 0;
        parent = node->path[0] == '\0' ? fcntl(mount_fd, F_DUPFD_CLOEXEC, 3) : open_parent(mount_fd, node->path, &name);
        if (parent < 0)
                return parent;
        if (node->path[0] == '\0')
                name = ".";
        if (!S_ISLNK(node->mode) && fchmodat(parent, name, node->mode & 07777, 0) < 0)
                return -errno;
        if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return set_owner(restore, tmpfs, node); /* last: then it is not ours any more */
}

static int fill_mount(Restore *restore, const ImageTmpfs *tmpfs, int root_fd) {
        _cleanup_close_ int mount_fd = open_below(root_fd, tmpfs->mount, O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (mount_fd < 0)
                return restore_fail(restore, mount_fd, "cannot open %s in the sandbox", tmpfs->mount);
        for (size_t i = 0; i < tmpfs->n_nodes; i++) {
                if (tmpfs->nodes[i].path[0] == '\0')
                        continue;
                r = make_node(restore, tmpfs, i, mount_fd);
                if (r < 0)
                        return restore_fail(restore, r, "cannot make %s/%s", tmpfs->mount, tmpfs->nodes[i].path);
        }
        for (size_t i = tmpfs->n_nodes; i-- > 0;) {
                r = set_attributes(restore, tmpfs, &tmpfs->nodes[i], mount_fd);
                if (r < 0)
                        return restore_fail(restore, r, "cannot set the attributes of %s/%s", tmpfs->mount, tmpfs->nodes[i].path);
        }
        return 0;
}

int restore_tmpfs(Restore *restore) {
        _cleanup_close_ int root_fd = -EBADF;
        ImagePlace root = { .path = (char *) "/" };
        int64_t number;

        if (restore->image->n_tmpfs == 0)
                return 0;
        number = restore_open(restore, &restore->processes[0], &root, O_PATH | O_DIRECTORY);
        if (number < 0)
                return (int) number;
        root_fd = restore_borrow_fd(restore, (int) number);
        if (root_fd < 0)
                return restore_fail(restore, root_fd, "cannot take over the root directory");
        if (restore_call(restore, &restore->processes[0], "close a directory", SYS_close, (uint64_t) number) < 0)
                return -EIO;
        for (size_t i = 0; i < restore->image->n_tmpfs; i++) {
                int r = fill_mount(restore, &restore->image->tmpfs[i], root_fd);

                if (r < 0)
                        return r;
        }
        return 0;
}
