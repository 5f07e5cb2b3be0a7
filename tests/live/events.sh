#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The events of a sandbox: what it is refused, what nobody implements, and that a storm of them is limited.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/calls.py" <<'PY'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)

# Lines on stdin say what to call: NUMBER [TIMES]; after each one line on stdout says the last errno.
for line in sys.stdin:
    number, times = (line.split() + ["1"])[:2]
    for i in range(int(times)):
        libc.syscall(ctypes.c_long(int(number)), 0, 0, 0, 0, 0, 0)
    print(ctypes.get_errno(), flush=True)
PY
chmod 644 "$TESTDIR/calls.py"
IO_URING_SETUP=425
BPF=$(printf '#include <sys/syscall.h>\nSYS_bpf\n' | gcc -E -x c - 2>/dev/null | tail -n 1)
[ -n "$BPF" ] || bail "gcc is needed for this test"

mkfifo "$TESTDIR/in"
"$SENTRYCTL" run --name eventful --ro-bind "$TESTDIR/calls.py" /usr/bin/python3 "$TESTDIR/calls.py" \
        <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
run=$!
started "$run"
exec 9>"$TESTDIR/in"
check "a sandbox runs" await 10 running eventful || diag "$(cat "$TESTDIR/err")"
"$SENTRYCTL" --json=short events eventful >"$TESTDIR/events" 2>"$TESTDIR/events.err" 9>&- &
watch=$!
started "$watch"

more() { [ "$(wc -l <"$TESTDIR/out")" -gt "$1" ]; }
call() { # NUMBER [TIMES]: prints the errno
        local n
        n=$(wc -l <"$TESTDIR/out")
        echo "$*" >&9
        if await 60 more "$n"; then tail -n 1 "$TESTDIR/out"; else echo "no answer"; fi
}
seen() { await "${2:-10}" grep -q "$1" "$TESTDIR/events"; }

# `events` has no way to say that it listens: call until the first event comes, which proves it.
listening() {
        call 9998 >/dev/null
        grep -q UnimplementedSyscall "$TESTDIR/events"
}
check "an unknown system call is an UnimplementedSyscall event" await 15 listening ||
        diag "$(cat "$TESTDIR/events" "$TESTDIR/events.err")"
check "… with its number" seen 9998
is "$(call $IO_URING_SETUP)" 1 "io_uring_setup is EPERM"
check "… and a Refused event" seen 'Refused.*io_uring_setup'
check "… with the name of the error" seen 'io_uring_setup.*EPERM'
check "… and of the program" seen 'io_uring_setup.*python3'
call "$BPF" >/dev/null
check "bpf too" seen 'Refused.*"bpf"'
is "$(call 39)" "$(tail -n 1 "$TESTDIR/out")" "a native call is none of anybody's business"
check_fails "… and no event" grep -q getpid "$TESTDIR/events"
bad=0
while read -r line; do
        json 'len(d)' <<<"$line" >/dev/null 2>&1 || bad=$((bad + 1))
done <"$TESTDIR/events"
is $bad 0 "every line of the events is JSON by itself" || diag "$(head -n 3 "$TESTDIR/events")"

# A storm: 50,000 calls that nobody implements
is "$(call 9997 50000)" 38 "50,000 unknown calls are all ENOSYS"
check "… EventsDropped tells that not all are told" seen EventsDropped 15
n=$(grep -c UnimplementedSyscall "$TESTDIR/events")
check "… a burst of them is: $n" test "$n" -ge 500 -a "$n" -le 10000
is "$(sctl dmesg eventful | grep -c 9997)" 1 "the log names it once"
is "$(call $IO_URING_SETUP)" 1 "the sandbox goes on"
like "$(sctl status eventful 2>&1; sctl --json=short status eventful 2>&1)" '[Dd]ropped' \
        "status tells how many were dropped"

exec 9>&-
reaped "$run"
is "$RC" 0 "the program ends"
reaped "$watch"
is "$RC" 0 "events ends with the sandbox"
check "… after telling so" grep -qE 'Exited|SandboxRemoved' "$TESTDIR/events"
check_fails "events of a sandbox that is not there fails" sctl events no-such-sandbox
done_testing
