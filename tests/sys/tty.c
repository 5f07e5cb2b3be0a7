/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Terminals: a pair of one's own works, and nobody pushes input into another's. */

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "sys.h"

static int session(void *arg) {
        int fd;

        if (setsid() < 0)
                return 1;
        fd = open(arg, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
                return 2;
        if (tcgetpgrp(fd) != getpgrp())
                return 3;
        if (open("/dev/tty", O_RDWR | O_CLOEXEC) < 0)
                return 4;
        /* One's own controlling terminal is what TIOCSTI is allowed on, where it is. */
        if (sandboxed()) {
                if (RAW(SYS_ioctl, fd, (unsigned long) TIOCSTI, "x") != -EPERM)
                        return 5;
                if (RAW(SYS_ioctl, fd, 0x100000000UL | TIOCSTI, "x") != -EPERM)
                        return 6;
                if (RAW(SYS_ioctl, fd, 0xffffffff00000000UL | TIOCSTI, "x") != -EPERM)
                        return 7;
        } else if (RAW(SYS_ioctl, fd, 0x100000000UL | TIOCSTI, "x") != RAW(SYS_ioctl, fd, (unsigned long) TIOCSTI, "x"))
                return 8; /* the upper half is not looked at, which is why a filter must not either */
        return 0;
}

int main(void) {
        struct winsize size = { .ws_row = 7, .ws_col = 77 }, got = {};
        struct termios termios;
        char name[64] = "", text[64] = "";
        int master, slave = -1, pending = -1;

        master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        ok(master >= 0, "a pseudoterminal's master");
        is_int(grantpt(master), 0, "grantpt");
        is_int(unlockpt(master), 0, "unlockpt");
        is_int(ptsname_r(master, name, sizeof name), 0, "ptsname");
        ok(strncmp(name, "/dev/pts/", 9) == 0, "… is in /dev/pts: %s", name);
        slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        ok(slave >= 0, "… and can be opened");
        ok(isatty(slave), "isatty");
        ok(!isatty(0), "the test's input is no terminal");
        is_int(tcgetattr(slave, &termios), 0, "tcgetattr");
        is_int(ioctl(master, TIOCSWINSZ, &size), 0, "TIOCSWINSZ");
        is_int(ioctl(slave, TIOCGWINSZ, &got), 0, "TIOCGWINSZ");
        is_int(got.ws_col, 77, "… gives what was set");
        is_int(write(master, "hello\n", 6), 6, "typing");
        is_int(read(slave, text, sizeof text), 6, "… is read");
        is_str(text, "hello\n", "… as typed");
        is_int(ioctl(slave, FIONREAD, &pending), 0, "FIONREAD");
        is_int(pending, 0, "… nothing is left");

        if (sandboxed()) {
                is_int(RAW(SYS_ioctl, slave, (unsigned long) TIOCSTI, "x"), -EPERM, "TIOCSTI is EPERM");
                is_int(RAW(SYS_ioctl, slave, 0x100000000UL | TIOCSTI, "x"), -EPERM,
                       "… also with bits in the upper half of the register, which the kernel would ignore");
                is_int(RAW(SYS_ioctl, -1, (unsigned long) TIOCSTI, "x"), -EPERM, "… also on no descriptor at all");
                is_int(RAW(SYS_ioctl, 0, (unsigned long) TIOCSTI, NULL), -EPERM, "… also from nowhere");
                is_int(ioctl(slave, FIONREAD, &pending), 0, "FIONREAD");
                is_int(pending, 0, "… nothing was pushed");
        } else
                ok(RAW(SYS_ioctl, slave, (unsigned long) TIOCSTI, NULL) < 0, "TIOCSTI from nowhere fails natively too");
        is_int(child_exit(session, name), 0, "a session of one's own, its terminal, and TIOCSTI on it");
        return tap_done();
}
