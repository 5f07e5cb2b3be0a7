/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is mapped in a process, by /proc/PID/smaps, and which pages of it are its own, by PAGEMAP_SCAN (Linux 6.7). */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "open-inside.h"
#include "save.h"
#include "util.h"

/* linux/fs.h, since Linux 6.7; guards since 6.15. Not in older headers, and not beside sys/mount.h everywhere. */
#define SCAN_IS_FILE (1U << 2)
#define SCAN_IS_PRESENT (1U << 3)
#define SCAN_IS_SWAPPED (1U << 4)
#define SCAN_IS_PFNZERO (1U << 5)
#define SCAN_IS_GUARD (1U << 8)

typedef struct ScanRegion {
        uint64_t start, end, categories;
} ScanRegion;

typedef struct ScanArguments {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} ScanArguments;

#define SCAN_CALL _IOWR('f', 16, ScanArguments)
#define SCAN_REGIONS 512U

static bool no_guards; /* the kernel does not know of them */

/* Calls `take` for each region of pages within start and end. */
static int scan(int fd, uint64_t start, uint64_t end, bool guards, int (*take)(void *userdata, uint64_t start, uint64_t end),
                void *userdata) {
        ScanRegion regions[SCAN_REGIONS];

        if (guards && no_guards)
                return 0;
        while (start < end) {
                uint64_t unwanted = SCAN_IS_FILE | SCAN_IS_PFNZERO | (no_guards ? 0 : SCAN_IS_GUARD);
                ScanArguments arguments = {
                        .size = sizeof(arguments),
                        .start = start,
                        .end = end,
                        .vec = (uintptr_t) regions,
                        .vec_len = SCAN_REGIONS,
                        .category_inverted = guards ? 0 : unwanted,
                        .category_mask = guards ? SCAN_IS_GUARD : unwanted,
                        .category_anyof_mask = guards ? 0 : SCAN_IS_PRESENT | SCAN_IS_SWAPPED,
                        .return_mask = guards ? SCAN_IS_GUARD : SCAN_IS_FILE, /* which none has: so neighbours are one */
                };
                int n = ioctl(fd, SCAN_CALL, &arguments), r;

                if (n < 0 && errno == EINVAL && !no_guards) {
                        no_guards = true;
                        if (guards)
                                return 0;
                        continue;
                }
                if (n < 0)
                        return -errno;
                for (int i = 0; i < n; i++) {
                        r = take(userdata, regions[i].start, regions[i].end);
                        if (r < 0)
                                return r;
                }
                if (arguments.walk_end <= start)
                        break;
                start = arguments.walk_end;
        }
        return 0;
}

static int take_guard(void *userdata, uint64_t start, uint64_t end) {
        ImageMap *map = userdata;
        ImageRange *range = IMAGE_APPEND(map->guards, map->n_guards);

        if (!range)
                return -ENOMEM;
        *range = (ImageRange) { start, end };
        return 0;
}

static int take_pages(void *userdata, uint64_t start, uint64_t end) {
        SaveProcess *process = userdata;
        SaveRange *last = process->n_ranges > 0 ? process->ranges + process->n_ranges - 1 : NULL, *range;

        if (last && last->end == start) {
                last->end = end;
                return 0;
        }
        range = IMAGE_APPEND(process->ranges, process->n_ranges);
        if (!range)
                return -ENOMEM;
        *range = (SaveRange) { start, end };
        return 0;
}

/* ---- files ---- */

