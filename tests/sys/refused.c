/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a sandbox refuses: with the errno that `sentryctl syscalls` tells ($SENTRYD_SYSCALLS_JSON), and without any
 * harm to the program. Natively every one of these calls reaches the kernel with arguments that it rejects, so that
 * the host stays what it is. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include "sys.h"

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static char *json; /* one array of objects */

static void load_json(void) {
        const char *path = getenv("SENTRYD_SYSCALLS_JSON");
        FILE *f = path ? fopen(path, "re") : NULL;
        size_t size = 0;

        if (!f || getdelim(&json, &size, 0, f) <= 0)
                tap_bail_out("%s: no table of the system calls", path ? path : "SENTRYD_SYSCALLS_JSON");
        fclose(f);
}

/* The errno that the table gives for a call; 0 when it has none. */
static int table_errno(const char *name) {
        char key[80], value[32];
        const char *object, *end, *field;

        snprintf(key, sizeof key, "\"name\":\"%s\"", name);
        object = strstr(json, key);
        if (!object)
                return 0;
        while (object > json && *object != '{')
                object--;
        end = strchr(object, '}');
        field = strstr(object, "\"feature\":\"no-nesting\"");
        if (field && end && field < end)
                return EPERM; /* what its handler says */
        field = strstr(object, "\"errno\":\"");
        if (!field || !end || field > end || sscanf(field + 9, "%31[A-Z0-9]", value) != 1)
                return 0;
        for (int e = 1; e < 200; e++)
                if (strerrorname_np(e) && strcmp(strerrorname_np(e), value) == 0)
                        return e;
        return 0;
}

struct Case {
        const char *name;
        long number;
        long args[6];
        int natively[5]; /* errnos, as the host's configuration may be */
};

#define ANY_OF(...) { __VA_ARGS__ }

static const struct Case cases[] = {
        { "io_uring_setup", SYS_io_uring_setup, { 0, 0 }, ANY_OF(EFAULT, EINVAL, EPERM, ENOSYS) },
        { "io_uring_enter", SYS_io_uring_enter, { -1, 0, 0, 0, 0, 0 }, ANY_OF(EBADF, EPERM, ENOSYS) },
        { "io_uring_register", SYS_io_uring_register, { -1, 9999, 0, 0 }, ANY_OF(EBADF, EINVAL, EPERM, ENOSYS) },
        { "bpf", SYS_bpf, { 9999, 0, 0 }, ANY_OF(EINVAL, EPERM, EFAULT, ENOSYS) },
        { "userfaultfd", SYS_userfaultfd, { 0x40000000 }, ANY_OF(EINVAL, EPERM, ENOSYS) },
        { "perf_event_open", SYS_perf_event_open, { 0, 0, -1, -1, 0 }, ANY_OF(EFAULT, EACCES, EINVAL, ENOSYS) },
        { "keyctl", SYS_keyctl, { 9999 }, ANY_OF(EOPNOTSUPP, ENOSYS) },
        { "add_key", SYS_add_key, { 0, 0, 0, 0, 0 }, ANY_OF(EFAULT, EINVAL, ENOSYS) },
        { "request_key", SYS_request_key, { 0, 0, 0, 0 }, ANY_OF(EFAULT, EINVAL, ENOSYS) },
        { "mount", SYS_mount, { 0, 0, 0, 0, 0 }, ANY_OF(EFAULT, EINVAL, ENOENT) },
        { "umount2", SYS_umount2, { 0, 0 }, ANY_OF(EFAULT) },
        { "pivot_root", SYS_pivot_root, { 0, 0 }, ANY_OF(EFAULT) },
        { "chroot", SYS_chroot, { 0 }, ANY_OF(EFAULT) },
        { "open_tree", SYS_open_tree, { -1, 0, 0x40000000 }, ANY_OF(EINVAL, EFAULT) },
        { "setns", SYS_setns, { -1, 0 }, ANY_OF(EBADF) },
        { "swapon", SYS_swapon, { 0, 0 }, ANY_OF(EPERM, ENOSYS) },
        { "swapoff", SYS_swapoff, { 0 }, ANY_OF(EPERM, ENOSYS) },
        { "init_module", SYS_init_module, { 0, 0, 0 }, ANY_OF(EPERM, ENOSYS) },
        { "finit_module", SYS_finit_module, { -1, 0, 0 }, ANY_OF(EPERM, ENOSYS) },
        { "delete_module", SYS_delete_module, { 0, 0 }, ANY_OF(EPERM, ENOSYS) },
        { "kexec_load", SYS_kexec_load, { 0, 0, 0, 0 }, ANY_OF(EPERM, ENOSYS) },
        { "settimeofday", SYS_settimeofday, { 0, 0 }, ANY_OF(EPERM, 0) },
        { "clock_settime", SYS_clock_settime, { CLOCK_REALTIME, 0 }, ANY_OF(EFAULT, EPERM) },
        { "open_by_handle_at", SYS_open_by_handle_at, { -1, 0, 0 }, ANY_OF(EPERM, EBADF, EFAULT) },
        { "acct", SYS_acct, { 1 }, ANY_OF(EPERM, ENOSYS) },
        { "quotactl", SYS_quotactl, { 9999, 0, 0, 0 }, ANY_OF(EINVAL, ENOSYS, ENODEV, EPERM, ESRCH) },
#ifdef SYS_iopl
        { "iopl", SYS_iopl, { 3 }, ANY_OF(EPERM, ENOSYS) },
        { "ioperm", SYS_ioperm, { 0x80, 1, 1 }, ANY_OF(EPERM, ENOSYS) },
#endif
        { "unshare", SYS_unshare, { CLONE_NEWNS }, ANY_OF(0) },
        { "unshare", SYS_unshare, { CLONE_NEWUSER }, ANY_OF(0) },
        { "unshare", SYS_unshare, { CLONE_NEWUTS }, ANY_OF(0) },
        { "unshare", SYS_unshare, { CLONE_NEWPID }, ANY_OF(0) },
        { "unshare", SYS_unshare, { CLONE_NEWNET }, ANY_OF(0) },
        { "unshare", SYS_unshare, { CLONE_NEWTIME }, ANY_OF(0, EINVAL) },
        { "unshare", SYS_unshare, { CLONE_NEWUTS | CLONE_FS }, ANY_OF(0) },
};

