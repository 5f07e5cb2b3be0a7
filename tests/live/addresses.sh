#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rules for addresses: what they allow is reached and what is beside it is not, whatever a program does meanwhile.
# $SENTRYD_RACE_SECONDS: how long it may try (2 seconds each time).

. "${srcdir:-.}/tests/lib/tap.sh"

racer=$SENTRYD_BUILD/tests/live/address-racer
seconds=${SENTRYD_RACE_SECONDS:-2}
[ -x "$racer" ] || bail "$racer is missing"
cp "$racer" "$TESTDIR/racer"
mkdir "$TESTDIR/profiles"
chmod 755 "$TESTDIR" "$TESTDIR/profiles"

profile() { # NAME NETWORK RULES
        printf '{ "sentry": { "extends": "default", "network": "%s", "addresses": [ %s ] } }' "$2" "$3" \
                >"$TESTDIR/profiles/$1.json"
        chmod 644 "$TESTDIR/profiles/$1.json"
}

local='{ "action": "allow", "calls": [ "bind" ] }'
profile ports private "{ \"action\": \"allow\", \"address\": \"127.0.0.0/8\", \"port\": 4001 }, $local"
profile race private "{ \"action\": \"allow\", \"address\": \"127.0.0.0/8\", \"port\": 4001 }, $local,
        { \"action\": \"allow\", \"address\": \"/tmp/ok\" }"
profile paths private '{ "action": "deny", "address": "/tmp/no" }, { "action": "allow", "family": "unix" }'
profile abstract host '{ "action": "allow", "address": "@of-the-test" }, { "action": "allow" }'
profile all private '{ "action": "allow" }'
# shellcheck disable=SC2046
set -- $(python3 -c 'import socket
s = [socket.socket() for i in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])')
profile race-host host "{ \"action\": \"allow\", \"address\": \"127.0.0.0/8\", \"port\": $1 }, $local,
        { \"action\": \"allow\", \"address\": \"/tmp/ok\" }"
export SENTRYD_PROFILE_PATH=$TESTDIR/profiles:$SENTRYD_BUILD/profiles

profiles_of_user() { # the plain user's environment is made anew
        as_user_env=$(declare -f as_user)
        eval "${as_user_env/HOME=/SENTRYD_PROFILE_PATH=\"\$USER_PROFILES\" HOME=}"
        # shellcheck disable=SC2034 # by as_user, as it is from now on
        USER_PROFILES=$TESTDIR/profiles:$(dirname "$USER_CTL")/profiles
}

cat >"$TESTDIR/guest.py" <<'PY'
import errno, os, socket, struct, sys, threading

def attempt(function, *arguments):
    try:
        function(*arguments)
        return "yes"
    except OSError as e:
        return errno.errorcode[e.errno]

def ports():
    for port in 4001, 4002:
        server = socket.socket()
        server.bind(("127.0.0.1", port))
        server.listen()
        client = socket.socket()
        print("tcp", port, attempt(client.connect, ("127.0.0.1", port)))
        client = socket.socket()
        print("any", port, attempt(client.connect, ("0.0.0.0", port)))
        client = socket.socket(socket.AF_INET6)
        print("mapped", port, attempt(client.connect, ("::ffff:127.0.0.1", port)))
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        print("udp", port, attempt(client.sendto, b"x", ("127.0.0.1", port)))
        print("connected", port, attempt(client.connect, ("127.0.0.1", port)))
        client = socket.socket()
        print("fastopen", port, attempt(client.sendto, b"x", 0x20000000, ("127.0.0.1", port)))
    print("v6", attempt(socket.socket(socket.AF_INET6).connect, ("::1", 4001)))
    print("unix", attempt(socket.socket(socket.AF_UNIX).connect, "/tmp/x"))
    print("netlink", attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0))
    print("sctp", attempt(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 132))
    print("seqpacket", attempt(socket.socket, socket.AF_INET, socket.SOCK_SEQPACKET, 0))
    print("raw", attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 255))
    print("route", attempt(client.setsockopt, 0, 4, b"\x83\x07\x04\x7f\x00\x00\x01\x00"))
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    print("pktoptions", attempt(six.setsockopt, 41, 6, b""))
    print("rthdr", attempt(six.setsockopt, 41, 57, b""))
    print("label", attempt(six.setsockopt, 41, 32, bytes(32)))
    print("hop", attempt(six.setsockopt, 41, 16, 3))
    print("zerocopy", attempt(client.setsockopt, socket.SOL_SOCKET, 60, 1))
    print("low", attempt(socket.socket().bind, ("127.0.0.1", 80)))

def paths():
    for name in "no", "ok":
        os.mkdir("/tmp/" + name)
    os.symlink("no", "/tmp/link")
    for path in "/tmp/ok/a", "/tmp/no/a", "/tmp/ok/../no/b", "/tmp/link/c":
        print(path, attempt(socket.socket(socket.AF_UNIX).bind, path))
    os.chdir("/tmp/no")
    print("relative", attempt(socket.socket(socket.AF_UNIX).bind, "d"))
    os.chdir("/tmp/ok")
    print("back", attempt(socket.socket(socket.AF_UNIX).bind, "../no/e"))
    print("left", *os.listdir("/tmp/no"))

def abstract():
    for name in "\0of-the-test", "\0of-others":
        print(name[1:], attempt(socket.socket(socket.AF_UNIX).connect, name))
    print("tcp", attempt(socket.socket().connect, ("127.0.0.1", 1)))

