#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A sandbox with the host's PIDs: what it can reach is its own, though it sees all of them.

. "${srcdir:-.}/tests/lib/tap.sh"

# What a process can do to another, by number: prints each call and its result.
cat >"$TESTDIR/reach.py" <<'E'
import ctypes, errno, os, platform, signal, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
nr = {"x86_64": dict(ptrace=101, getpgid=121, getsid=124, tkill=200, tgkill=234, ioprio_set=251, ioprio_get=252,
                     get_robust_list=274, sched_setparam=142, sched_getparam=143, sched_setscheduler=144,
                     sched_getscheduler=145, sched_rr_get_interval=148, setpriority=141, getpriority=140, setpgid=109,
                     rt_sigqueueinfo=129, rt_tgsigqueueinfo=297, prlimit64=302, process_vm_readv=310,
                     process_vm_writev=311, kcmp=312, sched_setattr=314, sched_getattr=315, migrate_pages=256,
                     move_pages=279, kill=62, sched_getaffinity=204, sched_setaffinity=203),
      "aarch64": dict(ptrace=117, getpgid=155, getsid=156, tkill=130, tgkill=131, ioprio_set=30, ioprio_get=31,
                      get_robust_list=100, sched_setparam=118, sched_getparam=121, sched_setscheduler=119,
                      sched_getscheduler=120, sched_rr_get_interval=127, setpriority=140, getpriority=141,
                      setpgid=154, rt_sigqueueinfo=138, rt_tgsigqueueinfo=240, prlimit64=261, process_vm_readv=270,
                      process_vm_writev=271, kcmp=272, sched_setattr=274, sched_getattr=275, migrate_pages=238,
                      move_pages=239, kill=129, sched_getaffinity=123, sched_setaffinity=122)}[platform.machine()]
nr.update(pidfd_send_signal=424, pidfd_open=434)
info = ctypes.create_string_buffer(struct.pack("iii", signal.SIGTERM, 0, -1), 128)
attr = ctypes.create_string_buffer(struct.pack("IIQiI", 48, 3, 0, 1, 0), 48)
buf = ctypes.create_string_buffer(4096)
target = ctypes.create_string_buffer(b"x" * 16, 16)
iov = ctypes.create_string_buffer(struct.pack("PL", ctypes.addressof(target), 1), 16)
mask = ctypes.create_string_buffer(b"\xff" * 8, 8)


