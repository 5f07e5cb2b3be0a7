/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Putting a drop-in in place, and taking it away again. While that goes on, Ctrl-C means: put everything back. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bus-util.h"
#include "harden.h"
#include "util.h"

#define START_SEC 60       /* for the program to take the place of sentryctl */
#define SETTLE_MSEC 1500   /* for as long as it must stay up */
#define LOOK_USEC UINT64_C(50000)

static const int deferred[] = { SIGINT, SIGTERM, SIGHUP };

static void deferred_set(sigset_t *ret) {
        (void) sigemptyset(ret);
        for (size_t i = 0; i < ELEMENTSOF(deferred); i++)
                (void) sigaddset(ret, deferred[i]);
}

/* One that waits stays for later: when all is in order again it has its effect. */
static bool interrupted(void) {
        sigset_t pending;

        if (sigpending(&pending) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(deferred); i++)
                if (sigismember(&pending, deferred[i]))
                        return true;
        return false;
}

static int64_t now_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- the file ---- */

static int write_file(const HardenPlan *plan, bool *ret_made_directory) {
        _cleanup_close_ int directory = -EBADF, fd = -EBADF;
        size_t size = strlen(plan->text), done = 0;
        int r = 0;

        *ret_made_directory = mkdir(plan->directory, 0755) >= 0;
        if (!*ret_made_directory && errno != EEXIST)
                return -errno;
        directory = open(plan->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        (void) unlinkat(directory, "." HARDEN_DROPIN, 0);
        fd = openat(directory, "." HARDEN_DROPIN, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        while (r == 0 && done < size) {
                ssize_t n = write(fd, plan->text + done, size - done);

                if (n < 0 && errno != EINTR)
                        r = -errno;
                else if (n > 0)
                        done += (size_t) n;
        }
        if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0 ||
                       renameat(directory, "." HARDEN_DROPIN, directory, HARDEN_DROPIN) < 0 || fsync(directory) < 0))
                r = -errno;
        if (r < 0)
                (void) unlinkat(directory, "." HARDEN_DROPIN, 0);
        return r;
}

/* A directory goes when nothing else is in it. */
static int remove_file(const HardenPlan *plan) {
        if (unlink(plan->file) < 0 && errno != ENOENT)
                return -errno;
        (void) rmdir(plan->directory);
        return 0;
}

/* ---- the unit ---- */

static char *unit_state(sd_bus *bus, const HardenPlan *plan) {
        char *state = NULL;

        (void) systemd_get_string(bus, plan->path, SYSTEMD_UNIT_INTERFACE, "ActiveState", &state);
        return state;
}

static bool is_up(const char *state) {
        return state && (streq(state, "active") || streq(state, "activating") || streq(state, "reloading"));
}

/* Whether the main process is the unit's own program by now, and confined. */
static bool is_in_sandbox(uint64_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[64], exe[4096];
        const char *slash;
        ssize_t n;

        if (pid == 0) /* a daemon that systemd does not know the main process of */
                return true;
        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, exe, sizeof(exe) - 1);
        if (n < 0)
                return false;
        exe[n] = '\0';
        slash = strrchr(exe, '/');
        if (slash && streq(slash, "/sentryctl"))
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        return read_full_file(path, 1024 * 1024, &text, NULL) >= 0 && strstr(text, "\nSeccomp:\t2");
}

/* Watches a unit that was told to start: 0 once it has been up for a while in its sandbox, or has done what it is for.
 * Else -EINTR, or -EIO with words. */
static int await_up(sd_bus *bus, const HardenPlan *plan, char **ret_why) {
        int64_t end = now_msec() + START_SEC * 1000, up_since = -1;

        for (;;) {
                _cleanup_free_ char *state = unit_state(bus, plan), *result = NULL;
                uint64_t pid = systemd_get_number(bus, plan->path, "MainPID", 'u', 0);
                int64_t now = now_msec();
                int r;

                if (interrupted())
                        return -EINTR;
                (void) systemd_get_string(bus, plan->path, SYSTEMD_SERVICE_INTERFACE, "Result", &result);
                if (!state || !result)
                        return -ENOMEM;
                if (!streq(result, "success") || streq(state, "failed") ||
                    systemd_get_number(bus, plan->path, "NRestarts", 'u', 0) > 0) {
                        (void) string_appendf(ret_why, "it does not stay up: its state is %s, its result %s", state, result);
                        return -EIO;
                }
                if (streq(state, "inactive"))
                        return 0; /* it has ended, and well */
                if (!streq(state, "active") || !is_in_sandbox(pid))
                        up_since = -1;
                else if (up_since < 0)
                        up_since = now;
                else if (now - up_since >= SETTLE_MSEC || streq(plan->type, "oneshot"))
                        return 0;
                if (now > end) {
                        (void) string_appendf(ret_why, "its main process (%d) was not in a sandbox after %d s", (int) pid, START_SEC);
                        return -EIO;
                }

                /* Whatever comes is news, or nothing of ours; exec tells nobody. */
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, LOOK_USEC);
                if (r < 0 && r != -EINTR)
                        return r;
        }
}

