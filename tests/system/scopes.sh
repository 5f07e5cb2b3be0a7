#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sandboxes as units of a real systemd: a transient scope for who starts one outside of a unit, the unit's own group else;
# for root and for a user with a service manager of her own, whose session the system's systemd has.

. "${srcdir:-.}/tests/lib/boot.bash"

RUNTIME=/run/user/$ALICE_ID
alice() { setpriv --reuid "$ALICE_ID" --regid "$ALICE_ID" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/home/alice XDG_RUNTIME_DIR="$RUNTIME" timeout -k 5 "$T" "$@"; }

# What differs between the two: who, their systemctl and sentryctl, and a scope that is nobody's own, as a session's is.
me() { if [ "$who" = alice ]; then alice "$@"; else timeout -k 5 "$T" "$@"; fi; }
units() { if [ "$who" = alice ]; then alice systemctl --user --no-pager "$@"; else systemctl --no-pager "$@"; fi; }
show() { units show --value -p "$1" "$2"; }
outside() { # COMMAND…: in a scope of the system's that is not delegated
        if [ "$who" = alice ]; then
                systemd-run -q --scope setpriv --reuid "$ALICE_ID" --regid "$ALICE_ID" --clear-groups env -i PATH="$PATH" TERM=dumb \
                        LC_ALL=C HOME=/home/alice XDG_RUNTIME_DIR="$RUNTIME" SENTRYD_LOG_LEVEL=debug timeout -k 5 "$T" "$@"
        else
                SENTRYD_LOG_LEVEL=debug systemd-run -q --scope timeout -k 5 "$T" "$@"
        fi
}
running() { me sentryctl --no-legend list 2>/dev/null | grep -w -- "$1" | grep -qw running; }
init_of() { me sentryctl --json=short show "$1" | json 'd["InitPID"]'; }
group_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
no_scope() { [ -z "$(units list-units --all --no-legend --plain 'sentryd-*.scope')" ]; }
loaded() { [ "$(show LoadState "$1")" = loaded ]; }
fifo() { rm -f /test/in; mkfifo -m 666 /test/in; exec 9<>/test/in; }

scoped() {
        local scope=sentryd-box.scope group init launcher
        fifo
        outside sentryctl run --name box cat </test/in >/test/said 2>&1 &
        launcher=$!
        started $launcher
        check "$who: a sandbox runs" await 30 running box || diag "$(cat /test/said)"
        is "$(show ActiveState $scope)" active "$who: it has a scope" || diag "$(cat /test/said)"
        is "$(show Description $scope)" "Sandbox box (profile default)" "$who: … that says what it is"
        is "$(show Delegate $scope)" yes "$who: … delegated"
        init=$(init_of box)
        group=$(group_of "$init")
        like "$group" '/sentryd-box\.scope/sentryd-box$' "$who: its program is in a group of its own below it"
        [ "$who" = root ] || contains "$group" "/user@$ALICE_ID.service/" "$who: … of her service manager"
        contains "$(units status $scope 2>&1)" cat "$who: systemctl status shows the program"
        is "$(me sentryctl exec box sed -n 's/^0:://p' /proc/self/cgroup 2>&1)" / "$who: exec from elsewhere is in the group, too"
        if [ "$who" = root ]; then
                is "$(outside sentryctl exec box sed -n 's/^0:://p' /proc/self/cgroup 2>/test/err)" / "$who: … from a session"
        else
                is "$(outside sentryctl exec box sed -n 's/^0:://p' /proc/self/cgroup 2>/test/err)" / "$who: … from a session" ||
                        diag "$(cat /test/err)"
        fi
        check "$who: pause" me sentryctl pause box
        is "$(cat "/sys/fs/cgroup$group/cgroup.freeze")" 1 "$who: … is by the group"
        check "$who: resume" me sentryctl resume box
        echo hello >&9
        check "$who: … and it goes on" await 10 grep -q hello /test/said
        check "$who: kill" me sentryctl kill --wait box
        reaped $launcher
        check "$who: the scope goes with the sandbox" await 20 no_scope
        is "$(find /sys/fs/cgroup -name '*sentryd-box*')" '' "$who: no group is left"
        is "$(grep -v '^hello$' /test/said)" '' "$who: nothing was said of it"
}

stopped() {
        fifo
        outside sentryctl run --name stopped sleep 1000 </test/in >/test/said 2>&1 &
        started $!
        check "$who: another runs" await 30 running stopped
        check "$who: systemctl stop of its scope" units stop sentryd-stopped.scope
        reaped $!
        like "$RC" '^(143|137|129)$' "$who: … ends it"
        check "$who: … whole" await 20 no_scope
        outside sentryctl run --name lost sleep 1000 </test/in >/test/said 2>&1 &
        started $!
        check "$who: one more runs" await 30 running lost
        kill -KILL "$(pgrep -f 'sentryctl run --name lost' | while read -r pid; do [ "$(readlink "/proc/$pid/exe")" = /usr/local/bin/sentryctl ] && echo "$pid"; done | head -n 1)"
        reaped $!
        check "$who: its launcher's death ends it and its scope" await 20 no_scope
}