int save_place(Save *save, const char *path, uint64_t ino, ImagePlace *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = save_open_inside(save->root_fd, path, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        if (fd < 0)
                return fd == -ENOTDIR || fd == -ELOOP ? -ENOENT : fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (ino != 0 && st.st_ino != ino)
                return -ENOENT;
        *ret = (ImagePlace) {
                .path = strdup(path), .dev = st.st_dev, .ino = st.st_ino, .size = S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0,
                .mode = st.st_mode, .mtime_sec = st.st_mtim.tv_sec, .mtime_nsec = (uint32_t) st.st_mtim.tv_nsec,
        };
        return ret->path ? 0 : -ENOMEM;
}

uint32_t save_object(Save *save, ImageObjectKind kind, uint64_t dev, uint64_t ino, const char *name) {
        SaveObject *object;
        ImageObject *image;

        for (size_t i = 0; i < save->n_objects; i++)
                if (save->objects[i].ino == ino && save->objects[i].dev == dev)
                        return (uint32_t) i;
        object = IMAGE_APPEND(save->objects, save->n_objects);
        if (!object)
                return IMAGE_NONE;
        *object = (SaveObject) { .dev = dev, .ino = ino, .fd = -EBADF };
        image = IMAGE_APPEND(save->image->objects, save->image->n_objects);
        if (!image) {
                save->n_objects--;
                return IMAGE_NONE;
        }
        image->kind = kind;
        image->name = strdup(name);
        return image->name ? (uint32_t) (save->n_objects - 1) : IMAGE_NONE;
}

/* ---- lines ---- */

static const struct {
        char letters[3];
        uint32_t flag;
} vm_flags[] = {
        { "gd", IMAGE_MAP_GROWSDOWN }, { "lo", IMAGE_MAP_LOCKED },    { "nr", IMAGE_MAP_NORESERVE }, { "dc", IMAGE_MAP_DONTFORK },
        { "dd", IMAGE_MAP_DONTDUMP },  { "wf", IMAGE_MAP_WIPEONFORK }, { "hg", IMAGE_MAP_HUGEPAGE },  { "nh", IMAGE_MAP_NOHUGEPAGE },
        { "mg", IMAGE_MAP_MERGEABLE }, { "lf", IMAGE_MAP_LOCK_ON_FAULT }, { "sr", IMAGE_MAP_SEQUENTIAL }, { "rr", IMAGE_MAP_RANDOM },
        { "mw", IMAGE_MAP_MAYWRITE },
};

typedef struct Line {
        uint64_t start, end, offset, ino;
        unsigned major, minor;
        char protection[5];
        const char *path; /* "" for none */
        uint64_t page_size_kib;
        bool io, huge_tlb;
} Line;

/* Cuts the text of a mapping off its smaps; false at the end. path points into it. */
static bool next_map(char **text, Line *ret, uint32_t *ret_flags) {
        Line line = {};
        char *end;
        int n = 0;

        if (!**text)
                return false;
        if (sscanf(*text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &line.start, &line.end, line.protection,
                   &line.offset, &line.major, &line.minor, &line.ino, &n) < 7)
                return false;
        end = strchrnul(*text, '\n');
        line.path = MIN(*text + n, end);
        if (*end)
                *end++ = '\0';
        *ret_flags = 0;
        for (*text = end; **text >= 'A' && **text <= 'Z'; *text = end) { /* "Rss: …" */
                end = strchrnul(*text, '\n');
                if (*end)
                        *end++ = '\0';
                if (startswith(*text, "KernelPageSize:"))
                        line.page_size_kib = strtoull(*text + strlen("KernelPageSize:"), NULL, 10);
                if (!startswith(*text, "VmFlags:"))
                        continue;
                for (char *p = *text + strlen("VmFlags:"); *p; p += *p != '\0') {
                        for (size_t i = 0; i < ELEMENTSOF(vm_flags); i++)
                                if (p[0] == ' ' && p[1] == vm_flags[i].letters[0] && p[2] == vm_flags[i].letters[1])
                                        *ret_flags |= vm_flags[i].flag;
                        line.io = line.io || startswith(p, " io") || startswith(p, " pf");
                        line.huge_tlb = line.huge_tlb || startswith(p, " ht");
                }
        }
        *ret = line;
        return true;
}

static bool path_ends(const char *path, const char *end) {
        size_t n = strlen(path), m = strlen(end);

        return n >= m && streq(path + n - m, end);
}

/* An object that this process has mapped: where its contents can be read, if there is no descriptor of it. */
static int note_mapping(Save *save, size_t index, const Line *line, ImageMap *map) {
        SaveObject *object;

        map->offset = line->offset;
        object = save->objects + map->object;
        if (line->protection[3] != 's') { /* what is read there may be the process's own */
                map->kind = IMAGE_MAP_OBJECT_PRIVATE;
                return 0;
        }
        map->kind = IMAGE_MAP_OBJECT;
        if (line->end - line->start > object->size) {
                object->pid = save->processes[index].pid;
                object->address = line->start;
                object->offset = line->offset;
                object->size = line->end - line->start;
        }
        return 0;
}

static int note_object(Save *save, size_t index, const Line *line, ImageMap *map, ImageObjectKind kind, const char *name) {
        map->object = save_object(save, kind, makedev(line->major, line->minor), line->ino, name);
        return map->object == IMAGE_NONE ? -ENOMEM : note_mapping(save, index, line, map);
}

/* Of System V: the inode is the id. */
static int note_memory(Save *save, size_t index, const Line *line, ImageMap *map) {
        map->object = save_shared_memory(save, (int32_t) line->ino);
        return map->object == IMAGE_NONE ? -ENOMEM : note_mapping(save, index, line, map);
}

static int classify(Save *save, size_t index, const Line *line, ImageMap *map) {
        bool shared = line->protection[3] == 's';
        _cleanup_free_ char *name = NULL;
        const char *rest;
        char who[96];
        int r;

        (void) save_who(save, index, who);
        if (line->huge_tlb && !shared && startswith(line->path, "/anon_hugepage") && line->page_size_kib > 0) {
                map->kind = IMAGE_MAP_ANONYMOUS;
                map->hugetlb = (uint32_t) __builtin_ctzll(line->page_size_kib) + 10;
        } else if (line->huge_tlb)
                save_refuse(save, "%s: memory of huge pages (hugetlbfs) at %#" PRIx64, who, line->start);
        else if (startswith(line->path, "[vdso]")) {
                save->processes[index].vdso = line->start;
                save->processes[index].vdso_size = line->end - line->start;
                map->kind = IMAGE_MAP_VDSO;
                map->name = strdup("[vdso]");
        } else if (startswith(line->path, "[vvar")) {
                map->kind = IMAGE_MAP_VVAR;
                map->name = strdup(line->path);
        } else if (line->io)
                save_refuse(save, "%s: memory of a device is mapped at %#" PRIx64 " (%s)", who, line->start, line->path);
        else if (line->ino == 0 && !shared) {
                map->kind = IMAGE_MAP_ANONYMOUS;
                if ((rest = startswith(line->path, "[anon:")) && path_ends(rest, "]"))
                        map->name = strndup(rest, strlen(rest) - 1);
        } else if (startswith(line->path, "/SYSV") && path_ends(line->path, " (deleted)"))
                return note_memory(save, index, line, map);
        else if (startswith(line->path, "/secretmem"))
                save_refuse(save, "%s: secret memory (memfd_secret(2)) at %#" PRIx64, who, line->start);
        else if ((rest = startswith(line->path, "/memfd:")) && path_ends(rest, " (deleted)")) {
                name = strndup(rest, strlen(rest) - strlen(" (deleted)"));
                return name ? note_object(save, index, line, map, IMAGE_OBJECT_MEMFD, name) : -ENOMEM;
        } else if (streq(line->path, "/dev/zero (deleted)") || startswith(line->path, "[anon_shmem:"))
                return note_object(save, index, line, map, IMAGE_OBJECT_ANONYMOUS, "");
        else if (line->path[0] != '/')
                save_refuse(save, "%s: %s is mapped at %#" PRIx64, who, *line->path ? line->path : "something without a name",
                            line->start);
        else {
                r = save_place(save, line->path, line->ino, &map->place);
                if (r < 0 && path_ends(line->path, " (deleted)")) {
                        name = strndup(line->path, strlen(line->path) - strlen(" (deleted)"));
                        return name ? note_object(save, index, line, map, IMAGE_OBJECT_DELETED, name) : -ENOMEM;
                }
                if (r == -ENOENT)
                        save_refuse(save, "%s: %s is mapped, and is not there any more: it was replaced, or hidden by a mount", who,
                                    line->path);
                else if (r < 0)
                        return r;
                else if (!S_ISREG(map->place.mode) && !streq(line->path, "/dev/zero"))
                        save_refuse(save, "%s: %s is mapped, which is no regular file", who, line->path);
                map->kind = shared ? IMAGE_MAP_FILE_SHARED : IMAGE_MAP_FILE;
                map->offset = line->offset;
                if (!shared && streq(line->path, "/dev/zero")) {
                        map->kind = IMAGE_MAP_ANONYMOUS;
                        map->offset = 0;
                        free(TAKE_PTR(map->place.path));
                }
        }
        return 0;
}

bool save_has_other_root(Save *save, size_t index) {
        _cleanup_close_ int root = -EBADF, up = -EBADF;
        struct stat here, above;
        char path[64], who[96];

        /* For us it is a directory like others, of which there is one above unless it is the root of all that is mounted. */
        (void) snprintf(path, sizeof(path), "/proc/%d/root", (int) save->processes[index].pid);
        root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        up = root < 0 ? -EBADF : openat(root, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up >= 0 && fstat(root, &here) >= 0 && fstat(up, &above) >= 0 && here.st_dev == above.st_dev && here.st_ino == above.st_ino)
                return false;
        save_refuse(save, "%s: it has changed its root directory (chroot)", save_who(save, index, who));
        return true;
}

int save_maps(Save *save, size_t index) {
        ImageProcess *image = save->image->processes + index;
        SaveProcess *process = save->processes + index;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        char path[64], *rest;
        uint32_t flags;
        Line line;
        int r;

        r = save_read_proc(process->pid, "smaps", &text);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%d/pagemap", (int) process->pid);
        fd = save_open(AT_FDCWD, path, O_RDONLY);
        if (fd < 0)
                return fd;

        for (rest = text; next_map(&rest, &line, &flags);) {
                ImageMap *map;

                if (startswith(line.path, "[vsyscall]"))
                        continue;
                map = IMAGE_APPEND(image->maps, image->n_maps);
                if (!map)
                        return -ENOMEM;
                *map = (ImageMap) {
                        .start = line.start,
                        .end = line.end,
                        .protection = (uint32_t) ((line.protection[0] == 'r' ? PROT_READ : 0) |
                                                  (line.protection[1] == 'w' ? PROT_WRITE : 0) |
                                                  (line.protection[2] == 'x' ? PROT_EXEC : 0)),
                        .flags = flags,
                        .object = IMAGE_NONE,
                        .file = IMAGE_NONE,
                };
                r = classify(save, index, &line, map);
                if (r < 0)
                        return r;
                if (map->kind == IMAGE_MAP_VDSO || map->kind == IMAGE_MAP_VVAR)
                        continue;
                r = scan(fd, line.start, line.end, true, take_guard, map);
                if (r >= 0 && map->kind != IMAGE_MAP_OBJECT && map->kind != IMAGE_MAP_FILE_SHARED)
                        r = scan(fd, line.start, line.end, false, take_pages, process);
                if (r == -ENOTTY)
                        return save_fail(save, -EOPNOTSUPP, "Linux 6.7 or later is needed to save (PAGEMAP_SCAN)");
                if (r < 0)
                        return r;
        }
        return 0;
}
