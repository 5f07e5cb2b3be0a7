/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* While tasks are under the imager's ptrace, no call is received: those that wait for it stop, and are made again
 * afterwards. Calls that the imager makes in tasks are ones that no filter notifies. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <json-c/json.h>

#include "bus-util.h"
#include "image-write.h"
#include "imager.h"
#include "log.h"
#include "protocol.h"
#include "saver.h"
#include "sentry.h"
#include "util.h"

#define NAME_MAX_BYTES 200U
#define COMPRESS_MAX 19
#define MESSAGE_MAX 4000U /* bytes of SaveMessage */
#define FREEZE_DEADLINE_NS (2 * UINT64_C(1000000000))

typedef struct SaveOptions {
        const char *name;
        bool leave_running;
        bool tcp_reset;
        int compress;
        int lifeline_fd; /* the message's; -EBADF: none */
} SaveOptions;

static const char *save_status_to_string(SaveStatus status) {
        static const char *const names[_SAVE_STATUS_MAX] = {
                [SAVE_NEVER] = "never",
                [SAVE_SAVING] = "saving",
                [SAVE_SAVED] = "saved",
                [SAVE_FAILED] = "failed",
        };

        return names[status];
}

void saver_init(Saver *saver, Sentry *sentry) {
        *saver = (Saver) { .sentry = sentry, .directory_fd = -EBADF, .control_fd = -EBADF, .records_fd = -EBADF, .pidfd = -EBADF,
                            .lifeline_fd = -EBADF };
}

static void forget(Saver *saver) {
        saver->source = sd_event_source_disable_unref(saver->source);
        saver->lifeline_source = sd_event_source_disable_unref(saver->lifeline_source);
        saver->lifeline_fd = safe_close(saver->lifeline_fd);
        saver->directory_fd = safe_close(saver->directory_fd);
        saver->control_fd = safe_close(saver->control_fd);
        saver->records_fd = safe_close(saver->records_fd);
        saver->pidfd = safe_close(saver->pidfd);
        saver->call = sd_bus_message_unref(saver->call);
        saver->reply = sd_bus_message_unref(saver->reply);
        free(TAKE_PTR(saver->name));
        saver->pid = 0;
        saver->clocks_stopped = saver->answered = saver->ending = saver->taken_back = false;
}

void saver_done(Saver *saver) {
        /* The imager finds us gone, and lets all tasks go. */
        forget(saver);
        free(TAKE_PTR(saver->message));
}

bool saver_is_child(const Saver *saver, pid_t pid) {
        return saver->pid != 0 && pid == saver->pid;
}

/* Not more than the manager takes. */
static char *first_lines(const char *text) {
        size_t n = strlen(text);

        if (n > MESSAGE_MAX) {
                n = MESSAGE_MAX;
                while (n > 0 && text[n] != '\n')
                        n--;
        }
        return strndup(text, n);
}

static void set_status(Saver *saver, SaveStatus status, const char *message) {
        saver->status = status;
        free(saver->message);
        saver->message = message ? first_lines(message) : NULL;
        kernel_dbus_changed(saver->sentry, "SaveStatus", "SaveMessage", NULL);
}

static void reply_failed(Saver *saver, int error, const char *text) {
        const char *name = saver->sentry->name;

        set_status(saver, SAVE_FAILED, text);
        log_warning("%s: could not be saved: %s", name, text);
        if (!saver->call)
                return;
        (void) sd_bus_message_new_method_errorf(saver->call, &saver->reply,
                                                error == -EOPNOTSUPP ? BUS_ERROR_CANNOT_SAVE : BUS_ERROR_SAVE_FAILED,
                                                "Sandbox \"%s\" was not saved and runs on:\n%s", name, text);
        saver->call = sd_bus_message_unref(saver->call);
}

