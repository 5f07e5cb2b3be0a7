/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Objects of System V IPC, which are the namespace's and nobody's: the first process is made to ask for all of them. What
 * tells a process alone (SEM_UNDO) each process is made to ask for. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "save.h"
#include "util.h"

#define AREA (128U << 10)        /* bytes for what calls tell us */
#define HUGE_ALIGN (2U << 20)
#define COPY_STEP (1U << 20)
#define OBJECT_DEVICE UINT64_MAX /* of SaveObject: ids are no inodes of a file system */

/* linux/shm.h and the like, since Linux 4.17: libcs call some of them otherwise. */
#define STAT_ANY_SHM 15
#define STAT_ANY_SEM 20
#define STAT_ANY_MSG 13
#ifndef MSG_COPY
#  define MSG_COPY 040000
#endif

/* A process that calls are made in. */
typedef struct Session {
        Save *save;
        SaveProcess *process;
        SaveThread *thread;
        Inject inject;
} Session;

#define session_call(session, number, ...) inject_call(&(session)->inject, (number), __VA_ARGS__)

static int session_read(Session *session, void *to, size_t size) {
        return inject_read(session->thread->tid, session->process->scratch, to, size);
}

static int session_begin(Session *session, Save *save, size_t process, uint64_t size) {
        *session = (Session) { .save = save, .process = save->processes + process };
        session->thread = save->threads + session->process->first;
        return save_calls_open(save, process, size, AREA, &session->inject);
}

static int session_end(Session *session, int r) {
        int q = save_calls_close(session->save, session->process, session->thread, &session->inject);

        return r < 0 ? r : q;
}

uint32_t save_shared_memory(Save *save, int32_t id) {
        uint32_t index = save_object(save, IMAGE_OBJECT_SYSV, OBJECT_DEVICE, (uint64_t) id, "");

        if (index != IMAGE_NONE)
                save->image->objects[index].sysv_id = id;
        return index;
}

/* ---- what there is ---- */

static ImageIpc *add_ipc(Save *save, char type, int32_t id, const struct ipc_perm *perm) {
        ImageIpc *ipc = save->image->n_ipc < IMAGE_IPC_MAX ? IMAGE_APPEND(save->image->ipc, save->image->n_ipc) : NULL;

        if (!ipc)
                return NULL;
        *ipc = (ImageIpc) {
                .type = type, .id = id, .key = perm->__key, .mode = perm->mode, .uid = perm->uid, .gid = perm->gid,
                .cuid = perm->cuid, .cgid = perm->cgid, .object = IMAGE_NONE,
        };
        return ipc;
}

static int refuse_unreadable(Session *session, const char *what, const ImageIpc *ipc, int r) {
        if (r != -EACCES)
                return save_fail(session->save, r, "System V %s %" PRId32 " cannot be read: %s", what, ipc->id, strerror(-r));
        save_refuse(session->save, "System V %s %" PRId32 " (key %#" PRIx32 ", mode %03" PRIo32 ", user %" PRIu32
                    "): the first process may not read it", what, ipc->id, (uint32_t) ipc->key, ipc->mode & 0777, ipc->uid);
        return 0;
}

static int list_memory(Session *session) {
        int64_t last = session_call(session, SYS_shmctl, 0, SHM_INFO, session->process->scratch);

        for (int64_t i = 0; i <= last; i++) {
                int64_t id = session_call(session, SYS_shmctl, (uint64_t) i, STAT_ANY_SHM, session->process->scratch);
                struct shmid_ds info;
                ImageIpc *ipc;
                int r;

                if (id < 0)
                        continue; /* no id has this index */
                r = session_read(session, &info, sizeof(info));
                if (r < 0)
                        return r;
                ipc = add_ipc(session->save, 'm', (int32_t) id, &info.shm_perm);
                if (!ipc || (ipc->object = save_shared_memory(session->save, (int32_t) id)) == IMAGE_NONE)
                        return -ENOMEM;
                session->save->image->objects[ipc->object].size = info.shm_segsz;
                ipc->mode &= 0777U | IMAGE_IPC_REMOVED | IMAGE_IPC_LOCKED;
        }
        return (int) MIN(last, (int64_t) 0);
}

