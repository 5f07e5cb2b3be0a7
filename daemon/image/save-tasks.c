/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tasks are: from /proc, by ptrace, and by calls made in them. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "util/cpuset.h"
#include "stopped-call.h"
#include "protocol.h"
#include "save.h"
#include "util.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#define IOPRIO_WHO_PROCESS 1
#define SIGINFO_SIZE 128U
#define SIGINFO_BATCH 32U
#define SCRATCH_GAP (UINT64_C(4) << 20) /* to its neighbours: stacks grow */

typedef struct RseqConfiguration {
        uint64_t address;
        uint32_t size, signature, flags, pad;
} RseqConfiguration;

typedef struct KernelSigaction {
        uint64_t handler, flags, restorer, mask;
} KernelSigaction;

typedef struct SchedAttributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
} SchedAttributes;

static const char *const ns_names[] = { "user", "pid", "mnt", "net", "uts", "ipc", "cgroup", "time" };

/* ---- text of /proc ---- */

/* The rest of the line behind a key of a status file, or NULL. */
static const char *status_line(const char *status, const char *key) {
        size_t n = strlen(key);

        for (const char *p = status; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
                if (strncmp(p, key, n) == 0 && p[n] == ':')
                        return p + n + 1;
        return NULL;
}

static uint64_t status_number(const char *status, const char *key, int base) {
        const char *p = status_line(status, key);

        return p ? strtoull(p, NULL, base) : 0;
}

static size_t status_numbers(const char *status, const char *key, uint32_t *numbers, size_t max) {
        const char *p = status_line(status, key);
        size_t n = 0;

        while (p && n < max) {
                char *end;

                p += strspn(p, " \t");
                if (*p < '0' || *p > '9')
                        break;
                numbers[n++] = (uint32_t) strtoul(p, &end, 10);
                p = end;
        }
        return n;
}

/* Field N of a stat file, from 3 on; proc_pid_stat(5). */
static const char *stat_field(const char *stat, unsigned field) {
        const char *p = strrchr(stat, ')');

        p = p ? p + 2 : "";
        for (unsigned i = 3; i < field && *p; i++) {
                p += strcspn(p, " ");
                p += *p == ' ';
        }
        return p;
}

static uint64_t stat_u64(const char *stat, unsigned field) {
        return strtoull(stat_field(stat, field), NULL, 10);
}

static int32_t stat_i32(const char *stat, unsigned field) {
        return (int32_t) strtol(stat_field(stat, field), NULL, 10);
}

/* In the sandbox's own /proc: numbers are its own. */
static int read_inside(int32_t pid, const char *name, char **ret) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "%" PRId32 "/%s", pid, name);
        fd = openat(IMAGER_FD_PROC, path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : read_full_fd(fd, 1U << 20, ret, NULL);
}

uint32_t save_uid_inside(const Save *save, bool group, uint32_t id) {
        _cleanup_free_ char *map = NULL;
        const char *p;
        unsigned inside, outside, count;

        if (save_read_proc(save->init, group ? "gid_map" : "uid_map", &map) < 0)
                return id;
        for (p = map; sscanf(p, "%u %u %u", &inside, &outside, &count) == 3; p++) {
                if (id >= outside && id - outside < count)
                        return inside + (id - outside);
                p = strchr(p, '\n');
                if (!p)
                        break;
        }
        return 65534; /* what the kernel shows of one that has no number here */
}

/* ---- a thread ---- */

static int save_pending(Save *save, pid_t tid, bool shared, ImageBlob *ret) {
        struct __ptrace_peeksiginfo_args args = { .flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0, .nr = SIGINFO_BATCH };
        uint8_t batch[SIGINFO_BATCH][SIGINFO_SIZE];
        _cleanup_free_ uint8_t *all = NULL;
        size_t n_all = 0;

        for (;;) {
                long n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, batch);
                uint8_t *grown;

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                grown = realloc(all, (n_all + (size_t) n) * SIGINFO_SIZE);
                if (!grown)
                        return -ENOMEM;
                all = grown;
                memcpy(all + n_all * SIGINFO_SIZE, batch, (size_t) n * SIGINFO_SIZE);
                n_all += (size_t) n;
                args.off += (uint64_t) n;
        }
        return n_all == 0 ? 0 : image_writer_add(&save->writer, all, n_all * SIGINFO_SIZE, ret, &save->message);
}

