#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Signals from outside: to init, everybody, a process, a process group, a thread, a container. As root and as a plain
# user.

. "${srcdir:-.}/tests/lib/tap.sh"

# Tells on a line of its own which signals it gets, with their values; starts what its arguments say. "ready PID" comes
# when it can take signals.
cat >"$TESTDIR/tell.py" <<'PY'
import os, signal, sys, threading
name = sys.argv[1]
wanted = set(range(1, signal.SIGRTMAX + 1)) - {9, 19, 32, 33} - {signal.SIGTTOU}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
def say(*words):
    os.write(1, (" ".join(str(w) for w in words) + "\n").encode())
def wait(name):
    while True:
        info = signal.sigwaitinfo(wanted)
        value = ""
        if info.si_signo == 17 and info.si_pid != 0: # of a child of ours
            try: os.waitpid(-1, os.WNOHANG)
            except ChildProcessError: pass
        say("got", name, info.si_signo, info.si_pid, info.si_code)
        if info.si_signo == 15: os._exit(0)
for child in sys.argv[2:]:
    own_group = child.startswith("+")
    if os.fork() == 0:
        if own_group: os.setpgid(0, 0)
        name = child.lstrip("+")
        break
    if own_group: pass
if name == "threads":
    def thread():
        say("thread", threading.get_native_id())
        wait("thread")
    t = threading.Thread(target=thread)
    t.start()
say("ready", name, os.getpid(), os.getpgid(0))
wait(name)
PY
chmod 644 "$TESTDIR/tell.py"

# The value of a queued signal, which Python does not show.
cat >"$TESTDIR/value.c" <<'C'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void on_signal(int sig, siginfo_t *info, void *context) {
        char text[64];
        int n = snprintf(text, sizeof(text), "value %d %d pid %d uid %d\n", sig, info->si_value.sival_int,
                         (int) info->si_pid, (int) info->si_uid);
        (void) !write(1, text, (size_t) n);
}
int main(void) {
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
        sigaction(SIGRTMIN + 1, &action, NULL);
        sigaction(SIGUSR1, &action, NULL);
        (void) !write(1, "ready\n", 6);
        for (;;)
                pause();
}
C

start() { # NAME PROGRAM…: in the background
        local name=$1
        shift
        sctl run --name "$name" --ro-bind "$TESTDIR" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
}
said() { grep -qE -- "$2" "$TESTDIR/$1.out"; }  # NAME REGEX
count() { grep -cE -- "$2" "$TESTDIR/$1.out"; } # NAME REGEX
counted() { [ "$(count "$1" "$2")" -eq "$3" ]; } # NAME REGEX N
pid_of() { sed -nE "s/^ready $2 ([0-9]+) .*/\1/p" "$TESTDIR/$1.out"; } # NAME WHO
python=/usr/bin/python3

