#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-bench's section "manager": how long many sandboxes take to list, and to be there again after their manager was
# killed. An instance of its own. Sourced by run-bench.

declare -A SAMPLES FIGURE # run-bench's

LIMIT_LIST=5        # ms, ListSandboxes of 100 sandboxes
LIMIT_RECOVERY=150  # ms, 20 sandboxes: from the kill of the manager to the answer of the next one, likewise

manager_ctl() { timeout 60 "$SENTRYCTL" "$@" 2>>"$WORK/log.manager"; }

# Starts sandboxes up to so many, and waits until they run.
manager_fill() {
        local i

        for ((i = ${#MANAGER_PIDS[@]}; i < $1; i++)); do
                manager_ctl run --name "m$i" sleep 7200 &
                MANAGER_PIDS+=($!)
        done
        for ((i = 0; i < 600; i++)); do
                [[ $(manager_ctl -q --no-legend list | grep -c running) -eq $1 ]] && return
                sleep 0.05
        done
        echo "run-bench: no $1 sandboxes: $(tail -n 1 "$WORK/log.manager")" >&2
        return 1
}

manager_pid() {
        local directory

        for directory in /proc/[0-9]*; do
                [[ $(readlink "$directory/exe") == */sentryd ]] || continue
                tr '\0' '\n' 2>/dev/null <"$directory/environ" | grep -qxF "XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR" &&
                        echo "${directory#/proc/}"
        done
}

manager_measure() {
        local rounds=$1 round pid before after call n

        manager_fill 20 || return
        for ((round = 0; round < rounds; round++)); do
                progress "manager: kill $((round + 1)) of $rounds"
                pid=$(manager_pid)
                [[ -n $pid ]] || return
                before=${EPOCHREALTIME/./}
                kill -KILL "$pid"
                n=$(manager_ctl -q --no-legend list | grep -c running)
                after=${EPOCHREALTIME/./}
                if [[ $n -ne 20 ]]; then
                        echo "run-bench: only $n of 20 sandboxes are there again" >&2
                        return
                fi
                SAMPLES[manager/recovery/us]+=" $((after - before))"
        done
        manager_fill 100 || return
        for ((round = 0; round < 4 * rounds; round++)); do
                progress "manager: list $((round + 1))"
                before=${EPOCHREALTIME/./}
                manager_ctl -q --no-legend list >/dev/null || return
                after=${EPOCHREALTIME/./}
                SAMPLES[manager/list/us]+=" $((after - before))"
                read -r call _ < <("$BINDIR/bus-call" "$XDG_RUNTIME_DIR/sentryd/bus" ListSandboxes 20) || return
                SAMPLES[manager/call/us]+=" $call"
        done
}

section_manager() {
        local rounds=15 pid what
        local -a MANAGER_PIDS=()
        # No bus, so that it is an embedded one.
        local -x XDG_RUNTIME_DIR=$WORK/manager DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent \
                DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent

        have sentryd || return 0
        ((QUICK)) && rounds=7
        mkdir -m 700 "$XDG_RUNTIME_DIR"
        manager_measure "$rounds"
        for ((pid = 0; pid < ${#MANAGER_PIDS[@]}; pid++)); do
                manager_ctl kill "m$pid" >/dev/null
        done
        wait "${MANAGER_PIDS[@]}" 2>/dev/null
        progress ""

        heading "Many sandboxes and one manager, ms"
        printf '%-42s%9s%9s%9s\n' "" min median p95
        for what in recovery list call; do
                digest "manager/$what/us" || continue
                FIGURE[manager/$what/ms]=$(milliseconds "${FIGURE[manager/$what/us/median]}")
                printf '%-42s%9s%9s%9s\n' "$(describe_manager "$what")" "$(milliseconds "${FIGURE[manager/$what/us/min]}")" \
                        "${FIGURE[manager/$what/ms]}" "$(milliseconds "${FIGURE[manager/$what/us/p95]}")"
        done
        target recovery "20 sandboxes after a kill of sentryd" ms "$LIMIT_RECOVERY" "${FIGURE[manager/recovery/ms]:-}"
        target list "ListSandboxes of 100" ms "$LIMIT_LIST" "${FIGURE[manager/call/ms]:-}"
}

describe_manager() {
        case $1 in
                recovery) echo "20 sandboxes there again after kill -9" ;;
                list)     echo "sentryctl list of 100 sandboxes" ;;
                call)     echo "ListSandboxes of 100 sandboxes" ;;
        esac
}
