/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Open files: tables of descriptors, the open file descriptions in them, each once (kcmp(2) says which are the same, and
 * puts them in an order), and what each is by a copy of it (pidfd_getfd(2)), its link and its fdinfo. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>

#include "save-files.h"
#include "util.h"

#define TABLE_FDS_MAX IMAGE_FDS_MAX
#define TIMERFD_TRIES 16U

static int kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y) {
        long r = syscall(SYS_kcmp, a, b, type, x, y);

        return r < 0 ? -errno : (int) r;
}

/* Where `file` is or would be in the order; true when it is there. compare: kcmp(2)'s answer for it and the i-th. */
static int find_in_order(size_t n, int (*compare)(void *userdata, size_t i), void *userdata, size_t *ret) {
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = compare(userdata, middle);

                if (c < 0)
                        return c;
                if (c == 0) {
                        *ret = middle;
                        return 1;
                }
                if (c == 1) /* less */
                        high = middle;
                else
                        low = middle + 1;
        }
        *ret = low;
        return 0;
}

static int insert_at(size_t **order, size_t *n, size_t at, size_t value) {
        size_t *place = IMAGE_APPEND(*order, *n);

        if (!place)
                return -ENOMEM;
        memmove(*order + at + 1, *order + at, (*n - 1 - at) * sizeof(size_t));
        (*order)[at] = value;
        return 0;
}

/* ---- fdinfo ---- */

