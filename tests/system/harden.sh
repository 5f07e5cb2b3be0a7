#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryctl harden on a booted systemd: small units of every kind, which must see what they see without; what is refused, and
# what is rolled back.

. "${srcdir:-.}/tests/lib/boot.bash"

PROBE=/test/src/tests/system/harden-probe.py
as() { # USER COMMAND…
        local uid=$1
        shift
        setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/tmp timeout -k 5 "$T" "$@"
}
. "$srcdir/tests/system/harden.bash"
state() { systemctl is-active "$1" 2>/dev/null; }
is_state() { [ "$(state "$1")" = "$2" ]; }
unit() { # NAME, with its [Service] on stdin
        { printf '[Unit]\nDescription=Test %s\n[Service]\n' "$1"; cat; } >"/etc/systemd/system/$1.service"
        [ -d "/test/$1" ] || mkdir -m 777 "/test/$1"
}
files() { # what there is, and of files since when
        find /etc/systemd/system /run/systemd/system \( -type d -printf '%p\n' \) -o -printf '%p %T@ %s\n' 2>/dev/null | sort
}

check "sentryd is enabled" systemctl enable --now sentryd.service

# ---- small units

echo -n open-sesame >/test/secret
OUTPUT='StandardOutput=append:/test/%p/out'
unit simple <<END
Type=simple
$OUTPUT
Environment=GREETING=hi "WORDS=a b"
ExecStart=@/usr/bin/python3 "my name" $PROBE simple "%n x" 'c"d' \\
        # a comment in between
        e\\x20f \$WORDS \${WORDS} \$\$HOME %% ; g
ExecReload=kill -HUP \$MAINPID
WorkingDirectory=/usr
END
sed -i 's/^        # a/# a/; s/ ; g$/ \\; g/' /etc/systemd/system/simple.service
unit exec <<END
Type=exec
$OUTPUT
ExecStart=:/usr/bin/python3 $PROBE exec \$NOT_ME
RuntimeDirectory=harden-exec
LoadCredential=secret:/test/secret
RestrictAddressFamilies=AF_INET
UMask=0077
END
unit notify <<END
Type=notify
NotifyAccess=main
WatchdogSec=1h
$OUTPUT
User=alice
SupplementaryGroups=games
RuntimeDirectory=harden-notify
LoadCredential=secret:/test/secret
ExecStartPre=+/bin/true
ExecStart=python3 $PROBE notify
ExecReload=/bin/kill -HUP \$MAINPID
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
PrivateTmp=yes
RestrictNamespaces=yes
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
RestrictSUIDSGID=yes
MemoryDenyWriteExecute=yes
END
unit forking <<END
Type=forking
PIDFile=/run/harden-forking.pid
$OUTPUT
ExecStart=-/usr/bin/python3 $PROBE forking
END
unit guess <<END
Type=forking
$OUTPUT
CapabilityBoundingSet=CAP_CHOWN CAP_KILL
ExecStart=/usr/bin/python3 $PROBE forking
END
unit busname <<END
Type=dbus
BusName=org.freedesktop.hostname1
$OUTPUT
ExecStart=/usr/bin/python3 $PROBE dbus
END
unit oneshot <<END
Type=oneshot
RemainAfterExit=yes
$OUTPUT
User=alice
ExecStart=/usr/bin/python3 $PROBE oneshot 1 ; /usr/bin/python3 $PROBE oneshot 2
ExecStart=+/usr/bin/python3 $PROBE oneshot 3
ExecStart=!/usr/bin/python3 $PROBE oneshot 4
ExecStart=!!/usr/bin/python3 $PROBE oneshot 5
ExecStart=-/bin/false
END
unit instance@ <<END
Type=exec
StandardOutput=append:/test/instance@/out
ExecStart=/usr/bin/python3 $PROBE %i %I
END
systemctl daemon-reload

output() { # UNIT: the file
        case $1 in instance@*) echo /test/instance@/out ;; *) echo "/test/$1/out" ;; esac
}
ready() { # UNIT: it has said all that it says at the start
        case $1 in
        oneshot) [ "$(grep -c ^descriptors "$(output "$1")")" -eq 5 ] ;;
        *) grep -q ^descriptors "$(output "$1")" ;;
        esac
}
run() { # UNIT [CHECKS]: starts it, reloads and stops it
        rm -f "$(output "$1")"
        systemctl start "$1" || return 1
        await 20 ready "$1" || return 1
        [ "$1" = oneshot ] || is_state "$1" active || return 1
        if [ "$(show CanReload "$1")" = yes ]; then
                systemctl reload "$1" || return 1
                await 20 grep -q 'signal SIGHUP' "$(output "$1")" || return 1
        fi
        [ -z "${2:-}" ] || "$2" "$1"
        systemctl stop "$1"
}
alone() { [ "$(systemctl show -p ControlGroup --value "$1" | xargs -I{} grep -c . /sys/fs/cgroup{}/cgroup.procs)" = 1 ]; }
hardened() { # UNIT: a look at it while it runs
        if [ "$1" != oneshot ]; then
                check "$1: its main process is in a sandbox" await 20 in_sandbox "$1"
                check "$1: … alone in its control group" await 20 alone "$1"
        fi
        if [ "$1" = guess ]; then
                is "$(sed -n 's/^CapBnd:\t//p' "/proc/$(show MainPID guess)/status")" 0000000000000021 "$1: … with the capabilities of the unit"
        fi
}
for name in simple exec notify forking guess busname oneshot instance@exec; do
        check "$name: natively it runs" run $name || diag "$(journalctl -b --no-pager -u $name | tail -n 20)"
        cp "$(output $name)" "/test/$name.native"
        before=$(files)
        plan=$(harden --dry-run $name)
        contains "$plan" "ExecStart=" "$name: --dry-run"
        is "$(files)" "$before" "$name: … changes nothing"
        result=$(harden $name)
        contains "$result" "is hardened" "$name: harden" || diag "$(journalctl -b --no-pager | tail -n 30)"
        is "$(systemctl is-active $name)" inactive "$name: … does not run afterwards, as before"
        run $name hardened
        is $? 0 "$name: hardened it runs" || diag "$(journalctl -b --no-pager | tail -n 30)"
        is "$(cat "$(output $name)")" "$(cat "/test/$name.native")" "$name: … and sees what it did"
        check "$name: nothing of it is left" await 20 none
        contains "$(harden $name)" "is hardened already" "$name: twice is refused"
        contains "$(harden --undo $name)" "no longer hardened" "$name: --undo"
        is "$(files)" "$before" "$name: … leaves nothing"
