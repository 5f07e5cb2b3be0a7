/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which daemon to talk to, and talking to it. */

#include <dirent.h>
#include <poll.h>
#include <sys/random.h>
#include <time.h>

#include "agent.h"
#include "connect.h"
#include "embedded.h"
#include "progress.h"
#include "runtime-dir.h"
#include "systemd.h"
#include "util.h"

#define EMBEDDED_TRIES 3U
#define BACK_USEC UINT64_C(10000000) /* how long a daemon that went away may take to come back */
#define ORPHANS_USEC UINT64_C(3000000) /* the same, where no service manager says that it will */
#define INTERACTIVE_USEC (330U * UINT64_C(1000000)) /* more than sentryd gives polkit for asking a person */
#define QUICK_USEC UINT64_C(1000000)     /* a daemon that goes away after less than that … */
#define QUICK_FREE 200U                  /* … so often in a row is asked again at once, then a moment later … */
#define QUICK_PAUSE_MSEC 100U            /* … of up to that … */
#define QUICK_ALL_USEC UINT64_C(30000000)    /* … for so long, when an answer was due by now … */
#define QUICK_WAIT_USEC UINT64_C(600000000)  /* … or for so long, when it may come at any time */
#define UNIT_NAME "sentryd.service"
#define DRIVER_NAME "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

const char *ctl_daemon_name(const Ctl *ctl) {
        if (ctl->peer)
                return "the embedded sentryd";
        return ctl->daemon == DAEMON_USER || (ctl->daemon == DAEMON_AUTO && geteuid() != 0) ? "the user's sentryd" :
                                                                                                "the system's sentryd";
}

/* 1: somebody owns our name; 0: nobody. */
static int name_has_owner(sd_bus *bus) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        int r, owned;

        r = sd_bus_call_method(bus, DRIVER_NAME, DRIVER_PATH, DRIVER_NAME, "NameHasOwner", NULL, &reply, "s",
                               BUS_NAME);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "b", &owned);
        return r < 0 ? r : owned;
}

static uint64_t now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* Waits on a bus for somebody to own our name: 1, or 0 at the deadline. */
static int await_owner(sd_bus *bus, uint64_t deadline) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        uint64_t now;
        int r;

        /* Messages are of no interest, but that there are some. */
        r = sd_bus_match_signal(bus, &slot, DRIVER_NAME, DRIVER_PATH, DRIVER_NAME, "NameOwnerChanged", NULL, NULL);
        while (r >= 0) {
                r = name_has_owner(bus);
                if (r != 0)
                        return r;
                now = now_usec();
                if (now >= deadline)
                        return 0;
                r = sd_bus_wait(bus, deadline - now);
                while (r >= 0 && (r = sd_bus_process(bus, NULL)) > 0)
                        ;
        }
        return r;
}

/* Nobody owns our name, but the service manager is about to see to it: a daemon that has died is started again. */
static bool is_coming_back(sd_bus *bus) {
        _cleanup_free_ char *path = NULL, *state = NULL;

        if (systemd_load_unit(bus, UNIT_NAME, &path, NULL) < 0 ||
            systemd_get_string(bus, path, SYSTEMD_UNIT_INTERFACE, "ActiveState", &state) < 0)
                return false;
        return streq(state, "active") || streq(state, "activating") || streq(state, "reloading");
}

