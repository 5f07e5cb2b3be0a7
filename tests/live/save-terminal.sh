#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Saving at a terminal, restoring at another: a shell in the middle of a script, with its jobs, its foreground and its modes;
# and tmux within the sandbox, which has terminals of its own, attached and detached; and bytes
# on their way. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"
# shellcheck source=tests/lib/save.bash
. "$srcdir/tests/lib/save.bash"

command -v tmux >/dev/null || bail "tmux is needed for this test"
export LC_ALL=C.UTF-8

tm() {
        if [ "$WHO" = user ] && [ "$(id -u)" -eq 0 ]; then
                as_user env LC_ALL="$LC_ALL" timeout 10 tmux -f /dev/null -S "$D/tmux" "$@"
        else
                timeout 10 tmux -f /dev/null -S "$D/tmux" "$@"
        fi
}
screen() { tm capture-pane -p -t "$PANE" 2>/dev/null; }
shows() { screen | grep -qE -- "$1"; }
last() { screen | sed -n "s/^$1 //p" | tail -n 1; } # the number that was said last
type_line() { tm send-keys -t "$PANE" -l "$1" && tm send-keys -t "$PANE" Enter; }
sees() { check "$WHO: $1" await 40 shows "$2" || diag "$(screen)"; } # DESCRIPTION EXTENDED-REGEX

terminal() { # NAME COLUMNS ROWS: another one, with a shell
        tm new-window -t t: -n "$1" "env TERM=screen S='$CTL' D='$D' bash --norc --noprofile"
        PANE=t:$1
        tm resize-window -t "$PANE" -x "$2" -y "$3"
        await 20 shows '[$#]'
}
save_here() { # IMAGE: what runs in this terminal
        check "$WHO: it is saved" sctl save term "$D/$1"
        sees "… and whoever ran it goes on" 'status=0'
        type_line 'clear; stty -a; echo "seen"'
        await 20 shows '^seen'
        check "$WHO: … at a terminal that is set as it was" shows '(^|[ ;])icanon' || diag "$(screen)"
        tm kill-window -t "$PANE"
}

script() {
        local before
        cat >"$D/script" <<'END_OF_FILE'
set -m
trap 'echo "size $(stty size)"' WINCH
trap 'echo interrupted' INT
line=
sleep 1000 &
n=0
while :; do
        n=$((n + 1))
        read -r -t 0.1 part || { # it may have had the beginning of a line
                line+=$part
                continue
        }
        line+=$part
        case $line in
        end) break ;;
        count) echo "count $n" ;;
        jobs) jobs ;;
        *) echo "got $line" ;;
        esac
        line=
done
kill %1
echo the end
exit 7
END_OF_FILE
        mine "$D/script"
        terminal one 100 30
        type_line '$S run --name term --bind $D bash --norc --noprofile; echo "status=$?"'
        await 40 running term || diag "$(screen)"
        type_line "bash $D/script"
        type_line count
        sees "a script in a sandbox at a terminal" '^count [0-9]'
        before=$(last count)
        save_here image

        terminal two 90 20
        type_line 'clear; $S restore --name term $D/image; echo "status=$?"'
        sees "restored at another terminal it is told the size" '^size 20 90'
        type_line hello
        sees "… reads from it" '^got hello'
        type_line count
        await 20 shows '^count [0-9]'
        check "$WHO: … and has gone on from where it was" test "$(last count)" -gt "$before"
        type_line jobs
        sees "… its job is there" '^\[1\].*Running.*sleep 1000'
        tm send-keys -t "$PANE" C-c
        sees "… Ctrl-C comes to it" 'interrupted'
        tm send-keys -t "$PANE" C-z
        sees "… Ctrl-Z stops it" 'Stopped.*script'
        type_line 'clear; fg'
        await 20 shows '^bash .*script'
        type_line again
        sees "… and fg takes it up" '^got again'
        tm resize-window -t "$PANE" -x 80 -y 24
        sees "… it sees the next size, too" '^size 24 80'
        type_line end
        await 20 shows '^the end'
        type_line 'echo "script=$?"'
        sees "… its shell has its status" '^script=7'
        type_line 'exit 12'
        sees "… and the sandbox that of its shell" '^status=12'
        tm kill-window -t "$PANE"
}

