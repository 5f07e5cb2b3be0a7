#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Connections inside a sandbox are saved and restored, twice, with what is in their queues and in all states that they come
# to: every byte arrives, once and in its order. What cannot be is refused, and says so. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

cp "$srcdir/tests/live/restore-sockets.py" "$TESTDIR"
chmod 644 "$TESTDIR/restore-sockets.py"

run() { # NAME OUTPUT NETWORK CASE…: in the background
        local name=$1 output=$2 network=$3
        shift 3
        : >"$output"
        mine "$output"
        sctl run --name "$name" --network "$network" --ro-bind "$TESTDIR/restore-sockets.py" python3 "$TESTDIR/restore-sockets.py" "$@" \
                </dev/null >"$output" 2>&1 &
        RUN=$!
        started "$RUN"
        await 30 grep -q '^ready' "$output" || not_ok "$WHO: $name starts" "$(cat "$output")"
}
restore() { # NAME OUTPUT IMAGE
        local name=$1
        : >"$2"
        mine "$2"
        sctl restore --name "$1" "$3" </dev/null >"$2" 2>&1 &
        RUN=$!
        started "$RUN"
        await 60 eval 'running "$name" || gone "$RUN"'
        check "$WHO: … restored" running "$name" || diag "$(cat "$2")"
}
compare() { # NAME OUTPUT: has it read everything, and compare
        local line output
        sctl signal "$1" USR1 >/dev/null 2>&1
        await 60 grep -q '^done' "$2"
        output=$(<"$2")
        while read -r line; do
                case $line in
                checked*) ok "$WHO: … ${line#checked }" ;;
                failed*) not_ok "$WHO: … ${line%%:*}" "$output" ;;
                done) return ;;
                esac
        done <<<"$output"
        not_ok "$WHO: … everything is compared" "$output"
}
end() { # NAME
        sctl kill --wait "$1" >/dev/null 2>&1
        reaped "$RUN"
}

natively() { # that the program is right about what it expects
        local pid
        setsid python3 "$TESTDIR/restore-sockets.py" >"$D/native" 2>&1 &
        pid=$!
        started "$pid"
        await 30 grep -q '^ready' "$D/native"
        kill -USR1 "$pid"
        await 60 grep -q '^done' "$D/native"
        is "$(grep -c '^checked' "$D/native")" "$(($(grep -c . "$D/native") - 2))" "natively: everything is as it should be" || diag "$(cat "$D/native")"
        kill -KILL -- "-$pid"
        reaped "$pid"
}

inside() {
        run inside "$D/out0" private
        check "$WHO: sockets in all states are saved" sctl save inside "$D/image0"
        reaped "$RUN"
        restore inside "$D/out1" "$D/image0"
        check "$WHO: … once more" sctl save --leave-running --compress=1 inside "$D/image1"
        compare inside "$D/out1"
        end inside
        restore inside "$D/out2" "$D/image1"
        compare inside "$D/out2"
        end inside
}

outside() {
        local out
        run outside "$D/out3" host lost
        out=$(sctl save --leave-running outside "$D/image2" 2>&1)
        is $? 1 "$WHO: connections in the host's network are refused"
        contains "$out" "a TCP connection in the host's network: \`--tcp=reset\`" "$WHO: … and it is told what to do"
        status_is 2 "$WHO: --tcp takes two words" sctl save --tcp=keep outside "$D/image2"
        check "$WHO: with --tcp=reset" sctl save --tcp=reset outside "$D/image2"
        reaped "$RUN"
        restore outside "$D/out4" "$D/image2"
        compare outside "$D/out4"
        end outside
}

refusals() {
        local out
        run refused "$D/out5" private refused
        out=$(sctl save --leave-running refused "$D/image3" 2>&1)
        is $? 1 "$WHO: what cannot be saved is refused"
        contains "$out" '5 bytes sent by TCP to somebody who has not accepted' "$WHO: … bytes that nobody can read yet"
        contains "$out" 'connections that nobody has accepted yet: 1, of which 0' "$WHO: … in a listening socket's queue"
        contains "$out" 'urgent data' "$WHO: … urgent data"
        compare refused "$D/out5"
        end refused
}

sockets() {
        D=$WORK/sockets
        mkdir -m 755 "$D"
        mine "$D"
        for t in ${TESTS_ONLY:-inside outside refusals}; do "$t"; done
        await 10 daemons_gone
}

D=$TESTDIR
natively
each_user sockets
done_testing
