/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What sentry-kernel and `sentry-imager restore` say to each other on a SOCK_SEQPACKET pair, descriptor 3 of the latter, which
 * has the image's directory as descriptor 4. Both are of one build.
 *
 *   imager → kernel   CHECKED with a memfd of the emulated kernel's records
 *   kernel → imager   BEGIN, when the launcher has handed over the sandbox, with its listener, which is the imager's until READY
 *   imager → kernel   READY: everything is there and stands still
 *   kernel → imager   GO, when it serves the listener
 *   imager → kernel   DONE
 * In place of each of its words the imager may say FAILED, and the end of file means that it died. */

#include <stdint.h>

#include "image.h"

enum {
        RESTORE_FD_CONTROL = 3,
        RESTORE_FD_DIRECTORY = 4,
};

typedef enum RestoreWord {
        RESTORE_CHECKED = 1,
        RESTORE_BEGIN,
        RESTORE_READY,
        RESTORE_GO,
        RESTORE_DONE,
        RESTORE_FAILED,
} RestoreWord;

typedef struct RestoreMessage {
        uint32_t word;         /* RestoreWord */
        int32_t init;          /* BEGIN: the first process, as both number it */
        uint32_t lazy;         /* BEGIN: bool */
        uint32_t many_users;   /* BEGIN: bool */
        uint64_t capabilities; /* BEGIN: what the profile gives, bit per CAP_* */
        uint64_t limits[IMAGE_LIMITS]; /* BEGIN: the highest hard limits, by RLIMIT_* */
        char text[1600];       /* FAILED: why */
} RestoreMessage;
