#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryctl timers and clock, what a profile may say of timers, and that nothing is left of those that are gone. As root
# and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME JSON: what the sentry object of a profile of the current user's has besides the default one's
        mkdir -p "$WORK/.config/sentryd/profiles"
        printf '{ "sentry": { "extends": "default", %s } }' "$2" >"$WORK/.config/sentryd/profiles/$1.json"
        mine "$WORK/.config"
}

cat >"$TESTDIR/timers.py" <<'PY'
import ctypes, os, signal, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def spec(value, interval=0):
    return struct.pack("=qqqq", interval, 0, value, 0)

def sane(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r

def create(clock, notify=0, signo=40):
    timer = ctypes.c_void_p()
    sane(libc.timer_create(clock, struct.pack("=qii48x", 0, signo, notify), ctypes.byref(timer)))
    return timer

signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 1000, 7)
armed = create(7)
sane(libc.timer_settime(armed, 0, spec(2000, 3), None))
none = create(1, 1)
cpu = create(2)
gone = create(0)
sane(libc.timer_delete(gone))
fd = sane(libc.timerfd_create(1, 0))
sane(libc.timerfd_settime(fd, 0, spec(3000, 5), None))
dead = sane(libc.timerfd_create(1, 0))
sane(libc.timerfd_settime(dead, 0, spec(4000), None))
os.close(dead)
if os.fork() == 0:
    sane(libc.timer_settime(create(1), 0, spec(5000), None))
    os.close(fd)
    signal.pause()
open(sys.argv[1] + "/ready", "w").close()
signal.pause()
PY

kinds() { # the timers of a sandbox, sorted, without what changes
        sctl --json=short timers "$1" | json '"\n".join(sorted("%d %s %s %d %d %s" % (t["pid"], t["kind"], t["clock"],
                t["armed"], t["interval"] // 10**9, t["notify"]) for t in d))'
}

listing() {
        local n=listing-$WHO d=$WORK/listing
        mkdir -p "$d"
        mine "$d"
        sctl run --name "$n" --bind "$d" --ro-bind "$TESTDIR/timers.py" /usr/bin/python3 "$TESTDIR/timers.py" "$d" \
                </dev/null >"$d.log" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a program with timers" await 20 test -e "$d/ready" || diag "$(cat "$d.log")"
        is "$(kinds "$n")" "1 host process-cputime 0 0 signal 40
1 itimer realtime 1 7 SIGALRM
1 posix boottime 1 3 signal 40
1 posix monotonic 0 0 none
1 timerfd monotonic 1 5 read
2 posix monotonic 1 0 signal 40" "$WHO: all of them are listed, and none that is gone"
        contains "$(sctl timers "$n")" '33min' "$WHO: … with the time that is left"
        is "$(sctl --json=short timers "$n" | json 'all(t["left"] > 990 * 10**9 for t in d if t["armed"])')" True \
                "$WHO: … in ns"
        contains "$(sctl clock "$n")" 'emulated, 3 armed' "$WHO: clock tells how many are armed"
        is "$(sctl --json=short clock "$n" | json '(0 < d["Monotonic"] < 100 * 10**9 and
                abs(d["Boottime"] - d["Monotonic"]) < 10**9 and not d["TimersPaused"])')" True \
                "$WHO: the clocks began with the sandbox"
        is "$(sctl exec "$n" /usr/bin/python3 -c 'import time; print(int(time.monotonic() < 100))')" 1 \
                "$WHO: … as they read inside"
        check "$WHO: a process with a timer ends" sctl signal "$n" KILL --whom=task --id=2
        without() { [[ $(kinds "$n") != *'2 posix'* ]]; }
        check "$WHO: … and its timer with it" await 20 without
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

