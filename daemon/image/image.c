/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <xxhash.h>

#include "image.h"
#include "util.h"

const char *image_feature_to_string(int feature) {
        static const char *const names[_IMAGE_FEATURE_MAX] = {
                [IMAGE_FEATURE_ZSTD] = "zstd",
                [IMAGE_FEATURE_TCP] = "tcp",
                [IMAGE_FEATURE_SYSV] = "sysv",
                [IMAGE_FEATURE_MQUEUE] = "mqueue",
                [IMAGE_FEATURE_PTY] = "pty",
        };

        return names[feature];
}

const char *image_map_kind_to_string(int kind) {
        static const char *const names[_IMAGE_MAP_KIND_MAX] = {
                [IMAGE_MAP_ANONYMOUS] = "anonymous",
                [IMAGE_MAP_OBJECT] = "object",
                [IMAGE_MAP_OBJECT_PRIVATE] = "object-private",
                [IMAGE_MAP_FILE] = "file",
                [IMAGE_MAP_FILE_SHARED] = "file-shared",
                [IMAGE_MAP_VDSO] = "vdso",
                [IMAGE_MAP_VVAR] = "vvar",
        };

        return names[kind];
}

const char *image_object_kind_to_string(int kind) {
        static const char *const names[_IMAGE_OBJECT_KIND_MAX] = {
                [IMAGE_OBJECT_ANONYMOUS] = "anonymous",
                [IMAGE_OBJECT_MEMFD] = "memfd",
                [IMAGE_OBJECT_SYSV] = "sysv",
                [IMAGE_OBJECT_DELETED] = "deleted",
        };

        return names[kind];
}

const char *image_task_state_to_string(int state) {
        static const char *const names[_IMAGE_TASK_STATE_MAX] = {
                [IMAGE_TASK_RUNNING] = "running",
                [IMAGE_TASK_STOPPED] = "stopped",
                [IMAGE_TASK_ZOMBIE] = "zombie",
        };

        return names[state];
}

const char *image_tcp_kind_to_string(int kind) {
        static const char *const names[_IMAGE_TCP_KIND_MAX] = {
                [IMAGE_TCP_OPEN] = "open",
                [IMAGE_TCP_LEFT] = "left",
                [IMAGE_TCP_ENDED] = "ended",
                [IMAGE_TCP_RESET] = "reset",
        };

        return names[kind];
}

#ifndef SO_BUF_LOCK
#  define SO_BUF_LOCK 72
#endif

const ImageOption *image_socket_option(size_t index) {
        static const ImageOption options[] = {
                { SOL_SOCKET, SO_SNDBUF, 0, false, IMAGE_OPTION_HALF },
                { SOL_SOCKET, SO_RCVBUF, 0, false, IMAGE_OPTION_HALF },
                { SOL_SOCKET, SO_BUF_LOCK, 0, false, IMAGE_OPTION_INT }, /* which of the two the kernel may change */
                { SOL_SOCKET, SO_REUSEADDR, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_REUSEPORT, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_KEEPALIVE, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_BROADCAST, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_PASSCRED, AF_UNIX, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_OOBINLINE, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_PRIORITY, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_RCVLOWAT, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_TIMESTAMP, 0, false, IMAGE_OPTION_INT },
                { SOL_SOCKET, SO_LINGER, 0, false, IMAGE_OPTION_LINGER },
                { SOL_SOCKET, SO_RCVTIMEO, 0, false, IMAGE_OPTION_TIME },
                { SOL_SOCKET, SO_SNDTIMEO, 0, false, IMAGE_OPTION_TIME },
                { IPPROTO_IP, IP_TTL, AF_INET, false, IMAGE_OPTION_INT },
                { IPPROTO_IP, IP_TOS, AF_INET, false, IMAGE_OPTION_INT },
                { IPPROTO_IP, IP_PKTINFO, AF_INET, false, IMAGE_OPTION_INT },
                { IPPROTO_IP, IP_RECVTTL, AF_INET, false, IMAGE_OPTION_INT },
                { IPPROTO_IPV6, IPV6_V6ONLY, AF_INET6, false, IMAGE_OPTION_INT },
                { IPPROTO_IPV6, IPV6_RECVPKTINFO, AF_INET6, false, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_NODELAY, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_CORK, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_KEEPIDLE, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_KEEPINTVL, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_KEEPCNT, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_USER_TIMEOUT, 0, true, IMAGE_OPTION_INT },
                { IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, true, IMAGE_OPTION_INT },
        };

        return index < ELEMENTSOF(options) ? &options[index] : NULL;
}

const char *image_file_kind_to_string(int kind) {
        static const char *const names[_IMAGE_FILE_KIND_MAX] = {
                [IMAGE_FILE_REGULAR] = "file",
                [IMAGE_FILE_DIRECTORY] = "directory",
                [IMAGE_FILE_DEVICE] = "device",
                [IMAGE_FILE_PATH] = "path",
                [IMAGE_FILE_PIPE] = "pipe",
                [IMAGE_FILE_FIFO] = "fifo",
                [IMAGE_FILE_EVENTFD] = "eventfd",
                [IMAGE_FILE_TIMERFD] = "timerfd",
                [IMAGE_FILE_SIGNALFD] = "signalfd",
                [IMAGE_FILE_EPOLL] = "epoll",
                [IMAGE_FILE_INOTIFY] = "inotify",
                [IMAGE_FILE_MEMFD] = "memfd",
                [IMAGE_FILE_PIDFD] = "pidfd",
                [IMAGE_FILE_PTY] = "pty",
                [IMAGE_FILE_TTY] = "tty",
                [IMAGE_FILE_UNIX] = "unix",
                [IMAGE_FILE_INET] = "inet",
                [IMAGE_FILE_MQUEUE] = "mqueue",
                [IMAGE_FILE_NAMESPACE] = "namespace",
                [IMAGE_FILE_OUTSIDE] = "outside",
        };

        return names[kind];
}

