/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzing the decoder of images: any manifest is an image whose every index and range can be followed, or is refused with a
 * reason; what is taken is the same after it was written again. Mutations replace, remove and copy values within a manifest,
 * since those of its text would seldom get past the JSON.
 *
 *         fuzz-image [-n RUNS] [-s SEED] [FILE…]
 *
 * with -n 0 runs over each FILE as it is. With -DLIBFUZZER it is a target for libFuzzer. */

#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

#include "image.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((noreturn)) static void die(const char *what) {
        fprintf(stderr, "fuzz-image: %s\n", what);
        abort();
}

static uint64_t touched; /* so that nothing is optimized away */

static void touch_runs(const Image *image, const ImageRuns *runs) {
        for (size_t i = 0; i < runs->n; i++)
                touched += image->page_files[runs->items[i].file].size - runs->items[i].offset - runs->items[i].stored;
}

/* What a reader does: follows every index that there is. */
static void follow(const Image *image) {
        for (size_t i = 0; i < image->n_processes; i++) {
                const ImageProcess *process = image->processes + i;

                touch_runs(image, &process->runs);
                if (process->state == IMAGE_TASK_ZOMBIE)
                        continue;
                touched += image->fd_tables[process->fd_table].n + strlen(process->exe.path) + strlen(process->cwd.path) +
                           (uint64_t) process->threads[0].tid;
                for (size_t j = 0; j < process->n_maps; j++) {
                        const ImageMap *map = process->maps + j;

                        if (map->end <= map->start)
                                die("an empty map was taken");
                        if (map->kind == IMAGE_MAP_OBJECT || map->kind == IMAGE_MAP_OBJECT_PRIVATE)
                                touched += image->objects[map->object].size;
                        if (map->kind == IMAGE_MAP_FILE || map->kind == IMAGE_MAP_FILE_SHARED)
                                touched += strlen(map->place.path);
                }
        }
        for (size_t i = 0; i < image->n_fd_tables; i++)
                for (size_t j = 0; j < image->fd_tables[i].n; j++)
                        touched += (uint64_t) image->files[image->fd_tables[i].items[j].file].kind;
        for (size_t i = 0; i < image->n_files; i++) {
                const ImageFile *file = image->files + i;

                for (size_t j = 0; j < file->n_watches; j++)
                        touched += image->files[file->watches[j].file].position;
                if (file->kind == IMAGE_FILE_MQUEUE)
                        touched += image->mqueues[file->value].mode;
                if (file->kind == IMAGE_FILE_MEMFD)
                        touched += image->objects[file->object].size;
                if ((file->kind == IMAGE_FILE_UNIX || file->kind == IMAGE_FILE_INET) && file->socket->peer != IMAGE_NONE)
                        touched += image->files[file->socket->peer].position;
                for (size_t j = 0; file->socket && j < file->socket->n_ancillary; j++) {
                        const ImageAncillary *ancillary = file->socket->ancillary + j;

                        if (file->socket->sizes[ancillary->message] > IMAGE_ANCILLARY_MAX || ancillary->n_files > IMAGE_RIGHTS_MAX)
                                die("a message that is too large was taken");
                        for (size_t k = 0; k < ancillary->n_files; k++)
                                touched += image->files[ancillary->files[k]].position;
                }
                if (file->socket && file->socket->tcp && file->socket->tcp->kind == IMAGE_TCP_OPEN)
                        touched += image->files[file->socket->peer].socket->tcp->window;
        }
        for (size_t i = 0; i < image->n_ipc; i++) {
                const ImageIpc *ipc = image->ipc + i;
                uint64_t bytes = 0;

                if (ipc->type == 'm')
                        touched += image->objects[ipc->object].size;
                for (size_t j = 0; j < ipc->n_pids; j++)
                        touched += ipc->values[j];
                for (size_t j = 0; j < ipc->n_undo; j += 3)
                        touched += image->processes[ipc->undo[j]].umask + ipc->values[ipc->undo[j + 1]];
                for (size_t j = 0; j < ipc->n_types; j++)
                        bytes += ipc->sizes[j];
                if (ipc->type == 'q' && bytes != ipc->messages.size)
                        die("messages of other bytes than there are");
        }
        for (size_t i = 0; i < image->n_mqueues; i++) {
                const ImageMqueue *queue = image->mqueues + i;
                uint64_t bytes = 0;

                for (size_t j = 0; j < queue->n_priorities; j++)
                        bytes += queue->sizes[j];
                if (bytes != queue->messages.size || strchr(queue->name, '/'))
                        die("a POSIX message queue that is none");
        }
        for (size_t i = 0; i < image->n_objects; i++)
                touch_runs(image, &image->objects[i].runs);
        for (size_t i = 0; i < image->n_tmpfs; i++)
                for (size_t j = 0; j < image->tmpfs[i].n_nodes; j++)
                        touch_runs(image, &image->tmpfs[i].nodes[j].runs);
}

