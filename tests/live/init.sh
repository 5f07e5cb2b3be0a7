#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run --init: a first process that starts the program, passes signals on, reaps orphans and ends with its status. As root
# and as a plain user; with job control at a terminal.

. "${srcdir:-.}/tests/lib/tap.sh"

start() { # NAME OPTION… PROGRAM…: in the background
        local name=$1
        shift
        sctl run --init --name "$name" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
}
said() { grep -qE -- "$2" "$TESTDIR/$1.out"; } # NAME REGEX
launcher() { # the waiting parent of the only sandbox of the current user
        local pid
        for pid in $(daemons_of "$(runtime)" sentryctl); do
                [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 2p)" = run ] && echo "$pid"
        done
}

basics() {
        local w=$WHO n=basics-$WHO
        is "$(sctl run --init sh -c 'echo $$ $PPID $(cat /proc/1/comm)')" '2 1 sentry-init' "$w: the program is process 2"
        is "$(sctl run sh -c 'echo $$')" 1 "$w: … and process 1 without --init"
        is "$(sctl run --init sh -c 'grep -E "^(NoNewPrivs|Seccomp):" /proc/1/status' | tr -d '\t' | tr '\n' ' ')" \
                'NoNewPrivs:1 Seccomp:2 ' "$w: init is behind the same walls"
        check "$w: … and keeps no file of the program's open" sctl run --init sh -c 'until [ "$(echo /proc/1/fd/* | wc -w)" = 2 ]; do :; done'
        status_is 0 "$w: status 0" sctl run --init true
        status_is 42 "$w: status 42" sctl run --init sh -c 'exit 42'
        status_is 143 "$w: 128 + a signal" sctl run --init sh -c 'kill -TERM $$'
        status_is 127 "$w: 127 for a program that is not there" sctl run --init /no/such
        contains "$(sctl run --init /no/such 2>&1)" "cannot run /no/such: No such file" "$w: … with the usual words"
        status_is 127 "$w: … nor in PATH" sctl run --init no-such-program
        status_is 126 "$w: 126 for what cannot be run" sctl run --init /etc/passwd
        is "$(echo through | sctl run --init cat)" through "$w: stdin and stdout"
        is "$(sctl run --init --pid host sh -c 'cat /proc/$PPID/comm')" sentry-init "$w: with the host's processes too"
        printf '{"sentry": {"extends": "default", "init": true}}' >"$TESTDIR/with-init.json"
        chmod 644 "$TESTDIR/with-init.json"
        if [ "$w" = root ]; then
                await 10 daemons_gone
                is "$(SENTRYD_PROFILE_PATH=$TESTDIR:$srcdir/profiles timeout 20 "$SENTRYCTL" run --profile with-init \
                        sh -c 'echo $$')" 2 "$w: from a profile: sentry.init"
        fi
        # The writer of a pipe learns that the program has closed its end.
        check "$w: a pipe that the program closes is closed" \
                bash -c 'set -o pipefail; timeout 10 yes | timeout 20 "$0" run --init sh -c "exec <&-; sleep 1; exit 0"; [ $? -eq 141 ]' "$SENTRYCTL"
}

orphans() {
        local w=$WHO n=orphans-$WHO
        start "$n" sh -c 'for i in $(seq 50); do (sleep 0.0$((i % 10)) & ) ; done; echo made; sleep 1000'
        check "$w: a program that makes orphans" await 15 said "$n" made
        no_zombie() { [ "$(sctl --json=short ps "$n" | json 'len(d)')" -eq 3 ]; }
        check "$w: they are reaped" await 15 no_zombie || diag "$(sctl ps "$n")"
        sctl kill "$n"
        reaped "$RUN"
        is "$RC" 137 "$w: kill ends it"
        start "$n" sh -c 'sleep 1000 & echo made; exit 5'
        reaped "$RUN"
        is "$RC" 5 "$w: the end of the program ends what it has left"
        check "$w: … nothing is left" await 10 daemons_gone
}

