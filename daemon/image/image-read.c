/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include <json-c/json.h>
#include <zstd.h>

#include "image-read.h"
#include "util.h"

#define JSON_DEPTH 16

__attribute__((format(printf, 3, 4))) static int fail(char **ret_message, int error, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (!*ret_message)
                (void) string_appendf(ret_message, "%s", text);
        return error;
}

static void page_file_name(uint32_t number, char buffer[static 32]) {
        if (number == IMAGE_NONE)
                (void) snprintf(buffer, 32, IMAGE_DATA);
        else
                (void) snprintf(buffer, 32, "pages-%" PRIu32 ".img", number);
}

/* A regular file: opening a pipe or a device would block, or do something. */
static int open_file(int dir_fd, const char *name, int *ret, uint64_t *ret_size, char **ret_message) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return fail(ret_message, -errno, "%s: %s", name, strerror(errno));
        if (fstat(fd, &st) < 0)
                return fail(ret_message, -errno, "%s: %s", name, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return fail(ret_message, -EBADMSG, "%s: is no regular file", name);
        *ret_size = (uint64_t) st.st_size;
        *ret = TAKE_FD(fd);
        return 0;
}

static int parse(const char *text, size_t size, json_object **ret, char **ret_message) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
        json_object *root;

        if (!tokener)
                return -ENOMEM;
        root = json_tokener_parse_ex(tokener, text, (int) size);
        if (json_tokener_get_error(tokener) != json_tokener_success) {
                json_object_put(root);
                return fail(ret_message, -EBADMSG, IMAGE_MANIFEST ": %s at byte %zu",
                            json_tokener_error_desc(json_tokener_get_error(tokener)), json_tokener_get_parse_end(tokener));
        }
        *ret = root;
        return 0;
}

/* The sum is of the text with zeros in its place. */
static int compare_checksum(char *text, size_t size, json_object *root, char **ret_message) {
        json_object *value = NULL;
        const char *digits;
        char expected[17], *place;

        if (!json_object_is_type(root, json_type_object) || !json_object_object_get_ex(root, "checksum", &value) ||
            !json_object_is_type(value, json_type_string))
                return fail(ret_message, -EBADMSG, IMAGE_MANIFEST ": checksum: is missing");
        digits = json_object_get_string(value);
        place = strlen(digits) == 16 ? strstr(text, digits) : NULL;
        if (!place)
                return fail(ret_message, -EBADMSG, IMAGE_MANIFEST ": checksum: must have 16 digits");
        memset(place, '0', 16);
        (void) snprintf(expected, sizeof(expected), "%016" PRIx64, image_hash(text, size));
        if (!streq(expected, digits))
                return fail(ret_message, -EBADMSG, IMAGE_MANIFEST ": checksum: the file is damaged");
        return 0;
}

static int check_size(const char *name, uint64_t size, uint64_t expected, char **ret_message) {
        if (size == expected)
                return 0;
        return fail(ret_message, -EBADMSG, "%s: has %" PRIu64 " bytes, " IMAGE_MANIFEST " says %" PRIu64 ": the file is damaged",
                    name, size, expected);
}

static int read_manifest(int dir_fd, Image **ret, char **ret_message) {
        _cleanup_json_ json_object *root = NULL;
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        uint64_t size;
        size_t n;
        int r;

        r = open_file(dir_fd, IMAGE_MANIFEST, &fd, &size, ret_message);
        if (r < 0)
                return r;
        r = read_full_fd(fd, IMAGE_MANIFEST_MAX, &text, &n);
        if (r < 0)
                return fail(ret_message, r, IMAGE_MANIFEST ": %s", strerror(-r));
        if (strlen(text) != n)
                return fail(ret_message, -EBADMSG, IMAGE_MANIFEST ": has a NUL in it: the file is damaged");
        r = parse(text, n, &root, ret_message);
        if (r >= 0)
                r = compare_checksum(text, n, root, ret_message);
        return r < 0 ? r : image_from_json(root, ret, ret_message);
}

int image_reader_open(ImageReader *reader, int dir_fd, char **ret_message) {
        char name[32];
        uint64_t size;
        int r;

        *reader = IMAGE_READER_NONE;
        for (size_t i = 0; i < IMAGE_PAGE_FILES_MAX; i++)
                reader->page_fds[i] = -EBADF;
        r = read_manifest(dir_fd, &reader->image, ret_message);
        if (r >= 0)
                r = open_file(dir_fd, IMAGE_DATA, &reader->data_fd, &size, ret_message);
        if (r >= 0)
                r = check_size(IMAGE_DATA, size, reader->image->data.size, ret_message);
        for (uint32_t i = 0; r >= 0 && i < reader->image->n_page_files; i++) {
                page_file_name(i, name);
                r = open_file(dir_fd, name, &reader->page_fds[i], &size, ret_message);
                if (r >= 0)
                        r = check_size(name, size, reader->image->page_files[i].size, ret_message);
        }
        if (r < 0)
                image_reader_done(reader);
        return r;
}

