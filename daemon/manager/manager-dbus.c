/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What org.sentryd1.Manager looks like on the bus. The methods are in manager-methods.c; each checks by itself who
 * calls, so all are UNPRIVILEGED to sd-bus. */

#include "manager.h"

const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_PROPERTY("Version", "s", manager_property_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", manager_property_get_mode, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("NSandboxes", "u", manager_property_get_n_sandboxes, 0, 0),

        SD_BUS_METHOD_WITH_ARGS("CreateSandbox",
                                SD_BUS_ARGS("s", name, "s", profile, "a{sv}", options),
                                SD_BUS_RESULT("o", path, "h", launch, "s", resolved),
                                manager_method_create_sandbox, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restore",
                                SD_BUS_ARGS("h", image, "s", name, "a{sv}", options),
                                SD_BUS_RESULT("o", path, "h", launch, "s", resolved),
                                manager_method_restore, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListSandboxes",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(sosuut)", sandboxes),
                                manager_method_list_sandboxes, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSandbox",
                                SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("o", path),
                                manager_method_get_sandbox, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSandboxByPID",
                                SD_BUS_ARGS("h", pidfd),
                                SD_BUS_RESULT("o", path),
                                manager_method_get_sandbox_by_pid, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListProfiles",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(sss)", profiles),
                                manager_method_list_profiles, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetProfile",
                                SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("s", json),
                                manager_method_get_profile, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CheckProfile",
                                SD_BUS_ARGS("s", text, "s", filename),
                                SD_BUS_RESULT("a(uss)", problems),
                                manager_method_check_profile, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
                                manager_method_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
                                manager_method_unsubscribe, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_METHOD_WITH_ARGS("Token", SD_BUS_ARGS("t", token), SD_BUS_NO_RESULT,
                                manager_method_token, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_SIGNAL_WITH_ARGS("SandboxNew", SD_BUS_ARGS("s", name, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("SandboxRemoved", SD_BUS_ARGS("s", name, "o", path), 0),

        SD_BUS_VTABLE_END,
};
