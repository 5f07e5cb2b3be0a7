#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images under a real systemd: saved and restored by root, by a user with the system's instance and with her own; of
# others' sandboxes, where polkit is asked; while sentryd is killed and restarted; and after the machine was booted again.

. "${srcdir:-.}/tests/lib/boot.bash"

UNIT=sentryd.service
as() { # USER COMMAND…
        local uid=$1
        shift
        setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i PATH="$PATH" TERM=dumb LC_ALL=C HOME=/tmp \
                XDG_RUNTIME_DIR="/run/user/$uid" ASAN_OPTIONS="${ASAN_OPTIONS:-}" LSAN_OPTIONS=detect_leaks=0 timeout -k 5 "$T" "$@"
}
box_program() { # DIRECTORY [MEBIBYTES]
        cat <<-END
		import os, time, zlib
		memory = bytearray(os.urandom(1 << 20)) * ${2:-1}
		checksum = zlib.crc32(memory)
		began = time.monotonic()
		n = 0
		while not os.path.exists("$1/end"):
		    n += 1
		    assert zlib.crc32(memory) == checksum
		    assert time.monotonic() - began < 600
		    with open("$1/new", "w") as f:
		        f.write(f"{n} {os.getpid()}")
		    os.rename("$1/new", "$1/count")
		    time.sleep(0.02)
		os._exit(42)
	END
}
declare -A PID
count() { cat "/test/$1/count" 2>/dev/null || echo 0; }
past() { [ "$(count "$1" | cut -d' ' -f1)" -gt "$2" ]; }
counts() { # NAME DESCRIPTION: it goes on
        local n
        n=$(count "$1" | cut -d' ' -f1)
        check "$2" await 30 past "$1" "$n"
}
start_box() { # NAME UID WHERE [MEBIBYTES]
        local name=$1 uid=$2
        install -d -m 755 -o "$uid" "/test/$name"
        T=600 as "$uid" sentryctl "$3" run --name "$name" --bind "/test/$name" -- /usr/bin/python3 -c "$(box_program "/test/$name" "${4:-1}")" \
                </dev/null >"/test/$name.out" 2>&1 &
        PID[$name]=$!
        started $!
        await 30 past "$name" 2 || not_ok "$name starts" "$(cat "/test/$name.out")"
}
restore_box() { # NAME UID WHERE IMAGE [OPTION…]
        local name=$1 uid=$2 where=$3 image=$4
        shift 4
        T=600 as "$uid" sentryctl "$where" restore "$@" "$image" </dev/null >"/test/$name.out" 2>&1 &
        PID[$name]=$!
        started $!
}
ends() { # NAME DESCRIPTION: when it is told to, with its own status
        touch "/test/$1/end"
        reaped "${PID[$1]}" 30
        is "$RC" 42 "$2" || diag "$(cat "/test/$1.out")"
        rm -f "/test/$1/end"
}
ended_saved() { # NAME DESCRIPTION: its save was its end
        reaped "${PID[$1]}" 30
        is "$RC" 0 "$2" || diag "$(cat "/test/$1.out")"
}
main() { systemctl show --value -p MainPID $UNIT; }
restarted() { [ "$(main)" != "$1" ] && [ "$(main)" != 0 ] && [ "$(systemctl is-active "$UNIT")" = active ]; }
status_of() { sentryctl --system show --value -p SaveStatus "$1"; }
listed_as() { sentryctl --system --no-legend list | grep -qE "^$1 +$2 "; } # NAME STATE

# ---- after the machine was booted again

if [ -n "$BOOTED_BEFORE" ]; then
        check "the machine was booted again: systemctl start" systemctl start $UNIT
        is "$(sentryctl -q --system --no-legend list)" '' "no sandbox is there"
        n=$(count hers | cut -d' ' -f1)
        restore_box hers "$ALICE_ID" --system /home/alice/boot.image
        check "an image from before is taken up" await 30 past hers "$n"
        is "$(count hers | cut -d' ' -f2)" 1 "… with its process ids"
        ends hers "… and it has noticed nothing"
        n=$(count mine | cut -d' ' -f1)
        loginctl enable-linger alice
        await 30 test -S "/run/user/$ALICE_ID/bus"
        restore_box mine "$ALICE_ID" --user /home/alice/mine.image
        check "so is one of a user's instance" await 30 past mine "$n"
        ends mine "… which has noticed nothing, either"
        done_testing
fi

# ---- root, and users of the system's instance

