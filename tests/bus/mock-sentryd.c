/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A sentryd for tests that keeps dying: mock-sentryd NUMBER serves the system bus, and goes away whenever somebody waits for
 * its one sandbox, so often; after that the sandbox has ended with status 42. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#define SANDBOX "/org/sentryd1/sandbox/mock"

typedef struct Mock {
        unsigned deaths; /* still to come */
        bool dies;
} Mock;

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Mock *mock = userdata;

        if (sd_bus_message_is_method_call(m, "org.sentryd1.Manager", "GetSandbox"))
                return sd_bus_reply_method_return(m, "o", SANDBOX);
        if (!sd_bus_message_is_method_call(m, "org.sentryd1.Sandbox", "Wait"))
                return 0;
        if (mock->deaths == 0)
                return sd_bus_reply_method_return(m, "i", 42);
        mock->deaths--;
        mock->dies = true;
        return 1;
}

/* From one death to the next. */
static int live(Mock *mock) {
        sd_bus *bus = NULL;
        int r;

        mock->dies = false;
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_filter(bus, NULL, on_message, mock);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.sentryd1", 0);
        while (r >= 0 && !mock->dies) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        sd_bus_close_unref(bus); /* without a word */
        return r;
}

int main(int argc, char **argv) {
        Mock mock = { .deaths = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 0 };
        int r;

        do
                r = live(&mock);
        while (r >= 0);
        (void) fprintf(stderr, "mock-sentryd: %s\n", strerror(-r));
        return EXIT_FAILURE;
}
