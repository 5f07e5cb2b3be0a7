#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A sandbox's kernel seen and steered from outside: list, status, show, ps, dmesg, syscalls, kill, wait, pause, resume,
# exec. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

start() { # NAME PROGRAM…: in the background, running when this returns
        local name=$1
        shift
        sctl run --name "$name" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 10 running "$name" || {
                not_ok "$WHO: $name starts" "$(cat "$TESTDIR/$name.out")"
                return 1
        }
}

end() { # NAME STATUS
        check "$WHO: kill --status=$2 $1" sctl kill --status="$2" "$1"
        reaped "$RUN"
        is "$RC" "$2" "$WHO: … is the status that run returns"
}

views() {
        local w=$WHO n=views-$WHO out
        start "$n" --hostname viewed sh -c 'sleep 1000 & sleep 1001 & wait' || return
        out=$(sctl list)
        contains "$out" "$n" "$w: list has it"
        like "$(head -n 1 <<<"$out")" '[A-Z]' "$w: … under a header"
        is "$(sctl --no-legend list | wc -l)" 1 "$w: … --no-legend leaves that out"
        is "$(sctl --json=short list | json 'd[0]["name"]')" "$n" "$w: … --json=short"
        is "$(sctl --json=short list | wc -l)" 1 "$w: … is one line"
        is "$(sctl --json=pretty list | json 'd[0]["name"]')" "$n" "$w: … --json=pretty"
        contains "$(sctl status "$n")" running "$w: status says that it runs"
        contains "$(sctl status "$n")" viewed "$w: … and its host name"
        contains "$(sctl show "$n")" "Name=$n" "$w: show gives properties"
        contains "$(sctl show "$n")" "Hostname=viewed" "$w: … the host name too"
        contains "$(sctl show "$n")" "ExitStatus=-1" "$w: … no exit status yet"
        three() { [ "$(sctl --json=short ps "$n" | json 'sum(t["comm"] == "sleep" for t in d)')" = 2 ]; }
        check "$w: ps shows its tasks" await 10 three || diag "$(sctl ps "$n")"
        is "$(sctl --no-legend ps "$n" | wc -l)" 3 "$w: … and nobody else"
        contains "$(sctl ps "$n")" 'sleep 1001' "$w: … with their arguments"
        is "$(sctl --json=short ps "$n" | json 'sorted(len([k for k in t if "pid" in k.lower()]) >= 2 for t in d)')" \
                '[true, true, true]' "$w: … pids inside and outside, as JSON"
        out=$(sctl dmesg "$n")
        like "$out" '\[ +[0-9]+\.[0-9]+\]' "$w: dmesg has times"
        like "$out" '[Ll]inux version|Linux|sentry' "$w: … and boot lines"
        contains "$(sctl syscalls 2>&1)" uname "$w: syscalls shows the table"
        for verb in status show ps dmesg kill wait pause resume events; do
                check_fails "$w: $verb of a sandbox that is not there fails" sctl "$verb" no-such-sandbox
        done
        like "$(sctl ps no-such-sandbox 2>&1)" no-such-sandbox "$w: … and says which"
        end "$n" 9
        contains "$(sctl status "$n" 2>&1)" 'exited with status 9' "$w: then status says how it ended"
        is "$(sctl -q --no-legend list 2>&1)" '' "$w: … and the list is empty"
}

waiting() {
        local w=$WHO n=waiting-$WHO waiter
        start "$n" sleep 1000 || return
        sctl wait "$n" >"$TESTDIR/wait.out" 2>&1 &
        waiter=$!
        started "$waiter"
        gone "$waiter"
        is $? 1 "$w: wait waits"
        end "$n" 42
        reaped "$waiter"
        is "$RC" 42 "$w: wait returns the status" || diag "$(cat "$TESTDIR/wait.out")"
        start "$n" sleep 1000 || return
        check "$w: kill without a status" sctl kill "$n"
        reaped "$RUN"
        isnt "$RC" 124 "$w: … ends it"
        isnt "$RC" 0 "$w: … not as a success: $RC"
        check_fails "$w: kill --status=256 is refused" sctl kill --status=256 "$n"
        check_fails "$w: kill --status=x is refused" sctl kill --status=x "$n"
}

