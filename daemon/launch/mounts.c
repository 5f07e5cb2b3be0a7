/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file system of a sandbox: a copy of the root tree is laid over "/" of a mount namespace of our own, what
 * the profile mounts is attached below it, then the copy becomes the root and the old one goes.
 *
 * Sources are looked up in the host's view, all of them before anything is attached, so that no source
 * shows the work in progress. Destinations are looked up with the new root as "/": what lies in there may be
 * anybody's, and no link in it leads out. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mount-tree.h"
#include "mounts-internal.h"
#include "mounts.h"
#include "util.h"

#define UMOUNT_DETACH 2 /* MNT_DETACH, from a header that does not go together with <linux/mount.h> */

#define OLD_KERNEL_HINT                                                                                             \
        "Linux 5.6 or later is needed, and in a container permission for open_tree, fsopen, fsconfig, fsmount, "    \
        "move_mount and openat2."

/* For messages: what is mounted. */
static const char *mount_what(const ProfileMount *mount) {
        static const char *const names[_PROFILE_MOUNT_TYPE_MAX] = {
                [PROFILE_MOUNT_TMPFS] = "a tmpfs",      [PROFILE_MOUNT_PROC] = "a procfs",
                [PROFILE_MOUNT_DEV] = "a set of devices", [PROFILE_MOUNT_DEVPTS] = "a devpts",
                [PROFILE_MOUNT_MQUEUE] = "an mqueue",     [PROFILE_MOUNT_SYSFS] = "a sysfs",
                [PROFILE_MOUNT_OVERLAY] = "an overlay",
        };

        return mount->type == PROFILE_MOUNT_BIND ? mount->source : names[mount->type];
}

static void mounter_done(Mounter *mounter) {
        if (mounter->sources)
                for (size_t i = 0; i < mounter->profile->n_mounts; i++)
                        safe_close(mounter->sources[i]);
        free(mounter->sources);
        free(mounter->own);
        safe_close(mounter->scratch);
        safe_close(mounter->names[0]);
        safe_close(mounter->names[1]);
        safe_close(mounter->root);
}

/* True when a mount is a copy of something on the host: binds, and /proc and /sys where there is no PID or network
 * namespace for fresh ones. Sets *ret_source. */
static bool is_bind(const Mounter *mounter, const ProfileMount *mount, const char **ret_source) {
        if (mount->type == PROFILE_MOUNT_BIND)
                *ret_source = mount->source;
        else if (mount->type == PROFILE_MOUNT_PROC && mounter->profile->pid_host)
                *ret_source = "/proc";
        else if (mount->type == PROFILE_MOUNT_SYSFS && !(mounter->profile->namespaces & CLONE_NEWNET))
                *ret_source = "/sys";
        else
                return false;
        return true;
}

static int take_sources(Mounter *mounter) {
        size_t n = mounter->profile->n_mounts;

        mounter->sources = calloc(n + 1, sizeof(int));
        mounter->own = calloc(3 * n + 1, sizeof(dev_t)); /* a "dev" makes three */
        if (mounter->sources)
                for (size_t i = 0; i < n; i++)
                        mounter->sources[i] = -EBADF;
        if (!mounter->sources || !mounter->own)
                return failure_set(mounter->failure, ENOMEM, NULL, "cannot mount anything");
        mounter->max_own = 3 * n;

        for (size_t i = 0; i < n; i++) {
                const ProfileMount *mount = mounter->profile->mounts + i;
                const char *source, *hint = NULL;
                int r;

                if (!is_bind(mounter, mount, &source))
                        continue;
                if (mount->data)
                        return failure_set(mounter->failure, 0,
                                           "It takes a /proc of the sandbox's own: \"pid\": \"private\".",
                                           "cannot mount %s on %s with the option %s", source, mount->destination,
                                           mount->data);

                r = tree_clone(AT_FDCWD, source, mount->recursive || mount->type != PROFILE_MOUNT_BIND,
                               mounter->sources + i);
                if (r >= 0)
                        continue;

                if (r == -ENOENT)
                        hint = "Make it, or take the mount out of the profile.";
                else if (r == -EACCES)
                        hint = "The user who starts the sandbox must be able to reach it.";
                else if (r == -ELOOP)
                        hint = "Symbolic links go round in a circle there, or there are more than 40 of them.";
                else if (r == -EINVAL && !mount->recursive)
                        hint = "Other file systems are mounted below it, which must come along: use the option "
                               "\"rbind\".";
                else if (r == -EMFILE)
                        hint = "Raise the limit of open files (ulimit -n).";
                else if (r == -ENOSYS || r == -EPERM)
                        hint = OLD_KERNEL_HINT;
                return failure_set(mounter->failure, r, hint, "cannot take %s from the host for %s", source,
                                   mount->destination);
        }

        return 0;
}

