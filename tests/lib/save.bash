# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests that save and restore: programs in the background that check themselves at each SIGUSR1. D is their directory.
# To be read after tap.sh.
# shellcheck shell=bash

says() { grep -qF -- "$2" "$1"; } # FILE TEXT: in its last output
ask() { # NAME OUTPUT N DESCRIPTION: has the program check itself for the Nth time
        sctl signal "$1" USR1 >/dev/null 2>&1
        await 40 grep -qE "^(checked|failed) $3" "$2"
        is "$(grep -E "^(checked|failed) $3" "$2")" "checked $3" "$4" || diag "$(tail -n 5 "$2")"
}
run() { # NAME OUTPUT ARGUMENT…: in the background, as RUN
        local name=$1 output=$2
        shift 2
        : >"$output"
        mine "$output"
        sctl run --name "$name" --bind "$D" "$@" </dev/null >"$output" 2>&1 &
        RUN=$!
        started "$RUN"
        await 30 running "$name" || diag "$(cat "$output")"
}
restore() { # NAME OUTPUT OPTION… IMAGE
        local name=$1 output=$2
        shift 2
        : >"$output"
        mine "$output"
        sctl restore --name "$name" "$@" </dev/null >"$output" 2>&1 &
        RUN=$!
        started "$RUN"
        await 60 running "$name" || diag "$(cat "$output")"
}
end() { # NAME
        sctl kill "$1" >/dev/null 2>&1
        reaped "$RUN"
}
