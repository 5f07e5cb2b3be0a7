/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POSIX message queues, those that nobody has open included: the launcher has passed a mount that shows all of the namespace.
 * Messages cannot be looked at without taking them, so they are taken and put back at once, with all tasks stopped: by a child,
 * which goes on should we be killed, and from memory that we share, from which another child goes on should that one be. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include "protocol.h"
#include "resume.h"
#include "save-files.h"
#include "util.h"

#define MQUEUE_MAGIC 0x19800202   /* of statfs(2); linux/magic.h has it not */
#define BYTES_MAX (256U << 20)    /* in messages of all queues together */
#define PUT_BACK_SEC 10           /* for a queue that is full: only if we were killed, and its programs run */
#define QUEUE_TEXT_MAX 256U

/* What a child finds out about a queue. In memory that it shares with us. */
typedef struct Look {
        int32_t r;                /* 0, or why it cannot be looked at */
        uint32_t notified;        /* who waits for mq_notify(3), as our namespace numbers him; 0: nobody */
        uint64_t bytes;           /* in its messages */
        uint64_t n, max_messages, message_size;
} Look;

typedef struct Message {
        uint32_t priority;        /* NOT_TAKEN: this one was not */
        uint32_t size;
} Message;

#define NOT_TAKEN UINT32_MAX

/* The messages of a queue while they are with us. In such memory; messages follow, and then their bytes. */
typedef struct Stock {
        uint64_t n, n_taken, n_put_back;
        uint64_t size;            /* bytes of those that were taken */
        uint64_t total;           /* and of all */
        bool all_taken;
        Message messages[];
} Stock;

typedef struct Work {
        Files *files;
        Look *looks;              /* of each of Image.mqueues */
        Stock **stocks;           /* likewise; NULL: it is empty */
} Work;

static uint8_t *bytes_of(Stock *stock) {
        return (uint8_t *) (stock->messages + stock->n);
}

/* ---- which there are ---- */

static SaveMqueue *find_queue(Files *files, uint64_t ino) {
        for (size_t i = 0; i < files->n_mqueues; i++)
                if (files->mqueues[i].ino == ino)
                        return files->mqueues + i;
        return NULL;
}

static int add_queue(Files *files, const char *name, const struct stat *st, uint32_t holder) {
        Image *image = files->save->image;
        SaveMqueue *queue;
        ImageMqueue *saved;

        if (files->n_mqueues >= IMAGE_MQUEUES_MAX)
                return save_fail(files->save, -E2BIG, "there are more than %u POSIX message queues", IMAGE_MQUEUES_MAX);
        queue = IMAGE_APPEND(files->mqueues, files->n_mqueues);
        saved = IMAGE_APPEND(image->mqueues, image->n_mqueues);
        if (!queue || !saved)
                return -ENOMEM;
        *queue = (SaveMqueue) { .ino = st->st_ino, .holder = holder };
        *saved = (ImageMqueue) {
                .name = strdup(name), .removed = st->st_nlink == 0, .mode = st->st_mode & 07777,
                .uid = save_uid_inside(files->save, false, st->st_uid), .gid = save_uid_inside(files->save, true, st->st_gid),
        };
        image->features |= UINT64_C(1) << IMAGE_FEATURE_MQUEUE;
        return saved->name ? 0 : -ENOMEM;
}

/* sentry-kernel puts something else there when it has none: a kernel without them, or a sandbox in the host's mounts. */
static bool has_view(void) {
        struct statfs fs;

        return fstatfs(IMAGER_FD_MQUEUE, &fs) >= 0 && fs.f_type == MQUEUE_MAGIC;
}

bool is_mqueue(int fd, const struct stat *st) {
        struct statfs fs;

        return S_ISREG(st->st_mode) && fstatfs(fd, &fs) >= 0 && fs.f_type == MQUEUE_MAGIC;
}

int describe_mqueue(FileContext *context, ImageFile *file, const struct stat *st) {
        const char *slash = strrchr(context->link, '/'), *end = strstr(context->link, " (deleted)");
        Files *files = context->files;
        _cleanup_free_ char *name = NULL;
        const SaveMqueue *queue = find_queue(files, st->st_ino);
        struct stat view;
        int r;

        if (save_is_in_our_namespace(files->save, "ipc") != 0 ||
            (has_view() && (fstat(IMAGER_FD_MQUEUE, &view) < 0 || view.st_dev != st->st_dev)))
                return files_refuse(context, "a POSIX message queue that is not of the sandbox's own IPC namespace");
        free(TAKE_PTR(file->place.path));
        file->kind = IMAGE_FILE_MQUEUE;
        if (!queue) {
                slash = slash ? slash + 1 : "";
                name = strndup(slash, st->st_nlink == 0 && end && end > slash ? (size_t) (end - slash) : strlen(slash));
                if (!name)
                        return -ENOMEM;
                r = add_queue(files, name, st, context->index);
                if (r < 0)
                        return r;
                queue = files->mqueues + files->n_mqueues - 1;
        }
        file->value = (uint64_t) (queue - files->mqueues);
        return 0;
}