static void check(json_object *root) {
        _cleanup_(image_freep) Image *image = NULL, *again = NULL;
        _cleanup_free_ char *message = NULL, *second = NULL;
        _cleanup_json_ json_object *written = NULL, *rewritten = NULL;
        int r;

        r = image_from_json(root, &image, &message);
        if ((r >= 0) != (image != NULL))
                die("an image without success, or the other way round");
        if (r < 0) {
                if (r != -EBADMSG && r != -EOPNOTSUPP)
                        die("neither good nor bad");
                if (!message || !*message || strlen(message) > 2048)
                        die("refused without a reason, or with one without end");
                return;
        }
        follow(image);
        written = image_to_json(image);
        if (!written || image_from_json(written, &again, &second) < 0)
                die("what was taken is refused after it was written");
        rewritten = image_to_json(again);
        if (!rewritten || !streq(json_object_to_json_string(written), json_object_to_json_string(rewritten)))
                die("what was written reads as something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new_ex(16);
        json_object *root;

        if (!tokener || size > 1U << 24)
                return 0;
        root = json_tokener_parse_ex(tokener, (const char *) data, (int) size);
        if (json_tokener_get_error(tokener) == json_tokener_success)
                check(root);
        json_object_put(root);
        return 0;
}

#ifndef LIBFUZZER
static const char seed_text[] =
        "{\"format\":\"sentryd-image\",\"version\":1,\"features\":[\"zstd\",\"tcp\"],\"cpu\":{\"vendor\":\"v\",\"flags\":\"a b\",\"xfeatures\":7},"
        "\"host\":{\"machine\":\"x86_64\",\"pageSize\":4096},\"clocks\":{\"realtime\":5,\"monotonic\":-3},\"name\":\"n\","
        "\"profile\":\"{}\",\"kernel\":[0,10],\"pages\":[{\"size\":16384,\"checksum\":1},{\"size\":100}],\"data\":{\"size\":4096},"
        "\"processes\":[{\"pid\":1,\"group\":1,\"session\":1,\"state\":\"running\",\"fdTable\":0,\"exe\":{\"path\":\"/e\"},"
        "\"cwd\":{\"path\":\"/\",\"ino\":2},\"root\":{\"path\":\"/\"},\"auxv\":[0,16],\"limits\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,"
        "17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],\"maps\":[{\"start\":4096,\"end\":8192,\"protection\":3,\"kind\":\"anonymous\","
        "\"guards\":[{\"start\":4096,\"end\":8192}]},{\"start\":8192,\"end\":16384,\"kind\":\"file\",\"offset\":4096,\"place\":{\"path\":\"/l\","
        "\"size\":5}},{\"start\":16384,\"end\":20480,\"kind\":\"object\",\"object\":0}],\"runs\":[[4096,4096,0,0,4096],[12288,4096,1,0,100]],"
        "\"actions\":[{\"signal\":2,\"handler\":4096}],\"pending\":[128,128],\"itimers\":[1,2,3,4],\"timers\":[{\"id\":1,\"clock\":-6}],"
        "\"threads\":[{\"tid\":1,\"comm\":\"c\",\"regs\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27],"
        "\"xstate\":[0,832],\"groups\":[5,6],\"nice\":-3,\"uid\":[1,2,3,4]},{\"tid\":2,\"comm\":\"t\",\"xstate\":[0,832]}]},"
        "{\"pid\":3,\"parent\":1,\"state\":\"zombie\",\"exitStatus\":256},{\"pid\":4,\"parent\":1,\"state\":\"stopped\",\"stopSignal\":19,"
        "\"fdTable\":0,\"fsWith\":0,\"exe\":{\"path\":\"/e\"},\"cwd\":{\"path\":\"/\"},\"root\":{\"path\":\"/\"},\"threads\":[{\"tid\":4,"
        "\"xstate\":[0,832]}]}],\"fdTables\":[{\"fds\":[{\"file\":0},{\"number\":3,\"file\":1,\"closeOnExec\":true},{\"number\":4,\"file\":2},"
        "{\"number\":5,\"file\":3},{\"number\":6,\"file\":4}]}],\"files\":[{\"kind\":\"outside\",\"outside\":0},{\"kind\":\"pipe\",\"peerId\":5,"
        "\"data\":[0,3],\"sizes\":[1,2]},{\"kind\":\"epoll\",\"watches\":[{\"number\":3,\"file\":1,\"events\":1}]},{\"kind\":\"unix\",\"socket\":"
        "{\"family\":1,\"type\":2,\"address\":[0,16],\"peer\":3,\"queue\":[0,4],\"sizes\":[3,1],\"options\":[1,2,1],"
        "\"ancillary\":[{\"pid\":1,\"uid\":5},{\"message\":1,\"files\":[1,3]}]}},{\"kind\":\"memfd\","
        "\"object\":0,\"locks\":[{\"type\":\"p\",\"pid\":1,\"end\":18446744073709551615}]},"
        "{\"kind\":\"inet\",\"socket\":{\"family\":2,\"type\":1,\"protocol\":6,\"address\":[0,16],\"peerAddress\":[16,16],\"peer\":6,"
        "\"queue\":[0,4],\"sendQueue\":[4,4],\"options\":[6,1,1],\"tcp\":{\"kind\":\"open\",\"sendSequence\":7,\"receiveSequence\":9}}},"
        "{\"kind\":\"inet\",\"socket\":{\"family\":10,\"type\":1,\"protocol\":6,\"address\":[0,28],\"peerAddress\":[28,28],\"peer\":5,"
        "\"tcp\":{\"kind\":\"open\",\"sendSequence\":9,\"receiveSequence\":7}}},{\"kind\":\"mqueue\",\"value\":0}],\"objects\":[{\"kind\":\"memfd\",\"name\":\"m\","
        "\"size\":5000,\"runs\":[[4096,4096,0,4096,4096]]},{\"kind\":\"sysv\",\"sysvId\":32769,\"size\":6000,"
        "\"runs\":[[0,4096,0,4096,4096]]}],\"tmpfs\":[{\"mount\":\"/tmp\",\"nodes\":[{\"path\":\"\",\"mode\":16877},"
        "{\"path\":\"a/b\",\"mode\":33188,\"size\":10,\"runs\":[[0,4096,0,8192,4096]]},{\"path\":\"l\",\"mode\":41471,\"target\":\"x\"}]}],"
        "\"ipc\":[{\"type\":\"s\",\"id\":1,\"values\":[1,2],\"pids\":[1,0],\"undo\":[2,1,-5]},{\"type\":\"m\",\"id\":32769,\"key\":5,"
        "\"mode\":384,\"object\":1},{\"type\":\"q\",\"maxBytes\":100,\"messages\":[0,7],\"sizes\":[3,0,4],\"types\":[1,2,3]}],"
        "\"mqueues\":[{\"name\":\"q\",\"mode\":384,\"maxMessages\":5,\"messageSize\":10,\"messages\":[0,7],\"sizes\":[3,0,4],"
        "\"priorities\":[2,1,0]}]}";

static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t) (random_state >> 32) % n;
}

