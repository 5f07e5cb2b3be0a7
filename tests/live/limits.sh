#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits of a sandbox as a whole: a control group with those controllers that this machine has, and words where it has none.

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

own_cgroup || {
        skip "limits by control groups" "$REASON"
        done_testing
}
TOP=${CGROUP%/*}
CONTROLLERS=$(cat "$TOP/cgroup.controllers")

# Delegates all controllers to a group with no process in it; they run in one below, as in a unit with DelegateSubgroup=.
delegate() {
        local c dir=$CGROUP/$WHO
        mkdir -p "$dir/inner"
        for c in $CONTROLLERS; do
                echo "+$c" >"$TOP/cgroup.subtree_control"
                echo "+$c" >"$CGROUP/cgroup.subtree_control"
        done 2>/dev/null
        mine "$dir"
        echo "$BASHPID" >"$dir/inner/cgroup.procs"
}

with_controllers() {
        local w=$WHO json='' file='' value='' c name=limited-$WHO
        for c in $CONTROLLERS; do
                case $c in
                memory) json='"memory": { "limit": 67108864 }' file=memory.max value=67108864 ;;
                pids) json='"pids": { "limit": 20 }' file=pids.max value=20 ;;
                hugetlb) json='"hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }]' file=hugetlb.2MB.max value=4194304 ;;
                cpu) json='"cpu": { "quota": 50000 }' file=cpu.max value='50000 100000' ;;
                *) continue ;;
                esac
                profile limited <<<'{ "linux": { "resources": { '"$json"' } }, "sentry": { "extends": "default" } }'
                mkdir -p "$WORK/here"
                mine "$WORK/here"
                rm -f "$WORK/here"/*
                sctl run --name "$name" -p limited --bind "$WORK/here" sh -c \
                        'cat /proc/self/cgroup >"$1/cgroup"; until [ -e "$1/end" ]; do sleep 0.05; done' sh "$WORK/here" &
                started $!
                check "$w: $c: a sandbox with a limit starts" await 20 test -s "$WORK/here/cgroup"
                is "$(cat "$CGROUP/$w/sentryd-$name/$file" 2>&1)" "$value" "$w: … and has it"
                is "$(sed -n 's/^0:://p' "$WORK/here/cgroup")" / "$w: … which it sees as the root"
                is "$(sctl exec "$name" sed -n 's/^0:://p' /proc/self/cgroup)" / "$w: … also what joins it"
                is "$(sctl --json=short cgroups "$name" | json '[(g["path"], g["processes"] > 0) for g in d]')" '[["/", true]]' \
                        "$w: … and cgroups lists"
                mkdir "$CGROUP/$w/sentryd-$name/below"
                is "$(sctl --json=short cgroups "$name" | json '[(g["path"], g["processes"]) for g in d][1:]')" '[["/below", 0]]' \
                        "$w: … with those below it"
                rmdir "$CGROUP/$w/sentryd-$name/below"
                touch "$WORK/here/end"
                mine "$WORK/here"
                reaped $!
                check "$w: … and nothing is left of it" await 10 test ! -e "$CGROUP/$w/sentryd-$name"
        done
        [ -n "$json" ] || skip "a limit" "the control groups of version 2 have none of memory, pids, hugetlb and cpu here"
}

without() {
        local w=$WHO c all='memory pids cpu io hugetlb' missing='' json out rc
        for c in $all; do [[ " $CONTROLLERS " == *" $c "* ]] || missing=$c; done
        case $missing in
        memory) json='"memory": { "limit": 67108864 }' ;;
        pids) json='"pids": { "limit": 20 }' ;;
        cpu) json='"cpu": { "quota": 50000 }' ;;
        io) json='"blockIO": { "weight": 100 }' ;;
        hugetlb) json='"hugepageLimits": [{ "pageSize": "2MB", "limit": 4194304 }]' ;;
        *) skip "$w: a controller that is not there" "this machine has all of them"; return ;;
        esac
        profile lacking <<<'{ "linux": { "resources": { '"$json"' } }, "sentry": { "extends": "default" } }'
        out=$(sctl run -p lacking true 2>&1)
        rc=$?
        is "$rc" 125 "$w: a limit that cannot be had is a failure"
        like "$out" "controller \"$missing\" cannot be had.*there: .*Delegate=yes" "$w: … in words"
        profile lenient <<<'{ "linux": { "resources": { '"$json"' } }, "sentry": { "extends": "default", "limits": "best-effort" } }'
        out=$(sctl run -p lenient echo ran 2>&1)
        rc=$?
        is "$rc" 0 "$w: best-effort runs"
        like "$out" "warning: the controller \"$missing\"" "$w: … with a warning"
        contains "$out" ran "$w: … the program"
        profile bad-value <<<'{ "linux": { "resources": { "blockIO": { "throttleReadBpsDevice": [
                { "major": 0, "minor": 0, "rate": 1 } ] } } }, "sentry": { "extends": "default" } }'
        status_is 125 "$w: a device that is none" sctl run -p bad-value true
}

# Where it is stopped by ptrace there need not be a group.
groupless() {
        local name=groupless-$WHO
        profile groupless <<<'{ "sentry": { "extends": "default", "freezer": "ptrace" } }'
        sctl run --name "$name" -p groupless sleep 1000 </dev/null >/dev/null 2>&1 &
        started $!
        running() { [ "$(sctl --json=short list | json '[s["state"] for s in d if s["name"] == "'"$name"'"]')" = "['running']" ]; }
        await 20 running
        is "$(sctl cgroups "$name" 2>&1 | tail -n 1)" 'It has no control group.' "$WHO: a sandbox without a group says so"
        sctl kill "$name" >/dev/null 2>&1
        reaped $!
}

meminfo() {
        local w=$WHO
        profile lenient <<<'{ "linux": { "resources": { "memory": { "limit": 67108864, "swap": 67108864 } } },
                "sentry": { "extends": "default", "limits": "best-effort" } }'
        is "$(sctl -q run -p lenient sh -c 'grep -E "^(MemTotal|SwapTotal):" /proc/meminfo | tr -s " "' 2>/dev/null)" \
                $'MemTotal: 65536 kB\nSwapTotal: 0 kB' "$w: /proc/meminfo tells of the limit"
        check "$w: … and free(1) reads it" sctl run -p lenient free
}

all() {
        (delegate && exec "$BASH" -c true) || bail "cannot delegate"
        delegate
        with_controllers
        without
        groupless
        meminfo
        echo "$BASHPID" >"$CGROUP_BEFORE/cgroup.procs"
}

each_user all
find "$CGROUP" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
done_testing
