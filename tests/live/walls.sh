#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the host's kernel keeps a program inside by: told truly, and standing.

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

walls() { # PROFILE: of a sandbox of it, one per line
        local name=walls-$WHO-$1
        sctl run --name "$name" -p "$1" sleep 300 &
        started $!
        await 20 running "$name" || diag "no sandbox"
        sctl --json=short show "$name" | json '"\n".join(d["Walls"])'
        sctl status "$name" >"$TESTDIR/status"
        sctl kill "$name"
        reaped $!
}

told() {
        local w=$WHO
        walls default >"$TESTDIR/walls"
        for wall in {user,mount,pid,ipc,network,uts,time,cgroup}-namespace seccomp no-new-privileges no-capabilities; do
                check "$w: $wall stands" grep -qx "$wall" "$TESTDIR/walls"
        done
        like "$(cat "$TESTDIR/status")" 'Namespaces: user mount pid ipc network uts time cgroup' "$w: status tells them"
        like "$(cat "$TESTDIR/status")" 'Walls: seccomp no-new-privileges no-capabilities' "$w: … all"
        check_fails "$w: … and that nothing is open" grep -q Open: "$TESTDIR/status"

        profile open <<<'{ "process": { "capabilities": ["CAP_CHOWN"] },
                "sentry": { "extends": "default", "network": "host", "pid": "host", "landlock": "off" } }'
        walls open >"$TESTDIR/walls"
        is "$(grep -cE '^(pid-namespace|network-namespace|no-capabilities|landlock.*)$' "$TESTDIR/walls")" 0 "$w: what does not stand is not told"
        like "$(cat "$TESTDIR/status")" "Open: the host's network"$'\n' "$w: … but what is open for it"
        check "$w: … where UNIX sockets are made elsewhere" grep -qx unix-sockets "$TESTDIR/walls"
        like "$(cat "$TESTDIR/status")" "Open: the host's process ids, without a second wall" "$w: … here, too"
}

landlock_abi() {
        /usr/bin/python3 -c 'import ctypes; print(max(0, ctypes.CDLL(None).syscall(444, None, 0, 1)))'
}

landlock() {
        local w=$WHO abi
        abi=$(landlock_abi)
        [ "$abi" -ge 1 ] || { skip "$w: Landlock" "this kernel has none"; return; }
        mkdir -p "$WORK/rw" "$WORK/ro"
        mine "$WORK/rw" "$WORK/ro"
        profile full <<<'{ "mounts": [ { "destination": "/mnt", "type": "bind", "source": "'"$WORK/rw"'" },
                { "destination": "/opt", "type": "bind", "source": "'"$WORK/ro"'", "options": ["ro"] } ],
                "sentry": { "extends": "default", "landlock": "full" } }'
        check "$w: what is told with full is landlock-files" grep -qx landlock-files <(walls full)
        check "$w: … and a program works" sctl run -p full sh -c \
                'touch /tmp/a && mkdir /tmp/d && mv /tmp/a /tmp/d/a && ln /tmp/d/a /tmp/b && echo x >/mnt/x && rm /mnt/x && : >/dev/null'
        check_fails "$w: … which writes nothing else" sctl run -p full touch /opt/x
        is "$(sctl run -p full sh -c 'hostname inside; hostname; uname -n')" $'inside\ninside' \
                "$w: the sentry reads and writes the memory of a program in a domain"
        is "$(sctl run -p full sh -c 'kill -0 $$ && echo yes')" yes "$w: … which reaches its own kind"
        if [ "$abi" -ge 4 ]; then
                like "$(sctl run -p full /usr/bin/python3 -c 'import socket
try: socket.socket().bind(("", 5000))
except OSError as e: print(e.errno)')" '^13$' "$w: no port is bound without a network"
        else
                skip "$w: no port is bound" "this kernel's Landlock is older"
        fi

        # Abstract sockets of the host, where its network is shared
        [ "$abi" -ge 6 ] || { skip "$w: abstract sockets" "this kernel's Landlock is older"; return; }
        profile shared <<<'{ "sentry": { "extends": "default", "network": "host" } }'
        profile bare <<<'{ "sentry": { "extends": "default", "network": "host", "landlock": "off" } }'
        local connect='import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("\0" + sys.argv[1])'
        check "$w: landlock-sockets is told" grep -qx landlock-sockets <(walls shared)
        check_fails "$w: an abstract socket of the host is not there without it either" sctl run -p bare /usr/bin/python3 -c "$connect" "$ABSTRACT"
        check_fails "$w: … and out of reach with it" sctl run -p shared /usr/bin/python3 -c "$connect" "$ABSTRACT"
        check "$w: … but not those of the sandbox's own" sctl run -p shared /usr/bin/python3 -c '
import socket
a = socket.socket(socket.AF_UNIX); a.bind("\0own-'"$$-$w"'"); a.listen()
b = socket.socket(socket.AF_UNIX); b.connect("\0own-'"$$-$w"'")'
}

ABSTRACT=sentryd-walls-$$
/usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind("\0" + sys.argv[1]); s.listen(64)
print("ready", flush=True); time.sleep(600)' "$ABSTRACT" >"$TESTDIR/abstract" &
started $!
await 10 grep -q ready "$TESTDIR/abstract" || bail "no abstract socket"
each_user told
each_user landlock
done_testing
