#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Abstract UNIX sockets of a sandbox in the host's network, where no Landlock scope keeps them apart: they are made in a
# network namespace of their own, by a process that the launcher leaves behind.

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

LISTEN='import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("\0" + sys.argv[1]); s.listen(64)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.bind("\0d" + sys.argv[1])
print("ready", flush=True)
while True: s.accept()[0].send(b"hello")'
CONNECT='import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("\0" + sys.argv[1]); assert s.recv(5) == b"hello"'
SEND='import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"x", "\0d" + sys.argv[1])'
PAIR='import socket, sys
s = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]; s.sendto(b"x", "\0d" + sys.argv[1])'

makers() { # the processes that make sockets for sandboxes of the current user
        local dir
        for dir in /proc/[0-9]*; do
                [ "$(cat "$dir/comm" 2>/dev/null)" = sentry-sockets ] || continue
                of_runtime "$(runtime)" "${dir#/proc/}" && echo "${dir#/proc/}"
        done
}
no_makers() { [ -z "$(makers)" ]; }

apart() {
        local w=$WHO own=sentryd-own-$$-$WHO pid out launcher
        profile host <<<'{ "sentry": { "extends": "default", "network": "host", "landlock": "off" } }'
        profile nest <<<'{ "sentry": { "extends": "default", "network": "host", "landlock": "off", "nestedNamespaces": 8 } }'

        check "$w: natively the host's abstract socket is found" /usr/bin/python3 -c "$CONNECT" "$ABSTRACT"
        check_fails "$w: in a sandbox it is not" sctl run -p host /usr/bin/python3 -c "$CONNECT" "$ABSTRACT"
        like "$(sctl run -p host /usr/bin/python3 -c "$CONNECT" "$ABSTRACT" 2>&1)" ConnectionRefusedError "$w: … as if nobody had it"
        check_fails "$w: … nor by a datagram" sctl run -p host /usr/bin/python3 -c "$SEND" "$ABSTRACT"
        check_fails "$w: … nor by one of a pair" sctl run -p host /usr/bin/python3 -c "$PAIR" "$ABSTRACT"
        check "$w: natively that arrives" /usr/bin/python3 -c "$PAIR" "$ABSTRACT"

        sctl run --name "abstract-$w" -p host /usr/bin/python3 -c "$LISTEN" "$own" >"$TESTDIR/own" &
        started $!
        launcher=$!
        await 30 running "abstract-$w"
        await 30 grep -q ready "$TESTDIR/own" || { not_ok "$w: a sandbox has an abstract socket"; return; }
        check "$w: another program of the sandbox finds its socket" sctl exec "abstract-$w" /usr/bin/python3 -c "$CONNECT" "$own"
        check "$w: … also by a datagram of a pair" sctl exec "abstract-$w" /usr/bin/python3 -c "$PAIR" "$own"
        check_fails "$w: the host does not" /usr/bin/python3 -c "$CONNECT" "$own"
        check_fails "$w: … nor another sandbox" sctl run -p host /usr/bin/python3 -c "$CONNECT" "$own"
        is "$(sctl --json=short show "abstract-$w" | json '"unix-sockets" in d["Walls"]')" True "$w: the wall is told"
        is "$(sctl sockets "abstract-$w" --json=short | json 'sorted([s["type"], s["state"], s["local"]] for s in d)')" \
                "[[\"dgram\", \"unconnected\", \"@d$own\"], [\"stream\", \"listen\", \"@$own\"]]" "$w: both are listed with their names"
        is "$(sctl exec "abstract-$w" /usr/bin/python3 -c 'import socket; print(socket.if_nameindex() == [(i, socket.if_indextoname(i)) for i, n in socket.if_nameindex()])')" \
                True "$w: interfaces have the names and numbers of the host"

        pid=$(makers)
        isnt "$pid" '' "$w: a process makes sockets"
        if [ -r "/proc/$pid/fd" ]; then
                is "$(find "/proc/$pid/fd" -type l -printf '%f ')" '0 ' "$w: … which holds nothing but the way to it"
        else
                skip "$w: … which holds nothing but the way to it" "only root may look"
        fi
        like "$(cat "/proc/$pid/status")" $'CapEff:\t0+\n' "$w: … and has no capabilities"
        is "$(sctl exec "abstract-$w" sh -c 'grep -lx sentry-sockets /proc/[0-9]*/comm' 2>/dev/null)" '' "$w: … and is not seen inside"
        sctl kill "abstract-$w"
        reaped "$launcher"
        check "$w: it ends with the sandbox" await 20 no_makers

        out=$(sctl run -p nest unshare --user --net /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.bind("\0here"); print(len(socket.if_nameindex()), socket.if_nametoindex("lo"))' 2>&1)
        is "$out" '1 1' "$w: a network namespace made inside has its own"
}

# How it ends, when others do; and that it is still there when a sentry-kernel takes the place of another.
ends() {
        local w=$WHO launcher kernel
        profile host <<<'{ "sentry": { "extends": "default", "network": "host", "landlock": "off" } }'
        sctl run --name "abstract-$w" -p host sleep 300 &
        started $!
        await 30 running "abstract-$w"
        for kernel in $(daemons_of "$(runtime)" sentry-kernel); do
                [ "$(cat "/proc/$kernel/comm")" = sentry-kernel ] && kill -KILL "$kernel" && break
        done
        check "$w: its sentry-kernel is killed" await 20 gone "$kernel"
        is "$(sctl exec "abstract-$w" /usr/bin/python3 -c '
import socket
a = socket.socket(socket.AF_UNIX); a.bind("\0kept"); a.listen(); b = socket.socket(socket.AF_UNIX); b.connect("\0kept")
print(socket.if_nametoindex("lo"))
try: socket.socket(socket.AF_UNIX).connect("\0'"$ABSTRACT"'")
except OSError as e: print(e.errno)' 2>&1)" $'1\n111' "$w: another sentry-kernel has sockets made there, too"
        like "$(sctl exec "abstract-$w" sh -c 'hostname kept; cat /proc/sys/kernel/hostname' 2>&1)" '^kept$' "$w: … and shows the host name"
        check "$w: … and lists them" sctl sockets "abstract-$w"
        isnt "$(makers)" '' "$w: one that loses its launcher"
        for launcher in $(daemons_of "$(runtime)" sentryctl); do
                [ "$(cat "/proc/$launcher/comm")" = sentryctl ] && kill -KILL "$launcher"
        done
        check "$w: … leaves nobody behind" await 20 no_makers
        await 20 nothing_listed

        sctl run --name "abstract-$w" -p host /usr/bin/python3 -c '
import socket, sys, time
print("ready", flush=True)
sys.stdin.readline()
try: socket.socket(socket.AF_UNIX)
except OSError as e: print(e.errno, flush=True)
print(socket.socket(socket.AF_INET).family == socket.AF_INET, flush=True)' <"$TESTDIR/fifo" >"$TESTDIR/lone" &
        started $!
        launcher=$!
        exec 7>"$TESTDIR/fifo"
        await 30 grep -q ready "$TESTDIR/lone"
        kill -KILL "$(makers)"
        await 20 no_makers
        echo >&7
        exec 7>&-
        reaped "$launcher"
        is "$(cat "$TESTDIR/lone")" $'ready\n105\nTrue' "$w: without who makes them there are none (ENOBUFS), and all else is"
}

mkfifo "$TESTDIR/fifo"
chmod 666 "$TESTDIR/fifo"
ABSTRACT=sentryd-abstract-$$
/usr/bin/python3 -c "$LISTEN" "$ABSTRACT" >"$TESTDIR/abstract" &
started $!
await 10 grep -q ready "$TESTDIR/abstract" || bail "no abstract socket"
each_user apart
ends
done_testing
