/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which sandbox a process is in: by its user namespace, which a sandbox shares with nobody. */

#include <fcntl.h>
#include <linux/nsfs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bus-util.h"
#include "identify.h"
#include "manager.h"
#include "sandbox.h"

#define USERNS_DEPTH_MAX 32 /* how deep user namespaces nest in Linux (user_namespaces(7)) */
#define FDINFO_MAX 4096U

int pidfd_get_pid(int pidfd, pid_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[sizeof("/proc/self/fdinfo/") + 12];
        const char *line;
        size_t size;
        int fd, r;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_full_fd(fd, FDINFO_MAX, &text, &size);
        safe_close(fd);
        if (r < 0)
                return r;

        for (line = text; line; line = strchr(line, '\n')) {
                if (*line == '\n')
                        line++;
                if (startswith(line, "Pid:")) {
                        *ret = (pid_t) strtol(line + strlen("Pid:"), NULL, 10);
                        return *ret > 0 ? 0 : -ESRCH;
                }
        }

        return -EBADF;
}

static int open_userns(pid_t pid) {
        char path[sizeof("/proc//ns/user") + 12];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

/* Reads the sandbox's user namespace when it is not known. sentry-kernel names the process, so make sure that the
 * namespace is its owner's to use: nobody can have others' processes taken for his sandbox's. */
static bool sandbox_read_userns(Sandbox *s) {
        _cleanup_close_ int fd = -EBADF, own = -EBADF;
        struct stat st, own_st;
        uid_t owner;

        if (s->userns_ino != 0)
                return true;
        if (s->init_pid == 0 || s->init_pid > INT32_MAX)
                return false;

        fd = open_userns((pid_t) s->init_pid);
        own = open_userns(getpid());
        if (fd < 0 || own < 0 || fstat(fd, &st) < 0 || fstat(own, &own_st) < 0)
                return false;
        if (st.st_dev == own_st.st_dev && st.st_ino == own_st.st_ino)
                return false;
        if (ioctl(fd, NS_GET_OWNER_UID, &owner) < 0 || owner != s->owner)
                return false;

        s->userns_dev = st.st_dev;
        s->userns_ino = st.st_ino;
        return true;
}

int identify_sandbox(Manager *m, int pidfd, Sandbox **ret, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        pid_t pid = 0;
        Sandbox *s;
        int r;

        *ret = NULL;

        r = pidfd_get_pid(pidfd, &pid);
        if (r == -EBADF)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "GetSandboxByPID() takes a pidfd (pidfd_open(2)); the file descriptor is of "
                                        "another kind.");
        if (r == -ESRCH)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNIX_PROCESS_ID_UNKNOWN,
                                        "The process of that pidfd has ended, or is in a PID namespace that sentryd "
                                        "can't see.");
        if (r < 0)
                return r;

        /* What we may not look at is in no sandbox of ours. */
        fd = open_userns(pid);
        if (fd < 0 && fd != -ENOENT && fd != -ESRCH)
                return 0;
        if (fd < 0 || (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH))
                return sd_bus_error_set(error, SD_BUS_ERROR_UNIX_PROCESS_ID_UNKNOWN,
                                        "The process of that pidfd has ended.");

        for (unsigned depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
                int parent;

                if (fstat(fd, &st) < 0)
                        return -errno;

                TAILQ_FOREACH(s, &m->live, queue)
                        if (sandbox_read_userns(s) && s->userns_ino == st.st_ino && s->userns_dev == st.st_dev) {
                                *ret = s;
                                return 0;
                        }

                parent = ioctl(fd, NS_GET_PARENT);
                if (parent < 0) /* EPERM: ours, which is nobody's sandbox */
                        return 0;
                safe_close(fd);
                fd = parent;
        }

        return 0;
}
