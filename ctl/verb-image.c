/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* image: what is in a saved sandbox, whether it is whole and fits this host, how two differ. No daemon is asked. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl.h"
#include "image-host.h"
#include "image-read.h"
#include "profile.h"
#include "table.h"
#include "text.h"
#include "util.h"

static const Column process_columns[] = {
        { "pid", "PID", 0, COLUMN_NUMBER, false, 0 },
        { "parent", "PPID", 0, COLUMN_NUMBER, false, 0 },
        { "state", "STATE", 0, COLUMN_TEXT, false, 0 },
        { "threads", "THREADS", 0, COLUMN_NUMBER, false, 0 },
        { "descriptors", "FDS", 0, COLUMN_NUMBER, false, 0 },
        { "memory", "MEMORY", 0, COLUMN_SIZE, false, 0 },
        { "comm", "COMM", 0, COLUMN_TEXT, false, 0 },
        { "exe", "EXE", 0, COLUMN_TEXT, true, 0 },
        {},
};

static const Column difference_columns[] = {
        { "pid", "PID", 0, COLUMN_NUMBER, false, 0 },
        { "what", "WHAT", 0, COLUMN_TEXT, false, 0 },
        { "before", "BEFORE", 0, COLUMN_TEXT, false, 0 },
        { "after", "AFTER", 0, COLUMN_TEXT, true, 0 },
        {},
};

static int open_image(const char *path, ImageReader *reader) {
        _cleanup_free_ char *message = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return ctl_error("%s: %s: an image is a directory, as `sentryctl save` writes it", path, strerror(errno));
        r = image_reader_open(reader, fd, &message);
        return r < 0 ? ctl_error("%s/%s", path, message ?: strerror(-r)) : 0;
}

static uint64_t runs_size(const ImageRuns *runs) {
        uint64_t size = 0;

        for (size_t i = 0; i < runs->n; i++)
                size += runs->items[i].size;
        return size;
}

static const char *process_comm(const ImageProcess *process) {
        return (process->n_threads > 0 ? process->threads[0].comm : process->comm) ?: "";
}

static void add_string(json_object *object, const char *key, const char *text) {
        (void) json_object_object_add(object, key, json_object_new_string(text ?: ""));
}

static void add_number(json_object *object, const char *key, uint64_t number) {
        (void) json_object_object_add(object, key, json_object_new_uint64(number));
}

static json_object *process_row(const Image *image, const ImageProcess *process) {
        json_object *row = json_object_new_object();

        if (!row)
                return NULL;
        add_number(row, "pid", (uint64_t) process->pid);
        add_number(row, "parent", (uint64_t) process->parent);
        add_string(row, "state", image_task_state_to_string((int) process->state));
        add_number(row, "threads", process->n_threads);
        add_number(row, "descriptors", process->fd_table == IMAGE_NONE ? 0 : image->fd_tables[process->fd_table].n);
        add_number(row, "memory", runs_size(&process->runs));
        add_string(row, "comm", process_comm(process));
        add_string(row, "exe", process->exe.path);
        return row;
}

static json_object *processes_of(const Image *image) {
        json_object *rows = json_object_new_array();

        for (size_t i = 0; rows && i < image->n_processes; i++)
                (void) json_object_array_add(rows, process_row(image, image->processes + i));
        return rows;
}

static json_object *file_counts(const Image *image) {
        json_object *counts = json_object_new_object();

        for (int kind = 0; counts && kind < _IMAGE_FILE_KIND_MAX; kind++) {
                uint64_t n = 0;

                for (size_t i = 0; i < image->n_files; i++)
                        n += (int) image->files[i].kind == kind;
                if (n > 0)
                        add_number(counts, image_file_kind_to_string(kind), n);
        }
        return counts;
}

