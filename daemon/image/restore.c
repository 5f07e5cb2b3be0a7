/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The order of a restore. The launcher has built a sandbox as for any program, around sentry-stub; that becomes the first
 * process, which forks the others. Everybody is traced and never runs an instruction of its own until the end: calls are
 * made at the vDSO's call instruction, with all signals blocked. */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "failure.h"
#include "restore-internal.h"
#include "util.h"

#define SPECIALS_ROOM (1U << 20) /* bytes for what the kernel maps */
#define BASE_MIN 16

int restore_fail(Restore *restore, int r, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (restore->message)
                return r;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (text && r < 0 && asprintf(&restore->message, "%s: %s", text, strerror(-r)) < 0)
                restore->message = NULL;
        return r;
}

int64_t restore_call_array(Restore *restore, RestoreProcess *process, const char *what, long number,
                           const uint64_t arguments[static 6]) {
        int64_t r = inject_call_array(&process->inject, number, arguments);

        if (r < 0)
                (void) restore_fail(restore, (int) r, "process %d cannot %s", process->image->pid, what);
        return r;
}

int restore_put(Restore *restore, RestoreProcess *process, size_t offset, const void *data, size_t size, uint64_t *ret) {
        int r;

        if (offset > RESTORE_SCRATCH_SIZE / 2 || size > RESTORE_SCRATCH_SIZE / 2 - offset)
                return restore_fail(restore, -E2BIG, "process %d has a list that is too long (%zu bytes)", process->image->pid, size);
        r = inject_write(process->inject.tid, restore->scratch + offset, data, size);
        if (r < 0)
                return restore_fail(restore, r, "process %d: cannot write its memory", process->image->pid);
        *ret = restore->scratch + offset;
        return 0;
}

/* The reader's message, with what it was about. */
static int reader_failed(Restore *restore, int r, char *message) {
        if (!restore->message)
                restore->message = message;
        else
                free(message);
        return restore_fail(restore, r, "the image cannot be read");
}

int restore_blob(Restore *restore, const ImageBlob *blob, char **ret) {
        char *message = NULL;
        void *data = NULL;
        int r;

        r = image_reader_blob(restore->reader, blob, &data, &message);
        if (r < 0)
                return reader_failed(restore, r, message);
        *ret = data;
        return 0;
}

/* Hands out a run in pieces. */
static int for_each_piece(Restore *restore, const ImageRun *run, int (*function)(const void *data, size_t size, uint64_t address, int number),
                          int number) {
        _cleanup_free_ void *buffer = malloc(IMAGE_BLOCK);

        if (!buffer)
                return restore_fail(restore, -ENOMEM, "no memory");
        for (uint64_t done = 0; done < run->size;) {
                size_t size = (size_t) MIN((uint64_t) IMAGE_BLOCK, run->size - done);
                char *message = NULL;
                int r;

                r = image_reader_run(restore->reader, run, done, buffer, size, &message);
                if (r < 0)
                        return reader_failed(restore, r, message);
                r = function(buffer, size, run->address + done, number);
                if (r < 0)
                        return restore_fail(restore, r, "cannot write what the image has");
                done += size;
        }
        return 0;
}

