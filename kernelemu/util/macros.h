/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few macros that the emulated kernel needs. */

#include <stddef.h>

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN2(a, b) ((a) < (b) ? (a) : (b))
#define MAX2(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, member) ((type *) (void *) ((char *) (p) - offsetof(type, member)))
#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_USEC UINT64_C(1000)
