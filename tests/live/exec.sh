#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Further programs in a sandbox: their user, directory, environment, umask, limits, containers, open files; creating
# and starting as two steps; and a terminal of their own. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

start() { # NAME PROGRAM…: in the background, running when this returns
        local name=$1
        shift
        sctl run --name "$name" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: $name runs" await 10 running "$name" || diag "$(cat "$TESTDIR/$name.out")"
}
end() { # NAME
        check "$WHO: kill $1" sctl kill "$1"
        reaped "$RUN"
        is "$RC" 137 "$WHO: … ends it"
}

direct() { # ARGUMENT…: sentryctl itself in the background, no time limit around it; PID is its own
        rm -f "$TESTDIR/pid"
        if [ "$WHO" = user ] && [ "$(id -u)" -eq 0 ]; then
                # shellcheck disable=SC2016
                as_user sh -c 'echo $$ >&9; exec "$@"' sh "$USER_CTL" "$@" </dev/null 9>"$TESTDIR/pid" &
        else
                # shellcheck disable=SC2016
                sh -c 'echo $$ >&9; exec "$@"' sh "$SENTRYCTL" "$@" </dev/null 9>"$TESTDIR/pid" &
        fi
        JOB=$!
        started "$JOB"
        await 5 test -s "$TESTDIR/pid"
        PID=$(cat "$TESTDIR/pid")
}

options() {
        local w=$WHO n=options-$WHO uid gid
        start "$n" sleep 1000
        uid=$(sctl exec "$n" id -u) gid=$(sctl exec "$n" id -g)
        is "$(sctl exec "$n" --user="$uid" -- id -u)" "$uid" "$w: --user with the one user that there is"
        is "$(sctl exec "$n" --user="$uid:$gid" -- id -g)" "$gid" "$w: … and the group"
        status_is 125 "$w: another user is an error" sctl exec "$n" --user=12345 true
        like "$(sctl exec "$n" --user=12345 true 2>&1)" "no user 12345.*$uid:$gid" "$w: … which says who there is"
        like "$(sctl exec "$n" --user="$uid:777" true 2>&1)" "group 777" "$w: … another group too"
        for bad in x 1: :1 -1 1:2:3; do
                status_is 125 "$w: --user=$bad is refused" sctl exec "$n" --user="$bad" true
        done

        is "$(sctl exec "$n" --cwd=/usr/bin -- pwd)" /usr/bin "$w: --cwd"
        is "$(sctl exec "$n" --chdir=/usr/bin -- pwd)" /usr/bin "$w: … alias --chdir"
        status_is 125 "$w: … must exist inside" sctl exec "$n" --cwd=/no/such pwd
        is "$(sctl exec "$n" --env A=1 --env B=2 -- sh -c 'echo $A$B')" 12 "$w: --env"

        is "$(sctl exec "$n" --umask=027 -- sh -c umask)" 0027 "$w: --umask"
        is "$(umask 011; sctl exec "$n" sh -c umask)" 0011 "$w: … without it, the caller's"
        status_is 125 "$w: --umask=8 is refused" sctl exec "$n" --umask=8 true
        status_is 125 "$w: --umask=1000 is refused" sctl exec "$n" --umask=1000 true

        is "$(sctl exec "$n" --limit nofile=64 -- sh -c 'ulimit -Sn; ulimit -Hn' | tr '\n' ' ')" '64 64 ' "$w: --limit"
        is "$(sctl exec "$n" --limit RLIMIT_NOFILE=32:128 --limit core=0:infinity -- \
                sh -c 'ulimit -Sn; ulimit -Hn; ulimit -Sc' | tr '\n' ' ')" '32 128 0 ' "$w: … soft and hard, several"
        is "$(sctl exec "$n" --limit nofile=64 --limit nofile=65 -- sh -c 'ulimit -n')" 65 "$w: … the last one counts"
        for bad in nofiel=1 nofile nofile= nofile=x nofile=5:4 =5; do
                status_is 125 "$w: --limit=$bad is refused" sctl exec "$n" --limit "$bad" true
        done
        contains "$(sctl exec "$n" --limit nofiel=1 true 2>&1)" NOFILE "$w: … a misspelled one with a hint"
        isnt "$(sctl exec "$n" sh -c 'ulimit -n')" 64 "$w: … the next program has the usual ones"

        status_is 42 "$w: the exit status is the program's" sctl exec "$n" sh -c 'exit 42'
        status_is 143 "$w: … or the signal's" sctl exec "$n" sh -c 'kill -TERM $$'
        status_is 126 "$w: 126 for what cannot be run" sctl exec "$n" /etc/passwd
        end "$n"
}

# A program that is not in the sandbox, as an open file.
files() {
        local w=$WHO n=files-$WHO
        start "$n" sleep 1000
        printf '#!/bin/sh\necho "script $0 $*"\n' >"$TESTDIR/script"
        printf '#!/no/such/interpreter\n' >"$TESTDIR/bad"
        cp /bin/echo "$TESTDIR/hidden"
        chmod 755 "$TESTDIR/script" "$TESTDIR/hidden" "$TESTDIR/bad"
        status_is 127 "$w: a program outside is not there inside" sctl exec "$n" "$TESTDIR/hidden"
        is "$(sctl exec "$n" --fd=7 -- name a b 7<"$TESTDIR/hidden")" 'a b' "$w: … but runs as an open file"
        is "$(sctl exec "$n" --fd=7 -- sh -c 'echo $0; ls -l /proc/self/fd | grep -c hidden' 7</bin/sh)" "sh
0" "$w: … its name is what it is told, and the file is not left open"
        like "$(sctl exec "$n" --fd=7 -- name a b 7<"$TESTDIR/script" 2>&1)" '^script /dev/fd/7 a b$' "$w: a script runs too"
        status_is 126 "$w: a script without its interpreter is 126" sctl exec "$n" --fd=7 -- name 7<"$TESTDIR/bad"
        status_is 126 "$w: no program is 126" sctl exec "$n" --fd=7 -- name 7</etc/passwd
        status_is 125 "$w: no open file is 125" sctl exec "$n" --fd=77 -- name
        status_is 125 "$w: no number is 125" sctl exec "$n" --fd=x -- name
        end "$n"
}