static int to_file(const void *data, size_t size, uint64_t address, int fd) {
        for (const char *p = data; size > 0;) {
                ssize_t n = pwrite(fd, p, size, (off_t) address);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                p += n;
                address += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}

static int to_process(const void *data, size_t size, uint64_t address, int tid) {
        return inject_write(tid, address, data, size);
}

int restore_run_to_file(Restore *restore, const ImageRun *run, int fd) {
        return for_each_piece(restore, run, to_file, fd);
}

int restore_run_to_process(Restore *restore, const ImageRun *run, pid_t tid) {
        return for_each_piece(restore, run, to_process, tid);
}

/* ---- preparations ----------------------------------------------------------------------------------------------- */

static int *new_numbers(size_t n) {
        int *numbers = calloc(n + 1, sizeof(int));

        for (size_t i = 0; numbers && i < n; i++)
                numbers[i] = -1;
        return numbers;
}

/* What cannot be, said before anything is made. */
static int check(Restore *restore) {
        const Image *image = restore->image;

        if (image->n_processes == 0 || image->processes[0].pid != 1 || image->processes[0].state == IMAGE_TASK_ZOMBIE)
                return restore_fail(restore, -EBADMSG, "the image has no first process");
        for (size_t i = 0; i < image->n_processes; i++) {
                const ImageProcess *process = &image->processes[i];

                if (process->state == IMAGE_TASK_ZOMBIE)
                        continue;
                if (process->n_threads == 0 || process->threads[0].tid != process->pid)
                        return restore_fail(restore, -EBADMSG, "process %d has no first thread", process->pid);
                if (process->fs_with != IMAGE_NONE)
                        return restore_fail(restore, -EOPNOTSUPP, "process %d shares its working directory with another (CLONE_FS)",
                                            process->pid);
                for (size_t j = 0; j < i; j++)
                        if (image->processes[j].state != IMAGE_TASK_ZOMBIE && image->processes[j].fd_table == process->fd_table)
                                return restore_fail(restore, -EOPNOTSUPP, "processes %d and %d share their descriptors (CLONE_FILES)",
                                                    image->processes[j].pid, process->pid);
        }
        return 0;
}

/* Above all numbers that anybody has. */
static int find_base(const Image *image) {
        int base = BASE_MIN;

        for (size_t i = 0; i < image->n_fd_tables; i++)
                for (size_t j = 0; j < image->fd_tables[i].n; j++)
                        base = MAX(base, image->fd_tables[i].items[j].number + 1);
        for (size_t i = 0; i < image->n_files; i++) {
                if (image->files[i].kind == IMAGE_FILE_OUTSIDE)
                        base = MAX(base, (int) image->files[i].outside + 1);
                for (size_t j = 0; j < image->files[i].n_watches; j++)
                        base = MAX(base, image->files[i].watches[j].number + 1);
        }
        return base;
}

static int restore_new(ImageReader *reader, const RestoreOptions *options, Restore **ret) {
        Restore *restore;

        restore = calloc(1, sizeof(Restore));
        if (!restore)
                return -ENOMEM;
        restore->options = *options;
        restore->reader = reader;
        restore->image = reader->image;
        restore->status_fd = -EBADF;
        restore->status_number = -1;
        restore->answers = (RestoreAnswers) { .listener = options->listener, .stop_fds = { -EBADF, -EBADF }, .give_fd = -EBADF };
        (void) pthread_mutex_init(&restore->answers.lock, NULL);
        restore->base = restore->next = find_base(restore->image);
        restore->processes = calloc(restore->image->n_processes + 1, sizeof(RestoreProcess));
        restore->files = new_numbers(restore->image->n_files);
        restore->others = new_numbers(restore->image->n_files);
        restore->objects = new_numbers(restore->image->n_objects);
        restore->mqueues = new_numbers(restore->image->n_mqueues);
        restore->page_files = new_numbers(restore->image->n_page_files);
        *ret = restore;
        if (!restore->processes || !restore->files || !restore->others || !restore->objects || !restore->mqueues ||
            !restore->page_files)
                return -ENOMEM;
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                RestoreProcess *process = &restore->processes[i];

                process->image = &restore->image->processes[i];
                process->index = (unsigned) i;
                process->threads = calloc(process->image->n_threads + 1, sizeof(pid_t));
                if (!process->threads)
                        return -ENOMEM;
        }
        return 0;
}

Restore *restore_free(Restore *restore) {
        if (!restore)
                return NULL;
        restore_detach_answers(restore);
        (void) pthread_mutex_destroy(&restore->answers.lock);
        for (size_t i = 0; restore->processes && i < restore->image->n_processes; i++)
                free(restore->processes[i].threads);
        safe_close(restore->status_fd);
        free(restore->processes);
        free(restore->files);
        free(restore->others);
        free(restore->objects);
        free(restore->mqueues);
        free(restore->page_files);
        free(restore->mapped);
        free(restore->pipes);
        free(restore->message);
        free(restore);
        return NULL;
}

/* ---- the steps -------------------------------------------------------------------------------------------------- */

static int give_page_files(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_page_files; i++) {
                int r;

                r = restore_give_fd(restore, &restore->processes[0], restore->reader->page_fds[i], restore->next);
                if (r < 0)
                        return r;
                restore->page_files[i] = restore->next++;
        }
        return 0;
}

