/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "imager.h"
#include "log.h"
#include "restore-protocol.h"
#include "restorer.h"
#include "sentry.h"
#include "util.h"

#define RECORDS_MAX (64U << 20)

void restorer_done(Restorer *restorer) {
        restorer->source = sd_event_source_disable_unref(restorer->source);
        restorer->control_fd = safe_close(restorer->control_fd);
        restorer->listener = safe_close(restorer->listener);
}

static void fail(Restorer *restorer, const char *why) {
        Sentry *sentry = restorer->sentry;

        if (restorer->state == RESTORER_FAILED)
                return;
        restorer->state = RESTORER_FAILED;
        launch_server_checked(sentry, -EBADMSG);
        log_warning("%s: cannot restore the sandbox: %s", sentry->name, why);
        restorer_done(restorer);
        /* Whatever there is of it goes with its first process; who let go already, too. */
        if (sentry->init_pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, sentry->init_pidfd, SIGKILL, NULL, 0);
        sentry->status = 125;
}

static int read_records(Restorer *restorer, int fd) {
        _cleanup_free_ char *data = NULL;
        Record record;
        size_t size;
        int r;

        if (fd < 0)
                return -EBADMSG;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        r = read_full_fd(fd, RECORDS_MAX, &data, &size);
        if (r < 0)
                return r;
        record_init_read(&record, data, size);
        r = kernel_image(restorer->sentry->kernel, &record);
        record_done(&record);
        return r;
}

static int let_go(Restorer *restorer) {
        const RestoreMessage go = { .word = RESTORE_GO };
        Sentry *sentry = restorer->sentry;
        int r;

        r = notifier_add(&sentry->notifier, restorer->listener, restorer->killable);
        if (r < 0)
                return r;
        restorer->listener = -EBADF;
        /* While the imager lets one after the other go, who is free already would find the others traced. */
        sentry->notifier.receiving = false;
        /* Before anybody runs: with their processes, timers are armed again. */
        task_table_open(&sentry->kernel->tasks);
        sentry_started(sentry);
        r = task_table_sync(&sentry->kernel->tasks);
        if (r < 0)
                return r;
        ptrace_rules_adopt(sentry->kernel);
        /* What fell due meanwhile is not a signal later than the one that it was missed for. */
        timekeeper_run(&sentry->kernel->timekeeper);
        restorer->state = RESTORER_LETTING_GO;
        return send_fds(restorer->control_fd, &go, sizeof(go), NULL, 0);
}

static int begin(Restorer *restorer) {
        const Profile *profile = restorer->sentry->profile;
        RestoreMessage begin = {
                .word = RESTORE_BEGIN,
                .init = restorer->sentry->init_pid,
                .lazy = restorer->lazy,
                .many_users = profile->users == PROFILE_USERS_RANGE,
                .capabilities = profile->capabilities,
        };

        for (size_t i = 0; i < IMAGE_LIMITS; i++)
                begin.limits[i] = UINT64_MAX;
        for (size_t i = 0; i < profile->n_rlimits; i++)
                if ((unsigned) profile->rlimits[i].resource < IMAGE_LIMITS)
                        begin.limits[profile->rlimits[i].resource] = profile->rlimits[i].limit.rlim_max;

        restorer->state = RESTORER_MAKING;
        return send_fds(restorer->control_fd, &begin, sizeof(begin), &restorer->listener, 1);
}

static int on_word(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        union {
                char buffer[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control = {};
        Restorer *restorer = userdata;
        RestoreMessage message = {};
        struct iovec iov = { &message, sizeof(message) };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buffer,
                .msg_controllen = sizeof(control.buffer),
        };
        _cleanup_close_ int records = -EBADF;
        const struct cmsghdr *cmsg;
        ssize_t n;
        int r = 0;

        (void) source, (void) revents;
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        cmsg = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
        if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
                memcpy(&records, CMSG_DATA(cmsg), sizeof(int));
        if (n != sizeof(message)) {
                fail(restorer, "sentry-imager died");
                return 0;
        }
        message.text[sizeof(message.text) - 1] = '\0';

        if (message.word == RESTORE_FAILED) {
                fail(restorer, message.text);
                return 0;
        }
        if (message.word == RESTORE_CHECKED && restorer->state == RESTORER_CHECKING) {
                r = read_records(restorer, records);
                if (r >= 0) {
                        restorer->state = RESTORER_CHECKED;
                        r = restorer->listener >= 0 ? begin(restorer) : 0;
                        launch_server_checked(restorer->sentry, r);
                }
        } else if (message.word == RESTORE_READY && restorer->state == RESTORER_MAKING)
                r = let_go(restorer);
        else if (message.word == RESTORE_DONE && restorer->state == RESTORER_LETTING_GO) {
                restorer->state = RESTORER_DONE;
                restorer_done(restorer);
                restorer->sentry->notifier.receiving = restorer->sentry->freeze_depth == 0;
                restorer->sentry->notifier.rearm = true;
        } else
                r = -EPROTO;
        if (r < 0)
                fail(restorer, strerror(-r));
        return 0;
}

int restorer_start(Restorer *restorer, Sentry *sentry, int directory_fd, bool lazy) {
        _cleanup_close_ int pidfd = -EBADF;
        int fds[2], r;
        pid_t pid;

        *restorer = (Restorer) { .sentry = sentry, .lazy = lazy, .control_fd = -EBADF, .listener = -EBADF };
        task_table_close(&sentry->kernel->tasks);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        r = imager_spawn(sentry, "restore", true, (const int[]) { fds[1], directory_fd }, 2, &pid, &pidfd);
        safe_close(fds[1]);
        restorer->control_fd = fds[0];
        if (r >= 0)
                r = sd_event_add_io(sentry->event, &restorer->source, fds[0], EPOLLIN, on_word, restorer);
        restorer->state = RESTORER_CHECKING;
        return r;
}

int restorer_begin(Restorer *restorer, int *listener, bool killable) {
        if (restorer->state != RESTORER_CHECKING && restorer->state != RESTORER_CHECKED)
                return -EBADMSG;
        restorer->listener = *listener;
        *listener = -EBADF;
        restorer->killable = killable;
        return restorer->state == RESTORER_CHECKED ? begin(restorer) : 0;
}
