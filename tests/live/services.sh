#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Servers as Debian packages them, in sandboxes with a network of their own, answering clients in the same sandbox.

. "${srcdir:-.}/tests/lib/tap.sh"
PATH=$PATH:/usr/sbin:/sbin

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

serve() { # NAME COMMAND…: in the background, as the service of a sandbox
        local name=$1
        shift
        sctl_forever run --name "$name" -p service "$@" >"$TESTDIR/$name.log" 2>&1 &
        started $!
}
sctl_forever() { T=300 sctl "$@"; }
shown() { diag "$(tail -n 20 "$TESTDIR/$1.log")"; }

nginx_service() {
        local w=$WHO d=$WORK/nginx name=nginx-$WHO pid
        command -v nginx >/dev/null || { skip "$w: nginx" "it is not installed"; return; }
        mkdir -p "$d/html"
        echo "hello from $w" >"$d/html/index.html"
        head -c 3000000 /dev/urandom >"$d/html/big"
        cat >"$d/nginx.conf" <<'N'
daemon off;
worker_processes 2;
error_log stderr;
pid /tmp/nginx.pid;
events { worker_connections 64; }
http {
        access_log off;
        client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
        uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
        server { listen 127.0.0.1:8080; root /srv/html; location /proxy/ { proxy_pass http://127.0.0.1:8080/; } }
}
N
        # Where there is one user, root has nobody to hand the work down to.
        [ "$w" = user ] || sed -i '1i user root;' "$d/nginx.conf"
        mine "$d"
        profile service <<<'{ "mounts": [ { "destination": "/srv", "type": "bind", "source": "'"$d"'", "options": ["ro"] } ],
                "sentry": { "extends": "default", "network": "private" } }'
        serve "$name" nginx -e stderr -c /srv/nginx.conf
        pid=$!
        local get='import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=20).read())'
        check "$w: nginx answers a client in its sandbox" await 20 sctl exec "$name" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/ ||
                shown "$name"
        is "$(sctl exec "$name" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/)" "hello from $w" "$w: … with its page"
        is "$(sctl exec "$name" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/proxy/)" "hello from $w" "$w: … also through itself"
        is "$(sctl exec "$name" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/big | sha256sum)" "$(sha256sum <"$d/html/big")" \
                "$w: … and a large file"
        is "$(sctl --no-legend ps "$name" | grep -c nginx)" 3 "$w: … a master and two workers"
        check_fails "$w: … and nobody outside" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/
        sctl exec "$name" sh -c 'kill -HUP "$(cat /tmp/nginx.pid)"'
        check "$w: it survives a reload" await 20 sctl exec "$name" /usr/bin/python3 -c "$get" http://127.0.0.1:8080/
        sctl exec "$name" sh -c 'kill -QUIT "$(cat /tmp/nginx.pid)"'
        reaped "$pid"
        is "$RC" 0 "$w: … and ends when asked" || shown "$name"
}

redis_service() {
        local w=$WHO d=$WORK/redis name=redis-$WHO pid
        command -v redis-server >/dev/null || { skip "$w: redis" "it is not installed"; return; }
        mkdir -p "$d"
        mine "$d"
        profile service <<<'{ "mounts": [ { "destination": "/srv", "type": "bind", "source": "'"$d"'" } ],
                "sentry": { "extends": "default", "network": "private" } }'
        serve "$name" redis-server --bind 127.0.0.1 --port 6379 --dir /srv --save '' --daemonize no
        pid=$!
        check "$w: redis answers a client in its sandbox" await 20 eval "[ \"\$(sctl exec '$name' redis-cli ping)\" = PONG ]" ||
                shown "$name"
        is "$(sctl exec "$name" redis-cli set key value)" OK "$w: … keeps a value"
        is "$(sctl exec "$name" redis-cli get key)" value "$w: … and gives it back"
        like "$(sctl exec "$name" redis-cli bgsave)" 'Background saving started' "$w: … saves by a fork"
        check "$w: … to its directory" await 20 test -s "$d/dump.rdb"
        check "$w: … and takes many requests" sctl exec "$name" redis-benchmark -q -n 2000 -c 20 -t set,get
        check_fails "$w: … but of nobody outside" redis-cli -p 6379 -t 2 get key
        sctl exec "$name" redis-cli shutdown nosave
        reaped "$pid"
        is "$RC" 0 "$w: it ends when asked" || shown "$name"
}

each_user nginx_service
each_user redis_service
done_testing
