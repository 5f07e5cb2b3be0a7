#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How run-bench's samples ($SAMPLES) become figures ($FIGURE), ratios, verdicts and JSON. Sourced by it.

declare -A ABSENT     # contender: why it is not there
declare -a NOTES      # what a reader of the figures should know
declare -a MEMORY     # "label|key|rss|anon|file|pss|hwm" in KiB
declare -a TARGETS    # "id|title|unit|limit|value|verdict"

# median min p95 n of the numbers given
stats() {
        printf '%s\n' "$@" | sort -g | awk '
                { v[NR] = $1 }
                function q(f,   p, i) {
                        p = 1 + f * (NR - 1); i = int(p)
                        return i >= NR ? v[NR] : v[i] + (v[i + 1] - v[i]) * (p - i)
                }
                END { if (NR > 0) printf "%.3f %.3f %.3f %d\n", q(0.5), v[1], q(0.95), NR }'
}

# Turns the samples of one cell into figures.
# shellcheck disable=SC2004 # FIGURE is associative, and run-bench's
digest() {
        local cell=$1 median min p95 n

        [[ -n ${SAMPLES[$cell]:-} ]] || return 1
        # shellcheck disable=SC2086 # a list of numbers
        read -r median min p95 n < <(stats ${SAMPLES[$cell]})
        FIGURE[$cell/median]=$median
        FIGURE[$cell/min]=$min
        FIGURE[$cell/p95]=$p95
        FIGURE[$cell/n]=$n
}

