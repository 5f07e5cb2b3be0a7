/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pipes with what is in them, pseudo terminals, and what inotify watches. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "pty.h"
#include "save-files.h"
#include "util.h"

int describe_pipe(FileContext *context, ImageFile *file, const struct stat *st) {
        int capacity = fcntl(context->fd, F_GETPIPE_SZ);

        file->kind = context->link[0] == '/' ? IMAGE_FILE_FIFO : IMAGE_FILE_PIPE;
        file->peer_id = st->st_ino;
        file->capacity = capacity > 0 ? (uint32_t) capacity : 0;
        if (file->kind == IMAGE_FILE_FIFO && !file->place.path)
                return files_refuse(context, "a FIFO that is not there any more");
        return 0;
}

/* A descriptor to read it by, without taking anything. */
static int open_reader(const Files *files, uint32_t index) {
        if ((files->save->image->files[index].flags & O_ACCMODE) != O_WRONLY)
                return fcntl(files->known[index].fd, F_DUPFD_CLOEXEC, 16);
        return save_reopen(files->known[index].fd, O_RDONLY | O_NONBLOCK);
}

/* What is in a pipe, by tee(2): it stays there. */
static int save_contents(Files *files, uint32_t index, int fd, int size) {
        ImageFile *file = files->save->image->files + index;
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
        _cleanup_free_ uint8_t *data = malloc((size_t) size);
        int ends[2], done = 0;
        bool packets = file->flags & O_DIRECT;
        ssize_t n;

        if (!data)
                return -ENOMEM;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        read_end = ends[0];
        write_end = ends[1];
        if (file->capacity > 65536)
                (void) fcntl(write_end, F_SETPIPE_SZ, (int) file->capacity);
        n = tee(fd, write_end, (size_t) size, SPLICE_F_NONBLOCK);
        if (n < 0)
                return -errno;
        if (n != size)
                return -ENOSPC;
        while (done < size && (n = read(read_end, data + done, (size_t) (size - done))) > 0) {
                done += (int) n;
                if (packets) {
                        uint64_t *entry = IMAGE_APPEND(file->sizes, file->n_sizes);

                        if (!entry)
                                return -ENOMEM;
                        *entry = (uint64_t) n;
                }
        }
        if (done != size)
                return -EIO;
        return image_writer_add(&files->save->writer, data, (size_t) size, &file->data, &files->save->message);
}

/* Whether the other end, which nobody in the sandbox has, is somebody else's. */
static bool is_open_elsewhere(int fd, bool reads) {
        struct pollfd pollfd = { .fd = fd, .events = reads ? POLLIN : POLLOUT };

        (void) poll(&pollfd, 1, 0);
        return !(pollfd.revents & (reads ? POLLHUP : POLLERR));
}

static int finish_pipe(Files *files, uint32_t first) {
        ImageFile *all = files->save->image->files;
        _cleanup_close_ int fd = -EBADF;
        bool read_end = false, write_end = false;
        uint32_t reader = IMAGE_NONE;
        int size = 0, r;
        char who[96];

        for (uint32_t i = first; i < files->save->image->n_files; i++) {
                uint32_t mode = all[i].flags & O_ACCMODE;

                if (all[i].kind != all[first].kind || all[i].peer_id != all[first].peer_id)
                        continue;
                if (mode != O_WRONLY && reader == IMAGE_NONE)
                        reader = i;
                read_end = read_end || mode != O_WRONLY;
                write_end = write_end || mode != O_RDONLY;
        }
        if (all[first].kind == IMAGE_FILE_PIPE && read_end != write_end && is_open_elsewhere(files->known[first].fd, read_end)) {
                pipe_outside(files, first);
                return 0;
        }
        fd = open_reader(files, reader == IMAGE_NONE ? first : reader);
        if (fd == -EACCES && reader == IMAGE_NONE)
                r = 0; /* nobody can read it any more: what is in it is of no use */
        else if (fd < 0 || ioctl(fd, FIONREAD, &size) < 0)
                r = fd < 0 ? fd : -errno;
        else
                r = size > 0 ? save_contents(files, first, fd, size) : 0;
        if (r == -EACCES || r == -ENOSPC || r == -EIO) {
                save_refuse(files->save, "%s fd %d: what is in the pipe cannot be read: %s",
                            save_who(files->save, files->known[first].process, who), files->known[first].number, strerror(-r));
                return 0;
        }
        return r;
}