static json_object *summary_of(const Image *image) {
        json_object *summary = json_object_new_object(), *features = json_object_new_array(), *outside = json_object_new_array();
        uint64_t tmpfs = 0, objects = 0;

        if (!summary || !features || !outside) {
                json_object_put(summary);
                json_object_put(features);
                json_object_put(outside);
                return NULL;
        }
        for (int i = 0; i < _IMAGE_FEATURE_MAX; i++)
                if (image->features & UINT64_C(1) << i)
                        (void) json_object_array_add(features, json_object_new_string(image_feature_to_string(i)));
        for (size_t i = 0; i < image->n_files; i++)
                if (image->files[i].kind == IMAGE_FILE_OUTSIDE)
                        (void) json_object_array_add(outside, json_object_new_uint64(image->files[i].outside));
        for (size_t i = 0; i < image->n_tmpfs; i++)
                tmpfs += image->tmpfs[i].n_nodes;
        for (size_t i = 0; i < image->n_objects; i++)
                objects += runs_size(&image->objects[i].runs);
        add_string(summary, "name", image->name);
        add_number(summary, "version", image->version);
        (void) json_object_object_add(summary, "features", features);
        add_number(summary, "savedUSec", (uint64_t) image->clocks.realtime_ns / 1000);
        add_number(summary, "uptimeUSec", (uint64_t) MAX(image->clocks.monotonic_ns, (int64_t) 0) / 1000);
        add_string(summary, "machine", image->host.machine);
        add_string(summary, "kernel", image->host.release);
        add_string(summary, "sentryd", image->host.sentryd);
        add_number(summary, "memory", image->memory);
        add_number(summary, "sharedMemory", objects);
        add_number(summary, "filesInMemory", tmpfs);
        (void) json_object_object_add(summary, "files", file_counts(image));
        (void) json_object_object_add(summary, "outside", outside);
        (void) json_object_object_add(summary, "processes", processes_of(image));
        return summary;
}

static void print_summary(const Image *image) {
        _cleanup_free_ char *name = text_escape(image->name ?: "", ESCAPE_TERMINAL), *numbers = NULL,
                            *kernel = text_escape(image->host.release ?: "", ESCAPE_TERMINAL),
                            *sentryd = text_escape(image->host.sentryd ?: "", ESCAPE_TERMINAL);
        char time[TEXT_SPAN_MAX], size[TEXT_SPAN_MAX];

        field_print("Sandbox", "%s", name ?: "?");
        field_print("Saved", "%s", text_time((uint64_t) image->clocks.realtime_ns / 1000, time));
        field_print("By", "sentryd %s, Linux %s", sentryd ?: "?", kernel ?: "?");
        field_print("Memory", "%s%s", text_size(image->memory, size),
                    image->features & UINT64_C(1) << IMAGE_FEATURE_ZSTD ? ", compressed" : "");
        for (size_t i = 0; i < image->n_files; i++)
                if (image->files[i].kind == IMAGE_FILE_OUTSIDE && image->files[i].outside > 2)
                        (void) string_appendf(&numbers, "%s%" PRIu32, numbers ? " " : "", image->files[i].outside);
        if (numbers)
                field_print("To be given", "descriptors %s", numbers);
        puts("");
}

static int show(Ctl *ctl, const char *path) {
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_json_ json_object *summary = NULL, *rows = NULL;
        int r;

        r = open_image(path, &reader);
        if (r < 0)
                return r;
        if (ctl->json != JSON_OFF) {
                summary = summary_of(reader.image);
                r = summary ? json_print(ctl, NULL, summary) : ctl_oom();
        } else {
                print_summary(reader.image);
                rows = processes_of(reader.image);
                r = rows ? table_print(ctl, process_columns, rows) : ctl_oom();
        }
        image_reader_done(&reader);
        return r;
}

/* ---- check ---- */

static void take_lines(json_object *problems, char *lines) {
        char *rest = lines, *line;

        while (rest && (line = strsep(&rest, "\n")))
                if (*line)
                        (void) json_object_array_add(problems, json_object_new_string(line));
}

