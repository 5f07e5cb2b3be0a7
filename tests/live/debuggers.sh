#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# strace and gdb inside, with PIDs of the sandbox's own and with the host's.

. "${srcdir:-.}/tests/lib/tap.sh"

command -v strace >/dev/null || skip_all "strace is missing"
mkdir "$TESTDIR/profiles"
for scope in 0 1 2 3; do
        printf '{ "sentry": { "extends": "default", "ptraceScope": %d } }' $scope >"$TESTDIR/profiles/scope$scope.json"
done
printf '{ "sentry": { "extends": "default", "ptraceScope": 2, "emulatedCapabilities": ["CAP_SYS_PTRACE"] } }' \
        >"$TESTDIR/profiles/tracer.json"
chmod 755 "$TESTDIR/profiles"
chmod 644 "$TESTDIR"/profiles/*
export SENTRYD_PROFILE_PATH=$TESTDIR/profiles:$SENTRYD_BUILD/profiles

profiles_of_user() { # the plain user's environment is made anew
        as_user_env=$(declare -f as_user)
        eval "${as_user_env/HOME=/SENTRYD_PROFILE_PATH=\"\$USER_PROFILES\" HOME=}"
        # shellcheck disable=SC2034 # by as_user, as it is from now on
        USER_PROFILES=$TESTDIR/profiles:$(dirname "$USER_CTL")/profiles
}

# shellcheck disable=SC2016
stracing() {
        local w=$WHO pid out
        [ "$w" != user ] || [ "$(id -u)" -ne 0 ] || profiles_of_user
        for pid in private host; do
                out=$(sctl run --pid "$pid" strace -f -e trace=uname,execve sh -c 'uname -n' 2>&1)
                contains "$out" 'uname({sysname="Linux"' "$w: pid $pid: strace shows an emulated call"
                contains "$out" '+++ exited with 0 +++' "$w: pid $pid: … and the end"
                contains "$out" $'\nsandbox\n' "$w: pid $pid: … of a program that does what it does"
                out=$(sctl run --pid "$pid" sh -c 'sleep 1000 & timeout 10 strace -p $!; kill $!' 2>&1)
                contains "$out" 'not permitted' "$w: pid $pid: a sibling is not traced in scope 1"
        done
        out=$(sctl run --profile scope0 sh -c 'sleep 1000 & s=$!; timeout 5 strace -o /tmp/trace -p $s 2>/tmp/err & t=$!
                while ! grep -q attached /tmp/err; do sleep 0.05; done
                kill $s; wait $t; cat /tmp/trace' 2>&1)
        contains "$out" 'SIGTERM' "$w: in scope 0 it is"
        for scope in 2 3; do
                check_fails "$w: in scope $scope a child is not traced either" \
                        sctl run --profile scope"$scope" strace -o /dev/null true
        done
        check "$w: … but with the capability in scope 2" sctl run --profile tracer strace -o /dev/null true
}

# shellcheck disable=SC2016
debugging() {
        local w=$WHO pid out
        command -v gdb >/dev/null || {
                skip "$w: gdb" "gdb is missing"
                return
        }
        for pid in private host; do
                out=$(sctl run --pid "$pid" gdb -nx -batch -ex 'break uname' -ex run -ex 'info inferiors' -ex 'kill' \
                        --args /bin/uname -n 2>&1)
                like "$out" 'Breakpoint 1(\.1)?, ' "$w: pid $pid: gdb stops a program it has started" || diag "$out"
                out=$(sctl run --pid "$pid" gdb -nx -batch -ex run -ex 'print $_exitcode' --args /bin/sh -c 'uname -n; exit 7' 2>&1)
                contains "$out" 'exited with code 07' "$w: pid $pid: gdb sees the end of one"
                out=$(sctl run --pid "$pid" /usr/bin/python3 -c '
import ctypes, os, subprocess, sys, time
PR_SET_PTRACER = 0x59616d61
if len(sys.argv) > 1 and ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0) != 0:
    sys.exit("prctl")
child = subprocess.run(["gdb", "-nx", "-batch", "-p", str(os.getpid()), "-ex", "info proc", "-ex", "detach"],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL)
print(child.stdout, child.stderr)' exception 2>&1)
                contains "$out" 'exe = ' "$w: pid $pid: gdb attaches to its parent, who asked for it" || diag "$out"
                out=$(sctl run --pid "$pid" sh -c 'exec </dev/null; gdb -nx -batch -p $$ -ex "info proc" -ex detach' 2>&1)
                contains "$out" 'not permitted' "$w: pid $pid: … and to none who did not" || diag "$out"
        done
}

each_user stracing
each_user debugging
done_testing
