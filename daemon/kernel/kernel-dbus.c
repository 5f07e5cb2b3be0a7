/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The vtable of a sentry-kernel's object on its connection to the manager, who shows it as a sandbox. */

#include "bus-util.h"
#include "bus-tasks.h"
#include "bus-timers.h"
#include "kernel-methods.h"
#include "sentry.h"

static const sd_bus_vtable kernel_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("State", "s", kernel_property_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("InitPID", "u", kernel_property_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StartedUSec", "t", kernel_property_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PauseDepth", "u", kernel_property_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Hostname", "s", kernel_property_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("DomainName", "s", kernel_property_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("CPUs", "s", kernel_property_cpus, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Walls", "s", kernel_property_walls, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SaveStatus", "s", kernel_property_save, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SaveMessage", "s", kernel_property_save, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD("Save", "ha{sv}", "a{sv}", kernel_method_save, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("SaveProgress", "tt", 0),
        SD_BUS_METHOD("Kill", "i", NULL, kernel_method_kill, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Pause", NULL, NULL, kernel_method_pause, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Resume", NULL, NULL, kernel_method_resume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Signal", "ssia{sv}", NULL, kernel_method_signal, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Start", "s", NULL, kernel_method_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Exec", "a{sv}", "hhs", kernel_method_exec, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListTasks", NULL, "a(uuuusstas)", kernel_method_list_tasks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetTasks", "u", TASK_SIGNATURE, kernel_method_get_tasks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListFds", "u", "h", kernel_method_list_fds, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListSockets", NULL, "h", kernel_method_list_sockets, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListMounts", "u", "h", kernel_method_list_mounts, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListNamespaces", NULL, "h", kernel_method_list_namespaces, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListIPC", NULL, "h", kernel_method_list_ipc, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListCgroups", NULL, "h", kernel_method_list_cgroups, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetLog", NULL, "a(ttus)", kernel_method_get_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetSyscalls", NULL, "a(stt)", kernel_method_get_syscalls, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetSyscallStatistics", NULL, "a(stttat)", kernel_method_get_syscall_statistics,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetStatistics", NULL, "a{sv}", kernel_method_get_statistics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListTimers", NULL, TIMER_SIGNATURE, kernel_method_list_timers, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetClocks", NULL, "a{sv}", kernel_method_get_clocks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("TellTasks", "b", NULL, kernel_method_tell_tasks, SD_BUS_VTABLE_UNPRIVILEGED), /* the manager's */
        SD_BUS_METHOD("Trace", "a{sv}", "h", kernel_method_trace, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("Exited", "i", 0),
        SD_BUS_SIGNAL("UnimplementedSyscall", "sisus", 0),
        SD_BUS_SIGNAL("Refused", "ssus", 0),
        SD_BUS_SIGNAL("EventsDropped", "t", 0),
        SD_BUS_SIGNAL("TaskNew", "uus", 0),
        SD_BUS_SIGNAL("TaskExec", "uuss", 0),
        SD_BUS_SIGNAL("TaskExit", "uui", 0),
        SD_BUS_SIGNAL("Stuck", "sust", 0),
        SD_BUS_VTABLE_END,
};

int kernel_dbus_add(Sentry *sentry) {
        int r;

        r = sd_bus_add_object_vtable(sentry->bus, NULL, BUS_KERNEL_PATH, BUS_KERNEL_INTERFACE, kernel_internal_vtable,
                                     sentry);
        if (r < 0)
                return r;
        return sd_bus_add_object_vtable(sentry->bus, NULL, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, kernel_vtable,
                                        sentry);
}