/* Within a restartable sequence, the program goes on where such a sequence is aborted. */
static void abort_rseq(SaveThread *thread, const RseqConfiguration *rseq) {
        struct {
                uint32_t version, flags;
                uint64_t start, length, abort;
        } section;
        uint64_t address;

        if (inject_read(thread->tid, rseq->address + 8, &address, sizeof(address)) < 0 || address == 0 ||
            inject_read(thread->tid, address, &section, sizeof(section)) < 0)
                return;
        if (thread->state.regs.rip - section.start < section.length)
                thread->state.regs.rip = section.abort;
}

static int save_scheduling(SaveThread *task, ImageThread *thread) {
        SchedAttributes attributes = { .size = sizeof(attributes) };
        char list[CPUSET_LIST_MAX];
        CpuSet set = {};
        long n;

        if (syscall(SYS_sched_getattr, task->tid, &attributes, sizeof(attributes), 0) < 0)
                return -errno;
        thread->policy = attributes.policy;
        thread->nice = attributes.nice;
        thread->priority = attributes.priority;
        thread->sched_flags = (uint32_t) attributes.flags;
        n = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, task->tid);
        thread->io_priority = n > 0 ? (uint32_t) n : 0;
        if (syscall(SYS_sched_getaffinity, task->tid, sizeof(set), &set) < 0)
                return -errno;
        cpuset_format(&set, list, sizeof(list));
        thread->affinity = strdup(list);
        return thread->affinity ? 0 : -ENOMEM;
}

static int save_credentials(Save *save, const char *status, ImageThread *thread) {
        uint32_t ids[4];

        if (status_numbers(status, "Uid", ids, 4) != 4)
                return -EIO;
        for (unsigned i = 0; i < 4; i++)
                thread->uid[i] = save_uid_inside(save, false, ids[i]);
        if (status_numbers(status, "Gid", ids, 4) != 4)
                return -EIO;
        for (unsigned i = 0; i < 4; i++)
                thread->gid[i] = save_uid_inside(save, true, ids[i]);
        thread->groups = calloc(NGROUPS_MAX, sizeof(uint32_t));
        if (!thread->groups)
                return -ENOMEM;
        thread->n_groups = status_numbers(status, "Groups", thread->groups, NGROUPS_MAX);
        for (size_t i = 0; i < thread->n_groups; i++)
                thread->groups[i] = save_uid_inside(save, true, thread->groups[i]);
        thread->cap_inheritable = status_number(status, "CapInh", 16);
        thread->cap_permitted = status_number(status, "CapPrm", 16);
        thread->cap_effective = status_number(status, "CapEff", 16);
        thread->cap_bounding = status_number(status, "CapBnd", 16);
        thread->cap_ambient = status_number(status, "CapAmb", 16);
        thread->no_new_privs = status_number(status, "NoNewPrivs", 10) != 0;
        return 0;
}

static int32_t read_number(pid_t pid, const char *name, int base) {
        _cleanup_free_ char *text = NULL;

        return save_read_proc(pid, name, &text) < 0 ? 0 : (int32_t) strtol(text, NULL, base);
}

