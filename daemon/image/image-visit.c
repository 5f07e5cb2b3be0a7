/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An image as JSON: each struct's fields, visited by one function that writes them or reads and checks them. A field that
 * is 0, false, empty or no index is left out. */

#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "image-visit.h"
#include "pty.h"

#define PID_MAX 4194304
#define TID_MAX PID_MAX
#define ADDRESS_MAX ((UINT64_C(1) << 57) - 1) /* with five levels of page tables */
#define SIGNALS 64U
#define NAMES_MAX 65536U /* small arrays: of groups, watches, locks … */

static void visit_place(Visit *v, const char *key, ImagePlace *place) {
        Visit inner;

        if (!visit_enter(v, key, place->path != NULL, &inner))
                return;
        visit_string(&inner, "path", &place->path, IMAGE_PATH_MAX);
        visit_u64(&inner, "dev", &place->dev, UINT64_MAX);
        visit_u64(&inner, "ino", &place->ino, UINT64_MAX);
        visit_u64(&inner, "size", &place->size, INT64_MAX);
        visit_u32(&inner, "mode", &place->mode, 0177777);
        visit_i64(&inner, "mtime", &place->mtime_sec, INT64_MIN, INT64_MAX);
        visit_u32(&inner, "mtimeNsec", &place->mtime_nsec, 999999999);
        visit_leave(v, &inner);
}

static void visit_cpu(Visit *v, ImageCpu *cpu) {
        Visit inner;

        if (!visit_enter(v, "cpu", true, &inner))
                return;
        visit_string(&inner, "vendor", &cpu->vendor, 64);
        visit_string(&inner, "flags", &cpu->flags, 65536);
        visit_u64(&inner, "xfeatures", &cpu->xfeatures, UINT64_MAX);
        visit_u32(&inner, "xstateSize", &cpu->xstate_size, 65536);
        visit_leave(v, &inner);
}

static void visit_host(Visit *v, ImageHost *host) {
        Visit inner;

        if (!visit_enter(v, "host", true, &inner))
                return;
        visit_string(&inner, "machine", &host->machine, 65);
        visit_string(&inner, "release", &host->release, 65);
        visit_string(&inner, "sentryd", &host->sentryd, 65);
        visit_u32(&inner, "pageSize", &host->page_size, 65536);
        visit_u64(&inner, "vdsoSize", &host->vdso_size, 65536);
        visit_u64(&inner, "vdsoHash", &host->vdso_hash, UINT64_MAX);
        visit_u64(&inner, "vvarSize", &host->vvar_size, 1U << 20);
        visit_leave(v, &inner);
}

static void visit_clocks(Visit *v, ImageClocks *clocks) {
        Visit inner;

        if (!visit_enter(v, "clocks", true, &inner))
                return;
        visit_i64(&inner, "realtime", &clocks->realtime_ns, 0, INT64_MAX);
        visit_i64(&inner, "monotonic", &clocks->monotonic_ns, INT64_MIN / 2, INT64_MAX / 2);
        visit_i64(&inner, "boottime", &clocks->boottime_ns, INT64_MIN / 2, INT64_MAX / 2);
        visit_leave(v, &inner);
}

static void visit_page_file(Visit *v, void *item) {
        ImagePageFile *file = item;

        visit_u64(v, "size", &file->size, INT64_MAX);
        visit_u64(v, "checksum", &file->checksum, UINT64_MAX);
}

static void visit_range(Visit *v, void *item) {
        ImageRange *range = item;

        visit_u64(v, "start", &range->start, ADDRESS_MAX);
        visit_u64(v, "end", &range->end, ADDRESS_MAX);
}

