# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # RC, REASON and WORK are for the tests
#
# What the shell tests share: TAP on stdout with the plan at the end, a directory and a runtime directory of the
# test's own, sentryctl as root and as a plain user, waiting with a deadline, ending what was started.
#
#     . "${srcdir:-.}/tests/lib/tap.sh"
#     is "$(sctl run uname -n)" sandbox "the host name is the sandbox's"
#     done_testing
#
# A test that ends before done_testing has no plan, which fails it.

set -u
set +e
export LC_ALL=C
umask 022

srcdir=$(cd "${srcdir:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
SENTRYD_BUILD=${SENTRYD_BUILD:-$srcdir/build}
SENTRYCTL=${SENTRYCTL:-$SENTRYD_BUILD/sentryctl}
# The distribution's programs, not those of somebody's home directory: a plain user must be able to run them too.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# No daemon but this test's own may answer.
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent/system-bus
export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/session-bus
unset SENTRYD_PROFILE_PATH XDG_CONFIG_HOME

TAP_COUNT=0
TAP_FAILED=0
TAP_DONE=
TAP_PIDS=()

# ---- results -------------------------------------------------------------------------------------------------

diag() {
        local line
        while IFS= read -r line || [ -n "$line" ]; do
                printf '#   %s\n' "$line"
        done <<<"$*"
}

ok() { # DESCRIPTION: one check that held
        TAP_COUNT=$((TAP_COUNT + 1))
        printf 'ok %d - %s\n' "$TAP_COUNT" "${1//\#/\\#}"
}

not_ok() { # DESCRIPTION [DIAGNOSTIC…]: one check that did not hold; always "fails"
        TAP_COUNT=$((TAP_COUNT + 1))
        TAP_FAILED=$((TAP_FAILED + 1))
        printf 'not ok %d - %s\n' "$TAP_COUNT" "${1//\#/\\#}"
        diag "failed at ${BASH_SOURCE[$((${#BASH_SOURCE[@]} - 1))]##*/}:${BASH_LINENO[$((${#BASH_LINENO[@]} - 2))]}"
        shift
        local d
        for d; do diag "$d"; done
        return 1
}

skip() { # DESCRIPTION REASON: one check that cannot be made here
        TAP_COUNT=$((TAP_COUNT + 1))
        printf 'ok %d - %s # SKIP %s\n' "$TAP_COUNT" "${1//\#/\\#}" "${2//\#/}"
}

skip_all() { # REASON: before the first check
        printf '1..0 # SKIP %s\n' "${1//\#/}"
        TAP_DONE=1
        exit 0
}

bail() { # REASON
        printf 'Bail out! %s\n' "$*"
        TAP_DONE=1
        exit 1
}

is() { # GOT EXPECTED DESCRIPTION
        if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:      $1" "expected: $2"; fi
}

isnt() { # GOT UNEXPECTED DESCRIPTION
        if [ "$1" != "$2" ]; then ok "$3"; else not_ok "$3" "got, as it should not: $1"; fi
}

like() { # GOT EXTENDED-REGEX DESCRIPTION
        if [[ $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:             $1" "does not match:  $2"; fi
}

contains() { # GOT TEXT DESCRIPTION
        if [[ $1 == *"$2"* ]]; then ok "$3"; else not_ok "$3" "got:              $1" "does not contain: $2"; fi
}

unlike() { # GOT EXTENDED-REGEX DESCRIPTION
        if [[ ! $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:     $1" "matches: $2"; fi
}

check() { # DESCRIPTION COMMAND…: it succeeds. Its output shows only when it does not.
        local description=$1 out rc
        shift
        out=$("$@" 2>&1)
        rc=$?
        if [ $rc -eq 0 ]; then ok "$description"; else not_ok "$description" "status $rc: $*" "$out"; fi
}

check_fails() { # DESCRIPTION COMMAND…: it fails, by itself and not by a signal or our time-out
        local description=$1 out rc
        shift
        out=$("$@" 2>&1)
        rc=$?
        if [ $rc -ne 0 ] && [ $rc -lt 124 ]; then
                ok "$description"
        else
                not_ok "$description" "status $rc: $*" "$out"
        fi
}

status_is() { # EXPECTED DESCRIPTION COMMAND…
        local expected=$1 description=$2 out rc
        shift 2
        out=$("$@" 2>&1)
        rc=$?
        if [ $rc -eq "$expected" ]; then
                ok "$description"
        else
                not_ok "$description" "status $rc, expected $expected: $*" "$out"
        fi
}

# ---- waiting and ending --------------------------------------------------------------------------------------

await() { # SECONDS COMMAND…: until it succeeds; 1 when it has not by the deadline
        local end=$((SECONDS + $1 + 1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ "$SECONDS" -lt "$end" ] || return 1
                sleep 0.05
        done
}

signal_launcher() { # SIGNAL [VERB]: sends it to every sentryctl of the current user's that runs a program, or does VERB
        local pid
        for pid in $(daemons_of "$(runtime)" sentryctl); do
                # P0 alone, the waiting parent: the others are its children.
                [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 2p)" = "${2:-run}" ] && kill -"$1" "$pid"
        done
}

gone() { # PID…: none of these processes exists (a zombie is no process any more)
        local pid state
        for pid; do
                state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)
                case $state in '' | Z | X) ;; *) return 1 ;; esac
        done
}

started() { TAP_PIDS+=("$@"); } # remembers processes to end with the test

end_process() { # PID: asks, then makes it
        kill -TERM "$1" 2>/dev/null || return 0
        await 5 gone "$1" || kill -KILL "$1" 2>/dev/null
        wait "$1" 2>/dev/null
}

reaped() { # PID [SECONDS]: RC is the exit status of this child of the shell, 124 when it did not end in time
        if await "${2:-20}" gone "$1"; then
                wait "$1"
                RC=$?
        else
                RC=124
        fi
}

# ---- places --------------------------------------------------------------------------------------------------

TESTDIR=$(mktemp -d "${TMPDIR:-/tmp}/sentryd-test.XXXXXX") || exit 1
chmod 755 "$TESTDIR"
mkdir -m 700 "$TESTDIR/run"
mkdir -m 755 "$TESTDIR/home"
export XDG_RUNTIME_DIR=$TESTDIR/run
export HOME=$TESTDIR/home

descends() { # PID: it comes from this shell
        local pid=$1
        while [ "${pid:-0}" -gt 1 ]; do
                [ "$pid" != $$ ] || return 0
                pid=$(sed -n 's/^PPid:\t//p' "/proc/$pid/status" 2>/dev/null)
        done
        return 1
}

# Launchers and who they leave behind are not dumpable: to who is not root their /proc says little more than their name.
program_of() { # PID: sentryd, sentry-kernel, sentry-keeper …
        local exe
        exe=$(readlink "/proc/$1/exe" 2>/dev/null) || exe=$(cat "/proc/$1/comm" 2>/dev/null) || return 1
        [ "$(cat "/proc/$1/comm" 2>/dev/null)" != sentry-keeper ] || exe=sentry-keeper
        echo "${exe##*/}"
}

of_runtime() { # RUNTIME-DIRECTORY PID: a process of that directory, which is in its environment; of ours if that is closed
        if [ -r "/proc/$2/environ" ]; then
                tr '\0' '\n' 2>/dev/null <"/proc/$2/environ" | grep -qxF "XDG_RUNTIME_DIR=$1"
        else
                [ "$1" = "$XDG_RUNTIME_DIR" ] && ! gone "$2" && descends "$2"
        fi
}

# The processes of this test's daemons.
daemons_of() { # RUNTIME-DIRECTORY [PROGRAM]; keepers are a program of their own here
        local dir pid
        for dir in /proc/[0-9]*; do
                pid=${dir#/proc/}
                [ -z "${2:-}" ] || [ "$(program_of "$pid")" = "$2" ] || continue
                case $(program_of "$pid") in
                sentryd | sentry-kernel | sentry-keeper | sentryctl) ;;
                *) continue ;;
                esac
                of_runtime "$1" "$pid" && echo "$pid"
        done
}

tap_exit() {
        local rc=$? pid
        trap - EXIT
        for pid in "${TAP_PIDS[@]}"; do
                end_process "$pid"
        done
        for pid in $(daemons_of "$TESTDIR/run") $(daemons_of "$TESTDIR/user-run"); do
                kill -KILL "$pid" 2>/dev/null
        done
        if [ -z "$TAP_DONE" ]; then
                echo "# the test died before its plan (status $rc)"
                [ $rc -ne 0 ] || rc=1
        fi
        leave_cgroup
        # A sandbox's mounts live in its own namespace: what is here is ours to remove.
        rm -rf --one-file-system -- "$TESTDIR"
        exit "$rc"
}
trap tap_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

# ---- sentryctl -----------------------------------------------------------------------------------------------

T=${SENTRYD_TEST_TIMEOUT:-30} # seconds that one command may take
export TERM=${TERM:-dumb}

[ -x "$SENTRYCTL" ] || bail "$SENTRYCTL is missing: build it, or set SENTRYCTL="

USER_ID=1000
WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
WORK=$TESTDIR/home # where the current user may write

tap_user_setup() { # makes everything the plain user needs; 1 with REASON when this is not possible
        [ -z "${USER_CTL:-}" ] || return 0
        REASON=
        if [ "$(id -u)" -ne 0 ]; then
                USER_CTL=$SENTRYCTL
                USER_RUN=$TESTDIR/run
                USER_HOME=$TESTDIR/home
                return 0
        fi
        command -v setpriv >/dev/null || {
                REASON="setpriv is missing"
                return 1
        }
        USER_RUN=$TESTDIR/user-run
        USER_HOME=$TESTDIR/user-home
        mkdir -m 700 "$USER_RUN" "$USER_HOME"
        chown $USER_ID:$USER_ID "$USER_RUN" "$USER_HOME"
        USER_CTL=$SENTRYCTL
        if ! setpriv --reuid $USER_ID --regid $USER_ID --clear-groups test -x "$SENTRYCTL"; then
                # The build lies where a plain user can't go: what he would have installed, elsewhere.
                mkdir -m 755 "$TESTDIR/bin"
                cp -rL "$SENTRYD_BUILD"/{sentryctl,sentryd,sentry-kernel,sentry-init,sentry-imager,sentry-stub,profiles} "$TESTDIR/bin/" || {
                        REASON="cannot copy the programs for a plain user"
                        return 1
                }
                chmod -R a+rX "$TESTDIR/bin"
                USER_CTL=$TESTDIR/bin/sentryctl
        fi
}

as_user() { # COMMAND…: as the plain user, in his directories
        local keep=(DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS"
                DBUS_SESSION_BUS_ADDRESS="$DBUS_SESSION_BUS_ADDRESS" PATH="$PATH" LC_ALL=C TERM="${TERM:-dumb}"
                XDG_RUNTIME_DIR="$USER_RUN" HOME="$USER_HOME" SENTRYCTL="$USER_CTL")
        [ -z "${ASAN_OPTIONS:-}" ] || keep+=(ASAN_OPTIONS="$ASAN_OPTIONS")
        [ -z "${UBSAN_OPTIONS:-}" ] || keep+=(UBSAN_OPTIONS="$UBSAN_OPTIONS")
        if [ "$(id -u)" -eq 0 ]; then
                setpriv --reuid $USER_ID --regid $USER_ID --clear-groups env -i "${keep[@]}" "$@"
        else
                "$@"
        fi
}

sctl() { # sentryctl as the current user ($WHO), bounded in time
        if [ "$WHO" = user ] && [ "$(id -u)" -eq 0 ]; then
                as_user timeout -k 5 "$T" "$USER_CTL" "$@"
        else
                timeout -k 5 "$T" "$SENTRYCTL" "$@"
        fi
}

each_user() { # FUNCTION: once as root (if we are), once as a plain user
        if [ "$(id -u)" -eq 0 ]; then
                WHO=root WORK=$TESTDIR/home
                "$1"
        else
                skip "$1 as root" "the tests run as a plain user"
        fi
        if tap_user_setup; then
                WHO=user WORK=$USER_HOME
                "$1"
        else
                skip "$1 as a plain user" "$REASON"
        fi
        WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
        WORK=$TESTDIR/home
}

runtime() { # the current user's runtime directory
        if [ "$WHO" = user ]; then echo "${USER_RUN:-$TESTDIR/run}"; else echo "$TESTDIR/run"; fi
}

# Processes of the sandboxes of a runtime directory end shortly after the last sandbox does.
# A control group (version 2) of the test's own, delegated to root and to the plain user, so that sandboxes get theirs
# below it and nobody else's are there: own_cgroup once, then enter_cgroup as the current user ($WHO).
CGROUP=
own_cgroup() { # 1 with REASON when there is none to be had
        local mount who
        mount=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
        REASON="there are no control groups of version 2 here that we may use"
        [ "$(id -u)" -eq 0 ] && [ -n "$mount" ] || return 1
        CGROUP_BEFORE=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
        mkdir "$mount/${TESTDIR##*/}" 2>/dev/null || return 1
        CGROUP=$mount/${TESTDIR##*/}
        for who in root user; do
                mkdir "$CGROUP/$who"
        done
        chown "$USER_ID" "$CGROUP/user" "$CGROUP/user"/cgroup.{procs,subtree_control}
}
enter_cgroup() { [ -z "$CGROUP" ] || echo $BASHPID >"$CGROUP/$WHO/cgroup.procs"; }
cgroups() { [ -z "$CGROUP" ] || find "$CGROUP" -mindepth 2 -type d | sort; } # of sandboxes, in our own one
leave_cgroup() {
        [ -n "$CGROUP" ] || return 0
        echo $BASHPID >"$CGROUP_BEFORE/cgroup.procs"
        rmdir "$CGROUP"/*/* "$CGROUP"/* "$CGROUP" 2>/dev/null
        return 0
}

daemons_gone() { [ -z "$(daemons_of "${1:-$(runtime)}")" ]; }

sanitizer_reports() { # in the daemons' logs of this test
        cat "$TESTDIR"/run/sentryd/log "$TESTDIR"/user-run/sentryd/log 2>/dev/null |
                grep -E -A 12 'ERROR: (Address|Leak)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL|: Assertion '
}

done_testing() {
        local reports
        WHO=$([ "$(id -u)" -eq 0 ] && echo root || echo user)
        reports=$(sanitizer_reports | head -n 40)
        is "$reports" "" "no daemon was caught by a sanitizer or an assertion"
        printf '1..%d\n' "$TAP_COUNT"
        [ $TAP_FAILED -eq 0 ] || diag "$TAP_FAILED of $TAP_COUNT failed"
        TAP_DONE=1
        exit $((TAP_FAILED > 0))
}

# ---- odds and ends -------------------------------------------------------------------------------------------

json() { # EXPRESSION: evaluates Python on the document at stdin, `d`; prints the result
        /usr/bin/python3 -c 'import json, sys
d = json.load(sys.stdin)
r = eval(sys.argv[1])
print(r if isinstance(r, (str, int)) else json.dumps(r))' "$1"
}

mine() { # FILE…: gives files that the test made to the current user
        if [ "$WHO" = user ] && [ "$(id -u)" -eq 0 ]; then chown -R "$USER_ID:$USER_ID" "$@"; fi
}

listed() { # NAME: the sandbox is in the current user's list
        sctl --no-legend list 2>/dev/null | grep -qw -- "$1"
}

running() { # NAME: … and its program runs
        sctl --no-legend list 2>/dev/null | grep -w -- "$1" | grep -qw running
}

nothing_listed() { [ -z "$(sctl -q --no-legend list 2>&1)" ]; }
