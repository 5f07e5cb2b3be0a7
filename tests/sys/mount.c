/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mount(2), umount2(2): what a program that may mount gets, natively as root of a user namespace, in a sandbox by
 * sentry.mounts ($MOUNTS is set then); in any other sandbox they are refused. */

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>

#include "sys.h"

#define LONG_PATH 5000

static char *base; /* a directory of ours */

static const char *in(const char *name) {
        static char paths[4][PATH_MAX];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, PATH_MAX, "%s/%s", base, name);
        return path;
}

static long do_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) {
        return RAW(SYS_mount, source, target, type, flags, data);
}

static long do_umount(const char *target, int flags) {
        return RAW(SYS_umount2, target, flags);
}

static long make(const char *path) {
        long fd = RAW(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

        return fd < 0 ? fd : close((int) fd);
}

static bool is_there(const char *path) {
        struct stat st;

        return stat(path, &st) == 0;
}

static bool is_mounted(const char *path) {
        char above[PATH_MAX];
        struct stat st, up;

        snprintf(above, sizeof above, "%s/..", path);
        return stat(path, &st) == 0 && stat(above, &up) == 0 && st.st_dev != up.st_dev;
}

static void test_refused(void) {
        is_int(do_mount("t", base, "tmpfs", 0, NULL), -EPERM, "mount is refused");
        is_int(do_mount(NULL, NULL, NULL, 0, NULL), -EPERM, "… whatever its arguments are");
        is_int(do_mount("/", base, NULL, MS_BIND, NULL), -EPERM, "a bind is refused");
        is_int(do_umount("/proc", MNT_DETACH), -EPERM, "umount2 is refused");
        is_int(RAW(SYS_fsopen, "tmpfs", 0), -EPERM, "fsopen is refused");
}

static void test_tmpfs(void) {
        struct statfs fs;
        struct stat st;

        is_int(do_mount("t", in("a"), "tmpfs", 0, "size=1m,nr_inodes=100,mode=750"), 0, "a tmpfs is mounted");
        ok(is_mounted(in("a")), "… and there");
        ok(statfs(in("a"), &fs) == 0 && (unsigned long) fs.f_bsize * fs.f_blocks == 1024 * 1024 && fs.f_files == 100,
           "… of the size that was asked for");
        ok(stat(in("a"), &st) == 0 && (st.st_mode & 07777) == 0750 && st.st_uid == geteuid() && st.st_gid == getegid(),
           "… with the mode, and the ids of its maker");
        ok(make(in("a/file")) >= 0, "a file can be made in it");
        is_int(RAW(SYS_mknodat, AT_FDCWD, in("a/null"), S_IFCHR | 0666, 0x103), -EPERM, "a device cannot");

        is_int(do_mount("t", in("a"), "tmpfs", 0, NULL), 0, "another one is mounted over it");
        ok(!is_there(in("a/file")), "… and hides the file");
        is_int(do_umount(in("a"), 0), 0, "it is unmounted");
        ok(is_there(in("a/file")), "… and the file is back");

        is_int(chdir(in("a")), 0, "somebody is in it");
        is_int(do_umount(in("a"), 0), -EBUSY, "… so it is busy");
        is_int(do_umount(".", MNT_DETACH), 0, "but it can be detached, by a relative path");
        ok(!is_mounted(in("a")), "… and is gone");
        ok(is_there("file"), "… for all but those in it");
        is_int(do_mount("t", "..", "tmpfs", 0, NULL), -ENOENT, "what is detached has nothing above it to mount on");
        is_int(chdir(base), 0, "back");
        is_int(do_umount(in("a"), 0), -EINVAL, "what is no mount cannot be unmounted");

        is_int(do_mount("t", "a", "tmpfs", MS_RDONLY | MS_NOEXEC, ""), 0, "a read-only one, by a relative path");
        is_int(make("a/file"), -EROFS, "… is read-only");
        is_int(do_umount("b/../a/.", 0), 0, "unmounted by a winding path");
        is_int(do_mount("t", "link", "tmpfs", 0, NULL), 0, "one on a symbolic link");
        ok(is_mounted(in("a")), "… is where that leads to");
        is_int(do_umount("link", UMOUNT_NOFOLLOW), -EINVAL, "umount2 need not follow it");
        is_int(do_umount("link", MNT_EXPIRE), -EAGAIN, "expire: not at the first time");
        is_int(do_umount("link", MNT_EXPIRE), 0, "… but at the second");
        is_int(do_mount("t", "a", "tmpfs", MS_MGC_VAL, NULL), 0, "flags with the magic number of old");
        is_int(do_umount("a", 0), 0, "… and away");
}

static void test_bind(void) {
        is_int(do_mount("t", "a", "tmpfs", 0, NULL), 0, "a tmpfs");
        ok(make("a/file") >= 0, "with a file");
        is_int(do_mount("a", "b", NULL, MS_BIND, NULL), 0, "is bound to another place");
        ok(is_there("b/file"), "… with the file");
        is_int(do_mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0, "that is made read-only");
        is_int(make("b/more"), -EROFS, "… and is");
        ok(make("a/more") >= 0, "… but not the first place");
        is_int(do_mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL), 0, "and writable");
        ok(make("b/again") >= 0, "… again");
        is_int(do_mount("a/file", "plain", NULL, MS_BIND, NULL), 0, "a file is bound to a file");
        is_int(do_mount("a/file", "b", NULL, MS_BIND, NULL), -ENOTDIR, "… but not to a directory");
        is_int(do_umount("plain", 0), 0, "and unbound");
        is_int(do_mount("b", "c", NULL, MS_MOVE, NULL), 0, "a mount is moved");
        ok(!is_there("b/file") && is_there("c/file"), "… and is where it was moved to");
        is_int(do_mount("c", "c", NULL, MS_MOVE, NULL), -ELOOP, "… but not onto itself");
        is_int(do_mount(NULL, "c", NULL, MS_PRIVATE, NULL), 0, "it is private");
        is_int(do_mount(NULL, "c", NULL, MS_PRIVATE | MS_SLAVE, NULL), -EINVAL, "… it cannot be two things");
        is_int(do_umount("c", 0), 0, "it goes");
        is_int(do_mount("t", "a/file/x", "tmpfs", 0, NULL), -ENOTDIR, "nothing is below a file");
        is_int(do_mount("missing", "b", NULL, MS_BIND, NULL), -ENOENT, "nothing is where no source is");
        is_int(do_mount("", "b", NULL, MS_BIND, NULL), -EINVAL, "an empty source is none");
        is_int(do_mount(NULL, "b", NULL, MS_BIND, NULL), -EINVAL, "a bind needs a source");

        is_int(mkdir("a/below", 0755), 0, "a directory");
        is_int(do_mount("u", "a/below", "tmpfs", 0, NULL), 0, "with a mount");
        ok(make("a/below/deep") >= 0, "and a file in that");
        is_int(do_mount("a", "b", NULL, MS_BIND | MS_REC, NULL), 0, "a recursive bind");
        ok(is_there("b/below/deep"), "… takes it along");
        is_int(do_umount("b", 0), -EBUSY, "… and is busy by it");
        is_int(do_umount("b", MNT_DETACH), 0, "… and detached with it");
        is_int(do_mount("a", "b", NULL, MS_BIND, NULL), 0, "a bind that is not");
        ok(is_there("b/below") && !is_there("b/below/deep"), "… does not");
        is_int(do_umount("b", 0), 0, "away");
        is_int(do_umount("a/below", 0), 0, "away");
        is_int(do_umount("a", 0), 0, "away");
}