signals() {
        local w=$WHO n=signals-$WHO child pid
        start "$n" "$python" "$TESTDIR/tell.py" init one +two +three
        check "$w: four processes are ready" await 15 counted "$n" '^ready' 4 || diag "$(cat "$TESTDIR/$n.out")"

        check "$w: a signal to init" sctl signal "$n" USR1
        check "$w: … arrives there" await 10 said "$n" '^got init 10 0 0$'
        check "$w: its name in full, in small letters" sctl signal "$n" sigusr2
        check "$w: … arrives too" await 10 said "$n" '^got init 12 '
        check "$w: SIGCHLD to init" sctl signal "$n" CHLD --whom=init
        check "$w: SIGURG to init" sctl signal "$n" URG
        check "$w: a number" sctl signal "$n" 1
        await 10 said "$n" '^got init 1 '
        is "$(count "$n" '^got init (17|23) ')" 0 "$w: … SIGCHLD and SIGURG were dropped"
        is "$(count "$n" '^got (one|two|three)')" 0 "$w: … nobody else got any of that"

        check "$w: SIGURG to everybody" sctl signal "$n" URG --whom=all
        check "$w: … drops nothing, all four have it" await 10 counted "$n" '^got [a-z]+ 23 ' 4

        child=$(pid_of "$n" two)
        check "$w: SIGCHLD to one process" sctl signal "$n" SIGCHLD --whom=group --id="$child"
        check "$w: … arrives" await 10 said "$n" '^got two 17 '
        is "$(count "$n" '^got [a-z]+ 17 ')" 1 "$w: … at that one only"
        check "$w: SIGURG to a process group" sctl signal "$n" WINCH --whom=pgrp --id="$child"
        check "$w: … arrives" await 10 said "$n" '^got two 28 '
        is "$(count "$n" '^got [a-z]+ 28 ')" 1 "$w: … at its members only"

        for bad in 'TERN TERM' 'SIGHUB HUP' 'RTMIN+99 RTMIN' '65 numbered' 'USR USR'; do
                read -r signal hint <<<"$bad"
                check_fails "$w: signal $signal is refused" sctl signal "$n" "$signal"
                like "$(sctl signal "$n" "$signal" 2>&1)" "$hint" "$w: … with a hint"
        done
        check_fails "$w: --whom=grop is refused" sctl signal "$n" HUP --whom=grop
        contains "$(sctl signal "$n" HUP --whom=grop 2>&1)" "'group'" "$w: … with a hint"
        for whom in group pgrp task; do
                check_fails "$w: nobody has the id 99999: $whom" sctl signal "$n" HUP --whom="$whom" --id=99999
                contains "$(sctl signal "$n" HUP --whom="$whom" --id=99999 2>&1)" 99999 "$w: … the message names it"
                check_fails "$w: $whom without an id" sctl signal "$n" HUP --whom="$whom"
        done
        check_fails "$w: no such container" sctl signal "$n" HUP --whom=container --id=none
        check_fails "$w: an id without whom" sctl signal "$n" HUP --id=1

        # While it is paused, signals queue.
        check "$w: pause" sctl pause "$n"
        check "$w: a signal to all while it is paused" sctl signal "$n" ALRM --whom=all
        check "$w: … and to one" sctl signal "$n" PROF --whom=group --id="$child"
        contains "$(sctl list)" paused "$w: … it still is"
        is "$(count "$n" '^got [a-z]+ (14|27) ')" 0 "$w: … nobody has them yet"
        check "$w: resume" sctl resume "$n"
        check "$w: … then all have" await 10 counted "$n" '^got [a-z]+ 14 ' 4
        check "$w: … and the one" await 10 said "$n" '^got two 27 '

        check "$w: SIGTERM to everybody" sctl signal "$n" TERM --whom=all
        reaped "$RUN"
        is "$RC" 0 "$w: … which ends it" || diag "$(cat "$TESTDIR/$n.out")"
        check_fails "$w: a signal to what has ended" sctl signal "$n" TERM
}

threads() {
        local w=$WHO n=threads-$WHO tid
        start "$n" "$python" "$TESTDIR/tell.py" threads
        check "$w: a process with two threads" await 15 said "$n" '^ready'
        tid=$(sed -n 's/^thread //p' "$TESTDIR/$n.out")
        for ((i = 0; i < 5; i++)); do sctl signal "$n" USR1 --whom=task --id="$tid"; done
        check "$w: a signal to a thread" await 10 said "$n" '^got thread 10 '
        is "$(count "$n" '^got threads 10 ')" 0 "$w: … is for that one"
        check "$w: SIGKILL to a thread" sctl signal "$n" KILL --whom=task --id="$tid"
        reaped "$RUN"
        is "$RC" 137 "$w: … ends the process"
}

values() {
        local w=$WHO n=values-$WHO
        start "$n" "$TESTDIR/value"
        check "$w: a program that shows values" await 10 said "$n" ready
        check "$w: a real-time signal with a value" sctl signal "$n" RTMIN+1 --value=42
        check "$w: … arrives with it" await 10 said "$n" "^value 35 42 pid 0 "
        check "$w: a negative one" sctl signal "$n" SIGRTMIN+1 --value=-7
        check "$w: … arrives" await 10 said "$n" '^value 35 -7 '
        check "$w: a standard signal with a value" sctl signal "$n" USR1 --value=1 --whom=group --id=1
        check "$w: … arrives" await 10 said "$n" '^value 10 1 '
        sctl pause "$n"
        for i in 1 2 3; do sctl signal "$n" RTMIN+1 --value=10"$i" --whom=all; done
        sctl resume "$n"
        check "$w: real-time signals queue" await 10 said "$n" '^value 35 103 '
        is "$(grep -oE '^value 35 10[0-9]' "$TESTDIR/$n.out" | tr '\n' ' ')" \
                'value 35 101 value 35 102 value 35 103 ' "$w: … in order"
        check_fails "$w: --value=x is refused" sctl signal "$n" USR1 --value=x
        check "$w: SIGKILL to init" sctl signal "$n" KILL
        reaped "$RUN"
        is "$RC" 137 "$w: … ends the sandbox"
}

