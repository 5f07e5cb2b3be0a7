/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that tell of the machine where the program should hear of the sandbox: /proc/cpuinfo and the like. They say what is
 * true when it starts; what moves later (the counters of /proc/stat) stands still in them. Where the sandbox has all of the
 * machine, the host's own files stay. */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "mounts-internal.h"
#include "util.h"
#include "util/cpuset.h"

#define TEXT_MAX (8U * 1024U * 1024U)
#define STAT_COLUMNS 10U

/* The processors of the sandbox, as sentry-kernel will have it. False: all that the machine has, or nobody knows. */
static bool find_cpus(const Profile *profile, CpuSet *ret) {
        _cleanup_free_ char *text = NULL;
        CpuSet online, wanted;
        size_t size;

        *ret = (CpuSet) {};
        if (sched_getaffinity(0, sizeof(ret->words), (cpu_set_t *) ret->words) < 0)
                return false;
        if (profile->cpus && cpuset_parse(profile->cpus, &wanted) >= 0)
                cpuset_and(ret, &wanted);
        else if (profile->n_cpus > 0)
                cpuset_truncate(ret, profile->n_cpus);
        if (cpuset_is_empty(ret)) /* sentry-kernel refuses it in words */
                return false;

        if (read_full_file("/sys/devices/system/cpu/online", CPUSET_LIST_MAX, &text, &size) < 0)
                return profile->cpus || profile->n_cpus > 0;
        text[strcspn(text, "\n")] = '\0';
        return cpuset_parse(text, &online) < 0 || cpuset_count(&online) != cpuset_count(ret);
}

/* Paragraphs of /proc/cpuinfo say "processor : N" first; some architectures add one without, about all of them. */
static char *cut_cpuinfo(const char *text, const CpuSet *cpus) {
        char *cut = strdup("");

        while (cut && *text) {
                const char *end = strstr(text, "\n\n");
                size_t size = end ? (size_t) (end + 2 - text) : strlen(text);
                unsigned cpu;

                if (sscanf(text, "processor : %u", &cpu) != 1 || cpuset_has(cpus, cpu))
                        if (string_appendf(&cut, "%.*s", (int) size, text) < 0) {
                                free(cut);
                                return NULL;
                        }
                text += size;
        }
        return cut;
}

/* Lines "cpuN …" of the processors, under a sum of them, then all other lines but the first. */
static char *cut_stat(const char *text, const CpuSet *cpus) {
        uint64_t sum[STAT_COLUMNS] = {};
        _cleanup_free_ char *lines = NULL;
        char *cut = NULL;
        int r = 0;

        for (const char *line = text, *next; r >= 0 && *line; line = next) {
                size_t size = strcspn(line, "\n");
                unsigned cpu;
                int used;

                next = line + size + (line[size] == '\n');
                if (startswith(line, "cpu ") )
                        continue;
                if (sscanf(line, "cpu%u%n", &cpu, &used) == 1) {
                        const char *p = line + used;

                        if (!cpuset_has(cpus, cpu))
                                continue;
                        for (unsigned i = 0; i < STAT_COLUMNS; i++) {
                                char *end;

                                sum[i] += strtoull(p, &end, 10);
                                p = end;
                        }
                }
                r = string_appendf(&lines, "%.*s\n", (int) size, line);
        }

        if (r >= 0)
                r = string_appendf(&cut, "cpu ");
        for (unsigned i = 0; r >= 0 && i < STAT_COLUMNS; i++)
                r = string_appendf(&cut, " %" PRIu64, sum[i]);
        if (r >= 0)
                r = string_appendf(&cut, "\n%s", lines ?: "");
        if (r < 0) {
                free(cut);
                return NULL;
        }
        return cut;
}

/* In each /proc of the sandbox; *fd stays open. */
static int state_file_in_proc(Mounter *mounter, const char *name, const char *text, int *fd) {
        const Profile *profile = mounter->profile;
        char file[SCRATCH_NAME_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < profile->n_mounts; i++) {
                char path[PATH_MAX];

                if (profile->mounts[i].type == PROFILE_MOUNT_PROC &&
                    (size_t) snprintf(path, sizeof(path), "%s/%s", profile->mounts[i].destination, name) < sizeof(path))
                        r = mounter_overlay_file(mounter, path, text, fd, file);
        }
        return r;
}

static int state_in_proc(Mounter *mounter, const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;

        return state_file_in_proc(mounter, name, text, &fd);
}

