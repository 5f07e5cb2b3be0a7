#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# System V IPC and POSIX message queues in images: ids, keys, modes and contents; mappings whole, in part, read-only and of what was removed; what the
# end of a process gives back; messages in their order; waits that go on. What cannot be, and images that lie.

. "${srcdir:-.}/tests/lib/tap.sh"
# shellcheck source=tests/lib/save.bash
. "$srcdir/tests/lib/save.bash"

cp "$SENTRYD_BUILD/tests/live/ipc-program" "$TESTDIR/ipc-program" || bail "ipc-program is not built"
chmod 755 "$TESTDIR/ipc-program"

twice() {
        run ipc "$D/out0" --ro-bind "$TESTDIR/ipc-program" "$TESTDIR/ipc-program"
        await 30 says "$D/out0" ready
        ask ipc "$D/out0" 1 "$WHO: System V IPC is as it should be"
        check "$WHO: save, and leave it running" sctl save --leave-running ipc "$D/image0"
        ask ipc "$D/out0" 2 "$WHO: … which has disturbed nothing"
        for i in 1 2; do
                run=$RUN
                check "$WHO: save number $i" sctl save ipc "$D/image$i"
                reaped "$run"
                restore ipc "$D/out$i" "$D/image$i"
                ask ipc "$D/out$i" $((i + 2)) "$WHO: … and restored it is as it was"
        done
        end ipc
        check "$WHO: image check" sctl image check "$D/image2"
}

refused() {
        run mine "$D/out-mine" sh -c 'ipcmk -S 3 -p 0 && ipcmk -Q -p 0200 && ipcmk -M 4096 && echo made; exec sleep 1000'
        await 30 says "$D/out-mine" made
        out=$(sctl save mine "$D/image-mine" 2>&1)
        is $? 1 "$WHO: what the first process may not read is refused"
        like "$out" 'semaphore set 0 \(key 0x[0-9a-f]+, mode 000' "$WHO: … by its id, key and mode"
        check "$WHO: … and runs on" running mine
        end mine
}

told() { # who waits for mq_notify(3) cannot be made to wait again
        run told "$D/out-told" --ro-bind "$TESTDIR/told.py" python3 -u "$TESTDIR/told.py"
        await 30 says "$D/out-told" waits
        out=$(sctl save told "$D/image-told" 2>&1)
        is $? 1 "$WHO: a POSIX message queue with somebody who waits to be told is refused"
        contains "$out" "POSIX message queue /told: somebody waits to be told of a message (mq_notify(3))" "$WHO: … by its name"
        check "$WHO: … and nothing is left of the image" test ! -e "$D/image-told"
        check "$WHO: … it runs on" running told
        end told
}

lies() { # what the image says is checked before anything is made
        local change said
        local -A lies=( # what is changed, and what is said
                ['s/"values":\[3,/"values":[40000,/']='allowed are 0 to 32767'
                ['s/"undo":\[[0-9]*,/"undo":[99,/']='no such semaphore or process'
                ['s/"sizes":\[9,0,200\]/"sizes":[9,0,201]/']='more than the 209 bytes'
                ['s/"types":\[7,/"types":[-7,/']='allowed are 1 and more'
                ['s/"type":"m","id":[0-9]*,"mode":384/"type":"s","id":1,"mode":384/']='has no id'
                ['s/"name":"open"/"name":"op\/n"/']='no name of a queue'
                ['s/"priorities":\[32767,/"priorities":[32768,/']='of priority 32768, allowed are'
                ['s/"maxMessages":5/"maxMessages":4/']='and 4 messages at most'
                ['s/"kind":"mqueue"/&,"value":99/']='value: 99, and there are'
        )
        for change in "${!lies[@]}"; do
                said=${lies[$change]}
                rm -rf "$D/lie"
                cp -r "$D/image2" "$D/lie"
                sed -i "$change" "$D/lie/manifest.json"
                mine "$D/lie"
                check_fails "$WHO: what says: $said" cmp -s "$D/image2/manifest.json" "$D/lie/manifest.json"
                python3 "$TESTDIR/seal.py" "$D/lie"
                contains "$(sctl restore "$D/lie" 2>&1)" "$said" "$WHO: … is restored by nobody"
        done
        rm -rf "$D/lie"
        await 10 nothing_listed
        is "$(sctl -q --no-legend list)" '' "$WHO: … and nothing is left"
}

everything() {
        D=$WORK/ipc
        mkdir -m 755 "$D"
        mine "$D"
        twice
        refused
        told
        lies
        await 10 daemons_gone
}

cat >"$TESTDIR/told.py" <<-'END'
	import ctypes, os, signal

	libc = ctypes.CDLL(None, use_errno=True)
	event = (ctypes.c_int32 * 16)(0, 0, signal.SIGUSR2, 0)  # sigevent: value, signal, SIGEV_SIGNAL
	queue = libc.mq_open(b"/told", os.O_RDWR | os.O_CREAT, 0o600, None)
	assert queue >= 0 and libc.mq_notify(queue, event) == 0, os.strerror(ctypes.get_errno())
	print("waits")
	signal.pause()
END
chmod 644 "$TESTDIR/told.py"

# Makes the checksum of a manifest that was changed right again.
cat >"$TESTDIR/seal.py" <<-'END'
	import re, sys

	def xxh64(data, M=(1 << 64) - 1):
	    p1, p2, p3, p4, p5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
	    rol = lambda x, r: ((x << r) | (x >> (64 - r))) & M
	    mix = lambda a, w: rol((a + w * p2) & M, 31) * p1 & M
	    word = lambda i, n: int.from_bytes(data[i:i + n], "little")
	    i, n = 0, len(data)
	    if n >= 32:
	        v = [(p1 + p2) & M, p2, 0, -p1 & M]
	        while i <= n - 32:
	            v = [mix(v[k], word(i + 8 * k, 8)) for k in range(4)]
	            i += 32
	        h = (rol(v[0], 1) + rol(v[1], 7) + rol(v[2], 12) + rol(v[3], 18)) & M
	        for x in v:
	            h = ((h ^ mix(0, x)) * p1 + p4) & M
	    else:
	        h = p5
	    h = (h + n) & M
	    while i <= n - 8:
	        h = (rol(h ^ mix(0, word(i, 8)), 27) * p1 + p4) & M
	        i += 8
	    if i <= n - 4:
	        h = (rol(h ^ word(i, 4) * p1 & M, 23) * p2 + p3) & M
	        i += 4
	    for k in range(i, n):
	        h = rol(h ^ data[k] * p5 & M, 11) * p1 & M
	    h = (h ^ h >> 33) * p2 & M
	    h = (h ^ h >> 29) * p3 & M
	    return h ^ h >> 32

	path = sys.argv[1] + "/manifest.json"
	zero = re.sub(rb'"checksum": "[0-9a-f]{16}"', b'"checksum": "' + b"0" * 16 + b'"', open(path, "rb").read(), count=1)
	open(path, "wb").write(zero.replace(b"0" * 16, b"%016x" % xxh64(zero), 1))
END
chmod 644 "$TESTDIR/seal.py"
each_user everything
done_testing
