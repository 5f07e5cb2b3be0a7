#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs of tests/sys, which know nothing of it, are saved and restored at random moments, and at each of their emulated calls,
# and must still pass. All of them and more often: make check-save. SENTRYD_SEED=N repeats the moments of a run.

. "${srcdir:-.}/tests/lib/tap.sh"

programs=${AUTOSAVE_PROGRAMS:-signals timer-overrun personality prctl-ptracer foreign}
calls=${AUTOSAVE_CALLS:-30} # the first so many
saves=${AUTOSAVE_SAVES:-2}
RANDOM=${SENTRYD_SEED:-$$}
diag "the seed is ${SENTRYD_SEED:-$$}"

pause_a_while() { # up to that many milliseconds
        local ms=$((RANDOM % $1))
        sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# What `sentryctl run` is told, in OPTIONS, for a program in $D.
prepare() { # PROGRAM
        await 20 daemons_gone # with another environment
        rm -rf "$D"
        mkdir "$D" "$D/dir" "$D/images"
        sctl syscalls --json >"$D/syscalls.json" 2>/dev/null
        OPTIONS=(--ro-bind "$SENTRYD_BUILD/tests/sys" --bind "$D" --chdir "$D/dir" --env SENTRYD_SANDBOX_TEST=1
                --env TESTDIR="$D/dir" --env SENTRYD_SYSCALLS_JSON="$D/syscalls.json" "$SENTRYD_BUILD/tests/sys/$1")
        [ "$1" != socket ] || OPTIONS=(--network private "${OPTIONS[@]}")
}

# The output of the program, over all of its lives, in $D/tap; RC is the last one's status.
autosave() { # PROGRAM
        local n=0
        reason=
        prepare "$1"
        sctl run --name auto "${OPTIONS[@]}" </dev/null >"$D/tap" 2>"$D/err" &
        RUN=$!
        started "$RUN"
        await 20 eval 'running auto || gone $RUN'
        while [ $n -lt "$saves" ] && running auto; do
                pause_a_while 300
                sctl save auto "$D/image$n" >"$D/save" 2>&1 || {
                        # It may have ended meanwhile; else the reason is told.
                        running auto && reason=$(cat "$D/save")
                        break
                }
                reaped "$RUN"
                n=$((n + 1))
                sctl restore --name auto "$D/image$((n - 1))" </dev/null >>"$D/tap" 2>>"$D/err" &
                RUN=$!
                started "$RUN"
                await 60 eval 'running auto || gone $RUN'
        done
        reaped "$RUN" 120
        diag "$1: saved and restored $n times${reason:+, then: $reason}"
}

passed() { # DESCRIPTION
        if [ "$RC" -eq 0 ] && [ -z "$reason" ] && ! grep -q '^not ok' "$D/tap" && grep -q '^1\.\.' "$D/tap"; then
                ok "$1"
        else
                not_ok "$1" "status $RC" "${reason:-every save was made}" "$(grep -v '^ok' "$D/tap" | head -n 20)" "$(head -n 20 "$D/err")"
        fi
}

steps() { # PROGRAM
        reason=
        prepare "$1"
        timeout -k 5 "${SENTRYD_TEST_DEADLINE:-300}" python3 "$srcdir/tests/live/save-steps.py" "$calls" "$D/images" "${OPTIONS[@]}" >"$D/tap" 2>"$D/err"
        RC=$?
        diag "$1: $(sed -n 's/^# //p' "$D/err" | tail -n 1)"
        # A child of vfork(2) that makes calls is one thing that keeps a save back.
        reason=$(sed -n 's/^# refused: //p' "$D/err")
        [ "$1" != clone ] || ! grep -q 'made by vfork(2)' "$D/err" || reason=
}

one() { # PROGRAM
        autosave "$1"
        passed "$1, at random moments"
        # Not at each call: what it reads has a line of each restore; and a signal that comes every few milliseconds ends calls
        # with EINTR for which nobody is there yet.
        case $1 in syslog | time) return ;; esac
        steps "$1"
        passed "$1, at each call"
}

WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
D=$TESTDIR/auto
for program in $programs; do one "$program"; done
done_testing
