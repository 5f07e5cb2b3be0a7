/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The cache of what a sentry-kernel says of its sandbox. It runs as the sandbox's owner, who could have replaced it:
 * values are checked for type and length, and decide nothing that matters to others. */

#include "arrivals.h"
#include "bus-util.h"
#include "connection.h"
#include "log.h"
#include "manager.h"
#include "sandbox.h"

static const struct {
        const char *name;
        char type;     /* s, u or t */
        size_t offset; /* of the field of Sandbox: char* (const, for State), uint32_t, uint64_t */
        size_t max;    /* s: the longest taken */
} kernel_properties[] = {
        { "State",       's', offsetof(Sandbox, state),        16   },
        { "InitPID",     'u', offsetof(Sandbox, init_pid),     0    },
        { "Hostname",    's', offsetof(Sandbox, hostname),     64   },
        { "DomainName",  's', offsetof(Sandbox, domainname),   64   },
        { "StartedUSec", 't', offsetof(Sandbox, started_usec), 0    },
        { "PauseDepth",  'u', offsetof(Sandbox, pause_depth),  0    },
        { "CPUs",        's', offsetof(Sandbox, cpus),         4096 },
        { "Walls",       's', offsetof(Sandbox, walls),        1024 },
        { "SaveStatus",  's', offsetof(Sandbox, save_status),  16   },
        { "SaveMessage", 's', offsetof(Sandbox, save_message), 4096 },
};

/* "exited" is missing: that is ours to say, with the status, once Exited has come. */
static const char *const kernel_states[] = { "starting", "running", "paused" };

static int take_state(Sandbox *s, const char *value) {
        for (size_t i = 0; i < ELEMENTSOF(kernel_states); i++) {
                if (!streq(value, kernel_states[i]))
                        continue;
                if (streq(s->state, value))
                        return 0;

                s->state = kernel_states[i];
                return 1;
        }

        if (!streq(value, "exited"))
                log_warning("sentry-kernel of sandbox %s says that its state is \"%.64s\", which is none; ignored.",
                            s->name, value);
        return 0;
}

static int take_text(Sandbox *s, size_t i, const char *value) {
        char **field = (char **) ((char *) s + kernel_properties[i].offset), *copy;

        if (strlen(value) > kernel_properties[i].max) {
                log_warning("sentry-kernel of sandbox %s says that %s is \"%.64s...\", which is longer than %zu "
                            "bytes; ignored.", s->name, kernel_properties[i].name, value, kernel_properties[i].max);
                return 0;
        }
        if (streq_ptr(*field, value))
                return 0;

        copy = strdup(value);
        if (!copy)
                return -ENOMEM;

        free(*field);
        *field = copy;
        return 1;
}

/* Reads the value of property i and stores it. Returns 1 if it is new, 0 if not or if it is not acceptable. */
static int take_value(Sandbox *s, size_t i, sd_bus_message *m) {
        void *field = (char *) s + kernel_properties[i].offset;
        const char *value;
        uint64_t wide;
        uint32_t number;
        int r;

        switch (kernel_properties[i].type) {

        case 's':
                r = sd_bus_message_read(m, "v", "s", &value);
                if (r < 0)
                        return r;
                return streq(kernel_properties[i].name, "State") ? take_state(s, value) : take_text(s, i, value);

        case 'u':
                r = sd_bus_message_read(m, "v", "u", &number);
                if (r < 0 || number == *(uint32_t *) field)
                        return MIN(r, 0);
                *(uint32_t *) field = number;
                return 1;

        default:
                r = sd_bus_message_read(m, "v", "t", &wide);
                if (r < 0 || wide == *(uint64_t *) field)
                        return MIN(r, 0);
                *(uint64_t *) field = wide;
                return 1;
        }
}

/* Reads one name and value. Adds the name to changed if the value is new. */
static int take_entry(Sandbox *s, sd_bus_message *m, char **changed, size_t *n_changed) {
        const char *name, *contents;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(kernel_properties); i++) {
                if (!streq(name, kernel_properties[i].name))
                        continue;
                if (contents[0] != kernel_properties[i].type || contents[1] != '\0')
                        break;

                r = take_value(s, i, m);
                if (r <= 0)
                        return r;

                for (size_t k = 0; k < *n_changed; k++)
                        if (streq(changed[k], name))
                                return 0;
                changed[(*n_changed)++] = (char *) kernel_properties[i].name;
                return 0;
        }

        return sd_bus_message_skip(m, "v");
}

int sandbox_take_properties(Sandbox *s, sd_bus_message *message) {
        char *changed[ELEMENTSOF(kernel_properties) + 2] = {}; /* the names, IsPaused, NULL */
        bool was_paused = streq(s->state, "paused");
        uint32_t old_init = s->init_pid;
        const char *interface;
        size_t n = 0;
        int r;

        if (s->ended)
                return 0;

        r = sd_bus_message_read(message, "s", &interface);
        if (r < 0)
                return r;
        if (!streq(interface, BUS_SANDBOX_INTERFACE))
                return 0;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = take_entry(s, message, changed, &n);
                if (r < 0)
                        break;
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        break;
        }

        if (s->init_pid != old_init)
                s->userns_ino = 0;
        if (was_paused != streq(s->state, "paused"))
                changed[n++] = (char *) "IsPaused";

        /* What was stored before a failure is told, too. */
        if (n > 0)
                broadcast_properties(s, changed);
        if (s->awaited) {
                if (streq(s->state, "starting"))
                        (void) sandbox_set_deadline(s, SANDBOX_START_DEADLINE_USEC);
                arrivals_come(s);
        }

        return r;
}
