/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* uname(2), sethostname(2), setdomainname(2), on the caller's UTS namespace. */

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>

#include "kernel.h"
#include "ns/uts.h"

/* UNAME26, for programs that cannot read a first number above 2: 4.x and later are 2.6.60+x there. What
 * follows the numbers stays. */
static void release_as_26(char release[static ABI_UTS_LENGTH]) {
        char old[ABI_UTS_LENGTH];
        unsigned minor = 0, dots = 0;
        const char *rest = old, *p;

        memcpy(old, release, sizeof(old));
        p = strchr(old, '.');
        if (p)
                (void) sscanf(p, ".%u", &minor);
        for (; *rest; rest++)
                if ((*rest == '.' && ++dots >= 3) || (*rest != '.' && (*rest < '0' || *rest > '9')))
                        break;
        memset(release, 0, ABI_UTS_LENGTH);
        (void) snprintf(release, ABI_UTS_LENGTH, "2.6.%u%.48s", minor + 60, rest);
}

static int apply_personality(Kernel *kernel, const Call *call, AbiUtsname *names) {
        uint32_t persona;
        int r;

        if (!kernel->personalities)
                return 0;
        r = kernel->host->ops->task_personality(kernel->host, call->tid, &persona);
        if (r < 0)
                return r;

        if (persona & UNAME26)
                release_as_26(names->release);
        if ((persona & PER_MASK) == PER_LINUX32 && strcmp(names->machine, "x86_64") == 0)
                (void) snprintf(names->machine, sizeof(names->machine), "i686");
        return 0;
}

SYSCALL_DEFINE1(uname, GuestAddr, buffer) {
        Namespace *uts;
        AbiUtsname names;
        int r;

        r = kernel_uts_of(kernel, call, &uts);
        if (r < 0)
                return verdict_error(r);

        memcpy(names.sysname, kernel->sysname, sizeof(names.sysname));
        memcpy(names.nodename, uts->nodename, sizeof(names.nodename));
        memcpy(names.release, kernel->release, sizeof(names.release));
        memcpy(names.version, kernel->version, sizeof(names.version));
        memcpy(names.machine, kernel->machine, sizeof(names.machine));
        memcpy(names.domainname, uts->domainname, sizeof(names.domainname));

        r = apply_personality(kernel, call, &names);
        if (r < 0)
                return verdict_error(r);
        r = kernel->host->ops->memory_write(kernel->host, call, buffer, &names, sizeof(names));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

/* Sets one of the two names. The order of the checks is the kernel's. */
static Verdict set_name(Kernel *kernel, const Call *call, GuestAddr address, int32_t length, bool domain) {
        char value[ABI_UTS_LENGTH - 1];
        Namespace *uts;
        int r;

        if (!kernel_capable(kernel, call, CAP_SYS_ADMIN))
                return verdict_error(EPERM);
        if (length < 0 || (size_t) length > sizeof(value))
                return verdict_error(EINVAL);

        r = kernel->host->ops->memory_read(kernel->host, call, address, value, (size_t) length);
        if (r < 0)
                return verdict_error(r);
        r = kernel_uts_of(kernel, call, &uts);
        if (r < 0)
                return verdict_error(r);

        uts_name_set(domain ? uts->domainname : uts->nodename, value, (size_t) length);
        change_uts(kernel, uts);
        if (uts != kernel->first_uts)
                return verdict_value(0);
        kernel->host->ops->names_changed(kernel->host, domain ? NULL : uts->nodename, domain ? uts->domainname : NULL);
        kernel->host->ops->event(kernel->host, &(KernelEvent) { .kind = KERNEL_EVENT_UTS_CHANGED });
        return verdict_value(0);
}

SYSCALL_DEFINE2(sethostname, GuestAddr, name, int32_t, length) {
        return set_name(kernel, call, name, length, false);
}

SYSCALL_DEFINE2(setdomainname, GuestAddr, name, int32_t, length) {
        return set_name(kernel, call, name, length, true);
}
