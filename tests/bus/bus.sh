#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The whole bus interface of a user instance, with busctl on a session bus of the test's own: what there is, what it
# answers, and what it answers to nonsense.

if [ -z "${SENTRYD_TEST_BUS:-}" ]; then
        command -v dbus-run-session >/dev/null || {
                echo '1..0 # SKIP dbus-run-session is missing'
                exit 0
        }
        exec env SENTRYD_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
fi
bus_address=$DBUS_SESSION_BUS_ADDRESS
. "${srcdir:-.}/tests/lib/tap.sh"
export DBUS_SESSION_BUS_ADDRESS=$bus_address

NAME=org.sentryd1
ROOT=/org/sentryd1
MANAGER=org.sentryd1.Manager
SANDBOX=org.sentryd1.Sandbox
PROPERTIES=org.freedesktop.DBus.Properties
E=org.sentryd1.Error

bus() { timeout -k 5 20 busctl --user --json=short "$@"; }
call() { bus call $NAME "$@"; }
property() { bus get-property $NAME "$@" 2>&1 | json 'd["data"]'; }

# error_of OBJECT INTERFACE METHOD [SIGNATURE ARGUMENTS…]: the name of the error that the call ends with
error_of() {
        SYSTEMD_LOG_LEVEL=debug timeout -k 5 20 busctl --user call -- $NAME "$@" 2>&1 |
                sed -n 's/.*type=error .*error-name=\([^ ]*\).*/\1/p' | tail -n 1
}
fails_with() { # ERROR DESCRIPTION CALL…
        local expected=$1 description=$2
        shift 2
        is "$(error_of "$@")" "$expected" "$description"
}

# ---- the daemon

owned() { busctl --user --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s $NAME | grep -q true; }
owned && bail "$NAME is on this bus already"
"$SENTRYD_BUILD/sentryd" --user </dev/null >"$TESTDIR/sentryd.log" 2>&1 &
daemon=$!
started $daemon
check "sentryd --user takes its name" await 15 owned || {
        diag "$(cat "$TESTDIR/sentryd.log")"
        bail "no daemon, no test"
}

# ---- the tree

contains "$(bus tree --list $NAME 2>&1)" $ROOT "the tree has the manager"
out=$(timeout 20 busctl --user introspect --xml-interface $NAME $ROOT 2>&1)
for member in CreateSandbox ListSandboxes GetSandbox GetSandboxByPID ListProfiles GetProfile CheckProfile; do
        contains "$out" "<method name=\"$member\"" "introspection: method $member"
done
for member in Version Mode NSandboxes; do
        contains "$out" "<property name=\"$member\"" "introspection: property $member"
done
for member in SandboxNew SandboxRemoved; do
        contains "$out" "<signal name=\"$member\"" "introspection: signal $member"
done
contains "$out" org.freedesktop.DBus.ObjectManager "introspection: the manager is an ObjectManager"
contains "$out" $PROPERTIES "introspection: … and has properties"

like "$(property $ROOT $MANAGER Version)" '^[0-9]+\.[0-9]+' "Version"
is "$(property $ROOT $MANAGER Mode)" user "Mode is user"
is "$(property $ROOT $MANAGER NSandboxes)" 0 "NSandboxes is 0"
is "$(call $ROOT $MANAGER ListSandboxes | json 'd["data"]')" '[[]]' "ListSandboxes is empty"
is "$(call $ROOT org.freedesktop.DBus.ObjectManager GetManagedObjects | json 'len(d["data"][0])')" 0 "no objects are managed"
check "Ping" call $ROOT org.freedesktop.DBus.Peer Ping
fails_with org.freedesktop.DBus.Error.UnknownMethod "an unknown method" $ROOT $MANAGER NoSuchMethod
fails_with org.freedesktop.DBus.Error.UnknownObject "an unknown object" /org/sentryd1/nothing $SANDBOX Pause
fails_with org.freedesktop.DBus.Error.UnknownProperty "an unknown property" $ROOT $PROPERTIES Get ss $MANAGER NoSuchProperty
fails_with org.freedesktop.DBus.Error.PropertyReadOnly "Version can't be set" $ROOT $PROPERTIES Set ssv $MANAGER Version s x
fails_with org.freedesktop.DBus.Error.InvalidArgs "a call with the wrong types" $ROOT $MANAGER GetSandbox u 5