static void test_overlay(void) {
        char options[2 * PATH_MAX];

        is_int(do_mount("t", "a", "tmpfs", 0, NULL), 0, "a tmpfs");
        ok(mkdir("a/lower", 0755) == 0 && mkdir("a/upper", 0755) == 0 && mkdir("a/work", 0755) == 0 &&
                   make("a/lower/file") >= 0, "with layers");
        snprintf(options, sizeof options, "lowerdir=a/lower,upperdir=%s/a/upper,workdir=a/work,userxattr", base);
        is_int(do_mount("o", "b", "overlay", 0, options), 0, "an overlay is mounted");
        ok(is_there("b/file") && make("b/new") >= 0 && unlink("b/file") == 0, "it is written to");
        ok(is_there("a/lower/file") && is_there("a/upper/new"), "… in the upper layer");
        is_int(do_umount("b", 0), 0, "it goes");
        is_int(do_mount("o", "b", "overlay", 0, "lowerdir=a/missing:a/lower"), -ENOENT, "a layer must be there");
        is_int(do_mount("o", "b", "overlay", 0, "lowerdir=a/lower,nonsense=1"), -EINVAL, "and an option known");
        is_int(do_umount("a", 0), 0, "away");
}

static void test_errors(void) {
        static const struct {
                void *address;
                const char *name;
        } bad[] = { { (void *) 1, "1" }, { KERNEL_ADDRESS, "in the kernel" }, { NON_CANONICAL, "not canonical" },
                    { LAST_ADDRESS, "the last one" } };
        char *long_path = malloc(LONG_PATH + 1), *edge;

        memset(long_path, 'x', LONG_PATH);
        long_path[LONG_PATH] = '\0';

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                is_int(do_mount("t", bad[i].address, "tmpfs", 0, NULL), -EFAULT, "target at an address %s", bad[i].name);
                is_int(do_mount(bad[i].address, "a", "tmpfs", 0, NULL), -EFAULT, "source at an address %s", bad[i].name);
                is_int(do_mount("t", "a", bad[i].address, 0, NULL), -EFAULT, "type at an address %s", bad[i].name);
                is_int(do_umount(bad[i].address, 0), -EFAULT, "umount2 of an address %s", bad[i].name);
        }
        is_int(do_mount("t", NULL, "tmpfs", 0, NULL), -EFAULT, "no target");
        is_int(do_mount("t", "a", "tmpfs", 0, page_unmapped()), -EFAULT, "options in a page that is gone");
        is_int(do_mount("t", "a", "tmpfs", 0, page_bus()), -EFAULT, "options behind the end of a file");
        edge = page_edge(2);
        memcpy(edge, "a", 2);
        is_int(do_mount(edge, edge, "tmpfs", 0, NULL), 0, "strings may end where memory does");
        is_int(do_umount(edge, 0), 0, "… for umount2, too");
        edge = page_edge(8);
        memcpy(edge, "size=8k", 8);
        is_int(do_mount("t", "a", "tmpfs", 0, edge), 0, "and so may options");
        is_int(do_umount("a", 0), 0, "away");

        is_int(do_mount("t", long_path, "tmpfs", 0, NULL), -ENAMETOOLONG, "a target of %d bytes", LONG_PATH);
        is_int(do_umount(long_path, 0), -ENAMETOOLONG, "… of umount2");
        is_int(do_mount(long_path, "a", "tmpfs", 0, NULL), -EINVAL, "a source of that length");
        is_int(do_mount("t", "a", long_path, 0, NULL), -EINVAL, "a type of that length");
        long_path[300] = '\0';
        is_int(do_mount("t", long_path, "tmpfs", 0, NULL), -ENAMETOOLONG, "a name of 300 bytes");
        is_int(do_mount("t", "", "tmpfs", 0, NULL), -ENOENT, "an empty target");
        is_int(do_mount("t", "missing", "tmpfs", 0, NULL), -ENOENT, "a target that is not there");
        is_int(do_mount("t", "loop", "tmpfs", 0, NULL), -ELOOP, "a link to itself");
        is_int(do_mount("t", "plain", "tmpfs", 0, NULL), -ENOTDIR, "a file as target");
        is_int(do_mount("t", "a", NULL, 0, NULL), -EINVAL, "no type");
        is_int(do_mount("t", "a", "tmpfs", 1UL << 31, NULL), -EINVAL, "a flag that is the kernel's own");
        is_int(do_mount("t", "a", "tmpfs", 0, "nonsense"), -EINVAL, "an option that is none");
        is_int(do_mount("t", "a", "tmpfs", 0, "size=x"), -EINVAL, "a size that is none");
        is_int(do_mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND, NULL), -EINVAL, "a remount of what is no mount");
        is_int(do_umount("missing", 0), -ENOENT, "umount2 of what is not there");
        is_int(do_umount("", 0), -ENOENT, "… of nothing");
        is_int(do_umount("plain/x", 0), -ENOTDIR, "… below a file");
        is_int(do_umount("a", 0x1000), -EINVAL, "… with a flag that is none");
        is_int(do_umount("a", MNT_EXPIRE | MNT_DETACH), -EINVAL, "… with two that exclude each other");
        free(long_path);
}

