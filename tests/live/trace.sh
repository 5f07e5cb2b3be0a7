#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryctl trace: attached to a running sandbox and detached again, several at once, slow readers; and the histograms
# of syscalls --stats.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/guest.py" <<'PY'
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def uname(n):
    buffer = ctypes.create_string_buffer(400)
    for i in range(int(n)):
        libc.uname(buffer)

def mount(source, target):
    libc.mount(eval(source), target.encode(), b"tmpfs", 0, None)

def unknown():
    libc.syscall(ctypes.c_long(9998), 1, 2)

def wait_for_log():  # reads what there is, then waits for more
    def read():
        buffer = ctypes.create_string_buffer(65536)
        libc.klogctl(2, buffer, 65536)
        libc.klogctl(2, buffer, 65536)
    threading.Thread(target=read).start()

for line in sys.stdin:
    function, *arguments = line.split()
    globals()[function](*arguments)
    print("done", flush=True)
os._exit(0)
PY
chmod 644 "$TESTDIR/guest.py"
mkfifo "$TESTDIR/in"
"$SENTRYCTL" run --name traced --ro-bind "$TESTDIR/guest.py" /usr/bin/python3 "$TESTDIR/guest.py" \
        <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
run=$!
started "$run"
exec 9>"$TESTDIR/in"
check "a sandbox runs" await 10 running traced || diag "$(cat "$TESTDIR/err")"

more() { [ "$(wc -l <"$TESTDIR/out")" -gt "$1" ]; }
guest() { # FUNCTION ARGUMENT…: the guest has done it
        local n
        n=$(wc -l <"$TESTDIR/out")
        echo "$*" >&9
        await 60 more "$n" || diag "the guest does not answer: $*"
}
attach() { # FILE OPTION…: traces into FILE, as process $TRACER
        local file=$TESTDIR/$1
        shift
        "$SENTRYCTL" trace traced "$@" >"$file" 2>"$file.err" 9>&- &
        TRACER=$!
        started "$TRACER"
        await 10 grep -q Tracing "$file.err" || diag "$(cat "$file.err")"
}
seen() { await 10 grep -qE -- "$2" "$TESTDIR/$1"; }
readers() { [ "$(sctl show traced -p TraceReaders --value)" = "$1" ]; }

guest uname 10
attach text
text=$TRACER
attach json --json=short
json=$TRACER
attach refused -e %refused,%unknown,mount -t
attach others -e '!uname'
check "four at once" readers 4

guest uname 1
check "an emulated call" seen text '^\[[0-9]+ python3\] uname\(\{sysname="Linux", .*\}\) = 0 <0\.[0-9]{6}>$'
is "$(grep -c 'uname(' "$TESTDIR/text")" 1 "… and none from before the trace"
tids() { sctl --json=short ps --threads "$1" | json '[t["tid"] for t in d]'; }
like "$(tids traced)" "[[ ]$(grep -m 1 'uname(' "$TESTDIR/text" | grep -oE '^\[[0-9]+' | tr -d '[')[],]" \
        "the number of the thread is the one in ps"
guest mount 'b"source\33[31m"' /no/such
check "a refused call, its strings, its error" \
        seen text 'python3\] mount\("source\\033\[31m", "/no/such", "tmpfs", 0, NULL\) = -1 EPERM'
check "with the time of day" seen refused '^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6} \[[0-9]+ python3\] mount\('
check "all but uname" seen others 'mount\('
guest mount None /x
check "NULL" seen text 'mount\(NULL, "/x"'
guest unknown
check "a call that has no row" seen text '#9998\(0x1, 0x2(, 0x[0-9a-f]+|, 0){4}\) = -1 ENOSYS'
check "… by its class" seen refused '#9998'
is "$(grep -c uname "$TESTDIR/refused" "$TESTDIR/others" | cut -d : -f 2 | sort -u)" 0 "who asked for others gets no uname"
check "JSON: the same calls" seen json '9998'
is "$(grep '"mount"' "$TESTDIR/json" | head -n 1 |
        json '[d["pid"] > 0, d["hostpid"] > d["pid"], d["comm"], d["class"], d["args"], d["result"], d["errno"],
               d["nsec"] > 0, d["time"] > 10**15]')" \
        '[true, true, "python3", "emulated", ["\"source\\033[31m\"", "\"/no/such\"", "\"tmpfs\"", "0", "NULL"], -1, "EPERM", true, true]' \
        "JSON has everything"
