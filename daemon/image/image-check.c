/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What no field of an image can say by itself. After this a reader may follow every index, and take ranges for what they
 * are. */

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "image-visit.h"
#include "pty.h"

typedef struct Check {
        const Image *image;
        char **ret_message;
        char where[128];
} Check;

__attribute__((format(printf, 2, 3))) static int bad(Check *check, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        free(*check->ret_message);
        *check->ret_message = NULL;
        (void) string_appendf(check->ret_message, IMAGE_MANIFEST ": %s: %s", check->where, text);
        return -EBADMSG;
}

static int check_blob(Check *check, const char *key, const ImageBlob *blob) {
        uint64_t size = check->image->data.size;

        if (blob->offset <= size && blob->size <= size - blob->offset)
                return 0;
        return bad(check, "%s: bytes %" PRIu64 " to %" PRIu64 " of " IMAGE_DATA ", which has %" PRIu64, key, blob->offset,
                   blob->offset + blob->size, size);
}

static int check_runs(Check *check, const ImageRuns *runs, uint64_t end) {
        bool compressed = check->image->features & UINT64_C(1) << IMAGE_FEATURE_ZSTD;
        uint64_t last = 0;

        for (size_t i = 0; i < runs->n; i++) {
                const ImageRun *run = runs->items + i;
                const ImagePageFile *file;

                if (run->file >= check->image->n_page_files)
                        return bad(check, "run %zu is in pages-%" PRIu32 ".img, and there are %zu", i, run->file,
                                   check->image->n_page_files);
                file = check->image->page_files + run->file;
                if (run->size == 0 || run->size % IMAGE_PAGE != 0 || run->address % IMAGE_PAGE != 0 || run->address < last ||
                    run->size > end || run->address > end - run->size)
                        return bad(check, "run %zu, %#" PRIx64 " bytes at %#" PRIx64 ": not of pages, out of order or too far",
                                   i, run->size, run->address);
                if (run->stored > run->size || run->stored == 0 || run->offset > file->size ||
                    run->stored > file->size - run->offset)
                        return bad(check, "run %zu lies at %" PRIu64 " with %" PRIu64 " bytes in pages-%" PRIu32
                                   ".img, which has %" PRIu64, i, run->offset, run->stored, run->file, file->size);
                if (run->stored < run->size && (!compressed || run->size > IMAGE_BLOCK))
                        return bad(check, "run %zu says that it is compressed, the image that it is not", i);
                if (!compressed && run->offset % IMAGE_PAGE != 0)
                        return bad(check, "run %zu lies at %" PRIu64 ", which is no multiple of %u", i, run->offset, IMAGE_PAGE);
                last = run->address + run->size;
        }
        return 0;
}

static int check_index(Check *check, const char *key, uint32_t index, size_t n, bool may_be_none) {
        if ((index == IMAGE_NONE && may_be_none) || index < n)
                return 0;
        if (index == IMAGE_NONE)
                return bad(check, "%s: is missing", key);
        return bad(check, "%s: %" PRIu32 ", and there are %zu", key, index, n);
}

static int check_place(Check *check, const char *key, const ImagePlace *place) {
        if (place->path)
                return 0;
        return bad(check, "%s: has no path", key);
}

