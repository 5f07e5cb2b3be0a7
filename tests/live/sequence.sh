#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 200 sandboxes one after the other (100 as root, 100 as a plain user), then 30 at once as each: each ends as it should, and nothing is left behind.

. "${srcdir:-.}/tests/lib/tap.sh"

COUNT=${SENTRYD_TEST_SEQUENCE:-200}
# Half of them as root and half as a plain user, where there are both.
[ "$(id -u)" -ne 0 ] || COUNT=$((COUNT / 2))
AT_ONCE=30

# Everything that a sandbox could leave behind on the host. Other tests run at the same time, with sandboxes of
# their own: only what bears this test's directory or runtime directory counts, and what grows.
mounts() { grep -cF "$TESTDIR" /proc/self/mountinfo; }
sockets() { grep -cF "$TESTDIR" /proc/net/unix; }
# Not /tmp/sentryd-UID: that is the runtime directory of who has none, which this test has.
tmp() { find /tmp -maxdepth 1 -newer "$TESTDIR/start" ! -path "$TESTDIR" ! -path /tmp ! -name 'sentryd-test.*' ! -name 'sentryd-bench.*' ! -name 'sentryd-[0-9]*' \
        \( -iname '*sentry*' -o -iname '*sandbox*' \) | sort; }

sequence() {
        enter_cgroup
        local w=$WHO wrong=0 i rc before_mounts before_cgroups
        local dir
        dir=$(runtime)
        touch "$TESTDIR/start"
        before_mounts=$(mounts)
        before_cgroups=$(cgroups)
        for ((i = 0; i < COUNT; i++)); do
                out=$(sctl run sh -c "echo $i; exit $((i % 100))" 2>&1)
                rc=$?
                if [ "$rc" -ne $((i % 100)) ] || [ "$out" != "$i" ]; then
                        wrong=$((wrong + 1))
                        diag "sandbox $i: status $rc, said $out"
                        [ "$wrong" -lt 5 ] || break
                fi
        done
        is "$wrong" 0 "$w: $COUNT sandboxes in sequence, each with its own status and output"
        nothing_left "$w: after them" "$dir" "$before_mounts" "$before_cgroups"
}

at_once() {
        enter_cgroup
        local w=$WHO i pids=() wrong=0 before_mounts before_cgroups
        local dir
        dir=$(runtime)
        before_mounts=$(mounts)
        before_cgroups=$(cgroups)
        for ((i = 0; i < AT_ONCE; i++)); do
                # Each waits until all are there: for a file that is made when the list shows them.
                sctl run --name "once-$i" --ro-bind "$TESTDIR/signal" sh -c \
                        "until test -e '$TESTDIR/signal/go'; do sleep 0.1; done; uname -n; exit $i" \
                        >"$TESTDIR/out-$i" 2>&1 &
                pids+=($!)
        done
        all_listed() { [ "$(sctl --no-legend list | grep -c "once-.*running")" -eq "$AT_ONCE" ]; }
        check "$w: $AT_ONCE sandboxes at once are all in the list, running" await 30 all_listed
        touch "$TESTDIR/signal/go"
        for ((i = 0; i < AT_ONCE; i++)); do
                reaped "${pids[i]}" 30
                if [ "$RC" -ne "$i" ] || [ "$(cat "$TESTDIR/out-$i")" != sandbox ]; then
                        wrong=$((wrong + 1))
                        diag "sandbox $i: status $RC, said $(cat "$TESTDIR/out-$i")"
                fi
        done
        rm -f "$TESTDIR/signal/go" "$TESTDIR"/out-*
        is "$wrong" 0 "$w: … each with its own status and output"
        nothing_left "$w: after them" "$dir" "$before_mounts" "$before_cgroups"
}

nothing_left() { # WHAT RUNTIME-DIRECTORY MOUNTS CGROUPS
        is "$(sctl -q --no-legend list 2>&1)" '' "$1 the list is empty"
        check "$1 no process of ours is left" await 10 daemons_gone "$2"
        is "$(mounts)" "$3" "$1 no mount is left"
        is "$(diff <(echo "$4") <(cgroups) | grep '^>')" '' "$1 no control group is left"
        check_fails "$1 no socket is left" test -e "$2/sentryd/bus"
        is "$(sockets)" 0 "$1 … not even a nameless one"
        is "$(find "$2" -mindepth 1 ! -name log ! -name lock ! -name sentryd)" '' "$1 no file is left in the runtime directory"
        is "$(tmp)" '' "$1 no file is left in /tmp"
}

mkdir "$TESTDIR/signal"
own_cgroup || diag "$REASON"
each_user sequence
each_user at_once
done_testing
