#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Saving: what is refused, with every reason; that a save that fails at any moment leaves the programs as they were and
# nothing behind; storms of forks, signals and spawned programs; what `sentryctl image` says. restore.sh takes images up again.

. "${srcdir:-.}/tests/lib/tap.sh"

count() { cat "$D/count" 2>/dev/null || echo 0; }
past() { [ "$(count)" -gt "$1" ]; }
goes_on() { # DESCRIPTION
        local n
        n=$(count)
        check "$1" await 30 past "$n"
}
start() { # NAME WHAT…
        local name=$1
        shift
        rm -f "$D/count"
        T=170 sctl run --name "$name" --bind "$D" --ro-bind "$TESTDIR/save-program.py" python3 "$TESTDIR/save-program.py" "$D" "$@" \
                </dev/null >"$TESTDIR/$name.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 30 past 3 || {
                not_ok "$W: $name starts" "$(cat "$TESTDIR/$name.out")"
                return 1
        }
}
ends() { # NAME
        check "$W: … it can be ended" sctl kill --wait "$1"
        reaped "$RUN"
}
saves() { sctl save -q --leave-running "$@" >"$TESTDIR/save.out" 2>&1; }
left() { ls -A "$D/images"; }

refusals() {
        local out
        start refused netlink rights backlog || return
        out=$(sctl save --leave-running refused "$D/images/a" 2>&1)
        is $? 1 "$W: what cannot be saved is refused"
        like "$out" 'pid 1 \(python3[^)]*\) fd [0-9]+: a socket of a family that is not saved' "$W: … with the reason"
        contains "$out" 'on its way in a socket: a pidfd that nobody has open' "$W: … and with another"
        contains "$out" 'connections that nobody has accepted' "$W: … and with a third"
        is "$(left)" '' "$W: … and nothing is there"
        is "$(sctl show --value -p SaveStatus refused)" failed "$W: … which its status says"
        contains "$(sctl show --value -p SaveMessage refused)" 'fd ' "$W: … and why"
        goes_on "$W: … and it runs on"
        out=$(sctl save refused "$D/images/a" 2>&1)
        is $? 1 "$W: without --leave-running, too"
        goes_on "$W: … it runs on"
        ends refused
}

saving() {
        local out
        start web || return
        is "$(sctl show --value -p SaveStatus web)" never "$W: it was never saved"
        check "$W: it is saved" sctl save --leave-running web "$D/images/a"
        is "$(stat -c %a "$D/images/a")" 700 "$W: … for its owner alone"
        is "$(sctl show --value -p SaveStatus web)" saved "$W: … which its status says"
        goes_on "$W: … and it runs on"
        out=$(sctl save --leave-running web "$D/images/a" 2>&1)
        is $? 1 "$W: nothing is saved over it"
        contains "$out" 'is there already' "$W: … which is said"
        check_fails "$W: nor where no directory is" sctl save web "$D/images/none/a"
        status_is 2 "$W: nor without a name" sctl save web "$D/images/.."
        status_is 2 "$W: nor with a level that is none" sctl save --compress=20 web "$D/images/b"
        check "$W: a paused one" sctl pause web
        check "$W: … is saved, compressed" sctl save --leave-running --compress=1 web "$D/images/b"
        is "$(sctl show --value -p State web)" paused "$W: … and stays paused"
        check "$W: … until it is resumed" sctl resume web
        goes_on "$W: … when it goes on"
        like "$(sctl save --json --leave-running web "$D/images/c")" '"Processes":1,' "$W: statistics as JSON"
        check "$W: it is saved, and ends" sctl save web "$D/images/d"
        reaped "$RUN"
        is "$RC" 0 "$W: … with status 0"
        is "$(left | xargs)" 'a b c d' "$W: … and nothing else is there"
}

