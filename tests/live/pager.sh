#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What sentryctl prints for people: through a pager, in columns of their choice, in colours, and a word when it takes long.

. "${srcdir:-.}/tests/lib/tap.sh"
unset PAGER SYSTEMD_PAGER SYSTEMD_LESS SUDO_UID NO_COLOR LESS
export SYSTEMD_PAGERSECURE=0

"$SENTRYCTL" run --name shown sleep 1000 </dev/null >"$TESTDIR/out" 2>&1 &
started $!
check "a sandbox runs" await 30 running shown || diag "$(cat "$TESTDIR/out")"

# A pager that tells what it was given.
cat >"$TESTDIR/marker" <<'END'
#!/bin/sh
echo "PAGER LESS=$LESS LESSSECURE=${LESSSECURE:-}"
sed 's/^/paged: /'
END
chmod +x "$TESTDIR/marker"
marker=$TESTDIR/marker
# terminal VARIABLE=…… ARGUMENT…: sentryctl on a terminal of 90 columns
terminal() {
        local settings=()
        while [[ $1 == *=* && $1 != -* ]]; do settings+=("$1"); shift; done
        # A shell keeps the terminal until sentryctl has ended.
        timeout -k 5 "$T" script -qec "stty cols 90 rows 24; env TERM=xterm ${settings[*]@Q} ${SENTRYCTL@Q} ${*@Q}; echo status \$?" /dev/null </dev/null | tr -d '\r'
}

# ---- the pager

unlike "$(PAGER=$marker sctl list)" PAGER "no terminal, no pager"
out=$(terminal SYSTEMD_PAGER="$marker" list)
like "$out" $'PAGER LESS=FRSXMK LESSSECURE=\n' "a terminal: \$SYSTEMD_PAGER is run, with options for less"
like "$out" 'paged: NAME' "… and shows the list"
contains "$out" "status 0" "… whose status is as ever"
contains "$(terminal PAGER="$marker" list)" 'paged: NAME' "\$PAGER"
contains "$(terminal PAGER=/nonexistent SYSTEMD_PAGER="$marker" list)" 'paged: NAME' "… after \$SYSTEMD_PAGER"
for none in SYSTEMD_PAGER= SYSTEMD_PAGER=cat TERM=dumb; do
        like "$(terminal PAGER="$marker" "$none" list)" '(^|\n)NAME' "$none: none"
done
like "$(terminal PAGER="$marker" --no-pager list)" '(^|\n)NAME' "--no-pager: none"
contains "$(terminal SYSTEMD_LESS=abc PAGER="$marker" list)" "LESS=abc" "\$SYSTEMD_LESS"
contains "$(terminal PAGER=/nonexistent list)" shown "a pager that is not there is none"
contains "$(terminal SYSTEMD_PAGER="'sed s/^/argument:/'" list 2>&1 | tr -d "'")" argument "a command with arguments"
contains "$(terminal PAGER="$marker" SYSTEMD_PAGERSECURE=1 list)" "LESSSECURE=1" "\$SYSTEMD_PAGERSECURE has it told to run nothing"
contains "$(terminal PAGER=true list)" "status 0" "a pager that reads nothing is no failure"
for verb in "status" "status shown" "show shown" "ps" "dmesg shown" "syscalls" "--json list" "run --help" "--help" "help"; do
        # shellcheck disable=SC2086  # arguments
        contains "$(terminal PAGER="$marker" $verb)" 'paged: ' "sentryctl $verb is paged"
done
unlike "$(terminal PAGER="$marker" version)" 'paged: ' "… version is not"
contains "$(terminal PAGER="$marker" list --nonsense)" "unknown option" "errors are not"

# ---- colours

green=$'\033[32m'
contains "$(terminal PAGER="$marker" list)" "$green" "colours, through a pager too"
contains "$(terminal SYSTEMD_PAGER= list)" "$green" "… and without"
unlike "$(terminal NO_COLOR=1 SYSTEMD_PAGER= list)" $'\033' "none with NO_COLOR"
unlike "$(sctl list)" $'\033' "none without a terminal"

# ---- columns

is "$(sctl --columns=state,name list)" $'STATE   NAME\nrunning shown' "--columns, in this order"
is "$(sctl --no-legend --columns NAME list | xargs)" shown "… by a header's name"
is "$(sctl --json=short --columns=state,name list)" '[{"state":"running","name":"shown"}]' "… in JSON"
is "$(sctl list --columns=path | head -n 1)" PATH "… one that tables have not got otherwise" || true
out=$(sctl list --columns=name,nonsense 2>&1)
is $? 2 "an unknown column is a mistake"
like "$out" "no column 'nonsense', there are name, .*state" "… and those that there are named"
out=$(sctl version --columns=name 2>&1)
is $? 2 "… as it is for who has no table"
contains "$out" "prints no table" "… in words"
is "$(sctl --columns=pid,comm --no-legend ps shown | xargs)" "1 sleep" "of ps"
is "$(sctl --columns=comm,pid --no-legend ps --tree shown | xargs)" "sleep 1" "… as a tree"
is "$(sctl --columns=pid --no-legend ps --tree shown | xargs)" "1" "… and without what makes it one"

# ---- what takes long

mkfifo "$TESTDIR/typescript"
# shellcheck disable=SC2094  # of a fifo, by two
timeout -k 5 "$T" script -qec "env TERM=xterm ${SENTRYCTL@Q} wait shown" /dev/null </dev/null >"$TESTDIR/waiting" 2>&1 &
waiting=$!
started $waiting
says() { grep -q "wait: waiting, 2 s" "$TESTDIR/waiting"; }
check "who waits is told" await 20 says
check "the sandbox is killed" sctl kill --status=7 shown
reaped $waiting
is $RC 7 "… and the wait over"
contains "$(cat "$TESTDIR/waiting")" $'\r\033[K' "… whose line goes away"

done_testing
