#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Pause and resume, by a control group and by ptrace, which must not differ: counting programs, nesting, forks, execs,
# kills, 1,000 tasks. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

start() { # NAME OPTION… PROGRAM…: in the background, running when this returns
        local name=$1
        shift
        sctl run --profile "freezer-$FREEZER" --name "$name" --bind "$D" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 15 running "$name" || {
                not_ok "$W: $name starts" "$(cat "$TESTDIR/$name.out")"
                return 1
        }
}
end() { # NAME
        sctl kill "$1" >/dev/null 2>&1
        reaped "$RUN"
        is "$RC" 137 "$W: … and it can be killed"
}
count() { cat "$D/count" 2>/dev/null || echo 0; }
past() { [ "$(count)" -gt "$1" ]; }
stands() { # DESCRIPTION: nothing to wait for when nothing is to happen; 0.3 s is a hundred rounds
        local a
        a=$(count)
        sleep 0.3
        is "$(count)" "$a" "$1"
}
counter() { echo "n=0; while :; do n=\$((n + 1)); echo \$n >'$D/new'; mv '$D/new' '$D/count'; done"; }

counting() {
        local n=counting-$FREEZER-$WHO i bad=0 a
        rm -f "$D/count"
        start "$n" sh -c "$(counter)" || return
        is "$(sctl show --value -p Freezer "$n")" "$FREEZER" "$W: the freezer is this one"
        check "$W: a program counts" await 10 past 10
        check "$W: pause" sctl pause "$n"
        stands "$W: … it stands"
        status_is 125 "$W: … exec is refused" sctl exec "$n" true
        check "$W: resume" sctl resume "$n"
        a=$(count)
        check "$W: … it goes on" await 10 past "$a"
        for ((i = 0; i < 50; i++)); do sctl pause "$n" || bad=$((bad + 1)); done
        is "$(sctl show --value -p PauseDepth "$n")" 50 "$W: 50 nested pauses"
        for ((i = 0; i < 49; i++)); do sctl resume "$n" || bad=$((bad + 1)); done
        is "$bad" 0 "$W: … and 49 resumes"
        stands "$W: … it stands still"
        check "$W: … the last resume" sctl resume "$n"
        a=$(count)
        check "$W: … lets it go on" await 10 past "$a"
        check_fails "$W: … one more is an error" sctl resume "$n"
        bad=0
        for ((i = 0; i < 20; i++)); do
                sctl pause "$n" || bad=$((bad + 1))
                sctl resume "$n" || bad=$((bad + 1))
        done
        is "$bad" 0 "$W: 20 pauses and resumes"
        check "$W: pause, kill" sctl pause "$n"
        check "$W: … with a status" sctl kill --status=33 "$n"
        reaped "$RUN"
        is "$RC" 33 "$W: … ends what is paused"
}

# A program that calls all the time, by many threads, and that looks at what it gets.
calling() {
        local n=calling-$FREEZER-$WHO i bad=0
        rm -f "$D/count"
        start "$n" /usr/bin/python3 -c "
import os, threading
def work(k):
    i = 0
    while True:
        i += 1
        assert os.uname().nodename == 'sandbox' and os.sched_getaffinity(0)
        if k == 0 and i % 50 == 0:
            with open('$D/new', 'w') as f: f.write(str(i))
            os.rename('$D/new', '$D/count')
for k in range(8): threading.Thread(target=work, args=(k,)).start()" || return
        check "$W: eight threads that call all the time" await 15 past 50
        for ((i = 0; i < 15; i++)); do
                sctl pause "$n" || bad=$((bad + 1))
                sctl resume "$n" || bad=$((bad + 1))
        done
        is "$bad" 0 "$W: … 15 pauses"
        i=$(count)
        check "$W: … they go on" await 10 past "$i"
        is "$(cat "$TESTDIR/$n.out")" '' "$W: … and have seen nothing of it"
        end "$n"
}

