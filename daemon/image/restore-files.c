/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Open files. Each open file description is made once, in the first process, under a number that nobody uses; all others
 * inherit it, and give it the numbers that they had. So what was shared is shared again. What can be made only when the
 * processes are there is passed to them by number. */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "image-read.h"
#include "restore-internal.h"
#include "util.h"

/* What open(2) may be told of what F_GETFL says. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_DIRECT | O_NOATIME | O_NONBLOCK | O_DIRECTORY | O_PATH | O_NOFOLLOW)
/* And F_SETFL. */
#define STATUS_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC)
#define NSEC_PER_SEC UINT64_C(1000000000)

#ifndef TFD_IOC_SET_TICKS
#  define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

int64_t restore_open(Restore *restore, RestoreProcess *process, const ImagePlace *place, uint64_t flags) {
        /* Where it lay was without links, and a link of /proc would lead to what we have open. */
        struct open_how how = { .flags = (flags & OPEN_FLAGS) | O_CLOEXEC | O_NOCTTY, .resolve = RESOLVE_NO_SYMLINKS };
        uint64_t at_how, at_path;
        int64_t result;
        int r;

        if (flags & O_PATH)
                how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        if (!place->path || place->path[0] != '/')
                return restore_fail(restore, -EBADMSG, "process %d: %s is no path", process->image->pid, place->path ?: "nothing");
        r = restore_put(restore, process, 0, &how, sizeof(how), &at_how);
        if (r >= 0)
                r = restore_put(restore, process, sizeof(how), place->path, strlen(place->path) + 1, &at_path);
        if (r < 0)
                return r;
        result = inject_call(&process->inject, SYS_openat2, (uint64_t) AT_FDCWD, at_path, at_how, sizeof(how));
        if (result < 0)
                return restore_fail(restore, (int) result, "cannot open %s in the sandbox", place->path);
        return result;
}

int restore_take_number(Restore *restore, int64_t number) {
        RestoreProcess *init = &restore->processes[0];

        if (restore_call(restore, init, "move a descriptor", SYS_dup3, (uint64_t) number, (uint64_t) restore->next, O_CLOEXEC) < 0 ||
            restore_call(restore, init, "close a descriptor", SYS_close, (uint64_t) number) < 0)
                return -EIO;
        return restore->next++;
}

int restore_borrow_fd(Restore *restore, int number) {
        return restore_borrow_from(restore, &restore->processes[0], number);
}

int restore_borrow_from(Restore *restore, RestoreProcess *process, int number) {
        _cleanup_close_ int pidfd = -EBADF;
        int fd;

        (void) restore;
        pidfd = (int) syscall(SYS_pidfd_open, process->inject.tid, 0);
        if (pidfd < 0)
                return -errno;
        fd = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);
        return fd < 0 ? -errno : fd;
}

/* Another description of what a number of the first process is. */
static int64_t reopen(Restore *restore, int number, uint64_t flags) {
        RestoreProcess *init = &restore->processes[0];
        char path[64];
        uint64_t at;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
        r = restore_put(restore, init, 0, path, strlen(path) + 1, &at);
        if (r < 0)
                return r;
        return restore_call(restore, init, "open a file again", SYS_openat, (uint64_t) AT_FDCWD, at,
                            (flags & OPEN_FLAGS & ~(uint64_t) (O_DIRECTORY | O_NOFOLLOW | O_PATH)) | O_CLOEXEC);
}

static int64_t open_regular(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        int64_t number;

        if (file->object != IMAGE_NONE)
                number = reopen(restore, restore->objects[file->object], file->flags);
        else
                number = restore_open(restore, init, &file->place, file->flags);
        if (number < 0)
                return number;
        if (file->position != 0 && !(file->flags & O_PATH) &&
            restore_call(restore, init, "set the position of a file", SYS_lseek, (uint64_t) number, file->position, SEEK_SET) < 0)
                return -EIO;
        return number;
}

static int64_t open_device(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int64_t number;

        number = restore_open(restore, init, &file->place, file->flags);
        if (number < 0)
                return number;
        fd = restore_borrow_fd(restore, (int) number);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_rdev != file->rdev)
                return restore_fail(restore, -ENODEV, "%s is another device than when the sandbox was saved", file->place.path);
        return number;
}