limited() {
        local scope=sentryd-limited.scope
        mkdir -p /etc/sentryd/profiles
        cat >/etc/sentryd/profiles/limited.json <<-'END'
		{ "linux": { "resources": { "memory": { "limit": 268435456, "swap": 268435456, "reservation": 1048576 },
		        "pids": { "limit": 100 }, "cpu": { "quota": 50000, "period": 100000, "shares": 1024 },
		        "blockIO": { "weight": 50, "throttleReadBpsDevice": [ { "major": 7, "minor": 0, "rate": 1000000 } ] } } },
		  "sentry": { "extends": "default", "limits": "best-effort" } }
	END
        fifo
        outside sentryctl -q run --name limited -p limited cat </test/in >/test/said 2>&1 &
        started $!
        check "$who: one with limits runs" await 30 running limited || diag "$(cat /test/said)"
        is "$(show MemoryMax $scope) $(show MemorySwapMax $scope) $(show MemoryLow $scope)" "268435456 0 1048576" "$who: … its memory"
        is "$(show TasksMax $scope)" 116 "$who: … its tasks, and those of ours"
        is "$(show CPUQuotaPerSecUSec $scope) $(show CPUQuotaPeriodUSec $scope) $(show CPUWeight $scope)" "500ms 100ms 39" "$who: … its processors"
        is "$(show IOWeight $scope)" 50 "$who: … its share of disks"
        is "$(show IOReadBandwidthMax $scope)" "/dev/block/7:0 1000000" "$who: … their rate"
        is "$(show Description $scope)" "Sandbox limited (profile limited)" "$who: … and its profile are shown"
        like "$(group_of "$(init_of limited)")" '/sentryd-limited\.scope/sentryd-limited$' "$who: its program is in a group below"
        check "$who: … is killed" me sentryctl kill --wait limited
        check "$who: … gone" await 20 no_scope
}

as_unit() { # in a unit of its own the caller stays
        local run=(systemd-run -q --pipe --wait --collect)
        [ "$who" = root ] || run=(alice systemd-run --user -q --pipe --wait --collect)
        mkdir -p /test/groups
        chmod 777 /test/groups
        "${run[@]}" --unit=inside.service -E HOME -E XDG_RUNTIME_DIR sentryctl run --name inside --bind /test/groups sh -c \
                'until [ -e /test/groups/seen ]; do sleep 0.05; done' >/test/said 2>&1 &
        started $!
        check "$who: a sandbox in a service runs" await 30 running inside || diag "$(cat /test/said)"
        contains "$(group_of "$(init_of inside)")" /inside.service "$who: … there"
        check "$who: … and there is no scope" no_scope
        touch /test/groups/seen
        reaped $!
        is $RC 0 "$who: … till it ends"
        rm -r /test/groups
        if [ "$who" = root ]; then
                like "$(systemd-run -q --scope -p Delegate=yes --unit=mine.scope sentryctl run sh -c 'echo ran' 2>&1)" ran "$who: in a delegated scope it runs, too"
        fi
}

measured() {
        local t0 t1 t2
        t0=${EPOCHREALTIME/./}
        for _ in 1 2 3 4 5 6 7 8; do me sentryctl run true; done
        t1=${EPOCHREALTIME/./}
        outside bash -c 'for _ in 1 2 3 4 5 6 7 8; do sentryctl run true; done' 2>/dev/null
        t2=${EPOCHREALTIME/./}
        diag "$who: a run takes $(((t1 - t0) / 8)) us in a unit, $(((t2 - t1) / 8)) us with a scope"
}

systemctl -q enable --now sentryd.service
loginctl enable-linger alice
user_bus() { [ -S "$RUNTIME/bus" ] && alice busctl --user --timeout=5 status org.freedesktop.DBus >/dev/null 2>&1; }
check "alice has a service manager" await 40 user_bus
for who in root alice; do
        scoped
        stopped
        limited
        as_unit
        measured
done

# A user without one, and one whose bus is another's: as without a systemd.
who=bob
out=$(setpriv --reuid "$BOB_ID" --regid "$BOB_ID" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/home/bob \
        SENTRYD_LOG_LEVEL=debug timeout -k 5 "$T" systemd-run --version >/dev/null 2>&1;
        systemd-run -q --scope setpriv --reuid "$BOB_ID" --regid "$BOB_ID" --clear-groups env -i PATH="$PATH" LC_ALL=C HOME=/home/bob \
                SENTRYD_LOG_LEVEL=debug timeout -k 5 "$T" sentryctl --system run uname -n 2>&1)
contains "$out" sandbox "bob: runs a program without a service manager"
contains "$out" "has no scope of its own" "bob: … and is told at level debug"

done_testing
