#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The task table: ps with threads and trees, zombies, ids that are given again, events of births, execs and ends, a
# thousand tasks, a fork bomb, CPU time, top, and that an idle sandbox wakes nobody.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/family.py" <<'PY'
import os, sys, threading

# Two zombies, three threads more, a child with a child; until stdin ends.
if os.fork() == 0: os._exit(7)
if os.fork() == 0: os.kill(os.getpid(), 9)
r, w = os.pipe()
for i in range(3):
    threading.Thread(target=os.read, args=(r, 1), daemon=True).start()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(r, 1)
    while True: pass
print("up", flush=True)
sys.stdin.read()
os._exit(0)
PY
cat >"$TESTDIR/many.py" <<'PY'
import os, sys
r, w = os.pipe()
n = 0
for i in range(int(sys.argv[1])):
    try:
        pid = os.fork()
    except OSError:
        break
    if pid == 0:
        os.close(w)
        os.read(r, 1)
        os._exit(0)
    n += 1
print("up", n, flush=True)
sys.stdin.read()
os._exit(0)
PY
cat >"$TESTDIR/lines.py" <<'PY'
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
# Lines on stdin say what to do; one line on stdout says that it was done.
for line in sys.stdin:
    what, *args = line.split()
    if what == "run":
        subprocess.run(args)
        print("ok", flush=True)
    elif what == "start":  # makes the call that tells of a start again, in the running program
        value = ctypes.c_long()
        for i in range(int(args[0])):
            if os.uname().machine == "x86_64":  # arch_prctl: ARCH_GET_FS, ARCH_SET_FS
                assert libc.syscall(ctypes.c_long(158), 0x1003, ctypes.byref(value)) == 0
                assert libc.syscall(ctypes.c_long(158), 0x1002, value) == 0
            else:
                libc.syscall(ctypes.c_long(96), ctypes.byref(value))  # set_tid_address
        print("ok", flush=True)
    elif what == "fork":
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(w)
            os.read(r, 1)
            os._exit(0)
        os.close(r)
        print(pid, flush=True)
    elif what == "end":  # the last one
        os.close(w)
        os.waitpid(pid, 0)
        print("ok", flush=True)
    elif what == "until":
        want = int(args[0])
        for i in range(100000):
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(w)
                os.read(r, 1)
                os._exit(0)
            os.close(r)
            if pid == want:
                break
            os.close(w)
            os.waitpid(pid, 0)
        print(pid, flush=True)
PY
chmod 644 "$TESTDIR"/*.py

begin() { # NAME COMMAND…: a sandbox whose program says "up" and lives until its stdin ends
        local name=$1
        shift
        rm -f "$TESTDIR/in"
        mkfifo "$TESTDIR/in"
        mine "$TESTDIR/in"
        : >"$TESTDIR/out"
        sctl run --name "$name" --ro-bind "$TESTDIR/family.py" --ro-bind "$TESTDIR/many.py" \
                --ro-bind "$TESTDIR/lines.py" "$@" <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
        RUN=$!
        started "$RUN"
        exec 9>"$TESTDIR/in"
}
end() {
        exec 9>&-
        reaped "$RUN" 60
        await 10 daemons_gone
}
up() { grep -q up "$TESTDIR/out"; }
ps_json() { sctl --json=short ps "$@"; }
kernel_of() { # NAME: the sentry-kernel of a sandbox
        local pid
        for pid in $(daemons_of "$(runtime)" sentry-kernel); do
                tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "--name $1 " && echo "$pid"
        done
}

family() {
        local n=family-$WHO w=$WHO
        T=120 begin "$n" /usr/bin/python3 "$TESTDIR/family.py"
        check "$w: a family" await 20 up || diag "$(cat "$TESTDIR/err")"
        zombies() { [ "$(ps_json "$n" | json 'sum(t["state"] == "Z" for t in d)')" = 2 ]; }
        check "$w: two zombies show in ps" await 10 zombies
        is "$(ps_json "$n" | json 'sorted(t["wait_status"] for t in d if t["state"] == "Z")')" '[9, 1792]' \
                "$w: … with the status they ended with"
        like "$(sctl ps "$n")" SIGKILL "$w: … in the table, too"
        is "$(ps_json "$n" | json 'len(d)')" 5 "$w: five processes"
        is "$(ps_json "$n" | json '[t["threads"] for t in d if t["pid"] == 1]')" '[4]' "$w: … one of four threads"
        is "$(ps_json "$n" --threads | json '[len([t for t in d if t["pid"] == 1]), len(d), len(set(t["tid"] for t in d))]')" \
                '[4, 8, 8]' "$w: --threads has a line for each"
        is "$(sctl --no-legend ps "$n" --threads | wc -l)" 8 "$w: … in the table, too"
        is "$(sctl ps "$n" --tree | grep -c -- '-python3')" 4 "$w: --tree shows who is whose child" ||
                diag "$(sctl ps "$n" --tree)"
        is "$(ps_json "$n" | json '[t["uid"] for t in d if t["pid"] == 1]')" \
                "[$(sctl run id -u)]" "$w: the user is the one that the program sees"
        is "$(ps_json "$n" | json '[t["details"]["NoNewPrivs"] for t in d if t["pid"] == 1]')" '[true]' "$w: … and JSON has more"
        like "$(ps_json "$n" | json '[t["exe"] for t in d if t["pid"] == 1]')" /python3 "$w: … with the executable"
        burnt() { [ "$(ps_json "$n" | json 'max(t["cpu_usec"] for t in d) > 300000')" = True ]; }
        check "$w: CPU time counts" await 20 burnt
        local a b
        a=$(sctl --json=short status "$n" | json 'd["SandboxCPUTimeUSec"]')
        b=$(ps_json "$n" | json 'sum(t["cpu_usec"] for t in d)')
        check "$w: … that of the sandbox is the sum ($a, $b)" test "$a" -ge 300000 -a "$a" -le "$((b + 100000))"

        is "$(sctl --json=short top "$n" -n 2 -d 0.3 | wc -l)" 2 "$w: top -n 2 takes two samples"
        is "$(sctl --json=short top "$n" -n 2 -d 0.5 | tail -n 1 |
                json '[d["sandboxes"][0]["tasks"], d["tasks"][0]["cpu"] > 1, d["tasks"][0]["cpu"] < 120]')" \
                '[5, true, true]' "$w: … and finds the busy one first"
        like "$(sctl top "$n" -b -n 1)" 'CPU.*calls/s' "$w: … as a table, too"
        end
        is "$RC" 0 "$w: the family ends"
}

terminal() {
        command -v script >/dev/null || {
                skip "top on a terminal" "script(1) is missing"
                return
        }
        T=60 begin term /usr/bin/python3 "$TESTDIR/many.py" 30
        check "a sandbox with 31 tasks" await 20 up
        local shown
        shown=$( (sleep 1; printf q; sleep 5) | timeout 20 script -qec "stty rows 10 cols 60; TERM=xterm $SENTRYCTL top term" /dev/null)
        like "$shown" 'term: 31 tasks' "top on a terminal draws"
        is "$(tr -d '\r' <<<"$shown" | sed 's/\x1b\[H.*//' | grep -c python3 | awk '{print ($1 % 7 == 0 && $1 > 0) ? "fits" : $1}')" \
                fits "… as many lines as fit"
        like "$shown" $'\e\\[\\?1049l' "… and q puts the screen back"
        end
}

