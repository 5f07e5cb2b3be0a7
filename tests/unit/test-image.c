/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/image/: what is written is read back the same; what was cut, flipped or made up is refused. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>
#include <zstd.h>

#include "image-read.h"
#include "image-write.h"
#include "tap.h"
#include "util.h"

#define PAGES 700U /* of test memory: more than two blocks */

static char dir_path[] = "/tmp/test-image-XXXXXX";
static int dir_fd;

/* The last four bytes of a frame of zstd's with a checksum are the lower half of the sum of its contents. */
static bool is_sum_of_zstd(const void *data, size_t size) {
        _cleanup_free_ uint8_t *frame = malloc(ZSTD_compressBound(size));
        ZSTD_CCtx *context = ZSTD_createCCtx();
        uint32_t expected;
        size_t n;

        (void) ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
        n = ZSTD_compress2(context, frame, ZSTD_compressBound(size), data, size);
        ZSTD_freeCCtx(context);
        if (ZSTD_isError(n))
                return false;
        memcpy(&expected, frame + n - 4, sizeof(expected));
        return (uint32_t) image_hash(data, size) == expected;
}

static void test_hash(void) {
        uint8_t data[512];
        bool same = true;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i * 7 + 3);
        for (size_t i = 0; i <= sizeof(data); i++)
                same = same && is_sum_of_zstd(data, i);
        ok(same, "sums of 0 to 512 bytes are those of zstd");
        ok(image_hash("abc", 3) == UINT64_C(0x44bc2cf5ad770999), "the sum of \"abc\"");
}

/* Page i of the test memory: every third is zeros. */
static void make_page(uint8_t *page, unsigned i) {
        memset(page, i % 3 == 0 ? 0 : (int) (i % 251) + 1, IMAGE_PAGE);
}

static bool put_memory(ImageStream *stream, ImageRuns *runs, char **message) {
        for (unsigned i = 0; i < PAGES;) {
                size_t room;
                uint8_t *to = image_stream_room(stream, &room);
                unsigned n = MIN((unsigned) (room / IMAGE_PAGE), PAGES - i);

                for (unsigned j = 0; j < n; j++)
                        make_page(to + j * IMAGE_PAGE, i + j);
                if (image_stream_put(stream, 0x10000000 + (uint64_t) i * IMAGE_PAGE, n * IMAGE_PAGE, runs, message) < 0)
                        return false;
                i += n;
        }
        return true;
}