# Two containers in one sandbox: a signal to one reaches only its own.
containers() {
        local w=$WHO n=containers-$WHO c one two
        start "$n" "$python" "$TESTDIR/tell.py" init child
        check "$w: a sandbox" await 15 counted "$n" '^ready' 2
        contains "$(sctl exec "$n" --container=../x true 2>&1)" 'no container id' "$w: '../x' is no container"
        for c in a b; do
                sctl exec "$n" --container="$c" -- "$python" "$TESTDIR/tell.py" "$c" "$c$c" </dev/null >>"$TESTDIR/$n.out" 2>&1 &
                started $!
                [ "$c" = a ] && one=$! || two=$!
                check "$w: container $c in it" await 15 said "$n" "^ready $c$c "
        done
        check "$w: a signal to container a" sctl signal "$n" USR1 --whom=container --id=a
        check "$w: … reaches both of its processes" await 10 counted "$n" '^got (a|aa) 10 ' 2
        check "$w: a signal to container b" sctl signal "$n" USR2 --whom=container --id=b
        check "$w: … reaches both of its processes" await 10 counted "$n" '^got (b|bb) 12 ' 2
        check "$w: a signal to those in no container" sctl signal "$n" HUP --whom=container
        check "$w: … reaches the first program and its child" await 10 counted "$n" '^got (init|child) 1 ' 2
        check "$w: SIGCHLD to the program that leads container a" sctl signal "$n" CHLD --whom=leader --id=a
        check "$w: … reaches it" await 10 said "$n" '^got a 17 '
        is "$(count "$n" '^got ')" 7 "$w: and nobody has anything that was for others" ||
                diag "$(cat "$TESTDIR/$n.out")"
        check "$w: SIGTERM to container a" sctl signal "$n" TERM --whom=container --id=a
        reaped "$one"
        is "$RC" 0 "$w: … ends it"
        check_fails "$w: then there is no such container" sctl signal "$n" USR1 --whom=container --id=a
        check_fails "$w: … and nobody leads it" sctl signal "$n" USR1 --whom=leader --id=a
        check "$w: SIGTERM to all" sctl signal "$n" TERM --whom=all
        reaped "$RUN"
        is "$RC" 0 "$w: … ends the rest"
        reaped "$two"
}

# Whoever is born while it happens gets it too.
storm() {
        local w=$WHO n=storm-$WHO i
        start "$n" "$python" -c '
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
top = os.getpid()
def survive(*_):
    os.write(1, b"top has it\n")
signal.signal(signal.SIGUSR1, survive)
os.write(1, b"ready\n")
for _ in range(4):
    if os.fork() == 0:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        while True:                       # a chain: each forks its successor and goes
            if os.fork() != 0: os._exit(0)
while True: signal.pause()'
        check "$w: chains of processes that fork and go" await 10 said "$n" ready
        left() { sctl --json=short ps "$n" | json 'sum(t["pid"] != 1 and t["state"] != "Z" for t in d)'; }
        none_left() { [ "$(left)" = 0 ]; }
        check "$w: … they live" await 10 eval '[ "$(left)" -gt 0 ]'
        check "$w: a signal to all" sctl signal "$n" USR1 --whom=all
        check "$w: … no chain outruns it" await 5 none_left || diag "$(sctl ps "$n")"
        check "$w: … init has it too" said "$n" 'top has it'
        sctl kill "$n"
        reaped "$RUN"
}

cc=${CC:-cc}
check "a program to test with" "$cc" -o "$TESTDIR/value" "$TESTDIR/value.c"
each_user signals
each_user threads
each_user values
each_user containers
each_user storm
done_testing
