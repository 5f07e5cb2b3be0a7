/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sentry-kernel and sentry-imager say to each other, over a SOCK_SEQPACKET pair. sentry-imager is a program of its
 * own: what it needs is not in the memory of every sentry-kernel, and its death is its own.
 *
 * A save: the imager seizes all tasks and says SEIZED; sentry-kernel, which has stopped them if a control group can, lets
 * go of them and says GO. With all of them stopped the imager says STOPPED; sentry-kernel stops the emulated clocks,
 * writes the records of its kernel to the memfd and says GO. PROGRESS comes now and then. At last DONE, when the image is
 * on disk: GO lets the tasks go on; or sentry-kernel kills them, and the imager those that it holds, since what they did in
 * between would be done again after the restore. FAILED instead, at any time, when all of them go on.
 * Who finds the other dead does what would have come next: tasks go on. */

#include <stddef.h>
#include <stdint.h>

#define IMAGER_PROTOCOL_VERSION 1U
#define IMAGER_TEXT_MAX 60000U /* of a message, with its NUL */

/* The descriptors that the imager finds. */
enum {
        IMAGER_FD_CONTROL = 3,
        IMAGER_FD_REQUEST,   /* memfd: JSON */
        IMAGER_FD_DIRECTORY, /* save: where the image will lie */
        IMAGER_FD_PROC,      /* O_PATH on the sandbox's own /proc */
        IMAGER_FD_PID_NS,    /* its PID namespace */
        IMAGER_FD_RECORDS,   /* memfd: what kernel_image() says */
        IMAGER_FD_MQUEUE,    /* a mount of its POSIX message queues; or anything else where there are none */
        _IMAGER_FD_SAVE_END,
};

typedef enum ImagerType {
        IMAGER_SEIZED,
        IMAGER_STOPPED,
        IMAGER_PROGRESS, /* values: bytes of memory done, of all */
        IMAGER_DONE,     /* text: JSON of statistics */
        IMAGER_FAILED,   /* values[0]: an errno, negative; text: why, a line for each reason */
        IMAGER_GO,       /* to the imager; values[0], after DONE: 1 when the sandbox ends */
        _IMAGER_TYPE_MAX,
} ImagerType;

typedef struct ImagerMessage {
        uint32_t version; /* IMAGER_PROTOCOL_VERSION */
        uint32_t type;    /* ImagerType */
        int64_t values[2];
        char text[];      /* ends with a NUL */
} ImagerMessage;
