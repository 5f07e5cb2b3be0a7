/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What org.sentryd1.Sandbox looks like on the bus. Who calls is checked where the object is found (sandbox_find()),
 * for methods and properties alike, so all methods are UNPRIVILEGED to sd-bus. */

#include <stddef.h>

#include "sandbox.h"

#define PROPERTY(name, signature, field, flags) \
        SD_BUS_PROPERTY(name, signature, NULL, offsetof(Sandbox, field), flags)

const sd_bus_vtable sandbox_vtable[] = {
        SD_BUS_VTABLE_START(0),

        PROPERTY("Name", "s", name, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Owner", "u", owner, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("ProfileName", "s", profile_name, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Profile", "s", sandbox_property_get_profile, 0, 0),
        PROPERTY("State", "s", state, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("InitPID", "u", init_pid, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Hostname", "s", hostname, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("DomainName", "s", domainname, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("CPUs", "s", cpus, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("StartedUSec", "t", started_usec, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("ExitStatus", "i", exit_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("PauseDepth", "u", pause_depth, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("IsPaused", "b", sandbox_property_get_is_paused, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),

        SD_BUS_METHOD_WITH_ARGS("Kill",
                                SD_BUS_ARGS("i", status),
                                SD_BUS_NO_RESULT,
                                sandbox_method_kill, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Wait",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("i", status),
                                sandbox_method_wait, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause",
                                SD_BUS_NO_ARGS,
                                SD_BUS_NO_RESULT,
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume",
                                SD_BUS_NO_ARGS,
                                SD_BUS_NO_RESULT,
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Signal",
                                SD_BUS_ARGS("s", whom, "s", id, "i", signo, "a{sv}", options),
                                SD_BUS_NO_RESULT,
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Start",
                                SD_BUS_ARGS("s", id),
                                SD_BUS_NO_RESULT,
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Exec",
                                SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("h", launch, "h", pidfd_of_init, "s", resolved),
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListTasks",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(uuuusstas)", tasks),
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetLog",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(ttus)", entries),
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSyscalls",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(stt)", syscalls),
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetStatistics",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a{sv}", statistics),
                                sandbox_method_forward, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_SIGNAL_WITH_ARGS("Exited", SD_BUS_ARGS("i", status), 0),
        SD_BUS_SIGNAL_WITH_ARGS("UnimplementedSyscall",
                                SD_BUS_ARGS("s", name, "i", nr, "s", arch, "u", hostpid, "s", comm), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Refused",
                                SD_BUS_ARGS("s", name, "s", errno_name, "u", hostpid, "s", comm), 0),
        SD_BUS_SIGNAL_WITH_ARGS("EventsDropped", SD_BUS_ARGS("t", n), 0),

        SD_BUS_VTABLE_END,
};