static int check_map(Check *check, const ImageMap *map, uint64_t *end) {
        bool of_object = map->kind == IMAGE_MAP_OBJECT || map->kind == IMAGE_MAP_OBJECT_PRIVATE,
             of_file = map->kind == IMAGE_MAP_FILE || map->kind == IMAGE_MAP_FILE_SHARED;
        int r = 0;

        if (map->start >= map->end || map->start < *end || map->start % IMAGE_PAGE != 0 || map->end % IMAGE_PAGE != 0 ||
            map->offset % IMAGE_PAGE != 0 || map->offset > INT64_MAX - (map->end - map->start))
                return bad(check, "map %#" PRIx64 "-%#" PRIx64 ": not of pages, empty or out of order", map->start, map->end);
        *end = map->end;
        for (size_t i = 0; i < map->n_guards; i++)
                if (map->guards[i].start >= map->guards[i].end || map->guards[i].start < map->start ||
                    map->guards[i].end > map->end || map->guards[i].start % IMAGE_PAGE != 0 || map->guards[i].end % IMAGE_PAGE != 0)
                        return bad(check, "map %#" PRIx64 "-%#" PRIx64 ": guard %zu is not within", map->start, map->end, i);
        if (map->hugetlb != 0 && map->kind != IMAGE_MAP_ANONYMOUS)
                return bad(check, "map %#" PRIx64 "-%#" PRIx64 ": of huge pages, and not anonymous", map->start, map->end);
        if (of_object)
                r = check_index(check, "map: object", map->object, check->image->n_objects, false);
        if (r >= 0 && of_object && check->image->objects[map->object].kind == IMAGE_OBJECT_SYSV) {
                uint64_t size = check->image->objects[map->object].size;

                if (map->kind != IMAGE_MAP_OBJECT || size == 0 || size > INT64_MAX - IMAGE_PAGE ||
                    map->offset + (map->end - map->start) > (size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE)
                        return bad(check, "map %#" PRIx64 "-%#" PRIx64 ": private, or more than the %" PRIu64
                                   " bytes that the shared memory has", map->start, map->end, size);
        }
        if (r >= 0 && of_file)
                r = check_place(check, "map: place", &map->place);
        if (r >= 0)
                r = check_index(check, "map: file", map->file, check->image->n_files, true);
        return r;
}

static int check_thread(Check *check, const ImageThread *thread) {
        int r;

        if (thread->tid <= 0)
                return bad(check, "a thread has no tid");
        r = check_blob(check, "xstate", &thread->xstate);
        if (r >= 0)
                r = check_blob(check, "pending", &thread->pending);
        if (r >= 0 && thread->pending.size % 128 != 0)
                r = bad(check, "pending: %" PRIu64 " bytes, and a siginfo_t has 128", thread->pending.size);
        if (r >= 0 && (thread->xstate.size > 65536 || thread->xstate.size < 576))
                r = bad(check, "xstate: %" PRIu64 " bytes, allowed are 576 to 65536", thread->xstate.size);
        return r;
}

static int compare_ids(const void *a, const void *b) {
        int32_t x = *(const int32_t *) a, y = *(const int32_t *) b;

        return x < y ? -1 : x > y;
}

/* Every number of a process or thread is there once. */
static int check_ids(Check *check) {
        _cleanup_free_ int32_t *ids = NULL;
        size_t n = 0;

        for (size_t i = 0; i < check->image->n_processes; i++)
                n += check->image->processes[i].n_threads + 1;
        ids = calloc(n, sizeof(int32_t));
        if (!ids)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < check->image->n_processes; i++) {
                const ImageProcess *process = check->image->processes + i;

                if (process->n_threads == 0)
                        ids[n++] = process->pid;
                for (size_t j = 0; j < process->n_threads; j++)
                        ids[n++] = process->threads[j].tid;
        }
        qsort(ids, n, sizeof(int32_t), compare_ids);
        for (size_t i = 1; i < n; i++)
                if (ids[i] == ids[i - 1])
                        return bad(check, "two tasks have the number %" PRId32, ids[i]);
        return 0;
}

