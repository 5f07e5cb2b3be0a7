/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is on its way in pseudo terminals: it is taken out and put back at once, with all tasks stopped. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "pty.h"
#include "resume.h"
#include "save-files.h"
#include "util.h"

typedef struct Borrowed {
        int master, slave;
        PtyContents contents;
} Borrowed;

static int borrow(void *userdata) {
        Borrowed *borrowed = userdata;
        int r, q;

        r = pty_take(borrowed->master, borrowed->slave, &borrowed->contents);
        if (borrowed->contents.stage == PTY_TAKING)
                borrowed->contents.stage = PTY_TAKEN; /* what there is of it */
        q = pty_put(borrowed->master, borrowed->slave, &borrowed->contents);
        return r < 0 ? r : q;
}

/* Of a terminal whose slave cannot be opened: whether there is nothing that is to be had. */
static bool is_empty(const Files *files, uint32_t master) {
        const ImageFile *all = files->save->image->files;

        for (uint32_t i = 0; i < files->save->image->n_files; i++) {
                int n = 0;

                if (all[i].kind == IMAGE_FILE_PTY && all[i].peer_id == all[master].peer_id &&
                    ioctl(files->known[i].fd, FIONREAD, &n) >= 0 && n > 0)
                        return false;
        }
        return true;
}

static int save_bytes(Save *save, const PtyBytes *bytes, ImageBlob *ret) {
        return bytes->n == 0 ? 0 : image_writer_add(&save->writer, bytes->bytes, bytes->n, ret, &save->message);
}

static int save_contents(Files *files, uint32_t index, const PtyContents *contents) {
        Save *save = files->save;
        ImageFile *file = save->image->files + index;
        int r;

        r = save_bytes(save, &contents->output, &file->data);
        if (r >= 0)
                r = save_bytes(save, &contents->input, &file->input);
        if (r < 0)
                return r;
        file->edited = MIN(contents->edited, contents->input.n);
        file->marks = contents->marks;
        file->stop = contents->stop;
        file->packet = contents->packet;
        if (contents->output.n > 0 || contents->input.n > 0 || contents->stop != PTY_STOP_NONE || contents->packet)
                save->image->features |= UINT64_C(1) << IMAGE_FEATURE_PTY;
        return 0;
}

static int finish_pty(Files *files, uint32_t index) {
        _cleanup_close_ int slave = pty_open_slave(files->known[index].fd);
        Borrowed *borrowed;
        int r;

        if (slave < 0) {
                if (!is_empty(files, index))
                        files_refuse_index(files, index, "a pseudo terminal with bytes that nobody has read, which cannot be taken out: %s",
                                           slave == -EBUSY ? "somebody has it for himself (TIOCEXCL)" : strerror(-slave));
                return 0;
        }
        borrowed = resume_map(sizeof(Borrowed));
        if (!borrowed)
                return -ENOMEM;
        borrowed->master = files->known[index].fd;
        borrowed->slave = slave;
        r = resume_in_child(borrow, borrowed);
        if (r >= 0)
                r = save_contents(files, index, &borrowed->contents);
        else if (r == -EOPNOTSUPP) {
                files_refuse_index(files, index, "a pseudo terminal with a word of packet mode (TIOCPKT) that nobody has read, or "
                                   "with bytes that somebody outside of it edits (EXTPROC)");
                r = 0;
        } else if (r == -E2BIG) {
                files_refuse_index(files, index, "a pseudo terminal with more than %u bytes that nobody has read", PTY_BYTES_MAX);
                r = 0;
        }
        (void) munmap(borrowed, sizeof(Borrowed));
        return r < 0 ? save_fail(files->save, r, "what is in pseudo terminal %" PRIu64 " cannot be read: %s",
                                 files->save->image->files[index].peer_id, strerror(-r))
                     : 0;
}

int finish_ptys(Files *files) {
        int r = 0;

        for (uint32_t i = 0; r >= 0 && files->save->n_reasons == 0 && i < files->save->image->n_files; i++)
                if (files->save->image->files[i].kind == IMAGE_FILE_PTY && files->save->image->files[i].value != 0)
                        r = finish_pty(files, i);
        return r;
}