/* ---- pipes ------------------------------------------------------------------------------------------------------ */

/* A pipe's ends in the first process, both, from the first of its descriptions on. */
static int pipe_of(Restore *restore, const ImageFile *file, RestorePipe **ret) {
        RestoreProcess *init = &restore->processes[0];
        RestorePipe *grown, pipe = { .id = file->peer_id };
        uint64_t at;
        int numbers[2], r;

        for (size_t i = 0; i < restore->n_pipes; i++)
                if (restore->pipes[i].id == file->peer_id) {
                        *ret = &restore->pipes[i];
                        return 0;
                }
        grown = reallocarray(restore->pipes, restore->n_pipes + 1, sizeof(RestorePipe));
        if (!grown)
                return restore_fail(restore, -ENOMEM, "no memory");
        restore->pipes = grown;

        if (file->kind == IMAGE_FILE_FIFO) {
                int64_t number = restore_open(restore, init, &file->place, O_RDWR | O_NONBLOCK);

                r = number < 0 ? (int) number : restore_take_number(restore, number);
                if (r < 0)
                        return r;
                pipe.ends[0] = pipe.ends[1] = r;
        } else {
                r = restore_put(restore, init, 0, (int[2]) {}, sizeof(numbers), &at);
                if (r < 0)
                        return r;
                if (restore_call(restore, init, "make a pipe", SYS_pipe2, at, O_CLOEXEC) < 0)
                        return -EIO;
                r = inject_read(init->inject.tid, at, numbers, sizeof(numbers));
                if (r < 0)
                        return restore_fail(restore, r, "cannot read the numbers of a pipe");
                for (unsigned i = 0; i < 2; i++) {
                        r = restore_take_number(restore, numbers[i]);
                        if (r < 0)
                                return r;
                        pipe.ends[i] = r;
                }
        }
        grown[restore->n_pipes] = pipe;
        *ret = &grown[restore->n_pipes++];
        return 0;
}

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int fill_pipe(Restore *restore, const ImageFile *file, const RestorePipe *pipe) {
        _cleanup_close_ int fd = restore_borrow_fd(restore, pipe->ends[1]);
        _cleanup_free_ char *data = NULL;
        uint64_t done = 0;
        int flags, r;

        if (fd < 0 || (flags = fcntl(fd, F_GETFL)) < 0)
                return restore_fail(restore, fd < 0 ? fd : -errno, "cannot fill a pipe");
        if (file->capacity > 0 && fcntl(fd, F_SETPIPE_SZ, (int) file->capacity) < 0)
                return restore_fail(restore, -errno, "a pipe cannot have %u bytes (fs.pipe-max-size, or too many pipes of this user)",
                                    file->capacity);
        if (file->data.size == 0)
                return 0;
        r = restore_blob(restore, &file->data, &data);
        if (r < 0)
                return r;
        if (fcntl(fd, F_SETFL, flags | O_NONBLOCK | (file->n_sizes > 0 ? O_DIRECT : 0)) < 0)
                return restore_fail(restore, -errno, "cannot fill a pipe");
        for (size_t i = 0; i < file->n_sizes && r >= 0; i++) {
                uint64_t size = file->sizes[i];

                if (size > file->data.size - done)
                        return restore_fail(restore, -EBADMSG, "the packets of a pipe are larger than its data");
                r = write_all(fd, data + done, size);
                done += size;
        }
        if (r >= 0)
                r = write_all(fd, data + done, file->data.size - done);
        if (r >= 0 && fcntl(fd, F_SETFL, flags) < 0)
                r = -errno;
        return r < 0 ? restore_fail(restore, r, "cannot fill a pipe with %lu bytes", (unsigned long) file->data.size) : 0;
}

