/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mount(2) and umount2(2) on a host that writes down what it is asked for: what may be mounted, with which options, and whose
 * turn it is. */

#include <linux/capability.h>
#include <linux/mount.h>

#include "fake-host.h"
#include "tap.h"

#define SOURCE_AT (GUEST_BASE + 0x1000)
#define TARGET_AT (GUEST_BASE + 0x3000)
#define TYPE_AT (GUEST_BASE + 0x5000)
#define DATA_AT (GUEST_BASE + 0x7000)
#define OUT_OF_REACH (GUEST_BASE - 0x1000)
#define MIB (UINT64_C(1024) * 1024)
#define ALL_KINDS ((1U << _MOUNT_KIND_MAX) - 1)
#define MAX 7U
#define UMOUNT_SOME UINT64_C(0xb) /* MNT_FORCE, MNT_DETACH, UMOUNT_NOFOLLOW */
#define FORCED ((uint64_t) (MS_NOSUID | MS_NODEV))

static FakeHost fake;
static HostOps ops;
static HostMountRequest asked; /* the last one */
static unsigned n_asked;
static int host_says;          /* what begins a call */

static int note(Host *host, const Call *call, const HostMountRequest *request) {
        if (host_says < 0)
                return host_says;
        asked = *request;
        n_asked++;
        return 0;
}

static Kernel *mount_kernel(uint32_t kinds) {
        Kernel *kernel = fake_kernel(&fake);

        ops = fake_ops;
        ops.mount = note;
        fake.host.ops = &ops;
        kernel->mount_rules = (MountRules) { .kinds = kinds, .max = MAX, .tmpfs_size = 64 * MIB };
        n_asked = 0;
        host_says = 0;
        return kernel;
}

static Verdict call_as(Kernel *kernel, HostTid tid, const char *name, uint64_t cookie, const uint64_t args[static 5]) {
        Call call = {
                .cookie = cookie,
                .tid = tid,
                .id = syscall_id_from_name(name),
                .received_ns = kernel_now(kernel),
                .args = { args[0], args[1], args[2], args[3], args[4] },
        };

        return syscall_dispatch(kernel, &call);
}

static GuestAddr put(GuestAddr at, const char *text) {
        if (!text)
                return 0;
        memcpy(fake.memory + (at - GUEST_BASE), text, strlen(text) + 1);
        return at;
}

static uint64_t next_cookie = 1000;

static Verdict mount_call(Kernel *kernel, const char *source, const char *target, const char *type, uint64_t flags,
                          const char *data) {
        const uint64_t args[5] = { put(SOURCE_AT, source), put(TARGET_AT, target), put(TYPE_AT, type), flags,
                                   put(DATA_AT, data) };

        return call_as(kernel, FAKE_TID, "mount", ++next_cookie, args);
}

static Verdict umount_call(Kernel *kernel, const char *target, uint64_t flags) {
        const uint64_t args[5] = { put(TARGET_AT, target), flags };

        return call_as(kernel, FAKE_TID, "umount2", ++next_cookie, args);
}

/* What a call ends with: an errno, or that it was passed to the host, who ends it with 0. */
static int result(Kernel *kernel, Verdict verdict) {
        if (verdict.kind == VERDICT_ERROR)
                return (int) verdict.value;
        if (verdict.kind != VERDICT_PARKED || n_asked == 0)
                return -1;
        n_asked = 0;
        kernel_mount_done(kernel, 0);
        return fake.last_answer.kind == VERDICT_VALUE && fake.last_cookie == next_cookie ? 0 : -2;
}

static int try_mount(Kernel *kernel, const char *source, const char *target, const char *type, uint64_t flags,
                     const char *data) {
        return result(kernel, mount_call(kernel, source, target, type, flags, data));
}

/* ---- who may ---- */

static void test_who(void) {
        static const char *const others[] = { "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount",
                                              "mount_setattr" };
        Kernel *kernel = mount_kernel(ALL_KINDS);

        kernel->features &= ~(1U << SYSCALL_FEATURE_MOUNTS);
        is_int(try_mount(kernel, "none", "/mnt", "tmpfs", 0, NULL), EPERM, "without the feature nothing is mounted");
        is_int(result(kernel, umount_call(kernel, "/mnt", 0)), EPERM, "… nor unmounted");
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], 2, "… and events tell of it");
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                is_int((int) fake_call(kernel, others[i], 0, 0, 0).value, EPERM, "… %s is refused, too", others[i]);
        kernel_free(kernel);

        kernel = mount_kernel(ALL_KINDS);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                is_int((int) fake_call(kernel, others[i], 0, 0, 0).value, ENOSYS,
                       "with it %s is not there: programs fall back to mount(2)", others[i]);
        kernel->emulated_capabilities = ~(UINT64_C(1) << CAP_SYS_ADMIN);
        is_int(try_mount(kernel, "none", "/mnt", "tmpfs", 0, NULL), EPERM, "it takes CAP_SYS_ADMIN");
        is_int((int) n_asked, 0, "… which is asked for first");
        kernel_free(kernel);
}

