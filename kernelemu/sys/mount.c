/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mount(2), umount2(2), chroot(2), and the calls that newer programs try first. Here is said what may be mounted, and with which
 * options; the host does it with the caller's root, working directory, ids and capabilities, so that what a path means
 * and which error it gives are the host's. What the launch has mounted the host keeps locked: HACKING. */

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "sys/caller.h"
#include "util/macros.h"

#define PAGE_BYTES 4096U /* the smallest there is: no copy steps over the end of one */
#define INODE_BYTES 1024U /* a file of a tmpfs costs that much, of its size in the limit */

/* mount(2), umount2(2) */
enum {
        MS_RDONLY = 1 << 0,
        MS_NOSUID = 1 << 1,
        MS_NODEV = 1 << 2,
        MS_NOEXEC = 1 << 3,
        MS_SYNCHRONOUS = 1 << 4,
        MS_REMOUNT = 1 << 5,
        MS_DIRSYNC = 1 << 7,
        MS_NOSYMFOLLOW = 1 << 8,
        MS_NOATIME = 1 << 10,
        MS_NODIRATIME = 1 << 11,
        MS_BIND = 1 << 12,
        MS_MOVE = 1 << 13,
        MS_REC = 1 << 14,
        MS_SILENT = 1 << 15,
        MS_UNBINDABLE = 1 << 17,
        MS_PRIVATE = 1 << 18,
        MS_SLAVE = 1 << 19,
        MS_SHARED = 1 << 20,
        MS_RELATIME = 1 << 21,
        MS_STRICTATIME = 1 << 24,
        MS_LAZYTIME = 1 << 25,

        MS_OF_MOUNT = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME | MS_NODIRATIME |
                      MS_RELATIME | MS_STRICTATIME,
        MS_OF_FILE_SYSTEM = MS_SYNCHRONOUS | MS_DIRSYNC | MS_SILENT | MS_LAZYTIME,
        MS_FORCED = MS_NOSUID | MS_NODEV,
};
#define MS_NOUSER (UINT64_C(1) << 31)
#define MS_MGC_VAL UINT64_C(0xc0ed0000)
#define MS_MGC_MSK UINT64_C(0xffff0000)

#define UMOUNT_FLAGS 0xfU /* MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW */

static Verdict refuse(Kernel *kernel, const Call *call) {
        event_refused(kernel, call, EPERM);
        return verdict_error(EPERM);
}

static bool may_mount(const Kernel *kernel, const Call *call) {
        return (kernel->features & (1U << SYSCALL_FEATURE_MOUNTS)) && kernel_capable(kernel, call, CAP_SYS_ADMIN);
}

/* Copies up to size bytes, and no more than there are. *ret_n: how many; 0 bytes are -EFAULT. */
static int copy_some(Kernel *kernel, const Call *call, GuestAddr address, char *buffer, size_t size, bool string,
                     size_t *ret_n) {
        size_t n = 0;

        while (n < size) {
                size_t part = MIN2(size - n, (size_t) (PAGE_BYTES - (address + n) % PAGE_BYTES));
                int r = kernel->host->ops->memory_read(kernel->host, call, address + n, buffer + n, part);

                if (r == -EFAULT && n > 0 && !string)
                        break;
                if (r < 0)
                        return r;
                if (string && memchr(buffer + n, '\0', part)) {
                        n += part;
                        break;
                }
                n += part;
        }
        *ret_n = n;
        return 0;
}

/* A string with its NUL; too_long: the error when it does not fit. */
static int copy_string(Kernel *kernel, const Call *call, GuestAddr address, char *buffer, size_t size, int too_long) {
        size_t n;
        int r;

        r = copy_some(kernel, call, address, buffer, size, true, &n);
        if (r < 0)
                return r;
        return memchr(buffer, '\0', n) ? 0 : -too_long;
}

/* The parts of mount(2) in the order in which Linux looks at them. */
static int copy_request(Kernel *kernel, const Call *call, HostMountRequest *request, char type[static MOUNT_PATH_MAX],
                        GuestAddr source, GuestAddr target, GuestAddr type_address, GuestAddr data) {
        size_t n = 0;
        int r = 0;

        request->has_type = type_address != 0;
        if (request->has_type)
                r = copy_string(kernel, call, type_address, type, MOUNT_PATH_MAX, EINVAL);
        request->has_source = source != 0;
        if (r >= 0 && request->has_source)
                r = copy_string(kernel, call, source, request->source, MOUNT_PATH_MAX, EINVAL);
        request->has_data = data != 0;
        if (r >= 0 && request->has_data)
                r = copy_some(kernel, call, data, request->data, MOUNT_DATA_MAX, false, &n);
        request->data[MIN2(n, (size_t) MOUNT_DATA_MAX - 1)] = '\0';
        if (r >= 0)
                r = copy_string(kernel, call, target, request->target, MOUNT_PATH_MAX, ENAMETOOLONG);
        return r;
}

