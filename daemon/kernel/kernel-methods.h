/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods and property getters behind kernel-dbus.c's vtable; userdata is the Sentry. The API is documented in
 * org.sentryd1(5). */

#include <systemd/sd-bus.h>

int kernel_method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_start(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_signal(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_syscalls(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_syscall_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* tracer-methods.c */
int kernel_method_trace(sd_bus_message *m, void *userdata, sd_bus_error *error);

int kernel_property_state(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *error);
int kernel_property_number(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                           void *userdata, sd_bus_error *error);
int kernel_property_name(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error);
int kernel_property_walls(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *error);
int kernel_property_cpus(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error);
