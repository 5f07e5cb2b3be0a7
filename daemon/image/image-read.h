/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading an image. Whoever made it may be hostile: nothing of it is used before it was checked, and files are read with
 * bounds. That somebody changes them while they are read is found by the checksums, for what is compared. */

#include <stddef.h>
#include <stdint.h>

#include "image.h"

typedef struct ImageReader {
        Image *image;                        /* owned */
        int data_fd;                         /* owned */
        int page_fds[IMAGE_PAGE_FILES_MAX];  /* owned; -EBADF past the last */
} ImageReader;

#define IMAGE_READER_NONE (ImageReader) { .data_fd = -EBADF }

/* Opens the image in a directory: its manifest is read whole and checked, its checksum compared; files are there, regular and
 * of their sizes. Other checksums are not compared: image_reader_verify(). 0, or a negative errno with a message:
 * -EOPNOTSUPP for what a later version may know, -EBADMSG for what is damaged, or the error of a file. */
int image_reader_open(ImageReader *reader, int dir_fd, char **ret_message);
void image_reader_done(ImageReader *reader);

/* Bytes of data.img; the caller frees. *ret is NULL for an empty blob. */
int image_reader_blob(const ImageReader *reader, const ImageBlob *blob, void **ret, char **ret_message);
/* A run to memory: at most IMAGE_BLOCK bytes of it, from `skip` (of pages; 0 for a compressed one) on. */
int image_reader_run(const ImageReader *reader, const ImageRun *run, uint64_t skip, void *buffer, size_t size, char **ret_message);

/* Compares the checksum of a file: number of a page file, or IMAGE_NONE for data.img. */
int image_reader_verify(const ImageReader *reader, uint32_t number, char **ret_message);
