/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolate.h"
#include "users-host.h"
#include "util.h"

#define ALL_IDS "0 0 4294967295\n"

int bounds_of(pid_t pid, Bounds *ret) {
        const struct {
                const char *key;
                uint64_t *value;
        } sets[] = {
                { "\nCapInh:", &ret->inheritable },
                { "\nCapPrm:", &ret->permitted },
                { "\nCapBnd:", &ret->bounding },
                { "\nCapAmb:", &ret->ambient },
        };
        _cleanup_free_ char *text = NULL;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", pid == 0 ? getpid() : pid);
        r = read_full_file(path, 1024 * 1024, &text, NULL);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                const char *line = strstr(text, sets[i].key);

                if (!line || sscanf(line + strlen(sets[i].key), " %" SCNx64, sets[i].value) != 1)
                        return -EBADMSG;
        }
        return 0;
}

static int set_flags(cap_t caps, cap_flag_t flag, uint64_t set, cap_value_t n_caps) {
        for (cap_value_t cap = 0; cap < n_caps; cap++)
                if ((set & (UINT64_C(1) << cap)) && cap_set_flag(caps, flag, 1, &cap, CAP_SET) < 0)
                        return -errno;
        return 0;
}

int bounds_enter(const Bounds *bounds, uint64_t only, LaunchFailure *failure) {
        uint64_t permitted = bounds->permitted & only, inheritable = bounds->inheritable & only;
        cap_value_t n_caps;
        cap_t caps;
        int r;

        /* Up to the last one of the running kernel, which may know more than we do. */
        for (n_caps = 0; n_caps < 64 && prctl(PR_CAPBSET_READ, n_caps, 0, 0, 0) >= 0; n_caps++)
                if (!(bounds->bounding & only & (UINT64_C(1) << n_caps)) && prctl(PR_CAPBSET_DROP, n_caps, 0, 0, 0) < 0)
                        return failure_set(failure, errno, NULL, "cannot drop capability number %d for good", n_caps);

        caps = cap_init();
        if (!caps)
                return failure_set(failure, ENOMEM, NULL, "cannot drop capabilities");
        r = set_flags(caps, CAP_PERMITTED, permitted, n_caps);
        if (r >= 0)
                r = set_flags(caps, CAP_EFFECTIVE, permitted, n_caps);
        if (r >= 0)
                r = set_flags(caps, CAP_INHERITABLE, inheritable, n_caps);
        if (r >= 0 && cap_set_proc(caps) < 0)
                r = -errno;
        (void) cap_free(caps);
        if (r < 0)
                return failure_set(failure, r, NULL, "cannot drop capabilities");

        for (cap_value_t cap = 0; cap < n_caps; cap++)
                if ((bounds->ambient & permitted & inheritable & (UINT64_C(1) << cap)) &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return failure_set(failure, errno, NULL, "cannot keep capability number %d", cap);
        return 0;
}

static int write_map(pid_t pid, const char *file) {
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, ALL_IDS, strlen(ALL_IDS)) < 0)
                return -errno;
        return 0;
}

/* Stays outside, where the right to map others' ids is. Ends with an errno. */
static _Noreturn void map_all(pid_t parent, int go_fd) {
        char go;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(go_fd, &go, 1) != 1)
                _exit(ECANCELED);
        r = write_map(parent, "uid_map");
        if (r >= 0)
                r = write_map(parent, "gid_map");
        _exit(-r);
}

static int explain(int r, const char *hint, LaunchFailure *failure) {
        return failure_set(failure, r, hint, "cannot map all users into the sandbox");
}

int users_host_enter(LaunchFailure *failure) {
        pid_t parent = getpid(), child;
        int fds[2], status = 0, r = 0;

        if (geteuid() != 0)
                return explain(-EPERM,
                               "Only root can do that: as another user take \"users\": \"single\" (sentryctl run "
                               "--users=single).",
                               failure);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return failure_set(failure, errno, NULL, "cannot prepare a user namespace");
        child = fork();
        if (child == 0) {
                safe_close(fds[1]);
                map_all(parent, fds[0]);
        }
        if (child < 0)
                r = -errno;
        safe_close(fds[0]);
        if (child > 0 && unshare(CLONE_NEWUSER) < 0)
                r = -errno;
        if (r == 0 && write(fds[1], "", 1) != 1)
                r = -EIO;
        safe_close(fds[1]);
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return failure_set(failure, r, isolate_user_namespace_hint(-r), "cannot make a user namespace");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return explain(WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO,
                               "It takes CAP_SETUID, CAP_SETGID and CAP_SETFCAP: have them in the unit's "
                               "CapabilityBoundingSet=.",
                               failure);

        return 0;
}