static Image *make_image(ImageWriter *writer, char **message) {
        static const uint8_t xstate[832] = { 1, 2, 3 };
        _cleanup_(image_freep) Image *image = image_new();
        ImageProcess *init = IMAGE_APPEND(image->processes, image->n_processes),
                     *zombie = IMAGE_APPEND(image->processes, image->n_processes);
        ImageThread *thread = IMAGE_APPEND(init->threads, init->n_threads);
        ImageMap *map = IMAGE_APPEND(init->maps, init->n_maps);
        ImageFile *file = IMAGE_APPEND(image->files, image->n_files);
        ImageFdTable *table = IMAGE_APPEND(image->fd_tables, image->n_fd_tables);
        ImageFd *fd = IMAGE_APPEND(table->items, table->n);
        ImageTmpfs *tmpfs = IMAGE_APPEND(image->tmpfs, image->n_tmpfs);
        ImageNode *node = IMAGE_APPEND(tmpfs->nodes, tmpfs->n_nodes);
        ImageSigaction *action = IMAGE_APPEND(init->actions, init->n_actions);

        image->name = strdup("test");
        image->profile = strdup("{\"hostname\": \"h\\\"ost\"}");
        image->clocks = (ImageClocks) { 1, -2, INT64_MAX / 2 };
        *init = (ImageProcess) {
                .pid = 1, .group = 1, .session = 1, .fd_table = 0, .fs_with = IMAGE_NONE, .terminal = IMAGE_NONE,
                .exe.path = strdup("/bin/\xff\x01true"), .cwd.path = strdup("/"), .root.path = strdup("/"),
                .threads = init->threads, .n_threads = 1, .maps = init->maps, .n_maps = 1,
                .actions = init->actions, .n_actions = 1, .limits = { UINT64_MAX, UINT64_MAX, 7 },
        };
        *zombie = (ImageProcess) { .pid = 2, .parent = 1, .state = IMAGE_TASK_ZOMBIE, .exit_status = 0x100,
                                   .fd_table = IMAGE_NONE, .fs_with = IMAGE_NONE, .terminal = IMAGE_NONE };
        *thread = (ImageThread) { .tid = 1, .sigmask = UINT64_MAX, .regs = { 1, UINT64_MAX }, .nice = -5, .uid = { 1, 2, 3, 4 } };
        *map = (ImageMap) { .start = 0x10000000, .end = 0x20000000, .protection = 3, .object = IMAGE_NONE, .file = IMAGE_NONE };
        *file = (ImageFile) { .kind = IMAGE_FILE_EVENTFD, .flags = 02, .value = UINT64_MAX - 1, .object = IMAGE_NONE,
                              .outside = IMAGE_NONE };
        *fd = (ImageFd) { .number = 5, .file = 0, .cloexec = true };
        tmpfs->mount = strdup("/tmp");
        *node = (ImageNode) { .path = strdup("a/b"), .mode = S_IFREG | 0644, .size = 1 };
        *action = (ImageSigaction) { .signo = 15, .handler = 1 };
        if (image_writer_add(writer, xstate, sizeof(xstate), &thread->xstate, message) < 0)
                return NULL;
        return TAKE_PTR(image);
}

/* Writes an image called so. */
static int write_image(const char *name, int level, char **message) {
        _cleanup_(image_freep) Image *image = NULL;
        _cleanup_(image_writer_done) ImageWriter writer = IMAGE_WRITER_NONE;
        _cleanup_(image_stream_done) ImageStream stream = IMAGE_STREAM_NONE;
        ImagePageFile *pages;
        int r;

        r = image_writer_begin(&writer, dir_fd, name, message);
        if (r < 0)
                return r;
        image = make_image(&writer, message);
        r = image ? image_stream_open(&stream, &writer, 0, level, message) : -ENOMEM;
        if (r < 0)
                return r;
        if (level > 0)
                image->features = 1U << IMAGE_FEATURE_ZSTD;
        if (!put_memory(&stream, &image->processes[0].runs, message))
                return -EIO;
        pages = IMAGE_APPEND(image->page_files, image->n_page_files);
        r = image_stream_finish(&stream, pages, message);
        return r < 0 ? r : image_writer_finish(&writer, image, message);
}

static bool memory_is_the_same(const ImageReader *reader, char **message) {
        const ImageRuns *runs = &reader->image->processes[0].runs;
        _cleanup_free_ uint8_t *memory = calloc(PAGES, IMAGE_PAGE);
        uint8_t page[IMAGE_PAGE];

        for (size_t i = 0; i < runs->n; i++) {
                const ImageRun *run = runs->items + i;

                if (image_reader_run(reader, run, 0, memory + (run->address - 0x10000000), run->size, message) < 0)
                        return false;
        }
        for (unsigned i = 0; i < PAGES; i++) {
                make_page(page, i);
                if (memcmp(page, memory + i * IMAGE_PAGE, IMAGE_PAGE) != 0)
                        return false;
        }
        return true;
}

static int open_image(const char *name, ImageReader *reader, char **message) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return image_reader_open(reader, fd, message);
}

/* Opens and verifies it all. */
static int check_image(const char *name) {
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL;
        int r = open_image(name, &reader, &message);

        if (r >= 0) {
                r = image_reader_verify(&reader, IMAGE_NONE, &message);
                for (uint32_t i = 0; r >= 0 && i < reader.image->n_page_files; i++)
                        r = image_reader_verify(&reader, i, &message);
                image_reader_done(&reader);
        }
        return r >= 0 ? r : message ? r : -EIO; /* every refusal says why */
}

