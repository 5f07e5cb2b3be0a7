/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resume.h"

#define CHILDREN_MAX 3U /* one after the other, that are killed */

void *resume_map(size_t size) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

int resume_in_child(int (*function)(void *userdata), void *userdata) {
        for (unsigned i = 0; i < CHILDREN_MAX; i++) {
                int status;
                pid_t pid = fork();

                if (pid < 0)
                        return -errno;
                if (pid == 0) {
                        int r = function(userdata);

                        _exit(r < 0 && -r <= UINT8_MAX ? -r : r < 0 ? EIO : 0);
                }
                while (waitpid(pid, &status, 0) < 0)
                        if (errno != EINTR)
                                return -errno;
                if (WIFEXITED(status))
                        return -WEXITSTATUS(status);
        }
        return -ECHILD;
}
