#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Networks of sandboxes: none, a private one, one with a way out by pasta, and the host's.

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

GET='import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())'

modes() {
        local w=$WHO m
        for m in none private host; do
                profile "net-$m" <<<'{ "sentry": { "extends": "default", "network": "'"$m"'" } }'
                profile "object-$m" <<<'{ "sentry": { "extends": "default", "network": { "mode": "'"$m"'" } } }'
        done
        for m in net object; do
                check_fails "$w: $m: none has no loopback" sctl run -p "$m-none" /usr/bin/python3 -c "$GET" "http://127.0.0.1:$PORT/"
                check "$w: $m: private has one" sctl run -p "$m-private" /usr/bin/python3 -c '
import socket
a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(); socket.create_connection(a.getsockname(), 10)'
                check_fails "$w: $m: … which is not the host's" sctl run -p "$m-private" /usr/bin/python3 -c "$GET" "http://127.0.0.1:$PORT/"
                is "$(sctl run -p "$m-host" /usr/bin/python3 -c "$GET" "http://127.0.0.1:$PORT/marker")" outside "$w: $m: host is the host's"
        done
        profile wrong <<<'{ "sentry": { "extends": "default", "network": { "mode": "host", "uplink": "pasta" } } }'
        like "$(sctl run -p wrong true 2>&1)" 'sentry.network.uplink: "pasta" is a way out of a private network' "$w: what pasta is for"
        profile wrong <<<'{ "sentry": { "extends": "default", "network": { "mode": "private", "uplink": "pastry" } } }'
        like "$(sctl run -p wrong true 2>&1)" 'expected "none" or "pasta", found "pastry"' "$w: no other uplink"
}

# The processes of ours that run pasta
pastas() { pgrep -U "$(id -u),$USER_ID" -f -- "--netns /proc/[0-9]*/ns/net" | while read -r p; do
        [ "$(tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -cxF "XDG_RUNTIME_DIR=$(runtime)")" -eq 0 ] || echo "$p"
done; }

pasta() {
        local w=$WHO launcher out
        command -v pasta >/dev/null || { skip "$w: pasta" "it is not installed (package passt)"; return; }
        profile out <<<'{ "sentry": { "extends": "default", "network": { "mode": "private", "uplink": "pasta" } } }'
        if [ "$w" = user ] && ! as_user test -w /dev/net/tun; then
                out=$(sctl run -p out true 2>&1)
                is $? 125 "$w: without /dev/net/tun there is no way out"
                like "$out" 'pasta could not connect the sandbox.*/dev/net/tun' "$w: … in words"
                is "$(pastas)" '' "$w: … and nothing is left of it"
                skip "$w: a way out by pasta" "/dev/net/tun is closed to a plain user here"
                return
        fi
        [ -n "$ROUTE" ] || { skip "$w: a way out by pasta" "this machine has no network itself"; return; }

        like "$(sctl run -p out sh -c 'cat /proc/net/route')" $'\t00000000\t' "$w: … there is a route out"
        check_fails "$w: … the host's loopback is not reached" sctl run -p out /usr/bin/python3 -c "$GET" "http://127.0.0.1:$PORT/"
        is "$(pastas)" '' "$w: … and it ends with the sandbox"

        sctl run --name "out-$w" -p out sleep 300 &
        started $!
        await 20 running "out-$w"
        check "$w: it runs beside a sandbox" test -n "$(pastas)"
        for launcher in $(daemons_of "$(runtime)" sentryctl); do
                [ "$(tr '\0' '\n' <"/proc/$launcher/cmdline" | sed -n 2p)" = run ] && kill -KILL "$launcher" && break
        done
        check "$w: … and ends when its launcher is killed" await 20 eval '[ -z "$(pastas)" ]'
        check "$w: … with the sandbox" await 20 nothing_listed
}

# Bytes go out by pasta: to an address that is none of the sandbox's, of a machine that is no more than a namespace here.
through() {
        local w=root out server
        [ "$(id -u)" -eq 0 ] || { skip "data goes through pasta" "it takes root to make a network to go to"; return; }
        command -v pasta >/dev/null || { skip "$w: data goes through pasta" "it is not installed (package passt)"; return; }
        server='import socket, threading
def udp():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("10.99.0.1", 7000))
    while True: data, who = u.recvfrom(2000); u.sendto(data[::-1], who)
threading.Thread(target=udp, daemon=True).start()
s = socket.socket(); s.bind(("10.99.0.1", 7000)); s.listen(9); print("up", flush=True)
while True:
    c, n = s.accept()[0], 0
    while True:
        data = c.recv(65536); n += len(data)
        if not data: break
    c.sendall(b"%d" % n); c.close()'
        # shellcheck disable=SC2016
        out=$(SERVER=$server timeout -k 5 90 unshare --net bash -c '
                ip link set lo up && ip link add out0 type veth peer out1 && ip addr add 10.88.0.2/24 dev out0 &&
                        ip link set out0 up && ip link set out1 up && ip route add default via 10.88.0.1 &&
                        ip addr add 10.99.0.1/32 dev lo || { echo "no network"; exit; }
                coproc /usr/bin/python3 -c "$SERVER"
                read -r _ <&"${COPROC[0]}"
                exec {COPROC[0]}<&- {COPROC[1]}>&-
                "$SENTRYCTL" run -p out /usr/bin/python3 -c "
import socket
c = socket.create_connection((\"10.99.0.1\", 7000), 20); c.settimeout(20)
c.sendall(b\"x\" * 3000000); c.shutdown(socket.SHUT_WR); print(c.recv(100).decode())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(20); u.connect((\"10.99.0.1\", 7000))
for i in range(5):
    u.send(b\"abc\")
    try: print(u.recv(100).decode()); break
    except TimeoutError: pass"
                kill "$COPROC_PID"' 2>"$TESTDIR/through.err")
        [ "$out" != "no network" ] || { skip "$w: data goes through pasta" "$(tail -n 1 "$TESTDIR/through.err")"; return; }
        is "$out" $'3000000\ncba' "$w: data goes through pasta" || diag "$(cat "$TESTDIR/through.err")"
}

# A default route of the machine's own: the first destination that is 0.
ROUTE=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
mkdir "$TESTDIR/www"
printf outside >"$TESTDIR/www/marker"
/usr/bin/python3 -c '
import functools, http.server, sys
h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h)
print(s.server_port, flush=True); s.serve_forever()' "$TESTDIR/www" >"$TESTDIR/port" 2>/dev/null &
started $!
await 10 test -s "$TESTDIR/port" || bail "no server"
PORT=$(cat "$TESTDIR/port")
each_user modes
each_user pasta
through
done_testing
