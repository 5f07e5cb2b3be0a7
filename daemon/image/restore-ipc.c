/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Objects of System V IPC, made by the first process with the ids that they had. What belongs to a process (SEM_UNDO, who
 * changed a semaphore last) each does for itself. Owners and modes come last: until then all of us may use them. */

#include <errno.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "image-read.h"
#include "restore-internal.h"
#include "util.h"

#define MODE_MEANWHILE 0777U /* nobody in there does anything */

static const char *kind_of(const ImageIpc *ipc) {
        return ipc->type == 'm' ? "shared memory" : ipc->type == 's' ? "semaphore set" : "message queue";
}

static int fail_ipc(Restore *restore, const ImageIpc *ipc, int64_t r, const char *what) {
        return restore_fail(restore, (int) r, "System V %s %d cannot be %s", kind_of(ipc), ipc->id, what);
}

/* ---- making them ---- */

/* By a file of /proc/sys/kernel that the launcher has opened; without it an id is right by chance alone, as those of a young
 * namespace are. */
static void choose_id(Restore *restore, const ImageIpc *ipc) {
        RestoreProcess *init = &restore->processes[0];
        int number = restore->next_id_numbers[ipc->type == 'm' ? 0 : ipc->type == 'q' ? 1 : 2];
        char text[16];
        uint64_t at;

        if (number < 0)
                return;
        (void) snprintf(text, sizeof(text), "%d", ipc->id);
        if (restore_put(restore, init, 0, text, strlen(text), &at) >= 0)
                (void) inject_call(&init->inject, SYS_pwrite64, (uint64_t) number, at, strlen(text), 0);
}