static int64_t open_pipe(Restore *restore, const ImageFile *file) {
        RestorePipe *pipe = NULL;
        unsigned end = (file->flags & O_ACCMODE) == O_WRONLY;
        int64_t number;
        int r;

        r = pipe_of(restore, file, &pipe);
        if (r >= 0)
                r = file->data.size > 0 || file->capacity > 0 ? fill_pipe(restore, file, pipe) : 0;
        if (r < 0)
                return r;
        if (file->kind == IMAGE_FILE_FIFO)
                return restore_open(restore, &restore->processes[0], &file->place, file->flags | O_NONBLOCK);
        /* The first one of each end is the pipe's own, so that nothing is left open of it but what was. */
        if ((file->flags & O_ACCMODE) != O_RDWR && !pipe->taken[end]) {
                pipe->taken[end] = true;
                number = restore_call(restore, &restore->processes[0], "copy the end of a pipe", SYS_fcntl, (uint64_t) pipe->ends[end],
                                      F_DUPFD_CLOEXEC, 0);
                return number;
        }
        return reopen(restore, pipe->ends[end], file->flags | O_NONBLOCK);
}

/* ---- what has no path ------------------------------------------------------------------------------------------- */

static int64_t open_eventfd(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_close_ int fd = -EBADF;
        int64_t number;

        number = restore_call(restore, init, "make an eventfd", SYS_eventfd2, 0,
                              EFD_CLOEXEC | EFD_NONBLOCK | (file->semaphore ? EFD_SEMAPHORE : 0));
        if (number < 0 || file->value == 0)
                return number;
        fd = restore_borrow_fd(restore, (int) number);
        if (fd < 0 || write(fd, &file->value, sizeof(file->value)) != sizeof(file->value))
                return restore_fail(restore, fd < 0 ? fd : -errno, "cannot set an eventfd to %lu", (unsigned long) file->value);
        return number;
}

/* What a clock of the sandbox showed when it was saved; false for one that an image does not have. */
static bool clock_at_save(const Image *image, int32_t clock, int64_t *ret) {
        switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_ALARM:
                *ret = image->clocks.realtime_ns;
                return true;
        case CLOCK_MONOTONIC:
                *ret = image->clocks.monotonic_ns;
                return true;
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
                *ret = image->clocks.boottime_ns;
                return true;
        default:
                return false;
        }
}

/* It is set to the time at which it would have expired next: the kernel then counts what fell due meanwhile. */
static int64_t open_timerfd(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_close_ int fd = -EBADF;
        uint64_t next = file->value_ns, flags = 0, at, ticks, more;
        struct itimerspec value;
        int64_t number, then;
        int r;

        if (next > 0 && clock_at_save(restore->image, file->clock, &then) && then >= 0) {
                next = MIN(next, (uint64_t) INT64_MAX - (uint64_t) then) + (uint64_t) then;
                flags = TFD_TIMER_ABSTIME;
                if (file->timer_flags & TFD_TIMER_ABSTIME)
                        flags |= file->timer_flags & TFD_TIMER_CANCEL_ON_SET;
        }
        value = (struct itimerspec) {
                .it_value = { (time_t) (next / NSEC_PER_SEC), (long) (next % NSEC_PER_SEC) },
                .it_interval = { (time_t) (file->interval_ns / NSEC_PER_SEC), (long) (file->interval_ns % NSEC_PER_SEC) },
        };
        number = restore_call(restore, init, "make a timerfd", SYS_timerfd_create, (uint64_t) file->clock, TFD_CLOEXEC | TFD_NONBLOCK);
        if (number < 0)
                return number;
        r = restore_put(restore, init, 0, &value, sizeof(value), &at);
        if (r < 0)
                return r;
        if (next > 0 && restore_call(restore, init, "set a timerfd", SYS_timerfd_settime, (uint64_t) number, flags, at, 0) < 0)
                return -EIO;
        if (file->value == 0)
                return number;

        /* The ticks that it had and those it has got already: setting them forgets the latter, so they are read before. */
        fd = restore_borrow_fd(restore, (int) number);
        if (fd < 0)
                return restore_fail(restore, fd, "cannot set the expirations of a timerfd");
        ticks = file->value;
        if (next > 0 && read(fd, &more, sizeof(more)) == sizeof(more) && more <= UINT64_MAX - ticks)
                ticks += more;
        if (ioctl(fd, TFD_IOC_SET_TICKS, &ticks) < 0)
                return restore_fail(restore, -errno, "cannot set the expirations of a timerfd");
        return number;
}

