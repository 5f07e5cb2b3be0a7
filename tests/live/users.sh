#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Users of a sandbox: one, or a range of them; and the capabilities that a program keeps.

# Ranges are given away in /etc/subuid: the test has files of its own there.
if [ "$(id -u)" -eq 0 ] && [ -z "${USERS_TEST_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
        export USERS_TEST_INSIDE=1
        exec unshare -m --propagation private "$BASH" "$0" "$@"
fi

. "${srcdir:-.}/tests/lib/tap.sh"

profile() { # NAME (its text on stdin)
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

give_ranges() { # ROOT-LINE USER-LINE
        local f
        printf '%s\n' "$@" >"$TESTDIR/subids"
        chmod 644 "$TESTDIR/subids"
        for f in /etc/subuid /etc/subgid; do
                [ -e "$f" ] || : >"$f"
                mountpoint -q "$f" || mount --bind "$TESTDIR/subids" "$f"
        done
}

single() {
        local w=$WHO uid
        uid=$(id -u)
        [ "$w" != user ] || [ "$uid" -ne 0 ] || uid=$USER_ID
        is "$(sctl run sh -c 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map')" \
                " $uid $uid 1"$'\n'" $uid $uid 1" "$w: one user, the caller, and one group"
        check_fails "$w: … and no way to another" sctl run /usr/bin/python3 -c 'import os; os.setuid(12)'
        is "$(sctl run id -u)" "$uid" "$w: … who he is"
}

capabilities() {
        local w=$WHO
        profile caps <<<'{ "process": { "capabilities": ["CAP_NET_RAW", "CAP_CHOWN"] }, "sentry": { "extends": "default" } }'
        is "$(sctl run -p caps grep -c '^Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0000000000002001$' /proc/self/status)" 5 \
                "$w: a program keeps the capabilities that the profile names"
        profile sets <<<'{ "process": { "capabilities": { "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN"],
                "effective": ["CAP_CHOWN"], "inheritable": [], "ambient": [] } }, "sentry": { "extends": "default" } }'
        is "$(sctl run -p sets grep -c '^Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0000000000000001$' /proc/self/status)" 5 \
                "$w: … also in the shape of OCI's five sets"
        profile badset <<<'{ "process": { "capabilities": { "effectiv": ["CAP_CHOWN"] } }, "sentry": { "extends": "default" } }'
        like "$(sctl run -p badset true 2>&1)" 'process.capabilities.effectiv: unknown key; did you mean "effective"' \
                "$w: … in which mistakes are told"
        is "$(sctl run -p caps sh -c 'sed -n "s/^NoNewPrivs:.//p" /proc/self/status')" 1 "$w: no_new_privs all the same"
}

saved() { # files of other users come back as theirs
        local w=$1 d=$WORK/saved run
        mkdir -p "$d"
        mine "$d"
        sctl run -p range --name owners sh -c 'touch /tmp/x && chown 33:44 /tmp/x && mkdir /tmp/y && chown 5:6 /tmp/y && touch /tmp/z; sleep 300' &
        run=$!
        await 10 eval '[ "$(sctl exec owners ls /tmp | wc -l)" = 3 ]'
        check "$w: it is saved" sctl save owners "$d/image"
        reaped "$run"
        sctl restore --name owners "$d/image" </dev/null &
        run=$!
        await 20 running owners
        is "$(sctl exec owners stat -c %u:%g /tmp/x /tmp/y /tmp/z | tr '\n' ' ')" "33:44 5:6 0:0 " "$w: … and restored files are whose they were"
        sctl kill owners
        reaped "$run"
}