bad=0
while read -r line; do json 'd["syscall"]' <<<"$line" >/dev/null 2>&1 || bad=$((bad + 1)); done <"$TESTDIR/json"
is $bad 0 "every line is JSON by itself"

# A call that waits: told when it is answered, with the time it waited
guest wait_for_log
guest uname 1
attach late -e syslog
"$SENTRYCTL" exec traced /usr/bin/python3 -c 'import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long(9997))' \
        >/dev/null 2>"$TESTDIR/exec.err" </dev/null # something new in the log
check "a call that waited is told at its end" seen late 'syslog\(2, "<' || diag "$(cat "$TESTDIR/exec.err")"

# One container
check_fails "'../x' is no container" timeout 10 "$SENTRYCTL" trace traced -c ../x
attach worker -c worker
worker=$TRACER
attach none --container=
none=$TRACER
for c in worker other; do
        # The call comes from a shell that this one forks: it is in the container, and exec'ed nothing itself
        "$SENTRYCTL" exec traced -c $c /usr/bin/python3 -c 'import os, socket
if os.fork() == 0:
    socket.sethostname("'$c'")
    os._exit(0)
os.wait()' </dev/null >/dev/null 2>"$TESTDIR/exec.err" 9>&-
done
guest mount None /in-none
check "the calls of a container" seen worker '\[[0-9]+ python3\] sethostname\("worker"' || diag "$(cat "$TESTDIR/exec.err")"
check "… and those of no container" seen none in-none
is "$(grep -c 'sethostname("other\|in-none' "$TESTDIR/worker")" 0 "… are traced without those of others"
is "$(grep -c sethostname "$TESTDIR/none")" 0 "… neither way"
check "… who shows in a trace of all" seen text 'sethostname\("other"'
kill "$worker" "$none"
reaped "$worker"
reaped "$none"
check "two go" await 10 readers 5

# Detaching
kill "$text"
reaped "$text"
check "a reader that goes is forgotten" await 10 readers 4
guest mount None /later
check "… and the others go on" seen others '/later'
check_fails "… but not the one that went" grep -q /later "$TESTDIR/text"

# A reader that does not read makes nobody wait
attach slow --json=short -e uname
kill -STOP "$TRACER"
guest uname 20000
ok "a sandbox does not wait for a reader"
kill -CONT "$TRACER"
complete() {
        [ "$(/usr/bin/python3 -c 'import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
print(sum(d.get("dropped", 1) for d in lines))' "$TESTDIR/slow")" = 20000 ]
}
check "… who learns how many calls he has missed" await 20 complete
check "… which are some" grep -q dropped "$TESTDIR/slow"
check "status counts them" test "$(sctl show traced -p TraceDropped --value)" -gt 0
kill "$TRACER" "$json"
check "two less" await 10 readers 3

# Limits and mistakes
for ((i = 3; i < 16; i++)); do attach many$i -e none; done
check_fails "no more than sixteen" timeout 10 "$SENTRYCTL" trace traced
status_is 2 "an unknown call is a mistake" sctl trace traced -e unam
contains "$(sctl trace traced -e uname,unamee 2>&1)" "did you mean 'uname'" "… with a suggestion"
contains "$(sctl trace traced -e %emulate 2>&1)" %emulated "… and so is an unknown class"
check_fails "so is a sandbox that is not there" sctl trace no-such-sandbox

# Histograms
like "$(sctl syscalls --sandbox=traced --stats uname)" $'^uname: [0-9]+ calls, .*mean .*longest .*\n.*###' "a histogram"
is "$(sctl --json=short syscalls --sandbox=traced --stats |
        json '[sum(r["histogram"]) == r["calls"] and r["max_nsec"] * r["calls"] >= r["nsec"] for r in d].count(False)')" \
        0 "histograms count every call"

exec 9>&-
reaped "$run"
is "$RC" 0 "the program ends"
reaped "$TRACER"
is "$RC" 0 "a trace ends with the sandbox"
done_testing