static const char *info_line(const char *info, const char *key) {
        size_t n = strlen(key);

        for (const char *p = info; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
                if (strncmp(p, key, n) == 0) {
                        p += n;
                        return p + strspn(p, ": \t");
                }
        return NULL;
}

static uint64_t info_number(const char *info, const char *key, int base) {
        const char *p = info_line(info, key);

        return p ? strtoull(p, NULL, base) : 0;
}

int files_refuse(const FileContext *context, const char *format, ...) {
        char text[256], who[96];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (context->pid == context->files->save->processes[context->process].pid)
                save_refuse(context->files->save, "%s fd %d: %s (%s)", save_who(context->files->save, context->process, who),
                            context->number, text, context->link);
        else
                save_refuse(context->files->save, "%s: on its way in a socket: %s (%s)",
                            save_who(context->files->save, context->process, who), text, context->link);
        return 0;
}

void files_refuse_index(Files *files, uint32_t index, const char *format, ...) {
        const Known *known = files->known + index;
        const FileContext context = {
                .files = files, .process = known->process, .pid = known->pid, .number = known->number, .index = index,
                .link = files->save->image->files[index].was,
        };
        char text[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void) files_refuse(&context, "%s", text);
}

/* ---- kinds ---- */

static int describe_eventfd(FileContext *context, ImageFile *file) {
        file->kind = IMAGE_FILE_EVENTFD;
        file->value = info_number(context->info, "eventfd-count", 16);
        file->semaphore = info_number(context->info, "eventfd-semaphore", 10) != 0;
        return 0;
}

static uint64_t info_time(const char *info, const char *key) {
        const char *p = info_line(info, key);
        uint64_t sec = 0, nsec = 0;

        return p && sscanf(p, "(%" SCNu64 ", %" SCNu64 ")", &sec, &nsec) == 2 ? sec * 1000000000U + nsec : 0;
}

static int read_info(pid_t pid, int number, char **ret) {
        char name[64];

        (void) snprintf(name, sizeof(name), "fdinfo/%d", number);
        return save_read_proc(pid, name, ret);
}

/* The timer runs on while we look. Being asked makes one with a period count what has expired since it was last read, which
 * fdinfo alone does not show; one that expires between the question and the look is asked again. */
static int describe_timerfd(FileContext *context, ImageFile *file) {
        Save *save = context->files->save;
        uint64_t since = 0;

        file->kind = IMAGE_FILE_TIMERFD;
        file->clock = (int32_t) info_number(context->info, "clockid", 10);
        file->timer_flags = (uint32_t) info_number(context->info, "settime flags", 8) & 3;
        for (unsigned i = 0; i < TIMERFD_TRIES; i++) {
                _cleanup_free_ char *info = NULL;
                struct itimerspec value;
                int r;

                if (timerfd_gettime(context->fd, &value) < 0)
                        return -errno;
                since = save_now() - save->times.clocks;
                r = read_info(context->pid, context->number, &info);
                if (r < 0)
                        return r;
                file->value = info_number(info, "ticks", 10);
                file->value_ns = (uint64_t) value.it_value.tv_sec * 1000000000U + (uint64_t) value.it_value.tv_nsec;
                file->interval_ns = (uint64_t) value.it_interval.tv_sec * 1000000000U + (uint64_t) value.it_interval.tv_nsec;
                if (file->value_ns == 0 || info_time(info, "it_value") != 0)
                        break;
        }
        if (file->value_ns != 0)
                file->value_ns = MIN(file->value_ns + since, (uint64_t) INT64_MAX);
        return 0;
}

static int describe_signalfd(FileContext *context, ImageFile *file) {
        file->kind = IMAGE_FILE_SIGNALFD;
        file->value = info_number(context->info, "sigmask", 16);
        return 0;
}

/* The target's index is found when all files are known. */
static int describe_epoll(FileContext *context, ImageFile *file) {
        const char *p = context->info;

        file->kind = IMAGE_FILE_EPOLL;
        while ((p = strstr(p, "tfd:"))) {
                ImageWatch watch = { .file = IMAGE_NONE };
                ImageWatch *entry;

                if (sscanf(p, "tfd: %" SCNd32 " events: %" SCNx32 " data: %" SCNx64, &watch.number, &watch.events, &watch.data) != 3)
                        return -EIO;
                entry = IMAGE_APPEND(file->watches, file->n_watches);
                if (!entry)
                        return -ENOMEM;
                *entry = watch;
                p += 4;
        }
        return 0;
}

static int describe_pidfd(FileContext *context, ImageFile *file) {
        const char *p = info_line(context->info, "NSpid"), *end;
        Save *save = context->files->save;
        int pid;

        file->kind = IMAGE_FILE_PIDFD;
        if (!p || *p == '-')
                return files_refuse(context, "a pidfd of a process that has ended");
        end = strchrnul(p, '\n');
        while (end > p && end[-1] != '\t' && end[-1] != ' ')
                end--;
        pid = atoi(end);
        for (size_t i = 0; i < save->n_processes; i++)
                if (save->processes[i].id == pid) {
                        file->value = (uint64_t) pid;
                        return 0;
                }
        return files_refuse(context, "a pidfd of a process outside of the sandbox");
}

static int describe_memfd(FileContext *context, ImageFile *file, const struct stat *st) {
        Save *save = context->files->save;
        _cleanup_free_ char *name = strndup(context->link + strlen("/memfd:"),
                                            strlen(context->link) - strlen("/memfd:") - strlen(" (deleted)"));
        ImageObject *image;
        SaveObject *object;
        int seals;

        if (!name)
                return -ENOMEM;
        file->kind = IMAGE_FILE_MEMFD;
        file->object = save_object(save, IMAGE_OBJECT_MEMFD, st->st_dev, st->st_ino, name);
        if (file->object == IMAGE_NONE)
                return -ENOMEM;
        object = save->objects + file->object;
        image = save->image->objects + file->object;
        if (object->fd < 0) {
                object->fd = fcntl(context->fd, F_DUPFD_CLOEXEC, 16);
                if (object->fd < 0)
                        return -errno;
        }
        image->uid = save_uid_inside(save, false, st->st_uid);
        image->gid = save_uid_inside(save, true, st->st_gid);
        seals = fcntl(context->fd, F_GET_SEALS);
        image->seals = seals < 0 ? 0 : (uint32_t) seals;
        if (st->st_blksize > (blksize_t) IMAGE_PAGE && st->st_blksize >= 1 << 21)
                return files_refuse(context, "a memfd of huge pages");
        return 0;
}

static int describe_deleted(FileContext *context, ImageFile *file, const struct stat *st) {
        Save *save = context->files->save;
        _cleanup_free_ char *name = strdup(context->link);
        SaveObject *object;
        size_t n = name ? strlen(name) : 0;

        if (!name)
                return -ENOMEM;
        if (n > 10 && streq(name + n - 10, " (deleted)"))
                name[n - 10] = '\0';
        file->object = save_object(save, IMAGE_OBJECT_DELETED, st->st_dev, st->st_ino, name);
        if (file->object == IMAGE_NONE)
                return -ENOMEM;
        object = save->objects + file->object;
        save->image->objects[file->object].uid = save_uid_inside(save, false, st->st_uid);
        save->image->objects[file->object].gid = save_uid_inside(save, true, st->st_gid);
        if (object->fd < 0) {
                object->fd = save_reopen(context->fd, O_RDONLY); /* it may be open for writing only */
                if (object->fd < 0)
                        return files_refuse(context, "a deleted file that cannot be read");
        }
        return 0;
}

static int describe_locks(FileContext *context, ImageFile *file) {
        int32_t pid = context->files->save->processes[context->process].id;

        for (const char *p = context->info; (p = strstr(p, "lock:\t")); p++) {
                char kind[16], mode[16], access[16], end[32];
                ImageLock *lock;
                uint64_t start;

                if (sscanf(p, "lock:\t%*d: %15s %15s %15s %*d %*x:%*x:%*u %" SCNu64 " %31s", kind, mode, access, &start, end) != 5)
                        return files_refuse(context, "a lease");
                if (!streq(kind, "POSIX") && !streq(kind, "FLOCK") && !streq(kind, "OFDLCK"))
                        return files_refuse(context, "a lock of a kind that is not saved yet: %s", kind);
                lock = IMAGE_APPEND(file->locks, file->n_locks);
                if (!lock)
                        return -ENOMEM;
                *lock = (ImageLock) {
                        .type = streq(kind, "POSIX") ? 'p' : streq(kind, "FLOCK") ? 'f' : 'o',
                        .write = streq(access, "WRITE"),
                        .pid = streq(kind, "POSIX") ? pid : 0,
                        .start = start,
                        .end = streq(end, "EOF") ? UINT64_MAX : strtoull(end, NULL, 10),
                };
        }
        return 0;
}

static int describe_path(FileContext *context, ImageFile *file, const struct stat *st) {
        Save *save = context->files->save;
        int r;

        r = save_place(save, context->link, st->st_ino, &file->place);
        if (S_ISREG(st->st_mode)) {
                file->kind = IMAGE_FILE_REGULAR;
                if (r < 0 && st->st_nlink == 0 && !(file->flags & O_PATH))
                        return describe_deleted(context, file, st);
        } else if (S_ISDIR(st->st_mode))
                file->kind = IMAGE_FILE_DIRECTORY;
        else if (S_ISFIFO(st->st_mode))
                return describe_pipe(context, file, st);
        else if (S_ISCHR(st->st_mode)) {
                file->kind = major(st->st_rdev) == 5 && minor(st->st_rdev) == 0 ? IMAGE_FILE_TTY : IMAGE_FILE_DEVICE;
                file->rdev = st->st_rdev;
                if (info_line(context->info, "tty-index") || (major(st->st_rdev) >= 136 && major(st->st_rdev) <= 143))
                        return describe_pty(context, file, st);
        } else if (!(file->flags & O_PATH))
                return files_refuse(context, "a file of a kind that is not saved yet");
        if (file->flags & O_PATH)
                file->kind = IMAGE_FILE_PATH;
        if (r == -ENOENT)
                return files_refuse(context, "it is not there any more: it was removed or replaced, or hidden by a mount");
        return r < 0 ? r : describe_locks(context, file);
}

/* Whether a mount is one of the sandbox's. */
static bool is_mounted(const Files *files, uint64_t id) {
        for (size_t i = 0; i < files->n_mounts; i++)
                if (files->mounts[i] == id)
                        return true;
        return false;
}

static int describe(FileContext *context, ImageFile *file) {
        static const struct {
                const char *link;
                int (*function)(FileContext *context, ImageFile *file);
        } kinds[] = {
                { "anon_inode:[eventfd]", describe_eventfd },   { "anon_inode:[timerfd]", describe_timerfd },
                { "anon_inode:[signalfd]", describe_signalfd }, { "anon_inode:[eventpoll]", describe_epoll },
                { "anon_inode:[pidfd]", describe_pidfd },       { "anon_inode:inotify", describe_inotify },
                { "pidfd:", describe_pidfd },                   { "anon_inode:[pidfs]", describe_pidfd },
        };
        struct stat st;
        int r;

        if (fstat(context->fd, &st) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (startswith(context->link, kinds[i].link))
                        return kinds[i].function(context, file);
        if (startswith(context->link, "pipe:"))
                return describe_pipe(context, file, &st);
        if (startswith(context->link, "socket:"))
                return describe_socket(context, file, &st);
        if (startswith(context->link, "/memfd:"))
                return describe_memfd(context, file, &st);
        if (context->link[0] != '/')
                return files_refuse(context, "a file of a kind that is not saved yet");
        if (!(file->flags & O_PATH) && is_mqueue(context->fd, &st))
                return describe_mqueue(context, file, &st);
        if (!is_mounted(context->files, info_number(context->info, "mnt_id", 10))) {
                file->rdev = S_ISCHR(st.st_mode) ? st.st_rdev : 0;
                r = S_ISCHR(st.st_mode) && !(file->flags & O_PATH) ? describe_modes(context, file) : 0;
                return r < 0 ? r : files_outside(context, file, &st);
        }
        return describe_path(context, file, &st);
}

/* ---- descriptions ---- */

typedef struct Wanted {
        Files *files;
        pid_t pid;
        int number;
} Wanted;

static int compare_file(void *userdata, size_t i) {
        const Wanted *wanted = userdata;
        const Known *known = wanted->files->known + wanted->files->order[i];

        return kcmp(wanted->pid, known->pid, KCMP_FILE, (unsigned long) wanted->number, (unsigned long) known->number);
}

static int32_t owner_inside(const Save *save, pid_t pid) {
        for (size_t i = 0; i < save->n_threads; i++)
                if (save->threads[i].tid == pid)
                        return save->threads[i].id;
        return 0;
}

static void describe_owner(const FileContext *context, ImageFile *file) {
        struct {
                int type, pid;
        } owner = {};
        int signo;

        if (fcntl(context->fd, F_GETOWN_EX, &owner) >= 0 && owner.pid > 0) {
                file->owner = owner_inside(context->files->save, owner.pid);
                file->owner_type = owner.type;
        }
        signo = fcntl(context->fd, F_GETSIG);
        file->signal = signo > 0 ? signo : 0;
}

/* fd: a copy of the descriptor, which becomes the file's. */
static int new_file(Files *files, size_t process, pid_t pid, int number, int descriptor, size_t at, uint32_t *ret) {
        Save *save = files->save;
        bool flying = pid != save->processes[process].pid;
        _cleanup_free_ char *info = NULL, *link = NULL;
        _cleanup_close_ int fd = descriptor;
        FileContext context = { .files = files, .process = process, .pid = pid, .number = number };
        ImageFile *file;
        Known *known;
        char name[64];
        int r;

        r = read_info(pid, number, &info);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "fd/%d", fd); /* of ours: the directory of another user's is closed to us */
        r = save_read_link(getpid(), name, &link);
        if (r < 0)
                return r;
        known = IMAGE_APPEND(files->known, files->n_known);
        if (!known || insert_at(&files->order, &files->n_order, at, files->n_known - 1) < 0)
                return -ENOMEM;
        file = IMAGE_APPEND(save->image->files, save->image->n_files);
        if (!file)
                return -ENOMEM;
        *known = (Known) { .pid = pid, .number = number, .process = process, .fd = -EBADF, .flying = flying };
        *file = (ImageFile) {
                .object = IMAGE_NONE,
                .outside = IMAGE_NONE,
                .flags = (uint32_t) info_number(info, "flags", 8) & ~(uint32_t) O_CLOEXEC,
                .position = info_number(info, "pos", 10),
                .was = strdup(link),
        };
        if (!file->was)
                return -ENOMEM;
        context.fd = fd;
        context.info = info;
        context.link = link;
        context.index = (uint32_t) (save->image->n_files - 1);
        if (!(file->flags & O_PATH))
                describe_owner(&context, file);
        *ret = context.index;
        r = describe(&context, file);
        if (r >= 0 && (flying || file->kind == IMAGE_FILE_PIPE || file->kind == IMAGE_FILE_FIFO || file->kind == IMAGE_FILE_UNIX ||
                       file->kind == IMAGE_FILE_INET || file->kind == IMAGE_FILE_PTY || file->kind == IMAGE_FILE_TIMERFD ||
                       file->kind == IMAGE_FILE_MQUEUE))
                known->fd = TAKE_FD(fd); /* looked at again when all are known */
        return r;
}

int files_add_flying(Files *files, size_t process, int fd, uint32_t *ret) {
        Wanted wanted = { files, getpid(), fd };
        size_t at = 0;
        int r;

        r = find_in_order(files->n_order, compare_file, &wanted, &at);
        if (r < 0)
                return r;
        if (r > 0) {
                *ret = (uint32_t) files->order[at];
                return 0;
        }
        r = new_file(files, process, wanted.pid, fd, fd, at, ret);
        return r < 0 ? r : 1;
}

static int add_fd(Files *files, size_t process, int pidfd, int number, ImageFdTable *table) {
        Save *save = files->save;
        Wanted wanted = { files, save->processes[process].pid, number };
        _cleanup_free_ char *info = NULL;
        uint32_t index = 0;
        ImageFd *fd;
        size_t at = 0;
        int r;

        r = read_info(wanted.pid, number, &info);
        if (r < 0)
                return r;
        r = find_in_order(files->n_order, compare_file, &wanted, &at);
        if (r < 0)
                return r;
        if (r > 0) {
                index = (uint32_t) files->order[at];
                if (save->image->files[index].kind == IMAGE_FILE_OUTSIDE)
                        save->image->files[index].outside = MIN(save->image->files[index].outside, (uint32_t) number);
                else if (save->image->files[index].kind == IMAGE_FILE_REGULAR && strstr(info, "\nlock:")) {
                        FileContext context = {
                                .files = files, .process = process, .pid = wanted.pid, .number = number, .info = info, .link = "",
                        };
                        ImageFile *file = save->image->files + index;
                        size_t before = file->n_locks;

                        /* What is of the description is known; what is of the process may be new. */
                        r = describe_locks(&context, file);
                        for (size_t i = before; i < file->n_locks;)
                                if (file->locks[i].type != 'p')
                                        file->locks[i] = file->locks[--file->n_locks];
                                else
                                        i++;
                        if (r < 0)
                                return r;
                }
        } else {
                int copy = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);

                r = copy < 0 ? -errno : new_file(files, process, wanted.pid, number, copy, at, &index);
                if (r < 0)
                        return r;
        }
        fd = IMAGE_APPEND(table->items, table->n);
        if (!fd)
                return -ENOMEM;
        *fd = (ImageFd) { .number = number, .file = index, .cloexec = info_number(info, "flags", 8) & O_CLOEXEC };
        return 0;
}