/* What is to be had from outside. */
static int save_thread_outside(Save *save, const SaveProcess *process, SaveThread *task, ImageThread *thread) {
        _cleanup_free_ char *status = NULL, *comm = NULL;
        RseqConfiguration rseq = {};
        uint64_t robust = 0;
        size_t robust_size = 0;
        int r;

        r = inject_state_get(task->tid, &task->state);
        if (r < 0)
                return r;
        task->has_state = true;
        save_calls_adopt(process, task);
        (void) call_mend(&task->state.regs);

        thread->tid = task->id;
        if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, task->tid, sizeof(rseq), &rseq) >= 0 && rseq.address != 0) {
                thread->rseq_address = rseq.address;
                thread->rseq_size = rseq.size;
                thread->rseq_signature = rseq.signature;
                thread->rseq_flags = rseq.flags;
                abort_rseq(task, &rseq);
        }
        thread->personality = (uint32_t) read_number(task->tid, "personality", 16);
        memcpy(thread->regs, &task->state.regs, sizeof(thread->regs));
        thread->sigmask = task->state.mask;
        r = image_writer_add(&save->writer, task->state.xstate, task->state.xstate_size, &thread->xstate, &save->message);
        if (r >= 0)
                r = save_pending(save, task->tid, false, &thread->pending);
        if (r < 0)
                return r;
        if (syscall(SYS_get_robust_list, task->tid, &robust, &robust_size) >= 0 && robust != 0) {
                thread->robust_list = robust;
                thread->robust_size = robust_size;
        }
        r = save_read_proc(task->tid, "status", &status);
        if (r >= 0)
                r = save_read_proc(task->tid, "comm", &comm);
        if (r >= 0)
                r = save_credentials(save, status, thread);
        if (r >= 0)
                r = save_scheduling(task, thread);
        if (r < 0)
                return r;
        if (strlen(comm) > 0)
                comm[strlen(comm) - 1] = '\0'; /* the line's end */
        thread->comm = TAKE_PTR(comm);
        return 0;
}

/* What a thread only tells itself. */
static int save_thread_inside(SaveProcess *process, SaveThread *task, Inject *inject, ImageThread *thread) {
        struct {
                uint64_t sp;
                int32_t flags, pad;
                uint64_t size;
        } altstack;
        int32_t signo = 0;
        int64_t x;
        int r;

        x = inject_call(inject, SYS_sigaltstack, 0, process->scratch);
        r = x < 0 ? (int) x : inject_read(task->tid, process->scratch, &altstack, sizeof(altstack));
        if (r < 0)
                return r;
        thread->altstack_sp = altstack.sp;
        thread->altstack_size = altstack.size;
        thread->altstack_flags = (uint32_t) altstack.flags;
        x = inject_call(inject, SYS_prctl, PR_GET_TID_ADDRESS, process->scratch);
        r = x < 0 ? (int) x : inject_read(task->tid, process->scratch, &thread->clear_tid, sizeof(thread->clear_tid));
        if (r < 0)
                return r;
        x = inject_call(inject, SYS_prctl, PR_GET_PDEATHSIG, process->scratch);
        r = x < 0 ? (int) x : inject_read(task->tid, process->scratch, &signo, sizeof(signo));
        if (r < 0)
                return r;
        thread->pdeathsig = (uint32_t) signo;
        x = inject_call(inject, SYS_prctl, PR_GET_TIMERSLACK);
        thread->timer_slack_ns = x > 0 ? (uint64_t) x : 0;
        x = inject_call(inject, SYS_prctl, PR_GET_SECUREBITS);
        thread->securebits = x > 0 ? (uint32_t) x : 0;
        x = inject_call(inject, SYS_prctl, PR_GET_KEEPCAPS);
        thread->keep_caps = x > 0;
        return 0;
}

/* ---- a process ---- */

static int save_actions(SaveProcess *process, Inject *inject, const char *status, ImageProcess *image) {
        uint64_t wanted = status_number(status, "SigCgt", 16) | status_number(status, "SigIgn", 16);

        for (unsigned signo = 1; signo <= 64; signo++) {
                KernelSigaction action;
                ImageSigaction *entry;
                int64_t x;
                int r;

                if (!(wanted & UINT64_C(1) << (signo - 1)))
                        continue;
                x = inject_call(inject, SYS_rt_sigaction, signo, 0, process->scratch, 8);
                r = x < 0 ? (int) x : inject_read(inject->tid, process->scratch, &action, sizeof(action));
                if (r < 0)
                        return r;
                entry = IMAGE_APPEND(image->actions, image->n_actions);
                if (!entry)
                        return -ENOMEM;
                *entry = (ImageSigaction) { signo, action.handler, action.flags, action.restorer, action.mask };
        }
        return 0;
}

