#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A test sees the same surroundings whoever starts it: no signal ignored, an input that ends, a home, a dumb terminal.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/probe.sh" <<'END'
# 32 and 33 are libc's own, and out of reach for programs.
ignored=$(sed -n 's/^SigIgn:\t//p' /proc/self/status)
echo "ignored $((0x$ignored & ~(3 << 31)))"
echo "input $(readlink /proc/self/fd/0)"
echo "home ${HOME:-none} terminal ${TERM:-none}"
END
expected='ignored 0
input /dev/null
home / terminal dumb'

run=$srcdir/tests/lib/run-test
is "$(env -i --ignore-signal=PIPE --ignore-signal=HUP PATH="$PATH" bash "$run" "$TESTDIR/probe.sh" <&- 2>&1)" "$expected" \
        "SIGPIPE and SIGHUP ignored, input closed, nothing in the environment"
is "$(env --ignore-signal HOME=/ TERM=xterm-256color bash "$run" "$TESTDIR/probe.sh" </dev/zero 2>&1)" "$expected" \
        "all signals ignored, an endless input, a colourful terminal"

done_testing
