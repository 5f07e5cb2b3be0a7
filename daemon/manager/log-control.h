/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* org.freedesktop.LogControl1(5), for `sentryctl log-level` and `systemctl service-log-level`. userdata is the
 * Connection. */

#include <systemd/sd-bus.h>

extern const sd_bus_vtable log_control_vtable[];
