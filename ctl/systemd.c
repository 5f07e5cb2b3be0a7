/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus-util.h"
#include "systemd.h"
#include "util.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define RELOAD_TIMEOUT_USEC (120 * UINT64_C(1000000))
#define JOB_TIMEOUT_SEC 600
#define LOOK_USEC UINT64_C(100000)

int systemd_connect(sd_bus **ret, sd_bus_error *error) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        (void) sd_bus_set_allow_interactive_authorization(bus, true);
        *ret = TAKE_PTR(bus);
        return 0;
}

int systemd_load_unit(sd_bus *bus, const char *name, char **ret_path, sd_bus_error *error) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "LoadUnit", error, &reply, "s", name);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        *ret_path = strdup(path);
        return *ret_path ? 0 : -ENOMEM;
}

int systemd_get_string(sd_bus *bus, const char *path, const char *interface, const char *property, char **ret) {
        int r;

        r = sd_bus_get_property_string(bus, DESTINATION, path, interface, property, NULL, ret);
        if (r >= 0)
                return 0;
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}

int systemd_get_strings(sd_bus *bus, const char *path, const char *interface, const char *property, char ***ret) {
        *ret = NULL;
        return sd_bus_get_property_strv(bus, DESTINATION, path, interface, property, NULL, ret) == -ENOMEM ? -ENOMEM : 0;
}

bool systemd_get_bool(sd_bus *bus, const char *path, const char *interface, const char *property) {
        int value = 0;

        return sd_bus_get_property_trivial(bus, DESTINATION, path, interface, property, NULL, 'b', &value) >= 0 && value;
}

uint64_t systemd_get_number(sd_bus *bus, const char *path, const char *property, char type, uint64_t missing) {
        uint64_t wide = 0;
        uint32_t narrow = 0;
        int r;

        r = sd_bus_get_property_trivial(bus, DESTINATION, path, SYSTEMD_SERVICE_INTERFACE, property, NULL, type,
                                        type == 't' ? (void *) &wide : (void *) &narrow);
        return r < 0 ? missing : type == 't' ? wide : narrow;
}

bool systemd_has_label(sd_bus *bus, const char *path, const char *property) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        const char *label;

        return sd_bus_get_property(bus, DESTINATION, path, SYSTEMD_SERVICE_INTERFACE, property, NULL, &reply, "(bs)") >= 0 &&
               sd_bus_message_read(reply, "(bs)", NULL, &label) > 0 && *label;
}

int systemd_get_filter(sd_bus *bus, const char *path, const char *property, bool *ret_allows, char ***ret) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        int allows = 0, r;

        *ret = NULL;
        *ret_allows = false;
        r = sd_bus_get_property(bus, DESTINATION, path, SYSTEMD_SERVICE_INTERFACE, property, NULL, &reply, "(bas)");
        if (r < 0)
                return 0;
        r = sd_bus_message_enter_container(reply, 'r', "bas");
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &allows);
        if (r >= 0)
                r = sd_bus_message_read_strv(reply, ret);
        *ret_allows = allows;
        return r < 0 ? r : 0;
}

int systemd_reload(sd_bus *bus, sd_bus_error *error) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "Reload");
        return r < 0 ? r : sd_bus_call(bus, call, RELOAD_TIMEOUT_USEC, error, NULL);
}

typedef struct Job {
        char *path, *result; /* owned; result: NULL until it is over */
} Job;

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path, *result;
        Job *job = userdata;
        int r;

        (void) error;
        r = sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result);
        if (r >= 0 && !job->result && streq_ptr(path, job->path))
                job->result = strdup(result);
        return 0;
}

int systemd_run_job(sd_bus *bus, const char *method, const char *unit, bool (*gives_up)(void), char **ret_result,
                    sd_bus_error *error) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        Job job = {};
        const char *path;
        time_t end = time(NULL) + JOB_TIMEOUT_SEC;
        int r;

        (void) sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe", NULL, NULL, "");
        r = sd_bus_match_signal(bus, &slot, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved", on_job_removed, &job);
        if (r >= 0)
                r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, method, error, &reply, "ss", unit,
                                       "replace");
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0) {
                job.path = strdup(path);
                r = job.path ? 0 : -ENOMEM;
        }
        /* Signals that came with the reply are still in the queue. */
        while (r >= 0 && !job.result) {
                if (gives_up && gives_up())
                        r = -EINTR;
                else if (time(NULL) > end)
                        r = -ETIMEDOUT;
                else
                        r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, LOOK_USEC);
                if (r == -EINTR && !(gives_up && gives_up()))
                        r = 0;
        }
        free(job.path);
        if (r < 0) {
                free(job.result);
                return r;
        }
        *ret_result = job.result;
        return 0;
}

void systemd_reset_failed(sd_bus *bus, const char *unit) {
        (void) sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER_INTERFACE, "ResetFailedUnit", NULL, NULL, "s", unit);
}