/* Nobody owns our name, but there are sandboxes: somebody who is no unit may start a daemon for them again. */
static bool has_sandboxes(bool user) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(closedirp) DIR *directory = NULL;
        const struct dirent *entry;

        if (user ? runtime_dir_of_user(&path) < 0 || string_appendf(&path, "/user/sandboxes") < 0 :
                   string_appendf(&path, "/run/sentryd/sandboxes") < 0)
                return false;
        directory = opendir(path);
        while (directory && (entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        return true;
        return false;
}

/* Tries the instance on the system bus or on the user's. Returns 1 with ctl->bus set, 0 when it is not there, or
 * CTL_FAILED. Only what was asked for explicitly is an error when it is not there. */
static int connect_bus(Ctl *ctl, bool user, ConnectMode mode) {
        bool explicit = ctl->daemon != DAEMON_AUTO && mode != CONNECT_RUNNING;
        _cleanup_bus_close_ sd_bus *bus = NULL;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
        if (r >= 0)
                r = name_has_owner(bus);
        if (r < 0)
                return !explicit ? 0 :
                                   ctl_error("cannot reach the %s bus: %s", user ? "user's" : "system", strerror(-r));

        if (r == 0 && mode != CONNECT_START) {
                uint64_t usec = is_coming_back(bus) ? BACK_USEC : has_sandboxes(user) ? ORPHANS_USEC : 0;

                r = usec > 0 ? await_owner(bus, now_usec() + usec) : 0;
                if (r < 0)
                        return ctl_error("cannot wait for %s: %s", ctl_daemon_name(ctl), strerror(-r));
        }
        if (r == 0 && mode == CONNECT_START) {
                r = sd_bus_call_method(bus, DRIVER_NAME, DRIVER_PATH, DRIVER_NAME, "StartServiceByName", &error, NULL,
                                       "su", BUS_NAME, (uint32_t) 0);
                if (r < 0 && explicit)
                        return ctl_error("%s cannot be started: %s", ctl_daemon_name(ctl),
                                         bus_error_message(&error, r));
                if (r < 0 && !sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN))
                        ctl_notice(ctl, "%s cannot be started (%s): using an embedded one.", ctl_daemon_name(ctl),
                                   bus_error_message(&error, r));
                r = r >= 0;
        }
        if (r == 0)
                return explicit ? ctl_error("%s is not running", ctl_daemon_name(ctl)) : 0;

        ctl->bus = TAKE_PTR(bus);
        ctl->peer = false;
        return 1;
}

/* Speaks D-Bus on a connected socket, and makes sure that somebody answers. -ECONNRESET when the daemon ended before
 * it came to us. */
