#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Managers that are killed: the next one has the sandboxes, nobody inside or waiting outside has noticed, and no call is
# made twice. Embedded, and on a session bus.

if [ -z "${SENTRYD_TEST_BUS:-}" ]; then
        command -v dbus-run-session >/dev/null || {
                echo '1..0 # SKIP dbus-run-session is missing'
                exit 0
        }
        exec env SENTRYD_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
fi
bus_address=$DBUS_SESSION_BUS_ADDRESS
. "${srcdir:-.}/tests/lib/tap.sh"

VISITOR=$srcdir/tests/live/visitor.py
managers() { daemons_of "$(runtime)" sentryd; }
kill_manager() { # and wait for its death
        local pid
        pid=$(managers)
        [[ $pid =~ ^[0-9]+$ ]] || return 1
        kill -KILL "$pid" && await 10 gone "$pid"
}
pair() { daemons_of "$(runtime)" sentry-kernel && daemons_of "$(runtime)" sentry-keeper; }
pair_is_there() { [ "$(pair | wc -l)" = 2 ]; }
takes_programs() { [ "$(sctl exec box uname -n)" = boxed ]; }
is_paused() { # nobody is told that it is before it is
        local before
        [ "$(property State)" = paused ] && before=$(stat -c %y "$DIR/count") && sleep 0.2 && [ "$(stat -c %y "$DIR/count")" = "$before" ]
}
property() { sctl --json=short show box | json "d['$1']"; }
is_there() { sctl --no-legend list | grep -qE '^box +(running|paused) '; }

# Counts, and says so when it ever sees a wrong name or an error.
box() { # FILE: a program that ends with status 42 when FILE/end is there
        cat <<-END
		import os, time
		while not os.path.exists("$1/end"):
		    assert os.uname().nodename == "boxed"
		    with open("$1/count", "w") as f:
		        f.write(str(os.getpid()))
		    time.sleep(0.002)
		os._exit(42)
	END
}

start_box() {
        rm -rf "$DIR" && mkdir -p "$DIR" && mine "$DIR"
        T=900 sctl run --name box --hostname boxed --bind "$DIR:$DIR" -- /usr/bin/python3 -c "$(box "$DIR")" >"$DIR.out" 2>&1 &
        BOX=$!
        started $BOX
        check "$LABEL: a sandbox" await 20 is_there || diag "$(cat "$DIR.out")"
}

# Whoever pauses and resumes does so once, whatever dies meanwhile.
storm() { # HOW-OFTEN COMMAND…: which kills
        local rounds=$1 i failed=0 killer
        shift
        (until [ -e "$DIR/stop" ]; do "$@"; done) >/dev/null 2>&1 &
        killer=$!
        started $killer
        for ((i = 0; i < rounds; i++)); do
                sctl pause box >>"$DIR.ctl" 2>&1 || failed=$((failed + 1))
        done
        is "$failed" 0 "$LABEL: no pause fails" || diag "$(tail -n 5 "$DIR.ctl")"
        await 20 is_there
        is "$(property PauseDepth)" "$rounds" "$LABEL: each counts once"
        failed=0
        for ((i = 0; i < rounds; i++)); do
                sctl resume box >>"$DIR.ctl" 2>&1 || failed=$((failed + 1))
        done
        touch "$DIR/stop"
        await 30 gone $killer
        is "$failed" 0 "$LABEL: no resume fails" || diag "$(tail -n 5 "$DIR.ctl")"
        await 20 is_there
        is "$(property PauseDepth)" 0 "$LABEL: nor more often"
        rm -f "$DIR/stop"
}

end_box() {
        local waiter=$1
        touch "$DIR/end"
        reaped "$BOX" 30
        is "$RC" 42 "$LABEL: the program has noticed nothing" || diag "$(cat "$DIR.out")"
        reaped "$waiter" 30
        is "$RC" 42 "$LABEL: nor has who waits for it" || diag "$(cat "$DIR.wait")"
}

