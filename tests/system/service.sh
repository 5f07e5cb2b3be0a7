#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryd as a service of a real systemd: installed, enabled, activated by the buses, its walls, several users, and
# nothing left afterwards.

. "${srcdir:-.}/tests/lib/boot.bash"

UNIT=sentryd.service
show() { systemctl show --value -p "$1" $UNIT; }
as() { # USER COMMAND…: as that user, without a session
        local uid=$1
        shift
        setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/tmp timeout -k 5 "$T" "$@"
}
session() { # USER COMMAND…: as that user, with the bus of his session
        local uid=$1
        shift
        as "$uid" env XDG_RUNTIME_DIR="/run/user/$uid" "$@"
}
ctl() { timeout -k 5 "$T" sentryctl "$@"; }
journal() { journalctl --no-pager -b -u $UNIT "$@"; }
left() { pgrep "$@" -x sentryd; pgrep "$@" -x sentry-kernel; } # processes, of a user's or of all
none_left() { [ -z "$(left "$@")" ]; }
alices_kernel() { # the only one, once those before are gone
        kernel=$(pgrep -u "$ALICE_ID" -x sentry-kernel)
        [[ $kernel =~ ^[0-9]+$ ]]
}
inactive() { [ "$(systemctl is-active "$UNIT")" = inactive ]; }
active() { [ "$(systemctl is-active "$UNIT")" = active ]; }

# ---- as installed

is "$(systemd-analyze verify --man=no $UNIT 2>&1 | grep -v '^$')" '' "the system's unit is well-formed"
is "$(systemd-analyze verify --user --man=no /usr/local/lib/systemd/user/$UNIT 2>&1 | grep sentryd)" '' "the user's unit is well-formed"
check "systemd-analyze security gives at most 2.0" systemd-analyze security --threshold=20 --no-pager $UNIT
is "$(systemctl is-enabled $UNIT)" disabled "it is not enabled by installing it"
contains "$(ctl --system run true 2>&1)" "cannot be started" "nor started by the bus then"

# Everything that the filter of a sentry-kernel allows must pass that of the unit that it inherits; but for mounts, which
# sentryd(8) says this instance does not make.
granted=$(for name in $(systemctl show --value -p SystemCallFilter $UNIT); do echo "$name"; done | sort -u)
wanted=$(sed -n '/^static const char \*const allowed\[\]/,/^};/p' "$srcdir/daemon/kernel/confine.c" | grep -o '"[a-z0-9_]*"' | tr -d '"' | sort -u)
is "$(comm -13 <(echo "$granted") <(echo "$wanted") | xargs)" '' "its filter allows what a sentry-kernel needs"
contains "$wanted" process_vm_readv "… of which there is a list"

# ---- enable and start

check "systemctl enable --now" systemctl enable --now $UNIT
is "$(systemctl is-active $UNIT)" active "it is active"
is "$(show Type) $(show NotifyAccess) $(show KillMode) $(show Restart)" "notify main process always" "Type, NotifyAccess, KillMode, Restart"
is "$(show FileDescriptorStoreMax) $(show LimitNOFILE) $(show WatchdogUSec)" "4096 65536 1min" "its store, its limit, its watchdog"
contains "$(show StatusText)" "Ready" "it tells its status"
main=$(show MainPID)
is "$(sed -n 's/^Seccomp:\t//p' "/proc/$main/status") $(sed -n 's/^NoNewPrivs:\t//p' "/proc/$main/status")" "2 1" "it is filtered"
is "$(ctl --system run uname -n)" sandbox "root runs a program"
is "$(show MainPID)" "$main" "… in the same daemon"

# ---- bus activation

check "systemctl stop" systemctl stop $UNIT
is "$(as $ALICE_ID sentryctl --system run uname -n 2>&1)" sandbox "a plain user's first call starts it"
check "… and it is active" active

# ---- users