users_program() {
        cat <<-'END'
		import os, socket, sys, time
		def me():
		    lines = open("/proc/self/status").read().split("\n")
		    ids = [" ".join(l.split()[1:]) for l in lines if l.startswith(("Uid:", "Gid:", "Groups:"))]
		    return ",".join(ids + [os.getcwd()])
		def become(uid, gid, groups):
		    os.setgroups(groups)
		    os.setresgid(gid, gid, gid)
		    os.setresuid(uid, uid, uid)
		ours, theirs = socket.socketpair()
		if os.fork() == 0:  # as a server has it: a process that becomes another user, and is not dumpable any more
		    become(33, 44, [7, 8])
		    os.umask(0o77)
		    os.mkdir("/tmp/closed")
		    os.chdir("/tmp/closed")
		    kept, deleted = open("kept", "w+"), open("deleted", "w+")
		    for f in kept, deleted:
		        f.write(f.name * 1000)
		        f.flush()
		    os.unlink("deleted")
		    reader, writer = os.pipe()
		    os.write(writer, b"piped")
		    listening = socket.socket(socket.AF_UNIX)
		    listening.bind("/tmp/closed/socket")
		    listening.listen()
		    memory = os.urandom(1 << 20)
		    copy = bytearray(memory)
		    while theirs.recv(1):
		        assert memory == copy
		        for f in kept, deleted:
		            f.seek(0)
		            assert f.read() == f.name * 1000, f.name
		        assert open("kept").read() == "kept" * 1000
		        assert os.read(reader, 5) == b"piped"
		        os.write(writer, b"piped")
		        client = socket.socket(socket.AF_UNIX)
		        client.connect("/tmp/closed/socket")
		        listening.accept()
		        theirs.send(me().encode())
		    os._exit(0)
		if os.fork() == 0:  # as su has it: a program of another user's, whose /proc is closed to us
		    become(5, 6, [])
		    os.execv("/usr/bin/python3", ["python3", "-c", "import os, time\nx = os.urandom(1 << 20)\ny = bytearray(x)\n"
		             "while x == y and os.getresuid() == (5, 5, 5) and os.getresgid() == (6, 6, 6): time.sleep(0.01)"])
		while True:
		    ours.send(b"x")
		    told = ours.recv(1000).decode()
		    assert os.waitpid(-1, os.WNOHANG) == (0, 0)
		    print(told, me(), flush=True)
		    time.sleep(0.05)
	END
}

told() { [ "$(tail -n 1 "$1")" = "33 33 33 33,44 44 44 44,7 8,/tmp/closed 0 0 0 0,0 0 0 0,,/" ]; }
others() { # processes of other users, and what is theirs alone
        local w=$1 d=$WORK/others run n
        mkdir -p "$d"
        : >"$d/out0"
        mine "$d"
        profile others <<<'{ "process": { "capabilities": ["CAP_SETUID", "CAP_SETGID"] }, "sentry": { "extends": "default", "users": "range" } }'
        T=170 sctl run -p others --name others --chdir / -- /usr/bin/python3 -c "$(users_program)" </dev/null >"$d/out0" 2>&1 &
        run=$!
        started "$run"
        check "$w: processes that are other users" await 30 told "$d/out0" || {
                diag "$(tail -n 3 "$d/out0")"
                return
        }
        for n in 1 2; do
                check "$w: … are saved" sctl save others "$d/image$n"
                reaped "$run"
                : >"$d/out$n"
                mine "$d/out$n"
                T=170 sctl restore --name others "$d/image$n" </dev/null >"$d/out$n" 2>&1 &
                run=$!
                started "$run"
                check "$w: … and restored, with all that is theirs" await 30 told "$d/out$n" || diag "$(tail -n 3 "$d/out$n")"
        done
        is "$(sctl --no-legend ps others | awk '{ print $4 }' | xargs)" "0 33 5" "$w: … as those users"
        check "$w: … who go on" sctl kill --wait others
        reaped "$run"
}