static int compare_numbers(const void *a, const void *b) {
        int x = *(const int *) a, y = *(const int *) b;

        return x < y ? -1 : x > y;
}

static int list_numbers(pid_t pid, int **ret, size_t *ret_n) {
        _cleanup_(closedirp) DIR *dir = NULL;
        _cleanup_free_ int *numbers = NULL;
        struct dirent *entry;
        char path[64];
        size_t n = 0;
        int number, fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
        fd = save_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return -ENOMEM;
        }
        while ((entry = readdir(dir)))
                if (safe_atoi(entry->d_name, &number) >= 0) {
                        int *place = n < TABLE_FDS_MAX ? IMAGE_APPEND(numbers, n) : NULL;

                        if (!place)
                                return -ENOMEM;
                        *place = number;
                }
        qsort(numbers, n, sizeof(int), compare_numbers);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}

static int compare_table(void *userdata, size_t i) {
        const Wanted *wanted = userdata;
        size_t process = wanted->files->table_process[wanted->files->table_order[i]];

        return kcmp(wanted->pid, wanted->files->save->processes[process].pid, KCMP_FILES, 0, 0);
}

static int save_table(Files *files, size_t process) {
        Save *save = files->save;
        Wanted wanted = { .files = files, .pid = save->processes[process].pid };
        _cleanup_free_ int *numbers = NULL;
        _cleanup_close_ int pidfd = -EBADF;
        ImageFdTable *table;
        size_t at = 0, n = 0, *owner;
        int r;

        r = find_in_order(files->n_table_order, compare_table, &wanted, &at);
        if (r < 0)
                return r;
        if (r > 0) {
                save->image->processes[process].fd_table = (uint32_t) files->table_order[at];
                return 0;
        }
        table = IMAGE_APPEND(save->image->fd_tables, save->image->n_fd_tables);
        owner = IMAGE_APPEND(files->table_process, files->n_table_process);
        if (!table || !owner || insert_at(&files->table_order, &files->n_table_order, at, files->n_table_process - 1) < 0)
                return -ENOMEM;
        *owner = process;
        save->image->processes[process].fd_table = (uint32_t) (save->image->n_fd_tables - 1);

        pidfd = (int) syscall(SYS_pidfd_open, wanted.pid, 0);
        if (pidfd < 0)
                return -errno;
        r = list_numbers(wanted.pid, &numbers, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = add_fd(files, process, pidfd, numbers[i], table);
                if (r < 0) {
                        char who[96];

                        return save_fail(save, r, "%s fd %d: cannot be read: %s", save_who(save, process, who), numbers[i],
                                         strerror(-r));
                }
        }
        return r;
}

