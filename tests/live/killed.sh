#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of everything that can be killed: the launcher, sentry-kernel, the embedded manager.

. "${srcdir:-.}/tests/lib/tap.sh"

dir=$TESTDIR/run

# Starts a sandbox in the background; LAUNCHER is sentryctl itself, not a shell or timeout.
launch() { # NAME PROGRAM…
        local name=$1
        shift
        "$SENTRYCTL" run --name "$name" --bind "$TESTDIR/shared" "$@" </dev/null >"$TESTDIR/$name.out" 2>&1 &
        LAUNCHER=$!
        started "$LAUNCHER"
}

process() { # PROGRAM [ARGUMENT]: pids of our sentryd or sentry-kernel, by its executable and an argument
        local pid
        for pid in $(daemons_of "$dir"); do
                [ "$(program_of "$pid")" = "$1" ] || continue
                [ -z "${2:-}" ] || tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qx -- "$2" || continue
                echo "$pid"
        done
}

init_of() { # NAME: the host's pid of a sandbox's init
        sctl --json=short list | json "[s for s in d if s.get('name') == '$1'][0]" 2>/dev/null |
                json 'next(v for k, v in d.items() if "pid" in k.lower() or "init" in k.lower())' 2>/dev/null
}

nothing_left() { # WHAT PID…
        local what=$1
        shift
        check "$what: the program is gone" await 10 gone "$@"
        check "$what: no process of ours is left" await 10 daemons_gone "$dir"
        is "$(sctl -q --no-legend list 2>&1)" '' "$what: the list is empty"
        check_fails "$what: no socket is left" test -S "$dir/sentryd/bus"
        is "$(grep -cF "$TESTDIR" /proc/self/mountinfo)" 0 "$what: no mount is left"
        is "$(cgroups)" '' "$what: no control group is left"
}

mkdir -m 777 "$TESTDIR/shared"
own_cgroup && enter_cgroup
counter='n=0; while :; do n=$((n + 1)); echo $n >'$TESTDIR'/shared/count.new; mv '$TESTDIR'/shared/count.new '$TESTDIR'/shared/count; sleep 0.02; done'
counts() { # it goes on from here
        local n
        n=$(cat "$TESTDIR/shared/count" 2>/dev/null || echo 0)
        await 10 eval '[ "$(cat "$TESTDIR/shared/count" 2>/dev/null || echo 0)" -gt '"$n"' ]'
}

# ---- the launcher, while the program runs

launch run-1 sh -c "sleep 1000 & $counter"
if check "a sandbox runs" await 10 running run-1 && check "… and its program counts" counts; then
        init=$(init_of run-1)
        like "$init" '^[1-9][0-9]*$' "… the list tells its init: $init"
        kernel=$(process sentry-kernel run-1)
        kill -KILL "$LAUNCHER"
        nothing_left "kill -9 of the launcher" "${init:-0}" "${kernel:-0}"
fi

# ---- the launcher, at random moments of its start and life

for ((i = 0; i < ${SENTRYD_TEST_KILLS:-40}; i++)); do
        launch "moment-$i" sh -c 'uname -a; sleep 1000'
        pause=$((RANDOM % 60))
        sleep "0.$(printf %03d $pause)"
        kill -KILL "$LAUNCHER" 2>/dev/null
        wait "$LAUNCHER" 2>/dev/null
done
check "kill -9 of the launcher at 40 moments: no process of ours is left" await 15 daemons_gone "$dir" ||
        diag "$(for p in $(daemons_of "$dir"); do tr '\0' ' ' <"/proc/$p/cmdline"; echo; done)"
