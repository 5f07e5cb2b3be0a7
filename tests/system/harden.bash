# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the tests of hardened units share. To be sourced after boot.bash.

harden() { timeout -k 5 120 sentryctl -q harden "$@" 2>&1; }
show() { systemctl show --value -p "$1" "$2"; }
sandboxes() { sentryctl --system -q --no-legend list; }
none() { [ -z "$(sandboxes)" ]; }
in_sandbox() { # UNIT: its main process is, by the kernel's word and by sentryd's
        local pid
        pid=$(show MainPID "$1")
        grep -qx 'Seccomp:.2' "/proc/$pid/status" && sandboxes | awk '{ print $3 }' | grep -qx "$pid"
}
