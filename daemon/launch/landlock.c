/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "landlock.h"
#include "launch-protocol.h"
#include "mount-tree.h"
#include "util.h"

#ifndef SYS_landlock_create_ruleset
#  define SYS_landlock_create_ruleset 444
#  define SYS_landlock_add_rule 445
#  define SYS_landlock_restrict_self 446
#endif

/* <linux/landlock.h> has these bit by bit, over the years. */
enum {
        VERSION_FLAG = 1 << 0, /* LANDLOCK_CREATE_RULESET_VERSION */
        RULE_PATH_BENEATH = 1,

        WRITE_FILE = 1 << 1, /* LANDLOCK_ACCESS_FS_* */
        REMOVE_DIR = 1 << 4, /* … to MAKE_SYM: all that makes and removes names */
        MAKE_SYM = 1 << 12,
        REFER = 1 << 13,
        TRUNCATE = 1 << 14,

        BIND_TCP = 1 << 0, /* LANDLOCK_ACCESS_NET_* */
        CONNECT_TCP = 1 << 1,

        SCOPE_SOCKETS = 1 << 0, /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET */
        SCOPE_SIGNALS = 1 << 1, /* LANDLOCK_SCOPE_SIGNAL */
};

enum { /* of Linux 5.13, 5.19, 6.2, 6.7, 6.12 */
        ABI_FILES = 1,
        ABI_REFER = 2,
        ABI_TRUNCATE = 3,
        ABI_PORTS = 4,
        ABI_SCOPES = 6,
};

typedef struct Ruleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
} Ruleset;

typedef struct PathRule {
        uint64_t allowed_access;
        int32_t parent_fd;
} __attribute__((packed)) PathRule;

/* Everything that writes, as far as the kernel knows it. What is handled and not granted is denied. */
static uint64_t write_access(long abi) {
        uint64_t access = WRITE_FILE;

        for (uint64_t bit = REMOVE_DIR; bit <= MAKE_SYM; bit <<= 1)
                access |= bit;
        if (abi >= ABI_REFER)
                access |= REFER;
        if (abi >= ABI_TRUNCATE)
                access |= TRUNCATE;
        return access;
}

static int grant(int ruleset, int root, const char *path, uint64_t access) {
        _cleanup_close_ int fd = -EBADF;
        PathRule rule = { .allowed_access = access };
        struct stat st;
        int r;

        r = open_in_root(root, path, 0, &fd);
        if (r < 0)
                return r == -ENOENT || r == -EACCES || r == -ELOOP ? 0 : r; /* out of the program's reach, too */
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                rule.allowed_access &= WRITE_FILE | TRUNCATE;
        rule.parent_fd = fd;
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
                return -errno;
        return 0;
}

/* The root is read-only or not, and so is each mount. */
static int grant_mounts(const Profile *profile, int ruleset, uint64_t access) {
        _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = 0;

        if (root < 0)
                return -errno;
        if (!profile->root_read_only)
                return grant(ruleset, root, "/", access);
        for (size_t i = 0; r >= 0 && i < profile->n_mounts; i++) {
                const ProfileMount *mount = profile->mounts + i;

                if (!mount->read_only && mount->type != PROFILE_MOUNT_SYSFS)
                        r = grant(ruleset, root, mount->destination, access);
        }
        return r;
}

static long abi_version(void) {
        return syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_FLAG);
}

bool landlock_scopes_sockets(const Profile *profile) {
        return profile->landlock != PROFILE_LANDLOCK_OFF && profile->network == PROFILE_NETWORK_HOST &&
                abi_version() >= ABI_SCOPES;
}

int landlock_enter(const Profile *profile, uint32_t *walls, LaunchFailure *failure) {
        _cleanup_close_ int fd = -EBADF;
        bool full = profile->landlock == PROFILE_LANDLOCK_FULL;
        Ruleset ruleset = {};
        uint32_t stands = 0;
        size_t size;
        long abi;
        int r = 0;

        if (profile->landlock == PROFILE_LANDLOCK_OFF ||
            (!full && !profile->pid_host && profile->network != PROFILE_NETWORK_HOST))
                return 0;
        abi = abi_version();
        if (abi < ABI_FILES) /* a second wall only: there is none here, and `sentryctl status` shows none */
                return 0;

        if (abi >= ABI_SCOPES && profile->pid_host) {
                ruleset.scoped |= SCOPE_SIGNALS;
                stands |= 1U << LAUNCH_WALL_LANDLOCK_SIGNALS;
        }
        if (landlock_scopes_sockets(profile)) {
                ruleset.scoped |= SCOPE_SOCKETS;
                stands |= 1U << LAUNCH_WALL_LANDLOCK_SOCKETS;
        }
        if (full) {
                ruleset.handled_access_fs = write_access(abi);
                stands |= 1U << LAUNCH_WALL_LANDLOCK_FILES;
        }
        /* Under rules for addresses TCP is bound and connected by sentry-kernel. */
        if (full && abi >= ABI_PORTS && (profile->network == PROFILE_NETWORK_NONE || profile->addresses.n > 0)) {
                ruleset.handled_access_net = BIND_TCP | CONNECT_TCP;
                stands |= 1U << LAUNCH_WALL_LANDLOCK_PORTS;
        }
        if (stands == 0)
                return 0;

        size = abi >= ABI_SCOPES ? sizeof(ruleset) : abi >= ABI_PORTS ? offsetof(Ruleset, scoped)
                                                                      : offsetof(Ruleset, handled_access_net);
        fd = (int) syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
        if (fd >= 0 && full)
                r = grant_mounts(profile, fd, ruleset.handled_access_fs);
        if (fd < 0 || (r >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0))
                r = -errno;
        if (r < 0)
                return failure_set(failure, r, "\"landlock\": \"off\" goes without.", "cannot enter a Landlock domain");
        *walls |= stands;
        return 0;
}