static int read_semaphores(Session *session, ImageIpc *ipc, size_t n) {
        _cleanup_free_ uint16_t *values = calloc(n, sizeof(uint16_t));
        uint64_t scratch = session->process->scratch;
        int64_t x;
        int r;

        if (n * sizeof(uint16_t) > AREA)
                return save_fail(session->save, -E2BIG, "System V semaphore set %" PRId32 " has %zu semaphores", ipc->id, n);
        ipc->values = calloc(n, sizeof(uint32_t));
        ipc->pids = calloc(n, sizeof(uint32_t));
        if (!values || !ipc->values || !ipc->pids)
                return -ENOMEM;
        x = session_call(session, SYS_semctl, (uint64_t) ipc->id, 0, GETALL, scratch);
        if (x < 0)
                return refuse_unreadable(session, "semaphore set", ipc, (int) x);
        r = session_read(session, values, n * sizeof(uint16_t));
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                ipc->values[i] = values[i];
                x = session_call(session, SYS_semctl, (uint64_t) ipc->id, i, GETPID);
                ipc->pids[i] = x > 0 ? (uint32_t) x : 0;
        }
        ipc->n_values = ipc->n_pids = n;
        return 0;
}

static int list_semaphores(Session *session) {
        int64_t last = session_call(session, SYS_semctl, 0, 0, SEM_INFO, session->process->scratch);

        for (int64_t i = 0; i <= last; i++) {
                int64_t id = session_call(session, SYS_semctl, (uint64_t) i, 0, STAT_ANY_SEM, session->process->scratch);
                struct semid_ds info;
                ImageIpc *ipc;
                int r;

                if (id < 0)
                        continue;
                r = session_read(session, &info, sizeof(info));
                if (r < 0)
                        return r;
                ipc = add_ipc(session->save, 's', (int32_t) id, &info.sem_perm);
                if (!ipc)
                        return -ENOMEM;
                r = read_semaphores(session, ipc, info.sem_nsems);
                if (r < 0)
                        return r;
        }
        return (int) MIN(last, (int64_t) 0);
}

/* Copies of messages, which stay where they are. */
static int read_messages(Session *session, ImageIpc *ipc, uint64_t n) {
        uint64_t scratch = session->process->scratch, size = 0;
        _cleanup_free_ char *bytes = NULL;

        if (n > IMAGE_MESSAGES_MAX)
                return save_fail(session->save, -E2BIG, "System V message queue %" PRId32 " has %" PRIu64 " messages", ipc->id, n);
        for (uint64_t i = 0; i < n; i++) {
                int64_t type, x = session_call(session, SYS_msgrcv, (uint64_t) ipc->id, scratch, IMAGE_MESSAGE_MAX, i, MSG_COPY | IPC_NOWAIT);
                uint64_t *place;
                int64_t *place_of_type;
                char *grown;
                int r;

                if (x == -E2BIG || x == -ENOSYS) {
                        save_refuse(session->save, x == -ENOSYS ? "System V message queue %" PRId32 " has messages, which this kernel "
                                    "cannot copy (CONFIG_CHECKPOINT_RESTORE)" : "System V message queue %" PRId32 ": a message of more "
                                    "than 65536 bytes", ipc->id);
                        return 0;
                }
                if (x < 0)
                        return refuse_unreadable(session, "message queue", ipc, (int) x);
                r = session_read(session, &type, sizeof(type));
                if (r < 0)
                        return r;
                place = IMAGE_APPEND(ipc->sizes, ipc->n_sizes);
                place_of_type = IMAGE_APPEND(ipc->types, ipc->n_types);
                grown = realloc(bytes, size + (uint64_t) x + 1);
                if (!place || !place_of_type || !grown)
                        return -ENOMEM;
                bytes = grown;
                *place = (uint64_t) x;
                *place_of_type = type;
                r = inject_read(session->thread->tid, scratch + sizeof(type), bytes + size, (size_t) x);
                if (r < 0)
                        return r;
                size += (uint64_t) x;
        }
        return size == 0 ? 0 : image_writer_add(&session->save->writer, bytes, size, &ipc->messages, &session->save->message);
}

