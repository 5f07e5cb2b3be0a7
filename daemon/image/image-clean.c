/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of images, and removing what is left of a half written one: apart from the rest, because sentry-kernel does that
 * for an imager that died, and is to hold nothing else of it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "image-write.h"
#include "util.h"

bool image_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n > 0 && n <= IMAGE_NAME_MAX && name[0] != '.' && !strchr(name, '/') && utf8_valid_length(name, n) == n;
}

void image_temporary_prefix(const char *name, char *buffer, size_t size) {
        (void) snprintf(buffer, size, ".%s.saving-", name);
}

void image_remove(int parent_fd, const char *name) {
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int fd;

        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return;
        }
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        (void) unlinkat(fd, entry->d_name, 0);
        (void) unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void image_writer_clean(int parent_fd, const char *name) {
        char prefix[IMAGE_NAME_MAX + 32];
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int fd;

        if (!image_name_is_valid(name))
                return;
        image_temporary_prefix(name, prefix, sizeof(prefix));
        fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return;
        }
        while ((entry = readdir(dir))) {
                const char *rest = startswith(entry->d_name, prefix);

                if (rest && strspn(rest, "0123456789abcdef") == IMAGE_RANDOM_DIGITS && rest[IMAGE_RANDOM_DIGITS] == '\0')
                        image_remove(parent_fd, entry->d_name);
        }
}