/* One option of a list, ended by a comma that no backslash is before; NULL at the end. */
static char *next_option(char **list) {
        char *option = *list, *p;

        if (!option)
                return NULL;
        for (p = option; *p && *p != ','; p++)
                if (*p == '\\' && p[1])
                        p++;
        *list = *p ? p + 1 : NULL;
        *p = '\0';
        return option;
}

static bool is_option(const char *option, const char *name, const char **ret_value) {
        size_t n = strlen(name);

        if (strncmp(option, name, n) != 0 || (option[n] != '=' && option[n] != '\0'))
                return false;
        *ret_value = option[n] == '=' ? option + n + 1 : NULL;
        return true;
}

/* A number as memparse() of Linux takes it, at most max; 0 is no limit, and a share of the machine's memory is as good
 * as none. */
static int read_size(const char *value, uint64_t max, uint64_t *ret) {
        unsigned shift = 0;
        uint64_t n;
        char *end;

        if (!value || *value < '0' || *value > '9')
                return -EINVAL;
        errno = 0;
        n = strtoull(value, &end, 0);
        if (errno != 0)
                n = UINT64_MAX;
        switch (*end) {
        case '%':
                n = 0;
                end++;
                break;
        case 'g': case 'G':
                shift += 10;
                __attribute__((fallthrough));
        case 'm': case 'M':
                shift += 10;
                __attribute__((fallthrough));
        case 'k': case 'K':
                shift += 10;
                end++;
                break;
        default:
                break;
        }
        if (*end)
                return -EINVAL;
        *ret = n == 0 || n > (max >> shift) ? max : n << shift;
        return 0;
}

typedef struct Options {
        char text[MOUNT_DATA_MAX];
        size_t size;
} Options;

static int options_add(Options *options, const char *option) {
        int n = snprintf(options->text + options->size, sizeof(options->text) - options->size, "%s%s",
                         options->size > 0 ? "," : "", option);

        if (n < 0 || (size_t) n >= sizeof(options->text) - options->size)
                return -EINVAL;
        options->size += (size_t) n;
        return 0;
}

static int tmpfs_options(const Kernel *kernel, char *list, Options *options) {
        uint64_t max_size = kernel->mount_rules.tmpfs_size, max_inodes = max_size / INODE_BYTES;
        uint64_t size = max_size, inodes = max_inodes;
        const char *value;
        char text[64], *option;
        int r = 0;

        while (r >= 0 && (option = next_option(&list))) {
                if (!*option)
                        continue;
                if (is_option(option, "size", &value))
                        r = read_size(value, max_size, &size);
                else if (is_option(option, "nr_inodes", &value))
                        r = read_size(value, max_inodes, &inodes);
                else if (is_option(option, "mode", &value) || is_option(option, "uid", &value) ||
                         is_option(option, "gid", &value))
                        r = value ? options_add(options, option) : -EINVAL;
                else
                        r = -EINVAL;
        }
        if (r < 0)
                return r;
        (void) snprintf(text, sizeof(text), "size=%" PRIu64 ",nr_inodes=%" PRIu64, size, inodes);
        return options_add(options, text);
}

/* Layers are looked up by the host, for the caller. userxattr is what a user namespace needs. */
static int overlay_options(char *list, Options *options) {
        const char *value;
        char *option;
        int r;

        r = options_add(options, "userxattr");
        while (r >= 0 && (option = next_option(&list))) {
                if (!*option || strcmp(option, "userxattr") == 0)
                        continue;
                if (is_option(option, "lowerdir", &value) || is_option(option, "upperdir", &value) ||
                    is_option(option, "workdir", &value))
                        r = value ? options_add(options, option) : -EINVAL;
                else if (strcmp(option, "volatile") == 0 || strcmp(option, "index=off") == 0 ||
                         strcmp(option, "xino=off") == 0)
                        r = options_add(options, option);
                else
                        r = -EINVAL;
        }
        return r;
}

