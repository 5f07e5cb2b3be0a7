/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods and property getters behind kernel-dbus.c's vtable; userdata is the Sentry. The API is documented in
 * org.sentryd1(5). */

#include <systemd/sd-bus.h>

int kernel_method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Whether a text may be the id of a container. */
bool kernel_id_is_valid(const char *id);
int kernel_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_start(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_signal(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_tell_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_syscalls(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_syscall_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* timer-methods.c */
int kernel_method_list_timers(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_get_clocks(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Answers a method with an array of what fill appends. */
int kernel_reply_array(sd_bus_message *m, const char *contents, int (*fill)(sd_bus_message *reply, void *userdata),
                       void *userdata);
/* list-methods.c */
int kernel_method_list_fds(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_mounts(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_sockets(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_namespaces(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_cgroups(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_method_list_ipc(sd_bus_message *m, void *userdata, sd_bus_error *error);
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
