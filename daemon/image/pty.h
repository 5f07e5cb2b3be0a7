/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is on its way in a pseudo terminal: output that nobody has read from its master, input that nobody has read from its
 * slave, and whether output is stopped. It can only be taken out, and be put back; nobody else may use the terminal meanwhile. */

#include <stdbool.h>
#include <stdint.h>

#define PTY_TERMIOS_SIZE 44U      /* struct termios2 of the kernel; <asm/termbits.h> does not go with <termios.h> */
#define PTY_BYTES_MAX (64U << 10) /* each way: the kernel has room for some 20 KiB */

typedef enum PtyStop {
        PTY_STOP_NONE,
        PTY_STOP_KEY,  /* by a character: Ctrl-S */
        PTY_STOP_CALL, /* by tcflow(3) */
        _PTY_STOP_MAX,
} PtyStop;

typedef enum PtyStage {
        PTY_UNTOUCHED,
        PTY_TAKING,
        PTY_TAKEN, /* or somewhere in being put back */
        PTY_BACK,
} PtyStage;

typedef struct PtyBytes {
        uint32_t n;
        uint32_t pending; /* are being read; 0: none */
        uint32_t waiting; /* as many did when that began */
        uint8_t bytes[PTY_BYTES_MAX];
} PtyBytes;

/* Lies in memory that is shared, so that another process can go on should one die. */
typedef struct PtyContents {
        uint32_t stage;                    /* PtyStage */
        uint8_t termios[PTY_TERMIOS_SIZE]; /* as the terminal was, and will be */
        bool packet;                       /* the master is in packet mode (TIOCPKT) */
        bool blocking;                     /* the master is */
        uint32_t stop;                     /* PtyStop */
        uint32_t lines;                    /* bytes that whole lines had */
        uint32_t edited;                   /* bytes of input that the line discipline has been through: the others come after them */
        bool marks;                        /* NULs in those are ends of file that were typed */
        PtyBytes output, input;
} PtyContents;

/* A slave of this master, of our own and not blocking. -EIO: it is locked; -EBUSY: somebody has it alone (TIOCEXCL). */
int pty_open_slave(int master);
/* Takes all out of it. Can be called again should it not have come to an end. */
int pty_take(int master, int slave, PtyContents *contents);
/* Puts it back, also after half of that was done: whatever is there before goes. -EAGAIN: it does not fit. */
int pty_put(int master, int slave, PtyContents *contents);