static int list_messages(Session *session) {
        int64_t last = session_call(session, SYS_msgctl, 0, MSG_INFO, session->process->scratch);

        for (int64_t i = 0; i <= last; i++) {
                int64_t id = session_call(session, SYS_msgctl, (uint64_t) i, STAT_ANY_MSG, session->process->scratch);
                struct msqid_ds info;
                ImageIpc *ipc;
                int r;

                if (id < 0)
                        continue;
                r = session_read(session, &info, sizeof(info));
                if (r < 0)
                        return r;
                ipc = add_ipc(session->save, 'q', (int32_t) id, &info.msg_perm);
                if (!ipc)
                        return -ENOMEM;
                ipc->max_bytes = info.msg_qbytes;
                r = read_messages(session, ipc, info.msg_qnum);
                if (r < 0)
                        return r;
        }
        return (int) MIN(last, (int64_t) 0);
}

/* ---- shared memory that nobody has mapped as a whole ---- */

static uint64_t pages_of(uint64_t size) {
        return (size + IMAGE_PAGE - 1) & ~(uint64_t) (IMAGE_PAGE - 1);
}

static bool is_mapped_whole(const SaveObject *object, const ImageObject *image) {
        return object->fd >= 0 || (object->pid != 0 && object->offset == 0 && object->size >= pages_of(image->size));
}

/* To a file of ours, without what is zero. */
static int copy_out(pid_t tid, uint64_t address, uint64_t size, int fd) {
        _cleanup_free_ char *buffer = malloc(COPY_STEP);
        static const char zeros[IMAGE_PAGE];

        if (!buffer)
                return -ENOMEM;
        if (ftruncate(fd, (off_t) size) < 0)
                return -errno;
        for (uint64_t done = 0; done < size;) {
                size_t n = (size_t) MIN((uint64_t) COPY_STEP, size - done);
                int r = inject_read(tid, address + done, buffer, n);

                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i += IMAGE_PAGE) {
                        size_t m = MIN(n - i, (size_t) IMAGE_PAGE);

                        if (memcmp(buffer + i, zeros, m) != 0 && pwrite(fd, buffer + i, m, (off_t) (done + i)) != (ssize_t) m)
                                return errno ? -errno : -EIO;
                }
                done += n;
        }
        return 0;
}

static int read_memory(Session *session, const ImageIpc *ipc, SaveObject *object, uint64_t size) {
        uint64_t at = session->process->scratch + AREA;
        int64_t x;
        int r;

        /* Huge pages do not go there, and are told so. */
        if (at % HUGE_ALIGN == 0)
                at += IMAGE_PAGE;
        x = session_call(session, SYS_shmat, (uint64_t) ipc->id, at, SHM_RDONLY);
        if (x == -EINVAL) {
                save_refuse(session->save, "System V shared memory %" PRId32 ": of huge pages", ipc->id);
                return 0;
        }
        if (x < 0)
                return refuse_unreadable(session, "shared memory", ipc, (int) x);
        object->fd = memfd_create("shared", MFD_CLOEXEC);
        r = object->fd < 0 ? -errno : copy_out(session->thread->tid, at, size, object->fd);
        x = session_call(session, SYS_shmdt, at);
        return r < 0 ? r : (int) MIN(x, (int64_t) 0);
}

static int read_unmapped(Save *save) {
        uint64_t largest = 0;
        Session session;
        int r;

        for (size_t i = 0; i < save->image->n_ipc; i++) {
                const ImageIpc *ipc = save->image->ipc + i;

                if (ipc->type == 'm' && !is_mapped_whole(save->objects + ipc->object, save->image->objects + ipc->object))
                        largest = MAX(largest, pages_of(save->image->objects[ipc->object].size));
        }
        if (largest == 0)
                return 0;
        r = session_begin(&session, save, 0, AREA + IMAGE_PAGE + largest);
        for (size_t i = 0; r >= 0 && i < save->image->n_ipc; i++) {
                const ImageIpc *ipc = save->image->ipc + i;

                if (ipc->type == 'm' && !is_mapped_whole(save->objects + ipc->object, save->image->objects + ipc->object))
                        r = read_memory(&session, ipc, save->objects + ipc->object, save->image->objects[ipc->object].size);
        }
        return session_end(&session, r);
}

/* ---- SEM_UNDO ----
 *
 * What the kernel will do to a semaphore at the end of a process it tells nobody. But it refuses with ERANGE operations that
 * would take this adjustment out of its range. So it is asked by operations of which the last one can never be done, and
 * then none is: ERANGE or EAGAIN tells whether the adjustment is beyond a number. */

typedef struct Operations {
        struct sembuf items[6];
        size_t n;
} Operations;

