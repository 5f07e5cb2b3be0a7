/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was opened outside of the sandbox. It is known by a number by which whoever restores brings another: the lowest that
 * anybody has it under, or that of the standard stream that it is. */

#include <fcntl.h>
#include <sys/stat.h>

#include "save-files.h"
#include "util.h"

#define STREAMS 3U

int files_outside(FileContext *context, ImageFile *file, const struct stat *st) {
        Known *known = context->files->known + context->index;

        free(TAKE_PTR(file->place.path));
        file->kind = IMAGE_FILE_OUTSIDE;
        file->outside = (uint32_t) context->number;
        known->dev = st->st_dev;
        known->ino = st->st_ino;
        return 0;
}

void pipe_outside(Files *files, uint32_t first) {
        const Image *image = files->save->image;
        ImageFile *all = image->files;
        struct stat st = {};

        (void) fstat(files->known[first].fd, &st);
        for (uint32_t i = first; i < image->n_files; i++) {
                if (all[i].kind != IMAGE_FILE_PIPE || all[i].peer_id != all[first].peer_id)
                        continue;
                files->known[i].dev = st.st_dev;
                files->known[i].ino = st.st_ino;
                all[i].kind = IMAGE_FILE_OUTSIDE;
                all[i].outside = IMAGE_NONE;
                for (size_t t = 0; t < image->n_fd_tables; t++)
                        for (size_t j = 0; j < image->fd_tables[t].n; j++)
                                if (image->fd_tables[t].items[j].file == i)
                                        all[i].outside = MIN(all[i].outside, (uint32_t) image->fd_tables[t].items[j].number);
        }
}

/* ---- standard streams ---- */

/* The stream that a file may stand for: of several that are the same, one that is open in the same way, as programs have them. */
static uint32_t stream_of(const Save *save, const Known *known, uint32_t flags) {
        static const uint32_t order[][STREAMS] = {
                [O_RDONLY] = { 0, 1, 2 }, [O_WRONLY] = { 1, 2, 0 }, [O_RDWR] = { 0, 1, 2 },
        };
        uint32_t mode = flags & O_ACCMODE;

        if (known->ino == 0 || mode >= ELEMENTSOF(order))
                return IMAGE_NONE;
        for (size_t program = 0; program + 2U * STREAMS <= save->n_standard; program += 2U * STREAMS)
                for (size_t i = 0; i < STREAMS; i++) {
                        const uint64_t *stream = save->standard + program + 2U * order[mode][i];

                        if (stream[0] == known->dev && stream[1] == known->ino)
                                return order[mode][i];
                }
        return IMAGE_NONE;
}

/* A shell that has sent its output elsewhere for a while keeps the old one under another number. */
void find_standard_streams(Files *files) {
        Image *image = files->save->image;

        for (uint32_t i = 0; i < image->n_files; i++) {
                ImageFile *file = image->files + i;
                uint32_t stream;

                if (file->kind != IMAGE_FILE_OUTSIDE || file->outside < STREAMS || file->value == 1 /* sentry-init's */)
                        continue;
                stream = stream_of(files->save, files->known + i, file->flags);
                if (stream != IMAGE_NONE)
                        file->outside = stream;
        }
}

/* ---- sentry-init ---- */

void find_status_pipe(Files *files) {
        const Save *save = files->save;
        const ImageProcess *init = save->image->processes;
        _cleanup_free_ char *exe = NULL;
        const ImageFdTable *table;
        const char *name;

        if (save->n_processes == 0 || init->fd_table >= save->image->n_fd_tables ||
            save_read_link(save->processes[0].pid, "exe", &exe) < 0)
                return;
        name = strrchr(exe, '/');
        if (!startswith(name ? name + 1 : exe, "sentry-init"))
                return;
        /* It has closed all but this and a signalfd. */
        table = save->image->fd_tables + init->fd_table;
        for (size_t i = 0; i < table->n; i++) {
                ImageFile *file = save->image->files + table->items[i].file;

                if (file->kind == IMAGE_FILE_OUTSIDE && (file->flags & O_ACCMODE) == O_WRONLY)
                        file->value = 1;
        }
}
