#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Saving and restoring: a program that checks itself, a tree of processes, several times in a row, two side by side, lazily,
# with what it had from outside; what cannot be restored, and deaths in the middle. As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"
# shellcheck source=tests/lib/save.bash
. "$srcdir/tests/lib/save.bash"

cp "$SENTRYD_BUILD/tests/live/restore-program" "$TESTDIR/restore-program" || bail "restore-program is not built"
chmod 755 "$TESTDIR/restore-program"
cat >"$TESTDIR/huge.py" <<-'END'
	import mmap, signal, re
	signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
	m = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
	m[5] = 77; m[(2 << 20) + 9] = 88
	print("ready", flush=True)
	n = 0
	while signal.sigwait([signal.SIGUSR1]):
	    n += 1
	    size = re.search(r"anon_hugepage.*?KernelPageSize: *(\d+) kB", open("/proc/self/smaps").read(), re.S)
	    good = m[5] == 77 and m[6] == 0 and m[(2 << 20) + 9] == 88 and size and size[1] == "2048"
	    print("checked" if good else "failed", n, flush=True)
END
chmod 644 "$TESTDIR/huge.py"

everything() {
        local n i run times=${SENTRYD_TEST_ROUNDS:-5}

        [ -n "${SENTRYD_TEST_ROUNDS:-}" ] || [ "$WHO" = root ] || [ "$(id -u)" -ne 0 ] || times=2
        run all "$D/out0" --ro-bind "$TESTDIR/restore-program" "$TESTDIR/restore-program" "$D"
        await 30 says "$D/out0" ready
        ask all "$D/out0" 1 "$WHO: the program is as it should be"
        for ((i = 1; i <= times; i++)); do
                run=$RUN
                check "$WHO: save number $i" sctl save all "$D/image$i"
                reaped "$run"
                is "$RC" 0 "$WHO: … ends it"
                restore all "$D/out$i" "$D/image$i"
                ask all "$D/out$i" $((i + 1)) "$WHO: … and restored it is as it was"
                rm -rf "$D/image$((i - 1))"
        done
        check "$WHO: save, and leave it running" sctl save --leave-running all "$D/last"
        ask all "$D/out$times" $((times + 2)) "$WHO: … which it does"
        restore beside "$D/out-a" "$D/last"
        ask beside "$D/out-a" $((times + 2)) "$WHO: … and another goes on beside it"
        n=$RUN
        restore lazy "$D/out-b" --lazy "$D/last"
        ask lazy "$D/out-b" $((times + 2)) "$WHO: … and one whose memory is read when it is used"
        end lazy
        RUN=$n
        end beside
        end all
}

shells() { # what a shell script and its pipe line are
        run sh "$D/out-sh" sh -c "i=0; while :; do i=\$((i + 1)); echo \$i; sleep 0.05; done | while read -r n; do echo \"n \$n\"; done"
        await 30 says "$D/out-sh" 'n 3'
        check "$WHO: save a pipe line of shells" sctl save sh "$D/image-sh"
        n=$(sed -n '$s/n //p' "$D/out-sh")
        restore sh2 "$D/out-sh2" "$D/image-sh"
        check "$WHO: … it goes on with the next number" await 30 says "$D/out-sh2" "n $((n + 3))"
        is "$(head -n 1 "$D/out-sh2")" "n $((n + 1))" "$WHO: … and leaves none out"
        end sh2
}

with_init() {
        local run
        # What is mapped must be there in the sandbox, which has a /tmp of its own, and the build may lie in /tmp.
        run init "$D/out-init" --ro-bind "$SENTRYD_BUILD/sentry-init" --init sh -c 'trap "echo asked to; exit 9" HUP; echo ready; while :; do sleep 0.05; done'
        await 30 says "$D/out-init" ready
        run=$RUN
        check "$WHO: a sandbox with --init is saved" sctl save init "$D/image-init"
        reaped "$run"
        restore init "$D/out-init" "$D/image-init"
        check "$WHO: … and restored it has it" eval 'sctl ps init | grep -q "^ *1 .* sentry-init "'
        check "$WHO: … which takes a signal" sctl signal init HUP
        reaped "$RUN"
        is "$RC" 9 "$WHO: … to the program, and its status to whoever waits"
        contains "$(cat "$D/out-init")" 'asked to' "$WHO: … that has its standard output"
        rm -rf "$D/image-init"
}

