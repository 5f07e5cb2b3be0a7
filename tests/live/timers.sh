#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Timers as real programs use them: sleep, timeout, bash, perl, python3, and what a pause does to them. Nothing may be
# early; late is what has not come in many seconds. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

now() { echo "${EPOCHREALTIME/./}"; } # in us, of the clock that host and sandbox share

took() { # MICROSECONDS COMMAND…: not less than that, and its status is RC
        local least=$1 begin
        shift
        begin=$(now)
        "$@" >"$TESTDIR/took.out" 2>&1
        RC=$?
        TOOK=$(($(now) - begin))
        [ "$TOOK" -ge "$least" ]
}

coreutils() {
        check "$WHO: sleep 0.2 does not end early" took 200000 sctl run sleep 0.2
        check "$WHO: … nor do two in turn" took 300000 sctl run sh -c 'sleep 0.2; sleep 0.1'
        took 1000000 sctl run timeout 1 sleep 1000
        is "$RC" 124 "$WHO: timeout ends what takes too long" || diag "$(cat "$TESTDIR/took.out")"
        check "$WHO: … not early: $TOOK us" test "$TOOK" -ge 1000000
        status_is 0 "$WHO: … and nothing else" sctl run timeout 20 sleep 0.1
        status_is 7 "$WHO: … whose status is its own" sctl run timeout 20 sh -c 'exit 7'
        status_is 137 "$WHO: … by SIGKILL" sctl run timeout -s KILL 0.2 sleep 1000
        # shellcheck disable=SC2016
        status_is 137 "$WHO: … that does not heed the first signal" sctl run timeout -k 0.2 0.2 sh -c \
                'trap "" TERM; while :; do sleep 0.1; done'
        status_is 124 "$WHO: … in another of another" sctl run timeout 20 timeout 0.2 sleep 1000
        # shellcheck disable=SC2016
        is "$(sctl run sh -c 'for i in 3 1 2; do { sleep 0.$((i * 3)); echo $i; } & done; wait' | paste -sd' ')" '1 2 3' \
                "$WHO: three sleeps end in their order"
}

# In a process that joins the sandbox rather than being born there.
joined() {
        local n=joined-$WHO
        sctl run --name "$n" sleep 1000 </dev/null >"$TESTDIR/$n.out" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a sandbox to join" await 20 running "$n"
        status_is 124 "$WHO: timeout ends what takes too long" sctl exec "$n" timeout 0.2 sleep 1000
        # shellcheck disable=SC2016
        is "$(sctl exec "$n" perl -e '$SIG{ALRM} = sub { print "woken\n"; exit }; alarm 1; select undef, undef, undef, 20')" \
                woken "$WHO: … an alarm wakes"
        status_is 142 "$WHO: … or ends what does not heed it" sctl exec "$n" perl -e 'alarm 1; select undef, undef, undef, 20'
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
}

# The first process of a PID namespace dies of no signal that it does not handle, wherever that comes from.
first() {
        # shellcheck disable=SC2016
        is "$(sctl run perl -e 'alarm 1; my $end = time + 2; select undef, undef, undef, 1 while time < $end; print "$$ lives\n"')" \
                '1 lives' "$WHO: an alarm does not end the first process"
        status_is 142 "$WHO: … but another" sctl run --init perl -e 'alarm 1; select undef, undef, undef, 20'
}

