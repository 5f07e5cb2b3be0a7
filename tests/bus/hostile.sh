#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Clients that no daemon should have to put up with, on a bus and without one between: wrong types for every method, many
# at once, one that never reads. Everybody else is served all the while.

if [ -z "${SENTRYD_TEST_BUS:-}" ]; then
        command -v dbus-run-session >/dev/null || {
                echo '1..0 # SKIP dbus-run-session is missing'
                exit 0
        }
        exec env SENTRYD_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
fi
bus_address=$DBUS_SESSION_BUS_ADDRESS
. "${srcdir:-.}/tests/lib/tap.sh"

HOSTILE=$SENTRYD_BUILD/tests/bus/hostile
SEED=${SENTRYD_TEST_SEED:-1}
diag "SENTRYD_TEST_SEED=$SEED"
hostile() { timeout -k 5 100 "$HOSTILE" "$@"; }
ctl() { timeout -k 5 "$T" "$SENTRYCTL" "${WHICH[@]}" "$@"; }
owned() { busctl --user --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s org.sentryd1 | grep -q true; }
runs() { ctl --no-legend list | grep -w box | grep -qw running; }

# Every method of every interface of ours, of the manager and of a sandbox.
methods() {
        local path
        for path in /org/sentryd1 /org/sentryd1/sandbox/box /org/freedesktop/LogControl1; do
                busctl --user introspect org.sentryd1 $path | awk -v path=$path '
                        $2 == "interface" { interface = $1 }
                        $2 == "method" && interface !~ /Peer|Introspectable/ { print path, interface, substr($1, 2), $3 }'
        done
}

daemon_of() { daemons_of "$TESTDIR/run" sentryd; }
descriptors() { find "/proc/$(daemon_of)/fd" -mindepth 1 | wc -l; }
few_descriptors() { [ "$(descriptors)" -le $((before + 4)) ]; }
resident() { awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/$(daemon_of)/status"; } # MiB
# What is freed stays with AddressSanitizer for a while, so that its use is found.
if grep -q 'define HAVE_SANITIZERS' "$SENTRYD_BUILD/config.h"; then MOST=700; else MOST=60; fi

go_wild() { # WHERE
        : >"$TESTDIR/deaf"
        "$SENTRYCTL" "${WHICH[@]}" run --name box sleep 1000 & # for as long as the rest takes
        started $!
        check "$1: a sandbox runs" await 20 runs
        [ -s "$TESTDIR/methods" ] || methods >"$TESTDIR/methods"
        contains "$(cat "$TESTDIR/methods")" "org.sentryd1.Sandbox Signal ssia{sv}" "$1: there are methods"
        check "$1: each call with wrong types is answered with an error" hostile fuzz "$SEED" 20 <"$TESTDIR/methods"
        check "$1: the sandbox runs" runs
        before=$(descriptors)
        check "$1: … with strings that are too long, and too many descriptors" hostile sizes <"$TESTDIR/methods"
        check "$1: the sandbox runs" runs
        # Wait() is not answered before the end; Kill() is that.
        check "$1: each call with values of all kinds is answered" hostile values "$SEED" 20 < <(grep -v ' \(Wait\|Kill\) ' "$TESTDIR/methods")
        check "$1: no descriptors stay with the daemon" await 20 few_descriptors || diag "$before before, $(descriptors) now"
        while ctl resume box 2>/dev/null; do :; done
        check "$1: the sandbox runs" runs
        check "$1: 100 clients at once are all answered" hostile many 100
        "$HOSTILE" deaf >"$TESTDIR/deaf" &
        deaf=$!
        started $deaf
        check "$1: one calls and never reads" await 60 grep -q calls "$TESTDIR/deaf"
        [ "$1" = bus ] || check "$1: it is disconnected" await 60 grep -q 'does not read what it is sent' "$TESTDIR/run/sentryd/log"
        is "$(ctl run uname -n 2>&1)" sandbox "$1: others are served meanwhile"
        check "$1: … with answers" await 60 runs
        is "$(daemon_of | wc -l)" 1 "$1: by the same daemon"
        diag "$(resident) MiB of memory"
        check "$1: … which has not grown beyond $MOST MiB" test "$(resident)" -le $MOST || diag "$(resident) MiB"
        end_process $deaf
        check "$1: the sandbox ends" ctl kill --wait box
}

# ---- on a bus

export DBUS_SESSION_BUS_ADDRESS=$bus_address
mkdir -m 700 "$TESTDIR/run/sentryd"
"$SENTRYD_BUILD/sentryd" --user </dev/null >>"$TESTDIR/run/sentryd/log" 2>&1 &
daemon=$!
started $daemon
check "sentryd --user takes its name" await 15 owned || bail "$(cat "$TESTDIR/run/sentryd/log")"
WHICH=(--user)
go_wild "bus"
end_process $daemon
check "the daemon ends as ever" gone $daemon

# ---- without

export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent SENTRYD_PEER=$TESTDIR/run/sentryd/bus
WHICH=()
go_wild "peer"
check "the embedded daemon ends by itself" await 20 daemons_gone "$TESTDIR/run"

done_testing
