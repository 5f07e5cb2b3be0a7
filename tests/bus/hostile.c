/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that no daemon should have to put up with:
 *   hostile fuzz SEED N   calls each method that stdin lists (PATH INTERFACE MEMBER SIGNATURE, "-" for none) N times with
 *                         arguments of other types, and checks that each is answered, with an error
 *   hostile values SEED N the same with arguments of the right types and all kinds of values, and checks that each is answered
 *   hostile sizes         calls each with strings and paths of 2 MiB, and with 200 descriptors, and checks that it is refused
 *   hostile many N        N connections at once, each with calls under way
 *   hostile deaf          calls and calls and never reads, until it is disconnected or has called 12,000 times
 * On the session bus, or at $SENTRYD_PEER, the path of a socket where there is no bus between. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#define DEADLINE_USEC (20ULL * 1000000ULL)

static sd_bus *connect_bus(void) {
        const char *peer = getenv("SENTRYD_PEER");
        char address[512];
        sd_bus *bus = NULL;
        int r;

        if (!peer)
                r = sd_bus_open_user(&bus);
        else {
                (void) snprintf(address, sizeof(address), "unix:path=%s", peer);
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, address);
                if (r >= 0)
                        r = sd_bus_negotiate_fds(bus, 1);
                if (r >= 0)
                        r = sd_bus_start(bus);
        }
        if (r < 0) {
                fprintf(stderr, "hostile: cannot connect: %s\n", strerror(-r));
                exit(EXIT_FAILURE);
        }
        return bus;
}

static const char *destination(void) {
        return getenv("SENTRYD_PEER") ? NULL : "org.sentryd1";
}

/* Appends one value of a random type, and its type to *signature. */
static int append_random(sd_bus_message *m, int depth) {
        static const char *const basic = "ybnqiuxtdsogh";
        char type = basic[random() % 13], text[300];
        uint64_t number = (uint64_t) random() << 32 ^ (uint64_t) random() << 8;
        int r, n = (int) (random() % 4), fd;

        switch (depth < 4 ? random() % 5 : 4) {

        case 0:
                r = sd_bus_message_open_container(m, 'a', "s");
                for (int i = 0; i < n && r >= 0; i++)
                        r = sd_bus_message_append(m, "s", "x");
                return r < 0 ? r : sd_bus_message_close_container(m);

        case 1:
                r = sd_bus_message_open_container(m, 'v', "s");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "../../\n%s%n");
                return r < 0 ? r : sd_bus_message_close_container(m);

        case 2:
                r = sd_bus_message_open_container(m, 'a', "{sv}");
                for (int i = 0; i < n && r >= 0; i++)
                        r = sd_bus_message_append(m, "{sv}", i % 2 ? "overrides" : "name", "u", (uint32_t) number);
                return r < 0 ? r : sd_bus_message_close_container(m);

        case 3:
                return sd_bus_message_append(m, "(sia{sv})", "a", -1, 1, "k", "v", "v", "s", "deep");

        default:
                break;
        }

        switch (type) {

        case 's':
                memset(text, "A/.\t%{["[random() % 7], sizeof(text));
                text[random() % (long) sizeof(text)] = '\0';
                text[sizeof(text) - 1] = '\0';
                return sd_bus_message_append_basic(m, 's', text);

        case 'o':
                return sd_bus_message_append_basic(m, 'o', "/org/sentryd1/sandbox/_");

        case 'g':
                return sd_bus_message_append_basic(m, 'g', "a{sv}(ii)");

        case 'h':
                fd = (int) (random() % 3);
                return sd_bus_message_append_basic(m, 'h', &fd);

        default:
                number &= type == 'b' ? 1 : ~UINT64_C(0);
                return sd_bus_message_append_basic(m, type, &number);
        }
}

static const char *random_text(char *buffer, size_t size) {
        static const char *const texts[] = { "", "box", "default", "all", "init", "task", "container", "1", "-1", "../../../etc/passwd",
                                             "{}", "{\"hostname\":\"x\"}", "{\"sentry\":{\"extends\":\"default\"}}", "[[[[[[", "%s%n%x",
                                             "\t\033[31m\x7f", "\xc3\xa4\xe2\x82\xac", "!all", "openat,read", "org.sentryd1.Sandbox" };
        size_t n;

        if (random() % 4 != 0)
                return texts[random() % (long) (sizeof(texts) / sizeof(texts[0]))];
        n = (size_t) (random() % 8 ? random() % 300 : random() % (long) size);
        memset(buffer, "aA/.0{[\""[random() % 8], n);
        buffer[n] = '\0';
        return buffer;
}

