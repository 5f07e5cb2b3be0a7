#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-bench's section "journal": what it costs a call that changes something that the change outlives sentry-kernel. Two
# sandboxes take turns, of which one keeps no journal ($SENTRYD_JOURNAL). Sourced by run-bench.

declare -A SAMPLES FIGURE # run-bench's

LIMIT_JOURNAL=1.15 # x without
JOURNAL_CALLS=(sethostname timer_settime setitimer uname) # the last changes nothing

section_journal() {
        local generations=3 rounds=15 generation round name call i

        have sentryd || return 0
        ((QUICK)) && generations=1 rounds=8
        mkdir -m 0700 "$WORK/journal-off" "$WORK/journal-on"
        # Processes that follow one another: where the memory of one happens to lie is worth some percent.
        for ((generation = 0; generation < generations; generation++)); do
                for name in off on; do
                        serve_start "journal-$name" env XDG_RUNTIME_DIR="$WORK/journal-$name" \
                                SENTRYD_JOURNAL="$([[ $name == on ]] && echo 1 || echo 0)" \
                                "$SENTRYCTL" run "${SANDBOX_BIND[@]}" "$BINDIR/calls" --serve --rounds=3 --usec=4000
                done
                for ((round = 0; round < rounds; round++)); do
                        progress "journal: round $((generation * rounds + round + 1)) of $((generations * rounds))"
                        for call in "${JOURNAL_CALLS[@]}"; do
                                for i in 0 1; do
                                        name=off
                                        (((round + i) % 2)) && name=on
                                        serve_measure "journal-$name" "$call" || continue
                                        SAMPLES[journal/$call/$name]+=" $NS"
                                done
                        done
                done
                serve_stop journal-off
                serve_stop journal-on
        done
        progress ""

        heading "What the journal costs, us"
        printf '%-26s%12s%12s%12s\n' "" without with "x without"
        for call in "${JOURNAL_CALLS[@]}"; do
                digest "journal/$call/off" || continue
                digest "journal/$call/on" || continue
                FIGURE[journal/$call/x_off]=$(paired "journal/$call/on" "journal/$call/off")
                printf '%-26s%12s%12s%12s\n' "$call" "$(microseconds "${FIGURE[journal/$call/off/median]}")" \
                        "$(microseconds "${FIGURE[journal/$call/on/median]}")" "$(decimals 3 "${FIGURE[journal/$call/x_off]}")"
        done
        for call in sethostname timer_settime setitimer; do
                target "journal-$call" "$call with a journal" "x without" "$LIMIT_JOURNAL" "${FIGURE[journal/$call/x_off]:-}"
        done
}
