#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run --in-place: the process that was started is the program, by number, parent, descriptors and status; the sandbox lives
# as long as anybody in it. And "users": "host".

. "${srcdir:-.}/tests/lib/tap.sh"

in_place() { # OPTION… -- PROGRAM…: RC and OUT; PID is the process that was started
        users=()
        [ "$WHO" = root ] || users=(--users=single)
        if [ "$WHO" = user ]; then
                as_user "$SENTRYCTL" run --in-place "${users[@]}" "$@"
        else
                exec_root "$SENTRYCTL" run --in-place "${users[@]}" "$@"
        fi
}
exec_root() { timeout -k 5 60 "$@"; }
none() { [ -z "$(sctl -q --no-legend list)" ]; }
runs() { sctl -q --no-legend list | grep -qw "$1"; }

whole() {
        local w=$WHO out pid
        # shellcheck disable=SC2016
        out=$(in_place -- sh -c 'echo $$; sed -n "s/^PPid:.//p" /proc/$$/status; readlink /proc/$PPID/exe; cat <&5; exit 7' 5<<<five)
        is $? 7 "$w: its status is the program's"
        unlike "$out" sentryctl "$w: … no sentryctl waits for it"
        contains "$out" five "$w: … its descriptors are there"
        # shellcheck disable=SC2016
        is "$(in_place -- sh -c 'kill -0 $PPID 2>&1; uname -n')" "sh: 1: kill: No such process"$'\n\n'"$(uname -n)" "$w: it signals nobody outside, and has the host's name"
        is "$(in_place -- readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/time /proc/self/ns/uts)" \
                "$(readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/time /proc/self/ns/uts)" "$w: … and the host's files and network"
        in_place -- /nonexistent 2>"$TESTDIR/err"
        is $? 127 "$w: what cannot be run"
        like "$(cat "$TESTDIR/err")" 'cannot run /nonexistent' "$w: … is told in words"
        check "$w: nothing is left" await 20 none
        like "$(in_place -p default -- true 2>&1)" 'in place cannot have a PID namespace' "$w: a profile that is not made for it"

        mkfifo "$TESTDIR/fifo.$w"
        mine "$TESTDIR/fifo.$w"
        # The first process goes, as daemons do; the second is the sandbox's then.
        in_place --name daemon -- sh -c "cat '$TESTDIR/fifo.$w' & exit 3"
        is $? 3 "$w: a process that leaves another one behind"
        check "$w: … leaves the sandbox" runs daemon
        pid=$(sctl -q --no-legend ps daemon | awk '{ print $3 }')
        is "$(cat "/proc/$pid/comm")" cat "$w: … with the other in it"
        is_init() { [ "$(sctl -q --no-legend list | awk '{ print $3 }')" = "$pid" ]; }
        check "$w: … as the first one" await 20 is_init
        is "$(sctl exec daemon sh -c 'readlink /proc/self/ns/user')" "$(readlink "/proc/$pid/ns/user")" "$w: exec goes there"
        : >"$TESTDIR/fifo.$w"
        check "$w: it ends with the last one" await 20 none

        in_place --name killed -- sleep 1000 &
        started $!
        check "$w: another" await 20 runs killed
        check "$w: … is killed" sctl kill --wait killed
        reaped $!
        is "$RC" 137 "$w: … which its parent sees"
}

users() {
        local w=$WHO
        if [ "$w" != root ]; then
                like "$(as_user "$SENTRYCTL" run -p service -- true 2>&1)" 'Only root can do that.*--users=single' "$w: all users are root's to give"
                return
        fi
        is "$(sctl run -p service -- sh -c 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map')" \
                " 0 0 4294967295"$'\n'" 0 0 4294967295" "all users are there"
        is "$(sctl run -p service -- setpriv --reuid 33 --regid 33 --clear-groups sh -c 'id -u; id -g')" $'33\n33' "a program can become another"
        is "$(sctl run -p service -- grep ^Cap /proc/self/status)" "$(grep ^Cap /proc/self/status)" "it has the capabilities of its caller"
        is "$(setpriv --bounding-set -sys_admin,-net_admin sctl_exec run -p service -- sed -n 's/^Cap\(Bnd\|Prm\).*:\t//p' /proc/self/status)" \
                "$(setpriv --bounding-set -sys_admin,-net_admin sed -n 's/^Cap\(Bnd\|Prm\).*:\t//p' /proc/self/status)" "… and no others"
        is "$(setpriv --bounding-set -setfcap sctl_exec run -p service -- true 2>&1 | grep -c CAP_SETFCAP)" 1 "without the right to map root: in words"

        cat >"$TESTDIR/bind.py" <<-END
		import os, socket, sys
		def take(*ids):
		    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
		        try:
		            s = socket.socket(family)
		            s.bind((address, 3 + (family == socket.AF_INET6)))
		            print("bound", s.getsockname()[1])
		        except OSError as e:
		            print(e.strerror)
		take()
		os.setresuid(33, 33, 33)
		take()
	END
        is "$(unshare -n sh -c 'ip link set lo up 2>/dev/null; exec "$0" run -p service -- /usr/bin/python3 "$1"' "$SENTRYCTL" "$TESTDIR/bind.py" 2>&1)" \
                $'bound 3\nbound 4\nPermission denied\nPermission denied' "ports below 1024 are for who may have them"
}

printf '#!/bin/sh\nexec "%s" "$@"\n' "$SENTRYCTL" >"$TESTDIR/sctl_exec"
chmod 755 "$TESTDIR/sctl_exec"
PATH=$TESTDIR:$PATH

each_user whole
each_user users
done_testing
