/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* uname(2), sethostname(2), setdomainname(2), on the caller's UTS namespace. */

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "kernel.h"

SYSCALL_DEFINE1(uname, GuestAddr, buffer) {
        UTSNamespace *uts;
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

        r = kernel->host->ops->memory_write(kernel->host, call, buffer, &names, sizeof(names));
        return r < 0 ? verdict_error(r) : verdict_value(0);
}

/* Sets one of the two names. The order of the checks is the kernel's. */
static Verdict set_name(Kernel *kernel, const Call *call, GuestAddr address, int32_t length, bool domain) {
        char value[ABI_UTS_LENGTH - 1];
        UTSNamespace *uts;
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
        if (uts == kernel->first_uts)
                kernel->host->ops->event(kernel->host, &(KernelEvent) { .kind = KERNEL_EVENT_UTS_CHANGED });
        return verdict_value(0);
}

SYSCALL_DEFINE2(sethostname, GuestAddr, name, int32_t, length) {
        return set_name(kernel, call, name, length, false);
}

SYSCALL_DEFINE2(setdomainname, GuestAddr, name, int32_t, length) {
        return set_name(kernel, call, name, length, true);
}
