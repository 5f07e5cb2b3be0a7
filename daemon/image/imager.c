/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentry-imager: started by sentry-kernel to save a sandbox. It inherits that one's confinement. */

#include <stdio.h>

#include "imager.h"
#include "log.h"
#include "util.h"

int main(int argc, char *argv[]) {
        log_open();
        if (argc == 2 && streq(argv[1], "--help")) {
                fputs("Usage: sentry-imager save\n\n"
                      "Writes the image of a sandbox. Started by sentry-kernel, which passes what it needs as\n"
                      "descriptors; of no use by itself.\n",
                      stdout);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && streq(argv[1], "--version")) {
                puts("sentry-imager " PACKAGE_VERSION);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && streq(argv[1], "save"))
                return save_main();
        fputs("Usage: sentry-imager save\n", stderr);
        return EXIT_FAILURE;
}