static int64_t open_signalfd(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        uint64_t at;
        int r;

        r = restore_put(restore, init, 0, &file->value, sizeof(file->value), &at);
        if (r < 0)
                return r;
        return restore_call(restore, init, "make a signalfd", SYS_signalfd4, (uint64_t) -1, at, sizeof(file->value), SFD_CLOEXEC);
}

static int64_t open_namespace(Restore *restore, const ImageFile *file) {
        char path[64], name[16];
        uint64_t at;
        int r;

        if (!file->place.path || sscanf(file->place.path, "%15[a-z]:", name) != 1)
                return restore_fail(restore, -EBADMSG, "a descriptor of a namespace has no kind");
        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        r = restore_put(restore, &restore->processes[0], 0, path, strlen(path) + 1, &at);
        if (r < 0)
                return r;
        return restore_call(restore, &restore->processes[0], "open a namespace", SYS_openat, (uint64_t) AT_FDCWD, at, O_RDONLY | O_CLOEXEC);
}

/* What comes from outside comes with the first process, under its number. */
/* What the stub has of ours comes from nobody. */
static bool is_ours(const Restore *restore, int number) {
        for (size_t i = 0; i < ELEMENTSOF(restore->next_id_numbers); i++)
                if (restore->next_id_numbers[i] == number)
                        return true;
        return restore->status_number == number;
}

static int64_t open_outside(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        int64_t number;

        if (file->value == 1) /* the pipe of sentry-init: the stub has that one of its launcher's */
                number = inject_call(&init->inject, SYS_fcntl, (uint64_t) restore->status_number, F_DUPFD_CLOEXEC, 0);
        else if (is_ours(restore, (int) file->outside))
                number = -EBADF;
        else
                number = inject_call(&init->inject, SYS_fcntl, file->outside, F_DUPFD_CLOEXEC, 0);
        if (number == -EBADF && file->was && streq(file->was, "/dev/null")) /* one is as good as the other */
                return restore_open(restore, init, &(ImagePlace) { .path = (char *) "/dev/null" }, file->flags);
        if (number == -EBADF && file->outside <= 2)
                return restore_fail(restore, -EBADF, "descriptor %u (%s) is not open: restore wants standard input, output and error",
                                    file->outside, file->was ?: "?");
        if (number == -EBADF)
                return restore_fail(restore, -EBADF,
                                    "descriptor %u (%s) was opened outside of the sandbox: give one in its place, as in "
                                    "`sentryctl restore DIR %u<FILE`", file->outside, file->was ?: "?", file->outside);
        if (number < 0)
                return restore_fail(restore, (int) number, "cannot take over descriptor %u", file->outside);
        return number;
}

static bool is_late(const ImageFile *file) {
        return file->kind == IMAGE_FILE_PIDFD || file->kind == IMAGE_FILE_TTY;
}

static int64_t open_file(Restore *restore, const ImageFile *file) {
        switch (file->kind) {
        case IMAGE_FILE_REGULAR:
        case IMAGE_FILE_DIRECTORY:
        case IMAGE_FILE_PATH:
        case IMAGE_FILE_MEMFD:
                return open_regular(restore, file);
        case IMAGE_FILE_DEVICE:
                return open_device(restore, file);
        case IMAGE_FILE_PIPE:
        case IMAGE_FILE_FIFO:
                return open_pipe(restore, file);
        case IMAGE_FILE_EVENTFD:
                return open_eventfd(restore, file);
        case IMAGE_FILE_TIMERFD:
                return open_timerfd(restore, file);
        case IMAGE_FILE_SIGNALFD:
                return open_signalfd(restore, file);
        case IMAGE_FILE_EPOLL:
                return restore_call(restore, &restore->processes[0], "make an epoll", SYS_epoll_create1, EPOLL_CLOEXEC);
        case IMAGE_FILE_INOTIFY:
                return restore_inotify(restore, file);
        case IMAGE_FILE_MQUEUE:
                return reopen(restore, restore->mqueues[file->value], file->flags);
        case IMAGE_FILE_NAMESPACE:
                return open_namespace(restore, file);
        case IMAGE_FILE_OUTSIDE:
                return open_outside(restore, file);
        case IMAGE_FILE_PTY:
                return restore_pty(restore, file);
        case IMAGE_FILE_UNIX:
        case IMAGE_FILE_INET:
                return restore_socket(restore, file);
        default:
                return restore_fail(restore, -EOPNOTSUPP, "%s (%s) cannot be restored", image_file_kind_to_string(file->kind),
                                    file->was ?: "?");
        }
}