images() {
        local out size
        like "$(sctl image show "$D/images/d")" 'PID .*running +3 .*python3' "$W: image show"
        is "$(sctl image show --json "$D/images/b" | sed 's/.*"features":\["\([a-z]*\)"\].*/\1/')" zstd "$W: … as JSON"
        for i in a b c d; do check "$W: image check: $i is whole, and fits" sctl image check "$D/images/$i"; done
        out=$(sctl image diff "$D/images/a" "$D/images/d")
        is $? 1 "$W: image diff"
        like "$out" '1 memory .* pages' "$W: … knows that memory has changed"
        check "$W: … of one with itself" sctl image diff "$D/images/a" "$D/images/a"
        size=$(stat -c %s "$D/images/a/pages-0.img")
        printf 'not what was here' | dd of="$D/images/a/pages-0.img" bs=1 seek=$((size / 2)) conv=notrunc status=none
        out=$(sctl image check "$D/images/a" 2>&1)
        is $? 1 "$W: a changed byte is found"
        contains "$out" 'pages-0.img: the checksum says' "$W: … in this file"
        truncate -s $((size - 4096)) "$D/images/a/pages-0.img"
        check_fails "$W: so is a missing page" sctl image check "$D/images/a"
        sed -i 's/"path":"\(\/[^"]*\/python3[^"]*\)"/"path":"\1.gone"/' "$D/images/c/manifest.json"
        check_fails "$W: and a manifest that was changed" sctl image check "$D/images/c"
        check_fails "$W: a directory without one is none" sctl image show "$D"
        check_fails "$W: nor is a file" sctl image show "$TESTDIR/save-program.py"
        rm -r "$D/images"/*
}

# Whenever sentry-imager is killed, all goes on: also in the middle of a call that it makes in a task.
killed() {
        local i n bad=0 kills=0 kernels
        start killed || return
        kernels=$(daemons_of "$(runtime)" sentry-kernel)
        for ((i = 0; i < KILLS; i++)); do
                # shellcheck disable=SC2086 # numbers
                python3 "$srcdir/tests/live/save-killer.py" KILL "0.0$((i % 10))" $kernels >/dev/null &
                saves killed "$D/images/a"
                # Who died with all on disk and had not said so yet has left an image, and a whole one.
                [ ! -e "$D/images/a" ] || sctl image check "$D/images/a" >/dev/null 2>&1 || { bad=$((bad + 1)); break; }
                rm -rf "$D/images/a"
                wait $! && kills=$((kills + 1))
                n=$(count)
                await 30 past "$n" || { bad=$((bad + 1)); break; }
        done
        is "$bad" 0 "$W: $KILLS kills of sentry-imager disturb nobody"
        isnt "$kills" 0 "$W: … of whom some were hit"
        is "$(left)" '' "$W: … and nothing is left"
        check "$W: … it can still be saved" saves killed "$D/images/a"
        rm -rf "$D/images/a"
        ends killed
}

# Begins a save of NAME and stops sentry-imager in the middle of it: SAVING is the sentryctl, IMAGER the imager. On a busy
# machine it is missed now and then, and the save succeeds.
held_up() { # NAME
        local stopper i
        for ((i = 0; i < 20; i++)); do
                : >"$TESTDIR/imager"
                # shellcheck disable=SC2046
                python3 "$srcdir/tests/live/save-killer.py" STOP 0 $(daemons_of "$(runtime)" sentry-kernel) >"$TESTDIR/imager" &
                stopper=$!
                await 20 grep -q ready "$TESTDIR/imager"
                sctl save --leave-running "$1" "$D/images/a" >"$TESTDIR/save.out" 2>&1 &
                SAVING=$!
                started "$SAVING"
                while ! gone "$stopper" && ! gone "$SAVING"; do sleep 0.01; done
                if ! gone "$SAVING"; then
                        wait "$stopper"
                        IMAGER=$(sed -n 2p "$TESTDIR/imager")
                        return
                fi
                kill "$stopper"
                rm -rf "$D/images/a"
        done
        return 1
}

# Whoever asks for a save can take it back, by Ctrl-C or his death.
taken_back() {
        start back || return
        held_up back || bail "no save can be held up"
        signal_launcher TERM save
        check "$W: a save ends with who asked for it" await 20 gone "$SAVING"
        failed() { [ "$(sctl show --value -p SaveStatus back)" = failed ]; }
        check "$W: … it has failed" await 20 failed
        contains "$(sctl show --value -p SaveMessage back)" 'taken it back' "$W: … and why"
        is "$(left)" '' "$W: … nothing is left"
        goes_on "$W: … and the program goes on"
        check "$W: … it can be saved" saves back "$D/images/a"
        rm -rf "$D/images/a"

        held_up back || bail "no save can be held up"
        # shellcheck disable=SC2046
        kill -KILL $(daemons_of "$(runtime)" sentry-kernel)
        reaped "$SAVING"
        is "$RC" 1 "$W: it fails when sentry-kernel dies" || diag "$(cat "$TESTDIR/save.out")"
        contains "$(cat "$TESTDIR/save.out")" 'died in the middle of the save' "$W: … and says so"
        kill -CONT "$IMAGER"
        await 20 gone "$IMAGER"
        is "$(left)" '' "$W: … nothing is left"
        goes_on "$W: … and the program goes on"
        check "$W: … it can be saved" saves back "$D/images/a"
        rm -rf "$D/images/a"
        ends back
}

storms() {
        local storm i
        for storm in forks signals; do
                start "$storm" "$storm" || return
                for ((i = 0; i < 2; i++)); do
                        if saves "$storm" "$D/images/a"; then
                                check "$W: saved under a storm of $storm: whole" sctl image check "$D/images/a"
                        else
                                like "$(cat "$TESTDIR/save.out")" 'not saved and runs on' "$W: … or refused, and said why"
                        fi
                        rm -rf "$D/images/a"
                done
                goes_on "$W: … and the storm goes on"
                ends "$storm"
        done
}

# Children of vfork(2) share the memory of their parent, who cannot be stopped, until they execute a program.
spawns() {
        local out i
        start spawns spawns || return
        for ((i = 0; i < 3; i++)); do
                check "$W: saved while programs are spawned all the time" saves spawns "$D/images/a"
                rm -rf "$D/images/a"
        done
        goes_on "$W: … which goes on"
        ends spawns
        mkfifo "$D/fifo"
        [ "$WHO" = root ] || [ "$(id -u)" -ne 0 ] || chown "$USER_ID" "$D/fifo"
        sctl run --name vfork --bind "$D" python3 -u -c "
import os, signal
print('up')
os.posix_spawn('/bin/true', ['true'], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, '$D/fifo', os.O_RDONLY, 0)])
print('spawned')
signal.pause()" </dev/null >"$TESTDIR/vfork.out" 2>&1 &
        RUN=$!
        started "$RUN"
        await 30 grep -q up "$TESTDIR/vfork.out"
        await 30 spawning
        out=$(sctl save --leave-running vfork "$D/images/a" 2>&1)
        is $? 1 "$W: a child of vfork(2) that comes to no end is refused"
        like "$out" 'pid 1 \(python3[^)]*\) waits for its child 2 ' "$W: … and said who waits for whom"
        echo >"$D/fifo"
        await 30 grep -q spawned "$TESTDIR/vfork.out"
        check "$W: … when it has executed its program it is saved" sctl save vfork "$D/images/a"
        reaped "$RUN"
        rm -rf "$D/images/a"
}
spawning() { # it waits to open what nobody has opened
        sctl ps vfork | grep -q '^ *2 '
}

full() {
        local out
        if [ "$WHO" != root ] || ! mkdir "$TESTDIR/small" || ! mount -t tmpfs -o size=2m,mode=700 none "$TESTDIR/small" 2>/dev/null; then
                skip "$W: a full disk" "only root can make one"
                return
        fi
        start full && {
                out=$(sctl save full "$TESTDIR/small/a" 2>&1)
                is $? 1 "$W: a full disk"
                contains "$out" 'No space left on device' "$W: … is said"
                is "$(ls -A "$TESTDIR/small")" '' "$W: … nothing is left there"
                goes_on "$W: … and it runs on"
                ends full
        }
        umount "$TESTDIR/small"
}

all() {
        W=$WHO
        D=$WORK/save
        mkdir "$D" "$D/images"
        [ "$WHO" = root ] || [ "$(id -u)" -ne 0 ] || chown -R "$USER_ID" "$D"
        refusals
        saving
        images
        killed
        taken_back
        storms
        spawns
        full
}

KILLS=${SENTRYD_TEST_KILLS:-8}
cp "$srcdir/tests/live/save-program.py" "$TESTDIR"
chmod 644 "$TESTDIR/save-program.py"
each_user all
done_testing