/* In the middle of the largest hole. */
uint64_t save_hole(const ImageProcess *image, uint64_t wanted) {
        uint64_t best = 0, size = 0, end = 0x100000;

        for (size_t i = 0; i < image->n_maps; i++) {
                const ImageMap *map = image->maps + i;

                if (map->start > end && map->start - end > size && map->start <= UINT64_C(0x7fffffffffff)) {
                        size = map->start - end;
                        best = end + size / 2;
                }
                end = map->end;
        }
        return size >= SCRATCH_GAP && wanted < size / 2 - SCRATCH_GAP / 4 ? best & ~(uint64_t) (IMAGE_PAGE - 1) : 0;
}

static int save_process_inside(Save *save, size_t index, Inject *inject, const char *status) {
        ImageProcess *image = save->image->processes + index;
        SaveProcess *process = save->processes + index;
        int64_t x;
        int r;

        x = inject_call(inject, SYS_brk, 0);
        if (x < 0)
                return (int) x;
        image->mm.brk = (uint64_t) x;
        x = inject_call(inject, SYS_prctl, PR_GET_DUMPABLE);
        image->dumpable = x > 0 ? (uint32_t) x : 0;
        x = inject_call(inject, SYS_prctl, PR_GET_CHILD_SUBREAPER, process->scratch);
        if (x >= 0) {
                int32_t is = 0;

                if (inject_read(inject->tid, process->scratch, &is, sizeof(is)) >= 0)
                        image->subreaper = is != 0;
        }
        x = inject_call(inject, SYS_prctl, PR_GET_THP_DISABLE);
        image->thp_disabled = x > 0;
        r = save_actions(process, inject, status, image);
        return r < 0 ? r : save_host_timers(save, index, inject);
}

/* The calls of a process and of all its threads. */
static int save_inside(Save *save, size_t index, const char *status) {
        ImageProcess *image = save->image->processes + index;
        SaveProcess *process = save->processes + index;
        Inject inject = {};
        int r;

        r = save_calls_begin(save, process);
        if (r < 0)
                return r;
        process->scratch = save_hole(image, IMAGE_PAGE);
        process->scratch_size = IMAGE_PAGE;
        if (process->scratch == 0)
                return -ENOMEM;
        for (size_t i = 0; i < process->n_threads; i++) {
                SaveThread *task = save->threads + process->first + i;
                int64_t x;

                r = save_calls_thread(save, process, task, &inject);
                if (r < 0)
                        return r;
                if (i == 0) {
                        x = inject_call(&inject, SYS_mmap, process->scratch, IMAGE_PAGE, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t) -1, 0);
                        if (x < 0)
                                return (int) x;
                        r = save_process_inside(save, index, &inject, status);
                }
                if (r >= 0)
                        r = save_thread_inside(process, task, &inject, image->threads + i);
                if (r >= 0 && i + 1 == process->n_threads) {
                        x = inject_call(&inject, SYS_munmap, process->scratch, IMAGE_PAGE);
                        r = (int) MIN(x, (int64_t) 0);
                }
                if (r < 0)
                        return r;
                r = save_calls_thread_end(save, process, task);
                if (r < 0)
                        return r;
        }
        save_calls_end(save, process, &inject);
        return 0;
}