static int check_process(Check *check, size_t index) {
        const ImageProcess *process = check->image->processes + index;
        uint64_t end = 0;
        int r;

        if (process->pid <= 0)
                return bad(check, "it has no pid");
        if (process->state == IMAGE_TASK_ZOMBIE)
                return process->n_threads == 0 && process->n_maps == 0 ? 0 : bad(check, "a zombie has threads or memory");
        if (process->n_threads == 0 || process->threads[0].tid != process->pid)
                return bad(check, "its first thread is not %" PRId32, process->pid);

        r = check_blob(check, "auxv", &process->auxv);
        if (r >= 0)
                r = check_blob(check, "pending", &process->pending);
        if (r >= 0 && process->pending.size % 128 != 0)
                r = bad(check, "pending: %" PRIu64 " bytes, and a siginfo_t has 128", process->pending.size);
        if (r >= 0)
                r = check_index(check, "fdTable", process->fd_table, check->image->n_fd_tables, false);
        if (r >= 0)
                r = check_index(check, "terminal", process->terminal, check->image->n_files, true);
        if (r >= 0)
                r = check_index(check, "fsWith", process->fs_with, index, true);
        if (r >= 0)
                r = check_place(check, "exe", &process->exe);
        if (r >= 0)
                r = check_place(check, "cwd", &process->cwd);
        if (r >= 0)
                r = check_place(check, "root", &process->root);
        for (size_t i = 0; r >= 0 && i < process->n_maps; i++)
                r = check_map(check, process->maps + i, &end);
        if (r >= 0)
                r = check_runs(check, &process->runs, UINT64_C(1) << 57);
        for (size_t i = 0; r >= 0 && i < process->n_actions; i++)
                if (process->actions[i].signo == 0)
                        r = bad(check, "action %zu is of no signal", i);
        for (size_t i = 0; r >= 0 && i < process->n_threads; i++)
                r = check_thread(check, process->threads + i);
        return r;
}

static int check_fd_table(Check *check, const ImageFdTable *table) {
        int r;

        for (size_t i = 0; i < table->n; i++) {
                r = check_index(check, "file", table->items[i].file, check->image->n_files, false);
                if (r < 0)
                        return r;
                if (i > 0 && table->items[i].number <= table->items[i - 1].number)
                        return bad(check, "descriptors are not by rising number");
        }
        return 0;
}

static int check_sizes(Check *check, const uint64_t *sizes, size_t n, uint64_t size) {
        uint64_t sum = 0;

        if (n == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                if (sizes[i] > size - sum)
                        return bad(check, "sizes: more than the %" PRIu64 " bytes that are there", size);
                sum += sizes[i];
        }
        return sum == size ? 0 : bad(check, "sizes: %" PRIu64 " of %" PRIu64 " bytes", sum, size);
}

/* Two ends that do not fit would never hear each other. */
static int check_tcp_peer(Check *check, const ImageSocket *socket) {
        const ImageSocket *peer = check->image->files[socket->peer].socket;
        const ImageTcp *tcp = socket->tcp, *other = peer ? peer->tcp : NULL;

        if (!other || other->kind != IMAGE_TCP_OPEN || peer->peer == IMAGE_NONE ||
            peer->peer >= check->image->n_files || check->image->files[peer->peer].socket != socket || peer == socket)
                return bad(check, "peer: %" PRIu32 ", which is not the other end of this TCP connection", socket->peer);
        if (tcp->snd_seq != other->rcv_seq || tcp->rcv_seq != other->snd_seq || tcp->options != other->options ||
            tcp->snd_wscale != other->rcv_wscale || tcp->rcv_wscale != other->snd_wscale)
                return bad(check, "tcp: its sequence numbers %" PRIu32 " and %" PRIu32 ", options or scales are not those of its "
                           "other end, files[%" PRIu32 "]", tcp->snd_seq, tcp->rcv_seq, socket->peer);
        return 0;
}

static int check_tcp(Check *check, const ImageSocket *socket) {
        if (socket->protocol != IPPROTO_TCP || socket->type != SOCK_STREAM ||
            (socket->family != AF_INET && socket->family != AF_INET6) || socket->listening || socket->queued)
                return bad(check, "tcp: it is a socket of another kind, listens or is queued");
        if (!(check->image->features & UINT64_C(1) << IMAGE_FEATURE_TCP))
                return bad(check, "tcp: the image does not have the feature \"tcp\"");
        if (socket->tcp->kind > IMAGE_TCP_LEFT)
                return socket->peer == IMAGE_NONE ? 0 : bad(check, "peer: a TCP connection that is over has none");
        if (socket->address.size == 0 || socket->peer_address.size == 0)
                return bad(check, "tcp: a connection without its addresses");
        if ((socket->tcp->kind == IMAGE_TCP_OPEN) != (socket->peer != IMAGE_NONE))
                return bad(check, "peer: is missing, or too many");
        return socket->peer == IMAGE_NONE ? 0 : check_tcp_peer(check, socket);
}