static json_object *random_value(void) {
        static const char *const values[] = {
                "0", "1", "-1", "4095", "4096", "8192", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615",
                "18446744073709551616", "-9223372036854775808", "1.5", "1e300", "\"\"", "\"a/../b\"", "\"/x\"", "\"\\u0000\"", "\"running\"",
                "\"unix\"", "\"inet\"", "\"open\"", "\"left\"", "\"file\"", "\"zombie\"", "null", "true", "[]", "{}", "[0,0]", "[[0,4096,0,0,4096]]", "[[4096,4096,0,0,1]]", "[{}]",
                "{\"path\":\"/p\"}", "[18446744073709551615,1]", "[0,9223372036854775807]",
        };

        return json_tokener_parse(values[random_below(ELEMENTSOF(values))]);
}

static uint32_t count(json_object *object) {
        uint32_t n = 1;

        if (json_object_is_type(object, json_type_object)) {
                json_object_object_foreach(object, key, value) {
                        (void) key;
                        n += count(value);
                }
        } else if (json_object_is_type(object, json_type_array))
                for (size_t i = 0; i < json_object_array_length(object); i++)
                        n += count(json_object_array_get_idx(object, i));
        return n;
}

/* Goes to the n-th value below object, counted down, and puts another there, or none, or one more. */
static void mutate_nth(json_object *object, uint32_t *n) {
        uint32_t how = random_below(8);

        if (json_object_is_type(object, json_type_object)) {
                json_object_object_foreach(object, key, value) {
                        if ((*n)-- == 0) {
                                if (how == 0)
                                        json_object_object_del(object, key);
                                else
                                        (void) json_object_object_add(object, key, random_value());
                                *n = UINT32_MAX;
                                return;
                        }
                        mutate_nth(value, n);
                        if (*n > UINT32_MAX / 2)
                                return;
                }
        } else if (json_object_is_type(object, json_type_array))
                for (size_t i = 0; i < json_object_array_length(object); i++) {
                        if ((*n)-- == 0) {
                                if (how == 0)
                                        (void) json_object_array_del_idx(object, i, 1);
                                else if (how == 1)
                                        (void) json_object_array_add(object, json_object_get(json_object_array_get_idx(object, i)));
                                else
                                        (void) json_object_array_put_idx(object, i, random_value());
                                *n = UINT32_MAX;
                                return;
                        }
                        mutate_nth(json_object_array_get_idx(object, i), n);
                        if (*n > UINT32_MAX / 2)
                                return;
                }
}

