/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of a host an image depends on. */

#include "image.h"

/* Fills in what this host is. 0 or -ENOMEM, or an errno. */
int image_host_read(ImageCpu *cpu, ImageHost *host);
/* Whether what was saved could run here: the processor's features that programs may have found, the kernel's vDSO that they
 * have mapped, the size of pages. Returns how many reasons there are why not, with a line for each in *ret_reasons (the
 * caller frees; NULL for none), or a negative errno. */
int image_host_check(const Image *image, char **ret_reasons);
/* Whether the files are there that are mapped, and the same: looked for below root_fd, but for those within file systems
 * that the image brings itself. As image_host_check(). */
int image_files_check(const Image *image, int root_fd, char **ret_reasons);
