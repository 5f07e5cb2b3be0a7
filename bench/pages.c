/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* pages MIB: a program with so much memory that no page of it is like another, or empty. Says "up", and sleeps. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

int main(int argc, char *argv[]) {
        unsigned long mib;
        uint64_t *words, x = 88172645463325252;
        size_t n;

        if (argc != 2 || parse_number(argv[1], 1, 65536, &mib) < 0) {
                fprintf(stderr, "pages: wants a number of MiB, 1 to 65536\n");
                return EXIT_FAILURE;
        }
        n = mib * 1024 * 1024 / sizeof(*words);
        words = malloc(n * sizeof(*words));
        if (!words) {
                fprintf(stderr, "pages: no memory for %lu MiB\n", mib);
                return EXIT_FAILURE;
        }
        for (size_t i = 0; i < n; i++) { /* xorshift64 */
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                words[i] = x;
        }
        puts("up");
        (void) fflush(stdout);
        for (;;)
                (void) pause();
}
