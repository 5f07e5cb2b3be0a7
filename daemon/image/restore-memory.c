/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is mapped in a process: everything is made anew in an address space that has only the kernel's own mappings and
 * our scratch, all parked where no process has anything. */

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "image-read.h"
#include "restore-internal.h"
#include "util.h"

#define HOLE_FIRST 0x10000000U    /* address: sentry-stub lies below */
#define HOLE_LAST 0x7e0000000000U /* and its stack and vDSO above */
#define HOLE_MARGIN (2U << 20)    /* bytes to what lies beside, so that stacks have room to grow */
#define LAZY_MIN (256U << 10) /* bytes of a run: a mapping costs the kernel more than reading less than that */
#define LAZY_MAX 16384U       /* mappings of a process, which may have 65530 by default */

#ifndef MADV_GUARD_INSTALL
#  define MADV_GUARD_INSTALL 102
#endif
#ifndef PR_SET_VMA
#  define PR_SET_VMA 0x53564d41
#  define PR_SET_VMA_ANON_NAME 0
#endif

static int compare_ranges(const void *a, const void *b) {
        const ImageRange *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

int restore_find_hole(Restore *restore, uint64_t size) {
        _cleanup_free_ ImageRange *ranges = NULL;
        uint64_t at = HOLE_FIRST;
        size_t n = 0, k = 0;

        for (size_t i = 0; i < restore->image->n_processes; i++)
                n += restore->image->processes[i].n_maps;
        ranges = calloc(n + 1, sizeof(*ranges));
        if (!ranges)
                return restore_fail(restore, -ENOMEM, "no memory");
        for (size_t i = 0; i < restore->image->n_processes; i++)
                for (size_t j = 0; j < restore->image->processes[i].n_maps; j++) {
                        const ImageMap *map = &restore->image->processes[i].maps[j];

                        ranges[k++] = (ImageRange) { map->start, map->end };
                }
        qsort(ranges, n, sizeof(*ranges), compare_ranges);

        size += (uint64_t) 2 * HOLE_MARGIN;
        for (size_t i = 0; i < n && ranges[i].start < at + size; i++)
                if (ranges[i].end > at)
                        at = ranges[i].end;
        if (at + size > HOLE_LAST)
                return restore_fail(restore, -ENOMEM, "no place in memory is free in all processes");
        restore->park = at + HOLE_MARGIN;
        restore->park_size = size - (uint64_t) 2 * HOLE_MARGIN;
        restore->scratch = restore->park;
        return 0;
}

/* ---- objects --------------------------------------------------------------------------------------------------- */

/* A file without a name, for what was unlinked or never had one. */
static int64_t make_object(Restore *restore, const ImageObject *object) {
        RestoreProcess *init = &restore->processes[0];
        uint64_t at, flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        char name[NAME_MAX];
        int r;

        (void) snprintf(name, sizeof(name), "%s", object->name ?: "shared");
        r = restore_put(restore, init, 0, name, strlen(name) + 1, &at);
        if (r < 0)
                return r;
        if (object->hugetlb != 0)
                flags |= MFD_HUGETLB | (uint64_t) object->hugetlb << 26;
        return restore_call(restore, init, "make memory to share", SYS_memfd_create, at, flags);
}

int restore_objects(Restore *restore) {
        RestoreProcess *init = &restore->processes[0];

        for (size_t i = 0; i < restore->image->n_objects; i++) {
                const ImageObject *object = &restore->image->objects[i];
                _cleanup_close_ int fd = -EBADF;
                int64_t number;
                int r;

                if (object->kind == IMAGE_OBJECT_SYSV) /* no file: restore_ipc() */
                        continue;
                number = make_object(restore, object);
                if (number < 0)
                        return (int) number;
                r = restore_take_number(restore, number);
                if (r < 0)
                        return r;
                restore->objects[i] = r;
                if (restore_call(restore, init, "size memory to share", SYS_ftruncate, (uint64_t) r, object->size) < 0)
                        return -EIO;
                fd = restore_borrow_fd(restore, r);
                if (fd < 0)
                        return restore_fail(restore, fd, "cannot fill memory to share");
                for (size_t j = 0; j < object->runs.n; j++) {
                        r = restore_run_to_file(restore, &object->runs.items[j], fd);
                        if (r < 0)
                                return r;
                }
                /* The last page was filled up. */
                if (ftruncate(fd, (off_t) object->size) < 0)
                        return restore_fail(restore, -errno, "cannot size memory to share");
                if (object->kind == IMAGE_OBJECT_MEMFD && fchmod(fd, object->mode & 0777) < 0)
                        return restore_fail(restore, -errno, "cannot set the mode of memory to share");
        }
        return 0;
}

int restore_seals(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_objects; i++) {
                const ImageObject *object = &restore->image->objects[i];

                if (object->seals != 0 && restore_call(restore, &restore->processes[0], "seal memory", SYS_fcntl,
                                                       (uint64_t) restore->objects[i], F_ADD_SEALS, object->seals) < 0)
                        return -EIO;
        }
        return 0;
}