static int check_options(Check *check, const ImageSocket *socket) {
        const ImageOption *option;

        if (socket->n_options % 3 != 0)
                return bad(check, "options: are not triples");
        for (size_t i = 0; i < socket->n_options; i += 3) {
                size_t j = 0;

                while ((option = image_socket_option(j)) &&
                       (option->level != socket->options[i] || option->name != socket->options[i + 1]))
                        j++;
                if (!option || (option->family != 0 && option->family != socket->family) ||
                    (option->tcp && socket->protocol != IPPROTO_TCP))
                        return bad(check, "options: %" PRId64 " of level %" PRId64 " is none that is saved of this socket",
                                   socket->options[i + 1], socket->options[i]);
                if (option->form == IMAGE_OPTION_TIME ? socket->options[i + 2] < 0
                                                      : socket->options[i + 2] < INT32_MIN || socket->options[i + 2] > INT32_MAX)
                        return bad(check, "options: %" PRId64 " of level %" PRId64 " cannot be %" PRId64,
                                   socket->options[i + 1], socket->options[i], socket->options[i + 2]);
        }
        return 0;
}

static int check_ancillary(Check *check, const ImageSocket *socket) {
        for (size_t i = 0; i < socket->n_ancillary; i++) {
                const ImageAncillary *ancillary = socket->ancillary + i;

                if (socket->family != AF_UNIX || ancillary->message >= socket->n_sizes ||
                    (i > 0 && ancillary->message <= ancillary[-1].message))
                        return bad(check, "ancillary: message %" PRIu64 " of %zu, or out of order, or of no UNIX socket",
                                   ancillary->message, socket->n_sizes);
                if (socket->sizes[ancillary->message] > IMAGE_ANCILLARY_MAX || socket->sizes[ancillary->message] == 0)
                        return bad(check, "ancillary: message %" PRIu64 " has %" PRIu64 " bytes, allowed are 1 to %u",
                                   ancillary->message, socket->sizes[ancillary->message], IMAGE_ANCILLARY_MAX);
                for (size_t j = 0; j < ancillary->n_files; j++)
                        if (ancillary->files[j] >= check->image->n_files)
                                return bad(check, "ancillary: file %" PRIu32 ", and there are %zu", ancillary->files[j],
                                           check->image->n_files);
        }
        return 0;
}

static int check_socket(Check *check, const ImageSocket *socket) {
        const struct {
                const char *key;
                const ImageBlob *blob;
        } blobs[] = {
                { "address", &socket->address }, { "peerAddress", &socket->peer_address }, { "queue", &socket->queue },
                { "senders", &socket->senders }, { "sendQueue", &socket->send_queue },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(blobs); i++) {
                r = check_blob(check, blobs[i].key, blobs[i].blob);
                if (r < 0)
                        return r;
                if (i < 2 && blobs[i].blob->size > 128) /* struct sockaddr_storage */
                        return bad(check, "%s: %" PRIu64 " bytes, allowed are 128", blobs[i].key, blobs[i].blob->size);
        }
        r = check_options(check, socket);
        if (r >= 0)
                r = check_index(check, "peer", socket->peer, check->image->n_files, true);
        if (r >= 0)
                r = check_ancillary(check, socket);
        if (r >= 0 && socket->tcp)
                r = check_tcp(check, socket);
        if (r >= 0 && socket->queued && (socket->listening || socket->peer != IMAGE_NONE || socket->peer_address.size == 0))
                r = bad(check, "queued: a connection that nobody has accepted has the address of who listens, and no peer");
        return r < 0 ? r : check_sizes(check, socket->sizes, socket->n_sizes, socket->queue.size);
}