static int random_fd(void) {
        int pair[2];

        switch (random() % 6) {
        case 0:
                return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        case 1:
                return memfd_create("hostile", MFD_CLOEXEC);
        case 2:
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                        return -1;
                close(pair[1]);
                return pair[0];
        case 3:
                if (pipe2(pair, O_CLOEXEC) < 0)
                        return -1;
                close(pair[1]);
                return pair[0];
        case 4:
                return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        default:
                return open("/dev/zero", O_RDWR | O_CLOEXEC);
        }
}

/* Appends a value for each type of a signature of ours. */
static int append_values(sd_bus_message *m, const char *signature) {
        static const int32_t numbers[] = { -1, 0, 255, 256, 65, 1000000, INT32_MAX, INT32_MIN };
        static const char *const keys[] = { "overrides", "program", "container", "hold", "value", "syscalls", "", "name" };
        static char buffer[300000];
        uint64_t wide;
        int r = 0, fd;

        for (const char *p = signature; *p && r >= 0; p++)
                switch (*p) {

                case 's':
                        r = sd_bus_message_append(m, "s", random_text(buffer, sizeof(buffer)));
                        break;

                case 'o':
                        r = sd_bus_message_append(m, "o", random() % 2 ? "/org/sentryd1/sandbox/box" : "/");
                        break;

                case 'i':
                case 'u':
                        r = sd_bus_message_append_basic(m, *p, numbers + random() % 8);
                        break;

                case 't':
                        wide = (uint64_t) random() << 33 ^ (uint64_t) random();
                        r = sd_bus_message_append(m, "t", random() % 4 ? wide : UINT64_MAX);
                        break;

                case 'h':
                        fd = random_fd();
                        r = fd < 0 ? -errno : sd_bus_message_append(m, "h", fd);
                        if (fd >= 0)
                                close(fd);
                        break;

                case 'v':
                        r = sd_bus_message_append(m, "v", "s", random_text(buffer, sizeof(buffer)));
                        break;

                case 'a': /* of a{sv} alone */
                        if (strncmp(p, "a{sv}", 5) != 0)
                                return -ENOTSUP;
                        p += 4;
                        r = sd_bus_message_open_container(m, 'a', "{sv}");
                        for (long n = random() % 4; n > 0 && r >= 0; n--)
                                r = random() % 3 ? sd_bus_message_append(m, "{sv}", keys[random() % 8], "s",
                                                                         random_text(buffer, sizeof(buffer)))
                                                 : sd_bus_message_append(m, "{sv}", keys[random() % 8], "i", numbers[random() % 8]);
                        if (r >= 0)
                                r = sd_bus_message_close_container(m);
                        break;

                default:
                        return -ENOTSUP;
                }
        return r;
}

/* What to call a method with. i: which time. Returns 1 for a call to be made, 0 for none. */
typedef int (*Fill)(sd_bus_message *m, const char *signature, int i);

static int fill_other(sd_bus_message *m, const char *signature, int i) {
        int r = 0, k = (int) (random() % 5) + (signature[0] ? 0 : 1);

        while (r >= 0 && k-- > 0)
                r = append_random(m, 0);
        return r < 0 ? r : strcmp(sd_bus_message_get_signature(m, 1), signature) != 0;
}

static int fill_values(sd_bus_message *m, const char *signature, int i) {
        int r = append_values(m, signature);

        return r < 0 ? r : 1;
}

static int fill_size(sd_bus_message *m, const char *signature, int i) {
        static char text[2 * 1024 * 1024 + 1];
        int r;

        memset(text, 'a', sizeof(text) - 1);
        if (i == 0) {
                r = sd_bus_message_append(m, "sssss", text, "", "", "", "");
        } else if (i == 1) { /* deep down */
                r = sd_bus_message_open_container(m, 'a', "(v)");
                if (r >= 0)
                        r = sd_bus_message_append(m, "(v)(v)", "s", "x", "s", text);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        } else {
                r = sd_bus_message_open_container(m, 'a', "h");
                for (int k = 0; k < 200 && r >= 0; k++)
                        r = sd_bus_message_append(m, "h", STDIN_FILENO);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : 1;
}

/* Calls each method of stdin's list n times; refused: it must be answered with an error. */
static int each_method(Fill fill, unsigned seed, int n, bool refused) {
        char path[256], interface[256], member[256], signature[256];
        sd_bus *bus = connect_bus();
        unsigned calls = 0, bad = 0;

        srandom(seed);
        while (scanf("%255s %255s %255s %255s", path, interface, member, signature) == 4) {
                if (strcmp(signature, "-") == 0)
                        signature[0] = '\0';
                for (int i = 0; i < n; i++) {
                        sd_bus_error error = SD_BUS_ERROR_NULL;
                        sd_bus_message *m = NULL;
                        int r;

                        r = sd_bus_message_new_method_call(bus, &m, destination(), path, interface, member);
                        if (r >= 0)
                                r = fill(m, signature, i);
                        if (r > 0) {
                                r = sd_bus_call(bus, m, DEADLINE_USEC, &error, NULL);
                                calls++;
                                if ((refused && r >= 0) || sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY) ||
                                    (r < 0 && !sd_bus_error_is_set(&error))) {
                                        bad++;
                                        fprintf(stderr, "%s(%.200s) instead of (%s): %s\n", member,
                                                sd_bus_message_get_signature(m, 1), signature,
                                                r >= 0 ? "worked" : error.message ? error.message : strerror(-r));
                                }
                        } else if (r < 0) {
                                bad++;
                                fprintf(stderr, "%s: could not be made: %s\n", member, strerror(-r));
                        }
                        sd_bus_error_free(&error);
                        sd_bus_message_unref(m);
                }
        }
        printf("%u calls, %u bad\n", calls, bad);
        sd_bus_flush_close_unref(bus);
        return bad > 0 || calls == 0;
}