static void visit_map(Visit *v, void *item) {
        ImageMap *map = item;

        visit_u64(v, "start", &map->start, ADDRESS_MAX);
        visit_u64(v, "end", &map->end, ADDRESS_MAX);
        visit_u32(v, "protection", &map->protection, 7);
        visit_enum(v, "kind", map->kind, image_map_kind_to_string, _IMAGE_MAP_KIND_MAX);
        visit_u32(v, "flags", &map->flags, UINT32_MAX);
        visit_u64(v, "offset", &map->offset, INT64_MAX);
        visit_u32(v, "hugetlb", &map->hugetlb, 63);
        visit_index(v, "object", &map->object, IMAGE_FILES_MAX);
        visit_index(v, "file", &map->file, IMAGE_FILES_MAX);
        visit_place(v, "place", &map->place);
        visit_string(v, "name", &map->name, 256);
        visit_array(v, "guards", map->guards, map->n_guards, IMAGE_MAPS_MAX, visit_range);
}

static void visit_action(Visit *v, void *item) {
        ImageSigaction *action = item;

        visit_u32(v, "signal", &action->signo, SIGNALS);
        visit_u64(v, "handler", &action->handler, UINT64_MAX);
        visit_u64(v, "flags", &action->flags, UINT64_MAX);
        visit_u64(v, "restorer", &action->restorer, UINT64_MAX);
        visit_u64(v, "mask", &action->mask, UINT64_MAX);
}

static void visit_timer(Visit *v, void *item) {
        ImageTimer *timer = item;

        visit_i32(v, "id", &timer->id, 0, INT32_MAX);
        visit_i32(v, "clock", &timer->clock, INT32_MIN, INT32_MAX);
        visit_i32(v, "notify", &timer->notify, 0, 4);
        visit_i32(v, "signal", &timer->signo, 0, SIGNALS);
        visit_i32(v, "tid", &timer->tid, 0, TID_MAX);
        visit_u64(v, "value", &timer->value, UINT64_MAX);
        visit_u64(v, "interval", &timer->interval_ns, INT64_MAX);
        visit_u64(v, "remaining", &timer->remaining_ns, INT64_MAX);
        visit_i32(v, "overrun", &timer->overrun, 0, INT32_MAX);
}

static void visit_thread(Visit *v, void *item) {
        ImageThread *thread = item;

        visit_i32(v, "tid", &thread->tid, 1, TID_MAX);
        visit_string(v, "comm", &thread->comm, 64);
        visit_u64s(v, "regs", thread->regs, IMAGE_REGS);
        visit_blob(v, "xstate", &thread->xstate);
        visit_u64(v, "sigmask", &thread->sigmask, UINT64_MAX);
        visit_blob(v, "pending", &thread->pending);
        visit_u64(v, "altstack", &thread->altstack_sp, ADDRESS_MAX);
        visit_u64(v, "altstackSize", &thread->altstack_size, ADDRESS_MAX);
        visit_u32(v, "altstackFlags", &thread->altstack_flags, UINT32_MAX);
        visit_u64(v, "rseq", &thread->rseq_address, ADDRESS_MAX);
        visit_u64(v, "rseqSize", &thread->rseq_size, 65536);
        visit_u64(v, "rseqSignature", &thread->rseq_signature, UINT32_MAX);
        visit_u32(v, "rseqFlags", &thread->rseq_flags, UINT32_MAX);
        visit_u64(v, "robustList", &thread->robust_list, UINT64_MAX);
        visit_u64(v, "robustListSize", &thread->robust_size, 65536);
        visit_u64(v, "clearTid", &thread->clear_tid, UINT64_MAX);
        visit_u32(v, "parentDeathSignal", &thread->pdeathsig, SIGNALS);
        visit_u64(v, "timerSlack", &thread->timer_slack_ns, INT64_MAX);
        visit_u32(v, "personality", &thread->personality, UINT32_MAX);
        visit_u32(v, "policy", &thread->policy, 7);
        visit_u32(v, "priority", &thread->priority, 99);
        visit_i32(v, "nice", &thread->nice, -20, 19);
        visit_u32(v, "schedFlags", &thread->sched_flags, UINT32_MAX);
        visit_u32(v, "ioPriority", &thread->io_priority, UINT16_MAX);
        visit_string(v, "affinity", &thread->affinity, 65536);
        visit_u32s(v, "uid", thread->uid, ELEMENTSOF(thread->uid));
        visit_u32s(v, "gid", thread->gid, ELEMENTSOF(thread->gid));
        visit_numbers(v, "groups", &thread->groups, &thread->n_groups, sizeof(uint32_t), NAMES_MAX);
        visit_u64(v, "capInheritable", &thread->cap_inheritable, UINT64_MAX);
        visit_u64(v, "capPermitted", &thread->cap_permitted, UINT64_MAX);
        visit_u64(v, "capEffective", &thread->cap_effective, UINT64_MAX);
        visit_u64(v, "capBounding", &thread->cap_bounding, UINT64_MAX);
        visit_u64(v, "capAmbient", &thread->cap_ambient, UINT64_MAX);
        visit_u32(v, "securebits", &thread->securebits, 255);
        visit_bool(v, "noNewPrivileges", &thread->no_new_privs);
        visit_bool(v, "keepCapabilities", &thread->keep_caps);
}

