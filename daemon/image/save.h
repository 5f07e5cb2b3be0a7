/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Saving: what the parts of `sentry-imager save` share. One thread does all of it, but for the copying of memory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image-write.h"
#include "image.h"
#include "inject.h"
#include "profile.h"

#define SAVE_DEADLINE_NS (UINT64_C(10) * 1000000000U) /* for stopping all tasks */

typedef struct SaveThread {
        pid_t tid;          /* the host's */
        pid_t pid;          /* the host's, of its process */
        int32_t id;         /* the sandbox's */
        bool stopped;
        bool zombie;        /* not traced */
        int job_stop;       /* the signal by which job control has stopped its process; 0 */
        bool disturbed;     /* its registers are not its own: it has a guard */
        InjectState state;  /* what it goes on with, once it was read */
        bool has_state;
} SaveThread;

typedef struct SaveRange { /* memory to be copied */
        uint64_t start, end;
} SaveRange;

typedef struct SaveProcess {
        pid_t pid;            /* the host's */
        int32_t id;           /* the sandbox's */
        size_t first, n_threads; /* in Save.threads, the leader first */
        uint64_t tty;         /* of its session, as its stat has it; 0: none */
        int32_t tty_group;    /* in the foreground there */
        uint64_t vdso, vdso_size;
        uint64_t guard;       /* address of the guard's code, 0: no room for one */
        uint64_t call;        /* address of a syscall instruction: the guard's or the vDSO's */
        uint64_t scratch;     /* memory of ours in its own, 0: not there */
        uint64_t scratch_size; /* bytes that the guard unmaps there */
        bool guard_written;
        SaveRange *ranges;    /* owned: private pages to copy */
        size_t n_ranges;
} SaveProcess;

typedef struct SaveObject { /* where the contents of Image.objects[i] come from */
        uint64_t dev, ino;
        int fd;               /* owned; -EBADF: read it in the memory of pid */
        pid_t pid;
        uint64_t address, offset, size; /* the part that is mapped there */
        bool whole;           /* all of it is to be had */
} SaveObject;

typedef struct SaveTimes { /* ns of CLOCK_MONOTONIC */
        uint64_t begin, clocks, stopped, read, copied, done; /* clocks: when those of the image were read */
} SaveTimes;

typedef struct Save {
        /* The request */
        char *name, *sandbox;
        char *document;       /* of the profile */
        Profile *profile;
        char *container;
        uint32_t walls;
        int64_t started_usec;
        int compress;         /* level, 0: none */
        bool tcp_reset;       /* connections to the outside are saved as ones that were reset */
        pid_t init;           /* the host's */
        uint64_t *standard;   /* owned: device and inode of three standard streams, and three …: of all programs that were run */
        size_t n_standard;

        Image *image;
        ImageWriter writer;
        ImageStream *streams;
        size_t n_streams;
        SaveThread *threads;
        size_t n_threads;
        pid_t in_vfork;       /* the host's number of who was last found waiting for a child of vfork(2) */
        SaveProcess *processes; /* image->processes[i] is of processes[i] */
        size_t n_processes;
        SaveObject *objects;  /* image->objects[i] */
        size_t n_objects;
        uint64_t init_ns[8];  /* inodes of init's namespaces: save-tasks.c */
        int *tmpfs_fds;       /* owned: the root directory of image->tmpfs[i] */
        size_t n_tmpfs_fds;
        char *mountinfo;      /* of init */
        int root_fd;          /* init's root directory */
        char *reasons;        /* why it cannot be saved: lines */
        unsigned n_reasons;
        char *message;        /* an error that ended it */
        SaveTimes times;
} Save;

