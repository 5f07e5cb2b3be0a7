#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Waiting for the end of a sandbox: many at a time, also after it, up to the limits. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

AT_ONCE=20
LIMIT=64 # PENDING_WAITS_MAX

start() { # NAME PROGRAM…
        local name=$1
        shift
        sctl run --name "$name" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 10 running "$name" || not_ok "$WHO: $name starts" "$(cat "$TESTDIR/$name.out")"
}

waiting() {
        local w=$WHO n=waiting-$WHO i pids=() wrong=0
        start "$n" sleep 1000
        for ((i = 0; i < AT_ONCE; i++)); do
                sctl wait "$n" </dev/null >/dev/null 2>&1 &
                pids+=($!)
                started $!
        done
        # They have asked when somebody who asks after them is answered.
        sctl status "$n" >/dev/null
        gone "${pids[0]}"
        is $? 1 "$w: wait waits"
        sctl kill --status=37 "$n"
        for i in "${pids[@]}"; do
                reaped "$i"
                [ "$RC" -eq 37 ] || wrong=$((wrong + 1))
        done
        is "$wrong" 0 "$w: $AT_ONCE who wait at a time all have the status"
        status_is 37 "$w: so has who comes after the end" sctl wait "$n"
        status_is 37 "$w: … and again" sctl wait "$n"
        reaped "$RUN"
        is "$RC" 37 "$w: … it is that of run"

        # A later sandbox of the same name is what is meant then.
        start "$n" sleep 1000
        sctl wait "$n" >/dev/null 2>&1 &
        i=$!
        started "$i"
        sctl kill --status=38 "$n"
        reaped "$i"
        is "$RC" 38 "$w: a later one of the same name"
        status_is 38 "$w: … is the one that is remembered" sctl wait "$n"
        reaped "$RUN"
        check_fails "$w: one that never was" sctl wait never
        like "$(sctl wait never 2>&1)" never "$w: … is named"
}

limit() {
        local w=$WHO n=limit-$WHO i pids=() full=0 right=0
        start "$n" sleep 1000
        for ((i = 0; i < LIMIT + 3; i++)); do
                sctl wait "$n" </dev/null >"$TESTDIR/wait-$i" 2>&1 &
                pids+=($!)
                started $!
        done
        refused() { [ "$(cat "$TESTDIR"/wait-* | grep -c .)" -ge 3 ]; }
        check "$w: more than $LIMIT who wait are refused" await 20 refused
        like "$(cat "$TESTDIR"/wait-*)" "$LIMIT" "$w: … and told of the limit"
        sctl kill --status=4 "$n"
        for i in "${pids[@]}"; do
                reaped "$i"
                case $RC in
                4) right=$((right + 1)) ;;
                1) full=$((full + 1)) ;;
                esac
        done
        is "$right $full" "$LIMIT 3" "$w: … the others have the status"
        reaped "$RUN"
        rm -f "$TESTDIR"/wait-*
}

each_user waiting
each_user limit
done_testing