/* A signal neither ends a mount nor makes it happen twice. */
static volatile sig_atomic_t n_signals;

static void on_signal(int signo) {
        (void) signo;
        n_signals++;
}

static void test_signals(void) {
        const struct itimerval often = { { 0, 700 }, { 0, 700 } }, never = {};
        int n_wrong = 0, n_interrupted = 0;

        (void) signal(SIGALRM, on_signal); /* with SA_RESTART */
        (void) setitimer(ITIMER_REAL, &often, NULL);
        for (int i = 0; i < 50; i++) {
                long r = do_mount("t", "a", "tmpfs", 0, NULL);

                n_wrong += r != 0;
                r = do_umount("a", 0);
                n_interrupted += r != 0;
                n_wrong += is_mounted("a");
        }
        (void) setitimer(ITIMER_REAL, &never, NULL);
        is_int(n_wrong, 0, "50 mounts and unmounts under signals are made once each");
        is_int(n_interrupted, 0, "… and none fails");
        ok(n_signals > 0, "signals came");
}

/* 8 threads at once. */
static void *mounts(void *arg) {
        const char *place = arg;
        long wrong = 0;

        for (int i = 0; i < 20; i++) {
                wrong += do_mount("t", place, "tmpfs", 0, NULL) != 0;
                wrong += do_umount(place, 0) != 0;
        }
        return (void *) wrong;
}