/* One more reason why the sandbox cannot be saved; the others are looked for before any is told. */
void save_refuse(Save *save, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What ends the save at once: error, with a message unless there is one. Returns error. */
int save_fail(Save *save, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint64_t save_now(void);
/* "pid 7 (python3)". */
const char *save_who(const Save *save, size_t process, char buffer[static 96]);

/* To sentry-kernel and back; save-main.c. -ECONNRESET when it is gone. 1: the sandbox ends. */
int save_say(uint32_t type, int64_t a, int64_t b, const char *text);
int save_await_go(void);

/* save-seize.c: stops all tasks of the sandbox, and lets them go on as if nothing had been. */
int save_seize(Save *save);
void save_release(Save *save);

/* save-calls.c: making calls in tasks, so that they go on by themselves should this process be killed meanwhile. */
int save_calls_begin(Save *save, SaveProcess *process);     /* before the first thread */
/* A thread that was stopped within a guard of an imager that was killed: what it was about to go on with is its state. */
void save_calls_adopt(const SaveProcess *process, SaveThread *thread);
int save_calls_thread(Save *save, SaveProcess *process, SaveThread *thread, Inject *ret);
int save_calls_thread_end(Save *save, SaveProcess *process, SaveThread *thread);
void save_calls_end(Save *save, SaveProcess *process, Inject *inject);
/* Once more for the first thread of a process, with `size` bytes of scratch, the first `mapped` of which are memory; the rest
 * is room for what the caller maps there. To be closed whatever happened, opening included. */
int save_calls_open(Save *save, size_t process, uint64_t size, uint64_t mapped, Inject *ret);
int save_calls_close(Save *save, SaveProcess *process, SaveThread *thread, Inject *inject);

/* Whether the namespace of this name in /proc/PID/ns is the host's. */
int save_is_in_our_namespace(const Save *save, const char *name);
/* save-ipc.c: System V IPC, when all is known of the tasks. */
int save_ipc(Save *save);
/* The index of the object of shared memory with this id; IMAGE_NONE without memory. */
uint32_t save_shared_memory(Save *save, int32_t id);

/* save-tasks.c */
int save_tasks(Save *save);

/* The timers of a process that the host keeps, into the image; by calls made in it, with its scratch memory. */
int save_host_timers(Save *save, size_t process, Inject *inject);
/* A place for so many bytes of scratch, far from what may grow; 0: none. */
uint64_t save_hole(const ImageProcess *image, uint64_t size);
uint32_t save_uid_inside(const Save *save, bool group, uint32_t id);
/* The host's pid for one of the sandbox; -ESRCH. */
pid_t save_host_pid(int32_t pid);

/* save-maps.c: what is mapped, and what of it has to be copied. */
int save_maps(Save *save, size_t process);
/* Whether a process has changed its root, which is refused: where what it has open and mapped lies, its paths do not say. */
bool save_has_other_root(Save *save, size_t index);
/* A file as it is now, of a path of the sandbox; its link text may end in " (deleted)". -ENOENT: there is none, or another. */
int save_place(Save *save, const char *path, uint64_t ino, ImagePlace *ret);
/* The index of the object with this inode; makes it. IMAGE_NONE without memory. */
uint32_t save_object(Save *save, ImageObjectKind kind, uint64_t dev, uint64_t ino, const char *name);

/* save-pages.c */
int save_pages(Save *save);

/* save-files.c */
int save_files(Save *save);

/* save-tmpfs.c */
int save_tmpfs(Save *save);

/* /proc/PID/NAME of a process by the host's number, whole; the caller frees. */
int save_read_proc(pid_t pid, const char *name, char **ret);
/* openat(2), with O_CLOEXEC: what another user of the sandbox alone may open is opened by the capabilities that its owner has
 * in its user namespace, once save_reach_set() has told which. From any thread. A descriptor, or a negative errno. */
int save_open(int dir_fd, const char *path, int flags);
/* The same by open_inside(); and of what is open already. */
int save_open_inside(int dir_fd, const char *path, int flags, uint64_t resolve);
int save_reopen(int fd, int flags);
void save_reach_set(pid_t init);
/* Takes us into the user namespace of the sandbox whose first process that is. */
int save_join_users(pid_t init);
/* /proc/PID/NAME as a link. */
int save_read_link(pid_t pid, const char *name, char **ret);
