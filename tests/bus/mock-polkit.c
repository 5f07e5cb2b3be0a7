/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A polkit for tests: mock-polkit DIRECTORY serves the system bus until it is killed. What it says is in
 * DIRECTORY/verdict (yes, no, challenge: yes to who may be asked, error, nonsense, hang: never); what it was asked it
 * appends to DIRECTORY/asked, a line each: the action, then the details and more as KEY=VALUE; or "cancel ID". SIGUSR1:
 * says yes to what hangs. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#define INTERFACE "org.freedesktop.PolicyKit1.Authority"

static const char *directory;
static sd_bus_message *hanging[1024];
static size_t n_hanging;
static volatile sig_atomic_t released;

static void on_usr1(int signo) {
        released = 1;
}

static FILE *open_in(const char *name, const char *mode) {
        char path[4096];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, mode);
        if (!f) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        return f;
}

static int method_check(sd_bus_message *m, sd_bus_error *error) {
        const char *kind, *action, *id, *key, *value;
        char verdict[32] = "";
        uint32_t flags;
        FILE *f;
        int r;

        r = sd_bus_message_enter_container(m, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &kind);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &action);
        if (r < 0)
                return r;

        f = open_in("asked", "a");
        fprintf(f, "%s", action);
        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                fprintf(f, " %s=%s", key, value);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "us", &flags, &id);
        if (r >= 0)
                fprintf(f, " flags=%u subject=%s\n", flags, kind);
        (void) fclose(f);
        if (r < 0)
                return r;

        f = open_in("verdict", "r");
        if (fscanf(f, "%31s", verdict) != 1)
                verdict[0] = '\0';
        (void) fclose(f);

        if (strcmp(verdict, "hang") == 0) {
                if (n_hanging < sizeof(hanging) / sizeof(hanging[0]))
                        hanging[n_hanging++] = sd_bus_message_ref(m);
                return 1;
        }
        if (strcmp(verdict, "error") == 0)
                return sd_bus_error_set(error, "org.freedesktop.PolicyKit1.Error.Failed", "The mock is out of order.");
        if (strcmp(verdict, "nonsense") == 0)
                return sd_bus_reply_method_return(m, "s", "nonsense");
        if (strcmp(verdict, "challenge") == 0)
                return sd_bus_reply_method_return(m, "(bba{ss})", (int) (flags & 1), (int) !(flags & 1), 0);
        return sd_bus_reply_method_return(m, "(bba{ss})", (int) (strcmp(verdict, "yes") == 0), 0, 0);
}

static int method_cancel(sd_bus_message *m) {
        const char *id;
        FILE *f;
        int r;

        r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return r;

        f = open_in("asked", "a");
        fprintf(f, "cancel %s\n", id);
        (void) fclose(f);
        return sd_bus_reply_method_return(m, NULL);
}

/* Not a vtable, which would not let nonsense out. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, INTERFACE, "CheckAuthorization") > 0)
                return method_check(m, error);
        if (sd_bus_message_is_method_call(m, INTERFACE, "CancelCheckAuthorization") > 0)
                return method_cancel(m);
        return 0;
}

int main(int argc, char **argv) {
        sd_bus *bus = NULL;
        int r;

        if (argc != 2)
                return 2;
        directory = argv[1];
        (void) signal(SIGUSR1, on_usr1);

        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_object(bus, NULL, "/org/freedesktop/PolicyKit1/Authority", on_message, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
        while (r >= 0) {
                if (released) {
                        released = 0;
                        while (n_hanging > 0) {
                                (void) sd_bus_reply_method_return(hanging[--n_hanging], "(bba{ss})", 1, 0, 0);
                                sd_bus_message_unref(hanging[n_hanging]);
                        }
                }
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, 100000); /* a signal may come just before */
                if (r == -EINTR)
                        r = 0;
        }
        fprintf(stderr, "mock-polkit: %s\n", strerror(-r));
        return EXIT_FAILURE;
}