mkfifo /test/in
exec 9<>/test/in
as $ALICE_ID sentryctl --system run --name hers cat </test/in >/test/hers 2>&1 &
alice=$!
started $alice
alice_runs() { as "$ALICE_ID" sentryctl --system --no-legend list | grep -w hers | grep -qw running; }
check "alice has a sandbox" await 30 alice_runs || diag "$(cat /test/hers)"
await 20 alices_kernel
like "$kernel" '^[0-9]+$' "its sentry-kernel is hers"
is "$(sed -n 's/^Cap[EP].*:\t//p' "/proc/$kernel/status" | sort -u)" 0000000000000000 "… without capabilities"
like "$(ctl --system --no-legend list)" 'hers .*running' "root sees it"
is "$(as $BOB_ID sentryctl -q --system --no-legend list)" '' "bob does not"
for verb in kill pause resume status ps; do
        out=$(as $BOB_ID sentryctl --system $verb hers 2>&1)
        rc=$?
        isnt $rc 0 "bob: $verb fails"
        like "$out" "[Ss]andbox.*hers" "… and says why"
done
check "… which changed nothing" alice_runs
is "$(as $BOB_ID sentryctl --system run uname -n 2>&1)" sandbox "bob runs his own"

# ---- polkit

busy() { as $BOB_ID busctl --system --timeout=30 --allow-interactive-authorization=no call org.sentryd1 /org/sentryd1/sandbox/hers org.sentryd1.Sandbox "$@"; }
for action in inspect trace control kill exec; do
        contains "$(pkaction --verbose --action-id org.sentryd1.$action-others 2>&1)" "auth_admin_keep" "polkit knows org.sentryd1.$action-others"
done
contains "$(busy Pause 2>&1)" "would ask for a password" "an administrator's password could let bob pause it"
cat >/etc/polkit-1/rules.d/10-test.rules <<END
polkit.addRule(function(action, subject) {
        if (action.id == "org.sentryd1.control-others" && subject.user == "bob" && action.lookup("sandbox") == "hers" &&
            action.lookup("owner") == "$ALICE_ID")
                return polkit.Result.YES;
        if (action.id == "org.sentryd1.kill-others" && subject.user == "bob")
                return polkit.Result.NO;
});
END
# polkitd looks at its rules again when they change, a moment later.
check "a rule lets him" await 20 busy Pause
like "$(ctl --system --no-legend list)" 'hers .*paused' "… it is paused"
check "… and resume it" busy Resume
contains "$(busy Kill i 1 2>&1)" "Access denied" "… but not kill it"
contains "$(as $BOB_ID sentryctl --system ps hers 2>&1)" "password" "… nor look at it unasked"
systemctl mask --runtime --now polkit.service 2>/dev/null
contains "$(busy Pause 2>&1)" "Access denied" "without polkitd he may nothing"
systemctl unmask --runtime polkit.service 2>/dev/null
check "with it he may again" busy Pause
check "root resumes what he paused" ctl --system resume hers

# ---- the owner again

check "alice pauses" as $ALICE_ID sentryctl --system pause hers
like "$(as $ALICE_ID sentryctl --system --no-legend list)" 'hers .*paused' "… it is paused"
check "root resumes" ctl --system resume hers
check "root kills" ctl --system kill --wait hers
reaped $alice
is "$RC" 137 "… and it ended with the status of a kill"

# ---- configuration

