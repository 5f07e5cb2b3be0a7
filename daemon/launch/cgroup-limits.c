/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "cgroup-limits.h"
#include "util.h"

#define CONTROLLERS_MAX 4096U

static int one(LimitFunction function, void *userdata, const char *key, const char *controller, const char *file,
               const char *format, ...) __attribute__((format(printf, 6, 7)));

static int one(LimitFunction function, void *userdata, const char *key, const char *controller, const char *file,
               const char *format, ...) {
        Limit limit = { .key = key, .controller = controller, .file = file };
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(limit.value, sizeof(limit.value), format, ap);
        va_end(ap);
        return function(&limit, userdata);
}

static int amount(LimitFunction function, void *userdata, const char *key, const char *controller, const char *file,
                  int64_t number) {
        if (number == 0)
                return 0;
        if (number < 0)
                return one(function, userdata, key, controller, file, "max");
        return one(function, userdata, key, controller, file, "%" PRId64, number);
}

static int each_memory(const ProfileResources *resources, LimitFunction function, void *userdata) {
        int64_t swap = resources->memory_and_swap;
        int r;

        r = amount(function, userdata, "memory.limit", "memory", "memory.max", resources->memory);
        if (r < 0)
                return r;
        if (swap > 0) {
                r = one(function, userdata, "memory.swap", "memory", "memory.swap.max", "%" PRId64, swap - resources->memory);
                if (r < 0)
                        return r;
        } else if (swap < 0) {
                r = amount(function, userdata, "memory.swap", "memory", "memory.swap.max", swap);
                if (r < 0)
                        return r;
        }
        return amount(function, userdata, "memory.reservation", "memory", "memory.low", resources->memory_low);
}

static int each_cpu(const ProfileResources *resources, LimitFunction function, void *userdata) {
        int64_t period = resources->cpu_period ?: 100000;
        int r = 0;

        if (resources->cpu_quota > 0)
                r = one(function, userdata, "cpu.quota", "cpu", "cpu.max", "%" PRId64 " %" PRId64, resources->cpu_quota,
                        period);
        else if (resources->cpu_quota < 0 || resources->cpu_period > 0)
                r = one(function, userdata, resources->cpu_quota < 0 ? "cpu.quota" : "cpu.period", "cpu", "cpu.max",
                        "max %" PRId64, period);
        if (r >= 0 && resources->cpu_shares > 0)
                /* 2 … 262144 as 1 … 10000, as other runtimes do it. */
                r = one(function, userdata, "cpu.shares", "cpu", "cpu.weight", "%" PRId64,
                        1 + (resources->cpu_shares - 2) * 9999 / 262142);
        return r;
}

static int each_io(const ProfileResources *resources, LimitFunction function, void *userdata) {
        static const struct {
                const char *key, *name;
        } kinds[_PROFILE_THROTTLE_KIND_MAX] = {
                [PROFILE_THROTTLE_RBPS] = { "blockIO.throttleReadBpsDevice", "rbps" },
                [PROFILE_THROTTLE_WBPS] = { "blockIO.throttleWriteBpsDevice", "wbps" },
                [PROFILE_THROTTLE_RIOPS] = { "blockIO.throttleReadIOPSDevice", "riops" },
                [PROFILE_THROTTLE_WIOPS] = { "blockIO.throttleWriteIOPSDevice", "wiops" },
        };
        int r = 0;

        if (resources->io_weight > 0)
                r = one(function, userdata, "blockIO.weight", "io", "io.weight", "%" PRId64, resources->io_weight);
        for (size_t i = 0; r >= 0 && i < resources->n_throttles; i++) {
                const ProfileThrottle *t = resources->throttles + i;

                r = one(function, userdata, kinds[t->kind].key, "io", "io.max", "%" PRId64 ":%" PRId64 " %s=%" PRId64,
                        t->major, t->minor, kinds[t->kind].name, t->rate);
        }
        return r;
}