# The last who wanted to hear of tasks leaves with its connection.
check "Subscribe" call $ROOT $MANAGER Subscribe
check "… by who is gone then holds nobody up" call $ROOT $MANAGER ListSandboxes
check "Unsubscribe by who has not subscribed" call $ROOT $MANAGER Unsubscribe

# ---- profiles

call $ROOT $MANAGER ListProfiles >"$TESTDIR/profiles"
is "$(json '"default" in [p[0] for p in d["data"][0]]' <"$TESTDIR/profiles")" True "ListProfiles has the default one"
is "$(json 'all(p[1].startswith("/") for p in d["data"][0])' <"$TESTDIR/profiles")" True "… with absolute file names"
is "$(call $ROOT $MANAGER GetProfile s default | json 'json.loads(d["data"][0])["hostname"]')" sandbox "GetProfile gives JSON"
fails_with $E.NoSuchProfile "GetProfile of none" $ROOT $MANAGER GetProfile s no-such-profile
like "$(error_of $ROOT $MANAGER GetProfile s ../../../etc/passwd)" "^$E\.(NoSuchProfile|BadProfile)$|InvalidArgs" "GetProfile of a path"
is "$(call $ROOT $MANAGER CheckProfile ss '{"hostname":"x"}' x.json | json 'd["data"]')" '[[]]' "CheckProfile of a good one finds nothing"
is "$(call $ROOT $MANAGER CheckProfile ss $'{\n"hostnam":"x"}' x.json | json '[d["data"][0][0][0], d["data"][0][0][1]]')" \
        '[2, "hostnam"]' "CheckProfile of a bad one gives line and key"
contains "$(call $ROOT $MANAGER CheckProfile ss $'{\n"hostnam":"x"}' x.json | json 'd["data"][0][0][2]')" hostname \
        "… and names the nearest key"
is "$(call $ROOT $MANAGER CheckProfile ss '' x.json | json 'len(d["data"][0]) > 0')" True "CheckProfile of nothing finds something"
like "$(call $ROOT $MANAGER CheckProfile ss "$(head -c 100000 /dev/zero | tr '\0' '[')" x.json | json 'len(d["data"][0])')" \
        '^[1-9]' "CheckProfile of 100,000 brackets finds something"

# ---- CreateSandbox and nonsense

create() { error_of $ROOT $MANAGER CreateSandbox 'ssa{sv}' "$@"; }
fails_with $E.NoSuchProfile "CreateSandbox with a profile that is not there" \
        $ROOT $MANAGER CreateSandbox 'ssa{sv}' a no-such-profile 0
for bad in a/b . .. 'a b' -a $'a\nb' "$(printf 'n%.0s' {1..300})"; do
        like "$(create "$bad" default 0)" InvalidArgs "CreateSandbox with the name '${bad:0:20}' is InvalidArgs"
done
like "$(create a default 1 no-such-option s x)" InvalidArgs "… with an unknown option is InvalidArgs"
like "$(create a default 1 overrides u 5)" InvalidArgs "… with an option of the wrong type is InvalidArgs"
is "$(create a default 1 overrides s '{')" $E.BadProfile "… with overrides that are no JSON is BadProfile"
is "$(create a default 1 overrides s '{"hostnam":"x"}')" $E.BadProfile "… with overrides that have an unknown key is BadProfile"
is "$(create a default 1 overrides s '{"sentry":{"pid":"public"}}')" $E.BadProfile "… with a bad value is BadProfile"
is "$(create a default 1 overrides s "$(head -c 100000 /dev/zero | tr '\0' '[')")" $E.BadProfile \
        "… with overrides of 100,000 brackets is BadProfile"