huge_pages() { # of hugetlbfs, of which there are none before somebody asks for them
        local run before
        before=$(cat /proc/sys/vm/nr_hugepages)
        echo $((before + 8)) 2>/dev/null >/proc/sys/vm/nr_hugepages
        if [ "$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)" -lt 4 ]; then
                skip "$WHO: huge pages" "there are none to be had"
        else
                run huge "$D/out-huge" --ro-bind "$TESTDIR/huge.py" python3 "$TESTDIR/huge.py"
                await 30 says "$D/out-huge" ready
                run=$RUN
                check "$WHO: a program with huge pages is saved" sctl save huge "$D/image-huge"
                reaped "$run"
                restore huge "$D/out-huge1" "$D/image-huge"
                ask huge "$D/out-huge1" 1 "$WHO: … and restored has them"
                end huge
                echo 0 2>/dev/null >/proc/sys/vm/nr_hugepages
                [ "$(id -u)" -ne 0 ] || contains "$(sctl restore --name huge "$D/image-huge" 2>&1)" 'huge pages left' "$WHO: … unless there are none"
                rm -rf "$D/image-huge"
        fi
        echo "$before" 2>/dev/null >/proc/sys/vm/nr_hugepages
}

outside() {
        echo first >"$D/five"
        : >"$D/out-fd"
        mine "$D/five" "$D/out-fd"
        sctl run --name fd --bind "$D" python3 -u -c "
import os, signal
signal.sigwait
print('up')
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
while True:
    signal.sigwait([signal.SIGUSR1])
    print('read', os.read(5, 100))" </dev/null >"$D/out-fd" 2>&1 5<"$D/five" &
        RUN=$!
        started "$RUN"
        await 30 says "$D/out-fd" up
        check "$WHO: save what has a descriptor from outside" sctl save fd "$D/image-fd"
        status_is 125 "$WHO: … it is not restored without" sctl restore "$D/image-fd"
        contains "$(sctl restore "$D/image-fd" 2>&1)" '5<FILE' "$WHO: … and told how"
        await 10 nothing_listed
        sctl restore --name fd "$D/image-fd" </dev/null >"$D/out-fd" 2>&1 5<"$D/five" &
        RUN=$!
        started "$RUN"
        await 30 running fd
        sctl signal fd USR1
        check "$WHO: … but with it" await 20 says "$D/out-fd" "read b'first"
        end fd

        : >"$D/out-fd"
        : >"$D/err-fd"
        mine "$D/out-fd" "$D/err-fd"
        sctl run --name fd --bind "$D" bash -c "echo up; { until [ -e $D/go ]; do sleep 0.05; done; } >$D/elsewhere; echo back; exit 5" \
                </dev/null >"$D/out-fd" 2>"$D/err-fd" &
        RUN=$!
        started "$RUN"
        await 30 says "$D/out-fd" up
        await 10 test -e "$D/elsewhere"
        check "$WHO: save a shell that has its standard output aside" sctl save fd "$D/image-aside"
        restore fd "$D/out-fd" "$D/image-aside"
        : >"$D/go"
        reaped "$RUN"
        is "$RC" 5 "$WHO: … restored it ends as it shall"
        is "$(cat "$D/out-fd")" back "$WHO: … with the new one"
}

refusals() {
        contains "$(sctl restore "$D" 2>&1)" manifest "$WHO: what is no image is not restored"
        cp -r "$D/last" "$D/broken"
        mine "$D/broken"
        printf x | dd of="$D/broken/pages-0.img" bs=1 seek=5000 conv=notrunc 2>/dev/null
        status_is 125 "$WHO: memory that somebody changed is not" sctl restore --name broken "$D/broken"
        await 10 nothing_listed
        is "$(sctl -q --no-legend list)" '' "$WHO: … and nothing is left of it"
}

deaths() { # of each of those who restore, in the middle
        local victim i pid
        for victim in sentry-imager sentry-kernel sentryctl; do
                for i in 1 2; do
                        sctl restore --name dying "$D/last" </dev/null >"$D/out-dying" 2>&1 &
                        RUN=$!
                        started "$RUN"
                        # It may be over before it is seen: then it is the whole sandbox that dies.
                        await 20 eval 'found $victim || running dying'
                        for pid in $(find_ours "$victim"); do kill -KILL "$pid" 2>/dev/null; done
                        [ "$victim" != sentry-imager ] || ! await 1 running dying || sctl kill dying
                        reaped "$RUN"
                done
                check "$WHO: $victim dies in the middle of a restore: nothing is left" await 20 nothing_runs
        done
}
find_ours() { # PROGRAM: of a restore
        local dir
        for dir in /proc/[0-9]*; do
                [[ $(readlink "$dir/exe" 2>/dev/null) == */"$1" ]] || continue
                tr '\0' '\n' <"$dir/environ" 2>/dev/null | grep -qxF "XDG_RUNTIME_DIR=$(runtime)" || continue
                [ "$1" != sentryctl ] || tr '\0' '\n' <"$dir/cmdline" | grep -qx dying || continue
                echo "${dir#/proc/}"
        done
}
found() { [ -n "$(find_ours "$1")" ]; }
nothing_runs() { nothing_listed && ! pgrep -f "^$TESTDIR/restore-program $D" >/dev/null; }

restoring() {
        D=$WORK/save
        mkdir -m 755 "$D"
        mine "$D"
        for t in ${TESTS_ONLY:-everything shells with_init huge_pages outside refusals deaths}; do "$t"; done
        await 10 daemons_gone
}

each_user restoring
done_testing
