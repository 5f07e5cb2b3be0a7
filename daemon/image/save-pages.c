/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copying memory, by two threads: one copies at 2 GiB a second, most of it for the kernel to find fresh pages, and with a
 * third one nothing more was gained. Each writes a file of its own. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "protocol.h"
#include "save.h"
#include "util.h"

#define THREADS_MAX 2U
#define UNIT (UINT64_C(16) << 20) /* what a thread takes at a time: long runs in one file */
#define PROGRESS_STEP (UINT64_C(32) << 20)

typedef struct Unit {
        pid_t pid;         /* whose memory; 0: fd's */
        int fd;
        const char *path;  /* below fd: opened when it is read; NULL: fd itself */
        uint64_t start, end;
        uint64_t base;     /* taken from the address for the run */
        ImageRuns *target; /* where runs go at the end */
        ImageRuns runs;    /* owned */
} Unit;

typedef struct Copy {
        Save *save;
        Unit *units;
        size_t n_units, n_allocated;
        atomic_size_t next;
        atomic_uint_fast64_t done;
        atomic_int error;
        uint64_t total;
} Copy;

typedef struct Worker {
        Copy *copy;
        ImageStream *stream;
        pthread_t thread;
        bool tells;        /* progress: the thread of the process alone */
        uint64_t told;
        char *message;     /* owned */
} Worker;

static int add_units(Copy *copy, const Unit *like, uint64_t start, uint64_t end) {
        while (start < end) {
                Unit *unit = IMAGE_APPEND(copy->units, copy->n_units);

                if (!unit)
                        return -ENOMEM;
                *unit = *like;
                unit->start = start;
                unit->end = MIN(end, start + UNIT);
                copy->total += unit->end - unit->start;
                start = unit->end;
        }
        return 0;
}

