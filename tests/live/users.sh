#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Users of a sandbox: one, or a range of them; and the capabilities that a program keeps.

# Ranges are given away in /etc/subuid: the test has files of its own there.
if [ "$(id -u)" -eq 0 ] && [ -z "${USERS_TEST_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
        export USERS_TEST_INSIDE=1
        exec unshare -m --propagation private "$BASH" "$0" "$@"
fi

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

give_ranges() { # ROOT-LINE USER-LINE
        local f
        printf '%s\n' "$@" >"$TESTDIR/subids"
        chmod 644 "$TESTDIR/subids"
        for f in /etc/subuid /etc/subgid; do
                [ -e "$f" ] || : >"$f"
                mountpoint -q "$f" || mount --bind "$TESTDIR/subids" "$f"
        done
}

single() {
        local w=$WHO uid
        uid=$(id -u)
        [ "$w" != user ] || [ "$uid" -ne 0 ] || uid=$USER_ID
        is "$(sctl run sh -c 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map')" \
                " $uid $uid 1"$'\n'" $uid $uid 1" "$w: one user, the caller, and one group"
        check_fails "$w: … and no way to another" sctl run /usr/bin/python3 -c 'import os; os.setuid(12)'
        is "$(sctl run id -u)" "$uid" "$w: … who he is"
}

capabilities() {
        local w=$WHO
        profile caps <<<'{ "process": { "capabilities": ["CAP_NET_RAW", "CAP_CHOWN"] }, "sentry": { "extends": "default" } }'
        is "$(sctl run -p caps grep -c '^Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0000000000002001$' /proc/self/status)" 5 \
                "$w: a program keeps the capabilities that the profile names"
        profile sets <<<'{ "process": { "capabilities": { "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN"],
                "effective": ["CAP_CHOWN"], "inheritable": [], "ambient": [] } }, "sentry": { "extends": "default" } }'
        is "$(sctl run -p sets grep -c '^Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0000000000000001$' /proc/self/status)" 5 \
                "$w: … also in the shape of OCI's five sets"
        profile badset <<<'{ "process": { "capabilities": { "effectiv": ["CAP_CHOWN"] } }, "sentry": { "extends": "default" } }'
        like "$(sctl run -p badset true 2>&1)" 'process.capabilities.effectiv: unknown key; did you mean "effective"' \
                "$w: … in which mistakes are told"
        is "$(sctl run -p caps sh -c 'sed -n "s/^NoNewPrivs:.//p" /proc/self/status')" 1 "$w: no_new_privs all the same"
}

saved() { # files of other users come back as theirs
        local w=$1 d=$WORK/saved run
        mkdir -p "$d"
        mine "$d"
        sctl run -p range --name owners sh -c 'touch /tmp/x && chown 33:44 /tmp/x && mkdir /tmp/y && chown 5:6 /tmp/y && touch /tmp/z; sleep 300' &
        run=$!
        await 10 eval '[ "$(sctl exec owners ls /tmp | wc -l)" = 3 ]'
        check "$w: it is saved" sctl save owners "$d/image"
        reaped "$run"
        sctl restore --name owners "$d/image" </dev/null &
        run=$!
        await 20 running owners
        is "$(sctl exec owners stat -c %u:%g /tmp/x /tmp/y /tmp/z | tr '\n' ' ')" "33:44 5:6 0:0 " "$w: … and restored files are whose they were"
        sctl kill owners
        reaped "$run"
}

range() {
        local w=$WHO pid out first
        [ -n "${USERS_TEST_INSIDE:-}" ] || { skip "$w: a range of users" "needs root, to give one away"; return; }
        command -v newuidmap >/dev/null || { skip "$w: a range of users" "newuidmap is missing (package uidmap)"; return; }

        profile range <<<'{ "process": { "capabilities": ["CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"] },
                "sentry": { "extends": "default", "users": "range" } }'
        give_ranges "root:300000:65536" "$USER_ID:400000:65536"
        is "$(sctl run -p range id -u)" 0 "$w: with a range the caller is 0"
        first=300000
        [ "$w" = root ] || first=400000
        is "$(sctl run -p range sh -c 'tr -s " " </proc/self/uid_map | cut -d" " -f2- | tail -n 1')" "1 $first 65536" \
                "$w: … and the range comes from 1 on"
        is "$(sctl run -p range sh -c 'touch /tmp/x && chown 33:44 /tmp/x && stat -c %u:%g /tmp/x')" 33:44 "$w: files are given away"
        is "$(sctl run -p range setpriv --reuid 33 --regid 44 --clear-groups sh -c 'id -u; id -g; hostname; cat /proc/version >/dev/null')" \
                $'33\n44\nsandbox' "$w: a program that changes its user is served on"
        saved "$w"
        profile range-mounts <<<'{ "sentry": { "extends": "range", "mounts": "emulated" } }'
        is "$(sctl run -p range-mounts sh -c 'mkdir -p /tmp/x /tmp/closed/x && chmod 700 /tmp/closed && exec setpriv --reuid 33 \
                --regid 44 --clear-groups sh -c "mount -t tmpfs t /tmp/x && stat -c %u:%g /tmp/x && umount /tmp/x && echo gone
                mount -t tmpfs t /tmp/closed/x 2>/dev/null || echo refused"' 2>&1)" $'33:44\ngone\nrefused' \
                "$w: what he mounts is his, where he can reach"
        check_fails "$w: … but goes nowhere beyond the range" sctl run -p range sh -c \
                'setpriv --reuid 70000 --clear-groups true || exit 1'
        if [ "$w" = user ]; then
                mkdir -p "$TESTDIR/roots"
                touch "$TESTDIR/roots/file"
                check_fails "$w: as 0 inside nobody writes to files of the host's root" \
                        sctl run -p range --bind "$TESTDIR/roots" sh -c "echo x >>'$TESTDIR/roots/file'"
        fi

        sctl run --name "range-$w" -p range setpriv --reuid 33 --regid 33 --clear-groups sleep 300 &
        pid=$!
        started "$pid"
        await 20 running "range-$w"
        is "$(sctl exec "range-$w" id -u)" 0 "$w: exec joins as 0"
        is "$(sctl exec -u 5:6 "range-$w" sh -c 'id -u; id -g')" $'5\n6' "$w: … or as who is asked for"
        out=$(sctl exec -u 99999 "range-$w" true 2>&1)
        like "$out" 'cannot become user 99999.*uid_map' "$w: … in words if he is none of them"
        check "$w: ps sees the user" await 20 eval "sctl --no-legend ps range-$w | grep -q ' 33 '"
        check "$w: … and Kill reaches him" sctl kill "range-$w"
        reaped "$pid"
        sctl run --name "range2-$w" -p range setpriv --reuid 33 --regid 33 --clear-groups sleep 300 &
        pid=$!
        started "$pid"
        await 20 eval "sctl --no-legend ps range2-$w | grep -q ' 33 '"
        signal_launcher TERM
        reaped "$pid"
        is "$RC" 143 "$w: … and so does a signal to the launcher"

        give_ranges "nobody:300000:65536"
        like "$(sctl run -p range true 2>&1)" 'no range of ids for uid [0-9]+ in /etc/subuid.*usermod' "$w: no range: in words"
        give_ranges "root:0:5" "$USER_ID:99999999999:5" "$USER_ID:x:y" "::"
        like "$(sctl run -p range true 2>&1)" 'no range of ids' "$w: … nor one that makes no sense"
}

each_user single
each_user capabilities
each_user range
done_testing