static int list_unopened(Files *files) {
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        int fd, r = 0;

        if (!has_view())
                return 0;
        fd = openat(IMAGER_FD_MQUEUE, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return -errno;
        }
        while (r >= 0 && (entry = readdir(dir))) {
                struct stat st;

                if (streq(entry->d_name, ".") || streq(entry->d_name, "..") ||
                    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || find_queue(files, st.st_ino))
                        continue;
                r = add_queue(files, entry->d_name, &st, IMAGE_NONE);
        }
        return r;
}

/* ---- in the child ---- */

static int join_user_namespace(const Save *save) {
        int r = save_is_in_our_namespace(save, "user");

        if (r != 0)
                return MIN(r, 0);
        r = save_join_users(save->init);
        /* Within the walls of a unit not: then those of who we are, who may be the owner of all. */
        return r == -EPERM ? 0 : r;
}

static int open_queue(const Files *files, size_t index) {
        const ImageMqueue *queue = files->save->image->mqueues + index;
        char path[64];
        int fd;

        if (files->mqueues[index].holder == IMAGE_NONE)
                fd = openat(IMAGER_FD_MQUEUE, queue->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        else {
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", files->known[files->mqueues[index].holder].fd);
                fd = open(path, O_RDWR | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

static int read_text(int fd, uint64_t *ret_bytes, unsigned *ret_notified) {
        char text[QUEUE_TEXT_MAX];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n < 0)
                return -errno;
        text[n] = '\0';
        return sscanf(text, "QSIZE:%" SCNu64 " NOTIFY:%*u SIGNO:%*u NOTIFY_PID:%u", ret_bytes, ret_notified) == 2 ? 0 : -EIO;
}

static int look_at(const Files *files, size_t index, Look *ret) {
        _cleanup_close_ int fd = open_queue(files, index);
        struct mq_attr attributes;
        unsigned notified;
        int r;

        if (fd < 0)
                return fd;
        r = read_text(fd, &ret->bytes, &notified);
        if (r < 0)
                return r;
        if (mq_getattr(fd, &attributes) < 0)
                return -errno;
        ret->notified = notified;
        ret->n = (uint64_t) attributes.mq_curmsgs;
        ret->max_messages = (uint64_t) attributes.mq_maxmsg;
        ret->message_size = (uint64_t) attributes.mq_msgsize;
        return 0;
}

static int look_at_all(Work *work) {
        for (size_t i = 0; i < work->files->n_mqueues; i++)
                work->looks[i].r = look_at(work->files, i, work->looks + i);
        return 0;
}

/* Again and again, whatever was done before. */
static int take(int fd, Stock *stock, size_t message_size) {
        static const struct timespec past;
        uint64_t left;
        unsigned notified;
        int r;

        /* One whose size nobody has written down. */
        if (stock->n_taken < stock->n && stock->messages[stock->n_taken].priority != NOT_TAKEN) {
                r = read_text(fd, &left, &notified);
                if (r < 0 || left > stock->total - stock->size)
                        return r < 0 ? r : -EIO;
                stock->messages[stock->n_taken++].size = (uint32_t) (stock->total - stock->size - left);
                stock->size = stock->total - left;
        }
        while (stock->n_taken < stock->n) {
                Message *message = stock->messages + stock->n_taken;
                ssize_t n = mq_timedreceive(fd, (char *) bytes_of(stock) + stock->size, message_size, &message->priority, &past);

                if (n < 0)
                        return errno == ETIMEDOUT || errno == EAGAIN ? 0 : -errno;
                message->size = (uint32_t) n;
                stock->size += (uint64_t) n;
                stock->n_taken++;
        }
        return 0;
}

static int put_back(int fd, Stock *stock) {
        struct timespec deadline;
        uint64_t at = 0;

        (void) clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += PUT_BACK_SEC;
        for (uint64_t i = 0; i < stock->n_taken; i++) {
                const Message *message = stock->messages + i;

                if (i >= stock->n_put_back) {
                        if (mq_timedsend(fd, (char *) bytes_of(stock) + at, message->size, message->priority, &deadline) < 0)
                                return -errno;
                        stock->n_put_back++;
                }
                at += message->size;
        }
        return 0;
}

static int borrow_messages(const Files *files, size_t index, const Look *look, Stock *stock) {
        _cleanup_close_ int fd = open_queue(files, index);
        struct mq_attr attributes;
        int r = 0;

        if (fd < 0)
                return fd;
        if (!stock->all_taken)
                r = take(fd, stock, look->message_size);
        else if (mq_getattr(fd, &attributes) < 0)
                r = -errno;
        else
                stock->n_put_back = MIN((uint64_t) attributes.mq_curmsgs, stock->n_taken);
        stock->all_taken = true;
        if (stock->n_put_back < stock->n_taken) {
                int q = put_back(fd, stock);

                r = r < 0 ? r : q;
        }
        return r;
}

static int borrow_all(Work *work) {
        int r = 0;

        for (size_t i = 0; i < work->files->n_mqueues; i++)
                if (work->stocks[i] && work->stocks[i]->n_put_back < work->stocks[i]->n) {
                        int q = borrow_messages(work->files, i, work->looks + i, work->stocks[i]);

                        r = r < 0 ? r : q;
                }
        return r;
}

/* What a child does, which may use all queues. */
static int look_in_child(void *userdata) {
        Work *work = userdata;
        int r = join_user_namespace(work->files->save);

        return r < 0 ? r : look_at_all(work);
}

static int borrow_in_child(void *userdata) {
        Work *work = userdata;
        int r = join_user_namespace(work->files->save);

        return r < 0 ? r : borrow_all(work);
}

/* ---- all ---- */

static void judge(Work *work) {
        Save *save = work->files->save;
        uint64_t bytes = 0;

        for (size_t i = 0; i < work->files->n_mqueues; i++) {
                const ImageMqueue *queue = save->image->mqueues + i;
                const Look *look = work->looks + i;

                bytes += look->bytes;
                if (look->r < 0)
                        save_refuse(save, "POSIX message queue /%s (mode %03" PRIo32 ", user %" PRIu32 "): it cannot be looked at: %s",
                                    queue->name, queue->mode, queue->uid, strerror(-look->r));
                else if (look->notified != 0)
                        save_refuse(save, "POSIX message queue /%s: somebody waits to be told of a message (mq_notify(3)), which "
                                    "cannot be saved", queue->name);
                else if (look->n > IMAGE_MQUEUE_MESSAGES_MAX || look->message_size > IMAGE_MQUEUE_MESSAGE_MAX)
                        save_refuse(save, "POSIX message queue /%s: %" PRIu64 " messages, of %" PRIu64 " bytes at most; %u, of %u "
                                    "can be saved", queue->name, look->n, look->message_size, IMAGE_MQUEUE_MESSAGES_MAX,
                                    IMAGE_MQUEUE_MESSAGE_MAX);
        }
        if (bytes > BYTES_MAX)
                save_refuse(save, "%" PRIu64 " bytes in POSIX message queues, %u can be saved", bytes, BYTES_MAX);
}

/* The last message is written to where there may be the room for the largest. */
static size_t stock_size(const Look *look) {
        return sizeof(Stock) + look->n * sizeof(Message) + look->bytes + look->message_size;
}

static int make_stocks(Work *work) {
        for (size_t i = 0; i < work->files->n_mqueues; i++) {
                const Look *look = work->looks + i;
                Stock *stock;

                if (look->n == 0)
                        continue;
                stock = work->stocks[i] = resume_map(stock_size(look));
                if (!stock)
                        return -ENOMEM;
                stock->n = look->n;
                stock->total = look->bytes;
                for (uint64_t j = 0; j < stock->n; j++)
                        stock->messages[j].priority = NOT_TAKEN;
        }
        return 0;
}

static int save_messages(Save *save, ImageMqueue *queue, Stock *stock) {
        queue->sizes = calloc(stock->n_taken + 1, sizeof(uint64_t));
        queue->priorities = calloc(stock->n_taken + 1, sizeof(uint32_t));
        if (!queue->sizes || !queue->priorities)
                return -ENOMEM;
        for (uint64_t i = 0; i < stock->n_taken; i++) {
                queue->sizes[i] = stock->messages[i].size;
                queue->priorities[i] = stock->messages[i].priority;
        }
        queue->n_sizes = queue->n_priorities = stock->n_taken;
        return stock->size == 0 ? 0 : image_writer_add(&save->writer, bytes_of(stock), stock->size, &queue->messages, &save->message);
}

static int save_all(Work *work) {
        Save *save = work->files->save;
        int r;

        r = resume_in_child(look_in_child, work);
        if (r < 0)
                return r;
        judge(work);
        if (save->n_reasons > 0)
                return 0;
        r = make_stocks(work);
        if (r >= 0)
                r = resume_in_child(borrow_in_child, work);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < work->files->n_mqueues; i++) {
                ImageMqueue *queue = save->image->mqueues + i;

                queue->max_messages = (uint32_t) work->looks[i].max_messages;
                queue->message_size = (uint32_t) work->looks[i].message_size;
                if (work->stocks[i])
                        r = save_messages(save, queue, work->stocks[i]);
        }
        return r;
}

int finish_mqueues(Files *files) {
        Work work = { .files = files };
        size_t size;
        int r;

        /* Those of the host are not the sandbox's. */
        r = save_is_in_our_namespace(files->save, "ipc");
        if (r != 0)
                return MIN(r, 0);
        r = list_unopened(files);
        if (r < 0 || files->n_mqueues == 0)
                return r;
        size = files->n_mqueues * sizeof(Look);
        work.looks = resume_map(size);
        work.stocks = calloc(files->n_mqueues, sizeof(Stock *));
        r = work.looks && work.stocks ? save_all(&work) : -ENOMEM;
        for (size_t i = 0; work.stocks && i < files->n_mqueues; i++)
                if (work.stocks[i])
                        (void) munmap(work.stocks[i], stock_size(work.looks + i));
        free(work.stocks);
        if (work.looks)
                (void) munmap(work.looks, size);
        return r < 0 ? save_fail(files->save, r, "POSIX message queues cannot be read: %s", strerror(-r)) : 0;
}