static int for_each_process(Restore *restore, int (*function)(Restore *restore, RestoreProcess *process)) {
        for (size_t i = 0; i < restore->image->n_processes; i++) {
                int r;

                if (restore->image->processes[i].state == IMAGE_TASK_ZOMBIE)
                        continue;
                r = function(restore, &restore->processes[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int stop_if_stopped(Restore *restore, RestoreProcess *process) {
        int r;

        if (process->image->state != IMAGE_TASK_STOPPED)
                return 0;
        r = restore_stop(restore, process);
        return r >= 0 && process->index > 0 ? restore_forget_signal(restore, process->image) : r;
}

static int thread_states(Restore *restore, RestoreProcess *process) {
        for (unsigned i = (unsigned) process->image->n_threads; i-- > 0;) { /* the leader last: it made the others */
                int r = restore_thread_state(restore, process, i);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Our own things go. */
static int clean(Restore *restore, RestoreProcess *process) {
        int r;

        if (restore_call(restore, process, "close what is ours", SYS_close_range, (uint64_t) restore->base, ~0U, 0) < 0)
                return -EIO;
        r = restore_limits(restore, process);
        if (r < 0)
                return r;
        if (restore_call(restore, process, "be dumpable or not", SYS_prctl, 4 /* PR_SET_DUMPABLE */, process->image->dumpable == 1) < 0 ||
            restore_call(restore, process, "unmap our memory", SYS_munmap, restore->scratch, RESTORE_SCRATCH_SIZE) < 0)
                return -EIO;
        return 0;
}

static int thread_registers(Restore *restore, RestoreProcess *process) {
        for (unsigned i = 0; i < process->image->n_threads; i++) {
                int r = restore_thread_registers(restore, process, i);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int prepare(Restore *restore) {
        int r;

        r = check(restore);
        if (r >= 0)
                r = restore_find_hole(restore, RESTORE_SCRATCH_SIZE + SPECIALS_ROOM);
        if (r >= 0)
                r = restore_attach(restore);
        if (r >= 0)
                r = restore_park(restore);
        if (r >= 0)
                r = give_page_files(restore);
        if (r >= 0)
                r = restore_tmpfs(restore);
        if (r >= 0)
                r = restore_objects(restore);
        if (r >= 0)
                r = restore_ipc(restore);
        if (r >= 0)
                r = restore_mqueues(restore);
        if (r >= 0)
                r = restore_mapped_files(restore);
        if (r >= 0)
                r = restore_files(restore);
        if (r >= 0)
                r = restore_tree(restore);
        if (r >= 0)
                r = restore_zombies(restore);
        if (r >= 0)
                r = restore_terminals(restore);
        if (r >= 0)
                r = restore_late_files(restore);
        if (r >= 0)
                r = restore_late_queues(restore);
        if (r >= 0)
                r = restore_datagrams(restore);
        if (r >= 0)
                r = restore_epolls(restore);
        if (r >= 0)
                r = for_each_process(restore, stop_if_stopped);
        if (r >= 0)
                r = for_each_process(restore, restore_memory);
        if (r >= 0)
                r = for_each_process(restore, restore_undo);
        if (r >= 0)
                r = for_each_process(restore, restore_last_changes);
        if (r >= 0)
                r = restore_ipc_owners(restore);
        if (r >= 0)
                r = restore_mqueue_owners(restore);
        if (r >= 0)
                r = restore_seals(restore);
        if (r >= 0)
                r = for_each_process(restore, restore_fd_table);
        if (r >= 0)
                r = for_each_process(restore, restore_threads);
        if (r >= 0)
                r = for_each_process(restore, restore_process_state);
        if (r >= 0)
                r = for_each_process(restore, thread_states);
        if (r >= 0)
                r = for_each_process(restore, clean);
        if (r >= 0)
                r = for_each_process(restore, thread_registers);
        return r;
}

int restore_prepare(ImageReader *reader, const RestoreOptions *options, Restore **ret, char **ret_message) {
        Restore *restore = NULL;
        int r;

        r = restore_new(reader, options, &restore);
        if (r >= 0)
                r = prepare(restore);
        *ret = restore;
        if (r < 0)
                *ret_message = restore && restore->message ? strdup(restore->message) : strdup(strerror(-r));
        return r;
}

static int detach(Restore *restore, RestoreProcess *process) {
        for (unsigned i = 0; i < process->image->n_threads; i++)
                if (ptrace(PTRACE_DETACH, process->threads[i], NULL, NULL) < 0)
                        return restore_fail(restore, -errno, "thread %d cannot be let go", process->image->threads[i].tid);
        return 0;
}

int restore_go(Restore *restore) {
        const LaunchFailure news = { .code = LAUNCH_NEWS_STARTED };

        restore_detach_answers(restore);
        (void) !write(restore->status_fd, &news, sizeof(news));
        return for_each_process(restore, detach);
}

void restore_tell(const Restore *restore, const char *message) {
        LaunchFailure failure = { .code = LAUNCH_EXIT_FAILURE };

        if (restore->status_fd < 0)
                return;
        (void) snprintf(failure.text, sizeof(failure.text), "cannot restore: %s", message);
        (void) !write(restore->status_fd, &failure, sizeof(failure));
}