empty() { [ "$(property "$ROOT" "$MANAGER" NSandboxes)" = 0 ]; }
check "none of them made a sandbox" await 5 empty

# One that nobody launches goes away by itself: busctl drops the launch socket.
out=$(call $ROOT $MANAGER CreateSandbox 'ssa{sv}' dropped '' 2 program s /bin/true overrides s '{"hostname":"over"}')
is "$(json 'd["data"][0]' <<<"$out")" /org/sentryd1/sandbox/dropped "CreateSandbox gives a path"
is "$(json 'json.loads(d["data"][2])["hostname"]' <<<"$out")" over "… and the resolved profile"
check "… whose launcher is gone, so the sandbox goes too" await 15 empty
is "$(call $ROOT $MANAGER CreateSandbox 'ssa{sv}' '' '' 1 program s /usr/bin/made-up | json 'd["data"][0].rsplit("/", 1)[1][:7]')" \
        made_2d "without a name it is made of the program's" # made-up, encoded
check "… gone, too" await 15 empty

# ---- a real sandbox, and everything that it answers

busctl --user monitor --json=short $NAME >"$TESTDIR/monitor" 2>"$TESTDIR/monitor.err" &
started $!
"$SENTRYCTL" --user events >"$TESTDIR/events" 2>&1 &
started $!
# Both listen when they tell of a sandbox that is there for this.
told() {
        "$SENTRYCTL" --user run --name told true
        grep -q SandboxNew "$TESTDIR/monitor" && grep -q SandboxRemoved "$TESTDIR/monitor" && grep -q SandboxRemoved "$TESTDIR/events"
}
check "a monitor and sentryctl events tell of a sandbox" await 20 told || diag "$(cat "$TESTDIR/monitor.err" "$TESTDIR/events")"
for signal in SandboxNew SandboxRemoved Exited; do
        check "… $signal" await 5 grep -q "$signal" "$TESTDIR/monitor"
done
check "… PropertiesChanged" await 5 grep -q 'PropertiesChanged.*InitPID\|InitPID.*PropertiesChanged' "$TESTDIR/monitor"
check "CreateSandbox's result is said to nobody else" await 5 empty

S=/org/sentryd1/sandbox/box
mkfifo "$TESTDIR/in"
"$SENTRYCTL" --user run --name box --hostname inside sh -c 'sleep 1000 & while read -r line; do eval "$line"; done; exit 11' \
        <"$TESTDIR/in" >"$TESTDIR/out" 2>&1 &
run=$!
started $run
exec 9>"$TESTDIR/in"
in_state() { [ "$(property "$S" "$SANDBOX" State)" = "$1" ]; }
check "a sandbox runs" await 15 in_state running || diag "$(cat "$TESTDIR/out")"
contains "$(bus tree --list $NAME)" $S "the tree has it"
is "$(call $ROOT $MANAGER GetSandbox s box | json 'd["data"][0]')" $S "GetSandbox"
fails_with $E.NoSuchSandbox "GetSandbox of another" $ROOT $MANAGER GetSandbox s no-such-sandbox
like "$(error_of $ROOT $MANAGER GetSandbox s '')" "NoSuchSandbox|InvalidArgs" "GetSandbox of nothing"
fails_with $E.NameInUse "CreateSandbox of the same name" $ROOT $MANAGER CreateSandbox 'ssa{sv}' box default 0
is "$(property $ROOT $MANAGER NSandboxes)" 1 "NSandboxes is 1"
is "$(call $ROOT $MANAGER ListSandboxes | json '[s[:4] for s in d["data"][0]]')" \
        "[[\"box\", \"$S\", \"running\", $(id -u)]]" "ListSandboxes"