empty() {
        local n=empty-$WHO
        sctl run --name "$n" sleep 1000 </dev/null >/dev/null 2>&1 &
        RUN=$!
        started "$RUN"
        running() { [ "$(sctl --json=short list | json '[s["state"] for s in d if s["name"] == "'"$n"'"]')" = "['running']" ]; }
        await 20 running
        is "$(sctl timers "$n" 2>&1)" 'There are no timers.' "$WHO: no timers"
        is "$(sctl --json=short timers "$n")" '[]' "$WHO: … in JSON"
        status_is 1 "$WHO: a sandbox that is not there" sctl timers nobody
        status_is 2 "$WHO: two names" sctl timers a b
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

# Turned off by a profile: the host's timers, which the sentry does not hear of.
native() {
        local n=native-$WHO p=native
        profile native '"timers": "native"'
        is "$(sctl run --profile "$p" /usr/bin/python3 -c '
import signal
signal.signal(signal.SIGALRM, lambda *_: print("rang"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()' 2>&1)" rang "$WHO: \"timers\": \"native\": they work"
        sctl run --name "$n" --profile "$p" /usr/bin/python3 -c '
import signal
signal.alarm(1000)
print("set", flush=True)
signal.pause()' >"$WORK/native.out" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: … in another" await 20 grep -q set "$WORK/native.out"
        is "$(sctl --json=short timers "$n")" '[]' "$WHO: … and are the host's alone"
        contains "$(sctl clock "$n")" 'native, 0 armed' "$WHO: … as clock says"
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
        printf '{ "sentry": { "timers": "none" } }' >"$WORK/none.json"
        contains "$(sctl profile check "$WORK/none.json" 2>&1)" 'expected "emulated" or "native"' "$WHO: another word is none"
}

# A profile by which a pause stops timers, too.
pausing() {
        local n=pausing-$WHO d=$WORK/pausing
        mkdir -p "$d"
        profile pausing '"pauseTimers": true'
        mine "$d"
        sctl run --name "$n" --profile pausing --bind "$d" /usr/bin/python3 -c '
import ctypes, signal, struct, sys, time
libc = ctypes.CDLL(None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, 40})
timer = ctypes.c_void_p()
libc.timer_create(1, struct.pack("=qii48x", 0, 40, 0), ctypes.byref(timer))
begin = time.monotonic()
libc.timer_settime(timer, 0, struct.pack("=qqqq", 0, 50 * 10**6, 0, 50 * 10**6), None)
open(sys.argv[1] + "/set", "w").close()
while libc.timer_getoverrun(timer) < 15:
    signal.sigwaitinfo({40})
print("missed", flush=True)
signal.pause()' "$d" </dev/null >"$d.log" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a profile with pauseTimers, and a timer of 50 ms" await 20 test -e "$d/set" || diag "$(cat "$d.log")"
        check "$WHO: … a pause" sctl pause "$n"
        contains "$(sctl clock "$n")" 'paused' "$WHO: … stops its timers"
        later=$((${EPOCHREALTIME/./} + 1000000))
        past() { [ "${EPOCHREALTIME/./}" -gt "$later" ]; }
        await 20 past
        check "$WHO: … resume" sctl resume "$n"
        check "$WHO: … those that fell due count as one overrun" await 20 grep -q missed "$d.log"
        unlike "$(sctl clock "$n")" 'paused' "$WHO: … and timers run again"
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

# Who sets the clock of the machine is told of, by name.
refused() {
        local n=refused-$WHO log
        sctl run --name "$n" /usr/bin/python3 -c '
import ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
timex = (ctypes.c_int * 52)(2)
print(libc.settimeofday((ctypes.c_long * 2)(1, 1), None), ctypes.get_errno(),
      libc.adjtimex(timex), ctypes.get_errno(), "told", flush=True)
signal.pause()' </dev/null >"$WORK/refused.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 20 grep -q told "$WORK/refused.out"
        is "$(cat "$WORK/refused.out")" '-1 1 -1 1 told' "$WHO: setting the clock is EPERM"
        log=$(sctl dmesg "$n")
        like "$log" 'settimeofday|clock_settime' "$WHO: … and told of"
        like "$log" 'adjtimex|clock_adjtime' "$WHO: … by whatever call"
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

# A line of /proc/PID/status has them all, before it comes to signals.
grouped() {
        local groups
        [ "$WHO" = root ] || return # who may have as many as he likes
        groups=$(seq -s, 4000000000 4000001000)
        is "$(setpriv --groups "$groups" timeout -k 5 60 env XDG_RUNTIME_DIR="$TESTDIR/run" "$SENTRYCTL" run timeout 0.2 sleep 1000
                echo $?)" 124 "$WHO: timers of a process with a thousand groups"
}

# TFD_TIMER_CANCEL_ON_SET, with a clock that is set ahead by a nanosecond and back again.
nudge() {
        /usr/bin/python3 -c '
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
ADJ_SETOFFSET, ADJ_NANO = 0x0100, 0x2000
for sec, nsec in ((0, 1), (-1, 999999999)):
    timex = ctypes.create_string_buffer(208)
    struct.pack_into("=I", timex, 0, ADJ_SETOFFSET | ADJ_NANO)
    struct.pack_into("=qq", timex, 72, sec, nsec)
    if libc.clock_adjtime(0, timex) < 0:
        sys.exit(ctypes.get_errno())'
}

cancelled() {
        local n=cancelled-$WHO d=$WORK/cancelled
        mkdir -p "$d"
        mine "$d"
        sctl run --name "$n" --bind "$d" /usr/bin/python3 -c '
import ctypes, os, struct, sys, time
libc = ctypes.CDLL(None)
fd = libc.timerfd_create(0, 0)
if libc.timerfd_settime(fd, 3, struct.pack("=qqqq", 0, 0, int(time.time()) + 1000, 0), None) < 0:
    sys.exit("timerfd_settime")
open(sys.argv[1] + "/set", "w").close()
try:
    os.read(fd, 8)
except OSError as e:
    sys.exit(e.errno == 125 and 9)' "$d" </dev/null >"$d.log" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a timerfd that is to be cancelled when the clock is set" await 20 test -e "$d/set" ||
                diag "$(cat "$d.log")"
        if nudge; then
                reaped "$RUN"
                is "$RC" 9 "$WHO: … is: ECANCELED" || diag "$(cat "$d.log")"
        else
                skip "$WHO: … is: ECANCELED" "the clock of this machine may not be set, by 1 ns, by these tests"
                sctl kill "$n" >/dev/null 2>&1
                reaped "$RUN"
        fi
}

for t in ${TESTS_ONLY:-listing empty native pausing refused grouped cancelled}; do
        each_user "$t"
done
done_testing