static void test_threads(void) {
        static char places[8][8];
        pthread_t threads[8];
        long wrong = 0;

        for (int i = 0; i < 8; i++) {
                snprintf(places[i], sizeof places[i], "t%d", i);
                if (mkdir(places[i], 0755) < 0 || pthread_create(threads + i, NULL, mounts, places[i]) != 0)
                        tap_bail_out("cannot make place and thread %d", i);
        }
        for (int i = 0; i < 8; i++) {
                void *result;

                pthread_join(threads[i], &result);
                wrong += (long) result;
        }
        is_int(wrong, 0, "8 threads mount and unmount 20 times each");
}

int main(void) {
        char template[] = "/tmp/mount-XXXXXX";

        base = mkdtemp(template);
        if (!base || chdir(base) < 0 || mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0 || mkdir("c", 0755) < 0 ||
            symlink("a", "link") < 0 || symlink("loop", "loop") < 0 || make("plain") < 0)
                tap_bail_out("%s: %s", template, strerror(errno));
        if (sandboxed() && !getenv("MOUNTS")) {
                test_refused();
                return tap_done();
        }
        if (!sandboxed() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                tap_bail_out("cannot make mounts private: %s", strerror(errno));

        test_tmpfs();
        test_bind();
        test_overlay();
        test_errors();
        test_signals();
        test_threads();
        is_int(rmdir("a"), 0, "nothing is left mounted");
        return tap_done();
}
