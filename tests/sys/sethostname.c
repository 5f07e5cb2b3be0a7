/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sethostname(2), and gethostname(3) on top of it. */

#include "uts.h"

int main(void) {
        char host[UTS_MAX + 1];

        uts_number = SYS_sethostname;
        uts_offset = offsetof(struct utsname, nodename);
        uts_name = "hostname";
        uts_file = "/proc/sys/kernel/hostname";

        is_int(sethostname("by-libc", 7), 0, "the C library's sethostname");
        is_int(gethostname(host, sizeof host), 0, "gethostname");
        is_str(host, "by-libc", "… says the same");
        return uts_test();
}
