/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "progress.h"
#include "util.h"

#define TICK_MSEC 1000

static void *tell(void *userdata) {
        const Progress *progress = userdata;
        struct pollfd end = { .fd = progress->fds[0], .events = POLLIN };
        unsigned seconds = 0;

        while (poll(&end, 1, TICK_MSEC) == 0)
                dprintf(STDERR_FILENO, "\r%s: waiting, %u s\033[K", progress->verb, ++seconds);
        if (seconds > 0)
                dprintf(STDERR_FILENO, "\r\033[K");
        return NULL;
}

void progress_begin(Progress *progress, const Ctl *ctl) {
        const char *term = getenv("TERM");

        progress->verb = NULL;
        if (ctl->quiet || !ctl->verb || ctl->verb->runs_program || ctl->verb->live || !isatty(STDERR_FILENO) || !term ||
            streq(term, "dumb") || pipe2(progress->fds, O_CLOEXEC) < 0)
                return;
        progress->verb = ctl->verb->name;
        if (pthread_create(&progress->thread, NULL, tell, progress) != 0) {
                progress->verb = NULL;
                close(progress->fds[0]);
                close(progress->fds[1]);
        }
}

void progress_end(Progress *progress) {
        if (!progress->verb)
                return;
        close(progress->fds[1]);
        (void) pthread_join(progress->thread, NULL);
        close(progress->fds[0]);
        progress->verb = NULL;
}
