/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What lies over single files and directories of a sandbox: nothing at all, or a text of ours. It comes from a file system
 * that only the launcher ever sees as a whole. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mount-tree.h"
#include "mounts-internal.h"
#include "util.h"

#define MASK_ATTRIBUTES (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define NO_FILE "no-file"
#define NO_DIRECTORY "no-directory"

static int make_scratch(Mounter *mounter) {
        _cleanup_close_ int tree = -EBADF, file = -EBADF;
        char message[256];
        int r;

        r = tree_new("tmpfs", "mode=755,size=4m", 0, &tree, message, sizeof(message));
        if (r < 0)
                return failure_set(mounter->failure, r, message, "cannot make a file system for what hides things");
        r = mounter_attach_over_root(mounter, tree);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot attach a file system for what hides things");

        /* Nobody may open it, so that a program that needs the real one says so. */
        file = openat(tree, NO_FILE, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0);
        if (file < 0 || mkdirat(tree, NO_DIRECTORY, 0555) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot make files for what hides things");

        mounter->scratch = TAKE_FD(tree);
        return 0;
}

int mounter_prepare_scratch(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        int r;

        r = make_scratch(mounter);
        for (size_t i = 0; r >= 0 && i < profile->n_mounts; i++)
                if (profile->mounts[i].type == PROFILE_MOUNT_OVERLAY)
                        r = overlay_new(mounter, profile->mounts + i, mounter->sources + i);
        return r;
}

/* Opens what is to be covered. 0: nobody inside reaches it anyway. */
static int open_target(Mounter *mounter, const char *path, int *ret) {
        int r;

        r = open_in_root(mounter->root, path, 0, ret);
        if (r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -ELOOP)
                return 0;
        return r < 0 ? r : 1;
}

static int cover(Mounter *mounter, int target, const char *name) {
        _cleanup_close_ int tree = -EBADF;
        int r;

        r = tree_clone(mounter->scratch, name, false, &tree);
        if (r < 0)
                return r;
        return tree_attach(tree, target, "", MASK_ATTRIBUTES, false);
}

static int make_file(Mounter *mounter, const char *text, char name[static SCRATCH_NAME_MAX]) {
        _cleanup_close_ int file = -EBADF;
        size_t size = strlen(text);

        (void) snprintf(name, SCRATCH_NAME_MAX, "%u", mounter->n_scratch++);
        file = openat(mounter->scratch, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
        if (file < 0)
                return -errno;
        for (const char *p = text; size > 0;) {
                ssize_t n = write(file, p, size);

                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return TAKE_FD(file);
}

int mounter_overlay_file(Mounter *mounter, const char *path, const char *text, int *fd,
                         char name[static SCRATCH_NAME_MAX]) {
        _cleanup_close_ int target = -EBADF;
        int r;

        r = open_target(mounter, path, &target);
        if (r <= 0)
                return r;
        if (*fd < 0)
                *fd = make_file(mounter, text, name);
        return *fd < 0 ? *fd : cover(mounter, target, name);
}

int mounter_overlay_text(Mounter *mounter, const char *path, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        char name[SCRATCH_NAME_MAX];

        return mounter_overlay_file(mounter, path, text, &fd, name);
}

static int mask(Mounter *mounter, const char *path) {
        _cleanup_close_ int target = -EBADF;
        struct stat st;
        int r;

        r = open_target(mounter, path, &target);
        if (r > 0 && fstat(target, &st) < 0)
                r = -errno;
        if (r > 0)
                r = cover(mounter, target, S_ISDIR(st.st_mode) ? NO_DIRECTORY : NO_FILE);
        if (r < 0)
                return failure_set(mounter->failure, r, "See linux.maskedPaths of the profile.", "cannot hide %s", path);
        return 0;
}

static int mask_proc(Mounter *mounter, const char *destination) {
        int r = 0;

        for (const char *const *name = profile_masked_in_proc; r >= 0 && *name; name++) {
                char path[PATH_MAX];

                if ((size_t) snprintf(path, sizeof(path), "%s/%s", destination, *name) < sizeof(path))
                        r = mask(mounter, path);
        }
        return r;
}

static int restrict_path(Mounter *mounter, const char *path) {
        _cleanup_close_ int target = -EBADF, tree = -EBADF;
        int r;

        r = open_target(mounter, path, &target);
        if (r > 0)
                r = tree_clone(target, "", true, &tree);
        if (r >= 0 && tree >= 0)
                r = tree_attach(tree, target, "", MOUNT_ATTR_RDONLY, true);
        if (r < 0)
                return failure_set(mounter->failure, r, "See linux.readonlyPaths of the profile.",
                                   "cannot make %s read-only", path);
        return 0;
}

int mounter_mask(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        int r = 0;

        for (char *const *path = profile->readonly_paths; r >= 0 && path && *path; path++)
                r = restrict_path(mounter, *path);

        if (profile->masked_paths) {
                for (char *const *path = profile->masked_paths; r >= 0 && *path; path++)
                        r = mask(mounter, *path);
                return r;
        }

        for (size_t i = 0; r >= 0 && i < profile->n_mounts; i++)
                if (profile->mounts[i].type == PROFILE_MOUNT_PROC)
                        r = mask_proc(mounter, profile->mounts[i].destination);
        for (const char *const *path = profile_masked_by_default; r >= 0 && *path; path++)
                r = mask(mounter, *path);
        return r;
}
