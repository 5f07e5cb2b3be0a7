/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "save-files.h"
#include "util.h"

static bool is_watched(const char *path, uint64_t ino, Save *save, ImagePlace *ret) {
        return save_place(save, path, ino, ret) >= 0;
}

static int find_watched(Files *files, uint64_t ino, ImagePlace *ret) {
        Save *save = files->save;

        /* The handle that is told of it could only be opened with a capability over the machine. So it is looked for among
         * what is known: directories and files that programs are in or have open, then all that are in memory. */
        for (size_t i = 0; i < save->n_processes; i++) {
                const ImageProcess *process = save->image->processes + i;

                if ((process->cwd.path && process->cwd.ino == ino && is_watched(process->cwd.path, ino, save, ret)) ||
                    (process->exe.path && process->exe.ino == ino && is_watched(process->exe.path, ino, save, ret)))
                        return 0;
        }
        for (size_t i = 0; i < save->image->n_files; i++)
                if (save->image->files[i].place.path && save->image->files[i].place.ino == ino &&
                    is_watched(save->image->files[i].place.path, ino, save, ret))
                        return 0;
        for (size_t i = 0; i < save->image->n_tmpfs; i++)
                for (size_t j = 0; j < save->image->tmpfs[i].n_nodes; j++) {
                        const ImageNode *node = save->image->tmpfs[i].nodes + j;
                        _cleanup_free_ char *path = NULL;

                        if (node->ino != ino)
                                continue;
                        if (string_appendf(&path, "%s%s%s", streq(save->image->tmpfs[i].mount, "/") ? "" : save->image->tmpfs[i].mount,
                                           node->path[0] ? "/" : "", node->path) >= 0 &&
                            is_watched(path, ino, save, ret))
                                return 0;
                }
        return -ENOENT;
}

/* Paths of watches are not to be had; inodes are: those are looked for where programs of the sandbox have them open. Events
 * cannot be read without taking them away: that there are some is all that is told. */
int describe_inotify(FileContext *context, ImageFile *file) {
        struct pollfd pollfd = { .fd = context->fd, .events = POLLIN };

        file->kind = IMAGE_FILE_INOTIFY;
        file->value = poll(&pollfd, 1, 0) > 0;
        for (const char *p = context->info; (p = strstr(p, "inotify wd:")); p++) {
                ImageInotify watch = {}, *entry;
                uint64_t ino;

                if (sscanf(p, "inotify wd:%" SCNx32 " ino:%" SCNx64 " sdev:%*x mask:%" SCNx32, (uint32_t *) &watch.wd, &ino,
                           &watch.mask) != 3)
                        return -EIO;
                if (find_watched(context->files, ino, &watch.place) < 0)
                        return files_refuse(context, "inotify watches inode %" PRIu64 ", whose path cannot be found", ino);
                entry = IMAGE_APPEND(file->inotify, file->n_inotify);
                if (!entry) {
                        free(watch.place.path);
                        return -ENOMEM;
                }
                *entry = watch;
        }
        return 0;
}