check "systemctl enable --now" systemctl enable --now $UNIT
install -d -m 700 /root/images
start_box roots 0 --system
sentryctl --system save roots /root/images/roots >/test/save.out 2>&1
is $? 0 "root saves" || diag "$(cat /test/save.out)"
contains "$(cat /test/save.out)" "roots was saved to /root/images/roots" "… is told so"
is "$(stat -c '%u %a' /root/images/roots)" "0 700" "… and owns what there is then"
ended_saved roots "… and the sandbox has ended"
n=$(count roots | cut -d' ' -f1)
restore_box roots 0 --system /root/images/roots
check "it is restored" await 30 past roots "$n"
check "… under its name" listed_as roots running
ends roots "… and has noticed nothing"

start_box hers "$ALICE_ID" --system 16
is "$(as "$ALICE_ID" sentryctl --system show --value -p SaveStatus hers)" never "alice's was never saved"
unlike "$(as "$ALICE_ID" sentryctl --system status hers)" 'Save:' "… of which status says nothing"
stdbuf -oL busctl --system monitor --match "type='signal',path='/org/sentryd1/sandbox/hers',interface='org.sentryd1.Sandbox',member='SaveProgress'" >/test/progress 2>&1 &
monitor=$!
started $monitor
await 20 grep -q Monitoring /test/progress
check "she saves" as "$ALICE_ID" sentryctl --system save --leave-running hers /home/alice/a.image
is "$(stat -c '%u %a' /home/alice/a.image)" "$ALICE_ID 700" "… it is hers alone"
is "$(find /home/alice/a.image ! -uid "$ALICE_ID")" '' "… all of it"
check "… its progress was a signal on the bus" await 20 grep -q SaveProgress /test/progress
end_process $monitor
rm -r /home/alice/a.image
like "$(as "$ALICE_ID" script -qec "sentryctl --system save --leave-running hers /home/alice/a.image" /dev/null </dev/null)" \
        '100 %.* MiB/s.*was saved to' "… and is shown on a terminal"
like "$(as "$ALICE_ID" sentryctl --system status hers)" 'Save: saved' "… status says so"
counts hers "… and it runs on"
as "$ALICE_ID" sentryctl --system save --leave-running hers /root/x >/test/save.out 2>&1
isnt $? 0 "not into a directory of root's"
contains "$(cat /test/save.out)" "/root: Permission denied" "… and she is told"
as "$ALICE_ID" sentryctl --system save --leave-running hers /etc/x >/test/save.out 2>&1
isnt $? 0 "nor into one that she can only look at"
contains "$(cat /test/save.out)" "Permission denied" "… and she is told"
like "$(as "$ALICE_ID" sentryctl --system status hers)" 'Save: failed: cannot make x: Permission denied' "… by status, too"
counts hers "… and it runs on"

# ---- others' sandboxes

sentryctl --system save --leave-running hers /root/images/hers >/test/save.out 2>&1
isnt $? 0 "root cannot lend her a directory of his"
contains "$(cat /test/save.out)" "it is the sandbox's owner, uid $ALICE_ID, who writes the image" "… and is told why"
install -d -m 1777 /test/shared
check "root saves hers where she may write" sentryctl --system save --leave-running hers /test/shared/hers
is "$(stat -c %u /test/shared/hers)" "$ALICE_ID" "… and it is hers"
rules() { # ACTION…: what bob may do
        local action text=
        for action; do
                text+="if (action.id == 'org.sentryd1.$action' && subject.user == 'bob') return polkit.Result.YES;"
        done
        echo "polkit.addRule(function(action, subject) { $text });" >/etc/polkit-1/rules.d/10-test.rules
}
rules inspect-others
bob_sees() { as "$BOB_ID" sentryctl --system status hers; }
check "bob may look at it" await 20 bob_sees
as "$BOB_ID" sentryctl --system save --leave-running hers /test/shared/bobs >/test/save.out 2>&1
isnt $? 0 "… but not save it"
contains "$(cat /test/save.out)" "would ask for a password" "… without a password, for which there is nobody to ask"
contains "$(cat /test/save.out)" "org.sentryd1.save-others" "… by polkit's action"
mkdir /test/bin
cat >/test/bin/pkttyagent <<-'END'
	#!/bin/bash
	echo "$*" >>/test/agent
	trap 'exit' TERM
	exec 3>&-
	while :; do sleep 0.1; done
