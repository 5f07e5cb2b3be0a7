/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The directory of an instance, which outlives the process: the socket that sentry-kernels come to (kernels), an index
 * of the sandboxes there are (sandboxes/), the lock of the one who serves here. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum ManagerMode ManagerMode;

typedef struct Runtime {
        char *path;       /* owned; immutable */
        int fd;           /* owned; immutable: the directory, O_PATH */
        int sandboxes_fd; /* owned; immutable: its sandboxes/ */
        int lock_fd;      /* owned; immutable: locked; -EBADF where somebody else sees to there being one of us */
} Runtime;

#define RUNTIME_NONE { .fd = -EBADF, .sandboxes_fd = -EBADF, .lock_fd = -EBADF }

/* Opens the directory, makes what is missing. path: of an embedded instance, whose lock its starter has; NULL: the usual
 * one of the mode, and the lock is taken. Errors are logged. */
int runtime_open(Runtime *runtime, ManagerMode mode, const char *path);
/* Closes. Removes the directory's parts when no sandbox is in the index. */
void runtime_close(Runtime *runtime);

/* What the next manager must know of a sandbox and its sentry-kernel cannot be trusted with. */
typedef struct IndexEntry {
        char *name;         /* owned */
        uint32_t owner;     /* uid */
        char *profile_name; /* owned */
        char *profile;      /* owned: the resolved document */
        uint64_t made_usec; /* CLOCK_REALTIME */
} IndexEntry;

void index_entry_done(IndexEntry *entry);

/* Writes the file of a sandbox, which must not exist. Returns a description of it that can only be read, with the lock
 * that says that the sandbox lives. */
int index_write(const Runtime *runtime, const IndexEntry *entry);

/* Reads a file of the index. -EBADMSG with a word about why in the log. */
int index_read(const Runtime *runtime, const char *name, IndexEntry *ret);

/* Takes the lock of a sandbox. Returns a description of its file with it, -EWOULDBLOCK while the sandbox lives, -ENOENT. */
int index_lock(const Runtime *runtime, const char *name);

/* Whether fd, which somebody sent, is a description of the file of that name. */
bool index_is(const Runtime *runtime, const char *name, int fd);

/* Forgets a sandbox, as far as it is there. */
void index_remove(const Runtime *runtime, const char *name);

/* The names of all files, a string vector. What is no name of a sandbox is removed. */
int index_list(const Runtime *runtime, char ***ret);