/* ---- files that are mapped -------------------------------------------------------------------------------------- */

static bool wants_write(const ImageMap *map) {
        return map->kind == IMAGE_MAP_FILE_SHARED && ((map->protection & PROT_WRITE) || (map->flags & IMAGE_MAP_MAYWRITE));
}

static RestoreMapped *find_mapped(Restore *restore, const ImageMap *map) {
        for (size_t i = 0; i < restore->n_mapped; i++)
                if (restore->mapped[i].write == wants_write(map) && streq(restore->mapped[i].path, map->place.path))
                        return &restore->mapped[i];
        return NULL;
}

/* A program's text or library must be the one that it was: what is in memory was made from it. */
static int check_mapped(Restore *restore, const ImageMap *map, int number) {
        _cleanup_close_ int fd = restore_borrow_fd(restore, number);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return restore_fail(restore, fd < 0 ? fd : -errno, "cannot look at %s", map->place.path);
        if ((st.st_mode & S_IFMT) != (map->place.mode & S_IFMT))
                return restore_fail(restore, -ESTALE, "%s is another kind of file than when the sandbox was saved", map->place.path);
        if (map->kind == IMAGE_MAP_FILE &&
            ((uint64_t) st.st_size != map->place.size || st.st_mtim.tv_sec != map->place.mtime_sec ||
             st.st_mtim.tv_nsec != map->place.mtime_nsec))
                return restore_fail(restore, -ESTALE, "%s has changed since the sandbox was saved, and is mapped by it", map->place.path);
        return 0;
}

int restore_mapped_files(Restore *restore) {
        for (size_t i = 0; i < restore->image->n_processes; i++)
                for (size_t j = 0; j < restore->image->processes[i].n_maps; j++) {
                        const ImageMap *map = &restore->image->processes[i].maps[j];
                        RestoreMapped *grown;
                        int64_t number;
                        int r;

                        if ((map->kind != IMAGE_MAP_FILE && map->kind != IMAGE_MAP_FILE_SHARED) || map->file != IMAGE_NONE ||
                            find_mapped(restore, map))
                                continue;
                        number = restore_open(restore, &restore->processes[0], &map->place, wants_write(map) ? O_RDWR : O_RDONLY);
                        if (number < 0)
                                return (int) number;
                        r = restore_take_number(restore, number);
                        if (r >= 0)
                                number = r, r = check_mapped(restore, map, r);
                        if (r < 0)
                                return r;
                        grown = reallocarray(restore->mapped, restore->n_mapped + 1, sizeof(RestoreMapped));
                        if (!grown)
                                return restore_fail(restore, -ENOMEM, "no memory");
                        restore->mapped = grown;
                        grown[restore->n_mapped++] = (RestoreMapped) { map->place.path, wants_write(map), (int) number };
                }
        return 0;
}

/* ---- one process ------------------------------------------------------------------------------------------------ */

static bool is_special(const ImageMap *map) {
        return map->kind == IMAGE_MAP_VDSO || map->kind == IMAGE_MAP_VVAR;
}

static int number_of(Restore *restore, const ImageMap *map) {
        const RestoreMapped *mapped;

        switch (map->kind) {
        case IMAGE_MAP_OBJECT:
        case IMAGE_MAP_OBJECT_PRIVATE:
                return restore->objects[map->object];
        case IMAGE_MAP_FILE:
        case IMAGE_MAP_FILE_SHARED:
                if (map->file != IMAGE_NONE)
                        return restore->files[map->file];
                mapped = find_mapped(restore, map);
                return mapped ? mapped->number : -1;
        default:
                return -1;
        }
}

/* First writable, where there is something to be written to it. */
static bool is_filled(const ImageMap *map) {
        return map->kind == IMAGE_MAP_ANONYMOUS || map->kind == IMAGE_MAP_FILE || map->kind == IMAGE_MAP_OBJECT_PRIVATE;
}