static void visit_mm(Visit *v, ImageMmFields *mm) {
        Visit inner;

        if (!visit_enter(v, "mm", mm->start_stack != 0, &inner))
                return;
        visit_u64(&inner, "startCode", &mm->start_code, ADDRESS_MAX);
        visit_u64(&inner, "endCode", &mm->end_code, ADDRESS_MAX);
        visit_u64(&inner, "startData", &mm->start_data, ADDRESS_MAX);
        visit_u64(&inner, "endData", &mm->end_data, ADDRESS_MAX);
        visit_u64(&inner, "startBrk", &mm->start_brk, ADDRESS_MAX);
        visit_u64(&inner, "brk", &mm->brk, ADDRESS_MAX);
        visit_u64(&inner, "startStack", &mm->start_stack, ADDRESS_MAX);
        visit_u64(&inner, "argStart", &mm->arg_start, ADDRESS_MAX);
        visit_u64(&inner, "argEnd", &mm->arg_end, ADDRESS_MAX);
        visit_u64(&inner, "envStart", &mm->env_start, ADDRESS_MAX);
        visit_u64(&inner, "envEnd", &mm->env_end, ADDRESS_MAX);
        visit_leave(v, &inner);
}

static void visit_process(Visit *v, void *item) {
        ImageProcess *process = item;

        visit_i32(v, "pid", &process->pid, 1, PID_MAX);
        visit_i32(v, "parent", &process->parent, 0, PID_MAX);
        visit_i32(v, "group", &process->group, 0, PID_MAX);
        visit_i32(v, "session", &process->session, 0, PID_MAX);
        visit_enum(v, "state", process->state, image_task_state_to_string, _IMAGE_TASK_STATE_MAX);
        visit_u32(v, "exitStatus", &process->exit_status, 65535);
        visit_u32(v, "exitSignal", &process->exit_signal, SIGNALS);
        visit_u32(v, "stopSignal", &process->stop_signal, SIGNALS);
        visit_string(v, "comm", &process->comm, 64);
        visit_bool(v, "subreaper", &process->subreaper);
        visit_i32(v, "oomScoreAdj", &process->oom_score_adj, -1000, 1000);
        visit_u32(v, "dumpable", &process->dumpable, 2);
        visit_bool(v, "thpDisabled", &process->thp_disabled);
        visit_u64(v, "coredumpFilter", &process->coredump_filter, UINT32_MAX);
        visit_u64s(v, "limits", process->limits, ELEMENTSOF(process->limits));
        visit_u32(v, "umask", &process->umask, 0777);
        visit_place(v, "cwd", &process->cwd);
        visit_place(v, "root", &process->root);
        visit_index(v, "fdTable", &process->fd_table, IMAGE_PROCESSES_MAX);
        visit_index(v, "fsWith", &process->fs_with, IMAGE_PROCESSES_MAX);
        visit_index(v, "terminal", &process->terminal, IMAGE_FILES_MAX);
        visit_place(v, "exe", &process->exe);
        visit_mm(v, &process->mm);
        visit_blob(v, "auxv", &process->auxv);
        visit_array(v, "maps", process->maps, process->n_maps, IMAGE_MAPS_MAX, visit_map);
        visit_runs(v, "runs", &process->runs);
        visit_array(v, "actions", process->actions, process->n_actions, SIGNALS, visit_action);
        visit_blob(v, "pending", &process->pending);
        visit_u64s(v, "itimers", process->itimers, ELEMENTSOF(process->itimers));
        visit_array(v, "timers", process->timers, process->n_timers, NAMES_MAX, visit_timer);
        visit_array(v, "threads", process->threads, process->n_threads, IMAGE_THREADS_MAX, visit_thread);
}

