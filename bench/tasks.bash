#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-bench's section "tasks": what it takes to see and to steer a sandbox of a thousand tasks, what an idle one does,
# and what is left of a trace that has ended. Sourced by run-bench.

declare -A SAMPLES FIGURE # run-bench's

TASKS=1000

LIMIT_PAUSE=100        # ms, of TASKS tasks; and so on
LIMIT_PS=50
LIMIT_SIGNAL=50
LIMIT_IDLE=0           # times that sentry-kernel wakes up in IDLE_SEC
LIMIT_DETACHED=1.05    # x a sandbox that was never traced

IDLE_SEC=10

# Takes the time of a command in µs as a sample of a cell.
tasks_time() {
        local cell=$1 before after
        shift

        before=${EPOCHREALTIME/./}
        timeout 60 "$@" >/dev/null 2>>"$WORK/log.tasks" || return 1
        after=${EPOCHREALTIME/./}
        SAMPLES[$cell]+=" $((after - before))"
}

# How often the threads of a process have gone to sleep
tasks_switches() {
        cat "/proc/$1/task/"*/status 2>/dev/null | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n + 0 }'
}

# Waits until the watchdog has looked for the last time, some ten seconds after the last call; then counts.
tasks_idle() {
        local before

        sleep 12
        before=$(tasks_switches "$1")
        sleep "$IDLE_SEC"
        FIGURE[tasks/idle/wakeups]=$(($(tasks_switches "$1") - before))
}

# A sandbox that was traced, beside one that never was; several pairs of them, because where the memory of a process
# happens to lie is worth some percent.
tasks_detached() {
        local generations=5 rounds=12 generation round name tracer
        local -a order

        ((QUICK)) && generations=3 rounds=6
        for ((generation = 0; generation < generations; generation++)); do
                for name in untraced traced; do
                        serve_start "$name" "$SENTRYCTL" run "${SANDBOX_BIND[@]}" --name "bench-$name" \
                                "$BINDIR/calls" --serve --rounds=3 --usec=5000
                        serve_measure "$name" uname || return
                done
                : >"$WORK/trace"
                timeout 60 "$SENTRYCTL" trace bench-traced >"$WORK/trace" 2>>"$WORK/log.tasks" &
                tracer=$!
                for ((round = 0; round < 100; round++)); do
                        [[ -s $WORK/trace ]] && break
                        serve_measure traced uname
                done
                kill "$tracer"
                wait "$tracer" 2>/dev/null
                for ((round = 0; round < rounds; round++)); do
                        order=(untraced traced)
                        ((round % 2)) && order=(traced untraced)
                        for name in "${order[@]}"; do
                                serve_measure "$name" uname && SAMPLES[tasks/detached/$name]+=" $NS"
                        done
                done
                serve_stop untraced
                serve_stop traced
        done
        FIGURE[tasks/detached/x_untraced]=$(paired tasks/detached/traced tasks/detached/untraced)
}

section_tasks() {
        local rounds=15 round kernel what name=bench-tasks-$$

        if ! have sentryd; then
                note "tasks: sentryd does not run here"
                return
        fi
        ((QUICK)) && rounds=7
        keep_start || return

        progress "tasks: $TASKS of them"
        # shellcheck disable=SC2016 # a script of its own
        serve_start tasks "$SENTRYCTL" run --name "$name" sh -c '
                i=1
                while [ "$i" -lt "$1" ]; do
                        sleep 7200 </dev/null >/dev/null &
                        i=$((i + 1))
                done
                echo up
                read -r line' sh "$TASKS"
        if serve_read tasks && [[ $REPLY == up ]]; then
                for ((round = 0; round < rounds; round++)); do
                        progress "tasks: round $((round + 1)) of $rounds"
                        tasks_time tasks/hostps/us ps -eo pid,ppid,uid,stat,time,comm,args
                        tasks_time tasks/ps/us "$SENTRYCTL" ps "$name"
                        tasks_time tasks/signal/us "$SENTRYCTL" signal "$name" URG --whom=all # ignored by whoever gets it
                        tasks_time tasks/pause/us "$SENTRYCTL" pause "$name"
                        tasks_time tasks/resume/us "$SENTRYCTL" resume "$name"
                done
                FIGURE[tasks/ps/x_hostps]=$(paired tasks/ps/us tasks/hostps/us)
                kernel=$(kernel_of "$name")
                progress "tasks: $IDLE_SEC s of nothing"
                [[ -n $kernel ]] && tasks_idle "$kernel"
        else
                echo "run-bench: no sandbox of $TASKS tasks: $(tail -n 1 "$WORK/log.tasks")" >&2
        fi
        serve_stop tasks
        progress "tasks: a trace that has ended"
        tasks_detached
        progress ""

        heading "A sandbox of $TASKS tasks, seen and steered by sentryctl, ms"
        printf '%-26s%9s%9s%9s%12s\n' "" min median p95 "x host's ps"
        for what in pause resume signal ps hostps; do
                digest "tasks/$what/us" || continue
                FIGURE[tasks/$what/ms]=$(milliseconds "${FIGURE[tasks/$what/us/median]}")
                printf '%-26s%9s%9s%9s%12s\n' "$(describe_task "$what")" \
                        "$(milliseconds "${FIGURE[tasks/$what/us/min]}")" "${FIGURE[tasks/$what/ms]}" \
                        "$(milliseconds "${FIGURE[tasks/$what/us/p95]}")" \
                        "$(decimals 2 "${FIGURE[tasks/$what/x_hostps]:-}")"
        done

        target pause "pause of $TASKS tasks" ms "$LIMIT_PAUSE" "${FIGURE[tasks/pause/ms]:-}"
        target ps "ps of $TASKS tasks" ms "$LIMIT_PS" "${FIGURE[tasks/ps/ms]:-}"
        target signal "signal to $TASKS tasks" ms "$LIMIT_SIGNAL" "${FIGURE[tasks/signal/ms]:-}"
        target idle "idle for $IDLE_SEC s" "wake-ups" "$LIMIT_IDLE" "${FIGURE[tasks/idle/wakeups]:-}"
        target detached "uname after a trace" "x untraced" "$LIMIT_DETACHED" "${FIGURE[tasks/detached/x_untraced]:-}"
}

describe_task() {
        case $1 in
                signal) echo "signal to all" ;;
                hostps) echo "ps of the host" ;;
                *)      echo "$1" ;;
        esac
}