static void test_kinds(void) {
        static const char *const never[] = { "ext4", "sysfs", "ramfs", "cgroup2", "devpts", "fuse", "tmpfs2", "", "Tmpfs" };
        static const struct {
                MountKind kind;
                const char *type, *data;
                uint64_t flags;
        } kinds[] = {
                { MOUNT_TMPFS, "tmpfs", NULL, 0 },
                { MOUNT_PROC, "proc", NULL, 0 },
                { MOUNT_OVERLAY, "overlay", "lowerdir=/a", 0 },
                { MOUNT_BIND, NULL, NULL, MS_BIND },
        };
        Kernel *kernel;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                kernel = mount_kernel(1U << kinds[i].kind);
                for (size_t j = 0; j < ELEMENTSOF(kinds); j++)
                        is_int(try_mount(kernel, "/a", "/mnt", kinds[j].type, kinds[j].flags, kinds[j].data),
                               i == j ? 0 : EPERM, "with kind %zu alone, kind %zu", i, j);
                kernel_free(kernel);
        }
        kernel = mount_kernel(ALL_KINDS);
        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                is_int(try_mount(kernel, "/a", "/mnt", never[i], 0, NULL), EPERM, "never: \"%s\"", never[i]);
        is_int(try_mount(kernel, "/a", "/mnt", NULL, 0, NULL), EINVAL, "a file system of no type");
        kernel_free(kernel);
}

/* ---- options ---- */

static void test_tmpfs(void) {
        static const struct {
                const char *data, *becomes;
        } options[] = {
                { NULL, "size=67108864,nr_inodes=65536" },
                { "", "size=67108864,nr_inodes=65536" },
                { ",,", "size=67108864,nr_inodes=65536" },
                { "size=4096", "size=4096,nr_inodes=65536" },
                { "size=4k", "size=4096,nr_inodes=65536" },
                { "size=0x1000", "size=4096,nr_inodes=65536" },
                { "size=1M,mode=700", "mode=700,size=1048576,nr_inodes=65536" },
                { "size=63m", "size=66060288,nr_inodes=65536" },
                { "size=1G", "size=67108864,nr_inodes=65536" },
                { "size=99999999999999999999", "size=67108864,nr_inodes=65536" },
                { "size=18446744073709551615g", "size=67108864,nr_inodes=65536" },
                { "size=0", "size=67108864,nr_inodes=65536" },
                { "size=50%", "size=67108864,nr_inodes=65536" },
                { "size=8k,size=4k", "size=4096,nr_inodes=65536" },
                { "nr_inodes=10", "size=67108864,nr_inodes=10" },
                { "nr_inodes=10000000", "size=67108864,nr_inodes=65536" },
                { "uid=0,gid=5,mode=1777", "uid=0,gid=5,mode=1777,size=67108864,nr_inodes=65536" },
        };
        static const char *const wrong[] = {
                "size", "size=", "size=x", "size=4x", "size=4k4", "size=-1", "size= 4", "nr_inodes=", "nr_blocks=5", "mode",
                "huge=always", "mpol=local", "swap", "noswap", "usrquota", "casefold", "inode64", "size=4k,nonsense", "sizes=4",
                "mode\\,size=4k",
        };
        Kernel *kernel = mount_kernel(ALL_KINDS);

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                is_int(try_mount(kernel, "none", "/mnt", "tmpfs", 0, options[i].data), 0, "tmpfs with \"%s\"",
                       options[i].data ?: "(none)");
                is_str(asked.data, options[i].becomes, "… is within what it may");
        }
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                is_int(try_mount(kernel, "none", "/mnt", "tmpfs", 0, wrong[i]), EINVAL, "tmpfs has no \"%s\"", wrong[i]);

        is_int(try_mount(kernel, "some name", "/mnt/a b", "tmpfs", MS_RDONLY | MS_NOEXEC | MS_NOATIME | MS_LAZYTIME, NULL), 0,
               "a tmpfs");
        ok(asked.action == HOST_MOUNT && asked.has_source && asked.has_type && asked.has_data, "… is asked for whole");
        is_str(asked.source, "some name", "… its source is a name");
        is_str(asked.target, "/mnt/a b", "… its target as it was given");
        is_str(asked.type, "tmpfs", "… its type");
        is_int((int64_t) asked.flags, (int64_t) (MS_RDONLY | MS_NOEXEC | MS_NOATIME | MS_LAZYTIME | FORCED),
               "… without set-id programs and devices");
        ok(asked.adds && !asked.tree, "… it is one mount more");
        is_int(asked.max, MAX, "… of so many");
        is_int((int64_t) asked.capabilities, INT64_C(1) << CAP_SYS_ADMIN, "… with the right to mount and no other");
        is_int((int64_t) asked.owner_capabilities, 0, "… whoever it is");
        is_int(try_mount(kernel, NULL, "/mnt", "tmpfs", 0, NULL), 0, "one without a source");
        ok(!asked.has_source, "… has none");
        kernel_free(kernel);
}