static void visit_fd(Visit *v, void *item) {
        ImageFd *fd = item;

        visit_i32(v, "number", &fd->number, 0, INT32_MAX);
        visit_index(v, "file", &fd->file, IMAGE_FILES_MAX);
        visit_bool(v, "closeOnExec", &fd->cloexec);
}

static void visit_fd_table(Visit *v, void *item) {
        ImageFdTable *table = item;

        visit_array(v, "fds", table->items, table->n, IMAGE_FDS_MAX, visit_fd);
}

static void visit_watch(Visit *v, void *item) {
        ImageWatch *watch = item;

        visit_i32(v, "number", &watch->number, 0, INT32_MAX);
        visit_index(v, "file", &watch->file, IMAGE_FILES_MAX);
        visit_u32(v, "events", &watch->events, UINT32_MAX);
        visit_u64(v, "data", &watch->data, UINT64_MAX);
}

static void visit_inotify(Visit *v, void *item) {
        ImageInotify *watch = item;

        visit_i32(v, "wd", &watch->wd, 1, INT32_MAX);
        visit_u32(v, "mask", &watch->mask, UINT32_MAX);
        visit_place(v, "place", &watch->place);
}

static void visit_lock(Visit *v, void *item) {
        ImageLock *lock = item;

        visit_letter(v, "type", &lock->type, "pof");
        visit_bool(v, "write", &lock->write);
        visit_i32(v, "pid", &lock->pid, 0, PID_MAX);
        visit_u64(v, "start", &lock->start, INT64_MAX);
        visit_u64(v, "end", &lock->end, UINT64_MAX);
}

static void visit_ancillary(Visit *v, void *item) {
        ImageAncillary *ancillary = item;

        visit_u64(v, "message", &ancillary->message, IMAGE_FDS_MAX);
        visit_i32(v, "pid", &ancillary->pid, 0, PID_MAX);
        visit_u32(v, "uid", &ancillary->uid, UINT32_MAX);
        visit_u32(v, "gid", &ancillary->gid, UINT32_MAX);
        visit_numbers(v, "files", &ancillary->files, &ancillary->n_files, sizeof(uint32_t), IMAGE_RIGHTS_MAX);
}