done
contains "$(harden --undo simple)" "is not hardened" "what is not hardened cannot be undone"

# ---- sockets

unit listener <<END
$OUTPUT
ExecStart=/usr/bin/python3 $PROBE socket
END
printf '[Socket]\nListenStream=/run/harden.sock\nFileDescriptorName=front\n' >/etc/systemd/system/listener.socket
systemctl daemon-reload
contains "$(harden listener.socket)" "is no service" "a socket runs nothing"
mkdir -p /etc/systemd/system/listener.service.d
printf '[Service]\nEnvironment=GREETING=mine\n' >/etc/systemd/system/listener.service.d/10-mine.conf
systemctl daemon-reload
systemctl start listener.socket
contains "$(harden listener)" "is hardened" "a service that a socket starts"
hello() { timeout 20 /usr/bin/python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/run/harden.sock"); print(s.recv(10).decode(), end="")'; }
is "$(hello)" hello "… answers"
check "… from a sandbox" await 20 in_sandbox listener
contains "$(cat /test/listener/out)" "LISTEN_FDNAMES front" "… with its descriptor's name"
contains "$(cat /test/listener/out)" "GREETING mine" "… and what a drop-in of its own says"
contains "$(harden --undo listener)" "no longer" "it is undone"
is "$(ls /etc/systemd/system/listener.service.d)" 10-mine.conf "… and the other drop-in is there"
systemctl stop listener.socket listener.service

# ---- what does not work

unit broken <<END
Type=exec
ExecStart=/usr/bin/unshare --mount /usr/bin/sleep 1000
END
systemctl daemon-reload
before=$(files)
out=$(harden broken)
contains "$out" "broken.service is not hardened, and is as it was" "a program that the sandbox keeps from starting"
contains "$out" "journalctl -u broken.service" "… and where it says why"
is "$(state broken)" inactive "… does not run"
systemctl start broken
pid=$(show MainPID broken)
out=$(harden broken)
contains "$out" "broken.service is not hardened, and runs as before" "the same when it runs"
check "… which it does again" await 20 is_state broken active
isnt "$(show MainPID broken)" "$pid" "… started anew"
is "$(files | grep -c sentryd.conf)" 0 "nothing is left of it"
systemctl stop broken

unit dynamic <<<$'DynamicUser=yes\nExecStart=/bin/sleep 1000'
unit rooted <<<$'RootDirectory=/test\nExecStart=/bin/sleep 1000'
unit ambient <<<$'User=alice\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nExecStart=/bin/sleep 1000'
unit idle <<<$'Type=oneshot\nExecStop=/bin/true'
systemctl daemon-reload
before=$(files)
contains "$(harden dynamic)" "DynamicUser=" "DynamicUser= is refused"
contains "$(harden rooted)" "RootDirectory=" "RootDirectory= is refused"
contains "$(harden ambient)" "AmbientCapabilities=CAP_NET_BIND_SERVICE" "AmbientCapabilities= of a user is refused"
contains "$(harden idle)" "that it could load" "so is what runs nothing"
contains "$(harden sentryd)" "sentryd needs it" "and what sentryd needs"
contains "$(harden instance@)" "is a template" "and a template"
contains "$(harden nowhere)" "no nowhere.service" "and what is not there"
contains "$(harden -- '../x')" "is no name of a unit" "and what is no name"
contains "$(harden --pid=private simple)" "--pid is host" "and other process ids"
mkdir /etc/systemd/system/simple.service.d
echo '# mine' >/etc/systemd/system/simple.service.d/50-sentryd.conf
contains "$(harden simple)" "not of sentryctl's making" "and to overwrite what is somebody's"
contains "$(harden --undo simple)" "not of sentryctl's making" "… or to remove it"
rm -r /etc/systemd/system/simple.service.d
systemctl daemon-reload
contains "$(as $ALICE_ID sentryctl harden simple 2>&1)" "only root can write" "a plain user is told what it takes"
contains "$(as $ALICE_ID sentryctl harden --dry-run simple 2>&1)" "What would change" "… but may look"
contains "$(sentryctl harden --dry-run --json=short simple)" '"done":false' "--json"
is "$(files)" "$before" "nothing of all this changed a file"

done_testing
