/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "open-inside.h"
#include "util.h"

#ifndef SYS_openat2
#  define SYS_openat2 437
#endif
#define COMPONENT_MAX 255U

int open_inside_walk(int root_fd, const char *path, uint64_t flags, mode_t mode) {
        _cleanup_close_ int at = -EBADF;
        const int last_flags = (int) flags | O_NOFOLLOW | O_CLOEXEC;
        const char *p = path + strspn(path, "/");
        int fd;

        at = openat(root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (at < 0)
                return -errno;
        do {
                char name[COMPONENT_MAX + 1];
                size_t n = strcspn(p, "/");
                const char *next = p + n + strspn(p + n, "/");

                if (n > COMPONENT_MAX)
                        return -ENAMETOOLONG;
                memcpy(name, n > 0 ? p : ".", MAX(n, (size_t) 1));
                name[MAX(n, (size_t) 1)] = '\0';
                if (streq(name, ".."))
                        return -EXDEV;
                fd = openat(at, name, *next || p[n] ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : last_flags, mode);
                if (fd < 0)
                        return -errno;
                (void) safe_close(at);
                at = fd;
                if (!*next && p[n]) { /* "name/" */
                        fd = openat(at, ".", last_flags, mode);
                        return fd < 0 ? -errno : fd;
                }
                p = next;
        } while (*p);
        return TAKE_FD(at);
}

int open_inside(int root_fd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve) {
        struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve };
        int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

        if (fd < 0 && errno == ENOSYS)
                return open_inside_walk(root_fd, path, flags, mode);
        return fd < 0 ? -errno : fd;
}
