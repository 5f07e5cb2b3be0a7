/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POSIX message queues, made by the first process. Owners and modes come last: until then we can fill and open them. */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/syscall.h>

#include "image-read.h"
#include "restore-internal.h"
#include "util.h"

static int make_queue(Restore *restore, const ImageMqueue *queue) {
        const struct mq_attr attributes = { .mq_maxmsg = queue->max_messages, .mq_msgsize = queue->message_size };
        RestoreProcess *init = &restore->processes[0];
        uint64_t at_name, at_attributes;
        int64_t number;
        int r;

        r = restore_put(restore, init, 0, &attributes, sizeof(attributes), &at_attributes);
        if (r >= 0)
                r = restore_put(restore, init, sizeof(attributes), queue->name, strlen(queue->name) + 1, &at_name);
        if (r < 0)
                return r;
        number = inject_call(&init->inject, SYS_mq_open, at_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, at_attributes);
        if (number == -EINVAL)
                return restore_fail(restore, -EINVAL, "POSIX message queue /%s has room for %u messages of %u bytes, which is more than "
                                    "fs.mqueue.msg_max and msgsize_max are for the sandbox", queue->name, queue->max_messages,
                                    queue->message_size);
        if (number == -EMFILE)
                return restore_fail(restore, -EMFILE, "POSIX message queue /%s, of %u messages of %u bytes: too much memory for this user "
                                    "(RLIMIT_MSGQUEUE, `ulimit -q`)", queue->name, queue->max_messages, queue->message_size);
        if (number < 0)
                return restore_fail(restore, (int) number, "POSIX message queue /%s cannot be made", queue->name);
        if (queue->removed && restore_call(restore, init, "remove a POSIX message queue", SYS_mq_unlink, at_name) < 0)
                return -EIO;
        return restore_take_number(restore, number);
}

static int fill_queue(Restore *restore, const ImageMqueue *queue, int number) {
        static const struct timespec past; /* there is room, or there never will be */
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *bytes = NULL;
        uint64_t at = 0;
        int r;

        if (queue->n_sizes == 0)
                return 0;
        fd = restore_borrow_fd(restore, number);
        if (fd < 0)
                return restore_fail(restore, fd, "cannot fill POSIX message queue /%s", queue->name);
        r = restore_blob(restore, &queue->messages, &bytes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < queue->n_sizes; i++) {
                if (mq_timedsend(fd, bytes + at, queue->sizes[i], queue->priorities[i], &past) < 0)
                        return restore_fail(restore, -errno, "cannot fill POSIX message queue /%s", queue->name);
                at += queue->sizes[i];
        }
        return 0;
}

/* Those that have no name any more first: one that is there may have taken it. */
int restore_mqueues(Restore *restore) {
        for (unsigned round = 0; round < 2; round++)
                for (size_t i = 0; i < restore->image->n_mqueues; i++) {
                        const ImageMqueue *queue = &restore->image->mqueues[i];
                        int r;

                        if (queue->removed != (round == 0))
                                continue;
                        r = make_queue(restore, queue);
                        if (r < 0)
                                return r;
                        restore->mqueues[i] = r;
                        r = fill_queue(restore, queue, r);
                        if (r < 0)
                                return r;
                }
        return 0;
}

int restore_mqueue_owners(Restore *restore) {
        RestoreProcess *init = &restore->processes[0];

        for (size_t i = 0; i < restore->image->n_mqueues; i++) {
                const ImageMqueue *queue = &restore->image->mqueues[i];

                if (restore_call(restore, init, "set the owner of a POSIX message queue", SYS_fchown, (uint64_t) restore->mqueues[i],
                                 queue->uid, queue->gid) < 0 ||
                    restore_call(restore, init, "set the mode of a POSIX message queue", SYS_fchmod, (uint64_t) restore->mqueues[i],
                                 queue->mode) < 0)
                        return -EIO;
        }
        return 0;
}
