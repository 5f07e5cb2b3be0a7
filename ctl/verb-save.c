/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* save: a sandbox becomes a directory. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "connect.h"
#include "sandboxes.h"
#include "text.h"
#include "util.h"

enum {
        OPTION_LEAVE_RUNNING = OPTION_FIRST,
        OPTION_COMPRESS,
        OPTION_TCP,
};

#define COMPRESS_DEFAULT 3
#define COMPRESS_MAX 19
#define MIB (1024.0 * 1024.0)
#define FOLLOW_USEC UINT64_C(1000000) /* how often is looked whether a sandbox is still there */

typedef struct SaveProgress {
        Ctl *ctl;
        bool shown;            /* on a terminal */
        bool any;              /* a line stands there, not ended */
        struct timespec start;
        sd_bus_message *reply; /* owned; NULL: none, as the daemon went away */
        bool answered;
} SaveProgress;

static double seconds_since(const struct timespec *start) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) (now.tv_sec - start->tv_sec) + (double) (now.tv_nsec - start->tv_nsec) / 1e9;
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SaveProgress *progress = userdata;
        uint64_t done, total;
        double seconds = seconds_since(&progress->start);

        (void) error;
        if (!progress->shown || sd_bus_message_read(m, "tt", &done, &total) < 0 || total == 0 || done > total)
                return 0;
        (void) fprintf(stderr, "\r%3u %%  %.0f of %.0f MiB, %.0f MiB/s ", (unsigned) (done * 100 / total), (double) done / MIB,
                       (double) total / MIB, seconds > 0 ? (double) done / MIB / seconds : 0);
        progress->any = true;
        return 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SaveProgress *progress = userdata;

        (void) error;
        progress->reply = sd_bus_message_ref(m);
        progress->answered = true;
        return 0;
}