void image_reader_done(ImageReader *reader) {
        if (reader->image) /* else nothing was opened */
                for (size_t i = 0; i < IMAGE_PAGE_FILES_MAX; i++)
                        safe_close(reader->page_fds[i]);
        safe_close(reader->data_fd);
        image_free(reader->image);
        *reader = IMAGE_READER_NONE;
}

static int read_exactly(int fd, uint64_t offset, void *buffer, size_t size) {
        uint8_t *p = buffer;

        while (size > 0) {
                ssize_t n = pread(fd, p, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EBADMSG;
                p += n;
                offset += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}

int image_reader_blob(const ImageReader *reader, const ImageBlob *blob, void **ret, char **ret_message) {
        _cleanup_free_ void *data = NULL;
        int r;

        *ret = NULL;
        if (blob->size == 0)
                return 0;
        data = malloc(blob->size + 1);
        if (!data)
                return fail(ret_message, -ENOMEM, IMAGE_DATA ": no memory for %" PRIu64 " bytes", blob->size);
        r = read_exactly(reader->data_fd, blob->offset, data, blob->size);
        if (r < 0)
                return fail(ret_message, r, IMAGE_DATA ": %s", strerror(-r));
        ((char *) data)[blob->size] = '\0';
        *ret = TAKE_PTR(data);
        return 0;
}

int image_reader_run(const ImageReader *reader, const ImageRun *run, uint64_t skip, void *buffer, size_t size, char **ret_message) {
        _cleanup_free_ void *stored = NULL;
        char name[32];
        size_t n;
        int r;

        page_file_name(run->file, name);
        if (skip > run->size || size > run->size - skip)
                return fail(ret_message, -EINVAL, "%s: a run is shorter than what is read of it", name);
        if (run->stored == run->size) {
                r = read_exactly(reader->page_fds[run->file], run->offset + skip, buffer, size);
                return r < 0 ? fail(ret_message, r, "%s: %s", name, strerror(-r)) : 0;
        }
        if (skip != 0 || size != run->size)
                return fail(ret_message, -EINVAL, "%s: a compressed run is read as a whole", name);
        stored = malloc(run->stored);
        if (!stored)
                return fail(ret_message, -ENOMEM, "%s: no memory", name);
        r = read_exactly(reader->page_fds[run->file], run->offset, stored, run->stored);
        if (r < 0)
                return fail(ret_message, r, "%s: %s", name, strerror(-r));
        n = ZSTD_decompress(buffer, size, stored, run->stored);
        if (ZSTD_isError(n) || n != size)
                return fail(ret_message, -EBADMSG, "%s: what is at byte %" PRIu64 " is no compressed memory: the file is damaged",
                            name, run->offset);
        return 0;
}

int image_reader_verify(const ImageReader *reader, uint32_t number, char **ret_message) {
        const ImagePageFile *file = number == IMAGE_NONE ? &reader->image->data : reader->image->page_files + number;
        int fd = number == IMAGE_NONE ? reader->data_fd : reader->page_fds[number];
        _cleanup_free_ uint8_t *block = malloc(IMAGE_BLOCK);
        _cleanup_free_ uint64_t *sums = NULL;
        size_t n = 0;
        char name[32];
        int r;

        page_file_name(number, name);
        if (!block)
                return fail(ret_message, -ENOMEM, "%s: no memory", name);
        for (uint64_t at = 0; at < file->size; at += IMAGE_BLOCK) {
                size_t size = (size_t) MIN((uint64_t) IMAGE_BLOCK, file->size - at);
                uint64_t *sum = IMAGE_APPEND(sums, n);

                if (!sum)
                        return fail(ret_message, -ENOMEM, "%s: no memory", name);
                r = read_exactly(fd, at, block, size);
                if (r < 0)
                        return fail(ret_message, r, "%s: %s", name, strerror(-r));
                *sum = image_hash(block, size);
        }
        if (image_hash(sums, n * sizeof(uint64_t)) != file->checksum)
                return fail(ret_message, -EBADMSG, "%s: the checksum says that the file is damaged", name);
        return 0;
}
