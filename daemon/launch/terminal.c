/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "terminal.h"

void terminal_note(LaunchTerminal *ret) {
        *ret = (LaunchTerminal) {};
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && !ret->ours; fd++)
                if (tcgetpgrp(fd) == getpgrp() && tcgetattr(fd, &ret->termios) >= 0) {
                        ret->ours = true;
                        ret->fd = fd;
                }
}

void terminal_take_back(const LaunchTerminal *terminal) {
        pid_t group;

        if (!terminal->ours)
                return;
        group = tcgetpgrp(terminal->fd);
        /* A shell that has put us into the background has it; a group of the program's is no more. */
        if (group < 0 || (group != getpgrp() && group > 0 && (kill(-group, 0) >= 0 || errno != ESRCH)))
                return;
        (void) tcsetpgrp(terminal->fd, getpgrp());
        (void) tcsetattr(terminal->fd, TCSANOW, &terminal->termios);
}