switches() { cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt_switches:/ { n += $2 } END { print n }'; }

# Nobody wakes up for what is far away, nor for timers that are gone.
quiet() {
        local n=quiet-$WHO kernel before
        await 20 daemons_gone
        # shellcheck disable=SC2016
        sctl run --name "$n" --bind "$WORK" perl -e '
                use Time::HiRes qw(ualarm); my $n = 0; $SIG{ALRM} = sub { $n++ };
                ualarm 5000, 5000; select undef, undef, undef, 1 while $n < 5; ualarm 0;
                alarm 1000; open my $f, ">", "$ARGV[0]/armed" or die; close $f; select undef, undef, undef, 1000 while 1;' \
                "$WORK" </dev/null >"$TESTDIR/$n.out" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a program with an alarm in 1000 s" await 20 test -e "$WORK/armed" || diag "$(cat "$TESTDIR/$n.out")"
        kernel=$(daemons_of "$(runtime)" sentry-kernel)
        like "$kernel" '^[0-9]+$' "$WHO: … has a sentry-kernel"
        still() { before=$(switches "$kernel") && sleep 1 && [ "$(switches "$kernel")" = "$before" ]; }
        check "$WHO: … which sleeps" await 20 still
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
        rm -f "$WORK/armed"
}

shells() {
        # shellcheck disable=SC2016
        is "$(sctl run bash -c '
                read -t 0.2 line < <(exec sleep 1000); echo "$? ${line:-nothing}"
                read -t 20 line < <(echo early); echo "$? $line"' | paste -sd,)" '142 nothing,0 early' \
                "$WHO: bash: read -t gives up, or does not"
        # shellcheck disable=SC2016
        is "$(sctl run bash -c 'trap "echo woken; exit 5" ALRM; (sleep 0.2; kill -ALRM $$) & while :; do sleep 0.05; done'
                echo $?)" $'woken\n5' "$WHO: bash: a trap of SIGALRM"
}

# What watch(1) does, for as long as somebody looks.
loop() {
        local n=loop-$WHO d=$WORK/loop
        mkdir -p "$d"
        mine "$d"
        sctl run --name "$n" --bind "$d" sh -c "while :; do date +%s%N >>'$d/out'; sleep 0.05; done" </dev/null >"$d.log" 2>&1 &
        RUN=$!
        started "$RUN"
        lines() { [ -e "$d/out" ] && [ "$(wc -l <"$d/out")" -ge "$1" ]; }
        check "$WHO: a program that does something every 50 ms" await 20 lines 10
        check "$WHO: … and on" await 20 lines 20
        sctl kill "$n" >/dev/null 2>&1
        reaped "$RUN"
        is "$(awk 'NR > 1 && $1 - last < 50000000 { early++ } { last = $1 } END { print early + 0 }' "$d/out")" 0 \
                "$WHO: … never earlier"
}

perl_script() {
        # shellcheck disable=SC2016
        is "$(sctl run perl -e '
                use strict; use warnings; use Time::HiRes qw(ualarm setitimer getitimer ITIMER_REAL ITIMER_VIRTUAL time);
                my @said;
                my $n = 0;
                local $SIG{ALRM} = sub { $n++ };
                my $begin = time;
                ualarm 20_000, 10_000;
                select undef, undef, undef, 5 while $n < 5;
                ualarm 0;
                push @said, "ualarm" if time - $begin >= 0.06 - 0.002;
                $n = 0; $begin = time;
                setitimer ITIMER_REAL, 0.05, 0.02;
                my ($left, $interval) = getitimer ITIMER_REAL;
                push @said, "getitimer" if $left <= 0.05 && abs($interval - 0.02) < 1e-6;
                select undef, undef, undef, 5 while $n < 3;
                setitimer ITIMER_REAL, 0;
                push @said, "setitimer" if time - $begin >= 0.09 - 0.002;
                alarm 100;
                my $was = alarm 0;
                push @said, "left" if $was > 50 && $was <= 100;
                $begin = time;
                $SIG{ALRM} = sub { die "alarm\n" };
                eval { alarm 1; select undef, undef, undef, 20; };
                push @said, "alarm" if $@ eq "alarm\n" && time - $begin >= 1 - 0.002;
                local $SIG{VTALRM} = sub { die "virtual\n" };
                eval { setitimer ITIMER_VIRTUAL, 0.05; my $end = time + 20; 1 while time < $end; };
                push @said, "virtual" if $@ eq "virtual\n";
                my $pid = fork() // die;
                if (!$pid) { $SIG{ALRM} = "DEFAULT"; alarm 1; select undef, undef, undef, 20; exit 1 }
                waitpid $pid, 0;
                push @said, "killed" if ($? & 127) == 14;
                alarm 1;
                exec "/usr/bin/perl", "-e", q($SIG{ALRM} = sub { print "@ARGV exec\n"; exit }; select undef, undef, undef, 20), @said;
                ' 2>&1)" 'ualarm getitimer setitimer left alarm virtual killed exec' "$WHO: perl's alarms"
}

