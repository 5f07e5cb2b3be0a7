/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "image-host.h"
#include "open-inside.h"
#include "util.h"

#define REASONS_MAX 50 /* lines about files */

static char *cpuinfo_value(const char *text, const char *key) {
        const char *p = strstr(text, key);

        p = p ? strchr(p, ':') : NULL;
        if (!p)
                return strdup("");
        p += 1 + strspn(p + 1, " ");
        return strndup(p, strcspn(p, "\n"));
}

static uint64_t read_xcr0(void) {
#if defined(__x86_64__)
        uint32_t low, high;

        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return (uint64_t) high << 32 | low;
#else
        return 0;
#endif
}

/* Ours is that of every process. */
static int read_vdso(ImageHost *host) {
        uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
        _cleanup_free_ char *maps = NULL;
        int r;

        r = read_full_file("/proc/self/maps", 64U << 20, &maps, NULL);
        if (r < 0)
                return r;
        for (const char *p = maps; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
                const char *end = strchrnul(p, '\n'), *name = memchr(p, '[', (size_t) (end - p));
                uint64_t from, to;

                if (!name || sscanf(p, "%" SCNx64 "-%" SCNx64, &from, &to) != 2)
                        continue;
                if (startswith(name, "[vvar"))
                        host->vvar_size += to - from;
                if (from == vdso) {
                        host->vdso_size = to - from;
                        host->vdso_hash = image_hash((const void *) (uintptr_t) from, to - from);
                }
        }
        return 0;
}

int image_host_read(ImageCpu *cpu, ImageHost *host) {
        _cleanup_free_ char *cpuinfo = NULL;
        struct utsname uts;
        int r;

        if (uname(&uts) < 0)
                return -errno;
        r = read_full_file("/proc/cpuinfo", 16U << 20, &cpuinfo, NULL);
        if (r < 0)
                return r;
        cpu->vendor = cpuinfo_value(cpuinfo, "\nvendor_id");
        cpu->flags = cpuinfo_value(cpuinfo, "\nflags");
        cpu->xfeatures = read_xcr0();
        host->machine = strdup(uts.machine);
        host->release = strdup(uts.release);
        host->sentryd = strdup(PACKAGE_VERSION);
        host->page_size = (uint32_t) sysconf(_SC_PAGESIZE);
        if (!cpu->vendor || !cpu->flags || !host->machine || !host->release || !host->sentryd)
                return -ENOMEM;
        return read_vdso(host);
}

static bool has_word(const char *words, const char *word, size_t n) {
        for (const char *p = words; *p;) {
                size_t m = strcspn(p, " ");

                if (m == n && strncmp(p, word, n) == 0)
                        return true;
                p += m;
                p += strspn(p, " ");
        }
        return false;
}

__attribute__((format(printf, 3, 4))) static void add_reason(char **reasons, int *n, const char *format, ...) {
        char text[768];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (*n)++;
        (void) string_appendf(reasons, "%s%s", *reasons ? "\n" : "", text);
}

/* Flags of /proc/cpuinfo that say what a program may do, and not what the kernel does or how a machine is built. */
static void check_flags(const ImageCpu *theirs, const ImageCpu *ours, char **reasons, int *n) {
        static const char not_for_programs[] =
                "constant_tsc nonstop_tsc tsc_known_freq tsc_reliable rep_good nopl xtopology cpuid pni ht hypervisor arat "
                "ibrs ibpb stibp ssbd ibrs_enhanced md_clear flush_l1d arch_capabilities tsc_deadline_timer tsc_adjust pti "
                "vme de pse mtrr pge mca pat pse36 msr mce apic sep pae smep smap x2apic pcid invpcid bus_lock_detect cpuid_fault "
                "xsaves umip acpi dts arch_perfmon art aperfmperf epb hwp invpcid_single intel_ppin tpr_shadow vmx ept vpid";
        _cleanup_free_ char *missing = NULL;
        const char *flags = theirs->flags ?: "";

        for (const char *p = flags; *p;) {
                size_t m = strcspn(p, " ");

                if (!has_word(ours->flags, p, m) && !has_word(not_for_programs, p, m))
                        (void) string_appendf(&missing, "%s%.*s", missing ? " " : "", (int) m, p);
                p += m;
                p += strspn(p, " ");
        }
        if (missing)
                add_reason(reasons, n, "the processor has not what programs may have found: %.600s", missing);
}