range() {
        local w=$WHO pid out first
        [ -n "${USERS_TEST_INSIDE:-}" ] || { skip "$w: a range of users" "needs root, to give one away"; return; }
        command -v newuidmap >/dev/null || { skip "$w: a range of users" "newuidmap is missing (package uidmap)"; return; }

        profile range <<<'{ "process": { "capabilities": ["CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"] },
                "sentry": { "extends": "default", "users": "range" } }'
        give_ranges "root:300000:65536" "$USER_ID:400000:65536"
        is "$(sctl run -p range id -u)" 0 "$w: with a range the caller is 0"
        first=300000
        [ "$w" = root ] || first=400000
        is "$(sctl run -p range sh -c 'tr -s " " </proc/self/uid_map | cut -d" " -f2- | tail -n 1')" "1 $first 65536" \
                "$w: … and the range comes from 1 on"
        is "$(sctl run -p range sh -c 'touch /tmp/x && chown 33:44 /tmp/x && stat -c %u:%g /tmp/x')" 33:44 "$w: files are given away"
        is "$(sctl run -p range setpriv --reuid 33 --regid 44 --clear-groups sh -c 'id -u; id -g; hostname; cat /proc/version >/dev/null')" \
                $'33\n44\nsandbox' "$w: a program that changes its user is served on"
        saved "$w"
        others "$w"
        profile range-mounts <<<'{ "sentry": { "extends": "range", "mounts": "emulated" } }'
        is "$(sctl run -p range-mounts sh -c 'mkdir -p /tmp/x /tmp/closed/x && chmod 700 /tmp/closed && exec setpriv --reuid 33 \
                --regid 44 --clear-groups sh -c "mount -t tmpfs t /tmp/x && stat -c %u:%g /tmp/x && umount /tmp/x && echo gone
                mount -t tmpfs t /tmp/closed/x 2>/dev/null || echo refused"' 2>&1)" $'33:44\ngone\nrefused' \
                "$w: what he mounts is his, where he can reach"
        check_fails "$w: … but goes nowhere beyond the range" sctl run -p range sh -c \
                'setpriv --reuid 70000 --clear-groups true || exit 1'
        if [ "$w" = user ]; then
                mkdir -p "$TESTDIR/roots"
                touch "$TESTDIR/roots/file"
                check_fails "$w: as 0 inside nobody writes to files of the host's root" \
                        sctl run -p range --bind "$TESTDIR/roots" sh -c "echo x >>'$TESTDIR/roots/file'"
        fi

        sctl run --name "range-$w" -p range setpriv --reuid 33 --regid 33 --clear-groups sleep 300 &
        pid=$!
        started "$pid"
        await 20 running "range-$w"
        is "$(sctl exec "range-$w" id -u)" 0 "$w: exec joins as 0"
        is "$(sctl exec -u 5:6 "range-$w" sh -c 'id -u; id -g')" $'5\n6' "$w: … or as who is asked for"
        out=$(sctl exec -u 99999 "range-$w" true 2>&1)
        like "$out" 'cannot become user 99999.*uid_map' "$w: … in words if he is none of them"
        check "$w: ps sees the user" await 20 eval "sctl --no-legend ps range-$w | grep -q ' 33 '"
        check "$w: … and Kill reaches him" sctl kill "range-$w"
        reaped "$pid"
        sctl run --name "range2-$w" -p range setpriv --reuid 33 --regid 33 --clear-groups sleep 300 &
        pid=$!
        started "$pid"
        await 20 eval "sctl --no-legend ps range2-$w | grep -q ' 33 '"
        signal_launcher TERM
        reaped "$pid"
        is "$RC" 143 "$w: … and so does a signal to the launcher"

        give_ranges "nobody:300000:65536"
        like "$(sctl run -p range true 2>&1)" 'no range of ids for uid [0-9]+ in /etc/subuid.*usermod' "$w: no range: in words"
        give_ranges "root:0:5" "$USER_ID:99999999999:5" "$USER_ID:x:y" "::"
        like "$(sctl run -p range true 2>&1)" 'no range of ids' "$w: … nor one that makes no sense"
}

each_user single
each_user capabilities
each_user range
done_testing
