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
done_testing
