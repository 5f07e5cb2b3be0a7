/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What must come to its end even if this process is killed in the middle, since it takes something away and puts it back: it
 * is done by a child. And should that be killed, by another, from what the first has noted in memory that is shared. */

#include <stddef.h>

/* Such memory, all of it there; NULL: none is to be had. munmap(2) ends it. */
void *resume_map(size_t size);
/* Runs the function in a child, from the beginning in the next one when that is killed. Its result, 0 or a negative errno;
 * -ECHILD when children were killed again and again. */
int resume_in_child(int (*function)(void *userdata), void *userdata);