static void test_overlay(void) {
        static const char *const wrong[] = {
                "metacopy=on", "redirect_dir=on", "index=on", "xino=on", "lowerdir", "upperdir", "nfs_export=on", "uuid=on",
                "lowerdir=/a,default_permissions", "lowerdir+=/b", "verity=on",
        };
        Kernel *kernel = mount_kernel(ALL_KINDS);

        is_int(try_mount(kernel, "o", "/mnt", "overlay", 0, "lowerdir=/a:/b,upperdir=/c,workdir=/d,volatile,index=off"), 0,
               "an overlay");
        is_str(asked.data, "userxattr,lowerdir=/a:/b,upperdir=/c,workdir=/d,volatile,index=off", "… with what it needs here");
        ok(asked.owner_capabilities & UINT64_C(1) << CAP_DAC_OVERRIDE, "… the owner's work directory has mode 0");
        is_int((int64_t) asked.capabilities, INT64_C(1) << CAP_SYS_ADMIN, "… others have no more than that");
        is_int(try_mount(kernel, "o", "/mnt", "overlay", 0, "lowerdir=/a\\,b,userxattr"), 0, "a comma in a name");
        is_str(asked.data, "userxattr,lowerdir=/a\\,b", "… stays one");
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                is_int(try_mount(kernel, "o", "/mnt", "overlay", 0, wrong[i]), EINVAL, "no overlay with \"%s\"", wrong[i]);
        kernel_free(kernel);
}