static long call(const struct Case *c) {
        return RAW(c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
}

/* In a child, so that what succeeds natively is gone with it. */
static int call_in_child(void *arg) {
        long r = call(arg);

        return r < 0 ? (int) -r : 0;
}

static int unshares_files(void *arg) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void) arg;
        return RAW(SYS_unshare, CLONE_FILES) == 0 && RAW(SYS_unshare, CLONE_FS) == 0 && RAW(SYS_unshare, 0) == 0 &&
                               fcntl(fd, F_GETFD) >= 0
                       ? 0
                       : 1;
}

/* A filter of its own is every program's right; a listener of its own is not, in a sandbox. */
static int own_filter(void *arg) {
        struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_fprog program = { .len = 1, .filter = allow };
        long r;

        (void) arg;
        r = RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        if (sandboxed() ? r != -table_errno("seccomp") || r == 0 : r < 0)
                return 1;
        if (RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
                return 2;
        return uname(&(struct utsname) {}) == 0 ? 0 : 3;
}

int main(void) {
        struct utsname u;

        if (sandboxed())
                load_json();
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                const struct Case *c = &cases[i];
                int e = child_exit(call_in_child, (void *) c);

                if (sandboxed()) {
                        int expected = table_errno(c->name);

                        if (ok(expected > 0, "%s is refused in the table", c->name))
                                is_int(e, expected, "%s(%ld, …) gets the table's errno", c->name, c->args[0]);
                } else {
                        bool good = false;

                        for (size_t j = 0; j < sizeof c->natively / sizeof c->natively[0]; j++)
                                good = good || e == c->natively[j];
                        ok(good, "%s(%ld, …) harms nothing natively: %d", c->name, c->args[0], e);
                }
        }
        is_int(child_exit(unshares_files, NULL), 0, "unshare without namespaces works");
        is_int(child_exit(own_filter, NULL), 0, "a program's own seccomp filter works, a listener is refused");
        is_int(uname(&u), 0, "after all that emulated calls work");
        is_str(u.sysname, "Linux", "… as before");
        return tap_done();
}
