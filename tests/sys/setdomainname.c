/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* setdomainname(2), and getdomainname(2) on top of it. */

#include "uts.h"

int main(void) {
        char domain[UTS_MAX + 1];

        uts_number = SYS_setdomainname;
        uts_offset = offsetof(struct utsname, domainname);
        uts_name = "domainname";
        uts_file = "/proc/sys/kernel/domainname";

        is_str(uts_get(), "(none)", "nobody has set one yet");
        is_int(setdomainname("by-libc", 7), 0, "the C library's setdomainname");
        is_int(getdomainname(domain, sizeof domain), 0, "getdomainname");
        is_str(domain, "by-libc", "… says the same");
        return uts_test();
}