/* What open did not set. */
static int set_flags(Restore *restore, const ImageFile *file, int number) {
        uint64_t flags = file->flags & STATUS_FLAGS;

        /* Those of others are theirs. */
        if (file->kind == IMAGE_FILE_OUTSIDE || (file->flags & O_PATH))
                return 0;
        if (file->kind == IMAGE_FILE_REGULAR || file->kind == IMAGE_FILE_DIRECTORY || file->kind == IMAGE_FILE_DEVICE)
                return 0;
        return restore_call(restore, &restore->processes[0], "set the flags of a file", SYS_fcntl, (uint64_t) number, F_SETFL, flags) < 0
                       ? -EIO
                       : 0;
}

/* What is not there yet: connections only, whose listening sockets come first, or all else. */
static int open_files(Restore *restore, bool connections) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                int64_t number;
                int r;

                if (restore->files[i] >= 0 || is_late(file) || restore_is_connection(file) != connections)
                        continue;
                if (file->socket && file->socket->tcp)
                        r = restore_tcp(restore, file);
                else {
                        number = open_file(restore, file);
                        r = number < 0 ? (int) number : restore_take_number(restore, number);
                }
                if (r < 0)
                        return r;
                restore->files[i] = r;
        }
        return 0;
}

int restore_files(Restore *restore) {
        int r;

        r = open_files(restore, false);
        if (r >= 0)
                r = open_files(restore, true);
        for (size_t i = 0; r >= 0 && i < restore->image->n_files; i++)
                if (restore->files[i] >= 0)
                        r = set_flags(restore, &restore->image->files[i], restore->files[i]);
        return r;
}

/* ---- when the processes are there ------------------------------------------------------------------------------- */

static RestoreProcess *holder_of(Restore *restore, uint32_t file) {
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                const ImageProcess *process = &restore->image->processes[i];

                if (process->state == IMAGE_TASK_ZOMBIE || process->fd_table >= restore->image->n_fd_tables)
                        continue;
                for (size_t j = 0; j < restore->image->fd_tables[process->fd_table].n; j++)
                        if (restore->image->fd_tables[process->fd_table].items[j].file == file)
                                return &restore->processes[i];
        }
        return NULL;
}

int restore_late_files(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_files; i++) {
                const ImageFile *file = &restore->image->files[i];
                _cleanup_close_ int fd = -EBADF;
                RestoreProcess *holder;
                int64_t number;
                int r;

                if (!is_late(file))
                        continue;
                holder = holder_of(restore, (uint32_t) i);
                if (!holder)
                        return restore_fail(restore, -EOPNOTSUPP, "%s that is held by nothing but an epoll cannot be restored",
                                            file->was ?: "a file");
                number = file->kind == IMAGE_FILE_PIDFD
                                 ? restore_call(restore, holder, "open a pidfd", SYS_pidfd_open, file->value, file->flags & O_NONBLOCK)
                                 : restore_open(restore, holder, &file->place, file->flags);
                if (number < 0)
                        return (int) number;
                fd = restore_borrow_from(restore, holder, (int) number);
                if (fd < 0)
                        return restore_fail(restore, fd, "cannot take over a file");
                if (restore_call(restore, holder, "close a file", SYS_close, (uint64_t) number) < 0)
                        return -EIO;
                /* Whoever holds it gets it under our number, as if inherited. */
                for (size_t j = 0; j < restore->image->n_processes; j++)
                        if (restore->image->processes[j].state != IMAGE_TASK_ZOMBIE) {
                                r = restore_give_fd(restore, &restore->processes[j], fd, restore->next);
                                if (r < 0)
                                        return r;
                        }
                restore->files[i] = restore->next++;
        }
        return 0;
}

