/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Credentials in a sandbox: those of the one who started it, without any privilege, and no way up. */

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "sys.h"

static int drops(void *arg) {
        (void) arg;
        /* Dropping what one does not have anyway is allowed, as everywhere. */
        return setuid(getuid()) == 0 && setgid(getgid()) == 0 && setresuid(getuid(), getuid(), getuid()) == 0 ? 0 : 1;
}

static int raises_limit(void *arg) {
        struct rlimit *limit = arg;

        getrlimit(RLIMIT_NOFILE, limit);
        limit->rlim_max += 1;
        return setrlimit(RLIMIT_NOFILE, limit) < 0 ? errno : 0;
}

int main(void) {
        static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {};
        const char *dir = getenv("TESTDIR");
        struct statvfs fs;
        struct rlimit limit;
        struct stat st;

        ok(status_field("NoNewPrivs")[0], "/proc/self/status can be read");
        is_int(getuid(), geteuid(), "the effective uid is the real one");
        is_int(getgid(), getegid(), "the effective gid is the real one");
        is_int(child_exit(drops, NULL), 0, "setting the ids that one has");
        ok(RAW(SYS_setuid, 12345) == -EINVAL || RAW(SYS_setuid, 12345) == -EPERM, "setuid to another's id fails");
        ok(RAW(SYS_setgid, 12345) == -EINVAL || RAW(SYS_setgid, 12345) == -EPERM, "setgid to another's id fails");
        is_int(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), -1, "no_new_privs can't be taken back");
        is_int(errno, EINVAL, "… EINVAL");
        is_int(RAW(SYS_capget, &header, data), 0, "capget");
        if (!sandboxed()) {
                is_str(status_field("NoNewPrivs"), "0", "natively, privileges can be gained");
                ok(data[0].effective != 0, "… and there are capabilities");
                return tap_done();
        }

        is_str(status_field("NoNewPrivs"), "1", "no_new_privs is set");
        is_str(status_field("Seccomp"), "2", "a seccomp filter is in force");
        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
                is_str(status_field(sets[i]), "0000000000000000", "%s is empty", sets[i]);
        is_str(status_field("CapBnd"), "0000000000000000", "the bounding set is empty");
        ok(data[0].effective == 0 && data[1].effective == 0 && data[0].permitted == 0 && data[1].permitted == 0,
           "capget says the same");
        data[0].effective = data[0].permitted = 1U << CAP_SYS_ADMIN;
        is_int(RAW(SYS_capset, &header, data), -EPERM, "capset gives none");
        is_int(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0), -1, "no ambient one can be raised");
        ok(RAW(SYS_setgroups, 0, NULL) < 0, "setgroups fails");
        is_int(statvfs("/", &fs), 0, "statvfs");
        ok(fs.f_flag & ST_NOSUID, "the root is mounted nosuid");
        ok(fs.f_flag & ST_RDONLY, "… and read-only");
        if (dir && stat(dir, &st) == 0) {
                is_int(getuid(), st.st_uid, "the uid is that of the one outside");
                is_int(getgid(), st.st_gid, "… the gid too");
                is_int(statvfs(dir, &fs), 0, "statvfs of a bound directory");
                ok(fs.f_flag & ST_NOSUID && fs.f_flag & ST_NODEV, "… it is nosuid and nodev");
        } else
                fail("TESTDIR is not there");
        is_int(child_exit(raises_limit, &limit), EPERM, "a hard limit can't be raised");
        is_int(mknod("/tmp/device", S_IFCHR | 0600, (dev_t) 0x103), -1, "no device can be made");
        ok(errno == EPERM, "… EPERM: %s", strerror(errno));
        is_int(chown("/tmp", 12345, 12345), -1, "nothing can be given away");
        return tap_done();
}
