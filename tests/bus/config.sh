#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryd.conf and its drop-ins: where they lie, which counts, what is wrong in them, reading them again; and
# org.freedesktop.LogControl1. On a session bus of the test's own.

if [ -z "${SENTRYD_TEST_BUS:-}" ]; then
        command -v dbus-run-session >/dev/null || {
                echo '1..0 # SKIP dbus-run-session is missing'
                exit 0
        }
        exec env SENTRYD_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
fi
bus_address=$DBUS_SESSION_BUS_ADDRESS
. "${srcdir:-.}/tests/lib/tap.sh"
export DBUS_SESSION_BUS_ADDRESS=$bus_address

LOG=$TESTDIR/run/sentryd/log
CONF=$TESTDIR/conf
export SENTRYD_CONFIG_PATH=$CONF/etc:$CONF/run:$CONF/lib
mkdir -m 700 "$TESTDIR/run/sentryd"
mkdir -p "$CONF"/{etc,run,lib}/sentryd.conf.d "$TESTDIR/profiles"
echo '{"hostname":"of-mine","sentry":{"extends":"default"}}' >"$TESTDIR/profiles/mine.json"
"$SENTRYCTL" profile list --json=short >"$TESTDIR/list"
vendor=$(json '[p for p in d if p["name"] == "default"][0]["file"].rsplit("/", 1)[0]' <"$TESTDIR/list")
check "the usual profiles lie somewhere" [ -d "$vendor" ]

conf() { # FILE LINE…: below [Manager]
        local file=$CONF/$1
        shift
        printf '%s\n' '[Manager]' "$@" >"$file"
}
daemon=
n_reloads=0
start() {
        rm -f "$LOG"
        n_reloads=0
        "$SENTRYD_BUILD/sentryd" --user </dev/null >>"$LOG" 2>&1 &
        daemon=$!
        started $daemon
        check "sentryd starts" await 15 owned || bail "$(cat "$LOG")"
}
owned() { busctl --user --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s org.sentryd1 | grep -q true; }
not_owned() { ! owned; }
stop() {
        end_process "$daemon"
        check "it stops" await 10 not_owned
}
reloaded() { [ "$(grep -c 'configuration was read again' "$LOG")" -eq "$n_reloads" ]; }
reload() { # needs a level that tells
        kill -HUP "$daemon"
        n_reloads=$((n_reloads + 1))
        check "SIGHUP has the configuration read" await 10 reloaded
}
level() { "$SENTRYCTL" --user log-level "$@" 2>&1; }
hostname_is() { "$SENTRYCTL" --user run uname -n 2>&1; }

# ---- none at all

start
is "$(level)" info "without configuration: the level is info"
is "$(hostname_is)" sandbox "… the profile is default"
unlike "$(cat "$LOG")" 'warning|ignored|unknown' "… and there is nothing to complain about"

# ---- good ones

