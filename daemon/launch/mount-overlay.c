/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts of type "overlay": what the sandbox writes lies over directories of the host's. Layers go to the kernel as
 * descriptors that were checked, by names below /proc/self/fd. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mount-tree.h"
#include "mounts-internal.h"
#include "util.h"

static int open_layer(Mounter *mounter, const ProfileMount *mount, const char *path, int *ret) {
        const char *hint = "Make it, or take the mount out of the profile.";
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
                if (errno == EACCES)
                        hint = "The user who starts the sandbox must be able to reach it.";
                else if (errno == ELOOP)
                        hint = "Symbolic links go round in a circle there, or there are more than 40 of them.";
                else if (errno == ENOTDIR)
                        hint = "An overlay is made of directories.";
                return failure_set(mounter->failure, errno, hint, "cannot take %s from the host for %s", path,
                                   mount->destination);
        }
        *ret = fd;
        return 0;
}

/* Where what is written goes when nobody keeps it. */
static int make_upper(Mounter *mounter, const ProfileMount *mount, int top_layer, int *ret_upper, int *ret_work) {
        _cleanup_close_ int tree = -EBADF;
        char message[256];
        struct stat st;
        int r;

        r = tree_new("tmpfs", mount->data ?: "mode=755", 0, &tree, message, sizeof(message));
        if (r < 0)
                return failure_set(mounter->failure, r, message, "cannot make a tmpfs for what is written to %s",
                                   mount->destination);
        r = mounter_attach_over_root(mounter, tree);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot attach a tmpfs for what is written to %s",
                                   mount->destination);

        if (mkdirat(tree, "upper", 0755) < 0 || mkdirat(tree, "work", 0700) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot prepare a tmpfs for what is written to %s",
                                   mount->destination);
        /* The merged directory has the mode of the upper one. */
        if (fstat(top_layer, &st) >= 0)
                (void) fchmodat(tree, "upper", st.st_mode & 07777, 0);
        *ret_upper = openat(tree, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
        *ret_work = openat(tree, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*ret_upper < 0 || *ret_work < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot prepare a tmpfs for what is written to %s",
                                   mount->destination);
        return 0;
}

static const char *overlay_hint(const ProfileMount *mount, int error, const char *message) {
        if (error == -ENODEV)
                return "This kernel does not have overlayfs (modprobe overlay, by the administrator).";
        if (error == -EPERM)
                return "Linux 5.11 or later is needed for an overlay without privileges.";
        if (error == -EBUSY)
                return "Another overlay, of a sandbox that runs maybe, writes to the same directories.";
        if (*message)
                return message;
        if (error == -EINVAL && mount->upper)
                return "upperdir= and workdir= must be two directories of one file system, neither within the other, of a "
                       "kind that can be written by overlayfs(5).";
        if (error == -EINVAL)
                return "One of the directories is of a file system that overlayfs does not take.";
        return NULL;
}

static int make(Mounter *mounter, const ProfileMount *mount, const int *lower, size_t n_lower, int upper, int work,
                int *ret) {
        _cleanup_free_ char *options = NULL;
        char message[256] = "";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n_lower; i++)
                r = string_appendf(&options, "%s/proc/self/fd/%d", i == 0 ? "userxattr,lowerdir=" : ":", lower[i]);
        if (r >= 0)
                r = string_appendf(&options, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", upper, work);
        if (r >= 0)
                r = tree_new("overlay", options, 0, ret, message, sizeof(message));
        if (r < 0)
                return failure_set(mounter->failure, r, overlay_hint(mount, r, message), "cannot make an overlay for %s",
                                   mount->destination);
        return 0;
}

int overlay_new(Mounter *mounter, const ProfileMount *mount, int *ret) {
        size_t n = strv_length(mount->lower), n_open = 0;
        _cleanup_close_ int upper = -EBADF, work = -EBADF;
        _cleanup_free_ int *lower = calloc(n + 1, sizeof(int));
        int r = 0;

        if (!lower)
                return failure_set(mounter->failure, ENOMEM, NULL, "cannot make an overlay for %s", mount->destination);
        while (r >= 0 && n_open < n) {
                r = open_layer(mounter, mount, mount->lower[n_open], lower + n_open);
                n_open += r >= 0;
        }

        if (r >= 0 && mount->upper) {
                r = open_layer(mounter, mount, mount->upper, &upper);
                if (r >= 0)
                        r = open_layer(mounter, mount, mount->work, &work);
        } else if (r >= 0)
                r = make_upper(mounter, mount, lower[0], &upper, &work);
        if (r >= 0)
                r = make(mounter, mount, lower, n, upper, work, ret);

        while (n_open > 0)
                safe_close(lower[--n_open]);
        return r;
}

int mount_overlay(Mounter *mounter, const ProfileMount *mount, uint64_t attributes) {
        _cleanup_close_ int destination = -EBADF;
        int r;

        r = mounter_open_destination(mounter, mount, true, &destination);
        if (r < 0)
                return r;
        r = tree_attach(mounter->sources[mount - mounter->profile->mounts], destination, "", attributes, false);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot mount an overlay on %s", mount->destination);
        return 0;
}