/* Stops everything, so that every parked call is given back to its task. A save counts as one of those who freeze. */
static int begin(Saver *saver, char **ret_message) {
        Sentry *sentry = saver->sentry;
        int r;

        r = sentry_freeze(sentry, ret_message);
        if (r < 0)
                return r;
        /* Only one can trace a task. What happens until the imager does is nothing to us, as calls are not received. */
        if (sentry->freezer.frozen_by == &freezer_ptrace)
                freezer_thaw(&sentry->freezer);
        return 0;
}

/* The imager has all tasks: those of a frozen control group stop when it thaws, before their next instruction. */
static void seized(Saver *saver) {
        if (saver->sentry->freezer.frozen_by)
                freezer_thaw(&saver->sentry->freezer);
}

static void freeze_again(Saver *saver) {
        _cleanup_free_ char *message = NULL;
        Sentry *sentry = saver->sentry;
        int r;

        if (sentry->freezer.frozen_by)
                return;
        r = freezer_freeze(&sentry->freezer, kernel_now(sentry->kernel) + FREEZE_DEADLINE_NS, &message);
        if (r < 0)
                log_error("%s: is paused and runs on after it was saved: %s", sentry->name, message ?: strerror(-r));
}

/* The tasks are their own again. */
static void resume(Saver *saver) {
        Sentry *sentry = saver->sentry;

        if (saver->clocks_stopped)
                timekeeper_resume(&sentry->kernel->timekeeper);
        saver->clocks_stopped = false;
        if (--sentry->freeze_depth > 0) {
                if (!saver->ending)
                        freeze_again(saver);
                return;
        }
        if (sentry->freezer.frozen_by)
                freezer_thaw(&sentry->freezer);
        sentry->notifier.receiving = true;
        sentry->notifier.rearm = true;
        if (sentry->state == SENTRY_RUNNING)
                launch_server_resumed(sentry);
}

static void finish(Saver *saver) {
        _cleanup_bus_message_ sd_bus_message *reply = TAKE_PTR(saver->reply);

        resume(saver);
        forget(saver);
        if (reply)
                (void) sd_bus_send(NULL, reply, NULL);
}