/* Threads of a process may have tables of their own, which nobody does. */
static void check_threads(Files *files, size_t process) {
        const SaveProcess *p = files->save->processes + process;
        char who[96];

        for (size_t i = 1; i < p->n_threads; i++) {
                const SaveThread *thread = files->save->threads + p->first + i;

                if (kcmp(p->pid, thread->tid, KCMP_FILES, 0, 0) > 0 || kcmp(p->pid, thread->tid, KCMP_FS, 0, 0) > 0)
                        save_refuse(files->save, "%s: thread %" PRId32 " has descriptors or a working directory of its own",
                                    save_who(files->save, process, who), thread->id);
        }
}

static void check_sharing(Files *files, size_t process) {
        Save *save = files->save;
        char who[96];

        for (size_t i = 0; i < process; i++) {
                if (save->image->processes[i].state == IMAGE_TASK_ZOMBIE)
                        continue;
                if (kcmp(save->processes[process].pid, save->processes[i].pid, KCMP_VM, 0, 0) == 0)
                        save_refuse(save, "%s: it shares its memory with process %" PRId32 " (CLONE_VM)",
                                    save_who(save, process, who), save->processes[i].id);
                if (save->image->processes[process].fs_with == IMAGE_NONE &&
                    kcmp(save->processes[process].pid, save->processes[i].pid, KCMP_FS, 0, 0) == 0)
                        save->image->processes[process].fs_with = (uint32_t) i;
        }
}

