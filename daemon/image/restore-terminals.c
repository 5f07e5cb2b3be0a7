/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pseudo terminals, whose slaves are made after their masters, and the terminal of whoever restores: its modes become those
 * that the sandbox had set, and who had the foreground has it again. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "pty.h"
#include "restore-internal.h"
#include "util.h"

#define GET_TERMIOS2 _IOR('T', 0x2A, uint8_t[PTY_TERMIOS_SIZE])
#define PTY_TRIES 4096
#define TERMIOS_SIZE 36U /* struct termios of the kernel: TCGETS */
#define STAT_MAX 4096U   /* bytes of /proc/PID/stat */

#define INIT (&restore->processes[0])

/* A master of that number: they are given out from the lowest free one on. */
static int64_t open_master(Restore *restore, const ImageFile *file) {
        ImagePlace place = { .path = (char *) "/dev/ptmx" };
        int64_t number = -1, first = -1;

        /* In a sandbox it may be a link. */
        for (int tries = 0; tries < PTY_TRIES; tries++) {
                _cleanup_close_ int fd = -EBADF;
                int index, unlock = 0;

                number = restore_open(restore, INIT, &place, O_RDWR);
                if (number == -ELOOP && tries == 0) {
                        free(restore->message);
                        restore->message = NULL;
                        place.path = (char *) "/dev/pts/ptmx";
                        number = restore_open(restore, INIT, &place, O_RDWR);
                }
                if (number < 0)
                        return number;
                if (first < 0)
                        first = number;
                fd = restore_borrow_fd(restore, (int) number);
                if (fd < 0 || ioctl(fd, TIOCGPTN, &index) < 0 || ioctl(fd, TIOCSPTLCK, &unlock) < 0)
                        return restore_fail(restore, fd < 0 ? fd : -errno, "cannot make a pseudo terminal");
                if ((uint64_t) index == file->peer_id)
                        break;
                if ((uint64_t) index > file->peer_id || tries == PTY_TRIES - 1)
                        return restore_fail(restore, -EBUSY, "there is no pseudo terminal with the number %lu", (unsigned long) file->peer_id);
        }
        /* Those before it were in the way only. */
        for (int64_t i = first; i < number; i++)
                (void) inject_call(&INIT->inject, SYS_close, (uint64_t) i);
        return number;
}

static int master_of(Restore *restore, const ImageFile *file) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *other = &restore->image->files[i];

                if (other->kind != IMAGE_FILE_PTY || other->value == 0 || other->peer_id != file->peer_id)
                        continue;
                if (restore->files[i] < 0) {
                        int64_t number = open_master(restore, other);
                        int r = number < 0 ? (int) number : restore_take_number(restore, number);

                        if (r < 0)
                                return r;
                        restore->files[i] = r;
                }
                return restore->files[i];
        }
        return restore_fail(restore, -EOPNOTSUPP, "pseudo terminal %lu has nobody at its other side any more", (unsigned long) file->peer_id);
}

static int set_modes(Restore *restore, const ImageFile *file, int fd) {
        _cleanup_free_ char *termios = NULL;
        int r;

        if (file->termios.size < TERMIOS_SIZE)
                return 0;
        r = restore_blob(restore, &file->termios, &termios);
        if (r < 0)
                return r;
        return ioctl(fd, TCSETS, termios) < 0 ? restore_fail(restore, -errno, "cannot set up a terminal") : 0;
}

static int set_terminal(Restore *restore, const ImageFile *file, int64_t number) {
        _cleanup_close_ int fd = restore_borrow_fd(restore, (int) number);
        _cleanup_free_ char *size = NULL;
        int r;

        if (fd < 0)
                return restore_fail(restore, fd, "cannot set up a pseudo terminal");
        r = set_modes(restore, file, fd);
        if (r < 0)
                return r;
        if (file->winsize.size >= sizeof(struct winsize)) {
                r = restore_blob(restore, &file->winsize, &size);
                if (r < 0)
                        return r;
                if (ioctl(fd, TIOCSWINSZ, size) < 0)
                        return restore_fail(restore, -errno, "cannot set the size of a pseudo terminal");
        }
        return 0;
}

int64_t restore_pty(Restore *restore, const ImageFile *file) {
        char path[32];
        ImagePlace place = { .path = path };
        int64_t number;
        int r;

        if (file->value != 0)
                number = open_master(restore, file);
        else {
                r = master_of(restore, file);
                if (r < 0)
                        return r;
                (void) snprintf(path, sizeof(path), "/dev/pts/%lu", (unsigned long) file->peer_id);
                number = restore_open(restore, INIT, &place, file->flags);
        }
        if (number < 0)
                return number;
        r = set_terminal(restore, file, number);
        return r < 0 ? r : number;
}

static int set_group(Restore *restore, RestoreProcess *process, uint32_t terminal) {
        const int32_t *group = &restore->image->files[terminal].pty_group;
        uint64_t at;
        int r;

        if (*group <= 0)
                return 0;
        r = restore_put(restore, process, 0, group, sizeof(*group), &at);
        if (r < 0)
                return r;
        /* A group that is gone leaves the terminal to the session. */
        (void) inject_call(&process->inject, SYS_ioctl, (uint64_t) restore->files[terminal], TIOCSPGRP, at);
        return 0;
}

/* ---- that of whoever restores ---- */

typedef struct Stat {
        int parent, group, terminal, foreground;
} Stat;

static int read_stat(pid_t pid, Stat *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        r = read_full_file(path, STAT_MAX, &text, NULL);
        if (r < 0)
                return r;
        p = strrchr(text, ')');
        return p && sscanf(p, ") %*c %d %d %*d %d %d", &ret->parent, &ret->group, &ret->terminal, &ret->foreground) == 4 ? 0 : -EIO;
}