int image_host_check(const Image *image, char **ret_reasons) {
        ImageHost host = {};
        ImageCpu cpu = {};
        int n = 0, r;

        *ret_reasons = NULL;
        r = image_host_read(&cpu, &host);
        if (r >= 0) {
                if (!streq_ptr(image->host.machine, host.machine))
                        add_reason(ret_reasons, &n, "it was saved on %.64s, this is %s", image->host.machine ?: "?", host.machine);
                if (image->host.page_size != host.page_size)
                        add_reason(ret_reasons, &n, "pages have %" PRIu32 " bytes in it, %" PRIu32 " here", image->host.page_size,
                                   host.page_size);
                check_flags(&image->cpu, &cpu, ret_reasons, &n);
                if (image->cpu.xfeatures & ~cpu.xfeatures)
                        add_reason(ret_reasons, &n, "the processor cannot hold the states of registers %#" PRIx64 " (XCR0)",
                                   image->cpu.xfeatures & ~cpu.xfeatures);
                if (image->host.vdso_size != host.vdso_size || image->host.vdso_hash != host.vdso_hash ||
                    image->host.vvar_size != host.vvar_size)
                        add_reason(ret_reasons, &n, "the vDSO, which programs have mapped, is that of another kernel (%.64s; this is %s)",
                                   image->host.release ?: "?", host.release);
        }
        free(cpu.vendor);
        free(cpu.flags);
        free(host.machine);
        free(host.release);
        free(host.sentryd);
        return r < 0 ? r : n;
}

/* Within a file system in memory, whose files the image has. */
static bool is_brought(const Image *image, const char *path) {
        for (size_t i = 0; i < image->n_tmpfs; i++) {
                const char *rest = startswith(path, image->tmpfs[i].mount);

                if (rest && (*rest == '/' || streq(image->tmpfs[i].mount, "/")))
                        return true;
        }
        return false;
}

static void check_place(const ImagePlace *place, int root_fd, char **reasons, int *n) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open_inside(root_fd, place->path, O_PATH | O_NOFOLLOW, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        if (fd < 0 || fstat(fd, &st) < 0)
                add_reason(reasons, n, "%.512s is not there: %s", place->path, strerror(fd < 0 ? -fd : errno));
        else if (st.st_ino != place->ino || (uint64_t) st.st_size != place->size || st.st_mtim.tv_sec != place->mtime_sec ||
                 (uint32_t) st.st_mtim.tv_nsec != place->mtime_nsec)
                add_reason(reasons, n, "%.512s is another file than when it was saved", place->path);
}

int image_files_check(const Image *image, int root_fd, char **ret_reasons) {
        const char *last = "";
        int n = 0;

        *ret_reasons = NULL;
        for (size_t i = 0; i < image->n_processes; i++)
                for (size_t j = 0; j < image->processes[i].n_maps; j++) {
                        const ImageMap *map = image->processes[i].maps + j;

                        /* A library has several maps, one after the other; each process may have it. */
                        if (map->kind != IMAGE_MAP_FILE || streq(map->place.path, last) || is_brought(image, map->place.path))
                                continue;
                        last = map->place.path;
                        if (*ret_reasons && strstr(*ret_reasons, last))
                                continue;
                        if (n < REASONS_MAX)
                                check_place(&map->place, root_fd, ret_reasons, &n);
                }
        return n;
}