static void visit_tcp(Visit *v, ImageSocket *socket) {
        ImageTcp *tcp;
        Visit inner;

        if (!visit_enter(v, "tcp", socket->tcp != NULL, &inner))
                return;
        if (!v->writing) {
                socket->tcp = calloc(1, sizeof(ImageTcp));
                if (!socket->tcp) {
                        visit_fail(v, -ENOMEM, "tcp", "no memory");
                        return;
                }
        }
        tcp = socket->tcp;
        visit_enum(&inner, "kind", tcp->kind, image_tcp_kind_to_string, _IMAGE_TCP_KIND_MAX);
        visit_u32(&inner, "sendSequence", &tcp->snd_seq, UINT32_MAX);
        visit_u32(&inner, "receiveSequence", &tcp->rcv_seq, UINT32_MAX);
        visit_u32(&inner, "window", &tcp->window, IMAGE_TCP_WINDOW_MAX);
        visit_u32(&inner, "timestamp", &tcp->timestamp, UINT32_MAX);
        visit_u32(&inner, "segment", &tcp->mss, UINT16_MAX);
        visit_u32(&inner, "options", &tcp->options, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
        visit_u32(&inner, "sendScale", &tcp->snd_wscale, IMAGE_TCP_WSCALE_MAX);
        visit_u32(&inner, "receiveScale", &tcp->rcv_wscale, IMAGE_TCP_WSCALE_MAX);
        visit_leave(v, &inner);
}

static void visit_socket(Visit *v, ImageFile *file) {
        ImageSocket *socket;
        Visit inner;

        if (!visit_enter(v, "socket", file->socket != NULL, &inner))
                return;
        if (!v->writing) {
                file->socket = calloc(1, sizeof(ImageSocket));
                if (!file->socket) {
                        visit_fail(v, -ENOMEM, "socket", "no memory");
                        return;
                }
        }
        socket = file->socket;
        visit_i32(&inner, "family", &socket->family, 0, 255);
        visit_i32(&inner, "type", &socket->type, 0, 15);
        visit_i32(&inner, "protocol", &socket->protocol, 0, 65535);
        visit_i32(&inner, "state", &socket->state, 0, 255);
        visit_bool(&inner, "listening", &socket->listening);
        visit_u32(&inner, "backlog", &socket->backlog, INT32_MAX);
        visit_blob(&inner, "address", &socket->address);
        visit_blob(&inner, "peerAddress", &socket->peer_address);
        visit_index(&inner, "peer", &socket->peer, IMAGE_FILES_MAX);
        visit_bool(&inner, "shutRead", &socket->shut_read);
        visit_bool(&inner, "shutWrite", &socket->shut_write);
        visit_u32s(&inner, "credentials", socket->credentials, ELEMENTSOF(socket->credentials));
        visit_place(&inner, "place", &socket->place);
        visit_blob(&inner, "queue", &socket->queue);
        visit_numbers(&inner, "sizes", &socket->sizes, &socket->n_sizes, sizeof(uint64_t), IMAGE_FDS_MAX);
        visit_array(&inner, "ancillary", socket->ancillary, socket->n_ancillary, IMAGE_FDS_MAX, visit_ancillary);
        visit_blob(&inner, "senders", &socket->senders);
        visit_numbers(&inner, "options", &socket->options, &socket->n_options, sizeof(int64_t), NAMES_MAX);
        visit_bool(&inner, "queued", &socket->queued);
        visit_tcp(&inner, socket);
        visit_blob(&inner, "sendQueue", &socket->send_queue);
        visit_leave(v, &inner);
}

static void visit_file(Visit *v, void *item) {
        ImageFile *file = item;

        visit_enum(v, "kind", file->kind, image_file_kind_to_string, _IMAGE_FILE_KIND_MAX);
        visit_u32(v, "flags", &file->flags, UINT32_MAX);
        visit_u64(v, "position", &file->position, INT64_MAX);
        visit_place(v, "place", &file->place);
        visit_string(v, "was", &file->was, IMAGE_PATH_MAX + 64);
        visit_i32(v, "owner", &file->owner, 0, PID_MAX);
        visit_i32(v, "ownerType", &file->owner_type, 0, 2);
        visit_i32(v, "signal", &file->signal, 0, SIGNALS);
        visit_index(v, "object", &file->object, IMAGE_FILES_MAX);
        visit_u64(v, "peerId", &file->peer_id, UINT64_MAX);
        visit_u32(v, "capacity", &file->capacity, INT32_MAX);
        visit_blob(v, "data", &file->data);
        visit_numbers(v, "sizes", &file->sizes, &file->n_sizes, sizeof(uint64_t), IMAGE_FDS_MAX);
        visit_index(v, "outside", &file->outside, INT32_MAX);
        visit_u64(v, "rdev", &file->rdev, UINT64_MAX);
        visit_u64(v, "value", &file->value, UINT64_MAX);
        visit_bool(v, "semaphore", &file->semaphore);
        visit_i32(v, "clock", &file->clock, 0, 31);
        visit_u32(v, "timerFlags", &file->timer_flags, 3);
        visit_u64(v, "valueNsec", &file->value_ns, INT64_MAX);
        visit_u64(v, "intervalNsec", &file->interval_ns, INT64_MAX);
        visit_blob(v, "termios", &file->termios);
        visit_blob(v, "windowSize", &file->winsize);
        visit_i32(v, "ptySession", &file->pty_session, 0, PID_MAX);
        visit_i32(v, "ptyGroup", &file->pty_group, 0, PID_MAX);
        visit_blob(v, "input", &file->input);
        visit_u32(v, "edited", &file->edited, PTY_BYTES_MAX);
        visit_bool(v, "marks", &file->marks);
        visit_u32(v, "stop", &file->stop, _PTY_STOP_MAX - 1);
        visit_bool(v, "packet", &file->packet);
        visit_array(v, "watches", file->watches, file->n_watches, IMAGE_FDS_MAX, visit_watch);
        visit_array(v, "inotify", file->inotify, file->n_inotify, IMAGE_FDS_MAX, visit_inotify);
        visit_array(v, "locks", file->locks, file->n_locks, IMAGE_FDS_MAX, visit_lock);
        visit_socket(v, file);
}

static void visit_object(Visit *v, void *item) {
        ImageObject *object = item;

        visit_enum(v, "kind", object->kind, image_object_kind_to_string, _IMAGE_OBJECT_KIND_MAX);
        visit_string(v, "name", &object->name, IMAGE_PATH_MAX);
        visit_u64(v, "size", &object->size, INT64_MAX);
        visit_u32(v, "mode", &object->mode, 0177777);
        visit_u32(v, "uid", &object->uid, UINT32_MAX);
        visit_u32(v, "gid", &object->gid, UINT32_MAX);
        visit_u32(v, "seals", &object->seals, 255);
        visit_u32(v, "hugetlb", &object->hugetlb, 63);
        visit_i32(v, "sysvId", &object->sysv_id, 0, INT32_MAX);
        visit_runs(v, "runs", &object->runs);
}

static void visit_node(Visit *v, void *item) {
        ImageNode *node = item;

        visit_string(v, "path", &node->path, IMAGE_PATH_MAX);
        visit_u32(v, "mode", &node->mode, 0177777);
        visit_u32(v, "uid", &node->uid, UINT32_MAX);
        visit_u32(v, "gid", &node->gid, UINT32_MAX);
        visit_i64(v, "mtime", &node->mtime_sec, INT64_MIN, INT64_MAX);
        visit_u32(v, "mtimeNsec", &node->mtime_nsec, 999999999);
        visit_u64(v, "size", &node->size, INT64_MAX);
        visit_u64(v, "rdev", &node->rdev, UINT64_MAX);
        visit_u64(v, "ino", &node->ino, UINT64_MAX);
        visit_string(v, "target", &node->target, IMAGE_PATH_MAX);
        visit_runs(v, "runs", &node->runs);
}

static void visit_tmpfs(Visit *v, void *item) {
        ImageTmpfs *tmpfs = item;

        visit_string(v, "mount", &tmpfs->mount, IMAGE_PATH_MAX);
        visit_array(v, "nodes", tmpfs->nodes, tmpfs->n_nodes, IMAGE_NODES_MAX, visit_node);
}

static void visit_ipc(Visit *v, void *item) {
        ImageIpc *ipc = item;

        visit_letter(v, "type", &ipc->type, "msq");
        visit_i32(v, "id", &ipc->id, 0, INT32_MAX);
        visit_i32(v, "key", &ipc->key, INT32_MIN, INT32_MAX);
        visit_u32(v, "mode", &ipc->mode, 0177777);
        visit_u32(v, "uid", &ipc->uid, UINT32_MAX);
        visit_u32(v, "gid", &ipc->gid, UINT32_MAX);
        visit_u32(v, "cuid", &ipc->cuid, UINT32_MAX);
        visit_u32(v, "cgid", &ipc->cgid, UINT32_MAX);
        visit_index(v, "object", &ipc->object, IMAGE_FILES_MAX);
        visit_numbers(v, "values", &ipc->values, &ipc->n_values, sizeof(uint32_t), IMAGE_SEMAPHORES_MAX);
        visit_numbers(v, "pids", &ipc->pids, &ipc->n_pids, sizeof(uint32_t), IMAGE_SEMAPHORES_MAX);
        visit_numbers(v, "undo", &ipc->undo, &ipc->n_undo, sizeof(int64_t), IMAGE_UNDO_MAX);
        visit_u64(v, "maxBytes", &ipc->max_bytes, INT64_MAX);
        visit_blob(v, "messages", &ipc->messages);
        visit_numbers(v, "sizes", &ipc->sizes, &ipc->n_sizes, sizeof(uint64_t), IMAGE_MESSAGES_MAX);
        visit_numbers(v, "types", &ipc->types, &ipc->n_types, sizeof(int64_t), IMAGE_MESSAGES_MAX);
}

static void visit_mqueue(Visit *v, void *item) {
        ImageMqueue *queue = item;

        visit_string(v, "name", &queue->name, NAME_MAX);
        visit_bool(v, "removed", &queue->removed);
        visit_u32(v, "mode", &queue->mode, 07777);
        visit_u32(v, "uid", &queue->uid, UINT32_MAX);
        visit_u32(v, "gid", &queue->gid, UINT32_MAX);
        visit_u32(v, "maxMessages", &queue->max_messages, IMAGE_MQUEUE_MESSAGES_MAX);
        visit_u32(v, "messageSize", &queue->message_size, IMAGE_MQUEUE_MESSAGE_MAX);
        visit_blob(v, "messages", &queue->messages);
        visit_numbers(v, "sizes", &queue->sizes, &queue->n_sizes, sizeof(uint64_t), IMAGE_MQUEUE_MESSAGES_MAX);
        visit_numbers(v, "priorities", &queue->priorities, &queue->n_priorities, sizeof(uint32_t), IMAGE_MQUEUE_MESSAGES_MAX);
}

/* What is checked before anything else is looked at comes first. */
static void visit_image(Visit *v, Image *image) {
        Visit inner;

        visit_cpu(v, &image->cpu);
        visit_host(v, &image->host);
        visit_clocks(v, &image->clocks);
        visit_string(v, "name", &image->name, 64);
        visit_string(v, "profile", &image->profile, 16U << 20);
        visit_string(v, "container", &image->container, 64);
        visit_u32(v, "walls", &image->walls, UINT32_MAX);
        visit_u32(v, "cpus", &image->n_cpus, 65536);
        visit_i64(v, "started", &image->started_usec, 0, INT64_MAX);
        visit_blob(v, "kernel", &image->kernel);
        visit_u64(v, "memory", &image->memory, INT64_MAX);
        visit_array(v, "pages", image->page_files, image->n_page_files, IMAGE_PAGE_FILES_MAX, visit_page_file);
        if (visit_enter(v, "data", true, &inner)) {
                visit_page_file(&inner, &image->data);
                visit_leave(v, &inner);
        }
        visit_array(v, "processes", image->processes, image->n_processes, IMAGE_PROCESSES_MAX, visit_process);
        visit_array(v, "fdTables", image->fd_tables, image->n_fd_tables, IMAGE_PROCESSES_MAX, visit_fd_table);
        visit_array(v, "files", image->files, image->n_files, IMAGE_FILES_MAX, visit_file);
        visit_array(v, "objects", image->objects, image->n_objects, IMAGE_FILES_MAX, visit_object);
        visit_array(v, "tmpfs", image->tmpfs, image->n_tmpfs, 4096, visit_tmpfs);
        visit_array(v, "ipc", image->ipc, image->n_ipc, IMAGE_IPC_MAX, visit_ipc);
        visit_array(v, "mqueues", image->mqueues, image->n_mqueues, IMAGE_MQUEUES_MAX, visit_mqueue);
}

/* Version and features, before anything that a later version may have changed. */
static void read_head(Visit *v, Image *image) {
        json_object *features = NULL;
        char *format = NULL;

        visit_string(v, "format", &format, 64);
        if (v->state->error >= 0 && (!format || !streq(format, IMAGE_FORMAT)))
                visit_fail(v, -EBADMSG, "format", "is not \"" IMAGE_FORMAT "\": this is no image of a sandbox");
        free(format);
        visit_u32(v, "version", &image->version, UINT32_MAX);
        if (v->state->error >= 0 && image->version != IMAGE_VERSION)
                visit_fail(v, image->version > IMAGE_VERSION ? -EOPNOTSUPP : -EBADMSG, "version",
                           "%" PRIu32 " is not known here, %u is: restore it with the sentryd that saved it, or a later one",
                           image->version, IMAGE_VERSION);
        if (v->state->error < 0 || !json_object_object_get_ex(v->object, "features", &features))
                return;
        if (!json_object_is_type(features, json_type_array)) {
                visit_fail(v, -EBADMSG, "features", "is no array");
                return;
        }
        for (size_t i = 0; i < json_object_array_length(features); i++) {
                const char *name = json_object_get_string(json_object_array_get_idx(features, i));
                ImageFeature feature = 0;

                while (feature < _IMAGE_FEATURE_MAX && !(name && streq(name, image_feature_to_string(feature))))
                        feature++;
                if (feature == _IMAGE_FEATURE_MAX) {
                        _cleanup_free_ char *shown = name ? text_shown(name, 64) : NULL;

                        visit_fail(v, -EOPNOTSUPP, "features", "\"%s\" is not known here: a later sentryd is needed",
                                   shown ?: "null");
                        return;
                }
                image->features |= UINT64_C(1) << feature;
        }
}

json_object *image_to_json(Image *image) {
        _cleanup_json_ json_object *root = json_object_new_object();
        json_object *features = json_object_new_array();
        VisitState state = {};
        Visit v = { .state = &state, .object = root, .writing = true };
        char *format = (char *) IMAGE_FORMAT;

        if (!root || !features) {
                json_object_put(features);
                return NULL;
        }
        visit_string(&v, "format", &format, 64);
        visit_u32(&v, "version", &image->version, UINT32_MAX);
        for (ImageFeature feature = 0; feature < _IMAGE_FEATURE_MAX; feature++)
                if (image->features & UINT64_C(1) << feature)
                        (void) json_object_array_add(features, json_object_new_string(image_feature_to_string(feature)));
        if (json_object_object_add(root, "features", features) < 0) {
                json_object_put(features);
                return NULL;
        }
        visit_image(&v, image);
        visit_state_done(&state);
        return state.error < 0 ? NULL : TAKE_PTR(root);
}

int image_from_json(json_object *root, Image **ret, char **ret_message) {
        _cleanup_(image_freep) Image *image = image_new();
        VisitState state = {};
        Visit v = { .state = &state, .object = root };

        if (!image)
                return -ENOMEM;
        if (!json_object_is_type(root, json_type_object))
                visit_fail(&v, -EBADMSG, "", "it is no JSON object");
        if (state.error >= 0)
                read_head(&v, image);
        if (state.error >= 0)
                visit_image(&v, image);
        if (state.error >= 0)
                state.error = image_check(image, &state.message);
        if (state.error < 0) {
                *ret_message = TAKE_PTR(state.message);
                visit_state_done(&state);
                return state.error;
        }
        *ret = TAKE_PTR(image);
        return 0;
}