static int state_cpus(Mounter *mounter) {
        static const char *const lists[] = {
                "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/present", "/sys/devices/system/cpu/possible",
        };
        static const struct {
                const char *file, *name;
                char *(*cut)(const char *text, const CpuSet *cpus);
        } files[] = {
                { "/proc/cpuinfo", "cpuinfo", cut_cpuinfo },
                { "/proc/stat", "stat", cut_stat },
        };
        char list[CPUSET_LIST_MAX + 1];
        CpuSet cpus;
        int r = 0;

        if (!find_cpus(mounter->profile, &cpus))
                return 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *text = NULL, *cut = NULL;

                r = read_full_file(files[i].file, TEXT_MAX, &text, NULL);
                if (r < 0)
                        return r;
                cut = files[i].cut(text, &cpus);
                r = cut ? state_in_proc(mounter, files[i].name, cut) : -ENOMEM;
        }

        cpuset_format(&cpus, list, sizeof(list) - 1);
        strcat(list, "\n");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lists); i++)
                r = mounter_overlay_text(mounter, lists[i], list);
        return r;
}

/* Lines of /proc/meminfo in kB: what the sandbox may use is all there is, and free. */
static int state_memory(Mounter *mounter) {
        const ProfileResources *resources = &mounter->profile->resources;
        const int64_t limit = resources->memory / 1024,
                      swap = resources->memory_and_swap > 0 ? (resources->memory_and_swap - resources->memory) / 1024 : INT64_MAX;
        _cleanup_free_ char *text = NULL, *cut = NULL;
        char *rest;
        int r;

        if (resources->memory <= 0)
                return 0;
        r = read_full_file("/proc/meminfo", TEXT_MAX, &text, NULL);
        rest = text;
        for (char *line; r >= 0 && (line = strsep(&rest, "\n"));) {
                char name[32];
                int64_t kb;

                if (sscanf(line, "%31[^:]: %" SCNd64 " kB", name, &kb) != 2) {
                        if (*line)
                                r = string_appendf(&cut, "%s\n", line);
                        continue;
                }
                if (streq(name, "MemTotal") || streq(name, "MemFree") || streq(name, "MemAvailable"))
                        kb = MIN(kb, limit);
                else if (startswith(name, "Swap") && !streq(name, "SwapCached"))
                        kb = MIN(kb, swap);
                else if (!startswith(name, "Huge") && !startswith(name, "Vmalloc") && !startswith(name, "DirectMap"))
                        kb = 0;
                r = string_appendf(&cut, "%s:%*" PRId64 " kB\n", name, 24 - (int) strlen(name), kb);
        }
        return r < 0 ? r : state_in_proc(mounter, "meminfo", cut ?: "");
}

static int state_version(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        const char *release, *version;
        struct utsname host;
        char text[512];
        int r;

        if (!profile->kernel_release && !profile->kernel_version)
                return 0;
        if (uname(&host) < 0)
                return -errno;
        release = profile->kernel_release ?: host.release;
        version = profile->kernel_version ?: host.version;

        (void) snprintf(text, sizeof(text), "%s version %s (sentryd) %s\n", host.sysname, release, version);
        r = state_in_proc(mounter, "version", text);
        (void) snprintf(text, sizeof(text), "%s\n", release);
        if (r >= 0)
                r = state_in_proc(mounter, "sys/kernel/osrelease", text);
        (void) snprintf(text, sizeof(text), "%s\n", version);
        if (r >= 0)
                r = state_in_proc(mounter, "sys/kernel/version", text);
        return r;
}

/* sentry-kernel writes there what sethostname(2) and setdomainname(2) set, which the host's kernel knows nothing of. */
static int state_names(Mounter *mounter) {
        const Profile *profile = mounter->profile;
        struct utsname host;
        char text[sizeof(host.nodename) + 1];
        int r;

        if (uname(&host) < 0)
                return -errno;
        (void) snprintf(text, sizeof(text), "%.64s\n", profile->hostname ?: host.nodename);
        r = state_file_in_proc(mounter, "sys/kernel/hostname", text, &mounter->names[0]);
        (void) snprintf(text, sizeof(text), "%.64s\n", profile->domainname ?: host.domainname);
        if (r >= 0)
                r = state_file_in_proc(mounter, "sys/kernel/domainname", text, &mounter->names[1]);
        return r;
}

int mounter_state_facts(Mounter *mounter) {
        int r;

        r = state_cpus(mounter);
        if (r >= 0)
                r = state_memory(mounter);
        if (r >= 0)
                r = state_version(mounter);
        if (r >= 0)
                r = state_names(mounter);
        if (r < 0)
                return failure_set(mounter->failure, r, NULL, "cannot lay the sandbox's own facts over those of the machine");
        return 0;
}