static void say_go(Saver *saver) {
        const ImagerMessage message = { .version = IMAGER_PROTOCOL_VERSION, .type = IMAGER_GO, .values = { saver->ending } };

        (void) send(saver->control_fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* All tasks have stopped: what the emulated kernel knows of them is written down. */
static int write_records(Saver *saver) {
        Sentry *sentry = saver->sentry;
        Record record;
        int r;

        r = task_table_sync(&sentry->kernel->tasks);
        if (r < 0)
                return r;
        timekeeper_pause(&sentry->kernel->timekeeper);
        saver->clocks_stopped = true;
        record_init_write(&record);
        r = kernel_image(sentry->kernel, &record);
        for (size_t done = 0; r >= 0 && done < record.size;) {
                ssize_t n = write(saver->records_fd, record.data + done, record.size - done);

                if (n <= 0)
                        r = n < 0 ? -errno : -EIO;
                else
                        done += (size_t) n;
        }
        record_done(&record);
        return r;
}

static int append_statistics(sd_bus_message *reply, const char *text) {
        _cleanup_json_ json_object *statistics = json_tokener_parse(text);
        int r;

        r = sd_bus_message_open_container(reply, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r >= 0 && json_object_is_type(statistics, json_type_object)) {
                json_object_object_foreach(statistics, key, value) {
                        r = sd_bus_message_append(reply, "{sv}", key, "t", (uint64_t) json_object_get_int64(value));
                        if (r < 0)
                                break;
                }
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void done(Saver *saver, const char *text) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        Sentry *sentry = saver->sentry;

        saver->answered = true;
        set_status(saver, SAVE_SAVED, NULL);
        if (saver->call && sd_bus_message_new_method_return(saver->call, &reply) >= 0 && append_statistics(reply, text) >= 0) {
                /* We may not see the end of the imager of a sandbox that ends. */
                if (saver->leave_running)
                        saver->reply = TAKE_PTR(reply);
                else
                        (void) sd_bus_send(NULL, reply, NULL);
        }
        saver->call = sd_bus_message_unref(saver->call);
        log_info("%s: saved as %s%s", sentry->name, saver->name, saver->leave_running ? "" : ", and ends");
        if (!saver->leave_running) {
                saver->ending = true;
                (void) sentry_kill(sentry, 0);
        } else if (sentry->freeze_depth > 1 && freezer_method(&sentry->freezer) == &freezer_cgroup)
                freeze_again(saver); /* a paused one does not run in between, where a control group can do that */
        say_go(saver);
}

static void on_message(Saver *saver, const ImagerMessage *message, const char *text) {
        Sentry *sentry = saver->sentry;
        int r;

        switch (message->type) {
        case IMAGER_SEIZED:
                seized(saver);
                say_go(saver);
                return;

        case IMAGER_STOPPED:
                r = write_records(saver);
                if (r < 0)
                        log_error("%s: cannot write the records of the kernel: %s", sentry->name, strerror(-r));
                else
                        say_go(saver);
                return;

        case IMAGER_PROGRESS:
                sentry->notifier.rearm = true;
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "SaveProgress", "tt",
                                          (uint64_t) message->values[0], (uint64_t) message->values[1]);
                return;

        case IMAGER_DONE:
                done(saver, text);
                return;

        case IMAGER_FAILED:
                saver->answered = true;
                reply_failed(saver, (int) message->values[0], text);
                return;
        }
}

static int on_control(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        static union {
                ImagerMessage message;
                char space[sizeof(ImagerMessage) + IMAGER_TEXT_MAX];
        } u;
        Saver *saver = userdata;
        ssize_t n;

        (void) source, (void) revents;
        saver->sentry->notifier.rearm = true;
        n = recv(fd, &u, sizeof(u) - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n >= (ssize_t) sizeof(ImagerMessage) && u.message.version == IMAGER_PROTOCOL_VERSION) {
                u.space[n] = '\0';
                (void) bus_text(u.message.text);
                on_message(saver, &u.message, u.message.text);
                return 0;
        }

        /* It is gone, or about to be. */
        (void) syscall(SYS_pidfd_send_signal, saver->pidfd, SIGKILL, NULL, 0);
        (void) poll(&(struct pollfd) { .fd = saver->pidfd, .events = POLLIN }, 1, 1000);
        if (!saver->answered) {
                image_writer_clean(saver->directory_fd, saver->name);
                reply_failed(saver, -ECONNRESET, saver->taken_back ? "who asked for it has gone, or taken it back" :
                                                                     "sentry-imager, which saves it, died in the middle");
        }
        finish(saver);
        return 0;
}

/* Whoever asked for the save closed the other end, or died. The imager lets all tasks go when it dies; what it wrote is
 * removed then. */
static int on_lifeline(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Saver *saver = userdata;

        (void) fd, (void) revents;
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        saver->sentry->notifier.rearm = true;
        if (saver->answered)
                return 0;
        saver->taken_back = true;
        (void) syscall(SYS_pidfd_send_signal, saver->pidfd, SIGKILL, NULL, 0);
        return 0;
}

/* Of all programs that were run: the first one's first. */
static json_object *streams_of(const Sentry *sentry) {
        json_object *array = json_object_new_array();
        const Launch *launch;

        for (unsigned first = 2; array && first-- > 0;)
                LIST_FOREACH(launch, &sentry->launches, link)
                        for (size_t i = 0; launch->is_first == first && i < ELEMENTSOF(launch->streams); i++)
                                (void) json_object_array_add(array, json_object_new_uint64(launch->streams[i]));
        return array;
}

static int make_request(Saver *saver, const SaveOptions *options, int *ret) {
        _cleanup_json_ json_object *request = json_object_new_object();
        const Sentry *sentry = saver->sentry;
        _cleanup_close_ int fd = -EBADF;
        const char *text;
        Launch *launch;
        const char *container = "";

        if (!request)
                return -ENOMEM;
        LIST_FOREACH(launch, &sentry->launches, link)
                if (launch->is_first)
                        container = launch->container;
        (void) json_object_object_add(request, "name", json_object_new_string(options->name));
        (void) json_object_object_add(request, "sandbox", json_object_new_string(sentry->name));
        (void) json_object_object_add(request, "profile", json_object_new_string(sentry->document));
        (void) json_object_object_add(request, "container", json_object_new_string(container));
        (void) json_object_object_add(request, "streams", streams_of(sentry));
        (void) json_object_object_add(request, "init", json_object_new_int64(sentry->init_pid));
        (void) json_object_object_add(request, "compress", json_object_new_int64(options->compress));
        (void) json_object_object_add(request, "tcpReset", json_object_new_int(options->tcp_reset));
        (void) json_object_object_add(request, "walls", json_object_new_int64(sentry->walls));
        (void) json_object_object_add(request, "started", json_object_new_int64((int64_t) sentry->started_usec));
        text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
        fd = memfd_create("request", MFD_CLOEXEC);
        if (!text || fd < 0)
                return text ? -errno : -ENOMEM;
        if (write(fd, text, strlen(text)) != (ssize_t) strlen(text))
                return -EIO;
        *ret = TAKE_FD(fd);
        return 0;
}

static int start(Saver *saver, const SaveOptions *options) {
        Sentry *sentry = saver->sentry;
        _cleanup_close_ int request = -EBADF, theirs = -EBADF;
        int ends[2], r;

        r = make_request(saver, options, &request);
        if (r < 0)
                return r;
        saver->records_fd = memfd_create("records", MFD_CLOEXEC);
        if (saver->records_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        saver->control_fd = ends[0];
        theirs = ends[1];
        {
                const int fds[] = {
                        [IMAGER_FD_CONTROL - IMAGER_FD_CONTROL] = theirs,
                        [IMAGER_FD_REQUEST - IMAGER_FD_CONTROL] = request,
                        [IMAGER_FD_DIRECTORY - IMAGER_FD_CONTROL] = saver->directory_fd,
                        [IMAGER_FD_PROC - IMAGER_FD_CONTROL] = sentry->host.proc_fd,
                        [IMAGER_FD_PID_NS - IMAGER_FD_CONTROL] = sentry->host.pid_ns_fd,
                        [IMAGER_FD_RECORDS - IMAGER_FD_CONTROL] = saver->records_fd,
                        [IMAGER_FD_MQUEUE - IMAGER_FD_CONTROL] = sentry->host.mqueue_fd >= 0 ? sentry->host.mqueue_fd : sentry->host.pid_ns_fd,
                        [IMAGER_FD_SOCK_DIAG - IMAGER_FD_CONTROL] = sentry->host.sock_diag_fd >= 0 ? sentry->host.sock_diag_fd
                                                                                                    : sentry->host.pid_ns_fd,
                };

                r = imager_spawn(sentry, "save", false, fds, ELEMENTSOF(fds), &saver->pid, &saver->pidfd);
        }
        if (r < 0)
                return r;
        r = sd_event_add_io(sentry->event, &saver->source, saver->control_fd, EPOLLIN, on_control, saver);
        if (r >= 0 && saver->lifeline_fd >= 0) /* without events: hangups always come */
                r = sd_event_add_io(sentry->event, &saver->lifeline_source, saver->lifeline_fd, 0, on_lifeline, saver);
        return r;
}

/* ---- on the bus ---- */

static bool can_hang_up(int fd) {
        struct stat st;

        return fstat(fd, &st) >= 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int read_option(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error) {
        SaveOptions *options = userdata;
        const char *text;
        int number, r;

        if (streq(key, "name"))
                return sd_bus_message_read(m, "v", "s", &options->name);
        if (streq(key, "leaveRunning")) {
                r = sd_bus_message_read(m, "v", "b", &number);
                options->leave_running = number;
                return r;
        }
        if (streq(key, "compress")) {
                r = sd_bus_message_read(m, "v", "i", &options->compress);
                if (r >= 0 && (options->compress < 0 || options->compress > COMPRESS_MAX))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Compression level %d is not possible, allowed "
                                                 "are 0 (none) to %d.", options->compress, COMPRESS_MAX);
                return r;
        }
        if (streq(key, "tcp")) {
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r >= 0 && !streq(text, "refuse") && !streq(text, "reset"))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "TCP connections to the outside cannot be saved as "
                                                 "\"%s\", allowed are \"refuse\" and \"reset\".", text);
                options->tcp_reset = r >= 0 && streq(text, "reset");
                return r;
        }
        if (streq(key, "lifeline")) {
                r = sd_bus_message_read(m, "v", "h", &options->lifeline_fd);
                if (r >= 0 && !can_hang_up(options->lifeline_fd))
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The option \"lifeline\" of Save must be a pipe or "
                                                "a socket, whose other end the caller has.");
                return r;
        }
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown option \"%s\" of Save, known are \"name\", "
                                 "\"leaveRunning\", \"compress\", \"tcp\" and \"lifeline\".", key);
}

