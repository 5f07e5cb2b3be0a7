#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Callers that die at any step of a call, process groups that are stopped, orphaned or full of zombies, and programs
# whose listener outlives the one that brought it. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/dying.py" <<'PY'
import ctypes, os, random, signal, sys, time
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(4096)

def caller(kind):
    while True:
        if kind == 0:
            libc.uname(buffer)          # answered at once, with a copy to memory
        elif kind == 1:
            libc.klogctl(2, buffer, 1)  # waits for a line of the log
        else:
            libc.sched_getaffinity(0, 128, buffer)

for round in range(25):
    pids = []
    for i in range(12):
        pid = os.fork()
        if pid == 0:
            caller(i % 3)
        pids.append(pid)
    time.sleep(random.random() / 50)
    for pid in random.sample(pids, len(pids)):
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        if os.waitpid(pid, 0)[1] != signal.SIGKILL:
            sys.exit("a caller ended by itself")
print("over", flush=True)
signal.pause()
PY

value() { sctl show --value -p "$2" "$1"; }

dying() {
        local n=dying-$WHO
        sctl run --name "$n" --ro-bind "$TESTDIR/dying.py" /usr/bin/python3 "$TESTDIR/dying.py" </dev/null >"$WORK/dying.out" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: 300 callers are killed in the middle of their calls" await 60 grep -q over "$WORK/dying.out" ||
                diag "$(cat "$WORK/dying.out")"
        nobody_waits() { [ "$(value "$n" CallsParked)" = 0 ]; }
        check "$WHO: … none is waited for any more" await 20 nobody_waits
        is "$(sctl exec "$n" uname -n)" sandbox "$WHO: … and calls are answered"
        is "$(value "$n" CallsStuck)" 0 "$WHO: … none was stuck"
        is "$(sctl --json=short ps "$n" | json 'len(d)')" 1 "$WHO: … and nobody is left"
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

# The leader of each group is a zombie. Group one is stopped; group two will be, and orphaned.
cat >"$TESTDIR/groups.py" <<'PY'
import os, signal, sys

def child(function):
    pid = os.fork()
    if pid == 0:
        function()
        os._exit(0)
    return pid

def sleeper():
    signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"usr1\n"))
    os.write(1, b"ready\n")
    while True:
        signal.pause()

def group():
    os.setpgid(0, 0)
    child(sleeper)
    child(sleeper)

leader = child(group)
signal.signal(signal.SIGUSR2, lambda *_: None)
os.write(1, b"group %d\n" % leader)
while True:
    signal.pause()
PY

states() { sctl --json=short ps "$1" | json '"".join(sorted(t["state"] for t in d if t["group"] == '"$2"'))'; }

groups() {
        local n=groups-$WHO said=$WORK/groups.out group
        sctl run --name "$n" --ro-bind "$TESTDIR/groups.py" /usr/bin/python3 "$TESTDIR/groups.py" </dev/null >"$said" 2>&1 &
        RUN=$!
        started "$RUN"
        both() { [ "$(grep -c ready "$said")" = 2 ] && grep -q group "$said"; }
        check "$WHO: a process group whose leader is a zombie" await 20 both || diag "$(cat "$said")"
        group=$(sed -n 's/^group //p' "$said")
        as_is() { [ "$(states "$n" "$group")" = "$1" ]; }
        check "$WHO: … shows" await 20 as_is SSZ || diag "$(sctl --json=short ps "$n")"
        check "$WHO: … is stopped as a whole" sctl signal "$n" STOP --whom=pgrp --id="$group"
        check "$WHO: … but for the zombie" await 20 as_is TTZ
        check "$WHO: a signal for it" sctl signal "$n" USR1 --whom=pgrp --id="$group"
        check "$WHO: a pause of what is stopped" sctl pause "$n"
        check "$WHO: … and resume" sctl resume "$n"
        check "$WHO: … leave it stopped" as_is TTZ
        is "$(grep -c usr1 "$said")" 0 "$WHO: … with the signal queued"
        check "$WHO: … until it goes on" sctl signal "$n" CONT --whom=pgrp --id="$group"
        heard() { [ "$(grep -c usr1 "$said")" = 2 ]; }
        check "$WHO: … and both hear it" await 20 heard || diag "$(cat "$said")"
        check "$WHO: stopped again" sctl signal "$n" STOP --whom=pgrp --id="$group"
        check "$WHO: … it ends with the sandbox all the same" sctl kill --wait --status=9 "$n"
        reaped "$RUN"
        is "$RC" 9 "$WHO: … whose status it is"
}

# A program that joins brings a listener of its own, for all its descendants: also for those that outlive it.
outlived() {
        local n=outlived-$WHO d=$WORK/outlived
        mkdir -p "$d"
        mine "$d"
        sctl run --name "$n" --bind "$d" sleep 1000 </dev/null >/dev/null 2>&1 &
        RUN=$!
        started "$RUN"
        up() { sctl exec "$n" true; }
        check "$WHO: a sandbox" await 20 up
        # shellcheck disable=SC2016
        status_is 0 "$WHO: a program that leaves a child" sctl exec "$n" sh -c \
                '(until [ -e "$1/go" ]; do sleep 0.05; done; uname -n >"$1/said"; hostname later; uname -n >>"$1/said") \
                 </dev/null >/dev/null 2>&1 &' sh "$d"
        touch "$d/go"
        mine "$d/go"
        two() { [ "$(wc -l <"$d/said")" = 2 ]; }
        check "$WHO: … whose calls are answered when it is gone" await 20 two
        is "$(paste -sd, "$d/said")" sandbox,later "$WHO: … by the same kernel"
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

for t in ${TESTS_ONLY:-dying groups outlived}; do
        each_user "$t"
done
done_testing
