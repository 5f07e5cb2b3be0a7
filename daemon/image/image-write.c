/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <json-c/json.h>
#include <zstd.h>

#include "image-write.h"
#include "util.h"

static int fail(char **ret_message, int error, const char *what, const char *name) {
        if (!*ret_message)
                (void) string_appendf(ret_message, "cannot %s %s: %s%s", what, name, strerror(-error),
                                      error == -ENOSPC || error == -EDQUOT ? ". Make room, or save somewhere else" : "");
        return error;
}

static int write_all(int fd, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENOSPC;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

/* ---- streams ---- */

static int stream_open(ImageStream *stream, int dir_fd, const char *name, int level, char **ret_message) {
        *stream = IMAGE_STREAM_NONE;
        stream->level = level;
        (void) snprintf(stream->name, sizeof(stream->name), "%s", name);
        stream->fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (stream->fd < 0)
                return fail(ret_message, -errno, "make", name);
        stream->block = malloc(IMAGE_BLOCK);
        if (!stream->block)
                return fail(ret_message, -ENOMEM, "write", name);
        if (level > 0) {
                stream->input = malloc(IMAGE_BLOCK);
                stream->output = malloc(ZSTD_COMPRESSBOUND(IMAGE_BLOCK));
                stream->zstd = ZSTD_createCCtx();
                if (!stream->input || !stream->output || !stream->zstd)
                        return fail(ret_message, -ENOMEM, "compress", name);
        }
        return 0;
}

int image_stream_open(ImageStream *stream, ImageWriter *writer, uint32_t number, int level, char **ret_message) {
        char name[32];
        int r;

        (void) snprintf(name, sizeof(name), "pages-%" PRIu32 ".img", number);
        r = stream_open(stream, writer->dir_fd, name, level, ret_message);
        stream->number = number;
        return r;
}

void image_stream_done(ImageStream *stream) {
        stream->fd = safe_close(stream->fd);
        free(stream->block);
        free(stream->sums);
        free(stream->input);
        free(stream->output);
        ZSTD_freeCCtx(stream->zstd);
        *stream = IMAGE_STREAM_NONE;
}

static int flush_block(ImageStream *stream, char **ret_message) {
        uint64_t *sum;
        int r;

        sum = IMAGE_APPEND(stream->sums, stream->n_sums);
        if (!sum)
                return fail(ret_message, -ENOMEM, "write", stream->name);
        *sum = image_hash(stream->block, stream->fill);
        r = write_all(stream->fd, stream->block, stream->fill);
        if (r < 0)
                return fail(ret_message, r, "write", stream->name);
        stream->fill = 0;
        return 0;
}

static int stream_append(ImageStream *stream, const void *data, size_t size, char **ret_message) {
        const uint8_t *p = data;
        int r;

        while (size > 0) {
                size_t n = MIN(size, IMAGE_BLOCK - stream->fill);

                memcpy(stream->block + stream->fill, p, n);
                stream->fill += n;
                stream->size += n;
                p += n;
                size -= n;
                if (stream->fill == IMAGE_BLOCK) {
                        r = flush_block(stream, ret_message);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

uint8_t *image_stream_room(ImageStream *stream, size_t *ret_size) {
        if (stream->level > 0) {
                *ret_size = IMAGE_BLOCK;
                return stream->input;
        }
        *ret_size = IMAGE_BLOCK - stream->fill;
        return stream->block + stream->fill;
}

static bool is_zero(const uint8_t *page) {
        uint64_t any = 0;

        for (size_t i = 0; i < IMAGE_PAGE; i += 64) {
                uint64_t words[8];

                memcpy(words, page + i, sizeof(words));
                any |= words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7];
                if (any != 0)
                        return false;
        }
        return true;
}

/* Pages one after the other at data, none of them zero. Uncompressed they are in the block already, at its fill. */
static int put_pages(ImageStream *stream, uint64_t address, uint8_t *data, size_t size, ImageRuns *runs, char **ret_message) {
        ImageRun run = {
                .address = address,
                .size = size,
                .stored = size,
                .file = stream->number,
                .offset = stream->size,
        };
        int r;

        stream->n_memory += size;
        if (stream->level > 0) {
                size_t n = ZSTD_compressCCtx(stream->zstd, stream->output, ZSTD_COMPRESSBOUND(IMAGE_BLOCK), data, size,
                                             stream->level);

                if (ZSTD_isError(n))
                        return fail(ret_message, -EIO, "compress", stream->name);
                if (n < size)
                        run.stored = n;
                r = stream_append(stream, n < size ? stream->output : data, run.stored, ret_message);
                if (r < 0)
                        return r;
        } else {
                if (data != stream->block + stream->fill) /* behind pages that were left out */
                        memmove(stream->block + stream->fill, data, size);
                stream->fill += size;
                stream->size += size;
        }
        return image_runs_add(runs, &run) < 0 ? fail(ret_message, -ENOMEM, "write", stream->name) : 0;
}

int image_stream_put(ImageStream *stream, uint64_t address, size_t size, ImageRuns *runs, char **ret_message) {
        uint8_t *data = stream->level > 0 ? stream->input : stream->block + stream->fill;
        size_t start = 0;
        int r;

        for (size_t i = 0; i <= size; i += IMAGE_PAGE) {
                if (i < size && !is_zero(data + i))
                        continue;
                if (i > start) {
                        r = put_pages(stream, address + start, data + start, i - start, runs, ret_message);
                        if (r < 0)
                                return r;
                }
                start = i + IMAGE_PAGE;
        }
        return stream->fill == IMAGE_BLOCK ? flush_block(stream, ret_message) : 0;
}

int image_stream_finish(ImageStream *stream, ImagePageFile *ret, char **ret_message) {
        int r;

        if (stream->fill > 0) {
                r = flush_block(stream, ret_message);
                if (r < 0)
                        return r;
        }
        if (fsync(stream->fd) < 0)
                return fail(ret_message, -errno, "sync", stream->name);
        *ret = (ImagePageFile) {
                .size = stream->size,
                .checksum = image_hash(stream->sums, stream->n_sums * sizeof(uint64_t)),
        };
        return 0;
}

/* ---- the directory ---- */

int image_writer_begin(ImageWriter *writer, int parent_fd, const char *name, char **ret_message) {
        uint64_t random;
        struct stat st;
        int r;

        *writer = IMAGE_WRITER_NONE;
        if (!image_name_is_valid(name)) {
                (void) string_appendf(ret_message, "an image cannot be called so: 1 to %u bytes of UTF-8 without \"/\", "
                                      "not beginning with \".\"", IMAGE_NAME_MAX);
                return -EINVAL;
        }
        writer->parent_fd = parent_fd;
        (void) snprintf(writer->name, sizeof(writer->name), "%s", name);
        if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                return fail(ret_message, -EEXIST, "make", name);
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return fail(ret_message, -EIO, "make", name);
        image_temporary_prefix(name, writer->temporary, sizeof(writer->temporary));
        (void) snprintf(writer->temporary + strlen(writer->temporary), IMAGE_RANDOM_DIGITS + 1, "%016" PRIx64, random);
        if (mkdirat(parent_fd, writer->temporary, 0700) < 0) {
                r = -errno;
                writer->temporary[0] = '\0';
                if (r == -EACCES || r == -EPERM) {
                        (void) string_appendf(ret_message, "cannot make %s: %s: it is the sandbox's owner, uid %u, who writes the image; "
                                              "save into a directory in which that user may make one", name, strerror(-r),
                                              (unsigned) geteuid());
                        return r;
                }
                return fail(ret_message, r, "make", name);
        }
        writer->dir_fd = openat(parent_fd, writer->temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (writer->dir_fd < 0)
                return fail(ret_message, -errno, "open", name);
        return stream_open(&writer->data, writer->dir_fd, IMAGE_DATA, 0, ret_message);
}

int image_writer_add(ImageWriter *writer, const void *data, size_t size, ImageBlob *ret, char **ret_message) {
        *ret = (ImageBlob) { .offset = writer->data.size, .size = size };
        return stream_append(&writer->data, data, size, ret_message);
}

static int write_manifest(ImageWriter *writer, Image *image, char **ret_message) {
        static const char before[] = "\"checksum\": \"";
        _cleanup_json_ json_object *root = image_to_json(image);
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        char *digits, hex[17];
        FILE *f;
        int r;

        if (!root)
                return fail(ret_message, -ENOMEM, "write", IMAGE_MANIFEST);
        f = open_memstream(&text, &size);
        if (!f)
                return fail(ret_message, -ENOMEM, "write", IMAGE_MANIFEST);
        (void) fprintf(f, "{\n  %s0000000000000000\"", before);
        /* A line for each of the first level: people look at it. */
        json_object_object_foreach(root, key, value) {
                const char *shown = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

                if (!shown) {
                        (void) fclose(f);
                        return fail(ret_message, -ENOMEM, "write", IMAGE_MANIFEST);
                }
                (void) fprintf(f, ",\n  \"%s\": %s", key, shown);
        }
        (void) fputs("\n}\n", f);
        if (fclose(f) != 0 || !text)
                return fail(ret_message, -ENOMEM, "write", IMAGE_MANIFEST);

        digits = strstr(text, before) + strlen(before);
        (void) snprintf(hex, sizeof(hex), "%016" PRIx64, image_hash(text, size));
        memcpy(digits, hex, 16);

        fd = openat(writer->dir_fd, IMAGE_MANIFEST, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return fail(ret_message, -errno, "make", IMAGE_MANIFEST);
        r = write_all(fd, text, size);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? fail(ret_message, r, "write", IMAGE_MANIFEST) : 0;
}

int image_writer_finish(ImageWriter *writer, Image *image, char **ret_message) {
        int r;

        r = image_stream_finish(&writer->data, &image->data, ret_message);
        if (r >= 0)
                r = write_manifest(writer, image, ret_message);
        if (r >= 0 && fsync(writer->dir_fd) < 0)
                r = fail(ret_message, -errno, "sync", writer->name);
        if (r < 0)
                return r;
        /* Never over what somebody else has put there meanwhile. */
        if (renameat2(writer->parent_fd, writer->temporary, writer->parent_fd, writer->name, RENAME_NOREPLACE) < 0 &&
            (errno != EINVAL || renameat(writer->parent_fd, writer->temporary, writer->parent_fd, writer->name) < 0))
                return fail(ret_message, -errno, "rename what was saved to", writer->name);
        writer->temporary[0] = '\0';
        (void) fsync(writer->parent_fd);
        return 0;
}

void image_writer_done(ImageWriter *writer) {
        image_stream_done(&writer->data);
        writer->dir_fd = safe_close(writer->dir_fd);
        if (writer->temporary[0])
                image_remove(writer->parent_fd, writer->temporary);
        writer->temporary[0] = '\0';
}