static int become(Restore *restore, uint64_t uid, uint64_t gid) {
        RestoreProcess *init = &restore->processes[0];

        if (restore_call(restore, init, "keep capabilities", SYS_prctl, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0 ||
            restore_call(restore, init, "become the maker's group of a System V object", SYS_setresgid, UINT32_MAX, gid, UINT32_MAX) < 0 ||
            restore_call(restore, init, "become the maker of a System V object", SYS_setresuid, UINT32_MAX, uid, UINT32_MAX) < 0)
                return -EIO;
        return 0;
}

static int64_t make_object(Restore *restore, const ImageIpc *ipc) {
        Inject *inject = &restore->processes[0].inject;
        uint64_t key = (uint32_t) ipc->key, flags = IPC_CREAT | IPC_EXCL | MODE_MEANWHILE;

        switch (ipc->type) {
        case 'm':
                return inject_call(inject, SYS_shmget, key, restore->image->objects[ipc->object].size, flags);
        case 's':
                return inject_call(inject, SYS_semget, key, ipc->n_values, flags);
        default:
                return inject_call(inject, SYS_msgget, key, flags);
        }
}

static bool is_made_by(Restore *restore, const ImageIpc *ipc, uint64_t ret_ids[static 2]) {
        Inject *inject = &restore->processes[0].inject;

        ret_ids[0] = (uint64_t) inject_call(inject, SYS_geteuid, 0);
        ret_ids[1] = (uint64_t) inject_call(inject, SYS_getegid, 0);
        return ret_ids[0] == ipc->cuid && ret_ids[1] == ipc->cgid;
}

static int make_with_id(Restore *restore, const ImageIpc *ipc) {
        uint64_t ids[2];
        bool others = !is_made_by(restore, ipc, ids);
        int64_t id;
        int r = 0;

        choose_id(restore, ipc);
        if (others)
                r = become(restore, ipc->cuid, ipc->cgid);
        if (r < 0)
                return r;
        id = make_object(restore, ipc);
        if (others)
                r = become(restore, ids[0], ids[1]);
        if (id < 0)
                return fail_ipc(restore, ipc, id, id == -EEXIST ? "made: another has its key" : "made");
        if (r < 0)
                return r;
        if (id != ipc->id)
                return restore_fail(restore, -EOPNOTSUPP, "System V %s %d cannot have its id again, but %d: /proc/sys/kernel/%s_next_id "
                                    "cannot be written here", kind_of(ipc), ipc->id, (int) id,
                                    ipc->type == 'm' ? "shm" : ipc->type == 's' ? "sem" : "msg");
        return 0;
}

static int fill_memory(Restore *restore, const ImageIpc *ipc) {
        const ImageObject *object = &restore->image->objects[ipc->object];
        RestoreProcess *init = &restore->processes[0];
        int64_t base;

        if (object->runs.n == 0)
                return 0;
        base = restore_call(restore, init, "attach shared memory", SYS_shmat, (uint64_t) ipc->id, 0, 0);
        if (base < 0)
                return (int) base;
        for (size_t i = 0; i < object->runs.n; i++) {
                ImageRun run = object->runs.items[i];
                int r;

                run.address += (uint64_t) base;
                r = restore_run_to_process(restore, &run, init->inject.tid);
                if (r < 0)
                        return r;
        }
        return restore_call(restore, init, "detach shared memory", SYS_shmdt, (uint64_t) base) < 0 ? -EIO : 0;
}

/* One that nobody ever changed stays so. */
static int fill_semaphores(Restore *restore, const ImageIpc *ipc) {
        for (size_t i = 0; i < ipc->n_values; i++)
                if ((ipc->values[i] != 0 || (ipc->n_pids > 0 && ipc->pids[i] != 0)) &&
                    restore_call(restore, &restore->processes[0], "set a semaphore", SYS_semctl, (uint64_t) ipc->id, i, SETVAL,
                                 ipc->values[i]) < 0)
                        return -EIO;
        return 0;
}

static int set_queue(Restore *restore, const ImageIpc *ipc, uint64_t max_bytes, uint32_t uid, uint32_t gid, uint32_t mode) {
        struct msqid_ds info = { .msg_perm = { .uid = uid, .gid = gid, .mode = (unsigned short) mode }, .msg_qbytes = max_bytes };
        RestoreProcess *init = &restore->processes[0];
        uint64_t at;
        int64_t x;
        int r;

        r = restore_put(restore, init, 0, &info, sizeof(info), &at);
        if (r < 0)
                return r;
        x = inject_call(&init->inject, SYS_msgctl, (uint64_t) ipc->id, IPC_SET, at);
        if (x == -EPERM)
                return restore_fail(restore, -EPERM, "System V message queue %d had room for %lu bytes, which is more than "
                                    "kernel.msgmnb (%s)", ipc->id, (unsigned long) max_bytes, "sysctl(8)");
        return x < 0 ? fail_ipc(restore, ipc, x, "set") : 0;
}

static int fill_queue(Restore *restore, const ImageIpc *ipc) {
        RestoreProcess *init = &restore->processes[0];
        _cleanup_free_ char *bytes = NULL, *message = malloc(sizeof(int64_t) + IMAGE_MESSAGE_MAX);
        uint64_t done = 0, room = MAX(MAX(ipc->max_bytes, ipc->messages.size), (uint64_t) ipc->n_sizes);
        int r;

        if (!message)
                return restore_fail(restore, -ENOMEM, "no memory");
        r = set_queue(restore, ipc, room, ipc->cuid, ipc->cgid, MODE_MEANWHILE);
        if (r >= 0)
                r = restore_blob(restore, &ipc->messages, &bytes);
        for (size_t i = 0; r >= 0 && i < ipc->n_sizes; i++) {
                uint64_t at;
                int64_t x;

                memcpy(message, &ipc->types[i], sizeof(int64_t));
                memcpy(message + sizeof(int64_t), bytes + done, ipc->sizes[i]);
                done += ipc->sizes[i];
                r = restore_put(restore, init, 0, message, sizeof(int64_t) + ipc->sizes[i], &at);
                if (r < 0)
                        return r;
                x = inject_call(&init->inject, SYS_msgsnd, (uint64_t) ipc->id, at, ipc->sizes[i], IPC_NOWAIT);
                if (x < 0)
                        r = fail_ipc(restore, ipc, x, x == -EINVAL ? "filled: a message of more than kernel.msgmax bytes" : "filled");
        }
        return r;
}

/* Who made an object may do anything to it. */
static int as_maker(Restore *restore, const ImageIpc *ipc, int (*function)(Restore *restore, const ImageIpc *ipc)) {
        uint64_t ids[2];
        int r, q;

        if (is_made_by(restore, ipc, ids))
                return function(restore, ipc);
        r = become(restore, ipc->cuid, ipc->cgid);
        if (r < 0)
                return r;
        r = function(restore, ipc);
        q = become(restore, ids[0], ids[1]);
        return r < 0 ? r : q;
}

int restore_ipc(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_ipc; i++) {
                const ImageIpc *ipc = &restore->image->ipc[i];
                int r;

                r = make_with_id(restore, ipc);
                if (r >= 0)
                        r = as_maker(restore, ipc, ipc->type == 'm' ? fill_memory : ipc->type == 's' ? fill_semaphores : fill_queue);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- what is of a process ---- */

int restore_attach_memory(Restore *restore, RestoreProcess *process, const ImageMap *map) {
        const ImageObject *object = &restore->image->objects[map->object];
        uint64_t size = map->end - map->start, whole = (object->size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE, flags, behind;
        int64_t at;

        /* Anywhere, and what is wanted of it moved home: it may be a part, and have moved before. */
        flags = (map->flags & IMAGE_MAP_MAYWRITE ? 0 : SHM_RDONLY) | (map->protection & PROT_EXEC ? SHM_EXEC : 0);
        at = restore_call(restore, process, "attach shared memory", SYS_shmat, (uint64_t) object->sysv_id, 0, flags);
        if (at < 0)
                return (int) at;
        if (restore_call(restore, process, "move shared memory", SYS_mremap, (uint64_t) at + map->offset, size, size,
                         MREMAP_MAYMOVE | MREMAP_FIXED, map->start) < 0)
                return -EIO;
        behind = map->offset + size;
        if ((map->offset > 0 && restore_call(restore, process, "detach a part of shared memory", SYS_munmap, (uint64_t) at, map->offset) < 0) ||
            (behind < whole && restore_call(restore, process, "detach a part of shared memory", SYS_munmap, (uint64_t) at + behind,
                                            whole - behind) < 0))
                return -EIO;
        return restore_call(restore, process, "protect shared memory", SYS_mprotect, map->start, size, map->protection) < 0 ? -EIO : 0;
}

/* Operations that leave the value as it is, and are done at once whatever it is. */
static int operate(Restore *restore, RestoreProcess *process, const ImageIpc *ipc, const struct sembuf *operations, size_t n) {
        uint64_t at;
        int r;

        r = restore_put(restore, process, 0, operations, n * sizeof(*operations), &at);
        if (r < 0)
                return r;
        return restore_call(restore, process, "operate on a semaphore", SYS_semop, (uint64_t) ipc->id, at, n) < 0 ? -EIO : 0;
}

static void add_operation(struct sembuf *operations, size_t *n, uint64_t number, int64_t change, bool undo) {
        if (change != 0)
                operations[(*n)++] = (struct sembuf) { (unsigned short) number, (short) change, (short) (IPC_NOWAIT | (undo ? SEM_UNDO : 0)) };
}

int restore_undo(Restore *restore, RestoreProcess *process) {
        for (size_t i = 0; i < restore->image->n_ipc; i++) {
                const ImageIpc *ipc = &restore->image->ipc[i];

                for (size_t j = 0; j + 2 < ipc->n_undo; j += 3) {
                        const ImageUndo undo = { ipc->undo[j], ipc->undo[j + 1], ipc->undo[j + 2] };
                        struct sembuf operations[4];
                        size_t n = 0;
                        int r;

                        if (undo.process != process->index)
                                continue;
                        /* From 0, so that nothing gets out of range. */
                        add_operation(operations, &n, (uint64_t) undo.number, -(int64_t) ipc->values[undo.number], false);
                        add_operation(operations, &n, (uint64_t) undo.number, MAX(undo.adjustment, -undo.adjustment), undo.adjustment < 0);
                        add_operation(operations, &n, (uint64_t) undo.number, -MAX(undo.adjustment, -undo.adjustment), undo.adjustment > 0);
                        add_operation(operations, &n, (uint64_t) undo.number, ipc->values[undo.number], false);
                        r = n > 0 ? operate(restore, process, ipc, operations, n) : 0;
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int restore_last_changes(Restore *restore, RestoreProcess *process) {
        for (size_t i = 0; i < restore->image->n_ipc; i++) {
                const ImageIpc *ipc = &restore->image->ipc[i];

                for (size_t j = 0; j < ipc->n_pids; j++) {
                        short step = ipc->values[j] == 0 ? 1 : -1;
                        const struct sembuf operations[] = {
                                { (unsigned short) j, step, IPC_NOWAIT }, { (unsigned short) j, (short) -step, IPC_NOWAIT },
                        };
                        int r;

                        if (ipc->pids[j] != (uint32_t) process->image->pid)
                                continue;
                        r = operate(restore, process, ipc, operations, ELEMENTSOF(operations));
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* ---- owners and modes ---- */

static int finish_memory(Restore *restore, const ImageIpc *ipc) {
        struct shmid_ds info = { .shm_perm = { .uid = ipc->uid, .gid = ipc->gid, .mode = (unsigned short) (ipc->mode & 0777) } };
        RestoreProcess *init = &restore->processes[0];
        uint64_t at;
        int r;

        if ((ipc->mode & IMAGE_IPC_LOCKED) &&
            restore_call(restore, init, "lock shared memory (RLIMIT_MEMLOCK?)", SYS_shmctl, (uint64_t) ipc->id, SHM_LOCK, 0) < 0)
                return -EIO;
        r = restore_put(restore, init, 0, &info, sizeof(info), &at);
        if (r < 0)
                return r;
        if (restore_call(restore, init, "set the owner of shared memory", SYS_shmctl, (uint64_t) ipc->id, IPC_SET, at) < 0)
                return -EIO;
        /* Now all who had it have it. */
        if ((ipc->mode & IMAGE_IPC_REMOVED) &&
            restore_call(restore, init, "remove shared memory", SYS_shmctl, (uint64_t) ipc->id, IPC_RMID, 0) < 0)
                return -EIO;
        return 0;
}

static int finish_semaphores(Restore *restore, const ImageIpc *ipc) {
        struct semid_ds info = { .sem_perm = { .uid = ipc->uid, .gid = ipc->gid, .mode = (unsigned short) ipc->mode } };
        RestoreProcess *init = &restore->processes[0];
        uint64_t at;
        int r;

        r = restore_put(restore, init, 0, &info, sizeof(info), &at);
        if (r < 0)
                return r;
        return restore_call(restore, init, "set the owner of semaphores", SYS_semctl, (uint64_t) ipc->id, 0, IPC_SET, at) < 0 ? -EIO : 0;
}

static int finish_queue(Restore *restore, const ImageIpc *ipc) {
        return set_queue(restore, ipc, ipc->max_bytes, ipc->uid, ipc->gid, ipc->mode);
}

int restore_ipc_owners(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_ipc; i++) {
                const ImageIpc *ipc = &restore->image->ipc[i];
                int r;

                r = as_maker(restore, ipc, ipc->type == 'm' ? finish_memory : ipc->type == 's' ? finish_semaphores : finish_queue);
                if (r < 0)
                        return r;
        }
        return 0;
}