static int attach(int fd, sd_bus **ret) {
        _cleanup_bus_close_ sd_bus *bus = NULL;
        int r;

        r = bus_peer_new(fd, false, "sentryd", &bus);
        if (r < 0) {
                (void) safe_close(fd);
                return r;
        }
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        /* Once it has accepted us it does not end while we are here. */
        r = sd_bus_call_method(bus, NULL, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static bool is_lost(int error) {
        return error == -ECONNRESET || error == -EPIPE || error == -ENOTCONN || error == -ECONNABORTED ||
               error == -ESHUTDOWN || error == -ECONNREFUSED;
}

/* The embedded daemon's last words, when it said anything short. */
static void show_log(void) {
        _cleanup_free_ char *file = embedded_log(), *text = NULL;
        size_t size;

        if (!file)
                return;
        if (read_full_file(file, 4096, &text, &size) >= 0 && size > 0)
                (void) ctl_error("%s", text);
        else
                (void) ctl_error("what it says is in %s", file);
}

static int connect_embedded(Ctl *ctl, ConnectMode mode) {
        int fd, r = 0;

        for (unsigned i = 0; i < EMBEDDED_TRIES; i++) {
                fd = embedded_connect(mode == CONNECT_START);
                if (fd == -ENOENT)
                        return 0;
                if (fd < 0)
                        return CTL_FAILED;
                r = attach(fd, &ctl->bus);
                if (r >= 0) {
                        ctl->peer = true;
                        return 1;
                }
                if (!is_lost(r))
                        break;
        }
        if (is_lost(r) && mode != CONNECT_START)
                return 0; /* it was ending */
        (void) ctl_error(is_lost(r) ? "the embedded sentryd ends before it answers" :
                                      "the embedded sentryd does not answer: %s", strerror(-r));
        show_log();
        return CTL_FAILED;
}

int ctl_connect(Ctl *ctl, ConnectMode mode) {
        int r;

        if (ctl->bus)
                return 0;

        r = connect_bus(ctl, ctl->daemon == DAEMON_USER || (ctl->daemon == DAEMON_AUTO && geteuid() != 0), mode);
        if (r == 0 && ctl->daemon == DAEMON_AUTO)
                r = connect_embedded(ctl, mode);
        if (r < 0)
                return r;
        if (r == 0 && mode != CONNECT_RUNNING)
                return ctl_error("no sentryd is running");

        ctl->autostart = mode == CONNECT_START;
        return 0;
}

void ctl_disconnect(Ctl *ctl) {
        ctl->bus = sd_bus_flush_close_unref(ctl->bus);
        agent_stop(ctl->agent);
        ctl->agent = 0;
}

int ctl_new_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
        int r;

        r = sd_bus_message_new_method_call(ctl->bus, ret, ctl_sender(ctl), path, interface, member);
        if (r >= 0 && !ctl->autostart)
                r = sd_bus_message_set_auto_start(*ret, 0);
        if (r < 0)
                (void) ctl_error("cannot call %s: %s", member, strerror(-r));
        return r;
}

int ctl_ask_again(Ctl *ctl, sd_bus_message *call, sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *again = NULL;
        int r;

        r = sd_bus_message_new_method_call(ctl->bus, &again, sd_bus_message_get_destination(call),
                                           sd_bus_message_get_path(call), sd_bus_message_get_interface(call),
                                           sd_bus_message_get_member(call));
        if (r >= 0)
                r = bus_message_copy_body(again, call);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(again, 1);
        if (r < 0)
                return r;

        if (ctl->agent == 0)
                ctl->agent = agent_start();
        *ret = TAKE_PTR(again);
        return 0;
}

bool ctl_may_ask(const Ctl *ctl, const sd_bus_error *error) {
        return ctl->bus && !ctl->peer && agent_can_ask() &&
               sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
}

/* Sends a call that polkit would ask a password for once more, and lets it ask. */
static int send_interactively(Ctl *ctl, sd_bus_message *call, uint64_t timeout_usec, sd_bus_error *error,
                              sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *again = NULL;
        int r;

        r = ctl_ask_again(ctl, call, &again);
        if (r < 0)
                return r;
        sd_bus_error_free(error);
        return sd_bus_call(ctl->bus, again, timeout_usec == UINT64_MAX ? timeout_usec : INTERACTIVE_USEC, error, ret);
}

bool ctl_is_orphaned(const Ctl *ctl, int r, const sd_bus_error *error) {
        if (ctl->peer) /* the name is what sd-bus gives to who does not wait for the answer himself */
                return is_lost(r) || sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
        return sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                      SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

/* Finds the daemon again that has gone away: 0, or CTL_FAILED when there is none. */
static int reconnect(Ctl *ctl, uint64_t deadline) {
        int r;

        if (!ctl->peer && await_owner(ctl->bus, deadline) > 0)
                return 0;
        ctl_disconnect(ctl);
        r = connect_embedded(ctl, ctl->autostart ? CONNECT_START : CONNECT_RUNNING);
        return r > 0 ? 0 : CTL_FAILED;
}

int ctl_reconnect(Ctl *ctl) {
        return reconnect(ctl, now_usec() + BACK_USEC);
}

/* The same call once more, on the connection that there is now. */
static int make_again(Ctl *ctl, sd_bus_message **call) {
        _cleanup_bus_message_ sd_bus_message *again = NULL;
        int r;

        r = ctl_new_call(ctl, sd_bus_message_get_path(*call), sd_bus_message_get_interface(*call),
                         sd_bus_message_get_member(*call), &again);
        if (r < 0)
                return r;
        r = bus_message_copy_body(again, *call);
        if (r == -EPERM) { /* it was not even sent, and only what is sealed can be read */
                r = sd_bus_message_seal(*call, UINT32_MAX, 0);
                if (r >= 0)
                        r = bus_message_copy_body(again, *call);
        }
        if (r < 0)
                return r;
        sd_bus_message_unref(*call);
        *call = TAKE_PTR(again);
        return 0;
}

/* A number by which sentryd knows the call, when it must not be made twice; or 0. */
static uint64_t token_for(sd_bus_message *call) {
        static const char *const members[] = { "Pause", "Resume", "Kill", "Signal", "Start" };
        uint64_t token;

        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (sd_bus_message_is_method_call(call, BUS_SANDBOX_INTERFACE, members[i]) > 0)
                        return getrandom(&token, sizeof(token), 0) == (ssize_t) sizeof(token) ? token : 0;
        return 0;
}

static int send_token(Ctl *ctl, uint64_t token) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "Token", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", token);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, 0);
        return r < 0 ? r : sd_bus_send(ctl->bus, m, NULL);
}

/* Makes a call, and makes it again when the daemon goes away before it answers. */
static int send_until_answered(Ctl *ctl, sd_bus_message **call, uint64_t timeout_usec, sd_bus_error *error,
                               sd_bus_message **ret) {
        uint64_t token = token_for(*call), deadline = 0, began, now, first = 0;
        unsigned n_quick = 0;
        int r;

        for (;;) {
                began = now_usec();
                r = token != 0 ? send_token(ctl, token) : 0;
                if (r >= 0)
                        r = sd_bus_call(ctl->bus, *call, timeout_usec, error, ret);
                if (r >= 0 || !ctl_is_orphaned(ctl, r, error))
                        break;
                ctl->n_lost++;
                now = now_usec();
                if (now - began >= QUICK_USEC)
                        n_quick = 0;
                if (++n_quick == 1)
                        first = began;
                if (now - first > (timeout_usec == UINT64_MAX ? QUICK_WAIT_USEC : QUICK_ALL_USEC))
                        break; /* they die as soon as they are there */
                if (n_quick > QUICK_FREE)
                        (void) poll(NULL, 0, (int) MIN(n_quick - QUICK_FREE, QUICK_PAUSE_MSEC));
                deadline = now + BACK_USEC;
                if (reconnect(ctl, deadline) < 0 || make_again(ctl, call) < 0)
                        break;
                sd_bus_error_free(error);
        }
        /* It ended the first time. */
        if (r < 0 && deadline != 0 && sd_bus_message_is_method_call(*call, BUS_SANDBOX_INTERFACE, "Kill") > 0 &&
            sd_bus_error_has_names(error, BUS_ERROR_NO_SUCH_SANDBOX, BUS_ERROR_NOT_RUNNING)) {
                sd_bus_error_free(error);
                return 0;
        }
        return r;
}

int ctl_send(Ctl *ctl, sd_bus_message *message, uint64_t timeout_usec, sd_bus_error *ret_error, sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *call = sd_bus_message_ref(message);
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        Progress progress;
        int r;

        progress_begin(&progress, ctl);
        r = send_until_answered(ctl, &call, timeout_usec, ret_error ?: &error, ret);
        progress_end(&progress);
        if (r < 0 && ctl_may_ask(ctl, ret_error ?: &error))
                r = send_interactively(ctl, call, timeout_usec, ret_error ?: &error, ret);
        if (r >= 0)
                return 0;
        if (ret_error)
                return CTL_FAILED;
        if (is_lost(r) || !ctl->bus)
                return ctl_error("the connection to %s was lost", ctl_daemon_name(ctl));
        return ctl_error("%s", bus_error_message(&error, r));
}

int ctl_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret,
             const char *types, ...) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        va_list ap;
        int r;

        r = ctl_new_call(ctl, path, interface, member, &call);
        if (r < 0)
                return CTL_FAILED;
        if (types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(call, types, ap);
                va_end(ap);
                if (r < 0)
                        return ctl_error("cannot call %s: %s", member, strerror(-r));
        }
        return ctl_send(ctl, call, 0, NULL, ret);
}

int ctl_call_options(Ctl *ctl, const char *path, const char *interface, const char *member,
                     const CtlCallOption *options, size_t n, sd_bus_message **ret) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = ctl_new_call(ctl, path, interface, member, &call);
        if (r < 0)
                return CTL_FAILED;
        r = sd_bus_message_open_container(call, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (options[i].value)
                        r = sd_bus_message_append(call, "{sv}", options[i].key, "s", options[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r < 0)
                return ctl_error("cannot call %s: %s (are all options UTF-8?)", member, strerror(-r));
        return ctl_send(ctl, call, 0, NULL, ret);
}

int ctl_bad_reply(const char *member, int error) {
        return ctl_error("sentryd's answer to %s makes no sense: %s", member, strerror(-error));
}
