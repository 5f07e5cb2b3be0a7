/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* inotify(7): its watches by the numbers that they had. Events that nobody had read cannot be had without taking them away,
 * nor be given back: instead of them comes IN_Q_OVERFLOW, which says that some were lost and that one has to look again.
 * Every program that uses inotify has to reckon with that. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "restore-internal.h"
#include "util.h"

#define MASK (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT) /* what fdinfo tells and inotify_add_watch(2) takes */
#define SKIPPED_MAX (1 << 18) /* numbers of watches that are gone */
#define SKIPPED_AT_A_TIME 4096U /* each leaves an event: fewer than fs.inotify.max_queued_events */
#define EVENTS_MAX (1U << 20)  /* to fill a queue with; fs.inotify.max_queued_events is 16,384 */
#define EVENTS_AT_A_TIME 4096U
#define TRIES_MAX 10U
#define READS_MAX 10000U /* whoever is busy in what is watched shall not keep us */

typedef struct Filler { /* a file that only we know, to make events with */
        int fd;          /* of the inotify */
        int file_fd;
        char path[64];
} Filler;

static void filler_done(Filler *filler) {
        safe_close(filler->fd);
        safe_close(filler->file_fd);
}

/* Takes away all events but the last so many bytes. Adds what they were, IN_*, to *masks. */
static int take_events(const Filler *filler, int leave, uint32_t *masks) {
        _cleanup_free_ char *buffer = malloc(65536);

        if (!buffer)
                return -ENOMEM;
        for (unsigned i = 0; i < READS_MAX; i++) {
                const struct inotify_event *event;
                int waiting;
                ssize_t n;

                if (ioctl(filler->fd, FIONREAD, &waiting) < 0)
                        return -errno;
                if (waiting <= leave)
                        return 0;
                n = read(filler->fd, buffer, (size_t) MIN(waiting - leave, 65536));
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                for (ssize_t at = 0; at < n; at += (ssize_t) (sizeof(*event) + event->len)) {
                        event = (const void *) (buffer + at);
                        *masks |= event->mask;
                }
        }
        return -EBUSY;
}

/* Numbers are given out in turn: uses up those to that one. */
static int skip_to(const Filler *filler, int32_t last, uint32_t *masks) {
        int wd;

        for (unsigned i = 1;; i++) {
                wd = inotify_add_watch(filler->fd, filler->path, IN_MODIFY);
                if (wd < 0 || inotify_rm_watch(filler->fd, wd) < 0)
                        return -errno;
                if (wd >= last)
                        break;
                if (i % SKIPPED_AT_A_TIME == 0) {
                        int r = take_events(filler, 0, masks);

                        if (r < 0)
                                return r;
                }
        }
        return take_events(filler, 0, masks);
}

/* Makes events until there is no room for more. Two kinds in turn: equal ones are one. */
static int fill(const Filler *filler) {
        int wd, before, waiting = -1;
        char c = 0;

        wd = inotify_add_watch(filler->fd, filler->path, IN_ACCESS | IN_MODIFY);
        if (wd < 0)
                return -errno;
        for (unsigned i = 0; i < EVENTS_MAX / EVENTS_AT_A_TIME; i++) {
                for (unsigned j = 0; j < EVENTS_AT_A_TIME; j += 2)
                        if (pwrite(filler->file_fd, &c, 1, 0) != 1 || pread(filler->file_fd, &c, 1, 0) != 1)
                                return -EIO;
                before = waiting;
                if (ioctl(filler->fd, FIONREAD, &waiting) < 0)
                        return -errno;
                if (waiting == before)
                        return inotify_rm_watch(filler->fd, wd) < 0 ? -errno : 0;
        }
        return -EOVERFLOW;
}