conf lib/sentryd.conf LogLevel=warning DefaultProfile=no-such
conf run/sentryd.conf 'MaxSandboxes=7'
reload
is "$(hostname_is)" sandbox "the first file alone counts"
conf etc/sentryd.conf '# a comment' '' '; another' "  ProfilePath = $TESTDIR/profiles:$vendor  " 'DefaultProfile=mine'
reload
is "$(hostname_is)" of-mine "ProfilePath= and DefaultProfile="
is "$("$SENTRYCTL" --user run --unsetenv=FOO uname -n 2>&1)" of-mine "… in another way to make a sandbox, too"
conf lib/sentryd.conf.d/10-x.conf DefaultProfile=build
conf run/sentryd.conf.d/20-y.conf DefaultProfile=default
reload
is "$(hostname_is)" sandbox "drop-ins count more, the last by its name most"
ln -s /dev/null "$CONF/etc/sentryd.conf.d/20-y.conf"
conf etc/sentryd.conf.d/10-x.conf 'DefaultProfile=mine' 'DefaultProfile='
conf etc/sentryd.conf.d/05-z.conf 'DefaultProfile=mine'
reload
is "$(hostname_is)" sandbox "a link to /dev/null takes one out of force, one of the same name counts instead, an empty value is the default"
rm "$CONF"/*/sentryd.conf.d/*
conf etc/sentryd.conf MaxSandboxes=2 MaxSandboxesPerUser=1
reload
"$SENTRYCTL" --user run --name one sleep 1000 &
started $!
one_runs() { "$SENTRYCTL" --user --no-legend list | grep -qw running; }
check "one sandbox runs" await 20 one_runs
out=$("$SENTRYCTL" --user run true 2>&1)
contains "$out" "no user may have more than 1" "MaxSandboxesPerUser= holds"
conf etc/sentryd.conf MaxSandboxes=1
reload
out=$("$SENTRYCTL" --user run true 2>&1)
contains "$out" "no more than 1 are allowed" "MaxSandboxes= holds"
"$SENTRYCTL" --user kill --wait one
conf etc/sentryd.conf WatchdogSec=77
reload
"$SENTRYCTL" --user run --name watched sleep 1000 &
started $!
check "one more runs" await 20 one_runs
kernel=$(pgrep -P "$daemon" -x sentry-kernel)
is "$(tr '\0' '\n' <"/proc/$kernel/environ" | grep WATCHDOG)" SENTRYD_WATCHDOG_SEC=77 "WatchdogSec= reaches sentry-kernels"
"$SENTRYCTL" --user kill --wait watched

# ---- bad ones

complains() { # LINE TEXT DESCRIPTION: about a line in a file that is otherwise good
        : >"$LOG"
        n_reloads=0
        conf etc/sentryd.conf "$1" 'DefaultProfile=build'
        reload
        contains "$(cat "$LOG")" "$2" "$3"
        contains "$(cat "$LOG")" "$CONF/etc/sentryd.conf:2: " "… with file and line"
}
complains MaxSandbox=3 'did you mean "MaxSandboxes"?' "a misspelled key"
complains loglevel=debug 'did you mean "LogLevel"?' "a key in small letters"
complains Frobnicate=yes 'known are LogLevel=, MaxSandboxes=' "an unknown key"
complains MaxSandboxes=many 'expected a number from 1 to 16384, found "many"' "a number that is none"
complains MaxSandboxes=0 'found "0"' "a number that is too small"
complains MaxSandboxes=99999999999 'found "99999999999"' "a number that is too large"
complains LogLevel=loud 'expected error, warning, info, debug' "a level that is none"
complains ProfilePath=relative 'expected absolute paths' "a path that is not absolute"
complains DefaultProfile=../x 'expected the name of a profile' "a name that is none"
complains WatchdogSec=10s 'expected a number of seconds' "a time that is none"
complains 'nonsense' 'expected KEY=VALUE, found "nonsense"' "no key at all"
complains '[Manger]' 'is no section' "a section that is none"
complains $'\e[31m=1' 'unknown key "?[31m"' "control characters are not repeated"
: >"$LOG"
n_reloads=0
echo 'LogLevel=debug' >"$CONF/etc/sentryd.conf"
reload
contains "$(cat "$LOG")" "write [Manager] above it" "a key in no section"
is "$(level)" info "… does not count"
printf 'x\0y' >"$CONF/etc/sentryd.conf"
reload
contains "$(cat "$LOG")" "is not a text" "a file that is no text"
head -c 300000 /dev/zero | tr '\0' '#' >"$CONF/etc/sentryd.conf"
reload
contains "$(cat "$LOG")" "larger than" "a file that is too large"
rm "$CONF/etc/sentryd.conf"
mkfifo "$CONF/etc/sentryd.conf"
reload
contains "$(cat "$LOG")" "Failed to read $CONF/etc/sentryd.conf" "a pipe does not hold it up"
rm "$CONF/etc/sentryd.conf"
conf etc/sentryd.conf DefaultProfile=absent
reload
out=$(hostname_is)
contains "$out" 'no profile "absent"' "a default profile that is not there is told when it is wanted"

# ---- the level of the log

conf etc/sentryd.conf LogLevel=debug
reload
is "$(level)" debug "LogLevel="
is "$("$SENTRYCTL" --user --json=short log-level | json 'd["level"]')" debug "… as JSON"
check "log-level sets it" level warning
is "$(level)" warning "… it is set"
: >"$LOG"
kill -HUP "$daemon"
is_debug() { [ "$(level)" = debug ]; }
check "… until the next reload" await 10 is_debug
contains "$(level loud)" '"loud" is no log level: it may be emerg' "a level that is none"
status_is 1 "… fails" "$SENTRYCTL" --user log-level loud
status_is 2 "two levels are one too many" "$SENTRYCTL" --user log-level info info
get() { busctl --user get-property org.sentryd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 "$@" 2>&1; }
set_property() { busctl --user set-property org.sentryd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 "$@" 2>&1; }
is "$(get SyslogIdentifier)" 's "sentryd"' "SyslogIdentifier"
is "$(get LogTarget)" 's "console"' "LogTarget"
check "LogTarget can be null" set_property LogTarget s null
: >"$LOG"
level debug
is "$(hostname_is)" sandbox "… a program runs"
# What a sanitizer has to say of a process that ends is not ours.
is "$(grep -v '^==[0-9]*==' "$LOG")" '' "… and nothing is logged"
contains "$(set_property LogTarget s journal)" "nowhere to log to" "LogTarget can't be the journal when stderr is a file"
check "LogTarget can be auto again" set_property LogTarget s auto
is "$(get LogTarget)" 's "console"' "… which is what it was"
stop

# ---- the environment

export SENTRYD_LOG_LEVEL=warning SENTRYD_PROFILE_PATH=$vendor
conf etc/sentryd.conf LogLevel=debug "ProfilePath=$TESTDIR/profiles" DefaultProfile=default
start
is "$(level)" warning "SENTRYD_LOG_LEVEL counts more than LogLevel="
is "$(hostname_is)" sandbox "SENTRYD_PROFILE_PATH counts more than ProfilePath="
stop
unset SENTRYD_LOG_LEVEL SENTRYD_PROFILE_PATH

# ---- the user's own

unset SENTRYD_CONFIG_PATH
mkdir -p "$HOME/.config/sentryd/sentryd.conf.d"
printf '[Manager]\nLogLevel=err\n' >"$HOME/.config/sentryd/sentryd.conf.d/x.conf"
start
is "$(level)" err "a user has a configuration of his own"
stop

done_testing
