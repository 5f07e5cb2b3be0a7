/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "cgroup-limits.h"
#include "cgroup-path.h"
#include "log.h"
#include "scope.h"
#include "util.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"

#define DEADLINE_USEC (5U * UINT64_C(1000000)) /* of all of it; it takes some milliseconds */
#define NUMBER_MAX 16U                         /* scopes for sandboxes of one name, of several sentryds */
#define LAUNCHER_GROUP "/launcher"             /* below the scope's, of sentryctl */
#define TASKS_SPARE 16U                        /* processes of ours that may be in the scope beside the sandbox's */

static uint64_t now_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

/* A scope that was made, and what became of it. */
typedef struct Job {
        const char *path; /* of the job; NULL until it is known */
        char result[32];  /* "": not over */
} Job;

static bool is_delegated(const char *group) {
        char value[2];

        return getxattr(group, "user.delegate", value, sizeof(value)) == 1 && value[0] == '1';
}

/* Whether a group is that of a unit which is there for the caller's sake, or below it: a service (but for those that
 * others' units live in), or a scope that somebody asked for with Delegate=yes. */
static bool is_own_unit(const char *group) {
        _cleanup_free_ char *path = strdup(group);

        for (char *slash; path && (slash = strrchr(path, '/')); *slash = '\0') {
                const char *name = slash + 1, *dot = strrchr(name, '.');

                if (!dot)
                        continue;
                if (streq(dot, ".service"))
                        return !startswith(name, "user@");
                if (streq(dot, ".scope"))
                        return is_delegated(path);
                if (streq(dot, ".slice"))
                        return false;
        }
        return false;
}

static int append_number(sd_bus_message *m, const char *property, uint64_t number) {
        return sd_bus_message_append(m, "(sv)", property, "t", number);
}

/* A limit of the control group as a property of the unit, where it has one. */
static int append_limit(const Limit *limit, void *userdata) {
        static const struct {
                const char *file, *property;
                uint64_t spare;
        } numbers[] = {
                { "memory.max",      "MemoryMax",     0           },
                { "memory.swap.max", "MemorySwapMax", 0           },
                { "memory.low",      "MemoryLow",     0           },
                { "pids.max",        "TasksMax",      TASKS_SPARE },
                { "cpu.weight",      "CPUWeight",     0           },
                { "io.weight",       "IOWeight",      0           },
        };
        static const struct {
                const char *key, *property;
        } throttles[] = {
                { "rbps",  "IOReadBandwidthMax"  },
                { "wbps",  "IOWriteBandwidthMax" },
                { "riops", "IOReadIOPSMax"       },
                { "wiops", "IOWriteIOPSMax"      },
        };
        uint64_t number, period, major, minor;
        sd_bus_message *m = userdata;
        char key[8], path[64];
        int r;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                if (!streq(limit->file, numbers[i].file))
                        continue;
                if (safe_atou64(limit->value, 10, &number) < 0)
                        return append_number(m, numbers[i].property, UINT64_MAX); /* "max" */
                return append_number(m, numbers[i].property, number + numbers[i].spare);
        }

        if (streq(limit->file, "cpu.max") && sscanf(limit->value, "%" SCNu64 " %" SCNu64, &number, &period) == 2) {
                r = append_number(m, "CPUQuotaPerSecUSec", number * 1000000U / period);
                return r < 0 ? r : append_number(m, "CPUQuotaPeriodUSec", period);
        }

        if (streq(limit->file, "io.max") && sscanf(limit->value, "%" SCNu64 ":%" SCNu64 " %7[a-z]=%" SCNu64, &major, &minor,
                                                   key, &number) == 4)
                for (size_t i = 0; i < ELEMENTSOF(throttles); i++)
                        if (streq(key, throttles[i].key)) {
                                (void) snprintf(path, sizeof(path), "/dev/block/%" PRIu64 ":%" PRIu64, major, minor);
                                return sd_bus_message_append(m, "(sv)", throttles[i].property, "a(st)", 1, path, number);
                        }
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path, *unit, *result;
        Job *job = userdata;
        uint32_t id;

        if (job->path && sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0 && streq(path, job->path))
                (void) snprintf(job->result, sizeof(job->result), "%s", result);
        return 0;
}

