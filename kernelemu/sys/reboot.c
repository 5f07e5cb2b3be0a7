/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* reboot(2), as in a PID namespace of its own: the sandbox ends, and its status is that of an init killed by
 * SIGHUP (restart) or SIGINT (halt, power off). */

#include <errno.h>
#include <linux/capability.h>
#include <linux/reboot.h>
#include <signal.h>

#include "kernel.h"

#define STATUS_OF_SIGNAL(signo) (128 + (signo))

SYSCALL_DEFINE3(reboot, int32_t, magic1, int32_t, magic2, uint32_t, command) {
        int signo;

        if (!kernel_capable(kernel, call, CAP_SYS_BOOT))
                return verdict_error(EPERM);
        if (magic1 != (int32_t) LINUX_REBOOT_MAGIC1 ||
            (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
             magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
                return verdict_error(EINVAL);

        switch (command) {
        case LINUX_REBOOT_CMD_RESTART:
        case LINUX_REBOOT_CMD_RESTART2:
                signo = SIGHUP;
                break;
        case LINUX_REBOOT_CMD_POWER_OFF:
        case LINUX_REBOOT_CMD_HALT:
                signo = SIGINT;
                break;
        default:
                return verdict_error(EINVAL);
        }

        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_NOTICE, "reboot: %s",
                          signo == SIGHUP ? "Restarting system" : "System halted");
        kernel_end(kernel, STATUS_OF_SIGNAL(signo));
        /* The caller dies with the others before it could see an answer. */
        return verdict_parked();
}