/* File systems in the root tree through which a root user commands the host: he is uid 0 to them, capabilities
 * or not. Where the root is writable they still are not. */
static int protect_root(Mounter *mounter) {
        static const char *const paths[] = { "/proc", "/sys" };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_close_ int fd = -EBADF;
                struct statfs fs;
                int r;

                if (open_in_root(mounter->root, paths[i], O_DIRECTORY, &fd) < 0 || fstatfs(fd, &fs) < 0)
                        continue;
                if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC)
                        continue;
                r = tree_restrict(fd, MOUNT_ATTR_RDONLY, true);
                if (r < 0 && r != -EINVAL) /* EINVAL: not the root of a mount: under a bind of another one */
                        return failure_set(mounter->failure, r, NULL, "cannot make %s of the root read-only",
                                           paths[i]);
        }
        return 0;
}

static int attach_root(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        _cleanup_close_ int tree = -EBADF;
        struct stat st;
        int r;

        r = tree_clone(AT_FDCWD, profile->root_path, true, &tree);
        if (r < 0)
                return failure_set(mounter->failure, r,
                                   r == -ENOSYS || r == -EPERM ? OLD_KERNEL_HINT
                                                               : "See the key root.path of the profile.",
                                   "cannot take %s from the host as the root directory", profile->root_path);
        if (fstat(tree, &st) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot look at the root directory %s",
                                   profile->root_path);
        if (!S_ISDIR(st.st_mode))
                return failure_set(mounter->failure, ENOTDIR, "See the key root.path of the profile.",
                                   "cannot use %s as the root directory", profile->root_path);

        r = mounter_prepare_scratch(mounter);
        if (r < 0)
                return r;

        r = tree_attach(tree, AT_FDCWD, "/",
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (profile->root_read_only ? MOUNT_ATTR_RDONLY : 0),
                        true);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot attach the root directory %s",
                                   profile->root_path);
        mounter->root = TAKE_FD(tree);

        if (geteuid() == 0 && !profile->root_read_only)
                return protect_root(mounter);
        return 0;
}

/* Whether missing directories may be made here: on file systems that live and die with the sandbox. */
static bool is_own(const Mounter *mounter, int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return false;
        for (size_t i = 0; i < mounter->n_own; i++)
                if (mounter->own[i] == st.st_dev)
                        return true;
        return false;
}

int mounter_attach_over_root(Mounter *mounter, int tree) {
        int r;

        r = tree_attach(tree, AT_FDCWD, "/", 0, false);
        if (r >= 0)
                mounter->n_over_root++;
        return r;
}

int mounter_attach_own(Mounter *mounter, int tree, int dirfd, const char *path) {
        struct stat st;

        if (fstat(tree, &st) < 0)
                return -errno;
        if (mounter->n_own < mounter->max_own)
                mounter->own[mounter->n_own++] = st.st_dev;
        return tree_attach(tree, dirfd, path, 0, false);
}

