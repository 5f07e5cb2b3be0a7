/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "proc-task.h"
#include "sentry.h"
#include "util.h"

#define DESCRIPTORS_MAX 65536U
#define DESCRIPTORS_KEPT 512U /* for listeners, launches, the bus and /proc */
#define EVENTS_AT_ONCE 64

/* ioctl_pidfd(2), since Linux 6.13, the exit status since 6.15; not in older headers. */
#define PIDFD_INFO_WANT_EXIT (UINT64_C(1) << 3)
typedef struct PidfdInfo {
        uint64_t mask, cgroupid;
        uint32_t pid, tgid, ppid;
        uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
        int32_t exit_code;
} PidfdInfo;
#define PIDFD_GET_INFO_V1 _IOWR(0xFF, 11, PidfdInfo)

/* A watch in an epoll event. */
static uint64_t pack(pid_t pid, int fd) {
        return (uint64_t) (uint32_t) pid << 32 | (uint32_t) fd;
}

/* The status of a process that has been waited for: 1; 0 when it has not been; -errno when the kernel cannot tell. */
static int reaped_status(int fd, int *ret_status) {
        PidfdInfo info = { .mask = PIDFD_INFO_WANT_EXIT };

        if (ioctl(fd, PIDFD_GET_INFO_V1, &info) < 0)
                return errno == ESRCH ? 0 : -errno;
        if (!(info.mask & PIDFD_INFO_WANT_EXIT))
                return 0;
        *ret_status = info.exit_code;
        return 1;
}

int task_watch_status(pid_t pid, int pidfd) {
        int status = WAIT_STATUS_UNKNOWN, r;

        r = reaped_status(pidfd, &status);
        if (r != 1)
                status = task_zombie_status(pid);
        if (r == 0 && status == WAIT_STATUS_UNKNOWN)
                (void) reaped_status(pidfd, &status);
        return status;
}

static void on_end(TaskWatch *watch, pid_t pid, int fd, bool hangup) {
        Sentry *sentry = watch->sentry;
        int status = WAIT_STATUS_UNKNOWN, r;

        r = reaped_status(fd, &status);
        if (r != 1)
                status = task_zombie_status(pid);
        /* It may have been waited for between the two looks. */
        if (r == 0 && status == WAIT_STATUS_UNKNOWN)
                r = reaped_status(fd, &status);
        /* An exec by a thread that is not the first ends the first one: on some kernels that shows here. */
        if (r != 1 && !hangup && status == WAIT_STATUS_UNKNOWN &&
            syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) >= 0 && !task_is_zombie(pid))
                return;
        task_table_note_exit(&sentry->kernel->tasks, pid, status, r == 1 || hangup);
}

void task_watch_poll(TaskWatch *watch) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int n;

        if (watch->n_watched == 0)
                return;
        do {
                n = epoll_wait(watch->epoll_fd, events, EVENTS_AT_ONCE, 0);
                for (int i = 0; i < n; i++)
                        on_end(watch, (pid_t) (events[i].data.u64 >> 32), (int) (uint32_t) events[i].data.u64,
                               events[i].events & EPOLLHUP);
        } while (n == EVENTS_AT_ONCE);
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        TaskWatch *watch = userdata;

        (void) source, (void) fd, (void) revents;
        task_watch_poll(watch);
        return 0;
}

static unsigned raise_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;
        if (limit.rlim_cur < limit.rlim_max && limit.rlim_cur < DESCRIPTORS_MAX) {
                limit.rlim_cur = MIN(limit.rlim_max, (rlim_t) DESCRIPTORS_MAX);
                (void) setrlimit(RLIMIT_NOFILE, &limit);
                if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                        return 0;
        }
        return limit.rlim_cur > DESCRIPTORS_KEPT ?
                (unsigned) MIN(limit.rlim_cur, (rlim_t) DESCRIPTORS_MAX) - DESCRIPTORS_KEPT : 0;
}

int task_watch_init(TaskWatch *watch, Sentry *sentry) {
        _cleanup_close_ int self = -EBADF;
        int status;

        *watch = (TaskWatch) { .sentry = sentry, .epoll_fd = -EBADF, .n_max = raise_limit() };
        watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (watch->epoll_fd < 0)
                return -errno;
        self = (int) syscall(SYS_pidfd_open, getpid(), 0);
        /* We have not been waited for. A kernel that can say so tells of those who have. */
        watch->tells_reaped = self >= 0 && reaped_status(self, &status) == 0;
        return sd_event_add_io(sentry->event, &watch->source, watch->epoll_fd, EPOLLIN, on_ready, watch);
}

void task_watch_done(TaskWatch *watch) {
        watch->source = sd_event_source_disable_unref(watch->source);
        if (watch->sentry)
                watch->epoll_fd = safe_close(watch->epoll_fd);
}

int task_watch_add(TaskWatch *watch, pid_t host_pid) {
        _cleanup_close_ int fd = -EBADF;
        struct epoll_event event;

        if (watch->n_watched >= watch->n_max)
                return -EMFILE;
        fd = (int) syscall(SYS_pidfd_open, host_pid, 0);
        if (fd < 0)
                return -errno;
        /* Once when it is dead, and once more when it was waited for. */
        event = (struct epoll_event) { .events = EPOLLIN | EPOLLET, .data.u64 = pack(host_pid, fd) };
        if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        watch->n_watched++;
        return TAKE_FD(fd);
}

void task_watch_remove(TaskWatch *watch, int handle) {
        watch->n_watched--;
        safe_close(handle); /* and thereby out of the epoll */
}
