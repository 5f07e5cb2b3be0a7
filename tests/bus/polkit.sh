#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may do what with whose sandboxes on a system's bus of the test's own, where a mock is polkit: asked only when it
# has to be, for the right action, and obeyed; absent, silent or out of its mind it means no.

. "${srcdir:-.}/tests/lib/tap.sh"

[ "$(id -u)" -eq 0 ] || skip_all "it takes root to be several users"
command -v dbus-daemon >/dev/null || skip_all "dbus-daemon is missing"

NAME=org.sentryd1
ROOT=/org/sentryd1
MANAGER=org.sentryd1.Manager
SANDBOX=org.sentryd1.Sandbox
PROPERTIES=org.freedesktop.DBus.Properties
S=/org/sentryd1/sandbox/hers

# ---- the bus, the daemon, polkit

mkdir "$TESTDIR/polkit"
chmod 755 "$TESTDIR/run" # the socket is the test's, and for all of its users
cat >"$TESTDIR/bus.conf" <<END
<busconfig>
  <type>system</type>
  <listen>unix:path=$TESTDIR/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
    <allow send_requested_reply="true"/> <allow receive_requested_reply="true"/>
    <allow eavesdrop="false"/> <allow send_destination="*"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file="$TESTDIR/bus.conf" --nofork --nopidfile </dev/null >"$TESTDIR/bus.log" 2>&1 &
started $!
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TESTDIR/bus
check "a bus" await 15 busctl --system --timeout=5 list || bail "$(cat "$TESTDIR/bus.log")"
mkdir "$TESTDIR/run/sentryd"
RUNTIME_DIRECTORY=$TESTDIR/run/sentryd "$SENTRYD_BUILD/sentryd" --system </dev/null >"$TESTDIR/run/sentryd/log" 2>&1 &
started $!
owned() { busctl --system --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s "$1" | grep -q true; }
check "sentryd --system takes its name" await 15 owned $NAME || bail "$(cat "$TESTDIR/run/sentryd/log")"

tap_user_setup || skip_all "$REASON"
HERS=$(id -u daemon) HIS=$(id -u nobody) # whom the bus daemon knows
as() { # UID COMMAND…
        local uid=$1 exec=
        shift
        [ "$1" != exec ] || { exec="exec"; shift; }
        $exec setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i PATH="$PATH" LC_ALL=C TERM=dumb HOME=/nonexistent \
                DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS" SYSTEMD_LOG_LEVEL="${LEVEL:-info}" timeout -k 5 "$T" "$@"
}
call() { as "$HIS" busctl --system --json=short "${FLAGS[@]}" call -- $NAME "$@"; }
FLAGS=(--allow-interactive-authorization=no)
error_of() { # CALL…: the name of the error that his call ends with
        LEVEL=debug call "$@" 2>&1 | sed -n 's/.*type=error .*error-name=\([^ ]*\).*/\1/p' | tail -n 1
}
message_of() { # … and what it says: busctl puts words of its own in its place
        LEVEL=debug call "$@" 2>&1 | sed -n 's/.*type=error .*error-message=//p' | tail -n 1
}
says() { echo "$1" >"$TESTDIR/polkit/verdict"; }
asked() { cat "$TESTDIR/polkit/asked" 2>/dev/null; }
asked_for() { asked | awk '{ print $1 }' | xargs; }
forget() { : >"$TESTDIR/polkit/asked"; }
mock=
polkit_starts() {
        "$SENTRYD_BUILD/tests/bus/mock-polkit" "$TESTDIR/polkit" </dev/null >>"$TESTDIR/polkit.log" 2>&1 &
        mock=$!
        started $mock
        check "polkit is there" await 15 owned org.freedesktop.PolicyKit1
}
polkit_is_gone() { ! owned org.freedesktop.PolicyKit1; }
DENIED=org.freedesktop.DBus.Error.AccessDenied

mkfifo "$TESTDIR/in"
exec 9<>"$TESTDIR/in"
run_hers() {
        as "$HERS" exec env -C / "$USER_CTL" --system run --name hers sleep 1000 <"$TESTDIR/in" >"$TESTDIR/hers" 2>&1 &
        started $!
        check "she has a sandbox" await 20 runs || bail "$(cat "$TESTDIR/hers")"
}
runs() { [ "$(busctl --system get-property "$NAME" "$S" "$SANDBOX" State 2>/dev/null)" = 's "running"' ]; }
T=600 run_hers

# ---- without polkit