is "$(systemctl service-log-level $UNIT)" info "systemctl service-log-level"
mkdir -p /etc/sentryd/sentryd.conf.d
printf '[Manager]\nLogLevel=debug\nMaxSandboxesPerUser=1\nMaxSandbox=1\n' >/etc/sentryd/sentryd.conf.d/test.conf
main=$(show MainPID)
check "systemctl reload" systemctl reload $UNIT
is_debug() { [ "$(systemctl service-log-level "$UNIT")" = debug ] && active && [[ $(show StatusText) == Ready* ]]; }
check "… has the configuration read" await 20 is_debug
is "$(show MainPID)" "$main" "… by the same process"
contains "$(journal -p warning -o cat)" 'did you mean "MaxSandboxes"' "… and a misspelled key told in the journal"
contains "$(journal -p warning -o cat)" 'test.conf:4: unknown key' "… with file and line"
check "systemctl service-log-level sets it" systemctl service-log-level $UNIT warning
is "$(ctl --system log-level)" warning "… and sentryctl log-level shows it"
contains "$(as $BOB_ID sentryctl --system log-level debug 2>&1)" "org.sentryd1.set-log-level" "bob may not set it"
is "$(as $BOB_ID sentryctl --system log-level 2>&1)" warning "… but see it"
rm -r /etc/sentryd
check "it is reloaded" systemctl reload $UNIT
is_info() { [ "$(systemctl service-log-level "$UNIT")" = info ]; }
check "… to the default" await 20 is_info

# ---- the journal