/* ---- epoll ---- */

typedef struct Target {
        Files *files;
        const Known *epoll;
        struct kcmp_epoll_slot slot;
} Target;

static int compare_target(void *userdata, size_t i) {
        const Target *target = userdata;
        const Known *known = target->files->known + target->files->order[i];
        int c;

        /* The epoll is the second of the two here. */
        c = kcmp(known->pid, target->epoll->pid, KCMP_EPOLL_TFD, (unsigned long) known->number, (unsigned long) &target->slot);
        return c == 1 ? 2 : c == 2 ? 1 : c;
}

static int find_targets(Files *files, uint32_t index) {
        ImageFile *file = files->save->image->files + index;
        Known *known = files->known + index;

        for (size_t i = 0; i < file->n_watches; i++) {
                Target target = {
                        .files = files,
                        .epoll = known,
                        .slot = { .efd = (uint32_t) known->number, .tfd = (uint32_t) file->watches[i].number },
                };
                char who[96];
                size_t at;
                int r;

                /* Several files may have been added under one number. */
                for (size_t j = 0; j < i; j++)
                        target.slot.toff += file->watches[j].number == file->watches[i].number;
                r = find_in_order(files->n_order, compare_target, &target, &at);
                if (r < 0)
                        return r;
                if (r > 0)
                        file->watches[i].file = (uint32_t) files->order[at];
                else
                        save_refuse(files->save, "%s fd %d: its epoll watches a file (%" PRId32 ") that nobody has open any more",
                                    save_who(files->save, known->process, who), known->number, file->watches[i].number);
        }
        return 0;
}