thousand() {
        local n=many-$WHO w=$WHO best=1000000000 native=1000000000 took start limit=2
        T=120 begin "$n" /usr/bin/python3 "$TESTDIR/many.py" 999
        check "$w: a thousand tasks" await 60 up
        is "$(cat "$TESTDIR/out")" 'up 999' "$w: … were born"
        is "$(sctl --no-legend ps "$n" | wc -l)" 1000 "$w: … and all show"
        for _ in 1 2 3 4 5 6 7 8 9 10; do
                start=${EPOCHREALTIME/./}
                if [ "$w" = user ] && [ "$(id -u)" -eq 0 ]; then
                        as_user "$USER_CTL" ps "$n" >/dev/null
                else
                        "$SENTRYCTL" ps "$n" >/dev/null
                fi
                took=$((${EPOCHREALTIME/./} - start))
                [ "$took" -ge "$best" ] || best=$took
                start=${EPOCHREALTIME/./}
                ps -eo pid,ppid,uid,stat,time,comm,args >/dev/null
                took=$((${EPOCHREALTIME/./} - start))
                [ "$took" -ge "$native" ] || native=$took
        done
        # Sanitizers multiply it.
        ! grep -q __asan_init "$SENTRYD_BUILD/sentry-kernel" || limit=40
        check "$w: ps of them ($best us) takes no more than $limit times the host's ps ($native us)" \
                test "$best" -le $((native * limit))
        end
}

bomb() {
        local w=$WHO n=bomb-$WHO
        # RLIMIT_NPROC binds everybody but the root of the host.
        [ "$w" != root ] || return 0
        T=120 begin "$n" /bin/bash -c "ulimit -u 200; exec /usr/bin/python3 $TESTDIR/many.py 5000"
        check "$w: a fork bomb ends at the limit of processes" await 30 up
        local born
        born=$(awk '{ print $2 }' "$TESTDIR/out")
        check "$w: … it got $born" test "$born" -gt 100 -a "$born" -lt 200
        is "$(ps_json "$n" | json 'len(d)')" "$((born + 1))" "$w: … the table has them all"
        check "$w: … the sandbox still answers" sctl status "$n"
        end
        is "$RC" 0 "$w: … and ends"
}

do_line() { # LINE: RESULT is what the program says
        local lines
        lines=$(wc -l <"$TESTDIR/out")
        answered() { [ "$(wc -l <"$TESTDIR/out")" -gt "$lines" ]; }
        echo "$*" >&9
        await 60 answered
        RESULT=$(tail -n 1 "$TESTDIR/out")
}
seen() { await "${2:-10}" grep -qE "$1" "$TESTDIR/events"; }
count() { grep -cE "$1" "$TESTDIR/events"; }