python() {
        local d=$WORK/python
        mkdir -p "$d"
        cat >"$d/timers.py" <<'PY'
import asyncio, json, sched, select, signal, subprocess, threading, time

out = {}

# signal.setitimer and a handler
rings = []
signal.signal(signal.SIGALRM, lambda *_: rings.append(time.monotonic()))
begin = time.monotonic()
old = signal.setitimer(signal.ITIMER_REAL, 0.05, 0.02)
left = signal.getitimer(signal.ITIMER_REAL)
while len(rings) < 4 and time.monotonic() < begin + 20:
    signal.pause()
old2 = signal.setitimer(signal.ITIMER_REAL, 0)
out["setitimer"] = old == (0.0, 0.0) and left[0] <= 0.051 and left[1] == 0.02 and old2[1] == 0.02
out["rings"] = all(t - begin >= 0.05 + i * 0.02 for i, t in enumerate(rings[:4]))
out["alarm"] = signal.alarm(50) == 0 and 40 <= signal.alarm(0) <= 50
try:
    signal.setitimer(signal.ITIMER_REAL, -1)
    out["negative"] = False
except signal.ItimerError:
    out["negative"] = True

# A call that an alarm ends by an exception
class TimedOut(Exception):
    pass
def give_up(*_):
    raise TimedOut
signal.signal(signal.SIGALRM, give_up)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    time.sleep(20)
    out["exception"] = False
except TimedOut:
    out["exception"] = True
signal.signal(signal.SIGALRM, signal.SIG_DFL)

# asyncio
async def main():
    loop = asyncio.get_running_loop()
    order = []
    for delay in (0.15, 0.05, 0.1):
        loop.call_later(delay, order.append, delay)
    begin = loop.time()
    await asyncio.sleep(0.2)
    slept = loop.time() - begin
    try:
        await asyncio.wait_for(asyncio.sleep(100), 0.1)
        timed_out = False
    except asyncio.TimeoutError:
        timed_out = True
    cancelled = loop.call_later(0.05, order.append, "cancelled")
    cancelled.cancel()
    sleepers = await asyncio.gather(*(asyncio.sleep(0.001 * i, i) for i in range(200)))
    signalled = asyncio.Event()
    loop.add_signal_handler(signal.SIGALRM, signalled.set)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    await asyncio.wait_for(signalled.wait(), 20)
    return order == [0.05, 0.1, 0.15] and slept >= 0.199 and timed_out and sleepers == list(range(200))
out["asyncio"] = asyncio.run(main())

# sched
order = []
s = sched.scheduler(time.monotonic, time.sleep)
begin = time.monotonic()
for delay in (0.09, 0.03, 0.06):
    s.enter(delay, 1, order.append, (delay,))
s.run()
out["sched"] = order == [0.03, 0.06, 0.09] and time.monotonic() - begin >= 0.09

# threading
fired = threading.Event()
begin = time.monotonic()
threading.Timer(0.1, fired.set).start()
out["Timer"] = fired.wait(20) and time.monotonic() - begin >= 0.1
never = threading.Timer(0.05, fired.clear)
never.start()
never.cancel()
never.join()
out["cancelled"] = fired.is_set()
lock = threading.Lock()
lock.acquire()
begin = time.monotonic()
out["lock"] = not lock.acquire(timeout=0.1) and time.monotonic() - begin >= 0.1

# Waiting with an end
begin = time.monotonic()
out["poll"] = select.poll().poll(100) == [] and select.epoll().poll(0.1) == [] and select.select([], [], [], 0.1) == ([], [], []) \
    and time.monotonic() - begin >= 0.299
child = subprocess.Popen(["sleep", "1000"])
try:
    child.wait(0.1)
    out["subprocess"] = False
except subprocess.TimeoutExpired:
    child.kill()
    out["subprocess"] = child.wait() == -signal.SIGKILL
print(json.dumps(out))
PY
        mine "$d"
        sctl run --ro-bind "$d" /usr/bin/python3 "$d/timers.py" >"$d.json" 2>"$d.err"
        is $? 0 "$WHO: python3 and its timers" || diag "$(cat "$d.err")"
        is "$(json '[k for k in d if d[k] is not True]' <"$d.json")" '[]' "$WHO: … all as they should be"
        is "$(json 'len(d)' <"$d.json")" 12 "$WHO: … of all sorts"
}

