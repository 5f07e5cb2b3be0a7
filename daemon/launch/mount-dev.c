/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* /dev of a sandbox: the devices that are harmless, and what C libraries expect beside them. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount-tree.h"
#include "mounts-internal.h"
#include "util.h"

/* A device cannot be made in a user namespace; the host's is bound onto an empty file. Its mount keeps the
 * source's flags: nodev would make it useless. */
static int bind_device(Mounter *mounter, int dev, const char *destination, const char *source, const char *name) {
        _cleanup_close_ int tree = -EBADF, file = -EBADF;
        int r;

        r = tree_clone(AT_FDCWD, source, false, &tree);
        if (r == -ENOENT) /* the host does without */
                return 0;
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot take %s from the host for %s", source,
                                   destination);

        file = openat(dev, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (file < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot make %s/%s", destination, name);

        r = tree_attach(tree, file, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot bind %s onto %s/%s", source, destination, name);
        return 0;
}

/* A terminal that came with us has no name in the sandbox's own devpts; as /dev/console ttyname(3) finds it. */
static int bind_console(Mounter *mounter, int dev, const char *destination) {
        char name[64];

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (isatty(fd) && ttyname_r(fd, name, sizeof(name)) == 0)
                        return bind_device(mounter, dev, destination, name, "console");
        return 0;
}

static int mount_inside(Mounter *mounter, int dev, const char *destination, const char *name, const char *type,
                        const char *options, uint64_t attributes) {
        _cleanup_close_ int tree = -EBADF;
        char message[256];
        int r;

        if (mkdirat(dev, name, 0755) < 0)
                return failure_set(mounter->failure, errno, NULL, "cannot make the directory %s/%s", destination,
                                   name);
        r = tree_new(type, options, attributes, &tree, message, sizeof(message));
        if (r < 0)
                return failure_set(mounter->failure, r, message, "cannot make a %s for %s/%s", type, destination,
                                   name);
        r = mounter_attach_own(mounter, tree, dev, name);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot mount %s on %s/%s", type, destination, name);
        return 0;
}

int mount_dev_fill(Mounter *mounter, int dev, const char *destination) {
        static const struct {
                const char *source, *name;
        } devices[] = {
                { "/dev/null", "null" },     { "/dev/zero", "zero" },       { "/dev/full", "full" },
                { "/dev/random", "random" }, { "/dev/urandom", "urandom" }, { "/dev/tty", "tty" },
        };
        static const struct {
                const char *name, *target;
        } links[] = {
                { "fd", "/proc/self/fd" },         { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
                { "stderr", "/proc/self/fd/2" },   { "core", "/proc/kcore" },      { "ptmx", "pts/ptmx" },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                r = bind_device(mounter, dev, destination, devices[i].source, devices[i].name);
                if (r < 0)
                        return r;
        }

        r = bind_console(mounter, dev, destination);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                if (symlinkat(links[i].target, dev, links[i].name) < 0)
                        return failure_set(mounter->failure, errno, NULL, "cannot make the link %s/%s", destination,
                                           links[i].name);

        r = mount_inside(mounter, dev, destination, "pts", "devpts", "newinstance,ptmxmode=0666,mode=620",
                         MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
        if (r < 0)
                return r;
        return mount_inside(mounter, dev, destination, "shm", "tmpfs", "mode=1777",
                            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}