int restore_epolls(Restore *restore) {
        RestoreProcess *init = &restore->processes[0];

        for (size_t i = 0; i < restore->image->n_files; i++)
                for (size_t j = 0; j < restore->image->files[i].n_watches; j++) {
                        const ImageWatch *watch = &restore->image->files[i].watches[j];
                        struct epoll_event event = { .events = watch->events, .data.u64 = watch->data };
                        uint64_t at;
                        int r;

                        if (watch->file >= restore->image->n_files || restore->files[watch->file] < 0)
                                return restore_fail(restore, -EBADMSG, "an epoll watches a file that nobody has");
                        r = restore_put(restore, init, 0, &event, sizeof(event), &at);
                        if (r < 0)
                                return r;
                        /* The kernel knows it by its number too, which need not be open for that any more. */
                        if (restore_call(restore, init, "number a file", SYS_dup3, (uint64_t) restore->files[watch->file],
                                         (uint64_t) watch->number, O_CLOEXEC) < 0 ||
                            restore_call(restore, init, "watch a file", SYS_epoll_ctl, (uint64_t) restore->files[i], EPOLL_CTL_ADD,
                                         (uint64_t) watch->number, at) < 0 ||
                            restore_call(restore, init, "close a file", SYS_close, (uint64_t) watch->number) < 0)
                                return -EIO;
                }
        return 0;
}

static int set_locks(Restore *restore, RestoreProcess *process, const ImageFile *file, int number) {
        for (size_t i = 0; i < file->n_locks; i++) {
                const ImageLock *lock = &file->locks[i];
                struct flock range = {
                        .l_type = lock->write ? F_WRLCK : F_RDLCK,
                        .l_whence = SEEK_SET,
                        .l_start = (off_t) lock->start,
                        .l_len = lock->end >= INT64_MAX ? 0 : (off_t) (lock->end - lock->start + 1),
                };
                uint64_t at;
                int64_t result;
                int r;

                if (lock->type == 'p' && lock->pid != process->image->pid)
                        continue;
                r = restore_put(restore, process, 0, &range, sizeof(range), &at);
                if (r < 0)
                        return r;
                if (lock->type == 'f')
                        result = inject_call(&process->inject, SYS_flock, (uint64_t) number, lock->write ? 2 | 4 : 1 | 4); /* LOCK_NB */
                else
                        result = inject_call(&process->inject, SYS_fcntl, (uint64_t) number,
                                             lock->type == 'o' ? F_OFD_SETLK : F_SETLK, at);
                if (result < 0)
                        return restore_fail(restore, (int) result, "process %d: %s is locked by somebody else now", process->image->pid,
                                            file->place.path ?: file->was ?: "a file");
        }
        return 0;
}

static int set_owner(Restore *restore, RestoreProcess *process, const ImageFile *file, int number) {
        struct f_owner_ex owner = { file->owner_type, file->owner };
        uint64_t at;
        int r;

        if (file->signal != 0 && restore_call(restore, process, "set the signal of a file", SYS_fcntl, (uint64_t) number, F_SETSIG,
                                              (uint64_t) file->signal) < 0)
                return -EIO;
        if (file->owner == 0)
                return 0;
        r = restore_put(restore, process, 0, &owner, sizeof(owner), &at);
        if (r < 0)
                return r;
        return restore_call(restore, process, "set the owner of a file", SYS_fcntl, (uint64_t) number, F_SETOWN_EX, at) < 0 ? -EIO : 0;
}

int restore_fd_table(Restore *restore, RestoreProcess *process) {
        const ImageFdTable *table = &restore->image->fd_tables[process->image->fd_table];

        if (restore_call(restore, process, "close what is not its own", SYS_close_range, 0, (uint64_t) restore->base - 1, 0) < 0)
                return -EIO;
        for (size_t i = 0; i < table->n; i++) {
                const ImageFd *fd = &table->items[i];
                const ImageFile *file = &restore->image->files[fd->file];
                int r;

                if (restore_call(restore, process, "number a file", SYS_dup3, (uint64_t) restore->files[fd->file], (uint64_t) fd->number,
                                 fd->cloexec ? O_CLOEXEC : 0) < 0)
                        return -EIO;
                if (file->kind == IMAGE_FILE_OUTSIDE)
                        continue;
                r = set_owner(restore, process, file, fd->number);
                if (r >= 0)
                        r = set_locks(restore, process, file, fd->number);
                if (r < 0)
                        return r;
        }
        return 0;
}