static void run(const char *text, bool mutated) {
        _cleanup_json_ json_object *root = json_tokener_parse(text);

        if (!root)
                die("a seed that is no JSON");
        if (mutated)
                for (uint32_t i = random_below(3) + 1; i > 0; i--) {
                        uint32_t n = random_below(count(root));

                        mutate_nth(root, &n);
                }
        check(root);
}

int main(int argc, char *argv[]) {
        _cleanup_(image_freep) Image *image = NULL;
        _cleanup_json_ json_object *seed = json_tokener_parse(seed_text);
        _cleanup_free_ char *message = NULL;
        uint64_t runs = 20000, number = 1;
        int c;

        while ((c = getopt(argc, argv, "n:s:")) >= 0)
                if ((c == 'n' && safe_atou64(optarg, 10, &runs) < 0) || (c == 's' && safe_atou64(optarg, 10, &number) < 0) || c == '?') {
                        fprintf(stderr, "usage: %s [-n RUNS] [-s SEED] [FILE…]\n", argv[0]);
                        return 2;
                }
        random_state = number * UINT64_C(0x9E3779B97F4A7C15) + 1;
        if (image_from_json(seed, &image, &message) < 0) {
                fprintf(stderr, "fuzz-image: the seed is refused: %s\n", message ?: "?");
                return 1;
        }
        for (int i = optind; i < argc; i++) {
                _cleanup_free_ char *text = NULL;

                if (read_full_file(argv[i], IMAGE_MANIFEST_MAX, &text, NULL) < 0) {
                        fprintf(stderr, "fuzz-image: cannot read %s\n", argv[i]);
                        return 2;
                }
                run(text, false);
                for (uint64_t j = 0; j < runs; j++)
                        run(text, true);
        }
        for (uint64_t i = 0; optind == argc && i < runs; i++)
                run(seed_text, i > 0);
        printf("fuzz-image: %" PRIu64 " runs, seed %" PRIu64 ": nothing found (%u)\n", runs, number, (unsigned) (touched & 1));
        return 0;
}
#endif
