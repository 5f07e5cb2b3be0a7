#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What dies and is replaced under a real systemd: sentryd, sentry-kernels, all at once, the binary, the service manager
# itself; as the system's and as a lingering user's instance. The programs in the sandboxes notice nothing.
# SENTRYD_CRASH_ROUNDS: how many kills of each kind; `make check-crash` has more.

. "${srcdir:-.}/tests/lib/boot.bash"

UNIT=sentryd.service
ROUNDS=${SENTRYD_CRASH_ROUNDS:-3}
as() { # USER COMMAND…
        local uid=$1
        shift
        setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/tmp \
                XDG_RUNTIME_DIR="/run/user/$uid" ASAN_OPTIONS="${ASAN_OPTIONS:-}" LSAN_OPTIONS=detect_leaks=0 timeout -k 5 "$T" "$@"
}
ctl() { timeout -k 5 "$T" sentryctl --system "$@"; }
main() { systemctl show --value -p MainPID $UNIT; }
active() { [ "$(systemctl is-active "$UNIT")" = active ]; }
kernels() { pgrep -x sentry-kernel; }
kill_kernels() { # PID…: and these, at once
        await 20 eval '[ -n "$(kernels)" ]'
        # shellcheck disable=SC2046 # several
        kill -KILL "$@" $(kernels)
}
restarted() { # PID: somebody else serves
        [ "$(main)" != "$1" ] && [ "$(main)" != 0 ] && active
}
box_program() { # FILE
        cat <<-END
		import os, signal, socket, time
		rung = 0
		def ring(signo, frame):
		    global rung
		    rung += 1
		signal.signal(signal.SIGALRM, ring)
		signal.siginterrupt(signal.SIGALRM, False)
		signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
		n = 0
		while not os.path.exists("/test/boxes/end"):
		    n += 1
		    before = rung
		    assert os.uname().nodename == "boxed"
		    socket.sethostname("other")
		    assert os.uname().nodename == "other", os.uname()
		    socket.sethostname("boxed")
		    with open("/test/boxes/$1", "w") as f:
		        f.write(f"{n} {rung}")
		os._exit(42)
	END
}
declare -A PID
start_box() { # NAME UID: a sandbox of that user
        local name=$1 uid=$2
        shift 2
        T=600 as "$uid" sentryctl "${WHERE[@]}" run --name "$name" --hostname boxed --bind /test/boxes:/test/boxes \
                --profile box -- /usr/bin/python3 -c "$(box_program "$name")" >"/test/$name.out" 2>&1 &
        PID[$name]=$!
        started $!
}
counting() { # NAME: it goes on
        local now
        await 20 read_count "$1" && await 20 changed "$1" "$now"
}
read_count() { now=$(cat "/test/boxes/$1") && [ -n "$now" ]; } # it is empty between open and write
changed() { [ -s "/test/boxes/$1" ] && [ "$(cat "/test/boxes/$1")" != "$2" ]; }
all_run() { # NAME…
        local name
        for name; do
                ctl --no-legend list | grep -qE "^$name +running " || return 1
        done
}
all_go_on() { # DESCRIPTION
        gone "${PID[@]}" && bail "$1: both have ended: $(cat /test/hers.out /test/roots.out)"
        check "$1: both are there" await 30 all_run hers roots || diag "$(ctl list)" "$(journalctl -b -u $UNIT -o cat -n 15)"
        check "$1: both go on" eval 'counting hers && counting roots' || diag "$(cat /test/hers.out /test/roots.out)"
}

install -d -m 1777 /test/boxes
mkdir -p /etc/sentryd/profiles
echo '{ "sentry": { "extends": "default", "emulatedCapabilities": ["CAP_SYS_ADMIN"] } }' >/etc/sentryd/profiles/box.json
WHERE=(--system)
check "systemctl enable --now" systemctl enable --now $UNIT
start_box hers "$ALICE_ID"
start_box roots 0
all_go_on "at the start"
T=600 ctl wait hers >/test/wait.out 2>&1 &
waiter=$!
started $waiter

for ((i = 0; i < ROUNDS; i++)); do
        pid=$(main)
        kill -KILL "$pid"
        await 30 restarted "$pid"
done
all_go_on "kill -9 of sentryd"
for ((i = 0; i < ROUNDS; i++)); do
        kill_kernels
        await 20 all_run hers roots
