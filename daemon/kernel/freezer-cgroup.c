/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stopping a sandbox by its control group; cgroups(7), "cgroup.freeze" in the kernel's cgroup-v2.rst. What is born in a
 * frozen group is born frozen, and only SIGKILL gets through. */

#include <errno.h>
#include <stdio.h>

#include "freezer.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"

/* A thread that runs or hangs in the kernel: those that are frozen sleep. */
static int find_awake_thread(pid_t tid, void *userdata) {
        _cleanup_free_ char *text = NULL;
        pid_t *awake = userdata;
        char path[64];
        const char *p;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) tid);
        if (read_full_file(path, 4096, &text, NULL) < 0 || !(p = strrchr(text, ')')) || p[1] != ' ')
                return 0;
        if (p[2] != 'R' && p[2] != 'D')
                return 0;
        *awake = tid;
        return 1;
}

static int find_awake(pid_t pid, void *userdata) {
        return task_for_each_thread(pid, find_awake_thread, userdata);
}

static int cgroup_freeze(Freezer *freezer, uint64_t deadline_ns, char **ret_message) {
        Sentry *sentry = freezer->sentry;
        int r;

        /* From the return of this on, every task has the stop pending that makes the restart of its call unseen. */
        r = sandbox_cgroup_write(&sentry->cgroup, "cgroup.freeze", "1");
        if (r < 0)
                return r;
        /* A call that was received keeps its task from freezing, and nothing but parked ones is received now. */
        notifier_restart_parked(&sentry->notifier);
        r = sandbox_cgroup_await(&sentry->cgroup, "frozen 1", deadline_ns);
        if (r == -ETIMEDOUT) {
                pid_t awake = 0;

                (void) tasks_for_each(&sentry->host, find_awake, &awake);
                freezer_describe(ret_message, awake > 0 ? awake : sentry->init_pid, "did not stop in time");
        }
        if (r < 0)
                (void) sandbox_cgroup_write(&sentry->cgroup, "cgroup.freeze", "0");
        return r;
}

static void cgroup_thaw(Freezer *freezer) {
        /* Fails only when the group is gone, and everybody in it. */
        (void) sandbox_cgroup_write(&freezer->sentry->cgroup, "cgroup.freeze", "0");
}

const FreezerMethod freezer_cgroup = { .name = "cgroup", .freeze = cgroup_freeze, .thaw = cgroup_thaw };
