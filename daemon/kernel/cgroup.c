/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "cgroup.h"
#include "launch-protocol.h"
#include "util.h"

#define EMPTY_TIMEOUT_NS (2 * UINT64_C(1000000000))

static uint64_t now_ns(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

void sandbox_cgroup_init(SandboxCgroup *cgroup) {
        *cgroup = (SandboxCgroup) { .parent_fd = -EBADF, .fd = -EBADF };
}

void sandbox_cgroup_done(SandboxCgroup *cgroup, bool remove) {
        if (remove && cgroup->parent_fd >= 0) {
                /* It may have been made and not entered; or announced and not made. */
                if (cgroup->fd < 0)
                        cgroup->fd = openat(cgroup->parent_fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (cgroup->fd >= 0) {
                        (void) sandbox_cgroup_write(cgroup, "cgroup.kill", "1");
                        (void) sandbox_cgroup_await(cgroup, "populated 0", now_ns() + EMPTY_TIMEOUT_NS);
                        (void) unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR);
                }
        }
        cgroup->fd = safe_close(cgroup->fd);
        cgroup->parent_fd = safe_close(cgroup->parent_fd);
}

int sandbox_cgroup_announced(SandboxCgroup *cgroup, const char *sandbox, int *parent_fd, int number) {
        if (cgroup->fd >= 0 || number < 0 || number > LAUNCH_CGROUP_NUMBER_MAX)
                return -EBADMSG;
        cgroup->parent_fd = safe_close(cgroup->parent_fd);
        if (number == 0)
                return 0;
        launch_cgroup_name(sandbox, number, cgroup->name, sizeof(cgroup->name));
        cgroup->parent_fd = TAKE_FD(*parent_fd);
        return 0;
}

int sandbox_cgroup_entered(SandboxCgroup *cgroup) {
        if (cgroup->parent_fd < 0)
                return -EBADMSG;
        cgroup->fd = openat(cgroup->parent_fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return cgroup->fd < 0 ? -errno : 0;
}

int sandbox_cgroup_write(const SandboxCgroup *cgroup, const char *file, const char *text) {
        _cleanup_close_ int fd = openat(cgroup->fd, file, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

int sandbox_cgroup_await(const SandboxCgroup *cgroup, const char *what, uint64_t deadline_ns) {
        _cleanup_close_ int fd = openat(cgroup->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        for (;;) {
                struct pollfd pollfd = { .fd = fd, .events = POLLPRI };
                uint64_t now = now_ns();
                char text[256];
                ssize_t n;

                n = pread(fd, text, sizeof(text) - 1, 0);
                if (n < 0)
                        return -errno;
                text[n] = '\0';
                if (strstr(text, what))
                        return 0;
                if (now >= deadline_ns)
                        return -ETIMEDOUT;
                /* Changes since the last read are told, also those before this call. */
                if (poll(&pollfd, 1, (int) ((deadline_ns - now) / 1000000U) + 1) < 0 && errno != EINTR)
                        return -errno;
        }
}