/* Sends the call and shows how far it is until the answer comes. Returns an error of the connection, not told. */
static int await_reply(SaveProgress *progress, sd_bus_message *call) {
        Ctl *ctl = progress->ctl;
        int r;

        progress->reply = sd_bus_message_unref(progress->reply);
        progress->answered = false;
        r = sd_bus_call_async(ctl->bus, NULL, call, on_reply, progress, UINT64_MAX);
        while (r >= 0 && !progress->answered) {
                r = sd_bus_process(ctl->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(ctl->bus, UINT64_MAX);
        }
        if (progress->any)
                (void) fputs("\r\033[K", stderr);
        progress->any = false;
        return r;
}

static int get_string(Ctl *ctl, const char *path, const char *property, sd_bus_error *error, char **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        const char *text;
        int r;

        r = ctl_new_call(ctl, path, BUS_PROPERTIES_INTERFACE, "Get", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", BUS_SANDBOX_INTERFACE, property);
        if (r >= 0)
                r = ctl_send(ctl, call, 0, error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "v", "s", &text);
        if (r < 0)
                return r;
        return (*ret = strdup(text)) ? 0 : -ENOMEM;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        bool *changed = userdata;

        (void) m, (void) error;
        *changed = true;
        return 0;
}

/* Waits until no save of the sandbox is under way. 1: its last one failed, and was told; 0: it did not, or the sandbox is
 * gone. Its sentry-kernel goes on with a save while there is no manager, and says so to the next one. */
static int follow(SaveProgress *progress, const char *path) {
        Ctl *ctl = progress->ctl;

        for (;;) {
                _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL, *progress_slot = NULL;
                _cleanup_free_ char *status = NULL, *message = NULL;
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                bool changed = false;
                int r;

                if (ctl_reconnect(ctl) < 0)
                        return ctl_error("%s went away in the middle of the save, and has not come back", ctl_daemon_name(ctl));
                r = sd_bus_match_signal(ctl->bus, &slot, ctl_sender(ctl), path, BUS_PROPERTIES_INTERFACE, "PropertiesChanged", on_change,
                                        &changed);
                if (r >= 0)
                        r = sd_bus_match_signal(ctl->bus, &progress_slot, ctl_sender(ctl), path, BUS_SANDBOX_INTERFACE, "SaveProgress",
                                                on_progress, progress);
                if (r < 0)
                        return ctl_error("cannot listen to %s: %s", ctl_daemon_name(ctl), strerror(-r));
                r = get_string(ctl, path, "SaveStatus", &error, &status);
                if (r < 0) {
                        if (progress->any)
                                (void) fputs("\r\033[K", stderr);
                        return 0;
                }
                if (streq(status, "failed") && get_string(ctl, path, "SaveMessage", &error, &message) >= 0)
                        (void) ctl_error("it was not saved and runs on:\n%s", message);
                if (!streq(status, "saving")) {
                        if (progress->any)
                                (void) fputs("\r\033[K", stderr);
                        progress->any = false;
                        return message != NULL;
                }
                while (!changed && r >= 0) {
                        r = sd_bus_process(ctl->bus, NULL);
                        if (r == 0)
                                r = sd_bus_wait(ctl->bus, FOLLOW_USEC);
                        if (r == 0)
                                break; /* the sandbox may be gone */
                }
        }
}

/* Saves. 0 with the answer in progress->reply, or none when the daemon that would have given it is gone but the image is
 * there; or CTL_FAILED, told. */
static int save_call(SaveProgress *progress, const char *path, sd_bus_message *call, int parent_fd, const char *name) {
        _cleanup_bus_message_ sd_bus_message *again = NULL;
        Ctl *ctl = progress->ctl;
        const sd_bus_error *error;
        int r;

        r = sd_bus_match_signal(ctl->bus, NULL, ctl_sender(ctl), path, BUS_SANDBOX_INTERFACE, "SaveProgress", on_progress, progress);
        if (r >= 0)
                r = await_reply(progress, call);
        if (r >= 0 && ctl_may_ask(ctl, sd_bus_message_get_error(progress->reply))) {
                r = ctl_ask_again(ctl, call, &again);
                if (r >= 0)
                        r = await_reply(progress, again);
        }
        error = r >= 0 ? sd_bus_message_get_error(progress->reply) : NULL;
        if (r >= 0 && !error)
                return 0;
        if (!ctl_is_orphaned(ctl, r, error))
                return r < 0 ? ctl_error("the connection to %s broke: %s", ctl_daemon_name(ctl), strerror(-r)) :
                               ctl_error("%s", bus_error_message(error, EIO));

        progress->reply = sd_bus_message_unref(progress->reply);
        r = follow(progress, path);
        if (r != 0)
                return CTL_FAILED;
        if (faccessat(parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return ctl_error("%s went away in the middle of the save, and nothing was saved: try again", ctl_daemon_name(ctl));
        return 0;
}

static int read_statistics(sd_bus_message *reply, json_object **ret) {
        _cleanup_json_ json_object *statistics = json_object_new_object();
        const char *key;
        uint64_t value;
        int r;

        if (!statistics)
                return -ENOMEM;
        r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read(reply, "s", &key);
                if (r >= 0 && sd_bus_message_read(reply, "v", "t", &value) < 0)
                        r = sd_bus_message_skip(reply, "v");
                else if (r >= 0)
                        (void) json_object_object_add(statistics, key, json_object_new_uint64(value));
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(statistics);
        return 0;
}

static uint64_t statistic(json_object *statistics, const char *key) {
        json_object *value;

        return json_object_object_get_ex(statistics, key, &value) ? json_object_get_uint64(value) : 0;
}

static int show_result(Ctl *ctl, const char *name, const char *directory, bool leave_running, sd_bus_message *reply) {
        _cleanup_json_ json_object *statistics = NULL;
        int r;

        if (!reply) {
                ctl_notice(ctl, "%s was saved to %s, while %s was replaced%s.", name, directory, ctl_daemon_name(ctl),
                           leave_running ? "; it runs on" : "");
                return 0;
        }
        r = read_statistics(reply, &statistics);
        if (r < 0)
                return ctl_bad_reply("Save", r);
        if (ctl->json != JSON_OFF) {
                puts(json_object_to_json_string_ext(statistics, ctl->json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                                                                         : JSON_C_TO_STRING_PLAIN));
                return 0;
        }
        ctl_notice(ctl, "%s was saved to %s: %" PRIu64 " process%s, %.1f MiB of memory, %.1f MiB written, %.3f s%s.", name, directory,
                   statistic(statistics, "Processes"), statistic(statistics, "Processes") == 1 ? "" : "es",
                   (double) statistic(statistics, "Memory") / MIB, (double) statistic(statistics, "Written") / MIB,
                   (double) statistic(statistics, "TotalUSec") / 1e6, leave_running ? "; it runs on" : "");
        return 0;
}

/* The directory that an image will lie in, and what it will be called there. */
static int open_parent(Ctl *ctl, const char *directory, int *ret_fd, char **ret_name) {
        _cleanup_free_ char *copy = strdup(directory), *copy2 = strdup(directory), *name = NULL;
        const char *parent;
        int fd;

        if (!copy || !copy2)
                return ctl_oom();
        name = strdup(basename(copy));
        parent = dirname(copy2);
        if (!name)
                return ctl_oom();
        if (streq(name, "/") || name[0] == '.')
                return ctl_usage(ctl, "an image cannot be called '%s': it is a directory that is made, and does not start with '.'", name);
        fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return ctl_error("%s: %s: the directory in which the image will lie must be there", parent, strerror(errno));
        if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0) {
                safe_close(fd);
                return ctl_error("%s is there already: an image is a new directory, choose another name or remove it", directory);
        }
        *ret_fd = fd;
        *ret_name = TAKE_PTR(name);
        return 0;
}

/* lifeline: the end of a pipe; our death, which closes the other one, is the end of the save. */
static int append_options(sd_bus_message *call, int fd, const char *name, bool leave_running, int compress, const char *tcp,
                          int lifeline) {
        int r;

        r = sd_bus_message_append(call, "h", fd);
        if (r >= 0)
                r = sd_bus_message_open_container(call, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(call, "{sv}", "name", "s", name);
        if (r >= 0 && leave_running)
                r = sd_bus_message_append(call, "{sv}", "leaveRunning", "b", 1);
        if (r >= 0 && compress > 0)
                r = sd_bus_message_append(call, "{sv}", "compress", "i", compress);
        if (r >= 0 && tcp)
                r = sd_bus_message_append(call, "{sv}", "tcp", "s", tcp);
        if (r >= 0)
                r = sd_bus_message_append(call, "{sv}", "lifeline", "h", lifeline);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int verb_save_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        SaveProgress progress = { .ctl = ctl };
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_free_ char *path = NULL, *name = NULL;
        _cleanup_close_ int fd = -EBADF, lifeline = -EBADF, held = -EBADF;
        const char *tcp = NULL;
        bool leave_running = false;
        int id, r, compress = 0, ends[2];

        while ((id = options_next(&parser)) > 0)
                switch (id) {
                case OPTION_LEAVE_RUNNING:
                        leave_running = true;
                        break;
                case OPTION_COMPRESS:
                        compress = COMPRESS_DEFAULT;
                        if (parser.value && (safe_atoi(parser.value, &compress) < 0 || compress < 1 || compress > COMPRESS_MAX))
                                return ctl_usage(ctl, "--compress takes a level from 1 (quick) to %d (small), not '%s'", COMPRESS_MAX,
                                                 parser.value);
                        break;
                case OPTION_TCP:
                        tcp = parser.value;
                        if (!streq(tcp, "refuse") && !streq(tcp, "reset"))
                                return ctl_usage(ctl, "--tcp takes \"refuse\" or \"reset\", what becomes of connections to the outside, not '%s'",
                                                 tcp);
                        break;
                }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 2, 2);
        if (r < 0)
                return r;

        r = sandbox_find(ctl, argv[parser.index], NULL, &path);
        if (r >= 0)
                r = open_parent(ctl, argv[parser.index + 1], &fd, &name);
        if (r < 0)
                return r;
        r = ctl_new_call(ctl, path, BUS_SANDBOX_INTERFACE, "Save", &call);
        if (r < 0)
                return CTL_FAILED;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return ctl_error("cannot make a pipe: %s", strerror(errno));
        lifeline = ends[0];
        held = ends[1];
        r = append_options(call, fd, name, leave_running, compress, tcp, lifeline);
        if (r < 0)
                return ctl_error("cannot make the call: %s", strerror(-r));
        progress.shown = isatty(STDERR_FILENO) && !ctl->quiet;
        (void) clock_gettime(CLOCK_MONOTONIC, &progress.start);
        r = save_call(&progress, path, call, fd, name);
        if (r >= 0)
                r = show_result(ctl, argv[parser.index], argv[parser.index + 1], leave_running, progress.reply);
        sd_bus_message_unref(progress.reply);
        return r;
}

const Verb verb_save = {
        .name = "save",
        .arguments = "NAME DIR",
        .summary = "Write a sandbox to a new directory, and end it",
        .details = "The directory DIR is made; it is there when all of it is written, and not before. What cannot be saved\n"
                   "is said, and the sandbox runs on, as it does when you interrupt this. `sentryctl image` shows what was\n"
                   "saved.\n\n"
                   "Example:\n"
                   "  sentryctl save --leave-running web /var/tmp/web.image\n",
        .options = (const Option[]) {
                { OPTION_LEAVE_RUNNING, "leave-running", 0, NULL, false, "Let the sandbox run on afterwards" },
                { OPTION_COMPRESS, "compress", 0, "LEVEL", true, "Compress memory, 1 to 19 (3 if no level is given)" },
                { OPTION_TCP, "tcp", 0, "WHAT", false, "TCP connections to the outside: refuse (default) or reset" },
                {},
        },
        .run = verb_save_main,
};