static int save_link_place(Save *save, size_t index, const char *name, ImagePlace *ret) {
        SaveProcess *process = save->processes + index;
        struct stat st;
        char path[64], who[96];
        int r;

        r = save_read_link(process->pid, name, &ret->path);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) process->pid, name);
        if (stat(path, &st) < 0)
                return -errno;
        if (!streq(name, "exe") && st.st_nlink == 0)
                save_refuse(save, "%s: its %s, %s, was removed", save_who(save, index, who),
                            streq(name, "cwd") ? "working directory" : "root directory", ret->path);
        ret->dev = st.st_dev;
        ret->ino = st.st_ino;
        ret->mode = st.st_mode;
        if (S_ISREG(st.st_mode)) {
                ret->size = (uint64_t) st.st_size;
                ret->mtime_sec = st.st_mtim.tv_sec;
                ret->mtime_nsec = (uint32_t) st.st_mtim.tv_nsec;
        }
        return 0;
}

static int save_limits(pid_t pid, ImageProcess *image) {
        for (unsigned i = 0; i < IMAGE_LIMITS; i++) {
                struct rlimit64 limit;

                if (syscall(SYS_prlimit64, pid, i, NULL, &limit) < 0)
                        return -errno;
                image->limits[2 * i] = limit.rlim_cur;
                image->limits[2 * i + 1] = limit.rlim_max;
        }
        return 0;
}

static int save_process_outside(Save *save, size_t index, const char *stat, const char *status) {
        ImageProcess *image = save->image->processes + index;
        SaveProcess *process = save->processes + index;
        _cleanup_free_ char *auxv = NULL;
        _cleanup_close_ int fd = -EBADF;
        char path[64];
        size_t n;
        int r;

        image->mm = (ImageMmFields) {
                .start_code = stat_u64(stat, 26), .end_code = stat_u64(stat, 27), .start_stack = stat_u64(stat, 28),
                .start_data = stat_u64(stat, 45), .end_data = stat_u64(stat, 46), .start_brk = stat_u64(stat, 47),
                .arg_start = stat_u64(stat, 48), .arg_end = stat_u64(stat, 49),
                .env_start = stat_u64(stat, 50), .env_end = stat_u64(stat, 51),
        };
        image->umask = (uint32_t) status_number(status, "Umask", 8);
        image->oom_score_adj = read_number(process->pid, "oom_score_adj", 10);
        image->coredump_filter = (uint32_t) read_number(process->pid, "coredump_filter", 16);
        r = save_limits(process->pid, image);
        if (r >= 0)
                r = save_link_place(save, index, "exe", &image->exe);
        if (r >= 0)
                r = save_link_place(save, index, "cwd", &image->cwd);
        if (r >= 0)
                r = save_link_place(save, index, "root", &image->root);
        if (r < 0)
                return r;

        (void) snprintf(path, sizeof(path), "/proc/%d/auxv", (int) process->pid);
        fd = save_open(AT_FDCWD, path, O_RDONLY);
        if (fd < 0)
                return fd;
        r = read_full_fd(fd, 65536, &auxv, &n);
        if (r >= 0)
                r = image_writer_add(&save->writer, auxv, n, &image->auxv, &save->message);
        return r < 0 ? r : save_pending(save, save->threads[process->first].tid, true, &image->pending);
}

/* Namespaces of its own are not saved yet. */
static void check_namespaces(Save *save, size_t index) {
        SaveProcess *process = save->processes + index;
        char path[64], who[96];
        struct stat st;

        for (unsigned i = 0; i < ELEMENTSOF(ns_names); i++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) process->pid, ns_names[i]);
                if (stat(path, &st) < 0)
                        continue;
                if (process->pid == save->init)
                        save->init_ns[i] = st.st_ino;
                else if (st.st_ino != save->init_ns[i])
                        save_refuse(save, "%s: it is in another %s namespace than the first process", save_who(save, index, who),
                                    ns_names[i]);
        }
}