static void test_flags(void) {
        static const uint64_t propagation[] = { MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE, MS_PRIVATE | MS_REC };
        Kernel *kernel = mount_kernel(ALL_KINDS);

        is_int(try_mount(kernel, "/a", "/b", "ext4", MS_BIND | MS_RDONLY | MS_NOSUID, "data"), 0, "a bind looks at no type");
        ok(!asked.has_type && !asked.has_data && asked.has_source, "… and at no data");
        is_int((int64_t) asked.flags, MS_BIND, "… nor at other flags, as Linux has it");
        ok(asked.adds && !asked.tree, "… it is one mount");
        is_int(try_mount(kernel, "/a", "/b", NULL, MS_BIND | MS_REC, NULL), 0, "a recursive one");
        ok(asked.adds && asked.tree, "… is as many as there are");

        is_int(try_mount(kernel, NULL, "/b", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0, "a remount");
        is_int((int64_t) asked.flags, (int64_t) (MS_REMOUNT | MS_BIND | MS_RDONLY | FORCED), "… is of the mount alone");
        ok(!asked.adds, "… and adds none");
        is_int(try_mount(kernel, NULL, "/b", NULL, MS_REMOUNT, "size=1"), EPERM, "options of the file system are refused");
        is_int(try_mount(kernel, NULL, "/b", NULL, MS_REMOUNT | MS_BIND, "size=1"), 0, "… but where Linux ignores them");
        ok(!asked.has_data, "… so do we");
        is_int(try_mount(kernel, NULL, "/b", NULL, MS_REMOUNT, ""), 0, "no options are none");
        is_int(try_mount(kernel, "/a", "/b", "tmpfs", MS_REMOUNT | MS_BIND | MS_MOVE, NULL), 0, "a remount is looked at first");
        ok(!(asked.flags & MS_MOVE), "… and is nothing else");

        is_int(try_mount(kernel, NULL, "/b", NULL, MS_SHARED, NULL), EPERM, "shared mounts multiply");
        is_int(try_mount(kernel, NULL, "/b", NULL, MS_SHARED | MS_PRIVATE, NULL), EPERM, "… whatever else is said");
        is_int(try_mount(kernel, NULL, "/b", NULL, MS_SHARED | MS_REC, NULL), EPERM, "… also below");
        for (size_t i = 0; i < ELEMENTSOF(propagation); i++) {
                is_int(try_mount(kernel, NULL, "/b", NULL, propagation[i], NULL), 0, "flags %#" PRIx64, propagation[i]);
                is_int((int64_t) asked.flags, (int64_t) propagation[i], "… go to the host");
        }
        is_int(try_mount(kernel, "/a", "/b", NULL, MS_MOVE | MS_RDONLY, NULL), 0, "a move");
        ok((int64_t) asked.flags == MS_MOVE && !asked.adds, "… is nothing else, and adds none");

        is_int(try_mount(kernel, "/a", "/b", "tmpfs", UINT64_C(0xc0ed0000) | MS_RDONLY, NULL), 0, "the magic of old programs");
        is_int((int64_t) asked.flags, (int64_t) (MS_RDONLY | FORCED), "… is taken off");
        is_int(try_mount(kernel, "/a", "/b", "tmpfs", UINT64_C(1) << 31, NULL), EINVAL, "a flag of the kernel's own");

        is_int(try_mount(kernel, "p", "/b", "proc", 0, NULL), 0, "a /proc");
        ok(asked.action == HOST_MOUNT_PROC && asked.adds && asked.tree, "… is that of the launch once more, with its covers");
        is_int(try_mount(kernel, "p", "/b", "proc", 0, ""), 0, "… with no options");
        is_int(try_mount(kernel, "p", "/b", "proc", 0, "hidepid=0"), EPERM, "… since they would be those of all");
        kernel_free(kernel);
}

/* ---- memory ---- */

static void test_memory(void) {
        const uint64_t bad_type[5] = { SOURCE_AT, TARGET_AT, OUT_OF_REACH, 0, 0 },
                       bad_target[5] = { SOURCE_AT, OUT_OF_REACH, TYPE_AT, 0, 0 },
                       no_target[5] = { SOURCE_AT, 0, TYPE_AT, 0, 0 },
                       bad_data[5] = { SOURCE_AT, TARGET_AT, TYPE_AT, 0, OUT_OF_REACH },
                       late_data[5] = { SOURCE_AT, TARGET_AT, TYPE_AT, 0, GUEST_BASE + GUEST_SIZE - 10 },
                       late_target[5] = { SOURCE_AT, GUEST_BASE + GUEST_SIZE - 4, TYPE_AT, 0, 0 };
        Kernel *kernel = mount_kernel(ALL_KINDS);

        put(SOURCE_AT, "none");
        put(TARGET_AT, "/mnt");
        put(TYPE_AT, "tmpfs");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, bad_type)), EFAULT, "a type out of reach");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, bad_target)), EFAULT, "a target");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, no_target)), EFAULT, "none");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, bad_data)), EFAULT, "data");
        memcpy(fake.memory + GUEST_SIZE - 10, "size=4096\0", 10);
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, late_data)), 0, "data at the end of memory");
        is_str(asked.data, "size=4096,nr_inodes=65536", "… is what there is of it");
        memcpy(fake.memory + GUEST_SIZE - 10, "size=40960", 10);
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, late_data)), 0, "… also without a NUL");
        is_str(asked.data, "size=40960,nr_inodes=65536", "… as Linux takes it");
        memcpy(fake.memory + GUEST_SIZE - 4, "/mnt", 4);
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie, late_target)), EFAULT,
               "a path that leaves memory");

        memset(fake.memory + (TARGET_AT - GUEST_BASE), 'x', MOUNT_PATH_MAX);
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie,
                                      (const uint64_t[5]) { SOURCE_AT, TARGET_AT, TYPE_AT })), ENAMETOOLONG, "a target too long");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "umount2", ++next_cookie, (const uint64_t[5]) { TARGET_AT })),
               ENAMETOOLONG, "… to unmount");
        put(TARGET_AT, "/mnt");
        memset(fake.memory + (TYPE_AT - GUEST_BASE), 'x', MOUNT_PATH_MAX);
        is_int(result(kernel, call_as(kernel, FAKE_TID, "mount", ++next_cookie,
                                      (const uint64_t[5]) { SOURCE_AT, TARGET_AT, TYPE_AT })), EINVAL, "a type too long");
        kernel_free(kernel);
}