init=$(property $S $SANDBOX InitPID)
is "$(call $ROOT $MANAGER ListSandboxes | json 'd["data"][0][0][4]')" "$init" "… its init's pid is InitPID"
like "$(readlink "/proc/$init/exe")" 'sh$' "… which is the program's on the host"
is "$(call $ROOT $MANAGER ListSandboxes | json 'abs(d["data"][0][0][5] / 1e6 - __import__("time").time()) < 60')" True \
        "… it started just now"

out=$(timeout 20 busctl --user introspect --xml-interface $NAME $S 2>&1)
for member in Kill Wait Pause Resume Exec ListTasks GetTasks GetLog GetSyscalls GetStatistics \
        GetSyscallStatistics Trace; do
        contains "$out" "<method name=\"$member\"" "introspection: method $member"
done
for member in Exited UnimplementedSyscall Refused EventsDropped TaskNew TaskExec TaskExit Stuck; do
        contains "$out" "<signal name=\"$member\"" "introspection: signal $member"
done
for pair in Name=box State=running Owner="$(id -u)" Hostname=inside 'DomainName=(none)' ProfileName=default ExitStatus=-1 \
        PauseDepth=0 IsPaused=False; do
        is "$(property $S $SANDBOX "${pair%%=*}")" "${pair#*=}" "property ${pair%%=*}"
done
like "$(property $S $SANDBOX CPUs)" '^[0-9,-]+$' "property CPUs"
like "$(property $S $SANDBOX StartedUSec)" '^[1-9][0-9]{12,}$' "property StartedUSec"
is "$(property $S $SANDBOX Profile | json 'd["hostname"]')" inside "property Profile is the resolved one"
like "$(bus get-property $NAME $S $SANDBOX State | json 'd["type"]')" '^s$' "State is a string"
is "$(call $S $PROPERTIES GetAll s $SANDBOX | json 'd["data"][0]["Name"]["data"]')" box "GetAll"
is "$(call $ROOT org.freedesktop.DBus.ObjectManager GetManagedObjects | json "'$S' in d['data'][0]")" True "GetManagedObjects has it"
fails_with org.freedesktop.DBus.Error.PropertyReadOnly "Hostname can't be set" $S $PROPERTIES Set ssv $SANDBOX Hostname s x

call $S $SANDBOX ListTasks >"$TESTDIR/tasks"
is "$(json 'd["type"]' <"$TESTDIR/tasks")" 'a(uuuusstas)' "ListTasks"
is "$(json 'sorted(t[5] for t in d["data"][0])' <"$TESTDIR/tasks")" '["sh", "sleep"]' "… has both"
is "$(json '[t[2] for t in d["data"][0] if t[0] == 1][0]' <"$TESTDIR/tasks")" "$init" "… PID 1 is InitPID outside"
is "$(json '[t[1] for t in d["data"][0] if t[5] == "sleep"][0]' <"$TESTDIR/tasks")" 1 "… the child's parent is 1"
is "$(json '[t[7] for t in d["data"][0] if t[5] == "sleep"][0]' <"$TESTDIR/tasks")" '["sleep", "1000"]' "… with arguments"
call $S $SANDBOX GetTasks u 0 >"$TESTDIR/tasks"
is "$(json 'd["type"]' <"$TESTDIR/tasks")" 'a(uuuuuuuussstti''sasa{sv})' "GetTasks"
is "$(json 'sorted(t[9] for t in d["data"][0])' <"$TESTDIR/tasks")" '["sh", "sleep"]' "… has both"
is "$(json '[t[13] for t in d["data"][0]]' <"$TESTDIR/tasks")" '[-1, -1]' "… which live"
is "$(json '[len(t[16]) for t in d["data"][0]]' <"$TESTDIR/tasks")" '[0, 0]' "… without details"
call $S $SANDBOX GetTasks u 3 >"$TESTDIR/tasks"
is "$(json '[t[16]["NoNewPrivs"]["data"] for t in d["data"][0]]' <"$TESTDIR/tasks")" '[true, true]' "… and with them"
fails_with org.freedesktop.DBus.Error.InvalidArgs "GetTasks with unknown flags" $S $SANDBOX GetTasks u 4
call $S $SANDBOX GetLog >"$TESTDIR/log"
is "$(json 'd["type"]' <"$TESTDIR/log")" 'a(ttus)' "GetLog"
is "$(json '[e[0] for e in d["data"][0]] == sorted(e[0] for e in d["data"][0]) and len(d["data"][0]) > 0' <"$TESTDIR/log")" True \
        "… in order"
