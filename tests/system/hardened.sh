#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nginx, redis and postgresql as Debian has them, hardened by sentryctl, under a load in the middle of which sentryd restarts.

. "${srcdir:-.}/tests/lib/boot.bash"
. "$srcdir/tests/system/harden.bash"

check "sentryd is enabled" systemctl enable --now sentryd.service
cluster=$(find /etc/postgresql -mindepth 2 -maxdepth 2 -name main -printf "%P\n" 2>/dev/null | head -n 1)
services=(nginx redis-server)
[ -z "$cluster" ] || services+=("postgresql@${cluster%/*}-main")
postgres=${services[2]:-}
[ -n "$postgres" ] || skip "postgresql" "it is not installed"
# shellcheck disable=SC2016
try_nginx() { timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; read -r line <&3; [[ $line == *" 200 "* ]]'; }
try_redis() { [ "$(timeout 20 redis-cli incr n)" -gt 0 ]; }
try_postgres() { [ "$(timeout 20 setpriv --reuid postgres --regid postgres --init-groups psql -qtA -d postgres -c 'select 40 + 2')" = 42 ]; }
try() { case $1 in nginx) try_nginx ;; redis*) try_redis ;; *) try_postgres ;; esac; }
load() { # SERVICE: asks until it is told to stop; prints how often, and how often that failed
        local n=0 failed=0
        while [ ! -e /test/enough ]; do
                n=$((n + 1))
                try "$1" 2>>"/test/load.$1.err" || failed=$((failed + 1))
        done
        echo "$n $failed" >"/test/load.$1"
}
check "they start" systemctl start "${services[@]}"
for name in "${services[@]}"; do
        check "$name: natively it answers" await 30 try "$name"
        example=/usr/local/share/doc/sentryd/examples/${name%%@*}.conf
        is "$(sentryctl harden --dry-run --json=short "$name" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["text"], end="")')" \
                "$(sed "s/15-main\\.service/${cluster%/*}-main.service/" "$example")" "$name: the example is what harden makes"
        out=$(harden "$name")
        contains "$out" "is hardened" "$name: harden" || diag "$out" "$(journalctl -b --no-pager -u "$name" | tail -n 20)"
        check "$name: it answers" await 30 try "$name"
        check "$name: … from a sandbox" in_sandbox "$name"
done
loads=()
for name in "${services[@]}"; do
        load "$name" &
        started $!
        loads+=($!)
done
asked() { [ "$(timeout 5 redis-cli get n)" -gt "$1" ]; }
check "a load is on" await 30 asked 20 || diag "$(redis-cli incr n; redis-cli get n; tail -n 3 /test/load.*.err; journalctl -b --no-pager -u redis-server -u sentryd | tail -n 30; cat /var/log/redis/*.log)"
check "sentryd restarts in the middle of it" systemctl restart sentryd.service
check "the load goes on" await 60 asked $(($(redis-cli get n) + 30))
for name in "${services[@]}"; do
        check "$name: sentryd knows it again" await 60 in_sandbox "$name"
done
for name in nginx $postgres; do
        check "$name reloads" systemctl reload "$name"
done
pkill -KILL -x sentry-kernel
kill -KILL "$(show MainPID sentryd)"
check "after a kill of sentryd and of all sentry-kernels, too" await 60 asked $(($(redis-cli get n) + 30))
for name in "${services[@]}"; do
        check "$name: sentryd knows it again" await 60 in_sandbox "$name"
done
: >/test/enough
for pid in "${loads[@]}"; do
        reaped "$pid" 60
done
for name in "${services[@]}"; do
        diag "$name: $(cat "/test/load.$name")"
        like "$(cat "/test/load.$name")" '^[1-9][0-9]* 0$' "$name: no client noticed" || diag "$(tail -n 5 "/test/load.$name.err")"
done
check "they stop" systemctl stop "${services[@]}"
for name in "${services[@]}"; do
        is "$(show Result "$name")" success "$name: … as they should"
done
check "no sandbox is left" await 30 none
for name in "${services[@]}"; do
        contains "$(harden --undo "$name")" "no longer hardened" "$name: --undo"
done
is "$(find /etc/systemd/system -name '*.d')" '' "nothing is left"

done_testing