/* A file system of its own. -EPERM for what the profile does not allow. */
static int check_new(const Kernel *kernel, HostMountRequest *request, const char *type, uint64_t flags) {
        static const char *const names[_MOUNT_KIND_MAX] = {
                [MOUNT_TMPFS] = "tmpfs", [MOUNT_PROC] = "proc", [MOUNT_OVERLAY] = "overlay",
        };
        MountKind kind;
        Options options = {};
        int r;

        if (!request->has_type)
                return -EINVAL;
        for (kind = 0; kind < _MOUNT_KIND_MAX; kind++)
                if (names[kind] && strcmp(type, names[kind]) == 0)
                        break;
        if (kind == _MOUNT_KIND_MAX || !(kernel->mount_rules.kinds & (1U << kind)))
                return -EPERM;

        request->adds = true;
        if (kind == MOUNT_PROC) {
                /* What a /proc of its own would show is covered in the one of the launch. */
                if (request->has_data && request->data[0])
                        return -EPERM;
                request->action = HOST_MOUNT_PROC;
                request->tree = true;
                return 0;
        }

        r = kind == MOUNT_TMPFS ? tmpfs_options(kernel, request->has_data ? request->data : NULL, &options) :
                                  overlay_options(request->has_data ? request->data : NULL, &options);
        if (r < 0)
                return r;
        (void) memcpy(request->data, options.text, sizeof(request->data));
        request->has_data = true;
        if (kind == MOUNT_OVERLAY) /* overlayfs reaches its layers, and a work directory of mode 0, as its mounter */
                request->owner_capabilities = UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_DAC_READ_SEARCH |
                                              UINT64_C(1) << CAP_FOWNER | UINT64_C(1) << CAP_CHOWN;
        (void) snprintf(request->type, sizeof(request->type), "%s", names[kind]);
        request->flags = (flags & (MS_OF_MOUNT | MS_OF_FILE_SYSTEM)) | MS_FORCED;
        return 0;
}

/* What is asked for, from the flags in the order in which Linux looks at them. -EPERM: not in this sandbox. */
static int check_mount(const Kernel *kernel, HostMountRequest *request, const char *type, uint64_t flags) {
        const uint64_t propagation = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;

        if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
                flags &= ~MS_MGC_MSK;
        if (flags & MS_NOUSER)
                return -EINVAL;
        request->action = HOST_MOUNT;

        if (flags & MS_REMOUNT) {
                /* Of a mount alone, not of the file system, which may be that of a mount of the launch as well. */
                if (!(flags & MS_BIND) && request->has_data && request->data[0])
                        return -EPERM;
                request->has_data = false;
                request->flags = MS_REMOUNT | MS_BIND | (flags & (MS_OF_MOUNT | MS_SILENT)) | MS_FORCED;
        } else if (flags & MS_BIND) {
                if (!(kernel->mount_rules.kinds & (1U << MOUNT_BIND)))
                        return -EPERM;
                request->has_data = false;
                request->adds = true;
                request->tree = flags & MS_REC;
                request->flags = flags & (MS_BIND | MS_REC | MS_SILENT);
        } else if (flags & propagation) {
                /* What is mounted at one place would appear at others, uncounted. */
                if (flags & MS_SHARED)
                        return -EPERM;
                request->has_data = false;
                request->flags = flags;
        } else if (flags & MS_MOVE) {
                request->has_data = false;
                request->flags = MS_MOVE | (flags & MS_SILENT);
        } else
                return check_new(kernel, request, type, flags);

        request->has_type = false;
        return 0;
}

/* The answer to a call that the host has made, or PARKED while it or another one is at it. False: it may begin. */
static bool in_turn(Kernel *kernel, const Call *call, Verdict *ret) {
        MountJob *job = &kernel->mount_job;

        if (job->state == MOUNT_JOB_DONE && job->cookie == call->cookie) {
                *ret = job->error < 0 ? verdict_error(job->error) : verdict_value(0);
                job->state = MOUNT_JOB_NONE;
                return true;
        }
        if (job->state != MOUNT_JOB_NONE || job->held) {
                *ret = kernel_park(kernel, call, &kernel->mount_callers);
                return true;
        }
        return false;
}