# Pausing stops the programs, not time: what was due meanwhile comes at once and once, and what has a period counts what
# was missed.
paused() {
        local n=paused-$WHO d=$WORK/paused due left resumed
        mkdir -p "$d"
        cat >"$d/paused.py" <<'PY'
import ctypes, json, os, signal, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
PERIOD = 0.05
RT = signal.SIGRTMIN + 1

def spec(seconds):
    ns = int(seconds * 1e9)
    return struct.pack("=qqqq", 0, ns, 0, ns)

def sane(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r

def counted(n, times):
    low = int((times[2] - times[1]) / PERIOD) - 2
    high = int((times[3] - times[0]) / PERIOD)
    return True if low <= n <= high and n > 20 else f"{n} is not between {low} and {high}, or too few"

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, RT})
timer = ctypes.c_void_p()
sane(libc.timer_create(1, struct.pack("=qii48x", 1, RT, 0), ctypes.byref(timer)))
fd = sane(libc.timerfd_create(1, 0))
begin = time.monotonic()
sane(libc.timer_settime(timer, 0, spec(PERIOD), None))
sane(libc.timerfd_settime(fd, 0, spec(PERIOD), None))
set_by = time.monotonic()
due = time.time() + 3
signal.setitimer(signal.ITIMER_REAL, 3)
with open(sys.argv[1] + "/new", "w") as f:
    f.write(str(int(due * 1e6)))
os.rename(sys.argv[1] + "/new", sys.argv[1] + "/due")

signal.sigwaitinfo({signal.SIGALRM})
rang = time.time()
t = time.monotonic()
signal.sigwaitinfo({RT})
overrun = sane(libc.timer_getoverrun(timer))
posix = (begin, set_by, t, time.monotonic())
t = time.monotonic()
count = struct.unpack("=Q", os.read(fd, 8))[0]
timerfd = (begin, set_by, t, time.monotonic())
again = signal.sigtimedwait({signal.SIGALRM}, 0.2)
with open(sys.argv[1] + "/new", "w") as f:
    json.dump({"rang": int(rang * 1e6), "once": again is None, "posix": counted(1 + overrun, posix),
               "timerfd": counted(count, timerfd)}, f)
os.rename(sys.argv[1] + "/new", sys.argv[1] + "/rang")
PY
        mine "$d"
        sctl run --name "$n" --bind "$d" /usr/bin/python3 "$d/paused.py" "$d" </dev/null >"$d.log" 2>&1 &
        RUN=$!
        started "$RUN"
        check "$WHO: a program with an alarm in three seconds" await 20 test -e "$d/due" || diag "$(cat "$d.log")"
        due=$(cat "$d/due")
        check "$WHO: … is paused" sctl pause "$n"
        left=$((due - $(now)))
        check "$WHO: … before that" test "$left" -gt 0
        past() { [ "$(now)" -gt $((due + 1000000)) ]; }
        await 20 past
        check "$WHO: … time goes by, and it does not hear of it" test ! -e "$d/rang"
        resumed=$(now)
        check "$WHO: … resume" sctl resume "$n"
        check "$WHO: … it rings" await 20 test -e "$d/rang"
        reaped "$RUN"
        is "$RC" 0 "$WHO: … and it ends well" || diag "$(cat "$d.log")"
        check "$WHO: … not before the resume" test "$(json 'd["rang"]' <"$d/rang")" -ge "$resumed"
        check "$WHO: … at once, sooner than after what was left when it was paused" \
                test $(($(json 'd["rang"]' <"$d/rang") - resumed)) -lt "$left"
        is "$(json 'd["once"]' <"$d/rang")" True "$WHO: … once"
        is "$(json 'd["timerfd"]' <"$d/rang")" True "$WHO: … a timerfd with a period has counted the pause"
        is "$(json 'd["posix"]' <"$d/rang")" True "$WHO: … so has the overrun of a POSIX timer"
}

for program in /usr/bin/python3 perl timeout bash; do
        command -v "$program" >/dev/null || bail "$program is needed for this test"
done
for t in ${TESTS_ONLY:-coreutils joined first quiet shells loop perl_script python paused}; do
        each_user "$t"
done
done_testing