static int check_host(const Image *image, json_object *problems) {
        _cleanup_free_ char *reasons = NULL, *files = NULL;
        _cleanup_(profile_freep) Profile *profile = NULL;
        _cleanup_close_ int root = -EBADF;
        ProfileProblems bad = {};
        int r;

        r = image_host_check(image, &reasons);
        if (r < 0)
                return r;
        take_lines(problems, reasons);
        r = profile_parse(image->profile, &profile, &bad);
        profile_problems_done(&bad);
        if (r < 0) {
                (void) json_object_array_add(problems, json_object_new_string("its profile is not valid here"));
                return r == -EBADMSG ? 0 : r;
        }
        root = open(profile->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        r = image_files_check(image, root, &files);
        take_lines(problems, files);
        return MIN(r, 0);
}

static int check(Ctl *ctl, const char *path) {
        ImageReader reader = IMAGE_READER_NONE;
        _cleanup_json_ json_object *problems = json_object_new_array(), *answer = NULL;
        bool whole = true;
        int r;

        if (!problems)
                return ctl_oom();
        r = open_image(path, &reader);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i <= reader.image->n_page_files; i++) {
                _cleanup_free_ char *message = NULL;

                if (image_reader_verify(&reader, i == reader.image->n_page_files ? IMAGE_NONE : i, &message) >= 0)
                        continue;
                whole = false;
                take_lines(problems, message);
        }
        r = check_host(reader.image, problems);
        image_reader_done(&reader);
        if (r < 0)
                return ctl_error("%s: cannot be compared with this host: %s", path, strerror(-r));

        if (ctl->json != JSON_OFF) {
                answer = json_object_new_object();
                if (!answer)
                        return ctl_oom();
                (void) json_object_object_add(answer, "whole", json_object_new_boolean(whole));
                (void) json_object_object_add(answer, "fits", json_object_new_boolean(json_object_array_length(problems) == 0));
                (void) json_object_object_add(answer, "problems", json_object_get(problems));
                r = json_print(ctl, NULL, answer);
        } else if (json_object_array_length(problems) == 0)
                ctl_notice(ctl, "%s is whole, and fits this host.", path);
        else
                for (size_t i = 0; i < json_object_array_length(problems); i++) {
                        _cleanup_free_ char *shown = text_escape(json_object_get_string(json_object_array_get_idx(problems, i)),
                                                                 ESCAPE_TERMINAL);

                        printf("%s: %s\n", path, shown ?: "?");
                }
        return r < 0 ? r : json_object_array_length(problems) == 0 ? 0 : EXIT_FAILURE;
}

/* ---- diff ---- */

/* A page at an address, by the runs of an image, which are read a run (at most IMAGE_BLOCK of it) at a time. */
typedef struct PageSource {
        const ImageReader *reader;
        const ImageRuns *runs;
        size_t at;             /* the run */
        uint64_t start, size;  /* what of it is in block */
        uint8_t *block;
} PageSource;

/* NULL when there is none (or it is all zeros); -1 in *ret_error for one that cannot be read. Addresses rise. */
static const uint8_t *page_at(PageSource *source, uint64_t address, int *ret_error) {
        _cleanup_free_ char *message = NULL;

        while (source->at < source->runs->n &&
               source->runs->items[source->at].address + source->runs->items[source->at].size <= address)
                source->at++;
        if (source->at == source->runs->n || source->runs->items[source->at].address > address)
                return NULL;
        if (address < source->start || address >= source->start + source->size) {
                const ImageRun *run = source->runs->items + source->at;
                uint64_t skip = run->stored == run->size ? (address - run->address) : 0;

                source->start = run->address + skip;
                source->size = MIN(run->size - skip, (uint64_t) IMAGE_BLOCK);
                if (image_reader_run(source->reader, run, skip, source->block, source->size, &message) < 0) {
                        *ret_error = ctl_error("%s", message ?: "the memory cannot be read");
                        source->size = 0;
                        return NULL;
                }
        }
        return source->block + (address - source->start);
}

static int count_changed(const ImageReader *a, const ImageReader *b, const ImageRuns *of_a, const ImageRuns *of_b, uint64_t *ret) {
        _cleanup_free_ uint8_t *first = malloc(IMAGE_BLOCK), *second = malloc(IMAGE_BLOCK);
        PageSource source[] = { { .reader = a, .runs = of_a, .block = first }, { .reader = b, .runs = of_b, .block = second } };
        int error = 0;

        *ret = 0;
        if (!first || !second)
                return ctl_oom();
        /* Every page of either: those of a, and of b those that a has not. */
        for (unsigned side = 0; side < 2; side++) {
                source[0].at = source[1].at = 0;
                for (size_t i = 0; i < source[side].runs->n; i++) {
                        const ImageRun *run = source[side].runs->items + i;

                        for (uint64_t at = run->address; error >= 0 && at < run->address + run->size; at += IMAGE_PAGE) {
                                const uint8_t *x = page_at(&source[0], at, &error), *y = page_at(&source[1], at, &error);

                                if (side == 1 && x)
                                        continue;
                                *ret += !x || !y || memcmp(x, y, IMAGE_PAGE) != 0;
                        }
                }
        }
        return error;
}

static void add_difference(json_object *rows, int32_t pid, const char *what, const char *before, const char *after) {
        json_object *row = json_object_new_object();

        if (!row)
                return;
        add_number(row, "pid", (uint64_t) pid);
        add_string(row, "what", what);
        add_string(row, "before", before);
        add_string(row, "after", after);
        (void) json_object_array_add(rows, row);
}

