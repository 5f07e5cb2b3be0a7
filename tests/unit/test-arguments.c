/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading arguments that may be withheld. In this /proc, files that nobody delivers are FIFOs that nobody opens. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "tap.h"
#include "util.h"

#define N 8

static int proc_fd;

static void make(int pid, bool held) {
        char path[32];
        int fd;

        (void) snprintf(path, sizeof(path), "%d", pid);
        (void) mkdirat(proc_fd, path, 0700);
        (void) snprintf(path, sizeof(path), "%d/cmdline", pid);
        (void) unlinkat(proc_fd, path, 0);
        if (held) {
                if (mkfifoat(proc_fd, path, 0600) < 0)
                        tap_bail_out("no FIFO: %m");
                return;
        }
        fd = openat(proc_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, "a\0bc", 5) != 5)
                tap_bail_out("no file: %m");
        close(fd);
}

/* Whoever waits for a FIFO gets its end. */
static void deliver(const char *path) {
        int fd = openat(proc_fd, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0)
                close(fd);
}

static bool settles(void) {
        for (unsigned i = 0; i < 1000 && arguments_has_stuck(); i++)
                (void) nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
        return !arguments_has_stuck();
}

static void clear(HostArguments of[static N]) {
        for (int i = 0; i < N; i++) {
                free(of[i].argv);
                of[i] = (HostArguments) { .pid = i + 1, .withheld = of[i].withheld };
        }
}

static unsigned n_read(const HostArguments of[static N]) {
        unsigned n = 0;

        for (int i = 0; i < N; i++)
                n += of[i].argv && of[i].size == 5 && memcmp(of[i].argv, "a\0bc", 5) == 0;
        return n;
}

int main(void) {
        char directory[] = "/tmp/test-arguments.XXXXXX";
        HostArguments of[N] = {};

        if (!mkdtemp(directory))
                tap_bail_out("no directory: %m");
        proc_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (int i = 1; i < N; i++)
                make(i, false);
        clear(of);

        arguments_read(proc_fd, of, N);
        is_int(n_read(of), N - 1, "arguments are read");
        ok(!of[N - 1].argv && !of[N - 1].withheld, "but of a process that is not there");
        ok(!arguments_has_stuck(), "nobody is stuck");

        clear(of);
        make(3, true);
        arguments_read(proc_fd, of, N);
        is_int(n_read(of), N - 2, "one that is withheld does not keep those before and after it");
        ok(of[2].withheld && !of[2].argv && !of[1].withheld && !of[3].withheld, "and is the one that is marked");
        ok(arguments_has_stuck(), "a thread is stuck");

        clear(of);
        (void) renameat(proc_fd, "3/cmdline", proc_fd, "3/fifo");
        make(3, false);
        arguments_read(proc_fd, of, N);
        is_int(n_read(of), N - 2, "it is not asked again while the thread is");
        deliver("3/fifo");
        ok(settles(), "which ends when it gets what it waits for");
        clear(of);
        arguments_read(proc_fd, of, N);
        is_int(n_read(of), N - 1, "then all is read again");
        ok(!of[2].withheld, "and nobody marked");

        clear(of);
        for (int i = 2; i < N; i++)
                make(i, true);
        arguments_read(proc_fd, of, N);
        is_int(n_read(of), 1, "with many that withhold theirs it comes to an end");
        ok(arguments_has_stuck(), "and leaves threads behind");
        for (int i = 2; i < N; i++) {
                char path[32];

                (void) snprintf(path, sizeof(path), "%d/cmdline", i);
                deliver(path);
        }
        ok(settles(), "who all end");
        clear(of);

        for (int i = 1; i < N; i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "%d/cmdline", i);
                (void) unlinkat(proc_fd, path, 0);
                (void) unlinkat(proc_fd, "3/fifo", 0);
                (void) snprintf(path, sizeof(path), "%d", i);
                (void) unlinkat(proc_fd, path, AT_REMOVEDIR);
        }
        (void) rmdir(directory);
        return tap_done();
}