done
all_go_on "kill -9 of sentry-kernels"
for ((i = 0; i < ROUNDS; i++)); do
        pid=$(main)
        kill_kernels "$pid"
        await 30 restarted "$pid"
        await 20 all_run hers roots
done
all_go_on "kill -9 of both"

pid=$(main)
check "systemctl restart" systemctl restart $UNIT
isnt "$(main)" "$pid" "… is another process"
all_go_on "restart"
check "systemctl stop" systemctl stop $UNIT
check "stopped: both go on" eval 'counting hers && counting roots'
check "systemctl start" systemctl start $UNIT
all_go_on "stop and start"
check "systemctl daemon-reexec" systemctl daemon-reexec
all_go_on "daemon-reexec"
cp /usr/local/libexec/sentryd/sentryd /tmp/sentryd.new
mv /tmp/sentryd.new /usr/local/libexec/sentryd/sentryd # another file, as a package's upgrade has it
cp /usr/local/libexec/sentryd/sentry-kernel /tmp/sentry-kernel.new
mv /tmp/sentry-kernel.new /usr/local/libexec/sentryd/sentry-kernel
check "an upgrade and a restart" systemctl restart $UNIT
all_go_on "upgrade"
pid=$(main)
check "systemctl kill -s KILL: all of them" systemctl kill -s KILL $UNIT
await 30 restarted "$pid"
all_go_on "from what the service manager has kept"

# ---- who is no sentry-kernel

as "$BOB_ID" python3 /test/src/tests/live/visitor.py /run/sentryd/kernels hello hers >/test/visitor.out 2>&1
is "$(cat /test/visitor.out)" closed "a stranger gets nothing"
is "$(as "$ALICE_ID" python3 /test/src/tests/live/visitor.py /run/sentryd/kernels hello roots 2>&1)" "answer 13" "nor does who has another sandbox"
is "$(as "$ALICE_ID" python3 /test/src/tests/live/visitor.py /run/sentryd/kernels hello hers 2>&1)" "answer 116" "nor its owner without its file"
check_fails "who may not see the index" as "$ALICE_ID" ls /run/sentryd/sandboxes

# ---- the end

is "$(ctl status hers --json=short 2>/dev/null | json 'd["PauseDepth"]' 2>/dev/null || echo 0)" 0 "nobody has paused it"
touch /test/boxes/end
for name in hers roots; do
        reaped "${PID[$name]}" 30
        is "$RC" 42 "$name: the program has noticed nothing" || diag "$(cat "/test/$name.out")"
done
reaped $waiter 30
is "$RC" 42 "who waits has the status" || diag "$(cat /test/wait.out)"
await 20 eval '[ -z "$(kernels)" ]'
is "$(kernels)" "" "no sentry-kernel is left"
is "$(ls /run/sentryd/sandboxes)" "" "nor is anything in the index"
stored() { [ "$(systemctl show --value -p NFileDescriptorStore "$UNIT")" = 0 ]; }
check "nor in the store" await 20 stored
check "systemctl disable --now" systemctl disable --now $UNIT
is "$(ls -A /run/sentryd 2>/dev/null)" "" "nothing of it is left"

# ---- a user's instance

rm -f /test/boxes/end
loginctl enable-linger alice
await 30 test -S "/run/user/$ALICE_ID/bus"
WHERE=(--user)
start_box mine "$ALICE_ID"
mine_runs() { as "$ALICE_ID" sentryctl --user --no-legend list | grep -qE '^mine +running '; }
check "a lingering user's sandbox" await 30 mine_runs || diag "$(cat /test/mine.out)"
for ((i = 0; i < ROUNDS; i++)); do
        kill -KILL "$(pgrep -u "$ALICE_ID" -x sentryd)"
        await 30 mine_runs
done
check "kill -9 of her sentryd: it is there" await 30 mine_runs
check "… and goes on" counting mine
check "systemctl --user restart" as "$ALICE_ID" systemctl --user restart $UNIT
check "restarted: it is there" await 30 mine_runs
check "systemctl --user kill -s KILL" as "$ALICE_ID" systemctl --user kill -s KILL $UNIT
check "from what her service manager has kept: it is there" await 30 mine_runs
check "… and goes on" counting mine
touch /test/boxes/end
reaped "${PID[mine]}" 30
is "$RC" 42 "the program has noticed nothing" || diag "$(cat /test/mine.out)"
done_testing