/* ---- all ---- */

static int read_mounts(Files *files) {
        const char *p = files->save->mountinfo;

        while (p && *p) {
                uint64_t *id = IMAGE_APPEND(files->mounts, files->n_mounts);

                if (!id)
                        return -ENOMEM;
                *id = strtoull(p, NULL, 10);
                p = strchr(p, '\n');
                p = p ? p + 1 : NULL;
        }
        return 0;
}

static void files_done(Files *files) {
        for (size_t i = 0; i < files->n_known; i++)
                safe_close(files->known[i].fd);
        free(files->known);
        free(files->order);
        free(files->table_order);
        free(files->table_process);
        free(files->mounts);
        free(files->sockets);
        free(files->mqueues);
}

/* One that is due and that the kernel has not come to yet says neither that it expires nor that it has: by now it has. */
static int look_again(Files *files) {
        for (uint32_t i = 0; i < files->save->image->n_files; i++) {
                ImageFile *file = files->save->image->files + i;
                const Known *known = files->known + i;
                FileContext context = {
                        .files = files, .process = known->process, .pid = known->pid, .number = known->number, .fd = known->fd,
                };
                _cleanup_free_ char *info = NULL;
                int r;

                if (file->kind != IMAGE_FILE_TIMERFD || file->value_ns != 0 || file->value != 0)
                        continue;
                r = read_info(known->pid, known->number, &info);
                context.info = info;
                if (r >= 0)
                        r = describe_timerfd(&context, file);
                if (r < 0)
                        return r;
        }
        return 0;
}

int save_files(Save *save) {
        _cleanup_(files_done) Files files = { .save = save };
        int r;

        r = read_mounts(&files);
        if (r >= 0)
                r = sockets_list(&files);
        for (size_t i = 0; r >= 0 && i < save->n_processes; i++) {
                if (save->image->processes[i].state == IMAGE_TASK_ZOMBIE)
                        continue;
                check_sharing(&files, i);
                check_threads(&files, i);
                r = save_table(&files, i);
        }
        if (r >= 0)
                r = find_flying(&files);
        for (uint32_t i = 0; r >= 0 && i < save->image->n_files; i++)
                if (save->image->files[i].kind == IMAGE_FILE_EPOLL)
                        r = find_targets(&files, i);
        find_terminals(&files);
        if (r >= 0)
                r = look_again(&files);
        if (r >= 0)
                r = finish_pipes(&files);
        if (r >= 0)
                r = finish_sockets(&files);
        if (r >= 0) {
                find_status_pipe(&files);
                find_standard_streams(&files);
                check_flying(&files);
                r = finish_mqueues(&files);
                if (r >= 0)
                        r = finish_ptys(&files);
        }
        return r;
}