def slow():     # a writer waits for a reader who waits for us to say so
    a, b = socket.socketpair()
    data = memoryview(bytes(i % 251 for i in range(3 << 20)))
    def send():
        sent = 0
        while sent < len(data):     # a stop ends a send with what went so far, as it does natively
            sent += a.sendmsg([data[sent:]])
        a.close()
    thread = threading.Thread(target=send)
    thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    got = b""
    while True:
        part = b.recv(65536)
        if not part:
            break
        got += part
    thread.join()
    print("sent", got == data)

globals()[sys.argv[1]]()
PY
chmod 644 "$TESTDIR/guest.py"
chmod 755 "$TESTDIR/racer"

guest() { # PROFILE FUNCTION
        sctl run --profile "$1" --ro-bind "$TESTDIR/guest.py" python3 "$TESTDIR/guest.py" "$2" 2>&1
}

rules() {
        local w=$WHO out port expected
        [ "$w" != user ] || [ "$(id -u)" -ne 0 ] || profiles_of_user
        out=$(guest ports ports)
        for port in 4001 4002; do
                expected=$([ "$port" = 4001 ] && echo yes || echo EACCES)
                for what in tcp any mapped udp connected fastopen; do
                        contains "$out" "$what $port $expected" "$w: $what to $port: $expected"
                done
        done
        for what in 'v6 EACCES' 'unix ENOENT' 'netlink yes' 'sctp EACCES' 'seqpacket EACCES' 'raw EACCES' 'route EACCES' \
                'pktoptions EACCES' 'rthdr EACCES' 'label EACCES' 'hop yes' \
                'zerocopy ENOTSUP' 'low EACCES'; do
                contains "$out" "$what" "$w: $what"
        done
        out=$(guest paths paths)
        for what in '/tmp/ok/a yes' '/tmp/no/a EACCES' '/tmp/ok/../no/b EACCES' '/tmp/link/c EACCES' 'relative EACCES' \
                'back EACCES'; do
                contains "$out" "$what" "$w: $what"
        done
        like "$out" 'left *$' "$w: nothing was made there"
        out=$(guest abstract abstract)
        contains "$out" "of-the-test ECONNREFUSED" "$w: an abstract name of the host that a rule names"
        contains "$out" "of-others EACCES" "$w: one that none does"
        contains "$out" "tcp ECONNREFUSED" "$w: the rest is allowed"

        out=$(sctl run --profile ports --ro-bind "$TESTDIR/guest.py" \
                sh -c "python3 '$TESTDIR/guest.py' ports >/dev/null; dmesg" 2>&1)
        contains "$out" "connect: refused, 127.0.0.1:4002" "$w: the kernel log has the address"
        contains "$out" "setsockopt: refused, IP_OPTIONS" "$w: and what else was refused"
}

paused() {
        local w=$WHO pid
        mkfifo "$TESTDIR/fifo-$w"
        exec 7<>"$TESTDIR/fifo-$w"
        sctl run --name slow --profile all --ro-bind "$TESTDIR/guest.py" \
                python3 "$TESTDIR/guest.py" slow <&7 >"$TESTDIR/slow-$w" 2>&1 &
        pid=$!
        started "$pid"
        check "$w: a program waits in sendmsg" await 20 grep -q ready "$TESTDIR/slow-$w"
        for _ in 1 2 3; do
                check "$w: the sandbox can be paused meanwhile" sctl pause slow
                check "$w: and resumed" sctl resume slow
        done
        echo >&7
        reaped "$pid" 30
        exec 7>&-
        contains "$(cat "$TESTDIR/slow-$w")" "sent True" "$w: what was sent is all there, and once"
}

race() {
        local w=$WHO out
        T=$((seconds + 60))
        out=$(sctl run --profile race --ro-bind "$TESTDIR/racer" "$TESTDIR/racer" "$seconds" 4001 4002 /tmp 2>&1)
        like "$out" 'allowed [1-9]' "$w: a racer reaches what is allowed"
        like "$out" 'denied 0$' "$w: and nothing else ($out)"
        out=$(sctl run --profile race-host --ro-bind "$TESTDIR/racer" "$TESTDIR/racer" "$seconds" "$1" "$2" /tmp 2>&1)
        like "$out" 'allowed [1-9].* denied 0$' "$w: nor in the host's network ($out)"
}
race_both() { race "$race_good" "$race_bad"; }
race_good=$1 race_bad=$2

check_fails "a mistake is told" sctl profile check "$TESTDIR/profiles/none.json"
printf '{ "sentry": { "addresses": [\n{ "action": "allow", "address": "10.0.0.1/8" } ] } }' >"$TESTDIR/bad.json"
contains "$(sctl profile check "$TESTDIR/bad.json" 2>&1)" \
        'bad.json:2: sentry.addresses[0].address: expected a prefix whose bits after its length are 0' "with its line"

mkdir "$TESTDIR/native"
if out=$(unshare --user --map-root-user --net "$TESTDIR/racer" 1 4001 4002 "$TESTDIR/native" 2>&1); then
        like "$out" 'denied [1-9]' "natively the racer wins ($out)"
else
        skip "natively the racer wins" "the host allows no user namespaces: $out"
fi
each_user rules
each_user paused
each_user race_both

done_testing
