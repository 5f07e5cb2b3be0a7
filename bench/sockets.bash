#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-bench's section "sockets": what rules for addresses cost a call over the loopback. Sourced by run-bench.

declare -A SAMPLES FIGURE # run-bench's

SOCKET_CALLS=(udp-sendto tcp-connect+close unix-sendmsg)

section_sockets() {
        local rounds=20 round name call i n
        local -a names=(native no-rules rules)

        have sentryd || return 0
        ((QUICK)) && rounds=6
        mkdir -p "$WORK/profiles"
        printf '{ "sentry": { "extends": "default", "network": "private", "addresses": [ %s ] } }' \
                '{ "action": "allow" }' >"$WORK/profiles/rules.json"
        serve_start sockets-native "$BINDIR/sockets" --serve
        serve_start sockets-no-rules "$SENTRYCTL" run "${SANDBOX_BIND[@]}" --network private "$BINDIR/sockets" --serve
        # A runtime directory of its own has a daemon of its own, which looks for profiles elsewhere.
        mkdir -m 0700 "$WORK/rules"
        serve_start sockets-rules env XDG_RUNTIME_DIR="$WORK/rules" SENTRYD_PROFILE_PATH="$WORK/profiles:${SENTRYCTL%/*}/profiles" \
                "$SENTRYCTL" run "${SANDBOX_BIND[@]}" --profile rules "$BINDIR/sockets" --serve
        n=${#names[@]}

        for ((round = -1; round < rounds; round++)); do # the first to warm up
                ((round >= 0)) && progress "sockets: round $((round + 1)) of $rounds"
                for call in "${SOCKET_CALLS[@]}"; do
                        for ((i = 0; i < n; i++)); do
                                name=${names[(round % 2 ? n - 1 - i : i)]}
                                serve_measure "sockets-$name" "$call" || continue
                                ((round >= 0)) && SAMPLES[sockets/$call/$name]+=" $NS"
                        done
                done
        done
        for name in "${names[@]}"; do
                serve_stop "sockets-$name"
        done
        progress ""

        heading "Socket calls over the loopback, us"
        printf '%-26s%12s%12s%12s%16s\n' "" native "no rules" rules "x no rules"
        for call in "${SOCKET_CALLS[@]}"; do
                for name in "${names[@]}"; do
                        digest "sockets/$call/$name" || continue 2
                done
                FIGURE[sockets/$call/rules/x_no_rules]=$(paired "sockets/$call/rules" "sockets/$call/no-rules")
                printf '%-26s%12s%12s%12s%16s\n' "$call" \
                        "$(microseconds "${FIGURE[sockets/$call/native/median]}")" \
                        "$(microseconds "${FIGURE[sockets/$call/no-rules/median]}")" \
                        "$(microseconds "${FIGURE[sockets/$call/rules/median]}")" \
                        "$(decimals 1 "${FIGURE[sockets/$call/rules/x_no_rules]}")"
        done
        echo "each with what it takes to undo it: a recv, or accept and close"
}
