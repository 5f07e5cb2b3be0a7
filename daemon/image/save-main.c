/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The order of a save. Whatever happens, tasks go on as they were: by save_release(), or by our death. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include <json-c/json.h>

#include "image-host.h"
#include "imager.h"
#include "log.h"
#include "protocol.h"
#include "save.h"
#include "util.h"

#define REASONS_MAX 100U
#define RECORDS_MAX (64U << 20)
#define PROC_FILE_MAX (256U << 20) /* smaps of a process with very many mappings */
#define GO_TIMEOUT_MSEC 30000

/* ---- what everybody uses ---- */

uint64_t save_now(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

void save_refuse(Save *save, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        log_clean(text, strlen(text));
        if (save->n_reasons++ < REASONS_MAX)
                (void) string_appendf(&save->reasons, "%s%s", save->reasons ? "\n" : "", text);
        else if (save->n_reasons == REASONS_MAX + 1)
                (void) string_appendf(&save->reasons, "\nand more");
}

int save_fail(Save *save, int error, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        log_clean(text, strlen(text));
        if (!save->message)
                (void) string_appendf(&save->message, "%s", text);
        return error;
}

const char *save_who(const Save *save, size_t process, char buffer[static 96]) {
        const ImageProcess *image = save->image->processes + process;
        _cleanup_free_ char *comm = NULL;

        (void) save_read_proc(save->processes[process].pid, "comm", &comm);
        (void) snprintf(buffer, 96, "pid %" PRId32 " (%.*s)", image->pid, comm ? (int) strcspn(comm, "\n") : 1, comm ?: "?");
        log_clean(buffer, strlen(buffer));
        return buffer;
}

int save_read_proc(pid_t pid, const char *name, char **ret) {
        _cleanup_close_ int fd = -EBADF;
        char path[96];

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
        fd = save_open(AT_FDCWD, path, O_RDONLY);
        return fd < 0 ? fd : read_full_fd(fd, PROC_FILE_MAX, ret, NULL);
}

int save_read_link(pid_t pid, const char *name, char **ret) {
        char path[96], target[IMAGE_PATH_MAX + 1];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        *ret = strdup(target);
        return *ret ? 0 : -ENOMEM;
}

int save_say(uint32_t type, int64_t a, int64_t b, const char *text) {
        const ImagerMessage message = { .version = IMAGER_PROTOCOL_VERSION, .type = type, .values = { a, b } };
        struct iovec iov[] = { { (void *) &message, sizeof(message) }, { (void *) text, 0 } };
        struct msghdr header = { .msg_iov = iov, .msg_iovlen = 2 };

        iov[1].iov_len = MIN(strlen(text), (size_t) IMAGER_TEXT_MAX - 1);
        return sendmsg(IMAGER_FD_CONTROL, &header, MSG_NOSIGNAL) < 0 ? -ECONNRESET : 0;
}

int save_await_go(void) {
        struct pollfd pollfd = { .fd = IMAGER_FD_CONTROL, .events = POLLIN };
        ImagerMessage message;

        while (poll(&pollfd, 1, GO_TIMEOUT_MSEC) < 0)
                if (errno != EINTR)
                        return -errno;
        if (recv(IMAGER_FD_CONTROL, &message, sizeof(message), MSG_DONTWAIT) != sizeof(message) || message.type != IMAGER_GO)
                return -ECONNRESET;
        return message.values[0] != 0;
}

/* ---- the request ---- */

static const char *get_string(json_object *request, const char *key) {
        json_object *value;

        return json_object_object_get_ex(request, key, &value) ? json_object_get_string(value) : NULL;
}

static int64_t get_number(json_object *request, const char *key) {
        json_object *value;

        return json_object_object_get_ex(request, key, &value) ? json_object_get_int64(value) : 0;
}

static int read_streams(Save *save, json_object *request) {
        json_object *array;

        if (!json_object_object_get_ex(request, "streams", &array) || !json_object_is_type(array, json_type_array))
                return 0;
        for (size_t i = 0; i < json_object_array_length(array); i++) {
                uint64_t *number = IMAGE_APPEND(save->standard, save->n_standard);

                if (!number)
                        return -ENOMEM;
                *number = json_object_get_uint64(json_object_array_get_idx(array, i));
        }
        return 0;
}

static int read_request(Save *save) {
        _cleanup_json_ json_object *request = NULL;
        _cleanup_free_ char *text = NULL;
        ProfileProblems problems = {};
        const char *name, *sandbox, *document, *container;
        int r;

        if (lseek(IMAGER_FD_REQUEST, 0, SEEK_SET) < 0)
                return -errno;
        r = read_full_fd(IMAGER_FD_REQUEST, 32U << 20, &text, NULL);
        if (r < 0)
                return r;
        request = json_tokener_parse(text);
        name = get_string(request, "name");
        sandbox = get_string(request, "sandbox");
        document = get_string(request, "profile");
        container = get_string(request, "container");
        if (!name || !sandbox || !document || !container)
                return -EPROTO;
        save->name = strdup(name);
        save->sandbox = strdup(sandbox);
        save->document = strdup(document);
        save->container = strdup(container);
        save->init = (pid_t) get_number(request, "init");
        save->compress = (int) get_number(request, "compress");
        save->tcp_reset = get_number(request, "tcpReset") != 0;
        save->walls = (uint32_t) get_number(request, "walls");
        save->started_usec = get_number(request, "started");
        if (!save->name || !save->sandbox || !save->document || !save->container)
                return -ENOMEM;
        r = read_streams(save, request);
        if (r < 0)
                return r;
        r = profile_parse(document, &save->profile, &problems);
        profile_problems_done(&problems);
        if (r >= 0 && save->profile->users == PROFILE_USERS_RANGE)
                save_reach_set(save->init);
        return r;
}

/* ---- host and clocks ---- */

static int save_host(Save *save) {
        Image *image = save->image;
        cpu_set_t cpus;
        int r;

        r = image_host_read(&image->cpu, &image->host);
        if (r < 0)
                return r;
        image->n_cpus = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : (uint32_t) CPU_COUNT(&cpus);
        image->name = strdup(save->sandbox);
        image->profile = strdup(save->document);
        image->container = strdup(save->container);
        image->walls = save->walls;
        image->started_usec = save->started_usec;
        return image->name && image->profile && image->container ? 0 : -ENOMEM;
}

static int64_t read_clock(clockid_t clock) {
        struct timespec ts = {};

        (void) clock_gettime(clock, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* What the sandbox reads is ours and the offsets of its time namespace, if it has one. */
static int save_clocks(Save *save) {
        _cleanup_free_ char *text = NULL;
        ImageClocks *clocks = &save->image->clocks;
        struct stat ours, theirs;
        char path[64];
        int64_t sec, nsec;
        const char *p;

        save->times.clocks = save_now();
        clocks->realtime_ns = read_clock(CLOCK_REALTIME);
        clocks->monotonic_ns = read_clock(CLOCK_MONOTONIC);
        clocks->boottime_ns = read_clock(CLOCK_BOOTTIME);
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/time", (int) save->init);
        if (stat(path, &theirs) < 0 || stat("/proc/self/ns/time", &ours) < 0 || theirs.st_ino == ours.st_ino)
                return 0;
        if (save_read_proc(save->init, "timens_offsets", &text) < 0)
                return 0;
        p = strstr(text, "monotonic");
        if (p && sscanf(p, "monotonic %" SCNd64 " %" SCNd64, &sec, &nsec) == 2)
                clocks->monotonic_ns += sec * 1000000000 + nsec;
        p = strstr(text, "boottime");
        if (p && sscanf(p, "boottime %" SCNd64 " %" SCNd64, &sec, &nsec) == 2)
                clocks->boottime_ns += sec * 1000000000 + nsec;
        return 0;
}

static int save_records(Save *save) {
        _cleanup_free_ char *records = NULL;
        size_t n;
        int r;

        if (lseek(IMAGER_FD_RECORDS, 0, SEEK_SET) < 0)
                return -errno;
        r = read_full_fd(IMAGER_FD_RECORDS, RECORDS_MAX, &records, &n);
        if (r < 0)
                return r;
        return image_writer_add(&save->writer, records, n, &save->image->kernel, &save->message);
}

/* ---- the order ---- */

static int open_root(Save *save) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/root", (int) save->init);
        save->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (save->root_fd < 0)
                return -errno;
        r = save_read_proc(save->init, "mountinfo", &save->mountinfo);
        return r;
}

static int run(Save *save) {
        int r;

        save->times.begin = save_now();
        save->image = image_new();
        if (!save->image)
                return -ENOMEM;
        if (save->profile->pid_host)
                return save_fail(save, -EOPNOTSUPP, "the sandbox has the host's process ids (\"pid\": \"host\"), which another may have "
                                 "by the time it is restored: \"private\" can be saved");
        r = image_writer_begin(&save->writer, IMAGER_FD_DIRECTORY, save->name, &save->message);
        if (r >= 0)
                r = save_seize(save);
        if (r >= 0)
                r = save_clocks(save);
        if (r >= 0)
                r = save_say(IMAGER_STOPPED, 0, 0, "");
        if (r >= 0)
                r = save_await_go();
        save->times.stopped = save_now();
        if (r >= 0)
                r = open_root(save);
        if (r >= 0)
                r = save_host(save);
        if (r >= 0)
                r = save_records(save);
        if (r >= 0)
                r = save_tasks(save);
        if (r >= 0 && save->n_processes > 0 && save->processes[0].vdso != 0)
                r = save_ipc(save);
        if (r >= 0 && save->n_processes > 0)
                r = save_tmpfs(save);
        if (r >= 0 && save->n_processes > 0)
                r = save_files(save);
        if (r >= 0 && save->n_reasons == 0)
                save->image->cpu.xstate_size = (uint32_t) save->image->processes[0].threads[0].xstate.size;
        save->times.read = save_now();
        if (r >= 0 && save->n_reasons == 0)
                r = save_pages(save);
        save->times.copied = save_now();
        if (r < 0 || save->n_reasons > 0)
                return r;
        if (save->compress > 0)
                save->image->features |= UINT64_C(1) << IMAGE_FEATURE_ZSTD;
        r = image_writer_finish(&save->writer, save->image, &save->message);
        save->times.done = save_now();
        return r;
}

static void say_done(const Save *save) {
        const SaveTimes *times = &save->times;
        uint64_t written = save->image->data.size;
        size_t n_threads = 0;
        char text[1024];

        for (size_t i = 0; i < save->image->n_page_files; i++)
                written += save->image->page_files[i].size;
        for (size_t i = 0; i < save->image->n_processes; i++)
                n_threads += save->image->processes[i].n_threads;
        (void) snprintf(text, sizeof(text),
                        "{\"Processes\":%zu,\"Threads\":%zu,\"Files\":%zu,\"Memory\":%" PRIu64 ",\"Written\":%" PRIu64
                        ",\"StopUSec\":%" PRIu64 ",\"ReadUSec\":%" PRIu64 ",\"CopyUSec\":%" PRIu64 ",\"FinishUSec\":%" PRIu64
                        ",\"TotalUSec\":%" PRIu64 "}",
                        save->image->n_processes, n_threads, save->image->n_files, save->image->memory, written,
                        (times->stopped - times->begin) / 1000, (times->read - times->stopped) / 1000,
                        (times->copied - times->read) / 1000, (times->done - times->copied) / 1000,
                        (times->done - times->begin) / 1000);
        if (save_say(IMAGER_DONE, 0, 0, text) >= 0 && save_await_go() > 0)
                for (size_t i = 0; i < save->n_processes; i++)
                        (void) kill(save->processes[i].pid, SIGKILL);
}

static void save_done(Save *save) {
        image_writer_done(&save->writer);
        for (size_t i = 0; i < save->n_streams; i++)
                image_stream_done(save->streams + i);
        free(save->streams);
        free(save->standard);
        for (size_t i = 0; i < save->n_threads; i++)
                inject_state_done(&save->threads[i].state);
        free(save->threads);
        for (size_t i = 0; i < save->n_processes; i++)
                free(save->processes[i].ranges);
        free(save->processes);
        for (size_t i = 0; i < save->n_objects; i++)
                safe_close(save->objects[i].fd);
        free(save->objects);
        for (size_t i = 0; i < save->n_tmpfs_fds; i++)
                safe_close(save->tmpfs_fds[i]);
        free(save->tmpfs_fds);
        safe_close(save->root_fd);
        image_free(save->image);
        profile_free(save->profile);
        free(save->name);
        free(save->sandbox);
        free(save->document);
        free(save->container);
        free(save->mountinfo);
        free(save->reasons);
        free(save->message);
}

int save_main(void) {
        Save save = { .writer = IMAGE_WRITER_NONE, .root_fd = -EBADF };
        struct utsname uts;
        int r;

        /* Nobody in the sandbox reaches into us. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (uname(&uts) < 0 || !streq(uts.machine, "x86_64"))
                r = save_fail(&save, -EOPNOTSUPP, "sandboxes can be saved on x86-64 only, this is %s", uts.machine);
        else
                r = read_request(&save);
        if (r >= 0)
                r = run(&save);
        if (r >= 0 && save.n_reasons == 0)
                say_done(&save);
        save_release(&save);
        if (r < 0 || save.n_reasons > 0) {
                if (r >= 0)
                        r = -EOPNOTSUPP;
                image_writer_done(&save.writer); /* whoever hears of it finds nothing there */
                /* What was found before an error is of use, too. */
                if (save.message && save.reasons)
                        (void) string_appendf(&save.reasons, "\n%s", save.message);
                (void) save_say(IMAGER_FAILED, r, 0, save.reasons ?: save.message ?: strerror(-r));
        }
        save_done(&save);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