static int start_error(Saver *saver, int r, const char *message, sd_bus_error *error) {
        const char *name = saver->sentry->name;

        if (r == -ESRCH)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING, "Sandbox \"%s\" is %s, this needs one that is running or paused.",
                                         name, sentry_state_to_string(saver->sentry->state));
        if (r == -ENOEXEC)
                message = "there is no sentry-imager beside sentry-kernel: is sentryd installed as a whole?";
        set_status(saver, SAVE_FAILED, message ?: strerror(-r));
        return sd_bus_error_setf(error, BUS_ERROR_SAVE_FAILED, "Sandbox \"%s\" was not saved and runs on:\n%s", name,
                                 message ?: strerror(-r));
}

int kernel_method_save(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *message = NULL;
        Sentry *sentry = userdata;
        Saver *saver = &sentry->saver;
        SaveOptions options = { .lifeline_fd = -EBADF };
        int fd, r;

        r = sd_bus_message_read(m, "h", &fd);
        if (r >= 0)
                r = bus_read_options(m, read_option, &options, error);
        if (r < 0)
                return r;
        if (!options.name || !*options.name || options.name[0] == '.' || strchr(options.name, '/') ||
            strlen(options.name) > NAME_MAX_BYTES)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Save needs the option \"name\", what the image will be called in the directory: 1 to %u bytes "
                                         "without '/', not starting with '.'.", NAME_MAX_BYTES);
        if (saver_is_busy(saver))
                return sd_bus_error_setf(error, BUS_ERROR_SAVE_FAILED, "Sandbox \"%s\" is being saved already.", sentry->name);
        r = begin(saver, &message);
        if (r < 0)
                return start_error(saver, r, message, error);

        saver->name = strdup(options.name);
        saver->leave_running = options.leave_running;
        saver->directory_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        r = !saver->name ? -ENOMEM : saver->directory_fd < 0 ? -errno : 0;
        if (r >= 0 && options.lifeline_fd >= 0) {
                saver->lifeline_fd = fcntl(options.lifeline_fd, F_DUPFD_CLOEXEC, 3);
                r = saver->lifeline_fd < 0 ? -errno : 0;
        }
        if (r >= 0)
                r = start(saver, &options);
        if (r < 0) {
                if (saver->pidfd >= 0)
                        (void) syscall(SYS_pidfd_send_signal, saver->pidfd, SIGKILL, NULL, 0);
                finish(saver);
                return start_error(saver, r, NULL, error);
        }
        saver->call = sd_bus_message_ref(m);
        set_status(saver, SAVE_SAVING, NULL);
        return 1;
}

int kernel_property_save(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;

        return sd_bus_message_append(reply, "s", streq(property, "SaveStatus") ? save_status_to_string(sentry->saver.status)
                                                                                : sentry->saver.message ?: "");
}
