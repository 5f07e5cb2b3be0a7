#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-bench's section "save": a program with a GiB of memory saved to a file system in memory and restored from there,
# beside cp(1) of a file of a GiB there; then one of five MiB. Sourced by run-bench.

declare -A SAMPLES FIGURE # run-bench's

LIMIT_SAVE=1.5        # x cp
LIMIT_RESTORE=1.5     # x cp
LIMIT_LAZY=60         # ms
LIMIT_SMALL=60        # ms, both ways
LIMIT_SAVE_RSS=16384  # KiB more than before, sentry-kernel

save_ctl() { timeout 120 "$SENTRYCTL" -q "$@" </dev/null 2>>"$WORK/log.save"; }
save_trouble() { echo "run-bench: $*: $(tail -n 1 "$WORK/log.save")" >&2; }

# Times a command into SAMPLES[save/CELL/us]; fails with it.
save_time() {
        local cell=$1 before after
        shift

        before=${EPOCHREALTIME/./}
        "$@" >/dev/null || {
                save_trouble "$* failed"
                return 1
        }
        after=${EPOCHREALTIME/./}
        SAMPLES[save/$cell/us]+=" $((after - before))"
}

# The largest resident size of sentry-kernel since its size was asked for last, in KiB
save_peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$1/status" 2>/dev/null; }

# One program of so many MiB, saved, restored, and restored again with --lazy, under names that begin with CELL.
save_round() {
        local cell=$1 mib=$2 name=bench-save-$1 image=$SAVE_DIR/image fifo=$WORK/fifo.save i
        local -a lazy

        rm -rf "$image" "$fifo"
        mkfifo "$fifo"
        "$SENTRYCTL" run --name "$name" "${SANDBOX_BIND[@]}" "$BINDIR/pages" "$mib" </dev/null >"$fifo" 2>>"$WORK/log.save" &
        SAVE_PID=$!
        IFS= read -r -t 60 REPLY <"$fifo" || {
                save_trouble "$name does not start"
                return 1
        }
        save_time "$cell/save" save_ctl save "$name" "$image" || return 1
        wait "$SAVE_PID" 2>/dev/null
        for i in restore lazy; do
                lazy=()
                [[ $i == lazy ]] && lazy=(--lazy)
                save_time "$cell/$i" save_ctl restore --detach --stdio=null --name "$name" "${lazy[@]}" "$image" || return 1
                save_ctl kill --wait "$name" || return 1
        done
}

save_measure() {
        local rounds=$1 round kernel before after

        head -c $((1024 * 1024 * 1024)) /dev/urandom >"$SAVE_DIR/file" || return
        for ((round = 0; round < rounds; round++)); do
                progress "save: round $((round + 1)) of $rounds"
                save_time cp cp "$SAVE_DIR/file" "$SAVE_DIR/copy" || return
                rm "$SAVE_DIR/copy"
                save_round large 1024 || return
        done
        for ((round = 0; round < 4 * rounds; round++)); do
                progress "save: small, round $((round + 1))"
                save_round small 5 || return
        done

        progress "save: memory"
        rm -rf "$SAVE_DIR/image"
        "$SENTRYCTL" run --name bench-save-rss "${SANDBOX_BIND[@]}" "$BINDIR/pages" 256 </dev/null >"$WORK/save.out" 2>>"$WORK/log.save" &
        SAVE_PID=$!
        for ((round = 0; round < 600; round++)); do
                grep -q up "$WORK/save.out" && break
                sleep 0.1
        done
        kernel=$(kernel_of bench-save-rss)
        before=$(save_peak "$kernel")
        save_ctl save --leave-running bench-save-rss "$SAVE_DIR/image" || return
        after=$(save_peak "$kernel")
        [[ -n $before && -n $after ]] && FIGURE[save/rss/kib]=$((after - before))
        save_ctl kill bench-save-rss
}

section_save() {
        local rounds=5 what SAVE_DIR SAVE_PID=

        have sentryd || return 0
        ((QUICK)) && rounds=3
        if ! SAVE_DIR=$(mktemp -d /dev/shm/sentryd-bench.XXXXXX 2>/dev/null); then
                note "save: nothing can be written to /dev/shm"
                return 0
        fi
        if (($(df --output=avail -k "$SAVE_DIR" | tail -n 1) < 3 * 1024 * 1024)); then
                note "save: /dev/shm has no three GiB left"
                rmdir "$SAVE_DIR"
                return 0
        fi
        keep_start
        save_measure "$rounds"
        [[ -z $SAVE_PID ]] || wait "$SAVE_PID" 2>/dev/null
        rm -rf "$SAVE_DIR"
        progress ""

        heading "Save and restore in memory, ms"
        printf '%-42s%9s%9s%9s%9s\n' "" min median p95 "x cp"
        for what in cp large/save large/restore large/lazy small/save small/restore small/lazy; do
                digest "save/$what/us" || continue
                FIGURE[save/$what/ms]=$(milliseconds "${FIGURE[save/$what/us/median]}")
                FIGURE[save/$what/x_cp]=
                [[ $what == large/[sr]* ]] && FIGURE[save/$what/x_cp]=$(paired "save/$what/us" save/cp/us)
                printf '%-42s%9s%9s%9s%9s\n' "$(describe_save $what)" "$(milliseconds "${FIGURE[save/$what/us/min]}")" \
                        "${FIGURE[save/$what/ms]}" "$(milliseconds "${FIGURE[save/$what/us/p95]}")" \
                        "$(decimals 2 "${FIGURE[save/$what/x_cp]}")"
        done
        [[ -n ${FIGURE[save/small/save/ms]:-} && -n ${FIGURE[save/small/restore/ms]:-} ]] &&
                FIGURE[save/small/ms]=$(awk -v a="${FIGURE[save/small/save/ms]}" -v b="${FIGURE[save/small/restore/ms]}" \
                        'BEGIN { print a + b }')
        target save "save of a GiB" "x cp" "$LIMIT_SAVE" "${FIGURE[save/large/save/x_cp]:-}"
        target restore "restore of a GiB" "x cp" "$LIMIT_RESTORE" "${FIGURE[save/large/restore/x_cp]:-}"
        target lazy "lazy restore of a GiB" ms "$LIMIT_LAZY" "${FIGURE[save/large/lazy/ms]:-}"
        target small "5 MiB saved and restored" ms "$LIMIT_SMALL" "${FIGURE[save/small/ms]:-}"
        target save-rss "sentry-kernel more in a save" KiB "$LIMIT_SAVE_RSS" "${FIGURE[save/rss/kib]:-}"
}

describe_save() {
        case $1 in
                cp)            echo "cp of a file of 1 GiB" ;;
                large/save)    echo "save of a program with 1 GiB" ;;
                large/restore) echo "its restore" ;;
                large/lazy)    echo "… with --lazy" ;;
                small/save)    echo "save of a program with 5 MiB" ;;
                small/restore) echo "its restore" ;;
                small/lazy)    echo "… with --lazy" ;;
        esac
}