events() {
        local n=events w=$WHO watch before true_exe pid started
        T=120 begin "$n" /usr/bin/python3 "$TESTDIR/lines.py"
        check "a sandbox to watch" await 20 running "$n"
        : >"$TESTDIR/events"
        T=120 sctl events "$n" >>"$TESTDIR/events" 2>&1 9>&- &
        watch=$!
        started "$watch"
        listening() { do_line run /bin/true; grep -q TaskExec "$TESTDIR/events"; }
        check "events of it" await 20 listening
        true_exe=$(readlink -f /bin/true)
        # Of what ran when the first was told of, exec or end may be missing. A program of its own marks where to count from.
        do_line run /bin/false
        marked() { grep -q 'TaskExit.*status=256' "$TESTDIR/events"; }
        check "… up to a mark" await 10 marked
        : >"$TESTDIR/events"
        sleep_until_quiet() { [ "$(count TaskExec)" = "$(count TaskExit)" ]; }
        before=$(count "TaskExec.*exe=$true_exe")
        for _ in 1 2 3 4 5 6 7 8 9 10; do do_line run /bin/true; done
        enough() { [ "$(count "TaskExec.*exe=$true_exe")" -ge $((before + 10)) ] && sleep_until_quiet; }
        check "ten programs are ten execs" await 10 enough
        is "$(count "TaskExec.*exe=$true_exe")" $((before + 10)) "… and no more than that"
        is "$(count 'TaskNew.*comm=true')" "$(count 'TaskExec.*comm=true')" "… each of a new task"
        is "$(count 'TaskExit.*status=0')" "$(count "TaskExec.*exe=$true_exe")" "… which ended well"
        do_line run /bin/sh -c "exec /bin/true"
        check "an exec without a fork tells of the second program, too" seen 'TaskExec.*exe=.*/(da)?sh$'
        do_line run /bin/false
        check "the status of an end is told" seen 'TaskExit.*status=256'

        before=$(count TaskExec)
        do_line start 1000
        is "$RESULT" ok "a running program makes the call that starts have"
        do_line run /bin/true
        check "… a thousand times" seen 'TaskExec' # what was told meanwhile has come before the next one
        more() { [ "$(count TaskExec)" -gt "$before" ]; }
        await 10 more
        is "$(count TaskExec)" $((before + 1)) "… which is no exec"

        # Ids that are given again. A small range of them is the host's to set, for the namespace.
        do_line fork
        pid=$RESULT
        like "$(ps_json "$n" | json "[t['ppid'] for t in d if t['pid'] == $pid]")" '^\[1\]$' "a forked process shows"
        check "… and is told, once somebody looks" seen "TaskNew pid=$pid "
        do_line end
        check "… its end, too" seen "TaskExit pid=$pid "
        if [ "$(id -u)" -eq 0 ] &&
           nsenter -t "$(ps_json "$n" | json '[t["hostpid"] for t in d if t["pid"] == 1][0]')" -p \
                sh -c 'echo 400 >/proc/sys/kernel/pid_max' 2>/dev/null &&
           [ "$(cat /proc/sys/kernel/pid_max)" -gt 400 ]; then
                pid=330 # those up to 300 are given once
                do_line until $pid
                is "$RESULT" $pid "a process with the number $pid"
                started=$(ps_json "$n" | json "[t['started'] for t in d if t['pid'] == $pid]")
                like "$started" '^\[[0-9]+\]$' "… shows"
                do_line end
                do_line until $pid
                is "$RESULT" "$pid" "its number is given again"
                isnt "$(ps_json "$n" | json "[t['started'] for t in d if t['pid'] == $pid]")" "$started" \
                        "… to another task, which ps tells apart"
                again() { [ "$(count "TaskNew pid=$pid ")" = 2 ] && [ "$(count "TaskExit pid=$pid ")" = 1 ]; }
                check "… and is told as a new one" await 10 again
        else
                skip "a number given again" "this kernel has no pid_max of each PID namespace, or we are not root"
        fi

        # Nothing happens in it: nobody wakes up. What ps and events had left to do is done by now.
        local kernel switches
        kernel=$(kernel_of "$n")
        quiet() {
                local a
                a=$(awk '/^voluntary/ { print $2 }' "/proc/$kernel/status")
                sleep 0.5
                [ "$a" = "$(awk '/^voluntary/ { print $2 }' "/proc/$kernel/status")" ]
        }
        check "an idle sandbox" await 20 quiet
        switches=$(grep ctxt "/proc/$kernel/status")
        sleep 10
        is "$(grep ctxt "/proc/$kernel/status")" "$switches" "… wakes nobody for ten seconds"
        end
        reaped "$watch"
}

each_user family
terminal
each_user thousand
each_user bomb
events
done_testing
