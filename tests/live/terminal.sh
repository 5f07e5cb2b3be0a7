#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sandboxes at a terminal: Ctrl-C, Ctrl-Z, fg, bg, window sizes, full-screen programs; in tmux, and without a terminal
# of one's own in script(1).

. "${srcdir:-.}/tests/lib/tap.sh"

command -v tmux >/dev/null || bail "tmux is needed for this test"

export LC_ALL=C.UTF-8
SOCKET=$TESTDIR/tmux
tm() { timeout 10 tmux -f /dev/null -S "$SOCKET" "$@"; }
screen() { tm capture-pane -p -t t 2>/dev/null; }
shows() { screen | grep -qE -- "$1"; }
type_line() { tm send-keys -t t -l "$1" && tm send-keys -t t Enter; }
# The prompt is a counter, so that an old one is never taken for a new one.
prompt=0
at_prompt() { # [DESCRIPTION]: the next prompt comes; not in a subshell, it counts
        prompt=$((prompt + 1))
        if await 15 shows "^P$prompt>"; then
                [ -z "${1:-}" ] || ok "$1"
        else
                not_ok "${1:-prompt $prompt comes}" "$(screen)"
        fi
}
end_tmux() { tm kill-server; }

tm new-session -d -s t -x 100 -y 30 "PATH=$PATH TERM=screen HOME=$HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR \
DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS \
S='$SENTRYCTL' bash --norc --noprofile" || bail "tmux does not start"
started "$(tm display-message -p '#{pid}')"
await 10 shows '[$#]' || bail "no shell in tmux"
type_line "n=0; PROMPT_COMMAND='n=\$((n+1))'; PS1='\\nP\$n> '; clear"
at_prompt "a shell in a terminal"

type_line '$S run sh -c "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all-terminals"'
at_prompt "a sandbox at a terminal ends"
check "… its descriptors are the terminal" shows '^all-terminals' || diag "$(screen)"
check "… of its size" shows '^29 100|^30 100'

type_line 'clear; $S run sleep 100; echo "status=$?"'
check "sleep runs" await 10 listed sleep
tm send-keys -t t C-c
check "Ctrl-C ends it" await 10 shows '^(\^C)?status='
check "… with 130" shows 'status=130' || diag "$(screen)"
at_prompt

type_line 'clear; $S run sh -c "trap \"echo trapped; exit 9\" INT; echo armed; while :; do sleep 0.1; done"; echo "status=$?"'
check "a program that handles SIGINT" await 10 shows '^armed'
tm send-keys -t t C-c
check "… gets Ctrl-C" await 10 shows '^trapped|^.Ctrapped'
check "… and decides its status" await 10 shows '^status=9' || diag "$(screen)"
at_prompt

type_line 'clear; $S run --name stopped sh -c "while :; do echo tick; sleep 0.2; done"; echo "status=$?"'
check "a program that ticks" await 10 shows '^tick'
tm send-keys -t t C-z
check "Ctrl-Z stops it" await 10 shows 'Stopped' || diag "$(screen)"
at_prompt
type_line 'clear; jobs'
check "… the shell has it as a job" await 10 shows 'Stopped.*run'
at_prompt
type_line 'clear; fg'
check "fg: it goes on" await 10 shows '^tick' || diag "$(screen)"
tm send-keys -t t C-z
check "Ctrl-Z again" await 10 shows 'Stopped'
at_prompt
type_line 'clear; bg'
at_prompt
check "bg: it goes on in the background" await 10 shows '^(P[0-9]+> )?tick' || diag "$(screen)"
type_line 'fg'
await 5 shows 'sh -c'
tm send-keys -t t C-c
at_prompt "fg and Ctrl-C end it"
check "… it is gone" await 10 nothing_listed

type_line 'clear; $S run cat; echo "status=$?"'
check "cat runs" await 10 listed cat
type_line 'typed text'
check "typing is echoed and answered" await 10 eval '[ "$(screen | grep -c "^typed text")" -eq 2 ]'
tm send-keys -t t C-d
check "Ctrl-D ends it with 0" await 10 shows '^status=0'
at_prompt

type_line 'clear; $S run cat; echo "status=$?"'
check "cat runs" await 10 listed cat
tm send-keys -t t C-\\
check "Ctrl-\\ ends it" await 10 shows '^status=131|status=131' || diag "$(screen)"
at_prompt

type_line 'clear; $S run bash --norc --noprofile'
check "a shell in a sandbox" await 10 shows '^bash[^$#]*[$#]'
type_line 'sleep 50'
check "… runs a program" await 10 eval 'sctl --no-legend ps "$(sctl --no-legend list | head -n 1 | cut -d" " -f1)" | grep -q "sleep 50"'
tm send-keys -t t C-z
check "… which Ctrl-Z stops, not the sandbox" await 10 shows 'Stopped.*sleep 50' || diag "$(screen)"
type_line 'clear; fg'
check "… and goes on" await 10 shows '^sleep 50'
tm send-keys -t t C-c
type_line 'exit 12'
at_prompt "… until Ctrl-C ends it, not the sandbox; exit does"
type_line 'echo "status=$?"'
check "… with its status" await 10 shows '^status=12' || diag "$(screen)"
at_prompt

# A window that changes its size
type_line 'clear; $S run sh -c "trap \"stty size\" WINCH; echo armed; while :; do sleep 0.1; done"'
check "a program that watches the window" await 10 shows '^armed'
tm resize-window -t t -x 90 -y 20
check "… sees its new size" await 10 shows '90$' || diag "$(screen)"
tm send-keys -t t C-c
at_prompt

# The terminal closes: the sandbox ends.
type_line 'clear; $S run --name closing sleep 1000'
check "one more" await 10 listed closing
check "the terminal closes" end_tmux
check "… and the sandbox ends with it" await 10 nothing_listed
check "… nothing is left" await 10 daemons_gone "$TESTDIR/run"

# A terminal made by script(1)
if command -v script >/dev/null; then
        timeout 20 script -qec "'$SENTRYCTL' run sh -c 'test -t 1 && echo terminal; exit 21'" /dev/null </dev/null >"$TESTDIR/out" 2>&1
        is $? 21 "in script(1) the status comes through"
        contains "$(cat "$TESTDIR/out")" terminal "… and it is a terminal"
else
        skip "a terminal made by script(1)" "script is not installed"
fi
done_testing