int limits_each(const Profile *profile, LimitFunction function, void *userdata) {
        const ProfileResources *resources = &profile->resources;
        int r;

        r = each_memory(resources, function, userdata);
        if (r >= 0)
                r = amount(function, userdata, "pids.limit", "pids", "pids.max", resources->pids);
        if (r >= 0)
                r = each_cpu(resources, function, userdata);
        if (r >= 0)
                r = each_io(resources, function, userdata);
        for (size_t i = 0; r >= 0 && i < resources->n_hugepages; i++) {
                char file[64];

                (void) snprintf(file, sizeof(file), "hugetlb.%s.max", resources->hugepages[i].page_size);
                r = amount(function, userdata, "hugepageLimits", "hugetlb", file, resources->hugepages[i].limit);
        }
        return r;
}

static int count(const Limit *limit, void *userdata) {
        (void) limit;
        *(bool *) userdata = true;
        return 0;
}

bool limits_any(const Profile *profile) {
        bool any = false;

        (void) limits_each(profile, count, &any);
        return any;
}

static int write_file(int directory, const char *file, const char *text) {
        _cleanup_close_ int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, strlen(text));
        return n < 0 ? -errno : 0;
}

static int read_words(int directory, const char *file, char **ret) {
        _cleanup_close_ int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = read_full_fd(fd, CONTROLLERS_MAX, ret, NULL);
        if (r >= 0)
                (*ret)[strcspn(*ret, "\n")] = '\0';
        return r;
}

static bool has_word(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *p = words; (p = strstr(p, word)); p += n)
                if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
                        return true;
        return false;
}

/* Makes a controller reach the groups below one. A group of our own below the root of the hierarchy may itself be in want
 * of it. */
static int enable(int group, const char *controller, unsigned depth) {
        _cleanup_free_ char *below = NULL;
        char text[64];
        int r;

        r = read_words(group, "cgroup.subtree_control", &below);
        if (r < 0)
                return r;
        if (has_word(below, controller))
                return 0;

        (void) snprintf(text, sizeof(text), "+%s", controller);
        r = write_file(group, "cgroup.subtree_control", text);
        if (r == -ENOENT && depth > 0) { /* it has not got it itself */
                _cleanup_close_ int above = openat(group, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (above >= 0 && enable(above, controller, depth - 1) >= 0)
                        r = write_file(group, "cgroup.subtree_control", text);
        }
        return r;
}

typedef struct Enabling {
        int parent;
        const char *missing;
} Enabling;

static int enable_for(const Limit *limit, void *userdata) {
        Enabling *enabling = userdata;
        int r;

        r = enable(enabling->parent, limit->controller, 1);
        if (r < 0)
                enabling->missing = limit->controller;
        return r;
}

int limits_enable(const Profile *profile, int parent, const char **ret_missing) {
        Enabling enabling = { .parent = parent };
        int r;

        r = limits_each(profile, enable_for, &enabling);
        *ret_missing = enabling.missing;
        return r;
}

typedef struct Applying {
        int group;
        LaunchFailure *failure;
} Applying;

static int apply_one(const Limit *limit, void *userdata) {
        Applying *applying = userdata;
        int r;

        r = write_file(applying->group, limit->file, limit->value);
        if (r < 0)
                return failure_set(applying->failure, r,
                                   r == -ENOENT ? "The kernel's controller has no such limit."
                                   : r == -ENODEV || r == -EINVAL ? "The kernel does not take this value."
                                                                  : NULL,
                                   "cannot set linux.resources.%s: %s to \"%s\"", limit->key, limit->file, limit->value);
        return 0;
}

int limits_apply(const Profile *profile, int group, LaunchFailure *failure) {
        Applying applying = { .group = group, .failure = failure };

        return limits_each(profile, apply_one, &applying);
}

static int try_one(const Limit *limit, void *userdata) {
        const int *fds = userdata;

        if (enable(fds[0], limit->controller, 1) >= 0)
                (void) write_file(fds[1], limit->file, limit->value);
        return 0;
}

void limits_try(const Profile *profile, int parent, int group) {
        int fds[] = { parent, group };

        (void) limits_each(profile, try_one, fds);
}

char *limits_controllers(int group) {
        char *words = NULL;

        if (read_words(group, "cgroup.controllers", &words) < 0 || !*words) {
                free(words);
                return strdup("none");
        }
        return words;
}