static void compare_numbers(json_object *rows, int32_t pid, const char *what, uint64_t before, uint64_t after) {
        char a[32], b[32];

        if (before == after)
                return;
        (void) snprintf(a, sizeof(a), "%" PRIu64, before);
        (void) snprintf(b, sizeof(b), "%" PRIu64, after);
        add_difference(rows, pid, what, a, b);
}

static const ImageProcess *find_process(const Image *image, int32_t pid) {
        for (size_t i = 0; i < image->n_processes; i++)
                if (image->processes[i].pid == pid)
                        return image->processes + i;
        return NULL;
}

static int compare_process(const ImageReader *a, const ImageReader *b, const ImageProcess *p, const ImageProcess *q, json_object *rows) {
        uint64_t changed;
        char text[32];
        int r;

        if (!streq(process_comm(p), process_comm(q)))
                add_difference(rows, p->pid, "comm", process_comm(p), process_comm(q));
        if (!streq_ptr(p->exe.path, q->exe.path))
                add_difference(rows, p->pid, "exe", p->exe.path, q->exe.path);
        if (p->state != q->state)
                add_difference(rows, p->pid, "state", image_task_state_to_string((int) p->state), image_task_state_to_string((int) q->state));
        compare_numbers(rows, p->pid, "threads", p->n_threads, q->n_threads);
        compare_numbers(rows, p->pid, "maps", p->n_maps, q->n_maps);
        compare_numbers(rows, p->pid, "descriptors", p->fd_table == IMAGE_NONE ? 0 : a->image->fd_tables[p->fd_table].n,
                        q->fd_table == IMAGE_NONE ? 0 : b->image->fd_tables[q->fd_table].n);
        r = count_changed(a, b, &p->runs, &q->runs, &changed);
        if (r >= 0 && changed > 0) {
                (void) snprintf(text, sizeof(text), "%" PRIu64 " pages", changed);
                add_difference(rows, p->pid, "memory", "", text);
        }
        return r;
}

static int diff(Ctl *ctl, const char *first, const char *second) {
        ImageReader a = IMAGE_READER_NONE, b = IMAGE_READER_NONE;
        _cleanup_json_ json_object *rows = json_object_new_array();
        bool differ;
        int r;

        if (!rows)
                return ctl_oom();
        r = open_image(first, &a);
        if (r >= 0)
                r = open_image(second, &b);
        for (size_t i = 0; r >= 0 && i < a.image->n_processes; i++) {
                const ImageProcess *p = a.image->processes + i, *q = find_process(b.image, p->pid);

                if (q)
                        r = compare_process(&a, &b, p, q, rows);
                else
                        add_difference(rows, p->pid, "process", process_comm(p), "");
        }
        for (size_t i = 0; r >= 0 && i < b.image->n_processes; i++)
                if (!find_process(a.image, b.image->processes[i].pid))
                        add_difference(rows, b.image->processes[i].pid, "process", "", process_comm(b.image->processes + i));
        image_reader_done(&a);
        image_reader_done(&b);
        if (r < 0)
                return r;
        differ = json_object_array_length(rows) > 0;
        if (differ || ctl->json != JSON_OFF)
                r = table_print(ctl, difference_columns, rows);
        else
                ctl_notice(ctl, "No differences.");
        return r < 0 ? r : differ ? EXIT_FAILURE : 0;
}

static int verb_image_main(Ctl *ctl, int argc, char **argv) {
        int index = options_only(ctl, argc, argv, 2, 3), n;
        const char *what;

        if (index < 0)
                return index;
        what = argv[index];
        n = argc - index - 1;
        if (!streq(what, "show") && !streq(what, "check") && !streq(what, "diff"))
                return ctl_usage(ctl, "an image can be shown, checked or compared: 'show', 'check' or 'diff', not '%s'", what);
        if (n != (streq(what, "diff") ? 2 : 1))
                return ctl_usage(ctl, streq(what, "diff") ? "diff compares two images" : "%s looks at one image", what);
        if (streq(what, "diff"))
                return diff(ctl, argv[index + 1], argv[index + 2]);
        return streq(what, "show") ? show(ctl, argv[index + 1]) : check(ctl, argv[index + 1]);
}

const Verb verb_image = {
        .name = "image",
        .arguments = "show|check|diff DIR [DIR]",
        .summary = "Tell what is in a saved sandbox, and whether it can be restored here",
        .details = "show    lists its processes\n"
                   "check   compares its checksums, and what it needs with this host; exits with 1 where it does not fit\n"
                   "diff    tells how two images differ; exits with 1 if they do\n",
        .aside = true,
        .run = verb_image_main,
};
