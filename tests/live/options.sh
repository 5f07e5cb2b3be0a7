#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The options of `sentryctl run`, one by one.

. "${srcdir:-.}/tests/lib/tap.sh"

binds() {
        local w=$WHO d=$WORK/binds
        mkdir -p "$d/rw" "$d/ro" "$d/with space" "$d/at/sub"
        echo content >"$d/file"
        mine "$d"
        check "$w: --bind gives a directory to write to" sctl run --bind "$d/rw" touch "$d/rw/made"
        check "$w: … and it is there outside" test -e "$d/rw/made"
        is "$(stat -c %u "$d/rw/made")" "$(stat -c %u "$d/rw")" "$w: … owned by the one who started it"
        check "$w: --bind SRC:DST" sctl run --bind "$d/rw:/mnt" touch /mnt/made-too
        check "$w: … writes to SRC" test -e "$d/rw/made-too"
        check "$w: --bind of a file" sctl run --bind "$d/file:/tmp/file" sh -c 'echo more >>/tmp/file'
        is "$(paste -sd, "$d/file")" content,more "$w: … writes to the file"
        check "$w: --bind with a space in the name" sctl run --bind "$d/with space" touch "$d/with space/made"
        check_fails "$w: --ro-bind can't be written to" sctl run --ro-bind "$d/ro" touch "$d/ro/made"
        check_fails "$w: … it really was not" test -e "$d/ro/made"
        is "$(sctl run --ro-bind "$d/file:/tmp/file" cat /tmp/file | paste -sd,)" content,more "$w: --ro-bind of a file"
        check_fails "$w: … can't be written to" sctl run --ro-bind "$d/file:/tmp/file" sh -c 'echo >>/tmp/file'
        check "$w: --bind inside a --ro-bind" sctl run --ro-bind "$d/at" --bind "$d/rw:$d/at/sub" sh -c \
                "touch '$d/at/sub/inside' && ! touch '$d/at/outside' 2>/dev/null"
        check "$w: two binds, two results" sctl run --bind "$d/rw:/mnt" --ro-bind "$d/ro:/media" sh -c \
                'touch /mnt/a && ! touch /media/a 2>/dev/null'
        status_is 125 "$w: --bind of a relative name to nowhere is 125" sctl run --bind no/such/thing true
        is "$(sctl run --tmpfs /mnt sh -c 'touch /mnt/x && ls /mnt')" x "$w: --tmpfs can be written to"
        check "$w: … and hides what was there" sctl run --tmpfs /etc sh -c 'test -z "$(ls /etc)"'
        is "$(sctl run --tmpfs /mnt stat -f -c %T /mnt)" tmpfs "$w: … is a tmpfs"
}

places() {
        local w=$WHO d=$WORK/places
        mkdir -p "$d"
        mine "$d"
        is "$(sctl run --chdir /usr/bin pwd)" /usr/bin "$w: --chdir"
        status_is 125 "$w: --chdir to nowhere is 125" sctl run --chdir /nonexistent/directory true
        is "$(cd /usr/lib && sctl run pwd)" /usr/lib "$w: without it the caller's directory, where it exists"
        is "$(cd "$d" && sctl run pwd)" "$(cd "$d" && sctl run sh -c "test -d '$d' && echo '$d' || echo /")" \
                "$w: … else the root"
        is "$(sctl run --hostname box uname -n)" box "$w: --hostname"
        is "$(sctl run uname -n)" sandbox "$w: without it the profile's"
        status_is 125 "$w: a host name of 65 bytes is 125" sctl run --hostname "$(printf 'x%.0s' {1..65})" true
        is "$(sctl run --hostname "$(printf 'x%.0s' {1..64})" uname -n | wc -c)" 65 "$w: one of 64 is not"
}