static int check_file(Check *check, const ImageFile *file) {
        bool has_socket = file->kind == IMAGE_FILE_UNIX || file->kind == IMAGE_FILE_INET;
        int r;

        r = check_blob(check, "data", &file->data);
        if (r >= 0)
                r = check_blob(check, "termios", &file->termios);
        if (r >= 0)
                r = check_blob(check, "windowSize", &file->winsize);
        if (r >= 0)
                r = check_blob(check, "input", &file->input);
        if (r >= 0 && file->kind == IMAGE_FILE_PTY &&
            (file->data.size > PTY_BYTES_MAX || file->input.size > PTY_BYTES_MAX || file->edited > file->input.size))
                r = bad(check, "data, input: more than %u bytes, or fewer than are edited", PTY_BYTES_MAX);
        if (r >= 0)
                r = check_index(check, "object", file->object, check->image->n_objects, file->kind != IMAGE_FILE_MEMFD);
        if (r >= 0 && file->object != IMAGE_NONE && check->image->objects[file->object].kind == IMAGE_OBJECT_SYSV)
                r = bad(check, "object: shared memory of System V is no file");
        if (r >= 0 && file->kind == IMAGE_FILE_MQUEUE && file->value >= check->image->n_mqueues)
                r = bad(check, "value: %" PRIu64 ", and there are %zu mqueues", file->value, check->image->n_mqueues);
        if (r >= 0 && file->object == IMAGE_NONE &&
            (file->kind == IMAGE_FILE_REGULAR || file->kind == IMAGE_FILE_DIRECTORY || file->kind == IMAGE_FILE_FIFO ||
             file->kind == IMAGE_FILE_DEVICE || file->kind == IMAGE_FILE_PATH))
                r = check_place(check, "place", &file->place);
        if (r >= 0 && file->kind == IMAGE_FILE_OUTSIDE && file->outside > INT32_MAX)
                r = bad(check, "outside: is missing");
        for (size_t i = 0; r >= 0 && i < file->n_watches; i++)
                r = check_index(check, "watches: file", file->watches[i].file, check->image->n_files, false);
        for (size_t i = 0; r >= 0 && i < file->n_inotify; i++)
                r = check_place(check, "inotify: place", &file->inotify[i].place);
        if (r >= 0 && has_socket != (file->socket != NULL))
                r = bad(check, has_socket ? "a socket without what it is" : "socket: it is none");
        if (r >= 0 && file->socket)
                r = check_socket(check, file->socket);
        if (r >= 0)
                r = check_sizes(check, file->sizes, file->n_sizes, file->data.size);
        return r;
}

/* A path from a mount on, that leads nowhere else. */
static bool is_inner_path(const char *path) {
        const char *p = path;

        if (*p == '/')
                return false;
        while (*p) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && *p == '.') || (n == 2 && strncmp(p, "..", 2) == 0))
                        return false;
                p += n;
                if (*p == '/' && *++p == '\0')
                        return false;
        }
        return true;
}

