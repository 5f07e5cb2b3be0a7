/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* reboot(2) inside a PID namespace. With an argument it reboots (tests/sys/run looks at the status from outside);
 * without, it tries everything that does not. */

#include <linux/reboot.h>

#include "sys.h"

static long raw_reboot(unsigned magic1, unsigned magic2, unsigned cmd, void *arg) {
        return RAW(SYS_reboot, magic1, magic2, cmd, arg);
}

static unsigned command(const char *what) {
        if (strncmp(what, "restart2", 8) == 0)
                return LINUX_REBOOT_CMD_RESTART2;
        if (strncmp(what, "restart", 7) == 0)
                return LINUX_REBOOT_CMD_RESTART;
        if (strncmp(what, "halt", 4) == 0)
                return LINUX_REBOOT_CMD_HALT;
        if (strncmp(what, "power-off", 9) == 0)
                return LINUX_REBOOT_CMD_POWER_OFF;
        return LINUX_REBOOT_CMD_SW_SUSPEND;
}

int main(int argc, char **argv) {
        static const unsigned magics[] = { LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC2A, LINUX_REBOOT_MAGIC2B,
                                           LINUX_REBOOT_MAGIC2C };

        if (argc == 2) {
                if (getpid() != 1)
                        return 99;
                if (strstr(argv[1], "-by-child")) {
                        pid_t pid = fork();

                        if (pid > 0)
                                for (;;)
                                        pause();
                        if (pid < 0)
                                return 98;
                }
                /* In a PID namespace the argument of RESTART2 is not looked at. */
                raw_reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command(argv[1]), NULL);
                return 97;
        }

        is_int(raw_reboot(0, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, NULL), -EINVAL, "a bad first magic is EINVAL");
        is_int(raw_reboot(LINUX_REBOOT_MAGIC1, 0, LINUX_REBOOT_CMD_RESTART, NULL), -EINVAL,
               "a bad second magic is EINVAL");
        is_int(raw_reboot(LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_CMD_RESTART, NULL), -EINVAL,
               "magics the wrong way round are EINVAL");
        is_int(raw_reboot(0, 0, 12345, NULL), -EINVAL, "nothing right is EINVAL");
        for (size_t i = 0; i < 4; i++) {
                is_int(raw_reboot(LINUX_REBOOT_MAGIC1, magics[i], 12345, NULL), -EINVAL,
                       "magic 0x%x: an unknown command is EINVAL", magics[i]);
                is_int(raw_reboot(LINUX_REBOOT_MAGIC1, magics[i], LINUX_REBOOT_CMD_CAD_ON, NULL), -EINVAL,
                       "… CAD_ON too");
                is_int(raw_reboot(LINUX_REBOOT_MAGIC1, magics[i], LINUX_REBOOT_CMD_CAD_OFF, NULL), -EINVAL,
                       "… CAD_OFF too");
                is_int(raw_reboot(LINUX_REBOOT_MAGIC1, magics[i], LINUX_REBOOT_CMD_KEXEC, NULL), -EINVAL,
                       "… KEXEC too");
                is_int(raw_reboot(LINUX_REBOOT_MAGIC1, magics[i], LINUX_REBOOT_CMD_SW_SUSPEND, NULL), -EINVAL,
                       "… SW_SUSPEND too");
        }
        ok(getpid() == 1, "still here");
        return tap_done();
}
