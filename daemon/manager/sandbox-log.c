/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Log lines about sandboxes. */

#include <stdio.h>
#include <sys/uio.h>
#include <time.h>

#include <systemd/sd-journal.h>

#include "log.h"
#include "sandbox-log.h"
#include "sandbox.h"
#include "util.h"

#define FIELDS_MAX 16U

static int send_to_journal(const Sandbox *s, int level, const char *id, char *const *fields, const char *text) {
        struct iovec iov[FIELDS_MAX + 7];
        _cleanup_strv_free_ char **own = NULL;
        size_t n = 0;
        char *field;

        struct {
                const char *key, *value;
                unsigned long number;
        } given[] = {
                { "MESSAGE", text, 0 },
                { "PRIORITY", NULL, (unsigned long) level },
                { "SYSLOG_IDENTIFIER", "sentryd", 0 },
                { "SENTRYD_SANDBOX", s->name, 0 },
                { "SENTRYD_OWNER", NULL, s->owner },
                { "SENTRYD_PROFILE", s->profile_name, 0 },
                { "MESSAGE_ID", id, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(given) - (id ? 0 : 1); i++) {
                int r = given[i].value ? asprintf(&field, "%s=%s", given[i].key, given[i].value)
                                       : asprintf(&field, "%s=%lu", given[i].key, given[i].number);

                r = r < 0 ? -ENOMEM : strv_consume(&own, field);
                if (r < 0)
                        return r;
        }
        for (char **f = own; f && *f; f++)
                iov[n++] = (struct iovec) { *f, strlen(*f) };
        for (char *const *f = fields; f && *f && n < ELEMENTSOF(iov); f++)
                iov[n++] = (struct iovec) { *f, strlen(*f) };

        return sd_journal_sendv(iov, (int) n);
}

void sandbox_log(const Sandbox *s, int level, const char *id, char *const *fields, const char *format, ...) {
        bool journal = streq(log_target(), "journal");
        char text[LOG_LINE_MAX];
        va_list ap;

        if (level == LOG_INFO && !journal)
                level = LOG_DEBUG;
        if (!log_wants(level))
                return;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        log_clean(text, strlen(text));

        if (!journal || send_to_journal(s, level, id, fields, text) < 0)
                (void) log_write(level, 0, "%s", text);
}

/* Whether one more event of the sandbox may be logged now. */
static bool event_fits(Sandbox *s) {
        struct timespec now;
        uint64_t usec;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        usec = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        if (usec - s->log_since_usec > SANDBOX_LOG_USEC) {
                s->log_since_usec = usec;
                s->n_logged = 0;
        }

        if (s->n_logged++ == SANDBOX_LOG_EVENTS)
                sandbox_log(s, LOG_INFO, NULL, NULL, "Sandbox %s: more than %u events in %u s, further ones are not "
                            "logged. `sentryctl events %s` shows them.", s->name, SANDBOX_LOG_EVENTS,
                            (unsigned) (SANDBOX_LOG_USEC / 1000000), s->name);
        return s->n_logged <= SANDBOX_LOG_EVENTS;
}

static int add_field(char ***fields, const char *key, const char *value) {
        char *field;

        return asprintf(&field, "%s=%s", key, value) < 0 ? -ENOMEM : strv_consume(fields, field);
}

/* The fields of an event. */
static int event_fields(const char *call, const char *error, uint32_t pid, const char *comm, char ***ret) {
        char number[16];
        int r;

        (void) snprintf(number, sizeof(number), "%u", pid);
        r = add_field(ret, "SENTRYD_SYSCALL", call);
        if (r >= 0 && error)
                r = add_field(ret, "SENTRYD_ERRNO", error);
        if (r >= 0)
                r = add_field(ret, "SENTRYD_PID", number);
        return r < 0 ? r : add_field(ret, "SENTRYD_COMM", comm);
}

void sandbox_log_event(Sandbox *s, sd_bus_message *signal) {
        const char *member = sd_bus_message_get_member(signal), *call, *error = NULL, *comm;
        _cleanup_strv_free_ char **fields = NULL;
        uint64_t usec = 0;
        int32_t number;
        uint32_t pid;
        int r;

        if (streq(member, "Refused"))
                r = sd_bus_message_read(signal, "ssus", &call, &error, &pid, &comm);
        else if (streq(member, "UnimplementedSyscall"))
                r = sd_bus_message_read(signal, "sisus", &call, &number, &error, &pid, &comm);
        else if (streq(member, "Stuck"))
                r = sd_bus_message_read(signal, "sust", &call, &pid, &comm, &usec);
        else
                return;

        if (r < 0 || !event_fits(s))
                ;
        else if (streq(member, "Refused")) {
                if (event_fields(call, error, pid, comm, &fields) >= 0)
                        sandbox_log(s, LOG_INFO, MESSAGE_CALL_REFUSED, fields,
                                    "Sandbox %s: %s() of %s (process %u) was refused with %s.", s->name, call, comm,
                                    pid, error);
        } else if (streq(member, "Stuck")) {
                if (event_fields(call, NULL, pid, comm, &fields) >= 0)
                        sandbox_log(s, LOG_WARNING, MESSAGE_CALL_STUCK, fields,
                                    "Sandbox %s: %s() of %s (process %u) is stuck, for %.1f s by now.", s->name, call,
                                    comm, pid, (double) usec / 1e6);
        } else if (event_fields(call, "ENOSYS", pid, comm, &fields) >= 0)
                sandbox_log(s, LOG_INFO, MESSAGE_CALL_UNIMPLEMENTED, fields,
                            "Sandbox %s: %s() of %s (process %u) is not implemented.", s->name,
                            *call ? call : "a call without a name", comm, pid);

        (void) sd_bus_message_rewind(signal, true);
}