/* What no protection lets us read goes by the file. */
static int read_forced(pid_t pid, uint64_t address, uint8_t *to, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/mem", (int) pid);
        fd = save_open(AT_FDCWD, path, O_RDONLY);
        if (fd < 0)
                return fd;
        while (size > 0) {
                n = pread(fd, to, size, (off_t) address);
                if (n <= 0)
                        return n < 0 ? -errno : -EFAULT;
                to += n;
                address += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}

static int read_memory(const Unit *unit, uint64_t address, uint8_t *to, size_t size) {
        struct iovec local = { to, size }, remote = { (void *) (uintptr_t) address, size };
        ssize_t n;

        if (unit->pid != 0) {
                n = process_vm_readv(unit->pid, &local, 1, &remote, 1, 0);
                if (n == (ssize_t) size)
                        return 0;
                n = MAX(n, (ssize_t) 0);
                return read_forced(unit->pid, address + (uint64_t) n, to + n, size - (size_t) n);
        }
        while (size > 0) {
                n = pread(unit->fd, to, size, (off_t) address);
                if (n < 0)
                        return -errno;
                if (n == 0) { /* behind its end */
                        memset(to, 0, size);
                        return 0;
                }
                to += n;
                address += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}

static int copy_unit(Worker *worker, Unit *unit) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t at = unit->start;
        int r;

        if (unit->path) {
                r = fd = save_open(unit->fd, unit->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
                if (fd < 0) {
                        (void) string_appendf(&worker->message, "cannot read the file %s of the sandbox: %s", unit->path, strerror(-r));
                        return r;
                }
                unit->fd = fd;
        }

        while (at < unit->end) {
                size_t room, size;
                uint8_t *to = image_stream_room(worker->stream, &room);

                size = (size_t) MIN((uint64_t) room, unit->end - at);
                r = read_memory(unit, at, to, size);
                if (r < 0) {
                        if (!worker->message)
                                (void) string_appendf(&worker->message, "cannot read the memory of process %d at %#" PRIx64 ": %s",
                                                      (int) unit->pid, at, strerror(-r));
                        return r;
                }
                r = image_stream_put(worker->stream, at - unit->base, size, &unit->runs, &worker->message);
                if (r < 0)
                        return r;
                at += size;
                worker->copy->done += size;
        }
        if (worker->tells && worker->copy->done - worker->told >= PROGRESS_STEP) {
                worker->told = worker->copy->done;
                return save_say(IMAGER_PROGRESS, (int64_t) worker->told, (int64_t) worker->copy->total, "");
        }
        return 0;
}

static void *worker_main(void *userdata) {
        Worker *worker = userdata;
        Copy *copy = worker->copy;
        int r;

        while (copy->error == 0) {
                size_t i = copy->next++;

                if (i >= copy->n_units)
                        break;
                r = copy_unit(worker, copy->units + i);
                if (r < 0)
                        copy->error = r;
        }
        return NULL;
}

/* The parts of a file in memory that are there at all. */
static int add_file(Copy *copy, int fd, uint64_t size, const Unit *like) {
        off_t start = 0, end;
        int r;

        while ((uint64_t) start < size) {
                start = lseek(fd, start, SEEK_DATA);
                if (start < 0)
                        return errno == ENXIO ? 0 : -errno;
                end = lseek(fd, start, SEEK_HOLE);
                if (end < 0)
                        return -errno;
                r = add_units(copy, like, (uint64_t) start & ~(uint64_t) (IMAGE_PAGE - 1),
                              ((uint64_t) end + IMAGE_PAGE - 1) & ~(uint64_t) (IMAGE_PAGE - 1));
                if (r < 0)
                        return r;
                start = end;
        }
        return 0;
}

/* How much of a mapping can be read: what is mapped past the end of an object cannot, and nothing else tells its size when
 * nobody has a descriptor of it. */
static uint64_t readable_size(const SaveObject *object) {
        const Unit unit = { .pid = object->pid };
        uint64_t low = 0, high = object->size / IMAGE_PAGE;
        uint8_t byte;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;

                if (read_memory(&unit, object->address + middle * IMAGE_PAGE, &byte, 1) >= 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low * IMAGE_PAGE;
}

static int add_object(Copy *copy, size_t index) {
        ImageObject *image = copy->save->image->objects + index;
        SaveObject *object = copy->save->objects + index;
        Unit like = { .pid = object->pid, .fd = object->fd, .target = &image->runs };
        struct stat st;

        if (object->fd >= 0) {
                like.pid = 0;
                if (fstat(object->fd, &st) < 0)
                        return -errno;
                image->size = (uint64_t) st.st_size;
                image->mode = st.st_mode & 07777;
                return add_file(copy, object->fd, image->size, &like);
        }
        if (object->pid == 0) {
                save_refuse(copy->save, "%s: it is mapped and has no name and no descriptor any more, so it cannot be read as a whole",
                            image->name);
                return 0;
        }
        if (image->kind == IMAGE_OBJECT_SYSV) /* mapped as a whole, and its size is known */
                object->size = (image->size + IMAGE_PAGE - 1) & ~(uint64_t) (IMAGE_PAGE - 1);
        else {
                object->size = readable_size(object);
                image->size = MAX(image->size, object->offset + object->size);
        }
        like.base = object->address - object->offset;
        return add_units(copy, &like, object->address, object->address + object->size);
}

/* A file of a file system in memory. */
static int add_node(Copy *copy, size_t index, size_t number) {
        ImageTmpfs *tmpfs = copy->save->image->tmpfs + index;
        ImageNode *node = tmpfs->nodes + number;
        Unit like = { .fd = copy->save->tmpfs_fds[index], .path = node->path, .target = &node->runs };
        _cleanup_close_ int fd = -EBADF;

        if (!S_ISREG(node->mode) || node->size == 0)
                return 0;
        fd = save_open(like.fd, node->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0) {
                save_refuse(copy->save, "%s/%s: the file cannot be read: %s", tmpfs->mount, node->path, strerror(-fd));
                return 0;
        }
        return add_file(copy, fd, node->size, &like);
}

static int plan(Copy *copy) {
        Save *save = copy->save;
        int r;

        for (size_t i = 0; i < save->n_processes; i++)
                for (size_t j = 0; j < save->processes[i].n_ranges; j++) {
                        const SaveRange *range = save->processes[i].ranges + j;
                        Unit like = { .pid = save->processes[i].pid, .fd = -EBADF, .target = &save->image->processes[i].runs };

                        r = add_units(copy, &like, range->start, range->end);
                        if (r < 0)
                                return r;
                }
        for (size_t i = 0; i < save->n_objects; i++) {
                r = add_object(copy, i);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < save->image->n_tmpfs; i++)
                for (size_t j = 0; j < save->image->tmpfs[i].n_nodes; j++) {
                        r = add_node(copy, i, j);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int run(Copy *copy, Worker *workers, size_t n) {
        Save *save = copy->save;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                save->streams[i] = IMAGE_STREAM_NONE;
                save->n_streams++;
                r = image_stream_open(save->streams + i, &save->writer, (uint32_t) i, save->compress, &save->message);
                workers[i] = (Worker) { .copy = copy, .stream = save->streams + i, .tells = i == 0 };
        }
        if (r < 0)
                return r;
        /* Should there be no thread to be had, one does it all. */
        for (size_t i = 1; i < n; i++)
                if (pthread_create(&workers[i].thread, NULL, worker_main, workers + i) != 0)
                        workers[i].stream = NULL;
        (void) worker_main(workers);
        for (size_t i = 1; i < n; i++)
                if (workers[i].stream)
                        (void) pthread_join(workers[i].thread, NULL);
        r = copy->error;
        for (size_t i = 0; i < n; i++) {
                if (r < 0 && workers[i].message && !save->message)
                        save->message = TAKE_PTR(workers[i].message);
                free(workers[i].message);
        }
        return r;
}

static int gather(Copy *copy) {
        for (size_t i = 0; i < copy->n_units; i++)
                for (size_t j = 0; j < copy->units[i].runs.n; j++)
                        if (image_runs_add(copy->units[i].target, copy->units[i].runs.items + j) < 0)
                                return -ENOMEM;
        return 0;
}

/* Streams are closed by who ends the save: after that it is all on disk. */
static int finish(Copy *copy) {
        Save *save = copy->save;
        int r;

        for (size_t i = 0; i < save->n_streams; i++) {
                ImagePageFile *file = IMAGE_APPEND(save->image->page_files, save->image->n_page_files);

                if (!file)
                        return -ENOMEM;
                r = image_stream_finish(save->streams + i, file, &save->message);
                if (r < 0)
                        return r;
                save->image->memory += save->streams[i].n_memory;
        }
        return 0;
}

int save_pages(Save *save) {
        Copy copy = { .save = save };
        Worker workers[THREADS_MAX];
        size_t n;
        cpu_set_t cpus;
        int r;

        r = plan(&copy);
        if (r < 0 || save->n_reasons > 0)
                goto finish;
        n = copy.total <= UNIT ? 1 : sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : (size_t) CPU_COUNT(&cpus);
        n = MIN(n, (size_t) THREADS_MAX);
        save->streams = calloc(n, sizeof(ImageStream));
        r = save->streams ? run(&copy, workers, n) : -ENOMEM;
        if (r >= 0)
                r = gather(&copy);
        if (r >= 0)
                r = finish(&copy);
        if (r >= 0)
                r = save_say(IMAGER_PROGRESS, (int64_t) copy.total, (int64_t) copy.total, "");

finish:
        for (size_t i = 0; i < copy.n_units; i++)
                free(copy.units[i].runs.items);
        free(copy.units);
        return r;
}