leftovers() { # sleeps of ours: their /tmp is none of the host's, so look for the command line in other PID namespaces
        local p
        for p in /proc/[0-9]*; do
                [ "$(readlink "$p/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || continue
                tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qF "XDG_RUNTIME_DIR=$dir" && echo "${p#/proc/}"
        done
}
no_leftovers() { [ -z "$(leftovers)" ]; }
check "… and no program" await 10 no_leftovers || diag "$(leftovers)"
is "$(cgroups)" '' "… and no control group"
is "$(sctl -q --no-legend list 2>&1)" '' "… the list is empty"
check "… a new sandbox starts" sctl run true

# ---- the launcher, at each of its steps: at every few of its system calls

steps() { # VERB ARGUMENT…: kills sentryctl on its way through `sentryctl VERB ARGUMENT…`
        local n total stride wrong=0
        timeout 30 strace -qq -o "$TESTDIR/trace" "$SENTRYCTL" "$@" </dev/null >/dev/null 2>&1
        total=$(wc -l <"$TESTDIR/trace")
        stride=$(((total + 39) / 40))
        for ((n = 1; n <= total; n += stride)); do
                { timeout 30 strace -qq -o /dev/null -e "inject=all:signal=KILL:when=$n" "$SENTRYCTL" "$@"; } \
                        </dev/null >/dev/null 2>&1
                [ $? -ne 124 ] || wrong=$((wrong + 1))
        done
        is "$wrong" 0 "kill -9 of $1 at 40 of its $total system calls"
}
if command -v strace >/dev/null && strace -qq -o /dev/null true 2>/dev/null; then
        steps run uname
        check "… no process of ours is left" await 15 daemons_gone "$dir"
        check "… and no program" await 10 no_leftovers || diag "$(leftovers)"
        is "$(cgroups)" '' "… and no control group"
        launch steps sleep 1000
        check "a sandbox" await 10 running steps
        steps exec steps uname
        alone() { [ "$(sctl exec steps sh -c 'echo /proc/[0-9]*' | wc -w)" = 2 ]; }
        check "… nothing of them is left inside" await 10 alone
        status_is 5 "… the next one works" sctl exec steps sh -c 'exit 5'
        end_process "$LAUNCHER"
        nothing_left "after it"
else
        skip "kill -9 of the launcher at each step" "strace is not installed"
fi

# ---- sentry-kernel

launch kernel-1 sh -c "$counter"
if check "a sandbox runs" await 10 running kernel-1 && check "… and its program counts" counts; then
        init=$(init_of kernel-1)
        kernel=$(process sentry-kernel kernel-1)
        like "$kernel" '^[0-9]+$' "… it has one sentry-kernel: $kernel"
        kill -KILL "$kernel"
        check "kill -9 of sentry-kernel: the program goes on" counts
        another() { local now; now=$(process sentry-kernel kernel-1); [[ $now =~ ^[0-9]+$ ]] && [ "$now" != "$kernel" ]; }
        check "… with another one" await 10 another
        check "… and is listed" await 10 running kernel-1
        sctl kill kernel-1
        reaped "$LAUNCHER"
        is "$RC" 137 "… until it is told to end" || diag "$(cat "$TESTDIR/kernel-1.out")"
        nothing_left "kill -9 of sentry-kernel" "${init:-0}"
fi

# While the program waits for an answer every moment
launch kernel-2 /usr/bin/python3 -c 'import os
name = os.uname().nodename
while os.uname().nodename == name: pass'
check "a sandbox that calls all the time" await 10 running kernel-2
for _ in 1 2 3 4 5; do
        kernel=$(process sentry-kernel kernel-2)
        kill -KILL "$kernel"
        another() { local now; now=$(process sentry-kernel kernel-2); [[ $now =~ ^[0-9]+$ ]] && [ "$now" != "$kernel" ]; }
        await 10 another || break
done
check "kill -9 of its sentry-kernel, five times: it calls on" await 10 running kernel-2
end_process "$LAUNCHER"
reaped "$LAUNCHER"
isnt "$RC" 0 "… and never got a wrong answer"
nothing_left "kill -9 under load"

# ---- the embedded manager

launch manager-1 sh -c "$counter"
if check "a sandbox runs" await 10 running manager-1 && check "… and its program counts" counts; then
        manager=$(process sentryd)
        like "$manager" '^[0-9]+$' "… there is one manager: $manager"
        kill -KILL "$manager"
        check "kill -9 of the manager" await 10 gone "$manager"
        check "… the program goes on" counts
        gone "$LAUNCHER"
        is $? 1 "… so does its launcher"
        status_is 7 "… a new sandbox can be started beside it" sctl run sh -c 'exit 7'
        end_process "$LAUNCHER"
        nothing_left "ending it"
fi
launch manager-2 sh -c "until test -e '$TESTDIR/shared/end'; do uname >/dev/null; done; exit 33"
check "another" await 10 running manager-2
kill -KILL "$(process sentryd)"
check "without a manager" await 10 eval '[ -z "$(process sentryd)" ]'
touch "$TESTDIR/shared/end"
reaped "$LAUNCHER"
is "$RC" 33 "… a program ends by itself, with its own status"
check "the next sandbox clears away what the manager left" sctl run true
nothing_left "after it"

# ---- asking nicely

# Not SIGINT: bash starts background jobs with it ignored. terminal.sh has it.
for signo in TERM HUP; do
        launch "ask-$signo" sh -c 'sleep 1000'
        check "a sandbox that sleeps" await 10 running "ask-$signo"
        kill -"$signo" "$LAUNCHER"
        reaped "$LAUNCHER"
        is "$RC" $((128 + $(kill -l "$signo"))) "SIG$signo to the launcher ends the sandbox with its number"
done
launch handles sh -c 'trap "exit 44" TERM; echo ready; while :; do sleep 0.05; done'
await 10 grep -q ready "$TESTDIR/handles.out"
kill -TERM "$LAUNCHER"
reaped "$LAUNCHER"
is "$RC" 44 "a program that handles SIGTERM gets it through the launcher"
nothing_left "after all"
done_testing