END
install -m 666 /dev/null /test/agent
chmod 755 /test/bin/pkttyagent
as "$BOB_ID" env PATH="/test/bin:$PATH" script -qec "sentryctl --system save --leave-running hers /test/shared/bobs" /dev/null </dev/null >/test/save.out 2>&1
contains "$(cat /test/agent)" "--process" "at a terminal he is asked for one"
contains "$(cat /test/save.out)" "action org.sentryd1.save-others" "… which he does not know"
is "$(ls /test/shared)" hers "nothing was saved"
rules inspect-others save-others
install -d -m 1777 -o "$BOB_ID" /test/bobs
bob_saves() { as "$BOB_ID" sentryctl --system save --leave-running hers /test/bobs/a; }
check "a rule lets him" await 20 bob_saves
as "$BOB_ID" sentryctl --system save --leave-running hers /home/alice/stolen >/test/save.out 2>&1
isnt $? 0 "… but not write in her directory by her rights"
contains "$(cat /test/save.out)" "give a directory that belongs to you" "… as he is told"
check_fails "nor take up what is hers" as "$BOB_ID" sentryctl --system restore /home/alice/a.image
is "$(find /home/alice -mindepth 1 -maxdepth 1 ! -name '.bash*' -printf '%f ')" 'a.image ' "nothing of that is left"
counts hers "hers runs on"

# ---- copies

restore_box copy "$ALICE_ID" --system /home/alice/a.image --name copy
check "she takes a copy up, beside the first" await 30 listed_as copy running
check "… and ends it" as "$ALICE_ID" sentryctl --system kill --wait copy
reaped "${PID[copy]}"
rm -r /test/shared/hers /home/alice/a.image /test/bobs/a

# ---- sentryd dies or is replaced meanwhile

start_box big "$ALICE_ID" --system 40
saving() { [ "$(status_of big)" = saving ]; }
i=0
for how in "kill -9 of sentryd" "systemctl restart"; do
        i=$((i + 1))
        as "$ALICE_ID" sentryctl --system save --compress=12 --leave-running big /home/alice/big.$i >/test/save.out 2>&1 &
        saver=$!
        started $saver
        check "a save is under way" await 20 saving
        pid=$(main)
        case $how in
        kill*) kill -KILL "$pid" ;;
        *) systemctl restart $UNIT ;;
        esac
        check "$how: another serves" await 30 restarted "$pid"
        reaped $saver 60
        is "$RC" 0 "$how: the save is done" || diag "$(cat /test/save.out)"
        contains "$(cat /test/save.out)" "was saved to /home/alice/big.$i, while the system's sentryd was replaced; it runs on" "… as it is told"
        check "… the image is whole" as "$ALICE_ID" sentryctl image check /home/alice/big.$i
        counts big "… and the sandbox goes on"
done
is "$(find /home/alice -name '.*.saving*' -o -name '.big*')" '' "nothing half is left"
as "$ALICE_ID" sentryctl --system save --compress=12 big /home/alice/big.3 >/test/save.out 2>&1 &
saver=$!
started $saver
check "a save that is the end is under way" await 20 saving
kill -KILL "$(main)"
reaped $saver 60
is "$RC" 0 "sentryd is killed: the save is done" || diag "$(cat /test/save.out)"
ended_saved big "… and was the end"
check "… the image is whole" as "$ALICE_ID" sentryctl image check /home/alice/big.3

n=$(count big | cut -d' ' -f1)
pid=$(main)
restore_box big "$ALICE_ID" --system /home/alice/big.3
await 20 listed_as big '[a-z]+' # whatever it does by now
kill -KILL "$(main)"
check "sentryd is killed in the middle of a restore: it is done" await 30 past big "$n" || diag "$(cat /test/big.out)"
check "… and the next one knows it" await 30 listed_as big running
ends big "… and it has noticed nothing"

# ---- her own instance

loginctl enable-linger alice
await 30 test -S "/run/user/$ALICE_ID/bus"
start_box mine "$ALICE_ID" --user
check "her own instance saves" as "$ALICE_ID" sentryctl --user save mine /home/alice/mine.image
ended_saved mine "… which ends it"
n=$(count mine | cut -d' ' -f1)
restore_box mine "$ALICE_ID" --user /home/alice/mine.image
check "… and restores" await 30 past mine "$n"
rm -r /home/alice/mine.image
check "… and saves it again" as "$ALICE_ID" sentryctl --user save mine /home/alice/mine.image
ended_saved mine "… which ends it"

check "the system's instance saves hers" as "$ALICE_ID" sentryctl --system save hers /home/alice/boot.image
ended_saved hers "… which ends it"
check "no sentry-imager is left" await 20 eval '[ -z "$(pgrep -x sentry-imager)" ]'
check "no sentry-kernel is left" await 20 eval '[ -z "$(pgrep -x sentry-kernel)" ]'
boot_again