pausing() {
        local w=$WHO n=pausing-$WHO d=$WORK/pausing a b
        mkdir -p "$d"
        mine "$d"
        start "$n" --bind "$d" sh -c "n=0; while :; do n=\$((n + 1)); echo \$n >'$d/new'; mv '$d/new' '$d/count'; done" || return
        count() { cat "$d/count" 2>/dev/null || echo 0; }
        past() { [ "$(count)" -gt "$1" ]; }
        check "$w: a program counts" await 10 past 10
        sctl pause "$n" >"$TESTDIR/pause.out" 2>&1
        if [ $? -ne 0 ] && grep -qiE 'cgroup|control group|freez' "$TESTDIR/pause.out"; then
                skip "$w: pause stops it" "$(head -n 1 "$TESTDIR/pause.out")"
                end "$n" 5
                return
        fi
        is "$(cat "$TESTDIR/pause.out")" '' "$w: pause says nothing"
        a=$(count)
        # Nothing to wait for when nothing is to happen: half a second is some thousand rounds.
        sleep 0.5
        is "$(count)" "$a" "$w: paused, it stops"
        contains "$(sctl list)" paused "$w: … the list says so"
        contains "$(sctl show "$n")" "IsPaused=yes" "$w: … show too"
        check "$w: a second pause" sctl pause "$n"
        check "$w: a first resume" sctl resume "$n"
        sleep 0.2
        is "$(count)" "$a" "$w: … they nest: it still stands"
        check "$w: a second resume" sctl resume "$n"
        check "$w: … it goes on" await 10 past "$a"
        check "$w: … and is running" running "$n"
        check_fails "$w: a third resume fails" sctl resume "$n"

        # Paused while it waits for answers all the time
        end "$n" 6
        start "$n" --bind "$d" /usr/bin/python3 -c "
import os
i = 0
while True:
    i += 1
    assert os.uname().nodename == 'sandbox' and os.sched_getaffinity(0)
    if i % 100 == 0:
        with open('$d/new', 'w') as f: f.write(str(i))
        os.rename('$d/new', '$d/count')" || return
        rm -f "$d/count"
        await 10 past 100
        b=0
        for _ in 1 2 3 4 5 6 7 8; do
                sctl pause "$n" || b=$((b + 1))
                sctl resume "$n" || b=$((b + 1))
        done
        is "$b" 0 "$w: eight pauses and resumes of a program that calls all the time"
        a=$(count)
        check "$w: … it goes on" await 10 past "$a"
        check "$w: pause before a kill" sctl pause "$n"
        end "$n" 77
        is "$(grep -c Error "$TESTDIR/$n.out")" 0 "$w: it never saw anything of all that" || diag "$(cat "$TESTDIR/$n.out")"
}

executing() {
        local w=$WHO n=executing-$WHO
        start "$n" --hostname entered sleep 1000 || return
        is "$(sctl exec "$n" uname -n)" entered "$w: exec runs in the sandbox"
        status_is 5 "$w: … with its own status" sctl exec "$n" sh -c 'exit 5'
        status_is 127 "$w: … 127 for a program that is not there" sctl exec "$n" /nonexistent
        is "$(sctl exec "$n" cat /proc/1/comm)" sleep "$w: … beside its init"
        is "$(echo through | sctl exec "$n" cat)" through "$w: … stdin and stdout"
        check "$w: … sets the host name" sctl exec "$n" hostname changed
        is "$(sctl exec "$n" uname -n)" changed "$w: … for all"
        contains "$(sctl show "$n")" Hostname=changed "$w: … show says so"
        check_fails "$w: … has no capabilities either" sctl exec "$n" mount -t tmpfs none /mnt
        is "$(sctl exec "$n" grep NoNewPrivs /proc/self/status | tr -d '\t')" NoNewPrivs:1 "$w: … and no_new_privs"
        status_is 125 "$w: exec in a sandbox that is not there is 125" sctl exec no-such-sandbox true
        sctl exec "$n" sleep 1000 </dev/null >/dev/null 2>&1 &
        local other=$!
        started "$other"
        two() { [ "$(sctl --json=short ps "$n" | json 'sum(t["comm"] == "sleep" for t in d)')" = 2 ]; }
        check "$w: ps shows both" await 10 two
        end "$n" 3
        reaped "$other"
        isnt "$RC" 124 "$w: the end of the sandbox ends what was executed in it"
}

plain() { # what needs no sandbox
        local w=$WHO
        like "$(sctl version)" '[0-9]+\.[0-9]+' "$w: version"
        like "$(sctl --help)" run "$w: --help"
        [ "$(sctl --help | wc -l)" -le 24 ]
        is $? 0 "$w: … fits a screen"
        is "$(sctl --help | awk 'length > 80' | wc -l)" 0 "$w: … in width, too"
        check_fails "$w: an unknown verb fails" sctl no-such-verb
        like "$(sctl lst 2>&1)" list "$w: … a misspelled one is guessed"
        is "$(sctl -q --no-legend list 2>&1)" '' "$w: list without a daemon is empty"
        check "$w: list starts no daemon that stays" await 10 daemons_gone
        is "$(sctl -q --json=short list)" '[]' "$w: … an empty array as JSON"
        sctl --json=short syscalls >"$TESTDIR/table.json"
        is "$(json 'len(d) > 300' <"$TESTDIR/table.json")" True "$w: the table of system calls as JSON"
        is "$(json '[r["class"] for r in d if r["name"] == "uname"]' <"$TESTDIR/table.json")" '["emulated"]' "$w: … with classes"
}

each_user plain
each_user views
each_user waiting
each_user pausing
each_user executing
done_testing