static Verdict begin(Kernel *kernel, const Call *call, HostMountRequest *request) {
        int r;

        request->max = kernel->mount_rules.max;
        request->capabilities = UINT64_C(1) << CAP_SYS_ADMIN;
        r = kernel->host->ops->mount(kernel->host, call, request);
        if (r < 0)
                return verdict_error(r);
        kernel->mount_job.state = MOUNT_JOB_RUNNING;
        kernel->mount_job.cookie = call->cookie;
        return kernel_park(kernel, call, &kernel->mount_callers);
}

SYSCALL_DEFINE5(mount, GuestAddr, source, GuestAddr, target, GuestAddr, type, uint64_t, flags, GuestAddr, data) {
        struct {
                HostMountRequest request;
                char name[MOUNT_PATH_MAX];
        } *parts;
        HostMountRequest *request;
        Verdict verdict;
        int r;

        if (!may_mount(kernel, call))
                return refuse(kernel, call);
        if (in_turn(kernel, call, &verdict))
                return verdict;

        parts = kernel_scratch(kernel, sizeof(*parts));
        if (!parts)
                return verdict_error(ENOMEM);
        memset(parts, 0, sizeof(*parts));
        request = &parts->request;
        r = copy_request(kernel, call, request, parts->name, source, target, type, data);
        if (r < 0)
                return verdict_error(r);
        r = check_mount(kernel, request, parts->name, flags);
        if (r < 0)
                return r == -EPERM ? refuse(kernel, call) : verdict_error(r);
        return begin(kernel, call, request);
}

/* The root is the caller's own, and what is mounted in the sandbox all that there is, on whichever way out of it. */
SYSCALL_DEFINE1(chroot, GuestAddr, path) {
        (void) path;
        return caller_has(kernel, call, CAP_SYS_CHROOT) ? verdict_continue() : refuse(kernel, call);
}

static Verdict unmount(Kernel *kernel, const Call *call, GuestAddr target, uint32_t flags) {
        HostMountRequest *request;
        Verdict verdict;
        int r;

        if (!may_mount(kernel, call))
                return refuse(kernel, call);
        if (flags & ~UMOUNT_FLAGS)
                return verdict_error(EINVAL);
        if (in_turn(kernel, call, &verdict))
                return verdict;

        request = kernel_scratch(kernel, sizeof(HostMountRequest));
        if (!request)
                return verdict_error(ENOMEM);
        memset(request, 0, sizeof(*request));
        r = copy_string(kernel, call, target, request->target, MOUNT_PATH_MAX, ENAMETOOLONG);
        if (r < 0)
                return verdict_error(r);
        request->action = HOST_UMOUNT;
        request->flags = flags;
        return begin(kernel, call, request);
}

SYSCALL_DEFINE1(umount, GuestAddr, target) {
        return unmount(kernel, call, target, 0);
}

SYSCALL_DEFINE2(umount2, GuestAddr, target, uint32_t, flags) {
        return unmount(kernel, call, target, flags);
}

void kernel_mount_done(Kernel *kernel, int error) {
        MountJob *job = &kernel->mount_job;

        job->state = MOUNT_JOB_DONE;
        job->error = error;
        /* First to the one that it is for, which may be gone; then to those whose turn it is. */
        kernel_wake(kernel, &kernel->mount_callers);
        if (job->state == MOUNT_JOB_DONE)
                job->state = MOUNT_JOB_NONE;
        if (job->state == MOUNT_JOB_NONE && !job->held)
                kernel_wake(kernel, &kernel->mount_callers);
}

bool kernel_mount_is_running(const Kernel *kernel, uint64_t cookie) {
        return kernel->mount_job.state == MOUNT_JOB_RUNNING && kernel->mount_job.cookie == cookie;
}

void kernel_mount_hold(Kernel *kernel, bool hold) {
        kernel->mount_job.held = hold;
        if (!hold && kernel->mount_job.state == MOUNT_JOB_NONE)
                kernel_wake(kernel, &kernel->mount_callers);
}

/* ---- mounts as descriptors: what a program that finds them missing does by mount(2) ---- */

static Verdict missing(Kernel *kernel, const Call *call) {
        return may_mount(kernel, call) ? verdict_error(ENOSYS) : refuse(kernel, call);
}

SYSCALL_DEFINE0(fsconfig) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(fsmount) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(fsopen) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(fspick) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(mount_setattr) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(move_mount) {
        return missing(kernel, call);
}

SYSCALL_DEFINE0(open_tree) {
        return missing(kernel, call);
}