is "$(error_of $S $SANDBOX Kill i 1)" $DENIED "without polkit: he may not kill it"
out=$(message_of $S $SANDBOX Kill i 1)
contains "$out" "belongs to uid $HERS and you are uid $HIS" "… and is told whose it is"
contains "$out" "polkit is not there" "… that there is no polkit"
contains "$out" org.sentryd1.kill-others "… and what it would be asked"
check "… she has it still" runs
check "she needs none" as "$HERS" "$USER_CTL" --system pause hers
check "root needs none" busctl --system call $NAME $S $SANDBOX Resume

# ---- polkit says no

polkit_starts
says no
forget
check "she is not asked about" as "$HERS" "$USER_CTL" --system pause hers
check "nor is root" busctl --system call $NAME $S $SANDBOX Resume
is "$(asked)" '' "… polkit heard of nothing"
is "$(error_of $S $SANDBOX Pause)" $DENIED "he is, and refused"
is "$(asked)" "org.sentryd1.control-others sandbox=hers owner=$HERS flags=0 subject=system-bus-name" "… for the right thing"

# Each method of a sandbox asks for something, and none gets past a no. (Those that are new must be thought about.)
methods=$(busctl --system introspect --xml-interface $NAME $S |
        sed -n "/interface name=\"$SANDBOX\"/,/<\/interface>/s/.*<method name=\"\([A-Za-z]*\)\".*/\1/p")
contains "$methods" Pause "a sandbox has methods"
for method in $methods; do
        signature=$(busctl --system introspect $NAME $S $SANDBOX | awk -v m=".$method" '$1 == m { print $3 }')
        case $signature in
        -) arguments=() ;;
        i | u) arguments=("$signature" 0) ;;
        s) arguments=(s x) ;;
        'a{sv}') arguments=('a{sv}' 0) ;;
        'ssia{sv}') arguments=('ssia{sv}' init '' 1 0) ;;
        h*) arguments=() ;; # busctl sends no descriptors; who may not call is told so whatever he sends
        *) not_ok "$method($signature): the test does not know how to call it"; continue ;;
        esac
        forget
        is "$(error_of $S $SANDBOX "$method" "${arguments[@]}")" $DENIED "$method is refused"
        like "$(asked_for)" '^org\.sentryd1\.(kill|control|exec|trace|inspect|save)-others$' "… and was asked about"
done
for get in "Get ss $SANDBOX Profile" "GetAll s $SANDBOX"; do
        forget
        # shellcheck disable=SC2086 # words
        is "$(error_of $S $PROPERTIES $get)" $DENIED "${get%% *} of properties is refused"
        is "$(asked_for)" org.sentryd1.inspect-others "… and was asked about"
done
forget
is "$(error_of $ROOT $MANAGER GetSandbox s hers)" $DENIED "GetSandbox is refused"
is "$(asked_for)" org.sentryd1.inspect-others "… and was asked about"
forget
is "$(error_of $S org.freedesktop.DBus.Introspectable Introspect)" $DENIED "introspection is refused"
is "$(error_of $S $PROPERTIES Set ssv $SANDBOX Hostname s x)" $DENIED "… so is setting"
is "$(call $ROOT $MANAGER ListSandboxes | json 'd["data"]')" '[[]]' "… and he sees none"
is "$(error_of $ROOT $MANAGER GetSandbox s no-such)" org.sentryd1.Error.NoSuchSandbox "what is not there is not asked about"
is "$(asked)" '' "… none of which polkit heard of"
check "she still has it" runs

# ---- polkit says yes

says yes
forget
is "$(call $ROOT $MANAGER GetSandbox s hers | json 'd["data"][0]')" $S "with a yes: GetSandbox"
is "$(call $S $PROPERTIES Get ss $SANDBOX Hostname | json 'd["data"][0]["data"]')" sandbox "… a property"
is "$(call $S $SANDBOX ListTasks | json 'd["data"][0][0][5]')" sleep "… ListTasks"
check "… Pause" call $S $SANDBOX Pause
is "$(busctl --system get-property $NAME $S $SANDBOX State)" 's "paused"' "… it is paused"
check "… Resume" call $S $SANDBOX Resume
is "$(asked_for | tr ' ' '\n' | sort | uniq -c | xargs)" "2 org.sentryd1.control-others 3 org.sentryd1.inspect-others" \
        "… each was asked about once"
contains "$(as "$HIS" "$USER_CTL" --system status hers 2>&1)" running "sentryctl status shows it"
says no
is "$(error_of $S $SANDBOX Pause)" $DENIED "a no after a yes is a no"

# ---- asking a person

says challenge
is "$(error_of $S $SANDBOX Pause)" org.freedesktop.DBus.Error.InteractiveAuthorizationRequired \
        "a call that allows no questions gets to know that one would be asked"
forget
FLAGS=(--allow-interactive-authorization=yes)
check "one that does is asked, and granted" call $S $SANDBOX Pause
like "$(asked)" 'flags=1' "… polkit was told that it may ask"
check "… it counts" call $S $SANDBOX Resume

