#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs of tests/sys, which know nothing of it, are saved and restored at random moments and must still pass. All of them
# and more often: make check-save. SENTRYD_SEED=N repeats the moments of a run.

. "${srcdir:-.}/tests/lib/tap.sh"

# Not here, for a reason: what measures the time of a CPU, which does not go on from what it was; what asks for tasks and
# terminals outside; what makes descriptors that cannot be saved.
programs=${AUTOSAVE_PROGRAMS:-signals timerfd timer-overrun clocks}
saves=${AUTOSAVE_SAVES:-2}
RANDOM=${SENTRYD_SEED:-$$}
diag "the seed is ${SENTRYD_SEED:-$$}"

pause_a_while() { # up to that many milliseconds
        local ms=$((RANDOM % $1))
        sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# The output of the program, over all of its lives, in $D/tap; RC is the last one's status.
autosave() { # PROGRAM
        local n=0 network=
        reason=
        [ "$1" = socket ] && network="--network private"
        rm -rf "$D"
        mkdir "$D" "$D/dir"
        sctl syscalls --json >"$D/syscalls.json" 2>/dev/null
        # shellcheck disable=SC2086 # two words, or none
        sctl run --name auto $network --ro-bind "$SENTRYD_BUILD/tests/sys" --bind "$D" --chdir "$D/dir" --env SENTRYD_SANDBOX_TEST=1 \
                --env TESTDIR="$D/dir" --env SENTRYD_SYSCALLS_JSON="$D/syscalls.json" "$SENTRYD_BUILD/tests/sys/$1" \
                </dev/null >"$D/tap" 2>"$D/err" &
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

one() { # PROGRAM
        autosave "$1"
        if [ "$RC" -eq 0 ] && [ -z "$reason" ] && ! grep -q '^not ok' "$D/tap" && grep -q '^1\.\.' "$D/tap"; then
                ok "$1"
        else
                not_ok "$1" "status $RC" "${reason:-every save was made}" "$(grep -v '^ok' "$D/tap" | head -n 20)" "$(head -n 20 "$D/err")"
        fi
}

WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
D=$TESTDIR/auto
for program in $programs; do one "$program"; done
done_testing