static void test_round_trip(const char *name, int level) {
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL;
        const ImageProcess *init;
        void *data = NULL;

        if (!is_int(write_image(name, level, &message), 0, "%s is written", name) ||
            !is_int(open_image(name, &reader, &message), 0, "%s is read", name)) {
                tap_diag("%s", message ?: "no message");
                return;
        }
        init = &reader.image->processes[0];
        is_str(init->exe.path, "/bin/\xff\x01true", "a path that is no UTF-8");
        is_str(reader.image->profile, "{\"hostname\": \"h\\\"ost\"}", "the profile");
        ok(init->limits[0] == UINT64_MAX && init->limits[2] == 7, "large numbers");
        ok(init->threads[0].nice == -5 && init->threads[0].regs[1] == UINT64_MAX, "of a thread");
        ok(reader.image->clocks.monotonic_ns == -2, "a negative clock");
        ok(reader.image->files[0].value == UINT64_MAX - 1 && reader.image->files[0].outside == IMAGE_NONE, "of a file");
        ok(reader.image->fd_tables[0].items[0].cloexec && reader.image->fd_tables[0].items[0].number == 5, "a descriptor");
        is_int(reader.image->processes[1].state, IMAGE_TASK_ZOMBIE, "a zombie");
        ok(image_reader_blob(&reader, &init->threads[0].xstate, &data, &message) >= 0 && ((uint8_t *) data)[2] == 3, "a blob");
        free(data);
        ok(memory_is_the_same(&reader, &message), "the memory");
        image_reader_done(&reader);
        is_int(check_image(name), 0, "%s is whole", name);
        free(TAKE_PTR(message));
        is_int(write_image(name, level, &message), -EEXIST, "nothing is written over %s", name);
        ok(message && strstr(message, name), "and the message names it");
}

