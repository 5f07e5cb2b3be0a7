#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Shell pipelines, exit statuses and pipes through a sandbox, as root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

statuses() {
        local w=$WHO
        status_is 0 "$w: true is 0" sctl run true
        status_is 1 "$w: false is 1" sctl run false
        status_is 7 "$w: exit 7 is 7" sctl run sh -c 'exit 7'
        status_is 255 "$w: exit 255 is 255" sctl run sh -c 'exit 255'
        status_is 127 "$w: a program that is not there is 127" sctl run /nonexistent/program
        status_is 127 "$w: … nor in PATH" sctl run no-such-program-anywhere
        status_is 126 "$w: a file that is no program is 126" sctl run /etc/passwd
        status_is 126 "$w: a directory is 126" sctl run /etc
        status_is 125 "$w: an unknown option is 125" sctl run --no-such-option true
        status_is 125 "$w: no program is 125" sctl run
        status_is 125 "$w: an unknown profile is 125" sctl run --profile no-such-profile true
        status_is 125 "$w: a bad value is 125" sctl run --pid sometimes true
        status_is 125 "$w: a bad name is 125" sctl run --name a/b true
        status_is 125 "$w: a bind of nothing is 125" sctl run --bind /nonexistent/source true
        like "$(sctl run --no-such-option true 2>&1)" no-such-option "$w: the message names the option"
        like "$(sctl run --profile no-such-profile true 2>&1)" no-such-profile "$w: … the profile"
        like "$(sctl run --pid sometimes true 2>&1)" 'private.*host' "$w: … the values that are allowed"
        like "$(sctl run /nonexistent/program 2>&1)" /nonexistent/program "$w: … the program"
        status_is 143 "$w: SIGTERM in a child of init is 143 to its shell" \
                sctl run sh -c 'sh -c "kill -TERM \$\$"; exit $?'
        status_is 137 "$w: SIGKILL is 137" sctl run sh -c 'sh -c "kill -KILL \$\$"; exit $?'
        # PID 1 can't be killed from inside, but it can crash.
        status_is 139 "$w: a crash of init is 139" sctl run /usr/bin/python3 -c \
                'import ctypes; ctypes.string_at(0)'
        # PID 1 is immune to its own SIGABRT; abort() then ends it by an instruction that is none.
        sctl run /usr/bin/python3 -c 'import os; os.abort()' >/dev/null 2>&1
        like $? '^(134|139)$' "$w: an abort of init is SIGABRT or SIGSEGV"
        status_is 134 "$w: … of its child SIGABRT" sctl run sh -c '/usr/bin/python3 -c "import os; os.abort()"; exit $?'
        # Signals to the launcher reach the program, or end it, whatever it is doing: shells block signals for moments.
        local lost=0 i pid
        for i in 01 02 03 04 05 06 07 08 09 10; do
                sctl run sh -c 'echo; while :; do /bin/true; done' </dev/null >"$TESTDIR/loop" 2>&1 &
                pid=$!
                await 10 test -s "$TESTDIR/loop"
                sleep "0.0$i" # any moment will do, and a different one each time
                signal_launcher TERM
                reaped "$pid" 4
                [ "$RC" -eq 143 ] || lost=$((lost + 1))
                : >"$TESTDIR/loop"
                for pid in $(daemons_of "$(runtime)" sentryctl); do kill -KILL "$pid" 2>/dev/null; done
        done
        is "$lost" 0 "$w: of 10 SIGTERMs to a shell that runs programs none is lost"
        status_is 2 "$w: an argument that looks like an option is the program's" sctl run sh -c 'exit $#' - -a --name
}

pipes() {
        local w=$WHO
        is "$(sctl run sh -c 'seq 1000 | grep 7 | sort -rn | head -n 3 | tr "\n" " "')" '997 987 979 ' \
                "$w: a pipeline"
        # shellcheck disable=SC2016
        is "$(sctl run sh -c 'for i in 1 2 3; do (echo "$i$i"); done | paste -sd+ | tr -d "\n"; echo " $(uname -s)"')" \
                '11+22+33 Linux' "$w: subshells and substitutions"
        # shellcheck disable=SC2016
        is "$(sctl run bash -c 'set -o pipefail; x=$(cat <(echo a) <(echo b)); echo $x; false | true; echo $?')" \
                'a b
1' "$w: bash process substitution"
        # shellcheck disable=SC2016
        is "$(sctl run sh -c 'sleep 0.05 & wait $!; echo $?; trap "echo trapped" EXIT')" '0
trapped' "$w: background jobs and traps"
        is "$(echo input | sctl run cat)" input "$w: stdin comes in"
        is "$(sctl run sh -c 'echo out; echo err >&2' 2>/dev/null)" out "$w: stdout goes out"
        is "$(sctl run sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err "$w: stderr goes out by itself"
        is "$(sctl run sh -c 'cat; echo end' </dev/null)" end "$w: an empty stdin ends"
        head -c 3000000 /dev/urandom >"$TESTDIR/random"
        is "$(sctl run cat <"$TESTDIR/random" | sctl run cat | sha256sum)" "$(sha256sum <"$TESTDIR/random")" \
                "$w: three megabytes of any bytes through two sandboxes"
        is "$(printf 'a\0b\n' | sctl run od -An -c | tr -s ' ')" ' a \0 b \n' "$w: NULs come through"
        # With pipes made inside: those from outside are another user's, and these names open them anew.
        is "$(sctl run sh -c 'echo through | cat /dev/stdin')" through "$w: /dev/stdin"
        is "$(sctl run sh -c '(echo through >/dev/stdout) | cat')" through "$w: /dev/stdout"
        is "$(sctl run sh -c '(echo through >/dev/fd/1) | cat')" through "$w: /dev/fd/1"
        is "$(sctl run sh -c 'cat <&5' 5<<<five)" five "$w: a further descriptor is kept"
        sctl run yes 2>/dev/null | head -n 1 >"$TESTDIR/yes"
        # PID 1 is immune to SIGPIPE, so yes sees EPIPE and ends by itself.
        like "${PIPESTATUS[0]}" '^(1|141)$' "$w: a broken pipe ends the program"
        is "$(cat "$TESTDIR/yes")" y "$w: … after its output"
        is "$(sctl run printf '%s|' a 'b c' '' '*' $'new\nline' | tr '\n' N)" 'a|b c||*|newNline|' \
                "$w: arguments come through as they are"
        is "$(sctl -q run uname -n 2>&1)" sandbox "$w: nothing but the program's own output"
}

fds() {
        local w=$WHO
        # Whatever this test was started with, and the directory that ls reads
        # shellcheck disable=SC2012 # they are numbers
        is "$(sctl run ls /proc/self/fd | paste -sd' ')" "$(ls /proc/self/fd | paste -sd' ')" \
                "$w: no descriptor of ours is left open"
        is "$(sctl run sh -c 'ulimit -n')" "$(ulimit -n)" "$w: limits are those of the caller"
        is "$(umask 027; sctl run sh -c umask)" 0027 "$w: umask is that of the caller"
        is "$(sctl run /usr/bin/python3 -c 'import signal
print([s for s in range(1, 32) if s not in (9, 19) and signal.getsignal(s) == signal.SIG_IGN and s not in (13, 25)])')" \
                '[]' "$w: no signal is ignored"
        is "$(sctl run grep SigBlk /proc/self/status | tr -d '\t')" SigBlk:0000000000000000 "$w: none is blocked"
        is "$(sctl run /usr/bin/python3 -c 'import os; print(os.getpid())')" 1 "$w: the program is PID 1"
}

each_user statuses
each_user pipes
each_user fds
done_testing
