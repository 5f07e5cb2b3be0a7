#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Storms of forks: of many short lives, and of more than is allowed.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/storm.py" <<'PY'
import os, sys, threading

# Eight threads fork as fast as they can; every child makes emulated calls and a grandchild.
wrong = 0
lock = threading.Lock()

def life(n):
    global wrong
    for i in range(n):
        pid = os.fork()
        if pid == 0:
            ok = os.uname().sysname == "Linux" and len(os.sched_getaffinity(0)) > 0
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(7)
            ok = ok and os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 7
            os._exit(0 if ok else 1)
        status = os.waitpid(pid, 0)[1]
        if status != 0:
            with lock:
                wrong += 1

threads = [threading.Thread(target=life, args=(int(sys.argv[1]),)) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(wrong)
sys.exit(wrong != 0)
PY
cat >"$TESTDIR/bomb.py" <<'PY'
import os, sys

# As many processes at once as there may be; all leave when the pipe closes.
r, w = os.pipe()
n = 0
for i in range(int(sys.argv[1])):
    try:
        pid = os.fork()
    except BlockingIOError:
        break
    if pid == 0:
        os.close(w)
        os.read(r, 1)
        os._exit(os.uname().sysname != "Linux")
    n += 1
print(n, flush=True)
os.close(w)
bad = sum(os.waitpid(-1, 0)[1] != 0 for _ in range(n))
sys.exit(bad != 0)
PY
chmod 644 "$TESTDIR"/*.py

storms() {
        local w=$WHO
        is "$(sctl run --ro-bind "$TESTDIR/storm.py" /usr/bin/python3 "$TESTDIR/storm.py" 100)" 0 \
                "$w: 1600 processes of eight threads at once, and every emulated call is right"
        is "$(sctl run --ro-bind "$TESTDIR/bomb.py" /usr/bin/python3 "$TESTDIR/bomb.py" 500)" 500 \
                "$w: 500 processes at the same time"
        # An init that leaves its children behind takes them along.
        check "$w: an init that ends with 200 children" sctl run /usr/bin/python3 -c '
import os, sys, time
for i in range(200):
    if os.fork() == 0:
        while True: os.uname()
os._exit(0)'
        check "$w: … takes them along" await 10 daemons_gone
        sctl run --name "storm-$w" --ro-bind "$TESTDIR/storm.py" /usr/bin/python3 "$TESTDIR/storm.py" 1000000 \
                >"$TESTDIR/out" 2>&1 &
        local pid=$!
        started "$pid"
        check "$w: a storm without end" await 10 has_children "storm-$w"
        check "$w: … is killed from outside" sctl kill --status=9 "storm-$w"
        reaped "$pid"
        is "$RC" 9 "$w: … and ends with the status that was asked for"
        check "$w: … leaves nothing" await 10 daemons_gone
        is "$(sctl -q --no-legend list 2>&1)" '' "$w: … and an empty list"
}

has_children() { [ "$(sctl --no-legend ps "$1" | wc -l)" -gt 2 ]; }

each_user storms
done_testing