static int start(sd_bus *bus, const HardenPlan *plan, const char *method, char **ret_why) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *result = NULL;
        int r;

        systemd_reset_failed(bus, plan->unit);
        r = systemd_run_job(bus, method, plan->unit, interrupted, &result, &error);
        if (r == -EINTR)
                return r;
        if (r < 0)
                (void) string_appendf(ret_why, "systemd does not start it: %s", bus_error_message(&error, r));
        else if (!streq(result, "done")) {
                (void) string_appendf(ret_why, "its start ended with \"%s\"", result);
                r = -EIO;
        }
        return r;
}

static int reload(sd_bus *bus) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = systemd_reload(bus, &error);

        return r < 0 ? ctl_error("systemd did not read its units anew: %s", bus_error_message(&error, r)) : 0;
}

static int put_back(sd_bus *bus, const HardenPlan *plan, bool was_up) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *result = NULL;
        int r;

        r = remove_file(plan);
        if (r < 0)
                return ctl_error("cannot remove %s: %s; remove it yourself, then systemctl daemon-reload", plan->file, strerror(-r));
        r = reload(bus);
        if (r < 0)
                return r;
        systemd_reset_failed(bus, plan->unit);
        r = systemd_run_job(bus, was_up ? "RestartUnit" : "StopUnit", plan->unit, NULL, &result, &error);
        if (r >= 0 && streq(result, "done"))
                return 0;
        return ctl_error("%s is as it was, but did not %s: %s", plan->unit, was_up ? "start again" : "stop",
                         r < 0 ? bus_error_message(&error, r) : result);
}

static int try_out(Ctl *ctl, sd_bus *bus, const HardenPlan *plan) {
        _cleanup_free_ char *state = unit_state(bus, plan), *why = NULL;
        bool was_up = is_up(state), made_directory;
        int r;

        r = write_file(plan, &made_directory);
        if (r < 0) {
                if (made_directory)
                        (void) rmdir(plan->directory);
                return ctl_error("cannot write %s: %s", plan->file, strerror(-r));
        }
        r = reload(bus);
        if (r >= 0) {
                ctl_notice(ctl, "%s %s to see whether it still does…", was_up ? "Restarting" : "Starting", plan->unit);
                r = start(bus, plan, was_up ? "RestartUnit" : "StartUnit", &why);
                if (r >= 0)
                        r = await_up(bus, plan, &why);
        }
        if (r >= 0) {
                _cleanup_free_ char *result = NULL;

                if (!was_up)
                        (void) systemd_run_job(bus, "StopUnit", plan->unit, NULL, &result, NULL);
                return 0;
        }

        if (r == -EINTR)
                (void) string_appendf(&why, "it was interrupted");
        if (put_back(bus, plan, was_up) < 0)
                return CTL_FAILED;
        return ctl_error("%s is not hardened, and %s: %s. `journalctl -u %s` has what it said", plan->unit,
                         was_up ? "runs as before" : "is as it was", why ?: strerror(-r), plan->unit);
}

int harden_apply(Ctl *ctl, sd_bus *bus, const HardenPlan *plan) {
        sigset_t set, before;
        int r;

        deferred_set(&set);
        if (sigprocmask(SIG_BLOCK, &set, &before) < 0)
                return ctl_error("cannot put signals off: %s", strerror(errno));
        r = try_out(ctl, bus, plan);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int harden_undo(Ctl *ctl, sd_bus *bus, const HardenPlan *plan) {
        _cleanup_free_ char *state = unit_state(bus, plan), *why = NULL;
        int r;

        r = remove_file(plan);
        if (r < 0)
                return ctl_error("cannot remove %s: %s", plan->file, strerror(-r));
        r = reload(bus);
        if (r < 0 || !is_up(state))
                return r;
        ctl_notice(ctl, "Restarting %s…", plan->unit);
        if (start(bus, plan, "RestartUnit", &why) < 0)
                return ctl_error("%s is as it was before, but did not start again: %s", plan->unit, why ?: "interrupted");
        return 0;
}
