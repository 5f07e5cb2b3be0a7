#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryctl and a daemon that dies again and again: who waits goes on, for as long as it comes back.

. "${srcdir:-.}/tests/lib/tap.sh"

command -v dbus-daemon >/dev/null || skip_all "dbus-daemon is missing"

DEATHS=220 # more than are asked again at once (QUICK_FREE)
cat >"$TESTDIR/bus.conf" <<END
<busconfig>
  <type>system</type>
  <listen>unix:path=$TESTDIR/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
    <allow send_requested_reply="true"/> <allow receive_requested_reply="true"/> <allow send_destination="*"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file="$TESTDIR/bus.conf" --nofork --nopidfile </dev/null >"$TESTDIR/bus.log" 2>&1 &
started $!
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TESTDIR/bus
check "a bus" await 15 busctl --system --timeout=5 list || bail "$(cat "$TESTDIR/bus.log")"
owned() { busctl --system --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s org.sentryd1 | grep -q true; }
"$SENTRYD_BUILD/tests/bus/mock-sentryd" $DEATHS </dev/null >"$TESTDIR/mock.log" 2>&1 &
mock=$!
started $mock
check "a daemon that dies $DEATHS times" await 15 owned
T=120 status_is 42 "who waits has the status all the same" sctl --system wait mock
T=120 status_is 42 "… also when it dies no more" sctl --system wait mock
check_fails "it is still there" gone $mock

done_testing