inner() { # tmux, in the sandbox
        terminal three 100 30
        type_line '$S run --name term --bind $D bash --norc --noprofile; echo "status=$?"'
        await 40 running term || diag "$(screen)"
        type_line "PS1='outer> '; TERM=screen tmux -f /dev/null -S /tmp/tmux new-session 'bash --norc --noprofile'"
        await 40 shows '^\[0\] '
        type_line "PS1='inner> '; n=0; while read -r line; do n=\$((n + 1)); echo \"turn \$n\"; done"
        type_line ''
        sees "a script in tmux in a sandbox" '^turn 1'
        save_here attached

        terminal four 80 20
        type_line 'clear; $S restore --name term $D/attached; echo "status=$?"'
        sees "restored, it draws itself" '^turn 1'
        type_line ''
        sees "… the script goes on" '^turn 2'
        tm send-keys -t "$PANE" C-b d
        sees "… one can detach from it" '^\[detached'
        save_here detached

        terminal five 90 25
        type_line 'clear; $S restore --name term $D/detached; echo "status=$?"'
        sees "restored when detached, its shell is there" '^outer>'
        type_line 'clear; TERM=screen tmux -S /tmp/tmux attach'
        sees "… and it can be attached" '^turn 2'
        type_line ''
        sees "… the script goes on" '^turn 3'
        tm send-keys -t "$PANE" C-c
        type_line 'clear; stty size; exit'
        sees "… until it ends" '^\[exited'
        type_line 'exit 3'
        sees "… and the sandbox with it" '^status=3'
        tm kill-window -t "$PANE"
}

bytes() { # on their way in one, in both directions, and in one that is stopped
        cat >"$D/bytes.py" <<'END_OF_FILE'
import os, select, signal, sys, termios, tty

def read(fd):
    return os.read(fd, 65536) if select.select([fd], [], [], 5)[0] else None

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
master, slave = os.openpty()
stopped, other = os.openpty()
before = termios.tcgetattr(slave)
os.write(slave, b"one\ntwo\n")
os.write(master, b"line\nabc\4par")
os.write(other, b"early")
termios.tcflow(other, termios.TCOOFF)
lines = [b"line\n", b"abc", b"partial\n"]
print("ready", flush=True)
while True:
    signal.sigwait([signal.SIGUSR1])
    assert termios.tcgetattr(slave) == before
    assert not select.select([], [other], [], 0)[1]
    assert read(stopped) == b"early"
    termios.tcflow(other, termios.TCOON)
    os.write(master, b"tial\n")
    got = [read(slave) for _ in lines]
    assert got == lines, got
    output, expected = b"", b"one\r\ntwo\r\nline\r\nabcpartial\r\n"
    while len(output) < len(expected):
        output += read(master)
    assert output == expected, output
    print("read", flush=True)
END_OF_FILE
        mine "$D/bytes.py"
        run bytes "$D/out0" python3 "$D/bytes.py"
        await 30 says "$D/out0" ready
        check "$WHO: terminals with bytes in them are saved" sctl save --leave-running bytes "$D/bytes"
        check "$WHO: … and once more, and it ends" sctl save bytes "$D/bytes2"
        reaped "$RUN"
        restore bytes "$D/out1" "$D/bytes2"
        sctl signal bytes USR1
        check "$WHO: … restored it reads what was on its way" await 30 says "$D/out1" read || diag "$(cat "$D/out1")"
        end bytes
        restore bytes "$D/out1" "$D/bytes"
        check "$WHO: … of the first image, too" sctl save bytes "$D/bytes3"
        reaped "$RUN"
        restore bytes "$D/out1" "$D/bytes3"
        sctl signal bytes USR1
        check "$WHO: … saved again at once" await 30 says "$D/out1" read || diag "$(cat "$D/out1")"
        end bytes
}

terminals() {
        D=$WORK/terminal
        mkdir -m 755 "$D"
        mine "$D"
        CTL=$([ "$WHO" = user ] && echo "$USER_CTL" || echo "$SENTRYCTL")
        tm new-session -d -s t -x 100 -y 30 cat || bail "tmux does not start"
        started "$(tm display-message -p '#{pid}')"
        for t in ${TESTS_ONLY:-script inner bytes}; do "$t"; done
        tm kill-server
        await 10 daemons_gone
}

each_user terminals
done_testing