/* A path that is too long. */
static int long_path(void) {
        static char path[2 * 1024 * 1024] = "/org/sentryd1/sandbox/";
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = connect_bus();
        int r;

        memset(path + strlen(path), 'x', sizeof(path) - strlen(path) - 1);
        r = sd_bus_call_method(bus, destination(), path, "org.sentryd1.Sandbox", "Pause", &error, NULL, NULL);
        printf("a path of 2 MiB: %d %s\n", r, error.name);
        r = r >= 0 || !sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS);
        sd_bus_error_free(&error);
        sd_bus_flush_close_unref(bus);
        return r;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        unsigned *answers = userdata;

        *answers += sd_bus_message_is_method_error(m, NULL) ? 1000000 : 1;
        return 1;
}

static int many(unsigned n) {
        enum { CALLS = 10 };
        sd_bus **buses = calloc(n, sizeof(*buses));
        unsigned answers = 0;
        int r;

        for (unsigned i = 0; buses && i < n; i++)
                buses[i] = connect_bus();
        for (unsigned k = 0; buses && k < CALLS; k++)
                for (unsigned i = 0; i < n; i++) {
                        r = sd_bus_call_method_async(buses[i], NULL, destination(), "/org/sentryd1", "org.sentryd1.Manager",
                                                     "ListSandboxes", on_answer, &answers, NULL);
                        if (r < 0) {
                                fprintf(stderr, "hostile: connection %u: %s\n", i, strerror(-r));
                                return 1;
                        }
                }
        while (buses && answers < n * CALLS)
                for (unsigned i = 0; i < n; i++) {
                        while ((r = sd_bus_process(buses[i], NULL)) > 0)
                                ;
                        if (r < 0) {
                                fprintf(stderr, "hostile: connection %u: %s\n", i, strerror(-r));
                                return 1;
                        }
                }
        printf("%u answers\n", answers);
        for (unsigned i = 0; buses && i < n; i++)
                sd_bus_flush_close_unref(buses[i]);
        free(buses);
        return answers != n * CALLS;
}

static int deaf(void) {
        sd_bus *bus = connect_bus();
        uint64_t cookie;
        unsigned n;
        int r = 0;

        /* Until it is up, one has to read. */
        while (sd_bus_is_ready(bus) == 0 && sd_bus_process(bus, NULL) >= 0)
                (void) sd_bus_wait(bus, 1000);
        for (n = 0; n < 12000 && r >= 0; n++) {
                sd_bus_message *m = NULL;

                r = sd_bus_message_new_method_call(bus, &m, destination(), "/org/sentryd1", "org.sentryd1.Manager",
                                                   "GetProfile");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "");
                if (r >= 0)
                        r = sd_bus_send(bus, m, &cookie); /* wants an answer */
                sd_bus_message_unref(m);
        }
        if (r >= 0)
                r = sd_bus_flush(bus); /* writes only */
        printf("%u calls, %s\n", n, r < 0 ? strerror(-r) : "all taken");
        (void) fflush(stdout);
        (void) pause();
        return 0;
}

int main(int argc, char **argv) {
        if (argc == 4 && strcmp(argv[1], "fuzz") == 0)
                return each_method(fill_other, (unsigned) atoi(argv[2]), atoi(argv[3]), true);
        if (argc == 4 && strcmp(argv[1], "values") == 0)
                return each_method(fill_values, (unsigned) atoi(argv[2]), atoi(argv[3]), false);
        if (argc == 2 && strcmp(argv[1], "sizes") == 0)
                return each_method(fill_size, 1, 3, true) | long_path();
        if (argc == 3 && strcmp(argv[1], "many") == 0)
                return many((unsigned) atoi(argv[2]));
        if (argc == 2 && strcmp(argv[1], "deaf") == 0)
                return deaf();
        return 2;
}