journal_has() { journalctl -q --no-pager -b "$@" | grep -q .; }
check "a program of alice's does something that is refused" as $ALICE_ID sentryctl --system run --name journalled sh -c 'date -s @0; true'
check "the journal has its start" await 20 journal_has MESSAGE_ID=26419cd47b424840b24ad075c4985e75 SENTRYD_SANDBOX=journalled
check "… and its end" await 20 journal_has MESSAGE_ID=c6de21b83138432994fe29eae21b10f9 SENTRYD_SANDBOX=journalled SENTRYD_STATUS=0
check "… and what was refused" journal_has MESSAGE_ID=8abbdf56142c4c248e956575541e4014 SENTRYD_COMM=date SENTRYD_ERRNO=EPERM SENTRYD_SANDBOX=journalled
check "… found by its owner" journal_has SENTRYD_OWNER=$ALICE_ID
contains "$(journal SENTRYD_SANDBOX=journalled -o cat)" "has ended with status 0" "… as lines for people"
check "the journal's catalog is made anew" journalctl --update-catalog
mapfile -t ids < <(sed -n 's/^#define MESSAGE_.* "\([0-9a-f]*\)"$/\1/p' "$srcdir/daemon/manager/sandbox-log.h")
is ${#ids[@]} 7 "there are message ids"
for id in "${ids[@]}"; do
        contains "$(journalctl --list-catalog "$id" 2>&1)" "sentryd:" "the catalog has $id"
done
explained=$(journalctl -q --no-pager -b -x SENTRYD_SANDBOX=journalled)
contains "$explained" "Sandbox journalled was made" "journalctl -x explains"
contains "$explained" "user with uid" "… with what is behind it"
unlike "$explained" '@SENTRYD' "… and with nothing left out"
as $ALICE_ID sentryctl --system run --name killed sleep 1000 &
started $!
killed_runs() { as "$ALICE_ID" sentryctl --system --no-legend list | grep -w killed | grep -qw running; }
check "a sandbox runs" await 20 killed_runs
await 20 alices_kernel
dead=$kernel
kill -KILL "$kernel"
another() { alices_kernel && [ "$kernel" != "$dead" ]; }
check "the death of its sentry-kernel is not its end" await 20 another
check "… it is still there" await 20 killed_runs
check "… until it is told to end" as "$ALICE_ID" sentryctl --system kill --wait killed
lost=$(journalctl -q --no-pager -b -p err -o cat SENTRYD_SANDBOX=killed)

# ---- what the walls keep out, unless they are lowered as sentryd(8) says

mkdir -p /etc/sentryd/profiles
echo '{ "sentry": { "extends": "default", "network": "private" } }' >/etc/sentryd/profiles/looked.json
# shellcheck disable=SC2016
guest='hostname renamed; ipcmk -Q -M 4096 >/dev/null; exec python3 -c "
import socket, time
s = socket.socket(); s.bind((\"127.0.0.1\", 2222)); s.listen(); time.sleep(1000)"'
as $ALICE_ID sentryctl --system run --profile looked --name looked sh -c "$guest" &
started $!
looked() { as "$ALICE_ID" sentryctl --system --json=short "$@" 2>/dev/null; }
looked_runs() { looked sockets looked | grep -q 127.0.0.1:2222; }
check "sentryctl sockets shows a sandbox behind the walls" await 30 looked_runs
is "$(looked ipc looked | json '[o["kind"] for o in d]')" '["shm", "msg"]' "so does sentryctl ipc"
is "$(as $ALICE_ID sentryctl --system exec looked cat /proc/sys/kernel/hostname)" renamed "sethostname is seen in /proc there, too"
check "it is killed" as $ALICE_ID sentryctl --system kill --wait looked
mkdir /etc/systemd/system/sentryd.service.d
sed -n '/^\[Service\]/,/^\.Ed/p' "$srcdir/man/sentryd.8" | grep -v '^\.Ed' >/etc/systemd/system/sentryd.service.d/look.conf
is "$(grep -c = /etc/systemd/system/sentryd.service.d/look.conf)" 3 "sentryd(8) has a drop-in"
check "… which is read" systemctl daemon-reload
check "… and taken up" systemctl restart $UNIT
as $ALICE_ID sentryctl --system run --profile looked --name looked sh -c "$guest" &
started $!
check "another sandbox to look at" await 30 looked_runs
check "sentryctl sockets works with them lowered" as $ALICE_ID sentryctl --system sockets looked
check "it is killed" as $ALICE_ID sentryctl --system kill --wait looked
rm -r /etc/systemd/system/sentryd.service.d /etc/sentryd/profiles/looked.json
systemctl daemon-reload
check "the walls are up again" systemctl restart $UNIT

# ---- the user's instance

loginctl enable-linger alice
user_active() { session "$ALICE_ID" busctl --user --timeout=5 status org.freedesktop.DBus >/dev/null 2>&1 || [ -S "/run/user/$ALICE_ID/bus" ]; }
check "a lingering user has a bus" await 30 user_active
is "$(session $ALICE_ID systemctl --user is-active $UNIT)" inactive "her instance does not run"
is "$(session $ALICE_ID sentryctl --user run uname -n 2>&1)" sandbox "her first call starts it"
is "$(session $ALICE_ID systemctl --user is-active $UNIT)" active "… by her service manager"
is "$(session $ALICE_ID sentryctl run sh -c 'echo in-it' 2>&1)" in-it "which sentryctl prefers"
is "$(pgrep -u $ALICE_ID -cx sentryd)" 1 "… so there is one daemon of hers"
session $ALICE_ID sentryctl --user run --name looked sleep 1000 &
started $!
looked_runs() { session "$ALICE_ID" sentryctl --user --no-legend list | grep -w looked | grep -qw running; }
check "a sandbox of it" await 20 looked_runs
for verb in sockets ipc fds mounts namespaces; do
        check "sentryctl $verb works there" session $ALICE_ID sentryctl --user $verb looked
done
check "it is killed" session $ALICE_ID sentryctl --user kill --wait looked
user_main=$(session $ALICE_ID systemctl --user show --value -p MainPID $UNIT)
is "$(sed -n 's/^Seccomp:\t//p' "/proc/$user_main/status")" 2 "it is filtered"
check "systemctl --user stop" session $ALICE_ID systemctl --user stop $UNIT
check "nothing of it is left" await 20 none_left -u $ALICE_ID
loginctl disable-linger alice

# ---- the end

check "systemctl disable --now" systemctl disable --now $UNIT
check "it is inactive" await 20 inactive
check "no process is left" await 20 none_left
is "$(find /etc/systemd /run/systemd/system -name '*sentryd*')" '' "no link is left"
systemctl clean --what=runtime $UNIT 2>/dev/null
is "$(find /run /var /tmp -name '*sentryd*' -not -path '*/journal/*' -not -path "$TESTDIR*" 2>/dev/null)" '' "no file is left"
contains "$(ctl --system run true 2>&1)" "cannot be started" "and the bus does not start it any more"
is "$(journal -q -p err -o cat)" "$lost" "nothing else went wrong in its journal"

done_testing