static int check_node(Check *check, const ImageNode *node) {
        if (!node->path || !is_inner_path(node->path))
                return bad(check, "path: is missing, or leads out of its mount");
        if (S_ISLNK(node->mode) != (node->target != NULL))
                return bad(check, "a link without a target, or a target without a link");
        if (!S_ISREG(node->mode) && node->runs.n > 0)
                return bad(check, "runs: it is no regular file");
        return check_runs(check, &node->runs, (node->size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE);
}

static int compare_ipc(const void *a, const void *b) {
        const ImageIpc *x = *(const ImageIpc *const *) a, *y = *(const ImageIpc *const *) b;

        if (x->type != y->type)
                return x->type < y->type ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

/* Numbers are there once, and so are keys; each piece of shared memory has one object, and each such object one of these. */
static int check_ipc_ids(Check *check) {
        const Image *image = check->image;
        _cleanup_free_ const ImageIpc **order = calloc(image->n_ipc + 1, sizeof(ImageIpc *));
        _cleanup_free_ uint8_t *taken = calloc(image->n_objects + 1, 1);

        if (!order || !taken)
                return -ENOMEM;
        for (size_t i = 0; i < image->n_ipc; i++)
                order[i] = image->ipc + i;
        qsort(order, image->n_ipc, sizeof(ImageIpc *), compare_ipc);
        for (size_t i = 0; i < image->n_ipc; i++) {
                const ImageIpc *ipc = order[i];

                if (i > 0 && ipc->type == order[i - 1]->type && ipc->id == order[i - 1]->id)
                        return bad(check, "two of type %c have the id %" PRId32, ipc->type, ipc->id);
                if (ipc->type != 'm')
                        continue;
                if (ipc->object >= image->n_objects || image->objects[ipc->object].kind != IMAGE_OBJECT_SYSV || taken[ipc->object])
                        return bad(check, "the shared memory %" PRId32 " has no object of its own", ipc->id);
                taken[ipc->object] = 1;
        }
        for (size_t i = 0; i < image->n_objects; i++)
                if (image->objects[i].kind == IMAGE_OBJECT_SYSV && !taken[i])
                        return bad(check, "objects[%zu] is shared memory of System V that has no id", i);
        return 0;
}

static int check_semaphores(Check *check, const ImageIpc *ipc) {
        if (ipc->n_values == 0 || (ipc->n_pids != 0 && ipc->n_pids != ipc->n_values) || ipc->n_undo % 3 != 0)
                return bad(check, "values, pids, undo: %zu, %zu and %zu, and they should be as many, and triples", ipc->n_values,
                           ipc->n_pids, ipc->n_undo);
        for (size_t i = 0; i < ipc->n_values; i++)
                if (ipc->values[i] > IMAGE_SEMAPHORE_MAX)
                        return bad(check, "values: %" PRIu32 ", allowed are 0 to %d", ipc->values[i], IMAGE_SEMAPHORE_MAX);
        for (size_t i = 0; i < ipc->n_undo; i += 3) {
                ImageUndo undo = { ipc->undo[i], ipc->undo[i + 1], ipc->undo[i + 2] };

                if (undo.process < 0 || (uint64_t) undo.process >= check->image->n_processes ||
                    check->image->processes[undo.process].state == IMAGE_TASK_ZOMBIE || undo.number < 0 || (uint64_t) undo.number >= ipc->n_values ||
                    undo.adjustment < -IMAGE_SEMAPHORE_MAX || undo.adjustment > IMAGE_SEMAPHORE_MAX)
                        return bad(check, "undo: %" PRId64 " of semaphore %" PRId64 " by processes[%" PRId64 "]"
                                   ": not within -%d to %d, or there is no such semaphore or process", undo.adjustment, undo.number,
                                   undo.process, IMAGE_SEMAPHORE_MAX, IMAGE_SEMAPHORE_MAX);
        }
        return 0;
}

static int check_ipc(Check *check, const ImageIpc *ipc) {
        int r;

        r = check_blob(check, "messages", &ipc->messages);
        if (r < 0)
                return r;
        if (ipc->mode & ~(ipc->type == 'm' ? 0777U | IMAGE_IPC_REMOVED | IMAGE_IPC_LOCKED : 0777U))
                return bad(check, "mode: %#" PRIo32 " has bits that there are not", ipc->mode);
        if (ipc->type == 'm') {
                uint64_t size = check->image->objects[ipc->object].size;

                return size > 0 && size <= INT64_MAX / 2 ? 0 : bad(check, "its object has %" PRIu64 " bytes", size);
        }
        if (ipc->type == 's')
                return check_semaphores(check, ipc);
        if (ipc->n_types != ipc->n_sizes || (ipc->n_sizes == 0 && ipc->messages.size > 0))
                return bad(check, "types and sizes are %zu and %zu, for %" PRIu64 " bytes", ipc->n_types, ipc->n_sizes,
                           ipc->messages.size);
        for (size_t i = 0; i < ipc->n_types; i++)
                if (ipc->types[i] <= 0 || ipc->sizes[i] > IMAGE_MESSAGE_MAX)
                        return bad(check, "message %zu: type %" PRId64 " and %" PRIu64 " bytes, allowed are 1 and more, and 0 to %u", i,
                                   ipc->types[i], ipc->sizes[i], IMAGE_MESSAGE_MAX);
        return check_sizes(check, ipc->sizes, ipc->n_sizes, ipc->messages.size);
}
static int check_mqueue(Check *check, const ImageMqueue *queue) {
        int r;

        if (!queue->name || !*queue->name || strchr(queue->name, '/') || streq(queue->name, ".") || streq(queue->name, ".."))
                return bad(check, "name: is missing, or no name of a queue");
        r = check_blob(check, "messages", &queue->messages);
        if (r < 0)
                return r;
        if (queue->n_priorities != queue->n_sizes || queue->n_sizes > queue->max_messages ||
            (queue->n_sizes == 0 && queue->messages.size > 0))
                return bad(check, "sizes and priorities are %zu and %zu, for %" PRIu64 " bytes and %" PRIu32 " messages at most",
                           queue->n_sizes, queue->n_priorities, queue->messages.size, queue->max_messages);
        for (size_t i = 0; i < queue->n_sizes; i++)
                if (queue->sizes[i] > queue->message_size || queue->priorities[i] >= IMAGE_MQUEUE_PRIORITIES)
                        return bad(check, "message %zu: %" PRIu64 " bytes of priority %" PRIu32 ", allowed are %" PRIu32 " and less than %u",
                                   i, queue->sizes[i], queue->priorities[i], queue->message_size, IMAGE_MQUEUE_PRIORITIES);
        return check_sizes(check, queue->sizes, queue->n_sizes, queue->messages.size);
}

int image_check(const Image *image, char **ret_message) {
        Check check = { .image = image, .ret_message = ret_message, .where = "image" };
        int r;

        if (!image->profile || !image->name)
                return bad(&check, "profile, name: are missing");
        if (image->n_processes == 0 || image->processes[0].state == IMAGE_TASK_ZOMBIE)
                return bad(&check, "there is no process");
        r = check_blob(&check, "kernel", &image->kernel);
        if (r >= 0)
                r = check_ids(&check);
        for (size_t i = 0; r >= 0 && i < image->n_processes; i++) {
                (void) snprintf(check.where, sizeof(check.where), "process %" PRId32, image->processes[i].pid);
                r = check_process(&check, i);
        }
        for (size_t i = 0; r >= 0 && i < image->n_fd_tables; i++) {
                (void) snprintf(check.where, sizeof(check.where), "fdTables[%zu]", i);
                r = check_fd_table(&check, image->fd_tables + i);
        }
        for (size_t i = 0; r >= 0 && i < image->n_files; i++) {
                (void) snprintf(check.where, sizeof(check.where), "files[%zu]", i);
                r = check_file(&check, image->files + i);
        }
        for (size_t i = 0; r >= 0 && i < image->n_objects; i++) {
                const ImageObject *object = image->objects + i;

                (void) snprintf(check.where, sizeof(check.where), "objects[%zu]", i);
                r = check_runs(&check, &object->runs, (object->size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE);
        }
        for (size_t i = 0; r >= 0 && i < image->n_tmpfs; i++) {
                if (!image->tmpfs[i].mount || image->tmpfs[i].mount[0] != '/')
                        return bad(&check, "tmpfs[%zu].mount: is missing, or not absolute", i);
                for (size_t j = 0; r >= 0 && j < image->tmpfs[i].n_nodes; j++) {
                        (void) snprintf(check.where, sizeof(check.where), "tmpfs[%zu].nodes[%zu]", i, j);
                        r = check_node(&check, image->tmpfs[i].nodes + j);
                }
        }
        if (r >= 0) {
                (void) snprintf(check.where, sizeof(check.where), "ipc");
                r = check_ipc_ids(&check);
        }
        for (size_t i = 0; r >= 0 && i < image->n_ipc; i++) {
                (void) snprintf(check.where, sizeof(check.where), "ipc[%zu]", i);
                r = check_ipc(&check, image->ipc + i);
        }
        for (size_t i = 0; r >= 0 && i < image->n_mqueues; i++) {
                (void) snprintf(check.where, sizeof(check.where), "mqueues[%zu]", i);
                r = check_mqueue(&check, image->mqueues + i);
        }
        return r;
}
