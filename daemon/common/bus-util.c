/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections peer to peer, and copying of messages from one connection to another. */

#include <systemd/sd-id128.h>

#include "bus-util.h"

int bus_peer_new(int fd, bool server, const char *description, sd_bus **ret) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        sd_id128_t id;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;

        (void) sd_bus_set_description(bus, description);

        if (server) {
                r = sd_id128_randomize(&id);
                if (r < 0)
                        return r;
                r = sd_bus_set_server(bus, 1, id);
                if (r < 0)
                        return r;
        }

        r = sd_bus_set_anonymous(bus, 0);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(bus, 1);
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(bus, 0);
        if (r < 0)
                return r;

        /* sd-event's end would flush the queue with poll() and no deadline: a peer that does not read would hold
         * us. */
        r = sd_bus_set_close_on_exit(bus, 0);
        if (r < 0)
                return r;

        r = sd_bus_set_fd(bus, fd, fd); /* last: the connection owns the fd from here on */
        if (r < 0)
                return r;

        *ret = TAKE_PTR(bus);
        return 0;
}

int bus_message_copy_body(sd_bus_message *to, sd_bus_message *from) {
        int r;

        r = sd_bus_message_rewind(from, true);
        if (r < 0)
                return r;

        return sd_bus_message_copy(to, from, true);
}

int bus_reply_forward(sd_bus_message *call, sd_bus_message *reply) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return sd_bus_reply_method_error(call, sd_bus_message_get_error(reply));

        if (sd_bus_message_get_expect_reply(call) <= 0)
                return 0;

        r = sd_bus_message_new_method_return(call, &m);
        if (r < 0)
                return r;

        r = bus_message_copy_body(m, reply);
        if (r == -EOPNOTSUPP)
                return sd_bus_reply_method_errorf(
                                call, SD_BUS_ERROR_NOT_SUPPORTED,
                                "The answer to %s() has file descriptors, which this connection can't take: negotiate "
                                "the passing of file descriptors when connecting.",
                                sd_bus_message_get_member(call));
        if (r < 0)
                return r;

        /* Sealing checks the signature against the vtable's. */
        r = sd_bus_message_send(m);
        if (r == -ENOMSG || r == -EINVAL)
                return sd_bus_reply_method_errorf(
                                call, BUS_ERROR_KERNEL_FAILED,
                                "sentry-kernel answered %s() with \"%s\", which is not what that method returns: is "
                                "it of another version than sentryd? Kill the sandbox and start it again.",
                                sd_bus_message_get_member(call), sd_bus_message_get_signature(reply, true));
        return r;
}

int bus_signal_forward(sd_bus *bus, const char *path, sd_bus_message *signal) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(bus, &m, path, sd_bus_message_get_interface(signal),
                                      sd_bus_message_get_member(signal));
        if (r < 0)
                return r;

        r = bus_message_copy_body(m, signal);
        if (r < 0)
                return r;

        return sd_bus_send(bus, m, NULL);
}

/* Of all that is left in the container where m stands. Returns the length of the longest, or of one that is too long. */
static int longest_string(sd_bus_message *m, size_t *longest) {
        const char *contents, *text;
        char type;
        int r = 0;

        while (*longest <= BUS_STRING_MAX && (r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                switch (type) {

                case 's':
                case 'o':
                        r = sd_bus_message_read_basic(m, type, &text);
                        if (r > 0)
                                *longest = MAX(*longest, strlen(text));
                        break;

                case 'v':
                case 'r':
                case 'e':
                case 'a':
                        if (type == 'a' && !strpbrk(contents, "sov")) {
                                r = sd_bus_message_skip(m, NULL);
                                break;
                        }
                        r = sd_bus_message_enter_container(m, type, contents);
                        if (r > 0)
                                r = longest_string(m, longest);
                        if (r >= 0 && *longest <= BUS_STRING_MAX)
                                r = sd_bus_message_exit_container(m);
                        break;

                default:
                        r = sd_bus_message_skip(m, NULL);
                }
                if (r < 0)
                        return r;
        }
        return *longest > BUS_STRING_MAX ? 0 : r;
}

int bus_check_strings(sd_bus_message *m, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        size_t longest = path ? strlen(path) : 0;
        int r;

        r = longest_string(m, &longest);
        (void) sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        if (longest > BUS_STRING_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is a string of %zu bytes in the call, and no more than %u are allowed.", longest,
                                         BUS_STRING_MAX);
        return 0;
}

char *bus_text(char *text) {
        size_t size = strlen(text), bad;

        for (size_t i = 0; (bad = utf8_valid_length(text + i, size - i)) < size - i; i += bad + 1)
                text[i + bad] = '?';

        return text;
}

const char *bus_error_message(const sd_bus_error *e, int error) {
        if (e && e->message)
                return e->message;
        if (e && e->name)
                return e->name;

        return strerror(abs(error));
}

int bus_read_options(sd_bus_message *m,
                     int (*function)(sd_bus_message *m, const char *key, void *userdata, sd_bus_error *error),
                     void *userdata, sd_bus_error *error) {
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = function(m, key, userdata, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