static void add_operation(Operations *operations, size_t number, int32_t change, bool undo) {
        if (change != 0)
                operations->items[operations->n++] = (struct sembuf) {
                        .sem_num = (unsigned short) number, .sem_op = (short) change,
                        .sem_flg = (short) (IPC_NOWAIT | (undo ? SEM_UNDO : 0)),
                };
}

/* Whether the adjustment is above n (0 to 32766), or below -n. */
static int is_beyond(Session *session, const ImageIpc *ipc, size_t number, bool above, int32_t n) {
        int32_t value = (int32_t) ipc->values[number];
        Operations operations = {};
        int64_t x;
        int r;

        if (above) {
                add_operation(&operations, number, IMAGE_SEMAPHORE_MAX - value, false);
                add_operation(&operations, number, n - IMAGE_SEMAPHORE_MAX, true);
                add_operation(&operations, number, -n - 1, false);
        } else {
                add_operation(&operations, number, -value, false);
                if (n == 0) {
                        add_operation(&operations, number, IMAGE_SEMAPHORE_MAX, true);
                        add_operation(&operations, number, -IMAGE_SEMAPHORE_MAX, false);
                        add_operation(&operations, number, 1, true);
                        add_operation(&operations, number, -2, false);
                } else {
                        add_operation(&operations, number, IMAGE_SEMAPHORE_MAX + 1 - n, true);
                        add_operation(&operations, number, -(IMAGE_SEMAPHORE_MAX + 1 - n) - 1, false);
                }
        }
        r = inject_write(session->thread->tid, session->process->scratch, operations.items, operations.n * sizeof(struct sembuf));
        if (r < 0)
                return r;
        x = session_call(session, SYS_semop, (uint64_t) ipc->id, session->process->scratch, operations.n);
        return x == -ERANGE ? 1 : x == -EAGAIN ? 0 : x >= 0 ? -EIO : (int) x;
}

static int find_adjustment(Session *session, const ImageIpc *ipc, size_t number, int32_t *ret) {
        bool above = true;
        int32_t low = 0, high = IMAGE_SEMAPHORE_MAX; /* it is above low, if at all, and at most high */
        int r;

        *ret = 0;
        r = is_beyond(session, ipc, number, true, 0);
        if (r == 0) {
                above = false;
                r = is_beyond(session, ipc, number, false, 0);
        }
        if (r <= 0)
                return r;
        while (high - low > 1) {
                int32_t middle = low + (high - low) / 2;

                r = is_beyond(session, ipc, number, above, middle);
                if (r < 0)
                        return r;
                if (r > 0)
                        low = middle;
                else
                        high = middle;
        }
        *ret = above ? high : -high;
        return 0;
}

static int read_undo(Session *session, size_t process, const char *who, bool shared) {
        Save *save = session->save;

        for (size_t i = 0; i < save->image->n_ipc; i++) {
                ImageIpc *ipc = save->image->ipc + i;

                for (size_t j = 0; ipc->type == 's' && j < ipc->n_values; j++) {
                        const int64_t entry[] = { (int64_t) process, (int64_t) j };
                        int32_t adjustment;
                        int r;

                        r = find_adjustment(session, ipc, j, &adjustment);
                        if (r == -EACCES) /* so it has none, unless it had once */
                                break;
                        if (r < 0)
                                return r;
                        if (adjustment == 0)
                                continue;
                        if (shared)
                                save_refuse(save, "%s: it shares its SEM_UNDO of System V semaphore set %" PRId32 " in another way than "
                                            "threads do (CLONE_SYSVSEM)", who, ipc->id);
                        for (size_t k = 0; k < 3; k++) {
                                int64_t *place = IMAGE_APPEND(ipc->undo, ipc->n_undo);

                                if (!place)
                                        return -ENOMEM;
                                *place = k < 2 ? entry[k] : adjustment;
                        }
                }
        }
        return 0;
}

/* 0: both have one list of adjustments, or none has one. */
static int compare_lists(pid_t a, pid_t b) {
        long r = syscall(SYS_kcmp, a, b, KCMP_SYSVSEM, 0, 0);

        return r < 0 ? -errno : (int) r;
}