# What is born meanwhile stands too.
storm() {
        local n=storm-$FREEZER-$WHO i bad=0 before after
        start "$n" /usr/bin/python3 -c "
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(6):
    if os.fork() == 0:
        f = os.open('$D/storm', os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        while True:                       # a chain: each writes, forks its successor and goes
            os.write(f, b'x')
            if os.fork() != 0: os._exit(0)
open('$D/storms', 'w').close()
while True: signal.pause()" || return
        check "$W: a storm of forks" await 15 test -e "$D/storms"
        for ((i = 0; i < 6; i++)); do
                sctl pause "$n" || bad=$((bad + 1))
                before=$(stat -c %s "$D/storm")
                sleep 0.1
                after=$(stat -c %s "$D/storm")
                [ "$before" -eq "$after" ] || {
                        bad=$((bad + 1))
                        diag "round $i: $before, then $after"
                }
                sctl resume "$n" || bad=$((bad + 1))
                grows() { [ "$(stat -c %s "$D/storm")" -gt "$after" ]; }
                await 10 grows || bad=$((bad + 1))
        done
        is "$bad" 0 "$W: … stands at each of six pauses, and goes on"
        rm -f "$D/storm" "$D/storms"
        end "$n"
}

# Programs that are just being started.
executing() {
        local n=executing-$FREEZER-$WHO i bad=0 before pids pid
        start "$n" sleep 1000 || return
        : >"$D/ran"
        chmod 666 "$D/ran"
        for ((i = 0; i < 12; i++)); do
                pids=()
                for _ in 1 2 3; do
                        sctl exec "$n" sh -c "echo x >>'$D/ran'" </dev/null >>"$TESTDIR/$n.out" 2>&1 &
                        pids+=($!)
                done
                sleep "0.0$(printf %02d $((RANDOM % 50)))"
                sctl pause "$n" || bad=$((bad + 1))
                before=$(wc -l <"$D/ran")
                sleep 0.15
                [ "$(wc -l <"$D/ran")" -eq "$before" ] || {
                        bad=$((bad + 1))
                        diag "round $i: one ran in the pause"
                }
                sctl resume "$n" || bad=$((bad + 1))
                for pid in "${pids[@]}"; do
                        wait "$pid" || case $? in
                        125) ;; # the pause came first
                        *) bad=$((bad + 1)) ;;
                        esac
                done
        done
        is "$bad" 0 "$W: programs that start while it is paused wait for the resume" || diag "$(sort "$TESTDIR/$n.out" | uniq -c)"
        unlike "$(cat "$TESTDIR/$n.out")" 'did not start|out of turn|refused' "$W: … or are refused at once"
        end "$n"
}

# The launcher stands outside: it hears and acts.
launcher() {
        local n=launcher-$FREEZER-$WHO
        start "$n" sleep 1000 || return
        sctl pause "$n"
        signal_launcher TERM
        reaped "$RUN"
        is "$RC" 143 "$W: SIGTERM to the launcher ends what is paused"
}

thousand() {
        local n=thousand-$FREEZER-$WHO begin took best=99999 native=99999 i
        start "$n" /usr/bin/python3 -c "
import os, signal
for i in range(999):
    if os.fork() == 0:
        while True: signal.pause()
open('$D/thousand', 'w').close()
while True: signal.pause()" || return
        check "$W: 1,000 tasks" await 30 test -e "$D/thousand"
        for ((i = 0; i < 3; i++)); do
                begin=$(date +%s%N)
                check "$W: … pause" sctl pause "$n"
                took=$((($(date +%s%N) - begin) / 1000000))
                [ "$took" -ge "$best" ] || best=$took
                check "$W: … resume" sctl resume "$n"
                begin=$(date +%s%N)
                ps -eo pid,stat,time,comm,args >/dev/null
                took=$((($(date +%s%N) - begin) / 1000000))
                [ "$took" -ge "$native" ] || native=$took
        done
        rm -f "$D/thousand"
        # By the control group it is less work than to look at them all. Sanitizers make the client start slowly.
        [ "$FREEZER" != cgroup ] ||
                check "$W: … in no more than twice the time ($best ms) of ps ($native ms)" test "$best" -le $((native * 2))
        end "$n"
}

profiles() { # DIRECTORY
        mkdir -p "$1/.config/sentryd/profiles"
        for FREEZER in cgroup ptrace auto; do
                echo "{\"sentry\": {\"extends\": \"default\", \"freezer\": \"$FREEZER\"}}" \
                        >"$1/.config/sentryd/profiles/freezer-$FREEZER.json"
        done
        chmod -R a+rX "$1/.config"
}

pausing() {
        enter_cgroup
        profiles "$WORK"
        for FREEZER in cgroup ptrace; do
                W="$WHO, $FREEZER"
                D=$WORK/$FREEZER
                mkdir -m 777 "$D"
                mine "$D"
                if [ "$FREEZER" = cgroup ] && [ -z "$CGROUP" ]; then
                        skip "$W" "$REASON"
                        continue
                fi
                for t in ${TESTS_ONLY:-counting calling storm executing launcher thousand}; do "$t"; done
                await 10 daemons_gone
                is "$(cgroups)" '' "$W: no control group is left"
        done
}

without() { # a control group that the user may not write to
        [ -n "$CGROUP" ] || return
        echo $BASHPID >"$CGROUP/root/cgroup.procs"
        W="$WHO, none"
        FREEZER=auto D=$WORK
        is "$(sctl run --profile freezer-auto echo runs 2>&1)" runs "$W: without a control group it runs"
        status_is 125 "$W: … not when the profile insists" sctl run --profile freezer-cgroup true
        contains "$(sctl run --profile freezer-cgroup true 2>&1)" 'control group' "$W: … and the message says why"
}

WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
own_cgroup
each_user pausing
if tap_user_setup && [ "$(id -u)" -eq 0 ]; then
        WHO=user WORK=$USER_HOME
        without
fi
done_testing
