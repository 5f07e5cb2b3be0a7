/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service manager, by its bus interface (org.freedesktop.systemd1(5)). Errors are negative errnos, with what systemd
 * said in error. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#define SYSTEMD_UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
#define SYSTEMD_SERVICE_INTERFACE "org.freedesktop.systemd1.Service"

/* Connects to the system bus. */
int systemd_connect(sd_bus **ret, sd_bus_error *error);
/* The object of a unit, which is loaded if need be. The caller frees. */
int systemd_load_unit(sd_bus *bus, const char *name, char **ret_path, sd_bus_error *error);

/* Properties. What is not there, in an older version, is "" or 0. */
int systemd_get_string(sd_bus *bus, const char *path, const char *interface, const char *property, char **ret);
int systemd_get_strings(sd_bus *bus, const char *path, const char *interface, const char *property, char ***ret);
bool systemd_get_bool(sd_bus *bus, const char *path, const char *interface, const char *property);
/* Of a service. type: one of the bus's for numbers. */
uint64_t systemd_get_number(sd_bus *bus, const char *path, const char *property, char type, uint64_t missing);
/* Whether a label of a security module (AppArmorProfile and its like) is set. */
bool systemd_has_label(sd_bus *bus, const char *path, const char *property);
/* A list that is of what is allowed, or of what is not: SystemCallFilter and its like. */
int systemd_get_filter(sd_bus *bus, const char *path, const char *property, bool *ret_allows, char ***ret);

int systemd_reload(sd_bus *bus, sd_bus_error *error);
/* StartUnit, RestartUnit, StopUnit, and waits for the end of the job: *ret_result is "done" when it did what it should.
 * gives_up is asked now and then; true is -EINTR. */
int systemd_run_job(sd_bus *bus, const char *method, const char *unit, bool (*gives_up)(void), char **ret_result,
                    sd_bus_error *error);
/* Forgets failures and starts that count against the limit. */
void systemd_reset_failed(sd_bus *bus, const char *unit);