# The median of the quotients of two cells, round by round: the machine's speed drifts by several percent within
# minutes, which quotients of neighbours do not see. "-" when a cell is missing.
paired() {
        local a=${SAMPLES[$1]:-} b=${SAMPLES[$2]:-}

        [[ -n $a && -n $b ]] || { echo -; return; }
        awk -v a="$a" -v b="$b" 'BEGIN {
                n = split(a, x, " "); m = split(b, y, " ")
                if (n != m) exit
                for (i = 1; i <= n; i++) printf "%.5f\n", x[i] / y[i]
        }' | sort -g | awk '
                { v[NR] = $1 }
                END { print NR == 0 ? "-" : NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# The median of the differences of two cells of ns, round by round, in us; "-" when a cell is missing
apart() {
        local a=${SAMPLES[$1]:-} b=${SAMPLES[$2]:-}

        [[ -n $a && -n $b ]] || { echo -; return; }
        awk -v a="$a" -v b="$b" 'BEGIN {
                n = split(a, x, " "); m = split(b, y, " ")
                if (n != m) exit
                for (i = 1; i <= n; i++) printf "%.3f\n", (x[i] - y[i]) / 1000
        }' | sort -g | awk '
                { v[NR] = $1 }
                END { print NR == 0 ? "-" : NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# The quotient of two numbers; "-" when one is missing
ratio() {
        [[ -n ${1:-} && -n ${2:-} ]] || { echo -; return; }
        awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.3f\n", a / b; else print "-" }'
}

# A number with so many decimals, or "-"
decimals() {
        [[ -n ${2:-} && $2 != - ]] || { echo -; return; }
        printf '%.*f\n' "$1" "$2"
}

# A number of JSON, or null
json_number() {
        [[ -n ${1:-} && $1 != - ]] && echo "$1" || echo null
}

json_string() {
        local s=${1//[^[:print:]]/ }

        s=${s//\\/\\\\}
        printf '"%s"' "${s//\"/\\\"}"
}

# Notes that a contender does not take part: absent CONTENDER REASON
absent() {
        ABSENT[$1]=$2
}

# Notes what a reader of the figures should know.
note() {
        NOTES+=("$1")
}

heading() {
        printf '\n%s\n%s\n' "$1" "${1//?/-}"
}

# A line that overwrites itself, for who looks on
progress() {
        [[ -t 2 ]] && printf '\r\033[K%s' "$1" >&2
        return 0
}

# Judges a figure: target ID TITLE UNIT LIMIT VALUE
target() {
        local verdict

        if [[ -z $5 || $5 == - ]]; then
                verdict="not measured"
        elif awk -v v="$5" -v l="$4" 'BEGIN { exit !(v <= l) }'; then
                verdict=met
        else
                verdict=MISSED
        fi
        TARGETS+=("$1|$2|$3|$4|$5|$verdict")
}

print_targets() {
        local line id title unit limit value verdict

        heading "Targets"
        for line in "${TARGETS[@]}"; do
                IFS='|' read -r id title unit limit value verdict <<<"$line"
                [[ $unit == KiB ]] || value=$(decimals 3 "$value")
                printf '%-14s%-32s%9s  (<= %s %s)\n' "$verdict" "$title" "${value:--}" "$limit" "$unit"
        done
}

print_absent() {
        local name

        for name in sentryd bwrap proot runsc floor filter; do
                [[ -n ${ABSENT[$name]:-} ]] && echo "absent: $name (${ABSENT[$name]})"
        done
        return 0
}

# An object of the figures of all cells below a path: json_cell PATH KEY...
json_cell() {
        local path=$1 key comma=
        shift

        printf '{'
        for key in "$@"; do
                [[ -n ${FIGURE[$path/$key]:-} ]] || continue
                printf '%s"%s":%s' "$comma" "$key" "$(json_number "${FIGURE[$path/$key]}")"
                comma=,
        done
        printf '}'
}

print_json() {
        local comma comma2 name call line label key rss anon file pss hwm id title unit limit value verdict
        local model

        model=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
        printf '{\n  "version": 1,\n  "date": "%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        printf '  "host": {"kernel": %s, "machine": %s, "cpu": %s, "cpus": %d, "uid": %d},\n' "$(json_string "$(uname -r)")" \
                "$(json_string "$(uname -m)")" "$(json_string "$model")" "$(nproc)" "$EUID"
        printf '  "quick": %s,\n' "$( ((QUICK)) && echo true || echo false)"

        printf '  "absent": {'
        comma=
        for name in "${!ABSENT[@]}"; do
                printf '%s%s: %s' "$comma" "$(json_string "$name")" "$(json_string "${ABSENT[$name]}")"
                comma=", "
        done
        printf '},\n  "notes": ['
        comma=
        for line in "${NOTES[@]}"; do
                printf '%s%s' "$comma" "$(json_string "$line")"
                comma=", "
        done
        printf '],\n  "calls_ns": {'
        comma=
        for call in "${NATIVE_CALLS[@]}" "${EMULATED_CALLS[@]}"; do
                [[ -n ${FIGURE[calls/$call/native/median]:-} ]] || continue
                printf '%s\n    "%s": {' "$comma" "$call"
                comma=,
                comma2=
                for name in "${CONTENDERS[@]}"; do
                        [[ -n ${FIGURE[calls/$call/$name/median]:-} ]] || continue
                        printf '%s\n      "%s": %s' "$comma2" "$name" \
                                "$(json_cell "calls/$call/$name" median min p95 n x_native x_filter x_floor)"
                        comma2=,
                done
                printf '}'
        done
        printf '},\n  "timers_ns": {'
        comma=
        for call in "${LATE[@]}"; do
                [[ -n ${FIGURE[timers/$call/native/median]:-} ]] || continue
                printf '%s\n    "%s": {"cpu_percent": %s' "$comma" "$call" \
                        "$(json_number "${FIGURE[timers/$call/cpu_percent]:-}")"
                comma=,
                for name in "${CONTENDERS[@]}"; do
                        [[ -n ${FIGURE[timers/$call/$name/median]:-} ]] || continue
                        printf ',\n      "%s": {"p50": %s, "p99": %s}' "$name" \
                                "$(json_cell "timers/$call/$name" median min p95 n us_more)" \
                                "$(json_cell "timers/$call-p99/$name" median min p95 n us_more)"
                done
                printf '}'
        done
        for key in start build; do
                printf '},\n  "%s_us": {' "$key"
                comma=
                for name in native bwrap sentryd embedded proot runsc; do
                        [[ -n ${FIGURE[$key/$name/median_us]:-} ]] || continue
                        printf '%s\n    "%s": %s' "$comma" "$name" \
                                "$(json_cell "$key/$name" runs min_us median_us p95_us paired x_native x_bwrap)"
                        comma=,
                done
        done
        printf '},\n  "sockets_ns": {'
        comma=
        for call in "${SOCKET_CALLS[@]}"; do
                [[ -n ${FIGURE[sockets/$call/rules/median]:-} ]] || continue
                printf '%s\n    "%s": {' "$comma" "$call"
                comma=, comma2=
                for name in native no-rules rules; do
                        printf '%s\n      "%s": %s' "$comma2" "$name" \
                                "$(json_cell "sockets/$call/$name" median min p95 n x_no_rules)"
                        comma2=,
                done
                printf '}'
        done
        printf '},\n  "tasks_us": {'
        comma=
        for name in pause resume signal ps hostps; do
                [[ -n ${FIGURE[tasks/$name/us/median]:-} ]] || continue
                printf '%s\n    "%s": %s' "$comma" "$name" "$(json_cell "tasks/$name/us" median min p95 n)"
                comma=,
        done
        printf '},\n  "memory_kib": ['
        comma=
        for line in "${MEMORY[@]}"; do
                IFS='|' read -r label key rss anon file pss hwm <<<"$line"
                printf '%s\n    {"process": %s, "rss": %s, "anon": %s, "file": %s, "pss": %s, "peak": %s}' "$comma" \
                        "$(json_string "$label")" "$(json_number "$rss")" "$(json_number "$anon")" \
                        "$(json_number "$file")" "$(json_number "$pss")" "$(json_number "$hwm")"
                comma=,
        done
        printf '],\n  "targets": ['
        comma=
        for line in "${TARGETS[@]}"; do
                IFS='|' read -r id title unit limit value verdict <<<"$line"
                printf '%s\n    {"id": "%s", "title": %s, "unit": "%s", "limit": %s, "value": %s, "met": %s}' "$comma" "$id" \
                        "$(json_string "$title")" "$unit" "$limit" "$(json_number "$value")" \
                        "$(case $verdict in met) echo true ;; MISSED) echo false ;; *) echo null ;; esac)"
                comma=,
        done
        printf ']\n}\n'
}