# At a terminal sentryctl starts the program that asks, for itself, and ends it.
mkdir "$TESTDIR/bin"
cat >"$TESTDIR/bin/pkttyagent" <<'END'
#!/bin/bash
echo "$*" >>"$AGENT_LOG"
trap 'echo ended >>"$AGENT_LOG"; exit' TERM
exec 3>&-
while :; do sleep 0.1; done
END
chmod 755 "$TESTDIR/bin/pkttyagent"
touch "$TESTDIR/agent"
chmod 666 "$TESTDIR/agent"
at_terminal() { as "$HIS" env AGENT_LOG="$TESTDIR/agent" PATH="$TESTDIR/bin:$PATH" script -qec "$*" /dev/null </dev/null 2>&1; }
forget
check "at a terminal, sentryctl has him asked" at_terminal "$USER_CTL" --system pause hers
like "$(cat "$TESTDIR/agent")" '^--process [0-9]+ --notify-fd 3 --fallback' "… by an agent"
contains "$(cat "$TESTDIR/agent")" ended "… that has ended"
is "$(grep -c '^--process' "$TESTDIR/agent")" 1 "… one for all questions"
is "$(asked | grep -o 'flags=.' | xargs)" "flags=0 flags=1 flags=0 flags=1" "… after each call was tried without asking"
rm "$TESTDIR/bin/pkttyagent"
: >"$TESTDIR/agent"
PATH=$TESTDIR/bin:/usr/bin:/bin check "without the program, polkit may ask by itself" at_terminal "$USER_CTL" --system resume hers
check "with nobody at a terminal" as "$HERS" "$USER_CTL" --system list
contains "$(as "$HIS" "$USER_CTL" --system pause hers </dev/null 2>&1)" "would ask for a password" "… nobody is asked"

# ---- polkit out of its mind

says error
is "$(error_of $S $SANDBOX Pause)" $DENIED "an error of polkit's is a no"
contains "$(message_of $S $SANDBOX Pause)" "The mock is out of order" "… and is told"
says nonsense
is "$(error_of $S $SANDBOX Pause)" $DENIED "nonsense is a no"

# ---- polkit takes its time

pause_waiting() { # FILE: becomes a call that polkit is asked about
        as "$HIS" exec busctl --system --allow-interactive-authorization=yes call $NAME $S $SANDBOX Pause >"$TESTDIR/$1" 2>&1
}
says hang
forget
pids=()
for _ in {1..20}; do
        pause_waiting "hanging.$_" &
        pids+=($!)
done
started "${pids[@]}"
all_asked() { [ "$(asked | grep -c control-others)" -eq 16 ] && [ "$(cat "$TESTDIR"/hanging.* | grep -c 'wait for polkit')" -eq 4 ]; }
check "16 of his calls wait, and 4 are too many" await 20 all_asked || diag "$(asked; cat "$TESTDIR"/hanging.*)"
check "meanwhile others are served" as "$HERS" "$USER_CTL" --system pause hers
check "… with theirs" as "$HERS" "$USER_CTL" --system resume hers
for pid in "${pids[@]}"; do
        end_process "$pid"
done
all_cancelled() { [ "$(asked | grep -c '^cancel')" -eq 16 ]; }
check "who goes away takes the questions back" await 20 all_cancelled || diag "$(asked)"
says yes
check "… and has room for others" call $S $SANDBOX Pause
check "…" call $S $SANDBOX Resume

# An answer to a question about a sandbox that has ended is not for another one of its name.
says hang
forget
pause_waiting late &
late=$!
started $late
check "polkit is asked" await 20 grep -q control-others "$TESTDIR/polkit/asked"
check "she ends it meanwhile" as "$HERS" "$USER_CTL" --system kill --wait hers
T=600 run_hers
says yes
kill -USR1 "$mock" # answers what hangs
reaped $late
isnt "$RC" 0 "the old yes is not for the new one"
contains "$(cat "$TESTDIR/late")" "ccess denied" "… and he is told"
is "$(busctl --system get-property $NAME $S $SANDBOX State)" 's "running"' "… which runs"

says hang
forget
pause_waiting late &
late=$!
started $late
check "polkit is asked" await 20 grep -q control-others "$TESTDIR/polkit/asked"
end_process $mock
reaped $late
isnt "$RC" 0 "a polkit that dies means no"
check "it is gone" await 10 polkit_is_gone
is "$(error_of $S $SANDBOX Pause)" $DENIED "… and stays one"
polkit_starts
says yes
check "and is asked again" call $S $SANDBOX Kill i 7
gone_again() { ! runs; }
check "he ends it" await 20 gone_again

done_testing