/* Leaves IN_Q_OVERFLOW as the last event, and those away that are before it. */
static int overflow(const Filler *filler) {
        for (unsigned i = 0; i < TRIES_MAX; i++) {
                uint32_t masks = 0;
                int r;

                r = fill(filler);
                if (r >= 0)
                        r = take_events(filler, (int) sizeof(struct inotify_event), &masks);
                if (r < 0)
                        return r;
                /* It went with the others when what is watched has brought one behind it meanwhile. */
                if (!(masks & IN_Q_OVERFLOW))
                        return 0;
        }
        return -EBUSY;
}

static int compare_watches(const void *a, const void *b) {
        const ImageInotify *const *first = a, *const *second = b;

        return ((*first)->wd > (*second)->wd) - ((*first)->wd < (*second)->wd);
}

int64_t restore_inotify(Restore *restore, const ImageFile *file) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_(filler_done) Filler filler = { -EBADF, -EBADF, "" };
        _cleanup_free_ const ImageInotify **watches = NULL;
        _cleanup_close_ int memory_fd = -EBADF;
        uint32_t masks = 0;
        int32_t last = 0;
        int64_t number, wd;
        int r = 0;

        watches = calloc(file->n_inotify + 1, sizeof(*watches));
        if (!watches)
                return restore_fail(restore, -ENOMEM, "cannot make an inotify");
        for (size_t i = 0; i < file->n_inotify; i++)
                watches[i] = file->inotify + i;
        qsort(watches, file->n_inotify, sizeof(*watches), compare_watches); /* the kernel tells the newest first */

        number = restore_call(restore, init, "make an inotify", SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK);
        if (number < 0)
                return number;
        filler.fd = restore_borrow_fd(restore, (int) number);
        memory_fd = memfd_create("events", MFD_CLOEXEC);
        if (filler.fd >= 0 && memory_fd >= 0) {
                /* Opened by a name, because what is done by the first descriptor of a memfd brings no events. */
                (void) snprintf(filler.path, sizeof(filler.path), "/proc/self/fd/%d", memory_fd);
                filler.file_fd = open(filler.path, O_RDWR | O_CLOEXEC);
        }
        if (filler.fd < 0 || filler.file_fd < 0)
                return restore_fail(restore, filler.fd < 0 ? filler.fd : -errno, "cannot make the events of an inotify");

        for (size_t i = 0; i < file->n_inotify; i++) {
                const ImageInotify *watch = watches[i];
                uint64_t at;

                if (!watch->place.path)
                        return restore_fail(restore, -EOPNOTSUPP, "an inotify watches something without a path");
                if (watch->wd <= last || watch->wd - last > SKIPPED_MAX)
                        return restore_fail(restore, -EOPNOTSUPP, "an inotify cannot have its number %d for %s again after %d", watch->wd,
                                            watch->place.path, last);
                if (watch->wd > last + 1)
                        r = skip_to(&filler, watch->wd - 1, &masks);
                if (r < 0)
                        return restore_fail(restore, r, "cannot make number %d of an inotify", watch->wd);
                r = restore_put(restore, init, 0, watch->place.path, strlen(watch->place.path) + 1, &at);
                if (r < 0)
                        return r;
                wd = restore_call(restore, init, "watch a file", SYS_inotify_add_watch, (uint64_t) number, at, watch->mask & MASK);
                if (wd < 0)
                        return wd;
                if (wd != watch->wd)
                        return restore_fail(restore, -EOPNOTSUPP, "an inotify cannot have its number %d for %s again, it got %ld", watch->wd,
                                            watch->place.path, (long) wd);
                last = watch->wd;
        }
        if (file->value != 0 || (masks & ~(uint32_t) IN_IGNORED) != 0)
                r = overflow(&filler);
        if (r == -EOVERFLOW)
                return restore_fail(restore, r, "an inotify had events, and room for more than %u (fs.inotify.max_queued_events) to mark as lost",
                                    EVENTS_MAX);
        if (r < 0)
                return restore_fail(restore, r, "cannot mark the events of an inotify as lost");
        return number;
}