static void test_umount(void) {
        Kernel *kernel = mount_kernel(0);

        is_int(result(kernel, umount_call(kernel, "/mnt", UMOUNT_SOME)), 0, "umount2, whatever may be mounted");
        ok(asked.action == HOST_UMOUNT && asked.flags == UMOUNT_SOME && !asked.adds, "… with its flags");
        is_str(asked.target, "/mnt", "… of its target");
        is_int(result(kernel, umount_call(kernel, "/mnt", 0x10)), EINVAL, "a flag that there is not");
        is_int(result(kernel, umount_call(kernel, "/mnt", UINT64_C(1) << 32)), 0, "the upper half is nothing");
        is_int((int64_t) asked.flags, 0, "… at all");
        put(TARGET_AT, "/old");
        is_int(result(kernel, call_as(kernel, FAKE_TID, "umount", ++next_cookie, (const uint64_t[5]) { TARGET_AT, 0xff })), 0,
               "umount has no flags");
        kernel_free(kernel);
}

/* ---- turns ---- */

static void test_turns(void) {
        Kernel *kernel = mount_kernel(ALL_KINDS);
        uint64_t first, second, third;

        is_int(mount_call(kernel, "a", "/a", "tmpfs", 0, NULL).kind, VERDICT_PARKED, "a mount waits for the host");
        first = next_cookie;
        ok(kernel_mount_is_running(kernel, first), "… who is at it");
        is_int(mount_call(kernel, "b", "/b", "tmpfs", 0, NULL).kind, VERDICT_PARKED, "a second one waits");
        second = next_cookie;
        is_int(umount_call(kernel, "/c", 0).kind, VERDICT_PARKED, "so does an unmount");
        third = next_cookie;
        is_int(n_asked, 1, "… for the first");
        ok(!kernel_mount_is_running(kernel, second), "… it is not begun");

        /* A parked handler reads its arguments again when its turn comes. */
        put(TARGET_AT, "/b");
        put(SOURCE_AT, "b");
        kernel_mount_done(kernel, -ENOSPC);
        is_int(fake.n_answers, 1, "the first has its answer");
        ok(fake.last_cookie == first && fake.last_answer.kind == VERDICT_ERROR && fake.last_answer.value == ENOSPC,
           "… which is the host's");
        is_int(n_asked, 2, "one of the others begins");
        ok(kernel_mount_is_running(kernel, second) != kernel_mount_is_running(kernel, third), "… and one alone");
        kernel_mount_done(kernel, 0);
        is_int(fake.n_answers, 2, "it has its answer");
        is_int(n_asked, 3, "the last begins");
        kernel_mount_done(kernel, 0);
        is_int(fake.n_answers, 3, "and has it");
        ok(!kernel_mount_is_running(kernel, second) && !kernel_mount_is_running(kernel, third), "nobody is at it any more");

        /* The caller dies meanwhile. */
        (void) mount_call(kernel, "a", "/a", "tmpfs", 0, NULL);
        first = next_cookie;
        (void) mount_call(kernel, "b", "/b", "tmpfs", 0, NULL);
        second = next_cookie;
        ok(kernel_unpark(kernel, first), "one whose caller is gone is forgotten");
        kernel_mount_done(kernel, 0);
        is_int(fake.n_answers, 3, "… and nobody gets its answer");
        ok(kernel_mount_is_running(kernel, second), "… the next begins");
        kernel_mount_done(kernel, 0);
        ok(fake.n_answers == 4 && fake.last_cookie == second, "… and ends");

        /* About to stand still: what runs ends, nothing begins. */
        (void) mount_call(kernel, "a", "/a", "tmpfs", 0, NULL);
        (void) mount_call(kernel, "b", "/b", "tmpfs", 0, NULL);
        second = next_cookie;
        n_asked = 0;
        kernel_mount_hold(kernel, true);
        kernel_mount_done(kernel, 0);
        is_int(fake.n_answers, 5, "what runs has its answer");
        is_int(n_asked, 0, "nothing begins while it is held");
        is_int(mount_call(kernel, "c", "/c", "tmpfs", 0, NULL).kind, VERDICT_PARKED, "what comes then waits");
        is_int(n_asked, 0, "… too");
        kernel_mount_hold(kernel, false);
        is_int(n_asked, 1, "then one of them does");
        kernel_mount_done(kernel, 0);
        kernel_mount_done(kernel, 0);
        is_int(fake.n_answers, 7, "all have their answers");

        host_says = -EBUSY;
        is_int((int) mount_call(kernel, "a", "/a", "tmpfs", 0, NULL).value, EBUSY, "a host that cannot begin says so");
        host_says = 0;
        is_int(try_mount(kernel, "a", "/a", "tmpfs", 0, NULL), 0, "… which holds up nobody");
        kernel_free(kernel);
}

int main(void) {
        test_who();
        test_kinds();
        test_tmpfs();
        test_overlay();
        test_flags();
        test_memory();
        test_umount();
        test_turns();
        return tap_done();
}