is "$(json 'all(0 <= e[2] <= 7 for e in d["data"][0])' <"$TESTDIR/log")" True "… with levels"
echo uname >&9
called() { [ "$(call "$S" "$SANDBOX" GetSyscalls | json '[c[1] for c in d["data"][0] if c[0] == "uname"] != []')" = True ]; }
check "GetSyscalls counts uname" await 10 called
is "$(call $S $SANDBOX GetSyscalls | json 'all(c[1] > 0 for c in d["data"][0])')" True "… only what was called"
call $S $SANDBOX GetStatistics >"$TESTDIR/statistics"
for key in Calls EventsDropped UptimeUSec Threads MemoryRSS CPUTimeUSec; do
        is "$(json "'$key' in d['data'][0]" <"$TESTDIR/statistics")" True "GetStatistics has $key"
done
is "$(json 'd["data"][0]["Threads"]["data"]' <"$TESTDIR/statistics")" 2 "… Threads is 2"
is "$(json 'd["data"][0]["MemoryRSS"]["data"] > 100000' <"$TESTDIR/statistics")" True "… MemoryRSS is a size in bytes"

# GetSandboxByPID wants a pidfd, which busctl cannot send: what it can send is refused.
like "$(error_of $ROOT $MANAGER GetSandboxByPID u 1)" InvalidArgs "GetSandboxByPID takes no number"

# Changes
echo 'hostname changed-name' >&9
check "a changed host name is a change of the property" await 10 grep -q 'changed-name' "$TESTDIR/monitor"
is "$(property $S $SANDBOX Hostname)" changed-name "… which has the new value"
check "… sentryctl events tells, too" await 10 grep -q changed-name "$TESTDIR/events"
# 5,000 changes at full speed are few signals, and the last one is told.
before=$(grep -c PropertiesChanged "$TESTDIR/monitor") begun=$SECONDS
cat >&9 <<'GUEST'
/usr/bin/python3 -c 'import socket; [socket.sethostname("flood-%d" % i) for i in range(5000)]; socket.sethostname("flooded")'
GUEST
check "after many changes the last is told" await 20 grep -q flooded "$TESTDIR/monitor"
check "… with few signals" test $(($(grep -c PropertiesChanged "$TESTDIR/monitor") - before)) -le $((11 * (SECONDS - begun + 2)))

# Pausing
fails_with $E.NotPaused "Resume without Pause" $S $SANDBOX Resume
if out=$(call $S $SANDBOX Pause 2>&1); then
        is "$(property $S $SANDBOX State)" paused "Pause: State is paused"
        is "$(property $S $SANDBOX IsPaused)" True "… IsPaused"
        is "$(property $S $SANDBOX PauseDepth)" 1 "… PauseDepth is 1"
        check "… PropertiesChanged says so" await 10 grep -q '"paused"' "$TESTDIR/monitor"
        check "Pause again" call $S $SANDBOX Pause
        is "$(property $S $SANDBOX PauseDepth)" 2 "… PauseDepth is 2"
        check "Resume" call $S $SANDBOX Resume
        is "$(property $S $SANDBOX State)" paused "… still paused"
        check "Resume again" call $S $SANDBOX Resume
        is "$(property $S $SANDBOX State)" running "… running"
        fails_with $E.NotPaused "one Resume more" $S $SANDBOX Resume