/* Makes `rest` ("a/b/c") below a directory of ours, the last component a file unless directory. */
static int make_below(int base, const char *rest, bool directory, int *ret) {
        _cleanup_close_ int at = -EBADF;
        char name[NAME_MAX + 1];

        at = fcntl(base, F_DUPFD_CLOEXEC, 3);
        if (at < 0)
                return -errno;

        for (const char *p = rest; *p;) {
                size_t size = strcspn(p, "/");
                bool last = p[size] == '\0';
                int next;

                if (size > NAME_MAX)
                        return -ENAMETOOLONG;
                memcpy(name, p, size);
                name[size] = '\0';

                if (!last || directory) {
                        if (mkdirat(at, name, 0755) < 0)
                                return -errno;
                        next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                } else
                        next = openat(at, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
                if (next < 0)
                        return -errno;

                safe_close(at);
                at = next;
                p += size + !last;
        }

        *ret = TAKE_FD(at);
        return 0;
}

/* Finds the place of a mount inside the sandbox; makes it where that touches nobody's disk. */
int mounter_open_destination(Mounter *mounter, const ProfileMount *mount, bool directory, int *ret) {
        const char *destination = mount->destination;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (streq(destination, "/"))
                return failure_set(mounter->failure, 0,
                                   "The root directory is set by the keys root.path and root.readonly.",
                                   "cannot mount %s on /", mount_what(mount));

        r = open_in_root(mounter->root, destination, 0, &fd);
        if (r == -ENOENT) {
                char path[PATH_MAX];
                size_t size = strlen(destination);

                if (size >= sizeof(path))
                        return failure_set(mounter->failure, ENAMETOOLONG, NULL, "cannot mount on %s", destination);
                memcpy(path, destination, size + 1);

                /* The deepest directory above it that is there. */
                while (r == -ENOENT) {
                        char *slash = strrchr(path, '/');

                        *slash = '\0';
                        size = (size_t) (slash - path);
                        r = open_in_root(mounter->root, size > 0 ? path : "/", O_DIRECTORY, &fd);
                        if (size == 0)
                                break;
                }
                if (r < 0)
                        return failure_set(mounter->failure, r, NULL, "cannot reach %s inside the sandbox",
                                           destination);
                if (!is_own(mounter, fd))
                        return failure_set(mounter->failure, ENOENT,
                                           "It must exist in the root (nothing is made there for you): make it, "
                                           "choose one that exists, or put a tmpfs mount on a directory above it "
                                           "before this one.",
                                           "cannot mount %s on %s, which is not there", mount_what(mount),
                                           destination);

                r = make_below(fd, destination + size + 1, directory, ret);
                if (r == -EEXIST)
                        return failure_set(mounter->failure, ENOENT, NULL,
                                           "cannot mount on %s, because a dangling symbolic link is in the way",
                                           destination);
                if (r < 0)
                        return failure_set(mounter->failure, r, NULL, "cannot make %s inside the sandbox",
                                           destination);
                return 0;
        }
        if (r < 0)
                return failure_set(mounter->failure, r,
                                   r == -ENOSYS || r == -EPERM ? OLD_KERNEL_HINT
                                   : r == -ELOOP ? "A symbolic link on the way goes round, or through /proc."
                                                 : NULL,
                                   "cannot reach %s inside the sandbox", destination);

        if (fstat(fd, &st) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot look at %s inside the sandbox", destination);
        if (S_ISDIR(st.st_mode) != directory)
                return failure_set(mounter->failure, directory ? ENOTDIR : EISDIR,
                                   "A directory goes onto a directory, a file onto a file.",
                                   "cannot mount %s, a %s, on %s, a %s", mount_what(mount),
                                   directory ? "directory" : "file", destination,
                                   S_ISDIR(st.st_mode) ? "directory" : "file");

        *ret = TAKE_FD(fd);
        return 0;
}

/* Parts of /proc by which uid 0 commands the machine, whatever its capabilities. The uid inside is
 * the same as outside. */
static int protect_proc(Mounter *mounter, int proc, const char *destination) {
        static const char *const parts[] = { "bus", "fs", "irq", "sys", "sysrq-trigger", "acpi", "scsi", "mtrr" };

        if (geteuid() != 0)
                return 0;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                _cleanup_close_ int tree = -EBADF;
                int r;

                r = tree_clone(proc, parts[i], true, &tree);
                if (r == -ENOENT)
                        continue;
                if (r >= 0)
                        r = tree_attach(tree, proc, parts[i], MOUNT_ATTR_RDONLY, true);
                if (r < 0)
                        return failure_set(mounter->failure, r, NULL, "cannot make %s/%s read-only", destination,
                                           parts[i]);
        }
        return 0;
}

static int mount_bind(Mounter *mounter, const ProfileMount *mount, int tree, const char *source, uint64_t attributes) {
        _cleanup_close_ int destination = -EBADF;
        struct stat st;
        int r;

        if (fstat(tree, &st) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot look at %s", source);
        r = mounter_open_destination(mounter, mount, S_ISDIR(st.st_mode), &destination);
        if (r < 0)
                return r;

        r = tree_attach(tree, destination, "", attributes, true);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot bind %s onto %s", source, mount->destination);

        if (mount->type == PROFILE_MOUNT_PROC)
                return protect_proc(mounter, tree, mount->destination);
        return 0;
}

static const char *file_system_hint(const ProfileMount *mount, int error, const char *message) {
        if (mount->type == PROFILE_MOUNT_PROC && error == -EPERM)
                return "The kernel refuses because parts of /proc are covered out here, as in most containers: "
                       "uncover them (Docker: --security-opt systempaths=unconfined), or use \"pid\": \"host\".";
        if (mount->type == PROFILE_MOUNT_MQUEUE && error == -EPERM)
                return "It needs an IPC namespace: keep {\"type\": \"ipc\"} in linux.namespaces.";
        if (mount->type == PROFILE_MOUNT_SYSFS && error == -EPERM)
                return "The kernel refuses because parts of /sys are covered out here, as in most containers: leave the "
                       "mount out, or use \"network\": \"host\".";
        if (*message)
                return message;
        if (error == -ENODEV)
                return "This kernel does not have the file system.";
        if (error == -ENOSYS || error == -EPERM)
                return OLD_KERNEL_HINT;
        return NULL;
}

static int mount_file_system(Mounter *mounter, const ProfileMount *mount, uint64_t attributes) {
        static const struct {
                const char *type, *options;
                uint64_t on, off;
        } kinds[_PROFILE_MOUNT_TYPE_MAX] = {
                [PROFILE_MOUNT_TMPFS] = { .type = "tmpfs" },
                [PROFILE_MOUNT_PROC] = { .type = "proc", .on = MOUNT_ATTR_NOEXEC },
                [PROFILE_MOUNT_DEV] = { .type = "tmpfs", .options = "mode=755", .on = MOUNT_ATTR_NOEXEC },
                /* Devices that cannot be opened are of no use. */
                [PROFILE_MOUNT_DEVPTS] = { .type = "devpts", .options = "newinstance,ptmxmode=0666,mode=620",
                                           .on = MOUNT_ATTR_NOEXEC, .off = MOUNT_ATTR_NODEV },
                [PROFILE_MOUNT_MQUEUE] = { .type = "mqueue", .on = MOUNT_ATTR_NOEXEC },
                [PROFILE_MOUNT_SYSFS] = { .type = "sysfs", .on = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY },
        };
        _cleanup_close_ int destination = -EBADF, tree = -EBADF;
        const char *type = kinds[mount->type].type;
        uint64_t late = 0;
        char message[256];
        int r;

        attributes = (attributes | kinds[mount->type].on) & ~kinds[mount->type].off;
        if (mount->type == PROFILE_MOUNT_DEV) { /* it has to be filled first */
                late = attributes & MOUNT_ATTR_RDONLY;
                attributes &= ~(uint64_t) MOUNT_ATTR_RDONLY;
        }

        r = mounter_open_destination(mounter, mount, true, &destination);
        if (r < 0)
                return r;

        r = tree_new(type, mount->data ?: kinds[mount->type].options, attributes, &tree, message, sizeof(message));
        if (r < 0)
                return failure_set(mounter->failure, r, file_system_hint(mount, r, message), "cannot make a %s for %s",
                                   type, mount->destination);

        r = mount->type == PROFILE_MOUNT_PROC || mount->type == PROFILE_MOUNT_SYSFS ?
                    tree_attach(tree, destination, "", 0, false) :
                    mounter_attach_own(mounter, tree, destination, "");
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot mount a %s on %s", type, mount->destination);

        if (mount->type == PROFILE_MOUNT_PROC)
                return protect_proc(mounter, tree, mount->destination);
        if (mount->type == PROFILE_MOUNT_DEV) {
                r = mount_dev_fill(mounter, tree, mount->destination);
                if (r < 0)
                        return r;
                r = late != 0 ? tree_restrict(tree, late, false) : 0;
                if (r < 0)
                        return failure_set(mounter->failure, r, NULL, "cannot make %s read-only", mount->destination);
        }
        return 0;
}

/* The new root is at "/" already, over the old one. After this the old one lies over the new one, and goes. */
static int switch_root(Mounter *mounter) {
        if (fchdir(mounter->root) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot enter the new root directory");
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return failure_set(mounter->failure, errno,
                                   errno == EINVAL ? "The root directory out here is the initial ramfs, or a chroot "
                                                     "that is no mount: start from a system with a root file system "
                                                     "of its own."
                                                   : NULL,
                                   "cannot switch to the new root directory");
        /* What we laid over the old root is on top of it there, too; the last of these is the old root itself. */
        for (unsigned i = 0; i <= mounter->n_over_root; i++)
                if (syscall(SYS_umount2, ".", UMOUNT_DETACH) < 0)
                        return failure_set(mounter->failure, errno, NULL, "cannot let go of the old root directory");
        if (chdir("/") < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot enter the new root directory");
        return 0;
}

static int mount_all(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        int r;

        r = take_sources(mounter);
        if (r < 0)
                return r;
        r = attach_root(mounter);
        if (r < 0)
                return r;

        for (size_t i = 0; i < profile->n_mounts; i++) {
                const ProfileMount *mount = profile->mounts + i;
                uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                      (mount->read_only ? MOUNT_ATTR_RDONLY : 0) |
                                      (mount->noexec ? MOUNT_ATTR_NOEXEC : 0);
                const char *source;

                if (mount->type == PROFILE_MOUNT_SYSFS) /* root is root to it, capabilities or not */
                        attributes |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
                if (mount->type == PROFILE_MOUNT_OVERLAY)
                        r = mount_overlay(mounter, mount, attributes);
                else if (is_bind(mounter, mount, &source))
                        r = mount_bind(mounter, mount, mounter->sources[i], source, attributes);
                else
                        r = mount_file_system(mounter, mount, attributes);
                if (r < 0)
                        return r;
        }

        r = mounter_mask(mounter);
        if (r >= 0)
                r = mounter_state_facts(mounter);
        if (r < 0)
                return r;
        return switch_root(mounter);
}

int mounts_apply(const Profile *profile, int ret_names[static 2], LaunchFailure *failure) {
        _cleanup_(mounter_done) Mounter mounter = {
                .profile = profile, .failure = failure, .root = -EBADF, .scratch = -EBADF,
                .names = { -EBADF, -EBADF },
        };
        mode_t mask;
        int r;

        if (unshare(CLONE_NEWNS) < 0)
                return failure_set(failure, errno,
                                   errno == ENOSPC ? "See the sysctl user.max_mnt_namespaces." : OLD_KERNEL_HINT,
                                   "cannot make a mount namespace");
        if (syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return failure_set(failure, errno, OLD_KERNEL_HINT, "cannot keep mounts from going out to the host");

        mask = umask(022);
        r = mount_all(&mounter);
        umask(mask);
        if (r >= 0 && profile->mount_calls.kinds != 0)
                r = mounts_lock(failure);
        if (r >= 0)
                for (size_t i = 0; i < 2; i++)
                        ret_names[i] = TAKE_FD(mounter.names[i]);
        return r;
}