static int make_map(Restore *restore, RestoreProcess *process, const ImageMap *map) {
        uint64_t protection = map->protection, flags = MAP_FIXED_NOREPLACE, offset = map->offset;
        int64_t result;

        if (map->kind == IMAGE_MAP_OBJECT && restore->image->objects[map->object].kind == IMAGE_OBJECT_SYSV)
                return restore_attach_memory(restore, process, map);
        flags |= map->kind == IMAGE_MAP_OBJECT || map->kind == IMAGE_MAP_FILE_SHARED ? MAP_SHARED : MAP_PRIVATE;
        if (map->kind == IMAGE_MAP_ANONYMOUS) {
                flags |= MAP_ANONYMOUS;
                offset = 0;
        }
        if (map->hugetlb != 0)
                flags |= MAP_HUGETLB | (uint64_t) map->hugetlb << MAP_HUGE_SHIFT;
        if (map->flags & IMAGE_MAP_NORESERVE)
                flags |= MAP_NORESERVE;
        if (map->flags & IMAGE_MAP_GROWSDOWN)
                flags |= MAP_GROWSDOWN;
        if (is_filled(map))
                protection = PROT_READ | PROT_WRITE;
        result = inject_call(&process->inject, SYS_mmap, map->start, map->end - map->start, protection, flags,
                             (uint64_t) (int64_t) number_of(restore, map), offset);
        if (result == -ENOMEM && map->hugetlb != 0)
                return restore_fail(restore, -ENOMEM, "process %d: there are no %lu KiB of huge pages left for what was at %#lx "
                                    "(vm.nr_hugepages)", process->image->pid, (unsigned long) (map->end - map->start) / 1024,
                                    (unsigned long) map->start);
        if (result < 0)
                return restore_fail(restore, (int) result, "process %d: cannot map %s at %#lx", process->image->pid,
                                    map->place.path ?: "memory", (unsigned long) map->start);
        return 0;
}

static bool can_be_lazy(const ImageMap *map, const ImageRun *run) {
        return map->kind == IMAGE_MAP_ANONYMOUS && map->hugetlb == 0 && !(map->flags & (IMAGE_MAP_GROWSDOWN | IMAGE_MAP_LOCKED)) &&
               run->size >= LAZY_MIN && run->stored == run->size && run->address >= map->start && run->address + run->size <= map->end;
}

/* Maps the page file in place of memory; what cannot be so is read. */
static int fill_lazily(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        size_t m = 0, first = 0, n_lazy = 0;
        int r;

        for (size_t i = 0; i < image->runs.n; i++) {
                const ImageRun *run = &image->runs.items[i];

                while (m < image->n_maps && image->maps[m].end <= run->address)
                        m++;
                if (m < image->n_maps && n_lazy < LAZY_MAX && can_be_lazy(&image->maps[m], run)) {
                        r = restore_fill(restore, process, image->runs.items + first, i - first);
                        if (r < 0)
                                return r;
                        first = i + 1;
                        n_lazy++;
                        if (restore_call(restore, process, "map memory of the image", SYS_mmap, run->address, run->size,
                                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                                         (uint64_t) restore->page_files[run->file], run->offset) < 0)
                                return -EIO;
                }
        }
        return restore_fill(restore, process, image->runs.items + first, image->runs.n - first);
}

static int advise(Restore *restore, RestoreProcess *process, const ImageMap *map) {
        static const struct {
                uint32_t flag;
                int advice;
        } advices[] = {
                { IMAGE_MAP_DONTFORK, MADV_DONTFORK },     { IMAGE_MAP_DONTDUMP, MADV_DONTDUMP },
                { IMAGE_MAP_WIPEONFORK, MADV_WIPEONFORK }, { IMAGE_MAP_HUGEPAGE, MADV_HUGEPAGE },
                { IMAGE_MAP_NOHUGEPAGE, MADV_NOHUGEPAGE }, { IMAGE_MAP_MERGEABLE, MADV_MERGEABLE },
                { IMAGE_MAP_SEQUENTIAL, MADV_SEQUENTIAL }, { IMAGE_MAP_RANDOM, MADV_RANDOM },
        };

        for (size_t i = 0; i < ELEMENTSOF(advices); i++)
                if ((map->flags & advices[i].flag) &&
                    restore_call(restore, process, "advise the kernel about memory", SYS_madvise, map->start, map->end - map->start,
                                 (uint64_t) advices[i].advice) < 0)
                        return -EIO;
        for (size_t i = 0; i < map->n_guards; i++)
                if (restore_call(restore, process, "guard memory", SYS_madvise, map->guards[i].start,
                                 map->guards[i].end - map->guards[i].start, MADV_GUARD_INSTALL) < 0)
                        return -EIO;
        if ((map->flags & IMAGE_MAP_LOCKED) &&
            restore_call(restore, process, "lock memory (RLIMIT_MEMLOCK?)", SYS_mlock2, map->start, map->end - map->start,
                         map->flags & IMAGE_MAP_LOCK_ON_FAULT ? MLOCK_ONFAULT : 0) < 0)
                return -EIO;
        return 0;
}

