/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writing an image: beside its place under another name, and renamed when all of it is on disk. Streams are for one thread
 * each, everything else for one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image.h"

#define IMAGE_NAME_MAX 200U

/* Bytes on their way to a file, with the sum of what went. */
typedef struct ImageStream {
        int fd;               /* owned */
        char name[32];        /* of the file, for messages */
        uint32_t number;      /* N of pages-N.img */
        uint8_t *block;       /* owned: IMAGE_BLOCK bytes; those from the last multiple of it on */
        size_t fill;          /* of block */
        uint64_t size;        /* of the file, block included */
        uint64_t *sums;       /* owned: of the blocks before */
        size_t n_sums;
        int level;            /* of compression; 0: none */
        uint8_t *input, *output; /* owned, when there is one */
        void *zstd;           /* owned */
        uint64_t n_memory;    /* bytes of memory that went in: zero pages left out, before compression */
} ImageStream;

typedef struct ImageWriter {
        int parent_fd;        /* borrowed: the directory that the image will be in */
        int dir_fd;           /* owned */
        char name[IMAGE_NAME_MAX + 1]; /* what it will be called */
        char temporary[IMAGE_NAME_MAX + 32]; /* what it is called until then; "" when it is not there */
        ImageStream data;
} ImageWriter;

#define IMAGE_WRITER_NONE (ImageWriter) { .parent_fd = -EBADF, .dir_fd = -EBADF, .data = { .fd = -EBADF } }
#define IMAGE_STREAM_NONE (ImageStream) { .fd = -EBADF }

#define IMAGE_RANDOM_DIGITS 16

/* Whether an image may be called so: one component of a path, no dot at its start. */
bool image_name_is_valid(const char *name);

/* Begins NAME in the directory parent_fd, which the caller keeps open. -EEXIST when there is something called so. On an
 * error *ret_message says what is wrong, as in all of these. */
int image_writer_begin(ImageWriter *writer, int parent_fd, const char *name, char **ret_message);
/* Appends bytes to data.img. */
int image_writer_add(ImageWriter *writer, const void *data, size_t size, ImageBlob *ret, char **ret_message);
/* Writes the manifest, waits for the disk, renames. image->data and page_files are filled in. streams: those that were
 * opened, all finished. */
int image_writer_finish(ImageWriter *writer, Image *image, char **ret_message);
/* Closes; removes what was not finished. */
void image_writer_done(ImageWriter *writer);
/* Removes what a writer that was killed has left of NAME. */
void image_writer_clean(int parent_fd, const char *name);
/* For the two: how the names of half written images begin, and removing such a directory. */
void image_temporary_prefix(const char *name, char *buffer, size_t size);
void image_remove(int parent_fd, const char *name);

/* Opens pages-N.img for writing, number being the next one. level: 1 to 19, 0: no compression. */
int image_stream_open(ImageStream *stream, ImageWriter *writer, uint32_t number, int level, char **ret_message);
/* Where the next pages are to be read to, and how many bytes fit (whole pages, never 0 after image_stream_put()). */
uint8_t *image_stream_room(ImageStream *stream, size_t *ret_size);
/* size bytes were put there, the pages at address: those that are not all zeros are added to runs. */
int image_stream_put(ImageStream *stream, uint64_t address, size_t size, ImageRuns *runs, char **ret_message);
/* Writes what is left, and waits for the disk. */
int image_stream_finish(ImageStream *stream, ImagePageFile *ret, char **ret_message);
void image_stream_done(ImageStream *stream);