static int save_undo(Save *save) {
        for (size_t i = 0; i < save->n_processes; i++) {
                const SaveProcess *process = save->processes + i;
                bool shared = false;
                Session session;
                char who[96];
                int r;

                if (save->image->processes[i].state == IMAGE_TASK_ZOMBIE)
                        continue;
                for (size_t j = 1; j < process->n_threads; j++) {
                        r = compare_lists(process->pid, save->threads[process->first + j].tid);
                        if (r != 0)
                                shared = true;
                }
                for (size_t j = 0; j < i && !shared; j++)
                        if (save->image->processes[j].state != IMAGE_TASK_ZOMBIE && compare_lists(getpid(), process->pid) != 0)
                                shared = compare_lists(process->pid, save->processes[j].pid) == 0;
                r = compare_lists(getpid(), process->pid); /* we have none */
                if (r < 0)
                        return save_fail(save, r, "%s: cannot be compared: %s", save_who(save, i, who), strerror(-r));
                if (r == 0 && !shared)
                        continue;
                r = session_begin(&session, save, i, AREA);
                if (r >= 0)
                        r = read_undo(&session, i, save_who(save, i, who), shared);
                r = session_end(&session, r);
                if (r < 0)
                        return save_fail(save, r, "%s: its SEM_UNDO cannot be read: %s", save_who(save, i, who), strerror(-r));
        }
        return 0;
}

/* ---- all ---- */

/* Whether there is anything, by the cheapest of questions. */
static int is_there_any(Session *session) {
        struct shm_info shm = {};
        struct seminfo sem = {};
        struct msginfo msg = {};
        uint64_t scratch = session->process->scratch;
        int r;

        r = (int) MIN(session_call(session, SYS_shmctl, 0, SHM_INFO, scratch), (int64_t) 0);
        if (r >= 0)
                r = session_read(session, &shm, sizeof(shm));
        if (r >= 0)
                r = (int) MIN(session_call(session, SYS_semctl, 0, 0, SEM_INFO, scratch), (int64_t) 0);
        if (r >= 0)
                r = session_read(session, &sem, sizeof(sem));
        if (r >= 0)
                r = (int) MIN(session_call(session, SYS_msgctl, 0, MSG_INFO, scratch), (int64_t) 0);
        if (r >= 0)
                r = session_read(session, &msg, sizeof(msg));
        if (r == -ENOSYS) /* a kernel without them */
                return 0;
        return r < 0 ? r : shm.used_ids > 0 || sem.semusz > 0 || msg.msgpool > 0;
}

/* Memory of another IPC namespace, which was there before the sandbox had one. */
static void refuse_others(Save *save) {
        for (size_t i = 0; i < save->image->n_objects; i++) {
                bool known = false;

                if (save->image->objects[i].kind != IMAGE_OBJECT_SYSV)
                        continue;
                for (size_t j = 0; j < save->image->n_ipc; j++)
                        known = known || save->image->ipc[j].object == i;
                if (!known)
                        save_refuse(save, "System V shared memory %" PRId32 " is mapped, and not the sandbox's own",
                                    save->image->objects[i].sysv_id);
        }
}

int save_is_in_our_namespace(const Save *save, const char *name) {
        struct stat ours, theirs;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) save->init, name);
        if (stat(path, &theirs) < 0)
                return -errno;
        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        return stat(path, &ours) < 0 ? -errno : ours.st_ino == theirs.st_ino;
}

int save_ipc(Save *save) {
        Session session;
        int r;

        r = save_is_in_our_namespace(save, "ipc");
        if (r < 0)
                return save_fail(save, r, "the IPC namespace of the sandbox cannot be looked at: %s", strerror(-r));
        if (r > 0) {
                /* What is there is the host's. */
                refuse_others(save);
                return 0;
        }
        r = session_begin(&session, save, 0, AREA);
        if (r >= 0)
                r = is_there_any(&session);
        if (r > 0) {
                r = list_memory(&session);
                if (r >= 0)
                        r = list_semaphores(&session);
                if (r >= 0)
                        r = list_messages(&session);
        }
        r = session_end(&session, r);
        if (r >= 0 && save->image->n_ipc > 0) {
                save->image->features |= UINT64_C(1) << IMAGE_FEATURE_SYSV;
                r = read_unmapped(save);
                if (r >= 0 && save->n_reasons == 0)
                        r = save_undo(save);
        }
        refuse_others(save);
        return r < 0 ? save_fail(save, r, "System V IPC cannot be read: %s", strerror(-r)) : 0;
}