static int finish_map(Restore *restore, RestoreProcess *process, const ImageMap *map) {
        uint64_t at;
        int r;

        if (map->name && map->kind == IMAGE_MAP_ANONYMOUS) {
                r = restore_put(restore, process, 0, map->name, strlen(map->name) + 1, &at);
                if (r < 0)
                        return r;
                /* For people only, and not all kernels have it. */
                (void) inject_call(&process->inject, SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, map->start, map->end - map->start, at);
        }
        r = advise(restore, process, map);
        if (r < 0)
                return r;
        if (is_filled(map) && map->protection != (PROT_READ | PROT_WRITE) &&
            restore_call(restore, process, "protect memory", SYS_mprotect, map->start, map->end - map->start, map->protection) < 0)
                return -EIO;
        return 0;
}

/* What the kernel maps of its own goes where the program knows it. */
static int bring_home(Restore *restore, RestoreProcess *process) {
        unsigned n = 0;

        for (size_t i = 0; i < process->image->n_maps; i++) {
                const ImageMap *map = &process->image->maps[i];
                const RestoreSpecial *special = NULL;

                if (!is_special(map))
                        continue;
                for (unsigned j = 0; j < restore->n_specials; j++)
                        if (map->name && streq(restore->specials[j].name, map->name) && restore->specials[j].size == map->end - map->start)
                                special = &restore->specials[j];
                if (!special)
                        return restore_fail(restore, -EOPNOTSUPP, "this kernel has no %s of %lu bytes, which the sandbox was saved with",
                                            map->name ?: "mapping", (unsigned long) (map->end - map->start));
                if (restore_call(restore, process, "move what the kernel mapped", SYS_mremap, special->parked, special->size, special->size,
                                 MREMAP_MAYMOVE | MREMAP_FIXED, map->start) < 0)
                        return -EIO;
                if (map->kind == IMAGE_MAP_VDSO)
                        process->inject.ip = map->start + restore->ip_offset;
                n++;
        }
        if (n != restore->n_specials)
                return restore_fail(restore, -EOPNOTSUPP, "process %d had only %u of the %u mappings that the kernel makes",
                                    process->image->pid, n, restore->n_specials);
        return 0;
}

static int set_fields(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        const ImageMmFields *mm = &image->mm;
        struct prctl_mm_map fields = {
                .start_code = mm->start_code, .end_code = mm->end_code, .start_data = mm->start_data, .end_data = mm->end_data,
                .start_brk = mm->start_brk, .brk = mm->brk, .start_stack = mm->start_stack, .arg_start = mm->arg_start,
                .arg_end = mm->arg_end, .env_start = mm->env_start, .env_end = mm->env_end,
        };
        _cleanup_free_ char *auxv = NULL;
        int64_t exe;
        uint64_t at;
        int r;

        r = restore_blob(restore, &image->auxv, &auxv);
        if (r < 0)
                return r;
        r = restore_put(restore, process, sizeof(fields), auxv, image->auxv.size, &at);
        if (r < 0)
                return r;
        exe = restore_open(restore, process, &image->exe, O_RDONLY);
        if (exe < 0)
                return (int) exe;
        fields.auxv = (__u64 *) (uintptr_t) at;
        fields.auxv_size = (__u32) image->auxv.size;
        fields.exe_fd = (__u32) exe;
        r = restore_put(restore, process, 0, &fields, sizeof(fields), &at);
        if (r < 0)
                return r;
        if (restore_call(restore, process, "say where its program lies", SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, at, sizeof(fields), 0) < 0 ||
            restore_call(restore, process, "close its program", SYS_close, (uint64_t) exe) < 0)
                return -EIO;
        return 0;
}

int restore_memory(Restore *restore, RestoreProcess *process) {
        const ImageProcess *image = process->image;
        int r;

        for (size_t i = 0; i < image->n_maps; i++)
                if (!is_special(&image->maps[i])) {
                        r = make_map(restore, process, &image->maps[i]);
                        if (r < 0)
                                return r;
                }
        r = restore->options.lazy ? fill_lazily(restore, process) : restore_fill(restore, process, image->runs.items, image->runs.n);
        if (r < 0)
                return r;
        r = bring_home(restore, process);
        if (r < 0)
                return r;
        for (size_t i = 0; i < image->n_maps; i++)
                if (!is_special(&image->maps[i])) {
                        r = finish_map(restore, process, &image->maps[i]);
                        if (r < 0)
                                return r;
                }
        return set_fields(restore, process);
}