int finish_pipes(Files *files) {
        const ImageFile *all = files->save->image->files;
        int r;

        for (uint32_t i = 0; i < files->save->image->n_files; i++) {
                bool seen = false;

                if (all[i].kind != IMAGE_FILE_PIPE && all[i].kind != IMAGE_FILE_FIFO)
                        continue;
                for (uint32_t j = 0; j < i && !seen; j++)
                        seen = all[j].kind == all[i].kind && all[j].peer_id == all[i].peer_id;
                if (seen)
                        continue;
                r = finish_pipe(files, i);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- terminals ---- */

#define GET_TERMIOS2 _IOR('T', 0x2A, uint8_t[PTY_TERMIOS_SIZE])

int describe_modes(FileContext *context, ImageFile *file) {
        uint8_t termios[PTY_TERMIOS_SIZE];
        struct winsize size;
        Save *save = context->files->save;
        int r;

        if (ioctl(context->fd, GET_TERMIOS2, termios) < 0)
                return 0;
        r = image_writer_add(&save->writer, termios, sizeof(termios), &file->termios, &save->message);
        if (r >= 0 && ioctl(context->fd, TIOCGWINSZ, &size) >= 0)
                r = image_writer_add(&save->writer, &size, sizeof(size), &file->winsize, &save->message);
        return r;
}

int describe_pty(FileContext *context, ImageFile *file, const struct stat *st) {
        const char *index = strstr(context->info, "tty-index:");

        /* The terminal of who ran the sandbox, by a name that another one has after the restore: /dev/console. */
        if (!index && file->place.path && !startswith(file->place.path, "/dev/pts/")) {
                file->kind = IMAGE_FILE_TTY;
                return 0;
        }
        file->kind = IMAGE_FILE_PTY;
        file->value = index != NULL; /* a master says so, and has the number of the other side */
        file->peer_id = index ? strtoull(index + strlen("tty-index:"), NULL, 10) : minor(st->st_rdev) + 256U * (major(st->st_rdev) - 136U);
        return describe_modes(context, file);
}

/* Pseudo terminals inside are numbered as those outside are, and a process tells the number alone. But the session of one that
 * came from outside has none of ours, and none of another session has its own. */
static void find_terminal(Files *files, size_t process, bool inside) {
        Image *image = files->save->image;
        const SaveProcess *who = files->save->processes + process;
        dev_t tty = image_unpack_tty(who->tty);

        for (uint32_t i = 0; i < image->n_files; i++) {
                ImageFile *file = image->files + i;
                bool slave = inside && file->kind == IMAGE_FILE_PTY && file->value == 0 && file->rdev == tty,
                     master = inside && file->kind == IMAGE_FILE_PTY && file->value == 1 && major(tty) == 136 + file->peer_id / 256 &&
                              minor(tty) == file->peer_id % 256,
                     outside = !inside && file->kind == IMAGE_FILE_OUTSIDE && file->rdev == tty;

                if (slave || master || outside) {
                        file->pty_session = image->processes[process].session;
                        file->pty_group = who->tty_group;
                }
                if (slave || (outside && image->processes[process].terminal == IMAGE_NONE))
                        image->processes[process].terminal = i;
        }
}

void find_terminals(Files *files) {
        const Image *image = files->save->image;

        for (size_t i = 0; i < files->save->n_processes; i++) {
                if (files->save->processes[i].tty == 0)
                        continue;
                find_terminal(files, i, image->processes[i].session > 0);
                if (image->processes[i].terminal == IMAGE_NONE)
                        find_terminal(files, i, false);
        }
}
