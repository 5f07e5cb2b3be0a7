/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the steps of a restore share. Everything here belongs to the one thread that traces the sandbox, except what
 * RestoreAnswers says. Order of the steps: restore.c. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "image.h"
#include "inject.h"
#include "restore.h"

#define RESTORE_SCRATCH_SIZE (256U << 10) /* bytes for arguments of injected calls */
#define RESTORE_SPECIALS_MAX 6U           /* mappings of the kernel's own: vvar and the like, vdso */

/* A mapping that the kernel makes with every program and that cannot be made otherwise. */
typedef struct RestoreSpecial {
        char name[32];  /* "[vdso]" */
        uint64_t size;
        uint64_t parked; /* where it is until it comes home */
} RestoreSpecial;

/* Who answers the calls that the filter notifies, with "go on", and gives descriptors away: a thread of its own, because
 * the one that traces waits for the end of the calls. */
typedef struct RestoreAnswers {
        pthread_t thread;
        bool runs;
        int listener;         /* not owned */
        int stop_fds[2];      /* owned: a pipe; closing the second one ends the thread */
        pthread_mutex_t lock; /* holds what follows */
        int give_fd;          /* to be added to the next caller's descriptors; -EBADF: none. Not owned */
        int give_number;      /* under this number */
        int give_result;
} RestoreAnswers;

/* A file that is mapped and not open, open in the first process. */
typedef struct RestoreMapped {
        const char *path; /* the image's */
        bool write;
        int number;
} RestoreMapped;

typedef struct RestorePipe {
        uint64_t id;
        int ends[2];   /* numbers in the first process */
        bool taken[2]; /* by a description of the image */
} RestorePipe;

typedef struct RestoreProcess {
        const ImageProcess *image;
        unsigned index;         /* in the image */
        Inject inject;          /* of its first thread; tid 0: not made yet */
        pid_t *threads;         /* owned: of each of image->threads, as we number them; 0: not made yet */
        bool zombie;            /* it has ended as it shall */
} RestoreProcess;

struct Restore {
        RestoreOptions options;  /* immutable */
        const Image *image;      /* immutable */
        ImageReader *reader;     /* of the image's bytes; not owned */
        RestoreAnswers answers;
        RestoreProcess *processes; /* owned: of the image's, in their order */

        uint64_t park;           /* an area that is free in all processes: specials, then scratch */
        uint64_t park_size;
        uint64_t scratch;
        RestoreSpecial specials[RESTORE_SPECIALS_MAX];
        unsigned n_specials;
        uint64_t vdso_parked;    /* of the specials */
        uint64_t ip_offset;      /* of the call instruction in the vdso */

        int base;                /* descriptors from here on are ours, and closed at the end */
        int *files;              /* owned: number of each of image->files in the first process, or -1 */
        int *others;             /* owned: likewise of their other ends, that nobody has and that are needed a while */
        int *objects;            /* owned: likewise of image->objects, open for reading and writing */
        int *mqueues;            /* owned: likewise of image->mqueues, open for reading and writing */
        int *page_files;         /* owned: likewise of image->page_files */
        RestoreMapped *mapped;   /* owned */
        size_t n_mapped;
        RestorePipe *pipes;      /* owned */
        size_t n_pipes;
        int next;                /* number that the next descriptor of ours gets */

        int status_number;       /* of sentry-stub's status pipe */
        int next_id_numbers[3];  /* of shm_next_id, msg_next_id and sem_next_id of /proc/sys/kernel there, or -1 */
        int status_fd;           /* owned: the launcher's status pipe, by which it hears */
        char *message;           /* owned: what failed first */
};