def call(name, *args):
    ctypes.set_errno(0)
    r = libc.syscall(nr[name], *[a if not isinstance(a, int) else ctypes.c_long(a) for a in args])
    print(name, "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()])


pid = int(sys.argv[1])
term = signal.SIGTERM
for sig in 0, term:
    call("kill", pid, sig)
    call("tkill", pid, sig)
    call("tgkill", pid, pid, sig)
call("kill", -pid, term)
call("rt_sigqueueinfo", pid, term, info)
call("rt_tgsigqueueinfo", pid, pid, term, info)
call("pidfd_open", pid, 0)
for which in 0, 1:
    call("getpriority", which, pid)
    call("setpriority", which, pid, 5)
    call("ioprio_get", which + 1, pid)
    call("ioprio_set", which + 1, pid, 2 << 13 | 6)
for name in "getpgid", "getsid", "sched_getscheduler":
    call(name, pid)
call("setpgid", pid, pid)
call("sched_getparam", pid, buf)
call("sched_setparam", pid, buf)
call("sched_setscheduler", pid, 3, buf)
call("sched_rr_get_interval", pid, buf)
call("sched_getattr", pid, buf, 4096, 0)
call("sched_setattr", pid, attr, 0)
call("sched_getaffinity", pid, 1024, buf)
call("sched_setaffinity", pid, 8, mask)
call("prlimit64", pid, 4, None, buf)
call("prlimit64", pid, 4, buf, None)
call("process_vm_readv", pid, iov, 1, iov, 1, 0)
call("process_vm_writev", pid, iov, 1, iov, 1, 0)
call("kcmp", os.getpid(), pid, 0, 0, 0)
call("get_robust_list", pid, buf, buf)
call("ptrace", 16, pid, 0, 0)
call("ptrace", 0x4206, pid, 0, 0)
call("migrate_pages", pid, 8, mask, mask)
call("move_pages", pid, 0, None, None, None, 0)
import fcntl
try:
    fcntl.fcntl(0, fcntl.F_SETOWN, pid)
    print("F_SETOWN ok")
except OSError as e:
    print("F_SETOWN", errno.errorcode[e.errno])
E

cat >"$TESTDIR/storm.py" <<'E'
import os, sys, time
for i in range(8): # each is gone when its child is there
    if os.fork() == 0:
        while os.fork() == 0:
            pass
        os._exit(0)
print("ready", flush=True)
time.sleep(3 if "exit" in sys.argv[1] else 1000)
E

outsider() { # a process of the current user's outside of every sandbox, leader of a session: sets OUTSIDER
        local command="echo \$\$ >'$WORK/outsider'; exec sleep 1000"
        rm -f "$WORK/outsider"
        if [ "$WHO" = user ]; then as_user setsid sh -c "$command" & else setsid sh -c "$command" & fi
        await 10 test -s "$WORK/outsider" || bail "no outsider"
        OUTSIDER=$(cat "$WORK/outsider")
        started "$OUTSIDER"
        await 10 grep -q sleep "/proc/$OUTSIDER/comm" || bail "no outsider"
}

about() { # PID: what others can change of a process
        sed 's/^[^)]*) . //' "/proc/$1/stat" | cut -d ' ' -f 1-4,16-17,39-40
        cat "/proc/$1/limits"
}

reach() {
        local w=$WHO out before
        outsider
        before=$(about "$OUTSIDER")
        sctl run --pid host --ro-bind "$TESTDIR/reach.py" /usr/bin/python3 "$TESTDIR/reach.py" "$OUTSIDER" </dev/null \
                >"$TESTDIR/out" 2>&1
        is "$(grep -c . "$TESTDIR/out")" 41 "$w: 41 calls on a process outside"
        is "$(grep -v ' ESRCH$' "$TESTDIR/out")" '' "$w: … say that it is not there"
        check_fails "$w: … and it is still there" gone "$OUTSIDER"
        is "$(about "$OUTSIDER")" "$before" "$w: … as it was"

        # On one inside the same calls do something.
        # shellcheck disable=SC2016
        out=$(sctl run --pid host --ro-bind "$TESTDIR/reach.py" sh -c \
                'trap "" TERM; sleep 1000 & /usr/bin/python3 "$0" $! </dev/null; kill -KILL $!' "$TESTDIR/reach.py" 2>&1)
        is "$(grep -cv ' ESRCH$' <<<"$out")" 35 "$w: on a process inside they do not" || diag "$out"
        is "$(grep -E '^(kill|tkill|tgkill|rt_sigqueueinfo|pidfd_open|prlimit64) ' <<<"$out" | grep -vc ' ok$')" 1 \
                "$w: … all signals arrive, but to a group that is not one" || diag "$out"
}

# shellcheck disable=SC2016
many() {
        local w=$WHO out
        outsider
        out=$(sctl run --pid host sh -c '
                sleep 1000 & a=$!
                setsid sleep 1000 & b=$!
                setsid sh -c "sleep 1000 & sleep 1000 & wait" & c=$!
                kill -TERM -1; wait $a; echo $?; wait $b; echo $?; wait $c; echo $?; echo end' 2>/dev/null)
        is "$out" $'143\n143\n143\nend' "$w: kill -1 inside ends all inside but its sender"
        check_fails "$w: … and nobody outside" gone "$OUTSIDER"
        out=$(sctl run --pid host /usr/bin/python3 -c '
import os, signal
signal.signal(signal.SIGUSR1, lambda *a: print("got"))
os.kill(0, signal.SIGUSR1)
print("done")' 2>&1)
        is "$out" $'got\ndone' "$w: kill 0 is for the group inside"
        out=$(sctl run --pid host /usr/bin/python3 -c '
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(0, signal.SIGTERM); os.kill(-os.getpgid(0), signal.SIGTERM)
print("done")' 2>&1)
        is "$out" "done" "$w: … not for the launcher, which is in that group too"
        out=$(sctl run --pid host /usr/bin/python3 -c '
import os, signal, sys, time
for i in range(8): # each is gone when its child is there
    if os.fork() == 0:
        while os.fork() == 0:
            pass
        os._exit(0)
time.sleep(0.3)
os.kill(-1, signal.SIGKILL)
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        sys.exit("none")' 2>&1)
        is "$out" none "$w: kill -9 -1 cannot be outrun"
}

# Processes with this text in their arguments, seen in any of these looks. They change all the time.
storm() {
        for _ in 1 2 3 4 5 6 7 8 9 10; do
                grep -lsF "$1" /proc/[0-9]*/cmdline >/dev/null && return 0
                sleep 0.05
        done
        return 1
}

outlast() { # Who forks all the time does not outlast his sandbox.
        local w=$WHO end
        for end in exit kill; do
                sctl run --name "storm-$w" --pid host /usr/bin/python3 - "storm of $end-$w" \
                        <"$TESTDIR/storm.py" >"$TESTDIR/storm-$end-$w.out" 2>&1 &
                started $!
                await 10 grep -q ready "$TESTDIR/storm-$end-$w.out" || bail "no storm: $(cat "$TESTDIR/storm-$end-$w.out")"
                check "$w: a storm" await 5 storm "storm of $end-$w"
                [ "$end" = exit ] || check "$w: … is killed with its sandbox" sctl kill "storm-$w"
                await 20 gone $!
                check_fails "$w: … and ends with it ($end)" storm "storm of $end-$w"
        done
}

# shellcheck disable=SC2016
later() { # A process that comes in later is in a Landlock domain of its own where there is one.
        local w=$WHO pid
        rm -f "$TESTDIR/later"
        sctl run --name "later-$w" --pid host bash -c \
                'trap "echo usr1; exit 5" USR1; echo $$; while :; do sleep 0.05; done' \
                >"$TESTDIR/later" 2>"$TESTDIR/later.err" &
        pid=$!
        started "$pid"
        await 10 test -s "$TESTDIR/later" || bail "no sandbox: $(cat "$TESTDIR/later.err")"
        check "$w: a later process sees the first" sctl exec "later-$w" sh -c 'kill -0 "$0"' "$(head -n 1 "$TESTDIR/later")"
        # How that one ends is not said: its sandbox ends with the first.
        sctl exec "later-$w" sh -c 'kill -USR1 "$0"' "$(head -n 1 "$TESTDIR/later")" >"$TESTDIR/out" 2>&1
        reaped "$pid"
        is "$RC" 5 "$w: … and reaches it with a signal" || diag "$(cat "$TESTDIR/out")"

        sctl run --name "later2-$w" --pid host sleep 1000 &
        pid=$!
        started "$pid"
        await 10 sctl exec "later2-$w" true || bail "no sandbox"
        sctl exec "later2-$w" sh -c 'kill -TERM -1' >"$TESTDIR/out" 2>&1
        reaped "$pid"
        is "$RC" 143 "$w: kill -1 of a later process reaches the first" || diag "$(cat "$TESTDIR/out")"
}

# shellcheck disable=SC2016
shells() {
        local w=$WHO
        is "$(sctl run --pid host bash -c 'sleep 1000 & kill $!; wait $!; echo $?' 2>/dev/null)" 143 "$w: kill of a shell"
        is "$(sctl run --pid host bash -mc 'sleep 1000 | sleep 1000 & kill %1; wait %1; echo $?' 2>/dev/null)" 143 \
                "$w: … with job control, a pipeline"
        is "$(sctl run --pid host timeout 0.2 sleep 1000; echo $?)" 124 "$w: timeout"
        # As far above that of the test as 19 lets it be.
        local low=$(($(nice) + 3 > 19 ? 19 : $(nice) + 3)) high=$(($(nice) + 7 > 19 ? 19 : $(nice) + 7))
        is "$(sctl run --pid host nice -n 3 sh -c "nice; renice -n $high -p \$\$ >/dev/null; nice")" "$low"$'\n'"$high" "$w: renice"
        is "$(sctl run --pid host sh -c 'sleep 1000 & prlimit --pid $! --core=0:0 && prlimit --pid $! --core -o SOFT --noheadings --raw; kill $!')" \
                0 "$w: prlimit of a child"
}

each_user reach
each_user many
each_user outlast
each_user later
each_user shells
done_testing