environment() {
        local w=$WHO
        # shellcheck disable=SC2016
        is "$(sctl run --env COLOUR=green sh -c 'echo $COLOUR')" green "$w: --env K=V"
        # shellcheck disable=SC2016
        is "$(sctl run --env A=1 --env B=2 --env A=3 sh -c 'echo $A$B')" 32 "$w: the last --env of a name counts"
        # shellcheck disable=SC2016
        is "$(sctl run --env 'X=a=b c' sh -c 'echo "$X"')" 'a=b c' "$w: a value with = and space"
        is "$(sctl run --clearenv --env TERM /usr/bin/printenv TERM)" "${TERM:-dumb}" \
                "$w: --env K takes it from here, also with --clearenv"
        is "$(sctl run --unsetenv HOME sh -c 'echo ${HOME-unset}')" unset "$w: --unsetenv"
        check_fails "$w: --clearenv leaves nothing of the caller's" sctl run --clearenv /usr/bin/printenv HOME
        is "$(sctl run --clearenv --env ONLY=this /usr/bin/printenv ONLY)" this "$w: … but what --env gives"
        is "$(sctl run printenv HOME)" "$(if [ "$w" = user ]; then echo "$USER_HOME"; else echo "$HOME"; fi)" \
                "$w: without it the environment is the caller's"
        status_is 125 "$w: --env without a name is 125" sctl run --env =x true
}

names() {
        local w=$WHO
        sctl run --name "name-$w" cat <"$TESTDIR/gate" >/dev/null 2>&1 &
        local pid=$!
        started "$pid"
        exec 9>"$TESTDIR/gate"
        check "$w: --name shows in the list" await 10 listed "name-$w"
        status_is 125 "$w: a name in use is 125" sctl run --name "name-$w" true
        like "$(sctl run --name "name-$w" true 2>&1)" "name-$w" "$w: … and is told"
        exec 9>&-
        reaped "$pid"
        is "$RC" 0 "$w: the first one ends well"
        check "$w: then the name is free again" sctl run --name "name-$w" true
        status_is 125 "$w: a name of 300 bytes is 125" sctl run --name "$(printf 'n%.0s' {1..300})" true
}

network() {
        local w=$WHO
        is "$(sctl run sh -c 'ls /sys/class/net 2>/dev/null; cat /proc/net/dev' | grep -c :)" 1 \
                "$w: by default there is one network device, lo"
        check_fails "$w: … and it is down" sctl run /usr/bin/python3 -c '
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname(), 2)'
        check_fails "$w: --network none is the same" sctl run --network none /usr/bin/python3 -c '
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname(), 2)'
        check "$w: --network private has a loopback" sctl run --network private /usr/bin/python3 -c '
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.create_connection(s.getsockname(), 2)
t, _ = s.accept(); c.sendall(b"x"); assert t.recv(1) == b"x"'
        is "$(sctl run --network host readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)" \
                "$w: --network host is the host's"
        isnt "$(sctl run --network private readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)" \
                "$w: --network private is not"
}

pids() {
        local w=$WHO ns
        # shellcheck disable=SC2016
        is "$(sctl run sh -c 'echo $$')" 1 "$w: by default the program is PID 1"
        # shellcheck disable=SC2016
        is "$(sctl run --pid private sh -c 'echo $$')" 1 "$w: --pid private is the same"
        # shellcheck disable=SC2016
        isnt "$(sctl run --pid host sh -c 'echo $$')" 1 "$w: --pid host is not"
        ns=$(sctl run --pid host readlink /proc/self/ns/pid)
        is "$ns" "$(readlink /proc/self/ns/pid)" "$w: … it is the host's namespace"
        status_is 7 "$w: … the status comes through" sctl run --pid host sh -c 'exit 7'
        is "$(sctl run --pid host uname -n)" sandbox "$w: … emulated calls work"
        for ns in user mnt ipc uts net time pid; do
                isnt "$(sctl run readlink /proc/self/ns/"$ns")" "$(readlink /proc/self/ns/"$ns")" \
                        "$w: the sandbox's $ns namespace is its own"
        done
}

mkfifo "$TESTDIR/gate"
chmod 666 "$TESTDIR/gate"
each_user binds
each_user places
each_user environment
each_user names
each_user network
each_user pids
done_testing