# Creating and starting.
holding() {
        local w=$WHO n=holding-$WHO held
        start "$n" sleep 1000
        sctl exec "$n" --hold=later -- sh -c 'echo runs; exit 3' </dev/null >"$TESTDIR/held.out" 2>&1 &
        held=$!
        started "$held"
        # It has not exec'd in there yet, so that only those inside see it: init, it, and who looks.
        created() { [ "$(sctl exec "$n" sh -c 'echo /proc/[0-9]*' | wc -w)" -eq 3 ]; }
        check "$w: a program with --hold is created" await 10 created
        is "$(cat "$TESTDIR/held.out")" '' "$w: … and does not run"
        status_is 125 "$w: … a second one of its name is refused" sctl exec "$n" --hold=later true
        check_fails "$w: … starting another fails" sctl start "$n" sooner
        check "$w: start" sctl start "$n" later
        reaped "$held"
        is "$RC" 3 "$w: … it runs and ends" || diag "$(cat "$TESTDIR/held.out")"
        is "$(cat "$TESTDIR/held.out")" runs "$w: … once"
        check_fails "$w: … starting it again fails" sctl start "$n" later

        direct exec "$n" --hold=never -- true
        check "$w: another" await 10 created
        kill -TERM "$PID"
        reaped "$JOB"
        is "$RC" 143 "$w: … can be given up"
        check_fails "$w: … there is nothing to start then" sctl start "$n" never

        sctl exec "$n" --hold=end -- true </dev/null >"$TESTDIR/held.out" 2>&1 &
        held=$!
        started "$held"
        check "$w: one more" await 10 created
        end "$n"
        reaped "$held"
        isnt "$RC" 0 "$w: … ends with the sandbox: $RC"
        isnt "$RC" 124 "$w: … soon"
}

killed() { # a launcher that dies takes its program along, at any moment
        local w=$WHO n=killed-$WHO i
        start "$n" sleep 1000
        for ((i = 0; i < 15; i++)); do
                direct exec "$n" sleep 2000 2>/dev/null
                sleep "0.0$(printf %02d $((RANDOM % 40)))"
                kill -KILL "$PID" 2>/dev/null
                wait "$JOB" 2>/dev/null
        done
        alone() { [ "$(sctl --no-legend ps "$n" | wc -l)" -eq 1 ]; }
        check "$w: kill -9 of launchers at 15 moments leaves nothing inside" await 10 alone || diag "$(sctl ps "$n")"
        is "$(sctl exec "$n" echo still)" still "$w: … and the next program runs"
        end "$n"
}

# A terminal of its own: job control as with run.
terminal() {
        local w=$WHO n=terminal-$WHO
        command -v tmux >/dev/null || {
                skip "$w: a terminal" "tmux is not installed"
                return
        }
        start "$n" sleep 1000
        SOCKET=$TESTDIR/tmux-$w
        tm() { timeout 10 tmux -f /dev/null -S "$SOCKET" "$@"; }
        shows() { tm capture-pane -p -t t 2>/dev/null | grep -qE -- "$1"; }
        type_line() { tm send-keys -t t -l "$1" && tm send-keys -t t Enter; }
        tm new-session -d -s t -x 90 -y 20 "PATH=$PATH TERM=screen HOME=$HOME XDG_RUNTIME_DIR=$(runtime) \
DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS \
S='$SENTRYCTL' PS1='> ' bash --norc --noprofile"
        started "$(tm display-message -p '#{pid}')"
        await 10 shows '^>'
        type_line "clear; \$S exec $n stty size; echo \"status=\$?\""
        check "$w: a program at a terminal" await 10 shows '^20 90' || diag "$(tm capture-pane -p -t t)"
        type_line "clear; \$S exec $n sh -c 'while :; do echo tick; sleep 0.2; done'; echo \"status=\$?\""
        check "$w: one that ticks" await 10 shows '^tick'
        tm send-keys -t t C-z
        check "$w: Ctrl-Z stops it" await 10 shows Stopped || diag "$(tm capture-pane -p -t t)"
        type_line 'clear; fg'
        check "$w: fg: it goes on" await 10 shows '^tick'
        tm send-keys -t t C-c
        check "$w: Ctrl-C ends it" await 10 shows '>$' || diag "$(tm capture-pane -p -t t)"
        type_line "clear; \$S exec $n --env PS1='inside> ' bash --norc --noprofile"
        check "$w: a shell" await 10 shows '^inside>' || diag "$(tm capture-pane -p -t t)"
        type_line 'clear; sleep 60'
        await 10 shows 'sleep 60'
        await 10 eval 'sctl --no-legend ps "$n" | grep -q "sleep 60"'
        tm send-keys -t t C-z
        check "$w: … with jobs of its own" await 10 shows 'Stopped.*sleep 60' || diag "$(tm capture-pane -p -t t)"
        type_line 'clear; disown -a; exit 7'
        check "$w: … ends" await 10 shows '^>'
        type_line 'echo "status=$?"'
        check "$w: … and its status" await 10 shows '^status=7' || diag "$(tm capture-pane -p -t t)"
        tm kill-server
        end "$n"
}

each_user options
each_user files
each_user holding
each_user killed
WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
terminal
done_testing
