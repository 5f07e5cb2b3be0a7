/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* `sentry-imager restore`: restore-protocol.h has what is said. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "image-host.h"
#include "imager.h"
#include "restore-protocol.h"
#include "restore.h"
#include "util.h"

#define DEADLINE_SEC 600 /* for all of it: who waits for us may be waiting for a hung file system */
#define RECORDS_MAX (64U << 20)

static int say(RestoreWord word, const char *text, int fd) {
        RestoreMessage message = { .word = word };

        (void) snprintf(message.text, sizeof(message.text), "%s", text ?: "");
        return send_fds(RESTORE_FD_CONTROL, &message, sizeof(message), &fd, fd >= 0 ? 1 : 0);
}

/* The next word, which must be this one. */
static int hear(RestoreWord word, RestoreMessage *ret, int *ret_fd) {
        union {
                char buffer[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec iov = { ret, sizeof(*ret) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
                .msg_controllen = sizeof(control.buffer),
        };
        const struct cmsghdr *cmsg;
        ssize_t n;

        do
                n = recvmsg(RESTORE_FD_CONTROL, &header, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n != sizeof(*ret) || ret->word != word)
                return n == 0 ? -ECONNRESET : -EPROTO;
        cmsg = CMSG_FIRSTHDR(&header);
        if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS && ret_fd)
                memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
        return 0;
}

/* The records of the emulated kernel, which are sentry-kernel's to read. */
static int pass_records(const ImageReader *reader, char **ret_message) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ void *records = NULL;
        int r;

        if (reader->image->kernel.size > RECORDS_MAX)
                return -EFBIG;
        r = image_reader_blob(reader, &reader->image->kernel, &records, ret_message);
        if (r < 0)
                return r;
        fd = memfd_create("records", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (uint64_t done = 0; done < reader->image->kernel.size;) {
                ssize_t n = pwrite(fd, (const char *) records + done, reader->image->kernel.size - done, (off_t) done);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (uint64_t) n;
        }
        return say(RESTORE_CHECKED, NULL, fd);
}

/* Compares the checksums while the sandbox is made: reading the files again is what takes the time. */
typedef struct Verifier {
        const ImageReader *reader;
        pthread_t thread;
        char *message; /* owned */
        int r;
} Verifier;

static void *verifier_main(void *userdata) {
        Verifier *verifier = userdata;

        for (uint32_t i = 0; verifier->r >= 0 && i < verifier->reader->image->n_page_files; i++)
                verifier->r = image_reader_verify(verifier->reader, i, &verifier->message);
        return NULL;
}

static int restore(ImageReader *reader, char **ret_message) {
        RestoreMessage begin = {};
        RestoreOptions options = { .listener = -EBADF };
        Verifier verifier = { .reader = reader };
        Restore *work = NULL;
        int r;

        r = image_reader_open(reader, RESTORE_FD_DIRECTORY, ret_message);
        if (r >= 0)
                r = image_reader_verify(reader, IMAGE_NONE, ret_message);
        if (r >= 0 && image_host_check(reader->image, ret_message) != 0)
                r = -EOPNOTSUPP;
        if (r >= 0)
                r = pass_records(reader, ret_message);
        if (r >= 0)
                r = hear(RESTORE_BEGIN, &begin, &options.listener);
        if (r < 0)
                return r;
        options.init = begin.init;
        options.lazy = begin.lazy;
        options.many_users = begin.many_users;
        options.capabilities = begin.capabilities;
        memcpy(options.limits, begin.limits, sizeof(options.limits));

        if (!options.lazy) {
                r = -pthread_create(&verifier.thread, NULL, verifier_main, &verifier);
                if (r < 0)
                        return r;
        }
        r = restore_prepare(reader, &options, &work, ret_message);
        if (!options.lazy) {
                (void) pthread_join(verifier.thread, NULL);
                if (r >= 0 && verifier.r < 0) {
                        r = verifier.r;
                        *ret_message = TAKE_PTR(verifier.message);
                }
                free(verifier.message);
        }
        if (r >= 0)
                r = say(RESTORE_READY, NULL, -EBADF);
        if (r >= 0)
                r = hear(RESTORE_GO, &begin, NULL);
        if (r >= 0)
                r = restore_go(work);
        if (r < 0 && work)
                restore_tell(work, *ret_message ?: strerror(-r));
        restore_free(work);
        safe_close(options.listener);
        return r;
}

int restore_main(void) {
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL;
        int r;

        (void) alarm(DEADLINE_SEC);
        r = restore(&reader, &message);
        (void) say(r < 0 ? RESTORE_FAILED : RESTORE_DONE, r < 0 ? message ?: strerror(-r) : NULL, -EBADF);
        image_reader_done(&reader);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