/* Records what failed, unless something is recorded already. Returns r: `return restore_fail(…);`. */
int restore_fail(Restore *restore, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A call in a process that must not fail: its result, or an error after restore_fail(). what: for the message. */
int64_t restore_call_array(Restore *restore, RestoreProcess *process, const char *what, long number,
                           const uint64_t arguments[static 6]);
#define restore_call(restore, process, what, number, ...) \
        restore_call_array((restore), (process), (what), (number), (const uint64_t[6]) { __VA_ARGS__ })

/* Puts bytes to an offset of the process's scratch memory. Returns 0 with their address there. */
int restore_put(Restore *restore, RestoreProcess *process, size_t offset, const void *data, size_t size, uint64_t *ret);

/* Bytes of the image; the caller frees. */
int restore_blob(Restore *restore, const ImageBlob *blob, char **ret);
/* Memory of the image to a file, at the run's address. */
int restore_run_to_file(Restore *restore, const ImageRun *run, int fd);
/* Or to a process. */
int restore_run_to_process(Restore *restore, const ImageRun *run, pid_t tid);

/* restore-attach.c: the first process, from when it knocks until it consists of the specials and scratch alone. */
int restore_attach(Restore *restore);
void restore_detach_answers(Restore *restore);
/* Gives a process a descriptor of ours under this number. */
int restore_give_fd(Restore *restore, RestoreProcess *process, int fd, int number);
int restore_park(Restore *restore);

/* restore-tree.c: all other processes, with their sessions and groups, and threads. */
int restore_tree(Restore *restore);
int restore_zombies(Restore *restore);
/* Takes away what the end or stop of a child left with its parent. */
int restore_forget_signal(Restore *restore, const ImageProcess *child);
int restore_threads(Restore *restore, RestoreProcess *process);

/* restore-memory.c: everything that is mapped. */
int restore_find_hole(Restore *restore, uint64_t size);
int restore_objects(Restore *restore);
int restore_seals(Restore *restore);
int restore_mapped_files(Restore *restore);

/* restore-ipc.c: System V IPC; then, in each process before it has threads, what semaphores owe it, and in another round whom
 * they know as the last one; then, when all memory is attached, owners and modes. */
int restore_ipc(Restore *restore);
int restore_undo(Restore *restore, RestoreProcess *process);
int restore_last_changes(Restore *restore, RestoreProcess *process);
int restore_ipc_owners(Restore *restore);

/* restore-mqueues.c: POSIX message queues; then, when all are open that shall be, owners and modes. */
int restore_mqueues(Restore *restore);
int restore_mqueue_owners(Restore *restore);

/* Maps shared memory of System V. */
int restore_attach_memory(Restore *restore, RestoreProcess *process, const ImageMap *map);

/* restore-tmpfs.c: what was in file systems of the sandbox that are in memory. */
int restore_tmpfs(Restore *restore);
/* restore-fill.c: these runs into the memory of a process, where they may be written to. */
int restore_fill(Restore *restore, RestoreProcess *process, const ImageRun *runs, size_t n);
int restore_memory(Restore *restore, RestoreProcess *process);

/* restore-files.c: open files in the first process; then those of each process under their numbers. */
int restore_files(Restore *restore);
int restore_late_files(Restore *restore);
int restore_epolls(Restore *restore);
int restore_fd_table(Restore *restore, RestoreProcess *process);
/* Moves a descriptor of the first process to where ours are: its number there. */
int restore_take_number(Restore *restore, int64_t number);
/* A copy of a descriptor of the first process for us, or an error. */
int restore_borrow_fd(Restore *restore, int number);
int restore_borrow_from(Restore *restore, RestoreProcess *process, int number);
/* Opens a path of the sandbox in the process: its number there. */
int64_t restore_open(Restore *restore, RestoreProcess *process, const ImagePlace *place, uint64_t flags);

/* restore-sockets.c: sockets. Number in the first process, not yet among ours. */
int64_t restore_socket(Restore *restore, const ImageFile *file);
int restore_shutdown(Restore *restore, const ImageSocket *socket, int number);
/* restore-queues.c: what a UNIX socket has to read, by its other end, which has this number in the first process. */
int restore_queue(Restore *restore, const ImageSocket *socket, int other);
/* Those that have to wait until all files and processes are there. */
int restore_late_queues(Restore *restore);
static inline bool socket_is_late(const ImageSocket *socket) { return socket->n_ancillary > 0; }
/* One of datagrams, of AF_UNIX, that hears whoever knows its address. */
static inline bool socket_is_unconnected(const ImageSocket *socket) {
        return socket->family == AF_UNIX && socket->type == SOCK_DGRAM && socket->peer == IMAGE_NONE && socket->address.size > 0;
}
int restore_socket_options(Restore *restore, const ImageFile *file, int number);
/* restore-datagrams.c: what UDP sockets have to read, when all sockets are there. */
int restore_datagrams(Restore *restore);
/* restore-tcp.c: a connection, with its other end, if that is in the image. Number in the first process, among ours. */
int restore_tcp(Restore *restore, const ImageFile *file);
/* What comes after all that listens. */
bool restore_is_connection(const ImageFile *file);

/* An inotify with its watches, in the first process; its number there, or a negative errno that has been told. */
int64_t restore_inotify(Restore *restore, const ImageFile *file);

/* restore-terminals.c: one side of a pseudo terminal; number in the first process, not yet among ours. Then, when all processes
 * are there, they are made those of the sessions; and the terminal of whoever restores is set, if the sandbox had one. */
int64_t restore_pty(Restore *restore, const ImageFile *file);
int restore_terminals(Restore *restore);

/* restore-state.c: what else a process and a thread have. */
int restore_process_state(Restore *restore, RestoreProcess *process);
int restore_limits(Restore *restore, RestoreProcess *process);
int restore_thread_state(Restore *restore, RestoreProcess *process, unsigned thread);
int restore_thread_registers(Restore *restore, RestoreProcess *process, unsigned thread);
/* Puts a process that was stopped by job control into that state. */
int restore_stop(Restore *restore, RestoreProcess *process);