static int save_process(Save *save, size_t index) {
        ImageProcess *image = save->image->processes + index;
        SaveProcess *process = save->processes + index;
        _cleanup_free_ char *stat = NULL, *status = NULL;
        unsigned refused = save->n_reasons;
        char who[96];
        int r;

        r = read_inside(process->id, "stat", &stat);
        if (r >= 0)
                r = save_read_proc(process->pid, "status", &status);
        if (r < 0)
                return save_fail(save, r, "%s: /proc cannot be read: %s", save_who(save, index, who), strerror(-r));
        image->parent = stat_i32(stat, 4);
        image->group = stat_i32(stat, 5);
        image->session = stat_i32(stat, 6);
        process->tty = stat_u64(stat, 7);
        process->tty_group = MAX(stat_i32(stat, 8), 0);
        image->exit_signal = (uint32_t) MAX(stat_i32(stat, 38), 0);
        image->fd_table = image->fs_with = image->terminal = IMAGE_NONE;
        image->comm = strndup(strchr(stat, '(') + 1, (size_t) (strrchr(stat, ')') - strchr(stat, '(') - 1));
        if (save->threads[process->first].zombie) {
                image->state = IMAGE_TASK_ZOMBIE;
                image->exit_status = (uint32_t) stat_u64(stat, 52) & 0xffff;
                if (process->n_threads > 1)
                        save_refuse(save, "%s: its first thread has ended, others live", save_who(save, index, who));
                return 0;
        }
        free(TAKE_PTR(image->comm));
        if (save->threads[process->first].job_stop != 0) {
                image->state = IMAGE_TASK_STOPPED;
                image->stop_signal = (uint32_t) save->threads[process->first].job_stop;
        }
        check_namespaces(save, index);
        if (save_has_other_root(save, index))
                return 0;
        r = save_maps(save, index);
        if (r < 0)
                return save_fail(save, r, "%s: its memory cannot be looked at: %s%s", save_who(save, index, who), strerror(-r),
                                 r != -EACCES ? "" : "; it is another user's, whose memory takes joining the sandbox's user namespace, which "
                                                     "the walls of sentryd's unit forbid (RestrictNamespaces=)");

        for (size_t i = 0; i < process->n_threads; i++) {
                ImageThread *thread = IMAGE_APPEND(image->threads, image->n_threads);

                r = thread ? save_thread_outside(save, process, save->threads + process->first + i, thread) : -ENOMEM;
                if (r == -EOPNOTSUPP) {
                        save_refuse(save, "%s: it is a program of 32 bits", save_who(save, index, who));
                        return 0;
                }
                if (r < 0)
                        return save_fail(save, r, "%s: thread %" PRId32 " cannot be read: %s", save_who(save, index, who),
                                         save->threads[process->first + i].id, strerror(-r));
        }
        r = save_process_outside(save, index, stat, status);
        if (r < 0)
                return save_fail(save, r, "%s: cannot be read: %s", save_who(save, index, who), strerror(-r));
        if (save->n_reasons > refused && process->vdso == 0)
                return 0;
        r = save_inside(save, index, status);
        if (r < 0)
                return save_fail(save, r, "%s: calls cannot be made in it: %s", save_who(save, index, who), strerror(-r));
        return 0;
}

/* ---- all of them ---- */

/* The number of a thread in the sandbox, and whether it is the first of its process. */
static int read_id(SaveThread *thread) {
        _cleanup_free_ char *status = NULL;
        const char *line, *end;
        struct stat st, ns;
        char path[64];
        int r;

        r = save_read_proc(thread->tid, "status", &status);
        if (r < 0)
                return r;
        thread->pid = (pid_t) status_number(status, "Tgid", 10);
        line = status_line(status, "NSpid");
        if (!line)
                return -EIO;
        /* The last one, unless it lives in a PID namespace below ours: then it is refused anyway. */
        end = strchrnul(line, '\n');
        while (end > line && end[-1] != '\t' && end[-1] != ' ')
                end--;
        thread->id = atoi(end);
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int) thread->tid);
        if (!thread->zombie && (stat(path, &st) < 0 || fstat(IMAGER_FD_PID_NS, &ns) < 0 || st.st_ino != ns.st_ino))
                return -EXDEV;
        return 0;
}