/* The scope's StartTransientUnit(). *ret: the reply, with the path of the job. */
static int start(sd_bus *bus, const LaunchRequest *request, const char *unit, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *description = NULL;
        int r;

        r = string_appendf(&description, "Sandbox %s", request->name);
        if (r >= 0 && request->profile_name && *request->profile_name)
                r = string_appendf(&description, " (profile %s)", request->profile_name);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
                                                   "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Description", "s", description, "PIDs", "au", 1,
                                          (uint32_t) getpid(), "Delegate", "b", 1, "CollectMode", "s",
                                          "inactive-or-failed");
        if (r >= 0)
                r = limits_each(request->profile, append_limit, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        return r < 0 ? r : sd_bus_call(bus, m, DEADLINE_USEC, error, ret);
}

static int await_job(sd_bus *bus, const Job *job, uint64_t deadline_usec) {
        int r;

        while (!*job->result) {
                uint64_t now = now_usec();

                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (now >= deadline_usec)
                        return -ETIMEDOUT;
                r = sd_bus_wait(bus, deadline_usec - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return streq(job->result, "done") ? 0 : -ECANCELED;
}

static int connect_systemd(sd_bus **ret) {
        int r;

        if (sd_booted() <= 0)
                return -ENOENT;
        r = geteuid() == 0 ? sd_bus_open_system(ret) : sd_bus_open_user(ret);
        if (r >= 0)
                (void) sd_bus_set_method_call_timeout(*ret, DEADLINE_USEC);
        return r;
}

/* Makes the scope, and waits until we are in it: systemd moves us some milliseconds after its answer. */
static int make(const LaunchRequest *request, char *unit, size_t size, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        uint64_t deadline = now_usec() + DEADLINE_USEC;
        Job job = {};
        int r;

        r = connect_systemd(&bus);
        if (r >= 0) /* the bus takes this and the call in their order: no round trip of its own */
                r = sd_bus_match_signal_async(bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "JobRemoved",
                                              on_job_removed, NULL, &job);
        if (r < 0)
                return r;

        for (unsigned number = 1; number <= NUMBER_MAX; number++) {
                if (number == 1)
                        (void) snprintf(unit, size, "sentryd-%s.scope", request->name);
                else
                        (void) snprintf(unit, size, "sentryd-%s:%u.scope", request->name, number);
                sd_bus_error_free(error);
                r = start(bus, request, unit, error, &reply);
                /* Of a sandbox of another sentryd, or of one that has just ended. */
                if (r >= 0 || !sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitExists"))
                        break;
        }
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job.path);
        return r < 0 ? r : await_job(bus, &job, deadline);
}

/* A group below the scope's own, for us. */
static int enter_launcher_group(const char *scope) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = string_appendf(&path, "%s" LAUNCHER_GROUP, scope);
        if (r < 0)
                return r;
        if (mkdir(path, 0755) < 0)
                return -errno;
        r = string_appendf(&path, "/cgroup.procs");
        if (r < 0)
                return r;
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, "0", 1) < 0 ? -errno : 0;
}

bool scope_enter(const LaunchRequest *request, bool launcher) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *before = NULL, *after = NULL;
        char unit[256];
        int r;

        r = sd_booted() <= 0 ? -ENOENT : cgroup_find_of(0, &before);
        if (r < 0 || is_own_unit(before))
                return false;

        r = make(request, unit, sizeof(unit), &error);
        if (r >= 0)
                r = cgroup_find_of(0, &after);
        if (r >= 0 && !strstr(after, unit))
                r = -ESRCH;
        if (r >= 0 && launcher)
                r = enter_launcher_group(after);
        if (r < 0)
                log_debug("Sandbox %s has no scope of its own: %s", request->name, error.message ?: strerror(-r));
        return r >= 0 && launcher;
}

void scope_follow(const char *group) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL, *launcher = NULL, *own = NULL;
        char *slash;
        int r;

        /* GROUP/…/sentryd-NAME.scope/sentryd-NAME */
        path = strdup(group);
        slash = path ? strrchr(path, '/') : NULL;
        if (!slash)
                return;
        *slash = '\0';
        slash = strrchr(path, '/');
        if (!slash || !startswith(slash + 1, CGROUP_PREFIX) || !strstr(slash, ".scope") || geteuid() == 0)
                return;
        r = cgroup_find_of(0, &own);
        if (r >= 0 && startswith(own, path))
                return;

        r = string_appendf(&launcher, "%s" LAUNCHER_GROUP, path);
        if (r >= 0)
                r = connect_systemd(&bus);
        if (r >= 0)
                r = sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "AttachProcessesToUnit", &error,
                                       NULL, "ssau", slash + 1, access(launcher, F_OK) >= 0 ? LAUNCHER_GROUP : "", 1,
                                       (uint32_t) getpid());
        if (r < 0)
                log_debug("Cannot enter %s: %s", slash + 1, error.message ?: strerror(-r));
}