Image *image_new(void) {
        Image *image = calloc(1, sizeof(Image));

        if (image)
                image->version = IMAGE_VERSION;
        return image;
}

static void threads_done(ImageThread *threads, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(threads[i].comm);
                free(threads[i].affinity);
                free(threads[i].groups);
        }
        free(threads);
}

static void process_done(ImageProcess *process) {
        for (size_t i = 0; i < process->n_maps; i++) {
                free(process->maps[i].place.path);
                free(process->maps[i].name);
                free(process->maps[i].guards);
        }
        free(process->maps);
        free(process->comm);
        free(process->cwd.path);
        free(process->root.path);
        free(process->exe.path);
        free(process->runs.items);
        free(process->actions);
        free(process->timers);
        threads_done(process->threads, process->n_threads);
}

ImageSocket *image_socket_free(ImageSocket *socket) {
        if (!socket)
                return NULL;
        for (size_t i = 0; i < socket->n_ancillary; i++)
                free(socket->ancillary[i].files);
        free(socket->ancillary);
        free(socket->place.path);
        free(socket->sizes);
        free(socket->options);
        free(socket->tcp);
        free(socket);
        return NULL;
}

static void file_done(ImageFile *file) {
        free(file->place.path);
        free(file->was);
        free(file->sizes);
        free(file->watches);
        for (size_t i = 0; i < file->n_inotify; i++)
                free(file->inotify[i].place.path);
        free(file->inotify);
        free(file->locks);
        image_socket_free(file->socket);
}

static void tmpfs_done(ImageTmpfs *tmpfs) {
        for (size_t i = 0; i < tmpfs->n_nodes; i++) {
                free(tmpfs->nodes[i].path);
                free(tmpfs->nodes[i].target);
                free(tmpfs->nodes[i].runs.items);
        }
        free(tmpfs->nodes);
        free(tmpfs->mount);
}

static void ipc_done(ImageIpc *ipc) {
        free(ipc->values);
        free(ipc->pids);
        free(ipc->undo);
        free(ipc->sizes);
        free(ipc->types);
}

static void mqueue_done(ImageMqueue *queue) {
        free(queue->name);
        free(queue->sizes);
        free(queue->priorities);
}

Image *image_free(Image *image) {
        if (!image)
                return NULL;
        free(image->cpu.vendor);
        free(image->cpu.flags);
        free(image->host.machine);
        free(image->host.release);
        free(image->host.sentryd);
        free(image->name);
        free(image->profile);
        free(image->container);
        free(image->page_files);
        for (size_t i = 0; i < image->n_processes; i++)
                process_done(image->processes + i);
        free(image->processes);
        for (size_t i = 0; i < image->n_fd_tables; i++)
                free(image->fd_tables[i].items);
        free(image->fd_tables);
        for (size_t i = 0; i < image->n_files; i++)
                file_done(image->files + i);
        free(image->files);
        for (size_t i = 0; i < image->n_objects; i++) {
                free(image->objects[i].name);
                free(image->objects[i].runs.items);
        }
        free(image->objects);
        for (size_t i = 0; i < image->n_tmpfs; i++)
                tmpfs_done(image->tmpfs + i);
        free(image->tmpfs);
        for (size_t i = 0; i < image->n_ipc; i++)
                ipc_done(image->ipc + i);
        free(image->ipc);
        for (size_t i = 0; i < image->n_mqueues; i++)
                mqueue_done(image->mqueues + i);
        free(image->mqueues);
        free(image);
        return NULL;
}

void *image_grow(void **items, size_t *n, size_t size) {
        /* Room for 8, 16, 32 …: there is none left when n is such a number, or 0. */
        if (*n == 0 || (*n >= 8 && (*n & (*n - 1)) == 0)) {
                void *grown = reallocarray(*items, *n == 0 ? 8 : 2 * *n, size);

                if (!grown)
                        return NULL;
                *items = grown;
        }
        memset((char *) *items + *n * size, 0, size);
        return (char *) *items + (*n)++ * size;
}

int image_runs_add(ImageRuns *runs, const ImageRun *run) {
        ImageRun *last = runs->n > 0 ? runs->items + runs->n - 1 : NULL;

        if (last && last->file == run->file && last->address + last->size == run->address && last->size == last->stored &&
            run->size == run->stored && last->offset + last->stored == run->offset) {
                last->size += run->size;
                last->stored += run->stored;
                return 0;
        }
        if (runs->n == runs->n_allocated) {
                size_t want = runs->n == 0 ? 16 : 2 * runs->n;
                ImageRun *grown = reallocarray(runs->items, want, sizeof(ImageRun));

                if (!grown)
                        return -ENOMEM;
                runs->items = grown;
                runs->n_allocated = want;
        }
        runs->items[runs->n++] = *run;
        return 0;
}

uint64_t image_hash(const void *data, size_t size) {
        return XXH64(data, size, 0);
}