static int compare_threads(const void *a, const void *b) {
        const SaveThread *x = a, *y = b;

        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        if ((x->tid == x->pid) != (y->tid == y->pid))
                return x->tid == x->pid ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

typedef struct Place {
        SaveProcess process;
        int32_t parent;
        unsigned depth;
} Place;

static int compare_ids(const void *a, const void *b) {
        const Place *x = a, *y = b;

        return x->process.id < y->process.id ? -1 : x->process.id > y->process.id;
}

static int compare_depths(const void *a, const void *b) {
        const Place *x = a, *y = b;

        if (x->depth != y->depth)
                return x->depth < y->depth ? -1 : 1;
        return compare_ids(a, b);
}

/* Parents before children. */
static int order_processes(Save *save) {
        _cleanup_free_ Place *places = calloc(save->n_processes, sizeof(Place));

        if (!places)
                return -ENOMEM;
        for (size_t i = 0; i < save->n_processes; i++) {
                _cleanup_free_ char *stat = NULL;

                places[i].process = save->processes[i];
                if (read_inside(places[i].process.id, "stat", &stat) >= 0)
                        places[i].parent = stat_i32(stat, 4);
        }
        qsort(places, save->n_processes, sizeof(Place), compare_ids);
        for (size_t i = 0; i < save->n_processes; i++) {
                const Place *at = places + i;

                while (at && at->parent != 0 && places[i].depth <= save->n_processes) {
                        Place key = { .process.id = at->parent };

                        places[i].depth++;
                        at = bsearch(&key, places, save->n_processes, sizeof(Place), compare_ids);
                }
        }
        qsort(places, save->n_processes, sizeof(Place), compare_depths);
        for (size_t i = 0; i < save->n_processes; i++)
                save->processes[i] = places[i].process;
        return 0;
}

static int group_threads(Save *save) {
        SaveProcess *process = NULL;
        int r;

        for (size_t i = 0; i < save->n_threads; i++) {
                r = read_id(save->threads + i);
                if ((r == -ENOENT || r == -ESRCH) && save->threads[i].zombie) {
                        /* Its parent, stopped later, has waited for it. */
                        save->threads[i--] = save->threads[--save->n_threads];
                        continue;
                }
                if (r == -EXDEV)
                        save_refuse(save, "process %d of the host: it is in a PID namespace of its own, within the sandbox",
                                    (int) save->threads[i].pid);
                else if (r < 0)
                        return save_fail(save, r, "task %d is gone while it was stopped: %s", (int) save->threads[i].tid, strerror(-r));
        }
        if (save->n_reasons > 0)
                return 0;
        qsort(save->threads, save->n_threads, sizeof(SaveThread), compare_threads);
        for (size_t i = 0; i < save->n_threads; i++) {
                SaveThread *thread = save->threads + i;

                if (!process || process->pid != thread->pid) {
                        process = IMAGE_APPEND(save->processes, save->n_processes);
                        if (!process)
                                return -ENOMEM;
                        *process = (SaveProcess) { .pid = thread->pid, .id = thread->id, .first = i };
                }
                process->n_threads++;
        }
        return order_processes(save);
}

int save_tasks(Save *save) {
        int r;

        r = group_threads(save);
        if (r < 0 || save->n_reasons > 0)
                return r;
        save->image->processes = calloc(save->n_processes, sizeof(ImageProcess));
        if (!save->image->processes)
                return -ENOMEM;
        save->image->n_processes = save->n_processes;
        for (size_t i = 0; i < save->n_processes; i++)
                save->image->processes[i].pid = save->processes[i].id;
        if (save->n_processes == 0 || save->processes[0].pid != save->init)
                return save_fail(save, -ESRCH, "the first process of the sandbox is not there");
        for (size_t i = 0; i < save->n_processes; i++) {
                r = save_process(save, i);
                if (r < 0)
                        return r;
        }
        return 0;
}