embedded() {
        local i pid init
        LABEL="embedded, $WHO"
        DIR=$TESTDIR/$WHO
        start_box
        init=$(property InitPID)
        T=900 sctl wait box >"$DIR.wait" 2>&1 &
        local waiter=$!
        started "$waiter"

        for i in 1 2 3; do
                check "$LABEL: kill -9 of the manager" kill_manager
                check "$LABEL: … the next one has the sandbox" await 20 is_there
        done
        is "$(property InitPID)" "$init" "$LABEL: it is the same"
        is "$(property ProfileName)" default "$LABEL: of the same profile"
        contains "$(property Profile)" '"hostname": "boxed"' "$LABEL: … all of it"
        is "$(sctl exec box uname -n)" boxed "$LABEL: it takes programs"
        for i in 1 2 3; do
                await 20 pair_is_there
                # shellcheck disable=SC2046 # two
                kill -KILL $(pair)
                check "$LABEL: kill -9 of sentry-kernel and its keeper at once" await 20 takes_programs
        done
        check "$LABEL: it is paused" sctl pause box
        pid=$(daemons_of "$(runtime)" sentry-kernel)
        kill -KILL "$pid"
        await 20 gone "$pid"
        check "$LABEL: … and still is when sentry-kernel was killed" await 20 is_paused
        i=$(stat -c %y "$DIR/count")
        is "$(property State)" paused "$LABEL: … which its state says"
        check "$LABEL: … until it is resumed" sctl resume box
        check "$LABEL: … and goes on" await 20 eval '[ "$(stat -c %y "$DIR/count")" != "$i" ]'
        is "$(managers | wc -l)" 1 "$LABEL: there is one manager"
        storm 6 kill_manager
        is "$(cd "$(runtime)/sentryd" && echo kernels sandboxes/*)" "kernels sandboxes/box" "$LABEL: the index has it"

        # Who is no sentry-kernel
        pid=$(managers)
        for i in "hello box:answer 116" "hello other:answer 2" "hello ../x:answer 74" "version:answer 71" \
                "rubbish:answer 74" "short:answer 74"; do
                # shellcheck disable=SC2086 # words
                is "$(as_current "$VISITOR" "$(runtime)/sentryd/kernels" ${i%:*} 2>&1)" "${i#*:}" "$LABEL: visitor: ${i%:*}"
        done
        mkfifo "$DIR.in"
        mine "$DIR.in"
        as_current "$VISITOR" "$(runtime)/sentryd/kernels" many 300 <"$DIR.in" >"$DIR.many" 2>&1 &
        started $!
        exec 8>"$DIR.in"
        check "$LABEL: 300 that say nothing" await 20 grep -q connected "$DIR.many"
        check "$LABEL: … keep nobody from being served" is_there
        exec 8>&-
        is "$(managers)" "$pid" "$LABEL: by the same manager"

        end_box "$waiter"
        check "$LABEL: all of it ends" await 20 daemons_gone
        is "$(ls -A "$(runtime)/sentryd")" $'lock\nlog' "$LABEL: nothing is left"
}

as_current() { if [ "$WHO" = user ] && [ "$(id -u)" -eq 0 ]; then as_user /usr/bin/python3 "$@"; else /usr/bin/python3 "$@"; fi; }

each_user embedded

# A runtime directory that goes with a session and is made again by the next one, before the daemon of the old has ended.
moved() {
        local old dir
        dir=$(runtime)/sentryd
        sctl run true
        old=$(managers)
        rm -r "$dir"
        sctl run --name next sleep 1000 &
        started $!
        await 20 running next
        check "$LABEL: a daemon whose directory was removed ends" await 20 gone "$old"
        check "$LABEL: … and leaves the socket of the next one alone" running next
        sctl kill next
        wait $!
        check "$LABEL: … which ends, too" await 20 daemons_gone
}
WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
LABEL="runtime directory"
moved

# ---- on a bus, with somebody who starts it again as a service manager does

export DBUS_SESSION_BUS_ADDRESS=$bus_address
WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
sctl() { timeout -k 5 "$T" "$SENTRYCTL" --user "$@"; }
LABEL="session bus"
DIR=$TESTDIR/bus
mkdir -p "$TESTDIR/run/sentryd"
chmod 700 "$TESTDIR/run/sentryd"
(until [ -e "$TESTDIR/over" ]; do "$SENTRYD_BUILD/sentryd" --user </dev/null >>"$TESTDIR/run/sentryd/log" 2>&1; done) &
started $!
owned() { busctl --user --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s org.sentryd1 | grep -q true; }
check "$LABEL: sentryd takes its name" await 15 owned || bail "$(cat "$TESTDIR/run/sentryd/log")"
start_box
T=900 sctl wait box >"$DIR.wait" 2>&1 &
waiter=$!
started "$waiter"
kill_served() { await 20 owned && kill_manager; }
check "$LABEL: kill -9 of the manager" kill_served
check "$LABEL: … the next one has the sandbox" await 20 is_there
storm 6 kill_served
check "$LABEL: it is there" await 20 is_there
end_box "$waiter"
touch "$TESTDIR/over"
kill -TERM "$(managers)"
check "$LABEL: it ends" await 20 daemons_gone
is "$(ls -A "$TESTDIR/run/sentryd")" $'lock\nlog' "$LABEL: nothing is left"
done_testing
