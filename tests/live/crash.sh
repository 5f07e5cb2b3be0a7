#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of sentry-kernels and their keepers at random moments, while programs in their sandboxes make all kinds of
# emulated calls: none gets an error or a wrong answer, nothing is done twice, no timer and no descriptor is lost. As root
# and as a plain user. SENTRYD_TEST_CRASHES: how many kills for each, of SENTRYD_TEST_CRASH_BOXES sandboxes; `make check-crash`
# has 1,000 and four.

. "${srcdir:-.}/tests/lib/tap.sh"

crasher=$TESTDIR/crasher
install -m 755 "$SENTRYD_BUILD/tests/live/crasher" "$crasher"
kills=${SENTRYD_TEST_CRASHES:-30}
boxes=${SENTRYD_TEST_CRASH_BOXES:-2}

victims() { # NAME: the pids of its sentry-kernel and keeper, in that order where both are there
        local pid keeper=
        for pid in $(pgrep -f -- "--name $1( |\$)"); do
                case $(program_of "$pid") in
                sentry-kernel) echo "$pid" ;;
                sentry-keeper) keeper+=" $pid" ;;
                esac
        done
        # shellcheck disable=SC2086
        [ -z "$keeper" ] || printf '%s\n' $keeper
}

storm() { # SECONDS NAME…: kills until it was often enough; N is how often
        local end=$((SECONDS + $1)) name pid pids
        shift
        N=0
        while [ "$N" -lt "$kills" ] && [ "$SECONDS" -lt "$end" ]; do
                for name; do
                        mapfile -t pids < <(victims "$name")
                        # One of the two at a time. (Both at once: adopt.sh.)
                        [ "${#pids[@]}" -ge 2 ] || continue
                        # The sentry-kernel four times out of five
                        pid=${pids[0]}
                        [ $((RANDOM % 5)) -gt 0 ] || pid=${pids[-1]}
                        kill -KILL "$pid" 2>/dev/null && N=$((N + 1))
                        await 10 gone "$pid"
                done
                sleep "0.0$((RANDOM % 10))"
        done
}

crash() {
        local w=$WHO name names=() runs=() inputs=() input i pids=(private host)
        mkdir -p "$WORK/crash"
        for ((i = 0; i < boxes; i++)); do # with the host's process ids, signals are the sentry's to send
                name=crash-$w-$i
                mkfifo "$WORK/crash/$name.in"
                mine "$WORK/crash" "$WORK/crash/$name.in"
                T=7200 sctl run --name "$name" --pid "${pids[i % 2]}" --ro-bind "$crasher" \
                        "$crasher" <"$WORK/crash/$name.in" >"$WORK/crash/$name.out" 2>&1 &
                runs+=($!)
                started $!
                names+=("$name")
                exec {input}>"$WORK/crash/$name.in"
                inputs+=("$input")
        done
        for name in "${names[@]}"; do
                check "$w: $name runs" await 30 grep -q running "$WORK/crash/$name.out" || diag "$(cat "$WORK/crash/$name.out")"
        done

        storm $((kills / 2 + 20)) "${names[@]}"
        check "$w: sentry-kernels and keepers are killed ($N)" test "$N" -ge $((kills / 4))
        for name in "${names[@]}"; do
                check "$w: $name is there" await 20 running "$name" || diag "$(grep "$name" "$(runtime)/sentryd/log" | tail -n 30)"
        done
        for input in "${inputs[@]}"; do exec {input}>&-; done
        for i in "${!names[@]}"; do
                reaped "${runs[i]}" 90
                is "$RC" 0 "$w: … and has seen nothing of it" || diag "$(tail -n 20 "$WORK/crash/${names[i]}.out")"
                diag "$(tail -n 1 "$WORK/crash/${names[i]}.out")"
        done
        check "$w: nothing is left" await 20 daemons_gone
}

each_user crash
done_testing