elif [[ $out == *cgroup* || $out == *'control group'* ]]; then
        skip "Pause and Resume" "$out"
else
        not_ok "Pause" "$out"
fi

# Wrong arguments
like "$(error_of $S $SANDBOX Kill i 256)" InvalidArgs "Kill(256) is InvalidArgs"
like "$(error_of $S $SANDBOX Kill i -1)" InvalidArgs "Kill(-1) is InvalidArgs"
like "$(error_of $S $SANDBOX Kill s x)" InvalidArgs "Kill of a string is InvalidArgs"
like "$(error_of $S $SANDBOX Exec 'a{sv}' 1 no-such-option s x)" InvalidArgs "Exec with an unknown option is InvalidArgs"
like "$(error_of /org/sentryd1/sandbox/none $SANDBOX Kill i 1)" "NoSuchSandbox|UnknownObject" "Kill of what is not there"
is "$(property $S $SANDBOX State)" running "after all that it runs"

# The end
bus call --timeout=60 $NAME $S $SANDBOX Wait >"$TESTDIR/wait" 2>&1 &
waiter=$!
started $waiter
bus call --timeout=60 $NAME $S $SANDBOX Wait >"$TESTDIR/wait2" 2>&1 &
waiter2=$!
started $waiter2
is "$(property $S $SANDBOX State)" running "two wait"
check "Kill(77)" call $S $SANDBOX Kill i 77
reaped $run
is "$RC" 77 "run returns the status"
reaped $waiter
is "$(json 'd["data"]' <"$TESTDIR/wait")" '[77]' "Wait answers with it"
reaped $waiter2
is "$(json 'd["data"]' <"$TESTDIR/wait2")" '[77]' "… the other one too"
check "Exited tells it" await 5 grep -q 'Exited.*77' "$TESTDIR/monitor"
check "NSandboxes is 0 again" await 10 empty
is "$(call $ROOT $MANAGER ListSandboxes | json 'd["data"]')" '[[]]' "ListSandboxes is empty"
# For a while it can still be asked how it ended.
is "$(property $S $SANDBOX State)" exited "State is exited"
is "$(property $S $SANDBOX ExitStatus)" 77 "ExitStatus is 77"
is "$(call $S $SANDBOX Wait | json 'd["data"]')" '[77]' "Wait answers at once"
for method in Pause Resume ListTasks; do
        fails_with $E.NotRunning "$method is NotRunning" $S $SANDBOX $method
done
"$SENTRYCTL" --user run --name box true
is $? 0 "the name can be taken again"

# Names that need encoding
"$SENTRYCTL" --user run --name a-b.c_d sleep 1000 &
run=$!
started $run
one() { [ "$(property "$ROOT" "$MANAGER" NSandboxes)" = 1 ]; }
check "a sandbox with a name that a path can't have" await 10 one
is "$(call $ROOT $MANAGER GetSandbox s a-b.c_d | json 'd["data"][0]')" /org/sentryd1/sandbox/a_2db_2ec_5fd "… is encoded in its path"
check "… and found by its name" "$SENTRYCTL" --user kill a-b.c_d
reaped $run

# Limits: as many as there may be, until it says so, and never a crash
n=0
limit=
while [ $n -lt 20 ]; do
        n=$((n + 1))
        limit=$(error_of $ROOT $MANAGER CreateSandbox 'ssa{sv}' "many-$n" '' 0)
        [ -z "$limit" ] || break
done
like "${limit:-none}" "^none$|^$E\.LimitReached$" "20 sandboxes that nobody launches: made, or LimitReached"
check "… they all go" await 20 empty

gone $daemon
is $? 1 "after all that the daemon lives"
kill -TERM $daemon
reaped $daemon
is "$RC" 0 "SIGTERM ends it well" || diag "$(tail -n 20 "$TESTDIR/sentryd.log")"
is "$(grep -E 'ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion' "$TESTDIR/sentryd.log")" '' "… without any complaint"
done_testing