/* Every cut at a page and some flipped bits are found. */
static void test_damage(const char *image, const char *file) {
        _cleanup_close_ int image_fd = openat(dir_fd, image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int fd = openat(image_fd, file, O_RDWR | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        unsigned missed = 0;
        size_t size;

        if (read_full_fd(fd, 64U << 20, &text, &size) < 0) {
                ok(false, "%s can be read", file);
                return;
        }
        for (size_t at = 0; at < size; at += IMAGE_PAGE) {
                if (ftruncate(fd, (off_t) at) < 0 || check_image(image) >= 0)
                        missed++;
                if (pwrite(fd, text + at, size - at, (off_t) at) != (ssize_t) (size - at))
                        missed++;
        }
        is_int((int) missed, 0, "%s: every cut is found", file);
        for (size_t i = 0; i < 100; i++) {
                size_t at = (size_t) ((i * 2654435761U) % size);
                char flipped = (char) (text[at] ^ 1 << i % 8);

                if (pwrite(fd, &flipped, 1, (off_t) at) != 1 || check_image(image) >= 0)
                        missed++;
                if (pwrite(fd, text + at, 1, (off_t) at) != 1)
                        missed++;
        }
        is_int((int) missed, 0, "%s: every flipped bit is found", file);
        is_int(check_image(image), 0, "%s: whole again", file);
}

/* One key of the JSON of an image is replaced; whether that is refused, and how. */
static void test_refused(const char *path, const char *key, const char *value, int error) {
        _cleanup_(image_freep) Image *again = NULL;
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ json_object *root = NULL;
        json_object *object;

        if (open_image("plain", &reader, &message) < 0) {
                ok(false, "the image can be read");
                return;
        }
        root = image_to_json(reader.image);
        image_reader_done(&reader);
        object = root;
        if (*path && json_pointer_get(root, path, &object) < 0) {
                ok(false, "%s is there", path);
                return;
        }
        (void) json_object_object_add(object, key, json_tokener_parse(value));
        is_int(image_from_json(root, &again, &message), error, "%s/%s = %s", path, key, value);
        if (error < 0)
                ok(message && (strstr(message, key) || strstr(message, ": ")), "says why: %s", message ?: "nothing");
}

static void test_hostile(void) {
        test_refused("", "somethingNew", "[1, 2]", 0);
        test_refused("", "version", "2", -EOPNOTSUPP);
        test_refused("", "features", "[\"zstd\"]", 0);
        test_refused("", "features", "[\"teleport\"]", -EOPNOTSUPP);
        test_refused("", "features", "[null]", -EOPNOTSUPP);
        test_refused("", "format", "\"other\"", -EBADMSG);
        test_refused("", "processes", "[]", -EBADMSG);
        test_refused("", "processes", "{}", -EBADMSG);
        test_refused("/processes/0", "pid", "-1", -EBADMSG);
        test_refused("/processes/0", "pid", "\"1\"", -EBADMSG);
        test_refused("/processes/0", "pid", "3", -EBADMSG);
        test_refused("/processes/1", "pid", "1", -EBADMSG);
        test_refused("/processes/0", "fdTable", "1", -EBADMSG);
        test_refused("/processes/0", "fsWith", "0", -EBADMSG);
        test_refused("/processes/0", "state", "\"flying\"", -EBADMSG);
        test_refused("/processes/0", "limits", "[1]", -EBADMSG);
        test_refused("/processes/0", "runs", "[[4096, 4096, 1, 0, 4096]]", -EBADMSG);
        test_refused("/processes/0", "runs", "[[4096, 4096, 0, 9223372036854775807, 4096]]", -EBADMSG);
        test_refused("/processes/0", "runs", "[[4096, 4097, 0, 0, 4097]]", -EBADMSG);
        test_refused("/processes/0", "runs", "[[4096, 4096, 0, 0, 100]]", -EBADMSG);
        test_refused("/processes/0", "runs", "[[8192, 4096, 0, 0, 4096], [4096, 4096, 0, 0, 4096]]", -EBADMSG);
        test_refused("/processes/0/maps/0", "end", "4096", -EBADMSG);
        test_refused("/processes/0/maps/0", "end", "268435457", -EBADMSG);
        test_refused("/processes/0/maps/0", "kind", "\"object\"", -EBADMSG);
        test_refused("/processes/0/threads/0", "xstate", "[0, 9223372036854775807]", -EBADMSG);
        test_refused("/processes/0/threads/0", "xstate", "[18446744073709551615, 832]", -EBADMSG);
        test_refused("/processes/0/threads/0", "nice", "20", -EBADMSG);
        test_refused("/processes/0/threads/0", "nice", "1.5", -EBADMSG);
        test_refused("/files/0", "kind", "\"unix\"", -EBADMSG);
        test_refused("/files/0", "sizes", "[1]", -EBADMSG);
        test_refused("/fdTables/0/fds/0", "file", "4294967295", -EBADMSG);
        test_refused("/tmpfs/0", "mount", "\"tmp\"", -EBADMSG);
        test_refused("/tmpfs/0/nodes/0", "path", "\"../x\"", -EBADMSG);
        test_refused("/tmpfs/0/nodes/0", "path", "\"a/./b\"", -EBADMSG);
        test_refused("/tmpfs/0/nodes/0", "path", "\"/etc\"", -EBADMSG);
        test_refused("/tmpfs/0/nodes/0", "path", "\"a/\\u0000b\"", -EBADMSG);
}

/* The two ends of a TCP connection, the first with a key of its socket (or of its tcp) replaced. */
static void test_tcp(bool of_tcp, const char *key, const char *value, int error) {
        static const char end[] =
                "{\"kind\":\"inet\",\"socket\":{\"family\":2,\"type\":1,\"protocol\":6,\"state\":1,\"address\":[0,16],"
                "\"peerAddress\":[16,16],\"peer\":%d,\"queue\":[0,5],\"sendQueue\":[0,7],\"options\":[1,13,-1,6,1,1,1,20,5000000],"
                "\"tcp\":{\"kind\":\"open\",\"sendSequence\":%s,\"receiveSequence\":%s,\"window\":65536,\"segment\":65483,"
                "\"options\":7,\"sendScale\":7,\"receiveScale\":7}}}";
        _cleanup_(image_freep) Image *again = NULL;
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL;
        _cleanup_json_ json_object *root = NULL;
        json_object *files, *first, *object;
        char *ends[2] = {};
        size_t n;

        if (open_image("plain", &reader, &message) < 0) {
                ok(false, "the image can be read");
                return;
        }
        root = image_to_json(reader.image);
        image_reader_done(&reader);
        (void) json_object_object_add(root, "features", json_tokener_parse("[\"tcp\"]"));
        (void) json_pointer_get(root, "/files", &files);
        n = json_object_array_length(files);
        if (string_appendf(&ends[0], end, (int) n + 1, "5", "4294967295") < 0 || string_appendf(&ends[1], end, (int) n, "4294967295", "5") < 0)
                return;
        first = json_tokener_parse(ends[0]);
        (void) json_object_array_add(files, first);
        (void) json_object_array_add(files, json_tokener_parse(ends[1]));
        free(ends[0]);
        free(ends[1]);
        if (json_pointer_get(first, of_tcp ? "/socket/tcp" : "/socket", &object) >= 0)
                (void) json_object_object_add(object, key, json_tokener_parse(value));
        is_int(image_from_json(root, &again, &message), error, "a TCP connection, %s = %s", key, value);
        if (error < 0)
                ok(message && strstr(message, "files["), "says where: %s", message ?: "nothing");
}

/* Messages with descriptors in a UNIX socket. */
static void test_ancillary(const char *ancillary, int error) {
        static const char file[] =
                "{\"kind\":\"unix\",\"socket\":{\"family\":1,\"type\":5,\"queue\":[0,6],\"sizes\":[1,2,3],\"ancillary\":%s}}";
        _cleanup_(image_freep) Image *again = NULL;
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_free_ char *message = NULL, *text = NULL;
        _cleanup_json_ json_object *root = NULL;
        json_object *files;

        if (open_image("plain", &reader, &message) < 0) {
                ok(false, "the image can be read");
                return;
        }
        root = image_to_json(reader.image);
        image_reader_done(&reader);
        if (json_pointer_get(root, "/files", &files) < 0 || string_appendf(&text, file, ancillary) < 0)
                return;
        (void) json_object_array_add(files, json_tokener_parse(text));
        is_int(image_from_json(root, &again, &message), error, "messages with %s", ancillary);
        if (error < 0)
                ok(message && strstr(message, "ancillary"), "says why: %s", message ?: "nothing");
}

static void test_hostile_ancillary(void) {
        test_ancillary("[{\"pid\":1,\"uid\":2,\"gid\":3},{\"message\":2,\"files\":[0,1,0]}]", 0);
        test_ancillary("[{\"message\":3,\"files\":[0]}]", -EBADMSG);
        test_ancillary("[{\"message\":18446744073709551615,\"files\":[0]}]", -EBADMSG);
        test_ancillary("[{\"message\":1},{\"message\":1}]", -EBADMSG);
        test_ancillary("[{\"message\":1},{\"message\":0}]", -EBADMSG);
        test_ancillary("[{\"files\":[1000]}]", -EBADMSG);
        test_ancillary("[{\"files\":[-1]}]", -EBADMSG);
        test_ancillary("[{\"files\":[4294967295]}]", -EBADMSG);
        test_ancillary("[{\"files\":[4294967296]}]", -EBADMSG);
        test_ancillary("[{\"pid\":-1}]", -EBADMSG);
        test_ancillary("{}", -EBADMSG);
}

static void test_hostile_tcp(void) {
        test_tcp(true, "window", "1", 0);
        test_tcp(true, "kind", "\"closed\"", -EBADMSG);
        test_tcp(true, "kind", "\"left\"", -EBADMSG);
        test_tcp(true, "kind", "\"reset\"", -EBADMSG);
        test_tcp(true, "sendSequence", "6", -EBADMSG);
        test_tcp(true, "receiveSequence", "0", -EBADMSG);
        test_tcp(true, "receiveSequence", "4294967296", -EBADMSG);
        test_tcp(true, "sendScale", "8", -EBADMSG);
        test_tcp(true, "receiveScale", "15", -EBADMSG);
        test_tcp(true, "options", "5", -EBADMSG);
        test_tcp(true, "options", "8", -EBADMSG);
        test_tcp(true, "window", "4294967295", -EBADMSG);
        test_tcp(true, "segment", "65536", -EBADMSG);
        test_tcp(false, "peer", "0", -EBADMSG);
        test_tcp(false, "peer", "1", -EBADMSG);
        test_tcp(false, "peer", "1000", -EBADMSG);
        test_tcp(false, "peer", "null", -EBADMSG);
        test_tcp(false, "address", "[0,0]", -EBADMSG);
        test_tcp(false, "protocol", "17", -EBADMSG);
        test_tcp(false, "family", "1", -EBADMSG);
        test_tcp(false, "listening", "true", -EBADMSG);
        test_tcp(false, "queued", "true", -EBADMSG);
        test_tcp(false, "sendQueue", "[0,9223372036854775807]", -EBADMSG);
        test_tcp(false, "options", "[1,13]", -EBADMSG);
        test_tcp(false, "options", "[1,26,1]", -EBADMSG); /* SO_ATTACH_FILTER */
        test_tcp(false, "options", "[41,26,1]", -EBADMSG); /* IPv6's, of one of IPv4 */
        test_tcp(false, "options", "[1,7,4294967296]", -EBADMSG);
        test_tcp(false, "options", "[1,20,-1]", -EBADMSG);
}

/* A writer that is not finished leaves nothing, and what one that was killed left is removed. */
static void test_nothing_left(void) {
        ImageWriter writer = IMAGE_WRITER_NONE, killed = IMAGE_WRITER_NONE;
        _cleanup_free_ char *message = NULL;
        struct stat st;

        is_int(image_writer_begin(&writer, dir_fd, "half", &message), 0, "an image is begun");
        ok(fstatat(dir_fd, "half", &st, 0) < 0, "nothing is called so yet");
        is_int(image_writer_begin(&killed, dir_fd, "half", &message), 0, "another of the same name");
        image_writer_done(&writer);
        killed.dir_fd = safe_close(killed.dir_fd);
        image_writer_clean(dir_fd, "half");
        ok(fstatat(dir_fd, killed.temporary, &st, 0) < 0, "what is left of it is removed");
        killed.temporary[0] = '\0';
        image_writer_done(&killed);
        is_int(image_writer_begin(&writer, dir_fd, "../half", &message), -EINVAL, "a path is no name");
        is_int(image_writer_begin(&writer, dir_fd, ".half", &message), -EINVAL, "nor is what is hidden");
}

int main(void) {
        _cleanup_free_ char *command = NULL;

        if (!mkdtemp(dir_path) || (dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                return 1;
        test_hash();
        test_round_trip("plain", 0);
        test_round_trip("small", 3);
        test_damage("plain", "pages-0.img");
        test_damage("plain", IMAGE_DATA);
        test_damage("plain", IMAGE_MANIFEST);
        test_damage("small", "pages-0.img");
        test_hostile();
        test_hostile_tcp();
        test_hostile_ancillary();
        test_nothing_left();
        if (string_appendf(&command, "rm -r '%s'", dir_path) < 0 || system(command) != 0)
                ok(false, "tidying up");
        safe_close(dir_fd);
        return tap_done();
}