signals() {
        local w=$WHO n=signals-$WHO
        start "$n" sleep 1000
        check "$w: a program that handles nothing" await 10 running "$n"
        check "$w: SIGTERM to init" sctl signal "$n" TERM
        reaped "$RUN"
        is "$RC" 143 "$w: … ends it, as it would not as process 1"

        start "$n" sh -c 'trap "echo usr1" USR1; trap "echo usr2; exit 9" USR2; echo ready; while :; do sleep 0.05; done'
        await 10 said "$n" ready
        signal_launcher USR1
        check "$w: a signal to the launcher reaches the program" await 10 said "$n" usr1
        signal_launcher USR2
        reaped "$RUN"
        is "$RC" 9 "$w: … which decides how it ends"

        start "$n" sh -c 'trap "echo chld" CHLD; trap "echo urg" URG; trap "exit 8" HUP; echo ready; sleep 1000 & while :; do wait; done'
        await 10 said "$n" ready
        sctl signal "$n" URG --whom=group --id=1
        sctl signal "$n" CHLD --whom=group --id=1
        sctl signal "$n" HUP
        reaped "$RUN"
        is "$RC" 8 "$w: SIGHUP is passed on"
        is "$(cat "$TESTDIR/$n.out")" ready "$w: … SIGURG and SIGCHLD are not"

        start "$n" sh -c 'sleep 1000'
        await 10 running "$n"
        kill -KILL "$(launcher)"
        check "$w: kill -9 of the launcher" await 10 daemons_gone
        # What is ignored and blocked is the program's to know.
        is "$( (trap '' USR1; sctl run --init grep SigIgn /proc/self/status) | tr -d '\t')" \
                "$( (trap '' USR1; grep SigIgn /proc/self/status) | tr -d '\t')" \
                "$w: ignored signals are ignored in the program"
        is "$(sctl run --init grep SigBlk /proc/self/status | tr -d '\t')" SigBlk:0000000000000000 "$w: none is blocked"
}

terminal() {
        local w=$WHO n=terminal
        command -v tmux >/dev/null || {
                skip "$w: a terminal" "tmux is not installed"
                return
        }
        SOCKET=$TESTDIR/tmux
        tm() { timeout 10 tmux -f /dev/null -S "$SOCKET" "$@"; }
        shows() { tm capture-pane -p -t t 2>/dev/null | grep -qE -- "$1"; }
        type_line() { tm send-keys -t t -l "$1" && tm send-keys -t t Enter; }
        tm new-session -d -s t -x 90 -y 20 "PATH=$PATH TERM=screen HOME=$HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR \
DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS \
S='$SENTRYCTL' PS1='> ' bash --norc --noprofile"
        started "$(tm display-message -p '#{pid}')"
        await 10 shows '^>'
        type_line 'clear; $S run --init sh -c "trap \"echo int\" INT; while :; do echo tick; sleep 0.2; done"'
        check "$w: a program at a terminal" await 10 shows '^tick'
        tm send-keys -t t C-c
        check "$w: Ctrl-C reaches it" await 10 shows '^(\^C)?int$'
        is "$(tm capture-pane -p -t t | grep -cE 'int$')" 1 "$w: … once"
        tm send-keys -t t C-z
        check "$w: Ctrl-Z stops it" await 10 shows Stopped || diag "$(tm capture-pane -p -t t)"
        type_line 'clear; jobs'
        check "$w: … as a job of the shell" await 10 shows 'Stopped.*run'
        type_line 'clear; fg'
        check "$w: fg: it goes on" await 10 shows '^tick'
        tm send-keys -t t C-z
        await 10 shows Stopped
        type_line 'clear; bg'
        check "$w: bg: it goes on in the background" await 10 shows '^(> )?tick'
        type_line 'fg'
        tm send-keys -t t C-\\
        check "$w: Ctrl-\\ ends it" await 10 nothing_listed || diag "$(tm capture-pane -p -t t)"
        type_line "clear; \$S run --init --env PS1='inside> ' bash --norc --noprofile"
        check "$w: a shell with jobs of its own" await 10 shows '^inside>'
        type_line 'clear; sleep 60'
        await 10 eval 'sctl --no-legend ps | grep -q "sleep 60"'
        tm send-keys -t t C-z
        check "$w: … stops one" await 10 shows 'Stopped.*sleep 60' || diag "$(tm capture-pane -p -t t)"
        type_line 'clear; disown -a; exit 7'
        check "$w: … ends" await 10 shows '^>'
        type_line 'echo "status=$?"'
        check "$w: … with its status" await 10 shows '^status=7' || diag "$(tm capture-pane -p -t t)"
        tm kill-server
}

each_user basics
each_user orphans
each_user signals
WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
terminal
done_testing