/* Whether its parent, whom the shell knows, has the foreground of this terminal: in the background it is somebody else's. */
static bool is_in_foreground(const Restore *restore, int fd) {
        Stat init, parent;
        struct stat st;

        return read_stat(restore->processes[0].inject.tid, &init) >= 0 && read_stat(init.parent, &parent) >= 0 && fstat(fd, &st) >= 0 &&
               S_ISCHR(st.st_mode) && parent.terminal == init.terminal && parent.foreground == parent.group &&
               image_unpack_tty((unsigned) init.terminal) == st.st_rdev;
}

/* Other windows have other sizes, and nothing on them of what the program has drawn. */
static bool is_to_be_drawn(Restore *restore, const ImageFile *file, int fd) {
        _cleanup_free_ char *saved = NULL;
        struct winsize size;
        struct termios termios;

        if (tcgetattr(fd, &termios) >= 0 && !(termios.c_lflag & ICANON))
                return true;
        return file->winsize.size >= sizeof(size) && ioctl(fd, TIOCGWINSZ, &size) >= 0 &&
               restore_blob(restore, &file->winsize, &saved) >= 0 && memcmp(saved, &size, sizeof(size)) != 0;
}

static void say_window_changed(Restore *restore, int32_t group) {
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                const ImageProcess *process = &restore->image->processes[i];

                if (process->state != IMAGE_TASK_ZOMBIE && process->session == restore->image->processes[0].session && process->group == group)
                        (void) inject_call(&INIT->inject, SYS_kill, (uint64_t) process->pid, SIGWINCH);
        }
}

/* The session is ours already, and so is its terminal, if there is one at all. */
static int restore_outer_terminal(Restore *restore) {
        uint32_t terminal = INIT->image->terminal;
        _cleanup_close_ int fd = -EBADF;
        const ImageFile *file;
        int r;

        if (terminal == IMAGE_NONE || INIT->image->session == INIT->image->pid ||
            restore->image->files[terminal].kind != IMAGE_FILE_OUTSIDE)
                return 0;
        file = &restore->image->files[terminal];
        fd = restore_borrow_fd(restore, restore->files[terminal]);
        if (fd < 0)
                return restore_fail(restore, fd, "cannot set up the terminal");
        if (!is_in_foreground(restore, fd))
                return 0;
        r = set_modes(restore, file, fd);
        if (r >= 0)
                r = set_group(restore, INIT, terminal);
        if (r >= 0 && is_to_be_drawn(restore, file, fd))
                say_window_changed(restore, file->pty_group);
        return r;
}

/* ---- what is on its way ---- */

static int read_bytes(Restore *restore, const ImageBlob *blob, PtyBytes *ret) {
        _cleanup_free_ char *bytes = NULL;
        int r;

        if (blob->size == 0)
                return 0;
        if (blob->size > PTY_BYTES_MAX)
                return restore_fail(restore, -EBADMSG, "%lu bytes in a pseudo terminal", (unsigned long) blob->size);
        r = restore_blob(restore, blob, &bytes);
        if (r < 0)
                return r;
        memcpy(ret->bytes, bytes, blob->size);
        ret->n = (uint32_t) blob->size;
        return 0;
}

static int fill_pty(Restore *restore, const ImageFile *file, int number) {
        _cleanup_free_ PtyContents *contents = calloc(1, sizeof(PtyContents));
        _cleanup_close_ int master = restore_borrow_fd(restore, number), slave = -EBADF;
        int r;

        if (!contents)
                return restore_fail(restore, -ENOMEM, "no memory");
        slave = master < 0 ? master : pty_open_slave(master);
        if (slave < 0 || ioctl(slave, GET_TERMIOS2, contents->termios) < 0)
                return restore_fail(restore, slave < 0 ? slave : -errno, "cannot fill pseudo terminal %lu", (unsigned long) file->peer_id);
        r = read_bytes(restore, &file->data, &contents->output);
        if (r >= 0)
                r = read_bytes(restore, &file->input, &contents->input);
        if (r < 0)
                return r;
        contents->stage = PTY_TAKEN;
        contents->edited = file->edited;
        contents->marks = file->marks;
        contents->stop = file->stop;
        contents->packet = file->packet;
        contents->blocking = !(file->flags & O_NONBLOCK);
        r = pty_put(master, slave, contents);
        return r < 0 ? restore_fail(restore, r, "cannot fill pseudo terminal %lu", (unsigned long) file->peer_id) : 0;
}

static int fill_ptys(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                int r;

                if (file->kind != IMAGE_FILE_PTY || file->value == 0 || restore->files[i] < 0 ||
                    (file->data.size == 0 && file->input.size == 0 && file->stop == PTY_STOP_NONE && !file->packet))
                        continue;
                r = fill_pty(restore, file, restore->files[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- all ---- */

int restore_terminals(Restore *restore) {
        int r;

        for (size_t i = 0; i < restore->image->n_processes; i++) {
                RestoreProcess *process = &restore->processes[i];
                uint32_t terminal = process->image->terminal;

                if (terminal == IMAGE_NONE || process->image->session != process->image->pid ||
                    process->image->state == IMAGE_TASK_ZOMBIE || restore->image->files[terminal].kind != IMAGE_FILE_PTY)
                        continue;
                if (restore_call(restore, process, "take its terminal", SYS_ioctl, (uint64_t) restore->files[terminal], TIOCSCTTY, 0) < 0)
                        return -EIO;
                r = set_group(restore, process, terminal);
                if (r < 0)
                        return r;
        }
        r = fill_ptys(restore);
        return r < 0 ? r : restore_outer_terminal(restore);
}
