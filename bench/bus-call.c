/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bus-call SOCKET METHOD N: how long a method of the manager without arguments takes on a connection that there is, in us,
 * N times. Prints the median and the least. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench.h"
#include "bus-util.h"

#define N_MAX 10000

int main(int argc, char *argv[]) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        static double us[N_MAX];
        sd_bus *bus = NULL;
        unsigned long n;
        int fd, r;

        if (argc != 4 || parse_number(argv[3], 1, N_MAX, &n) < 0 || strlen(argv[1]) >= sizeof(address.sun_path)) {
                fprintf(stderr, "bus-call: wants a socket, a method, and how often, 1 to %d\n", N_MAX);
                return EXIT_FAILURE;
        }
        strcpy(address.sun_path, argv[1]);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        r = fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        if (r >= 0)
                r = bus_peer_new(fd, false, "bus-call", &bus);
        if (r >= 0)
                r = sd_bus_start(bus);
        for (unsigned long i = 0; r >= 0 && i < n; i++) {
                uint64_t before = now_ns();

                r = sd_bus_call_method(bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, argv[2], NULL, NULL, NULL);
                us[i] = (double) (now_ns() - before) / 1000;
        }
        sd_bus_flush_close_unref(bus);
        if (r < 0) {
                fprintf(stderr, "bus-call: %s on %s: %s\n", argv[2], argv[1], strerror(-r));
                return EXIT_FAILURE;
        }
        double_sort(us, n);
        printf("%.1f %.1f\n", sorted_quantile(us, n, 0.5), us[0]);
        return EXIT_SUCCESS;
}
