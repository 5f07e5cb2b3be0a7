/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The terminal of whoever waits for a program. One that ends by itself leaves it as it wants to; one that is killed, which is
 * also how a sandbox ends that was saved, leaves it with the modes of a shell's line editor and to a process group that is no
 * more, which the next to read from it would not survive. */

#include <stdbool.h>
#include <termios.h>

typedef struct LaunchTerminal {
        bool ours;              /* this process group had the foreground; false: there is nothing to take back */
        int fd;                 /* not owned: a standard stream */
        struct termios termios; /* how it was set */
} LaunchTerminal;

/* Before the program starts. */
void terminal_note(LaunchTerminal *ret);
/* After it was killed, with signals blocked: the foreground and the modes as they were, unless somebody else has it now. */
void terminal_take_back(const LaunchTerminal *terminal);
